"""Recipients in files: CSV with a header, or JSON objects, one a line."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final, NamedTuple

from tactful.core.errors import RequestError
from tactful.core.model import Recipient
from tactful.engine.people import checked

FIELDS: Final = ("id", "email", "name", "timezone", "locale", "mute")
ADDRESS: Final = "address."
JSON_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")


class BadLine(NamedTuple):
    """A line that is no recipient, by its number in the file."""

    line: int
    problem: str


def recipients_in(source: BinaryIO, suffix: str) -> Iterator[Recipient | BadLine]:
    """Everything in the file from its beginning, in order; raises RequestError for its header.

    `suffix` tells the format; without a telling one, a file that begins with { is JSON.
    """
    source.seek(0)
    start = source.read(64).removeprefix(codecs.BOM_UTF8).lstrip()
    source.seek(0)
    if suffix.lower() in JSON_SUFFIXES or (suffix != ".csv" and start.startswith(b"{")):
        return _from_json(source)
    return _from_csv(source)


def _from_json(source: BinaryIO) -> Iterator[Recipient | BadLine]:
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        try:
            body = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            if not isinstance(body, dict):
                raise RequestError("line", body, "must be a JSON object")
            yield _from_object(body)
        except (ValueError, RecursionError) as error:
            yield BadLine(number, f"no JSON: {error}")
        except RequestError as error:
            yield BadLine(number, str(error))


def _from_object(body: Mapping[str, Any]) -> Recipient:
    given = {key: value for key, value in body.items() if value is not None}
    for key, value in given.items():
        if key == "addresses":
            texts = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
            if not texts:
                raise RequestError(key, value, "must map kinds to addresses")
        elif key == "mute":
            if not isinstance(value, list):
                raise RequestError(key, value, "must be a list")
        elif key not in FIELDS:
            raise RequestError(key, value, f"is no field: {', '.join(FIELDS)}, addresses")
        elif not isinstance(value, str):
            raise RequestError(key, value, "must be a text")
    return _recipient(given)


def _from_csv(source: BinaryIO) -> Iterator[Recipient | BadLine]:
    lines = (line.decode("utf-8-sig", "surrogateescape") for line in source)
    rows = csv.reader(lines, strict=True)
    try:
        head = [name.strip().lower() for name in next(rows, [])]
    except csv.Error as error:
        raise RequestError("header", "", f"must be CSV: {error}") from None
    for name in head:
        if name not in FIELDS and not (name.startswith(ADDRESS) and name != ADDRESS):
            raise RequestError(
                "header", name, f"must name columns among {', '.join(FIELDS)}, {ADDRESS}KIND"
            )
    if not {"id", "email"} & set(head) or len(set(head)) != len(head):
        raise RequestError("header", ",".join(head), "must have id or email, and no column twice")
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows)
            if row:
                yield _from_row(head, row)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(number, str(error))
        except RequestError as error:
            yield BadLine(number, str(error))


def _from_row(head: list[str], row: list[str]) -> Recipient:
    if len(row) != len(head):
        raise RequestError("line", len(row), f"must have {len(head)} columns")
    cells = {name: cell.strip() for name, cell in zip(head, row, strict=True) if cell.strip()}
    for name, cell in cells.items():
        if not cell.isascii() and any("\ud800" <= letter <= "\udfff" for letter in cell):
            raise RequestError(name, cell, "must be UTF-8")
    given: dict[str, Any] = {name: cell for name, cell in cells.items() if name in FIELDS}
    given["addresses"] = {
        name.removeprefix(ADDRESS): cell for name, cell in cells.items() if name.startswith(ADDRESS)
    }
    given["mute"] = [part.strip() for part in given.get("mute", "").split(";") if part.strip()]
    return _recipient(given)


def _recipient(given: Mapping[str, Any]) -> Recipient:
    fields = {"id": given.get("email", ""), **given, "mute": tuple(given.get("mute", ()))}
    return checked(Recipient(**fields))
