"""Webhooks and Apprise by configuration: what is read, what is sent, what doctor finds."""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tactful.channels.webhook import verify_signature
from tactful.config import Config, load
from tactful.core.errors import ConfigError
from tactful.runtime.clock import SystemClock

SECRET = "whsec_" + base64.b64encode(b"nobody may ever see this secret!").decode()
NEWER = "whsec_" + base64.b64encode(b"nobody may see the newer secret!").decode()
HIDDEN = ("hunter2", SECRET, NEWER, SECRET.removeprefix("whsec_"))


def read(folder: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    file = folder / "tactful.toml"
    file.write_text(text)
    return load(file, environ or {})


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.ThreadingHTTPServer]:
    """A server on this machine; `got` holds path, headers and body of what it was sent."""
    monkeypatch.setenv("no_proxy", "*")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((self.path, dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.got = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_webhooks_are_read_with_lists_or_texts(tmp_path: Path):
    listed = read(
        tmp_path,
        f'[webhook]\nsecrets = ["{NEWER}", "{SECRET}"]\n'
        '[egress]\nallow_networks = ["10.0.0.0/8"]\nallow_http = true\nports = [80, 8080]\n'
        'timeout = "5s"\n',
    )
    texts = load(
        None,
        {
            "TACTFUL_WEBHOOK_SECRETS": f"{NEWER} {SECRET}",
            "TACTFUL_EGRESS_ALLOW_NETWORKS": "10.0.0.0/8",
            "TACTFUL_EGRESS_ALLOW_HTTP": "true",
            "TACTFUL_EGRESS_PORTS": "80 8080",
            "TACTFUL_EGRESS_TIMEOUT": "5000",
        },
    )

    assert listed.webhook == texts.webhook
    assert listed.webhook is not None
    assert listed.webhook.secrets == (NEWER, SECRET)
    assert listed.webhook.reach.ports == (80, 8080)
    assert listed.webhook.channel().address_kind == "webhook"


def test_secrets_may_stand_in_files_of_their_own(tmp_path: Path):
    """Two secrets in one file while they are changed over, one a line."""
    (tmp_path / "secrets").write_text(f"{NEWER}\n{SECRET}\n")
    (tmp_path / "sms").write_text("json://me:hunter2@localhost/{address}\n")
    config = read(
        tmp_path, '[webhook]\nsecrets_file = "secrets"\n[apprise.sms]\nurl_file = "sms"\n'
    )
    variables = {
        "TACTFUL_WEBHOOK_SECRETS_FILE": str(tmp_path / "secrets"),
        "TACTFUL_APPRISE_SMS_URL_FILE": str(tmp_path / "sms"),
    }
    other = load(None, variables)

    for found in (config, other):
        assert found.webhook is not None
        assert found.webhook.secrets == (NEWER, SECRET)
        assert found.ignored == ()
        webhook, sms = found.channels()
        assert (webhook.name, sms.name, sms.address_kind) == ("webhook", "sms", "sms")
        assert not any(hidden in f"{found!r} {webhook!r} {sms!r}" for hidden in HIDDEN)


def test_the_environment_overrules_the_url_of_a_service(tmp_path: Path):
    text = '[apprise.chat]\nurl = "json://a.example/"\nconcurrency = 2\n'
    config = read(tmp_path, text, {"TACTFUL_APPRISE_CHAT_URL": "json://b.example/"})

    (chat,) = config.apprise
    assert (chat.url, chat.concurrency) == ("json://b.example/", 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[webhook]\nurl = 'https://a.example/hunter2'", "webhook.secrets: is missing"),
        ("[webhook]\nsecrets = 3", "webhook.secrets: must be a list, or a text with blanks"),
        ("[webhook]\nsecrets = ['']", "webhook.secrets: must be a text that is not empty"),
        ("[webhook]\nsecret = 'hunter2'", "webhook.secret: is no key"),
        ("[egress]\nallow_http = 'maybe'", "egress.allow_http: must be true or false"),
        ("[egress]\nports = [0]", "egress.ports: must be a whole number from 1 to 65535"),
        ("[egress]\nallow_networks = ['10.0.0.1/8']", "egress.allow_networks: must be networks"),
        ("apprise = 3", "apprise: must be tables [apprise.NAME]"),
        ("[apprise]\nurl = 'json://hunter2/'", "apprise: must be tables [apprise.NAME]"),
        ("[apprise.sms]\nconcurrency = 2", "apprise.sms.url: is missing"),
        ("[apprise.sms]\nurl = ['hunter2']", "apprise.sms.url: must be of the type str"),
        ("[apprise.sms]\nuri = 'hunter2'", "apprise.sms.uri: is no key here: url, url_file"),
        ("[apprise.sms]\nurl_file = 'none'", "apprise.sms.url_file: cannot be read: No such"),
        (
            "[apprise.sms]\nurl = 'hunter2'\nurl_file = 'none'",
            "apprise.sms.url: is set twice",
        ),
    ],
)
def test_errors_name_the_key_and_show_no_secret(tmp_path: Path, text: str, says: str):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)

    assert says in str(caught.value)
    assert not any(hidden in str(caught.value) for hidden in HIDDEN)


