"""URLs of stores: what is shown of them has no password, whatever else is wrong with them."""

from __future__ import annotations

import pytest

from tactful.core.errors import ConfigError, TactfulError
from tactful.stores.postgres.connection import connect
from tactful.stores.sqlite.connection import path_of
from tactful.stores.urls import without_password

PLACE = "127.0.0.1:1/db"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me@db/shop", "postgresql://me@db/shop"),
        ("postgresql://me:secret@db:5432/shop", "postgresql://me:***@db:5432/shop"),
        ("postgresql://:secret@db/shop", "postgresql://:***@db/shop"),
        ("postgresql://me:se@cr@et@db/shop", "postgresql://me:***@db/shop"),
        ("postgresql://me:se/cr?e#t@db/shop", "postgresql://me:***@db/shop"),
        (
            "postgresql://db/shop?user=me&password=secret",
            "postgresql://db/shop?user=me&password=***",
        ),
        (
            "postgresql://db/shop?sslpassword=secret&sslmode=require",
            "postgresql://db/shop?sslpassword=***&sslmode=require",
        ),
        ("postgresql://db:5432,other:5433/shop", "postgresql://db:5432,other:5433/shop"),
        ("sqlite:///notify.db", "sqlite:///notify.db"),
        ("memory://", "memory://"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:sec@ret@{PLACE}",
        f"postgresql://me:sec/ret@{PLACE}",
        f"postgresql://me:sec?ret@{PLACE}",
        f"postgresql://me:sec#ret@{PLACE}",
        f"postgresql://me:sec ret@{PLACE}",
        f"postgresql://me:100%ret@{PLACE}",
        f"postgresql://me:sec%00ret@{PLACE}",
        "postgresql://me:sec-ret@[::1/db",
        f"postgresql://{PLACE}?pasword=sec-ret",
        f"postgresql://{PLACE}?password=sec%00ret",
        f"postgresql:me:sec-ret@{PLACE}",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_repeating_any_of_it(url: str) -> None:
    with pytest.raises(ConfigError, match="written as %40") as refused:
        connect(url)
    said = str(refused.value)
    assert "ret" not in said
    assert "sec" not in said
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "url", [f"postgresql://me:secret@{PLACE}", f"postgresql://{PLACE}?user=me&password=secret"]
)
def test_a_server_that_is_away_is_an_error_without_the_password(url: str) -> None:
    with pytest.raises(TactfulError) as refused:
        connect(url)
    assert "secret" not in str(refused.value)


def test_a_misspelt_kind_of_store_is_shown_without_the_password() -> None:
    with pytest.raises(ConfigError, match=r"postgres\+psycopg://me:\*\*\*@db/shop") as refused:
        path_of("postgres+psycopg://me:secret@db/shop")
    assert "secret" not in str(refused.value)
