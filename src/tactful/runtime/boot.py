"""Which run of the machine this is: a new one means that the power may have been cut."""

from __future__ import annotations

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str | None:
    """The kernel's name for this boot, or None where it gives none."""
    try:
        return _BOOT_ID.read_text("ascii").strip() or None
    except OSError:
        return None
