"""The single checks of `tactful doctor`; each gives what it found and what to do about it."""

from __future__ import annotations

import shutil
import sys
import zoneinfo
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias, cast

import apsw

from tactful.app import Tactful
from tactful.brokers.settings import Brokerage
from tactful.channels.address import parse_mailbox
from tactful.channels.dkim import GOOD_RSA_BITS, DkimSigner
from tactful.channels.settings import Apprise, Webhook
from tactful.channels.smtp.protocol import (
    Capabilities,
    Credentials,
    RefusedError,
    Security,
    Server,
    Timeouts,
    connect,
)
from tactful.channels.smtp.settings import Backup, Smtp
from tactful.cli.instants import span
from tactful.config.service import LedgerServer
from tactful.core.errors import ConfigError, RequestError, Unavailable
from tactful.core.model import HOUR, MINUTE, SECOND, Retry, State
from tactful.engine.zones import iso, zone_of
from tactful.stores.sqlite.connection import check_version, path_of

Verdict: TypeAlias = Literal["ok", "warn", "fail"]

DISK_LOW: Final = 1 << 30
DISK_FULL: Final = 100 << 20
BEHIND_MS: Final = MINUTE
FAR_BEHIND_MS: Final = HOUR
CLOCK_FUZZ_MS: Final = 5 * SECOND
EARLIEST_MS: Final = 1_735_689_600_000  # 2025, when there was no Tactful yet
LEASES_SEEN: Final = 1_000
PATIENCE: Final = Timeouts(connect=5.0, command=5.0, dot=5.0)


class Finding(NamedTuple):
    """One check: `advice` says what to do where it is not ok."""

    verdict: Verdict
    what: str
    found: str
    advice: str = ""


# The machine ----------------------------------------------------------------------------------


