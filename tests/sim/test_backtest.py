"""A backtest reads a real store, on SQLite and PostgreSQL, and changes nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tactful import Message, NotificationType, Outcome, Recipient, Rejected, Rule, Tactful
from tactful.core.model import DAY, HOUR, MINUTE
from tactful.engine.settings import Settings
from tactful.errors import ConfigError, InvalidRule
from tactful.runtime.clock import ManualClock
from tactful.sim.backtest import Backtest, backtest
from tactful.sim.scenario import START
from tactful.stores.chosen import viewing
from tactful.testing import CaptureChannel
from tactful.testing.contracts.store.snapshot import snapshot


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty store of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'notify.db'}"
    else:
        yield request.getfixturevalue("used_store_url")


def outcome(message: Message) -> Outcome | None:
    """Nobody is at home where the text says so."""
    return Rejected("nobody there") if message.text == "bounce" else None


def opened(url: str, clock: ManualClock) -> Tactful:
    channels = [CaptureChannel("email", outcome), CaptureChannel("sms")]
    return Tactful(url, channels=channels, clock=clock, seed=1)


def busy(url: str) -> ManualClock:
    """A store with a day of news every ten minutes for Ada, and a little for Bob in Berlin."""
    clock = ManualClock(START)
    app = opened(url, clock)
    app.rules.put(Rule("pace", "6/hour", types=["news"]), Rule("offers", "1/day", types=["offer"]))
    app.recipients.put_many([Recipient("ada"), Recipient("bob", timezone="Europe/Berlin")])
    for number in range(144):
        clock.set(START + number * 10 * MINUTE)
        app.send(type="news", to="ada", text=f"{number}")
        if number % 24 == 0:
            app.send(type="offer", to="bob", text="buy")
        app.tick()
    app.close()
    return clock


def asked(url: str, *rules: Rule, now: int, **more: Any) -> Backtest:
    """A backtest from the first instant to this one."""
    span = {"since": START, "until": now + 1, **more}
    with viewing(url) as reader:
        return backtest(reader, rules, Settings(), now=now, **span)


def test_the_rules_in_force_come_to_what_is_recorded(url: str) -> None:
    """Nothing stood in the way of this store, so the replay repeats what it did; and it knows when
    what still waits will go."""
    clock = busy(url)

    found = asked(url, *rules_in_force(url), now=clock.now())

    assert found.in_force.total.outcomes == found.recorded.total.outcomes
    assert found.in_force.types["news"] == found.recorded.types["news"]
    assert found.in_force.messages == found.recorded.messages == 145
    assert found.in_force.rules["offers"].delays.max == 5 * DAY - 20 * HOUR
    assert found.proposed == found.in_force
    assert found.changes == {"same": 150, "earlier": 0, "later": 0, "stopped": 0, "freed": 0}
    assert (found.people, found.people_hit, found.hit) == (2, 0, [])


def rules_in_force(url: str) -> list[Rule]:
    app = opened(url, ManualClock(START))
    rules = list(app.rules.list())
    app.close()
    return rules


def test_a_tighter_limit_is_told_by_type_by_rule_and_by_person(url: str) -> None:
    """3 an hour instead of 6: news come ever later, offers are no longer held."""
    clock = busy(url)

    found = asked(url, Rule("calm", "3/hour", types=["news"]), now=clock.now())

    news = found.proposed.types["news"]
    assert news.submitted == 144
    assert news.outcomes["sent"] == 3
    assert news.outcomes["deferred"] + news.outcomes["waiting"] == 141
    # Number n was submitted n times 10 minutes after the first, and 3 go in each hour.
    late = [n // 3 * HOUR + n % 3 * 10 * MINUTE - n * 10 * MINUTE for n in range(144)]
    assert news.delays.max == max(late)
    assert found.proposed.rules["calm"].submitted == 141
    assert (found.changes["later"], found.changes["earlier"]) == (141, 5)
    (ada,) = found.hit
    assert (ada.recipient, ada.submitted, ada.later, ada.stopped) == ("ada", 144, 141, 0)
    assert ada.longest_ms == news.delays.max


def test_every_way_to_handle_what_is_over_is_told(url: str) -> None:
    """Digest, collapse, reject; a digest is one message."""
    clock = busy(url)
    now = clock.now()

    digest = asked(url, Rule("d", "1/6h", types=["news"], on_limit="digest"), now=now)
    collapse = asked(url, Rule("c", "1/6h", types=["news"], on_limit="collapse"), now=now)
    reject = asked(url, Rule("r", "1/6h", types=["news"], on_limit="reject"), now=now)

    assert digest.proposed.types["news"].outcomes["digested"] == 3 * 36 - 1 + 1
    assert digest.proposed.messages == 4 + 6
    assert collapse.proposed.types["news"].outcomes["collapsed"] == 4 * 35 - 1
    assert reject.proposed.types["news"].outcomes["rejected"] == 4 * 35
    assert reject.proposed.types["news"].delays.max == 0
    assert reject.changes["stopped"] == 4 * 35
    assert reject.moves["news", "sent", "rejected"] == 4 * 35
    assert reject.proposed.most_in_a_day == 6


def test_quiet_hours_are_those_of_the_recipient(url: str) -> None:
    """Berlin is an hour ahead of UTC in winter."""
    clock = busy(url)

    found = asked(url, Rule("night", quiet="00:00-08:00"), now=clock.now(), types=["offer"])

    # Submitted to Bob at 0, 4, 8, ... UTC: the first two wait until 7 UTC.
    assert found.proposed.types["offer"].delays.max == 7 * HOUR
    assert found.proposed.rules["night"].outcomes["deferred"] == 2


def test_a_span_and_types_narrow_what_is_told_and_not_what_counts(url: str) -> None:
    """The news before the span still fill the windows of the rules."""
    clock = busy(url)
    now = clock.now()
    noon = START + DAY // 2

    found = asked(url, Rule("all", "1/2h"), now=now, since=noon, until=noon + HOUR)
    offers = asked(url, Rule("all", "1/2h"), now=now, types=["offer"])

    assert found.recorded.total.submitted == 6 + 0 + len([n for n in range(72, 78) if n % 24 == 0])
    assert found.first == noon
    assert found.proposed.types["news"].outcomes["sent"] == 0
    assert list(offers.recorded.types) == ["offer"]
    assert offers.people == 1


def test_failures_wishes_and_schedules_are_taken_over(url: str) -> None:
    """What nobody can receive fails again; a scheduled one waits for its instant."""
    clock = ManualClock(START)
    app = opened(url, clock)
    app.types.put(NotificationType("loud", mandatory=True))
    app.recipients.put_many([Recipient("ada", mute=("type:news",))])
    app.send(type="bill", to="ada", text="bounce")
    app.tick()
    clock.set(START + 1)
    app.send(type="news", to="ada", text="x")
    app.send(type="bill", to="ada", text="x", deliver_at=START + 2 * HOUR)
    app.tick()
    clock.set(START + 2 * HOUR)
    app.tick()
    app.close()

    found = asked(url, Rule("pace", "1/day"), now=clock.now())

    assert found.recorded.total.outcomes == found.proposed.total.outcomes
    assert found.proposed.total.outcomes["failed"] == 1
    assert found.proposed.total.outcomes["suppressed"] == 1
    assert found.proposed.total.outcomes["sent"] == 1
    assert found.proposed.total.delays.max == 0


def test_what_is_left_out_is_said(url: str) -> None:
    """Throughput is everybody's, a rule may match nothing, and history has an end."""
    clock = busy(url)
    now = clock.now()

    found = asked(
        url,
        Rule("provider", "10/second", channels=["email"], per="channel"),
        Rule("typo", "1/day", types=["nwes"]),
        Rule("month", "500/30d"),
        now=now + 8 * DAY,
    )

    assert found.unkept == ["provider"]
    assert found.idle == ["typo"]
    assert found.blind == now + 8 * DAY - 36 * DAY + 30 * DAY


