"""A command of Tactful as a process, and somebody who asks it over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE_S = 60.0


def until(
    what: Callable[[], object], why: str | Callable[[], str], patience_s: float = PATIENCE_S
) -> None:
    """Ask again until the answer is yes."""
    never, deadline = threading.Event(), time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < deadline, why() if callable(why) else why
        never.wait(0.05)


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of Tactful in a folder; what it says on stderr is in `log`."""
    command = [sys.executable, "-m", "tactful", *arguments]
    with (folder / "log").open("wb") as log:
        made = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
    try:
        yield made
    finally:
        made.terminate()
        made.wait(60)


class Answer(NamedTuple):
    """What came back; `status` 0 for nothing."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Caller:
    """Asks a service with a key, one request after the other over one connection."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self._token = token
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self.codes: set[int] = set()

    def close(self) -> None:
        self._connection.close()

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Answer:
        given: dict[str, str | bytes] = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
        }
        given.update(headers or {})
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, data, given)  # type: ignore[arg-type]
            answer = self._connection.getresponse()
            found = Answer(answer.status, answer.read(), dict(answer.getheaders()))
        except OSError:
            self._connection.close()
            found = Answer(0, b"", {})
        self.codes.add(found.status)
        return found
