from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tactful.core.errors import RequestError, TactfulError
from tactful.templates.library import (
    DIGEST,
    MAX_SUBJECT,
    Renderer,
    RenderError,
    Template,
    choose,
)

RENDERER = Renderer()


def test_renders_all_parts() -> None:
    template = Template(
        "order",
        subject="Order {{ id }} for {{ name }}",
        text="Dear {{ name }},\n{% for x in xs %}- {{ x }}\n{% endfor %}",
        html="<p>Dear {{ name }}</p>",
    )
    RENDERER.check(template)
    rendered = RENDERER.render(template, {"id": 7, "name": "A & <B>", "xs": ["x", "y"]})
    assert rendered.subject == "Order 7 for A & <B>"
    assert rendered.text == "Dear A & <B>,\n- x\n- y\n"
    assert rendered.html == "<p>Dear A &amp; &lt;B&gt;</p>"


def test_absent_parts_stay_absent() -> None:
    rendered = RENDERER.render(Template("t", subject="s"), {})
    assert (rendered.subject, rendered.text, rendered.html) == ("s", "", None)


def test_text_is_made_from_html() -> None:
    template = Template("t", html="<h1>Hi {{ n }}</h1><p>See <a href='{{ u }}'>this</a>")
    rendered = RENDERER.render(template, {"n": "<Ann>", "u": "https://x.test/?a=1&b=2"})
    assert rendered.text == "Hi <Ann>\n\nSee this (https://x.test/?a=1&b=2)"


def test_a_text_of_its_own_is_kept() -> None:
    assert RENDERER.render(Template("t", text="own", html="<p>other</p>"), {}).text == "own"


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("a\r\nBcc: x@y.test", "a Bcc: x@y.test"),
        ("  a \t\n\x0b\x0c b\x85\u2028\u2029c\u3000d ", "a b c d"),
        ("a\x00 \x01b\x7fc\x9fd", "a bcd"),
        ("", ""),
        ("x" * 255, "x" * 255),
        ("x" * 256, "x" * 254 + "…"),
        ("👩‍👩‍👧 Ünï", "👩‍👩‍👧 Ünï"),
    ],
)
def test_subject_is_one_line(value: str, subject: str) -> None:
    assert RENDERER.render(Template("t", subject="{{ v }}"), {"v": value}).subject == subject


@given(st.text())
def test_subject_never_holds_a_control(value: str) -> None:
    subject = RENDERER.render(Template("t", subject="{{ v }}"), {"v": value}).subject
    assert len(subject) <= MAX_SUBJECT
    assert subject == subject.strip()
    assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in subject)
    assert len(subject.splitlines()) <= 1


@pytest.mark.parametrize(
    ("part", "source", "told"),
    [
        ("text", "a\nb {{ nme }}", "template 't', text, line 2: 'nme' is undefined"),
        ("subject", "{{ user.nme }}", "template 't', subject, line 1: 'nme' is undefined"),
        ("html", "<p>\n\n{{ 1 / 0 }}", "template 't', html, line 3: division by zero"),
        ("text", "\n{% if %}", "text, line 2: Expected an expression"),
        ("text", "{{ 'x' * 999999 }}", "more than 500000 characters"),
        ("html", "{{ big * 400 }}{{ big * 400 }}", "renders to more than 500000"),
        ("text", "{% for a in range(9999) %}{% for b in range(9999) %}", "endfor"),
        ("text", "{% for x in user %}{{ x.y.z }}{% endfor %}", "a text has no 'y'"),
        ("text", "{{ user + 1 }}", "a dict + a int is not available"),
        ("text", "{{ user.name|int|round('x') }}", "not supported between"),
        ("text", "{{ user }}", "a dict cannot stand here"),
    ],
)
def test_failures_name_template_part_line_and_reason(part: str, source: str, told: str) -> None:
    parts: dict[str, Any] = {part: source}
    data = {"user": {"name": "Ann"}, "big": "x" * 1000}
    with pytest.raises(RenderError) as caught:
        RENDERER.render(Template("t", **parts), data)
    assert told in str(caught.value)
    assert (caught.value.template, caught.value.part) == ("t", part)
    assert isinstance(caught.value, TactfulError)


@pytest.mark.parametrize(
    "source", ["{{ v.index('zz') }}", "{{ {'a': 1}[v] }}", "{{ [1].index(v) }}", "{{ -v }}"]
)
def test_reasons_never_quote_the_data(source: str) -> None:
    with pytest.raises(RenderError) as caught:
        RENDERER.render(Template("t", text=source), {"v": "canary"})
    assert "canary" not in str(caught.value)


def test_data_that_is_not_plain_is_the_callers_fault() -> None:
    with pytest.raises(RequestError, match=r"data\.a"):
        RENDERER.render(Template("t", text="x"), {"a": object()})


@pytest.mark.parametrize(
    ("template", "part", "told"),
    [
        (Template("t", subject="{{ a", text="ok"), "subject", "line 1:"),
        (Template("t", text="a\nb\n{{ a|nope }}"), "text", "line 3: there is no filter 'nope'"),
        (Template("t", text="{{ a is nope }}"), "text", "line 1: there is no test 'nope'"),
        (Template("t", text="{% if a %}{{ a|nope }}{% endif %}"), "text", "no filter 'nope'"),
        (Template("t", html="\n<a href={{ a }}>"), "html", "line 2: put the value"),
        (Template("t", html="{% include 'x' %}"), "html", "include is not available"),
        (Template("t", text="{% nope %}"), "text", "Encountered unknown tag 'nope'"),
        (Template("t", text="x" * 300_000), "text", "longer than"),
    ],
)
def test_check_names_part_line_and_problem(template: Template, part: str, told: str) -> None:
    with pytest.raises(RequestError) as caught:
        RENDERER.check(template)
    assert caught.value.field == part
    assert told in caught.value.bound


