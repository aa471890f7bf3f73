"""The program that mypy checks also does what it says."""

import runpy
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "typing" / "api.py"


def test_the_typed_program_runs():
    told = runpy.run_path(str(PROGRAM))["main"]()

    assert told == [
        "to: must be a text of 1 to 320 characters",
        "invalid_rule",
        "idempotency_conflict",
        "never None",
        "not_found",
        "ConfigError",
    ]
