"""`ledger`: as `machines`, with a ledger on Valkey that is killed and frozen all the while.

Everybody has had mail before, up to an hour ago, of which the rules with long windows leave little
room. Most of it is settled, so that the ledger has it: whoever believed too little of it would send
too much. A Valkey in memory that dies has lost everything, and is filled again.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from random import Random

from proof.fleet import EACH, RULES, Fleet, wanted
from proof.fleet_process import SETTINGS
from proof.limiter import VALKEY
from proof.machines import MACHINES, PATIENCE_S, RATE, fleet, load
from proof.networks import FAKETIME, NETWORKS, Network
from proof.trial import LINUX, ROOT, Scenario, Tally, Trial, meanwhile
from tactful import Rule, Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.core.model import HOUR, MINUTE, SECOND, Millis
from tactful.engine.requests import Submission
from tactful.testing import ManualClock
from tactful.testing.servers.valkey import ValkeyServer

PEOPLE = 2_000
"""At most: in a long run the same ones get mail again and again."""

NEWS = [place * SECOND - HOUR for place in range(36, 40)]
NEWS += [place * 2 * MINUTE - 50 * MINUTE for place in range(14)]
OFFERS = [place * SECOND - 10 * MINUTE for place in (*range(12, 16), *range(20, 34))]
"""When everybody was sent one, before the end of that. Some leave their window in a moment."""

SENT_MS = 1
"""About what one takes to be sent, so that those in a long run do not leave too early."""

LONG = (
    Rule("hour", "20/hour", types=["news"], on_limit="reject"),
    Rule("slow", "18/10m", types=["offer"]),
)
PORTION = 500


def requests(size: int, draw: Random) -> list[Submission]:
    """As in `machines`, for so few people that some come again."""
    found = wanted(size, draw)
    people = max(1, min(PEOPLE, size // EACH))
    for one in found:
        number = int(str(one["to"]).partition("@")[0][1:])
        one["to"] = f"p{number % people}@example.org"
    return found


def give_past(workers: Fleet, people: int) -> None:
    """Send what everybody has had before, at the instants at which it was."""
    for type_, instants in (("news", NEWS), ("offer", OFFERS)):
        end = _now() + people * len(instants) * SENT_MS
        clock = ManualClock(end + instants[0])
        mail = SmtpChannel(
            host=workers.host, port=workers.port, sender="before@example.org", connections=4
        )
        app = Tactful(workers.url, channels=[mail], clock=clock, settings=SETTINGS)
        for instant in instants:
            clock.set(end + instant)
            for start in range(0, people, PORTION):
                _send(app, workers, type_, range(start, min(people, start + PORTION)))
        app.close()


def _send(app: Tactful, workers: Fleet, type_: str, some: Iterable[int]) -> None:
    items: list[Submission] = [
        {"type": type_, "to": f"p{number}@example.org", "text": "before", "priority": "critical"}
        for number in some
    ]
    workers.receipts += [receipt.to_dict() for receipt in app.send_many(items)]
    app.tick()


def _now() -> Millis:
    return time.time_ns() // 1_000_000


def strike(server: ValkeyServer, draw: Random, tally: Tally, over: threading.Event) -> None:
    """The server dies and comes back empty, or stands still, again and again until that is set."""
    while not over.wait(draw.uniform(1, 6)):
        if draw.random() < 0.5:
            server.kill()
            over.wait(draw.uniform(0, 2))
            server.start()
        else:
            server.pause()
            over.wait(draw.uniform(0.2, 3))
            server.resume()
        tally.points += 1


def play(trial: Trial, tally: Tally) -> None:
    people = max(1, min(PEOPLE, trial.size // EACH))
    past = people * (len(NEWS) + len(OFFERS))
    rules = (*RULES, *LONG)
    with Network(MACHINES) as network:
        settings = {"bind": f"127.0.0.1 {network.address}"}
        with ValkeyServer(settings=settings) as server:
            url = server.url().replace("127.0.0.1", network.address)
            before = partial(give_past, people=people)
            with fleet(trial, network, rules, url, before) as workers:
                changing = workers.change_rules()
                draw = Random(f"{trial.seed} blows")
                with meanwhile(partial(strike, server, draw, tally)):
                    asked = requests(trial.size, Random(trial.seed))
                    workers.submit(asked, trial.size / RATE).join()
                    workers.drain(PATIENCE_S + trial.size / RATE)
                changing.join()
                report = workers.judge(trial.size + past, "ledger", tally)
    seen: Counter[str] = workers.histories
    if not seen["remembered"]:
        tally.find("ledger: no history was ever read from it")
    if not seen["out_of_reach"]:
        tally.find("ledger: nobody has noticed that it was away")
    used = {name: rule.used for name, rule in report.rules.items() if rule.used is not None}
    tally.notes += [
        f"{trial.size:,} deliveries beside {past:,} before, {workers.changes} changes of rules;"
        f" histories: {seen['remembered']:,} from the ledger, {seen['looked_up']:,} from the store;"
        f" {seen['out_of_reach']} times out of reach; {load()}",
        "used: " + ", ".join(f"{name} {share:.1%}" for name, share in used.items()),
    ]


SCENARIO = Scenario(
    "ledger",
    "A ledger on Valkey that dies, hangs and forgets costs no delivery and no limit.",
    {"small": 2_000, "full": 200_000, "soak": 1_000_000},
    play,
    (LINUX, ROOT, NETWORKS, FAKETIME, VALKEY),
)
