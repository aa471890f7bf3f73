"""The simulator: a scenario as an example or as it is pasted, and what came of it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

import orjson
from fastapi import APIRouter, Response

from tactful.core.errors import RequestError
from tactful.http.console.gate import Console, Editor, Here, Viewer, Visit
from tactful.http.console.pages import REPORT_POLICY, foreign, moved, page
from tactful.http.console.play import RUNS, other_rules
from tactful.http.simulations import MEMORY_MAX, SECONDS_MAX, bounded

router = APIRouter()
NOTHING: Final = "nothing"
IN_FORCE: Final = "the rules in force"
PASTED: Final = "other rules"


def own_process() -> list[str]:
    """The command of a process that plays one simulation."""
    return [sys.executable, "-m", "tactful.http.console.play", str(MEMORY_MAX), str(SECONDS_MAX)]


@router.get("/simulator")
def simulator(visit: Viewer, console: Here, example: str = "", said: str = "") -> Response:
    """The form, with an example in it, and the last runs."""
    texts = examples()
    name = example if example in texts else next(iter(texts))
    fields = {"scenario": texts[name], "other": NOTHING, "rules": ""}
    return _form(visit, console, fields, name, said=said)


@router.post("/simulator")
def run(visit: Editor, console: Here) -> Response:
    """Begin a simulation."""
    form = {"scenario": "", "other": NOTHING, "rules": "", **visit.form}
    try:
        tables = _tables(form["scenario"], "scenario")
        scenario = bounded(tables)
        asked = {"scenario": tables, "rules": _others(console, form)}
    except RequestError as error:
        return _form(visit, console, form, "", error=error)
    now = console.app.clock.now()
    job = console.simulations.submit(scenario.name, orjson.dumps(asked), now)
    return moved(f"simulator/{job.id}")


@router.get("/simulator/{job_id}")
def seen(job_id: str, visit: Viewer, console: Here) -> Response:
    """How far it has come, or what it found; raises NotFound."""
    job = console.simulations.get(job_id)
    found = orjson.loads(job.result) if job.result is not None else {"differences": []}
    return page(
        "job.html.j2",
        visit,
        area="simulator",
        now=console.app.clock.now(),
        job=job,
        differences=found["differences"],
        runs=RUNS,
    )


@router.get("/simulator/{job_id}/report")
def report(job_id: str, visit: Viewer, console: Here) -> Response:
    """The report, for a frame of an origin of its own; raises NotFound."""
    result = console.simulations.get(job_id).result
    return foreign("" if result is None else orjson.loads(result)["report"], REPORT_POLICY)


@router.post("/simulator/{job_id}/remove")
def remove(job_id: str, visit: Editor, console: Here) -> Response:
    """Stop it, and forget it."""
    console.simulations.remove(job_id)
    return moved("simulator", said="removed")


def examples() -> Mapping[str, str]:
    """The scenarios that come along, by name."""
    folder = files("tactful.http.console").joinpath("scenarios")
    found = sorted(folder.iterdir(), key=lambda one: one.name, reverse=True)
    return {one.name.removesuffix(".toml"): one.read_text(encoding="utf-8") for one in found}


def _tables(text: str, field: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RequestError(field, f"{len(text)} characters", f"is no TOML: {error}") from None


def _others(console: Console, form: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The rules to compare with, as tables; raises RequestError."""
    if form["other"] == IN_FORCE:
        rules = (rule.to_dict() for rule in console.app.rules.list())
        return {"rules": {rule.pop("name"): rule for rule in rules}}
    if form["other"] != PASTED:
        return None
    tables = _tables(form["rules"], "rules")
    other_rules(tables)
    return tables


def _form(
    visit: Visit,
    console: Console,
    fields: Mapping[str, str],
    example: str,
    *,
    said: str = "",
    error: RequestError | None = None,
) -> Response:
    return page(
        "simulator.html.j2",
        visit,
        status=200 if error is None else 422,
        area="simulator",
        said=said,
        now=console.app.clock.now(),
        fields=fields,
        example=example,
        examples=list(examples()),
        others=(NOTHING, IN_FORCE, PASTED),
        jobs=list(reversed(console.simulations.list())),
        error=error,
    )
