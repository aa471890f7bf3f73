"""What the tests of requests over HTTP share: servers on this machine, resolvers, an egress."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from tactful.channels.egress import Egress

HOST = "hooks.example.com"
LOOPBACK = ("127.0.0.0/8", "::1/128")


class Got(NamedTuple):
    """One request as it came; the names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes
    peer: Any


Answering = Callable[[BaseHTTPRequestHandler, int], None]


def status(code: int, **headers: str) -> Answering:
    """Answers every request so; `_` in the names of headers stands for `-`."""

    def answer(handler: BaseHTTPRequestHandler, _number: int) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


class Hooks(ThreadingHTTPServer):
    """A server that keeps what it is asked, and answers 204 unless it is told otherwise."""

    daemon_threads = True

    def __init__(
        self,
        answer: Answering | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__((host, port), _Handler)
        self.answer = answer or status(204)
        self.got: list[Got] = []
        self.port: int = self.server_address[1]
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no matter here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hooks

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append(Got(self.path, headers, body, self.client_address))
        self.server.answer(self, len(self.server.got) - 1)

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


@contextlib.contextmanager
def speaking(script: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that gives each connection to `script` and closes it then; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def one(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            script(peer)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threads.append(threading.Thread(target=one, args=(peer,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for thread in threads:
            thread.join()


def request_of(peer: socket.socket) -> bytes:
    """Reads one whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += peer.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += peer.recv(65_536)
    return head + b"\r\n\r\n" + body


class Names:
    """A resolver that gives its answers one after the other, the last of them again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


# It takes a while to read the system's authorities.
TLS = ssl.create_default_context()


def egress_to(port: int, **options: Any) -> Egress:
    """An egress to a server on this machine, which every name leads to."""
    given: dict[str, Any] = {
        "allow_networks": LOOPBACK,
        "allow_http": True,
        "ports": [port],
        "resolver": Names(["127.0.0.1"]),
        "tls": TLS,
    }
    return Egress(**(given | options))
