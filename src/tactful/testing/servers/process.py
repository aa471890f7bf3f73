"""What private servers share: a process of our own, with its folder, its port and its end.

A server runs in a temporary folder, listens on 127.0.0.1 only and belongs to the thread that
started it: when that thread ends, however it ends, the kernel ends the server. So start a server
in a thread that lives as long as it is needed; the main thread of the tests does.

What cannot be done by somebody who was killed is to clear up: the temporary folder stays.

PostgreSQL refuses to run as root, and no server of a test has to. When the tests run as root, their
servers are run by `nobody`, who may not be able to read what root can: the temporary folder is
given to that account, and the programs are copied there if they have to be.

Linux only: the end with the thread, /proc and process descriptors are its own.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from typing import NamedTuple, Self

_LAUNCHER = Path(__file__).with_name("launch.py")
_ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""All that a server sees of the environment: variables such as PGDATA must not lead it astray."""

_PATIENCE_S = 60.0
"""A start or stop takes well under a second; this is for machines on their knees."""
_GLANCE_S = 0.005
_LOG_LINES = 15

_PORTS = range(20_000, 32_000)
"""Below the range from which Linux takes the ports of outgoing connections. While a server is
down, such a connection could otherwise sit on its port, or even connect to itself."""


class ServerError(RuntimeError):
    """A private server cannot be found, started or stopped; the message says why."""


class Account(NamedTuple):
    """Whom a server runs as, by number."""

    uid: int
    gid: int


