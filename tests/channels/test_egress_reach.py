"""Which addresses are reached, against the IANA registries read by brute force."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tactful.channels.egress.reach import closed, parse_networks
from tactful.core.errors import ConfigError

# fmt: off
# "IANA IPv4 Special-Purpose Address Registry", "IPv4 Multicast", and what RFC 1112 reserves.
SPECIAL_V4 = [
    "0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32",
    "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24",
    "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32", "224.0.0.0/4",
    "168.63.129.16/32",
]
# "IANA IPv6 Special-Purpose Address Registry", multicast, site-local, IPv4-compatible.
SPECIAL_V6 = [
    "::1/128", "::/128", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
    "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48",
    "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28",
    "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7",
    "fe80::/10", "ff00::/8", "fec0::/10", "::/96",
]
# fmt: on
NAT64 = "64:ff9b::/96"


def bits(address: IPv4Address | IPv6Address) -> str:
    return format(int(address), f"0{address.max_prefixlen}b")


def listed(address: IPv4Address | IPv6Address, blocks: list[str]) -> bool:
    """Whether an address begins with the bits of a block: the oracle."""
    for block in blocks:
        start, _, length = block.partition("/")
        if bits(address).startswith(bits(ip_address(start))[: int(length)]):
            return True
    return False


def expected_closed(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return listed(address, SPECIAL_V4)
    if listed(address, [NAT64]):
        return listed(IPv4Address(int(bits(address)[96:], 2)), SPECIAL_V4)
    return listed(address, SPECIAL_V6) or not bits(address).startswith("001")


def neighbours(block: str) -> list[IPv4Address | IPv6Address]:
    """The ends of a block, and what lies right outside of them."""
    network = ip_network(block)
    first, last = int(network.network_address), int(network.broadcast_address)
    kind = type(network.network_address)
    ends = (first - 1, first, last, last + 1)
    return [kind(number) for number in ends if 0 <= number < 2**network.max_prefixlen]


def in_blocks(blocks: list[str]) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.sampled_from(blocks).flatmap(lambda block: st.ip_addresses(network=block))


ADDRESSES = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.ip_addresses(network="2000::/3"),
    st.ip_addresses(network=NAT64),
    in_blocks(SPECIAL_V4),
    in_blocks(SPECIAL_V6),
    in_blocks(SPECIAL_V4).map(lambda inner: IPv6Address((0x64FF9B << 96) | int(inner))),
    in_blocks(SPECIAL_V4).map(lambda inner: IPv6Address((0xFFFF << 32) | int(inner))),
    in_blocks(SPECIAL_V4).map(lambda inner: IPv6Address((0x2002 << 112) | (int(inner) << 80))),
    st.sampled_from([*SPECIAL_V4, *SPECIAL_V6, NAT64, "2000::/3"]).flatmap(
        lambda block: st.sampled_from(neighbours(block))
    ),
)


@settings(deadline=None, print_blob=True, max_examples=500)
@given(ADDRESSES)
@example(ip_address("64:ff9b::7f00:1"))
@example(ip_address("64:ff9b::808:808"))
@example(ip_address("2002:7f00:1::"))
@example(ip_address("::127.0.0.1"))
@example(ip_address("168.63.129.16"))
def test_what_the_registries_list_is_closed_and_nothing_else(address):
    assert (closed(address) is not None) == expected_closed(address)


@settings(deadline=None, print_blob=True, max_examples=500)
@given(ADDRESSES)
def test_what_python_does_not_call_global_is_never_reached(address):
    """The other way round it is not so: Python 3.11 calls several closed blocks global."""
    if not address.is_global:
        nat64 = address in ip_network(NAT64)
        assert nat64 or closed(address) is not None


@pytest.mark.parametrize("block", [*SPECIAL_V4, *SPECIAL_V6, NAT64, "2000::/3"])
def test_blocks_begin_and_end_where_the_registries_say(block: str):
    for address in neighbours(block):
        assert (closed(address) is not None) == expected_closed(address), address


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",  # Amazon, Google, Azure, DigitalOcean, Oracle
        "fd00:ec2::254",  # Amazon
        "fd20:ce::254",  # Google
        "168.63.129.16",  # Azure
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_metadata_of_clouds_is_closed(address: str):
    assert closed(ip_address(address)) is not None


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "2a00::1"])
def test_the_internet_is_open(address: str):
    assert closed(ip_address(address)) is None


@pytest.mark.parametrize("text", ["10.1.0.0/8", "10", "", "localhost", "10.0.0.0/33", "::/129"])
def test_a_network_that_is_none_is_refused(text: str):
    with pytest.raises(ConfigError, match="here: must be networks such as"):
        parse_networks([text], "here")
