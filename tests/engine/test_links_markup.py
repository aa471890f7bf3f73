"""Links in HTML are replaced, and nothing else of it changes."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

import pytest
from engine_bench import Bench
from hypothesis import example, given
from hypothesis import strategies as st

from tactful.core.errors import ConfigError, RequestError
from tactful.engine.links.links import Links, links_of
from tactful.engine.links.markup import (
    HTML_MAX,
    URL_MAX,
    planned,
    replace_links,
    unreferenced,
    web_url,
)
from tactful.engine.links.tracking import checked_base, read_click, read_open
from tactful.stores.memory import MemoryStore

FOOT = "<foot>"


def counted(html: str) -> str:
    """Each link replaced by its number, count and target."""
    return replace_links(html, lambda n, of, url: f"{n}/{of} {escape(url)}", FOOT)


# What is replaced ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "after"),
    [
        ('<a href="https://a.test/x">', '<a href="1/1 https://a.test/x">'),
        ("<a href='https://a.test/x'>", '<a href="1/1 https://a.test/x">'),
        ("<a href=https://a.test/x>", '<a href="1/1 https://a.test/x">'),
        ('<A Class=b HREF = "HTTP://a.test/x" >', '<A Class=b HREF = "1/1 HTTP://a.test/x" >'),
        ('<a\n href="https://a.test/x"\n id=c>', '<a\n href="1/1 https://a.test/x"\n id=c>'),
        ('<area href="https://a.test/">', '<area href="1/1 https://a.test/">'),
        ('<a href=" https://a.test/ ">', '<a href="1/1 https://a.test/">'),
        ('<a href="https://a.test/?b=1&amp;c=2">', '<a href="1/1 https://a.test/?b=1&amp;c=2">'),
        ('<a href="https://a.test/?b=1&copy=2">', '<a href="1/1 https://a.test/?b=1&amp;copy=2">'),
        ('<a href="https://a.test/ü?q=ß">', '<a href="1/1 https://a.test/%C3%BC?q=%C3%9F">'),
        ('<a data-x="<a href=y>" href="https://a.test">',
         '<a data-x="<a href=y>" href="1/1 https://a.test">'),
        ('<a href="https://a.test" href="https://b.test">',
         '<a href="1/1 https://a.test" href="https://b.test">'),
    ],
)  # fmt: skip
def test_a_link_to_a_web_page_is_replaced(tag: str, after: str) -> None:
    assert counted(f"<p>{tag}b</a>") == f"<p>{after}b</a>{FOOT}"


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:ada@example.com">',
        '<a href="tel:+43123">',
        '<a href="#below">',
        '<a href="/relative">',
        '<a href="//a.test/x">',
        '<a href="https:a.test">',
        '<a href="javascript:alert(1)">',
        '<a href="java\tscript:alert(1)">',
        '<a href="data:text/html,x">',
        '<a href="ftp://a.test/">',
        '<a href="https://">',
        '<a href="https://[::1/">',
        '<a href="https://a.test:port/">',
        '<a href="https://a.test\\@b.test/">',
        '<a href="https://a.test/a b">',
        '<a href="https://a.test/&#10;b">',
        '<a href="https://exämple.com/">',
        f'<a href="https://a.test/{"x" * URL_MAX}">',
        '<a href="https://a.test" data-no-track>',
        '<a DATA-NO-TRACK="1" href="https://a.test">',
        "<a href>",
        '<a name="href">',
        '<link href="https://a.test/style.css">',
        '<img src="https://a.test/x.png">',
        '<!-- <a href="https://a.test"> -->',
        '<script>"<a href=https://a.test>"</script>',
        '<style>/* <a href="https://a.test"> */</style>',
        'text https://a.test <a href="https://a.test',
    ],
)
def test_everything_else_stays_as_it_is(html: str) -> None:
    assert counted(html) == html + FOOT


@pytest.mark.parametrize(
    ("html", "after"),
    [
        ("<html><body>a</body></html>", "<html><body>a<foot></body></html>"),
        ("a</html>", "a<foot></html>"),
        ("a", "a<foot>"),
        ("", "<foot>"),
        ("<body>a</BODY >b", "<body>a<foot></BODY >b"),
        ("<body><!-- </body> -->a</body>", "<body><!-- </body> -->a<foot></body>"),
        ("</body>a</body>", "</body>a<foot></body>"),
        ('</body><a href="https://a.test">', '</body><a href="1/1 https://a.test"><foot>'),
    ],
)
def test_the_pixel_stands_at_the_end_of_the_body(html: str, after: str) -> None:
    assert counted(html) == after


def test_links_are_numbered_and_some_can_be_left() -> None:
    html = "<a href=https://a.test/1>1</a><a href=https://a.test/2>2</a>"
    seen: list[tuple[int, int, str]] = []

    def new(number: int, count: int, url: str) -> str | None:
        seen.append((number, count, url))
        return "x" if number == 2 else None

    assert replace_links(html, new, "") == html.replace("https://a.test/2", '"x"')
    assert seen == [(1, 2, "https://a.test/1"), (2, 2, "https://a.test/2")]


LINK, REPLACED = '<a href="https://a.test">', '<a href="1/1 https://a.test">'


@pytest.mark.parametrize(
    "odd",
    ["<![x]>", "<!>", "<!doctype html>", "<?php ?>", "<![if x]>", "<!-->", "<!--->", "<!---->",
     "<!-- -- a --!>", "</>", "</ x>", "</p a='>'>", "<", "< a", "<3", "<p a='>'>", "<br/>",
     "<title></titles></title>", "<textarea></TEXTAREA >", "<b =a c = d>", "<script/>x</script>",
     "<!-- a -- > -->", "<i a=b'c d=\"e>\"f>", "&lt;a href=x&gt;"],
)  # fmt: skip
def test_a_link_behind_something_odd_is_still_found(odd: str) -> None:
    assert counted(odd + LINK) == odd + REPLACED + FOOT


@pytest.mark.parametrize(
    "odd",
    ["<![", "<!doctype ", "<?php ", "<!-- -- ", "<p a='", '<p a="', "<p a='>", "</p a='", "<a ",
     "<title>", "<textarea></textareas>", "<script></scrip>", "<style><!--", "<plaintext>", "<p "],
)  # fmt: skip
def test_what_is_swallowed_by_something_that_nobody_closes_is_no_link(odd: str) -> None:
    """A browser takes the rest of the page as a part of it."""
    html = odd + LINK.replace(">", "").replace("<", "") + " b"
    assert counted(html) == html + FOOT


@pytest.mark.parametrize(
    "piece", ["<a ", "<", "<!", "<!--", "<!-- --", "<a href='", "<a href=", "&", "</a", "<title>",
              "<script>", "<a b ", "<a b= ", "<a\n/", "--!>", "<a b='c'"]
)  # fmt: skip
def test_a_page_made_to_take_long_takes_no_longer_than_others(piece: str) -> None:
    """Half a million characters of what nobody closes; quadratic time would take hours."""
    html = piece * (500_000 // len(piece))

    assert counted(html) == html + FOOT


def test_what_is_far_too_large_for_a_mail_is_left_alone() -> None:
    html = "<a href=https://a.test>" + "x" * HTML_MAX

    assert counted(html) == html


# Whatever comes --------------------------------------------------------------------------------

names = st.sampled_from(["a", "A", "area", "p", "br", "script", "b", "title", "svg", "body"])
urls = st.sampled_from(
    ["https://a.test/x?y=1&z=2", "http://b.test", "mailto:c@d.test", "/e", "", "https://[", "ö"]
)
attributes = st.one_of(
    st.tuples(st.sampled_from([' href="', " HREF = '", " href="]), urls).map(
        lambda pair: pair[0] + pair[1] + {'"': '"', "'": "'"}.get(pair[0][-1], "")
    ),
    st.sampled_from([" class=b", " data-no-track", ' x="<a>"', "/", " =", " a='", ' "', "\n"]),
)
tags = st.builds(
    lambda name, found, end: f"<{name}{''.join(found)}{end}",
    names,
    st.lists(attributes, max_size=3),
    st.sampled_from([">", "/>", " >", "", "\n>"]),
)
texts = st.sampled_from(
    ["x", " ", "\n", "\r\n", "&amp;", "&", "<", ">", "ü", "<!--", "-->", "</a>"]
)
rare = st.sampled_from(
    ["</body>", "</html>", "<![CDATA[", "]]>", "<!doctype html>", "<?x?>", "\x00"]
)
soups = st.lists(st.one_of(tags, texts, rare), max_size=12).map("".join)


@given(soups)
@example("<![<a href=https://a.test>")
def test_of_any_html_only_links_change(html: str) -> None:
    """What was replaced, put back by its place, gives the page as it was, byte for byte."""
    values: list[str] = []

    def new(number: int, count: int, url: str) -> str:
        values.append(url)
        return f"[{number}]"

    changed = replace_links(html, new, FOOT)
    originals = [html[link.start : link.end] for link in planned(html).links]
    back = changed.replace(FOOT, "", 1)
    for number, original in enumerate(originals, 1):
        assert back.count(f'"[{number}]"') == 1
        back = back.replace(f'"[{number}]"', original)

    assert back == html
    assert len(originals) == len(values)
    for original, url in zip(originals, values, strict=True):
        assert web_url(unreferenced(original.strip("\"'"))) == url


class Reader(HTMLParser):
    """All that a page is made of, with only the targets of links left out."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.said: list[object] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        shown = [(k, "*" if v and v.startswith("[") else v) for k, v in attrs]
        self.said.append(("start", tag, shown))

    def handle_endtag(self, tag: str) -> None:
        self.said.append(("end", tag))

    def handle_data(self, data: str) -> None:
        self.said.append(("data", data))

    def handle_comment(self, data: str) -> None:
        self.said.append(("comment", data))


whole = st.lists(
    st.one_of(
        st.sampled_from(["<p>", "</p>", "text &amp; ", "<br>", "<!-- c -->", "<b class=x>"]),
        st.sampled_from(["<a href='https://a.test/?b=1&amp;c=2' title=t>", "</a>"]),
        st.sampled_from(['<a target="_blank" href="https://b.test">', "<a href=mailto:c@d.test>"]),
    ),
    max_size=12,
).map("".join)


@given(whole)
def test_a_reader_of_the_page_sees_no_difference_but_the_targets(html: str) -> None:
    with_marks = replace_links(html, lambda number, *_: f"[{number}]", "")
    same = re.sub(r"""(['"]?)https://[^\s'">]*\1""", '"[0]"', html)

    assert Reader(with_marks).said == Reader(same).said


# In a mail -------------------------------------------------------------------------------------


def tracked(bench: Bench, base: str = "https://x.test", unsubscribe: str | None = None) -> Links:
    return links_of(bench.context, lambda: "0f" * 32, unsubscribe, base)


def html_of(bench: Bench, links: Links, html: str, way: str = "mail") -> str:
    receipt = bench.send(to="ada@example.com", html=html, channels=way)
    assert links.tracking is not None
    return links.tracking.html(html, bench.delivery(receipt))


@given(st.sampled_from(["https", "http", "HTTPS"]), st.text(max_size=80))
def test_where_a_click_leads_is_what_was_signed(scheme: str, rest: str) -> None:
    """Whatever the URL, the target is the same one, a single line of ASCII."""
    url = web_url(f"{scheme}://a.test/{rest}")
    bench = Bench(MemoryStore())
    links = tracked(bench)
    if url is None:
        return
    html = html_of(bench, links, f'<a href="{escape(url)}">')
    (token,) = re.findall(r"/t/c/([\w-]+)", html)
    found = read_click(links.tokens, token)

    assert (found.number, found.links, found.url) == (1, 1, url)
    assert re.fullmatch(r"(?i)https?://a\.test/[!-~]*", url)


def test_the_pixel_names_the_delivery_and_the_same_mail_is_the_same_again(quick: Bench) -> None:
    links = tracked(quick)
    receipt = quick.send(to="ada@example.com", html="<p>x", channels="mail")
    assert links.tracking is not None
    delivery = quick.delivery(receipt)
    html = links.tracking.html("<p>x", delivery)
    (token,) = re.findall(r'<img src="https://x\.test/t/o/([\w-]+)" width="1"', html)

    assert read_open(links.tokens, token) == receipt.delivery_id
    assert links.tracking.html("<p>x", delivery) == html


def test_only_what_people_see_as_a_mail_is_tracked(quick: Bench) -> None:
    links = tracked(quick)

    assert html_of(quick, links, "<p>x", "post") == "<p>x"
    assert html_of(quick, links, "<p>x", "mail") != "<p>x"


def test_our_own_links_and_those_to_unsubscribe_are_left_alone(quick: Bench) -> None:
    links = tracked(quick, unsubscribe="https://other.test/leave?t={token}")
    ours = "<a href=https://x.test/t/p/abc>", "<a href='https://other.test/leave?t=abc'>"
    others = "<a href=https://x.test/t>", "<a href=https://other.test/>"

    for tag in ours:
        assert html_of(quick, links, tag).startswith(tag)
    for tag in others:
        assert "/t/c/" in html_of(quick, links, tag)


@pytest.mark.parametrize(
    "url",
    ["", "x", "example.com", "ftp://x.test", "https://x.test?y", "https://x.test/#y", " https://x",
     "https://u@x.test", "https://x.test/ü", 'https://x.test/"', "https://", "javascript:alert(1)"],
)  # fmt: skip
def test_what_is_no_base_url_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="tracking: must be a URL such as"):
        checked_base(url)


def test_a_base_url_may_have_a_path_and_a_slash_at_its_end() -> None:
    assert checked_base("http://127.0.0.1:8700/") == "http://127.0.0.1:8700"
    assert checked_base("https://x.test/notify/") == "https://x.test/notify"


def test_a_token_of_a_link_is_no_pixel(quick: Bench) -> None:
    links = tracked(quick)
    html = html_of(quick, links, "<a href=https://a.test>")
    (token,) = re.findall(r"/t/c/([\w-]+)", html)

    with pytest.raises(RequestError, match="not one of ours"):
        read_open(links.tokens, token)
