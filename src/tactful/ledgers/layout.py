"""Where histories lie: the keys of recipients, and how they are spread over a cluster.

A cluster has 16,384 slots and runs a script only over keys of one of them. A batch would fall
apart into as many calls as it has recipients. So recipients share 64 buckets, each with a hash tag
(the part of a key between braces, which alone decides about its slot) whose slot lies in its own
64th of all slots: a cluster of up to 64 nodes gets about the same load on each.
"""

from __future__ import annotations

from binascii import crc_hqx
from itertools import count
from typing import Final

BUCKETS: Final = 64
_SLOTS: Final = 16_384
_VERSION: Final = 1


def slot_of(tag: str) -> int:
    """The slot of a hash tag: CRC16 in the variant XMODEM, as the cluster specification says."""
    return crc_hqx(tag.encode(), 0) % _SLOTS


def _tags() -> list[str]:
    size = _SLOTS // BUCKETS
    found: dict[int, str] = {}
    for number in count():
        found.setdefault(slot_of(str(number)) // size, str(number))
        if len(found) == BUCKETS:
            break
    return [found[bucket] for bucket in range(BUCKETS)]


_TAGS: Final = _tags()
SLOTS: Final = tuple(slot_of(tag) for tag in _TAGS)
"""The slot of each bucket."""


def bucket_of(recipient: bytes) -> int:
    """The bucket of a recipient."""
    return crc_hqx(recipient, 0) % BUCKETS


def prefixes(namespace: str) -> tuple[bytes, ...]:
    """What the keys of each bucket begin with; the recipient follows."""
    return tuple(f"{namespace}:{_VERSION}:{{{tag}}}:".encode() for tag in _TAGS)
