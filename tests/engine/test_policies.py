"""Rules, types and templates: versions of data, checked before they are in force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from engine_bench import DAY, START, Bench

from tactful.core.errors import InvalidRule, NotFound, RequestError
from tactful.core.model import NotificationType
from tactful.core.rules import Rule
from tactful.engine.users import User, users_of
from tactful.templates.library import Template


def limits(bench: Bench) -> dict[str, str]:
    return {rule.name: str(rule.limit) for rule in bench.rules.list()}


def test_what_is_put_is_in_force_and_comes_back_equal(bench: Bench) -> None:
    rule = Rule("night", quiet="22:00-08:00", types=["news"], exempt=["critical"])
    kind = NotificationType("news", "offers", ("mail",), "high", 5_000, "hold", True)
    words = Template("hello", "de", "mail", "Hallo", "Hallo {{ name }}", "<p>")
    bench.rules.put(rule)
    bench.types.put(kind)
    bench.templates.put(words)

    assert (bench.rules.list(), bench.rules.get("night")) == ([rule], rule)
    assert (bench.types.list(), bench.types.get("news")) == ([kind], kind)
    assert bench.templates.list() == [words]
    assert bench.rules.get("day") is None


def test_every_change_is_a_version_with_its_author_and_a_fact(bench: Bench) -> None:
    first = bench.rules.put(Rule("a", "1/day"), Rule("b", "1/day"), author="ada")
    bench.clock.advance(5)
    second = bench.rules.put(Rule("a", "2/day"), author="bob")
    third = bench.rules.remove("A ", author="cy")

    found = [(p.name, p.author, p.at - START, p.version) for p in bench.rules.history()]
    assert found == [
        ("a", "ada", 0, first - 1),
        ("b", "ada", 0, first),
        ("a", "bob", 5, second),
        ("a", "cy", 5, third),
    ]
    assert [p.body and p.body["limit"] for p in bench.rules.history("a")] == [
        "1/day",
        "2/day",
        None,
    ]
    with bench.store.reading() as reader:
        names = [event.data["names"] for event in reader.events(name="rule.changed")]
    assert names == [["a", "b"], ["a"], ["a"]]


def test_a_name_is_given_once(bench: Bench) -> None:
    users = users_of(bench.context)
    assert users.add(User("Ada", "admin")) == 1
    with pytest.raises(RequestError, match="is the name of a user"):
        users.add(User("ADA", "viewer"))
    assert users.list() == [User("ada", "admin")]


def test_what_others_have_changed_meanwhile_stays(bench: Bench) -> None:
    """Whoever gives a user another role must not bring back the password of before."""
    users = users_of(bench.context)
    users.add(User("ada", "viewer", "old"))
    users.edit("ada", lambda user: replace(user, password="new"))
    changed = users.edit("ADA", lambda user: replace(user, role="admin"))
    assert changed == users.get("ada") == User("ada", "admin", "new")
    versions = len(users.history())

    users.edit("ada", lambda user: user)
    assert len(users.history()) == versions
    with pytest.raises(NotFound):
        users.edit("bob", lambda user: user)


def test_a_policy_is_found_under_any_spelling_of_its_name(bench: Bench) -> None:
    bench.rule("One A Day", "1/day")
    bench.type("Big News")

    for name in ("one_a_day", "One A Day", "ONE A DAY "):
        assert bench.rules.get(name) is not None
    assert bench.types.get("Big News") is not None


def test_kinds_of_policies_do_not_mix(bench: Bench) -> None:
    bench.rule("news", "1/day")
    bench.type("news", category="offers")

    bench.rules.remove("news")

    assert bench.rules.list() == []
    assert [found.category for found in bench.types.list()] == ["offers"]


@pytest.mark.parametrize("kind", ["rules", "types", "templates"])
def test_only_what_is_in_force_can_be_removed(bench: Bench, kind: str) -> None:
    with pytest.raises(NotFound, match=r"name: is no (rule|type|template) in force"):
        getattr(bench, kind).remove("nothing")

    bench.rule("one", "1/day")
    bench.rules.remove("one")
    with pytest.raises(NotFound):
        bench.rules.remove("one")


def test_a_localised_template_can_be_removed_by_its_key(bench: Bench) -> None:
    bench.templates.put(
        Template("Hello", text="hello"), Template("hello", "de-AT", "sms", text="servus")
    )

    bench.templates.remove("hello/de-AT/sms")

    assert [found.text for found in bench.templates.list()] == ["hello"]


# Applying and reverting ----------------------------------------------------------------------


def test_applying_makes_exactly_these_be_in_force(bench: Bench) -> None:
    bench.rules.put(Rule("keep", "1/day"), Rule("change", "1/day"), Rule("drop", "1/day"))
    wanted = [Rule("keep", "1/day"), Rule("change", "2/day"), Rule("new", "3/day")]

    told = bench.rules.apply(iter(wanted), author="ada")

    assert told == {"set": ["change", "new"], "removed": ["drop"], "unchanged": ["keep"]}
    assert limits(bench) == {"keep": "1/day", "change": "2/day", "new": "3/day"}


def test_applying_what_is_in_force_already_changes_nothing(bench: Bench) -> None:
    bench.rule("one", "1/day")
    versions = bench.rules.history()

    told = bench.rules.apply([Rule("one", "1/day")])

    assert told == {"set": [], "removed": [], "unchanged": ["one"]}
    assert bench.rules.history() == versions


def test_applying_nothing_removes_everything(bench: Bench) -> None:
    bench.rule("one", "1/day")

    assert bench.rules.apply([])["removed"] == ["one"]
    assert bench.rules.list() == []


def test_everything_of_a_kind_goes_back_to_a_version(bench: Bench) -> None:
    bench.rule("a", "1/day")
    then = bench.rule("b", "2/day")
    bench.rule("a", "9/day")
    bench.rules.remove("b")
    bench.rule("c", "3/day")
    bench.type("news")

    version = bench.rules.revert(then, author="ada")

    assert limits(bench) == {"a": "1/day", "b": "2/day"}
    assert bench.types.list() != []
    assert version == bench.rules.history()[-1].version
    assert {p.author for p in bench.rules.history() if p.version > version - 3} == {"ada"}


def test_going_back_to_where_it_stands_changes_nothing(bench: Bench) -> None:
    version = bench.rule("a", "1/day")

    assert bench.rules.revert(version) == version
    assert len(bench.rules.history()) == 1


def test_going_back_to_a_version_that_never_was_is_refused(bench: Bench) -> None:
    version = bench.rule("a", "1/day")
    other = bench.type("news")

    for wrong in (0, -1, version + 7, other):
        with pytest.raises(NotFound, match="version: is no version of a rule"):
            bench.rules.revert(wrong)


def test_a_reverted_rule_plans_anew_what_waits(bench: Bench) -> None:
    bench.rule("one", "5/day")
    loose = bench.rules.history()[-1].version
    bench.rule("one", "1/day")
    bench.send(text="1")
    waiting = bench.send(text="2")
    assert waiting.decision == "defer"

    bench.rules.revert(loose)
    bench.run()
    assert bench.texts == ["1", "2"]


# What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "field", "bound"),
    [
        (Rule("r", "1/36d"), "limit", "reaches further than the 35 days kept"),
        (Rule("r", "1/day", channels=["fax"]), "channels", "must be one of mail, post, sms"),
        ("1/day", "rule", "must be a Rule"),
    ],
)
def test_a_rule_that_cannot_hold_here_is_refused(
    bench: Bench, rule: Any, field: str, bound: str
) -> None:
    with pytest.raises(InvalidRule) as refused:
        bench.rules.put(Rule("good", "1/day"), rule)

    assert (refused.value.field, refused.value.bound) == (field, bound)
    assert bench.rules.list() == []


def test_the_longest_windows_that_are_kept_are_accepted(bench: Bench) -> None:
    bench.rules.put(
        Rule("rolling", "1/35d"),
        Rule("month", "1/month calendar"),
        Rule("night", quiet="22:00-08:00"),
    )

    assert len(bench.rules.list()) == 3


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"),
        ({"category": " "}, "category"),
        ({"channels": ("fax",)}, "channels"),
        ({"channels": (5,)}, "channels"),
        ({"channels": "post"}, "channels"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": None}, "priority"),
        ({"ttl_ms": 0}, "ttl_ms"),
        ({"ttl_ms": 367 * DAY}, "ttl_ms"),
        ({"ttl_ms": 1.5}, "ttl_ms"),
        ({"on_ambiguous": "guess"}, "on_ambiguous"),
    ],
)
def test_a_type_that_cannot_be_is_refused_by_field(
    bench: Bench, changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(RequestError) as refused:
        bench.types.put(NotificationType(**{"name": "news", **changed}))

    assert refused.value.field == field
    assert bench.types.list() == []


def test_a_type_comes_in_normal_form(bench: Bench) -> None:
    bench.types.put(
        NotificationType(" NEWS", "Big Offers", ("POST",), " High ", mandatory=1)  # type: ignore[arg-type]
    )

    assert bench.types.list() == [
        NotificationType("news", "big_offers", ("post",), "high", mandatory=True)
    ]


@pytest.mark.parametrize("value", ["news", None, {"name": "news"}])
def test_only_a_type_is_a_type_and_only_a_template_a_template(bench: Bench, value: Any) -> None:
    with pytest.raises(RequestError, match="must be a NotificationType"):
        bench.types.put(value)
    with pytest.raises(RequestError, match="must be a Template"):
        bench.templates.put(value)


def test_a_template_that_does_not_compile_is_refused_with_its_line(bench: Bench) -> None:
    with pytest.raises(RequestError, match="line 2") as refused:
        bench.templates.put(Template("t", text="fine\n{% if %}"))

    assert refused.value.field == "text"
    assert bench.templates.list() == []
