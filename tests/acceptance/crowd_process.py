"""A process of several threads that all send to the same person at once, round after round.

Started as `python crowd_process.py URL THREADS`; reads a recipient from each line, and says `done`
when every thread has had its answer. At the end of its input it waits until nothing is due, and
writes what it was told and what it handed over, as one JSON object.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from tactful import Accepted, Message, Tactful
from tactful.testing import CaptureChannel


def main(url: str, threads: str) -> None:
    pause = threading.Event()

    def takes_its_time(_: Message) -> Accepted:
        pause.wait(0.02)
        return Accepted(arrived=True)

    channel = CaptureChannel("post", takes_its_time, concurrency=16, batch=4)
    app = Tactful(url, channels=[channel])
    start = threading.Barrier(int(threads))
    answers: list[tuple[str, str]] = []

    def send(to: str) -> None:
        start.wait()
        answers.append((to, app.send(type="news", to=to, text="x").decision))

    with app, ThreadPoolExecutor(int(threads)) as pool:
        print("ready", flush=True)
        for line in sys.stdin:
            list(pool.map(send, [line.strip()] * int(threads)))
            print("done", flush=True)
        app.drain(60)
    app.close()
    sent = [message.recipient for message in channel.messages]
    print(json.dumps({"answers": answers, "sent": sent}))


if __name__ == "__main__":
    main(*sys.argv[1:])