def test_check_passes_what_renders() -> None:
    RENDERER.check(DIGEST)
    RENDERER.check(Template("empty"))


def test_the_cache_is_bounded_and_by_source() -> None:
    renderer = Renderer(cache=4)
    for number in range(20):
        assert renderer.render(Template("same", text=f"{number}{{{{ v }}}}"), {"v": 1}).text == (
            f"{number}1"
        )
    assert renderer._compiled_plain.cache_info().currsize == 4


def test_threads_share_a_renderer() -> None:
    renderer, wrong = Renderer(cache=2), []

    def work(number: int) -> None:
        template = Template("t", subject=f"{number % 3} {{{{ v }}}}", html="<p>{{ v }}</p>")
        for turn in range(50):
            rendered = renderer.render(template, {"v": turn})
            if (rendered.subject, rendered.text) != (f"{number % 3} {turn}", str(turn)):
                wrong.append(rendered)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# Choice ---------------------------------------------------------------------------------------


def _shelf(*keys: tuple[str, str]) -> list[Template]:
    return [Template("t", locale, channel) for locale, channel in keys]


@pytest.mark.parametrize(
    ("keys", "locale", "channel", "chosen"),
    [
        ([("", ""), ("de", ""), ("de-AT", "")], "de-AT", "smtp", ("de-AT", "")),
        ([("", ""), ("de", ""), ("de-CH", "")], "de-AT", "smtp", ("de", "")),
        ([("", ""), ("fr", "")], "de-AT", "smtp", ("", "")),
        ([("fr", "")], "de-AT", "smtp", None),
        ([], "de", "smtp", None),
        ([("de", ""), ("de", "smtp")], "de", "smtp", ("de", "smtp")),
        ([("", "smtp"), ("de", "")], "de", "smtp", ("de", "")),
        ([("de", "sms"), ("", "")], "de", "smtp", ("", "")),
        ([("de", "sms")], "de", "smtp", None),
        ([("de_AT", "SMTP")], "DE-at", "smtp", ("de_AT", "SMTP")),
        ([("de-at", "")], "de_AT.UTF-8", "smtp", ("de-at", "")),
        ([("zh-Hant", "")], "zh-Hant-TW", "smtp", ("zh-Hant", "")),
        ([("d", ""), ("", "")], "de", "smtp", ("", "")),
        ([("en", ""), ("", "")], "", "smtp", ("", "")),
    ],
)
def test_choose(
    keys: list[tuple[str, str]], locale: str, channel: str, chosen: tuple[str, str] | None
) -> None:
    found = choose(_shelf(*keys), locale, channel)
    assert (found and (found.locale, found.channel)) == chosen


def test_the_first_of_equals_is_chosen() -> None:
    first, second = Template("t", text="1"), Template("t", text="2")
    assert choose([first, second], "de", "x") is first


# Digest ---------------------------------------------------------------------------------------


def _item(number: int, **more: Any) -> dict[str, Any]:
    return {"subject": f"News {number}", "text": f"Text {number}", "type": "news", "at": 1} | more


def test_digest_of_several() -> None:
    data = {"count": 5, "items": [_item(1, text="a\nb\n"), _item(2, at="10:05")], "more": 3}
    rendered = RENDERER.render(DIGEST, data)
    assert rendered.subject == "5 updates for you"
    assert rendered.text == (
        "5 things have happened since we last wrote:\n\n"
        "* News 1\n  a\n  b\n\n"
        "* News 2 (10:05)\n  Text 2\n\n"
        "... and 3 more.\n"
    )
    assert rendered.html is not None
    assert "<strong>News 2</strong> <span" in rendered.html
    assert "&hellip; and 3 more." in rendered.html


def test_digest_of_one_reads_like_the_one() -> None:
    rendered = RENDERER.render(DIGEST, {"count": 1, "items": [_item(1)], "more": 0})
    assert rendered.subject == "News 1"
    assert rendered.text == "News 1\n\nText 1\n"


def test_digest_of_things_that_say_little() -> None:
    bare = _item(1, subject="", text="")
    one = RENDERER.render(DIGEST, {"count": 1, "items": [bare], "more": 0})
    assert (one.subject, one.text) == ("An update for you", "Update\n")
    two = RENDERER.render(DIGEST, {"count": 2, "items": [bare, bare], "more": 0})
    assert two.text.endswith(":\n\n* Update\n\n* Update\n")
    none = RENDERER.render(DIGEST, {"count": 2, "items": [], "more": 2})
    assert none.subject == "2 updates for you"


def test_digest_escapes_its_items() -> None:
    evil = _item(1, subject="<b>x</b>", text="<script>", at="<i>")
    rendered = RENDERER.render(DIGEST, {"count": 1, "items": [evil], "more": 0})
    assert rendered.html is not None
    assert not any(tag in rendered.html for tag in ("<b>", "<script>", "<i>"))
    assert rendered.subject == "<b>x</b>"
