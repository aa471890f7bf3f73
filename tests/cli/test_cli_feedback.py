"""`tactful feedback`: a mail from a pipe, a listener, the rates, and a channel set free."""

from __future__ import annotations

import signal
import smtplib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tactful import Tactful
from tactful.core.model import Accepted
from tactful.testing import CaptureChannel

BOUNCE = """\
From: MAILER-DAEMON@mail.example
Content-Type: multipart/report; report-type=delivery-status; boundary=b
Message-ID: <1@mail.example>

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example

Final-Recipient: rfc822; ada@example.com
Action: failed
Status: 5.1.1

--b
Content-Type: text/rfc822-headers

Message-ID: <{id}@shop.example>

--b--
"""


def sent(here: Path, count: int = 1) -> list[str]:
    """Mails that have gone out from the store of the configuration."""
    mail = CaptureChannel("email", lambda _: Accepted(), address_kind="email")
    app = Tactful(f"sqlite:///{here}/notify.db", channels=[mail])
    people = ["ada@example.com", *(f"u{n}@example.com" for n in range(1, count))]
    receipts = app.send_many([{"type": "x", "to": to, "text": "x"} for to in people])
    app.tick()
    app.close()
    return [receipt.delivery_id or "" for receipt in receipts]


def test_a_mail_from_a_pipe_is_taken_once(run: Callable, here: Path):
    run("init")
    (delivery_id,) = sent(here)

    first = run("feedback", "read", "-", stdin=BOUNCE.format(id=delivery_id))
    second = run("feedback", "read", "-", "--json", stdin=BOUNCE.format(id=delivery_id))

    assert (first.code, first.out) == (0, "news  1\n")
    assert second.data == {"news": 0, "stale": 0, "replayed": 1, "unknown": 0, "early": 0}


def test_a_mail_from_a_file_may_report_nothing(run: Callable, here: Path):
    run("init")
    (here / "mail").write_text("Subject: Hi\n\nHi\n")

    assert run("feedback", "read", "mail").out == "nothing\n"
    missing = run("feedback", "read", "none")
    assert (missing.code, missing.err.startswith("error: file: cannot be read")) == (1, True)


def test_the_envelope_s_recipient_names_the_delivery(run: Callable, here: Path):
    run("init")
    (delivery_id,) = sent(here)

    said = run(
        *("feedback", "read", "-", "--to", f"bounces+{delivery_id}@shop.example"),
        stdin=BOUNCE.format(id="elsewhere"),
    )

    assert said.out == "news  1\n"


def test_rates_are_shown_and_a_held_channel_is_released(run: Callable, here: Path):
    (here / "tactful.toml").write_text(
        'store = "sqlite:///notify.db"\n[feedback]\nbreaker = "stop"\nvolume = 10\n'
        '[smtp]\nhost = "127.0.0.1"\nsender = "a@shop.example"\n'
    )
    assert run("feedback", "rates").out == "nothing has gone out\n"
    ids = sent(here, 10)
    run("feedback", "read", "-", stdin=BOUNCE.format(id=ids[0]))

    rates = run("feedback", "rates")
    assert "email    bounce     1 of 10      10.00 %  held" in rates.out
    assert run("feedback", "rates", "--json").data["rates"][0]["ppm"] == 100_000
    held = run("send", "x", "bob@example.com", "--text", "x")
    assert "breaker-email" in held.out

    assert run("feedback", "release", "email").out == "email sends again\n"
    assert run("feedback", "release", "email").code == 4
    assert "send" in run("send", "x", "bob@example.com", "--text", "y").out


def test_listening_needs_a_port(run: Callable, here: Path):
    said = run("feedback", "listen")

    assert (said.code, said.err) == (
        2,
        "error: inbound.port: is missing; it says where to listen\n",
    )


def test_the_listener_runs_until_it_is_interrupted(run: Callable, here: Path, free_tcp_port: int):
    run("init")
    (here / "tactful.toml").write_text(
        'store = "sqlite:///notify.db"\n'
        f'[inbound]\nport = {free_tcp_port}\naddress = "bounces@shop.example"\n'
    )
    (delivery_id,) = sent(here)
    listening = subprocess.Popen(
        [sys.executable, "-m", "tactful", "feedback", "listen"],
        cwd=here,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        assert listening.stderr is not None
        assert "bounces@shop.example is taken at 127.0.0.1" in listening.stderr.readline()
        with smtplib.SMTP("127.0.0.1", free_tcp_port, timeout=30) as client:
            client.sendmail("", ["bounces@shop.example"], BOUNCE.format(id=delivery_id))
    finally:
        listening.send_signal(signal.SIGTERM)
        listening.communicate(timeout=30)

    assert listening.returncode == 0
    app = Tactful(f"sqlite:///{here}/notify.db")
    found = app.delivery(delivery_id)
    app.close()
    assert found is not None
    assert found.state.value == "bounced"
