"""The advisory locks of a database, by number; nothing else may use them."""

from __future__ import annotations

from typing import Final

_FIRST: Final = 0x7461_6300

MIGRATING: Final = _FIRST
"""Whoever changes the schema."""

BOOK: Final = _FIRST + 1
"""Shared by all who decide, held alone by whoever changes policies or people."""

EVENTS: Final = _FIRST + 2
"""Whoever is about to commit events."""

SENDERS: Final = _FIRST + 3
"""Together with a hash of its name: held by the session of whoever sends."""

WEEKS: Final = _FIRST + 5
"""Whoever makes or drops partitions of the attempts."""

NOTES: Final = _FIRST + 4
"""Together with a hash of its key: whoever changes a note."""
