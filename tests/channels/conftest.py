"""Fixtures for the e-mail channel: channels that get closed, and an authority for TLS."""

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from smtp_cases import SENDER

from tactful.channels.smtp import SmtpChannel
from tactful.testing.smtp_sink import SmtpSink


@pytest.fixture
def channel() -> Iterator[Callable[..., SmtpChannel]]:
    """Makes channels to a sink, and closes them."""
    made: list[SmtpChannel] = []

    def make(sink: SmtpSink, **options: Any) -> SmtpChannel:
        options = {"host": sink.host, "port": sink.port, "sender": SENDER} | options
        made.append(SmtpChannel(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
