"""All scenarios, in the order in which they are played."""

from __future__ import annotations

from proof import kill, syscall_kill

_ALL = (
    kill.SCENARIO,
    syscall_kill.SCENARIO,
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
