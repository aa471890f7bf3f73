"""A submission port over an engine in memory, whose clock stands still."""

from collections.abc import Iterator

import pytest
from door_cases import House

from tactful import Rule


@pytest.fixture
def house() -> Iterator[House]:
    with House() as made:
        made.app.rules.put(Rule("news", types=["news"], limit="1/day"))
        made.app.rules.put(Rule("alarm", types=["alarm"], limit="1/day", on_limit="reject"))
        made.app.rules.put(Rule("never", types=["never"], limit="0/day", on_limit="reject"))
        yield made
