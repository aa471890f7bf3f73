"""`tactful links`: another secret for the links in mails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tactful import Tactful
from tactful.core.errors import RequestError

URL = "https://notify.example.org"


def engine() -> Tactful:
    return Tactful(f"sqlite:///{Path('notify.db')}", tracking=URL)


def link() -> str:
    app = engine()
    token = app.links.unsubscribe.token("ada", "news")
    app.close()
    return token


def says(token: str) -> tuple[str, str]:
    app = engine()
    try:
        return app.links.unsubscribe.read(token)
    finally:
        app.close()


def test_after_a_rotation_links_are_other_ones_and_earlier_ones_go_on_to_work(
    ready: Callable[..., Any],
) -> None:
    old = link()

    said = ready("links", "rotate")

    assert "go on to work" in said.out
    assert link() != old
    assert says(old) == says(link()) == ("ada", "news")


def test_what_is_forgotten_opens_nothing(ready: Callable[..., Any]) -> None:
    old = link()

    assert ready("links", "rotate", "--forget", "--json").data == {
        "rotated": True,
        "forgotten": True,
    }

    assert says(link()) == ("ada", "news")
    with pytest.raises(RequestError):
        says(old)


def test_a_secret_is_never_shown(ready: Callable[..., Any]) -> None:
    link()
    said = ready("links", "rotate")
    app = engine()
    with app.store.reading() as reader:
        secrets = (reader.note("unsubscribe_secret") or "").split()
    app.close()

    assert len(secrets) == 2
    assert not any(secret in said.out + said.err for secret in secrets)
