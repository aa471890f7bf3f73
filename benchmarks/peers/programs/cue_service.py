# /// script
# requires-python = ">=3.12"
# dependencies = ["cue-notify[postgres]==0.6.0"]
# ///
"""cue-notify as a service: its schema and a key are made, the key is printed, and it is served.

Nobody works: mails are admitted and wait. The mail channel writes to the console, so that there is
one.
"""

from __future__ import annotations

import os
import subprocess
import sys

import measuring


def main() -> None:
    job = measuring.job()
    os.environ["CUE_DATABASE__URL"] = job["url"]
    os.environ["CUE_CHANNELS__EMAIL__PROVIDER"] = "console"
    cue = [sys.executable, "-m", "cue_notify"]
    subprocess.run([*cue, "db", "upgrade"], check=True, capture_output=True)
    made = subprocess.run([*cue, "keys", "create", "bench"], check=True, capture_output=True)
    key = next(line for line in made.stdout.decode().splitlines() if line.startswith("ck_"))
    measuring.report({"key": key})
    os.execv(sys.executable, [*cue, "serve", "--port", str(job["port"])])


if __name__ == "__main__":
    main()
