"""Test addresses: answered as they are named, and never handed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tactful.channels.rehearsal import DOMAIN, Rehearsal
from tactful.core.model import PERMIT_ENDED, Accepted, Message, Outcome, Rejected, Retry
from tactful.testing import CaptureChannel

REAL = "ada@example.com"


def message(address: str, number: int = 0, **more: object) -> Message:
    return Message(
        f"m{number}",
        "n",
        "ada",
        address,
        "news",
        "s",
        "t",
        None,
        0,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("delivered", Accepted(arrived=True)),
        ("LOST", Accepted(arrived=False)),
        ("whoever", Accepted()),
        ("temp-fail", Retry),
        ("perm-fail", Rejected),
    ],
)
def test_an_address_does_what_it_is_named(name: str, kind: Outcome | type) -> None:
    inner = CaptureChannel("mail")

    (outcome,) = Rehearsal(inner).send([message(f"{name}@Tactful.Test")])

    assert isinstance(outcome, kind) if isinstance(kind, type) else outcome == kind
    assert inner.messages == []


@given(st.lists(st.sampled_from([REAL, f"lost@{DOMAIN}", f"perm-fail@{DOMAIN}", "a@b.test"])))
def test_each_gets_its_own_answer_in_its_place(addresses: list[str]) -> None:
    inner = CaptureChannel("mail", lambda m: Accepted(ref=m.id))
    messages = [message(address, number) for number, address in enumerate(addresses)]

    outcomes = Rehearsal(inner).send(messages)

    real = [m for m in messages if not m.address.endswith(DOMAIN)]
    assert inner.messages == real
    for one, outcome in zip(messages, outcomes, strict=True):
        if one in real:
            assert outcome == Accepted(ref=one.id)
        elif one.address.startswith("lost"):
            assert outcome == Accepted(arrived=False)
        else:
            assert isinstance(outcome, Rejected)


@pytest.mark.parametrize("address", [REAL, f"x@sub.{DOMAIN}", f"x@{DOMAIN}.example", "no address"])
def test_in_the_other_world_nothing_is_handed_on(address: str) -> None:
    inner = CaptureChannel("mail")

    outcomes = Rehearsal(inner, all_of_it=True).send([message(address)])

    assert outcomes == [Accepted()]
    assert inner.messages == []


@pytest.mark.parametrize("address", [f"x@sub.{DOMAIN}", f"x@{DOMAIN}.example", "x@tactful_test"])
def test_what_only_looks_like_a_test_address_is_handed_on(address: str) -> None:
    inner = CaptureChannel("mail")

    Rehearsal(inner).send([message(address)])

    assert [one.address for one in inner.messages] == [address]


def test_a_permit_that_has_ended_holds_here_too() -> None:
    ended = message(f"delivered@{DOMAIN}", may_go=lambda: False)

    assert Rehearsal(CaptureChannel("mail")).send([ended]) == [PERMIT_ENDED]


def test_it_is_the_channel_in_all_else() -> None:
    inner = CaptureChannel("mail", address_kind="email", concurrency=3, batch=7)

    found = Rehearsal(inner)

    assert (found.name, found.address_kind) == ("mail", "email")
    assert (found.concurrency, found.batch) == (3, 7)
    found.close()
