"""Configuration: file below environment below command line, and errors that name the place."""

from pathlib import Path

import pytest

from tactful.channels.smtp.channel import SmtpChannel
from tactful.cli.engine import build
from tactful.config import KEYS, Config, load
from tactful.core.errors import ConfigError
from tactful.core.model import DAY, HOUR, MINUTE
from tactful.engine.settings import Settings

SMTP = '[smtp]\nhost = "127.0.0.1"\nsender = "me@example.org"\n'
SECRET = "hunter2"


def read(folder: Path, text: str, environ: dict[str, str] | None = None, **more: str) -> Config:
    file = folder / "tactful.toml"
    file.write_text(text)
    return load(file, environ or {}, **more)


def test_nothing_at_all_is_a_configuration(here: Path):
    config = load(None, {})

    assert config == Config()
    assert (config.store, config.smtp, config.engine) == ("sqlite:///notify.db", None, Settings())


def test_the_file_here_is_found(here: Path):
    (here / "tactful.toml").write_text('store = "memory://"')

    assert load(None, {}).store == "memory://"


def test_command_line_over_environment_over_file(tmp_path: Path):
    text = 'store = "sqlite:///file.db"'
    environ = {"TACTFUL_STORE": "sqlite:///environment.db"}

    assert read(tmp_path, text).store == "sqlite:///file.db"
    assert read(tmp_path, text, environ).store == "sqlite:///environment.db"
    assert read(tmp_path, text, environ, store="sqlite:///line.db").store == "sqlite:///line.db"


def test_spans_are_texts_or_milliseconds(tmp_path: Path):
    text = '[engine]\nlease = "30m"\nttl = 60000\n[engine.retry]\nbase = "10s"\ncap = "2h"\n'
    engine = read(tmp_path, text, {"TACTFUL_ENGINE_KEEP": "7d"}).engine

    assert (engine.lease_ms, engine.ttl_ms, engine.keep_ms) == (30 * MINUTE, MINUTE, 7 * DAY)
    assert (engine.retry.base_ms, engine.retry.cap_ms) == (10_000, 2 * HOUR)


def test_every_key_can_come_from_the_environment(tmp_path: Path):
    values = {
        "store": "postgresql://user@localhost/notify",
        "unsubscribe": "https://example.org/u/{token}",
        "tracking": "https://example.org/",
        "http.metrics": "key",
        "http.rate": "6",
        "http.burst": "6",
        "engine.unknown_types": "reject",
        "engine.retry.base": "20s",
        "smtp.port": "7",
        "smtp.connections": "7",
        "smtp.batch": "8",
        "smtp.security": "tls",
        "smtp.sender": "me@example.org",
        "smtp.reply_to": "you@example.org",
        "smtp.bounce_address": "bounce@example.org",
        "smtp.dkim.domain": "example.org",
        "smtp.backup.port": "9",
        "smtp.backup.connections": "9",
        "smtp.backup.security": "starttls",
        "smtp.backup.bounce_address": "bounce@example.org",
        "webhook.connections": "5",
        "webhook.batch": "5",
        "egress.ports": "443 8443",
        "egress.allow_networks": "10.0.0.0/8",
        "egress.allow_http": "true",
        "feedback.breaker": "stop",
        "ledger.url": "valkey://localhost",
        "ledger.timeout": "200ms",
        "broker.url": "nats://localhost",
        "broker.way": "in",
        "broker.pending": "7",
        "broker.replicas": "3",
        "inbound.address": "bounce@example.org",
        "inbound.port": "2525",
        "inbound.protocol": "lmtp",
        "receipts.url": "https://example.org",
        "receipts.ses.topics": "arn:aws:sns:eu-west-1:1:a",
        "submission.port": "2587",
        "store_connections": "20",
    }
    environ = {
        "TACTFUL_" + key.upper().replace(".", "_"): values.get(
            key, "localhost" if "host" in key else "86400000"
        )
        for key in KEYS
    }

    config = load(
        tmp_path / "tactful.toml" if (tmp_path / "tactful.toml").exists() else None, environ
    )

    assert config.ignored == ()
    assert config.tracking == "https://example.org"
    assert config.smtp is not None
    assert (config.smtp.port, config.smtp.batch, config.smtp.security) == (7, 8, "tls")
    assert config.smtp.dkim is not None
    assert (config.smtp.dkim.domain, config.smtp.dkim.lifetime_ms) == ("example.org", DAY)
    assert config.smtp.backup is not None
    assert (config.smtp.backup.port, config.smtp.backup.connections) == (9, 9)
    assert config.webhook is not None
    assert (config.webhook.batch, config.webhook.reach.ports) == (5, (443, 8443))
    assert config.broker is not None
    assert (config.broker.way, config.broker.places.pending) == ("in", 7)
    assert config.ledger is not None
    assert (config.ledger.url, config.ledger.timeout_ms) == ("valkey://localhost", 200)
    assert config.engine.history_ms == DAY
    assert config.engine.unknown_types == "reject"


