"""What a store brings along to be tested."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from tactful.ports import Store


class StoreSuite(ABC):
    """The factory, the capability and the fixture that all parts of the contract share."""

    @abstractmethod
    def make_store(self, tmp_path: Path) -> Store:
        """An empty store; what it needs on disk is inside the empty folder `tmp_path`."""

    def reopen(self, store: Store) -> Store | None:
        """Close a store and open what it stored again; None if it keeps nothing when closed.

        The default is a store that keeps nothing, which is then left open.
        """
        del store
        return None

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """An empty store, closed after the test."""
        store = self.make_store(tmp_path)
        yield store
        store.close()
