"""What each page of the console shows and changes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable

import pytest
from console_bench import HASH, Visitor
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful import Recipient, Tactful
from tactful.channels.capture import CaptureChannel
from tactful.channels.rehearsal import Rehearsal
from tactful.core.model import DAY, NotificationType, State
from tactful.engine.users import User
from tactful.http.console.listing import newest
from tactful.http.console.pages import every
from tactful.http.console.pulse import Pulse
from tactful.http.console.simulator import examples
from tactful.http.service import create_service
from tactful.http.simulations import bounded
from tactful.runtime.clock import ManualClock
from tactful.templates.library import Template

AREAS = (
    *("", "deliveries", "recipients", "failed", "broadcasts", "rules", "rules/edit"),
    *("rules/history", "types", "types/edit", "templates", "templates/edit", "simulator"),
    *("keys", "users", "audit", "account"),
)
RULE = {"name": "status", "what": "limit", "types": "status", "do": "save"}


@pytest.mark.parametrize("area", AREAS)
def test_every_page_is_there_on_an_empty_store_and_on_a_used_one(
    area: str, visitor: Callable[..., Visitor], app: Tactful
) -> None:
    ada = visitor()
    assert ada.get(area).status_code == 200
    for _ in range(5):
        app.send(type="status", to="bo@example.com", text="x")
    app.broadcast(type="news", text="all")
    app.tick()

    assert ada.get(area).status_code == 200


# Deliveries -----------------------------------------------------------------------------------


def test_a_delivery_says_why_it_waits_until_when_and_can_be_called_off(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    receipts = [app.send(type="status", to="bo@example.com", text=str(n)) for n in range(3)]
    waits = receipts[2].delivery_id
    eda = visitor("eda")
    page = eda.get(f"deliveries/{waits}").text

    assert "waits because of rule status (2/minute)" in page
    assert "in 60 s" in page
    assert "What fills the window of status" in page
    answer = eda.change(f"deliveries/{waits}/cancel")
    assert answer.headers["location"].endswith("said=cancelled")
    assert app.counts()[State.CANCELLED] == 1
    assert eda.get("deliveries/unknown").status_code == 404


def test_what_a_message_says_is_a_document_of_its_own(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    receipt = app.send(type="news", to="bo", subject="<b>", text="<i>", html="<p>As written</p>")
    answer = visitor("vic").get(f"deliveries/{receipt.delivery_id}/content")

    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "<p>As written</p>" in answer.text
    assert "&lt;b&gt;" in answer.text
    assert "&lt;i&gt;" in answer.text


@pytest.mark.parametrize("name", ["", "status", "bo@example.com", "deferred"])
def test_deliveries_can_be_filtered(
    visitor: Callable[..., Visitor], app: Tactful, name: str
) -> None:
    """By state, by recipient however it is spelled, and by notification."""
    for who in ("bo@example.com", "cy@example.com"):
        receipts = [app.send(type="status", to=who, text="x") for _ in range(3)]
    ada = visitor()
    last = receipts[-1].notification_id

    def rows(query: str) -> int:
        return len(re.findall(r"<tr>\s*<td>", ada.get(f"deliveries?{query}").text))

    assert rows("") == 6
    assert rows("recipient=BO@Example.com") == 3
    assert rows("state=deferred") == 2
    assert rows(f"notification={last}") == 1
    assert rows(f"notification={last}&state=sent") == 0
    assert rows("state=nonsense") == 6


@given(
    gaps=st.lists(st.sampled_from([0, 0, 0, 1, 50, 5_000, 3 * DAY]), min_size=1, max_size=120),
    limit=st.integers(1, 9),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_paging_from_the_newest_gives_each_delivery_once(gaps: list[int], limit: int) -> None:
    """However they lie in time: all of them, newest first, never more than a page at once."""
    clock = ManualClock(1_790_000_000_000)
    app = Tactful("memory://", clock=clock)
    for number, gap in enumerate(gaps):
        clock.advance(gap)
        app.send(type="x", to="bo" if number % 3 else "cy", text=str(number))
    with app.store.reading() as reader:
        for wanted in ({}, {"recipient": "bo"}, {"state": State.QUEUED}):
            expected = [row.id for row in reader.deliveries(limit=10_000, **wanted)][::-1]
            found: list[str] = []
            before = ""
            while True:
                rows, before = newest(reader, clock.now(), before=before, limit=limit, **wanted)
                assert len(rows) <= limit
                found += [row.id for row in rows]
                if not before:
                    break
            assert found == expected
    app.close()


# What failed ----------------------------------------------------------------------------------


def test_what_failed_is_listed_and_sent_again(clock: ManualClock) -> None:
    app = Tactful("memory://", clock=clock, channels=[Rehearsal(CaptureChannel("mail"))])
    app.users.put(User("ada", "admin", HASH))
    ids = [app.send(type="x", to="perm-fail@tactful.test", text="x").delivery_id for _ in range(3)]
    app.tick()
    ada = Visitor(create_service(app))
    ada.log_in("ada")
    assert "a test address that refuses everything" in ada.get("failed").text
    ada.change("failed", **{f"id-{ids[0]}": "yes", f"id-{ids[2]}": "yes"})

    assert app.counts() == {State.FAILED: 1, State.QUEUED: 2}
    again = ada.change(f"deliveries/{ids[1]}/retry").headers["location"]
    assert again.endswith("said=queued")
    again = ada.change(f"deliveries/{ids[1]}/retry").headers["location"]
    assert again.endswith("said=not-queued")
    app.close()


# People ---------------------------------------------------------------------------------------


def test_a_person_is_found_by_any_address_with_all_that_was_meant_for_them(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    app.recipients.put(Recipient("bo", name="Bo", email="bo@example.com", mute=("type:spam",)))
    app.recipients.suppress("bo@example.com", reason="complained")
    for _ in range(3):
        app.send(type="status", to="bo", text="x", channels=["inbox"])
    page = visitor("vic").get("recipient?id=BO@example.com").text

    assert "<h1>Bo</h1>" in page
    assert "type:spam" in page
    assert "complained" in page
    assert page.count("waits because of rule status") == 1
    assert "not registered" in visitor("vic").get("recipient?id=nobody@example.com").text
    assert visitor("vic").get("recipient?id=").status_code == 422


# Rules ----------------------------------------------------------------------------------------


def test_a_rule_is_changed_with_its_author_and_put_back(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    eda = visitor("eda")
    seen = re.search(r'name="seen" value="(\d+)"', eda.get("rules/edit?name=status").text)
    assert seen is not None
    eda.change("rules/edit", **RULE, amount="9/minute", seen=seen[1])
    last = app.rules.history("status")[-1]
    assert (last.author, last.body and last.body["limit"]) == ("console:eda", "9/minute")

    eda.change("rules/revert", version=seen[1])
    rule = app.rules.get("status")
    assert rule is not None
    assert str(rule.limit) == "2/minute"
    assert app.rules.history("status")[-1].author == "console:eda"
    eda.change("rules/remove", name="status")
    assert app.rules.list() == []


def test_a_form_keeps_every_field_of_a_rule(visitor: Callable[..., Visitor], app: Tactful) -> None:
    """What is saved as it is shown is the rule as it was."""
    fields = {
        "name": "all",
        "what": "limit",
        "amount": "9/day calendar",
        "types": "a, b",
        "categories": "c",
        "channels": "inbox",
        "priorities": "low, normal, high",
        "per": "recipient+type",
        "on_limit": "digest",
        "exempt": "critical",
        "reserve": "high=2",
        "burst": "",
        "new": "yes",
    }
    eda = visitor("eda")
    assert eda.change("rules/edit", **fields).status_code == 303
    before = app.rules.get("all")
    page = eda.get("rules/edit?name=all").text
    shown = dict(re.findall(r'<input id="f-(\w+)" name="\w+" type="text" value="([^"]*)"', page))
    shown |= dict(
        re.findall(
            r'name="(\w+)"[^>]*>\s*(?:<option[^>]*>[^<]*</option>\s*)*'
            r'<option value="([^"]*)" selected',
            page,
        )
    )
    seen = re.search(r'name="seen" value="(\d+)"', page)
    assert seen is not None
    assert eda.change("rules/edit", **shown, seen=seen[1]).status_code == 303

    assert before is not None
    assert before.to_dict() == app.rules.get("all").to_dict()  # type: ignore[union-attr]
    assert set(before.to_dict()) >= {"types", "categories", "exempt", "reserve", "per", "on_limit"}


def test_a_rule_that_is_none_is_explained_beside_its_form(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    answer = visitor("eda").change("rules/edit", **RULE, amount="often")

    assert answer.status_code == 422
    assert "must read like &#39;2/minute&#39;" in answer.text
    assert 'value="often"' in answer.text
    assert len(app.rules.history()) == 1


def test_two_who_edit_a_rule_do_not_overwrite_each_other(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    eda, ada = visitor("eda"), visitor("ada")
    seen = str(app.rules.history("status")[-1].version)
    assert eda.change("rules/edit", **RULE, amount="3/minute", seen=seen).status_code == 303
    late = ada.change("rules/edit", **RULE, amount="4/minute", seen=seen)

    assert late.status_code == 422
    assert "was changed by somebody else" in late.text
    taken = ada.change("rules/edit", **RULE, amount="4/minute", new="yes")
    assert "is the name of a rule in force" in taken.text


def test_a_preview_says_what_a_change_would_have_done_and_changes_nothing(
    visitor: Callable[..., Visitor], app: Tactful, clock: ManualClock
) -> None:
    for _ in range(4):
        app.send(type="status", to="bo@example.com", text="x")
    app.tick()
    clock.advance(30_000)
    form = {**RULE, "do": "preview", "span": "1 hour", "amount": "1/minute", "seen": "1"}
    page = visitor("eda").change("rules/edit", **form).text
    preview = re.sub(r"<[^>]+>|\s+", " ", page.partition('id="preview"')[2])

    assert "4 deliveries to 1 people were submitted" in re.sub(r" +", " ", preview)
    assert "1 person would get something later" in re.sub(r" +", " ", preview)
    assert len(app.rules.history()) == 1


# Types and templates --------------------------------------------------------------------------


def test_types_are_added_changed_and_removed(visitor: Callable[..., Visitor], app: Tactful) -> None:
    eda = visitor("eda")
    form = {"name": "Offer", "category": "marketing", "priority": "low", "ttl": "2d"}
    eda.change("types/edit", **form, mandatory="yes", tracked="no", new="yes")
    assert app.types.list() == [
        NotificationType("offer", "marketing", (), "low", 2 * DAY, "retry", True, False)
    ]
    assert "172800000ms" in eda.get("types/edit?name=offer").text
    wrong = eda.change("types/edit", **{**form, "ttl": "long"})
    assert "must be like 90s" in wrong.text
    eda.change("types/remove", name="offer")

    assert app.types.list() == []
    assert app.types.history()[-1].author == "console:eda"


def test_templates_are_added_changed_and_removed(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    eda = visitor("eda")
    form = {"name": "hi", "locale": "de", "subject": "Hallo", "text": "a\r\nb", "new": "yes"}
    eda.change("templates/edit", **form)
    assert app.templates.list() == [Template("hi", "de", "", "Hallo", "a\nb", None)]
    assert "is the name of a template in force" in eda.change("templates/edit", **form).text
    wrong = eda.change("templates/edit", name="x", text="{% if %}", new="yes")
    assert wrong.status_code == 422
    assert "line 1" in wrong.text
    eda.change("templates/remove", key="hi/de")

    assert app.templates.list() == []


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ({"subject": "Hi {{ n }}", "html": "<b>{{ n }}</b>", "data": '{"n": "<x>"}'}, "&lt;x&gt;"),
        ({"text": "{{ missing }}"}, "cannot be rendered"),
        ({"text": "x", "data": "{"}, "is no JSON"),
        ({"text": "x", "data": "[]"}, "must be an object"),
    ],
)
def test_a_template_is_previewed_without_being_stored(
    visitor: Callable[..., Visitor], app: Tactful, form: dict[str, str], shown: str
) -> None:
    answer = visitor("vic").change("templates/preview", name="n", **form)

    assert shown in answer.text
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    assert app.templates.history() == []


# Broadcasts -----------------------------------------------------------------------------------


def test_a_broadcast_tells_its_progress_and_is_called_off(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    for number in range(30):
        app.recipients.put(Recipient(f"user{number}"))
    one = app.broadcast(type="news", subject="Big", text="x").notification_id
    eda = visitor("eda")
    assert '<progress id="reached" max="30" value="0">' in eda.get(f"broadcasts/{one}").text
    assert "Big" in eda.get("broadcasts").text
    eda.change(f"broadcasts/{one}/cancel")
    app.tick()

    assert "called off" in eda.get(f"broadcasts/{one}").text
    assert app.counts() == {}
    assert eda.get("broadcasts/nothing").status_code == 404


def test_a_broadcast_is_paused_and_resumed_by_somebody(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    for number in range(30):
        app.recipients.put(Recipient(f"user{number}"))
    one = app.broadcast(type="news", subject="Big", text="x").notification_id
    eda = visitor("eda")
    assert eda.change(f"broadcasts/{one}/pause").headers["location"].endswith("said=paused")
    app.tick()

    shown = eda.get(f"broadcasts/{one}").text
    assert "<strong>paused</strong>" in shown
    assert "by console:eda" in shown
    assert ">Resume</button>" in shown
    assert ">Pause</button>" not in shown
    assert "paused" in eda.get("broadcasts").text
    assert app.counts() == {}

    assert eda.change(f"broadcasts/{one}/resume").headers["location"].endswith("said=resumed")
    app.tick()
    shown = eda.get(f"broadcasts/{one}").text
    assert "paused" not in shown
    assert sum(app.counts().values()) == 30
    told = [(event.name, event.data) for event in app.events(notification_id=one, name="paused")]
    assert told == [("paused", {"by": "console:eda"})]


# Keys, users, audit ---------------------------------------------------------------------------


def test_the_secret_of_a_key_is_shown_once_and_opens_the_interface(
    visitor: Callable[..., Visitor],
) -> None:
    ada = visitor()
    made = ada.change("keys", name="shop", **{"scope-read": "yes"})
    token = re.search(r"tk_live_[\w-]+", made.text)
    assert token is not None
    assert token[0] not in ada.get("keys").text
    bearer = {"Authorization": f"Bearer {token[0]}"}
    assert ada.http.get("/v1/rules", headers=bearer).status_code == 200

    rotated = ada.change("keys/rotate", name="shop", overlap="1d")
    assert re.search(r"tk_live_[\w-]+", rotated.text)
    assert "last used" in ada.get("keys").text
    ada.change("keys/revoke", name="shop")
    page = ada.get("keys").text
    assert "Revoke shop" not in page
    assert ada.change("keys", name="none").status_code == 422


def test_users_are_added_and_changed_and_never_with_a_short_password(
    visitor: Callable[..., Visitor], service: object, app: Tactful
) -> None:
    ada = visitor()
    short = ada.change("users", name="bo", role="editor", password="short")
    assert "must have 12 to 200 characters" in short.text
    assert "short&#34;" not in short.text
    ada.change("users", name="Bo", role="editor", password="a long enough one")
    bo = Visitor(service)
    assert bo.log_in("bo", "a long enough one").status_code == 303
    taken = ada.change("users", name="bo", role="admin", password="a long enough one")
    assert "is the name of a user" in taken.text
    ada.change("users/change", name="bo", do="save", role="viewer")

    assert bo.get("").status_code == 303
    assert app.users.history("bo")[-1].author == "console:ada"
    ada.change("users/change", name="bo", do="remove")
    assert app.users.get("bo") is None


def test_the_audit_log_tells_who_changed_what_and_no_secret(
    visitor: Callable[..., Visitor], app: Tactful
) -> None:
    ada = visitor()
    ada.change("rules/edit", **RULE, amount="7/minute", seen="1")
    ada.change("keys", name="shop", **{"scope-send": "yes"})
    page = ada.get("audit").text
    key = app.keys.get("shop")
    assert key is not None

    assert "<del>2/minute</del> <ins>7/minute</ins>" in page
    assert page.count("console:ada") == 2
    assert key.secrets[0].digest not in page
    assert "$argon2" not in page
    assert ada.get("audit?kind=key").text.count('<th scope="row">') == 1
    assert ada.get("audit?author=test").text.count('<th scope="row">') == 1
    assert ada.get("audit?before=2").text.count('<th scope="row">') == 1


# Simulator ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        ("[", "is no TOML"),
        ("rules_file = '/etc/passwd'", "rules_file"),
        ("[population]\ncsv = '/etc/passwd'", "population.csv"),
        ("[[traffic]]\nkind = 'recorded'\nfile = '/etc/passwd'", "traffic[0].file"),
        ("[population]\ncount = 100000000", "population.count"),
        ("colour = 1", "colour"),
    ],
)
def test_a_scenario_names_no_files_and_has_a_bound(
    visitor: Callable[..., Visitor], scenario: str, says: str
) -> None:
    answer = visitor("eda").change("simulator", scenario=scenario)

    assert answer.status_code == 422
    assert says in answer.text


def test_every_example_is_a_scenario_that_can_be_run_here() -> None:
    for text in examples().values():
        assert bounded(tomllib.loads(text)).traffic


# Throughput -----------------------------------------------------------------------------------


def test_throughput_is_what_came_within_the_last_minute() -> None:
    pulse = Pulse()
    assert pulse.last_minute() is None
    for second, total in ((0, 100), (1, 160), (1.5, 999), (61, 220), (62, 200)):
        pulse.note(int(second * 1000), total)

    assert pulse.rates() == [3600, 60, 0]
    assert pulse.last_minute() == 0


def test_a_page_that_takes_long_to_make_rests_long() -> None:
    """However many deliveries there are to count, who leaves it open all day costs little."""
    assert every(0.02, 2) == 2
    assert every(6.0, 2) == 120
