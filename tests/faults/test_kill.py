"""Senders are killed with SIGKILL, again and again, and the mail server's books are right."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from judged import check_store, judge, play, seeds
from proof.lives import PEOPLE, Case, draw_death, open_app
from proof.mail_room import Death, MailRoom

from tactful import Rule, State
from tactful.testing.smtp_sink import Fault

DAY = 86_400_000


def kill_often(url: str, seed: int, kills: int) -> int:
    """Gives how many were really killed."""

    def live(case: Case, draw: Random) -> None:
        for _ in range(kills):
            case.live(draw_death(draw))
            check_store(url)
        case.live()

    books, killed = play(url, seed, live)
    return judge(books, seed, killed).killed


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'tactful.db'}"


def test_nothing_is_lost_or_too_much_whenever_a_sender_is_killed(tmp_path: Path) -> None:
    killed = 0
    for number, seed in enumerate(seeds(2)):
        killed += kill_often(f"sqlite:///{tmp_path / f'{number}.db'}", seed, 6)

    assert killed > 5


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_too_much_in_many_deaths(tmp_path: Path) -> None:
    killed = sum(
        kill_often(f"sqlite:///{tmp_path / f'{number}.db'}", seed, 8)
        for number, seed in enumerate(seeds(20))
    )

    assert killed > 100


# One a day ------------------------------------------------------------------------------------

ANN, BOB = PEOPLE[:2]
ONE_A_DAY = Rule(name="daily", types=["news"], limit="1/day")


def left(url: str) -> tuple[dict[State, int], list[int]]:
    """The states, and for each that waits how long after its latest attempt it goes on."""
    app = open_app(url)
    waits = []
    for row in app.deliveries(state=State.DEFERRED):
        with app.store.reading() as reader:
            waits.append(row.due_at - reader.attempts(row.id)[-1].at)
    states = app.counts()
    app.close()
    return states, waits


@pytest.mark.parametrize(
    ("when", "arrived"),
    [
        pytest.param(Death("envelope", 1), [], id="before any data"),
        pytest.param(Death("taken", 1), [ANN], id="before the 250"),
        pytest.param(Death("taken", 2), [ANN, BOB], id="after the 250"),
    ],
)
def test_one_a_day_is_one_a_day_however_often_its_sender_is_killed(
    url: str, when: Death, arrived: list[str]
) -> None:
    """Both go over one connection, Ann's first. Whatever was begun and has no answer on file may
    have arrived: it waits for a slot of its own, also through further restarts.
    """
    app = open_app(url)
    app.rules.put(ONE_A_DAY)
    app.send_many([{"type": "news", "to": to, "text": "<news>"} for to in (ANN, BOB)])
    app.close()
    with MailRoom() as room:
        for _ in range(3):
            room.run(url, death=when, until="due")
        mails, killed = [mail.to for mail in room.mails], room.kills

    assert (mails, killed) == (arrived, 1)
    assert left(url) == ({State.DEFERRED: 2}, [DAY, DAY])


def test_a_swallowed_answer_uses_up_the_day(url: str) -> None:
    """It was taken, and nobody can know: the second try waits for its own slot."""
    with MailRoom() as room:
        room.script[0] = Fault.reset("dot", accepted=True)
        app = open_app(url)
        app.rules.put(ONE_A_DAY)
        app.send(type="news", to=ANN, text="<news>")
        app.close()
        for _ in range(3):
            room.run(url, until="due")
        mails = [mail.to for mail in room.mails]

    assert mails == [ANN]
    assert left(url) == ({State.DEFERRED: 1}, [DAY])
