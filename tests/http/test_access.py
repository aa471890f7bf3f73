"""Who may do what: keys, scopes, the end of a key, and the world of keys for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_bench import DAY, HOUR, START, Api, said

from tactful import Rule, Tactful
from tactful.engine.keys import ApiKey
from tactful.http.uses import AGAIN_MS, Uses
from tactful.http.worlds import Worlds
from tactful.runtime.clock import ManualClock
from tactful.testing import CaptureChannel

SINGLE = "/v1/notifications"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer tk_live_short"},
        {"Authorization": "Bearer tk_live_" + "A" * 43 + "0000000"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer " + "x" * 8000},
    ],
    ids=str,
)
def test_without_a_key_in_force_nothing_is_answered(api: Api, header: dict[str, str]) -> None:
    answer = api.client.get("/v1/rules", headers=header)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["code"] == "unauthorized"


def test_a_key_is_asked_for_before_the_body_is_looked_at(api: Api) -> None:
    kind = {"Content-Type": "application/json"}

    assert api.client.post(SINGLE, content=b"{", headers=kind).status_code == 401
    assert api.client.post(SINGLE, content=b"{", headers=kind | api.sender).status_code == 400


def test_a_scope_is_all_that_a_key_opens(api: Api) -> None:
    reader = api.key("eyes", "read")

    assert api.client.get("/v1/rules", headers=reader).status_code == 200
    refused = api.client.post(SINGLE, json=said(), headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert api.client.delete("/v1/rules/x", headers=api.sender).status_code == 403
    assert api.client.get("/v1/keys", headers=api.sender).status_code == 403


def test_a_revoked_key_opens_nothing_a_second_later(every: Api) -> None:
    shop = every.key("other", "send")
    assert every.client.post(SINGLE, json=said(), headers=shop).status_code == 202

    every.app.keys.remove("other")
    every.running.advance(1_000)

    assert every.client.post(SINGLE, json=said(), headers=shop).status_code == 401


def test_a_key_that_another_process_revokes_opens_nothing_a_second_later(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tactful.db'}"
    with Api(url) as api:
        assert api.client.get("/v1/rules", headers=api.sender).status_code == 200

        other = Tactful(url)
        other.keys.remove("shop")
        other.close()
        api.running.advance(1_000)

        assert api.client.get("/v1/rules", headers=api.sender).status_code == 401


def test_a_key_ends_at_its_very_millisecond(api: Api) -> None:
    short = api.key("short", "read", lives_ms=HOUR)

    api.clock.set(START + HOUR - 1)
    assert api.client.get("/v1/rules", headers=short).status_code == 200
    api.clock.set(START + HOUR)
    assert api.client.get("/v1/rules", headers=short).status_code == 401


def test_while_a_key_is_rotated_both_secrets_are_good(every: Api) -> None:
    made = every.client.post("/v1/keys/shop/rotate", json={"overlap": "2h"}, headers=every.admin)
    fresh = {"Authorization": f"Bearer {made.json()['token']}"}
    every.running.advance(1_000)

    assert every.client.get("/v1/rules", headers=fresh).status_code == 200
    assert every.client.get("/v1/rules", headers=every.sender).status_code == 200
    every.clock.advance(2 * HOUR)
    assert every.client.get("/v1/rules", headers=fresh).status_code == 200
    assert every.client.get("/v1/rules", headers=every.sender).status_code == 401


def test_a_secret_is_shown_once_and_stored_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "tactful.db"
    with Api(f"sqlite:///{file}") as api:
        body = {"name": "new", "scopes": ["send"], "lives": "90d"}
        made = api.client.post("/v1/keys", json=body, headers=api.admin)
        token = made.json()["token"]
        secret = token.removeprefix("tk_live_")[:43]

        listed = api.client.get("/v1/keys", headers=api.admin)
        known = next(one for one in listed.json()["items"] if one["name"] == "new")
        assert known["secrets"] == [{"expires_at": START + 90 * DAY}]
        assert secret not in listed.text
        assert "digest" not in listed.text
        assert [token, secret] not in [list(event.data.values()) for event in api.app.events()]

    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in stored


def test_a_key_of_a_name_that_is_taken_is_refused(api: Api) -> None:
    answer = api.client.post(
        "/v1/keys", json={"name": "Shop", "scopes": ["read"]}, headers=api.admin
    )

    assert answer.status_code == 422
    assert api.client.get("/v1/rules", headers=api.sender).status_code == 200


def test_changes_are_signed_with_the_name_of_the_key(api: Api) -> None:
    api.client.put("/v1/rules/calm", json={"limit": "1/day"}, headers=api.admin)

    versions = api.client.get("/v1/rules/history", headers=api.sender).json()["items"]

    assert [(one["name"], one["author"]) for one in versions] == [("calm", "key:boss")]


# The other world ------------------------------------------------------------------------------


def test_what_test_keys_send_reaches_nobody(every: Api) -> None:
    """Not the channel, not the store, and no limit of anybody."""
    every.rule("daily", "1/day")

    decided = [
        every.client.post(SINGLE, json=said(), headers=every.test).json()["decision"]
        for _ in range(2)
    ]
    every.app.tick()

    assert decided == ["send", "defer"]
    assert every.post.messages == []
    assert every.app.deliveries() == []
    live = every.client.post(SINGLE, json=said(), headers=every.sender)
    assert live.json()["decision"] == "send"


def test_each_world_knows_only_its_own(api: Api) -> None:
    live = api.client.post(SINGLE, json=said(), headers=api.sender).json()["delivery_id"]
    trial = api.client.post(SINGLE, json=said(), headers=api.test).json()["delivery_id"]
    nobody = "0" * 32

    for headers, own, foreign in ((api.sender, live, trial), (api.test, trial, live)):
        assert api.client.get(f"/v1/deliveries/{own}", headers=headers).status_code == 200
        denied = api.client.get(f"/v1/deliveries/{foreign}", headers=headers)
        missing = api.client.get(f"/v1/deliveries/{nobody}", headers=headers)
        assert denied.status_code == missing.status_code == 404
        assert denied.text.replace(foreign, nobody) == missing.text


def test_the_other_world_follows_the_rules_of_the_live_one(api: Api) -> None:
    api.client.post(SINGLE, json=said(), headers=api.test)
    api.rule("none", "0/day", on_limit="reject")

    answer = api.client.post(SINGLE, json=said(), headers=api.test)

    assert answer.status_code == 429


def test_test_keys_neither_change_rules_nor_look_at_live_traffic(api: Api) -> None:
    change = api.client.put("/v1/rules/calm", json={"limit": "1/day"}, headers=api.test)
    look = api.client.post("/v1/rules/preview", json={"rules": []}, headers=api.test)

    assert (change.status_code, look.status_code) == (403, 403)
    assert api.app.rules.list() == []


def test_the_clock_of_the_other_world_is_the_same(api: Api) -> None:
    assert isinstance(api.clock, ManualClock)
    api.rule("daily", "1/day")
    api.client.post(SINGLE, json=said(), headers=api.test)
    waits = api.client.post(SINGLE, json=said(), headers=api.test).json()

    assert waits["deliver_at"] == START + DAY


def test_a_key_tells_when_it_was_last_used(every: Api) -> None:
    shop, _ = every.key("used", "send"), every.key("unused", "send")
    every.clock.advance(HOUR)
    every.client.post(SINGLE, json=said(), headers=shop)

    for _ in range(1_000):  # it is written beside the requests
        items = every.client.get("/v1/keys", headers=every.admin).json()["items"]
        found = {item["name"]: item["last_used_at"] for item in items}
        if found["used"] is not None:
            break
    assert (found["used"], found["unused"]) == (START + HOUR, None)


def test_who_asks_does_not_wait_until_the_use_of_the_key_is_written() -> None:
    clock, free = ManualClock(), threading.Event()
    written: list[str] = []

    def write(name: str) -> None:
        assert free.wait(20)
        written.append(name)

    uses = Uses(write, clock.now)
    for _ in range(100):
        uses.note("shop")
    uses.note("till")
    assert written == []
    free.set()
    clock.advance(AGAIN_MS - 1)
    uses.note("shop")
    clock.advance(1)
    uses.note("shop")
    uses.close()
    assert written == ["shop", "till", "shop"]


@pytest.fixture
def tried() -> Iterator[tuple[Tactful, Worlds, ApiKey]]:
    app = Tactful("memory://", channels=[CaptureChannel("post")], clock=ManualClock(START))
    worlds = Worlds(app, [CaptureChannel("post")], held_max=50)
    key, _ = app.keys.create("trial", ["test"])
    yield app, worlds, key
    worlds.close()
    app.close()


@pytest.mark.parametrize("grows", ["by what is sent", "by who is registered"])
def test_the_world_of_test_keys_does_not_grow_for_ever(
    tried: tuple[Tactful, Worlds, ApiKey], grows: str
) -> None:
    app, worlds, key = tried
    app.rules.put(Rule("cap", "1/hour"))
    first = worlds.of(key)

    sizes = []
    for number in range(120):
        world = worlds.of(key)
        if grows == "by what is sent":
            world.send(type="news", to=f"ada{number}@example.com", text="x")
        else:
            world.recipients.register(f"Ada {number}")
        with world.store.reading() as reader:
            sizes.append(reader.last_event() + reader.last_recipient())

    assert worlds.of(key) is not first
    # Between two looks all that was sent may be handed over, which is a fact about each, too.
    assert max(sizes) <= 2 * 50 + 3
    assert worlds.of(key).rules.get("cap") is not None


def test_what_test_keys_have_finished_with_goes_after_an_hour(
    tried: tuple[Tactful, Worlds, ApiKey],
) -> None:
    _, worlds, key = tried

    assert worlds.of(key).settings.keep_ms == HOUR
