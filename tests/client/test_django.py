"""Django sends through a real service, with nothing but its settings changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from service_cases import Served

from tactful import Client

STORY = Path(__file__).with_name("django_story.py")


def test_what_django_sends_arrives_as_notifications(served: Served, client: Client) -> None:
    client.rules.put("no", types=["no"], limit="0/day", on_limit="reject")

    done = subprocess.run(
        [sys.executable, STORY, served.url, served.key, "classic"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("version").startswith("5.2")
    assert said.pop("subject").startswith("RequestError: subject: must have at most 255 characters")
    assert said == {
        "send_mail": 1,
        "headers": 1,
        "receipts": ["send", "send"],
        "again": [True, True],
        "html only": 1,
        "nobody": 0,
        "attachment": "RequestError: attachments: are not taken yet (got 1)",
        "misspelt": "RequestError: X-Tactful-Tipe: is no header here: x-tactful-type, "
        "x-tactful-priority, x-tactful-collapse-key, x-tactful-idempotency-key (got 'x')",
        "over limit": "OverLimit: limit: rule says no; it would agree again never (got 'no')",
        "silent": 1,
        "mass": 50,
    }
    taken = {(d.type, d.recipient, d.priority) for d in client.deliveries()}
    assert {
        ("django", "ada@example.com", 1),
        ("django", "bob@example.com", 1),
        ("news", "cy@example.com", 2),
        ("news", "dee@example.com", 2),
        ("django", "eve@example.com", 1),
        ("django", "m49@example.com", 1),
    } <= taken
