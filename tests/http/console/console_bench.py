"""Visitors of a console: one without scripts, and a real browser in front of a real server."""

from __future__ import annotations

import re
from typing import Any

from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from playwright.sync_api import Page

ORIGIN = "http://testserver"
PASSWORD = "correct horse battery"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""A hash says what it takes to check it: this one takes little, as there are many who log in."""


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
