"""Who sends, from the files beside the database that they keep locked.

Every sender has a file of its own, and the kernel frees its lock however the process ends: a name
without a locked file is that of a sender who is gone. A file gets its name when it is locked
already, so nobody ever sees one of somebody who is only about to begin; and nobody waits for
anybody, so a process that is stopped holds up no other one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".sender"


class Presence:
    """One process among those that work on a file; raises OSError where files cannot be made."""

    def __init__(self, database: Path) -> None:
        self._directory = database.with_name(database.name + "-senders")
        self._held: dict[Path, int] = {}

    def join(self, owner: str) -> None:
        """See `ports.Store.join`."""
        place = self._place(owner)
        if place in self._held:
            return
        self._directory.mkdir(exist_ok=True)
        self._sweep()
        file, name = tempfile.mkstemp(dir=self._directory)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.rename(name, place)
        except BaseException:
            os.close(file)
            os.unlink(name)
            raise
        self._held[place] = file

    def gone(self, owners: Collection[str]) -> set[str]:
        """See `ports.Store.gone`."""
        return {owner for owner in owners if not _locked(self._place(owner))}

    def anybody(self) -> bool:
        """Whether anybody sends."""
        return any(_locked(place) for place in self._directory.glob("*" + _SUFFIX))

    def close(self) -> None:
        """Leave; harmless when repeated."""
        while self._held:
            place, file = self._held.popitem()
            place.unlink(missing_ok=True)
            os.close(file)

    def _place(self, owner: str) -> Path:
        # A name may be of any length and have any characters.
        return self._directory / (hashlib.sha256(owner.encode()).hexdigest()[:32] + _SUFFIX)

    def _sweep(self) -> None:
        """Take away what the dead have left."""
        for place in self._directory.glob("*" + _SUFFIX):
            if not _locked(place):
                place.unlink(missing_ok=True)


def _locked(place: Path) -> bool:
    """Whether somebody holds the lock of a file that may not exist."""
    try:
        file = os.open(place, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who look at the same instant do not take each other for a sender.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
