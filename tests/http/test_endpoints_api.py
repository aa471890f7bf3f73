"""Endpoints over the API: made, listed, mended; a secret is shown once."""

from __future__ import annotations

from typing import Any

import pytest
from api_bench import Api, said

CRM = "/v1/endpoints/crm"
PLACE = {"url": "https://crm.example.com/tactful", "events": ["delivered"]}


def test_an_endpoint_is_made_and_its_secret_is_shown_this_once(every: Api) -> None:
    made = every.client.put(CRM, json=PLACE, headers=every.admin)

    assert made.status_code == 200
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    again = every.client.put(CRM, json={**PLACE, "form": "cloudevents"}, headers=every.admin)
    assert (again.json()["secret"], again.json()["form"]) == (None, "cloudevents")
    for path in ("/v1/endpoints", CRM):
        shown = every.client.get(path, headers=every.admin)
        assert shown.status_code == 200
        assert secret not in shown.text
    (stored,) = every.app.endpoints.list()
    assert stored.secrets == (secret,)


def test_a_rotated_secret_stands_before_the_one_in_use(api: Api) -> None:
    first = api.client.put(CRM, json=PLACE, headers=api.admin).json()["secret"]
    second = api.client.post(CRM + "/rotate", headers=api.admin).json()["secret"]

    (stored,) = api.app.endpoints.list()
    assert stored.secrets == (second, first)
    assert first != second


def test_replay_and_again_move_it_back(api: Api) -> None:
    api.client.put(CRM, json=PLACE, headers=api.admin)
    api.client.post("/v1/notifications", json=said(), headers=api.sender)
    begun = api.client.get(CRM, headers=api.admin).json()["place"]["after"]

    back = api.client.post(CRM + "/replay", json={"after": 0}, headers=api.admin)
    assert back.json()["place"]["after"] == 0 <= begun
    more = api.client.post(CRM + "/again", json={"seqs": [1, 2]}, headers=api.admin)
    assert more.json()["place"]["again"] == [1, 2]
    resumed = api.client.post(CRM + "/resume", headers=api.admin)
    assert resumed.json()["place"]["stopped"] is None
    aside = api.client.get(CRM + "/set-aside", headers=api.admin)
    assert aside.json() == {"items": []}


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("url", {"url": "http://crm.example.com/"}),
        ("url", {"url": "https://user:pw@crm.example.com/"}),
        ("form", {"form": "xml"}),
        ("secrets", {"secrets": ["short"]}),
    ],
)
def test_what_can_be_no_endpoint_is_refused(api: Api, field: str, more: dict[str, Any]) -> None:
    refused = api.client.put(CRM, json={**PLACE, **more}, headers=api.admin)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field
    assert "short" not in refused.text


def test_one_that_is_not_there_is_not_found(api: Api) -> None:
    for method, path, body in (
        ("GET", CRM, None),
        ("DELETE", CRM, None),
        ("POST", CRM + "/rotate", None),
        ("POST", CRM + "/resume", None),
        ("POST", CRM + "/replay", {"after": 1}),
        ("POST", CRM + "/again", {"seqs": [1]}),
        ("GET", CRM + "/set-aside", None),
    ):
        answer = api.client.request(method, path, json=body, headers=api.admin)
        assert (answer.status_code, path) == (404, path)


def test_who_only_sends_learns_nothing_of_endpoints(api: Api) -> None:
    assert api.client.get("/v1/endpoints", headers=api.sender).status_code == 403
