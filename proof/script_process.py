"""Makes processes that follow the script, each ready to be traced from its first system call on.

Started as `python script_process.py`. For each line of JSON on the standard input, the arguments of
`follow`, it forks, says the child's number, and says with which status it ended. A child stops
itself first, until SIGCONT: so the interpreter's own start is no part of what is traced.
"""

import json
import os
import signal
import sys
from pathlib import Path

from proof.script import follow
from tactful.errors import Unavailable

UNAVAILABLE = 69


def main() -> None:
    for line in sys.stdin:
        url, ports, receipts, patient = json.loads(line)
        child = os.fork()
        if not child:
            os.kill(os.getpid(), signal.SIGSTOP)
            try:
                follow(url, tuple(ports), Path(receipts), patient=patient)
            except Unavailable:
                os._exit(UNAVAILABLE)
            os._exit(0)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
