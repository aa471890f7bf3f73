"""Everything that can be said about a history, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tactful.core.errors import ConfigError
from tactful.verify.arrivals import Arrival, Wire, judge_arrivals
from tactful.verify.evidence import Evidence
from tactful.verify.fates import judge_fates
from tactful.verify.history import History
from tactful.verify.limits import Terms, Verdict, judge_limits
from tactful.verify.postgres import PREFIXES, from_postgres
from tactful.verify.reigns import Reign, reigns_of
from tactful.verify.report import Report, RuleFigures
from tactful.verify.sqlite import PREFIX, from_sqlite
from tactful.verify.utilisation import utilisation

SKEW_MS: Final = 1_000
"""How far apart the instants of two processes on one store may be."""


def verify(
    history: History, arrivals: Iterable[Arrival] | None = None, *, skew_ms: int = SKEW_MS
) -> Report:
    """Judge a history, and what a mail server's log says about it.

    `skew_ms` is how far the clocks of the processes that made it may differ: a version of a rule
    may have been in force so much earlier or later than its instant says, unless the order of
    events tells better. Raises RequestError if a rule or a time zone in it cannot be read.
    """
    evidence = Evidence(history)
    reigns = reigns_of(history.policies, evidence.events)
    terms = Terms(evidence.zones, skew_ms, evidence.restamped)
    handovers = sorted(evidence.handovers())
    limits = judge_limits(handovers, reigns, terms)
    fates = judge_fates(evidence, skew_ms)
    wire = Wire()
    if arrivals is not None:
        wire = judge_arrivals(evidence, arrivals, reigns, terms)
    used = utilisation(handovers, evidence.waits(), reigns, terms)
    return Report(
        attempts=fates.attempts,
        ok=fates.ok,
        waiting=fates.waiting,
        ended=fates.ended,
        out=fates.out,
        handovers=len(handovers),
        recovered=fates.recovered,
        lost=(*fates.lost, *wire.lost),
        unexpected=(*fates.unexpected, *wire.unexpected),
        duplicated_explained=tuple(fates.explained),
        duplicated_unexplained=(*fates.unexplained, *wire.unexplained),
        limit_violations=(*limits.broken, *wire.limits.broken),
        rules=_rules(reigns, limits, wire.limits, used),
        arrived=None if arrivals is None else wire.arrived,
        spread_ms=None if arrivals is None else wire.spread_ms,
    )


def _rules(
    reigns: Sequence[Reign], ledger: Verdict, wire: Verdict, used: Mapping[str, float]
) -> dict[str, RuleFigures]:
    """The figures of every rule that ever was in force."""
    found: dict[str, RuleFigures] = {}
    for reign in reigns:
        name = reign.name
        written = [version.rule.text for version in reign.versions if version.rule is not None]
        if written:
            violations = ledger.counts[name] + wire.counts[name]
            figures = (violations, ledger.fullest.get(name), used.get(name))
            found[name] = RuleFigures(written[-1], *figures)
    return found


def from_store(url: str) -> History:
    """Read the history of the store that a URL names, without changing anything.

    Raises ConfigError if it names none, Unavailable if the store is out of reach.
    """
    if url.startswith(PREFIX):
        return from_sqlite(url)
    if url.startswith(PREFIXES):
        return from_postgres(url)
    raise ConfigError("store: must be sqlite:///path/to/file.db or postgresql://... to be verified")
