"""Pages that are sessions: what stands below a command is what the command printed.

In a page, two kinds of fenced blocks are played in order, by one shell in a new directory that has
the `examples`:

* ```` ```console run ````: commands behind `$ `, each with its output below it. A line `...` stands
  for any lines. A command that fails is followed by `echo $?`. One that ends with `&` goes on in
  the background; what it says first, and the ports that it names, are waited for.
* ```` ```LANGUAGE save NAME ````: a file that is there from this block on.

Ids, instants and the like differ from run to run, so pages are compared without them. An id in a
command means what it meant in the output above it. Ports are exchanged for free ones, and secrets
are not shown.

    python tests/docs/transcripts.py PAGE...

writes what was printed into the pages that differ.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from tactful.testing.servers.postgres import PostgresServer

PATIENCE_S: Final = 30.0
TERMINATED: Final = 128 + signal.SIGTERM
"""The exit code of what was asked to end."""

PORTS: Final = ("1025", "2525", "8700", "8724", "9000")
DATABASE: Final = "db.example.com"
HOME: Final = "/var/lib/tactful"
EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
KINDS: Final = re.compile(r"^```(?:console run|\w+ save (\S+))\n(.*?)^```$", re.M | re.S)
END: Final = re.compile(r"\x1e(\d+)\x1e\n")
ID: Final = re.compile(r"\b[0-9a-f]{32}\b")
SECRET: Final = re.compile(r"\b(tk_live_|tk_test_|whsec_|password )[\w+/=-]{24,}")
LEFT_OUT: Final = [
    (re.compile(pattern, re.M), word)
    for pattern, word in (
        (rf"{ID.pattern}|^[0-9a-f]{{24}}$", "ID"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?(\+00:00|Z)?", "INSTANT"),
        (r"\b1[5-9]\d{11}\b", "INSTANT"),
        (r"\w{3}, \d\d \w{3} \d{4} [\d:]{8}", "INSTANT"),
        (r"\((now|in [\d.]+ \w+|[\d.]+ \w+ ago)\)", "(WHEN)"),
        (r"\b[\d.]+ (ms|s|min|h)\b", "SPAN"),
        (r"\('127.0.0.1', \d+\)", "PEER"),
        (r"\b\d+\.\d+\.\d+\b", "VERSION"),
        (r"[\d ]+ MiB", " N MiB"),
        (r"\b(r|t)=\d+", r"\1=N"),
        (r"\bpid \d+", "pid N"),
        (r"\"seq\":\d+|\bevt_\d+", "SEQ"),
        (r"^delay \w+.*$", "DELAYS"),
        (r"-{3,}", "---"),
        (r"[ \t]+", " "),
        (r" $", ""),
    )
]


def normal(text: str) -> str:
    """A text without what differs from run to run."""
    for pattern, word in LEFT_OUT:
        text = pattern.sub(word, text)
    return text


def commands(block: str) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines below it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if found and not found[-1][1] and _is_open(found[-1][0]):
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def _is_open(command: str) -> bool:
    """Whether the shell would wait for another line."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        return True
    return words.count("do") > words.count("done")


