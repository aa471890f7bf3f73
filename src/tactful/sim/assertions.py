"""Assertions about figures, for scripts: `lost == 0 and p99_delay < 2h`.

The language is a small part of Python's: names, numbers, durations, comparisons, `and`, `or`,
`not`, brackets and `+ - * /`. Names are the counts of `figures.Tally`, its ratios, and the delays
`p50_delay` to `max_delay` in milliseconds; with a type in front, those of one type alone:
`marketing.deferred`, or `types["order-update"].deferred`. Nothing but this can be said: the text is
parsed, checked and walked, never executed.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from tactful.core.errors import RequestError
from tactful.engine.requests import parse_duration
from tactful.sim.figures import Delays, Figures, Tally

_DURATION: Final = re.compile(r"\b(\d+)\s*(ms|s|m|h|d)\b")
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_COUNT: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FIELD: Final = "assert"
NAMES: Final = (*Tally().to_dict(), *(f"{key}_delay" for key in asdict(Delays())))
"""The names that an assertion may hold."""


def holds(text: str, figures: Figures) -> bool:
    """Whether an assertion is true of these figures.

    A ratio or delay of nothing is 0. Raises RequestError for what cannot be read, naming the part.
    """
    return bool(_Reading(text, lambda name, type_: _figure(text, figures, name, type_)).value())


def check(text: str) -> None:
    """Raise RequestError for an assertion that no figures could answer."""
    _Reading(text, lambda name, type_: _check_name(text, name)).value()


def _parsed(text: str) -> ast.Expression:
    def milliseconds(match: re.Match[str]) -> str:
        return str(parse_duration(match[0], _FIELD) if int(match[1]) else 0)

    try:
        return ast.parse(_DURATION.sub(milliseconds, text).strip(), mode="eval")
    except SyntaxError:
        bound = "must read like 'lost == 0 and p99_delay < 2h'"
        raise RequestError(_FIELD, text, bound) from None


class _Reading:
    def __init__(self, text: str, named: Callable[[str, str], Any]) -> None:
        self._text = text
        self._named = named

    def value(self, node: ast.AST | None = None) -> Any:
        """What a part comes to, or all; raises RequestError for what is not of the language."""
        if node is None:
            node = _parsed(self._text)
        found = None
        match node:
            case ast.Expression(body):
                found = self.value(body)
            case ast.BoolOp(how, values):
                every = all if isinstance(how, ast.And) else any
                found = every([self.value(one) for one in values])
            case ast.UnaryOp(ast.Not(), operand):
                found = not self.value(operand)
            case ast.UnaryOp(ast.USub(), operand):
                found = -self.value(operand)
            case ast.Compare(left, operators, others):
                found = self._compared(left, operators, others)
            case ast.BinOp(left, how, right) if type(how) in _COUNT:
                found = self._counted(_COUNT[type(how)], left, right)
            case ast.Constant(int() | float() as number) if not isinstance(number, bool):
                found = number
            case ast.Name(name):
                found = self._named(name, "")
            case ast.Attribute(
                ast.Name(type_) | ast.Subscript(ast.Name("types"), ast.Constant(str(type_))), name
            ):
                found = self._named(name, type_)
        if found is None:
            raise RequestError(_FIELD, self._text, f"cannot hold {ast.unparse(node)!r}")
        return found

    def _compared(self, left: ast.AST, operators: list[ast.cmpop], others: list[ast.expr]) -> bool:
        values = [self.value(one) for one in (left, *others)]
        for how in operators:
            if type(how) not in _COMPARE:
                raise RequestError(_FIELD, self._text, "may compare with < <= > >= == != only")
        return all(
            _COMPARE[type(how)](before, after)
            for how, before, after in zip(operators, values, values[1:], strict=False)
        )

    def _counted(self, count: Callable[[Any, Any], Any], left: ast.AST, right: ast.AST) -> Any:
        try:
            return count(self.value(left), self.value(right))
        except ZeroDivisionError:
            raise RequestError(_FIELD, self._text, "divides by 0") from None


def _check_name(text: str, name: str) -> int:
    if name not in NAMES:
        raise RequestError(_FIELD, text, f"{name!r} is none of {', '.join(NAMES)}")
    return 1


def _figure(text: str, figures: Figures, name: str, type_: str) -> Any:
    _check_name(text, name)
    if type_ and type_ not in figures.types:
        known = ", ".join(figures.types) or "none"
        raise RequestError(_FIELD, text, f"{type_!r} is no type here: {known}")
    if name.endswith("_delay"):
        delays = figures.delays.get(type_ or "all", Delays())
        return getattr(delays, name.removesuffix("_delay")) or 0
    tally = figures.types[type_] if type_ else figures.total
    return getattr(tally, name) or 0
