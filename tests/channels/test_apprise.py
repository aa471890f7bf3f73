"""Apprise: what is handed to its services, and what must never be."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import apprise
import pytest
from http_cases import Hooks, request_of, speaking, status
from smtp_cases import message

from tactful.channels.apprise import AppriseChannel
from tactful.core.errors import ConfigError
from tactful.core.model import Accepted, Outcome, Rejected, Retry, Unknown
from tactful.testing.smtp_sink import SmtpSink

PASSWORD = "hunter2"


@pytest.fixture(autouse=True)
def _directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apprise takes proxies from the environment; these tests want none."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with Hooks() as server:
        yield server


def json_url(port: int, path: str = "/{address}") -> str:
    return f"json://me:{PASSWORD}@127.0.0.1:{port}{path}"


def outcome_of(channel: AppriseChannel, **changes: Any) -> Outcome:
    (outcome,) = channel.send([message(**changes)])
    return outcome


# What is handed over --------------------------------------------------------------------------


def test_subject_and_text_arrive_at_the_recipients_address(hooks: Hooks):
    channel = AppriseChannel("push", json_url(hooks.port))

    assert outcome_of(channel, text="Hello", address="+49 30".replace(" ", "")) == Accepted()
    (got,) = hooks.got
    assert channel.address_kind == "push"
    assert unquote(got.path) == "/+4930"
    assert b'"title": "Subject 1", "message": "Hello"' in got.body


def test_a_fixed_url_needs_no_address(hooks: Hooks):
    channel = AppriseChannel("chat", json_url(hooks.port, "/room"))

    assert channel.address_kind is None
    assert outcome_of(channel) == Accepted()
    assert hooks.got[0].path == "/room"


def test_the_kind_of_the_address_can_be_named(hooks: Hooks):
    url = json_url(hooks.port)

    assert AppriseChannel("alarms", url, address_kind="SMS").address_kind == "sms"
    with pytest.raises(ConfigError, match=r"apprise\.chat\.address_kind: the URL has no"):
        AppriseChannel("chat", json_url(hooks.port, "/"), address_kind="sms")


def test_html_goes_to_services_that_take_it_and_text_to_the_others(hooks: Hooks):
    html = "<p>Hello <b>you</b></p>"
    plain = AppriseChannel("plain", json_url(hooks.port, "/?format=text"))
    rich = AppriseChannel("rich", json_url(hooks.port, "/"))

    for channel in (plain, rich):
        assert outcome_of(channel, text="Hello you", html=html) == Accepted()
    assert outcome_of(plain, text="", html=html) == Accepted()

    assert b'"message": "Hello you"' in hooks.got[0].body
    assert html.encode() in hooks.got[1].body
    assert b"<b>" not in hooks.got[2].body
    assert b"Hello you" in hooks.got[2].body


def test_a_mail_over_apprise_has_both_forms():
    with SmtpSink() as sink:
        url = f"mailto://{sink.host}:{sink.port}/?from=me@example.org&to={{address}}&mode=insecure"
        channel = AppriseChannel("mail2", url, address_kind="email")
        assert outcome_of(channel, html="<p>Hello</p>") == Accepted()

    (mail,) = sink.messages
    assert mail.rcpt_tos == ("u1@example.org",)
    assert b"text/html" in mail.data


def test_what_has_no_text_says_its_subject(hooks: Hooks):
    channel = AppriseChannel("chat", json_url(hooks.port, "/"))

    assert outcome_of(channel, text="") == Accepted()
    assert isinstance(outcome_of(channel, text="", subject=""), Rejected)
    assert len(hooks.got) == 1
    assert b'"title": "", "message": "Subject 1"' in hooks.got[0].body


# Addresses ------------------------------------------------------------------------------------

TWILIO = "twilio://AC" + "a" * 32 + ":" + "b" * 32 + "@15551230000/{address}"
TELEGRAM = "tgram://123456789:abcdefghijklmnopqrstuvwxyz123456789/{address}"
PUSHBULLET = "pbul://" + "a" * 32 + "/{address}"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "1,2",
        "1;2",
        "1 2",
        "1/2",
        "a?to=2",
        "a&to=2",
        "a#b",
        "%2C",
        "a\r\nb",
        "a\x00",
        "é",
        "a\\b",
        "x" * 321,
    ],
)
def test_an_address_that_could_be_two_or_more_than_one_part_is_rejected(hooks: Hooks, address: str):
    channel = AppriseChannel("push", json_url(hooks.port))

    outcome = outcome_of(channel, address=address)

    assert isinstance(outcome, Rejected)
    assert outcome.why.startswith("address: must be 1 to 320 letters")
    assert hooks.got == []


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (TWILIO, "ada@example.com"),
        (TWILIO, "12"),
        (TELEGRAM, "ada@example.com"),
        (TELEGRAM, "+15555550123"),
        ("mailto://me:pass@example.org/?to={address}", "nobody"),
        ("ntfy://ntfy.example.com/{address}", "ada@example.com"),
    ],
)
def test_an_address_that_the_service_drops_is_rejected(url: str, address: str):
    """Left alone, Apprise would write to the sender's own number, or to whoever made the bot."""
    outcome = outcome_of(AppriseChannel("sms", url), address=address)

    assert isinstance(outcome, Rejected)
    assert outcome.why.startswith("address: is none that ")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (TWILIO, "+15555550123"),
        (TWILIO, "15555550123"),
        (TELEGRAM, "-1001234"),
        (TELEGRAM, "@somebody"),
        (PUSHBULLET, "ada@example.com"),
        ("mailto://me:pass@example.org/?to={address}", "Ada@Example.com"),
        ("ntfy://ntfy.example.com/{address}", "adas-topic_1"),
        ("pover://{address}@" + "t" * 30, "u" * 30),
        ("sns://AKIAIOSFODNN7EXAMPLE/" + "k" * 40 + "/us-west-2/{address}", "+15555550123"),
        ("signal://localhost:8080/+15551230000/{address}", "+15555550123"),
        ("mmost://mm.example.com/" + "a" * 24 + "?to={address}", "town-square"),
        ("slack://" + "A" * 9 + "/" + "B" * 9 + "/" + "c" * 24 + "/{address}", "@ada"),
        ("fcm://project/apikey/{address}", "dGVzdA:APA91b-x_y"),
    ],
)
def test_good_addresses_are_taken_over(url: str, address: str):
    channel = AppriseChannel("any", url)

    assert not isinstance(channel._for(message(address=address)), Rejected)


