"""One suite per port, for our adapters and for yours. They need pytest.

Subclass a suite in a test module, say how an adapter is made, and every promise of the port is
tested against it:

    from tactful.testing.contracts.store import StoreContract

    class TestMyStore(StoreContract):
        def make_store(self, tmp_path):
            return MyStore(tmp_path / "my.db")
"""

import pytest

# Before the suites are imported: their plain asserts then show the values that they compare.
pytest.register_assert_rewrite("tactful.testing.contracts.store")
