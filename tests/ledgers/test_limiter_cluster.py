"""The limiter on a cluster: no call over two slots, slots that move, nodes that are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from histories import Histories, MakeLimiter
from three_nodes import ThreeNodes, three_nodes

from tactful import Ask, Rule
from tactful.errors import Unavailable
from tactful.ledgers.layout import BUCKETS, SLOTS, bucket_of, prefixes, slot_of

TWO = Rule("all", "2/day")
PEOPLE = [f"person{number}" for number in range(500)]


@pytest.fixture(scope="module")
def nodes() -> Iterator[ThreeNodes]:
    with three_nodes() as started:
        yield started


def test_every_64th_of_the_slots_has_its_bucket() -> None:
    assert [slot * BUCKETS // 16_384 for slot in SLOTS] == list(range(BUCKETS))
    for slot, prefix in zip(SLOTS, prefixes("any"), strict=True):
        assert slot_of(prefix.decode().split("{")[1].split("}")[0]) == slot


def test_recipients_are_spread_evenly() -> None:
    found = Counter(bucket_of(f"person{n}@example.com".encode()) for n in range(64_000))

    assert len(found) == BUCKETS
    assert max(found.values()) < 1_200


def test_a_batch_for_many_is_decided_on_all_nodes(make: MakeLimiter, nodes: ThreeNodes) -> None:
    limiter = make(TWO, url=nodes.url)

    rounds = [limiter.acquire_many([Ask(who, "news") for who in PEOPLE]) for _ in range(3)]

    assert [all(a.granted for a in answers) for answers in rounds[:2]] == [True, True]
    assert not any(a.granted for a in rounds[2])
    ids = [answer.id or "" for answer in rounds[0]]
    assert limiter.release_many(ids) == [True] * 500
    assert limiter.release_many(ids) == [False] * 500
    assert all(client.dbsize() > 50 for client in nodes.clients)


def test_nodes_that_forgot_their_scripts_are_told_them_again(
    make: MakeLimiter, nodes: ThreeNodes
) -> None:
    limiter = make(TWO, url=nodes.url)
    limiter.acquire_many([Ask(who, "news") for who in PEOPLE])
    for client in nodes.clients:
        client.script_flush()

    answers = limiter.acquire_many([Ask(who, "news") for who in PEOPLE])

    assert {answer.remaining for answer in answers} == {0}


def test_a_slot_may_move_while_it_is_asked_about(make: MakeLimiter, nodes: ThreeNodes) -> None:
    limiter = make(TWO, url=nodes.url, namespace="moving")
    slot = SLOTS[bucket_of(b"ada")]
    source = nodes.holder(slot)
    target = (source + 1) % 3
    answers = [limiter.acquire("ada", "news")]
    nodes.begin_to_move(slot, source, target)
    nodes.move_keys(slot, source, target)

    answers.append(limiter.acquire("ada", "news"))  # asks the source, is sent on
    nodes.end_to_move(slot, source, target)
    answers.append(limiter.acquire("ada", "news"))  # still believes that it is there
    answers.append(limiter.acquire("ada", "news"))

    assert [answer.granted for answer in answers] == [True, True, False, False]
    assert Histories(nodes.clients[target], "moving").sizes("ada") == [2]
    nodes.begin_to_move(slot, target, source)
    nodes.move_keys(slot, target, source)
    nodes.end_to_move(slot, target, source)


def test_a_node_that_hangs_takes_only_its_own_recipients_along(
    make: MakeLimiter, nodes: ThreeNodes
) -> None:
    strict = make(TWO, url=nodes.url, timeout_ms=200)
    allowing = make(TWO, url=nodes.url, timeout_ms=200, on_down="allow")
    asks = [Ask(who, "news") for who in PEOPLE]
    for limiter in (strict, allowing):
        limiter.acquire_many(asks)
    theirs = {who for who in PEOPLE if nodes.holder(SLOTS[bucket_of(who.encode())]) == 1}
    nodes.servers[1].pause()
    try:
        answers = allowing.acquire_many(asks)
        with pytest.raises(Unavailable):
            strict.acquire_many(asks)
    finally:
        nodes.servers[1].resume()

    unchecked = {ask.recipient for ask, a in zip(asks, answers, strict=True) if not a.checked}
    assert unchecked == theirs
    assert all(answer.granted for answer in answers)
