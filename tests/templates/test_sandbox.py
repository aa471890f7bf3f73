"""The sandbox against everything we know that has been tried on template engines."""

from __future__ import annotations

import tracemalloc

import pytest
from jinja2.exceptions import TemplateError
from sandbox_cases import PLAIN, render

from tactful.templates.sandbox import LimitError, scope_of

# Reach ----------------------------------------------------------------------------------------

REFUSED = [
    # dunder chains, by every kind of access
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ().__class__.__bases__[0].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ''[dunder] }}",
    "{{ user['__class__'] }}",
    "{{ user.__class__ }}",
    "{{ user['__cl' ~ 'ass__'] }}",
    "{{ user['__cl' + 'ass__'] }}",
    "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ 1 .__class__ }}",
    "{{ 1.0.__class__ }}",
    "{{ true.__class__ }}",
    "{{ none.__class__ }}",
    "{{ [].__len__() }}",
    "{{ {}.__init__.__globals__ }}",
    "{{ numbers.__class__ }}",
    "{{ range(3).__class__ }}",
    "{{ (1, 2).__add__((3,)) }}",
    "{{ user.name.__getattribute__('upper') }}",
    "{{ __builtins__ }}",
    "{{ __import__('os').popen('id') }}",
    "{{ missing.__class__ }}",
    "{{ missing.__init__.__globals__ }}",
    # |attr, map(attribute=), sort, groupby and the others that look up by name
    "{{ ''|attr('__class__') }}",
    "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f')|attr('mro') }}",
    "{{ ['']|map('attr', '__class__')|list }}",
    "{{ ['a']|map(attribute='__class__')|join }}",
    "{{ xs|map(attribute='n.__class__')|join }}",
    "{{ xs|sort(attribute='__class__')|length }}",
    "{{ xs|sort(attribute='n.__class__.__mro__')|length }}",
    "{{ xs|groupby('__class__') }}",
    "{{ xs|sum(attribute='__class__') }}",
    "{{ xs|selectattr('__class__')|list|length }}",
    "{{ xs|rejectattr('__class__')|list|length }}",
    "{{ xs|selectattr('n.__class__.__name__', 'eq', 'int')|list|length }}",
    "{{ xs|max(attribute='__class__') }}",
    "{{ xs|unique(attribute='__class__')|list|length }}",
    "{{ xs|join(',', attribute='__class__') }}",
    # methods as values, and methods that are not listed
    "{{ ''.upper }}",
    "{{ ''['upper'] }}",
    "{{ user.get }}",
    "{{ [''.upper]|join }}",
    "{{ ''.format }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(user) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "{{ ['{0.__class__}']|map('format', 1)|map('upper')|join|attr('x') }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ ''.join(['a']) }}",
    "{{ 'a'.encode() }}",
    "{{ ''.maketrans({}) }}",
    "{{ 'a'.translate({}) }}",
    "{{ (1).to_bytes(9999999, 'big') }}",
    "{{ user.update({}) }}",
    "{{ user.pop('name') }}",
    "{{ user.setdefault('a', 1) }}",
    "{{ numbers.append(1) }}",
    "{{ numbers.sort() }}",
    "{{ xs.clear() }}",
    "{% set x = numbers.extend([1]) %}",
    # functions
    "{{ cycler('a').__init__.__globals__ }}",
    "{{ cycler('a').next() }}",
    "{{ joiner(',')() }}",
    "{{ namespace(a=1).a }}",
    "{% set ns = namespace(a=1) %}{% set ns.a = 2 %}",
    "{% set user.name = 'x' %}",
    "{{ lipsum(n=100000) }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ dict(a=1) }}",
    "{{ dict.__base__ }}",
    "{{ range.__class__ }}",
    "{{ (range)(3).start.__class__ }}",
    "{{ range(*[1, 2]) }}",
    "{{ ''.replace(**user) }}",
    "{{ user.name() }}",
    "{{ xs[0]() }}",
    "{{ ('a'|upper)() }}",
    "{{ config }}",
    "{{ request.application }}",
    "{{ environment }}",
    "{{ context }}",
    "{{ get_flashed_messages }}",
    "{{ url_for.__globals__ }}",
    # the template's own objects
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ caller }}",
    "{{ super() }}",
    "{{ varargs }}",
    "{% for x in xs %}{{ loop }}{% endfor %}",
    "{% for x in xs %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in xs %}{{ loop._iterable }}{% endfor %}",
    "{% for x in xs %}{{ loop['_iterable'] }}{% endfor %}",
    "{% for x in xs %}{{ loop.cycle }}{% endfor %}",
    "{% for x in xs %}{{ loop.cycle(xs, user) }}{% endfor %}",
    "{% for x in xs recursive %}{{ loop(xs) }}{% endfor %}",
    "{% for x in xs %}{{ loop(xs) }}{% endfor %}",
    # statements
    "{% include '/etc/passwd' %}",
    "{% include user.name %}",
    "{% import 'os' as os %}",
    "{% from 'os' import system %}",
    "{% extends 'base' %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% macro a() %}{{ a.__globals__ }}{% endmacro %}",
    "{% call(x) user.name() %}{% endcall %}",
    "{% autoescape false %}{{ evil }}{% endautoescape %}",
    "{% filter default(evil, true) %}{% endfilter %}",
    "{% set x | default(evil, true) %}{% endset %}{{ x }}",
    "{% debug %}",
    "{% do numbers.append(1) %}",
    # the compiler's own operations, by name
    "{{ ['a']|map(' call', 'upper')|list|join }}",
    "{{ [1]|map(' steps', -1000000)|list|join }}",
    "{{ 'a'|tojson }}",
    "{{ {'a': 1}|xmlattr }}",
    "{{ evil|safe }}",
    "{{ ['a']|map('safe')|join }}",
    "{{ user|pprint }}",
    "{{ xs|random }}",
    # containers in place of a text
    "{{ user }}",
    "{{ xs }}",
    "{{ xs|string }}",
    "{{ xs ~ '' }}",
    "{{ [xs]|join }}",
    "{{ '%s'|format(user) }}",
    "{{ user|upper }}",
    "{{ xs|urlencode }}",
]

