"""What callers ask for: what is refused, by name, and what is the same request."""

from __future__ import annotations

from typing import Any

import pytest

from tactful.core.errors import RequestError
from tactful.core.model import DAY, NEVER, Recipient
from tactful.engine.requests import Receipt, parse_duration, parse_request, receipt_from


def fields(**changed: Any) -> dict[str, Any]:
    return {"type": "news", "to": "ada", "text": "hello", **changed}


@pytest.mark.parametrize(
    ("changed", "field", "bound"),
    [
        ({"type": None}, "type", "1 to 100 characters"),
        ({"type": " "}, "type", "1 to 100 characters"),
        ({"type": "x" * 101}, "type", "1 to 100 characters"),
        ({"to": ""}, "to", "1 to 320 characters"),
        ({"to": None}, "to", "1 to 320 characters"),
        ({"to": 7}, "to", "1 to 320 characters"),
        ({"to": "a\nb"}, "to", "1 to 320 characters"),
        ({"subject": None}, "subject", "must be a text"),
        ({"subject": "s" * 256}, "subject", "at most 255 characters, not 256"),
        ({"subject": "a\r\nBcc: b"}, "subject", "no control characters or line breaks"),
        ({"text": b"bytes"}, "text", "must be a text"),
        ({"text": "t" * 1_000_001}, "text", "at most 1000000 characters"),
        ({"text": "a\x00b"}, "text", "no control characters but tabs and line breaks"),
        ({"text": "\ud800"}, "text", "no control characters"),
        ({"html": 5}, "html", "must be a text"),
        ({"html": "\x1b"}, "html", "no control characters"),
        ({"text": ""}, "text", "give a subject, a text, an html or a template"),
        ({"text": "", "html": ""}, "text", "give a subject"),
        ({"template": ""}, "template", "1 to 100 characters"),
        ({"template": "t", "data": [1]}, "data", "must be a mapping"),
        ({"template": "t", "data": "x"}, "data", "must be a mapping"),
        ({"template": "t", "data": {"a": {1}}}, "data.a", "must be a str"),
        ({"template": "t", "data": {"a": float("nan")}}, "data.a", "must be finite"),
        ({"template": "t", "data": {1: 2}}, "data", "keys must be str"),
        ({"channels": []}, "channels", "must be a list of channel names"),
        ({"channels": {"a": 1}}, "channels", "must be a list of channel names"),
        ({"channels": 3}, "channels", "must be a list of channel names"),
        ({"channels": [3]}, "channels", "1 to 100 characters"),
        ({"priority": "urgent"}, "priority", "must be low, normal, high or critical"),
        ({"priority": 4}, "priority", "must be low, normal, high or critical"),
        ({"priority": True}, "priority", "must be low, normal, high or critical"),
        ({"ttl": 0}, "ttl", "above 0, at most 366 days"),
        ({"ttl": -1}, "ttl", "above 0, at most 366 days"),
        ({"ttl": True}, "ttl", "must be like 90s"),
        ({"ttl": 1.5}, "ttl", "must be like 90s"),
        ({"ttl": "soon"}, "ttl", "must be like 90s"),
        ({"ttl": "367d"}, "ttl", "at most 366 days"),
        ({"deliver_at": 0}, "deliver_at", "must be an instant in milliseconds"),
        ({"deliver_at": -5}, "deliver_at", "must be an instant in milliseconds"),
        ({"deliver_at": NEVER}, "deliver_at", "must be an instant in milliseconds"),
        ({"deliver_at": True}, "deliver_at", "must be an instant in milliseconds"),
        ({"deliver_at": "2026-01-01"}, "deliver_at", "must be an instant in milliseconds"),
        ({"collapse_key": ""}, "collapse_key", "1 to 100 characters"),
        ({"idempotency_key": ""}, "idempotency_key", "a text of 1 to 255 characters"),
        ({"idempotency_key": "k" * 256}, "idempotency_key", "a text of 1 to 255 characters"),
        ({"idempotency_key": 5}, "idempotency_key", "a text of 1 to 255 characters"),
        ({"idempotency_key": "a\tb"}, "idempotency_key", "a text of 1 to 255 characters"),
    ],
)
def test_what_is_refused_names_the_field_and_the_bound(
    changed: dict[str, Any], field: str, bound: str
) -> None:
    with pytest.raises(RequestError) as refused:
        parse_request(**fields(**changed))

    shown = str(refused.value)
    assert type(refused.value) is RequestError, "it is no rule that is wrong"
    assert refused.value.field == field
    assert shown.startswith(f"{field}: ")
    assert bound in refused.value.bound
    assert len(shown) < 400


