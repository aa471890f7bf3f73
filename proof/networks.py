"""Machines that are none: network namespaces with clocks of their own, on one kernel.

Each has one address and one cable, a pair of virtual devices, to the place where this process is.
The address here is the same for all of them. None of it can be reached from outside, and all of it
is gone in the end. A clock is put forward or back by `libfaketime`, for whoever asks what the time
is; the clocks that only run are left alone.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from proof.trial import Need

_LIBRARIES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib*/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
)


class Network:
    """`size` machines; a context manager. `address` is here, and the same for each of them."""

    def __init__(self, size: int) -> None:
        number = os.getpid()
        block = f"198.18.{number % 256}"
        self.address = f"{block}.1"
        self._machines = [
            (f"proof{number}-{place}", f"pf{number % 10**6}h{place}", f"{block}.{place + 2}")
            for place in range(size)
        ]

    def __enter__(self) -> Network:
        try:
            for machine in self._machines:
                self._add(*machine)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # The cable by itself: with its namespace it would go some time later.
        for name, cable, _address in self._machines:
            for what in (("link", "del", cable), ("netns", "del", name)):
                subprocess.run(("ip", *what), capture_output=True, check=False)

    def on(self, place: int, *command: str) -> Sequence[str]:
        """The command that runs another one on that machine."""
        return ("ip", "netns", "exec", self._machines[place][0], *command)

    @contextmanager
    def cut_off(self, place: int) -> Iterator[None]:
        """Nothing comes to that machine or from it, and nobody is told."""
        cable = self._machines[place][1]
        _ip("link", "set", cable, "down")
        try:
            yield
        finally:
            _ip("link", "set", cable, "up")

    def _add(self, name: str, cable: str, address: str) -> None:
        _ip("netns", "add", name)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "out", "netns", name)
        _ip("addr", "add", self.address, "peer", address, "dev", cable)
        _ip("link", "set", cable, "up")
        _ip("-n", name, "addr", "add", address, "peer", self.address, "dev", "out")
        for device in ("lo", "out"):
            _ip("-n", name, "link", "set", device, "up")


def _ip(*words: str) -> None:
    done = subprocess.run(("ip", *words), capture_output=True, check=False, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def clock_moved_by(offset: str) -> Mapping[str, str]:
    """The environment of a process whose wall clock is so much off, such as `+1h`."""
    if not offset:
        return {}
    return {
        "LD_PRELOAD": _library(),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def _library() -> str:
    for pattern in _LIBRARIES:
        for path in sorted(Path("/").glob(pattern.removeprefix("/"))):
            return str(path)
    return ""


def _can_link() -> bool:
    try:
        with Network(1):
            return True
    except OSError:
        return False


NETWORKS = Need("leave to make network namespaces (ip netns)", _can_link)
FAKETIME = Need("libfaketime (apt-get install faketime)", lambda: bool(_library()))
