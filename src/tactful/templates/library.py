"""Templates of messages: which one is meant, what it renders to, and what is wrong with it.

A template has up to three parts. `html` is escaped as HTML; `subject` and `text` are not, since
nothing reads them as markup. All parts see the same data, which is checked and copied once, and
share the budget of one render (`sandbox`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import TracebackType
from typing import Any, Final

from jinja2.exceptions import TemplateError, TemplateSyntaxError

from tactful.core.errors import RequestError, TactfulError
from tactful.templates.plaintext import html_to_text
from tactful.templates.sandbox import Compiled, Sandbox, scope_of

MAX_SUBJECT: Final = 255
"""Characters of a rendered subject; a longer one ends in an ellipsis."""

# The controls that are no whitespace; those that are become blanks with the rest of it.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
# Errors whose messages speak about types and operations, never about a value.
_TELLING: Final = (TemplateError, TypeError, ZeroDivisionError, OverflowError)


@dataclass(frozen=True, slots=True)
class Template:
    """What a message is made from.

    `locale` and `channel` say whom it is for; "" is the default for all. A part that is "" (or
    None, for `html`) is absent.
    """

    name: str
    locale: str = ""
    channel: str = ""
    subject: str = ""
    text: str = ""
    html: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template made of some data; the subject is a single line."""

    subject: str
    text: str
    html: str | None


class RenderError(TactfulError):
    """A template failed on some data: names the template, the part, the line and the reason.

    The reason tells what is missing or which limit was met, and never quotes the data.
    """

    def __init__(self, template: str, part: str, reason: str, line: int | None = None) -> None:
        self.template = template
        self.part = part
        self.reason = reason
        self.line = line
        where = part if line is None else f"{part}, line {line}"
        super().__init__(f"template {template!r}, {where}: {reason}")


@cache
def _sandbox(*, html: bool) -> Sandbox:
    """The same for every renderer of the process, since it has no state."""
    return Sandbox(html=html)


class Renderer:
    """Renders templates in a sandbox and keeps the last `cache` compiled parts.

    May be used by many threads at once.
    """

    def __init__(self, cache: int = 512) -> None:
        self._plain = _sandbox(html=False)
        self._html = _sandbox(html=True)
        # By source, not by name: a template that is edited is another one at once.
        self._compiled_plain = lru_cache(cache)(self._plain.compiled)
        self._compiled_html = lru_cache(cache)(self._html.compiled)

    def check(self, template: Template) -> None:
        """Compile all parts.

        Raises RequestError whose field is `subject`, `text` or `html`; it names the line and what
        is wrong there.
        """
        for part, source in _parts(template):
            try:
                self._compiled(part, source)
            except TemplateSyntaxError as error:
                lines = source.splitlines()[error.lineno - 1 : error.lineno]
                shown = lines[0].strip() if lines else ""
                raise RequestError(part, shown, f"line {error.lineno}: {error.message}") from error

    def render(
        self, template: Template, data: Mapping[str, Any], *, known_plain: bool = False
    ) -> Rendered:
        """All parts of `template`, filled with `data`; `known_plain` if `plain` has made them.

        The subject becomes one line: runs of whitespace become one blank, other controls go, and
        from MAX_SUBJECT characters on it is cut. Without a text part the text is made from the
        HTML. Raises RequestError if `data` is not plain (`data.plain`), and RenderError for
        whatever goes wrong in the template: a missing variable, a limit, a syntax error.
        """
        scope = scope_of(data, known_plain=known_plain)
        subject = text = ""
        html: str | None = None
        if template.subject:
            subject = _one_line(self._run(template.name, "subject", template.subject, scope))
        if template.html is not None:
            html = self._run(template.name, "html", template.html, scope)
        if template.text:
            text = self._run(template.name, "text", template.text, scope)
        elif html is not None:
            text = html_to_text(html)
        return Rendered(subject, text, html)

    def _compiled(self, part: str, source: str) -> Compiled:
        return self._compiled_html(source) if part == "html" else self._compiled_plain(source)

    def _run(self, name: str, part: str, source: str, scope: dict[str, Any]) -> str:
        compiled: Compiled | None = None
        try:
            compiled = self._compiled(part, source)
            return (self._html if part == "html" else self._plain).run(compiled, scope)
        except TemplateSyntaxError as error:
            raise RenderError(name, part, str(error.message), error.lineno) from error
        except Exception as error:  # a template may fail in any way that Python can
            line = compiled and _line(compiled, error.__traceback__)
            cause = error if isinstance(error, _TELLING) else None
            raise RenderError(name, part, _reason(error), line or None) from cause


