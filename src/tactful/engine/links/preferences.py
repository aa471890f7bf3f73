"""What a person wants, changed by the person: the engine's side of the preference page.

The link to it carries a token (`engine.links.tokens`) that names the recipient. A change says what
the whole outcome is to be, so that repeating it changes nothing more; what the page did not show
stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tactful.core.errors import ConfigError
from tactful.core.model import Event, NotificationType, Recipient
from tactful.engine.context import Context
from tactful.engine.links.tokens import Tokens
from tactful.engine.people import checked
from tactful.ports import Reader

PURPOSE: Final = "preferences"
_ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person may choose, and has chosen: name -> wanted, for categories and channels.

    `stopped` says that nothing at all is wanted; `always` that there are types which are sent
    whatever is chosen.
    """

    recipient: str
    categories: Mapping[str, bool]
    channels: Mapping[str, bool]
    stopped: bool
    always: bool


class Preferences:
    """Makes links to the preference page, and does what is asked for there.

    `base` is the URL of the service, without which there are no links.
    """

    def __init__(self, context: Context, tokens: Tokens, base: str | None = None) -> None:
        self._context = context
        self._tokens = tokens
        self.base = base

    def url(self, recipient: str) -> str:
        """The link for one person, by id; raises ConfigError where no URL is configured."""
        if self.base is None:
            raise ConfigError("tracking: neither it nor unsubscribe is configured")
        return f"{self.base}/t/p/{self.token(recipient)}"

    def token(self, recipient: str) -> str:
        """The token for one person, by id."""
        return self._tokens.make(PURPOSE, recipient.encode())

    def read(self, token: str) -> str:
        """The id of the person that a token names; raises RequestError if we did not make it."""
        return self._tokens.read(PURPOSE, token).decode()

    def choices(self, recipient: str) -> Choices:
        """What the person may choose, and has chosen."""
        with self._context.store.reading() as reader:
            mute = _person(reader, recipient).mute
            types = list(self._context.rulebook.current(reader).types.values())
        free = [type_ for type_ in types if not type_.mandatory] or [NotificationType("")]
        categories = {type_.category for type_ in free} | _muted(mute, "category")
        ways = {way for type_ in free for way in type_.channels} | _muted(mute, "channel")
        if not all(type_.channels for type_ in free):
            ways.add(self._context.default_channel)
        stopped = _ALL in mute
        return Choices(
            recipient,
            {
                name: not stopped and f"category:{name}" not in mute
                for name in sorted(categories, key=lambda name: (name == "default", name))
            },
            {name: f"channel:{name}" not in mute for name in sorted(ways)},
            stopped,
            len(free) < len(types),
        )

    def choose(self, recipient: str, *, shown: Collection[str], wanted: Collection[str]) -> None:
        """Of what was shown (`category:NAME`, `channel:NAME`) exactly this is wanted.

        What is not offered to the person changes nothing.
        """
        offered = self.choices(recipient)
        known = {f"category:{name}" for name in offered.categories}
        known |= {f"channel:{name}" for name in offered.channels}
        seen = known & set(shown)
        self._change(recipient, lambda mute: (mute - seen - {_ALL}) | (seen - set(wanted)))

    def stop(self, recipient: str) -> None:
        """The person wants nothing at all."""
        self._change(recipient, lambda mute: mute | {_ALL})

    def resume(self, recipient: str) -> None:
        """The person wants everything."""
        self._change(recipient, lambda _: set())

    def _change(self, recipient: str, change: Callable[[set[str]], set[str]]) -> None:
        change_mutes(self._context, recipient, change)


def change_mutes(context: Context, recipient: str, change: Callable[[set[str]], set[str]]) -> None:
    """Make `change` of what a person, by id, does not want; registers who is not."""
    with context.store.transaction() as tx:
        tx.alone()
        person = _person(tx, recipient)
        mute = change(set(person.mute))
        if mute != set(person.mute):
            tx.put_recipients([checked(replace(person, mute=tuple(mute)))])
        new = sorted(mute - set(person.mute))
        if new:
            now, facts = context.timekeeper.now(tx), {"mute": new}
            tx.add_events([Event("unsubscribed", "", now, recipient=recipient, data=facts)])


def _person(reader: Reader, recipient: str) -> Recipient:
    found = reader.recipient(recipient)
    return found or Recipient(recipient, email=recipient if "@" in recipient else None)


def _muted(mute: Collection[str], scope: str) -> set[str]:
    return {entry.partition(":")[2] for entry in mute if entry.startswith(f"{scope}:")}
