"""A change of the rules, tried before it is made: what waits now, and the last days replayed.

A replay takes as long as there is traffic, so it is bounded: one at a time, and for `LONGEST_MS`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter

from tactful.core.errors import NotFound, RequestError
from tactful.core.model import DAY, Millis, State
from tactful.core.names import name_key
from tactful.core.rules import Rule, rule_from
from tactful.http import answers
from tactful.http.bodies import RulesTrial
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import LiveViewer
from tactful.http.problems import Problem
from tactful.http.worlds import Both
from tactful.ports import Reader
from tactful.runtime.clock import running
from tactful.sim.backtest import backtest
from tactful.stores.chosen import view_of

LONGEST_MS: Final[Millis] = 5_000
COUNTED_MAX: Final = 20_000
RULES_MAX: Final = 1_000
_PORTION: Final = 1_000

router = APIRouter(prefix="/rules", tags=["rules"], route_class=GuardedRoute)
_busy = threading.Lock()


@router.post("/preview", response_model=answers.Trial)
def preview(trial: RulesTrial, key: LiveViewer, worlds: Both) -> Any:
    """Try a change of the rules; nothing is changed.

    Says what rules hold now, and what would have been different in the last days, delivery by
    delivery: see `tactful backtest`. For keys of the live world only.
    """
    app = worlds.of(key)
    rules = proposed(trial, {rule.name: rule for rule in app.rules.list()})
    if not _busy.acquire(blocking=False):
        headers = {"Retry-After": str(LONGEST_MS // 1000)}
        raise Problem(429, "busy", "another preview is under way", headers=headers)
    try:
        now = app.clock.now()
        ends = running() + LONGEST_MS
        with view_of(app.store) as reader:
            waiting = held(reader)
            found = backtest(
                reader,
                rules,
                app.settings,
                since=max(0, now - trial.days * DAY),
                until=now + 1,
                now=now,
                worst=trial.people,
                portion=_PORTION,
                progress=lambda seen: _hurry(seen, trial.days, ends),
            )
    finally:
        _busy.release()
    return {"waiting": waiting, "backtest": found.to_dict()}


def proposed(trial: RulesTrial, in_force: Mapping[str, Rule]) -> Sequence[Rule]:
    """All rules as they would be; raises RequestError, InvalidRule, NotFound."""
    given = [name for name in ("rules", "rule", "remove") if getattr(trial, name) is not None]
    if len(given) != 1:
        shown = ", ".join(given) or "none"
        raise RequestError("rules", shown, "give exactly one of rules, rule and remove")
    if trial.rules is not None:
        if len(trial.rules) > RULES_MAX:
            raise RequestError("rules", len(trial.rules), f"must be at most {RULES_MAX}")
        wanted = [rule_from(fields) for fields in trial.rules]
        if len({rule.name for rule in wanted}) < len(wanted):
            raise RequestError("rules", [rule.name for rule in wanted], "must differ in name")
        return wanted
    if trial.rule is not None:
        changed = rule_from(trial.rule)
        return list({**in_force, changed.name: changed}.values())
    gone = name_key(trial.remove, "remove")
    if gone not in in_force:
        raise NotFound("remove", gone, "is no rule in force")
    return [rule for name, rule in in_force.items() if name != gone]


def held(reader: Reader) -> dict[str, Any]:
    """How many deliveries rules hold now, by rule and by type, as far as they are counted."""
    by_rule: Counter[str] = Counter()
    by_type: Counter[str] = Counter()
    after, seen = "", 0
    while seen < COUNTED_MAX:
        page = reader.deliveries(state=State.DEFERRED, after=after, limit=_PORTION)
        by_rule.update(row.rule for row in page if row.rule)
        by_type.update(row.type for row in page)
        seen += len(page)
        if len(page) < _PORTION:
            break
        after = page[-1].id
    return {
        "total": seen,
        "at_least": seen >= COUNTED_MAX,
        "by_rule": dict(sorted(by_rule.items())),
        "by_type": dict(sorted(by_type.items())),
    }


def _hurry(seen: int, days: int, ends: Millis) -> None:
    if running() > ends:
        bound = f"{seen} deliveries took {LONGEST_MS} ms: ask for fewer days, or `tactful backtest`"
        raise RequestError("days", days, bound)
