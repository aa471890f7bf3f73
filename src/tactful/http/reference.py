"""The reference of the API as a page for people, made of its description.

    python -m tactful.http.reference docs/openapi.json > docs/api.md

One section for each group of routes, one heading for each route, and every shape once, at the end.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

JSON: Final = "application/json"
HEAD: Final = """\
# API reference

Every route of the [HTTP service](http.md), made of [openapi.json](openapi.json) by `make docs`.
`Authorization: Bearer KEY` goes with every request, and the key has the scope that the route names,
or `admin`. Bodies are JSON; a field that is not known is an error. Instants and spans are
milliseconds. Fields in **bold** have to be given, and in answers are always there.

Besides the answers that are named, a route can answer with a [problem](#problem):
[which ones](http.md#errors) depends on the request. The bounds of values that the engine checks,
such as the length of a subject, are named by the error.
"""
_RANGES: Final = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
)


def reference(description: Mapping[str, Any]) -> str:
    """The whole page for an OpenAPI description with shapes as ours has them."""
    groups: dict[str, list[str]] = {}
    index = ["| route | scope | does |", "|---|---|---|"]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            lines = groups.setdefault(operation["tags"][0], [])
            lines += [f"### `{name}`", "", *_route(operation)]
            does = _cell(operation["description"].partition("\n\n")[0])
            index.append(f"| [`{name}`](#{anchor(name)}) | {_scope(operation)} | {does} |")
    found = [HEAD, *index, ""]
    for name, lines in groups.items():
        found += [f"## Routes: {name}", "", *lines]
    found += ["## Shapes", ""]
    for schema in _by_title(description["components"]["schemas"]).values():
        found += [f"### {_title(schema['title'])}", "", *_shape(schema)]
    return "\n".join(found).rstrip() + "\n"


def _route(operation: Mapping[str, Any]) -> Iterator[str]:
    yield operation["description"]
    yield ""
    rows = list(operation.get("parameters", ()))
    if rows:
        yield from ("| parameter | in | value | meaning |", "|---|---|---|---|")
        for one in rows:
            name = _strong(one["name"], one["required"])
            words = one.get("description", "")
            value = _value(one["schema"], nullable=False)
            yield f"| {name} | {one['in']} | {_cell(value)} | {_cell(words)} |"
        yield ""
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body{'' if kind == JSON else f' (`{kind}`)'}: {_value(body['schema'])}."
        yield ""
        if "properties" in body["schema"]:
            yield from _shape(body["schema"])
    answers = []
    for status, answer in sorted(operation["responses"].items()):
        if status.startswith("2"):
            content = answer.get("content", {}).get(JSON)
            answers.append(f"{status} {_value(content['schema']) if content else 'without a body'}")
    yield f"Answer: {', '.join(answers)}."
    yield ""


def _shape(schema: Mapping[str, Any]) -> Iterator[str]:
    """A schema with its words, and a table of its fields if it has some."""
    if schema.get("description"):
        yield from (schema["description"], "")
    if "properties" not in schema:
        yield from (f"{_value(schema)}.", "")
        return
    yield from ("| field | value | meaning |", "|---|---|---|")
    must = schema.get("required", ())
    for name, field in schema["properties"].items():
        words = _cell(field.get("description", ""))
        yield f"| {_strong(name, name in must)} | {_cell(_value(field))} | {words} |"
    yield ""


def _value(schema: Mapping[str, Any], *, nullable: bool = True) -> str:
    """What may stand there, in a few words; what is not `nullable` is left out instead."""
    if "$ref" in schema:
        title = _title(schema["$ref"].rpartition("/")[2])
        return f"[{title}](#{anchor(title)})"
    if "anyOf" in schema:
        either = [one for one in schema["anyOf"] if nullable or one.get("type") != "null"]
        words = " or ".join(dict.fromkeys(_value(one) for one in either))
    elif "enum" in schema:
        words = ", ".join(f"`{one}`" for one in schema["enum"])
    elif schema.get("type") == "array":
        words = f"list of {_value(schema.get('items', {}))}"
    else:
        words = str(schema.get("type", "anything"))
    bounds = [
        " ".join(
            f"{word} {schema[key]:,}"
            for word, key in (("from", low), ("to", high))
            if key in schema
        )
        + of
        for low, high, of in _RANGES
        if low in schema or high in schema
    ]
    if "pattern" in schema:
        bounds.append(f"like `{schema['pattern']}`")
    if schema.get("default") is not None:
        bounds.append(f"default `{json.dumps(schema['default'], ensure_ascii=False)}`")
    return ", ".join([words, *bounds])


def _by_title(schemas: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The schemas, each once, also where requests and answers have one of their own."""
    return {
        _title(name): {**schema, "title": name}
        for name, schema in sorted(schemas.items(), key=lambda item: _title(item[0]).lower())
    }


def _title(name: str) -> str:
    """`Page_Delivery_` is a page of deliveries, `NewKey-Input` the key that is asked for."""
    kind, _, of = name.removesuffix("_").partition("_")
    if of:
        return f"{kind} of {'object' if of.startswith('dict') else of}"
    return name.replace("-Input", " that is asked").replace("-Output", " that is answered")


def _scope(operation: Mapping[str, Any]) -> str:
    """What a key must be allowed; nothing, where none is asked for."""
    return ", ".join(f"`{s}`" for one in operation.get("security", ()) for s in one["HTTPBearer"])


def anchor(heading: str) -> str:
    """How a page links to a heading of itself."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _strong(name: str, must: bool) -> str:
    return f"**`{name}`**" if must else f"`{name}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    read = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(reference(read))
