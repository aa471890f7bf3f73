"""From the fields of a form to rules, types and templates, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tactful.core.errors import RequestError
from tactful.core.model import NotificationType
from tactful.core.rules import Rule, rule_from
from tactful.engine.requests import parse_duration
from tactful.templates.library import Template

_LISTS = ("types", "categories", "channels", "priorities", "exempt")


def names(text: str) -> list[str]:
    """The names in a text, between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def rule_of(form: Mapping[str, str]) -> Rule:
    """The rule that a form describes; raises RequestError."""
    body: dict[str, Any] = {"name": form.get("name", "")}
    what = form.get("what", "limit")
    body[what if what in ("limit", "quiet", "window") else "limit"] = form.get("amount", "").strip()
    for field in _LISTS:
        if found := names(form.get(field, "")):
            body[field] = found
    for field in ("per", "on_limit"):
        if form.get(field):
            body[field] = form[field]
    reserve = {}
    for entry in names(form.get("reserve", "")):
        priority, _, count = entry.partition("=")
        reserve[priority.strip()] = _whole(count, "reserve")
    if reserve:
        body["reserve"] = reserve
    if form.get("burst", "").strip():
        body["burst"] = _whole(form["burst"], "burst")
    return rule_from(body)


def fields_of(rule: Rule) -> dict[str, str]:
    """What the form of a rule shows."""
    body = rule.to_dict()
    what = next(one for one in ("limit", "quiet", "window") if one in body)
    return {
        "name": rule.name,
        "what": what,
        "amount": body[what],
        **{field: ", ".join(body.get(field, ())) for field in _LISTS},
        "per": rule.per,
        "on_limit": rule.on_limit,
        "reserve": ", ".join(f"{name}={count}" for name, count in rule.reserve.items()),
        "burst": "" if rule.burst == 1 else str(rule.burst),
    }


def what_of(rule: Rule) -> str:
    """What a rule says, in short."""
    if rule.limit is not None:
        return str(rule.limit)
    return f"quiet {rule.quiet}" if rule.quiet is not None else f"only {rule.window}"


def whom_of(rule: Rule) -> str:
    """What a rule speaks of, in short."""
    body = rule.to_dict()
    parts = [
        f"{what} {', '.join(body[what])}"
        for what in ("types", "categories", "channels", "priorities")
        if what in body
    ]
    return "; ".join(parts) or "everything"


def type_of(form: Mapping[str, str]) -> NotificationType:
    """The type that a form describes; raises RequestError."""
    ttl = form.get("ttl", "").strip()
    return NotificationType(
        form.get("name", ""),
        category=form.get("category", "").strip() or "default",
        channels=tuple(names(form.get("channels", ""))),
        priority=form.get("priority", "normal"),
        ttl_ms=parse_duration(ttl, "ttl") if ttl else None,
        on_ambiguous=form.get("on_ambiguous", "retry"),
        mandatory=form.get("mandatory") == "yes",
        tracked=form.get("tracked", "yes") == "yes",
    )


def template_of(form: Mapping[str, str]) -> Template:
    """The template that a form describes."""
    return Template(
        form.get("name", ""),
        locale=form.get("locale", "").strip(),
        channel=form.get("channel", "").strip(),
        subject=form.get("subject", ""),
        text=form.get("text", ""),
        html=form.get("html", "") or None,
    )


def _whole(text: str, field: str) -> int:
    if not re.fullmatch(r"\s*\d{1,7}\s*", text, re.ASCII):
        raise RequestError(field, text, "must be a whole number")
    return int(text)
