"""Was it right? An independent judge of what a store says that it did.

It shares no code with the engine: it reads rules, time zones and tables by itself, and looks for
the opposite of each promise.

* *Never one too many.* No window of any rule in force ever held more than the limit
  (`verify.limits`), by the version of the rule that was in force at the time (`verify.reigns`).
* *Never one lost.* Everything accepted waits or has come to one end that its attempts bear out,
  and what was sent twice says so (`verify.fates`).
* *And no slower than it must be.* The share of what the rules allowed that was used while something
  waited (`verify.utilisation`).

A history is a value (`History`). It comes out of a store (`from_store`) or out of a file of JSON
lines (`read_history`), and a mail server's log can be laid beside it (`read_arrivals`).
"""

from tactful.verify.arrivals import Arrival, read_arrivals
from tactful.verify.history import History, read_history, read_receipts, write_history
from tactful.verify.report import Report
from tactful.verify.verdict import SKEW_MS, from_store, verify

__all__ = [
    "SKEW_MS",
    "Arrival",
    "History",
    "Report",
    "from_store",
    "read_arrivals",
    "read_history",
    "read_receipts",
    "verify",
    "write_history",
]
