"""The description of the API (OpenAPI 3.1), as it is served and as it is kept in `docs/`.

What the framework finds out is completed with what only we know: which scope a route asks for,
which problems it can meet, and the items of requests about many things at once.
"""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from tactful.engine.problems import MEDIA_TYPE
from tactful.http.bodies import BulkNotification, ImportedPerson
from tactful.http.intake import LIVE_MARK, SCOPE_MARK
from tactful.http.problems import RESPONSES, SCHEMA

_REFERENCE: Final = "#/components/schemas/{model}"
_WITH_KEY: Final = ("401", "403", "429")
_WITH_BODY: Final = ("400", "408", "413", "415")
_LIVE: Final = "For keys of the live world only."


class Service(FastAPI):
    """An app that describes itself completely."""

    def openapi(self) -> dict[str, Any]:
        """See `FastAPI.openapi`."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def describe(service: FastAPI) -> dict[str, Any]:
    """The description of a service's routes."""
    found = get_openapi(
        title=service.title,
        version=service.version,
        description=service.description,
        routes=service.routes,
    )
    for path in found["paths"].values():
        for operation in path.values():
            _complete(operation)
    _, items = models_json_schema(
        [(BulkNotification, "validation"), (ImportedPerson, "validation")], ref_template=_REFERENCE
    )
    schemas = found["components"]["schemas"]
    schemas.update(items.get("$defs", {}))
    schemas["Problem"] = SCHEMA
    problems = {f"Problem{status}": answer for status, answer in RESPONSES.items()}
    found["components"]["responses"] = problems
    return found


def _complete(operation: dict[str, Any]) -> None:
    """What is known of one operation, in place."""
    words = re.split(r"\n\n+", operation.get("description", ""))
    scope = operation.pop(SCOPE_MARK, None)
    live_only = operation.pop(LIVE_MARK, False)
    if scope is not None:
        operation["security"] = [{"HTTPBearer": [scope]}]
        words.append(f"Scope: {scope}. {_LIVE if live_only else ''}".strip())
    operation["description"] = "\n\n".join(word for word in words if word)
    answers = operation["responses"]
    for status in _WITH_KEY if scope is None else ():
        answers.pop(status, None)
    for status in _WITH_BODY if "requestBody" not in operation else ():
        answers.pop(status, None)
    for status, answer in answers.items():
        if MEDIA_TYPE in answer.get("content", {}):
            answers[status] = {"$ref": f"#/components/responses/Problem{status}"}
