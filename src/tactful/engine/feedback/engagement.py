"""Who opened and clicked: a person, a proxy that fetches images for people, or a scanner.

All three ask for the same pixel and the same links, so this is a guess, made from what is known:

* HEAD, and requests that say they fetch ahead of a person, are a scanner's.
* The names that programs give themselves: image proxies, link checkers, libraries. Apple's privacy
  proxy calls itself just `Mozilla/5.0`; who has no name at all is taken for a scanner.
* Nobody reads a mail within `SOON_MS` of its hand-over.
* Nobody follows all the links of a mail, or three of them, within `BURST_MS`; whoever does also
  has loaded its images.

A request is kept for `BURST_MS`, since the first of a burst looks like a person's, and everything
that was kept is recorded together: a flood of requests costs a transaction a second. What a process
that dies had kept is not recorded.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tactful.core.errors import Unavailable
from tactful.core.model import SECOND, Millis
from tactful.engine.context import Context
from tactful.engine.feedback.facts import PERSON, PROXY, SCANNER, Feedback
from tactful.ports import Reader

log = logging.getLogger("tactful.engagement")

SOON_MS: Final = 3 * SECOND
BURST_MS: Final = SECOND
BURST_LINKS: Final = 3
KEPT_MAX: Final = 10_000
KEPT_EACH: Final = 100
PORTION: Final = 200
_PATIENCE_MS: Final = 5 * SECOND
_PROXIES: Final = re.compile(r"GoogleImageProxy|YahooMailProxy|^Mozilla/5\.0$")
_SCANNERS: Final = re.compile(
    r"bot\b|crawl|spider|scan|preview|headless|barracuda|mimecast|proofpoint|existence discovery"
    r"|protocol discovery|facebookexternalhit|whatsapp|curl/|wget/|python|libwww|go-http-client"
    r"|java/|^$",
    re.IGNORECASE,
)


class Hit(NamedTuple):
    """A request for the pixel (`opened`) or a link (`clicked`) of a delivery, at an instant.

    `agent` is the name that the program gave itself; `ahead` says that it surely was no person.
    For a link, `number` of `links` and `url` say which.
    """

    name: str
    delivery_id: str
    at: Millis
    agent: str = ""
    ahead: bool = False
    number: int = 0
    links: int = 0
    url: str = ""

    def data(self, by: str) -> Mapping[str, Any]:
        """What its event says."""
        return {"by": by, "url": self.url} if self.url else {"by": by}


def told_apart(hits: Sequence[Hit], handed_at: Millis | None) -> list[str]:
    """Whose each request for one delivery was; `handed_at` is when its mail went, if known."""
    bursts = [hit.at for hit in hits if _begins_burst(hit, hits)]
    return [_by(hit, handed_at, bursts) for hit in hits]


def _by(hit: Hit, handed_at: Millis | None, bursts: Sequence[Millis]) -> str:
    if hit.ahead:
        return SCANNER
    if _PROXIES.search(hit.agent):
        return PROXY
    soon = handed_at is not None and hit.at - handed_at < SOON_MS
    in_burst = any(abs(hit.at - at) < BURST_MS for at in bursts)
    return SCANNER if soon or in_burst or _SCANNERS.search(hit.agent) else PERSON


def _begins_burst(first: Hit, hits: Sequence[Hit]) -> bool:
    within = (hit for hit in hits if hit.number and 0 <= hit.at - first.at < BURST_MS)
    followed = {hit.number for hit in within}
    return first.number > 0 and len(followed) >= max(2, min(first.links, BURST_LINKS))


class Engagement:
    """Keeps requests until they can be told apart, then records them; safe for many threads."""

    def __init__(self, context: Context, feedback: Feedback) -> None:
        self._context = context
        self._feedback = feedback
        self._lock = threading.Lock()
        self._kept: dict[str, list[Hit]] = {}
        self._count = 0
        self._dropped = 0

    def note(self, hit: Hit) -> None:
        """Keep a request; what is too much is dropped, and that is logged."""
        with self._lock:
            hits = self._kept.get(hit.delivery_id, [])
            if self._count >= KEPT_MAX or len(hits) >= KEPT_EACH:
                self._dropped += 1
                return
            self._kept[hit.delivery_id] = hits
            hits.append(hit)
            self._count += 1

    @property
    def kept(self) -> int:
        """How many requests are kept."""
        with self._lock:
            return self._count

    def settle(self, now: Millis, *, all_of_it: bool = False) -> int:
        """Record what has been kept for long enough, or everything; gives how many were news.

        Raises Unavailable; what has not been recorded is kept on, then.
        """
        ready = self._ready(now, all_of_it)
        news = 0
        while ready:
            portion = ready[-PORTION:]
            try:
                news += self._record(portion)
            except Unavailable:
                for hit in (hit for hits in ready for hit in hits):
                    self.note(hit)
                raise
            del ready[-PORTION:]
        return news

    def _record(self, portion: Sequence[Sequence[Hit]]) -> int:
        facts: list[tuple[str, str, Mapping[str, Any]]] = []
        with self._context.store.reading() as reader:
            for hits in portion:
                whose = told_apart(hits, _handed_at(reader, hits[0].delivery_id))
                for hit, by in zip(hits, whose, strict=True):
                    facts.append((hit.name, hit.delivery_id, hit.data(by)))
        return self._feedback.record_many(facts)

    def _ready(self, now: Millis, all_of_it: bool) -> list[list[Hit]]:
        """What need not be kept longer, one list for each delivery."""
        with self._lock:
            over = [key for key, hits in self._kept.items() if all_of_it or _is_over(hits, now)]
            ready = [self._kept.pop(key) for key in over]
            self._count -= sum(map(len, ready))
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("%d requests of pixels and links were too many to be counted", dropped)
        return ready


def _is_over(hits: Sequence[Hit], now: Millis) -> bool:
    """Whether it has been quiet for long enough, or kept too long, or the clock was turned."""
    return abs(now - hits[-1].at) >= BURST_MS or now - hits[0].at >= _PATIENCE_MS


def _handed_at(reader: Reader, delivery_id: str) -> Millis | None:
    events = reader.events(delivery_id=delivery_id)
    return min((event.at for event in events if event.name in ("sent", "delivered")), default=None)
