from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tactful.templates.plaintext import MAX_HTML, html_to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("just text", "just text"),
        ("  a \n\t b  ", "a b"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<p>a<p>b", "a\n\nb"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<div><div>a</div></div>\n<div>b</div>", "a\nb"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("a<br><br><br>b", "a\n\nb"),
        ("<h1>T</h1>x<h2>U</h2>y", "T\n\nx\n\nU\n\ny"),
        ("a<b>b</b> <i>c</i>d", "ab cd"),
        ("a <b> b </b> c", "a b c"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("<ul><li><p>a</p></li><li><p>b</p></li></ul>c", "- a\n\n- b\n\nc"),
        ("<ul><li>a<ol><li>b</li></ol></li><li>c</li></ul>", "- a\n  1. b\n- c"),
        ("<li>a", "- a"),
        ("x</ul></ol></li>y", "x\n\ny"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><th>c<td>d</table>", "a | b\nc | d"),
        ("<table><tr><td></td><td>b</td></tr></table>", "b"),
        ("a&nbsp;b &amp; &lt;c&gt; &#8364; &eacute;&copy", "a b & <c> € é©"),
        ("&#" + "9" * 6000 + ";x", "\ufffdx"),
        ("&#x" + "f" * 6000 + ";x", "\ufffdx"),
        ("a\x00b\x07c", "a b c"),
        ("<img alt='Logo' src=x> <img src=y><img alt=''>", "Logo"),
        ("<script>if (a<b) '</p>'</script>x<style>p{}</style>y", "xy"),
        ("<html><head><title>T</title><meta></head><body>x</body></html>", "x"),
        ("<head><title>a</head>b</title>c<body>d", "d"),
        ("<script>never closed", ""),
        ("a<!-- <p>x</p> -->b<!-->c<!doctype html><?php x ?>d", "abcd"),
        ("1 < 2 <3 > 2", "1 < 2 <3 > 2"),
        ("a <b title='x>y' class=\"z>\">c</b>", "a c"),
        ("a <b title='never closed>x", "a"),
        ("a <b", "a"),
        ("<pre>a  b\n  c</pre>d", "a b\nc\n\nd"),
        ("<P>A</P><BR><SCRIPT>x</SCRIPT>B", "A\n\nB"),
    ],
)
def test_what_a_reader_sees(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<a href='https://x.test/a?b=1&amp;c=2'>here</a>.", "here (https://x.test/a?b=1&c=2)."),
        ("<a href=https://x.test/>x.test</a>", "x.test"),
        ("<a href='https://www.x.test'>https://x.test/</a>", "https://x.test/"),
        ("<a href='mailto:a@x.test'>a@x.test</a>", "a@x.test"),
        ("<a href='mailto:a@x.test'>us</a>", "us (mailto:a@x.test)"),
        ("<a href='/local'>here</a>", "here"),
        ("<a href='#top'>here</a>", "here"),
        ("<a href='javascript:x'>here</a>", "here"),
        ("<a name=x>here</a>", "here"),
        ("<a href='https://x.test'></a>", "https://x.test"),
        ("<a href='https://x.test'><img alt='Shop'></a>", "Shop (https://x.test)"),
        ("<a href='https://x.test/a\n b'>t</a>", "t (https://x.test/ab)"),
        ("<a href=https://x.test>t", "t (https://x.test)"),
        (
            "<a href=https://x.test>t<a href=https://y.test>u</a>",
            "t (https://x.test)u (https://y.test)",
        ),
        ("</a>x", "x"),
    ],
)
def test_links_keep_their_address(html: str, text: str) -> None:
    assert html_to_text(html) == text


_TAGS = ["p", "div", "br", "ul", "ol", "li", "a", "b", "td", "tr", "table", "pre", "script", "head"]
_PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in _TAGS] + [f"</{tag}>" for tag in _TAGS]),
    st.sampled_from(["<a href='https://x.test'>", '<img alt="i>">', "<!--x-->", "<title>", "<B/>"]),
    st.text(st.characters(exclude_characters="<>&"), max_size=8),
)


@given(st.lists(_PIECES, max_size=40).map("".join))
def test_no_tag_of_the_input_appears(html: str) -> None:
    text = html_to_text(html)
    assert "<" not in text
    assert text == text.strip()
    assert "\n\n\n" not in text


@given(st.text())
def test_never_raises(html: str) -> None:
    html_to_text(html)


@given(
    st.lists(
        st.sampled_from(["<", ">", "/", "!", "-", "--", "=", '"', "'", "&", "#", ";", "a", "li"])
        | st.sampled_from(["<a ", "</", "<!--", "<script", "href=", "alt=", "<ul>", " ", "\n", "x"])
    ).map("".join)
)
def test_never_raises_on_junk(html: str) -> None:
    html_to_text(html)


_UNITS = ["<!--", "<a ", '<a "', "<a ='", "&", "</", "<?", "<![", '<a href="', "<script>", "<ul>"]
_MORE_UNITS = ["<style></", "<ul><li>x", "&#9", "<pre>\n", "<br>x", "<td>x", "<a href=https://x>y"]


@pytest.mark.parametrize("unit", [*_UNITS, *_MORE_UNITS])
def test_size_of_the_result_is_bounded(unit: str) -> None:
    # The work is too: quadratic time would not end within the limit of a test.
    html = unit * (2 * MAX_HTML // len(unit))
    assert len(html_to_text(html)) <= 8 * MAX_HTML