class Shell:
    """One shell in a folder, that is asked one command after the other."""

    def __init__(self, folder: Path, surroundings: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["sh"],
            cwd=folder,
            env=surroundings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._said = ""
        self._news = threading.Condition()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while piece := os.read(output.fileno(), 65_536):
                with self._news:
                    self._said += piece.decode()
                    self._news.notify()

    def run(self, command: str, lines: int) -> tuple[str, int]:
        """What a command printed and its exit code; in the background, when it said so much."""
        asked = f"{{ {command}\n}} </dev/null\nended=$?; printf '\\036%d\\036\\n' $ended\n"
        assert self._process.stdin is not None
        self._process.stdin.write(f"{asked}(exit $ended)\n".encode())
        self._process.stdin.flush()
        stays = command.endswith("&")
        until = time.monotonic() + PATIENCE_S
        with self._news:
            while not (end := END.search(self._said)) or (
                stays and not self._is_ready(command, lines) and time.monotonic() < until
            ):
                assert time.monotonic() < until, f"{command}\ndoes not end: {self._said[-2_000:]}"
                self._news.wait(0.05)
            cut = len(self._said) if stays else end.end()
            said, self._said = END.sub("", self._said[:cut]), self._said[cut:]
        return said, int(end[1])

    def _is_ready(self, command: str, lines: int) -> bool:
        """Whether so much was said, and somebody here listens to each port that is named."""
        heard = set()
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.Error):
                places = [one for one in child.net_connections() if one.status == "LISTEN"]
                heard |= {str(one.laddr.port) for one in places}
        named = set(re.findall(r"\b\d{4,5}\b", command))
        return self._said.count("\n") > lines and named <= heard

    def close(self) -> None:
        """End all that was started here."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(PATIENCE_S)
        self._listener.join(PATIENCE_S)


class Session:
    """The shell of one page, and what its words stand for in this run."""

    def __init__(self, folder: Path, text: str, stack: ExitStack) -> None:
        self._folder = folder
        (folder / EXAMPLES.name).symlink_to(EXAMPLES)
        env = {name: value for name, value in os.environ.items() if not name.startswith("TACTFUL_")}
        env |= {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "TZ": "UTC"}
        env |= {"PYTHONUNBUFFERED": "1", "LOGNAME": "ops"}
        path = [str(Path(sys.executable).parent), env["PATH"]]
        free = _free_ports()
        self._real = dict(zip(PORTS, free, strict=True))
        self._shown = {port: name for name, port in self._real.items()} | {str(folder): HOME}
        if DATABASE in text:
            server = stack.enter_context(PostgresServer(durable=True))
            path.insert(1, str(server.programs))
            place = {"PGHOST": str(server.folder), "PGPORT": str(server.port)}
            env |= place | {"PGUSER": "postgres"}
            self._real[DATABASE] = f"{quote(place['PGHOST'], safe='')}:{server.port}"
            self._shown[self._real[DATABASE]] = DATABASE
        self._shell = Shell(folder, env | {"PATH": os.pathsep.join(path)})
        stack.callback(self._shell.close)

    def save(self, name: str, text: str) -> None:
        """A file of the page."""
        (self._folder / name).write_text(exchanged(text, self._real), encoding="utf-8")

    def ask(self, command: str, shown: list[str], fails: bool) -> list[str]:
        """The lines of a transcript: a command, and what it printed this time."""
        meant = exchanged(command, self._real)
        if re.match(r"tactful serve\b", meant):
            meant = meant.replace("serve", f"serve --port {self._real['8700']}", 1)
        said, code = self._shell.run(meant, len(shown))
        assert fails or code in (0, TERMINATED), f"{command}\nends with {code}: {said}"
        for secret in SECRET.finditer(said):
            self._real[f"{secret[1]}..."] = secret[0]
        lines = SECRET.sub(r"\1...", exchanged(said, self._shown)).splitlines()
        self._real.update(zip(ID.findall("\n".join(shown)), ID.findall(said), strict=False))
        return [f"$ {self.known(command)}", *fitted(shown, lines)]

    def known(self, text: str) -> str:
        """A text of the page with the ids of this run."""
        return ID.sub(lambda found: self._real.get(found[0], found[0]), text)


def exchanged(text: str, words: dict[str, str]) -> str:
    """A text with other words for some; a piece of a word is none."""
    either = "|".join(re.escape(word) for word in words)
    return re.sub(rf"(?<!\w)(?:{either})(?!\w)", lambda found: words[found[0]], text)


def _free_ports() -> list[str]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        return [str(one.getsockname()[1]) for one in taken]


def fitted(shown: list[str], printed: list[str]) -> list[str]:
    """What was printed; where lines are left out of what is shown, they are left out of it, too."""
    pattern = "".join(
        r"((?:.*\n)*?)" if line == "..." else re.escape(normal(line)) + r"\n" for line in shown
    )
    match = re.fullmatch(pattern, "".join(f"{normal(line)}\n" for line in printed))
    if match is None:
        return printed
    left_out = iter(match.groups())
    rest = iter(printed)
    found = []
    for line in shown:
        if line == "...":
            found.append(line)
            list(islice(rest, next(left_out).count("\n")))
        else:
            found.append(next(rest))
    return found


def is_played(text: str) -> bool:
    """Whether a page has commands to play."""
    return re.search(r"^```console run$", text, re.M) is not None


def played(text: str, folder: Path) -> str:
    """A page with what its commands print in this run."""
    assert shutil.which("curl"), "the pages are played with curl: install it"
    with ExitStack() as stack:
        session = Session(folder, text, stack)

        def play(block: re.Match[str]) -> str:
            if block[1]:
                session.save(block[1], block[2])
                return session.known(block[0])
            steps = commands(block[2])
            followers = [command for command, _ in steps[1:]] + [""]
            lines: list[str] = []
            for (command, shown), follower in zip(steps, followers, strict=True):
                lines += session.ask(command, shown, follower == "echo $?")
            return "\n".join(["```console run", *lines, "```"])

        return KINDS.sub(play, text)


def main() -> None:
    """Play the pages that are named, and write those that differ."""
    for name in sys.argv[1:]:
        page = Path(name)
        old = page.read_text(encoding="utf-8")
        if not is_played(old):
            continue
        with tempfile.TemporaryDirectory() as folder:
            new = played(old, Path(folder))
        if normal(new) != normal(old):
            page.write_text(new, encoding="utf-8")
            print(f"{name} is written anew")


if __name__ == "__main__":
    main()
