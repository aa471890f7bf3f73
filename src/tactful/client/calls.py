"""What a client asks of the service, as values: no socket, no clock, no colour.

A `Call` says what to send and how to read the answer. Who carries it out does three things: sends
it, asks `again_after` whether an answer or a failure calls for another try, and reads the last one
with `outcome`.

Repeating is safe because every submission has an idempotency key; one that has none is given a
random one. What changes something without a key, such as calling off, is repeated only where the
service has surely not done it.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from tactful.client.shapes import (
    Delivery,
    Event,
    Figures,
    Notification,
    Page,
    Receipt,
    Why,
    receipt,
    shaped,
)
from tactful.core.errors import (
    ConfigError,
    IdempotencyConflict,
    InvalidRule,
    NotFound,
    RequestError,
    Unavailable,
)

T = TypeVar("T")

TRIES: Final = 5
PATIENCE_S: Final = 30.0
"""The longest that a client waits because the service asks it to."""
BULK_MAX: Final = 1_000
BULK_BYTES_MAX: Final = 8_000_000
PAGE: Final = 500

_BASE_S: Final = 0.2
_CAP_S: Final = 5.0
_ERRORS: Final[Mapping[str, type[RequestError]]] = {
    "invalid_rule": InvalidRule,
    "not_found": NotFound,
    "idempotency_conflict": IdempotencyConflict,
}


class UnsentError(Exception):
    """No connection, or it broke before the request was out: nothing was done."""


class LostError(Exception):
    """The request went out and no answer came: it may have been done."""


class Answer(NamedTuple):
    """What came back; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, how its answer is read, and whether doing it twice is doing it once."""

    method: str
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True

    @property
    def target(self) -> str:
        """Path and query."""
        given = {name: value for name, value in self.query.items() if value is not None}
        return f"{self.path}?{urlencode(given)}" if given else self.path

    def content(self) -> bytes | None:
        """The body as octets; raises RequestError for what JSON cannot hold."""
        if self.body is None:
            return None
        return encoded(self.body)


def encoded(value: Any) -> bytes:
    """JSON; raises RequestError."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError("body", type(value).__name__, f"must be plain data: {error}") from None


