"""What the tests of signed mail share: keys, and a receiver that looks records up in a table."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import cache

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tactful.channels.dkim import DkimKey, DkimRecord, DkimSigner

# The keys of RFC 8463 appendix A: the seed in base64, and what the DNS says of it.
RFC_8463_SEED = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
RFC_8463_PUBLIC = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def pem(
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    passphrase: bytes | None = None,
) -> str:
    how = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase)
    )
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, how).decode()


@cache
def rsa_pem(bits: int = 2_048) -> str:
    return pem(rsa.generate_private_key(public_exponent=65_537, key_size=bits))


@cache
def short_rsa_pem() -> str:
    """A key of 648 bits from two well-known primes; libraries make none so short any more."""
    p, q, e = 2**521 - 1, 2**127 - 1, 65_537
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    )
    return pem(numbers.private_key(unsafe_skip_rsa_key_validation=True))


@cache
def ed25519_pem() -> str:
    seed = base64.b64decode(RFC_8463_SEED)
    return pem(ed25519.Ed25519PrivateKey.from_private_bytes(seed))


@cache
def both() -> DkimSigner:
    return DkimSigner("example.com", [DkimKey("r1", rsa_pem()), DkimKey("e1.keys", ed25519_pem())])


def verified(raw: bytes, records: Iterable[DkimRecord]) -> list[bool]:
    """What dkimpy says of each signature of a mail, the topmost first; a mail without has none."""
    published = {f"{record.name}.".encode(): record.text.encode() for record in records}
    found = []
    for index in range(raw.lower().split(b"\r\n\r\n")[0].count(b"dkim-signature:")):
        try:
            answer = dkim.DKIM(raw).verify(
                idx=index, dnsfunc=lambda name, timeout=5: published.get(name)
            )
        except dkim.DKIMException:
            answer = False
        found.append(answer)
    return found
