"""Visitors of a console: one without scripts, and a real browser in front of a real server."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tactful.http.console.passwords import hashed

ORIGIN = "http://testserver"
PASSWORD = "correct horse battery"
HASH = hashed(PASSWORD)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Visitor:
    """A browser without scripts: keeps cookies, and fills in forms as they are on the page."""

    def __init__(self, service: Any, address: str = "192.0.2.1") -> None:
        self.http = TestClient(service, client=(address, 50_000), follow_redirects=False)

    def get(self, path: str) -> Any:
        return self.http.get(f"/console/{path}")

    def token(self) -> str:
        found = re.search(r'name="change_token" value="(\w+)"', self.get("account").text)
        assert found is not None, "not logged in"
        return found[1]

    def post(self, path: str, origin: str | None = ORIGIN, **fields: str) -> Any:
        headers = {} if origin is None else {"Origin": origin}
        return self.http.post(f"/console/{path}", data=fields, headers=headers)

    def change(self, path: str, **fields: str) -> Any:
        return self.post(path, change_token=self.token(), **fields)

    def log_in(self, name: str, password: str = PASSWORD) -> Any:
        return self.post("login", name=name, password=password)


@contextmanager
def served(service: Any) -> Iterator[str]:
    """A service at a port of its own; gives its address."""
    config = uvicorn.Config(service, port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def told(*arguments: Any, **named: Any) -> None:
        await startup(*arguments, **named)
        started.set()

    server.startup = told  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    assert started.wait(30), "the server does not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def chromium(profile: Path) -> Iterator[BrowserContext]:
    """A browser with a profile of its own."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.fail(f"none of {', '.join(PROGRAMS)} is on the PATH; install Chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=program, headless=True, args=list(ARGUMENTS)
        )
        yield context
        context.close()


class Tab:
    """A tab, with what it asked for from elsewhere and complained about."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(20_000)
        page.on("request", lambda request: self._asked(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._dialog)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "about:", "blob:")):
            self.foreign.append(url)

    def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def go(self, path: str) -> None:
        self.page.goto(f"{self.base}/console/{path}")

    def log_in(self, name: str, password: str = PASSWORD) -> None:
        self.go("login")
        self.page.fill("[name=name]", name)
        self.page.fill("[name=password]", password)
        self.page.click("button:has-text('Log in')")
        self.page.wait_for_selector("h1:has-text('Overview')")
