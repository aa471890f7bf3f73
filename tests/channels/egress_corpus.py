"""Ways to lead a request inside: one corpus for everything that goes out through the egress."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Self

INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "169.254.169.254",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fe80::1%lo",
    "fd00::1",
]
"""Addresses that a name may lead to, and that nothing may connect to."""

FORMS = [
    *("{}", "{}/", "{}?a", "{}./", "{}:80/"),
    *("127.1:{port}/", "127.0.1:{port}/", "127.1.1.1:{port}/", "127.0.0.01:{port}/"),
    *("0:{port}/", "0.0.0.0:{port}/", "00:{port}/"),
    *("2130706433:{port}/", "02130706433:{port}/", "017700000001:{port}/", "0x7f000001:{port}/"),
    *("0x7f.1:{port}/", "0x7f.0.0.1:{port}/", "0177.0.0.1:{port}/", "0X7F.0.0.1:{port}/"),
    *("127.0.0.0x1:{port}/", "127.0.0.1.:{port}/", "4294967297:{port}/"),
    *("[::1]:{port}/", "[::]:{port}/", "[0:0:0:0:0:0:0:1]:{port}/", "[0000::0001]:{port}/"),
    *("[::ffff:127.0.0.1]:{port}/", "[::ffff:7f00:1]:{port}/", "[::127.0.0.1]:{port}/"),
    *(
        "[::ffff:0:127.0.0.1]:{port}/",
        "[64:ff9b::127.0.0.1]:{port}/",
        "[64:ff9b:1::7f00:1]:{port}/",
    ),
    *("[2002:7f00:1::]:{port}/", "[2001:0:7f00:1::]:{port}/", "[fe80::1]:{port}/"),
    *("[fe80::1%25lo]:{port}/", "[fe80::1%lo]:{port}/", "[::1%25lo]:{port}/", "[::1%lo]:{port}/"),
    *("localhost:{port}/", "LOCALHOST:{port}/", "localhost.:{port}/", "a.localhost:{port}/"),
    *("localhost.localdomain:{port}/", "ip6-localhost:{port}/", "127.0.0.1.nip.io:{port}/"),
    *("user@127.0.0.1:{port}/", "user:password@127.0.0.1:{port}/", "a@b@127.0.0.1:{port}/"),
    *("example.com@127.0.0.1:{port}/", "example.com:443@127.0.0.1:{port}/"),
    *("127.0.0.1:{port}@example.com/", "example.com\\@127.0.0.1:{port}/"),
    *("127.0.0.1:{port}\\@example.com/", "example.com#@127.0.0.1:{port}/"),
    *("127.0.0.1:{port}#@example.com/", "example.com;@127.0.0.1:{port}/"),
    *("example.com /127.0.0.1:{port}/", "127.0.0.1\t:{port}/", "127.0.0.1\r\n:{port}/"),
    *("127.0.0.1%00.example.com:{port}/", "127.0.0.1\x00.example.com:{port}/"),
    *("%31%32%37.0.0.1:{port}/", "127.0.0.1%2f@example.com:{port}/", "127%2e0%2e0%2e1:{port}/"),
    *("127\u30020\u30020\u30021:{port}/", "127\uff0e0\uff0e0\uff0e1:{port}/"),
    *("127\uff610\uff610\uff611:{port}/", "\uff11\uff12\uff17.0.0.1:{port}/"),
    *("\u2460\u2461\u2466.0.0.1:{port}/", "\u0661\u0662\u0667.0.0.1:{port}/"),
    *("lo\u00adcalhost:{port}/", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:{port}/"),
    *("127.0.0.1\u200b:{port}/", "[\uff1a\uff1a1]:{port}/", "/127.0.0.1:{port}/", ":{port}/"),
]
"""What may follow `http://`. Read by somebody it leads to this machine; `{}` is its plainest form.

Names among them are given the address of this machine by the resolver of the tests.
"""

AMBIGUOUS = [
    "",
    "example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "https:///path",
    "https:example.com",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://example.com@evil.example/",
    "https://example.com\\@evil.example/",
    "https://example.com#@evil.example/",
    "https://example.com/#fragment",
    "https://exam\tple.com/",
    "https://example.com/\r\nHost: evil.example",
    "https://example.com/ HTTP/1.1",
    "https://example.com/\x00",
    "https://example.com/é",
    "https://example.com/%zz",
    "https://example.com/{template}",
    " https://example.com/",
    "https://example.com/\n",
    "https://example.com:/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:443:80/",
    "https://127.1/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://127\u30020\u30020\u30021/",
    "https://[::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[::1/",
    "https://::1/",
    "https://[127.0.0.1]/",
    "https://a_b.example/",
    "https://.example/",
    "https://example.com./",
    "https://-a.example/",
    "https://" + "a" * 300 + "/",
    "https://example.com/" + "a" * 3_000,
]
"""Texts that two programs could read as two URLs."""


def url_of(form: str, port: int) -> str:
    """A form of FORMS as a URL, to a port of this machine."""
    return "http://" + form.replace("{}", f"127.0.0.1:{port}").replace("{port}", str(port))


class Doors:
    """Listeners on loopback, and who knocked: every connection, used or not.

    What had knocked before the end is known after it.
    """

    def __init__(self) -> None:
        self.knocks: list[Any] = []
        first = socket.create_server(("127.0.0.1", 0))
        self.port: int = first.getsockname()[1]
        self._listeners = [first]
        with contextlib.suppress(OSError):  # a machine without IPv6
            family = socket.AF_INET6
            self._listeners.append(socket.create_server(("::1", self.port), family=family))
        self._last: set[Any] = set()
        self._threads = [
            threading.Thread(target=self._accept, args=(one,)) for one in self._listeners
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for listener, thread in zip(self._listeners, self._threads, strict=True):
            # A queue keeps its order: whoever came before this one has been let in.
            with socket.socket(listener.family) as last:
                last.bind((listener.getsockname()[0], 0))
                self._last.add(last.getsockname())
                last.connect(listener.getsockname())
                thread.join()
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            peer, address = listener.accept()
            peer.close()
            if address in self._last:
                return
            self.knocks.append(address)
