# /// script
# requires-python = ">=3.12"
# dependencies = ["cue-notify==0.6.0"]
# ///
"""cue-notify, embedded: one `check` after the other under three caps, on a SQLite file."""

from __future__ import annotations

from pathlib import Path

import measuring
from cue_notify.embedded import Gate


def main() -> None:
    job = measuring.job()
    caps = {"shipping": [("PT1H", 100), ("P1D", 300), ("P1D", 500)][: job["rules"]]}
    with Gate(Path(job["folder"]) / "cue.db", quiet_hours=None, caps=caps) as gate:

        def hit(person: str) -> bool:
            return bool(gate.check(person, category="shipping").action == "send")

        measuring.report(measuring.decisions(hit, job))


if __name__ == "__main__":
    main()
