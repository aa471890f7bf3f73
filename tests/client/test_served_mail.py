"""`tactful serve --smtp-port`: the same key, the same rules and the same store by both doors."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner
from service_cases import Served

from tactful import Client, config, errors
from tactful.cli.main import tactful
from tactful.frontdoors.submission import tls_context
from tactful.testing.servers.process import free_port


def test_mail_and_http_count_against_one_limit(served: Served, client: Client) -> None:
    client.rules.put("doors", types=["doors"], limit="2/day")
    content = EmailMessage()
    content["Subject"] = "By mail"
    content.set_content("It works.")
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=30) as mail:
        mail.login("doors", served.key)
        mail.send_message(content, "app@example.com", "ada@example.com")
    second = client.send(type="doors", to="ada@example.com", text="By HTTP")
    third = client.send(type="doors", to="ada@example.com", text="By HTTP")

    assert (second.decision, third.decision) == ("send", "defer")
    doors = [row for row in client.deliveries(recipient="ada@example.com") if row.type == "doors"]
    assert len(doors) == 3


def test_the_settings_of_the_port_are_read_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "tactful.toml"
    file.write_text('[submission]\nport = 587\nhost = "0.0.0.0"\ncertificate = "a.pem"\n')
    with pytest.raises(errors.ConfigError, match=r"submission\.private_key: is missing"):
        config.load(file, {})
    found = config.load(None, {"TACTFUL_SUBMISSION_PORT": "2525"}).submission
    assert (found.port, found.host, found.hostname) == (2525, None, "localhost")


def test_a_port_for_everybody_needs_a_certificate_and_one_that_can_be_used(tmp_path: Path) -> None:
    runner = CliRunner()
    options = ["--store", "memory://", "--port", str(free_port()), "--smtp-port", "0"]
    done = runner.invoke(tactful, ["serve", "--host", "0.0.0.0", *options])
    assert done.exit_code != 0
    assert "submission.certificate: is needed to take keys on '0.0.0.0'" in done.stderr
    with pytest.raises(errors.ConfigError, match=r"submission\.certificate: cannot use .*No such"):
        tls_context("nowhere.pem", "nowhere.key")
    made = trustme.CA().issue_cert("mx.example.org")
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    made.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    assert tls_context(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
