"""The store that lives in this process: for tests, demos and the simulator.

It keeps every promise of the port except the one about power cuts. A transaction holds the one
lock of the store and writes in place; a journal of undo steps takes everything back when it
fails, so nothing is copied in advance and a transaction costs what it touches.
"""

from tactful.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