def of_machine() -> Iterator[Finding]:
    """What does not depend on the configuration."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok", "python", version)
    sqlite = apsw.sqlite_lib_version()
    try:
        check_version(sqlite)
        yield Finding("ok", "sqlite", sqlite)
    except ConfigError as error:
        yield Finding("fail", "sqlite", str(error), "install a newer apsw")
    try:
        zone_of("Europe/Berlin")
        yield Finding("ok", "time zones", f"{len(zoneinfo.available_timezones())} known")
    except RequestError:
        yield Finding("fail", "time zones", "no database", "install the package tzdata")


# The database ---------------------------------------------------------------------------------


def of_file(url: str) -> Iterator[Finding]:
    """The database as a file, read only; what is not SQLite has none."""
    if not url.startswith("sqlite:"):
        yield Finding("ok", "database", "not a file")
        return
    try:
        path = path_of(url)
    except ConfigError as error:
        yield Finding("fail", "database", str(error), "correct the key store")
        return
    yield from _disk(path)
    if not path.exists():
        yield Finding("warn", "database", f"{path} is not there yet", "run tactful init")
        return
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            yield from _inside(connection, path)
        finally:
            connection.close()
    except apsw.Error as error:
        yield Finding(
            "fail", "database", f"{path}: {error}", "restore a backup, or check who may read it"
        )


def _disk(path: Path) -> Iterator[Finding]:
    place = path.absolute().parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        yield Finding("fail", "disk", f"{place}: {error.strerror}", "make that directory")
        return
    found = f"{free >> 20:,} MiB free".replace(",", " ")
    if free < DISK_FULL:
        yield Finding("fail", "disk", found, "make room: nothing is accepted on a full disk")
    elif free < DISK_LOW:
        yield Finding("warn", "disk", found, "make room, or run tactful prune")
    else:
        yield Finding("ok", "disk", found)


def _inside(connection: apsw.Connection, path: Path) -> Iterator[Finding]:
    ((mode,),) = connection.execute("PRAGMA journal_mode").fetchall()
    if mode == "wal":
        yield Finding("ok", "journal", "write-ahead log")
    else:
        yield Finding("warn", "journal", str(mode), "wal is set when Tactful next opens the file")
    problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)").fetchall()]
    if problems == ["ok"]:
        yield Finding("ok", "database", str(path))
    else:
        yield Finding("fail", "database", "; ".join(problems), "restore a backup")


# The engine -----------------------------------------------------------------------------------


def of_engine(app: Tactful) -> Iterator[Finding]:
    """What the store says about time, queue and rules."""
    schema = getattr(app.store, "schema", None)
    if schema is not None:
        yield Finding("ok", "schema", str(schema))
    yield _clock(app)
    status = app.status()
    behind = status["behind_ms"]
    if behind < BEHIND_MS:
        yield Finding("ok", "queue", f"oldest due {span(behind)} ago" if behind else "on time")
    else:
        verdict: Verdict = "fail" if behind >= FAR_BEHIND_MS else "warn"
        found = f"oldest due {span(behind)} ago"
        yield Finding(verdict, "queue", found, "run tactful work, or more of them")
    yield _leases(app)
    if status["unknown_types"]:
        names = ", ".join(status["unknown_types"])
        yield Finding("warn", "types", f"no rule knows: {names}", "a misspelling? add a rule")
    if not status["rules"]:
        yield Finding("warn", "rules", "none", "nothing is limited: tactful rules set")
    else:
        yield Finding("ok", "rules", f"{status['rules']} in force")


def _clock(app: Tactful) -> Finding:
    now = app.clock.now()
    with app.store.reading() as reader:
        latest = reader.latest_attempt()
    if now < EARLIEST_MS:
        return Finding("fail", "clock", iso(now), "set the clock: this was long ago")
    if latest is not None and latest > now + CLOCK_FUZZ_MS:
        found = f"{span(latest - now)} behind the last attempt in the store"
        return Finding("warn", "clock", found, "check time synchronisation")
    return Finding("ok", "clock", iso(now))


def _leases(app: Tactful) -> Finding:
    now = app.clock.now()
    sending = app.deliveries(state=State.SENDING, limit=LEASES_SEEN)
    orphans = [delivery for delivery in sending if delivery.due_at <= now]
    if orphans:
        found = f"{len(orphans)} of a worker that went away"
        return Finding("warn", "leases", found, "tactful work takes them over")
    return Finding("ok", "leases", f"{len(sending)} being sent" if sending else "none left over")


# Mail -----------------------------------------------------------------------------------------


def of_mail(smtp: Smtp | None, offline: bool) -> Iterator[Finding]:
    """Whether the mail servers answer, let us in and can take what we send; and its signatures."""
    if smtp is None:
        found = "no [smtp]: the default channel is the inbox, and no mail goes out"
        yield Finding("warn", "mail", found, "add [smtp] to the configuration")
        return
    try:
        smtp.channel().close()
        signer = smtp.signer()
    except ConfigError as error:
        yield Finding("fail", "mail", str(error), "correct the configuration")
        return
    yield from _server("mail", smtp, offline)
    if smtp.backup is not None:
        yield from _server("mail backup", smtp.backup, offline)
    if signer is not None:
        yield from _signatures(signer, parse_mailbox(smtp.sender, "smtp.sender")[1].domain)


def of_services(webhook: Webhook | None, apprise: Sequence[Apprise]) -> Iterator[Finding]:
    """Whether webhooks and Apprise can be used as they are set up; nobody is asked over a network.

    A secret of a webhook shorter than 24 bytes, or a URL that cannot be used, is refused.
    """
    named: list[tuple[str, Webhook | Apprise]] = [(f"apprise {one.name}", one) for one in apprise]
    if webhook is not None:
        named.insert(0, ("webhook", webhook))
    for what, one in named:
        try:
            found = one.channel().where
        except ConfigError as error:
            yield Finding("fail", what, str(error), "correct the configuration")
        else:
            yield Finding("ok", what, f"to {found}: not asked")
    if webhook is not None and webhook.reach.allow_http:
        advice = "remove egress.allow_http where receivers have https"
        yield Finding("warn", "webhook", "may go unencrypted", advice)


def of_broker(brokerage: Brokerage | None, offline: bool) -> Iterator[Finding]:
    """Whether the message broker answers and lets us in; nothing is made there."""
    if brokerage is None:
        return
    try:
        broker = brokerage.broker()
    except ConfigError as error:
        yield Finding("fail", "broker", str(error), "correct the configuration")
        return
    try:
        found = "not asked" if offline else broker.check()
        yield Finding("ok", "broker", f"{broker.where}: {found}")
    except Unavailable as error:
        yield Finding("fail", "broker", str(error), "check URL, login and whether it runs")
    finally:
        broker.close()


def of_ledger(server: LedgerServer | None, offline: bool) -> Iterator[Finding]:
    """Whether the ledger beside the store answers and lets us in; nothing is kept there."""
    if server is None:
        return
    try:
        ledger = server.ledger()
    except ConfigError as error:
        yield Finding("fail", "ledger", str(error), "correct the configuration")
        return
    try:
        if not offline:
            ledger.load({"": 0})
        yield Finding("ok", "ledger", f"{ledger.where}: {'not asked' if offline else 'answers'}")
    except Unavailable as error:
        advice = "histories are read from the store; check URL, login and whether it runs"
        yield Finding("warn", "ledger", str(error), advice)
    finally:
        ledger.close()


def _server(what: str, smtp: Smtp | Backup, offline: bool) -> Iterator[Finding]:
    """One mail server."""
    if offline:
        yield Finding("ok", what, f"{smtp.host}: not asked")
        return
    credentials = None
    if smtp.username is not None and smtp.password is not None:
        credentials = Credentials(smtp.username, smtp.password)
    security = cast(Security, smtp.security)
    port = smtp.port or {"none": 25, "starttls": 587, "tls": 465}[security]
    server = Server(smtp.host, port, security, credentials, smtp.local_hostname, timeouts=PATIENCE)
    try:
        session = connect(server)
    except RefusedError as error:
        why = error.outcome.why if isinstance(error.outcome, Retry) else str(error)
        yield Finding("fail", what, f"{smtp.host}:{port}: {why}", "check host, port and login")
        return
    offered = session.capabilities
    session.close()
    yield Finding("ok", what, f"{smtp.host}:{port} offers {_offers(offered)}")
    if not offered.pipelining:
        yield Finding("warn", what, "no PIPELINING", "sending is slower than it could be")


def _signatures(signer: DkimSigner, sender_domain: str) -> Iterator[Finding]:
    """What has to be in the DNS for the signatures; it is not looked up."""
    for record in signer.records:
        what = f"dkim {record.algorithm}"
        yield Finding("ok", what, f"the DNS must hold: {record.zone_line}")
        if record.bits is not None and record.bits < GOOD_RSA_BITS:
            advice = f"make a key of {GOOD_RSA_BITS} bits: this one can be broken"
            yield Finding("warn", f"{what} key", f"{record.bits} bits", advice)
    if all(record.bits is None for record in signer.records):
        advice = "give an RSA key as well: many receivers check nothing else"
        yield Finding("warn", "dkim keys", "Ed25519 only", advice)
    ours, theirs = f".{signer.domain}", f".{sender_domain}"
    if not (ours.endswith(theirs) or theirs.endswith(ours)):
        found = f"{signer.domain} signs for senders of {sender_domain}"
        advice = "sign with the sender's domain: else DMARC may not count the signature"
        yield Finding("warn", "dkim domain", found, advice)


def _offers(offered: Capabilities) -> str:
    named = {
        "PIPELINING": offered.pipelining,
        "8BITMIME": offered.eight_bit,
        "SMTPUTF8": offered.smtputf8,
        "STARTTLS": offered.starttls,
        "AUTH": bool(offered.auth),
    }
    found = [name for name, there in named.items() if there]
    if offered.size is not None:
        found.append(f"SIZE {offered.size}")
    return ", ".join(found) or "nothing beyond the basics"
