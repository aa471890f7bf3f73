"""Keys of the service: what they look like, what is stored of them, when they end."""

from __future__ import annotations

import pytest
from engine_bench import DAY, HOUR, START, Bench
from hypothesis import given
from hypothesis import strategies as st

from tactful.core.errors import NotFound, RequestError
from tactful.engine.keys import SCOPES, ApiKey, Keys, Secret, digest, mint, rotated
from tactful.runtime.entropy import new_secret


@given(st.binary(min_size=32, max_size=32), st.booleans())
def test_what_is_minted_is_recognised_and_nothing_like_it(random: bytes, test: bool) -> None:
    token = mint(random, test=test)

    assert token.startswith("tk_test_" if test else "tk_live_")
    found = digest(token)
    assert found is not None
    assert len(found) == 64
    assert digest(mint(random, test=not test)) not in (None, found)
    for place in range(0, len(token), 5):
        other = "B" if token[place] == "A" else "A"
        assert digest(token[:place] + other + token[place + 1 :]) is None
    for wrong in (token[:-1], token + "0", " " + token, token + "\n", token.upper()):
        assert digest(wrong) is None


def test_a_secret_has_to_be_long() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        mint(bytes(31), test=False)


@pytest.mark.parametrize("scopes", [("send",), ("read",), ("admin",), ("test",)])
def test_a_scope_allows_what_it_says(scopes: tuple[str, ...]) -> None:
    allowed = {scope for scope in SCOPES if ApiKey("k", scopes).allows(scope)}

    assert (
        allowed
        == {
            ("send",): {"send"},
            ("read",): {"read"},
            ("admin",): set(SCOPES),
            ("test",): {"test", "send", "read"},
        }[scopes]
    )


def test_while_it_is_rotated_a_key_has_two_secrets() -> None:
    key = ApiKey("k", ("send",), (Secret("old"), Secret("older", START + 5)))

    found = rotated(key, Secret("new"), START + HOUR)

    assert found.secrets == (
        Secret("new"),
        Secret("old", START + HOUR),
        Secret("older", START + 5),
    )
    assert [one.digest for one in found.live(START + 5)] == ["new", "old"]
    assert [one.digest for one in found.live(START + HOUR)] == ["new"]


# In a store -----------------------------------------------------------------------------------


def keys(bench: Bench) -> Keys:
    return Keys(bench.context, new_secret)


def test_a_key_is_stored_without_what_it_opens(bench: Bench) -> None:
    made, token = keys(bench).create("Shop", ["send", "read", "send"], lives_ms=DAY)

    assert made == keys(bench).get("shop")
    assert (made.name, made.scopes) == ("shop", ("send", "read"))
    assert made.secrets == (Secret(digest(token) or "", START + DAY),)
    with bench.store.reading() as reader:
        stored = repr(reader.policy_history("key")) + repr(reader.events())
    assert token[8:51] not in stored


def test_a_name_is_given_once(bench: Bench) -> None:
    keys(bench).create("shop", ["send"])

    with pytest.raises(RequestError, match="rotate it"):
        keys(bench).create(" SHOP", ["read"])

    assert len(keys(bench).list()) == 1


@pytest.mark.parametrize("scopes", [[], ["all"], ["test", "read"]], ids=str)
def test_scopes_have_to_make_sense(quick: Bench, scopes: list[str]) -> None:
    with pytest.raises(RequestError) as refused:
        keys(quick).create("shop", scopes)

    assert refused.value.field == "scopes"
    assert keys(quick).list() == []


def test_rotating_again_and_again_leaves_no_dead_secrets(bench: Bench) -> None:
    _, first = keys(bench).create("shop", ["test"])
    for _ in range(5):
        made, token = keys(bench).rotate("shop", overlap_ms=HOUR, lives_ms=DAY)
        bench.clock.advance(HOUR)

    assert token.startswith("tk_test_")
    assert token != first
    assert len(made.secrets) == 2
    assert [one.digest for one in made.live(bench.clock.now())] == [digest(token)]
    with pytest.raises(NotFound):
        keys(bench).rotate("none", overlap_ms=HOUR)


def test_when_a_key_was_used_is_noted_once_a_minute_and_forgotten_with_it(bench: Bench) -> None:
    keys = Keys(bench.context, new_secret)
    keys.create("shop", ["send"])
    keys.create("idle", ["send"])

    keys.note_use("shop")
    assert keys.used() == {"shop": START}
    for later, known in [(59_999, START), (60_000, START + 60_000), (61_000, START + 60_000)]:
        bench.clock.set(START + later)
        keys.note_use("shop")
        assert keys.used() == {"shop": known}

    keys.remove("shop")
    keys.note_use("shop")
    assert keys.used() == {}
    keys.create("shop", ["send"])
    assert keys.used() == {}