def test_secrets_from_files_and_nowhere_in_a_repr(tmp_path: Path):
    (tmp_path / "password").write_text(f"{SECRET}\n")
    from_file = read(tmp_path, SMTP + 'username = "u"\npassword_file = "password"\n')
    variables = {"TACTFUL_SMTP_PASSWORD_FILE": str(tmp_path / "password")}
    from_variable = read(tmp_path, SMTP + 'username = "u"\npassword = "other"\n', variables)
    store = read(tmp_path, f'store = "postgresql://u:{SECRET}@db:5432/notify"')

    for config in (from_file, from_variable):
        assert config.smtp is not None
        assert config.smtp.password == SECRET
        assert SECRET not in repr(config)
        assert SECRET not in repr(config.smtp.channel())
    assert SECRET not in repr(store)
    ledger = f'store = "postgresql://db/x"\n[ledger]\nurl = "valkey://:{SECRET}@db"'
    beside = read(tmp_path, ledger)
    assert SECRET not in repr(beside)
    assert beside.ledger is not None
    assert beside.ledger.ledger().where == "valkey://db:6379"
    assert store.shown_store == "postgresql://u:***@db:5432/notify"


def test_what_others_put_into_the_environment_is_listed_not_refused():
    environ = {
        "TACTFUL_SERVICE_HOST": "10.0.0.1",
        "TACTFUL_CONFIG": "x",
        "TACTFUL_TEST_THING": "1",
        "OTHER": "1",
    }

    assert load(None, environ).ignored == ("TACTFUL_SERVICE_HOST",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stores = 1", "stores: is no key, in {file}; known are store"),
        ("[engine]\nbatches = 1", "engine.batches: is no key, in {file}; known are engine.lease"),
        ("[smtp]\npasword = 'x'", "smtp.pasword: is no key, in {file}"),
        ("[smpt]\nhost = 'x'", "smpt: is no key, in {file}"),
        (
            "[engine]\nbatch = 0",
            "engine.batch: must be a whole number from 1 to 1000000000 (got 0)",
        ),
        ("[engine]\nbatch = true", "engine.batch: must be a whole number"),
        ("[engine]\nbatch = 1.5", "(got 1.5), in {file}"),
        ("[engine]\nlease = 'long'", "engine.lease: must be like 90s, 30m, 2h or 3d"),
        ("[engine]\nlease = '1s'", "engine.lease (ms): must be a whole number of at least 10000"),
        ("[engine]\nhistory = '1h'", "engine.history (ms): must be a whole number of at least 864"),
        ("[engine]\nunknown_types = 'drop'", "must be one of accept, reject (got 'drop')"),
        ("[engine.retry]\nbase = '2h'", "engine.retry.cap: must be at least the base"),
        ("[engine]\nretry = 3", "engine.retry: is no key"),
        ("engine = 3", "engine: is no key"),
        ("store = 3", "store: must be a text that is not empty (got a secret), in {file}"),
        ("[ledger]\nurl = 'valkey://x'", "ledger: needs a store on PostgreSQL"),
        ("store = 'postgresql://x/y'\n[ledger]\ntimeout = '1s'", "ledger.url: is missing"),
        ("unsubscribe = 'http://x/{token}'", "unsubscribe: must be an https URL with {token}"),
        ("unsubscribe = 'https://x/'", "(got 'https://x/'), in {file}"),
        ("tracking = 'example.org'", "tracking: must be a URL such as https://example.com"),
        ("tracking = 'ftp://x.test'", "(got 'ftp://x.test'), in {file}"),
        (SMTP + "port = 70000", "smtp.port: must be a whole number from 1 to 65535 (got 70000)"),
        (
            SMTP + "security = 'ssl'",
            "smtp.security: must be one of none, starttls, tls (got 'ssl')",
        ),
        (SMTP + "reply_to = 'me'", "smtp.reply_to: "),
        (SMTP + "password = 3", "smtp.password: must be a text that is not empty (got a secret)"),
        (SMTP + "password_file = 'none'", "smtp.password_file: cannot read"),
        (SMTP + "password = 'x'\npassword_file = 'tactful.toml'", "smtp.password: is set twice"),
        ("[smtp]\nhost = 'x'", "smtp.sender: is missing"),
        ("[smtp]\nsender = 'me@example.org'", "smtp.host: is missing"),
        ("[rules.a]\nlimit = 'x'", "rules.a.limit: must read like"),
        ("x = [", "is no TOML"),
    ],
)
def test_errors_name_the_key_the_value_the_bound_and_the_place(tmp_path: Path, text, says):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)

    assert says.replace("{file}", str(tmp_path / "tactful.toml")) in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"TACTFUL_ENGINE_BATCH": "many"}, "engine.batch: must be a whole number from 1"),
        ({"TACTFUL_ENGINE_BATCH": "-1"}, "(got '-1'), in TACTFUL_ENGINE_BATCH"),
        ({"TACTFUL_STORE": " "}, "store: must be a text that is not empty"),
        ({"TACTFUL_SMTP_PORT": "tcp://10.0.0.1:25"}, "in TACTFUL_SMTP_PORT"),
        ({"TACTFUL_SMTP_PASSWORD_FILE": "no/such"}, "TACTFUL_SMTP_PASSWORD_FILE: cannot read"),
        (
            {"TACTFUL_SMTP_PASSWORD_FILE": "password", "TACTFUL_SMTP_PASSWORD": SECRET},
            "smtp.password: is set twice, in TACTFUL_SMTP_PASSWORD and in",
        ),
    ],
)
def test_errors_name_the_variable(here: Path, environ, says):
    (here / "password").write_text("x")

    with pytest.raises(ConfigError) as caught:
        read(here, SMTP, environ)

    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "latin").write_bytes(b'store = "\xe9"')

    for name, says in (("none", "cannot read"), ("latin", "is not UTF-8"), ("", "cannot read")):
        with pytest.raises(ConfigError, match=says):
            load(tmp_path / name, {})


def test_the_engine_is_wired_as_configured(tmp_path: Path):
    text = SMTP + 'name = "x"\n'
    with pytest.raises(ConfigError, match=r"smtp\.name: is no key"):
        read(tmp_path, text)
    config = read(tmp_path, SMTP + "[engine]\nkeep = '1d'\n", store="memory://")

    app = build(config)
    receipt = app.send(type="x", to="a@example.org", text="x")
    app.close()

    assert config.smtp is not None
    assert isinstance(config.smtp.channel(), SmtpChannel)
    assert receipt.channel == "email"


def test_without_a_mail_server_the_inbox_is_the_default():
    app = build(Config(store="memory://"))

    assert app.send(type="x", to="ada", text="x").channel == "inbox"
    app.close()


def test_a_password_over_an_open_line_is_refused_at_start(tmp_path: Path):
    text = SMTP.replace("127.0.0.1", "mail.example.org") + 'username = "u"\npassword = "hunter2"\n'
    config = read(tmp_path, text, store="memory://")

    with pytest.raises(ConfigError, match="in the clear") as caught:
        build(config)

    assert SECRET not in str(caught.value)
