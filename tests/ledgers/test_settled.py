"""Settled histories on real servers: the contract of ledgers, and what only these can get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import valkey
from three_nodes import ThreeNodes, three_nodes

from tactful.core.errors import ConfigError, Unavailable
from tactful.core.model import HOUR
from tactful.ledgers.settled import NAMESPACE, SettledHistories
from tactful.ports import Ledger
from tactful.testing.contracts.ledger import LedgerContract, settled
from tactful.testing.servers.valkey import ValkeyServer

PATIENT_MS = 1_000


class TestOnOneServer(LedgerContract):
    secret = "not-to-be-seen"

    @pytest.fixture(autouse=True)
    def _remember(self, server: ValkeyServer) -> None:
        self.url = server.url()

    def make_ledger(self) -> Ledger:
        return SettledHistories(self.url, timeout_ms=PATIENT_MS)

    def make_unreachable(self) -> Ledger:
        return SettledHistories(f"redis://:{self.secret}@127.0.0.1:1/0")


@pytest.fixture(scope="module")
def nodes() -> Iterator[ThreeNodes]:
    with three_nodes() as started:
        yield started


class TestOnThreeNodes(LedgerContract):
    secret = "not-to-be-seen"

    @pytest.fixture(autouse=True)
    def _remember(self, nodes: ThreeNodes) -> None:
        self.url = nodes.url

    def make_ledger(self) -> Ledger:
        return SettledHistories(self.url, timeout_ms=PATIENT_MS)

    def make_unreachable(self) -> Ledger:
        return SettledHistories(f"valkey+cluster://:{self.secret}@127.0.0.1:1")


@pytest.fixture
def ledger(server: ValkeyServer, client: valkey.Valkey) -> Iterator[SettledHistories]:
    client.flushdb()
    made = SettledHistories(server.url(), timeout_ms=PATIENT_MS)
    yield made
    made.close()


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b"[1,2,3,4,5]",
        b'[1,2,[["news","default","email",1]],[0,0],[1]]',
        b'[1,2,[["news","default","email",1]],[1],[1]]',
        b'[1,2,[["news"]],[0],[1]]',
        b'[1,2,[["news","default","email",1]],[0],["x"]]',
        b"\xff\xfe",
    ],
)
def test_what_somebody_else_has_written_is_as_good_as_nothing(
    ledger: SettledHistories, client: valkey.Valkey, text: bytes
) -> None:
    ledger.keep({"ada": (1, settled(1))}, HOUR)
    (key,) = client.keys(f"{NAMESPACE}:*")
    client.set(key, text)
    assert ledger.load({"ada": 1}) == {}

    client.delete(key)
    client.lpush(key, "a list")
    assert ledger.load({"ada": 1}) == {}


def test_a_server_that_forgot_its_scripts_is_told_them_again(
    ledger: SettledHistories, client: valkey.Valkey
) -> None:
    ledger.keep({"ada": (1, settled(1))}, HOUR)
    client.script_flush()
    assert ledger.load({"ada": 1}) == {"ada": settled(1)}
    client.script_flush()
    ledger.keep({"ada": (1, settled(1, 2))}, HOUR)
    assert ledger.load({"ada": 1}) == {"ada": settled(1, 2)}


def test_whoever_is_not_let_in_is_told_so(server: ValkeyServer) -> None:
    ledger = SettledHistories(f"redis://:wrong@127.0.0.1:{server.port}/0")
    with pytest.raises(Unavailable, match=r"ledger: redis://127.0.0.1:\d+: .*password"):
        ledger.load({"ada": 1})
    ledger.close()


def test_a_server_that_hangs_is_not_waited_for() -> None:
    with ValkeyServer() as server:
        ledger = SettledHistories(server.url(), timeout_ms=100)
        ledger.keep({"ada": (1, settled(1))}, HOUR)
        server.pause()
        with pytest.raises(Unavailable):
            ledger.load({"ada": 1})
        server.resume()
        assert ledger.load({"ada": 1}) == {"ada": settled(1)}
        ledger.close()


def test_a_server_that_is_full_may_evict() -> None:
    with ValkeyServer(settings={"maxmemory": "3mb", "maxmemory-policy": "allkeys-lru"}) as server:
        ledger = SettledHistories(server.url(), timeout_ms=PATIENT_MS)
        part = settled(*range(1, 2_000))
        for number in range(1_000):
            ledger.keep({f"p{number}": (1, part)}, HOUR)
        found = ledger.load({f"p{number}": 1 for number in range(1_000)})
        assert found["p999"] == part
        assert len(found) < 900
        ledger.close()


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("memcached://host", {}, "ledger.url: must be a URL such as valkey://"),
        ("valkey://host/x", {}, "ledger.url: the database must be a number"),
        ("valkey://host", {"timeout_ms": 0}, "ledger.timeout .ms.: must be 1 to 1000, not 0"),
        ("valkey://host", {"timeout_ms": 1_001}, "ledger.timeout .ms.: must be 1 to 1000"),
    ],
)
def test_what_cannot_be_used_is_said_at_once(
    url: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        SettledHistories(url, **options)
