"""What recipients see and what their programs make of a mail, in a real browser.

Run by `make pages`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from chromium import CONTRAST, WIDTHS, chromium, served
from tactful import NotificationType, Tactful
from tactful.engine.links.markup import planned, replace_links
from tactful.http.service import create_service

pytestmark = pytest.mark.browser

# What can be tapped and is lower than 44 points (WCAG 2.2, 2.5.5).
SMALL = """() => [...document.querySelectorAll("label, button")]
  .filter(one => one.getBoundingClientRect().height < 44).map(one => one.textContent.trim())"""

# How the browser reads pages: the tree of each, without the targets of links, and those targets.
READ = """pages => pages.map(html => {
  const tree = new DOMParser().parseFromString(html, "text/html");
  const links = [...tree.querySelectorAll("a[href], area[href]")];
  const targets = links.map(link => link.getAttribute("href"));
  links.forEach(link => /^(https?:|\\[)/i.test(link.getAttribute("href").trim())
    && link.setAttribute("href", "*"));
  return [tree.documentElement.outerHTML, targets];
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with chromium(tmp_path_factory.mktemp("profile")) as context:
        yield context


class Seen:
    """A page in the browser, with what it asked for and complained about."""

    def __init__(self, tab: Page) -> None:
        self.tab = tab
        self.requests: list[str] = []
        self.complaints: list[str] = []
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture
def app() -> Iterator[Tactful]:
    found = Tactful("memory://", tracking="http://127.0.0.1")
    found.types.put(
        NotificationType("news", category="editorial", channels=("inbox",)),
        NotificationType("deal", category="<script>document.title='taken'</script>"),
        NotificationType("long", category="a" * 100),
        NotificationType("code", category="security", mandatory=True),
    )
    yield found
    found.close()


@pytest.fixture
def root(app: Tactful) -> Iterator[str]:
    """Where the service answers."""
    with served(create_service(app)) as address:
        yield address


@pytest.fixture
def opened(browser: BrowserContext) -> Iterator[Callable[..., Seen]]:
    tabs: list[Page] = []

    def show(url: str, width: int = 390, scheme: Any = "light") -> Seen:
        tab = browser.new_page()
        tabs.append(tab)
        seen = Seen(tab)
        tab.set_viewport_size({"width": width, "height": 800})
        tab.emulate_media(color_scheme=scheme)
        tab.goto(url)
        return seen

    yield show
    for tab in tabs:
        tab.close()


def paths(app: Tactful) -> dict[str, str]:
    unsubscribe, preferences = app.links.unsubscribe, app.links.preferences
    return {
        "unsubscribe": f"/t/u/{unsubscribe.token('ada', 'editorial')}",
        "preferences": f"/t/p/{preferences.token('ada')}",
        "gone": "/t/p/nothing",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_every_page_can_be_read_and_tapped(
    app: Tactful, root: str, opened: Callable[..., Seen], width: int, scheme: str
) -> None:
    """Contrast of at least 4.5 to 1, nothing wider than the screen, targets of 44 points."""
    for name, path in paths(app).items():
        seen = opened(root + path, width, scheme)

        assert seen.tab.evaluate(CONTRAST, "h1, p, strong, a, legend, span, button") >= 4.5, name
        assert seen.tab.evaluate(SMALL) == [], name
        assert seen.tab.evaluate("document.documentElement.scrollWidth") <= width, name
        assert seen.tab.evaluate("document.scripts.length") == 0
        assert seen.tab.title() != "taken"
        assert [url for url in seen.requests if "favicon" not in url] == [seen.tab.url]
        if name != "gone":
            assert seen.complaints == []


def press(tab: Page, name: str) -> None:
    """Send a form by its button, and wait for the page that comes back."""
    with tab.expect_navigation():
        tab.get_by_role("button", name=name).click()


def test_a_person_unsubscribes_and_changes_their_mind(
    app: Tactful, root: str, opened: Callable[..., Seen]
) -> None:
    tab = opened(root + paths(app)["unsubscribe"]).tab
    press(tab, "Yes, unsubscribe")
    assert tab.get_by_role("heading").inner_text() == "You are unsubscribed"
    assert app.recipients.get("ada").mute == ("category:editorial",)  # type: ignore[union-attr]

    tab.get_by_role("link").click()
    box = tab.get_by_role("checkbox", name="Editorial")
    assert not box.is_checked()
    box.check()
    press(tab, "Save")
    assert tab.get_by_role("status").inner_text() == "Your choice is saved."
    assert app.recipients.get("ada").mute == ()  # type: ignore[union-attr]

    press(tab, "Stop everything")
    tab.reload()
    assert app.recipients.get("ada").mute == ("all",)  # type: ignore[union-attr]
    press(tab, "Allow everything")
    assert app.recipients.get("ada").mute == ()  # type: ignore[union-attr]


def test_all_of_it_can_be_done_with_the_keyboard(
    app: Tactful, root: str, opened: Callable[..., Seen]
) -> None:
    tab = opened(root + paths(app)["preferences"]).tab
    tab.get_by_role("checkbox", name="Editorial").focus()
    tab.keyboard.press("Space")
    tab.keyboard.press("Enter")
    tab.get_by_role("status").wait_for()

    assert app.recipients.get("ada").mute == ("category:editorial",)  # type: ignore[union-attr]


# HTML as the browser reads it ------------------------------------------------------------------

PIECES = (
    *("<a href='https://a.test/?b=1&amp;c=2'>", '<A HREF = "http://b.test" title=t>', "<a href="),
    *("https://c.test>", "<a href=https://d.test/x>", "</a>", "<area href='https://e.test'>"),
    *("<a data-no-track href=https://f.test>", "<a href='mailto:g@h.test'>", "<a href=/i>", "<a "),
    *("<p>", "</p>", "<b class='x>y'>", "<!--", "-->", "--!>", "<!-->", "<!doctype html>", "<?x?>"),
    *("<![CDATA[", "]]>", "<![if x]>", "<title>", "</title>", "<script>", "</script>", "<style>"),
    *("</style>", "<textarea>", "</textarea >", "<xmp>", "</xmp>", "<noscript>", "</noscript>"),
    *("<body>", "</body>", "</html>", "<", ">", "'", '"', "=", "/", " ", "\n", "&amp;", "&", "</>"),
    *("</ x>", "text", "<br/>", '<i a=b\'c d="e>"f>', "<table>", "<td>", "<iframe>", "</iframe>"),
)


def soup(dice: random.Random) -> str:
    return "".join(dice.choice(PIECES) for _ in range(dice.randrange(1, 14)))


def test_a_browser_sees_no_difference_but_the_targets(
    browser: BrowserContext, tmp_path: Path
) -> None:
    """Of 20,000 pages of nonsense each is read as before, but for links that now lead elsewhere."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    before = [soup(dice) for _ in range(20_000)]
    after = [replace_links(html, lambda n, of, _: f"[{n}/{of}]", "") for html in before]
    (tmp_path / "empty.html").write_text("")
    tab = browser.new_page()
    tab.goto((tmp_path / "empty.html").as_uri())
    read_before, read_after = tab.evaluate(READ, before), tab.evaluate(READ, after)
    tab.close()

    replaced = 0
    for html, old, new in zip(before, read_before, read_after, strict=True):
        assert new[0] == old[0], json.dumps(html)
        for was, now in zip(old[1], new[1], strict=True):
            if now != was:
                assert now.startswith("["), json.dumps(html)
                replaced += 1
        assert len({now for now in new[1] if now.startswith("[")}) <= len(planned(html).links)
    assert replaced > 5_000
