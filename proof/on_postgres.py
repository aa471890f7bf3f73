"""PostgreSQL in the proofs: whose session is whose, and what its server says of them."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg

from proof.mail_room import PATIENCE_S
from tactful.stores.postgres.presence import BACK_S

LOOK_S = 0.01


def named(url: str, owner: str) -> str:
    """The same database, in a session that tells whose it is."""
    return urlsplit(url)._replace(query=f"application_name={owner}").geturl()


def await_that(url: str, question: str, value: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(round(PATIENCE_S / LOOK_S)):
            if connection.execute(question.encode(), (value,)).fetchall() == [(True,)]:
                return
            connection.execute("SELECT pg_sleep(%s)", (LOOK_S,))
    raise AssertionError(f"the server never says yes to {question}")


def await_gone(url: str, owner: str) -> None:
    """Until the server has noticed a death: it may be busy with a last transaction."""
    await_that(url, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = %s", owner)


def await_back(url: str) -> None:
    """Until the server is so old that whoever comes alone takes over what it finds."""
    question = "SELECT now() - pg_postmaster_start_time() > make_interval(secs => %s)"
    await_that(url, question, BACK_S)
