"""How often somebody may try to log in: a little for each name and for each address.

The limits are cells (`core.throughput`) in the store: they hold across processes and restarts. A
name is kept as a digest, since people type their password into the wrong field.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from tactful.app import Tactful
from tactful.core.model import MINUTE, Millis
from tactful.core.throughput import Cell, conform

BY_NAME: Final = Cell.of(2, MINUTE, 10)
BY_ADDRESS: Final = Cell.of(6, MINUTE, 20)


def admit(app: Tactful, name: str, address: str) -> Millis | None:
    """Count a try; None if it may be made, else the first instant at which another one may.

    What is refused uses up nothing. Raises Unavailable.
    """
    limits = {_key("name", name): BY_NAME, _key("address", address): BY_ADDRESS}
    now = app.clock.now()
    with app.store.transaction(durable=False) as tx:
        then = tx.cells(list(limits))
        granted: dict[str, int] = {}
        free = now
        for key, cell in limits.items():
            tat, at = conform(cell, then.get(key, 0), now)
            if tat is not None:
                granted[key] = tat
            free = max(free, at)
        if len(granted) < len(limits):
            return free
        tx.set_cells(granted)
    return None


def _key(what: str, value: str) -> str:
    return f"console:{what}:{sha256(value.encode()).hexdigest()[:32]}"
