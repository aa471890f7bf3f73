"""Our own grammar for URLs to send to, strict, and applied before any library sees the text.

Two programs that read one URL as two hosts are how a check is passed by (`https://a\\@b`,
`https://a#@b`, a tab in the middle). So a text is one URL exactly as it stands, or it is refused:
`scheme://host[:port][/path][?query]` in the characters of RFC 3986, nothing before the host, no
fragment. The host is a name, an IPv4 address of four plain decimal numbers, or an IPv6 address in
brackets; `127.1`, `0x7f.1` and `2130706433`, which many resolvers take for addresses, are refused.

A path or query may be a secret, as with most chat services. Neither a `repr` nor an error shows it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from tactful.channels.address import parse_domain
from tactful.core.errors import RequestError

MAX_URL: Final = 2_048
"""Characters of a URL; nobody needs more, and many servers take no more."""

PORTS: Final = {"https": 443, "http": 80}

# The host may be international; it is turned into ASCII. All else is ASCII already.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[^\x00-\x20\x7f\"#%/:<>?@\[\\\]^`{|}]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*)?(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*)?)"
)
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOTTED = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL, as `parse_url` returns it. `path` is what the request line holds."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    address: IPv4Address | IPv6Address | None = None
    """The host, where it is an address and no name."""

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The URL without its path: what may be shown."""
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The URL in normal form, with its path; not for showing."""
        return self.origin + self.path


def parse_url(text: str, name: str = "url") -> Target:
    """Read one http or https URL; raises RequestError naming the field `name`, never the path."""
    if not isinstance(text, str) or len(text) > MAX_URL:
        raise RequestError(name, _shown(text), f"must be a URL of at most {MAX_URL} characters")
    found = _URL.fullmatch(text)
    if found is None or _PERCENT.search(found["path"]):
        bound = "must be https://host/path, without user, fragment or unusual characters"
        raise RequestError(name, _shown(text), bound)
    scheme = found["scheme"].lower()
    if scheme not in PORTS:
        raise RequestError(name, _shown(text), "must begin with https://")
    port = int(found["port"]) if found["port"] else PORTS[scheme]
    if not 0 < port < 65_536:
        raise RequestError(name, _shown(text), "port must be 1 to 65535")
    path = found["path"]
    if not path.startswith("/"):
        path = f"/{path}"
    address = _address(found["v6"], found["host"], name)
    host = str(address) if address is not None else parse_domain(found["host"], name)
    return Target(scheme, host, port, path, address)


def _address(v6: str | None, host: str, name: str) -> IPv4Address | IPv6Address | None:
    try:
        if v6 is not None:
            return IPv6Address(v6)
        return IPv4Address(host) if _DOTTED.fullmatch(host) else None
    except ValueError:
        raise RequestError(name, v6 or host, "host must be a name or an IP address") from None


def _shown(text: object) -> str:
    """Scheme and host of what could not be read, where they are surely nothing else."""
    found = re.match(r"[a-z]{1,10}://[A-Za-z0-9.-]{1,253}(?=[/?:]|\Z)", str(text)[:300])
    return f"{found[0]}..." if found and "@" not in str(text) else "a URL"
