"""Who is meant, where they are reached, and what they do not want."""

from __future__ import annotations

from typing import Any

import pytest
from engine_bench import Bench

from tactful.core.errors import RequestError
from tactful.core.model import Kind, Recipient
from tactful.engine.people import address_for, checked, find, unwanted
from tactful.ports import Suppression

NEWS = Kind("news", "offers", "mail", 1)


def meant(bench: Bench, *texts: str) -> list[Recipient]:
    with bench.store.reading() as reader:
        found = find(reader, texts)
    return [found[text] for text in texts]


# In normal form ------------------------------------------------------------------------------


def test_a_person_comes_in_normal_form() -> None:
    found = checked(
        Recipient(
            " ADA ",
            email=" Ada@Example.com ",
            addresses={"SMS": "+49 1"},
            mute=("type:Big News", "all", "type:big news"),
        )
    )

    assert found.id == "ada"
    assert found.email == "Ada@Example.com"
    assert found.addresses == {"email": "Ada@Example.com", "sms": "+49 1"}
    assert found.mute == ("all", "type:big_news")
    assert checked(found) == found


def test_an_address_that_is_given_twice_is_the_one_among_the_addresses() -> None:
    found = checked(Recipient("ada", email="a@old.test", addresses={"email": "a@new.test"}))

    assert found.email == found.addresses["email"] == "a@new.test"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"name": "a\nb"}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"name": 5}, "name"),
        ({"email": " "}, "email"),
        ({"email": 5}, "email"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": None}, "timezone"),
        ({"timezone": 2}, "timezone"),
        ({"locale": ""}, "locale"),
        ({"locale": None}, "locale"),
        ({"locale": 5}, "locale"),
        ({"locale": "d\0"}, "locale"),
        ({"locale": "x" * 36}, "locale"),
        ({"addresses": {"sms": ""}}, "addresses.sms"),
        ({"addresses": {"": "1"}}, "addresses"),
        ({"addresses": ["a@b.test"]}, "addresses"),
        ({"mute": ("news",)}, "mute"),
        ({"mute": ("type:",)}, "mute"),
        ({"mute": ("country:de",)}, "mute"),
        ({"mute": (5,)}, "mute"),
        ({"mute": None}, "mute"),
    ],
)
def test_a_person_who_cannot_be_is_refused_by_field(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as refused:
        checked(Recipient(**{"id": "ada", **changed}))

    assert refused.value.field == field


def test_only_a_recipient_is_a_recipient() -> None:
    with pytest.raises(RequestError, match="must be a Recipient"):
        checked("ada")  # type: ignore[arg-type]


# Who is meant --------------------------------------------------------------------------------


def test_one_person_is_found_by_id_and_by_every_address_in_any_spelling(bench: Bench) -> None:
    bench.person("ada", email="ada@example.com", addresses={"sms": "+491"})

    found = meant(bench, "ada", " ADA", "Ada@Example.COM", "+491", "ada@example.com ")

    assert {person.id for person in found} == {"ada"}


def test_an_id_goes_before_an_address_that_reads_the_same(bench: Bench) -> None:
    bench.person("x@example.com", name="by id")
    bench.person("bob", email="x@example.com")

    assert [person.name for person in meant(bench, "x@example.com")] == ["by id"]


def test_who_is_not_registered_is_taken_as_they_are(bench: Bench) -> None:
    someone, mailable = meant(bench, " Someone ", " Some@Example.com ")

    assert (someone.id, someone.email) == ("someone", None)
    assert (mailable.id, mailable.email) == ("some@example.com", "Some@Example.com")


def test_an_address_belongs_to_its_newest_owner(bench: Bench) -> None:
    bench.person("ada", email="shared@example.com")
    bench.person("bob", email="shared@example.com")

    assert [person.id for person in meant(bench, "shared@example.com")] == ["bob"]


def test_channels_reach_people_by_their_kind_of_address(quick: Bench) -> None:
    ada = checked(Recipient("ada", email="ada@example.com", addresses={"post": "Main St 1"}))
    bob = Recipient("bob")

    assert address_for(ada, "mail", quick.mail) == "ada@example.com"
    assert address_for(ada, "sms", quick.sms) is None
    assert address_for(ada, "post", quick.post) == "Main St 1"
    assert address_for(bob, "mail", quick.mail) is None
    assert address_for(bob, "post", quick.post) == "bob"
    assert address_for(Recipient("c", email="c@b.test"), "post", quick.post) == "c@b.test"


def test_a_channel_that_is_not_here_is_taken_for_one_that_needs_no_special_address() -> None:
    ada = checked(Recipient("ada", addresses={"fax": "123"}))

    assert address_for(ada, "fax", None) == "123"
    assert address_for(ada, "pager", None) == "ada"


# What they do not want -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "muted"),
    [
        ("all", True),
        ("type:news", True),
        ("category:offers", True),
        ("channel:mail", True),
        ("type:offers", False),
        ("category:news", False),
        ("channel:post", False),
    ],
)
def test_muting_works_by_type_category_channel_and_for_all(scope: str, muted: bool) -> None:
    person = Recipient("ada", mute=(scope,))

    assert unwanted(person, NEWS, "a", {}, mandatory=False) == (
        f"muted: {scope}" if muted else None
    )
    assert unwanted(person, NEWS, "a", {}, mandatory=True) is None


