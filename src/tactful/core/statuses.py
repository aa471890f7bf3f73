"""Which enhanced status (RFC 3463) says that nobody is at an address.

A status has a class: 2 went well, 4 did not work this time, 5 never will. But `never` is about this
message and not about this address: 5.7.1 means that a server dislikes the sender, 5.2.2 that a
mailbox is full. Bounces that come as mails and refusals in the SMTP dialogue go by this one table.
"""

from __future__ import annotations

from typing import Final

HARD: Final = "hard"
"""Nobody is there, and nobody should write there again."""

SOFT: Final = "soft"
"""It did not work this time, and that may be the fault of the mailbox."""

NOBODY: Final = frozenset(
    (
        *("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10"),
        *("5.2.1", "5.4.1", "5.4.4"),  # 5.4.1 is what Exchange Online says of unknown mailboxes
    )
)
"""What says that there is no such mailbox, or no such domain."""
