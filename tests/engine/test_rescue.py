"""What a worker that vanished has left behind goes on like everything else."""

from engine_bench import HOUR, Bench

from tactful import Accepted, Retry, State, Tactful
from tactful.stores.memory import MemoryStore
from tactful.testing import CaptureChannel


def test_what_was_rescued_and_is_refused_for_now_is_tried_again() -> None:
    """It goes alone, since its worker vanished; the answer "later" does not end that."""
    bench = Bench(MemoryStore())
    receipt = bench.send()
    bench.vanish()
    answers = iter([Retry("busy"), Accepted()])
    app = Tactful(
        bench.store,
        channels=[CaptureChannel("post", lambda _: next(answers))],
        clock=bench.clock,
    )
    with app:
        app.drain()
        bench.clock.advance(HOUR)
        settled = app.drain(timeout_s=10)

    assert settled
    assert bench.delivery(receipt).state is State.SENT
