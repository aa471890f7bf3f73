"""Requests with a marker in each text, made from the description of the API.

A marker is unique, so wherever it turns up it tells which text of which request it came from.
Behind it stands what breaks things: quotes, markup, line ends, NUL, a character of four bytes, and
what templates and formats take for theirs.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
MARK = re.compile(r"cnry\d{6}")
NASTY = "\"'<script>alert(1)</script>\r\nX-Forged: 1\x00\U0001f600 {{ x }} %s %(a)s \\"
"""Follows a marker that is to break something."""

Where: TypeAlias = tuple[str | int, ...]
"""A place in a request: `path`, `query`, `header` or `body`, and the names from there on."""

GOOD: dict[str, Any] = {
    "type": "news",
    "to": "ada@example.org",
    "id": "ada",
    "recipient": "ada",
    "address": "ada@example.org",
    "email": "ada@example.org",
    "channel": "email",
    "channels": ["email"],
    "mute": ["type:news"],
    "scopes": ["read"],
    "scope": "all",
    "url": "https://hooks.test/taken",
    "form": "standard",
    "events": ["delivered"],
    "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    "priority": "normal",
    "timezone": "UTC",
    "locale": "en",
    "on_ambiguous": "retry",
    "ttl": "2h",
    "lives": "2h",
    "overlap": "2h",
    "data": {"name": "Ada", "things": ["one"]},
    "addresses": {"sms": "+1555"},
    "labels": {"alertname": "Down"},
    "annotations": {"summary": "It is down."},
    "groupLabels": {"alertname": "Down"},
    "commonLabels": {"alertname": "Down"},
    "delivery_id": "0" * 32,
    "notification_id": "0" * 32,
    "simulation_id": "0" * 32,
    "version": 999_999,
    "provider": "mailgun",
    "cursor": "0",
    "state": "queued",
    "rules": None,
    "rule": {"name": "calm", "limit": "9/hour", "types": ["news"], "on_limit": "defer"},
    "template": None,
    "remove": None,
    "idempotency_key": None,
    "Idempotency-Key": "",
    "deliver_at": None,
    "startsAt": "2026-01-01T00:00:00Z",
    "endsAt": "2026-01-01T00:00:00Z",
    "generatorURL": "https://prometheus.example.org/",
    "externalURL": "https://alertmanager.example.org/",
    "status": "firing",
}
"""Values that are taken, by the names of fields; of all others `word` is.

Beside what is None here no other text could stand: it is given one by itself."""

FREE: dict[tuple[str, str], Any] = {
    ("PUT", "/v1/rules/{name}"): {
        "types": ["news"],
        "limit": "90/hour",
        "on_limit": "defer",
        "per": "recipient",
        "exempt": ["high"],
    },
    ("POST", "/v1/templates/preview"): {
        "subject": "word",
        "text": "{{ name }}",
        "html": "<p>word</p>",
        "template": None,
        "locale": "en",
        "channel": "email",
        "data": {"name": "Ada"},
    },
    ("POST", "/v1/simulations"): {
        "population": {"count": 1},
        "rules": {"calm": {"limit": "3/day"}},
    },
}
"""Bodies whose fields the description leaves open."""


class Call(NamedTuple):
    """One request. `marks` are the markers in it, with the places of their texts."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str | bytes]
    marks: dict[str, Where]


class Operation(NamedTuple):
    """One method of one path, as the description has it, with texts that are taken."""

    method: str
    path: str
    kind: str
    given: dict[str, Any]

    def call(self, given: dict[str, Any], marks: dict[str, Where]) -> Call:
        """The request with other texts."""
        path = self.path
        for name, value in given["path"].items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        if given["query"]:
            pairs = given["query"].items()
            path += "?" + "&".join(f"{quote(k)}={quote(str(v), safe='')}" for k, v in pairs)
        body = given.get("body")
        if body is not None:
            body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        # A header can hold neither line ends nor NUL: its sender could not write it down.
        headers: dict[str, str | bytes] = {
            name: re.sub(r"[\r\n\x00]", "", value).encode()
            for name, value in given["header"].items()
            if value
        }
        return Call(self.method, path, body, {"Content-Type": self.kind, **headers}, marks)


