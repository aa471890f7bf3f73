"""The console in a real browser: live, for everybody, and harmless whatever is stored.

Needs `chromium`, `chromium-browser` or `google-chrome` on the PATH; run by `make pages`.
"""

from __future__ import annotations

import gzip
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from console_bench import HASH, Tab
from playwright.sync_api import BrowserContext, expect

from chromium import served
from tactful import Recipient, Rule, Tactful
from tactful.channels.inbox import InboxChannel
from tactful.channels.rehearsal import Rehearsal
from tactful.core.model import NotificationType
from tactful.engine.users import User
from tactful.http.service import create_service
from tactful.templates.library import Template
from tactful.testing.servers.process import free_port

pytestmark = pytest.mark.browser

AXE = gzip.decompress((Path(__file__).parent / "axe/axe-4.14.1.min.js.gz").read_bytes()).decode()
WIDTHS = {"desktop": 1280, "phone": 390, "small phone": 320}


@pytest.fixture
def tab(browser: BrowserContext) -> Iterator[Callable[[str], Tab]]:
    """Opens a tab on a service, with nobody logged in."""
    tabs: list[Tab] = []

    def opened(base: str) -> Tab:
        browser.clear_cookies()
        tabs.append(Tab(browser.new_page(), base))
        return tabs[-1]

    yield opened
    for one in tabs:
        one.page.close()


def stocked() -> Tactful:
    """An engine with something on every page."""
    app = Tactful("memory://", channels=[Rehearsal(InboxChannel())])
    app.rules.put(Rule("status", types=["status"], limit="2/hour"))
    app.types.put(NotificationType("offer", category="marketing"))
    app.templates.put(Template("welcome", subject="Hi {{ name }}", html="<p>Hi {{ name }}</p>"))
    app.users.put(User("ada", "admin", HASH), User("vic", "viewer", HASH))
    app.keys.create("shop", ("send", "read"))
    app.recipients.put(Recipient("ada", name="Ada", email="ada@example.com"))
    app.recipients.suppress("gone@example.com", reason="bounced")
    for n in range(5):
        app.send(type="status", to="ada", subject=f"Hello {n}", text="It works.")
    app.send(type="password", to="perm-fail@tactful.test", text="x")
    app.broadcast(type="news", subject="To everybody", html="<p style='color: red'>Hi</p>")
    app.tick()
    return app


def paths_of(app: Tactful) -> list[str]:
    """The address of every page, with something on it."""
    rows = app.deliveries()
    broadcast = app.events(name="broadcast.accepted")[0].notification_id
    return [
        *("", "deliveries", "recipients", "failed", "failed?state=unknown", "broadcasts", "rules"),
        *("rules/edit", "rules/history", "types", "types/edit", "templates", "templates/edit"),
        *("simulator", "keys", "users", "audit", "account", f"broadcasts/{broadcast}"),
        *(f"rules/edit?name={quote(rule.name)}" for rule in app.rules.list()),
        *(f"types/edit?name={quote(one.name)}" for one in app.types.list()),
        *(f"deliveries/{row.id}" for row in rows[:2] + rows[4:]),
        *(f"recipient?id={quote(name)}" for name in dict.fromkeys(row.recipient for row in rows)),
    ]


# The first ten minutes ------------------------------------------------------------------------


