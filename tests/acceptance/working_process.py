"""A worker process: sends what is due until its input ends, then says how many it has sent.

Started as `python working_process.py URL`; says `ready` when it is at work.
"""

import sys

from tactful import Tactful
from tactful.testing import CaptureChannel


def main(url: str) -> None:
    channel = CaptureChannel("post", concurrency=2)
    app = Tactful(url, channels=[channel])
    with app:
        print("ready", flush=True)
        sys.stdin.read()
    app.close()
    print(len(channel.messages))


if __name__ == "__main__":
    main(*sys.argv[1:])
