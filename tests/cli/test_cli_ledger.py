"""A ledger on Valkey beside PostgreSQL, as commands see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tactful.testing.servers.process import free_port
from tactful.testing.servers.valkey import ValkeyServer


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


def configured(here: Path, store: str, ledger: str) -> None:
    text = f'store = "{store}"\n[ledger]\nurl = "{ledger}"\n'
    (here / "tactful.toml").write_text(text)


def test_the_doctor_looks_at_the_ledger_and_shows_no_password(
    here: Path, run: Callable[..., Any], used_store_url: str, server: ValkeyServer
) -> None:
    password = server.url().partition("@")[0].rpartition(":")[2]

    def findings(url: str, *more: str) -> list[dict[str, str]]:
        configured(here, used_store_url, url)
        said = run("doctor", "--json", *more)
        assert password not in said.out
        return [one for one in said.data["findings"] if one["what"] == "ledger"]

    (good,) = findings(server.url())
    (offline,) = findings(server.url(), "--offline")
    (away,) = findings(f"valkey://:{password}@127.0.0.1:{free_port()}")
    (stranger,) = findings(f"valkey://:wrong@127.0.0.1:{server.port}")
    said = findings("valkey://host/database")

    assert (good["verdict"], good["found"].endswith("answers")) == ("ok", True)
    assert offline["found"].endswith("not asked")
    assert {away["verdict"], stranger["verdict"]} == {"warn"}
    assert [one["verdict"] for one in said] == ["fail"]


def test_commands_go_on_without_a_ledger_that_is_away(
    here: Path, run: Callable[..., Any], used_store_url: str
) -> None:
    configured(here, used_store_url, f"valkey://127.0.0.1:{free_port()}")
    assert run("rules", "set", "few", "2/day").code == 0
    receipts = [run("send", "news", "ada@example.com", "--text", "Hi", "--json") for _ in range(3)]
    assert [said.data["decision"] for said in receipts] == ["send", "send", "defer"]


def test_a_ledger_needs_postgresql(here: Path, run: Callable[..., Any]) -> None:
    configured(here, "sqlite:///notify.db", "valkey://127.0.0.1")
    said = run("status")
    assert said.code == 2
    assert "ledger: needs a store on PostgreSQL (got one on sqlite)" in said.err
