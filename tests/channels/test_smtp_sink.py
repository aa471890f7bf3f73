"""The sink that the package ships for tests."""

import json
import socket
import time
from pathlib import Path

import pytest
from smtp_cases import messages

from tactful.core.model import Retry
from tactful.testing.smtp_sink import SmtpSink


def test_the_log_is_written_before_the_answer(channel, tmp_path: Path):
    log = tmp_path / "log"
    seen: list[int] = []
    with SmtpSink(
        log=log, on_message=lambda _: seen.append(len(log.read_text().splitlines()))
    ) as sink:
        channel(sink).send(messages(3))
    assert seen == [1, 2, 3]
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["message_id"] for entry in entries] == [f"<m{n}@example.org>" for n in range(3)]
    assert [entry["rcpt"] for entry in entries] == [[f"u{n}@example.org"] for n in range(3)]
    assert all(abs(entry["wall_ms"] - time.time() * 1000) < 60_000 for entry in entries)


def test_a_script_that_fails_is_not_overlooked(channel):
    sink = SmtpSink(faults=lambda n, e: [][n]).start()
    (outcome,) = channel(sink).send(messages(1))
    assert isinstance(outcome, Retry)
    with pytest.raises(IndexError):
        sink.close()
    sink.close()


def test_the_sink_notes_pipelining_that_it_did_not_offer():
    with (
        SmtpSink(pipelining=False) as sink,
        socket.create_connection((sink.host, sink.port)) as sock,
    ):
        sock.recv(1000)
        sock.sendall(b"EHLO x\r\nMAIL FROM:<a@b>\r\n")
        assert sock.recv(1000).startswith(b"503")
        assert len(sink.violations) == 1
