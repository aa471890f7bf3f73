"""What every ledger promises, as tests: subclass `LedgerContract`, give it a ledger, run pytest.

    class TestMyLedger(LedgerContract):
        def make_ledger(self) -> Ledger: ...
        def make_unreachable(self) -> Ledger: ...

Needs pytest. The server should be empty, or at least know none of the recipients here.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Final
from uuid import uuid4

import pytest

from tactful.core.errors import Unavailable
from tactful.core.model import HOUR, Entry, Kind, Millis
from tactful.ports import Ledger, Settled

T0: Final[Millis] = 1_767_225_600_000
KINDS: Final = [
    Kind("news", "default", "email", 1),
    Kind("Grüße", "marketing", "sms", 0),
    Kind("news", "default", "email", 3),
]
PATIENCE_S = 20.0


def settled(*instants: Millis, since: Millis = 0, until: Millis = HOUR) -> Settled:
    """A part of a history, the kinds in turn; instants count from T0."""
    entries = [Entry(T0 + at, KINDS[place % 3]) for place, at in enumerate(instants)]
    return Settled(T0 + since, T0 + until, entries)


class LedgerContract:
    """The promises of `ports.Ledger`."""

    secret = "no-secret-was-given"  # noqa: S105 - what must not be shown, if there is anything
    """A password the ledger was made with; it must show nowhere."""

    def make_ledger(self) -> Ledger:
        """A ledger, each time another connection to the same server; a subclass gives it."""
        raise NotImplementedError

    def make_unreachable(self) -> Ledger:
        """A ledger whose server is not there, with the same password."""
        raise NotImplementedError

    @pytest.fixture
    def ledger(self) -> Iterator[Ledger]:
        """The ledger under test."""
        made = self.make_ledger()
        yield made
        made.close()

    @pytest.fixture
    def ada(self) -> str:
        """A recipient of whom nothing is known."""
        return f"ada-{uuid4().hex}@example.com"

    def test_it_knows_nothing_at_first(self, ledger: Ledger, ada: str) -> None:
        """And nothing about nobody."""
        assert ledger.load({ada: 1}) == {}
        assert ledger.load({}) == {}
        ledger.keep({}, HOUR)

    @pytest.mark.parametrize(
        "part",
        [
            settled(),
            settled(1),
            settled(5, 5, 5, 6),
            settled(*range(1, HOUR, HOUR // 700), since=-HOUR, until=2 * HOUR),
        ],
        ids=["none", "one", "one instant", "many"],
    )
    def test_what_is_kept_is_what_comes_back(self, ledger: Ledger, ada: str, part: Settled) -> None:
        """Instants, kinds and their order, and from when until when."""
        ledger.keep({ada: (7, part)}, HOUR)
        found = ledger.load({ada: 7})[ada]
        assert found == part
        assert all(isinstance(entry, Entry) for entry in found.entries)
        assert all(isinstance(entry.kind, Kind) for entry in found.entries)

    def test_it_is_found_under_its_edition_only(self, ledger: Ledger, ada: str) -> None:
        """Editions may be any whole number of 64 bits."""
        for edition in (-(2**63), 0, 2**63 - 1):
            ledger.keep({ada: (edition, settled(abs(edition) % 1000 + 1))}, HOUR)
        assert ledger.load({ada: 1}) == {}
        assert ledger.load({ada: -(2**63)}) == {ada: settled(2**63 % 1000 + 1)}
        assert ledger.load({ada: 2**63 - 1}) == {ada: settled((2**63 - 1) % 1000 + 1)}

    def test_the_latest_counts(self, ledger: Ledger, ada: str) -> None:
        """Whether it knows more or less."""
        ledger.keep({ada: (1, settled(1, 2, 3))}, HOUR)
        ledger.keep({ada: (1, settled(1, until=2))}, HOUR)
        assert ledger.load({ada: 1}) == {ada: settled(1, until=2)}

    def test_many_at_once_are_each_their_own(self, ledger: Ledger, ada: str) -> None:
        """More than go into one call; those of whom nothing is kept are left out."""
        people = [f"{number}-{ada}" for number in range(1_500)]
        kept = {who: (n, settled(n + 1)) for n, who in enumerate(people) if n % 3}
        ledger.keep(kept, HOUR)
        found = ledger.load({who: number for number, who in enumerate(people)})
        assert found == {who: part for who, (_, part) in kept.items()}

    def test_others_find_it(self, ledger: Ledger, ada: str) -> None:
        """It is there for all who work on the store."""
        ledger.keep({ada: (1, settled(1))}, HOUR)
        other = self.make_ledger()
        assert other.load({ada: 1}) == {ada: settled(1)}
        other.close()

    def test_what_nobody_asks_for_expires(self, ledger: Ledger, ada: str) -> None:
        """After as long as was said."""
        ledger.keep({ada: (1, settled(1)), f"{ada}m": (1, settled(1))}, 1)
        never, waited = Event(), 0.0
        while ledger.load({ada: 1, f"{ada}m": 1}) and waited < PATIENCE_S:
            never.wait(0.01)
            waited += 0.01
        assert ledger.load({ada: 1, f"{ada}m": 1}) == {}

    def test_out_of_reach_it_says_so(self, ada: str) -> None:
        """Without its password, and as often as it is asked."""
        ledger = self.make_unreachable()
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                ledger.load({ada: 1})
            assert self.secret not in str(caught.value)
            with pytest.raises(Unavailable):
                ledger.keep({ada: (1, settled(1))}, HOUR)
        ledger.close()

    def test_closed_it_begins_anew(self, ledger: Ledger, ada: str) -> None:
        """To close it again does no harm."""
        ledger.keep({ada: (1, settled(1))}, HOUR)
        ledger.close()
        ledger.close()
        assert ledger.load({ada: 1}) == {ada: settled(1)}
