"""The worker: one thread decides and records, lanes of threads send.

    control:  claim -> hand to lanes -> fan out          record <- outcomes
    lanes:                        compose -> channel.send ------^

All control is in one thread; slow I/O is in each channel's lane, a pool of as many threads as the
channel takes calls at once. Portions wait for a thread in the order of their urgency: a step of
priority is a head start of some seconds, so what is urgent overtakes a broadcast that was claimed
before, and nothing is overtaken for ever. Outcomes that come back while others are being recorded
are recorded together. What is claimed and not yet recorded is bounded; wake-ups are hints, and the
queue's next due instant is what counts.

Stopping gives back what no lane has begun, without using up a try, and waits for the rest.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, groupby

from tactful.core.errors import Contended, Unavailable
from tactful.core.model import Millis, Priority, Retry, Unknown
from tactful.engine.compose import Composer
from tactful.engine.context import Context
from tactful.engine.delivering import Sent, batches, deliver
from tactful.engine.dispatch import Claim, Dispatch, Job
from tactful.engine.fanout import Fanout
from tactful.engine.listeners import Listeners
from tactful.engine.recording import Recording
from tactful.engine.replanning import replanning
from tactful.runtime.boot import boot_id
from tactful.runtime.clock import seconds
from tactful.runtime.pace import SHARES, Share, pace_of

log = logging.getLogger("tactful.worker")

BOOT_NOTE = "boot"
RECORD_MS = 20
IDLE_MS = 1_000
TELL_MS = 50
FANOUT_MS = 1_000
FANOUT_ALONE = 2_000
IN_FLIGHT_MAX = 2_000
IN_FLIGHT_MIN = 100
HEAD_START_MS = 5_000
STOP_PATIENCE_S = 30.0
NOT_BEGUN = Retry("not begun when the worker stopped", after_ms=0, counted=False)


class Worker:
    """Sends what is due until it is stopped."""

    def __init__(
        self,
        context: Context,
        composer: Composer,
        listeners: Listeners,
        upkeep: Callable[[], object],
        look: Callable[[], object] = lambda: None,
    ) -> None:
        self._context = context
        self._composer = composer
        self._listeners = listeners
        self._upkeep = upkeep
        self._dispatch = Dispatch(context)
        self._bounced = threading.Event()
        self._look = look
        self._recording = Recording(context, self._bounced.set)
        self._fanout = Fanout(context)
        self._outcomes: queue.SimpleQueue[list[Sent]] = queue.SimpleQueue()
        self._unrecorded: list[Sent] = []
        self._in_flight: dict[str, Job] = {}
        self._lines: dict[str, queue.PriorityQueue[tuple[Millis, int, Sequence[Job]]]] = {}
        self._turns: dict[Future[None], str] = {}
        self._numbers = count()
        self._careful: list[Sequence[Job]] = []
        self._suspect: str | None = None
        self._claiming = threading.Lock()
        self._renewed_at: Millis = 0
        self._reached_at: Millis = 0
        self._share: Share = "all"
        self._pace = pace_of(context.settings, "all")
        self._news = True
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._teller: threading.Thread | None = None
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._joined = False
        self._unsure = False
        # What is claimed must be handed over before its permit ends: no more than the lanes have
        # at hand and as much again, so that none of them waits. Each channel has room of its own,
        # so that a slow one keeps nothing of the others waiting.
        self._room = {
            name: max(IN_FLIGHT_MIN, min(IN_FLIGHT_MAX, 2 * way.concurrency * way.batch))
            for name, way in context.channels.items()
        }

    # In the caller's thread -------------------------------------------------------------------

    def tick(self) -> Counter[str]:
        """Do everything that is due now, in this thread; gives how many came into each state."""
        self.join()
        done: Counter[str] = Counter()
        progress = True
        while progress:
            progress = self._fanout.step() > 0
            claim = self._take(self._context.settings.batch)
            try:
                done += self._deliver_all(claim)
            finally:
                for job in claim.jobs:
                    self._in_flight.pop(job.delivery.id, None)
            progress = progress or claim.seen > 0
        self._listeners.pump()
        self._look_at_bounces()
        return done

    def _deliver_all(self, claim: Claim) -> Counter[str]:
        done: Counter[str] = Counter()
        book = self._context.rulebook.known
        for name, jobs in _by_channel(claim.jobs).items():
            channel = self._context.channels[name]
            for portion in batches(jobs, channel):
                sent = deliver(portion, channel, self._composer, book, self._context.store)
                done += self._recording.record(sent)
        return done

    def join(self) -> None:
        """Before the first claim: what nobody can still be sending is due at once."""
        if self._joined:
            return
        store = self._context.store
        with store.reading() as reader:
            left = store.gone(reader.lessees())
        store.join(self._context.owner)
        self._release(left)
        self._joined = True

    def _take(self, limit: int, busy: Collection[str] = ()) -> Claim:
        """One claim, which is in flight from now on.

        Without an answer nobody knows whether it was committed: before the next one, what was
        claimed unawares, if anything was, becomes due again.
        """
        with self._claiming:
            if self._unsure:
                self._forget()
            self._unsure = True
            began = seconds()
            claim = self._dispatch.claim(
                frozenset(self._in_flight), limit, busy, SHARES[self._share]
            )
            if claim.seen:
                self._context.probe.took("claim", seconds() - began)
            self._unsure = False
            for job in claim.jobs:
                self._in_flight[job.delivery.id] = job
        return claim

    def _forget(self) -> None:
        keep = [id_ for job in list(self._in_flight.values()) for id_, _ in job.claims]
        with self._context.store.transaction() as tx:
            now = self._context.timekeeper.now(tx)
            tx.release(now, owners=[self._context.owner], keep=keep)

    def _release(self, owners: Collection[str]) -> None:
        boot = boot_id()
        with self._context.store.transaction() as tx:
            # What had begun is not flushed to the disk: a power cut may have taken it.
            doubt = boot is None or tx.note(BOOT_NOTE) != boot
            if owners:
                tx.release(self._context.timekeeper.now(tx), doubt=doubt, owners=owners)
            if doubt and boot is not None:
                tx.set_note(BOOT_NOTE, boot)

    def idle(self) -> bool:
        """Whether nothing is due or under way."""
        if self._in_flight:
            return False
        with self._claiming, self._context.store.reading() as reader:
            due = reader.next_due()
            left = reader.unfinished_broadcasts() or replanning(reader)
            # Looked at after the queue: what came in a moment ago is due now, and not later.
            now = self._context.timekeeper.glance()
            return not (self._in_flight or left or (due is not None and due <= now))

    def start(self, share: Share = "all") -> None:
        """Begin to work in the background; harmless when repeated."""
        if self._thread is not None:
            return
        self.join()
        self._share = share
        self._pace = pace_of(self._context.settings, share)
        self._context.store.listen(self._hear)
        self._stopping.clear()
        self._lanes = {
            name: ThreadPoolExecutor(channel.concurrency, thread_name_prefix=f"lane-{name}")
            for name, channel in self._context.channels.items()
        }
        self._lines = {name: queue.PriorityQueue() for name in self._lanes}
        self._thread = threading.Thread(target=self._run, name="tactful-worker", daemon=True)
        self._thread.start()
        self._teller = threading.Thread(target=self._tell, name="tactful-listeners", daemon=True)
        self._teller.start()

    def stop(self) -> None:
        """Claim nothing more, let what is under way finish and be recorded."""
        if self._thread is None:
            return
        self._stopping.set()
        self._wake.set()
        self._thread.join(STOP_PATIENCE_S)
        if self._teller is not None:
            self._teller.join(STOP_PATIENCE_S)
        for lane in self._lanes.values():
            lane.shutdown(wait=False, cancel_futures=True)
        self._thread = None
        self._share = "all"

    def wake(self) -> None:
        """There may be something new to do."""
        self._news = True
        self._wake.set()

    def _hear(self, priority: int | None) -> None:
        """Another process may have made something due, of this priority at most."""
        if priority is None:
            self.wake()
            return
        if priority == Priority.CRITICAL:
            self._pace.heard(self._context.running())
        if priority in SHARES[self._share]:
            self._wake.set()

    @property
    def running(self) -> bool:
        """Whether it works in the background."""
        return self._thread is not None

    # In the background ------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                busy = self._claim()
                pause_s = 0.0 if self._record() or busy else self._pause_s()
            except Contended as error:
                log.info("once more: %s", error)
                continue
            except Unavailable as error:
                log.warning("store unavailable: %s", error)
                self._stopping.wait(IDLE_MS / 1000)
                continue
            except Exception:
                # A bug; but who has stopped sending is no help in finding it.
                log.exception("the worker goes on after an error")
                self._stopping.wait(IDLE_MS / 1000)
                continue
            if pause_s:
                self._wake.wait(pause_s)
            self._wake.clear()
        self._finish()

    def _claim(self) -> bool:
        """One round of upkeep, claim and fan-out; whether there may be more at once."""
        if self._share != "urgent":
            self._upkeep()
        self._renew()
        left = self._left()
        if not any(left.values()):
            return False
        now = self._context.running()
        limit = min(max(left.values()), self._pace.together(now))
        claim = self._take(limit, _without(left))
        self._pace.met((job.delivery.priority for job in claim.jobs), now)
        for name, jobs in _by_channel(claim.jobs).items():
            for portion in batches(jobs, self._context.channels[name]):
                if portion[0].crashes:
                    self._careful.append(portion)
                    continue
                # What is urgent does not wait until all of a portion is composed.
                for _, alike in groupby(portion, lambda job: job.delivery.priority):
                    self._submit(list(alike))
        self._submit_careful()
        reached = self._reach(claim, enough=claim.seen >= limit)
        return reached > 0 or claim.seen > 0

    def _reach(self, claim: Claim, *, enough: bool) -> int:
        """Carry on what is unfinished; gives how many people were reached.

        While the queue has enough for the lanes, an audience is reached a step each second, so
        that what is submitted meanwhile does not wait for it; but one that is more urgent than
        what is being sent comes at once. Where none was left, a look each second is for those of
        which nobody tells this process.
        """
        if self._share == "urgent":
            return 0
        now = self._context.running()
        if not self._news and now - self._reached_at < FANOUT_MS:
            return 0
        self._news, above = False, None
        if enough and claim.jobs and now - self._reached_at < FANOUT_MS:
            above = min(job.delivery.priority for job in claim.jobs)
        else:
            self._reached_at = now
        limit = self._pace.beside(now) if self._in_flight else FANOUT_ALONE
        reached = self._fanout.step(limit, above)
        self._news = self._news or self._fanout.left
        return reached

    def _submit(self, portion: Sequence[Job]) -> None:
        """Into the line of its channel, and one more turn to take the first of the line."""
        head = portion[0].delivery
        place = self._context.running() - HEAD_START_MS * head.priority
        self._lines[head.channel].put((place, next(self._numbers), portion))
        turn = self._lanes[head.channel].submit(self._deliver_next, head.channel)
        self._turns[turn] = head.channel
        turn.add_done_callback(self._turns.pop)

    def _submit_careful(self) -> None:
        """One at a time, the least suspect first: whatever took a worker down takes only itself."""
        if self._careful and self._suspect is None:
            self._careful.sort(key=lambda portion: portion[0].crashes, reverse=True)
            portion = self._careful.pop()
            self._suspect = portion[0].delivery.id
            self._submit(portion)

    def _renew(self) -> None:
        """Keep the leases of what is under way well ahead of their end."""
        now = self._context.timekeeper.glance()
        lease_ms = self._context.settings.lease_ms
        if self._in_flight and not 0 <= now - self._renewed_at < lease_ms // 3:
            with self._context.store.transaction() as tx:
                under_way = list(self._in_flight.values())
                claims = [claim for job in under_way for claim in job.claims]
                tx.renew(claims, self._context.timekeeper.now(tx) + lease_ms)
            self._renewed_at = now

    def _deliver_next(self, name: str) -> None:
        _, _, jobs = self._lines[name].get_nowait()
        channel = self._context.channels[name]
        try:
            book = self._context.rulebook.known
            done = deliver(jobs, channel, self._composer, book, self._context.store)
        except Unavailable as error:
            # The store is asked before a channel is: nothing was handed over.
            done = [Sent(job, Retry(f"not begun: {error}", counted=False)) for job in jobs]
        except BaseException as error:
            # Whatever it was, these jobs must come back, or they would be under way for ever.
            log.exception("lane of %s", channel.name)
            done = [Sent(job, Unknown(f"lane raised {type(error).__name__}")) for job in jobs]
        self._outcomes.put(done)
        self._wake.set()

    def _record(self) -> bool:
        """Record what has come back; whether that was anything.

        Until the store takes them, outcomes stay here: what was sent must not be sent again.
        """
        while len(self._unrecorded) < self._context.settings.batch:
            try:
                self._unrecorded += self._outcomes.get_nowait()
            except queue.Empty:
                break
        if not self._unrecorded:
            return False
        self._recording.record(self._unrecorded)
        for sent in self._unrecorded:
            self._in_flight.pop(sent.job.delivery.id, None)
            if sent.job.delivery.id == self._suspect:
                self._suspect = None
        self._unrecorded.clear()
        self._submit_careful()
        return True

    def _finish(self) -> None:
        """Give back what no lane has begun, and record what is still under way."""
        called_off = [name for turn, name in list(self._turns.items()) if turn.cancel()]
        idle = [self._lines[name].get_nowait()[2] for name in called_off]
        for portion in (*idle, *self._careful):
            self._outcomes.put([Sent(job, NOT_BEGUN) for job in portion])
        self._careful.clear()
        deadline = time.monotonic() + STOP_PATIENCE_S
        while self._in_flight and time.monotonic() < deadline:
            try:
                if not self._record():
                    self._wake.wait(RECORD_MS / 1000)
                    self._wake.clear()
            except Unavailable as error:
                log.warning("cannot record %d outcomes: %s", len(self._unrecorded), error)
                self._wake.wait(RECORD_MS / 1000)

    def _left(self) -> dict[str, int]:
        """How much more each channel may have in flight."""
        under_way = Counter(job.delivery.channel for job in list(self._in_flight.values()))
        return {name: max(0, room - under_way[name]) for name, room in self._room.items()}

    def _pause_s(self) -> float:
        """How long nothing can be due for which there is room, at most a second.

        Where a channel gets room again, its outcome wakes the worker.
        """
        left = self._left()
        if not any(left.values()):
            return IDLE_MS / 1000
        with self._context.store.reading() as reader:
            due = reader.next_due(_without(left), SHARES[self._share])
        return self._until(due)

    def _until(self, at: Millis | None) -> float:
        now = self._context.timekeeper.glance()
        return IDLE_MS / 1000 if at is None else min(IDLE_MS, max(1, at - now)) / 1000

    def _tell(self) -> None:
        """Listeners have a thread of their own: a slow one slows nothing else."""
        while not self._stopping.wait(0.0):
            try:
                self._look_at_bounces()
                told = self._listeners.pump()
            except Unavailable as error:
                log.warning("store unavailable for listeners: %s", error)
                told = 0
            if not told:
                self._stopping.wait(TELL_MS / 1000)

    def _look_at_bounces(self) -> None:
        """Whether too much is refused, after something was; what is sent does not wait for it."""
        if self._bounced.is_set():
            self._bounced.clear()
            self._look()


def _without(left: Mapping[str, int]) -> list[str]:
    """Those that have nothing left."""
    return [name for name, count in left.items() if not count]


def _by_channel(jobs: Sequence[Job]) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.delivery.channel, []).append(job)
    return found
