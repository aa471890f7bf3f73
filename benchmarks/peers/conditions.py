"""Under which conditions a run was made: the machine, the day, the versions."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

import tactful


def observed() -> dict[str, Any]:
    """What stands at the head of the figures."""
    return {
        "benchmark": "peers",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "tactful": tactful.__version__,
        "sqlite": apsw.sqlite_lib_version(),
        "sink": sink(),
    }


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def sink() -> str:
    """Which mail server takes the mails: see `benchmarks.end_to_end.smtp_sink`."""
    if shutil.which("smtp-sink") is None and shutil.which("smtp-sink", path="/usr/sbin") is None:
        return "tactful.testing.smtp_sink, in Python: it holds the faster ones back"
    postconf = shutil.which("postconf") or shutil.which("postconf", path="/usr/sbin")
    version = ""
    if postconf is not None:
        done = subprocess.run(
            [postconf, "-d", "-h", "mail_version"], capture_output=True, text=True, check=False
        )
        version = done.stdout.strip()
    return f"smtp-sink of Postfix {version}".strip()
