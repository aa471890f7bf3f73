"""HYG: what a product owes to those who install it, type-check it and send with it."""

import importlib.metadata
import re
import ssl
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from proof.mail_room import parsed

import tactful
from tactful import Recipient, Rule, Settings, State, Tactful, Template
from tactful.channels.smtp import SmtpChannel, Timeouts
from tactful.core.retry import RetryPolicy
from tactful.testing.smtp_sink import Fault, SmtpSink

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("target", ["test", "demo", "check", "quick", "format", "wheel", "smoke"])
def test_hyg_1_there_is_one_command_for_each_chore(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert re.search(rf"^{target}:.*## \S", makefile, re.MULTILINE)


def test_hyg_1_make_lists_its_targets() -> None:
    done = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True
    )

    assert "make test" in done.stdout
    assert "make demo" in done.stdout


def test_hyg_1_what_is_installed_says_what_it_is() -> None:
    found = importlib.metadata.metadata("tactful")

    assert found["Version"] == tactful.__version__
    assert found["Requires-Python"] == ">=3.11"
    assert found["License-Expression"] == "Apache-2.0"
    classifiers = found.get_all("Classifier") or []
    for version in ("3.11", "3.12", "3.13"):
        assert f"Programming Language :: Python :: {version}" in classifiers
    assert sys.version_info >= (3, 11)


def test_hyg_1_the_example_in_the_package_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    program = (
        "from tactful import Rule, Tactful\n"
        f"app = Tactful('sqlite:///{tmp_path}/notify.db')\n"
        "app.rules.put(Rule(name='status', types=['status'], limit='2/minute'))\n"
        "print([app.send(type='status', to='ada', text=str(n)).decision for n in range(3)])\n"
        "with app:\n"
        "    app.drain()\n"
        "print([str(item) for item in app.inbox('ada')])\n"
        "app.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "['send', 'send', 'defer']\n['0', '1']\n"
    assert done.stderr == ""


def test_hyg_1_importing_it_starts_nothing_and_opens_nothing() -> None:
    program = (
        "import threading, socket, os\n"
        "def never(*_): raise AssertionError('a socket at import')\n"
        "socket.socket.connect = never\n"
        "import tactful, tactful.testing, tactful.channels.smtp\n"
        "assert threading.active_count() == 1\n"
    )

    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_hyg_2_the_package_is_typed_and_checked_strictly() -> None:
    assert files("tactful").joinpath("py.typed").is_file()
    assert PROJECT["tool"]["mypy"]["strict"] is True
    assert "src" in PROJECT["tool"]["mypy"]["files"]
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]


def test_hyg_2_coverage_has_a_floor_and_warnings_are_errors() -> None:
    assert PROJECT["tool"]["coverage"]["report"]["fail_under"] >= 95
    assert PROJECT["tool"]["coverage"]["run"]["branch"] is True
    assert PROJECT["tool"]["pytest"]["ini_options"]["filterwarnings"][0] == "error"


def test_hyg_2_everything_public_can_be_imported_and_is_explained() -> None:
    for name in tactful.__all__:
        assert getattr(tactful, name).__doc__ or name == "Outcome"


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as server:
        yield server
    assert server.violations == []


def mailing(url: str, sink: SmtpSink, **options: Any) -> Tactful:
    """An engine that mails to the sink."""
    sender = "Tactful <tactful@example.org>"
    quick = Timeouts(connect=2, command=2, dot=2)
    channel = SmtpChannel(host=sink.host, port=sink.port, sender=sender, timeouts=quick)
    return Tactful(url, channels=[channel], **options)


def test_hyg_3_a_mail_is_really_sent(url: str, sink: SmtpSink) -> None:
    app = mailing(url, sink)
    app.recipients.put(Recipient("ann", name="Änn Ünicode", email="ann@example.org"))
    text = "Grüße, Änn!\n.\n..and a line of dots\n"
    receipt = app.send(
        type="status", to="ann", subject="Zwölf Boxkämpfer ☃", text=text, html="<p>Grüße</p>"
    )
    app.tick()

    (received,) = sink.messages
    mail = parsed(received)
    assert received.rcpt_tos == ("ann@example.org",)
    assert received.mail_from == "tactful@example.org"
    assert mail["Subject"] == "Zwölf Boxkämpfer ☃"
    assert str(mail["From"]) == "Tactful <tactful@example.org>"
    assert mail["To"].addresses[0].display_name == "Änn Ünicode"
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n") == text
    assert "Grüße" in mail.get_body(("html",)).get_content()
    assert (receipt.delivery_id or "?") in mail["Message-ID"]
    assert app.delivery(receipt.delivery_id or "").state is State.SENT
    app.close()


def test_hyg_3_a_broadcast_is_a_mail_of_its_own_for_each(url: str, sink: SmtpSink) -> None:
    app = mailing(url, sink)
    people = [Recipient(f"user{n}", email=f"user{n}@example.org") for n in range(200)]
    app.recipients.put_many([*people, Recipient("nowhere")])
    app.templates.put(Template("hello", subject="Hello", text="Hello {{ who }}"))
    with app:
        code = app.broadcast(type="news", template="hello", data={"who": "you"}).notification_id
        assert app.drain(30)

    assert {m.rcpt_tos for m in sink.messages} == {(str(p.email),) for p in people}
    assert len(sink.messages) == 200
    assert {parsed(m).get_content().strip() for m in sink.messages} == {"Hello you"}
    assert app.stats(code).sent == 200
    assert app.stats(code).not_sent == ("nowhere",)
    app.close()


def test_hyg_3_limits_hold_on_the_wire(url: str, sink: SmtpSink) -> None:
    app = mailing(url, sink)
    app.rules.put(Rule("news", types=["news"], limit="1/day"))
    with app:
        for spelling in ("ann@example.org", "Ann@Example.org", " ann@example.org "):
            app.send(type="news", to=spelling, text="x")
        assert app.drain(30)
    app.close()

    assert len(sink.messages) == 1


@pytest.mark.parametrize(
    ("fault", "state", "taken"),
    [
        (Fault.reply("rcpt", "550 5.1.1 no such user"), State.FAILED, 0),
        (Fault.reply("rcpt", "451 4.3.0 later"), State.SENT, 1),
        (Fault.reply("dot", "452 4.3.1 full"), State.SENT, 1),
        (Fault.reset("dot", accepted=True), State.SENT, 2),
        (Fault.reset("dot"), State.SENT, 1),
    ],
    ids=["refused", "later", "full", "answer lost", "mail lost"],
)
def test_hyg_3_what_goes_wrong_on_the_way_is_dealt_with(
    url: str, fault: Fault, state: State, taken: int
) -> None:
    settings = Settings(retry=RetryPolicy(base_ms=10, cap_ms=20))
    pause = threading.Event()
    with SmtpSink(faults=lambda n, _: fault if n == 0 else None) as sink:
        app = mailing(url, sink, settings=settings)
        with app:
            receipt = app.send(type="news", to="ann@example.org", text="x")
            for _ in range(200):
                app.drain(5)
                delivery = app.delivery(receipt.delivery_id or "")
                if delivery.state is state:
                    break
                pause.wait(0.02)
        app.close()

    assert delivery.state is state
    assert len(sink.messages) == taken
    assert len({parsed(message)["Message-ID"] for message in sink.messages}) <= 1


def test_hyg_3_a_password_never_travels_in_the_clear() -> None:
    with pytest.raises(tactful.errors.ConfigError):
        SmtpChannel(
            host="mail.example.org", sender="a@example.org", username="me", password="secret"
        )
    context = ssl.create_default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
