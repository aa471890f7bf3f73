"""Every metric that there is: the one list that code, documentation, rules and dashboard share.

Labels are bounded. `type`, `rule` and `channel` are names that somebody has declared, and `other`
for all else; an empty `rule` means that no rule had a part in it. No label ever holds anything
about a person.

An `events` metric counts what is recorded in the store, whichever process did it; a `store` metric
is what the store says at this moment; a `process` metric is what this process did itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

Sort: TypeAlias = Literal["counter", "gauge", "histogram"]
Source: TypeAlias = Literal["events", "store", "process"]

OTHER: Final = "other"
"""The label of a name that nobody has declared."""

BY_RULE: Final = frozenset({"sent", "deferred", "digested", "collapsed", "rejected", "expired"})
"""The words of COUNTED in which a rule may have a part: these are counted by rule, too."""


class Metric(NamedTuple):
    """One metric: its name as it is scraped (but for the suffixes of a histogram) and its words."""

    name: str
    sort: Sort
    source: Source
    labels: tuple[str, ...]
    unit: str
    text: str


COUNTED: Final = {
    "admitted": "Deliveries that were stored, whatever was decided about them.",
    "sent": "Deliveries that a channel took over.",
    "deferred": "Times that a delivery was told to wait for a slot.",
    "digested": "Deliveries that went out as part of the digest of another one.",
    "collapsed": "Deliveries whose place was taken by a newer one.",
    "rejected": "Deliveries that a rule refused.",
    "suppressed": "Deliveries that the recipient or the suppression list did not want.",
    "expired": "Deliveries whose time to live ended first.",
    "cancelled": "Deliveries that were called off.",
    "retried": "Attempts that failed, or had no answer, and are repeated.",
    "failed": "Deliveries that surely failed for good, quarantined ones included.",
    "unknown": "Deliveries of which nobody knows whether they arrived.",
    "delivered": "Deliveries that arrived.",
    "lost": "Deliveries that were sent and surely did not arrive.",
    "bounced": "Deliveries that came back.",
    "complained": "Deliveries that somebody called unwanted.",
    "opened": "Deliveries that a person opened.",
    "clicked": "Deliveries in which a person clicked something.",
}
"""What is counted about deliveries: the word in the metric's name, and what it says."""


def _terms(word: str) -> tuple[str, ...]:
    return ("type", "channel", "rule") if word in BY_RULE else ("type", "channel")


