"""Servers that speak a protocol of mail: on an event loop in a thread of their own."""

from __future__ import annotations

import asyncio
import logging
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from tactful.core.errors import Unavailable

THREADS: Final = 16


class ServerThread(ABC):
    """Listens from `start` to `stop`; `port` is the one that was given, or found where 0 was.

    `name` is for messages and threads. What sessions hand to other threads has `THREADS` of them.
    """

    def __init__(self, name: str, host: str, port: int) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._listening = threading.Event()
        self._error: OSError | None = None
        self.host = host
        self.port = port

    @abstractmethod
    def greet(self) -> asyncio.Protocol:
        """The session with somebody who has come; called on the loop."""

    async def finish(self) -> None:  # noqa: B027 - there may be nothing
        """What is still to be done when nobody else is taken in."""

    def start(self) -> None:
        """Listen; raises Unavailable if the port cannot be had."""
        # aiosmtpd writes what clients say into its log, addresses included.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        self._thread = threading.Thread(target=self._run, name=f"tactful-{self._name}", daemon=True)
        self._thread.start()
        self._listening.wait()
        if self._error is not None:
            self._thread.join()
            why = self._error.strerror
            raise Unavailable(f"{self._name}: cannot listen on {self.host}:{self.port}: {why}")

    def stop(self) -> None:
        """Take no more, and finish. Harmless when repeated."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"tactful-{self._name}")
            self._loop.set_default_executor(threads)
            runner.run(self._serve(self._loop))

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._stopping = asyncio.Event()
        try:
            server = await loop.create_server(self.greet, self.host, self.port)
            self.port = server.sockets[0].getsockname()[1]
        except OSError as error:
            self._error = error
            return
        finally:
            self._listening.set()
        await self._stopping.wait()
        server.close()
        await self.finish()
