"""Who gets into the console, for how long, and what somebody else's page can do: nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from console_bench import HASH, PASSWORD, Visitor

from tactful import Tactful
from tactful.core.model import HOUR
from tactful.engine.users import User
from tactful.http.console.passwords import hashed
from tactful.http.console.site import AREAS
from tactful.http.service import create_service
from tactful.runtime.clock import ManualClock

PAGES = (
    *("", "deliveries", "recipients", "recipient?id=a", "failed", "broadcasts", "rules"),
    *("rules/edit", "rules/history", "types", "types/edit", "templates", "templates/edit"),
    *("simulator", "keys", "users", "audit", "account"),
)
EDITORS = (
    *("rules/edit", "rules/remove", "rules/revert", "types/edit", "types/remove", "failed"),
    *("templates/edit", "templates/remove", "simulator", "simulator/x/remove"),
    *("deliveries/x/cancel", "deliveries/x/retry", "broadcasts/x/cancel"),
    *("broadcasts/x/pause", "broadcasts/x/resume"),
)
ADMINS = ("keys", "keys/rotate", "keys/revoke", "users", "users/change")
ADMINS_PAGES = {"keys", "users", "audit"}
CHANGES = (*EDITORS, *ADMINS, "account", "logout", "templates/preview")
FORM = {"name": "status", "what": "limit", "amount": "9/minute", "types": "status", "do": "save"}


def state(app: Tactful) -> Any:
    """Everything that a change through the console could have moved."""
    with app.store.reading() as reader:
        return reader.epoch(), reader.last_event(), reader.counts()


def routes() -> list[tuple[str, str]]:
    """Every address of the console with its method."""
    return [
        (method, route.path.strip("/"))
        for area in AREAS
        for route in area.router.routes
        for method in getattr(route, "methods", ())
    ]


def filled(path: str) -> str:
    return (
        path.replace("{delivery_id}", "x").replace("{broadcast_id}", "x").replace("{job_id}", "x")
    )


# Getting in -----------------------------------------------------------------------------------


def test_every_page_but_the_log_in_wants_somebody_who_is_logged_in(service: Any) -> None:
    """Each GET leads to the log-in, and says nothing else."""
    nobody = Visitor(service)
    for method, path in routes():
        if method == "GET" and path != "login":
            answer = nobody.get(filled(path))

            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/console/login?next="), path
            assert answer.content == b"", path


@pytest.mark.parametrize("why", ["made up", "ended", "logged out", "removed"])
def test_a_session_that_is_none_opens_no_route(
    visitor: Callable[..., Visitor], app: Tactful, clock: ManualClock, why: str
) -> None:
    """Neither to look nor, with the right token and from the right place, to change anything."""
    eda = visitor("eda")
    token, cookies = eda.token(), dict(eda.http.cookies)
    if why == "made up":
        cookies = {"tactful_session": cookies["tactful_session"][:-1] + "x"}
    elif why == "ended":
        clock.advance(12 * HOUR)
    elif why == "logged out":
        eda.change("logout")
    else:
        app.users.remove("eda")
    eda.http.cookies.clear()
    eda.http.cookies.update(cookies)
    before = state(app)
    opened = [
        path
        for method, path in routes()
        if path != "login"
        and (
            eda.get(filled(path))
            if method == "GET"
            else eda.post(filled(path), change_token=token, **FORM)
        ).status_code
        != 303
    ]

    assert opened == []
    assert state(app) == before


def test_every_page_is_open_to_the_roles_that_it_is_for(visitor: Callable[..., Visitor]) -> None:
    for name, closed in (("vic", ADMINS_PAGES), ("eda", ADMINS_PAGES), ("ada", set())):
        somebody = visitor(name)
        paths = {path for method, path in routes() if method == "GET"}

        assert {
            path for path in paths if somebody.get(filled(path)).status_code == 403
        } == closed, name


def test_every_change_wants_somebody_who_is_logged_in(service: Any, app: Tactful) -> None:
    nobody = Visitor(service)
    before = state(app)
    known = {filled(path) for method, path in routes() if method == "POST"} - {"login"}
    assert known == set(CHANGES), "a change without a test"
    for path in known:
        assert nobody.post(path, change_token="0" * 64, **FORM).status_code == 303, path

    assert state(app) == before


def test_a_wrong_password_and_a_wrong_name_are_answered_alike(service: Any) -> None:
    visitor = Visitor(service)
    wrong = visitor.log_in("ada", "wrong wrong wrong")
    nobody = visitor.log_in("nobody", "wrong wrong wrong")

    assert (wrong.status_code, nobody.status_code) == (401, 401)
    assert wrong.text.replace("ada", "") == nobody.text.replace("nobody", "")
    assert "set-cookie" not in wrong.headers


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(service: Any) -> None:
    plain = Visitor(service).log_in("ada").headers["set-cookie"].lower()
    tls = Visitor(service)
    tls.http.base_url = "https://testserver"
    safe = tls.post("login", origin="https://testserver", name="ada", password=PASSWORD)

    for part in ("httponly", "samesite=lax", "path=/console", "max-age=43200"):
        assert part in plain
    assert "secure" in safe.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.test/", "//evil.test/", "/\\evil.test", "/console\\@evil.test", "javascript:1"],
)
def test_the_log_in_leads_nowhere_else(service: Any, wanted: str) -> None:
    visitor = Visitor(service)
    answer = visitor.post("login", name="ada", password=PASSWORD, next=wanted)

    assert answer.headers["location"] == "/console/"


def test_the_log_in_leads_back_to_the_page_that_was_wanted(service: Any) -> None:
    visitor = Visitor(service)
    answer = visitor.post("login", name="ada", password=PASSWORD, next="/console/rules?a=b")

    assert answer.headers["location"] == "/console/rules?a=b"


# Trying passwords -----------------------------------------------------------------------------


def test_a_name_can_be_tried_ten_times_and_then_twice_a_minute(
    service: Any, clock: ManualClock
) -> None:
    """From as many addresses as one likes; the right password does not help then."""
    tries = [
        Visitor(service, f"192.0.2.{n}").log_in("ada", "wrong wrong").status_code for n in range(12)
    ]
    assert tries == [401] * 10 + [429] * 2
    refused = Visitor(service, "192.0.2.99").log_in("ada")
    assert refused.status_code == 429
    assert "Try again in 30 s." in refused.text

    clock.advance(30_000)
    assert Visitor(service, "192.0.2.99").log_in("ada").status_code == 303


def test_an_address_can_try_twenty_names(service: Any) -> None:
    visitor = Visitor(service)
    tries = [visitor.log_in(f"user{n}", "wrong wrong").status_code for n in range(22)]

    assert tries == [401] * 20 + [429] * 2
    assert Visitor(service, "192.0.2.77").log_in("ada").status_code == 303


def test_the_tries_outlive_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    url = f"sqlite:///{tmp_path / 'tactful.db'}"
    for _ in range(2):
        app = Tactful(url, clock=clock)
        visitor = Visitor(create_service(app))
        tries = [visitor.log_in("ada", "wrong wrong").status_code for _ in range(10)]
        app.close()

    assert tries == [429] * 10


# Sessions -------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        found: str = request.getfixturevalue("used_store_url")
        return found
    return f"sqlite:///{tmp_path / 'tactful.db'}"


def test_a_session_outlives_a_restart_and_ends_everywhere(url: str, clock: ManualClock) -> None:
    """Two services over one store: logging out of one ends the session in the other."""
    one, two = Tactful(url, clock=clock), Tactful(url, clock=clock)
    one.users.put(User("ada", "admin", HASH))
    here = Visitor(create_service(one))
    here.log_in("ada")
    there = Visitor(create_service(two))
    there.http.cookies = here.http.cookies

    assert there.get("").status_code == 200
    kept = dict(here.http.cookies)
    here.change("logout")
    there.http.cookies.update(kept)

    assert there.get("").status_code == 303
    one.close()
    two.close()


def test_a_session_ends_after_twelve_hours(
    visitor: Callable[..., Visitor], clock: ManualClock
) -> None:
    ada = visitor()
    clock.advance(12 * HOUR - 1)
    assert ada.get("").status_code == 200
    clock.advance(1)

    assert ada.get("").status_code == 303


def test_logging_in_gives_another_session_and_ends_the_one_before(
    visitor: Callable[..., Visitor], service: Any
) -> None:
    """A session that somebody planted or saw is worth nothing afterwards."""
    ada = visitor()
    before = ada.http.cookies["tactful_session"]
    ada.log_in("ada")
    other = Visitor(service)
    other.http.cookies.set("tactful_session", before, domain="testserver.local", path="/console")

    assert ada.http.cookies["tactful_session"] != before
    assert other.get("").status_code == 303


@pytest.mark.parametrize("change", ["password", "role", "removed"])
def test_no_session_survives_a_new_password_or_another_role(
    visitor: Callable[..., Visitor], app: Tactful, change: str
) -> None:
    """Whoever made the change, and in whichever process."""
    sessions = [visitor("eda"), visitor("eda")]
    eda = app.users.get("eda")
    assert eda is not None
    if change == "removed":
        app.users.remove("eda")
    elif change == "role":
        app.users.put(replace(eda, role="viewer"))
    else:
        app.users.put(replace(eda, password=hashed("another good password")))

    assert [one.get("").status_code for one in sessions] == [303, 303]


def test_changing_ones_own_password_keeps_only_this_session(
    visitor: Callable[..., Visitor], service: Any
) -> None:
    here, there = visitor("eda"), visitor("eda")
    wrong = here.change("account", old="wrong wrong wrong", new="another good password")
    assert wrong.status_code == 422
    short = here.change("account", old=PASSWORD, new="short")
    assert "must have 12 to 200 characters" in short.text
    assert here.change("account", old=PASSWORD, new="another good password").status_code == 303

    assert here.get("").status_code == 200
    assert there.get("").status_code == 303
    assert Visitor(service).log_in("eda").status_code == 401


def test_an_administrator_ends_all_sessions_of_a_user(visitor: Callable[..., Visitor]) -> None:
    eda, ada = visitor("eda"), visitor("ada")
    ada.change("users/change", name="eda", do="end")

    assert eda.get("").status_code == 303


@pytest.mark.parametrize(
    "cookie", ["", ".", "YWRh", "YWRh.", "YWRh.0", "=.=", "a" * 4000, "\u00ff.x", "YWRh.%00"]
)
def test_a_made_up_cookie_opens_nothing(service: Any, cookie: str) -> None:
    raw = f"tactful_session={cookie}".encode("latin-1")
    answer = Visitor(service).http.get("/console/", headers={b"Cookie": raw})

    assert answer.status_code == 303


def test_nothing_that_is_stored_opens_the_console(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    """Neither the password nor what the cookie holds is in the store."""
    secret = visitor().http.cookies["tactful_session"].partition(".")[2]
    with app.store.reading() as reader:
        kept = str(reader.note("console.sessions:ada")) + str(reader.policy_history("user"))

    assert secret[:20] not in kept
    assert PASSWORD not in kept
    assert "$argon2id$" in kept


# Roles ----------------------------------------------------------------------------------------


def test_a_viewer_sees_and_changes_nothing(visitor: Callable[..., Visitor], app: Tactful) -> None:
    vic = visitor("vic")
    before = state(app)
    for path in (*EDITORS, *ADMINS):
        assert vic.change(path, **FORM).status_code == 403, path
    hidden = [path for path in PAGES if vic.get(path).status_code != 200]

    assert hidden == ["keys", "users", "audit"]
    assert state(app) == before


def test_an_editor_touches_neither_keys_nor_users(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    eda = visitor("eda")
    before = state(app)
    for path in ADMINS:
        assert eda.change(path, name="ada", role="viewer", do="save").status_code == 403, path

    assert state(app) == before
    assert (
        eda.change("rules/edit", **FORM, seen="1").headers["location"].startswith("/console/rules?")
    )


def test_nobody_raises_or_removes_themselves(visitor: Callable[..., Visitor]) -> None:
    """So that at least one administrator is left."""
    ada = visitor()
    for do in ("save", "remove"):
        assert ada.change("users/change", name="ada", do=do, role="viewer").status_code == 422


# Other sites ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        *(None, "", "null", "https://evil.test", "http://testserver.evil.test"),
        *(
            "http://evil.test/http://testserver",
            "http://testserver:81",
            "http://testserver@evil.test",
        ),
        *("http://evil.test#testserver", "file://", "http://", "testserver"),
    ],
)
def test_a_change_from_another_site_changes_nothing(
    visitor: Callable[..., Visitor], app: Tactful, origin: str | None
) -> None:
    """Although it knows the session and the token: the origin alone is enough to refuse it."""
    ada = visitor()
    token = ada.token()
    before = state(app)
    for path in CHANGES:
        answer = ada.post(path, origin=origin, change_token=token, **FORM)
        assert answer.status_code == 403, path

    assert state(app) == before
    assert (
        Visitor(ada.http.app).post("login", origin, name="ada", password=PASSWORD).status_code
        == 403
    )


@pytest.mark.parametrize("token", ["", "0" * 64, "\u00e9", "other"])
def test_a_change_without_the_token_of_the_session_changes_nothing(
    visitor: Callable[..., Visitor], app: Tactful, token: str
) -> None:
    ada = visitor()
    given = visitor("eda").token() if token == "other" else token
    before = state(app)
    for path in CHANGES:
        assert ada.post(path, change_token=given, **FORM).status_code == 403, path

    assert state(app) == before


def test_nothing_is_changed_by_asking_for_a_page(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    """A GET with all that a form has is no change, and HEAD neither."""
    ada = visitor()
    token = ada.token()
    before = state(app)
    for path in CHANGES:
        ada.http.get(f"/console/{path}", params={"change_token": token, **FORM})
        ada.http.head(f"/console/{path}")

    assert state(app) == before
    assert ada.get("").status_code == 200


def test_a_form_has_a_bound(visitor: Callable[..., Visitor]) -> None:
    ada = visitor()
    huge = ada.change("templates/edit", name="x", text="x" * 1_100_000)
    many = ada.change("rules/edit", **{f"a{n}": "" for n in range(300)})

    assert (huge.status_code, many.status_code) == (413, 400)


# Headers --------------------------------------------------------------------------------------


def test_every_answer_forbids_scripts_and_frames_of_others(
    visitor: Callable[..., Visitor], service: Any
) -> None:
    ada = visitor()
    answers = [ada.get(path) for path in (*PAGES, "nowhere", "static/console.css")]
    answers += [Visitor(service).get(""), ada.post("rules/edit", origin=None)]
    for answer in answers:
        policy = answer.headers["content-security-policy"]

        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert all(a.headers["cache-control"] == "no-store" for a in answers if "css" not in str(a.url))


def test_no_page_has_a_script_or_a_style_within(visitor: Callable[..., Visitor]) -> None:
    ada = visitor()
    for path in PAGES:
        text = ada.get(path).text.lower()

        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert text.count("<script") == text.count('<script src="/console/static/') == 2


def test_no_password_is_logged(service: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the field for it nor in the one for the name."""
    with caplog.at_level(logging.DEBUG):
        Visitor(service).log_in("my-secret-canary", "my-secret-canary")

    assert "my-secret-canary" not in caplog.text
    assert "failed" in caplog.text
