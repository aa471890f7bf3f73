"""Programs with and without OpenTelemetry, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TRACE = f"00-{5:032x}-{6:016x}-01"

BLOCKED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""

SET_UP = """
import os
from opentelemetry import context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
exporter = ConsoleSpanExporter(
    out=open(os.environ["SPANS"], "a"), formatter=lambda span: span.to_json(None) + "\\n"
)
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
context.attach(propagate.extract({"traceparent": os.environ["TRACE"]}))
"""
"""What `opentelemetry-instrument` does before the program begins, in short."""

COMMAND = """
from tactful.cli.main import main
main()
"""

LIBRARY = """
from tactful import Tactful
from tactful.testing import CaptureChannel

app = Tactful("memory://", channels=[CaptureChannel("post")])
app.send(type="news", to="ada", text="w")
print(dict(app.tick()), [name for name in sys.modules if name.startswith("opentelemetry")])
"""

SERVICE = """
from fastapi.testclient import TestClient
from tactful import Tactful
from tactful.http.service import create_service

app = Tactful("memory://")
with TestClient(create_service(app), raise_server_exceptions=False) as client:
    for path in ("v1/recipients/canary", "console/canary?q=canary", "t/u/canary", "canary"):
        client.get("/" + path)
        client.post("/" + path, json="canary")
"""


def ran(program: str, *arguments: str, cwd: Path, **more: str) -> str:
    """What a program says in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_the_package_everything_else_is_as_ever(tmp_path: Path) -> None:
    assert ran(BLOCKED + LIBRARY, cwd=tmp_path) == "{'delivered': 1} []\n"
    said = ran(BLOCKED + COMMAND, *_send(tmp_path), cwd=tmp_path)
    assert json.loads(said)["decision"] == "send"
    assert json.loads(ran(BLOCKED + COMMAND, *_work(tmp_path), cwd=tmp_path))["events"]["delivered"]


def test_where_it_is_not_asked_for_the_package_is_not_loaded(tmp_path: Path) -> None:
    assert ran("import sys" + LIBRARY, cwd=tmp_path) == "{'delivered': 1} []\n"


def test_commands_are_traced_where_somebody_has_set_it_up(tmp_path: Path) -> None:
    """Two processes: one that submits within a trace, and one that works."""
    spans = tmp_path / "spans"
    more = {"SPANS": str(spans), "TRACE": TRACE}
    ran(SET_UP + COMMAND, *_send(tmp_path), cwd=tmp_path, **more)
    ran(SET_UP + COMMAND, *_work(tmp_path), cwd=tmp_path, **{**more, "TRACE": ""})
    sent, processed = (json.loads(line) for line in spans.read_text().splitlines())
    assert (sent["name"], processed["name"]) == ("send inbox", "process inbox")
    assert int(sent["parent_id"], 16) == 6
    assert processed["parent_id"] == sent["context"]["span_id"]
    assert {int(span["context"]["trace_id"], 16) for span in (sent, processed)} == {5}


def test_the_framework_tells_nothing_by_itself(tmp_path: Path) -> None:
    """Its spans would say whose addresses and tokens are asked for."""
    spans = tmp_path / "spans"
    ran(SET_UP + SERVICE, cwd=tmp_path, SPANS=str(spans), TRACE="")
    assert spans.read_text() == ""


def _send(place: Path) -> tuple[str, ...]:
    store = f"sqlite:///{place / 'notify.db'}"
    words = ("news", "ada", "--text", "w", "--channel", "inbox")
    return ("send", *words, "--json", "--store", store)


def _work(place: Path) -> tuple[str, ...]:
    return ("work", "--once", "--json", "--store", f"sqlite:///{place / 'notify.db'}")