@pytest.mark.parametrize(
    ("channel", "scope", "stopped"),
    [
        ("mail", "all", True),
        ("mail", "offers", True),
        ("mail", "alerts", False),
        ("sms", "all", False),
    ],
)
def test_suppression_works_by_channel_and_category_for_mandatory_ones_as_well(
    channel: str, scope: str, stopped: bool
) -> None:
    entries = {"a@b.test": [Suppression(channel, "a@b.test", scope, "bounced", 0)]}

    for mandatory in (True, False):
        reason = unwanted(Recipient("ada"), NEWS, "A@B.test ", entries, mandatory=mandatory)
        assert reason == ("suppressed: bounced" if stopped else None)


def test_the_suppression_list_goes_before_what_is_muted() -> None:
    entries = {"a": [Suppression("mail", "a", "all", "complaint", 0)]}

    reason = unwanted(Recipient("ada", mute=("all",)), NEWS, "a", entries, mandatory=False)

    assert reason == "suppressed: complaint"


# The directory -------------------------------------------------------------------------------


def test_people_are_registered_by_name_and_get_an_id(bench: Bench) -> None:
    one, other = bench.people.register("Ada"), bench.people.register("Ada")

    assert one.id != other.id
    assert str(one) == "Ada"
    assert bench.people.get(one.id) == one
    assert [person.id for person in bench.people] == [one.id, other.id]
    assert len(bench.people) == 2


def test_changing_a_person_keeps_their_place_and_registers_nobody(bench: Bench) -> None:
    people = [Recipient("ada"), Recipient("bob"), Recipient("ADA", name="Ada")]

    assert bench.people.put_many(people) == 2
    assert bench.people.put_many([Recipient("ada", name="Ada L."), Recipient("cy")]) == 1
    assert [(p.id, p.name) for p in bench.people] == [
        ("ada", "Ada L."),
        ("bob", None),
        ("cy", None),
    ]


def test_one_wrong_person_registers_nobody(bench: Bench) -> None:
    with pytest.raises(RequestError, match="timezone"):
        bench.people.put_many([Recipient("ada"), Recipient("bob", timezone="Nowhere")])

    assert len(bench.people) == 0


def test_people_are_gone_through_page_by_page(bench: Bench) -> None:
    bench.people.put_many(Recipient(f"p{n:04}") for n in range(2_300))

    assert [person.id for person in bench.people] == [f"p{n:04}" for n in range(2_300)]
    page = bench.people.page(after=2, limit=2)
    assert [person.id for _, person in page] == ["p0002", "p0003"]


def test_a_person_is_got_and_removed_by_any_address(bench: Bench) -> None:
    ada = bench.person("ada", email="ada@example.com")

    assert bench.people.get("ADA@example.com") == ada
    assert bench.people.get("nobody") is None
    assert bench.people.remove("nobody") is False
    assert bench.people.remove("ada@example.com") is True
    assert bench.people.get("ada") is None
    assert bench.people.get("ada@example.com") is None


def test_an_address_goes_onto_the_suppression_list_and_off_it(bench: Bench) -> None:
    bench.people.suppress("A@B.test", channel="Mail", reason="asked")

    assert bench.send(to="a@b.test", channels="mail").reason == "suppressed: asked"
    assert bench.send(to="a@b.test", channels="post").decision == "send"
    assert bench.people.unsuppress(" a@b.TEST", channel="mail") is True
    assert bench.people.unsuppress("a@b.test", channel="mail") is False
    assert bench.send(to="a@b.test", channels="mail").decision == "send"


@pytest.mark.parametrize(
    ("address", "how", "field"),
    [
        ("", {}, "address"),
        ("a", {"channel": ""}, "channel"),
        ("a", {"scope": " "}, "scope"),
    ],
)
def test_nothing_that_names_nobody_is_suppressed(
    quick: Bench, address: str, how: dict[str, str], field: str
) -> None:
    with pytest.raises(RequestError) as refused:
        quick.people.suppress(address, **how)

    assert refused.value.field == field
