"""Histories of a limiter on a server, seen from outside, and a way to turn their clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files

import valkey

from tactful import Limiter
from tactful.ledgers.layout import bucket_of, prefixes

MakeLimiter = Callable[..., Limiter]
"""What the fixture `make` gives: it takes rules and options, and makes a limiter."""


class Histories:
    """What a server knows about recipients of one namespace, seen and moved in time.

    A recipient's time never goes back. So whoever sets the latest instant of a history to one in
    the future decides at which instant the next ask is decided, to the millisecond.
    """

    def __init__(self, client: valkey.Valkey, namespace: str) -> None:
        self._client = client
        self._prefixes = prefixes(namespace)
        known = files("tactful.ledgers").joinpath("history.lua").read_text("utf-8")
        self._advance = client.register_script(
            known
            + """
            local history = read_history(redis.call('GET', KEYS[1]))
            history[1] = math.max(history[1], tonumber(ARGV[1]))
            redis.call('SET', KEYS[1], packed_history(history, math.huge))
            """
        )
        self._sizes = client.register_script(
            known
            + """
            local history = read_history(redis.call('GET', KEYS[1]))
            local sizes = {}
            for i = 3, #history, 2 do
              sizes[#sizes + 1] = #history[i]
            end
            return sizes
            """
        )

    def key(self, recipient: str) -> bytes:
        name = recipient.encode()
        return self._prefixes[bucket_of(name)] + name

    def advance(self, recipient: str, instant: int) -> None:
        """From now on it is this instant for the recipient, which is after all before."""
        self._advance(keys=[self.key(recipient)], args=[instant])

    def sizes(self, recipient: str) -> Sequence[int]:
        """How many stamps are kept of each kind."""
        sizes: Sequence[int] = self._sizes(keys=[self.key(recipient)])
        return sizes
