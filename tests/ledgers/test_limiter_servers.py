"""Servers that crash, hang, forget and fill up, and many processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import valkey
from histories import Histories, MakeLimiter

from tactful import Ask, Rule
from tactful.errors import ConfigError, Unavailable
from tactful.testing.servers.valkey import ValkeyServer

PROGRAM = Path(__file__).with_name("asking_process.py")
DAILY = Rule("all", "3/day")


def grants(limits: list[str], granted: list[int]) -> None:
    """No window of any limit holds more than it may: counted by brute force."""
    granted = sorted(granted)
    for limit in limits:
        most, window = int(limit.split("/")[0]), int(limit.split("/")[1].removesuffix("ms"))
        for place in range(most, len(granted)):
            assert granted[place] - granted[place - most] >= window, f"{limit} at {place}"


def test_eight_processes_with_clocks_of_their_own_never_get_one_too_many(
    server: ValkeyServer,
) -> None:
    """Half of them are an hour off, ahead or behind, and jump on while they run."""
    limits = ["5/20ms", "40/300ms"]
    steps = ["0", "3600", "-3600", "0", "0", "86400", "-86400", "0"]
    processes = [
        subprocess.Popen(
            [sys.executable, PROGRAM, server.url(), "crowd", "400", step, *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for step in steps
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [json.loads(process.communicate()[0]) for process in processes]

    granted = [at for one in found for at in one["granted"]]
    asked = len(granted) + sum(one["refused"] for one in found)
    assert [process.returncode for process in processes] == [0] * 8
    assert asked == 8 * sum(1 + number % 3 for number in range(400))
    grants(limits, granted)
    # And not one too few: what is refused had a full window before it.
    assert len(granted) >= 40
    assert max(Counter(granted).values()) <= 5


def test_a_server_that_forgot_its_scripts_is_told_them_again(
    make: MakeLimiter, client: valkey.Valkey
) -> None:
    limiter = make(DAILY)
    ids = [limiter.acquire("ada", "news").id or ""]
    client.script_flush()
    ids += [answer.id or "" for answer in limiter.acquire_many([Ask("ada", "news")] * 600)[:2]]
    client.script_flush()

    assert limiter.release_many(ids) == [True] * 3


def test_what_a_durable_server_has_granted_survives_a_crash(make: MakeLimiter) -> None:
    with ValkeyServer(durable=True) as server:
        limiter = make(DAILY, url=server.url())
        before = [limiter.acquire("ada", "news").granted for _ in range(2)]

        server.kill()
        server.start()
        after = [limiter.acquire("ada", "news").granted for _ in range(2)]

    assert before + after == [True, True, True, False]


def test_a_server_in_memory_begins_anew_after_a_crash(make: MakeLimiter) -> None:
    """What is promised then: at most the limit once more, from the restart on."""
    with ValkeyServer() as server:
        limiter = make(DAILY, url=server.url())
        ids = [limiter.acquire("ada", "news").id or "" for _ in range(3)]

        server.kill()
        server.start()
        again = [limiter.acquire("ada", "news").granted for _ in range(4)]

        assert again == [True, True, True, False]
        assert limiter.release_many(ids) == [False] * 3
        assert not limiter.acquire("ada", "news").granted


def test_without_a_server_nothing_is_granted_by_default(make: MakeLimiter) -> None:
    with ValkeyServer() as server:
        limiter = make(DAILY, url=server.url())
        limiter.acquire("ada", "news")
        server.kill()

        with pytest.raises(Unavailable, match=r"redis://127.0.0.1:\d+: "):
            limiter.acquire("ada", "news")
        with pytest.raises(Unavailable):
            limiter.release("1-0:ada")
        server.start()

        assert limiter.acquire("ada", "news").granted


def test_without_a_server_all_is_granted_and_marked_if_so_wanted(make: MakeLimiter) -> None:
    with ValkeyServer() as server:
        limiter = make(DAILY, url=server.url(), on_down="allow", timeout_ms=300)
        assert limiter.acquire("ada", "news").checked
        server.kill()

        answers = limiter.acquire_many([Ask("ada", "news")] * 5)

    assert [(a.granted, a.checked, a.id) for a in answers] == [(True, False, None)] * 5


def test_a_server_that_hangs_is_not_waited_for(make: MakeLimiter) -> None:
    """The answers that come after all are for nobody: the next ask gets its own."""
    with ValkeyServer() as server:
        limiter = make(DAILY, url=server.url(), timeout_ms=100)
        limiter.acquire("ada", "news")
        server.pause()

        with pytest.raises(Unavailable):
            limiter.acquire("bob", "news")
        server.resume()

        assert limiter.acquire("ada", "news").remaining == 1


def test_a_new_limiter_does_not_wait_for_a_server_that_hangs(make: MakeLimiter) -> None:
    with ValkeyServer() as server:
        server.pause()
        with pytest.raises(Unavailable):
            make(DAILY, url=server.url(), timeout_ms=100).acquire("ada", "news")
        allowing = make(DAILY, url=server.url(), timeout_ms=100, on_down="allow")

        assert not allowing.acquire("ada", "news").checked
        server.resume()


def test_a_wrong_password_is_an_error_and_no_reason_to_allow(
    make: MakeLimiter, server: ValkeyServer
) -> None:
    limiter = make(DAILY, url=f"valkey://:guessed@127.0.0.1:{server.port}", on_down="allow")

    with pytest.raises(ConfigError) as caught:
        limiter.acquire("ada", "news")

    assert "guessed" not in str(caught.value)


def test_a_server_that_may_forget_histories_is_refused(make: MakeLimiter) -> None:
    settings = {"maxmemory": "50mb", "maxmemory-policy": "allkeys-lru"}
    with ValkeyServer(settings=settings) as server:
        with pytest.raises(ConfigError, match="maxmemory-policy is allkeys-lru"):
            make(DAILY, url=server.url()).acquire("ada", "news")

        assert make(DAILY, url=server.url(), evicting=True).acquire("ada", "news").granted


def test_a_full_server_refuses_to_decide(make: MakeLimiter) -> None:
    with ValkeyServer() as server, valkey.Valkey.from_url(server.url()) as client:
        limiter = make(DAILY, url=server.url())
        limiter.acquire("ada", "news")
        client.config_set("maxmemory", 1)

        with pytest.raises(Unavailable, match="maxmemory"):
            limiter.acquire("ada", "news")

        client.config_set("maxmemory", 0)
        assert limiter.acquire("ada", "news").remaining == 1


def test_a_recipient_whose_time_is_ahead_keeps_to_it(
    make: MakeLimiter, client: valkey.Valkey
) -> None:
    """Where the server's clock was set back, a window lasts until the clock is there again."""
    limiter = make(Rule("daily", "2/day calendar"), namespace="ahead")
    limiter.acquire("bob", "news")
    ahead = limiter.acquire("bob", "news").at + 40 * 86_400_000
    Histories(client, "ahead").advance("ada", ahead)

    answers = [limiter.acquire("ada", "news") for _ in range(3)]
    both = limiter.acquire_many([Ask(who, "news") for who in ("ada", "bob", "eve")])

    assert [answer.granted for answer in answers] == [True, True, False]
    assert {answer.at for answer in answers} == {ahead}
    assert [answer.granted for answer in both] == [False, False, True]
