"""The JSON schema of scenario files, with which editors complete and check them."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def schema() -> dict[str, Any]:
    """The schema (JSON Schema, draft 2020-12)."""
    text = files("tactful.sim").joinpath("scenario.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
