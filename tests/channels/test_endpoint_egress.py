"""Endpoints that are made over the API lead nowhere inside, however their URL is spelt.

The corpus is that of the channels: what goes out goes out by one way. Connections are counted where
they would arrive.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from egress_corpus import AMBIGUOUS, FORMS, INSIDE, Doors, url_of
from fastapi.testclient import TestClient
from http_cases import HOST, Hooks, Names, egress_to, status

from tactful import Tactful
from tactful.channels.egress import Egress
from tactful.core.model import DAY
from tactful.engine.endpoints import PAUSES
from tactful.http.service import create_service
from tactful.testing import CaptureChannel, ManualClock

START = 1_767_254_400_000


class Office:
    """A service, whoever may make endpoints, and the worker that tells them."""

    def __init__(self, app: Tactful, clock: ManualClock, client: TestClient) -> None:
        self.app = app
        self.clock = clock
        self.client = client
        _, token = app.keys.create("boss", ("admin",))
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, **body: Any) -> Any:
        return self.client.request(method, path, headers=self._headers, json=body or None)

    def endpoint(self, url: str) -> Any:
        """What is answered to who wants to be told there."""
        return self.ask("PUT", "/v1/endpoints/x", url=url, events=["delivered"])

    def tell(self) -> None:
        """Something happens, of which it would be told."""
        self.app.send(type="news", to="ada", text="x")
        self.app.tick()


@contextmanager
def office(egress: Egress) -> Iterator[Office]:
    clock = ManualClock(START)
    channels = [CaptureChannel("post")]
    with closing(Tactful("memory://", channels=channels, clock=clock, egress=egress)) as app:
        yield Office(app, clock, TestClient(create_service(app)))


def test_no_spelling_of_an_address_leads_inside() -> None:
    """Each is refused when it is made, or when it is to be told: nothing is connected to."""
    refused = offered = 0
    with Doors() as doors, office(egress_to(doors.port, allow_networks=())) as here:
        for form in FORMS:
            answer = here.endpoint(url_of(form, doors.port))
            if answer.status_code == 422:
                assert answer.json()["errors"][0]["field"] == "url", form
                refused += 1
                continue
            assert answer.status_code == 200, form
            here.tell()
            assert here.app.endpoints.place("x").tries == 1, form
            here.ask("DELETE", "/v1/endpoints/x")
            offered += 1

    assert doors.knocks == []
    assert refused > 40
    assert offered > 15


@pytest.mark.parametrize("url", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_no_url_of_an_endpoint(url: str) -> None:
    with office(egress_to(443)) as here:
        answer = here.endpoint(url)

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "url"
        assert here.app.endpoints.list() == []


@pytest.mark.parametrize("address", INSIDE)
@pytest.mark.parametrize("others", [[], ["93.184.215.14"]])
def test_a_name_that_leads_inside_is_not_followed(address: str, others: list[str]) -> None:
    """Not even where other addresses of it would be all right; and nobody learns what it was."""
    names = Names([*others, address])
    with Doors() as doors:
        egress = egress_to(doors.port, allow_networks=(), resolver=names)
        with office(egress) as here:
            assert here.endpoint(f"http://{HOST}:{doors.port}/").status_code == 200
            here.tell()
            for pause in PAUSES:
                here.clock.advance(pause)
                here.app.tick()
            aside = here.ask("GET", "/v1/endpoints/x/set-aside")

    assert doors.knocks == []
    assert len(names.asked) == len(PAUSES) + 1
    assert [one["name"] for one in aside.json()["items"]] == ["endpoint.failed"]
    assert address not in aside.text


def test_a_name_that_is_rebound_is_not_followed_inside() -> None:
    """Public at first, and private whenever it is asked again: each answer is used for itself."""
    with Hooks() as good, Hooks(host="127.0.0.2", port=good.port) as inside:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        egress = egress_to(good.port, allow_networks=["127.0.0.1/32"], resolver=names)
        with office(egress) as here:
            here.endpoint(f"http://{HOST}:{good.port}/")
            for _ in range(3):
                here.tell()
            here.clock.advance(DAY)
            here.app.tick()

    assert [json.loads(got.body)["type"] for got in good.got] == ["delivered"]
    assert inside.got == []
    assert names.asked == [HOST] * 3


@pytest.mark.parametrize("code", [300, 301, 302, 303, 305, 307, 308])
def test_a_redirect_is_not_followed_inside(code: int) -> None:
    with Doors() as inside, Hooks() as hooks:
        hooks.answer = status(code, Location=f"http://127.0.0.1:{inside.port}/")
        ports = [hooks.port, inside.port]
        with office(egress_to(hooks.port, ports=ports)) as here:
            here.endpoint(f"http://{HOST}:{hooks.port}/")
            here.tell()
            place = here.app.endpoints.place("x")

    assert inside.knocks == []
    assert len(hooks.got) == 1
    assert place.tries == 1


def test_only_https_is_told_unless_more_is_allowed() -> None:
    with Doors() as doors, office(Egress(ports=[doors.port])) as here:
        refusals = [
            here.endpoint(f"{scheme}://{HOST}:{doors.port}/").json()["errors"][0]["field"]
            for scheme in ("http", "ftp", "file", "gopher", "ws")
        ]

    assert refusals == ["url"] * 5
    assert doors.knocks == []