def test_a_rule_that_could_not_be_put_in_force_is_refused(url: str) -> None:
    """As `rules apply` would refuse it."""
    clock = busy(url)

    with pytest.raises(InvalidRule, match="35 days"):
        asked(url, Rule("year", "9/300d"), now=clock.now())


def test_a_store_without_traffic_gives_zeros(url: str) -> None:
    """All figures are there, and empty."""
    opened(url, ManualClock(START)).close()

    found = asked(url, Rule("pace", "1/day"), now=START + DAY)

    assert (found.people, found.first, found.proposed.total.submitted) == (0, None, 0)
    assert found.proposed.total.delays.max is None
    assert found.to_dict()["hit"] == []


def test_the_portions_that_are_read_make_no_difference(url: str) -> None:
    """A recipient who is in several portions is replayed whole."""
    now = busy(url).now()
    rules = [Rule("pace", "1/4h", on_limit="digest"), Rule("night", quiet="22:00-07:00")]

    with viewing(url) as reader:
        found = [
            backtest(reader, rules, Settings(), since=START, until=now, now=now, portion=portion)
            for portion in (1, 7, 5_000)
        ]

    assert found[0] == found[1] == found[2]


def test_nothing_is_changed_in_the_store(tmp_path: Path) -> None:
    """Not a byte of the file, also while somebody else has it open."""
    file = tmp_path / "notify.db"
    url = f"sqlite:///{file}"
    clock = busy(url)
    closed = file.read_bytes()
    asked(url, Rule("pace", "1/day"), now=clock.now())
    assert file.read_bytes() == closed

    app = opened(url, clock)
    app.send(type="news", to="ada", text="x")
    before, log = file.read_bytes(), file.with_name("notify.db-wal").read_bytes()
    found = asked(url, Rule("pace", "1/day"), now=clock.now())
    assert found.recorded.total.submitted == 151
    assert (file.read_bytes(), file.with_name("notify.db-wal").read_bytes()) == (before, log)
    app.close()


def test_nothing_is_changed_on_postgresql(used_store_url: str) -> None:
    """Every answer is the same as before, and a transaction that looks cannot write."""
    clock = busy(used_store_url)
    app = opened(used_store_url, clock)
    before = snapshot(app.store, kinds=("rule", "type"))
    asked(used_store_url, Rule("pace", "1/day"), now=clock.now())
    assert snapshot(app.store, kinds=("rule", "type")) == before
    app.close()

    with viewing(used_store_url) as reader, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader._cursor.execute("DELETE FROM due")  # type: ignore[attr-defined]


def test_one_view_is_one_instant(url: str) -> None:
    """What is submitted meanwhile is not in it, and is not held up either."""
    clock = busy(url)
    app = opened(url, clock)
    with viewing(url) as reader:
        first = len(reader.records(0, clock.now() + 1))
        app.send(type="news", to="ada", text="late")
        app.tick()
        assert len(reader.records(0, clock.now() + 1)) == first
    app.close()


def test_there_has_to_be_a_store(tmp_path: Path, postgres_url: str) -> None:
    """None is made by looking for it."""
    missing = tmp_path / "nothing.db"
    for where in (f"sqlite:///{missing}", postgres_url, "memory://"):
        with pytest.raises(ConfigError), viewing(where):
            pass
    assert not missing.exists()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regclass('migrations')").fetchone() == (None,)
