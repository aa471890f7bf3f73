"""A real Postfix takes our mail unchanged: a private instance, varied mails, bytes compared.

    sudo python benchmarks/postfix_trial.py

Starts Postfix with its own configuration, queue and data in a temporary directory, on a free port
of 127.0.0.1, delivering into maildirs there; nothing of an installed Postfix is used or touched.
What was delivered must be what the writer wrote, byte for byte, below the trace headers that
Postfix puts on top. Exit status 0 if so.

Postfix's master has to run as root, so this is a script and no part of the test suite. Needs
Postfix (Debian: postfix) with its users. Seen with Postfix 3.7.11: 24 mails sent, SMTPUTF8 and
lines of 5,000 characters among them, 24 delivered, all equal.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tactful.channels.address import parse_email
from tactful.channels.mime import MailWriter
from tactful.channels.smtp import SmtpChannel
from tactful.core.errors import RequestError
from tactful.core.model import Accepted, Message, Rejected
from tactful.testing.servers.process import free_port

HOST = "127.0.0.1"
SENDER = "Tactful Über <tactful@sender.example>"
PLAIN, OTHER = "rcpt.example", "second.example"

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/log/mail.log
maillog_file_prefixes = {root}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.sink.example
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtputf8_enable = yes
message_size_limit = 1000000
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
"""

MASTER_CF = """
{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
pickup unix n - n 60 1 pickup
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
postlog unix-dgram n - n - 1 postlogd
"""


def mails() -> list[Message]:
    """Mails that a server or a careless writer might change."""
    subjects = [
        "plain",
        "Grüße aus Köln",
        "漢字 " * 40,
        "🙂" * 60,
        "=?utf-8?q?not_decoded=0D=0ABcc:_x@rcpt.example?=",
        "a very long subject of many words " * 25,
        "  blanks  inside ",
    ]
    texts = [
        "hello\n",
        ".\n",
        "..\n.\n.dot\nQUIT\n",
        "From me\n>From you\n",
        "x" * 5_000 + "\n",
        "blank at end   \ntab\t\n\n\n",
        "ü" * 3_000,
        "\n.\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<evil@rcpt.example>\r\nDATA\r\nhi\r\n.\r\n",
        "a\r.\rb\n.\nc",
        "",
    ]
    found = []
    for number in range(24):
        html = None
        local = "jürgen" if number == 5 else "u"
        domain = PLAIN if number % 2 else OTHER
        if number % 3 == 0:
            html = f"<p>{texts[number % len(texts)]}</p>\n.\n--=_boundary--\n"
        found.append(
            Message(
                id=f"trial-{number}",
                notification_id="n",
                recipient=f"u{number}",
                address=f"{local}{number}@{domain}",
                type="status",
                subject=subjects[number % len(subjects)],
                text=texts[number % len(texts)],
                html=html,
                at=1_700_000_000_000 + number,
                name="Jürgen, der <Große>" if number % 4 == 0 else None,
                headers=(("List-Unsubscribe", "<https://sender.example/u?t=1>"),),
            )
        )
    return found


def configure(root: Path) -> int:
    port = free_port()
    root.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    owner = pwd.getpwnam("postfix")
    for name in ("conf", "queue", "data", "mail", "log"):
        (root / name).mkdir()
    os.chown(root / "data", owner.pw_uid, owner.pw_gid)
    os.chown(root / "mail", nobody.pw_uid, nobody.pw_gid)
    settings = {
        "root": root,
        "domains": f"{PLAIN}, {OTHER}",
        "uid": nobody.pw_uid,
        "gid": nobody.pw_gid,
        "port": f"{HOST}:{port}",
    }
    (root / "conf" / "main.cf").write_text(MAIN_CF.format(**settings))
    (root / "conf" / "master.cf").write_text(MASTER_CF.format(**settings))
    return port


def postfix(root: Path, action: str) -> None:
    subprocess.run(["postfix", "-c", root / "conf", action], check=True, capture_output=True)


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def delivered(root: Path, count: int) -> list[bytes]:
    folder = root / "mail" / "all" / "new"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if folder.is_dir() and len(list(folder.iterdir())) >= count:
            break
        time.sleep(0.05)
    return [file.read_bytes() for file in folder.iterdir()]


def trial(root: Path, port: int) -> int:
    sent = mails()
    writer = MailWriter(SENDER)
    channel = SmtpChannel(host=HOST, port=port, sender=SENDER, connections=1)
    extra = [
        Message("big", "n", "r", f"big@{PLAIN}", "t", "big", "x" * 1_000_000, None, 1),
        Message("away", "n", "r", "who@elsewhere.example\r\n", "t", "s", "t", None, 1),
    ]
    found = channel.send([*sent, *extra])
    channel.close()
    wrong = 0
    expected: dict[bytes, str] = {}
    for message, outcome in zip(sent, found, strict=False):
        try:
            raw = writer.write(message, parse_email(message.address, "address"))
        except RequestError as error:
            wrong += not isinstance(outcome, Rejected)
            print(f"{message.id}: refused by us: {error.field}: {error.bound}")
            continue
        if not isinstance(outcome, Accepted):
            wrong += 1
            print(f"{message.id}: {outcome}")
        expected[raw.replace(b"\r\n", b"\n")] = message.id
    for message, outcome in zip(extra, found[len(sent) :], strict=True):
        wrong += not isinstance(outcome, Rejected)
        print(f"{message.id}: {outcome}")
    arrived = delivered(root, len(expected))
    equal = 0
    for data in arrived:
        body = data[data.index(b"\nFrom: ") + 1 :]
        if expected.pop(body, None) is None:
            wrong += 1
            print("not equal:", data[:2_000].decode("utf-8", "replace"))
        else:
            equal += 1
    print(f"{len(sent)} sent, {len(arrived)} delivered, {equal} byte for byte equal")
    for name in expected.values():
        print(f"{name}: missing or changed")
    return 1 if wrong or expected else 0


def main() -> int:
    if os.geteuid() != 0 or shutil.which("postfix") is None:
        print("needs root and Postfix (Debian: apt-get install postfix)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="tactful-postfix-") as name:
        root = Path(name)
        port = configure(root)
        postfix(root, "start")
        try:
            wait_for_port(port)
            return trial(root, port)
        finally:
            postfix(root, "stop")


if __name__ == "__main__":
    sys.exit(main())
