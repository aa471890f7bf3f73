"""Processor time of one DKIM signature, on mails that differ as those of a broadcast do.

python -m benchmarks.dkim_signing [--count 2000]
"""

from __future__ import annotations

import argparse
import json
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from tactful.channels.address import parse_email
from tactful.channels.dkim import DkimKey, DkimSigner
from tactful.channels.mime import MailWriter
from tactful.core.model import Message

AT = 1_780_315_200_000
ROUNDS = 5
LINE = "A line of text such as one reads in a mail.\n"


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    ).decode()


def mails(count: int) -> list[bytes]:
    writer = MailWriter("Example <notify@example.com>", reply_to="help@example.com")
    made = []
    for number in range(count):
        link = f"<https://example.com/unsubscribe/{number:040d}>"
        message = Message(
            id=f"{number:032x}",
            notification_id="n",
            recipient=f"u{number}",
            address=f"u{number}@example.com",
            type="news",
            subject=f"News for {number}",
            text=LINE * 25,
            html=f"<p>{LINE}</p>" * 25,
            at=AT,
            headers=(
                ("List-Unsubscribe", link),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ),
        )
        made.append(writer.write(message, parse_email(message.address)))
    return made


def measure(signer: DkimSigner, raws: list[bytes]) -> float:
    """Microseconds of processor time for each mail, in the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for raw in raws:
            signer.sign(raw, AT)
        best = min(best, time.process_time() - began)
    return round(best / len(raws) * 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    raws = mails(parser.parse_args().count)
    rsa_key = DkimKey("r", pem(rsa.generate_private_key(public_exponent=65_537, key_size=2_048)))
    ed25519_key = DkimKey("e", pem(ed25519.Ed25519PrivateKey.generate()))
    found = {
        "mail_bytes": len(raws[0]),
        "rsa_2048_us": measure(DkimSigner("example.com", [rsa_key]), raws),
        "ed25519_us": measure(DkimSigner("example.com", [ed25519_key]), raws),
        "both_us": measure(DkimSigner("example.com", [rsa_key, ed25519_key]), raws),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
