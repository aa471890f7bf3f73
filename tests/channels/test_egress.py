"""Requests over real connections: only where they may go, only as long as they may take."""

import itertools
import socket
import ssl
import threading
from typing import Any

import pytest
import trustme
from egress_corpus import FORMS, INSIDE, Doors, url_of
from http_cases import HOST, LOOPBACK, Hooks, Names, egress_to, request_of, speaking, status
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful.channels.egress import (
    Answer,
    Egress,
    EgressError,
    ForbiddenError,
    LostError,
    UnreachableError,
)
from tactful.core.errors import ConfigError, RequestError
from tactful.testing.servers.process import free_port


def post(egress: Egress, url: str, body: bytes = b"{}") -> Answer:
    with egress.session() as session:
        return session.post(egress.target(url), {"X-Test": "yes"}, body)


def secured(authority: trustme.CA, name: str = HOST) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


# What is sent ---------------------------------------------------------------------------------


def test_a_request_arrives_under_the_name_over_tls(authority: trustme.CA, client_tls):
    """The connection goes to an address; Host, server name and certificate are those of the URL."""
    tls = secured(authority)
    named: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: named.append(name)
    with Hooks(status(200, X_Answer="here"), tls) as hooks:
        egress = egress_to(hooks.port, allow_http=False, tls=client_tls)

        answer = post(egress, f"https://{HOST}:{hooks.port}/a?b=c", b'{"d": 1}')

    (got,) = hooks.got
    assert (answer.status, answer.headers["x-answer"], answer.complete) == (200, "here", True)
    assert (got.path, got.body, got.headers["x-test"]) == ("/a?b=c", b'{"d": 1}', "yes")
    assert got.headers["host"] == f"{HOST}:{hooks.port}"
    assert named == [HOST]


def test_an_address_in_the_url_is_no_name_to_look_up():
    names = Names(["127.0.0.1"])
    with Hooks() as hooks:
        post(egress_to(hooks.port, resolver=names), f"http://127.0.0.1:{hooks.port}/")

    assert names.asked == []
    assert hooks.got[0].headers["host"] == f"127.0.0.1:{hooks.port}"


def test_a_certificate_for_another_name_is_refused(authority: trustme.CA, client_tls):
    with Hooks(tls=secured(authority, "other.example.com")) as hooks:
        egress = egress_to(hooks.port, tls=client_tls)
        with pytest.raises(UnreachableError, match="certificate refused: Hostname mismatch"):
            post(egress, f"https://{HOST}:{hooks.port}/")

    assert hooks.got == []


def test_a_certificate_of_an_unknown_authority_is_refused(authority: trustme.CA):
    refused = pytest.raises(UnreachableError, match="certificate refused")
    with Hooks(tls=secured(authority)) as hooks, refused:
        post(egress_to(hooks.port), f"https://{HOST}:{hooks.port}/")

    assert hooks.got == []


def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    with Hooks() as hooks:
        assert post(egress_to(hooks.port), f"http://{HOST}:{hooks.port}/").status == 204


# Where it may go ------------------------------------------------------------------------------


@pytest.mark.parametrize("address", INSIDE)
@pytest.mark.parametrize("others", [[], ["93.184.215.14"]])
def test_a_name_that_leads_inside_is_not_followed(address: str, others: list[str]):
    """Not even where other addresses of it would be all right."""
    with Hooks() as hooks:
        names = Names([*others, address])
        egress = egress_to(hooks.port, allow_networks=(), resolver=names)
        with pytest.raises(ForbiddenError) as caught:
            post(egress, f"http://{HOST}:{hooks.port}/")

    assert hooks.got == []
    assert address not in str(caught.value), "it would tell a stranger what is inside"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_an_address_in_the_url_that_is_inside_is_not_followed(host: str):
    with Hooks() as hooks, pytest.raises(ForbiddenError):
        post(egress_to(hooks.port, allow_networks=()), f"http://{host}:{hooks.port}/")

    assert hooks.got == []


@pytest.mark.parametrize("form", FORMS)
def test_no_spelling_of_an_address_leads_inside(form: str):
    with Doors() as doors, pytest.raises((ForbiddenError, RequestError)):
        post(egress_to(doors.port, allow_networks=()), url_of(form, doors.port))

    assert doors.knocks == []


def test_only_the_networks_that_are_allowed_are_reached():
    with Hooks() as hooks:
        url = f"http://{HOST}:{hooks.port}/"
        allowed = egress_to(hooks.port, allow_networks=["127.0.0.1/32"])
        assert post(allowed, url).status == 204
        other = egress_to(hooks.port, allow_networks=["127.0.0.2/31", "::1", "10.0.0.0/8"])
        with pytest.raises(ForbiddenError, match="loopback"):
            post(other, url)

    assert len(hooks.got) == 1


