"""From a claimed delivery to the message that its channel gets.

Content that was given literally goes out as it is; a template is chosen by the recipient's locale
and the channel, and filled with the notification's data, and with links for the recipient where
they are configured. A digest is one message made from the rendered parts of its members. What
cannot be rendered is `Unfit`, with the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tactful.core.errors import RequestError
from tactful.core.model import Content, Message
from tactful.engine.dispatch import Job
from tactful.engine.links.links import Links
from tactful.engine.rulebook import Book
from tactful.engine.zones import iso, zone_of
from tactful.ports import Delivery
from tactful.templates.library import (
    DIGEST,
    Rendered,
    Renderer,
    RenderError,
    Template,
    choose,
)


@dataclass(frozen=True, slots=True)
class Unfit:
    """Deliveries of a job that cannot be rendered: id -> why."""

    reasons: Mapping[str, str]


class Composer:
    """Renders jobs; safe to use from many threads."""

    def __init__(self, links: Links | None = None) -> None:
        self._renderer = Renderer()
        self._to_us = links

    def message(self, job: Job, book: Book) -> Message | Unfit:
        """The message of a job, or what in it keeps it from being made."""
        rendered: list[tuple[Delivery, Rendered]] = []
        unfit: dict[str, str] = {}
        for delivery in (job.delivery, *job.members):
            try:
                rendered.append((delivery, self._one(job, delivery, book)))
            except (RenderError, RequestError) as error:
                unfit[delivery.id] = str(error)
        if unfit:
            return Unfit(unfit)
        head = job.delivery
        try:
            parts = self._digest(job, book, rendered) if job.members else rendered[0][1]
        except (RenderError, RequestError) as error:
            return Unfit({delivery.id: str(error) for delivery, _ in rendered})
        return Message(
            id=head.id,
            notification_id=head.notification_id,
            recipient=head.recipient,
            address=head.address,
            type=head.type,
            subject=parts.subject,
            text=parts.text,
            html=self._tracked(parts.html, head, book),
            at=job.at,
            attempt=job.number,
            name=job.person.name,
            headers=self._headers(head, book),
            maybe_duplicate=job.crashes > 0,
            traces=_traces(job),
            may_go=job.may_go,
        )

    def _headers(self, head: Delivery, book: Book) -> tuple[tuple[str, str], ...]:
        if self._to_us is None or book.type(head.type).mandatory:
            return ()
        return self._to_us.unsubscribe.headers(head)

    def _tracked(self, html: str | None, head: Delivery, book: Book) -> str | None:
        tracking = self._to_us.tracking if self._to_us is not None else None
        if html is None or tracking is None or not book.type(head.type).tracked:
            return html
        return tracking.html(html, head)

    def _one(self, job: Job, delivery: Delivery, book: Book) -> Rendered:
        content = job.notifications[delivery.notification_id].content
        return self.render(content, book, job.person.locale, delivery)

    def render(self, content: Content, book: Book, locale: str, delivery: Delivery) -> Rendered:
        """The three parts of some content for one delivery; raises RenderError."""
        if content.template is None:
            return Rendered(content.subject, content.text, content.html)
        template = choose(book.named(content.template), locale, delivery.channel)
        if template is None:
            raise RenderError(content.template, "subject", f"none fits the locale {locale!r}")
        data = {**self._links(template, delivery), **content.data}
        rendered = self._renderer.render(template, data, known_plain=True)
        return replace(rendered, subject=content.subject) if content.subject else rendered

    def _links(self, template: Template, delivery: Delivery) -> Mapping[str, str]:
        """Those links to us that a template speaks of."""
        found: dict[str, str] = {}
        if self._to_us is None:
            return found
        source, way_out, page = (
            f"{template.text}{template.html}",
            self._to_us.unsubscribe,
            self._to_us.preferences,
        )
        if "unsubscribe_url" in source and way_out.pattern is not None:
            found["unsubscribe_url"] = way_out.url(delivery.recipient, delivery.category)
        if "preferences_url" in source and page.base is not None:
            found["preferences_url"] = page.url(delivery.recipient)
        return found

    def _digest(
        self, job: Job, book: Book, rendered: Sequence[tuple[Delivery, Rendered]]
    ) -> Rendered:
        zone = zone_of(job.person.timezone)
        items = [
            {
                "subject": parts.subject,
                "text": parts.text,
                "type": delivery.type,
                "at": iso(delivery.created_at, zone),
            }
            for delivery, parts in rendered
        ]
        template = choose(book.named("digest"), job.person.locale, job.delivery.channel) or DIGEST
        data = {"count": len(items), "items": items, "more": 0}
        return self._renderer.render(template, {**self._links(template, job.delivery), **data})


def _traces(job: Job) -> tuple[str, ...]:
    """The spans that asked for what is in a job, each once, that of its head first."""
    if not job.members:
        trace = job.notifications[job.delivery.notification_id].trace
        return (trace,) if trace else ()
    found = [job.notifications[one.notification_id].trace for one in (job.delivery, *job.members)]
    return tuple(dict.fromkeys(filter(None, found)))
