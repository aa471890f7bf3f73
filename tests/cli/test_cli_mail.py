"""Signatures and a second mail server: how they are configured, and what `doctor` says of them."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from test_cli_doctor import findings

from tactful.channels.failover import FailoverChannel
from tactful.config import Config, load
from tactful.core.errors import ConfigError
from tactful.core.model import DAY
from tactful.testing.contracts.channel import MESSAGE
from tactful.testing.smtp_sink import SmtpSink

SMTP = '[smtp]\nhost = "127.0.0.1"\nport = 1\nsender = "Me <me@example.org>"\n'
DKIM = '[smtp.dkim]\nselector = "s1"\nkey_file = "rsa.pem"\n'
SECOND = 'second_selector = "s2"\nsecond_key_file = "ed25519.pem"\n'
BACKUP = '[smtp.backup]\nhost = "127.0.0.1"\nport = 2\n'
SECRET = "open sesame"


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def keys(here: Path) -> Path:
    """The working directory with two private keys in it, and a weak one."""
    for name, bits in (("rsa", 2_048), ("weak", 1_024)):
        key = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
        (here / f"{name}.pem").write_text(pem(key))
    (here / "ed25519.pem").write_text(pem(ed25519.Ed25519PrivateKey.generate()))
    return here


def read(folder: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    (folder / "tactful.toml").write_text(text)
    return load(None, environ or {})


def test_mail_is_signed_as_configured(run, keys: Path, sink: SmtpSink):
    mail = SMTP.replace("port = 1", f"port = {sink.port}")
    (keys / "tactful.toml").write_text(mail + DKIM + SECOND + 'lifetime = "7d"\n')
    run("init")
    assert run("send", "news", "ada@example.org", "--text", "x").code == 0
    assert run("work", "--once").code == 0

    (got,) = sink.messages
    assert got.data.count(b"\r\nDKIM-Signature: ") + got.data.startswith(b"DKIM-Signature: ") == 2
    assert b"a=rsa-sha256; c=relaxed/relaxed; d=example.org;\r\n s=s1; t=" in got.data
    assert b"a=ed25519-sha256; c=relaxed/relaxed; d=example.org;\r\n s=s2; t=" in got.data


def test_keys_may_come_from_the_environment_and_show_nowhere(keys: Path):
    secret = (keys / "rsa.pem").read_text()
    given = {"TACTFUL_SMTP_DKIM_KEY": secret, "TACTFUL_SMTP_DKIM_SELECTOR": "s9"}
    named = {"TACTFUL_SMTP_DKIM_KEY_FILE": "rsa.pem", "TACTFUL_SMTP_DKIM_SELECTOR": "s9"}
    for environ in (given, named):
        config = read(keys, SMTP, environ)
        assert config.smtp is not None
        signer = config.smtp.signer()
        assert signer is not None
        assert signer.records[0].name == "s9._domainkey.example.org"
        for line in secret.splitlines()[1:-1]:
            assert line not in f"{config!r} {config.smtp.channel()!r} {signer!r}"


def test_doctor_shows_what_the_dns_must_hold(run, keys: Path):
    (keys / "tactful.toml").write_text(SMTP + DKIM + SECOND)

    said = run("doctor", "--offline", "--json")

    found = findings(said)
    assert said.code == 0
    for algorithm, name in (("rsa-sha256", "s1"), ("ed25519-sha256", "s2")):
        verdict, text = found[f"dkim {algorithm}"]
        assert verdict == "ok"
        assert text.startswith(
            f'the DNS must hold: {name}._domainkey.example.org. TXT "v=DKIM1; k='
        )
    assert {one for one in found if "dkim" in one} == {"dkim rsa-sha256", "dkim ed25519-sha256"}


@pytest.mark.parametrize(
    ("dkim", "what", "says"),
    [
        (DKIM.replace("rsa.pem", "weak.pem"), "dkim rsa-sha256 key", "1024 bits"),
        (DKIM.replace("rsa.pem", "ed25519.pem"), "dkim keys", "Ed25519 only"),
        (DKIM + 'domain = "example.com"\n', "dkim domain", "example.com signs for senders of"),
    ],
)
def test_doctor_warns_of_signatures_that_help_little(run, keys: Path, dkim, what, says):
    (keys / "tactful.toml").write_text(SMTP + dkim)

    said = run("doctor", "--offline", "--json")

    assert said.code == 0
    verdict, text = findings(said)[what]
    assert verdict == "warn"
    assert says in text


@pytest.mark.parametrize("domain", ["example.org", "mail.example.org", "org"])
def test_doctor_takes_a_domain_of_the_same_family_as_fitting(run, keys: Path, domain):
    (keys / "tactful.toml").write_text(SMTP + DKIM + f'domain = "{domain}"\n')

    assert "dkim domain" not in findings(run("doctor", "--offline", "--json"))


def test_a_key_that_is_none_is_found_by_doctor_and_not_shown(run, keys: Path):
    (keys / "rsa.pem").write_text(SECRET)
    (keys / "tactful.toml").write_text(SMTP + DKIM)

    said = run("doctor", "--offline", "--json")

    assert said.code == 6
    assert findings(said)["mail"] == ("fail", "smtp.dkim.key: must be a private key as PEM text")
    assert SECRET not in said.out


def test_a_backup_takes_the_mail_while_the_server_is_away(run, keys: Path, sink: SmtpSink):
    with SmtpSink() as gone:
        away = SMTP.replace("port = 1", f"port = {gone.port}")
    backup = BACKUP.replace("port = 2", f"port = {sink.port}")
    (keys / "tactful.toml").write_text(away + DKIM + backup)
    run("init")
    run("send", "news", "ada@example.org", "--text", "x")
    assert run("work", "--once").code == 0

    (got,) = sink.messages
    assert got.mail_from == "me@example.org"
    assert b"d=example.org;" in got.data, "the same mail, with the same signature"


def test_a_backup_is_a_channel_of_the_same_name(here: Path):
    config = read(here, SMTP + "batch = 9\nconnections = 2\n" + BACKUP)
    assert config.smtp is not None

    channel = config.smtp.channel()

    assert isinstance(channel, FailoverChannel)
    assert (channel.name, channel.address_kind) == ("email", "email")
    assert (channel.concurrency, channel.batch) == (4, 9)
    assert list(channel.health) == ["smtp", "smtp.backup"]
    assert "127.0.0.1:1" in repr(channel)
    assert "127.0.0.1:2" in repr(channel)


@pytest.mark.parametrize(
    ("bounce", "expected"), [("", "main@example.org"), ("own@example.org", "own@example.org")]
)
def test_bounces_go_where_the_first_server_says_unless_the_backup_says(here, bounce, expected):
    with SmtpSink() as gone:
        away = SMTP.replace("port = 1", f"port = {gone.port}")
    with SmtpSink() as sink:
        text = away + 'bounce_address = "main@example.org"\n'
        text += BACKUP.replace("port = 2", f"port = {sink.port}")
        text += f'bounce_address = "{bounce}"\n' if bounce else ""
        config = read(here, text)
        assert config.smtp is not None
        channel = config.smtp.channel()
        channel.send([MESSAGE])
        channel.close()
        assert [got.mail_from for got in sink.messages] == [expected]


def test_doctor_asks_both_servers(run, here: Path, sink: SmtpSink):
    with SmtpSink() as gone:
        pass
    backup = BACKUP.replace("port = 2", f"port = {gone.port}")
    (here / "tactful.toml").write_text(SMTP.replace("port = 1", f"port = {sink.port}") + backup)

    said = run("doctor", "--json")

    found = findings(said)
    assert said.code == 6
    assert found["mail"][0] == "ok"
    assert found["mail backup"][0] == "fail"
    assert f"127.0.0.1:{gone.port}: " in found["mail backup"][1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SMTP + '[smtp.dkim]\nselector = "s"', "smtp.dkim.key: is missing; the other keys of"),
        (SMTP + '[smtp.dkim]\nkey = "x"', "smtp.dkim.selector: is missing"),
        (SMTP + DKIM + 'second_selector = "s2"', "smtp.dkim.second_key: is missing"),
        (SMTP + DKIM + 'second_key = "x"', "smtp.dkim.second_selector: is missing"),
        (SMTP + DKIM + "signature = 1", "smtp.dkim.signature: is no key, in {file}; known are"),
        (SMTP + DKIM + 'domain = "a b"', "smtp.dkim.domain: domain is not a valid name"),
        (SMTP + DKIM + 'lifetime = "long"', "smtp.dkim.lifetime: must be like 90s"),
        (SMTP + "[smtp.dkim]\nkey = 3", "smtp.dkim.key: must be a text that is not empty (got a s"),
        (SMTP + "[smtp.dkim]\nkey_file = 'none'", "smtp.dkim.key_file: cannot read"),
        (DKIM, "smtp.host: is missing"),
        (BACKUP, "smtp.host: is missing"),
        (SMTP + "[smtp.backup]\nport = 3", "smtp.backup.host: is missing"),
        (SMTP + BACKUP + "batch = 3", "smtp.backup.batch: is no key"),
        (SMTP + BACKUP + "security = 'ssl'", "smtp.backup.security: must be one of none"),
        (SMTP + "backup = 'mail2'", "smtp.backup: is no key"),
    ],
)
def test_errors_of_the_file_name_the_key(keys: Path, text, says):
    with pytest.raises(ConfigError) as caught:
        read(keys, text)

    assert says.replace("{file}", "tactful.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SMTP + DKIM.replace("s1", "a b"), "smtp.dkim.selector: must be letters"),
        (SMTP + DKIM + SECOND.replace("s2", "s1"), "smtp.dkim.selector: each key needs its own"),
        (SMTP + DKIM + "lifetime = 1000", "smtp.dkim.lifetime: must be at least 3600000 ms"),
        (SMTP + BACKUP + "username = 'u'", "smtp.backup: username and password come together"),
        (
            SMTP + BACKUP.replace("127.0.0.1", "mail.example.org") + f"username = 'u'\n"
            f"password = '{SECRET}'",
            "smtp.backup: the password for mail.example.org would cross the network in the clear",
        ),
        (SMTP + BACKUP.replace("127.0.0.1", "a b"), "smtp.backup: host is no host name: 'a b'"),
        (SMTP.replace("127.0.0.1", "a b"), "smtp: host is no host name: 'a b'"),
        (SMTP + "message_id_domain = 'a b'", "smtp.message_id_domain: "),
    ],
)
def test_errors_of_what_cannot_work_name_the_table(keys: Path, text, says):
    config = read(keys, text)
    assert config.smtp is not None
    with pytest.raises(ConfigError) as caught:
        config.smtp.channel()

    assert str(caught.value).startswith(says)
    assert SECRET not in str(caught.value)


def test_a_lifetime_is_a_span(keys: Path):
    config = read(keys, SMTP + DKIM + 'lifetime = "3d"\n')

    assert config.smtp is not None
    assert config.smtp.dkim is not None
    assert config.smtp.dkim.lifetime_ms == 3 * DAY
