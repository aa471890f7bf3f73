"""DKIM: a mail carries the signature of its sender's domain (RFC 6376; Ed25519: RFC 8463).

The signer takes the bytes that `channels.mime` wrote and puts one DKIM-Signature header above them
for each key. It changes nothing else, and has to run last: what is signed may not be touched.

* Both header and body are signed in relaxed form, so a relay may fold headers anew and change runs
  of blanks. The whole body is signed: with `l=`, others could add to it (RFC 6376 section 8.2).
* A verifier takes the lowest header of a name and does not look at others above it, while a mail
  reader may well show those (RFC 6376 section 8.15). So each header in `SEALED` is named once more
  in `h=` than it occurs: that covers its absence, and any further one breaks the signature.
* `t=` is the instant of the message, so equal messages get equal signatures; no clock is read.
* With an RSA and an Ed25519 key each mail gets both signatures, as RFC 8463 section 3 advises: a
  receiver that does not know the newer one uses the other.

Signing needs the package `cryptography`, the extra `dkim`. It is imported when the first signer is
made and not before, so that whoever does not sign need not have it. A private key leaves this
module nowhere: no repr, no error and no record holds it.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from tactful.channels.address import MAX_DOMAIN, parse_domain
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import HOUR, Millis

SEALED: Final = (
    *("from", "to", "subject", "date", "message-id", "reply-to"),
    *("mime-version", "content-type"),
)
"""Headers that are signed together with the absence of any further one of the name."""

SIGNED: Final = (
    *SEALED,
    *("content-transfer-encoding", "list-unsubscribe", "list-unsubscribe-post"),
)
"""Headers that are signed where they occur, each time that they occur."""

MIN_RSA_BITS: Final = 1_024
"""Verifiers refuse shorter keys; RFC 8301 section 3.2."""

GOOD_RSA_BITS: Final = 2_048
"""What signers should use at least; RFC 8301 section 3.2."""

MIN_LIFETIME_MS: Final[Millis] = HOUR
"""Shorter, and mail that a relay holds back for a while would arrive without a valid signature."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_BLANKS = re.compile(rb"[ \t]+")
_LINE = 72
_TXT_STRING = 255  # octets in one character-string of a TXT record, RFC 1035 section 3.3


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A private key as PEM text without a passphrase, and the selector its public key stands at."""

    selector: str
    private_key: str = field(repr=False)


class DkimRecord(NamedTuple):
    """What has to stand in the DNS for one key. `bits` is the key's length, None for Ed25519."""

    name: str
    text: str
    algorithm: str
    bits: int | None

    @property
    def zone_line(self) -> str:
        """The record as a line of a zone file: text over 255 octets is cut into several strings."""
        cut = (self.text[i : i + _TXT_STRING] for i in range(0, len(self.text), _TXT_STRING))
        strings = " ".join(f'"{string}"' for string in cut)
        return f"{self.name}. TXT {strings}"


class _Loaded(NamedTuple):
    """A key that is ready: `sign` gives the signature of octets, `public` is the value of `p=`."""

    kind: str
    bits: int | None
    public: bytes
    sign: Callable[[bytes], bytes]


class _Signature(NamedTuple):
    """What the signatures of one key have in common."""

    begin: str
    selector: str
    sign: Callable[[bytes], bytes]


