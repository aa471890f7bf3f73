"""Recipients, types, templates, suppressions, status: put, asked for, changed, taken away."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from api_bench import START, Api, said

PERSON = {
    "name": "Ada",
    "email": "Ada@Example.com",
    "timezone": "Europe/London",
    "locale": "en-GB",
    "addresses": {"sms": "+44 20"},
    "mute": ["category:offers"],
}


def ok(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def put(api: Api, path: str, body: Any, status: int = 200) -> Any:
    return ok(api.client.put(f"/v1/{path}", json=body, headers=api.admin), status)


def get(api: Api, path: str, status: int = 200) -> Any:
    return ok(api.client.get(f"/v1/{path}", headers=api.sender), status)


# Recipients -----------------------------------------------------------------------------------


def test_a_recipient_is_registered_changed_and_forgotten(every: Api) -> None:
    made = put(every, "recipients/Ada", PERSON, 201)

    assert made["id"] == "ada"
    assert made["addresses"] == {"sms": "+44 20", "email": "Ada@Example.com"}
    assert get(every, "recipients/ADA") == get(every, "recipients/ada@example.com") == made
    changed = put(every, "recipients/ada", {"name": "Countess"})
    assert (changed["name"], changed["email"], changed["mute"]) == ("Countess", None, [])
    assert ok(every.client.delete("/v1/recipients/ada", headers=every.admin), 204) is None
    assert get(every, "recipients/ada", 404)["code"] == "not_found"
    ok(every.client.delete("/v1/recipients/ada", headers=every.admin), 404)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timezone", "Mars/Base"),
        ("locale", ""),
        ("mute", ["nothing"]),
        ("email", "a\nb"),
        ("addresses", {"sms": ""}),
        ("name", "\x07"),
        ("colour", "red"),
        ("name", 7),
    ],
)
def test_what_is_wrong_with_a_recipient_is_named(api: Api, field: str, value: Any) -> None:
    problem = put(api, "recipients/ada", {field: value}, 422)

    assert problem["errors"][0]["field"].startswith(field)
    assert len(api.app.recipients) == 0


def test_recipients_are_listed_page_by_page(every: Api) -> None:
    items = [{"id": f"p{number}"} for number in range(5)]
    ok(every.client.post("/v1/recipients/import", json={"items": items}, headers=every.sender))

    seen: list[str] = []
    cursor: int | None = 0
    while cursor is not None:
        page = get(every, f"recipients?limit=2&cursor={cursor}")
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]

    assert seen == ["p0", "p1", "p2", "p3", "p4"]


def test_an_import_takes_the_good_ones(every: Api) -> None:
    put(every, "recipients/ada", PERSON, 201)
    items = [{"id": "ada"}, {"id": "bob", "timezone": "x"}, {"email": "x@y.z"}, 7, {"id": "cy"}]

    answer = every.client.post("/v1/recipients/import", json={"items": items}, headers=every.sender)

    found = ok(answer)
    assert found["new"] == 1
    assert [one.get("id") for one in found["results"]] == ["ada", None, None, None, "cy"]
    assert [one["error"]["field"] for one in found["results"] if "error" in one] == [
        "timezone",
        "id",
        "item",
    ]
    assert [person.id for person in every.app.recipients] == ["ada", "cy"]


def test_what_somebody_does_not_want_is_kept_at_once(every: Api) -> None:
    put(every, "recipients/ada", {"email": "ada@example.com"}, 201)

    kept = put(every, "recipients/ada@example.com/preferences", {"mute": ["type:News"]})

    assert kept == get(every, "recipients/ada/preferences") == {"mute": ["type:news"]}
    sent = every.client.post("/v1/notifications", json=said("ada"), headers=every.sender).json()
    assert (sent["decision"], sent["reason"]) == ("suppress", "muted: type:news")
    assert get(every, "recipients/ada")["email"] == "ada@example.com"
    put(every, "recipients/nobody/preferences", {"mute": []}, 404)


def test_an_inbox_is_read_message_by_message(every: Api) -> None:
    fields = said("ada", subject="Hello", text="It works.", channels="inbox")
    sent = every.client.post("/v1/notifications", json=fields, headers=every.sender).json()
    every.app.tick()

    (message,) = get(every, "recipients/Ada/inbox")["items"]

    assert (message["subject"], message["text"], message["read"]) == ("Hello", "It works.", False)
    url = f"/v1/recipients/ada/inbox/{sent['delivery_id']}/read"
    assert ok(every.client.post(url, headers=every.sender)) == {"changed": True}
    assert ok(every.client.post(url, headers=every.sender)) == {"changed": False}
    assert get(every, "recipients/ada/inbox")["items"][0]["read"]
    other = url.replace("ada", "bob")
    ok(every.client.post(other, headers=every.sender), 404)


# Policies -------------------------------------------------------------------------------------


def test_a_rule_is_put_in_force_changed_and_reverted(every: Api) -> None:
    first = put(every, "rules/Calm", {"limit": "3 per hour", "types": ["News"]})

    assert first["rule"] == {"name": "calm", "limit": "3/hour", "types": ["news"]}
    assert get(every, "rules/calm") == first["rule"]
    put(every, "rules/calm", {"limit": "5/hour"})
    ok(every.client.delete("/v1/rules/calm", headers=every.admin))
    get(every, "rules/calm", 404)
    url = f"/v1/rules/revert/{first['version']}"
    ok(every.client.post(url, headers=every.admin))
    assert get(every, "rules")["items"] == [first["rule"]]
    values = [one["value"] for one in get(every, "rules/history?name=calm")["items"]]
    assert [value and value["limit"] for value in values] == ["3/hour", "5/hour", None, "3/hour"]
    ok(every.client.post("/v1/rules/revert/999", headers=every.admin), 404)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"limit": "many"},
        {"limit": "3/hour", "quiet": "22:00-08:00"},
        {"limit": 7},
        {"limit": "1/day", "channels": ["fax"]},
        {"limit": "1/day", "colour": "red"},
        {"limit": "1/day", "name": "another"},
        {"limit": "1/day", "on_limit": ["defer"]},
        {"limit": "1/day", "reserve": [1]},
        {"limit": "1/day", "burst": 2**70},
        {"limit": "1/day", "exempt": [{}]},
    ],
    ids=str,
)
def test_a_rule_that_says_nothing_good_is_refused(api: Api, fields: Any) -> None:
    if fields == {"limit": "1/day", "name": "another"}:
        assert put(api, "rules/calm", fields)["rule"]["name"] == "calm"
        return
    problem = put(api, "rules/calm", fields, 422)

    assert problem["code"] == "invalid_rule"
    assert api.app.rules.list() == []


def test_a_type_brings_its_defaults_along(every: Api) -> None:
    put(every, "types/News", {"category": "Offers", "channels": ["inbox"], "ttl": "2h"})

    found = get(every, "types/news")
    assert (found["category"], found["channels"], found["ttl_ms"]) == (
        "offers",
        ["inbox"],
        7_200_000,
    )
    assert get(every, "types")["items"] == [found]
    sent = every.client.post("/v1/notifications", json=said(), headers=every.sender).json()
    delivery = get(every, f"deliveries/{sent['delivery_id']}")
    assert (delivery["channel"], delivery["expires_at"]) == ("inbox", START + 7_200_000)
    ok(every.client.delete("/v1/types/news", headers=every.admin))
    get(every, "types/news", 404)
    assert len(get(every, "types/history")["items"]) == 2


def test_a_template_has_a_version_for_each_locale_and_channel(every: Api) -> None:
    put(every, "templates/hi", {"subject": "Hello {{ name }}", "text": "It is you."})
    put(every, "templates/hi?locale=de&channel=post", {"text": "Hallo {{ name }}"})

    def preview(**trial: Any) -> Any:
        url = "/v1/templates/preview"
        return ok(every.client.post(url, json=trial, headers=every.sender))

    data = {"name": "Ada"}
    assert len(get(every, "templates")["items"]) == 2
    assert preview(template="hi", data=data)["subject"] == "Hello Ada"
    german = preview(template="hi", data=data, locale="de-AT", channel="post")
    assert german["text"] == "Hallo Ada"
    url = "/v1/templates/hi?locale=de&channel=post"
    ok(every.client.delete(url, headers=every.admin))
    ok(every.client.delete(url, headers=every.admin), 404)
    assert preview(template="hi", data=data, locale="de")["text"] == "It is you."


def test_a_preview_says_what_is_wrong_with_a_template(api: Api) -> None:
    def preview(status: int, **trial: Any) -> Any:
        url = "/v1/templates/preview"
        return ok(api.client.post(url, json=trial, headers=api.sender), status)

    escaped = preview(200, html="<b>{{ x }}</b>", data={"x": "<script>"})
    assert escaped["html"] == "<b>&lt;script&gt;</b>"
    assert preview(422, text="{{ name }}")["code"] == "render_failed"
    assert preview(422, text="{% for %}")["code"] == "invalid_request"
    assert preview(422, text="{{ 'a' * 10**9 }}")["code"] == "render_failed"
    assert preview(404, template="none")["code"] == "not_found"


# Suppressions and status ----------------------------------------------------------------------


def test_an_address_on_the_list_gets_nothing(every: Api) -> None:
    body = {"address": "Ada@Example.com", "channel": "post", "reason": "asked by phone"}

    listed = ok(every.client.post("/v1/suppressions", json=body, headers=every.sender), 201)

    expected = {
        "address": "ada@example.com",
        "channel": "post",
        "scope": "all",
        "reason": "asked by phone",
        "at": START,
    }
    assert listed["items"] == [expected]
    assert get(every, "suppressions?address=ADA@example.com") == listed
    sent = every.client.post("/v1/notifications", json=said(), headers=every.sender).json()
    assert sent["reason"] == "suppressed: asked by phone"
    url = "/v1/suppressions?address=ada@example.com&channel=post"
    ok(every.client.delete(url, headers=every.sender), 403)
    ok(every.client.delete(url, headers=every.admin), 204)
    ok(every.client.delete(url, headers=every.admin), 404)
    assert get(every, "suppressions?address=ada@example.com") == {"items": []}


def test_the_status_tells_the_whole_and_no_secret(every: Api) -> None:
    every.rule("daily", "1/day")
    for _ in range(3):
        every.client.post("/v1/notifications", json=said(), headers=every.sender)
    every.app.tick()

    found = get(every, "status")

    assert {state: count for state, count in found["states"].items() if count} == {
        "delivered": 1,
        "deferred": 2,
    }
    assert (found["rules"], found["now"], found["behind_ms"]) == (1, START, 0)
    assert every.app.store.url not in orjson.dumps(found).decode()