def test_send_and_work_reach_a_webhook_and_a_service(run, here: Path, posted):
    port = posted.server_address[1]
    (here / "tactful.toml").write_text(
        f'[webhook]\nsecrets = "{SECRET}"\nurl = "http://127.0.0.1:{port}/hunter2"\n'
        f'[egress]\nallow_networks = ["127.0.0.1"]\nallow_http = true\nports = [{port}]\n'
        f'[apprise.push]\nurl = "json://me:hunter2@127.0.0.1:{port}/push/{{address}}"\n'
    )
    (here / "people.csv").write_text("id,address.push\nada,4711\n")
    said = [
        run("init"),
        run("recipients", "import", "people.csv"),
        run("send", "news", "ada", "--text", "Hello"),
        run("send", "news", "ada", "--text", "Hi", "--channel", "push"),
        run("work", "--once"),
        run("status", "--json"),
        run("doctor"),
    ]

    assert [one.code for one in said] == [0] * len(said)
    assert said[-2].data["states"] == {"sent": 2}
    _, headers, body = next(got for got in posted.got if got[0] == "/hunter2")
    verify_signature(body, headers, SECRET, SystemClock().now())
    assert json.loads(body)["text"] == "Hello"
    assert any(got[0] == "/push/4711" for got in posted.got)
    everything = " ".join(one.out + one.err for one in said)
    assert not any(hidden in everything for hidden in HIDDEN)


def findings(said) -> list[tuple[str, str, str]]:
    return [(one["verdict"], one["what"], one["found"]) for one in said.data["findings"]]


def test_doctor_looks_at_webhooks_and_services_without_a_network(run, here: Path):
    (here / "tactful.toml").write_text(
        f'[webhook]\nsecrets = "{SECRET}"\n[egress]\nallow_http = true\n'
        '[apprise.sms]\nurl = "json://me:hunter2@nowhere.invalid/{address}"\n'
    )
    said = run("doctor", "--json")

    assert said.code == 0
    found = findings(said)
    assert ("ok", "webhook", "to the recipients' own URLs: not asked") in found
    assert ("warn", "webhook", "may go unencrypted") in found
    assert ("ok", "apprise sms", "to json://***: not asked") in found
    assert "mail" not in [what for _, what, _ in found]


@pytest.mark.parametrize(
    ("text", "what", "says"),
    [
        (
            'webhook = { secrets = "whsec_aHVudGVyMg==" }',
            "webhook",
            "a secret must be whsec_ and 24 to 64 bytes",
        ),
        (
            f'webhook = {{ secrets = "{SECRET}", url = "http://a.example/hunter2" }}',
            "webhook",
            "webhook.url: must begin with https://",
        ),
        ('[apprise.desk]\nurl = "dbus://"', "apprise desk", "dbus:// acts on this machine"),
        (
            '[apprise.sms]\nurl = "twilio://hunter2"',
            "apprise sms",
            "apprise.sms.url: Apprise cannot use this twilio URL",
        ),
    ],
)
def test_doctor_finds_what_cannot_be_used(run, here: Path, text: str, what: str, says: str):
    (here / "tactful.toml").write_text(text)

    said = run("doctor", "--json")

    assert said.code == 6
    assert any(
        (verdict, name) == ("fail", what) and says in found
        for verdict, name, found in findings(said)
    )
    assert not any(hidden in said.out for hidden in (*HIDDEN, "aHVudGVyMg"))
