"""The composition root: one object with everything wired to one store.

    app = Tactful("sqlite:///notify.db", channels=[SmtpChannel(host="mail", sender="a@b.test")])
    app.rules.put(Rule(name="status", types=["status"], limit="2/minute"))
    receipt = app.send(type="status", to="ada@example.com", subject="Hi", text="It works.")
    with app:
        app.drain()

`Tactful` has no logic of its own: every method hands on to the part of the engine that its name
tells.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from tactful.channels.egress import Egress, wall_clock
from tactful.channels.inbox import InboxChannel
from tactful.channels.webhook import signing_keys
from tactful.core.errors import ConfigError, OverLimit, RequestError, Unavailable
from tactful.core.model import HOUR, Event, Millis, NotificationType, State
from tactful.core.names import name_key
from tactful.core.rules import Rule
from tactful.engine.admission import Admission
from tactful.engine.compose import Composer
from tactful.engine.context import Context
from tactful.engine.directory import Directory
from tactful.engine.endpoints import Endpoints
from tactful.engine.feedback.engagement import Engagement
from tactful.engine.feedback.facts import Feedback
from tactful.engine.feedback.reports import Reports
from tactful.engine.feedback.reputation import Reputation
from tactful.engine.histories import Past
from tactful.engine.identity import Ids
from tactful.engine.insight import Inbox, Insight, Stats, Why
from tactful.engine.keys import Keys
from tactful.engine.links.links import Links, links_of
from tactful.engine.listeners import Listener, Listeners
from tactful.engine.pausing import Pausing
from tactful.engine.people import find
from tactful.engine.policies import Policies, rules_of, templates_of, types_of
from tactful.engine.requests import Broadcast, Receipt, Request, Submission, parse_request
from tactful.engine.rulebook import Rulebook
from tactful.engine.settings import Settings
from tactful.engine.timekeeper import Timekeeper
from tactful.engine.upkeep import Upkeep
from tactful.engine.users import User, users_of
from tactful.ports import (
    SETTLED_MS,
    Channel,
    Clock,
    Delivery,
    Ledger,
    Probe,
    Store,
    Tracer,
    Unwatched,
)
from tactful.runtime.clock import StoreClock, SystemClock, running, seconds
from tactful.runtime.courier import Courier
from tactful.runtime.entropy import new_name, new_secret, random_bits
from tactful.runtime.pace import SHARES, Share
from tactful.runtime.traced_admission import Tracing
from tactful.runtime.worker import Worker
from tactful.stores.chosen import open_store
from tactful.telemetry.watched import WatchedChannel, WatchedStore
from tactful.templates.library import Template

PRUNE_EVERY_MS = HOUR


def clock_of(store: Store) -> Clock:
    """The store's clock where machines share one, else this machine's; raises Unavailable."""
    return SystemClock() if store.time() is None else StoreClock(store.time)


def names_of(channels: Sequence[Channel]) -> list[str]:
    """Their names; raises ConfigError unless all differ."""
    names = [name_key(channel.name, "channels") for channel in channels]
    if len(set(names)) != len(names):
        raise ConfigError(f"channels: names must differ, not {', '.join(names)}")
    return names


def past_of(ledger: Ledger | None, settings: Settings, probe: Probe) -> Past:
    """What reads histories; raises ConfigError where permits last too long for a ledger."""
    if ledger is not None and settings.permitted_until(0) > SETTLED_MS // 2:
        bound = f"must be at most {SETTLED_MS // 2} with a ledger"
        raise ConfigError(f"engine.permit (ms): {bound}, not {settings.permit_ms}")
    return Past(ledger, running, probe)


class Tactful:
    """A notification engine over one store.

    `store` is a URL or a store; `channels` are the ways to recipients, the first of which is the
    default; an `inbox` channel is always there. `seed` makes ids repeatable. `unsubscribe` is an
    https URL with `{token}` in it, for the unsubscribe headers of mails. `tracking` is the URL of
    the HTTP service: with it the HTML of mails tells when it is opened, and which links are
    followed; where it is https, unsubscribing goes there, too. `owner` is the name of this worker
    in its leases, by default a random one: with it somebody else can release them when it is gone.
    `probe` is told what the work takes; `telemetry.timings` has one. `tracer` keeps traces of
    what is submitted and handed over; `telemetry.tracing` has the one for OpenTelemetry. `ledger`
    keeps what has settled of histories, beside a store on PostgreSQL: `ledgers.settled` has one.

    Safe to use from many threads. `with app:` works in the background; without, `tick` does what
    is due. Raises ConfigError, Unavailable.
    """

    def __init__(
        self,
        store: str | Store = "memory://",
        *,
        channels: Sequence[Channel] = (),
        clock: Clock | None = None,
        settings: Settings | None = None,
        seed: int | None = None,
        unsubscribe: str | None = None,
        tracking: str | None = None,
        owner: str = "",
        egress: Egress | None = None,
        probe: Probe | None = None,
        tracer: Tracer | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        ways = list(channels)
        if all(channel.name != "inbox" for channel in ways):
            ways.append(InboxChannel())
        names = names_of(ways)
        self.settings = settings if settings is not None else Settings()
        self.probe: Probe = probe if probe is not None else Unwatched()
        past = past_of(ledger, self.settings, self.probe)
        self.store: Store = open_store(store) if isinstance(store, str) else store
        self.channels: Mapping[str, Channel] = dict(zip(names, ways, strict=True))
        if probe is not None:
            self.store = WatchedStore(self.store, probe, seconds)
            ways = [WatchedChannel(channel, probe, seconds) for channel in ways]
        self.tracer = tracer
        tracing = Tracing(tracer, self.store, names)
        self.clock: Clock = clock if clock is not None else clock_of(self.store)
        self._context = Context(
            self.store,
            Rulebook(),
            dict(zip(names, tracing.channels(ways), strict=True)),
            names[0],
            Timekeeper(self.clock),
            Ids(random_bits(seed)),
            self.settings,
            self._changed,
            owner or new_name(),
            running,
            self.probe,
            past,
        )
        self.links: Links = links_of(self._context, new_secret, unsubscribe, tracking)
        composer = Composer(self.links)
        self._admission = tracing.admission(Admission(self._context))
        self._feedback = Feedback(self._context)
        self.engagement = Engagement(self._context, self._feedback)
        self._listeners = Listeners(self._context)
        self._upkeep = Upkeep(self._context)
        self._insight = Insight(self._context, composer, self._feedback)
        self._settled = threading.Event()
        self._pruned_at: Millis | None = None
        self.rules: Policies[Rule] = rules_of(self._context)
        self.reputation = Reputation(self._context, self.rules)
        self._worker = Worker(
            self._context, composer, self._listeners, self._housekeeping, self.reputation.look
        )
        self.reports = Reports(self._context, self._feedback, self.reputation)
        self.types: Policies[NotificationType] = types_of(self._context)
        self.templates: Policies[Template] = templates_of(self._context)
        self.keys = Keys(self._context, new_secret)
        self.users: Policies[User] = users_of(self._context)
        self._egress = egress if egress is not None else Egress()
        self.endpoints = Endpoints(self._context, self._check_endpoint)
        self._courier = Courier(self._context, self._egress, wall_clock)
        self.recipients = Directory(self._context)

    # Sending ----------------------------------------------------------------------------------

    def send(self, *, raise_over_limit: bool = False, **fields: Unpack[Submission]) -> Receipt:
        """Submit one notification to one recipient; it is stored when this returns.

        Fields: `type`, `to` (id or address), `subject`, `text`, `html` or `template` with `data`,
        `channels`, `priority`, `ttl` (ms or `2h`), `deliver_at` (ms), `collapse_key`,
        `idempotency_key`. Raises RequestError, IdempotencyConflict, Unavailable; with
        `raise_over_limit`, OverLimit where a rule rejects it.
        """
        (receipt,) = self._admission.submit([_request(fields)])
        if raise_over_limit and receipt.decision == "reject":
            raise OverLimit(receipt.rule or "", receipt.retry_at)
        return receipt

    def send_many(self, items: Iterable[Submission]) -> list[Receipt]:
        """Submit many notifications, all or none; one receipt each, in order.

        Each item holds the fields of `send`. Errors name the item, such as `items[3].to`.
        """
        requests = []
        for place, item in enumerate(items):
            try:
                requests.append(_request(item))
            except RequestError as error:
                field = f"items[{place}].{error.field}"
                raise RequestError(field, error.value, error.bound) from None
        return self._admission.submit(requests) if requests else []

    def send_each(
        self, items: Iterable[Submission], *, traces: Sequence[str] = ()
    ) -> list[Receipt | RequestError]:
        """Submit many notifications; a receipt, or what is wrong with it, for each, in order.

        Those that can be are stored together. `traces` says for each which span asks for it, as a
        `traceparent` (W3C Trace Context): by default it is the current one, and without a `tracer`
        none. Raises Unavailable; nothing is stored then.
        """
        found: list[Receipt | RequestError] = []
        requests: list[Request] = []
        places: list[int] = []
        for place, item in enumerate(items):
            try:
                request = _request(item)
            except RequestError as error:
                found.append(error)
                continue
            traced = self.tracer is not None and place < len(traces)
            requests.append(request._replace(trace=traces[place]) if traced else request)
            places.append(place)
        for place, result in zip(places, self._admission.submit_each(requests), strict=True):
            found.insert(place, result)
        return found

    def broadcast(self, **fields: Unpack[Broadcast]) -> Receipt:
        """Submit one notification to everyone registered now; fields as for `send`, without `to`.

        Returns as soon as it is stored; who registers later is not in its audience.
        """
        return self._admission.broadcast(_request(fields, Broadcast, broadcast=True))

    def cancel(self, wanted: str) -> int:
        """Call off a delivery or all of a notification that still wait; gives how many."""
        return self._upkeep.cancel(wanted)

    def pause(self, notification_id: str, *, by: str = "") -> int:
        """Hand over nothing more of a notification until it is resumed; gives how many wait.

        What is in hand already may still go; what is paused expires as it would. Raises NotFound.
        """
        return Pausing(self._context).pause(notification_id, by)

    def resume(self, notification_id: str, *, by: str = "") -> int:
        """Decide anew about all that was paused of it; gives how many. Raises NotFound."""
        return Pausing(self._context).resume(notification_id, by)

    def retry(self, delivery_id: str) -> bool:
        """Put a failed or unknown delivery back into the queue."""
        return self._upkeep.retry(delivery_id)

    # Working ----------------------------------------------------------------------------------

    def tick(self) -> Counter[str]:
        """Do everything that is due at `clock.now()`; gives how many came into each state."""
        done = self._worker.tick()
        self._courier.pump()
        return done

    def start(self, share: Share = "all") -> None:
        """Work in the background until `stop`.

        Of several processes on one PostgreSQL some can be kept free for what is critical: their
        `share` is `urgent`, that of the others `rest`; see `runtime.pace`. Raises RequestError.
        """
        if share not in SHARES:
            raise RequestError("share", share, f"must be one of {', '.join(SHARES)}")
        self._worker.start(share)
        if share != "urgent":
            self._courier.start()

    def stop(self) -> None:
        """Claim nothing more; let what is under way finish and be recorded."""
        self._courier.stop()
        self._worker.stop()

    def drain(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is due, with or without a worker; False if time ran out."""
        if not self._worker.running:
            self.tick()
            return True
        waited_s = 0.0
        self._worker.wake()
        while not self._worker.idle():
            if timeout_s is not None and waited_s >= timeout_s:
                return False
            self._settled.wait(0.005)
            waited_s += 0.005
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._close_channels()

    def close(self) -> None:
        """Stop, and let go of channels and store; harmless when repeated."""
        self.stop()
        self._close_channels()
        self._context.past.close()
        self.store.close()

    # Facts ------------------------------------------------------------------------------------

    def record(self, event: Event | str, delivery_id: str = "", **data: Any) -> bool:
        """Apply a fact from outside: delivered, lost, bounced, opened, clicked or complained.

        `bounce="hard"` or `"soft"` with a bounce makes it count against the address, too.

        True if it was news; what does not fit or is unknown changes nothing.
        """
        if isinstance(event, Event):
            return self._feedback.record(event.name, event.delivery_id, event.data)
        return self._feedback.record(event, delivery_id, data)

    def record_many(self, events: Iterable[Event]) -> int:
        """Apply many facts in one transaction; gives how many were news."""
        return self._feedback.record_many([(e.name, e.delivery_id, e.data) for e in events])

    def listen(
        self, listener: Listener, *, name: str | None = None, events: Sequence[str] = ()
    ) -> None:
        """Tell `listener` every event, or those named; see `engine.listeners`."""
        self._listeners.add(listener, name=name, events=events)

    def unlisten(self, listener: Listener) -> None:
        """Tell it no more."""
        self._listeners.remove(listener)

    def events(self, **wanted: Any) -> list[Event]:
        """Facts in their order; see `ports.Reader.events` for what can be asked for."""
        with self.store.reading() as reader:
            return reader.events(**wanted)

    def unsubscribe(self, token: str) -> tuple[str, str]:
        """Honour an unsubscribe token; gives (recipient, category)."""
        return self.links.unsubscribe.redeem(token)

    # Questions --------------------------------------------------------------------------------

    def why(self, delivery_id: str) -> Why:
        """Why a delivery is where it is; raises NotFound."""
        return self._insight.why(delivery_id)

    def stats(self, notification_id: str) -> Stats:
        """The figures of a notification; raises NotFound."""
        return self._insight.stats(notification_id)

    def inbox(self, recipient: str, *, channel: str | None = None) -> Inbox:
        """What a recipient (id or address) has received, oldest first."""
        with self.store.reading() as reader:
            person = find(reader, [recipient])[recipient]
        return self._insight.inbox(person.id, channel=channel)

    def delivery(self, delivery_id: str) -> Delivery | None:
        """One delivery as it is stored."""
        with self.store.reading() as reader:
            return reader.delivery(delivery_id)

    def deliveries(self, **wanted: Any) -> list[Delivery]:
        """Deliveries in the order of acceptance; see `ports.Reader.deliveries`."""
        with self.store.reading() as reader:
            return reader.deliveries(**wanted)

    def counts(self) -> dict[State, int]:
        """How many deliveries are in each state."""
        with self.store.reading() as reader:
            return reader.counts()

    def status(self) -> dict[str, Any]:
        """The whole at a glance: states, queue, broadcasts, rules."""
        now = self._context.timekeeper.glance()
        with self.store.reading() as reader:
            states = reader.counts()
            due = reader.next_due()
            broadcasts = reader.unfinished_broadcasts()
            paused = reader.paused_notifications()
            book = self._context.rulebook.current(reader)
            unknown = {event.data["type"] for event in reader.events(name="type.unknown")}
        return {
            "store": self.store.url,
            "now": now,
            "states": {state.value: count for state, count in states.items()},
            "next_due": due,
            "behind_ms": max(0, now - due) if due is not None else 0,
            "broadcasts": len(broadcasts),
            "paused": [
                {"notification_id": one.id, "at": one.paused_at, "by": one.paused_by}
                for one in paused
            ],
            "rules": len(book.rules),
            "epoch": book.epoch,
            "unknown_types": sorted(name for name in unknown if not book.knows(name)),
        }

    def listeners_behind(self) -> dict[str, int]:
        """How many events each listener of this engine has still to be told, by its name."""
        return self._listeners.behind()

    @property
    def working(self) -> bool:
        """Whether it works in the background."""
        return self._worker.running

    def prune(self, keep_ms: Millis | None = None) -> int:
        """Delete what has served its time, in bounded steps; gives how many rows."""
        gone = 0
        while step := self._upkeep.prune(keep_ms):
            gone += step
        return gone

    # Inside -----------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._worker.wake()

    def _check_endpoint(self, url: str, secrets: tuple[str, ...]) -> None:
        """Whether an endpoint may be there; raises RequestError."""
        self._egress.target(url)
        try:
            signing_keys(secrets)
        except ConfigError as error:
            raise RequestError("secrets", "...", str(error).partition(": ")[2]) from None

    def _close_channels(self) -> None:
        for channel in self._context.channels.values():
            channel.close()

    def _housekeeping(self) -> None:
        """From time to time a bounded step of pruning, as long as there is anything to prune."""
        now = self._context.timekeeper.glance()
        if self._pruned_at is None or now - self._pruned_at >= PRUNE_EVERY_MS:
            try:
                if not self._upkeep.prune():
                    self._pruned_at = now
            except Unavailable:
                self._pruned_at = now
                raise


def _request(
    fields: Mapping[str, Any], known: type[Broadcast] = Submission, *, broadcast: bool = False
) -> Request:
    if not isinstance(fields, Mapping):
        raise RequestError("item", fields, "must be a mapping of fields")
    names = known.__annotations__
    for name in fields:
        if name not in names:
            raise RequestError(str(name), fields[name], f"is no field: {', '.join(sorted(names))}")
    return parse_request(**{"type": None, **fields}, broadcast=broadcast)
