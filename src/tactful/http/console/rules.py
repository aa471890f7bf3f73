"""Rules: those in force, their editor with a preview of a change, and their history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Response

from tactful.core.errors import NotFound, RequestError
from tactful.core.model import DAY, HOUR, Millis
from tactful.core.rules import Rule
from tactful.http.console.forms import fields_of, rule_of, what_of, whom_of
from tactful.http.console.gate import Console, Editor, Here, Refused, Viewer
from tactful.http.console.pages import moved, page
from tactful.sim.backtest import Backtest, backtest
from tactful.stores.chosen import view_of

router = APIRouter()
SPANS: Final[dict[str, Millis]] = {"1 hour": HOUR, "1 day": DAY, "7 days": 7 * DAY}
REPLAYED_MAX: Final = 200_000
"""A preview that would take longer is refused; `tactful backtest` takes its time."""

_NEW: Final = {
    **dict.fromkeys(("name", "amount", "types", "categories", "channels", "priorities"), ""),
    **dict.fromkeys(("exempt", "reserve", "burst"), ""),
    "what": "limit",
    "per": "recipient",
    "on_limit": "defer",
}


@router.get("/rules")
def rules(visit: Viewer, console: Here, said: str = "") -> Response:
    """The rules in force."""
    rows = [(rule, what_of(rule), whom_of(rule)) for rule in console.app.rules.list()]
    return page("rules.html.j2", visit, area="rules", said=said, rows=rows)


@router.get("/rules/edit")
def edit(visit: Viewer, console: Here, name: str = "") -> Response:
    """One rule as a form, or an empty form."""
    if not name:
        return _editor(visit, console, _NEW, new=True, seen=0)
    rule = console.app.rules.get(name)
    if rule is None:
        raise NotFound("name", name, "is no rule in force")
    return _editor(visit, console, fields_of(rule), new=False, seen=_version(console, rule.name))


@router.post("/rules/edit")
def changed(visit: Editor, console: Here) -> Response:
    """Show what a change would do, or make it."""
    form = {**_NEW, **visit.form}
    new = form.get("new") == "yes"
    seen = int(form["seen"]) if form.get("seen", "").isdecimal() else 0
    try:
        rule = rule_of(form)
        if new and console.app.rules.get(rule.name) is not None:
            raise RequestError("name", rule.name, "is the name of a rule in force")
        if form.get("do") == "preview":
            shown = _preview(console, rule, SPANS.get(form.get("span", ""), DAY))
            return _editor(visit, console, form, new=new, seen=seen, shown=shown)
        if not new and _version(console, rule.name) != seen:
            raise RequestError("name", rule.name, "was changed by somebody else: reload the page")
        console.app.rules.put(rule, author=visit.author)
    except RequestError as error:
        return _editor(visit, console, form, new=new, seen=seen, error=error)
    return moved("rules", said="saved")


@router.post("/rules/remove")
def remove(visit: Editor, console: Here) -> Response:
    """Take a rule out of force."""
    console.app.rules.remove(visit.form.get("name", ""), author=visit.author)
    return moved("rules", said="removed")


@router.get("/rules/history")
def history(visit: Viewer, console: Here, said: str = "") -> Response:
    """All versions, newest first."""
    return page(
        "history.html.j2",
        visit,
        area="rules",
        said=said,
        now=console.app.clock.now(),
        versions=list(reversed(console.app.rules.history()))[:500],
    )


@router.post("/rules/revert")
def revert(visit: Editor, console: Here) -> Response:
    """Put all rules back as they were at a version."""
    version = visit.form.get("version", "")
    if not version.isdecimal():
        raise Refused(422, "No version was given.")
    before = _last(console)
    console.app.rules.revert(int(version), author=visit.author)
    return moved("rules/history", said="reverted" if _last(console) != before else "same")


def _last(console: Console) -> int:
    return max((one.version for one in console.app.rules.history()), default=0)


def _version(console: Console, name: str) -> int:
    """The version of a rule in force."""
    return max((one.version for one in console.app.rules.history(name)), default=0)


def _editor(
    visit: Any,
    console: Console,
    fields: Mapping[str, str],
    *,
    new: bool,
    seen: int,
    error: RequestError | None = None,
    shown: Mapping[str, Any] | None = None,
) -> Response:
    return page(
        "rule.html.j2",
        visit,
        status=200 if error is None else 422,
        area="rules",
        fields=fields,
        new=new,
        seen=seen,
        error=error,
        shown=shown,
        spans=list(SPANS),
    )


# Preview --------------------------------------------------------------------------------------


def _preview(console: Console, rule: Rule, span_ms: Millis) -> dict[str, Any]:
    """What the rule would have made of what was submitted within a span of time until now."""
    rules = [one for one in console.app.rules.list() if one.name != rule.name]
    now = console.app.clock.now()

    def counted(seen: int) -> None:
        if seen > REPLAYED_MAX:
            bound = f"has more than {REPLAYED_MAX:,} deliveries: take a shorter one"
            raise RequestError("span", f"{seen:,}", bound)

    with view_of(console.app.store) as reader:
        found = backtest(
            reader,
            [*rules, rule],
            console.app.settings,
            since=now - span_ms,
            until=now,
            now=now,
            progress=counted,
        )
    return {"found": found, "outcomes": _outcomes(found), "delays": _delays(found)}


def _outcomes(found: Backtest) -> list[tuple[str, list[int]]]:
    """How many came to each end: as recorded, under the rules in force, and as proposed."""
    sides = [side.total.outcomes for side in (found.recorded, found.in_force, found.proposed)]
    return [
        (name, [one[name] for one in sides]) for name in sides[0] if any(one[name] for one in sides)
    ]


def _delays(found: Backtest) -> list[tuple[str, list[Millis | None]]]:
    sides = [side.total.delays for side in (found.recorded, found.in_force, found.proposed)]
    return [(name, [getattr(one, name) for one in sides]) for name in ("p50", "p95", "max")]
