"""The API keeps to its description, whatever is sent: schemathesis over every operation.

Requests are made from the description, good ones and bad ones. No answer may be an error on this
side, and each must be one that is described, of the type and the shape that are described; what
breaks the description must be refused.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from api_bench import Api
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
)
# A body that is too large is refused as such, whatever else is wrong with it.
CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {
            "negative_data_rejection": {
                "expected-statuses": ["400", "404", "405", "409", "413", "422"]
            }
        }
    }
)
SHORT = 3
LONG = 250


def quietly(examples: int) -> settings:
    """So many examples, none of them kept or made smaller."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


def speaks_json(operation: Any) -> bool:
    """Whether it is one of this API: mail servers and providers have formats of their own.

    Keys are the matter of test_openapi, and nothing is said about them here.
    """
    asked = operation.pop("security", None)
    body = operation.get("requestBody", {}).get("content", {"application/json": {}})
    return asked is not None and body.keys() == {"application/json"}


def probe(examples: int) -> int:
    """Call every operation of the API so often, good and bad; gives the number of calls."""
    calls = 0
    with Api() as api:

        def call(case: Any) -> None:
            nonlocal calls
            calls += 1
            case.call_and_validate(headers=api.admin, checks=CHECKS)

        described = api.client.get("/openapi.json").json()
        described["paths"] = {
            path: methods
            for path, methods in described["paths"].items()
            if all(speaks_json(operation) for operation in methods.values())
        }
        schema = schemathesis.openapi.from_dict(described, config=CONFIG)
        schema.app = api.service
        for found in schema.get_all_operations():
            operation = found.ok()
            for mode in schemathesis.GenerationMode:
                cases = operation.as_strategy(generation_mode=mode)
                with suppress(Unsatisfiable):  # what takes nothing cannot be given anything bad
                    quietly(examples)(given(cases)(call))()
        assert api.client.get("/v1/status", headers=api.admin).status_code == 200
    return calls


def test_the_api_keeps_to_its_description() -> None:
    assert probe(SHORT) > 150


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_api_keeps_to_its_description_for_twenty_thousand_calls() -> None:
    assert probe(LONG) > 20_000
