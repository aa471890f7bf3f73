"""Two who change the same thing at once, on a store where many transactions run side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from engine_bench import HOUR, START, Bench

from tactful.core.errors import RequestError
from tactful.core.model import Recipient
from tactful.core.rules import Rule
from tactful.engine.directory import Directory
from tactful.engine.keys import Keys
from tactful.ports import Store
from tactful.runtime.entropy import new_secret
from tactful.stores.postgres.store import PostgresStore

PAUSE_S = 0.5


class Held:
    """A store on which who has asked this first gives the other one time to change it."""

    def __init__(self, store: Store, question: str) -> None:
        self._store = store
        self._question = question
        self.asked = threading.Event()
        self.changed = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Any]:
        with self._store.transaction(durable=durable) as tx:
            yield _Asked(tx, self)

    @contextmanager
    def reading(self) -> Iterator[Any]:
        with self._store.reading() as reader:
            yield _Asked(reader, self)

    def answered(self, question: str) -> None:
        if question == self._question and not self.asked.is_set():
            self.asked.set()
            self.changed.wait(PAUSE_S)


class _Asked:
    def __init__(self, inner: Any, held: Held) -> None:
        self._inner, self._held = inner, held

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._inner, name)

        def ask(*arguments: Any, **named: Any) -> Any:
            answer = verb(*arguments, **named)
            self._held.answered(name)
            return answer

        return ask


@pytest.fixture
def store(used_store_url: str) -> Iterator[PostgresStore]:
    found = PostgresStore(used_store_url)
    yield found
    found.close()


def both(held: Held, first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """What both gave or raised; the second begins when the first has asked."""
    found: list[Any] = [None, None]

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            found[place] = work()
        except RequestError as error:
            found[place] = error

    thread = threading.Thread(target=run, args=(0, first))
    thread.start()
    assert held.asked.wait(20)
    run(1, second)
    held.changed.set()
    thread.join(20)
    return found


def test_what_somebody_prefers_takes_back_no_change_of_who_they_are(store: PostgresStore) -> None:
    bench = Bench(store)
    bench.person("ada", name="Ada")
    held = Held(store, "recipient")
    slow = Directory(Bench(held).context)

    both(
        held,
        lambda: slow.prefer("ada", ["category:news"]),
        lambda: bench.people.put(Recipient("ada", name="Ada Lovelace")),
    )

    found = bench.people.get("ada")
    assert found is not None
    assert found.name == "Ada Lovelace"


def keys_of(store: Store) -> Keys:
    return Keys(Bench(store).context, new_secret)


def test_of_two_who_make_a_key_of_one_name_one_is_refused(store: PostgresStore) -> None:
    held = Held(store, "policies")
    slow, quick = keys_of(held), keys_of(store)

    found = both(
        held, lambda: slow.create("shop", ["send"]), lambda: quick.create("shop", ["read"])
    )

    refused = [one for one in found if isinstance(one, RequestError)]
    made = [one[0] for one in found if not isinstance(one, RequestError)]
    assert [one.field for one in refused] == ["name"]
    assert quick.list() == made


def test_of_two_who_rotate_a_key_both_have_a_secret_that_opens(store: PostgresStore) -> None:
    held = Held(store, "policies")
    slow, quick = keys_of(held), keys_of(store)
    first, _ = quick.create("shop", ["send"])

    made = both(
        held,
        lambda: slow.rotate("shop", overlap_ms=HOUR),
        lambda: quick.rotate("shop", overlap_ms=HOUR),
    )

    (key,) = quick.list()
    opens = {secret.digest for secret in key.live(START)}
    assert {one.secrets[0].digest for one, _ in made} | {first.secrets[0].digest} == opens


def test_what_is_applied_at_once_leaves_what_one_of_both_wanted(store: PostgresStore) -> None:
    held = Held(store, "policies")
    slow, quick = Bench(held).rules, Bench(store).rules

    both(
        held,
        lambda: slow.apply([Rule("a", limit="1/hour")]),
        lambda: quick.apply([Rule("b", limit="1/hour")]),
    )

    assert [rule.name for rule in quick.list()] in (["a"], ["b"])