def test_a_name_that_is_rebound_gets_one_answer_and_that_is_where_we_go():
    """DNS rebinding: checked and connected to is the same address, by one question."""
    with Hooks() as good, Hooks(host="127.0.0.2", port=good.port) as inside:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        egress = egress_to(good.port, allow_networks=["127.0.0.1/32"], resolver=names)
        url = f"http://{HOST}:{good.port}/"

        assert post(egress, url).status == 204
        assert names.asked == [HOST]
        with pytest.raises(ForbiddenError):
            post(egress, url)

    assert (len(good.got), inside.got) == (1, [])


def test_a_redirect_is_an_answer_and_not_a_way_inside():
    with Hooks() as inside:
        there = f"http://127.0.0.1:{inside.port}/"
        with Hooks(status(307, Location=there)) as hooks:
            egress = egress_to(hooks.port, ports=[hooks.port, inside.port])
            answer = post(egress, f"http://{HOST}:{hooks.port}/")

    assert (answer.status, answer.headers["location"]) == (307, there)
    assert inside.got == []


# What can go wrong ----------------------------------------------------------------------------


def test_a_name_without_an_address():
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(UnreachableError, match=f"cannot look up {HOST}: Name or service not"):
        post(Egress(resolver=unknown), f"https://{HOST}/secret")
    with pytest.raises(UnreachableError, match="no address"):
        post(Egress(resolver=Names([])), f"https://{HOST}/")


def test_a_resolver_that_does_not_come_back_holds_nobody_up():
    gone = threading.Event()

    def stuck(_host: str, _port: int) -> list[str]:
        gone.wait()
        return []

    try:
        with pytest.raises(UnreachableError, match="no answer in time"):
            post(Egress(resolver=stuck, timeout_ms=20), f"https://{HOST}/")
    finally:
        gone.set()


def test_nobody_listens():
    port = free_port()

    with pytest.raises(UnreachableError, match="Connection refused"):
        post(egress_to(port), f"http://{HOST}:{port}/")


def test_the_next_address_is_tried_where_one_does_not_answer():
    with Hooks() as hooks:
        egress = egress_to(hooks.port, resolver=Names(["127.0.0.3", "127.0.0.1"]))
        assert post(egress, f"http://{HOST}:{hooks.port}/").status == 204


def ticking(seconds: float = 1.0):
    """A monotonic clock on which each look takes a second."""
    return itertools.count(0.0, seconds).__next__


def test_an_answer_that_drips_ends_at_the_deadline():
    """A timeout for each read would begin anew with each byte."""
    asked_for_more = threading.Event()

    def drip(peer: socket.socket) -> None:
        request_of(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not asked_for_more.is_set():
            peer.sendall(b"a")

    with speaking(drip) as port:
        egress = egress_to(port, timeout_ms=15_000, monotonic=ticking(), max_bytes=10**9)
        try:
            with pytest.raises(LostError, match="no answer in time"):
                post(egress, f"http://{HOST}:{port}/")
        finally:
            asked_for_more.set()


def test_silence_ends_at_the_deadline():
    done = threading.Event()

    def silent(peer: socket.socket) -> None:
        request_of(peer)
        done.wait()

    with speaking(silent) as port:
        try:
            with pytest.raises(LostError, match="no answer in time"):
                post(egress_to(port, timeout_ms=100), f"http://{HOST}:{port}/")
        finally:
            done.set()


def test_who_does_not_read_a_long_request_is_left_at_the_deadline():
    done = threading.Event()
    with speaking(lambda _peer: done.wait()) as port:
        try:
            with pytest.raises(LostError, match="not taken in time"):
                post(egress_to(port, timeout_ms=100), f"http://{HOST}:{port}/", bytes(50_000_000))
        finally:
            done.set()


def test_a_handshake_that_never_ends_ends_at_the_deadline():
    done = threading.Event()
    with speaking(lambda _peer: done.wait()) as port:
        try:
            with pytest.raises(UnreachableError, match="no answer in time"):
                post(egress_to(port, timeout_ms=100), f"https://{HOST}:{port}/")
        finally:
            done.set()


def test_of_a_long_body_only_the_beginning_is_read():
    def flood(handler, _number: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10_000_000))
        handler.end_headers()
        handler.wfile.write(bytes(10_000_000))

    with Hooks(flood) as hooks:
        answer = post(egress_to(hooks.port, max_bytes=50_000), f"http://{HOST}:{hooks.port}/")

    assert (answer.status, answer.complete) == (200, False)
    assert len(answer.body) < 50_000


