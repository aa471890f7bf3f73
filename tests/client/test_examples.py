"""The examples run as they stand."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from service_cases import Served

from tactful import Client

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_fastapi_with_the_engine_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACTFUL_STORE", f"sqlite:///{tmp_path}/shop.db")
    api = runpy.run_path(str(EXAMPLES / "fastapi_embedded.py"))["api"]

    with TestClient(api) as client:
        told = [
            client.post(f"/orders/{number}", params={"buyer": "ada@example.com"}).json()["told"]
            for number in (1, 1, 2, 3)
        ]

    assert told == ["send", "send", "send", "defer"]


def test_fastapi_with_the_service_elsewhere(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACTFUL_URL", served.url)
    monkeypatch.setenv("TACTFUL_KEY", served.key)
    api = runpy.run_path(str(EXAMPLES / "fastapi_remote.py"))["api"]

    with TestClient(api) as shop:
        told = [
            shop.post(f"/orders/{number}", params={"buyer": "ada@example.com"}).json()["told"]
            for number in (1, 1, 2)
        ]
        assert shop.post("/orders/3", params={"buyer": ""}).status_code == 422

    assert told == ["send", "send", "send"]
    assert len([row for row in client.deliveries() if row.type == "order"]) == 2