class Canaries:
    """Makes the requests; `made` says of each marker what it was put into."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.made: dict[str, tuple[str, Where]] = {}

    def calls(self) -> Iterator[Call]:
        """All of them: one text after the other, all at once, and broken in every way."""
        for operation in operations():
            yield operation.call(operation.given, {})
            found = list(leaves(operation.given))
            for where, value in found:
                if isinstance(value, str | None):
                    yield self._with(operation, [where], "")
                    yield self._with(operation, [where], NASTY)
            places = [where for where, value in found if isinstance(value, str) and value]
            yield self._with(operation, places, "")
            for where in places:
                yield self._broken(operation, places, where)
            yield from self._beside(operation)

    def new(self, what: str, where: Where) -> str:
        """Another marker."""
        mark = f"cnry{next(self._numbers):06}"
        self.made[mark] = (what, where)
        return mark

    def _with(self, operation: Operation, places: list[Where], nasty: str) -> Call:
        given, marks = copy.deepcopy(operation.given), {}
        for where in places:
            mark = self.new(f"{operation.method} {operation.path}", where)
            marks[mark] = where
            put(given, where, shaped(at(given, where) or "", mark) + nasty)
        return operation.call(given, marks)

    def _broken(self, operation: Operation, places: list[Where], broken: Where) -> Call:
        """Markers everywhere, and one text that is missing or of another type."""
        call = self._with(operation, places, "")
        if call.body is None or broken[0] != "body" or len(broken) == 1:
            return call
        body = json.loads(call.body)
        holder = at(body, broken[1:-1])
        if next(self._numbers) % 2 and isinstance(holder, dict):
            del holder[broken[-1]]
        else:
            holder[broken[-1]] = [holder[broken[-1]]]
        return call._replace(body=json.dumps(body).encode())

    def _beside(self, operation: Operation) -> Iterator[Call]:
        """Markers where nothing is expected: keys, names, half a body, another media type."""

        def marked(where: Where) -> tuple[str, dict[str, Where]]:
            mark = self.new(f"{operation.method} {operation.path}", where)
            return mark, {mark: where}

        plain = operation.call(operation.given, {})
        mark, marks = marked(("header", "Authorization"))
        for text in (f"Bearer {mark}", f"Bearer tk_live_{mark}", f"Basic {mark}:{mark}\U0001f600"):
            headers = {**plain.headers, "Authorization": text.encode()}
            yield plain._replace(headers=headers, marks=marks)
        mark, marks = marked(("query", "unknown"))
        yield plain._replace(path=f"{plain.path.partition('?')[0]}?{mark}={mark}", marks=marks)
        if plain.body is None:
            return
        mark, marks = marked(("header", "Content-Type"))
        yield plain._replace(headers={**plain.headers, "Content-Type": mark}, marks=marks)
        for text in ('{{"a": "{}', '{{"a": "{}\\ud800"}}', '["{}"]', '"{}"', "{}"):
            mark, marks = marked(("body",))
            yield plain._replace(body=text.format(mark).encode(), marks=marks)
        if isinstance(operation.given["body"], dict):
            mark, marks = marked(("body", "unknown"))
            body = {**operation.given["body"], mark + NASTY: mark}
            yield plain._replace(body=json.dumps(body).encode(), marks=marks)


def shaped(text: str, mark: str) -> str:
    """The marker in the shape of a text that is taken there."""
    if text.startswith("https://"):
        return f"https://{mark}.test/{mark}"
    if "@" in text:
        return f"{mark}@example.org"
    if text.startswith("whsec_"):
        return f"whsec_{mark}"
    return mark


# The description ------------------------------------------------------------------------------


def operations() -> Iterator[Operation]:
    """Every operation that is described."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    for path, methods in kept["paths"].items():
        for method, found in methods.items():
            given: dict[str, Any] = {"path": {}, "query": {}, "header": {}}
            for one in found.get("parameters", ()):
                given[one["in"]][one["name"]] = example(kept, one["schema"], one["name"])
            kinds = found.get("requestBody", {}).get("content", {})
            kind = next(iter(kinds), "application/json")
            if kind == "message/rfc822":
                given["body"] = A_MAIL
            elif kinds:
                free = FREE.get((method.upper(), path))
                given["body"] = free or example(kept, kinds[kind]["schema"], "body")
            yield Operation(method.upper(), path, kind, given)


def example(kept: Any, schema: Any, name: str) -> Any:
    """A value that a schema takes, with all fields that it knows."""
    if name in GOOD:
        return copy.deepcopy(GOOD[name])
    if "$ref" in schema:
        return example(kept, kept["components"]["schemas"][schema["$ref"].split("/")[-1]], "")
    if "anyOf" in schema:
        return example(kept, schema["anyOf"][0], name)
    sort = schema.get("type", "string")
    if sort == "object":
        fields = schema.get("properties", {})
        return {field: example(kept, one, field) for field, one in fields.items()}
    if sort == "array":
        return [example(kept, schema.get("items", {}), "")]
    return {"integer": int(schema.get("minimum", 1)), "boolean": False}.get(sort, "word")


def leaves(value: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Every value that holds no others, with its place."""
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for name, one in inner:
            yield from leaves(one, (*where, name))
    else:
        yield where, value


def at(value: Any, where: Where) -> Any:
    """What is at a place."""
    for name in where:
        value = value[name]
    return value


def put(value: Any, where: Where, new: Any) -> None:
    """Put something else there."""
    at(value, where[:-1])[where[-1]] = new


A_MAIL = (
    "From: Mailer <daemon@example.org>\r\nTo: bounces@example.org\r\n"
    "Subject: word\r\n\r\n550 5.1.1 <ada@example.org>: unknown\r\n"
)
