"""What the exit code of `tactful` says; scripts may rely on it."""

from __future__ import annotations

from typing import Final

from tactful.core.errors import ConfigError, NotFound, TactfulError, Unavailable

OK: Final = 0
REFUSED: Final = 1
BROKEN: Final = 1
PENDING: Final = 1
USAGE: Final = 2
NOT_SENT: Final = 3
NOT_FOUND: Final = 4
UNAVAILABLE: Final = 5
UNHEALTHY: Final = 6

MEANINGS: Final = {
    OK: "done; for send: it goes out, now or later",
    REFUSED: "the request was refused and nothing was stored; for verify: a promise was broken;"
    " for migrate --check: there is something to do",
    USAGE: "the command line or the configuration is wrong",
    NOT_SENT: "send: a rule or the recipient's wishes say no (reject, suppress, expire)",
    NOT_FOUND: "the id names nothing",
    UNAVAILABLE: "the store is out of reach; try again later",
    UNHEALTHY: "doctor found a problem",
}


def exit_code(error: TactfulError) -> int:
    """The exit code for an error."""
    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, NotFound):
        return NOT_FOUND
    if isinstance(error, Unavailable):
        return UNAVAILABLE
    return REFUSED
