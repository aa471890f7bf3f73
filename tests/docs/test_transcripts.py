"""The commands in the pages print what the pages say."""

from __future__ import annotations

from pathlib import Path

import pytest
from transcripts import commands, fitted, is_played, normal, played

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PLAYED = [path for path in PAGES if is_played(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_stands_below_a_command_is_what_it_prints(path: Path, tmp_path: Path) -> None:
    """Where it is not, `make docs` writes what it prints, and shows whether that is wanted."""
    shown = path.read_text(encoding="utf-8")

    printed = played(shown, tmp_path)

    assert normal(printed).splitlines() == normal(shown).splitlines(), "run `make docs`"


def test_a_command_goes_on_until_it_is_whole() -> None:
    """Quotes, a backslash and a loop go over lines; the rest is output."""
    block = "$ a 'b\n  c'\n$ d \\\n    e  # it's\nsaid\n$ for x in 1; do\n  y\ndone\nz\n"

    assert commands(block) == [
        ("a 'b\n  c'", []),
        ("d \\\n    e  # it's", ["said"]),
        ("for x in 1; do\n  y\ndone", ["z"]),
    ]


def test_what_is_left_out_is_left_out_again() -> None:
    """Lines that stand for others keep their place, and a page that says otherwise is found out."""
    printed = ["one", "2 of 01a202949c6b7000b90d2e01d000bb13", "three", "four"]

    assert fitted(["one", "...", "four"], printed) == ["one", "...", "four"]
    assert fitted(["...", f"2 of {'0' * 32}", "..."], printed) == ["...", printed[1], "..."]
    assert fitted(["one", "...", "five"], printed) == printed
    assert fitted(["two", "..."], printed) == printed


def test_what_differs_is_written_and_ids_mean_the_same_all_the_way_down(tmp_path: Path) -> None:
    """A page that is wrong comes out right: outputs, and the ids in commands and files."""
    old, stale = "1" * 32, "stale"
    page = f"""
```console run
$ od -An -N16 -tx1 /dev/urandom | tr -d ' \\n'
{old}
```

```text save name
{old}
```

```console run
$ test $(cat name) = {old} && echo "the same on 127.0.0.1:8700"
{stale}
$ false
$ echo $?
{stale}
```
"""

    printed = played(page, tmp_path)

    (new,) = {line for line in printed.splitlines() if len(line) == len(old)}
    assert new != old
    right = page.replace(old, new).replace(stale, "the same on 127.0.0.1:8700", 1)
    assert printed == right.replace(stale, "1")
    assert normal(printed) != normal(page)


def test_a_command_that_fails_unseen_is_an_error(tmp_path: Path) -> None:
    """An exit code that is not asked for has to be 0."""
    with pytest.raises(AssertionError, match="false\nends with 1"):
        played("```console run\n$ false\n```\n", tmp_path)
