"""The service, on a store in memory or on each of the stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_bench import Api


@pytest.fixture
def api() -> Iterator[Api]:
    """The service where the store makes no difference."""
    with Api() as made:
        yield made


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def every(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    """The service on each of the stores."""
    url = "memory://"
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'tactful.db'}"
    elif request.param == "postgres":
        url = request.getfixturevalue("used_store_url")
    with Api(url) as made:
        yield made
