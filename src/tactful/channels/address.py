"""Our own grammar for e-mail addresses, strict, and applied before any library sees the text.

Mail libraries repair what they are given: `v@x>\\r\\nRCPT TO:<evil` becomes `v@x`, `"a\\r\\nb"@x`
becomes `a`. That is a message to somebody who was not asked for. So nothing here is repaired: a
text is one address exactly as it stands, or it is refused with the reason.

Accepted is `Dot-string@Domain` of RFC 5321 section 4.1.2, widened by RFC 6531 to letters of any
script. Left out although the RFCs have them: quoted local parts, comments, domain literals and
source routes. Nobody's real mailbox needs them, and each has been a way to make two programs read
one text as two addresses. For the same reason a local part may not hold `=?`, the start of an
RFC 2047 encoded word: the grammar allows it, and too many readers decode it.

Two addresses are one and the same where their `key` is equal. The key knows only what holds for
every mail system; that `me+a@` and `m.e@` may be the same mailbox is knowledge about one provider.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

import idna

from tactful.core.errors import RequestError

MAX_LOCAL: Final = 64
"""Octets of UTF-8 before the `@`; RFC 5321 section 4.5.3.1.1."""

MAX_ADDRESS: Final = 254
"""Octets of the whole address: the 256 of a path (RFC 5321 section 4.5.3.1.3) less `<` and `>`."""

MAX_DOMAIN: Final = 253
"""Octets of a domain name without its root dot; RFC 1035 section 2.3.4."""

CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no address or header text may hold: C0, DEL, C1, the Unicode line ends, half surrogates."""

ATEXT: Final = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
"""The characters of an RFC 5322 atom, as the inside of a regular expression's set."""

_LABEL = r"(?![Xx][Nn]--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# A last label that reads as a number makes the domain an IPv4 address to most resolvers, which
# take `127.1` and `0x7f000001` as gladly as `127.0.0.1`.
_NOT_NUMBER = r"(?!(?:[0-9]+|0[Xx][0-9A-Fa-f]*)\Z)"
_DOMAIN = rf"(?:{_LABEL}\.)*{_NOT_NUMBER}{_LABEL}"

# Nearly all addresses are plain ASCII; one match tells. Each `.` and `@` is outside of the sets
# around it, so a failing match is linear.
_PLAIN = re.compile(rf"([{ATEXT}]+(?:\.[{ATEXT}]+)*)@({_DOMAIN})")
_LDH_LABEL = re.compile(_LABEL)
_NUMBER = re.compile(r"[0-9]+|0[Xx][0-9A-Fa-f]*")
_LOCAL = re.compile(rf"[{ATEXT}\x80-\U0010ffff]+(?:\.[{ATEXT}\x80-\U0010ffff]+)*")

# General categories that cannot be seen, or that have no agreed meaning (private, unassigned).
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"))
# Letters and marks that show nothing: Default_Ignorable_Code_Point outside of Cf and Cn, and the
# blank of Braille. Two addresses that differ in one of these look the same to everybody.
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    r"\U000e0100-\U000e01ef]"
)

_MAILBOX = re.compile(
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"[ \t]*|(?P<plain>[^()<>\[\]:;@\\,"]*))<(?P<address>[^<>]*)>'
)
_MAX_MAILBOX = 1_000


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox, as `parse_email` returns it; do not make one from unchecked text.

    `local` is as the caller wrote it, because only the receiving system may interpret it (RFC 5321
    section 2.4). `domain` is lower-case ASCII, in A-labels where it is international (RFC 5891).
    """

    local: str
    domain: str

    @property
    def mailbox(self) -> str:
        """The form for the wire, `local@domain`."""
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """The form for comparing: equal keys are the same person's address, for limits too.

        The local part is compared without case and without compatibility differences (Unicode
        chapter 3.13, D146), although RFC 5321 would allow `Ann` and `ann` to be two mailboxes: no
        provider does, and a limit that a capital letter lifts is none.
        """
        return f"{_canonical(self.local)}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server that offers SMTPUTF8 (RFC 6531) can take this address."""
        return not self.local.isascii()


def parse_email(text: str, field: str = "to", *, allow_single_label: bool = True) -> Address:
    """Read one address; spaces and tabs around it are ignored.

    `allow_single_label=False` refuses domains without a dot, such as `localhost`.
    Raises `RequestError` naming `field` where the text is not exactly one acceptable address.
    """
    plain = _PLAIN.fullmatch(text)
    if plain is not None and len(text) <= MAX_ADDRESS and plain.end(1) <= MAX_LOCAL:
        local, domain = plain.groups()
        if "=?" not in local and (allow_single_label or "." in domain):
            return Address(local, domain.lower())
    return _parse_any(text, field, allow_single_label)


