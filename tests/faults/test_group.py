"""Worker processes of one group: they are killed, stopped and replaced while they send.

The mail server's log and the store are judged in the end by the independent checker.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from grouped import (
    Books,
    Group,
    Post,
    await_all_sent,
    await_that,
    end_of,
    holders,
    number_of,
    open_app,
    submit,
)

from tactful import Rule, State, Tactful
from tactful.testing.servers.postgres import PostgresServer
from tactful.testing.smtp_sink import Received

PACE = Rule(name="pace", types=["news"], limit="4/2s")
LATE_MS = 10_000
"""Far above the two seconds that are promised, for a machine on its knees; far below a lease."""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tactful.db'}"
    return str(request.getfixturevalue("postgres_store_url"))


@pytest.fixture
def app(url: str) -> Iterator[Tactful]:
    app = open_app(url)
    yield app
    app.close()


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Post(tmp_path) as post:
        yield post


# Death ----------------------------------------------------------------------------------------


def test_what_a_killed_worker_had_is_sent_by_others(
    tmp_path: Path, url: str, app: Tactful, post: Post
) -> None:
    """At once, not when its leases end; what was in its hands is marked, the rest is not."""
    app.rules.put(PACE)
    submit(app, 120, people=40)
    post.open.clear()
    with Group(tmp_path, url, post) as group:
        group.await_said("working", 2)
        await_that(lambda: bool(holders(app)))
        victim, _ = holders(app).most_common(1)[0]
        os.kill(group.pid(victim), signal.SIGKILL)
        ended = group.await_said("ended", worker=victim, how="SIGKILL", asked=False)
        released = group.await_said("released", worker=victim)
        post.open.set()
        group.await_said("working", 2, worker=victim)
        await_all_sent(app)
        assert group.stop() == 0
        books = Books(app, post)

    books.check(120)
    rescued = books.named("rescued")
    assert released["leases"] >= len(rescued) > 0
    print(f"rescued {max(event.at for event in rescued) - ended['at']} ms after the death")
    assert max(event.at for event in rescued) - ended["at"] < LATE_MS
    doubtful = {event.delivery_id for event in rescued}
    assert {a.delivery_id for a in books.attempts if a.outcome is None} == doubtful
    assert [
        row for row in books.rows if row.tries or (row.crashes and row.id not in doubtful)
    ] == []


def test_all_workers_may_be_killed_at_once(
    tmp_path: Path, url: str, app: Tactful, post: Post
) -> None:
    submit(app, 120, people=40)
    post.pause_s = 0.01
    with Group(tmp_path, url, post, processes=3) as group:
        group.await_said("working", 3)
        for deaths in range(3):
            post.await_mails(20 * (deaths + 1))
            for worker in (1, 2, 3):
                if not group.has_ended(group.pid(worker)):
                    os.kill(group.pid(worker), signal.SIGKILL)
            group.await_said("ended", 3 * (deaths + 1))
            group.await_said("working", 3 * (deaths + 2))
        await_all_sent(app)
        assert group.stop() == 0
        books = Books(app, post)

    books.check(120)
    assert books.named("quarantined") == []


def test_a_message_that_kills_its_worker_is_set_aside_and_the_others_go(
    tmp_path: Path, url: str, app: Tactful, post: Post
) -> None:
    """After `crashes_max` deaths; from the second on it goes alone, and takes no other down."""
    receipt = app.send(type="note", to="victim@example.org", text="poison", priority="high")
    assert receipt.delivery_id is not None
    poison = receipt.delivery_id
    submit(app, 60, people=30)
    with Group(tmp_path, url, post, crashes_max=4) as group:

        def kill_who_sends_it(received: Received) -> None:
            row = app.delivery(poison)
            if received.rcpt_tos == ("victim@example.org",) and row is not None:
                os.kill(group.pid(number_of(row.owner)), signal.SIGKILL)

        post.on_mail = kill_who_sends_it
        await_all_sent(app)
        assert group.stop() == 0
        deaths = [line for line in group.said if line.get("asked") is False]
    books = Books(app, post)

    assert books.states == {State.SENT: 60, State.FAILED: 1}
    assert [event.delivery_id for event in books.named("quarantined")] == [poison]
    assert books.report.clean, books.report.to_dict()
    assert len(deaths) == 4
    rescued = Counter(event.delivery_id for event in books.named("rescued"))
    assert set(rescued.values()) <= {1, 3}


def test_a_killed_supervisor_takes_its_workers_along_in_good_order(
    tmp_path: Path, url: str, app: Tactful, post: Post
) -> None:
    """Each sees its leash close, finishes what is under way, and leaves the rest."""
    submit(app, 400, people=50)
    post.pause_s = 0.02
    with Group(tmp_path, url, post) as group:
        group.await_said("working", 2)
        post.await_mails(10)
        workers = [group.pid(1), group.pid(2)]
        group.signal(signal.SIGKILL)
        group.process.wait()
        assert [end_of(pid) for pid in workers] == [True, True]
        books = Books(app, post)

    assert books.states[State.SENDING] == 0
    assert books.states[State.SENT] == len(books.mails)
    assert books.report.clean, books.report.to_dict()
    books.check_calm()


# Asked to end ---------------------------------------------------------------------------------


def restarts(folder: Path, url: str, app: Tactful, post: Post, count: int) -> None:
    """A group is stopped in the middle of its work and started again, that many times."""
    each = 60
    post.pause_s = 0.005
    app.rules.put(PACE)
    for number in range(count):
        submit(app, each, people=40, begin=number * each)
        with Group(folder, url, post, processes=1 + number % 3 + (number % 3 == 0)) as group:
            group.await_said("working")
            post.await_mails(each // 2 * (number + 1))
            assert group.stop() == 0
            assert State.SENDING not in app.counts()
            assert [line for line in group.said if line.get("asked") is False] == []
            assert group.complaints == ""
    with Group(folder, url, post) as group:
        await_all_sent(app)
        assert group.stop() == 0
    books = Books(app, post)
    books.check(count * each)
    books.check_calm()


def test_a_stop_under_load_burns_nothing_and_sends_nothing_twice(
    tmp_path: Path, url: str, app: Tactful, post: Post
) -> None:
    restarts(tmp_path, url, app, post, 2)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_stops_under_load_burn_nothing_and_send_nothing_twice(
    tmp_path: Path, url: str, app: Tactful, post: Post
) -> None:
    restarts(tmp_path, url, app, post, 100)


def test_who_does_not_end_in_time_is_killed_and_lets_go(
    tmp_path: Path, url: str, app: Tactful, post: Post
) -> None:
    """A second signal ends the patience; what was in the air is due at once."""
    submit(app, 40, people=40)
    post.open.clear()
    with Group(tmp_path, url, post) as group:
        await_that(lambda: bool(holders(app)))
        group.await_said("working", 2)
        group.signal(signal.SIGTERM)
        group.await_said("stopping")
        await_that(lambda: sum(holders(app).values()) == app.counts().get(State.SENDING))
        assert group.process.poll() is None
        assert group.stop() == 0
        group.await_said("killed")
        freed = sum(line["leases"] for line in group.said if line.get("event") == "released")
    assert freed == app.counts()[State.SENDING] > 0
    now = app.clock.now()
    assert {row.due_at <= now for row in app.deliveries(state=State.SENDING)} == {True}


# Replaced -------------------------------------------------------------------------------------


def test_replacing_the_workers_one_after_the_other_never_stops_the_sending(
    tmp_path: Path, url: str, app: Tactful, post: Post
) -> None:
    submit(app, 300, people=50)
    post.pause_s = 0.01
    with Group(tmp_path, url, post) as group:
        group.await_said("working", 2)
        before = [group.pid(1), group.pid(2)]
        post.await_mails(20)
        group.signal(signal.SIGHUP)
        group.await_said("working", 2, worker=1)
        submit(app, 100, people=50, begin=300)
        group.await_said("working", 2, worker=2)
        await_all_sent(app)
        assert group.stop() == 0
        books = Books(app, post)
        order = [
            (line["event"], line["worker"])
            for line in group.said[5:]
            if line.get("event") in ("ended", "working")
        ]
        said = list(group.said)

    books.check(400)
    books.check_calm()
    assert order[:4] == [("ended", 1), ("working", 1), ("ended", 2), ("working", 2)]
    after = {line["pid"] for line in said if line.get("event") == "working"} - {*before}
    assert len(after) == 2


# The store goes away --------------------------------------------------------------------------


def test_a_server_that_crashes_and_comes_back_loses_nothing(tmp_path: Path, post: Post) -> None:
    """The workers stay, wait, and record what they have sent meanwhile."""
    post.pause_s = 0.01
    with PostgresServer(durable=True) as server:
        app = open_app(server.url())
        app.rules.put(PACE)
        submit(app, 200, people=50)
        with Group(tmp_path, server.url(), post) as group:
            group.await_said("working", 2)
            for crashes in range(3):
                post.await_mails(40 * (crashes + 1))
                server.kill()
                server.start()
            await_all_sent(app)
            assert group.stop() == 0
            assert [line for line in group.said if line.get("asked") is False] == []
            books = Books(app, post)
        app.close()

    books.check(200)
