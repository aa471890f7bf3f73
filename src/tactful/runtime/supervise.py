"""A group of worker processes, and one process that watches over them.

    roster: start, end, kill  ->  processes
    a process has ended       ->  the roster is told, its leases are released (`leftovers`)

The workers share the store and nothing else: each is a new program, not a fork, so that no thread
and no connection is inherited. Three pipes connect it with its supervisor. Its standard input is a
leash: it is never written to, and when it closes the worker ends gracefully, which also works when
the supervisor was killed. On its standard output it writes one line when it is up. What it writes
on its standard error is for people.

Whoever has news, be it a signal or a thread that waits for a process, puts it into one queue, and
the main thread waits for that queue or for the next instant of the roster, a second at most
(`LOOK_S`). The store is touched by another thread only: when it is out of reach, workers are
watched all the same.
"""

from __future__ import annotations

import os
import queue
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import IO, Final, NamedTuple

from tactful.core.errors import ConfigError
from tactful.core.model import Millis
from tactful.runtime.boot import boot_id
from tactful.runtime.clock import running
from tactful.runtime.leftovers import Leftovers
from tactful.runtime.roster import Action, Roster

UP: Final = "working"
"""The line that a worker writes when it is up."""

LOOK_S: Final = 1.0
"""Whoever waits for a signal looks up so often. A signal that comes in the microseconds before the
main thread blocks is kept by CPython until that thread does anything again: without an end to its
waiting it could be never (26 of 158,879 in a program whose other threads were busy)."""

LAST_WORDS_S: Final = 0.5
"""So long is waited for what a process wrote before its end, before its end is told."""


class Notice(NamedTuple):
    """Something that happened in the group, for people and programs that follow it.

    `worker` is its number, 0 for all. Names and facts: `started` (pid), `working` (pid), `ended`
    (pid, how, asked, again_ms; None: it is not started again), `unstarted` (why, again_ms),
    `killed` (pid), `released` (leases), `unreleased` (why), `replacing`, `unreplaced` (why),
    `stopping`.
    """

    name: str
    worker: int = 0
    facts: Mapping[str, object] = {}


def owner_name(number: int) -> str:
    """A name for the leases of one worker that no other worker has, on any machine, ever."""
    machine = (socket.gethostname(), boot_id() or "no-boot-id")
    return "/".join((*machine, f"{os.getpid()}.{number}", secrets.token_hex(8)))


class _Member(NamedTuple):
    """A worker process: the number of its place, and whose its leases are."""

    number: int
    owner: str
    process: subprocess.Popen[str]


class Supervisor:
    """Keeps the workers of a roster running until it is told to stop.

    `command` gives the command line of the worker in a place, whose leases are those of an owner;
    `release` ends the leases of owners who are gone, and gives how many each had. `check` is asked
    before all workers are replaced and raises ConfigError if new ones could not work. `tell` hears
    what happens, `hear` each line that a worker writes for people, with its number; both from
    several threads.
    """

    def __init__(
        self,
        roster: Roster,
        *,
        command: Callable[[int, str], Sequence[str]],
        release: Callable[[Sequence[str]], Sequence[int]],
        check: Callable[[], object],
        tell: Callable[[Notice], None],
        hear: Callable[[int, str], None],
    ) -> None:
        self._roster = roster
        self._command = command
        self._check = check
        self._tell = tell
        self._hear = hear
        self._members: dict[int, _Member] = {}
        self._news: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._leftovers = Leftovers(
            release,
            lambda number, leases: tell(Notice("released", number, {"leases": leases})),
            lambda why: tell(Notice("unreleased", 0, {"why": why})),
        )

    # From any thread and from handlers of signals ---------------------------------------------

    def stop(self) -> None:
        """Let all workers end; asked for a second time, kill them."""
        self._news.put(partial(self._stop, running()))

    def replace_all(self) -> None:
        """Put a new worker into the place of each, one after the other."""
        self._news.put(self._replace_all)

    # In the main thread -----------------------------------------------------------------------

    def run(self) -> int | None:
        """Work until all workers have ended; gives the exit code of one that could never work.

        If this raises, its workers see their leashes close when the process ends.
        """
        while not self._roster.over:
            for action in self._roster.due(running()):
                self._do(action)
            self._await_news()
        self._leftovers.close()
        return self._roster.failed

    def _await_news(self) -> None:
        at = self._roster.next_at()
        pause_s = LOOK_S if at is None else max(0, at - running()) / 1000
        try:
            news = self._news.get(timeout=min(pause_s, LOOK_S))
        except queue.Empty:
            return
        news()

    def _do(self, action: Action) -> None:
        if action.verb == "start":
            self._start(action.place)
            return
        member = self._members[action.place]
        member.process.send_signal(signal.SIGTERM if action.verb == "end" else signal.SIGKILL)
        if action.verb == "kill":
            self._tell(Notice("killed", member.number, {"pid": member.process.pid}))

    def _start(self, number: int) -> None:
        owner = owner_name(number)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program
                self._command(number, owner),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                process_group=0,  # Ctrl-C in a terminal is for the supervisor
            )
        except OSError as error:
            again_ms = self._roster.ended(number, None, running())
            facts = {"why": error.strerror, "again_ms": again_ms}
            self._tell(Notice("unstarted", number, facts))
            return
        member = self._members[number] = _Member(number, owner, process)
        self._tell(Notice("started", number, {"pid": process.pid}))
        _in_background(f"watch-{number}", self._watch, member)

    def _is_up(self, member: _Member) -> None:
        self._roster.working(member.number)
        self._tell(Notice("working", member.number, {"pid": member.process.pid}))

    def _ended(self, member: _Member, code: int) -> None:
        asked = self._roster.is_ending(member.number)
        again_ms = self._roster.ended(member.number, code, running())
        pid, how = member.process.pid, how_it_ended(code)
        facts = {"pid": pid, "how": how, "asked": asked, "again_ms": again_ms}
        self._tell(Notice("ended", member.number, facts))
        self._leftovers.add(member.owner, member.number)

    def _stop(self, at: Millis) -> None:
        self._roster.stop(at)
        self._tell(Notice("stopping"))

    def _replace_all(self) -> None:
        try:
            self._check()
        except ConfigError as error:
            self._tell(Notice("unreplaced", 0, {"why": str(error)}))
            return
        self._roster.replace_all(running())
        self._tell(Notice("replacing"))

    # In a thread for each worker --------------------------------------------------------------

    def _watch(self, member: _Member) -> None:
        process = member.process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        listener = _in_background(
            f"hear-{member.number}", self._listen, member.number, process.stderr
        )
        if process.stdout.readline():
            self._news.put(partial(self._is_up, member))
        code = process.wait()
        listener.join(LAST_WORDS_S)
        process.stdin.close()
        process.stdout.close()
        self._news.put(partial(self._ended, member, code))

    def _listen(self, number: int, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self._hear(number, line.rstrip("\r\n"))


def how_it_ended(code: int) -> str:
    """An exit code in words: `SIGKILL` or `exit code 1`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _in_background(name: str, call: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=call, args=arguments, name=name, daemon=True)
    thread.start()
    return thread
