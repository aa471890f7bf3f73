"""Calls as the providers make them, signed here as their documentation says, by other code."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tactful.config.service import Receipts

URL = "https://notify.shop.example"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:feedback"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"
PATH = "/v1/receipts/"

SENDGRID = ec.generate_private_key(ec.SECP256R1())
SNS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
MAILGUN, POSTMARK, TWILIO = "mailgun-signing-key", "postmark secret", "twilio-auth-token"

Headers = dict[str, str]
Made = tuple[Headers, bytes]


def receipts() -> Receipts:
    der = SENDGRID.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    keys = {
        "sendgrid": b64encode(der).decode(),
        "mailgun": MAILGUN,
        "postmark": POSTMARK,
        "twilio": TWILIO,
    }
    return Receipts(keys, (TOPIC,), URL)


def certificate(key: rsa.RSAPrivateKey = SNS) -> bytes:
    """A certificate for a key, as SNS publishes one."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    begin = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


# Signing --------------------------------------------------------------------------------------


def sendgrid(events: Any, now: int, key: ec.EllipticCurvePrivateKey = SENDGRID) -> Made:
    body = json.dumps(events).encode() + b"\r\n"
    stamp = str(now // 1000)
    signature = key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "x-twilio-email-event-webhook-signature": b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": stamp,
    }, body


def mailgun(event: Any, now: int, token: str = "t" * 50, key: str = MAILGUN) -> Made:
    stamp = str(now // 1000)
    seal = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": stamp, "token": token, "signature": seal}
    return {}, json.dumps({"signature": signature, "event-data": event}).encode()


def postmark(record: Any, _: int, key: str = POSTMARK) -> Made:
    basic = b64encode(f"any:{key}".encode()).decode()
    return {"authorization": f"Basic {basic}"}, json.dumps(record).encode()


def twilio(form: dict[str, str], path: str, key: str = TWILIO) -> Made:
    text = URL + path
    for name in sorted(form):
        text += name + form[name]
    seal = b64encode(hmac.new(key.encode(), text.encode(), "sha1").digest()).decode()
    return {"x-twilio-signature": seal}, urlencode(form).encode()


def sns(
    message: Any, now: int, *, version: str = "2", key: rsa.RSAPrivateKey = SNS, **more: str
) -> Made:
    stamp = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC)
    fields = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **more,
    }
    names = [
        "Message",
        "MessageId",
        "Subject",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ]
    text = "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)
    how = hashes.SHA1() if version == "1" else hashes.SHA256()
    fields["Signature"] = b64encode(key.sign(text.encode(), padding.PKCS1v15(), how)).decode()
    fields["SignatureVersion"] = version
    fields.setdefault("SigningCertURL", CERTIFICATE)
    return {"x-amz-sns-message-type": fields["Type"]}, json.dumps(fields).encode()


# What they say --------------------------------------------------------------------------------


def ses_bounce(ref: str, kind: str = "Permanent") -> dict[str, Any]:
    return {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": kind,
            "bounceSubType": "General",
            "bouncedRecipients": [
                {
                    "emailAddress": "ada@example.org",
                    "action": "failed",
                    "status": "5.1.1",
                    "diagnosticCode": "smtp; 550 5.1.1 user unknown",
                }
            ],
            "timestamp": "2026-01-01T10:00:00.000Z",
            "feedbackId": "0102-feedback",
        },
        "mail": {"messageId": ref, "destination": ["ada@example.org"]},
    }


def sendgrid_bounce(delivery_id: str, **more: Any) -> dict[str, Any]:
    return {
        "email": "ada@example.org",
        "timestamp": 1767261600,
        "smtp-id": f"<{delivery_id}@shop.example>",
        "event": "bounce",
        "type": "bounce",
        "sg_event_id": "ZXZlbnQtMQ",
        "sg_message_id": "14c5d75ce93.dfd.64b469",
        "reason": "550 5.1.1 user unknown",
        "status": "5.1.1",
        **more,
    }


def mailgun_failed(delivery_id: str, **more: Any) -> dict[str, Any]:
    return {
        "event": "failed",
        "id": "G9Bn5sl1TC6nu79C8C0bwg",
        "severity": "permanent",
        "reason": "bounce",
        "recipient": "ada@example.org",
        "delivery-status": {"code": 550, "message": "5.1.1 user unknown"},
        "message": {"headers": {"message-id": f"{delivery_id}@shop.example"}},
        **more,
    }


def postmark_bounce(delivery_id: str, **more: Any) -> dict[str, Any]:
    return {
        "RecordType": "Bounce",
        "ID": 42,
        "Type": "HardBounce",
        "Email": "ada@example.org",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Details": "smtp;550 5.1.1 user unknown",
        "Metadata": {"tactful": delivery_id},
        **more,
    }


def twilio_status(sid: str, status: str = "undelivered", **more: str) -> dict[str, str]:
    return {
        "MessageSid": sid,
        "MessageStatus": status,
        "To": "ada@example.org",
        "From": "+14158675310",
        **more,
    }
