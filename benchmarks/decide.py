"""How many decisions a second the core makes, alone: no store, no threads, one core.

    python -m benchmarks.decide [--seconds 1.0] [--repeat 5] [--json FILE]

Three rules match every delivery: one per type over an hour, one over all types and a day, one per
channel over six hours. Histories are made once, with 0, 5 and 20 attempts within the last days,
for many recipients each, so that neither one history nor one branch is measured again and again.
Where the limits are wide, a history shorter than the limit needs no look at all; in the `mostly`
rows they are narrow and every history is read. How many were really granted is measured too. A
refusal costs more because it names the rule and the exact next free slot.

As a yardstick the same questions go to the least that could answer them: a deque of instants for
each rule and key, pruned from the left, which knows nothing of slots, priorities or reasons.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tactful.core.checks import Checks, compile_checks
from tactful.core.decide import Subject, decide
from tactful.core.model import DAY, Entry, Kind, Millis, Priority, Send
from tactful.core.rules import Rule

NOW = 1_780_315_200_000
RECIPIENTS = 512
TYPES = ("comment", "like", "news", "order", "status")
CHANNELS = ("email", "sms")
SEED = 20_260_601
TARGET_PER_S = 300_000
WIDE = (20, 60, 40)
NARROW = (2, 4, 3)
TIGHT = (1, 1, 1)


class Case(NamedTuple):
    """One row of the table: `limits` are the counts of the three rules."""

    name: str
    attempts: int
    limits: tuple[int, int, int]
    span_ms: Millis


class Question(NamedTuple):
    """One delivery and the history of its recipient."""

    subject: Subject
    history: list[Entry]
    checks: Checks


CASES = (
    Case("granted, no history", 0, WIDE, DAY),
    Case("granted, 5 attempts", 5, WIDE, DAY),
    Case("mostly granted, 5 attempts", 5, NARROW, 6 * DAY),
    Case("granted, 20 attempts", 20, WIDE, 3 * DAY),
    Case("refused, 5 attempts", 5, TIGHT, DAY),
    Case("mostly refused, 20 attempts", 20, NARROW, 3 * DAY),
)


def rules_of(case: Case) -> list[Rule]:
    per_type, overall, per_channel = case.limits
    return [
        Rule("type", limit=f"{per_type}/hour", per="recipient+type"),
        Rule("all", limit=f"{overall}/day"),
        Rule("channel", limit=f"{per_channel}/6h", per="recipient+channel"),
    ]


def questions_of(case: Case) -> list[Question]:
    random = Random(SEED)
    rules = rules_of(case)
    kinds = [Kind(name, "default", ch, Priority.NORMAL) for name in TYPES for ch in CHANNELS]
    checks = {kind: compile_checks(rules, kind) for kind in kinds}
    found = []
    for _ in range(RECIPIENTS):
        instants = sorted(NOW - random.randrange(case.span_ms) for _ in range(case.attempts))
        history = [Entry(at, random.choice(kinds)) for at in instants]
        kind = random.choice(kinds)
        found.append(Question(Subject(kind, UTC), history, checks[kind]))
    return found


def ask_tactful(questions: Sequence[Question]) -> Callable[[], int]:
    def once() -> int:
        granted = 0
        for subject, history, checks in questions:
            if type(decide(subject, history, (), checks, NOW)) is Send:
                granted += 1
        return granted

    return once


def ask_deques(questions: Sequence[Question]) -> Callable[[], int]:
    lined_up = []
    for subject, history, checks in questions:
        lined_up.append(
            [
                (deque(at for at, kind in history if bound.counted[kind]), bound)
                for bound in checks.bounds
            ]
        )
        assert subject.suppressed is None

    def once() -> int:
        granted = 0
        for windows in lined_up:
            for instants, bound in windows:
                edge = NOW - bound.window_ms
                while instants and instants[0] <= edge:
                    instants.popleft()
                if len(instants) >= bound.count:
                    break
            else:
                granted += 1
        return granted

    return once


def rate(once: Callable[[], int], size: int, seconds: float, repeat: int) -> tuple[float, float]:
    """The median and the best number of questions a second over `repeat` rounds."""
    once()
    rounds = []
    gc.collect()
    for _ in range(repeat):
        done, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds / repeat:
            once()
            done += size
        rounds.append(done / passed)
    return statistics.median(rounds), max(rounds)


def measure(seconds: float, repeat: int) -> list[dict[str, Any]]:
    rows = []
    for case in CASES:
        questions = questions_of(case)
        ask, yardstick = ask_tactful(questions), ask_deques(questions)
        granted = ask()
        assert granted == yardstick(), "both must give the same answers"
        median, best = rate(ask, len(questions), seconds, repeat)
        deques, _ = rate(yardstick, len(questions), seconds, repeat)
        rows.append(
            {
                "case": case.name,
                "attempts": case.attempts,
                "granted": round(granted / len(questions), 3),
                "decisions_per_s": round(median),
                "decisions_per_s_best": round(best),
                "us_per_decision": round(1e6 / median, 3),
                "deques_per_s": round(deques),
            }
        )
    return rows


def report(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"{'case':28} {'granted':>8} {'decisions/s':>12} {'best':>11}"
        f" {'us each':>8} {'deques/s':>11}"
    ]
    lines += [
        f"{row['case']:28} {row['granted']:8.1%} {row['decisions_per_s']:12,}"
        f" {row['decisions_per_s_best']:11,} {row['us_per_decision']:8.2f}"
        f" {row['deques_per_s']:11,}"
        for row in rows
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Decisions per second of the core alone.")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each row")
    parser.add_argument("--repeat", type=int, default=5, help="rounds for each row")
    parser.add_argument("--json", type=Path, help="write the figures here instead of printing them")
    options = parser.parse_args(argv)
    rows = measure(options.seconds, options.repeat)
    print(report(rows))
    figures = json.dumps(
        {
            "benchmark": "decide",
            "python": platform.python_version(),
            "machine": platform.machine(),
            "seed": SEED,
            "target_per_s": TARGET_PER_S,
            "rows": rows,
        }
    )
    if options.json is None:
        print(figures)
    else:
        options.json.write_text(figures + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