@contextmanager
def program(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """`tactful init` and `tactful serve`, as a user starts them; gives the URL and what it said."""
    port = free_port()
    run = [sys.executable, "-m", "tactful"]
    subprocess.run([*run, "init", "--dir", str(folder)], check=True, capture_output=True)
    serve = [*run, "serve", "--config", str(folder / "tactful.toml"), "--port", str(port)]
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        try:
            for line in process.stderr:
                said.append(line.strip())
                if line.startswith("curl "):
                    break
            yield f"http://127.0.0.1:{port}", said
        finally:
            process.terminate()
            process.wait(30)


def reached(url: str) -> None:
    """Wait until somebody listens there."""
    subprocess.run(
        ["curl", "-s", "--retry", "50", "--retry-connrefused", "--retry-delay", "1", url],
        check=True,
        capture_output=True,
    )


def test_five_messages_two_go_three_wait_and_go_when_the_limit_is_raised(
    tab: Callable[[str], Tab], tmp_path: Path
) -> None:
    """What `make serve` is for: the shown curl line five times, and the rest in the console."""
    with program(tmp_path) as (url, said):
        password = next(filter(None, (re.search(r"admin, password (\w+)", one) for one in said)))[1]
        reached(f"{url}/healthz")
        for _ in range(5):
            done = subprocess.run(shlex.split(said[-1]), check=True, capture_output=True)
            assert b'"decision"' in done.stdout

        seen = tab(url)
        seen.log_in("admin", password)
        page = seen.page
        page.click("nav >> text=Deliveries")
        expect(page.locator("tbody .s-delivered")).to_have_count(2)
        waiting = page.locator("tbody tr", has=page.locator(".s-deferred"))
        expect(waiting).to_have_count(3)
        for row in waiting.all():
            cells = row.locator("td").all_inner_texts()
            assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d in (\d+ s|\d+ min)", cells[4]), cells
            assert cells[5] == "status"

        waiting.first.locator("td a").first.click()
        assert "waits because of rule status (2/minute)" in page.locator(".lead").inner_text()
        page.click("dd a:has-text('status')")
        page.fill("[name=amount]", "10/minute")
        page.click("button:has-text('Preview')")
        assert "5 deliveries to 1 people" in page.locator("#preview").inner_text()
        page.click("button:has-text('Save')")
        assert "planned anew" in page.locator("[role=status]").inner_text()

        page.click("nav >> text=Deliveries")
        expect(page.locator("tbody .s-delivered")).to_have_count(5)
        page.click("nav >> text=Audit")
        changed = page.locator("tbody tr").first.inner_text()
        assert "console:admin" in changed
        assert "2/minute 10/minute" in changed
        assert seen.complaints == []
        assert seen.foreign == []


def test_a_broadcast_is_paused_and_goes_on_by_two_buttons(
    tab: Callable[[str], Tab], tmp_path: Path
) -> None:
    with stocked() as app, served(create_service(app)) as base:
        for number in range(20):
            app.recipients.put(Recipient(f"reader{number}"))
        app.rules.put(Rule("pace", per="channel", channels=["inbox"], limit="1/hour"))
        one = app.broadcast(type="letter", subject="To all of them", text="x").notification_id
        seen = tab(base)
        seen.log_in("ada")
        seen.go(f"broadcasts/{one}")
        page = seen.page
        expect(page.locator(".states .s-deferred")).to_have_count(1)
        page.click("button:has-text('Pause')")

        expect(page.locator("[role=status]")).to_contain_text("It is paused")
        expect(page.locator("#live")).to_contain_text("by console:ada")
        expect(page.locator("button:has-text('Pause')")).to_have_count(0)
        page.screenshot(path=tmp_path / "paused.png", full_page=True)
        assert app.status()["paused"][0]["notification_id"] == one
        app.rules.remove("pace")
        page.click("button:has-text('Resume')")
        expect(page.locator("[role=status]")).to_contain_text("It goes on")
        expect(page.locator("progress#finished")).to_have_attribute("value", "21")
        assert seen.complaints == []
        assert seen.foreign == []


def test_a_page_follows_what_happens_without_being_reloaded(tab: Callable[[str], Tab]) -> None:
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.log_in("ada")
        seen.page.evaluate("window.untouched = true")
        seen.go("deliveries?recipient=new@example.com")
        expect(seen.page.locator(".empty")).to_be_visible()
        seen.page.evaluate("window.untouched = true")
        app.send(type="password", to="new@example.com", text="x")

        expect(seen.page.locator("tbody .s-delivered")).to_have_count(1)
        assert seen.page.evaluate("window.untouched")


def test_whoever_reads_can_have_a_page_pause(tab: Callable[[str], Tab]) -> None:
    """It asks for nothing then, also after a step to another page, and goes on where it was."""
    asks = """document.dispatchEvent(new CustomEvent("htmx:before:request", {cancelable: true}))"""
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.log_in("ada")
        assert seen.page.evaluate(asks)
        seen.page.check("text=Pause updates")
        seen.go("deliveries?recipient=new@example.com")
        app.send(type="password", to="new@example.com", text="x")
        assert not seen.page.evaluate(asks)
        seen.page.uncheck("text=Pause updates")

        expect(seen.page.locator("tbody .s-delivered")).to_have_count(1)
        seen.go("rules")
        expect(seen.page.locator("text=Pause updates")).to_be_hidden()


def test_a_page_that_follows_leads_to_the_log_in_once_its_session_has_ended(
    tab: Callable[[str], Tab],
) -> None:
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.log_in("ada")
        app.users.put(User("ada", "viewer", HASH))

        expect(seen.page.locator("input[name=password]")).to_be_visible()


# Everybody ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(tab: Callable[[str], Tab], scheme: Any) -> None:
    """No issue that axe-core calls serious or critical, by WCAG 2.2 AA and its best practices."""
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.page.emulate_media(color_scheme=scheme)
        seen.go("login")
        found = {"login": audited(seen)}
        seen.log_in("ada")
        for path in paths_of(app):
            seen.go(path)
            found[path] = audited(seen)

        assert {path: issues for path, issues in found.items() if issues} == {}


def audited(seen: Tab) -> list[str]:
    seen.page.evaluate(AXE)
    found = seen.page.evaluate("axe.run(document, {iframes: false})")
    return [
        f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:120]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical", "moderate")
    ]


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_no_page_is_wider_than_the_window(tab: Callable[[str], Tab], width: int) -> None:
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.page.set_viewport_size({"width": width, "height": 800})
        seen.log_in("ada")
        for path in paths_of(app):
            seen.go(path)
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= width, path

        assert seen.complaints == []
        assert seen.foreign == []


