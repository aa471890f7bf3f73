"""The book in force: read anew when the policies have changed, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine_bench import Bench

from tactful.core.model import Kind, NotificationType
from tactful.engine.rulebook import STRANGERS_MAX, Book, Rulebook
from tactful.ports import Reader
from tactful.templates.library import Template

NEWS = Kind("news", "default", "post", 1)


@contextmanager
def counting(bench: Bench) -> Iterator[tuple[Reader, list[str]]]:
    """A reader, and the kinds of policies it has been asked for."""
    asked: list[str] = []

    class Counting:
        def __init__(self, reader: Reader) -> None:
            self._reader = reader

        def __getattr__(self, name: str) -> Any:
            return getattr(self._reader, name)

        def policies(self, kind: str) -> Any:
            asked.append(kind)
            return self._reader.policies(kind)

    with bench.store.reading() as reader:
        yield Counting(reader), asked  # type: ignore[misc]


def test_the_book_is_read_once_per_epoch(bench: Bench) -> None:
    rulebook = Rulebook()
    bench.rule("two", "2/minute")

    for _ in range(3):
        with counting(bench) as (reader, asked):
            book = rulebook.current(reader)
            again = rulebook.current(reader)
    assert book is again
    assert asked == []

    bench.rule("one", "1/minute")
    with counting(bench) as (reader, asked):
        changed = rulebook.current(reader)
    assert sorted(asked) == ["rule", "template", "type"]
    assert sorted(changed.rules) == ["one", "two"]
    assert changed.epoch > book.epoch


def test_two_engines_see_each_others_changes_at_once(bench: Bench) -> None:
    """The cache is as old as the transaction that decides, never older."""
    other = Bench(bench.store)
    other.clock = bench.clock
    assert [other.send().decision for _ in range(2)] == ["send", "send"]

    bench.rule("one", "1/minute")
    assert other.send().decision == "defer"
    bench.rules.remove("one")
    assert other.send().decision == "send"


def test_checks_are_worked_out_once_per_kind(quick: Bench) -> None:
    quick.rule("two", "2/minute", types=["news"])
    book = quick.book

    assert book.checks(NEWS) is book.checks(NEWS)
    assert [bound.count for bound in book.checks(NEWS).bounds] == [2]
    assert book.checks(NEWS._replace(type="status")).bounds == ()


def test_a_type_is_known_when_it_is_declared_or_a_rule_names_it(quick: Bench) -> None:
    quick.rule("two", "2/minute", types=["ruled"])
    quick.type("declared", category="offers", channels=("sms",))
    book = quick.book

    assert [book.knows(name) for name in ("ruled", "declared", "neither")] == [True, True, False]
    assert book.type("declared").channels == ("sms",)
    assert book.type("neither") == NotificationType("neither")


def test_a_stranger_is_met_for_the_first_time_once_per_store(bench: Bench) -> None:
    def met(rulebook: Rulebook, name: str) -> bool:
        with bench.store.transaction() as tx:
            return rulebook.first_seen(tx, name)

    one, other = Rulebook(), Rulebook()

    assert [met(one, "x"), met(one, "x"), met(one, "x"), met(other, "x")] == [True] + [False] * 3
    assert [met(other, "y"), met(one, "y")] == [True, False]


def test_a_first_meeting_that_was_rolled_back_is_still_to_come(bench: Bench) -> None:
    rulebook = Rulebook()
    try:
        with bench.store.transaction() as tx:
            assert rulebook.first_seen(tx, "x")
            raise RuntimeError("no")
    except RuntimeError:
        pass

    with bench.store.transaction() as tx:
        assert rulebook.first_seen(tx, "x")


def test_the_number_of_strangers_that_are_kept_is_bounded(quick: Bench) -> None:
    rulebook = Rulebook()
    with quick.store.transaction() as tx:
        for _ in range(2):
            met = [rulebook.first_seen(tx, f"t{n}") for n in range(STRANGERS_MAX + 5)]
        assert not any(met)
        assert not rulebook.first_seen(tx, "another")


def test_all_locales_of_a_template_are_found_under_its_name(quick: Bench) -> None:
    quick.templates.put(
        Template("hello", text="hello"), Template("hello", locale="de", text="hallo")
    )

    assert {found.text for found in quick.book.named("hello")} == {"hello", "hallo"}
    assert list(quick.book.named("bye")) == []


def test_a_rule_digests_only_as_long_as_it_says_so(quick: Bench) -> None:
    assert not Book(0, (), {}, ()).digests("r")
    quick.rule("r", "1/day", on_limit="digest")
    assert quick.book.digests("r")
    quick.rule("r", "1/day", on_limit="defer")
    assert not quick.book.digests("r")
