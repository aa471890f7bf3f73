"""`tactful init`: from nothing to a configuration, a database and rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from tactful.app import Tactful
from tactful.cli.engine import author, opened
from tactful.cli.options import shared, show, wanted
from tactful.cli.policies import put_others
from tactful.config import FILE_NAME, STORE, Config, load
from tactful.core.errors import ConfigError

SAMPLE: Final = """\
# Tactful reads this file where it is started, or where --config says. Each key can be overruled
# by the environment (smtp.port is TACTFUL_SMTP_PORT) and the store by --store.

# Everything is kept here: notifications, the queue, limits, people and rules.
store = {store}

# For the one-click unsubscribe headers of mails; has to lead to your service.
# unsubscribe = "https://example.com/unsubscribe/{{token}}"

# Where `tactful serve` is reachable for recipients: opens and clicks in mails are counted then.
# tracking = "https://example.com"

[engine]
# Spans are texts such as "90s", "30m", "2h" and "3d".
# lease = "15m"             # how long a worker may be silent before its deliveries go to another
# batch = 100               # deliveries decided in one transaction
# waiting_max = 10000       # how many may wait for one recipient; what is over is rejected
# ttl = "60d"               # what has not gone out by then expires
# keep = "90d"              # how long finished deliveries are kept
# history = "35d"           # how far back a limit can look at most
# idempotency = "7d"        # how long an idempotency key is remembered
# digest_max = 100          # notifications in one digest
# unknown_types = "accept"  # or "reject"
# listener_tries = 10       # how often an event is offered to a listener that fails

[engine.retry]
# base = "30s"              # the first pause after a failure; it doubles up to the cap
# cap = "1h"
# tries_max = 20
# crashes_max = 5

# Without this table, notifications go into the inbox that is kept in the store.
# [smtp]
# host = "mail.example.com"
# port = 587
# security = "starttls"     # or "tls", or "none"
# username = "notify"
# password_file = "smtp-password"   # or TACTFUL_SMTP_PASSWORD in the environment
# sender = "Example <notify@example.com>"
# reply_to = "help@example.com"
# connections = 4

# Rules. `tactful rules apply` makes exactly these be in force; what is over a limit waits.
[rules.status]
types = ["status"]
limit = "2/minute"

[rules.news]
types = ["news"]
limit = "1/day"

[rules.marketing]
types = ["marketing"]
limit = "3/hour"

# [types.news]
# category = "editorial"
# priority = "low"
# ttl = "7d"

# [templates.welcome]
# subject = "Welcome, {{{{ name }}}}"
# text = "Good to have you here, {{{{ name }}}}."
"""

TRY: Final = (
    'tactful send status ada@example.com --subject "Hello" --text "It works."',
    "tactful work --once",
)


@click.command("init")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where; default: here.",
)
@click.option("--force", is_flag=True, help="Overwrite a configuration that is there.")
@shared
def command(directory: Path, force: bool) -> None:
    """Set up a configuration, a database and three sample rules.

    A configuration that is there is kept, and what it says is put in force unless the database
    knows a rule of that name already: so this can be repeated without harm.
    """
    options = wanted()
    file = options.config or directory / FILE_NAME
    written = force or not file.exists()
    if written:
        _write(file, options.store or _beside(file))
    config = load(file, store=options.store)
    with opened(config) as app:
        put = _rules(app, config)
        others = put_others(app, config.policies)
    data: dict[str, Any] = {
        "config": str(file),
        "written": written,
        "store": config.shown_store,
        "rules": put,
        **others,
        "next": list(TRY),
    }
    lines = [
        f"{'wrote' if written else 'kept'} {file}",
        f"store {config.shown_store} is ready",
        f"rules put in force: {', '.join(put) or 'none, they were already'}",
        "",
        "Try next:",
        *(f"  {line}" for line in TRY),
    ]
    show(data, lines)


def _beside(file: Path) -> str:
    """The URL of a database beside the file, to be found from wherever that is used."""
    if file.parent == Path():
        return STORE
    return f"sqlite:///{quote(str(file.parent.resolve() / 'notify.db'))}"


def _write(file: Path, store: str) -> None:
    quoted = '"' + store.replace("\\", "\\\\").replace('"', '\\"') + '"'
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SAMPLE.format(store=quoted), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"config: cannot write {file}: {error.strerror}") from None


def _rules(app: Tactful, config: Config) -> list[str]:
    known = {rule.name for rule in app.rules.list()}
    new = [rule for rule in config.policies.rules or () if rule.name not in known]
    if new:
        app.rules.put(*new, author=author())
    return [rule.name for rule in new]