def choose(templates: Sequence[Template], locale: str, channel: str) -> Template | None:
    """The template that fits best, or None if there is none for this locale and channel.

    A locale falls back part by part (`de-AT`, `de`, then the default); within one locale a template
    for the channel goes before one for all channels, and an earlier one before a later one. Case
    and `_` for `-` make no difference.
    """
    best: dict[tuple[str, str], Template] = {}
    for template in templates:
        best.setdefault((_tag(template.locale), template.channel.lower()), template)
    wanted = _tag(locale)
    while True:
        for kind in (channel.lower(), ""):
            if (wanted, kind) in best:
                return best[wanted, kind]
        if not wanted:
            return None
        wanted = wanted.rpartition("-")[0]


def _tag(locale: str) -> str:
    # What POSIX puts behind a locale ("de_AT.UTF-8", "de_AT@euro") says nothing about language.
    return re.split(r"[.@]", locale, maxsplit=1)[0].replace("_", "-").lower()


def _parts(template: Template) -> Iterator[tuple[str, str]]:
    yield "subject", template.subject
    yield "text", template.text
    if template.html is not None:
        yield "html", template.html


def _one_line(text: str) -> str:
    line = " ".join(_CONTROLS.sub("", text).split())
    return line if len(line) <= MAX_SUBJECT else line[: MAX_SUBJECT - 1].rstrip() + "…"


def _reason(error: Exception) -> str:
    if isinstance(error, _TELLING):
        return str(error) or type(error).__name__
    return type(error).__name__


def _line(compiled: Compiled, trace: TracebackType | None) -> int | None:
    """The line of the template at which it failed."""
    code = compiled.root_render_func.__code__
    line = None
    while trace:
        if trace.tb_frame.f_code is code:
            line = compiled.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


DIGEST: Final = Template(
    name="digest",
    subject=(
        "{% if count == 1 and items and items[0].subject %}{{ items[0].subject }}"
        "{% elif count == 1 %}An update for you"
        "{% else %}{{ count }} updates for you{% endif %}"
    ),
    text="""\
{% if count > 1 %}{{ count }} things have happened since we last wrote:

{% endif %}
{%- for item in items %}
{%- if count > 1 %}* {% endif %}{{ item.subject or "Update" }}
{%- if item.at is string and item.at %} ({{ item.at }}){% endif %}
{%- if item.text %}
{% if count > 1 %}  {{ item.text.strip().replace("\\n", "\\n  ") }}{% else %}
{{ item.text.strip() }}{% endif %}
{%- endif %}
{% if not loop.last %}
{% endif %}
{%- endfor %}
{%- if more %}
... and {{ more }} more.
{% endif %}""",
    html="""\
<div style="font-family: sans-serif; font-size: 15px; line-height: 1.5; color: #222">
{%- if count > 1 %}
<p>{{ count }} things have happened since we last wrote:</p>
{%- endif %}
{%- for item in items %}
<div style="margin: 0 0 12px; padding: 0 0 12px; border-bottom: 1px solid #ddd">
<div><strong>{{ item.subject or "Update" }}</strong>
{%- if item.at is string and item.at %} <span style="color: #666">{{ item.at }}</span>{% endif -%}
</div>
{%- if item.text %}
<div style="white-space: pre-line">{{ item.text.strip() }}</div>
{%- endif %}
</div>
{%- endfor %}
{%- if more %}
<p style="color: #666">&hellip; and {{ more }} more.</p>
{%- endif %}
</div>
""",
)
"""What several notifications are merged into.

Its data: `count` of all that are merged, `items` as far as they are shown, each with `subject`,
`text`, `type` and `at` (shown if it is a text), and `more`, how many are not shown.
"""
