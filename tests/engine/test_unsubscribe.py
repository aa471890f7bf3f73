"""Unsubscribing with one click, and nobody else."""

from __future__ import annotations

import base64

import pytest
from engine_bench import Bench

from tactful.core.errors import ConfigError, RequestError
from tactful.engine.links.tokens import Tokens
from tactful.engine.links.unsubscribe import Unsubscribe
from tactful.stores.memory import MemoryStore

URL = "https://example.com/u?t={token}&x=1"
SECRET = "0f" * 32


def ours_of(bench: Bench, secret: str = SECRET) -> Unsubscribe:
    return Unsubscribe(bench.context, Tokens([secret]), URL)


@pytest.mark.parametrize(
    "url", ["http://example.com/{token}", "https://example.com/", "https://exämple.com/{token}", ""]
)
def test_the_link_must_be_https_and_have_a_place_for_the_token(quick: Bench, url: str) -> None:
    with pytest.raises(ConfigError, match="https URL with"):
        Unsubscribe(quick.context, Tokens([SECRET]), url)


def test_the_headers_hold_a_link_that_works(bench: Bench) -> None:
    bench.type("deal", category="offers")
    ours = ours_of(bench)
    delivery = bench.delivery(bench.send("deal", to="ada@example.com"))

    (name, link), (post, click) = ours.headers(delivery)
    token = link.removeprefix("<https://example.com/u?t=").removesuffix("&x=1>")

    assert (name, post, click) == (
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Unsubscribe=One-Click",
    )
    assert token.isascii()
    assert ours.redeem(token) == ("ada@example.com", "offers")
    assert bench.send("deal", to="Ada@example.com").reason == "muted: category:offers"
    assert bench.send("news", to="ada@example.com").decision == "send"


def test_a_click_keeps_what_else_is_known_of_the_person(bench: Bench) -> None:
    bench.person("ada", name="Ada", email="ada@example.com", mute=("type:old",))
    ours = ours_of(bench)

    for _ in range(2):
        ours.redeem(ours.token("ada", "offers"))

    found = bench.people.get("ada")
    assert found is not None
    assert found.mute == ("category:offers", "type:old")
    assert (found.name, found.email) == ("Ada", "ada@example.com")


def test_who_was_never_registered_is_remembered_for_it(bench: Bench) -> None:
    ours = ours_of(bench)
    ours.redeem(ours.token("x@example.com", "default"))
    ours.redeem(ours.token("plain", "default"))

    assert bench.send(to="x@example.com", channels="mail").decision == "suppress"
    assert bench.send(to="plain").decision == "suppress"


def test_names_outside_ascii_survive_the_link(bench: Bench) -> None:
    ours = ours_of(bench)

    assert ours.redeem(ours.token("zoë", "größe")) == ("zoë", "größe")


def forged() -> list[str]:
    bench = Bench(MemoryStore())
    ours, other = ours_of(bench), ours_of(bench, "1e" * 32)
    good = ours.token("ada", "offers")
    raw = base64.urlsafe_b64decode(good + "==")
    return [
        "",
        "x",
        "abcde",
        "not base64 at all!",
        "ключ",
        "A" * 22,
        good[:-4],
        good + "AAAA",
        good.swapcase(),
        other.token("ada", "offers"),
        base64.urlsafe_b64encode(raw[:18]).decode().rstrip("="),
        base64.urlsafe_b64encode(raw[:18] + b"offers\nbob").decode().rstrip("="),
        base64.urlsafe_b64encode(bytes([raw[0] ^ 1]) + raw[1:]).decode().rstrip("="),
    ]


@pytest.mark.parametrize("token", forged())
def test_a_forged_token_unsubscribes_nobody(quick: Bench, token: str) -> None:
    with pytest.raises(RequestError) as refused:
        ours_of(quick).redeem(token)

    assert (refused.value.field, refused.value.bound) == ("token", "is not one of ours")
    assert len(quick.people) == 0