# Where --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service is; `path` is what stands before `/v1`."""

    secure: bool
    host: str
    port: int
    path: str
    key: str = field(repr=False)

    @property
    def url(self) -> str:
        """The URL, without the key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"

    def headers(self, call: Call[Any]) -> dict[str, str]:
        """The headers of a request."""
        found = {"Authorization": f"Bearer {self.key}", "Accept": "application/json", **_trace()}
        if call.body is not None:
            found["Content-Type"] = "application/json"
        return {**found, **call.headers}


def _trace() -> dict[str, str]:
    """The trace that the caller is in, for the service to go on with; for OpenTelemetry alone."""
    found: dict[str, str] = {}
    if "opentelemetry.trace" in sys.modules:
        resolve_name("opentelemetry.propagate:inject")(found)
    return found


def service(url: str, key: str) -> Service:
    """Read where the service is; raises ConfigError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    right = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    if not right or parts.query or parts.fragment:
        raise ConfigError(f"url: must be like https://tactful.example.com, not {url!r}")
    if not (key and key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError("key: must be an API key, such as tk_live_... (got something else)")
    secure = parts.scheme == "https"
    port = port if port is not None else (443 if secure else 80)
    return Service(secure, parts.hostname or "", port, parts.path.rstrip("/"), key)


# What is asked --------------------------------------------------------------------------------


def new_key() -> str:
    """An idempotency key that nobody else has."""
    return secrets.token_hex(16)


def send(fields: Notification) -> Call[Receipt]:
    """Submit one notification."""
    return _submission("/v1/notifications", fields)


def broadcast(fields: Mapping[str, Any]) -> Call[Receipt]:
    """Submit one notification to everybody."""
    return _submission("/v1/broadcasts", fields)


def _submission(path: str, fields: Mapping[str, Any]) -> Call[Receipt]:
    body = {name: value for name, value in fields.items() if name != "idempotency_key"}
    key = fields.get("idempotency_key") or new_key()
    if not (isinstance(key, str) and key.isascii() and key.isprintable()):
        raise RequestError("idempotency_key", key, "must be a text of visible ASCII characters")
    return Call("POST", path, receipt, body=body, headers={"Idempotency-Key": key})


def send_each(items: Iterable[Notification]) -> Iterator[Call[list[Receipt | RequestError]]]:
    """Submit many, in as many requests as it takes."""
    waiting: list[dict[str, Any]] = []
    size = 0
    for item in items:
        keyed = {**item, "idempotency_key": item.get("idempotency_key") or new_key()}
        length = len(encoded(keyed)) + 1
        if waiting and (len(waiting) == BULK_MAX or size + length > BULK_BYTES_MAX):
            yield _bulk(waiting)
            waiting, size = [], 0
        waiting.append(keyed)
        size += length
    if waiting:
        yield _bulk(waiting)


def _bulk(items: list[dict[str, Any]]) -> Call[list[Receipt | RequestError]]:
    def read(data: Any) -> list[Receipt | RequestError]:
        found = data["results"]
        return [_refused(one["error"]) if "error" in one else receipt(one) for one in found]

    return Call("POST", "/v1/notifications/bulk", read, body={"items": items})


def delivery(delivery_id: str) -> Call[Delivery]:
    """One delivery."""
    return Call("GET", f"/v1/deliveries/{quote(delivery_id, safe='')}", _as(Delivery))


def deliveries(cursor: str | int | None, wanted: Mapping[str, Any]) -> Call[Page]:
    """A page of deliveries, in the order of acceptance."""
    return Call("GET", "/v1/deliveries", _as(Page), {**wanted, "cursor": cursor, "limit": PAGE})


def events(cursor: str | int | None, wanted: Mapping[str, Any]) -> Call[Page]:
    """A page of events, in their order."""
    return Call("GET", "/v1/events", _as(Page), {**wanted, "cursor": cursor, "limit": PAGE})


def why(delivery_id: str) -> Call[Why]:
    """Why a delivery is where it is."""
    return Call("GET", f"/v1/deliveries/{quote(delivery_id, safe='')}/why", _as(Why))


def stats(notification_id: str) -> Call[Figures]:
    """The figures of a notification."""
    return Call("GET", f"/v1/notifications/{quote(notification_id, safe='')}", _as(Figures))


def cancel(kind: str, wanted: str) -> Call[int]:
    """Call off a delivery, or all of a notification."""
    path = f"/v1/{kind}/{quote(wanted, safe='')}/cancel"
    return Call("POST", path, lambda data: int(data["cancelled"]), repeatable=False)


def pause(notification_id: str) -> Call[int]:
    """Have a notification stand still; the count is of what this very call stopped."""
    path = f"/v1/notifications/{quote(notification_id, safe='')}/pause"
    return Call("POST", path, lambda data: int(data["paused"]), repeatable=False)


def resume(notification_id: str) -> Call[int]:
    """Let a notification go on; the count is of what this very call resumed."""
    path = f"/v1/notifications/{quote(notification_id, safe='')}/resume"
    return Call("POST", path, lambda data: int(data["resumed"]), repeatable=False)


def retry(delivery_id: str) -> Call[bool]:
    """Put a delivery back into the queue."""
    path = f"/v1/deliveries/{quote(delivery_id, safe='')}/retry"
    return Call("POST", path, lambda data: bool(data["queued"]), repeatable=False)


def rules() -> Call[list[dict[str, Any]]]:
    """All rules in force."""
    return Call("GET", "/v1/rules", lambda data: list(data["items"]))


def rule(name: str) -> Call[dict[str, Any]]:
    """One rule in force."""
    return Call("GET", f"/v1/rules/{quote(name, safe='')}", dict)


def put_rule(name: str, fields: Mapping[str, Any]) -> Call[int]:
    """Add or change a rule."""
    path = f"/v1/rules/{quote(name, safe='')}"
    return Call("PUT", path, _version, body=dict(fields), repeatable=False)


def remove_rule(name: str) -> Call[int]:
    """Take a rule out of force."""
    return Call("DELETE", f"/v1/rules/{quote(name, safe='')}", _version, repeatable=False)


def _version(data: Any) -> int:
    return int(data["version"])


def _as(kind: type[T]) -> Callable[[Any], T]:
    return lambda data: shaped(kind, data)


def delivery_of(data: Mapping[str, Any]) -> Delivery:
    """A delivery of a page."""
    return shaped(Delivery, data)


def event_of(data: Mapping[str, Any]) -> Event:
    """An event of a page."""
    return shaped(Event, data)


# What came back -------------------------------------------------------------------------------


def again_after(
    call: Call[Any], got: Answer | UnsentError | LostError, tried: int, tries: int = TRIES
) -> float | None:
    """After how many seconds to try again, None if this is how it ends; `tried` counts from 1."""
    if tried >= tries:
        return None
    asked = 0.0
    if isinstance(got, Answer):
        if not _calls_for_another_try(call, got):
            return None
        after = got.headers.get("retry-after", "")
        asked = float(after) if after.isascii() and after.isdigit() and len(after) < 7 else 0.0
        if asked > PATIENCE_S:
            return None
    elif isinstance(got, LostError) and not call.repeatable:
        return None
    most = min(_CAP_S, _BASE_S * 2.0 ** (tried - 1))
    # Half of it is chance, so that those who failed together do not come back together.
    return asked + most * (0.5 + secrets.randbelow(1000) / 2000)


def _calls_for_another_try(call: Call[Any], got: Answer) -> bool:
    if got.status == 429:
        return _problem(got).get("code") != "over_limit"  # that is a decision
    return got.status == 503 or (got.status in (502, 504) and call.repeatable)


def outcome(call: Call[T], got: Answer | UnsentError | LostError, url: str) -> T:
    """Read the last answer; raises what the library would.

    RequestError and what is below it, Unavailable, and ConfigError where the key is not accepted.
    """
    if not isinstance(got, Answer):
        raise Unavailable(f"{url}: {got}") from got
    if 200 <= got.status < 300:
        return _read(call, got, url)
    problem = _problem(got)
    code, detail = str(problem.get("code", "")), str(problem.get("detail", ""))
    if got.status == 429 and code == "over_limit":
        return call.read(problem)
    if got.status in (401, 403):
        raise ConfigError(f"key: is not accepted: {detail or got.status}")
    if got.status < 500 and got.status != 429:
        errors = problem.get("errors") or [{"field": "request", "bound": detail or got.status}]
        raise _refused({"code": code, **errors[0]})
    raise Unavailable(f"{url}: {got.status} {detail}".rstrip())


def _read(call: Call[T], got: Answer, url: str) -> T:
    try:
        return call.read(json.loads(got.body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        shown = f"{type(error).__name__}: {error}"
        raise Unavailable(f"{url}: this is no answer of Tactful ({shown})") from None


def _problem(got: Answer) -> Mapping[str, Any]:
    """The problem details (RFC 9457) of an answer; a proxy may have sent something else."""
    try:
        found = json.loads(got.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refused(error: Mapping[str, Any]) -> RequestError:
    kind = _ERRORS.get(str(error.get("code", "")), RequestError)
    return kind(str(error.get("field")), error.get("value"), str(error.get("bound")))
