"""A private Prometheus that scrapes one target, with the rules that are shipped.

The programs `prometheus` and `promtool` have to be on the PATH; without them it fails and says so.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from tactful.testing.servers.process import PrivateServer, ServerError

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = sorted((ROOT / "deploy/prometheus").glob("*.rules.yml"))
CONFIG: Final = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 500ms
rule_files: [rules/*.yml]
scrape_configs:
  - job_name: tactful
    static_configs: [{targets: ["127.0.0.1:%d"]}]
"""
SPANS: Final = re.compile(r"^( +)for: \S+$", re.M)


def program(name: str) -> str:
    """Where a program of Prometheus is."""
    found = shutil.which(name)
    if found is None:
        raise ServerError(f"no {name} found: apt-get install --no-install-recommends prometheus")
    return found


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    return subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False
    )


class PrometheusServer(PrivateServer):
    """Scrapes a port each second; no alert waits before it fires."""

    name = "prometheus"
    stop_signal = signal.SIGTERM
    parent_died_signal = signal.SIGKILL

    def __init__(self, target: int) -> None:
        super().__init__()
        self._target = target
        self._program = Path(program("prometheus"))

    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.port}"

    def query(self, expr: str) -> list[Any]:
        """What an instant query finds."""
        found = self._ask(f"query?{urlencode({'query': expr})}")["result"]
        assert isinstance(found, list)
        return found

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = self._ask("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def _prepare(self) -> None:
        for name in ("rules", "data"):
            folder = self.folder / name
            folder.mkdir(0o755)
            self._own(folder)
        for path in RULES:
            text, count = SPANS.subn(r"\1for: 0s", path.read_text(encoding="utf-8"))
            assert count, path
            (self.folder / "rules" / path.name).write_text(text, encoding="utf-8")
            self._own(self.folder / "rules" / path.name)
        config = self.folder / "prometheus.yml"
        config.write_text(CONFIG % self._target, encoding="utf-8")
        self._own(config)

    def _command(self) -> Sequence[str | Path]:
        return [
            self._program,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url()}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _ask(self, path: str) -> Any:
        with urlopen(f"{self.url()}/api/v1/{path}", timeout=20) as answer:
            return json.load(answer)["data"]
