"""How the e-mail channel is set up: encryption, login, URLs."""

import pytest
from smtp_cases import PASSWORD, QUICK, SENDER, message, messages, only_second, scripted

from tactful.channels.smtp import SmtpChannel
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import Accepted, Retry, Unknown
from tactful.testing.smtp_sink import Fault, SmtpSink


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_encrypted_and_logged_in(channel, server_tls, client_tls, security, mechanism, pipelining):
    options = {"starttls" if security == "starttls" else "implicit_tls": server_tls}
    with SmtpSink(
        auth=("ann", PASSWORD), auth_mechanisms=(mechanism,), pipelining=pipelining, **options
    ) as sink:
        one = channel(
            sink, security=security, username="ann", password=PASSWORD, ssl_context=client_tls
        )
        for _ in range(3):
            found = one.send([*messages(3), message(7, text="long " * 100_000)])
            assert found == [Accepted(ref="2.0.0 accepted")] * 4
        assert sink.sessions == 1


@pytest.mark.parametrize("action", [Fault.close, Fault.reset, Fault.stall])
def test_encrypted_and_cut_after_the_dot(channel, server_tls, client_tls, action):
    script = only_second(action("dot", accepted=True))
    with SmtpSink(implicit_tls=server_tls, faults=script) as sink:
        one = channel(sink, security="tls", ssl_context=client_tls, timeouts=QUICK)
        first, second, third = one.send(messages(3))
        assert isinstance(first, Accepted)
        assert isinstance(second, Unknown)
        assert isinstance(third, Retry)


def test_a_kept_encrypted_connection_that_ended_is_replaced(channel, server_tls, client_tls):
    with SmtpSink(implicit_tls=server_tls) as sink:
        one = channel(sink, security="tls", ssl_context=client_tls)
        one.send(messages(1))
        sink.drop_connections()
        assert one.send(messages(2)) == [Accepted(ref="2.0.0 accepted")] * 2


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_failing_login_costs_no_try_and_tells_no_secret(channel, mechanism):
    with SmtpSink(auth=("ann", "other"), auth_mechanisms=(mechanism,)) as sink:
        one = channel(sink, username="ann", password=PASSWORD)
        for outcome in one.send(messages(2)):
            assert isinstance(outcome, Retry)
            assert (outcome.counted, outcome.after_ms) == (False, 60_000)
            assert "hunter2" not in repr(outcome)


def test_a_server_that_wants_a_login(channel):
    with SmtpSink(auth=("ann", "x")) as sink:
        for outcome in channel(sink).send(messages(2)):
            assert isinstance(outcome, Retry)
            assert (outcome.counted, outcome.after_ms) == (False, 60_000)


def test_starttls_is_required_where_it_is_asked_for(channel, client_tls):
    with SmtpSink() as sink:
        one = channel(sink, security="starttls", ssl_context=client_tls)
        (outcome,) = one.send(messages(1))
        assert isinstance(outcome, Retry)
        assert not outcome.counted
        assert sink.messages == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_nobody_is_not_trusted(channel, server_tls, security):
    options = {"starttls" if security == "starttls" else "implicit_tls": server_tls}
    with SmtpSink(**options) as sink:
        (outcome,) = channel(sink, security=security).send(messages(1))
        assert isinstance(outcome, Retry)
        assert not outcome.counted
        assert "certificate refused" in outcome.why
        assert sink.messages == []


def test_a_plain_server_where_tls_is_expected(channel, client_tls):
    with SmtpSink() as sink:
        one = channel(sink, security="tls", ssl_context=client_tls, timeouts=QUICK)
        (outcome,) = one.send(messages(1))
        assert isinstance(outcome, Retry)
        assert not outcome.counted


def test_what_was_said_before_tls_is_not_believed_after(client_tls):
    """CVE-2011-0411: replies slipped in behind the go-ahead for TLS."""
    thread, port = scripted(
        b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n"
    )
    one = SmtpChannel(
        host="127.0.0.1", port=port, sender=SENDER, security="starttls", ssl_context=client_tls
    )
    (found,) = one.send(messages(1))
    thread.join()
    assert isinstance(found, Retry)
    assert "in the clear" in found.why


def test_a_url_says_it_all():
    one = SmtpChannel.from_url(
        "smtp://ann%40x:p%40%2Fss@mail.example:2525?security=starttls&connections=2&batch=9",
        sender=SENDER,
    )
    assert (one.name, one.address_kind, one.concurrency, one.batch) == ("email", "email", 2, 9)
    assert repr(one) == "<SmtpChannel email smtp://ann@x:***@mail.example:2525?security=starttls>"
    server = one._server
    assert server.credentials is not None
    assert (server.credentials.username, server.credentials.password) == ("ann@x", "p@/ss")
    for text in (repr(one), str(one), repr(server), repr(server.credentials)):
        assert "p@/ss" not in text


@pytest.mark.parametrize(
    ("url", "port", "security"),
    [
        ("smtp://mail.example", 25, "none"),
        ("smtp://mail.example?security=starttls", 587, "starttls"),
        ("smtp://mail.example/?security=tls", 465, "tls"),
        ("smtps://mail.example", 465, "tls"),
        ("smtps://[::1]:99", 99, "tls"),
    ],
)
def test_ports_and_security_of_a_url(url, port, security):
    server = SmtpChannel.from_url(url, sender=SENDER)._server
    assert (server.port, server.security) == (port, security)


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example",
        "smtp://",
        "smtp://mail.example/path",
        "smtp://mail.example#x",
        "smtp://mail.example:port",
        "smtp://mail.example:0",
        "smtp://mail.example?securty=tls",
        "smtp://mail.example?security=ssl",
        "smtp://mail.example?connections=many",
        "smtp://mail.example?connections=0",
        "smtp://mail.example?batch=2&batch=3",
        "smtp://mail.example?x",
        "smtps://mail.example?security=none",
        "smtp://ann:s3cr3t@mail.example",
        "smtp://ann:s3cr3t@mail.example?security=none",
        "smtp://:s3cr3t@mail.example?security=tls",
        "smtp://ann:s3cr3t%00@mail.example?security=tls",
        "smtp://ann:s3cr3t@[mail.example",
        "smtp://mail.example?local_hostname=a%0d%0ab",
    ],
)
def test_a_url_that_cannot_work_is_refused(url):
    with pytest.raises(ConfigError) as caught:
        SmtpChannel.from_url(url, sender=SENDER)
    assert "s3cr3t" not in str(caught.value)


def test_half_an_account_and_a_bad_sender_are_refused():
    with pytest.raises(ConfigError):
        SmtpChannel(host="127.0.0.1", sender=SENDER, username="ann")
    with pytest.raises(RequestError, match="sender"):
        SmtpChannel(host="127.0.0.1", sender="nobody")
    with pytest.raises(RequestError, match="bounce_address"):
        SmtpChannel(host="127.0.0.1", sender=SENDER, bounce_address="x")


def test_bounces_go_where_they_shall(channel):
    with SmtpSink() as sink:
        channel(sink, bounce_address="bounces@example.net").send(messages(1))
        assert sink.messages[0].mail_from == "bounces@example.net"
