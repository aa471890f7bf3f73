"""All scenarios, in the order in which they are played."""

from __future__ import annotations

from proof import (
    broker,
    checker,
    cut_off,
    disk_full,
    due_at_once,
    failover,
    io_error,
    kill,
    ledger,
    limiter,
    machines,
    poison,
    power,
    server,
    syscall_freeze,
    syscall_kill,
)

_ALL = (
    kill.SCENARIO,
    syscall_kill.SCENARIO,
    syscall_freeze.SCENARIO,
    disk_full.SCENARIO,
    io_error.SCENARIO,
    power.SCENARIO,
    poison.SCENARIO,
    machines.SCENARIO,
    ledger.SCENARIO,
    cut_off.SCENARIO,
    server.SCENARIO,
    failover.SCENARIO,
    due_at_once.SCENARIO,
    broker.SCENARIO,
    limiter.SCENARIO,
    checker.SCENARIO,
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