class PrivateServer(ABC):
    """A server process; a context manager that starts it and in the end removes all traces.

    `stop`, `kill` and `restart` keep the data, the port and so the URL.
    """

    name: str
    """Names the server in messages and in the name of its folder."""
    stop_signal: signal.Signals
    """Asks the server to end in good order, soon and whatever its clients do."""
    parent_died_signal: signal.Signals
    """Sent by the kernel when the thread that started the server is gone."""

    def __init__(self) -> None:
        self.port = 0
        self._account: Account | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def url(self) -> str:
        """Where clients reach the server, password included."""

    @abstractmethod
    def _prepare(self) -> None:
        """Makes what the first start needs in `folder`."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """The program, by absolute path, and its arguments. It must stay in the foreground."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether a client would be served now."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """Where the server keeps everything. Raises ServerError before the first start."""
        if self._temporary is None:
            raise ServerError(f"{self.name} was never started, or has been closed")
        return Path(self._temporary.name)

    @property
    def pid(self) -> int:
        """The main process. Raises ServerError if the server does not run."""
        if self._process is None or self._process.poll() is not None:
            raise ServerError(f"{self.name} does not run")
        return self._process.pid

    def start(self) -> None:
        """Returns when clients are served. Raises ServerError with the end of the server's log."""
        if self._process is not None and self._process.poll() is None:
            raise ServerError(f"{self.name} runs already, as process {self._process.pid}")
        first = self._temporary is None
        try:
            if first:
                self._set_up()
            with (self.folder / "log").open("ab") as log:
                self._process = self._launch(self._command(), log.fileno())
            self._await_answer(self._process)
        except BaseException:
            self.kill()
            if first:
                self.close()
            raise

    def stop(self) -> None:
        """Ends the server in good order; data stays. Does nothing if it does not run."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        _unfreeze(process.pid)  # a paused one would never read its signal
        process.send_signal(self.stop_signal)
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failed(f"did not stop within {_PATIENCE_S:.0f} s") from None

    def kill(self) -> None:
        """A crash: all processes of the server get SIGKILL and are gone when this returns."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        # A stopped parent has no new children and does not bury those it has. So each of these
        # numbers means the same process until the end. Helpers of a child may end by themselves.
        with contextlib.ExitStack() as stack:
            ends = select.poll()
            waiting = set()
            for child in reversed(_freeze(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    end = os.pidfd_open(child)
                    stack.callback(os.close, end)
                    ends.register(end, select.POLLIN)
                    waiting.add(end)
                    os.kill(child, signal.SIGKILL)
            while waiting:
                ended = [end for end, _ in ends.poll(_PATIENCE_S * 1000)]
                if not ended:
                    raise self._failed("has processes that survive SIGKILL")
                for end in ended:
                    ends.unregister(end)
                    waiting.remove(end)
        process.kill()
        process.wait()

    def restart(self) -> None:
        """Stops the server, unless it is down already, and starts it again."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stops all processes where they are: clients stay connected and get no answer.

        Who is killed while its server is paused leaves stopped processes behind.
        """
        for child in _freeze(self.pid):
            os.kill(child, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused server go on; does nothing to one that was not paused."""
        _unfreeze(self.pid)

    def close(self) -> None:
        """Stops the server and removes its folder; a second time does nothing."""
        try:
            self.stop()
        finally:
            temporary, self._temporary = self._temporary, None
            if temporary is not None:
                temporary.cleanup()

    # For the servers --------------------------------------------------------------------------

    def _own(self, path: Path) -> None:
        """Gives a file or folder of ours to the account that runs the server."""
        if self._account is not None:
            os.chown(path, *self._account, follow_symlinks=False)

    def _make_folder(self, name: str) -> None:
        """Makes a folder that nobody but the server's account can look into."""
        (self.folder / name).mkdir(0o700)
        self._own(self.folder / name)

    def _runnable(self, program: Path) -> Path:
        """The program, or a copy of it if the server's account cannot run it in place."""
        trouble = self._run(program, "--version")
        if trouble and self._account is not None:
            program = Path(shutil.copy(program, self.folder))
            program.chmod(0o755)
            trouble = self._run(program, "--version")
        if trouble:
            raise ServerError(trouble)
        return program

    def _write_secret(self, name: str, text: str) -> Path:
        """Writes a file that nobody but the server's account can read."""
        path = self.folder / name
        path.touch(0o600)
        path.write_text(text, encoding="utf-8")
        self._own(path)
        return path

    def _set_up(self) -> None:
        self._account = _account()
        self._temporary = tempfile.TemporaryDirectory(prefix=f"tactful-{self.name}-")
        self._own(self.folder)
        if self._account is not None:
            for parent in self.folder.parents:
                if not parent.stat().st_mode & stat.S_IXOTH:
                    raise ServerError(
                        f"{self.name} is run by another account than root, and {parent} is closed "
                        "to others; set TMPDIR to a folder that every account can reach"
                    )
        self._prepare()
        self.port = free_port()

    def _run(self, *command: str | Path) -> str | None:
        """Runs a program as the server's account to its end; gives what is wrong, if anything."""
        log = self.folder / "log"
        with log.open("wb") as output:
            process = self._launch(command, output.fileno())
            code = process.wait()
        return None if code == 0 else f"{command[0]} ended with {code}\n{_end_of(log)}"

    def _launch(self, command: Sequence[str | Path], output: int) -> subprocess.Popen[bytes]:
        whom = self._account or Account(-1, -1)
        arguments = (os.getpid(), int(self.parent_died_signal), *whom, *command)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=self.folder,
            env=_ENVIRONMENT,
            start_new_session=True,  # Ctrl-C in a terminal is for the tests, not for their servers
        )

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            try:
                code = process.wait(_GLANCE_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    raise self._failed(f"did not answer within {_PATIENCE_S:.0f} s") from None
            else:
                raise self._failed(f"ended with {code} when it was started")

    def _failed(self, what: str) -> ServerError:
        return ServerError(f"{self.name} {what}\n{_end_of(self.folder / 'log')}")


def _account() -> Account | None:
    """Whom to drop to: nobody in particular when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "postgres"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise ServerError(
        "as root, servers are run by the account nobody or postgres; there is neither"
    )


def find_program(name: str, variable: str, package: str, brought: Iterable[Path]) -> Path:
    """The program that this variable of the environment names, or else the first one there is.

    `brought` is where the package would have put it; then comes the path. Raises ServerError.
    """
    named = os.environ.get(variable)
    if named:
        if not Path(named).is_file():
            raise ServerError(f"{variable} is {named!r}, which is no file")
        return Path(named).absolute()
    on_path = shutil.which(name)
    found = [place for place in brought if place.is_file()] + ([Path(on_path)] if on_path else [])
    if not found:
        raise ServerError(f"no {name} found: install the package {package}, or set {variable}")
    return found[0]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment; raises ServerError."""
    for port in SystemRandom().sample(_PORTS, 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError(f"no free port found between {_PORTS[0]} and {_PORTS[-1]}")


def _freeze(pid: int) -> list[int]:
    """Stops a child of ours, and gives all that descend from it."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return _descendants(pid)


def _unfreeze(pid: int) -> None:
    """Lets a process and all that descend from it run again."""
    for one in (*_descendants(pid), pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGCONT)


def _descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended since
                line = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
                parent = int(line.rpartition(")")[2].split()[1])  # a name may hold anything
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:  # grows while it is read
        found += children.get(one, ())
    return found[1:]


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES:])
