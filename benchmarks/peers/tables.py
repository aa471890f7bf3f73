"""The figures of a run as tables: for a terminal, and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

Figures = dict[str, Any]

OWN = ("producer", "workers")
SERVERS = ("broker", "database")


class Table(NamedTuple):
    """A title, the heads of the columns, and rows; the first two columns hold words."""

    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(figures: Figures) -> Iterator[Table]:
    runs = figures["runs"]
    sent = [run for run in runs if run["kind"] == "pipeline"]
    if sent:
        yield pipelines(sent)
    for where, baseline, title in (
        ("memory", "Tactful, decide", "Decisions with the state in this process's memory"),
        ("elsewhere", "Tactful, send", "Decisions with the state in a file or on a server"),
    ):
        here = [
            run
            for run in runs
            if run["kind"] == "decisions" and (run["where"] == "memory") == (where == "memory")
        ]
        if here:
            yield decisions(title, here, baseline)


def pipelines(runs: Sequence[Figures]) -> Table:
    """What is sent; each peer beside Tactful on the same database, or else on its first."""
    owns = {run["where"]: run for run in runs if run["peer"] == "tactful"}
    heads = (
        "pipeline",
        "database",
        "processes",
        "mails",
        "per second",
        "CPU µs each",
        "of servers",
        "Tactful is faster by",
        "and needs less CPU by",
    )
    rows = []
    for run in runs:
        own = owns.get(run["where"]) or next(iter(owns.values()), None)
        spent, served = cpu(run, OWN), cpu(run, SERVERS)
        faster = cheaper = ""
        if own is not None and run["peer"] != "tactful":
            faster = ratio(own["per_second"], run["per_second"])
            cheaper = ratio(spent + served, cpu(own, OWN + SERVERS))
        rows.append(
            (
                run["name"],
                run["where"],
                str(run["processes"]),
                f"{run['count']:,}",
                f"{run['per_second']:,}",
                f"{spent:,}",
                f"{served:,}" if served else "",
                faster,
                cheaper,
            )
        )
    return Table("From submission to the server's 250, and recorded", heads, rows)


def decisions(title: str, runs: Sequence[Figures], baseline: str) -> Table:
    """One row for each limiter and place, with one rule and with three."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    for run in runs:
        found.setdefault((run["name"], run["where"]), {})[run["rules"]] = run["per_second"]
    own: dict[int, int] = next((v for (name, _), v in found.items() if name == baseline), {})
    rows = []
    for (name, where), rates in found.items():
        shown = [f"{rates[rules]:,}" if rules in rates else "" for rules in (1, 3)]
        for rules in (1, 3):
            compared = rules in own and rules in rates and not name.startswith("Tactful")
            shown.append(ratio(own[rules], rates[rules]) if compared else "")
        rows.append((name, where, *shown))
    heads = ("limiter", "state in", "1 rule, per second", "3 rules, per second")
    return Table(title, (*heads, f"{baseline}: 1 rule", "3 rules"), rows)


def cpu(run: Figures, parts: Sequence[str]) -> int:
    """Microseconds of processor time for each mail, of some of those who worked on it."""
    return sum(run["cpu_us_each"].get(part, 0) for part in parts)


def ratio(more: float, less: float) -> str:
    """How often the one holds the other: 0.14 x, 7.3 x, 24 x."""
    found = more / less
    digits = 2 if found < 1 else 1 if found < 10 else 0
    return f"{found:.{digits}f} x"


def conditions(figures: Figures) -> str:
    """Where, when and with what; and whether the machine had other things to do."""
    servers = [
        f"{name} {figures[key]}"
        for name, key in (("PostgreSQL", "postgresql"), ("Valkey", "valkey"))
        if key in figures
    ]
    found = ", ".join(
        (
            f"{figures['date'][:10]}",
            f"{figures['cores']} cores of {figures['cpu']}, load {figures['load_before']} before",
            f"Tactful {figures['tactful']} on Python {figures['python']}",
            f"SQLite {figures['sqlite']}",
            *servers,
            figures["sink"],
        )
    )
    if figures["load_before"] > figures["cores"] / 2:
        found += (
            ". **The machine was busy with other work: of this run only the processor times can be"
            " compared**"
        )
    return f"{found}."


def absent(figures: Figures) -> list[str]:
    """A line for everything that could not be measured."""
    return [
        f"{'FAILED' if entry['failed'] else 'not measured'}: {entry['name']}, {entry['where']}"
        f" ({entry['rules']} rules): {entry['reason']}"
        for entry in figures["missing"]
    ]


def for_a_person(figures: Figures) -> str:
    parts = [conditions(figures)]
    for table in tables(figures):
        widths = [max(map(len, column)) for column in zip(table.heads, *table.rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if place < 2 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (table.heads, *table.rows)
        ]
        parts.append("\n".join((table.title, "", *lines)))
    if figures["missing"]:
        parts.append("\n".join(absent(figures)))
    return "\n\n".join(parts)


def for_the_page(figures: Figures) -> str:
    """The same as Markdown, with the versions of the peers."""
    parts = [conditions(figures)]
    for table in tables(figures):
        aligned = ["---" if place < 2 else "---:" for place in range(len(table.heads))]
        lines = [f"| {' | '.join(row)} |" for row in (table.heads, aligned, *table.rows)]
        parts.append("\n".join((f"### {table.title}", "", *lines)))
    parts.append(f"Versions of the peers: {versions(figures)}.")
    parts += absent(figures)
    return "\n\n".join(parts)


def versions(figures: Figures) -> str:
    """Every package of the peers that the tables name, and the Python that it ran on."""
    wanted = ("celery", "cue-notify", "django", "django-post_office", "limits", "pyrate-limiter")
    found = {
        f"{name} {run['packages'][name]} (Python {run['python']})"
        for run in figures["runs"]
        for name in (*wanted, "throttled-py", "redis", "psycopg")
        if name in run.get("packages", {})
    }
    return ", ".join(sorted(found)) or "none"
