"""Tokens in links: only we make them, for one purpose each, and old secrets go on to count."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

import pytest
from engine_bench import Bench
from hypothesis import given
from hypothesis import strategies as st

from tactful.core.errors import ConfigError, RequestError
from tactful.engine.links.links import links_of
from tactful.engine.links.tokens import LOOK_MS, TOKEN_MAX, Tokens

OLD, NEW = "0f" * 32, "1e" * 32
PURPOSES = ("open", "click", "unsubscribe", "preferences")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
bodies = st.binary(min_size=1, max_size=300)
purposes = st.sampled_from(PURPOSES)


def refused(tokens: Tokens, purpose: str, token: str) -> bool:
    try:
        tokens.read(purpose, token)
    except RequestError as error:
        return (error.field, error.bound) == ("token", "is not one of ours")
    return False


@given(purposes, bodies)
def test_a_token_says_what_was_put_into_it_and_fits_into_a_url(purpose: str, body: bytes) -> None:
    tokens = Tokens([OLD])
    token = tokens.make(purpose, body)

    assert tokens.read(purpose, token) == body
    assert token == tokens.make(purpose, body)
    assert set(token) <= set(ALPHABET)


@given(purposes, purposes, bodies)
def test_a_token_is_good_for_its_own_purpose_alone(one: str, other: str, body: bytes) -> None:
    tokens = Tokens([OLD])

    assert refused(tokens, other, tokens.make(one, body)) == (one != other)


@given(purposes, bodies)
def test_what_others_have_signed_is_refused(purpose: str, body: bytes) -> None:
    assert refused(Tokens([OLD]), purpose, Tokens([NEW]).make(purpose, body))
    assert refused(Tokens([]), purpose, Tokens([NEW]).make(purpose, body))


@given(bodies, st.integers(0, 10_000), st.integers(1, 255))
def test_no_bit_of_a_token_can_be_changed(body: bytes, place: int, flip: int) -> None:
    tokens = Tokens([OLD])
    raw = bytearray(base64.urlsafe_b64decode(tokens.make("click", body) + "=="))
    raw[place % len(raw)] ^= flip

    assert refused(tokens, "click", base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(st.text(max_size=60))
def test_any_text_is_refused_without_a_fault(text: str) -> None:
    assert refused(Tokens([OLD]), "open", text)


def other_spellings(token: str) -> Iterator[str]:
    """Texts that a lenient decoder takes for the same bytes."""
    yield token + "="
    yield token + "=="
    yield token + "\n"
    yield " " + token
    yield token[:5] + "!" + token[5:]
    yield token.replace("-", "+").replace("_", "/") + ("" if set(token) & {"-", "_"} else "?")
    last = ALPHABET.index(token[-1])
    yield from (token[:-1] + ALPHABET[last ^ bit] for bit in (1, 2, 3))


@given(bodies)
def test_a_token_has_one_spelling_only(body: bytes) -> None:
    """Decoders pass over strange characters and the last bits; then one token would have many."""
    tokens = Tokens([OLD])

    for other in other_spellings(tokens.make("open", body)):
        assert refused(tokens, "open", other), other


def test_what_is_longer_than_any_token_is_not_even_looked_at() -> None:
    tokens = Tokens([OLD])

    assert refused(tokens, "open", tokens.make("open", b"x" * TOKEN_MAX))


def test_tokens_of_old_secrets_are_read_and_new_ones_are_made_with_the_first() -> None:
    before, after = Tokens([OLD]), Tokens([NEW, OLD])

    assert after.read("open", before.make("open", b"x")) == b"x"
    assert after.make("open", b"x") == Tokens([NEW]).make("open", b"x")
    assert refused(Tokens([NEW]), "open", before.make("open", b"x"))


def test_without_a_secret_nothing_can_be_made() -> None:
    with pytest.raises(ConfigError, match="tracking"):
        Tokens().make("open", b"x")


def test_a_token_of_an_unknown_secret_has_the_secrets_read_anew_but_not_each_time() -> None:
    """Otherwise whoever sends nonsense would have the store read for each of it."""
    asked: list[int] = []
    now = [0]

    def again() -> list[str]:
        asked.append(now[0])
        return [NEW, OLD]

    tokens = Tokens([OLD], again, lambda: now[0])
    for _ in range(100):
        assert refused(tokens, "open", Tokens(["77" * 32]).make("open", b"x"))
    assert tokens.read("open", Tokens([NEW]).make("open", b"x")) == b"x"
    assert len(asked) == 1

    now[0] += LOOK_MS
    assert refused(tokens, "open", Tokens(["77" * 32]).make("open", b"x"))
    assert asked == [0, LOOK_MS]


def test_the_secret_of_a_store_can_be_changed_with_the_old_links_alive_or_dead(
    bench: Bench,
) -> None:
    secrets = iter((OLD, NEW, "2d" * 32))
    ours = links_of(bench.context, lambda: next(secrets), None, "https://x.test")
    first = ours.unsubscribe.token("ada", "offers")

    ours.change_secret()
    second = ours.unsubscribe.token("ada", "offers")
    assert first != second
    elsewhere = links_of(bench.context, lambda: "no other", None, "https://x.test")
    for links in (ours, elsewhere):
        assert links.unsubscribe.read(first) == links.unsubscribe.read(second) == ("ada", "offers")

    ours.change_secret(forget=True)
    for token in (first, second):
        with pytest.raises(RequestError, match="not one of ours"):
            ours.unsubscribe.read(token)


def test_who_has_no_urls_configured_reads_the_links_of_those_who_have(bench: Bench) -> None:
    """The process that answers HTTP need not be the one that sends."""
    answers = links_of(bench.context, lambda: OLD)
    sends = links_of(bench.context, lambda: OLD, "https://x.test/u/{token}")

    token = sends.unsubscribe.token("ada", "offers")

    assert answers.unsubscribe.redeem(token) == ("ada", "offers")
    with pytest.raises(ConfigError, match="unsubscribe: no URL"):
        answers.unsubscribe.url("ada", "offers")


def mutated(token: str, dice: random.Random) -> str:
    """A token with something wrong: changed, cut, longer, put together of two, or of its bytes."""
    at = dice.randrange(len(token))
    match dice.randrange(6):
        case 0:
            return token[:at] + dice.choice(ALPHABET) + token[at + 1 :]
        case 1:
            return token[:at]
        case 2:
            return token[:at] + dice.choice(ALPHABET) + token[at:]
        case 3:
            return token[:at] + token[at + 1 :]
        case 4:
            raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
            return base64.urlsafe_b64encode(raw).decode().rstrip("=")
        case _:
            return "".join(dice.choice(ALPHABET) for _ in range(len(token)))


def accepted_of(count: int, seed: int) -> list[str]:
    """Those of so many mutated tokens that some purpose accepts."""
    dice = random.Random(seed)
    tokens = Tokens([NEW, OLD])
    made = {
        Tokens([secret]).make(purpose, f"{purpose} {number} https://a.test/{'x' * number}".encode())
        for secret in (OLD, NEW)
        for purpose in PURPOSES
        for number in range(20)
    }
    good = sorted(made)
    found = []
    for _ in range(count):
        token = mutated(dice.choice(good), dice)
        if token not in made and not refused(tokens, dice.choice(PURPOSES), token):
            found.append(token)
    return found


def test_twenty_thousand_mutated_tokens_are_refused() -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")

    assert accepted_of(20_000, seed) == []


@pytest.mark.soak
def test_a_million_mutated_tokens_are_refused() -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")

    assert accepted_of(1_000_000, seed) == []
