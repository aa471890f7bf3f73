"""Who changed what: every version of every policy, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Response

from tactful.core.model import Millis
from tactful.engine.keys import KEY
from tactful.engine.rulebook import RULE, TEMPLATE, TYPE
from tactful.engine.users import USER
from tactful.http.console.gate import Admin, Console, Here
from tactful.http.console.pages import page, plain
from tactful.ports import Policy

router = APIRouter()
KINDS: Final = (RULE, TYPE, TEMPLATE, KEY, USER)
SHOWN: Final = 100
_HIDDEN: Final = {KEY: ("secrets",), USER: ("password",)}
_WORDS_MAX: Final = 200


class Change(NamedTuple):
    """One version, and what it changed: fields with their old and new texts, None for absent."""

    version: int
    at: Millis
    author: str
    kind: str
    name: str
    what: str
    fields: list[tuple[str, str | None, str | None]]


@router.get("/audit")
def audit(
    visit: Admin, console: Here, kind: str = "", author: str = "", before: int = 0
) -> Response:
    """Changes, of one kind or by one author, before a version."""
    found = [
        one
        for one in _changes(console)
        if (not kind or one.kind == kind)
        and (not author or one.author == author)
        and (not before or one.version < before)
    ]
    shown = sorted(found, reverse=True)[:SHOWN]
    return page(
        "audit.html.j2",
        visit,
        area="audit",
        now=console.app.clock.now(),
        rows=shown,
        kinds=KINDS,
        kind=kind,
        author=author,
        older=shown[-1].version if len(found) > SHOWN else 0,
    )


def _changes(console: Console) -> list[Change]:
    found = []
    with console.app.store.reading() as reader:
        for kind in KINDS:
            then: dict[str, Mapping[str, Any]] = {}
            for one in reader.policy_history(kind):
                found.append(_change(one, then.get(one.name)))
                then[one.name] = one.body or {}
    return found


def _change(one: Policy, before: Mapping[str, Any] | None) -> Change:
    old, new = before or {}, one.body or {}
    what = "removed" if one.body is None else "changed" if old else "added"
    hidden = _HIDDEN.get(one.kind, ())
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    fields = [
        (name, _words(old, name, hide=name in hidden), _words(new, name, hide=name in hidden))
        for name in names
        if name != "name" and (old.get(name) or new.get(name))
    ]
    return Change(one.version, one.at, one.author, one.kind, one.name, what, fields)


def _words(body: Mapping[str, Any], name: str, *, hide: bool) -> str | None:
    value = body.get(name)
    if value in (None, "", []):
        return None
    if hide:
        return "(hidden)"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    elif isinstance(value, Mapping):
        value = plain(value)
    text = str(value)
    return text if len(text) <= _WORDS_MAX else text[: _WORDS_MAX - 1] + "…"
