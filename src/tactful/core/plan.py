"""The exact next free slot.

A slot is free if every window that contains it, in every matching rule, holds no more than the
limit with it: the attempts that were made and the slots that are already planned, also those that
lie *behind* it, count alike. So earlier deliveries keep their slots and a later one plans behind
or between them; nobody is woken in vain.

For a rolling limit of N per W and the sorted instants x of what counts, inserting t is fine unless
some N of them lie within less than W together with t. If such a run starts at x[j], the next
instant worth a look is `x[j] + W`. For calendar limits it is the start of the next window; for
hours their end. Each check moves t forward until none has an objection; as every move goes to the
first instant that the check would accept, the result is the earliest that all accept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from tactful.core.checks import Bound, Checks, Span
from tactful.core.model import DAY, NEVER, Entry, Millis
from tactful.core.windows import calendar_window, hours_begin, hours_end

HORIZON_MS = 366 * DAY


def next_slot(events: Sequence[Entry], checks: Checks, zone: tzinfo, start: Millis) -> Millis:
    """The first instant from `start` on at which every check agrees, or NEVER.

    `events` are attempts and planned slots together, ascending.
    """
    at = start
    instants = [[event.at for event in events if b.counted[event.kind]] for b in checks.bounds]
    while at < NEVER:
        before = at
        for bound, counted in zip(checks.bounds, instants, strict=True):
            at = _bound_slot(bound, counted, zone, at)
            if at >= NEVER:
                return NEVER
        at = _common_hour(checks.spans, zone, at)
        if at == before:
            return at
    return NEVER


def _common_hour(spans: Sequence[Span], zone: tzinfo, start: Millis) -> Millis:
    """The first instant from `start` on that all hours allow, or NEVER if they exclude each other.

    Hours repeat every week; what a year holds no instant for, no year does.
    """
    at = start
    while at - start < HORIZON_MS:
        before = at
        for span in spans:
            at = _span_slot(span, zone, at)
            if at >= NEVER:
                return NEVER
        if at == before:
            return at
    return NEVER


def slot_of(check: Bound | Span, events: Sequence[Entry], zone: tzinfo, start: Millis) -> Millis:
    """The first instant from `start` on at which this one check agrees, or NEVER."""
    if isinstance(check, Span):
        return _span_slot(check, zone, start)
    instants = [event.at for event in events if check.counted[event.kind]]
    return _bound_slot(check, instants, zone, start)


def _span_slot(span: Span, zone: tzinfo, at: Millis) -> Millis:
    if span.quiet:
        end = hours_end(at, span.hours, zone)
        return at if end is None else end
    return hours_begin(at, span.hours, zone)


def _bound_slot(bound: Bound, instants: Sequence[Millis], zone: tzinfo, at: Millis) -> Millis:
    if bound.count == 0:
        return NEVER
    if len(instants) < bound.count:
        return at
    if bound.unit is not None:
        return _calendar_slot(bound, instants, zone, at)
    return _rolling_slot(bound, instants, at)


def _calendar_slot(bound: Bound, instants: Sequence[Millis], zone: tzinfo, at: Millis) -> Millis:
    assert bound.unit is not None
    while True:
        start, end = calendar_window(at, bound.unit, zone)
        used = bisect_right(instants, end - 1) - bisect_right(instants, start - 1)
        if used < bound.count:
            return at
        at = end


def _rolling_slot(bound: Bound, instants: Sequence[Millis], at: Millis) -> Millis:
    count, window = bound.count, bound.window_ms
    if instants[-1] <= at:  # nothing lies behind: only the youngest run can object
        return max(at, instants[-count] + window)
    while True:
        place = bisect_right(instants, at)
        for first in range(max(0, place - count), min(place, len(instants) - count) + 1):
            low, high = instants[first], instants[first + count - 1]
            if max(high, at) - min(low, at) < window:
                at = low + window
                break
        else:
            return at


def windows_at(
    bound: Bound, instants: Sequence[Millis], zone: tzinfo, at: Millis
) -> Iterator[tuple[int, int]]:
    """From and to where in `instants` the bound's windows stand that contain `at`.

    Only those that can be the fullest: each ends at `at` or at an instant behind it.
    """
    if bound.unit is not None:
        start, end = calendar_window(at, bound.unit, zone)
        yield bisect_left(instants, start), bisect_left(instants, end)
        return
    place = bisect_right(instants, at)
    yield bisect_right(instants, at - bound.window_ms), place
    for last in range(place, bisect_left(instants, at + bound.window_ms)):
        yield bisect_right(instants, instants[last] - bound.window_ms), last + 1


def crowd(bound: Bound, instants: Sequence[Millis], zone: tzinfo, at: Millis) -> int:
    """How many stand in the fullest of the bound's windows that contain `at`."""
    if bound.unit is None and (not instants or instants[-1] <= at):  # nothing lies behind
        return len(instants) - bisect_right(instants, at - bound.window_ms)
    return max(stop - start for start, stop in windows_at(bound, instants, zone, at))


def blocking(
    bounds: Sequence[Bound], events: Sequence[Entry], zone: tzinfo, at: Millis
) -> list[Entry]:
    """The attempts and slots that leave no room at `at`, for the bounds that have none."""
    found: set[int] = set()
    for bound in bounds:
        places = [place for place, event in enumerate(events) if bound.counted[event.kind]]
        instants = [events[place].at for place in places]
        for start, stop in windows_at(bound, instants, zone, at):
            if stop - start >= bound.count:
                found.update(places[start:stop])
    return [events[place] for place in sorted(found)]
