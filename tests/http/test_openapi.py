"""The description of the API: kept in the repository, complete, and true about who may what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
from api_bench import Api

from tactful.engine.keys import mint
from tactful.engine.problems import MEDIA_TYPE
from tactful.http.problems import SCHEMA
from tactful.http.reference import reference

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
RENEW = "run `make docs`, or its first two lines, and look at the difference"
OPEN = ("/healthz", "/readyz")
HIDDEN = {
    *product(("GET", "HEAD"), ("/openapi.json", "/t/o/{token}", "/t/c/{token}")),
    *product(("GET", "POST"), ("/u/{token}", "/p/{token}")),
    ("GET", "/metrics"),
    ("*", "/console"),
}
"""What is for people and machines that have no key: tokens, passwords or settings guard it."""
EXAMPLES = {
    "delivery_id": "0" * 32,
    "notification_id": "0" * 32,
    "simulation_id": "0" * 32,
    "version": "999999",
}


class Operation(NamedTuple):
    """One method of one path, as the kept description has it."""

    method: str
    path: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def url(self) -> str:
        """The path with names of what does not exist."""
        found = self.path
        for one in self.body.get("parameters", ()):
            if one["in"] == "path":
                name = one["name"]
                found = found.replace(f"{{{name}}}", EXAMPLES.get(name, "nobody"))
        return found

    @property
    def scope(self) -> str:
        """What a key must be allowed."""
        (asked,) = self.body["security"]
        ((scope,),) = asked.values()
        return str(scope)


def operations() -> Iterator[Operation]:
    for path, methods in json.loads(KEPT.read_text(encoding="utf-8"))["paths"].items():
        for method, body in methods.items():
            yield Operation(method.upper(), path, body)


EVERY = list(operations())
SIGNED = "/v1/receipts/"
"""What providers sign instead of showing a key."""
ASKING = [one for one in EVERY if one.path.startswith("/v1/") and not one.path.startswith(SIGNED)]


def test_the_kept_description_is_that_of_the_code(api: Api) -> None:
    served = api.client.get("/openapi.json").json()

    assert served == json.loads(KEPT.read_text(encoding="utf-8")), RENEW


def test_the_reference_is_made_of_the_description() -> None:
    """docs/api.md says of every route and shape what the kept description says."""
    kept = KEPT.read_text(encoding="utf-8")

    assert KEPT.with_name("api.md").read_text(encoding="utf-8") == reference(json.loads(kept))


def test_whatever_is_below_v1_asks_for_a_scope() -> None:
    assert len(ASKING) > 40
    assert [str(one) for one in ASKING if not one.scope] == []


def routes(of: Any) -> Iterator[tuple[str, str]]:
    """Every method and path below a router, without what the routers above put before it."""
    for route in of.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from routes(inner)
        else:
            for method in getattr(route, "methods", None) or ("*",):
                yield method, route.path


def test_no_route_is_left_out_but_those_that_are_known(api: Api) -> None:
    """So the tests that are made from the description miss nothing that is not here."""
    found = set(routes(api.service))
    described = [(one.method, one.path) for one in EVERY]
    hidden = {
        (method, path)
        for method, path in found
        if not any(method == named and where.endswith(path) for named, where in described)
    }

    assert len(found) >= len(described)
    assert hidden == HIDDEN


@pytest.mark.parametrize("operation", EVERY, ids=str)
def test_every_answer_has_a_shape(operation: Operation) -> None:
    """Successes have a schema of their own, all else is a problem."""
    for status, answer in operation.body["responses"].items():
        content = answer.get("content", {})
        if status == "204":
            assert not content
        elif status.startswith("2"):
            assert content["application/json"]["schema"], status
        else:
            assert answer == {"$ref": f"#/components/responses/Problem{status}"}


# Every route with every key -------------------------------------------------------------------


def ask(api: Api, operation: Operation, headers: dict[str, str]) -> Any:
    body: dict[str, Any] = {"content": b"{}"} if "requestBody" in operation.body else {}
    kind = {"Content-Type": "application/json"}
    return api.client.request(operation.method, operation.url, headers=kind | headers, **body)


def assert_denied(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    jsonschema.validate(answer.json(), SCHEMA)


@pytest.mark.parametrize("operation", ASKING, ids=str)
def test_every_route_is_denied_to_whom_it_should_be(api: Api, operation: Operation) -> None:
    """No key, a foreign one, a revoked, an ended, another scope, one for tests."""
    foreign = {"Authorization": f"Bearer {mint(bytes(32), test=False)}"}
    revoked = api.key("revoked", "admin")
    ended = api.key("ended", "admin", lives_ms=1)
    scopes = {scope: api.key(scope, scope) for scope in ("send", "read", "admin")}
    api.app.keys.remove("revoked")
    api.clock.advance(1)
    api.running.advance(1_000)

    for headers in ({}, foreign, revoked, ended):
        assert_denied(ask(api, operation, headers), 401)
    for scope, headers in scopes.items():
        if scope not in (operation.scope, "admin"):
            assert_denied(ask(api, operation, headers), 403)
        else:
            answer = ask(api, operation, headers)
            assert answer.status_code not in (401, 403), answer.text
            assert answer.status_code < 500, answer.text
    live_only = "live world only" in operation.body["description"]
    trial = ask(api, operation, api.test)
    if live_only or operation.scope == "admin":
        assert_denied(trial, 403)
    else:
        assert trial.status_code not in (401, 403), trial.text
        assert trial.status_code < 500, trial.text
    assert api.app.deliveries() == []


@pytest.mark.parametrize("path", OPEN)
def test_health_needs_no_key(api: Api, path: str) -> None:
    assert api.client.get(path).json() == {"status": "ok"}
