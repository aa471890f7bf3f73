"""Who is meant: recipients, their addresses, and what they do not want.

A recipient is found by id, then by any of their addresses, all in normal form: one person is
limited as one, however they are spelled. Who is not registered is taken as they are: the text is
their id, and, where it is one, their e-mail address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from tactful.core.errors import RequestError
from tactful.core.model import Kind, Recipient
from tactful.core.names import has_control, name_key, recipient_key
from tactful.engine.zones import zone_of
from tactful.ports import Channel, Reader, Suppression

_MUTE_SCOPES = ("type", "category", "channel")

BUT_MANDATORY: Final = "all but mandatory"
"""The scope of an address whose holder has complained. The name of no category has blanks."""

MARKS: Final = "soft bounces"
"""Scope of what counts against an address without suppressing it; see `engine.feedback.bounces`."""


def checked(person: Recipient) -> Recipient:
    """The recipient in normal form; raises RequestError naming the field."""
    if not isinstance(person, Recipient):
        raise RequestError("recipient", person, "must be a Recipient")
    if not isinstance(person.timezone, str):
        raise RequestError("timezone", person.timezone, "must be an IANA zone as a text")
    zone_of(person.timezone)
    if person.name is not None:
        _short(person.name, "name", 200)
    if not _short(person.locale, "locale", 35):
        raise RequestError("locale", person.locale, "must be a language tag such as en or de-AT")
    if not isinstance(person.addresses, Mapping):
        raise RequestError("addresses", person.addresses, "must map kinds to addresses")
    addresses = {name_key(kind, "addresses"): text for kind, text in person.addresses.items()}
    for kind, text in addresses.items():
        recipient_key(text, f"addresses.{kind}")
    if person.email is not None:
        recipient_key(person.email, "email")
        addresses.setdefault("email", person.email.strip())
    if isinstance(person.mute, str) or not isinstance(person.mute, Iterable):
        raise RequestError("mute", person.mute, "must be a list")
    mute = tuple(sorted({_mute(entry) for entry in person.mute}))
    return replace(
        person,
        id=recipient_key(person.id, "id"),
        email=addresses.get("email"),
        addresses=addresses,
        mute=mute,
    )


def _short(value: object, field: str, most: int) -> str:
    if not isinstance(value, str) or has_control(value) or len(value) > most:
        bound = f"must be a text without control characters, at most {most}"
        raise RequestError(field, value, bound)
    return value


def _mute(entry: str) -> str:
    scope, _, name = entry.partition(":") if isinstance(entry, str) else ("", "", "")
    if entry == "all" or (scope in _MUTE_SCOPES and name):
        return entry if entry == "all" else f"{scope}:{name_key(name, 'mute')}"
    raise RequestError("mute", entry, "must be all, type:NAME, category:NAME or channel:NAME")


def find(reader: Reader, wanted: Sequence[str]) -> dict[str, Recipient]:
    """The recipient meant by each text; the keys are the texts as given."""
    keys = {text: recipient_key(text) for text in dict.fromkeys(wanted)}
    known = reader.recipients_by_key(list(set(keys.values())))
    missing = {key for key in keys.values() if key not in known}
    owners = reader.owners(list(missing)) if missing else {}
    if owners:
        known |= reader.recipients_by_key(list(set(owners.values())))
    found: dict[str, Recipient] = {}
    for text, key in keys.items():
        person = known.get(key) or known.get(owners.get(key, ""))
        if person is None:
            given = text.strip()
            person = Recipient(key, email=given if "@" in given else None)
        found[text] = person
    return found


def address_for(person: Recipient, way: str, channel: Channel | None) -> str | None:
    """Where a channel reaches the person; None if it cannot.

    One that this process does not have is taken for one that needs no special address.
    """
    kind = channel.address_kind if channel is not None else None
    if kind == "email":
        return person.email
    if kind is not None:
        return person.addresses.get(kind)
    return person.addresses.get(way) or person.email or person.id


def unwanted(
    person: Recipient,
    kind: Kind,
    address: str,
    suppressions: Mapping[str, Sequence[Suppression]],
    *,
    mandatory: bool,
) -> str | None:
    """Why this person gets nothing of this kind, or None."""
    for entry in suppressions.get(recipient_key(address), ()) if suppressions else ():
        if entry.channel == kind.channel and (
            entry.scope in ("all", kind.category)
            or (entry.scope == BUT_MANDATORY and not mandatory)
        ):
            return f"suppressed: {entry.reason}"
    if person.mute and not mandatory:
        scopes = f"type:{kind.type}", f"category:{kind.category}", f"channel:{kind.channel}"
        for scope in ("all", *scopes):
            if scope in person.mute:
                return f"muted: {scope}"
    return None


def suppressed_by_address(reader: Reader, addresses: Sequence[str]) -> dict[str, list[Suppression]]:
    """The suppression list's entries for these addresses, by address in normal form."""
    found: dict[str, list[Suppression]] = {}
    for entry in reader.suppressions([recipient_key(address) for address in addresses if address]):
        found.setdefault(entry.address, []).append(entry)
    return found
