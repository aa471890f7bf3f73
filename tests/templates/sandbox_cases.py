"""What the tests of the sandbox share: one sandbox of each kind, some data, a rendering."""

from __future__ import annotations

from typing import Any

from tactful.templates.sandbox import Sandbox, scope_of

PLAIN = Sandbox()
HTML = Sandbox(html=True)
BIG = "ab" * 50_000
DATA: dict[str, Any] = {
    "user": {"name": "Ann", "tags": ["a", "b"], "items": [1, 2], "none": None},
    "xs": [{"n": 2, "s": "b"}, {"n": 1, "s": "a"}],
    "numbers": list(range(50)),
    "big": BIG,
    "evil": "<script>alert(1)</script>",
    "dunder": "__class__",
    "ints": list(range(5_000)),
}


def render(source: str, data: dict[str, Any] | None = None, *, html: bool = False) -> str:
    sandbox = HTML if html else PLAIN
    return sandbox.run(sandbox.compiled(source), scope_of(DATA if data is None else data))