def test_a_refusal_shows_the_value_and_shortens_a_long_one() -> None:
    with pytest.raises(RequestError, match=r"\(got 'urgent'\)"):
        parse_request(**fields(priority="urgent"))
    with pytest.raises(RequestError, match=r"\.\.\.\)"):
        parse_request(**fields(subject="s" * 300))


def test_names_come_in_one_spelling_and_content_stays_as_it_is() -> None:
    found = parse_request(
        type=" Big News ",
        to=" Ada ",
        subject="  Hi ",
        text="a\tb\n",
        channels=["SMS", "mail", "sms"],
        priority=" High ",
        ttl="2 H",
        collapse_key="Order 7",
    )

    assert found.type == "big_news"
    assert found.to == " Ada "
    assert found.content.subject == "  Hi "
    assert found.content.text == "a\tb\n"
    assert found.channels == ("sms", "mail")
    assert found.priority == 2
    assert found.ttl_ms == 7_200_000
    assert found.collapse_key == "order_7"
    assert found.fingerprint == ""


def test_a_recipient_may_be_given_as_such_and_a_channel_as_its_name() -> None:
    found = parse_request(**fields(to=Recipient("ada"), channels="SMS"))

    assert (found.to, found.channels) == ("ada", ("sms",))


def test_data_is_copied_when_it_is_asked_for() -> None:
    """What the caller changes afterwards changes nothing."""
    data = {"list": [1]}
    found = parse_request(type="news", to="ada", template="t", data=data)
    data["list"].append(2)

    assert found.content.data == {"list": [1]}


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1, 1),
        ("5ms", 5),
        ("90s", 90_000),
        (" 30 M ", 1_800_000),
        ("2h", 7_200_000),
        ("366d", 366 * DAY),
        (366 * DAY, 366 * DAY),
    ],
)
def test_durations_read_as_they_are_written(value: object, ms: int) -> None:
    assert parse_duration(value, "ttl") == ms


def fingerprint(**changed: Any) -> str:
    return parse_request(**fields(idempotency_key="k", **changed)).fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"type": "NEWS "}, {}),
        ({"to": " ADA"}, {}),
        ({"to": Recipient("Ada")}, {}),
        ({"idempotency_key": "another"}, {}),
        ({"priority": 2}, {"priority": "HIGH"}),
        ({"ttl": "60s"}, {"ttl": "1m"}),
        ({"channels": "sms"}, {"channels": ["SMS"]}),
        (
            {"template": "t", "data": {"a": 1, "b": {"c": 2, "d": 3}}},
            {"template": "T", "data": {"b": {"d": 3, "c": 2}, "a": 1}},
        ),
    ],
)
def test_the_same_request_has_one_fingerprint_however_it_is_spelled(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    def of(changed: dict[str, Any]) -> str:
        return parse_request(**fields(**{"idempotency_key": "k", **changed})).fingerprint

    assert of(one) == of(other)


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "status"},
        {"to": "bob"},
        {"text": "Hello"},
        {"subject": "hello"},
        {"html": "hello"},
        {"channels": ["sms"]},
        {"priority": "high"},
        {"ttl": 5},
        {"deliver_at": 5},
        {"collapse_key": "c"},
        {"template": "t"},
        {"data": {"a": 1}},
    ],
)
def test_another_request_has_another_fingerprint(changed: dict[str, Any]) -> None:
    assert fingerprint(**changed) != fingerprint()


def test_a_broadcast_has_a_fingerprint_of_its_own() -> None:
    common = {"type": "news", "text": "hello", "idempotency_key": "k"}
    everyone = parse_request(**common, broadcast=True)

    assert everyone.to == ""
    assert len({everyone.fingerprint, fingerprint(), ""}) == 3


def test_a_receipt_survives_being_stored() -> None:
    other = Receipt("defer", "n", "d2", "r", 5, None, None, None, "sms")
    receipt = Receipt("send", "n", "d1", "r", 1, None, 3, None, "post", others=(other,))

    assert receipt_from(receipt.to_dict()) == receipt
    assert receipt.to_dict()["others"] == [other.to_dict()]
