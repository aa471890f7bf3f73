"""Time zones by name, and instants in words."""

from __future__ import annotations

from datetime import UTC

import pytest
from engine_bench import START

from tactful.core.errors import RequestError
from tactful.engine.zones import iso, zone_of


def test_a_zone_is_found_by_its_name_and_found_once() -> None:
    assert zone_of("UTC") is UTC
    assert str(zone_of("Europe/Berlin")) == "Europe/Berlin"
    assert zone_of("Europe/Berlin") is zone_of("Europe/Berlin")


@pytest.mark.parametrize("name", ["", "Berlin", "Europe", "/etc/hosts", "../UTC", "a\0b", "\ud800"])
def test_what_is_no_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(RequestError, match="IANA zone") as refused:
        zone_of(name)

    assert (refused.value.field, refused.value.value) == ("timezone", name)


def test_instants_read_in_the_zone_of_the_reader() -> None:
    assert iso(START + 7) == "2026-01-01 00:00:00.007+00:00"
    assert iso(START, zone_of("Asia/Kolkata")) == "2026-01-01 05:30:00.000+05:30"
    assert iso(0) == "1970-01-01 00:00:00.000+00:00"