def test_a_rule_is_changed_with_nothing_but_a_keyboard(tab: Callable[[str], Tab]) -> None:
    """Tab reaches the field, in the order of the page and with a focus that can be seen."""
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.log_in("ada")
        seen.go("rules/edit?name=status")
        page = seen.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        names = []
        while "amount" not in names:
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.name"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        assert names == ["name", "what", "amount"]
        page.keyboard.press("Control+A")
        page.keyboard.type("7/hour")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=status]")

        rule = app.rules.get("status")
        assert rule is not None
        assert str(rule.limit) == "7/hour"


# Harm -----------------------------------------------------------------------------------------

NAMES = (
    "<svg/onload=alert(1)>",
    '"><svg/onload=alert(2)>',
    "'><svg/onload=alert(3)>",
    "</title><svg/onload=alert(4)>",
    "</textarea><svg/onload=alert(5)>",
    "<img/src=/pwned/onerror=alert(6)>",
    "<iframe/src=javascript:alert(7)>",
    "<div/hx-get=/pwned/hx-trigger=load>",
    "javascript:alert(8)",
    '"/autofocus/onfocus=alert(9)/x="',
    "{{7*7}}{%print(1)%}",
    "<base/href=//pwned.test/>",
)
TEXTS = (
    "<script>alert('text')</script>",
    "</pre><script>alert('pre')</script>",
    "</iframe><img src=/pwned onerror=alert('frame')>",
    "<a href='javascript:alert(1)'>x</a><form action=/pwned><button autofocus>x</button></form>",
    "<meta http-equiv=refresh content='0;url=/pwned'><link rel=stylesheet href=/pwned>",
    "<body onload=alert(1) background=/pwned><style>@import '/pwned'; b{background:url(/pwned)}",
    "<div hx-get=/pwned hx-trigger=load hx-on:click=alert(1)>x</div>",
    "<script>top.location='/pwned'; parent.document.title='taken'</script>",
)


def hostile() -> Tactful:
    """An engine in which everything that can be set is an attack."""
    app = Tactful("memory://", channels=[Rehearsal(InboxChannel())])
    app.users.put(User("ada", "admin", HASH), author=NAMES[0])
    for n, name in enumerate(NAMES):
        text = TEXTS[n % len(TEXTS)]
        app.rules.put(Rule(name, types=[name], categories=[name], limit="1/hour"), author=name)
        app.types.put(NotificationType(f"{name}{n}", category=name), author=name)
        template = Template(
            f"{name}{n}", subject="{% raw %}" + text[:90] + "{% endraw %}", html=text
        )
        app.templates.put(template, author=name)
        app.keys.create(name, ("send",), author=name)
        app.users.put(User(name, "viewer", HASH), author=name)
        person = Recipient(name, name=text[:200], addresses={name: name}, locale=name[:35], mute=())
        app.recipients.put(person)
        app.recipients.suppress(name, reason=text)
        for _ in range(2):
            app.send(type=name, to=name, subject=text[:200], text=text, html=text)
        app.send(type="bad", to=name, template=f"{name}{n}", data={})
        app.templates.put(Template(f"lacks{name}", text="{{ lacks }}"), author=name)
        app.send(type="bad", to=name, template=f"lacks{name}", data={})
    app.broadcast(type=NAMES[0], subject=TEXTS[0], html=TEXTS[3])
    app.tick()
    return app


