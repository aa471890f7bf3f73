"""`kill`: senders end with SIGKILL at random moments under load, and others go on.

The mail server fails as the seed says: refusals, answers that are swallowed, lines that are cut. It
kills whoever sends at a drawn event: a receipt, an envelope, a mail that it has taken, or some
milliseconds later. Each history is one store with some deaths, and a sender that lives to its end.
"""

from __future__ import annotations

from random import Random
from uuid import uuid4

from proof.judging import copies, is_sound, judged, lines_of
from proof.lives import SUBMISSIONS, Case, draw_death, prepare, submissions
from proof.mail_room import MailRoom
from proof.on_postgres import await_back, await_gone, named
from proof.trial import Scenario, Tally, Trial, rounds
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.servers.postgres import PostgresServer

DEATHS = 5
"""In one history."""


def play(trial: Trial, tally: Tally) -> None:
    """Half of the deaths on a file, half on a server."""
    draw = Random(trial.seed)
    for number in rounds(tally, trial.size // 2, DEATHS):
        url = f"sqlite:///{trial.folder / f'{number}.db'}"
        history(url, draw.getrandbits(32), trial, tally)
    with PostgresServer() as server:
        await_back(server.url())
        for _ in rounds(tally, trial.size, DEATHS):
            name = f"proof_{uuid4().hex}"
            server.create_database(name)
            PostgresStore(server.url(name)).close()
            history(server.url(name), draw.getrandbits(32), trial, tally)
            server.drop_database(name)


def history(url: str, seed: int, trial: Trial, tally: Tally) -> None:
    draw = Random(seed)
    where = f"{url.partition(':')[0]} seed {seed}"
    log = trial.folder / f"{seed}.jsonl"
    prepare(url)
    with MailRoom(seed, log=log) as room:
        case = Case(url, room, submissions(draw))
        for number in range(DEATHS):
            live_and_die(case, f"mortal{number}", draw)
            if not is_sound(url):
                tally.find(f"{where}: the file is corrupt after death {number + 1}")
        case.live()
        tally.points += room.kills
        tally.unreached += DEATHS - room.kills
    arrived = lines_of(log)
    report = judged(url, arrived, case.receipts.values())
    tally.judge(report, where)
    tally.again += sum(count - 1 for count in copies(arrived).values())
    for kind, count in (("submissions", report.attempts), ("receipts", len(case.receipts))):
        if count != SUBMISSIONS:
            tally.find(f"{where}: {count} {kind} of {SUBMISSIONS}")
    if report.waiting:
        tally.find(f"{where}: {report.waiting} are stuck")


def live_and_die(case: Case, owner: str, draw: Random) -> None:
    if case.url.startswith("sqlite:"):
        case.live(draw_death(draw), owner=owner)
        return
    case.live(draw_death(draw), url=named(case.url, owner), owner=owner)
    await_gone(case.url, owner)


SCENARIO = Scenario(
    "kill",
    "Accepted means on disk; every delivery comes to its end; no second copy that does not say so.",
    {"small": 12, "full": 500, "soak": 5_000},
    play,
)