class DkimSigner:
    """Signs mails for one domain. Holds no state but small caches; any thread may use it.

    `domain` is what signs (`d=`), usually the domain of the sender's address; a key's public half
    has to be published at `selector._domainkey.domain`, see `records`. With `lifetime_ms` a
    signature expires that long after the instant of its mail (`x=`).

    Raises ConfigError naming `dkim.domain`, `dkim.selector`, `dkim.key` or `dkim.lifetime`, and
    where `cryptography` is not installed.
    """

    def __init__(
        self, domain: str, keys: Sequence[DkimKey], *, lifetime_ms: Millis | None = None
    ) -> None:
        try:
            self.domain = parse_domain(domain, "dkim.domain")
        except RequestError as error:
            raise ConfigError(str(error)) from None
        if not keys:
            raise ConfigError("dkim.key: at least one must be given")
        if lifetime_ms is not None and lifetime_ms < MIN_LIFETIME_MS:
            bound = f"must be at least {MIN_LIFETIME_MS} ms"
            raise ConfigError(f"dkim.lifetime: {bound} (got {lifetime_ms})")
        self._lifetime_s = None if lifetime_ms is None else lifetime_ms // 1_000
        records: list[DkimRecord] = []
        signatures: list[_Signature] = []
        for key in keys:
            place = f"{key.selector}._domainkey.{self.domain}".lower()
            if not _SELECTOR.fullmatch(key.selector) or len(place) > MAX_DOMAIN:
                bound = "must be letters, digits and hyphens, with dots between"
                raise ConfigError(f"dkim.selector: {bound} (got {key.selector[:120]!r})")
            if any(place == record.name for record in records):
                raise ConfigError(f"dkim.selector: each key needs its own (got {key.selector!r})")
            kind, bits, public, sign = _load(key.private_key)
            text = f"v=DKIM1; k={kind}; p={b64encode(public).decode()}"
            algorithm = f"{kind}-sha256"
            records.append(DkimRecord(place, text, algorithm, bits))
            begin = f"v=1; a={algorithm}; c=relaxed/relaxed; d={self.domain};"
            signatures.append(_Signature(begin, key.selector, sign))
        self.records = tuple(records)
        self._signatures = tuple(signatures)

    def sign(self, raw: bytes, at: Millis) -> bytes:
        """`raw`, as `MailWriter.write` gives it, below one DKIM-Signature header for each key.

        `at` is the instant of the message and becomes `t=`, in whole seconds. Equal arguments give
        equal bytes.
        """
        head, _, body = raw.partition(b"\r\n\r\n")
        fields = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t").split(b"\r\n")
        names = tuple([line.partition(b":")[0] for line in fields])
        order, named = _plan(names)
        covered = b"\r\n".join([relaxed_header(fields[place]) for place in order])
        hashed = b64encode(sha256(relaxed_body(body)).digest()).decode()
        seconds = at // 1_000
        times = f"t={seconds};"
        if self._lifetime_s is not None:
            times += f" x={seconds + self._lifetime_s};"
        headers = ""
        for begin, selector, sign in self._signatures:
            parts = (begin, f"s={selector}; {times}", *named, f"bh={hashed};", "b=")
            # In relaxed form a fold is one blank; `b=` is signed empty (RFC 6376 section 3.7).
            own = f"dkim-signature:{' '.join(parts)}".encode()
            found = b64encode(sign(b"%b\r\n%b" % (covered, own))).decode()
            lines = "\r\n ".join(found[i : i + _LINE] for i in range(0, len(found), _LINE))
            folded = "\r\n ".join(parts)
            headers += f"DKIM-Signature: {folded}{lines}\r\n"
        return headers.encode() + raw

    def __repr__(self) -> str:
        keys = ", ".join(f"{record.algorithm} {record.name}" for record in self.records)
        return f"<DkimSigner {keys}>"


@lru_cache(maxsize=256)
def relaxed_header(line: bytes) -> bytes:
    """One header without its line end, unfolded, in relaxed form (RFC 6376 section 3.4.2).

    Kept for the next mail: most headers of a mail are those of the one before it.
    """
    name, _, value = line.partition(b":")
    return name.strip(b" \t").lower() + b":" + _BLANKS.sub(b" ", value).strip(b" ")


def relaxed_body(body: bytes) -> bytes:
    """A body in relaxed form (RFC 6376 section 3.4.4); its line ends are CRLF only."""
    if b"  " in body or b"\t" in body or b" \r\n" in body:
        body = _BLANKS.sub(b" ", body).replace(b" \r\n", b"\r\n")
    body = body.rstrip(b" \r\n")
    return body + b"\r\n" if body else b""


@lru_cache(maxsize=64)
def _plan(names: tuple[bytes, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Which of the headers are signed, in order, and the lines of `h=`.

    Of headers with the same name the lowest is the first (RFC 6376 section 5.4.2).
    """
    places: dict[str, list[int]] = {name: [] for name in SIGNED}
    for place, raw_name in enumerate(names):
        places.get(raw_name.strip(b" \t").lower().decode("latin-1"), []).append(place)
    order: list[int] = []
    lines = ["h="]
    for name in SIGNED:
        found = places[name]
        order += reversed(found)
        for _ in range(len(found) + (name in SEALED)):
            if len(lines[-1]) + len(name) >= _LINE:
                lines.append("")
            lines[-1] += f"{name}:"
    lines[-1] = lines[-1].removesuffix(":") + ";"
    return tuple(order), tuple(lines)


def _load(pem: str) -> _Loaded:
    """Read a private key; raises ConfigError, which never quotes it."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415
            ed25519,
            padding,
            rsa,
        )
    except ImportError:
        raise ConfigError(
            "dkim: signing needs the package cryptography; install the extra: tactful[dkim]"
        ) from None
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ConfigError("dkim.key: must not be protected by a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("dkim.key: must be a private key as PEM text") from None
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            bound = f"must have at least {MIN_RSA_BITS} bits, and should have {GOOD_RSA_BITS}"
            raise ConfigError(f"dkim.key: an RSA key {bound} (got {key.key_size})")
        scheme, digest = padding.PKCS1v15(), hashes.SHA256()
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        shown = key.public_key().public_bytes(serialization.Encoding.DER, spki)
        return _Loaded("rsa", key.key_size, shown, lambda data: key.sign(data, scheme, digest))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        plain = serialization.PublicFormat.Raw
        shown = key.public_key().public_bytes(serialization.Encoding.Raw, plain)
        # What PureEdDSA signs is the digest, not the octets (RFC 8463 section 3).
        return _Loaded("ed25519", None, shown, lambda data: key.sign(sha256(data).digest()))
    raise ConfigError("dkim.key: must be an RSA or an Ed25519 key")
