"""Become a server that ends when the thread that asked for it ends: a program, run by path.

    python launch.py PARENT SIGNAL UID GID COMMAND...

Drops to the account UID:GID (both -1: stays who it is), asks the kernel for SIGNAL when the parent
is gone, and is replaced by COMMAND. In this order, because a change of account clears the signal.
A function between fork and exec (`preexec_fn`) could do the same, but is not safe in a process that
has threads, as the standard library warns.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, signal_at_end: int, uid: int, gid: int, command: list[str]) -> None:
    """Never returns: the process becomes the command, or ends."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_at_end, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(f"process {parent} ended before {command[0]} was started")
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    parent, signal_at_end, uid, gid = map(int, sys.argv[1:5])
    main(parent, signal_at_end, uid, gid, sys.argv[5:])
