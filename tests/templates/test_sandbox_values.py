"""What becomes of values in the sandbox: copied to plain types, escaped wherever they land."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from markupsafe import Markup
from sandbox_cases import HTML, PLAIN, render

from tactful.core.errors import RequestError
from tactful.templates.sandbox import Sandbox, plain, safe_url

# Escaping -------------------------------------------------------------------------------------

POLYGLOTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "--><b>x</b><!--",
    "</style><b>",
    "</title></textarea></script><b onclick=x>",
    "]]><b>",
    "&lt;b&gt;",
    "&#60;b&#62;",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "` onmouseover=alert(1)",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    " \tjavascript&colon;alert(1)",
    "javascript&#58;alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "vbscript:x",
    "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=alert() )//%0D%0A//</stYle/</titLe/"
    "</teXtarEa/</scRipt/--!>\\x3csVg/<sVg/oNloAd=alert()//>\\x3e",
    "\u2028<b>\u2029",
    "\ufeff<b>",
    "<\x00b>",
]
PAGE = (
    "<html><head><style>p { color: red }</style></head><body><!-- {{ v }} --><h1>{{ v }}</h1>"
    "<p title=\"{{ v }}\" class='x {{ v }}'>{{ v|upper }} {{ v|replace('a', v) }}</p>"
    "{% set m %}<i>{{ v }}</i>{% endset %}{{ m }}{{ m|replace('<i>', v) }}{{ m ~ v }}{{ v ~ m }}"
    "{{ [m, v]|join(v) }}{{ '%s'|format(v) }}{{ v|default(v) }}{{ v[::-1] }}{{ m|upper }}"
    "{% if v %}<a href=\"{{ v }}\">x</a>{% else %}<a href='/'>y</a>{% endif %}"
    '<a href=\'{{ v|url }}\'>x</a><img src="{{ v }}" alt="{{ v }}"><a href="/?q={{ v }}">z</a>'
    "</body></html>"
)


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.urls: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(name for name, _ in attrs)))
        self.urls += [value or "" for name, value in attrs if name in {"href", "src"}]


def _check_page(value: str) -> None:
    expected = _Tags(render(PAGE, {"v": "harmless"}, html=True)).seen
    got = _Tags(render(PAGE, {"v": value}, html=True))
    assert got.seen == expected
    assert all(safe_url(url) != "#" or url == "#" for url in got.urls)


@pytest.mark.parametrize("value", POLYGLOTS)
def test_a_value_adds_no_tag_no_attribute_and_no_scheme(value: str) -> None:
    _check_page(value)


@given(
    st.lists(st.sampled_from(["<", ">", '"', "'", "`", "=", " ", "\n", "&", ";", "b", "/", "-"]))
    .map("".join)
    .filter(bool)
)
def test_no_mixture_of_markup_adds_a_tag(value: str) -> None:
    _check_page(value)


@pytest.mark.parametrize(
    "source",
    [
        "<a href={{ v }}>",
        "<a href= {{ v }}>",
        "<a href=x{{ v }}>",
        "<a {{ v }}>",
        "<a {{ v }}='x'>",
        '<a href="x"{{ v }}>',
        "<{{ v }}>",
        "</{{ v }}>",
        "<a{{ v }}>",
        '<a onclick="f({{ v }})">',
        "<A ONCLICK=\"f('{{ v }}')\">",
        '<iframe srcdoc="{{ v }}">',
        '<img srcset="{{ v }}">',
        "<script>{{ v }}</script>",
        "<SCRIPT x='>'>var a = '{{ v }}'</SCRIPT>",
        '{% if v %}<a href="{% endif %}{{ v }}">',
        '{% for v in [1] %}<a href="{% endfor %}',
        "{% set x %}<a {% endset %}",
        "<a {% if v %}href={% else %}title={% endif %}{{ v }}>",
        "<a href=x{% if v %} title={{ v }}{% endif %}>",
        '<a {% if v %}href{% else %}title{% endif %}="{{ v }}">',
        '<a {% if v %}href="{% else %}title="{% endif %}{{ v }}">',
        '<a {% if v %}href={% else %}title={% endif %}"{{ v }}">',
        '<a on{% if v %}click{% endif %}="{{ v }}">',
        '<a {% for x in [1] %}on{% endfor %}="{{ v }}">',
        "<scr{% if v %}ipt{% endif %}>{{ v }}",
        "{% if v %}<script>{% endif %}{{ v }}",
        '<td width=5{% if v %} onclick{% endif %}="{{ v }}">',
    ],
)
def test_refuses_places_that_escaping_does_not_protect(source: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        HTML.compiled(source)
    assert "{" not in str(PLAIN.compiled("<a href={{ 1 }}>").render())


@pytest.mark.parametrize(
    "source",
    [
        "<a href='x' title=\"it's {{ v }}\">{{ v }}</a>",
        '<td width=5{% if v %} class="{{ v }}"{% endif %}>{{ v }}</td>',
        "<input {% if v %}checked{% endif %} value='{{ v }}'{% if v %} disabled{% endif %}>{{ v }}",
        "<td {% if v %}class='a'{% elif w is defined %}class='b'{% else %}id=\"c\"{% endif %}>",
        "<p style=\"font-family: 'X'; color: {{ v }}\">a = {{ v }}, 1 < 2 = {{ v }}</p>",
        "<script>if (a<b) f('\"')</script>{{ v }}",
        "<style>a>b { color: {{ v }} }</style>{{ v }}",
        "<!doctype html><br/>{{ v }}<hr >{{ v }}<img src='a>b' alt='{{ v }}'/>",
        '<a href="https://x.test/a=b?c={{ v }}&d={{ v }}">{{ v }}</a>',
    ],
)
def test_accepts_safe_places(source: str) -> None:
    HTML.compiled(source)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://x.test/a?b=c&d=e#f", "https://x.test/a?b=c&d=e#f"),
        ("HTTP://x.test", "HTTP://x.test"),
        ("mailto:a@x.test", "mailto:a@x.test"),
        ("tel:+49123", "tel:+49123"),
        ("/a/b:c", "/a/b:c"),
        ("a/b", "a/b"),
        ("?q=a:b", "?q=a:b"),
        ("#a:b", "#a:b"),
        ("", ""),
        (None, ""),
        (7, "7"),
        ("/straße", "/straße"),
        ("http://x/ y'\"<>`", "http://x/%20y%27%22%3C%3E%60"),
        ("javascript:alert(1)", "#"),
        (" java\tscript:alert(1)", "#"),
        ("\x00javascript:x", "#"),
        ("data:text/html,x", "#"),
        ("file:///etc/passwd", "#"),
        ("ftp://x", "#"),
        (":x", "#"),
        ("\u00a0javascript:x", "#"),
        ("http\u200b:x", "#"),
    ],
)
def test_safe_url(url: object, safe: str) -> None:
    assert safe_url(url) == safe
    assert safe_url(safe) == safe


# Data -----------------------------------------------------------------------------------------


class _Word(StrEnum):
    A = "a"


class _Number(IntEnum):
    ONE = 1


def test_plain_copies_to_plain_types() -> None:
    source = MappingProxyType(
        {
            "s": Markup("<b>"),
            "e": _Word.A,
            "i": _Number.ONE,
            "t": (1, 2.5, True, None),
            "d": OrderedDict(x=[{}]),
        }
    )
    copy = plain(source)
    assert copy == {"s": "<b>", "e": "a", "i": 1, "t": [1, 2.5, True, None], "d": {"x": [{}]}}
    assert [type(copy[k]) for k in "seitd"] == [str, str, int, list, dict]
    assert render("{{ s }}", {"s": Markup("<b>")}, html=True) == "&lt;b&gt;"


_DEEP: list[Any] = []
_DEEP.append(_DEEP)


@pytest.mark.parametrize(
    ("value", "field", "bound"),
    [
        ({"a": {"b": [1, object()]}}, "data.a.b[1]", "must be a str"),
        ({"a": datetime(2030, 1, 1, tzinfo=UTC)}, "data.a", "must be a str"),
        ({"a": Decimal(1)}, "data.a", "must be a str"),
        ({"a": b"x"}, "data.a", "must be a str"),
        ({"a": {1}}, "data.a", "must be a str"),
        ({"a": len}, "data.a", "must be a str"),
        ({"a": Sandbox}, "data.a", "must be a str"),
        ({"a": iter([])}, "data.a", "must be a str"),
        ({1: "a"}, "data", "keys must be str"),
        ({"a": float("nan")}, "data.a", "finite"),
        ({"a": 1 << 63}, "data.a", "64 bits"),
        ({"a": "\ud800"}, "data.a", "surrogate"),
        ({"a": "x" * 300_000}, "data", "larger than"),
        ({"a": ["x" * 1000] * 300}, "data", "larger than"),
        ({"a": [0] * 40_000}, "data", "larger than"),
        ({"a": [[]] * 40_000}, "data", "larger than"),
        ({"a": _DEEP}, "data.a" + "[0]" * 9, "nested"),
        (["a"], "data", "mapping"),
        (None, "data", "mapping"),
    ],
)
def test_plain_refuses(value: Any, field: str, bound: str) -> None:
    with pytest.raises(RequestError, match=bound) as caught:
        plain(value)
    assert caught.value.field == field


def test_data_cannot_replace_the_budget_or_range() -> None:
    data = {" budget": "mine", "range": [1]}
    assert render("{{ range(2)|length }}{{ range|length }}", data) == "21"


def test_missing_variables_are_named() -> None:
    for source in ["{{ nme }}", "{{ user.nme }}", "{{ nme|upper }}", "{{ nme ~ 'x' }}"]:
        with pytest.raises(TemplateError, match="'nme' is undefined"):
            render(source)
