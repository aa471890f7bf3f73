"""What a submission comes under: its type, its priority, its channels, and the rules there.

Many that are submitted together are alike in that, so it is worked out once for all of these.
"""

from __future__ import annotations

from typing import NamedTuple

from tactful.core.checks import Checks
from tactful.core.errors import RequestError
from tactful.core.model import Kind, NotificationType
from tactful.core.rules import parse_priority
from tactful.engine.context import Context
from tactful.engine.requests import Request
from tactful.engine.rulebook import Book
from tactful.ports import Channel


class Way(NamedTuple):
    """One channel that a submission goes over, and what the rules say about it there."""

    name: str
    channel: Channel
    kind: Kind
    checks: Checks


class Terms(NamedTuple):
    """What a submission comes under."""

    type: NotificationType
    priority: int
    ways: tuple[Way, ...]


class TermsInForce:
    """The terms of one transaction's submissions, under the book in force in it.

    `strangers` are the types among them that nobody has declared, in the order they were met.
    """

    def __init__(self, context: Context, book: Book) -> None:
        self._context = context
        self._book = book
        self._found: dict[tuple[object, ...], Terms] = {}
        self.strangers: dict[str, None] = {}

    def of(self, request: Request) -> Terms:
        """The terms of this submission; raises RequestError where there can be none."""
        alike = (request.type, request.priority, request.channels, request.content.template)
        found = self._found.get(alike)
        if found is None:
            found = self._found[alike] = self._work_out(request)
        return found

    def _work_out(self, request: Request) -> Terms:
        type_ = self._type(request)
        priority = request.priority
        if priority is None:
            priority = int(parse_priority(type_.priority, "priority"))
        ways = []
        for name in self._channels(request, type_):
            kind = Kind(request.type, type_.category, name, priority)
            ways.append(Way(name, self._context.channels[name], kind, self._book.checks(kind)))
        return Terms(type_, priority, tuple(ways))

    def _type(self, request: Request) -> NotificationType:
        if not self._book.knows(request.type):
            if self._context.settings.unknown_types == "reject":
                raise RequestError("type", request.type, "is not a known type")
            self.strangers[request.type] = None
        return self._book.type(request.type)

    def _channels(self, request: Request, type_: NotificationType) -> tuple[str, ...]:
        names = request.channels or type_.channels or (self._context.default_channel,)
        for name in names:
            if name not in self._context.channels:
                known = ", ".join(sorted(self._context.channels))
                raise RequestError("channels", name, f"must be one of {known}")
        if request.content.template is not None and not self._book.named(request.content.template):
            raise RequestError("template", request.content.template, "is not a known template")
        return names
