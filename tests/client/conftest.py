"""One real service for each module of tests."""

from collections.abc import Iterator

import pytest
from service_cases import Served, serving

from tactful import Client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.key) as made:
        yield made
