"""People from the command line and from files."""

import json
from pathlib import Path

import pytest

CSV = """id,email,name,timezone,locale,mute,address.sms
ada,ada@example.com,Ada,Europe/Berlin,de,type:news;category:offers,+4912345
,bob@example.com,,,,,
"""


def people(run):
    return run("recipients", "list", "--json").data["recipients"]


def test_csv_with_all_columns(run, here: Path):
    (here / "people.csv").write_text(CSV)

    said = run("recipients", "import", "people.csv")

    assert said.out == "imported 2, of which 2 new; bad lines left out: 0\n"
    ada, bob = people(run)
    assert ada["addresses"] == {"sms": "+4912345", "email": "ada@example.com"}
    assert ada["mute"] == ["category:offers", "type:news"]
    assert (ada["timezone"], ada["locale"], ada["name"]) == ("Europe/Berlin", "de", "Ada")
    assert (bob["id"], bob["timezone"]) == ("bob@example.com", "UTC")


def test_csv_as_spreadsheets_write_it(run):
    text = '\ufeffid,name\r\nada,"Lovelace, Ada"\r\n\r\nbob,"Two\r\nlines"\r\n'

    said = run("recipients", "import", "-", "--skip-bad", stdin=text.encode())

    assert people(run)[0]["name"] == "Lovelace, Ada"
    message = "line 4: name: must be a text without control characters, at most 200"
    assert message in said.err


def test_json_lines_from_stdin(run):
    lines = [
        {"id": "ada", "addresses": {"sms": "+4912345"}, "mute": ["all"], "name": None},
        {"email": "bob@example.com"},
    ]

    said = run(
        "recipients", "import", "-", "--json", stdin="\n".join(json.dumps(one) for one in lines)
    )

    assert said.data == {"imported": 2, "new": 2, "bad": [], "bad_count": 0}
    assert [one["id"] for one in people(run)] == ["ada", "bob@example.com"]


def test_bad_lines_are_told_with_their_numbers_and_nobody_is_imported(run, here: Path):
    (here / "people.csv").write_text(
        "id,timezone,mute\nada,Mars,\nbob,UTC,spam\neve,UTC\n,UTC,\ntom,UTC,\n"
    )

    said = run("recipients", "import", "people.csv")

    assert said.code == 1
    assert "error: line 2: timezone: must be an IANA zone" in said.err
    assert "error: line 3: mute: must be all" in said.err
    assert "error: line 4: line: must have 3 columns (got 2)" in said.err
    assert "error: line 5: id: must be a text" in said.err
    assert people(run) == []

    skipped = run("recipients", "import", "people.csv", "--skip-bad", "--json")
    assert skipped.code == 0
    assert (skipped.data["imported"], skipped.data["bad_count"]) == (1, 4)
    assert [one["id"] for one in people(run)] == ["tom"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "no JSON"),
        (b"[]", "line: must be a JSON object"),
        (b'{"id": 3}', "id: must be a text (got 3)"),
        (b'{"id": "a", "age": 3}', "age: is no field"),
        (b'{"id": "a", "mute": "all"}', "mute: must be a list"),
        (b'{"id": "a", "mute": [1]}', "mute: must be all"),
        (b'{"id": "a", "addresses": {"sms": 1}}', "addresses: must map kinds to addresses"),
        (b'{"id": "\xff"}', "no JSON"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_person_in_json(run, here: Path, line: bytes, says: str):
    (here / "people.jsonl").write_bytes(b'{"id": "ok"}\n\n' + line + b"\n")

    said = run("recipients", "import", "people.jsonl")

    assert said.code == 1
    assert f"line 3: {says}" in said.err


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"id,age", "header: must name columns among id, email"),
        (b"name", "header: must have id or email"),
        (b"id,id", "header: must have id or email, and no column twice"),
        (b"", "header: must have id or email"),
        (b'"id" x', "header: must be CSV"),
    ],
)
def test_a_header_that_makes_no_sense(run, here: Path, head: bytes, says: str):
    (here / "people.csv").write_bytes(head + b"\nx,y\n")

    said = run("recipients", "import", "people.csv")

    assert said.code == 1
    assert says in said.err


def test_bytes_that_are_not_utf_8(run, here: Path):
    (here / "people.csv").write_bytes(b"id,name\nada,Ad\xe9\n")

    assert "line 2: name: must be UTF-8" in run("recipients", "import", "people.csv").err


def test_more_people_than_one_batch(run, here: Path):
    (here / "people.csv").write_text("id\n" + "".join(f"user{n}\n" for n in range(2_345)))

    assert run("recipients", "import", "people.csv", "--json").data["new"] == 2_345
    again = run("recipients", "import", "people.csv", "--json").data
    assert (again["imported"], again["new"]) == (2_345, 0)
    page = run("recipients", "list", "--after", "1000", "--limit", "2")
    assert "user1000" in page.out
    assert "(go on with --after 1002)" in page.out


def test_add_change_and_remove(run):
    run("recipients", "add", "Ada", "--email", "ada@example.com", "--address", "sms=+49123")
    run("recipients", "add", "ada", "--name", "Ada", "--timezone", "Europe/Paris")

    (ada,) = people(run)
    assert (ada["id"], ada["name"], ada["timezone"]) == ("ada", "Ada", "Europe/Paris")
    assert run("recipients", "remove", "ada").out == "removed ada\n"
    assert people(run) == []
