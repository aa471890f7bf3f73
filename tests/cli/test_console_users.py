"""`tactful console`, and what `tactful serve` says the first time."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from tactful import Tactful
from tactful.cli.main import tactful
from tactful.cli.serve import _greet
from tactful.http.console.passwords import matches

PASSWORD = "a long enough one"


def run(store: str, *words: str, say: str = "") -> Result:
    return CliRunner().invoke(tactful, ["--store", store, *words], input=say)


def test_a_user_is_added_changed_and_removed(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'tactful.db'}"
    asked = f"{PASSWORD}\n{PASSWORD}\n"
    assert run(store, "console", "users").output == "there is no user\n"
    added = run(store, "console", "add-user", "Ada", "--role", "editor", say=asked)
    assert added.stdout == "ada may log in now\n"
    assert PASSWORD not in added.output
    again = run(store, "console", "add-user", "ada", "--generate")
    assert (again.exit_code, "is the name of a user" in again.output) == (1, True)
    made = run(store, "console", "set-password", "ada", "--generate", "--json")
    password = json.loads(made.stdout)["password"]
    run(store, "console", "set-role", "ada", "admin")
    listed = run(store, "console", "users", "--json")
    assert json.loads(listed.stdout) == {"users": [{"name": "ada", "role": "admin"}]}
    app = Tactful(store)
    user = app.users.get("ada")
    assert user is not None
    assert matches(password, user.password)
    assert not matches(PASSWORD, user.password)
    assert password not in str(app.users.history())
    assert all(one.author.startswith("cli") for one in app.users.history())
    app.close()
    run(store, "console", "remove-user", "ada")
    assert run(store, "console", "users").output == "there is no user\n"


def test_what_is_wrong_is_said_and_nothing_is_stored(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'tactful.db'}"
    short = run(store, "console", "add-user", "ada", say="short\nshort\n")
    assert "password: must have 12 to 200 characters" in short.output
    for words in (("set-role", "bo", "admin"), ("remove-user", "bo")):
        assert "is no user" in run(store, "console", *words).output
    assert run(store, "console", "users").output == "there is no user\n"


def test_the_first_start_makes_a_user_and_shows_the_password_once(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'tactful.db'}"
    app = Tactful(store)
    shown = []
    for _ in range(2):
        with CliRunner().isolation() as (_, err, _), tactful.make_context("t", ["--store", store]):
            _greet(app, "http://127.0.0.1:1")
            shown.append(err.getvalue().decode())
    user = app.users.get("admin")
    assert user is not None

    assert matches(shown[0].partition("admin, password ")[2].split()[0], user.password)
    assert "password" not in shown[1]
    assert "/console/" in shown[1]
    app.close()
