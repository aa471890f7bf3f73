"""What workers leave behind when their processes end: their leases are released.

In one thread, which may have to wait for the store, and all that is due in one go: however many
processes end while the store is out of reach, there is one who asks for it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final

from tactful.core.model import SECOND, Millis
from tactful.runtime.clock import running

SECOND_LOOK_MS: Final = 5 * SECOND
RETRY_MS: Final = 500
RETRY_MAX_MS: Final = 30 * SECOND
PARTING_S: Final = 15.0


class Leftovers:
    """Releases the leases of owners who are gone.

    `release` ends the leases of these owners and gives how many each had. `tell` hears the number
    of an owner and how many leases it left, if any; `complain` why they cannot be released yet.
    Both are called in another thread.

    Everybody is looked at twice: a server may have been committing the last claim of a client when
    that died, and shows it only when that is done.
    """

    def __init__(
        self,
        release: Callable[[Sequence[str]], Sequence[int]],
        tell: Callable[[int, int], None],
        complain: Callable[[str], None],
        *,
        retry_ms: Millis = RETRY_MS,
        second_look_ms: Millis = SECOND_LOOK_MS,
    ) -> None:
        self._release = release
        self._tell = tell
        self._complain = complain
        self._retry_ms = retry_ms
        self._second_look_ms = second_look_ms
        self._pause_ms = retry_ms
        self._news: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._numbers: dict[str, int] = {}
        self._looks: dict[str, Millis] = {}
        self._seen: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="leftovers", daemon=True)
        self._thread.start()

    def add(self, owner: str, number: int) -> None:
        """This owner is gone; `number` is what it is called when people are told."""
        self._news.put((owner, number))

    def close(self) -> None:
        """Look a last time, and wait for that, though not for ever."""
        self._news.put(None)
        self._thread.join(PARTING_S)

    def _run(self) -> None:
        parting = False
        while not parting:
            parting = self._await_news()
            now = running()
            due = [owner for owner, at in self._looks.items() if parting or at <= now]
            if due:
                self._look_at(due)

    def _await_news(self) -> bool:
        """Wait until there is something to do; whether it is the last time."""
        at = min(self._looks.values(), default=None)
        try:
            news = self._news.get(timeout=None if at is None else max(0, at - running()) / 1000)
        except queue.Empty:
            return False
        if news is None:
            return True
        owner, number = news
        self._numbers[owner] = number
        self._looks[owner] = running()
        return False

    def _look_at(self, owners: Sequence[str]) -> None:
        try:
            found = self._release(owners)
        except Exception as error:
            # Whatever it was: without this the leases hold until they end by themselves.
            self._complain(str(error))
            self._looks |= dict.fromkeys(owners, running() + self._pause_ms)
            self._pause_ms = min(2 * self._pause_ms, RETRY_MAX_MS)
            return
        self._pause_ms = self._retry_ms
        for owner, leases in zip(owners, found, strict=True):
            if owner in self._seen:
                self._seen.remove(owner)
                del self._looks[owner], self._numbers[owner]
                continue
            self._seen.add(owner)
            self._looks[owner] = running() + self._second_look_ms
            if leases:
                self._tell(self._numbers[owner], leases)