def parse_domain(text: str, field: str = "domain") -> str:
    """Read a domain name into lower-case ASCII (UTS 46 non-transitional, IDNA 2008).

    Raises `RequestError` naming `field` for whatever is not a name: literals, IP addresses,
    underscores, empty or too long labels, labels that IDNA does not allow.
    """
    if len(text) > MAX_DOMAIN:  # before IDNA, whose cost grows faster than the text
        raise RequestError(field, text, f"domain must have at most {MAX_DOMAIN} octets")
    try:
        mapped = text.lower() if text.isascii() else idna.uts46_remap(text, std3_rules=True)
        # An ASCII label is taken as it is: IDNA refuses `r3---sn`, and hosts are named so.
        labels = [_to_ascii(label) for label in mapped.split(".")]
    except UnicodeError as error:
        raise RequestError(field, text, f"domain is not a valid name: {error}") from None
    domain = ".".join(labels)
    if len(domain) > MAX_DOMAIN:
        raise RequestError(field, text, f"domain must have at most {MAX_DOMAIN} octets")
    if _NUMBER.fullmatch(labels[-1]):
        raise RequestError(field, text, "domain must be a name, not an IP address")
    return domain


def parse_mailbox(text: str, field: str) -> tuple[str | None, Address]:
    """Read a configured sender: `a@x.test`, `Name <a@x.test>` or `"Name, Inc." <a@x.test>`.

    Returns the display name, None without one, and the address. In quotes a backslash takes the
    next character literally; without quotes the name holds none of `()<>[]:;@\\,"`.
    Raises `RequestError` naming `field` for anything else, control characters in particular.
    """
    bare = text.strip(" \t")
    if len(bare) > _MAX_MAILBOX:
        raise RequestError(field, text, f"must have at most {_MAX_MAILBOX} characters")
    if CONTROLS.search(bare):
        raise RequestError(field, text, "must not hold control characters or line ends")
    if not bare.endswith(">"):
        return None, parse_email(bare, field)
    found = _MAILBOX.fullmatch(bare)
    if found is None:
        raise RequestError(
            field,
            text,
            'must be `address` or `name <address>`; quote a name with any of ()<>[]:;@\\,"',
        )
    name = found["plain"].strip(" \t") if found["quoted"] is None else _unescape(found["quoted"])
    return name or None, parse_email(found["address"], field)


def _unescape(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)


def _parse_any(text: str, field: str, allow_single_label: bool) -> Address:
    """Decide on what is not plain ASCII, not short or not right, with the reason for a no."""
    bare = text.strip(" \t")
    if len(bare) > MAX_ADDRESS:
        raise RequestError(field, text, f"must have at most {MAX_ADDRESS} octets")
    if CONTROLS.search(bare):
        raise RequestError(field, text, "must not hold control characters or line ends")
    if any(char.isspace() for char in bare):
        raise RequestError(field, text, "must not hold white space")
    local, _, domain = bare.partition("@")
    if bare.count("@") != 1:
        raise RequestError(field, text, "must hold exactly one @")
    if not local or not domain:
        raise RequestError(field, text, "must have something on both sides of the @")
    wrong = _wrong_with_local(local)
    if wrong:
        raise RequestError(field, text, wrong)
    try:
        domain = parse_domain(domain, field)
    except RequestError as error:
        raise RequestError(field, text, error.bound) from None
    if not allow_single_label and "." not in domain:
        raise RequestError(field, text, "domain must hold a dot")
    address = Address(local, domain)
    if len(address.mailbox.encode()) > MAX_ADDRESS:
        raise RequestError(field, text, f"must have at most {MAX_ADDRESS} octets")
    return address


def _wrong_with_local(local: str) -> str | None:
    if len(local.encode()) > MAX_LOCAL:
        return f"part before the @ must have at most {MAX_LOCAL} octets"
    # What the local part becomes when compared must be a local part too: U+FF20 and U+2025
    # would otherwise turn into `@` and `..` inside a key.
    for form in (local, _canonical(local)):
        if not _LOCAL.fullmatch(form):
            return "part before the @ must be words of letters, digits or !#$%&'*+-/=?^_`{|}~"
        if "=?" in form:
            return "part before the @ must not hold =?"
    if _BLANK.search(local) or any(unicodedata.category(char) in _UNSEEN for char in local):
        return "part before the @ must not hold invisible or unassigned characters"
    # A mark at the start would join the `<` before it: U+0338 makes it a not-less-than sign.
    if unicodedata.category(local[0]).startswith("M"):
        return "part before the @ must not start with a combining mark"
    return None


def _canonical(local: str) -> str:
    if local.isascii():
        return local.lower()
    once = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", local).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def _to_ascii(label: str) -> str:
    if _LDH_LABEL.fullmatch(label):
        return label
    if label.isascii() and not label.startswith("xn--"):
        raise UnicodeError(f"bad label {label!r}" if label else "empty label")
    encoded = idna.alabel(idna.ulabel(label)).decode()
    # Punycode can spell one label in two ways; only the one that encoding gives is the name.
    if label.isascii() and encoded != label:
        raise UnicodeError(f"bad label {label!r}")
    return encoded
