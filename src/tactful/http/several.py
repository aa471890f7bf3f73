"""Requests about many things at once: `{"items": [...]}`, with one result for each item.

Items are not checked by models, which would take longer than the engine does: see `notifications`.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from pydantic import BaseModel

from tactful.http.problems import Problem

ITEMS_MAX: Final = 1000


def several(model: type[BaseModel]) -> dict[str, Any]:
    """The description of a body with items that should look like `model`."""
    item = {
        "description": "Checked by itself: what is wrong with it is said in its own result.",
        "anyOf": [{"$ref": f"#/components/schemas/{model.__name__}"}, {}],
    }
    schema = {
        "type": "object",
        "required": ["items"],
        "additionalProperties": False,
        "properties": {"items": {"type": "array", "maxItems": ITEMS_MAX, "items": item}},
    }
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


async def items_of(request: Request) -> list[Any]:
    """The items of a request's body; raises Problem."""
    body = await request.json()
    if not isinstance(body, dict) or body.keys() != {"items"}:
        raise Problem(422, "invalid_request", 'body: must be {"items": [...]} and nothing else')
    items = body["items"]
    if not isinstance(items, list):
        raise Problem(422, "invalid_request", "items: must be a list")
    if len(items) > ITEMS_MAX:
        bound = f"items: must have at most {ITEMS_MAX}, not {len(items)}"
        raise Problem(422, "invalid_request", bound)
    return items