CATALOGUE: Final = (
    *(
        Metric(f"tactful_{word}_total", "counter", "events", _terms(word), "deliveries", text)
        for word, text in COUNTED.items()
    ),
    Metric(
        "tactful_unsubscribed_total",
        "counter",
        "events",
        (),
        "events",
        "Times that somebody unsubscribed.",
    ),
    Metric(
        "tactful_listener_failures_total",
        "counter",
        "events",
        (),
        "events",
        "Events that were set aside because a listener failed on them too often.",
    ),
    Metric(
        "tactful_endpoint_failures_total",
        "counter",
        "events",
        (),
        "events",
        "Events that were set aside because an endpoint did not take them.",
    ),
    Metric(
        "tactful_clock_corrections_total",
        "counter",
        "events",
        (),
        "events",
        "Times that a clock which had been ahead was put right.",
    ),
    Metric(
        "tactful_policy_changes_total",
        "counter",
        "events",
        ("kind",),
        "events",
        "Changes of rules, types, templates and keys.",
    ),
    Metric(
        "tactful_end_to_end_seconds",
        "histogram",
        "events",
        ("channel", "waited"),
        "seconds",
        "From submission to the recorded hand-over; `waited` is true if it was ever deferred.",
    ),
    Metric(
        "tactful_messages_per_person_last_hour",
        "histogram",
        "events",
        (),
        "messages",
        "For people who just got a message: how many they have had within an hour.",
    ),
    Metric(
        "tactful_messages_per_person_last_hour_max",
        "gauge",
        "events",
        (),
        "messages",
        "The most messages that one person has had within the last hour.",
    ),
    Metric(
        "tactful_events_unread",
        "gauge",
        "events",
        (),
        "events",
        "Events that the counters do not contain yet; above 0 after a surge, for some scrapes.",
    ),
    Metric(
        "tactful_store_up",
        "gauge",
        "store",
        (),
        "",
        "1 if the store answered this scrape, else 0.",
    ),
    Metric(
        "tactful_queue_deliveries",
        "gauge",
        "store",
        ("state",),
        "deliveries",
        "Deliveries that wait (queued, deferred) or are being sent (sending).",
    ),
    Metric(
        "tactful_queue_overdue_seconds",
        "gauge",
        "store",
        (),
        "seconds",
        "For how long the oldest delivery in the queue has been due; 0 if nothing is.",
    ),
    Metric(
        "tactful_broadcasts_unfinished",
        "gauge",
        "store",
        (),
        "broadcasts",
        "Broadcasts with people still to reach.",
    ),
    Metric(
        "tactful_broker_lag_events",
        "gauge",
        "store",
        (),
        "events",
        "Events that the message broker has still to be told; absent where nothing is published.",
    ),
    Metric(
        "tactful_policy_version",
        "gauge",
        "store",
        (),
        "",
        "The version of the newest rule, type or template.",
    ),
    Metric(
        "tactful_clock_seconds",
        "gauge",
        "process",
        (),
        "seconds",
        "What the engine's clock says, since 1970.",
    ),
    Metric(
        "tactful_claim_seconds",
        "histogram",
        "process",
        (),
        "seconds",
        "How long one round took to decide and claim what is due; empty rounds are left out.",
    ),
    Metric(
        "tactful_transaction_seconds",
        "histogram",
        "process",
        ("durable",),
        "seconds",
        "How long a transaction took, its commit included.",
    ),
    Metric(
        "tactful_commit_seconds",
        "histogram",
        "process",
        ("durable",),
        "seconds",
        "How long its commit took; durable ones reach the disk.",
    ),
    Metric(
        "tactful_store_errors_total",
        "counter",
        "process",
        (),
        "errors",
        "Times that the store could not be reached.",
    ),
    Metric(
        "tactful_store_contentions_total",
        "counter",
        "process",
        (),
        "errors",
        "Transactions that were begun anew because another one had to go first.",
    ),
    Metric(
        "tactful_ledger_histories_total",
        "counter",
        "process",
        ("source",),
        "histories",
        "Histories read where there is a ledger beside the store: from the ledger, or the store.",
    ),
    Metric(
        "tactful_ledger_errors_total",
        "counter",
        "process",
        (),
        "errors",
        "Times that the ledger beside the store could not be reached.",
    ),
    Metric(
        "tactful_send_seconds",
        "histogram",
        "process",
        ("channel",),
        "seconds",
        "How long one call of a channel took, with all the messages of its portion.",
    ),
    Metric(
        "tactful_send_messages_total",
        "counter",
        "process",
        ("channel", "outcome"),
        "messages",
        "What channels answered: accepted, retry, rejected, unknown, or raised.",
    ),
    Metric(
        "tactful_lane_busy",
        "gauge",
        "process",
        ("channel",),
        "calls",
        "Calls of a channel that are under way.",
    ),
    Metric(
        "tactful_lane_size",
        "gauge",
        "process",
        ("channel",),
        "calls",
        "How many calls of a channel may be under way at once.",
    ),
    Metric(
        "tactful_provider_up",
        "gauge",
        "process",
        ("channel", "provider"),
        "",
        "1 if a provider of a failover channel is served, 0 if it is left alone or probed.",
    ),
    Metric(
        "tactful_listener_lag_events",
        "gauge",
        "process",
        ("listener",),
        "events",
        "Events that a listener of this process has not been told yet.",
    ),
    Metric(
        "tactful_broker_taken_total",
        "counter",
        "process",
        ("outcome",),
        "messages",
        "Submissions from the message broker: admitted, repeated, refused, or put_back for later.",
    ),
    Metric(
        "tactful_broker_published_total",
        "counter",
        "process",
        (),
        "events",
        "Events that the message broker has acknowledged.",
    ),
    Metric(
        "tactful_worker_running",
        "gauge",
        "process",
        (),
        "",
        "1 if this process sends what is due, too.",
    ),
    Metric(
        "tactful_build_info",
        "gauge",
        "process",
        ("version",),
        "",
        "Always 1; `version` is that of Tactful.",
    ),
)
"""All metrics, in the order in which they are shown."""

BY_NAME: Final = {metric.name: metric for metric in CATALOGUE}


def table() -> Iterator[str]:
    """The catalogue as the lines of a Markdown table."""
    yield "| name | kind | source | labels | unit | what it says |"
    yield "|---|---|---|---|---|---|"
    for one in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        cells = (f"`{one.name}`", one.sort, one.source, labels, one.unit, one.text)
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")