HARMLESS = {
    "{{ 7 * 7 }}": "49",
    "{{ ('9' * 5000)|int }}": "0",
    "{{ '7' * 7 }}": "7777777",
    "${7*7} #{7*7} <%= 7*7 %>": "${7*7} #{7*7} <%= 7*7 %>",
    "{{ dunder }}": "__class__",
    "{% raw %}{{ self }}{% endraw %}": "{{ self }}",
    "{{ ''.__class__ is defined }}": "False",
    "{{ user.__class__ is undefined }}": "True",
    "{{ ['a']|map(attribute='__class__', default='no')|join }}": "no",
    "{{ user.get('__class__', 'no') }}": "no",
    "{{ _x is defined }}": "False",
    "{{ ' budget' is defined }}": "True",
    "{{ user[dunder[:0] ~ 'name'] }}{{ numbers[1 + 1] }}": "Ann2",
    "{{ user['items'][1] }}{{ user.items|length }}": "22",
    "{{ xs|map(attribute='s')|sort|join(',') }}": "a,b",
    "{% for g in xs|groupby('s') %}{{ g.grouper }}{{ g.list|length }}{% endfor %}": "a1b1",
    "{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}": "a1",
    "{% for _ in range(3) %}{{ loop.index }}{{ loop.cycle('a', 'b') }}{% endfor %}": "1a2b3a",
    "{{ '%05.2f|%s'|format(2.5, 'x') }}": "02.50|x",
    "{{ 'a' if user.none is none else 'b' }}[{{ user.none }}]": "a[]",
    "{% set x %}<b>{{ 1 }}</b>{% endset %}{{ x }}": "<b>1</b>",
    "{{ 'b' in user.tags }}{{ 'c' not in user.tags }}": "TrueTrue",
    "{% for l, v in [('n', user.name), ('m', 1)] %}{{ l }}{{ v }}{% endfor %}": "nAnnm1",
    "{{ 'a.b'.replace('.', '-') }}{{ 1 ~ 'a' ~ user.name }}{{ user.name[:2] }}": "a-b1aAnnAn",
    "{{ (user.tags + ['c'])|join }}{{ 7 % 4 }}{{ 2 ** 5 }}{{ '%d' % 3 }}": "abc3323",
    "{{ [3, 1]|sum }}{{ 2.567|round(1) }}{{ 'x'|default('y') }}": "42.6x",
    "{% if xs|selectattr('n', 'gt', 1)|list %}y{% endif %}": "y",
}


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("source", REFUSED)
def test_refuses(source: str, html: bool) -> None:
    with pytest.raises((TemplateError, TypeError)):
        render(source, html=html)


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize(("source", "result"), HARMLESS.items())
def test_renders_what_is_harmless(source: str, result: str, html: bool) -> None:
    assert render(source, html=html) == result


