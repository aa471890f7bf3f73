"""`tactful doctor`: everything that sending depends on, looked at from outside.

Nothing is changed and nothing is made: a database that is not there yet is reported, not created.
"""

from __future__ import annotations

import click

from tactful.cli.engine import build, configured
from tactful.cli.exits import UNHEALTHY
from tactful.cli.options import columns, shared, show, wanted
from tactful.cli.postgres_probes import of_server
from tactful.cli.probes import (
    Finding,
    of_broker,
    of_engine,
    of_file,
    of_ledger,
    of_machine,
    of_mail,
    of_services,
)
from tactful.config import Config
from tactful.core.errors import TactfulError
from tactful.stores.chosen import POSTGRES


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Do not talk to mail server and broker.")
@shared
def command(offline: bool) -> None:
    """Check everything that sending depends on.

    Exits with 6 if anything fails; what is only doubtful is a warning.
    """
    findings = [*of_machine()]
    try:
        config = configured()
    except TactfulError as error:
        findings.append(Finding("fail", "config", str(error), "correct it there"))
    else:
        findings += _configured(config, offline)
    rows = [(one.verdict, one.what, one.found, one.advice) for one in findings]
    failed = any(one.verdict == "fail" for one in findings)
    show(
        {"healthy": not failed, "findings": [one._asdict() for one in findings]},
        columns(("", "what", "found", "what to do"), rows),
    )
    if failed:
        click.get_current_context().exit(UNHEALTHY)


def _configured(config: Config, offline: bool) -> list[Finding]:
    source = str(wanted().config or config.file or "no file; defaults and environment")
    findings = [Finding("ok", "config", source)]
    if config.ignored:
        names = ", ".join(config.ignored)
        findings.append(
            Finding("warn", "environment", f"means nothing: {names}", "look for a misspelling")
        )
    if config.store.startswith(POSTGRES):
        findings += of_server(config.store, config.shown_store)
    else:
        findings += of_file(config.store)
    if all(one.verdict == "ok" for one in findings if one.what == "database"):
        try:
            app = build(config)
            try:
                findings += of_engine(app)
            finally:
                app.close()
        except TactfulError as error:
            findings.append(Finding("fail", "engine", str(error), "see the other findings"))
    findings += of_broker(config.broker, offline)
    findings += of_ledger(config.ledger, offline)
    services = [*of_services(config.webhook, config.apprise)]
    if config.smtp is None and services:
        return [*findings, *services]
    return [*findings, *of_mail(config.smtp, offline), *services]
