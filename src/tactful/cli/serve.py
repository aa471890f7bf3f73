"""`tactful serve`: API and worker in one process."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from ipaddress import ip_address
from pkgutil import resolve_name
from typing import Any

import click

from tactful.app import Tactful
from tactful.cli.brokering import exchanging
from tactful.cli.console import add, generated
from tactful.cli.engine import author, build, configured
from tactful.cli.feedback import taking
from tactful.cli.log_format import JSON, log_as, log_options
from tactful.cli.options import note, shared, wanted
from tactful.config.service import Door
from tactful.core.errors import ConfigError
from tactful.inbound.desk import Desk
from tactful.telemetry.timings import Timings

log = logging.getLogger("tactful.serve")


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8700, show_default=True, help="And the port."
)
@click.option(
    "--smtp-port", type=click.IntRange(0, 65_535), help="Take mail in, too, at this port."
)
@click.option("--no-worker", is_flag=True, help="Answer only; `tactful work` sends, elsewhere.")
@log_options
@shared
def command(
    *,
    host: str,
    port: int,
    smtp_port: int | None,
    no_worker: bool,
    log_format: str,
    log_level: str,
) -> None:
    """Answer HTTP, and send what is due, until interrupted.

    With --smtp-port, or submission.port in the configuration, mails can be handed in, too. The
    first time a key and a user of the console are made and shown. With --no-worker nothing is sent
    from here.
    """
    if not all(find_spec(name) for name in ("argon2", "fastapi", "uvicorn")):
        raise ConfigError("serve: needs `pip install 'tactful[http]'`")
    config = configured()
    metrics = config.http.metrics or ("open" if _is_loopback(host) else "key")
    app = build(config, probe=Timings())
    try:
        create_service = resolve_name("tactful.http.service:create_service")
        desk = Desk(app, config.receipts, config.reach.egress())
        service = create_service(
            app, config.channels(), settings=config.http, metrics=metrics, desk=desk
        )
        log_as(log_format, log_level, app, events=not no_worker)
        if log_format == JSON:
            log.info("serving")
            if not app.keys.list():  # a log is no place for one
                log.warning("there is no key yet: `tactful keys create NAME --scope admin`")
        else:
            _greet(app, f"http://{host}:{port}")
        with (
            _taking_mail(config.submission, service, host, smtp_port),
            taking(app, config.inbound),
            exchanging(app, None if no_worker else config.broker),
        ):
            if not no_worker:
                app.start()
            _run(service, host, port)
    finally:
        app.close()


def _is_loopback(host: str) -> bool:
    """Whether nobody outside this machine can reach it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _greet(app: Tactful, url: str) -> None:
    """Where it is; and, where there is none yet, a user, and a key with a line to paste.

    Programs (`--json`) are told nothing, so nothing is made that they could not be shown.
    """
    if wanted().json:
        return
    note(f"Tactful answers at {url} (described at {url}/openapi.json)")
    note(f"the console is at {url}/console/")
    if not app.users.list():
        password = generated()
        user = add(app, "admin", "admin", password)
        note(f"its first user, shown this once: {user.name}, password {password}")
    if app.keys.list():
        return
    _, token = app.keys.create("first", ("admin",), author=author())
    body = json.dumps({"type": "status", "to": "ada@example.com", "text": "It works."})
    note(f"the first key, shown this once: {token}")
    note("")
    note(
        f"curl -s {url}/v1/notifications -H 'Authorization: Bearer {token}'"
        f" -H 'Content-Type: application/json' -d '{body}'"
    )


@contextmanager
def _taking_mail(door: Door, service: Any, host: str, port: int | None) -> Iterator[None]:
    """The submission port, where one is wanted, for those whom the service knows."""
    port = port if port is not None else door.port
    if port is None:
        yield
        return
    if not find_spec("aiosmtpd"):
        raise ConfigError("serve: mail needs `pip install 'tactful[submission]'`")
    front = "tactful.frontdoors.submission"
    tls = None
    if door.certificate is not None and door.private_key is not None:
        tls = resolve_name(f"{front}:tls_context")(door.certificate, door.private_key)
    knows = resolve_name(f"{front}:Doorkeeping")(
        service.state.keyring.holder,
        service.state.worlds.of,
        lambda key: service.state.throttle.take(key.name).retry_ms,
    )
    taken = resolve_name(f"{front}:SubmissionPort")(
        knows, host=door.host or host, port=port, tls=tls, hostname=door.hostname
    )
    with taken:
        note(f"mail is taken at {taken.host}:{taken.port}; the password is a key")
        yield


def _run(service: Any, host: str, port: int) -> None:
    uvicorn_run = resolve_name("uvicorn:run")
    # What is here now stays: to look through all of it for garbage again and again takes long.
    gc.freeze()
    uvicorn_run(
        service,
        host=host,
        port=port,
        log_config=None,  # its loggers are left to ours
        access_log=False,
        server_header=False,
        timeout_keep_alive=65,
    )