def test_no_call_survives_in_the_compiled_code() -> None:
    for source in HARMLESS:
        assert "environment.call(" not in str(PLAIN.compile(source, raw=True))


def test_format_and_calls_stay_closed_even_if_reached() -> None:
    with pytest.raises(TemplateError):
        PLAIN.wrap_str_format("".format)
    assert not PLAIN.is_safe_callable(len)
    assert not PLAIN.is_safe_attribute("", "upper", "".upper)


# Work -----------------------------------------------------------------------------------------

_DOUBLE = "{% set a = big %}" + "{% set a = a ~ a %}" * 60
_NEST = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 30 + "{{ a == a }}"

BOMBS = [
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ [0] * 10**9 }}",
    "{{ (1, 2) * 10**9 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ 10 ** -(10 ** 10) }}",
    "{% set x = 9**64 %}{% set x = x*x*x*x %}{{ x * x }}",
    "{{ '%1000000000s' % 1 }}",
    "{{ '%1000000000s'|format(1) }}",
    "{{ '%.1000000000f'|format(1.0) }}",
    "{{ '%*s'|format(1000000000, 1) }}",
    "{{ '%(a)s%(a(b))1000000000d'|format(a=1) }}",
    "{{ ('%(a)s' * 9999)|format(a=big) }}",
    "{{ ('%99s' * 9999)|format(1) }}",
    "{{ 'a'.ljust(10**9) }}",
    "{{ 'a'.rjust(10**9) }}",
    "{{ 'a'.center(10**9) }}",
    "{{ 'a'.zfill(10**9) }}",
    "{{ '\t'.expandtabs(10**9) }}",
    "{{ 'a'|center(10**9) }}",
    "{{ 'a\na'|indent(10**9) }}",
    "{{ big|wordwrap(1) }}",
    "{{ big|urlize }}",
    "{{ xs|batch(10**9, 0) }}",
    "{{ xs|slice(10**9) }}",
    "{{ big.replace('a', big) }}",
    "{{ big|replace('a', big) }}",
    "{{ big.replace('', big) }}",
    "{{ numbers|join(big) }}",
    "{{ 1|round(10**9) }}",
    "{{ 1|round(10**9, 'ceil') }}",
    "{{ ('9' * 4000)|int }}",
    "{{ range(10**9)|list }}",
    "{{ range(10**99)|length }}",
    "{{ range(10001)|length }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
    "{% for a in range(9) %}" * 4 + "{% endfor %}" * 4,
    "{% for a in range(9999) %}" + "{{ a }}" * 30 + "{% endfor %}",
    "{% for a in range(9999) %}" + "x" * 5_000 + "{% endfor %}",
    "{% set x %}{% for a in range(9999) %}{{ big }}{% endfor %}{% endset %}",
    "{% for a in range(9999) %}{{ big|upper|lower|title|length }}{% endfor %}",
    "{% for a in range(9999) %}{{ big == big|upper }}{% endfor %}",
    "{% for a in range(9999) %}{{ 'c' in big }}{% endfor %}",
    "{% for a in range(9999) %}{{ -1 in ints }}{% endfor %}",
    "{% for a in range(9999) %}{{ ints == ints|list }}{% endfor %}",
    "{% for a in range(9999) %}{% set x = ints[1:] %}{% endfor %}",
    "{% for a in range(9999) %}{% set x = big[::-1] %}{% endfor %}",
    "{% for a in range(9999) %}{{ ints|sort|first }}{% endfor %}",
    "{% for a in range(9999) %}{{ ints.count(1) }}{% endfor %}",
    "{% for a in range(9999) %}{{ big.count('ab') }}{% endfor %}",
    "{% for a in range(9999) %}{{ big is eq(big) }}{% endfor %}",
    "{{ ints|select('eq', big)|list }}{{ ints|map('replace', big, big)|list|length }}",
    "{{ range(9999)|map('string')|map('replace', '', big)|list|length }}",
    "{{ [big, big, big, big, big, big]|join }}",
    _DOUBLE,
    _DOUBLE.replace("a ~ a", "a + a"),
    _DOUBLE.replace("a ~ a", "'%s%s'|format(a, a)"),
    _DOUBLE.replace("a ~ a", "[a, a]|join"),
    _DOUBLE.replace("{% set a = a ~ a %}", "{% set a %}{{ a }}{{ a }}{% endset %}"),
    "{% set a = ints %}" + "{% set a = a + a %}" * 40,
    _NEST,
    _NEST.replace("[a, a]", "(a, a)"),
    _NEST.replace("[a, a]", "{'a': a, 'b': a}"),
    _NEST.replace("[a, a]", "['', '']|map('default', a, true)|list"),
    _NEST.replace("[a, a]", "[1, 2]|batch(9, a)|list"),
    _NEST.replace("[a, a]", "[a]|sum(start=[a])"),
    "{{ 0x" + "f" * 60_000 + " }}",
    "{{ " + "9" * 6_000 + " }}",
    "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "{{ " + "-" * 5_000 + "1 }}",
    "{{ " + "not " * 5_000 + "1 }}",
    "{{ " + "+".join("1" * 2_000) + " }}",
    "{{ 1" + "|abs" * 500 + " }}",
    "{{ 1" + ".a" * 500 + " }}",
    "{{ '' " + "~ ''" * 5_000 + " }}",
    "{{ 1 }}" * 5_000,
    "{% if 1 %}" * 200 + "{% endif %}" * 200,
    "x" * 300_000,
    "{{ big }}" * 6,
]


@pytest.mark.parametrize("source", BOMBS, ids=lambda source: source[:60])
def test_bombs_are_refused_before_they_go_off(source: str) -> None:
    PLAIN.compiled("warm")
    tracemalloc.start()
    try:
        with pytest.raises((TemplateError, TypeError)):
            render(source)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_all_parts_of_a_message_share_one_budget() -> None:
    scope = scope_of({})
    part = PLAIN.compiled("{% for a in range(9999) %}{{ a and '' }}{% endfor %}")
    PLAIN.run(part, scope)
    PLAIN.run(part, scope)
    with pytest.raises(LimitError, match="steps"):
        PLAIN.run(part, scope)


def test_a_large_digest_is_well_within_the_budget() -> None:
    items = [{"subject": f"Subject {i}", "text": "some words " * 30} for i in range(300)]
    source = (
        "{% for i in items %}{% if i.text %}{{ i.subject|upper }}: {{ i.text|trim }}{% endif %}"
    )
    text = render(source + "\n{% endfor %}", {"items": items})
    assert text.count("SUBJECT") == 300
