"""Which addresses a request may go to.

A URL that somebody else gave us must not lead into the operator's own network (server-side request
forgery). So an address is reached only if it is global unicast: outside of every block in the IANA
registries of special-purpose addresses (RFC 6890, reachable from everywhere or not), neither
multicast nor reserved, and in IPv6 inside 2000::/3, the only part that is given out (RFC 4291
section 2.4).

Addresses that embed an IPv4 address (mapped, 6to4, Teredo) fall under that too. One form of them is
needed: where a network has IPv6 alone, its resolver puts every IPv4 host into 64:ff9b::/96 (RFC
6052), and such an address is judged by the one inside it.

`ipaddress.is_global` is not asked, because its answer depends on the version of Python: 3.11 calls
64:ff9b::7f00:1, 2002:7f00:1:: and 224.0.0.1 global, and the first two are this very machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

from tactful.core.errors import ConfigError

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

CLOSED: Final[dict[str, str]] = {
    "0.0.0.0/8": "this host",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a provider's customers",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "metadata of a cloud, although it looks public",
    "169.254.0.0/16": "link-local, and metadata of clouds",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "multicast tunnelling",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "2001::/23": "protocol assignments, Teredo",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
}
"""Blocks that are reached only where the operator allows them. Of IPv6 only what lies in 2000::/3
is listed, because all outside of it is closed anyway."""

_CLOSED: Final = tuple((ip_network(block), what) for block, what in CLOSED.items())
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")


def closed(address: Address) -> str | None:
    """What kind of closed block the address is in, or None for global unicast."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        if address in _NAT64:
            return closed(IPv4Address(int(address) & 0xFFFF_FFFF))
        return "not global unicast"
    return next((what for block, what in _CLOSED if address in block), None)


def parse_networks(texts: Sequence[str], field: str) -> tuple[Network, ...]:
    """Networks such as `10.1.0.0/16` or `::1`; raises ConfigError naming `field`."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError:
            bound = "must be networks such as 10.1.0.0/16 or fd00:1::/64, without host bits"
            raise ConfigError(f"{field}: {bound} (got {text!r})") from None
    return tuple(found)
