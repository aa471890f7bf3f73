"""What every store promises, as tests.

No test here asks how a store does it. Where stores may differ (the order of equal instants, which
of many prunable rows go first), the suite does not look.
"""

from tactful.testing.contracts.store.atomicity import Atomicity
from tactful.testing.contracts.store.broadcasts import Broadcasts
from tactful.testing.contracts.store.directory import DirectoryPromises
from tactful.testing.contracts.store.edges import Edges
from tactful.testing.contracts.store.facts import FactPromises
from tactful.testing.contracts.store.leases import Leases
from tactful.testing.contracts.store.ledger import LedgerPromises
from tactful.testing.contracts.store.lines import Lines
from tactful.testing.contracts.store.pausing import Pausing
from tactful.testing.contracts.store.queue import QueuePromises
from tactful.testing.contracts.store.records import RecordPromises
from tactful.testing.contracts.store.results import Results
from tactful.testing.contracts.store.settings import SettingPromises
from tactful.testing.contracts.store.upkeep import UpkeepPromises

__all__ = ["StoreContract"]


class StoreContract(
    QueuePromises,
    Leases,
    Lines,
    Results,
    RecordPromises,
    LedgerPromises,
    Broadcasts,
    Pausing,
    FactPromises,
    DirectoryPromises,
    SettingPromises,
    UpkeepPromises,
    Atomicity,
    Edges,
):
    """Every promise of `tactful.ports.Store`.

    A subclass named `Test...` gives `make_store`; one whose store outlives its process also gives
    `reopen`.
    """
