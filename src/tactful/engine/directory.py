"""The recipients of one engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tactful.core.errors import NotFound
from tactful.core.model import Millis, Recipient
from tactful.core.names import name_key, recipient_key
from tactful.engine.context import Context
from tactful.engine.people import MARKS, checked, find
from tactful.ports import Suppression

PAGE = 1000


class Directory:
    """Registers people and finds them; iterates in the order of registration."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def register(self, name: str) -> Recipient:
        """Register a new person by name; the id is made here."""
        now: Millis = self._context.timekeeper.glance()
        return self.put(Recipient(self._context.ids.new(now), name=name))

    def put(self, person: Recipient) -> Recipient:
        """Register or change one person; gives them in normal form."""
        self.put_many([person])
        return checked(person)

    def put_many(self, people: Iterable[Recipient]) -> int:
        """Register or change people, all or none; gives how many were new."""
        rows = list({row.id: row for row in map(checked, people)}.values())
        with self._context.store.transaction() as tx:
            return tx.put_recipients(rows)

    def get(self, who: str) -> Recipient | None:
        """The person with this id or address."""
        key = recipient_key(who, "recipient")
        with self._context.store.reading() as reader:
            person = find(reader, [who])[who]
            return reader.recipient(person.id) if person.id else reader.recipient(key)

    def remove(self, who: str) -> bool:
        """Forget a person; what was sent to them stays counted."""
        with self._context.store.transaction() as tx:
            return tx.remove_recipient(find(tx, [who])[who].id)

    def prefer(self, who: str, mute: Iterable[str]) -> Recipient:
        """What a registered person does not want from now on; gives them. Raises NotFound."""
        with self._context.store.transaction() as tx:
            tx.alone()
            person = tx.recipient(find(tx, [who])[who].id)
            if person is None:
                raise NotFound("recipient", who, "is not registered")
            changed = checked(replace(person, mute=tuple(mute)))
            tx.put_recipients([changed])
        return changed

    def suppress(
        self, address: str, *, channel: str = "email", scope: str = "all", reason: str = "manual"
    ) -> None:
        """Nobody may write to this address again (in a category: `scope`)."""
        with self._context.store.transaction() as tx:
            now = self._context.timekeeper.now(tx)
            key = recipient_key(address, "address")
            way = name_key(channel, "channel")
            tx.suppress(Suppression(way, key, name_key(scope, "scope"), reason, now))

    def unsuppress(self, address: str, *, channel: str = "email") -> bool:
        """Take an address off the suppression list."""
        with self._context.store.transaction() as tx:
            return tx.unsuppress(name_key(channel, "channel"), recipient_key(address, "address"))

    def suppressions(self, address: str) -> Sequence[Suppression]:
        """What is on the suppression list for an address."""
        with self._context.store.reading() as reader:
            found = reader.suppressions([recipient_key(address, "address")])
        return [one for one in found if one.scope != MARKS]

    def page(self, after: int = 0, limit: int = PAGE) -> Sequence[tuple[int, Recipient]]:
        """People with their registration numbers, in order, after a number."""
        with self._context.store.reading() as reader:
            return reader.recipients(after=after, limit=limit)

    def __iter__(self) -> Iterator[Recipient]:
        after = 0
        while page := self.page(after):
            yield from (person for _, person in page)
            after = page[-1][0]

    def __len__(self) -> int:
        return sum(1 for _ in self)