@pytest.mark.parametrize(
    "url",
    ["json://{address}/", "json://{address}:80/", "json://me:x@{address}/", "ntfy://{address}"],
)
def test_a_recipient_never_chooses_the_host(url: str):
    with pytest.raises(ConfigError, match=r"apprise\.push\.url: \{address\} must not be the host"):
        AppriseChannel("push", url)


# Services that are refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheme",
    ["blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"],
)
def test_services_on_this_machine_are_refused(scheme: str):
    with pytest.raises(ConfigError, match=f"{scheme}:// acts on this machine"):
        AppriseChannel("any", f"{scheme}://")


def test_what_the_program_itself_has_registered_is_refused_too():
    @apprise.decorators.notify(on="ourown")
    def own(*_: Any, **__: Any) -> bool:
        return True

    with pytest.raises(ConfigError, match="ourown:// acts on this machine"):
        AppriseChannel("any", "ourown://x")
    channel = AppriseChannel("any", "ourown://x", allow_local=True)
    assert outcome_of(channel) == Accepted()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", "Apprise knows no service file://"),
        ("exec://rm", "Apprise knows no service exec://"),
        ("hunter2", "must be scheme://"),
        ("json://a/{address}/{address}", "at most once"),
        ("twilio://hunter2", "Apprise cannot use this twilio URL"),
        ("json://hunter2 hunter2/", "Apprise cannot use this json URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_shown(url: str, says: str):
    with pytest.raises(ConfigError, match=says) as caught:
        AppriseChannel("any", url)

    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"batch": 0}])
def test_settings_that_cannot_be_are_refused(options: dict[str, int]):
    with pytest.raises(ConfigError, match="must be at least 1"):
        AppriseChannel("any", "json://localhost/", **options)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(ConfigError, match=r"pip install 'tactful\[apprise\]'"):
        AppriseChannel("any", "json://localhost/")


def test_nobody_needs_the_library_who_does_not_use_it():
    code = "import sys; sys.modules['apprise'] = None; import tactful.cli.engine"

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Outcomes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [401, 404, 500])
def test_what_the_service_refuses_is_retried_and_counts(code: int):
    """Apprise tells no more than that it failed; the status is what it writes to its log."""
    with Hooks(status(code)) as hooks:
        outcome = outcome_of(AppriseChannel("chat", json_url(hooks.port, "/")))

    assert outcome == Retry(f"json did not take it: HTTP {code}")


def test_a_service_out_of_reach_is_retried():
    with Hooks() as hooks:
        port = hooks.port

    assert outcome_of(AppriseChannel("chat", json_url(port, "/"))) == Retry("json did not take it")


def test_a_service_that_goes_away_is_retried():
    """It may have taken the message. Apprise does not tell, and the documentation says so."""
    with speaking(request_of) as port:
        outcome = outcome_of(AppriseChannel("chat", json_url(port, "/")))

    assert outcome == Retry("json did not take it")


def test_what_raises_leaves_the_message_in_doubt():
    class Raising(apprise.NotifyBase):
        service_name = "Raising"
        protocol = "raising"

        def send(self, *_: Any, **__: Any) -> bool:
            raise ArithmeticError(PASSWORD)

    apprise.NotificationManager().add(Raising)
    channel = AppriseChannel("any", "raising://host", allow_local=True)

    assert outcome_of(channel) == Unknown("the service raised ArithmeticError")


# Secrets --------------------------------------------------------------------------------------


def test_nothing_shows_the_url(hooks: Hooks, caplog: pytest.LogCaptureFixture):
    """Neither representation, outcome nor log, at any level, whether it works or not."""
    caplog.set_level(1)
    with Hooks(status(500)) as broken:
        gone = broken.port
        ways = [
            AppriseChannel("a", json_url(hooks.port, f"/{PASSWORD}/{{address}}?+X={PASSWORD}")),
            AppriseChannel("b", json_url(gone, f"/{PASSWORD}?-x={PASSWORD}")),
        ]
        told = [f"{way!r} {way} {outcome_of(way)!r}" for way in ways]
    told += [f"{outcome_of(ways[1])!r}"]

    assert [len(hooks.got), len(broken.got)] == [1, 1]
    assert repr(ways[0]) == "<AppriseChannel a to json://***>"
    assert PASSWORD not in " ".join(told)
    assert PASSWORD not in caplog.text
    assert PASSWORD in hooks.got[0].path


def test_the_library_logs_as_ever_for_everybody_else(
    hooks: Hooks, caplog: pytest.LogCaptureFixture
):
    AppriseChannel("a", json_url(hooks.port, "/"))
    with caplog.at_level(logging.INFO, "apprise"):
        assert apprise.Apprise.instantiate("nosuch://x") is None

    assert "nosuch" in caplog.text
