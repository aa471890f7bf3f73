"""What a message of a broker asks for, and by which key it is known."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tactful.core.errors import RequestError
from tactful.engine.documents import BODY_MAX, UnreadableError
from tactful.frontdoors.messages import submission_of
from tactful.ports import Incoming

FIELDS = {"type": "note", "to": "ada@example.com", "text": "Hi"}
EVENT = {"specversion": "1.0", "id": "17", "source": "/shop", "type": "shipped"}


def message(value: object, **headers: str) -> Incoming:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Incoming(json.dumps(value).encode(), named, "stream:1:2")


def test_a_message_without_a_key_is_known_by_its_place() -> None:
    assert submission_of(message(FIELDS)) == {**FIELDS, "idempotency_key": "stream:1:2"}


def test_without_key_and_place_nothing_is_known_of_it() -> None:
    assert submission_of(Incoming(json.dumps(FIELDS).encode())) == FIELDS


@pytest.mark.parametrize(
    ("value", "headers", "key"),
    [
        ({**FIELDS, "idempotency_key": "own"}, {"idempotency_key": "header"}, "own"),
        (FIELDS, {"nats_msg_id": "nats", "idempotency_key": "header"}, "header"),
        (FIELDS, {"nats_msg_id": "nats"}, "nats"),
        (FIELDS, {"message_id": "amqp"}, "amqp"),
        ({**EVENT, "data": FIELDS}, {"nats_msg_id": "nats"}, "nats"),
        ({**EVENT, "data": FIELDS}, {}, "/shop 17"),
        (FIELDS, {f"ce_{name}": value for name, value in EVENT.items()}, "/shop 17"),
    ],
)
def test_the_key_that_was_given_nearest_to_the_content_counts(
    value: dict[str, object], headers: dict[str, str], key: str
) -> None:
    found = submission_of(message(value, **headers))

    assert found == {**FIELDS, "idempotency_key": key}


def test_the_data_of_an_event_may_be_in_base64() -> None:
    data = base64.b64encode(json.dumps(FIELDS).encode()).decode()

    assert submission_of(message({**EVENT, "data_base64": data}))["text"] == "Hi"


def test_two_long_keys_that_end_differently_are_two() -> None:
    one, two = (submission_of(message(FIELDS, nats_msg_id="k" * 300 + end)) for end in "ab")

    assert len(one["idempotency_key"]) == 64
    assert one["idempotency_key"] != two["idempotency_key"]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([1, 2], "body"),
        ("text", "body"),
        ({**EVENT, "data": None}, "data"),
        ({**EVENT, "data": FIELDS, "specversion": "0.3"}, "specversion"),
        ({**EVENT, "data": FIELDS, "id": ""}, "id"),
        ({**EVENT, "data": FIELDS, "source": 3}, "source"),
        ({**EVENT, "data_base64": "!"}, "data_base64"),
    ],
)
def test_what_is_no_submission_is_refused_by_its_field(value: object, field: str) -> None:
    with pytest.raises(RequestError) as error:
        submission_of(message(value))
    assert error.value.field == field


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 50, b"\xff", b'"' + b"x" * BODY_MAX + b'"'])
def test_what_cannot_be_read_says_so(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        submission_of(Incoming(body))


@given(
    st.binary() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode),
    st.dictionaries(st.sampled_from(["ce-specversion", "ce-id", "nats-msg-id", "x"]), st.text()),
)
def test_anything_at_all_is_a_submission_or_refused(body: bytes, headers: dict[str, str]) -> None:
    try:
        found = submission_of(Incoming(body, headers, "name"))
    except (UnreadableError, RequestError):
        return
    assert found["idempotency_key"]