def test_nothing_that_is_stored_runs_in_the_console(tab: Callable[[str], Tab]) -> None:
    """Attacks in every field that can be set: no script, no dialog, no request, no navigation."""
    with hostile() as app, served(create_service(app)) as base:
        seen = tab(base)
        asked: list[str] = []
        # What the policy of a frame keeps from being asked for is announced, too, and fails.
        seen.page.on("response", lambda answer: asked.append(answer.url))
        seen.log_in("ada")
        reflected = [
            f"{path}={quote(attack)}"
            for attack in (*NAMES, *TEXTS)
            for path in ("deliveries?recipient", "types/edit?new", "audit?author", "login?next")
        ]
        pages = [*paths_of(app), *reflected]
        for path in pages:
            seen.go(path)
            assert "/console/" in seen.page.url, path
            assert seen.page.title().endswith(" | Tactful"), path
            assert seen.page.evaluate("document.scripts.length") == 2, path

        assert len(pages) > 120
        assert [url for url in asked if "pwned" in url.partition("?")[0]] == []
        assert seen.foreign == []
        # What the frames of messages were kept from; the pages themselves have nothing to say.
        assert [
            one
            for one in seen.complaints
            if "Content Security" not in one and "sandboxed" not in one
        ] == []


def test_a_preview_shows_what_was_written_and_reaches_nothing(tab: Callable[[str], Tab]) -> None:
    """It keeps the styles of a mail, and has an origin of its own."""
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.log_in("ada")
        seen.go("templates/edit")
        html = "<h1 style='color: rgb(1, 2, 3)'>Hi {{ name }}</h1><script>parent.x = 1</script>"
        seen.page.fill("[name=name]", "new")
        seen.page.fill("[name=html]", html)
        seen.page.fill("[name=data]", '{"name": "<b>Bo</b>"}')
        seen.page.click("button:has-text('Preview')")
        frame = seen.page.frame_locator("iframe[name=preview]")
        heading = frame.locator("h1")

        expect(heading).to_have_text("Hi <b>Bo</b>")
        expect(heading).to_have_css("color", "rgb(1, 2, 3)")
        inner = seen.page.frames[-1]
        assert inner.evaluate("self.origin") == "null"
        assert seen.page.evaluate("window.x") is None


def test_what_slipped_into_a_page_would_still_not_run(tab: Callable[[str], Tab]) -> None:
    """The policy holds by itself, were something not escaped."""
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.log_in("ada")
        blocked: list[str | None] = []
        seen.page.on("requestfailed", lambda gone: blocked.append(gone.failure))
        seen.page.evaluate("""() => {
          const main = document.querySelector("main");
          main.insertAdjacentHTML("beforeend",
            "<img src='http://127.0.0.1:9/x.png' onerror='document.title=1'>");
          const script = document.createElement("script");
          script.textContent = "document.title = 1";
          main.append(script);
        }""")
        seen.go("rules")

        assert blocked[:1] == ["csp"]
        assert seen.page.title() == "Rules | Tactful"
        assert sum("Content Security Policy" in one for one in seen.complaints) >= 2


def test_another_site_in_the_same_browser_changes_nothing(
    tab: Callable[[str], Tab], browser: BrowserContext
) -> None:
    """A page elsewhere that posts forms and fetches, while somebody is logged in here."""
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.log_in("ada")
        with app.store.reading() as reader:
            before = reader.epoch()
        other = browser.new_page()
        answers: list[int] = []
        other.on("response", lambda answer: answers.append(answer.status))
        other.route(
            "http://evil.test/",
            lambda route: route.fulfill(
                content_type="text/html",
                body=f"""<form method=post action={base}/console/rules/remove>
                <input name=name value=status></form>
                <script>fetch("{base}/console/rules/remove", {{method: "POST", mode: "no-cors",
                  credentials: "include", body: new URLSearchParams({{name: "status"}})}})
                  .finally(() => document.forms[0].submit())</script>""",
            ),
        )
        other.goto("http://evil.test/")
        other.wait_for_url("**/console/**")
        other.close()

        with app.store.reading() as reader:
            assert reader.epoch() == before
        assert app.rules.get("status") is not None
        assert set(answers) <= {200, 303, 403}


# Simulator ------------------------------------------------------------------------------------


def test_a_simulation_runs_and_shows_its_report_and_a_comparison(tab: Callable[[str], Tab]) -> None:
    with stocked() as app, served(create_service(app)) as base:
        seen = tab(base)
        seen.log_in("ada")
        seen.go("simulator?example=exercise")
        small = seen.page.input_value("[name=scenario]").replace("count = 1000", "count = 40")
        seen.page.fill("[name=scenario]", small)
        seen.page.select_option("[name=other]", "other rules")
        seen.page.fill("[name=rules]", '[rules.news]\nlimit = "1/hour"')
        seen.page.click("button:has-text('Run')")
        seen.page.wait_for_selector("iframe.report", timeout=120_000)

        assert re.search(r"deferred\s+80\s+160\s", seen.page.locator("tbody").first.inner_text())
        report = seen.page.frame_locator("iframe.report")
        expect(report.locator("h1")).to_have_text("exercise")
        expect(report.locator("svg.plot").first).to_be_visible()
        assert seen.complaints == []