def test_a_head_without_end_is_no_answer():
    def flood(peer: socket.socket) -> None:
        request_of(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            peer.sendall(b"X-Header: " + b"a" * 1_000 + b"\r\n")

    with speaking(flood) as port, pytest.raises(LostError, match="too long"):
        post(egress_to(port, max_bytes=20_000), f"http://{HOST}:{port}/")


def test_a_connection_that_closes_after_the_request_leaves_it_in_doubt():
    with speaking(request_of) as port, pytest.raises(LostError, match="connection was closed"):
        post(egress_to(port), f"http://{HOST}:{port}/")


@pytest.mark.parametrize(
    ("said", "body", "complete"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", b"ok", False),
        (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok", True),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"ok",
            True,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", b"ok", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n", b"", False),
    ],
)
def test_bodies_end_as_their_heads_say(said: bytes, body: bytes, complete: bool):
    def script(peer: socket.socket) -> None:
        request_of(peer)
        peer.sendall(said)

    with speaking(script) as port:
        answer = post(egress_to(port), f"http://{HOST}:{port}/")

    assert (answer.status, answer.complete) == (200, complete)
    assert answer.body == body or not complete


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"\x16\x03\x01\x00\x02\x02F",
    ],
)
def test_what_is_no_answer_leaves_the_request_in_doubt(said: bytes):
    def script(peer: socket.socket) -> None:
        request_of(peer)
        peer.sendall(said)

    with speaking(script) as port, pytest.raises(LostError):
        post(egress_to(port), f"http://{HOST}:{port}/secret")


PIECES = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 500 \r\n", b"\r\n", b"\r\n\r\n", b"\n", b" ", b": "),
        *(b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"5\r\n"),
        *(b"Content-Length: 99999999999999999999", b"0\r\n", b"ffffffffff\r\n", b"-1\r\n", b"\xff"),
    ]
)


@settings(deadline=None, print_blob=True)
@given(said=st.lists(st.one_of(PIECES, st.binary(max_size=20))).map(b"".join))
def test_whatever_comes_back_is_an_answer_or_a_loss(said: bytes):
    def script(peer: socket.socket) -> None:
        request_of(peer)
        peer.sendall(said)

    with speaking(script) as port:
        try:
            answer = post(egress_to(port), f"http://{HOST}:{port}/")
        except LostError:
            return
    assert 200 <= answer.status <= 999


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, LostError),
        ({"allow_networks": ()}, ForbiddenError),
        ({"resolver": Names([])}, UnreachableError),
    ],
)
def test_an_error_shows_the_host_and_no_path(options: dict[str, Any], kind: type[EgressError]):
    with speaking(request_of) as port, pytest.raises(kind, match=HOST) as caught:
        post(egress_to(port, **options), f"http://{HOST}:{port}/hunter2?hunter2")

    assert "hunter2" not in str(caught.value)


# Connections ----------------------------------------------------------------------------------


def test_requests_in_a_row_share_a_connection():
    names = Names(["127.0.0.1"])
    with Hooks() as hooks:
        egress = egress_to(hooks.port, resolver=names)
        with egress.session() as session:
            for path in ("a", "b", "c"):
                session.post(egress.target(f"http://{HOST}:{hooks.port}/{path}"), {}, b"{}")

    assert [got.path for got in hooks.got] == ["/a", "/b", "/c"]
    assert len({got.peer for got in hooks.got}) == 1
    assert names.asked == [HOST]


def test_a_connection_that_was_closed_in_between_is_not_used_again():
    """A request on it would be in doubt for no reason."""
    closed = threading.Event()
    served = []

    def once(peer: socket.socket) -> None:
        served.append(request_of(peer))
        peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        peer.shutdown(socket.SHUT_RDWR)
        closed.set()

    with speaking(once) as port:
        egress = egress_to(port)
        with egress.session() as session:
            for _ in range(3):
                answer = session.post(egress.target(f"http://{HOST}:{port}/"), {}, b"{}")
                assert answer.status == 204
                assert closed.wait(10)
                closed.clear()

    assert len(served) == 3


def test_other_names_get_connections_of_their_own():
    with Hooks() as hooks:
        egress = egress_to(hooks.port)
        with egress.session() as session:
            for host in ("a.example", "b.example"):
                session.post(egress.target(f"http://{host}:{hooks.port}/"), {}, b"{}")

    assert len({got.peer for got in hooks.got}) == 2


@pytest.mark.parametrize(
    "options",
    [{"timeout_ms": 0}, {"max_bytes": 0}, {"ports": [0]}, {"allow_networks": ["10.0.0.1/8"]}],
)
def test_settings_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigError, match="egress"):
        Egress(**options)


def test_what_is_allowed_by_default_is_the_internet_over_https():
    """The tests above allow more; this one says what nobody has to ask for."""
    egress = Egress(resolver=Names([LOOPBACK[0].partition("/")[0]]))

    with pytest.raises(ForbiddenError):
        post(egress, f"https://{HOST}/")
