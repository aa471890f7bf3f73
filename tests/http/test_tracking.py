"""The routes that recipients meet: pixel, links, unsubscribing, preferences."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tactful import NotificationType, Recipient, Tactful, Template
from tactful.channels.capture import CaptureChannel
from tactful.core.model import Message
from tactful.http.preferences import FORM_MAX
from tactful.http.service import create_service
from tactful.http.tracking import PIXEL
from tactful.ports import Reader, Store, Tx
from tactful.runtime.clock import ManualClock
from tactful.stores.memory import MemoryStore
from tactful.stores.sqlite.store import SqliteStore

NOON = 1_800_000_000_000
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
GMAIL = {"User-Agent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"}
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
HTML = """\
<html><body><p>Hello</p>
<a href="https://shop.test/offer?a=1&amp;copy=2">Offer</a> <a href="https://b.test/">B</a>
<a href="mailto:help@shop.test">Help</a> <a data-no-track href="https://c.test/">C</a>
<a href="{{ unsubscribe_url }}">Unsubscribe</a> <a href="{{ preferences_url }}">Choose</a>
</body></html>
"""


class Watched(MemoryStore):
    """A store that counts how often it was asked or changed."""

    def __init__(self) -> None:
        super().__init__()
        self.uses = 0

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        self.uses += 1
        with super().transaction(durable=durable) as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        self.uses += 1
        with super().reading() as reader:
            yield reader


class Site:
    """An engine with a mail that has gone out, and the service over it."""

    def __init__(self, store: Store) -> None:
        self.clock = ManualClock(NOON)
        mail = CaptureChannel("email", address_kind="email")
        base = "https://x.test"
        self.app = Tactful(store, channels=[mail], clock=self.clock, tracking=base)
        self.app.types.put(
            NotificationType("news", category="editorial"),
            NotificationType("deal", category="offers & <b>more</b>"),
            NotificationType("otp", category="security", mandatory=True),
        )
        self.app.templates.put(Template("t", subject="s", text="{{ preferences_url }}", html=HTML))
        self.receipt = self.app.send(type="news", to="ada@example.com", template="t")
        self.app.tick()
        self.clock.advance(60_000)
        self.mail: Message = mail.messages[0]
        self.html = self.mail.html or ""
        self.pixel = self._path("o")
        self.link = self._path("c")
        self.leave = self._path("u")
        self.page = self._path("p")

    def _path(self, kind: str) -> str:
        found = re.search(rf"https://x\.test(/t/{kind}/[\w-]+)", self.html)
        assert found is not None
        return found[1]

    @contextmanager
    def served(self) -> Iterator[TestClient]:
        """A client; when this ends all that was counted is recorded."""
        with TestClient(create_service(self.app), follow_redirects=False) as client:
            yield client

    def facts(self) -> list[tuple[str, str]]:
        found = self.app.events(delivery_id=self.receipt.delivery_id)
        return [(e.name, e.data["by"]) for e in found if e.name in ("opened", "clicked")]

    def mute(self) -> tuple[str, ...]:
        person = self.app.recipients.get("ada@example.com")
        return person.mute if person is not None else ()


@pytest.fixture(params=["memory", "sqlite"])
def site(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Site]:
    made: Store = MemoryStore()
    if request.param == "sqlite":
        made = SqliteStore(f"sqlite:///{tmp_path / 'tactful.db'}")
    found = Site(made)
    yield found
    found.app.close()


# In the mail -----------------------------------------------------------------------------------


def test_the_html_of_a_mail_is_tracked_and_nothing_else_of_it(site: Site) -> None:
    kept = ["mailto:help@shop.test", 'data-no-track href="https://c.test/"', "</body></html>"]

    assert all(piece in site.html for piece in kept)
    assert len(re.findall(r"https://x\.test/t/c/", site.html)) == 2
    assert len(re.findall(r"https://x\.test/t/o/", site.html)) == 1
    assert "shop.test/offer" not in site.html
    assert re.fullmatch(r"https://x\.test/t/p/[\w-]+", site.mail.text)
    assert site.mail.headers[0] == ("List-Unsubscribe", f"<https://x.test{site.leave}>")


def test_a_type_can_go_without_and_so_does_everything_by_default() -> None:
    mail = CaptureChannel("email", address_kind="email")
    app = Tactful("memory://", channels=[mail], tracking="https://x.test")
    app.types.put(NotificationType("quiet", tracked=False))
    plain = Tactful("memory://", channels=[mail])
    html = "<a href='https://a.test'>a</a>"
    for sender in (app, plain):
        sender.send(type="quiet", to="ada@example.com", html=html)
        sender.tick()
        sender.close()

    assert [message.html for message in mail.messages] == [html, html]


# Pixel and links -------------------------------------------------------------------------------


def test_the_pixel_is_an_image_that_nobody_keeps(site: Site) -> None:
    with site.served() as client:
        answer = client.get(site.pixel, headers=FIREFOX)

    assert (answer.status_code, answer.content) == (200, PIXEL)
    assert answer.headers["content-type"] == "image/gif"
    assert "no-store" in answer.headers["cache-control"]
    assert site.facts() == [("opened", "person")]
    assert site.app.stats(site.receipt.notification_id).opened == 1


def test_a_click_leads_where_the_mail_said(site: Site) -> None:
    with site.served() as client:
        answer = client.get(site.link, headers=FIREFOX)

    assert answer.status_code == 302
    assert answer.headers["location"] == "https://shop.test/offer?a=1&copy=2"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert site.facts() == [("clicked", "person")]
    delivery = site.app.delivery(site.receipt.delivery_id or "")
    assert delivery is not None
    assert delivery.clicked_at is not None


def test_a_fact_is_recorded_while_the_service_runs(site: Site) -> None:
    heard = threading.Event()
    site.app.listen(lambda _: heard.set(), events=["opened"])
    site.app.start()
    with site.served() as client:
        client.get(site.pixel, headers=FIREFOX)
        site.clock.advance(5_000)

        assert heard.wait(30)


@pytest.mark.parametrize(
    "headers",
    [{"Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"X-Moz": "prefetch"},
     {"X-Purpose": "preview"}],
)  # fmt: skip
def test_what_is_fetched_ahead_counts_for_nobody(site: Site, headers: dict[str, str]) -> None:
    with site.served() as client:
        client.get(site.pixel, headers={**FIREFOX, **headers})
        client.get(site.link, headers={**FIREFOX, **headers})

    assert site.facts() == [("opened", "scanner"), ("clicked", "scanner")]
    assert site.app.stats(site.receipt.notification_id).opened == 0


def test_head_counts_for_nobody_and_leads_to_the_same_place(site: Site) -> None:
    with site.served() as client:
        link, pixel = client.head(site.link, headers=FIREFOX), client.head(site.pixel)

    assert link.headers["location"] == "https://shop.test/offer?a=1&copy=2"
    assert (pixel.status_code, pixel.content) == (200, b"")
    assert {by for _, by in site.facts()} == {"scanner"}


def test_a_proxy_is_told_apart(site: Site) -> None:
    with site.served() as client:
        client.get(site.pixel, headers=GMAIL)

    assert site.facts() == [("opened", "proxy")]
    assert site.app.stats(site.receipt.notification_id).opened == 0


BAD = [
    "x",
    "A" * 43,
    "A" * 8000,
    "%00",
    "%0d%0aLocation:%20https:evil.test",
    "https:evil",
    "é",
]


@pytest.mark.parametrize("token", BAD)
def test_a_pixel_is_a_pixel_and_an_unknown_link_leads_nowhere(token: str) -> None:
    store = Watched()
    site = Site(store)
    with site.served() as client:
        client.get(f"/t/o/{token}")  # an unknown secret has the store asked, once
        uses = store.uses
        pixel = client.get(f"/t/o/{token}", headers=FIREFOX)
        link = client.get(f"/t/c/{token}", headers=FIREFOX)
        crossed = client.get(site.pixel.replace("/t/o/", "/t/c/"), headers=FIREFOX)
        used = store.uses - uses

    assert (pixel.status_code, pixel.content) == (200, PIXEL)
    for answer in (link, crossed):
        assert answer.status_code == 404
        assert "location" not in answer.headers
        assert "This link does not work" in answer.text
    assert used == 0
    assert site.facts() == []
    site.app.close()


def test_a_good_token_costs_no_access_to_the_store_either() -> None:
    store = Watched()
    site = Site(store)
    service = create_service(site.app)
    client = TestClient(service, follow_redirects=False)
    uses = store.uses
    with client:
        for _ in range(50):
            client.get(site.pixel, headers=FIREFOX)
            client.get(site.link, headers=FIREFOX)
        used = store.uses - uses

    assert used <= 20  # what the recorder did meanwhile, not a hundred
    assert site.facts() == [("opened", "person"), ("clicked", "person")]
    site.app.close()


def test_a_delivery_that_is_gone_leaves_no_trace(site: Site) -> None:
    other = site.app.links.tracking
    assert other is not None
    delivery = site.app.delivery(site.receipt.delivery_id or "")
    assert delivery is not None
    delivery.id = "0" * 32
    html = other.html("<a href=https://a.test>", delivery)
    with site.served() as client:
        answers = [client.get(path, headers=FIREFOX) for path in re.findall(r"/t/./[\w-]+", html)]

    assert [answer.status_code for answer in answers] == [302, 200]
    assert site.facts() == []


# Unsubscribing ---------------------------------------------------------------------------------


def test_looking_at_the_page_changes_nothing(site: Site) -> None:
    with site.served() as client:
        answer = client.get(site.leave)

    assert answer.status_code == 200
    assert "Editorial" in answer.text
    assert '<button name="List-Unsubscribe" value="One-Click"' in answer.text
    assert site.mute() == ()


@pytest.mark.parametrize(
    "how", [{"data": ONE_CLICK}, {"files": {"List-Unsubscribe": (None, "One-Click")}}]
)
def test_one_click_unsubscribes_as_rfc_8058_has_it(site: Site, how: dict[str, Any]) -> None:
    """In both forms that a mail client may send; no cookies, no log-in, no redirect."""
    with site.served() as client:
        for _ in range(2):
            answer = client.post(site.leave, **how)

            assert answer.status_code == 200
            assert not answer.cookies
            assert site.mute() == ("category:editorial",)
    again = site.app.send(type="news", to="ada@example.com", text="x")
    assert again.reason == "muted: category:editorial"


@pytest.mark.parametrize("data", [{}, {"List-Unsubscribe": "yes"}, {"x": "One-Click"}])
def test_another_body_unsubscribes_nobody(site: Site, data: dict[str, str]) -> None:
    with site.served() as client:
        assert client.post(site.leave, data=data).status_code == 400
    assert site.mute() == ()


def test_what_is_no_form_is_refused(site: Site) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    many = "&".join("a=b" for _ in range(600))
    with site.served() as client:
        for path in (site.leave, site.page):
            assert client.post(path, content=b"\xff\xfe", headers=kind).status_code == 400
            assert client.post(path, content=many, headers=kind).status_code == 400
            assert client.post(path, content=b"x" * (FORM_MAX + 1)).status_code == 413
            odd = {"Content-Type": "multipart/form-data"}
            assert client.post(path, content=b"nothing", headers=odd).status_code == 400
    assert site.mute() == ()


def test_a_forged_token_unsubscribes_nobody_and_shows_nothing(site: Site) -> None:
    paths = [site.leave[:-1], site.page[:-2], site.leave.replace("/u/", "/p/"), "/t/u/x", "/t/p/x"]
    with site.served() as client:
        for path in paths:
            assert client.get(path).status_code == 404
            assert client.post(path, data={**ONE_CLICK, "do": "stop"}).status_code == 404
    assert site.mute() == ()


# Preferences -----------------------------------------------------------------------------------


def test_the_page_shows_what_is_chosen(site: Site) -> None:
    site.app.recipients.put(Recipient("ada@example.com", mute=("category:editorial",)))
    with site.served() as client:
        text = client.get(site.page).text

    assert 'name="want" value="category:editorial">' in text
    assert 'name="want" value="category:offers_&amp;_&lt;b&gt;more&lt;/b&gt;" checked>' in text
    assert "<b>more" not in text
    assert "security" not in text.lower()
    assert "sent all the same" in text
    assert "ada@" not in text


def test_choosing_stopping_and_allowing_can_each_be_repeated(site: Site) -> None:
    shown = ["category:editorial", "category:offers_&_<b>more</b>"]
    with site.served() as client:
        for _ in range(2):
            form = {"do": "save", "shown": shown, "want": shown[1]}
            answer = client.post(site.page, data=form)
            assert (answer.status_code, "is saved" in answer.text) == (200, True)
            assert site.mute() == ("category:editorial",)
        for _ in range(2):
            answer = client.post(site.page, data={"do": "stop", "shown": shown})
            assert "nothing from us any more" in answer.text
            assert site.mute() == ("all", "category:editorial")
        assert "nothing from us at present" in client.get(site.page).text
        for _ in range(2):
            client.post(site.page, data={"do": "resume", "shown": shown})
            assert site.mute() == ()


@pytest.mark.parametrize("do", [{}, {"do": "drop"}, {"do": ["save", "stop"]}])
def test_a_wish_that_is_not_clear_changes_nothing(site: Site, do: dict[str, Any]) -> None:
    with site.served() as client:
        assert client.post(site.page, data={**do, "shown": "category:news"}).status_code == 400
    assert site.mute() == ()


def test_pages_are_kept_by_nobody_and_framed_by_nobody(site: Site) -> None:
    with site.served() as client:
        for path in (site.leave, site.page, "/t/p/x"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]

            assert policy.startswith("default-src 'none'; style-src 'sha256-")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["cache-control"] == "no-store"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-content-type-options"] == "nosniff"


def test_the_routes_of_recipients_are_not_in_the_description_of_the_api(site: Site) -> None:
    with site.served() as client:
        assert [p for p in client.get("/openapi.json").json()["paths"] if p.startswith("/t/")] == []
