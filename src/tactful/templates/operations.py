"""What templates compute with: every filter, test and method, paid for by size.

The names that begin with a blank are operations that `language` puts into a tree; no template can
write them. `sandbox` explains the budget and why results are lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

from jinja2 import Undefined, pass_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS, _GroupTuple
from jinja2.runtime import Context, LoopContext, markup_join, str_join
from jinja2.tests import TESTS
from markupsafe import Markup

from tactful.templates.places import safe_url

Function: TypeAlias = Callable[..., Any]
_JINJA_FILTERS: Final[Mapping[str, Any]] = FILTERS
_JINJA_TESTS: Final[Mapping[str, Any]] = TESTS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_OUTPUT: Final = 500_000
"""Characters that one part may render to, and that any text on the way may have."""
MAX_STEPS: Final = 250_000
MAX_ITEMS: Final = 10_000
MAX_BITS: Final = 256

BUDGET: Final = " budget"  # with a blank, so that no template can name it
TEXTS: Final = frozenset({str, Markup})
SCALARS: Final = frozenset({str, Markup, int, float, bool, type(None)})
SIZED: Final = frozenset({list, dict, tuple, range, _GroupTuple})

_STR_METHODS: Final = _words(
    "capitalize count endswith find isalnum isalpha isdigit islower isspace isupper lower lstrip "
    "removeprefix removesuffix replace rfind rstrip split rsplit splitlines startswith strip title "
    "upper"
)
_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: _STR_METHODS,
    Markup: _STR_METHODS,
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    LoopContext: frozenset({"cycle", "changed"}),
}
# Filters by what they may be applied to. Left out on purpose: `attr` (reach); `safe`, `xmlattr` and
# `tojson` (they mark text as safe); `center`, `indent`, `wordwrap`, `batch` and `slice` (they
# multiply); `pprint` and `random` (same input, another output); `striptags` and `urlize`
# (quadratic).
_SCALAR_FILTERS: Final = _words(
    "abs capitalize e escape filesizeformat float forceescape int lower string title trim truncate "
    "upper urlencode wordcount"
)
_LIST_FILTERS: Final = _words(
    "count d default dictsort first groupby items last length list map max min reject rejectattr "
    "reverse select selectattr sort unique"
)
_COMPARING: Final = frozenset({"dictsort", "groupby", "max", "min", "sort", "unique"})
_TESTS: Final = _words(
    "boolean defined divisibleby even false float integer iterable lower mapping none number odd "
    "sequence string true undefined upper eq equalto == ne != lt lessthan < le <= gt greaterthan > "
    "ge >="
)
_CONVERSION: Final = re.compile(r"%(?:%|(?:\(\w+\))?[-+ #0]*\d{0,2}(?:\.\d{0,2})?[dioxXeEfFgGcs])")


class LimitError(SecurityError):
    """A template asked for more work or memory than one render may use."""


class Budget:
    """The steps that one render has left; `data` is the weight of its whole context in steps."""

    __slots__ = ("data", "left")

    def __init__(self, data: int, steps: int = MAX_STEPS) -> None:
        self.data = data
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take `steps` away. Raises LimitError when there are not as many left."""
        self.left -= steps
        if self.left < 0:
            raise LimitError(f"does more than the {MAX_STEPS} steps that one render may take")


# Values ---------------------------------------------------------------------------------------


def cost_of(value: object) -> int:
    """The steps that it takes to handle `value` once."""
    kind = type(value)
    if kind in TEXTS:
        return len(value) >> 4  # type: ignore[arg-type]
    return len(value) if kind in SIZED else 0  # type: ignore[arg-type]


def kind_of(value: object) -> str:
    """What error messages call `value`."""
    return {str: "text", Markup: "text", LoopContext: "loop"}.get(type(value), type(value).__name__)


def _scalar(value: Any) -> Any:
    """`value`, if it is a single text, number, truth or None."""
    if type(value) in SCALARS:
        return value
    if isinstance(value, Undefined):
        str(value)  # raises the error that names what is missing
    raise SecurityError(f"a {kind_of(value)} cannot stand here; a text or a number can")


def check_fits(size: int) -> None:
    """Raises LimitError for a text that is too long to be made."""
    if size > MAX_OUTPUT:
        raise LimitError(f"makes a text of more than {MAX_OUTPUT} characters")


def checked(value: Any) -> Any:
    """The result of a filter or method, with its own size checked; iterators become lists."""
    kind = type(value)
    if kind in TEXTS:
        check_fits(len(value))
    elif kind is int:
        if value.bit_length() > MAX_BITS:
            raise LimitError(f"makes a number of more than {MAX_BITS} bits")
    elif kind not in SCALARS and kind not in SIZED and not isinstance(value, Undefined):
        value = list(islice(value, MAX_OUTPUT))
    return value


# Operations -----------------------------------------------------------------------------------


def budget_of(context: Context) -> Budget:
    """The budget of the render that `context` belongs to."""
    # From `parent`, where the render's scope is; what a template sets itself goes elsewhere.
    budget: Budget = context.parent[BUDGET]
    return budget


@pass_context
def printable(context: Context, value: Any) -> Any:
    """What an expression in the output becomes; None is shown as nothing."""
    kind = type(value)
    if kind in TEXTS:
        budget_of(context).spend(len(value) >> 4)
        return value
    return "" if value is None else _scalar(value)


@pass_context
def _steps(context: Context, value: Any, weight: int) -> Any:
    """The iterable of a loop, after all its rounds are paid; `weight` is the size of its body."""
    if type(value) not in SIZED and type(value) not in TEXTS:
        if isinstance(value, Undefined):
            str(value)
        raise SecurityError(f"a {kind_of(value)} cannot be looped over")
    budget_of(context).spend(len(value) * weight)
    return value


@pass_context
def _weigh(context: Context, value: Any) -> Any:
    """An operand of a comparison or a slice, after it is paid for."""
    budget = budget_of(context)
    # Two containers may be compared down to their last leaf, so each counts as the whole context.
    budget.spend(cost_of(value) + (budget.data if type(value) in SIZED else 0))
    return value


@pass_context
def _item(context: Context, value: Any, key: Any) -> Any:
    """`value[key]` for a computed key, which is data and so not named when it is missing."""
    found = context.environment.getitem(value, key)
    if isinstance(found, Undefined):
        if isinstance(key, Undefined):
            str(key)
        return context.environment.undefined(f"a {kind_of(value)} has no element for this key")
    return found


@pass_context
def _concat(context: Context, parts: list[Any]) -> str:
    size = sum(len(_scalar(p)) if type(p) in TEXTS else len(str(_scalar(p))) for p in parts)
    check_fits(size)
    budget_of(context).spend(size >> 4)
    joined: str = (markup_join if context.eval_ctx.autoescape else str_join)(parts)
    return joined


@pass_context
def _range(context: Context, _: None, *args: Any) -> range:
    numbers = range(*args)
    if numbers and max(abs(numbers[0]), abs(numbers[-1])).bit_length() > 63:
        raise LimitError("range() of numbers beyond 64 bits")
    if len(numbers) > MAX_ITEMS:
        raise LimitError(f"range() of more than {MAX_ITEMS} numbers")
    return numbers


@pass_context
def _method(context: Context, value: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """`value.name(...)`, if the method is listed for the type of the value."""
    if isinstance(value, Undefined):
        str(value)
    if name not in _METHODS.get(type(value), ()):
        raise SecurityError(f"{name}() of a {kind_of(value)} is not available")
    if name != "get":
        for argument in (*args, *kwargs.values()):
            _scalar(argument)
    budget = budget_of(context)
    budget.spend(cost_of(value) + sum(map(cost_of, args)))
    if name == "replace":
        return _replace(context, value, *args, **kwargs)
    if name in {"count", "index"} and type(value) in SIZED:
        budget.spend(budget.data)
    result = checked(getattr(value, name)(*args, **kwargs))
    budget.spend(cost_of(result))
    return result


def _replace(context: Context, value: Any, old: str, new: str, count: int | None = None) -> Any:
    """`replace` whose size is known before it is made."""
    text, short = str(value), str(old)
    check_fits(len(text) + text.count(short) * max(0, len(str(new)) - len(short)))
    return checked(FILTERS["replace"](context.eval_ctx, value, old, new, count))


def format_text(_: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
    """`"%.2f"|format(x)` with widths and precisions of at most two digits."""
    given = [*args, *kwargs.values()]
    text = str(value)
    rest, places = _CONVERSION.subn("", text)
    if "%" in rest:
        raise SecurityError("format() allows %s, %d, %.2f and the like, up to a width of 99")
    longest = max((len(str(_scalar(argument))) for argument in given), default=0)
    check_fits(len(text) + places * (longest + 450))  # 450: the longest float, %.99f of 1e308
    return FILTERS["format"](value, *args, **kwargs)


def _join(context: Context, value: Any, d: str = "", attribute: Any = None) -> Any:
    items = list(value)
    if attribute is not None:
        items = list(FILTERS["map"](context, items, attribute=attribute))
    size = sum(len(str(_scalar(item))) for item in items)
    check_fits(size + len(str(d)) * len(items))
    budget_of(context).spend(size >> 4)
    return FILTERS["join"](context.eval_ctx, items, d)


def _round(context: Context, value: Any, precision: int = 0, method: str = "common") -> Any:
    if not -15 <= precision <= 15:
        raise LimitError("round() goes from -15 to 15 places")
    return FILTERS["round"](_scalar(value), precision, method)


def _sum(context: Context, value: Any, attribute: Any = None, start: float = 0) -> Any:
    items = value if attribute is None else FILTERS["map"](context, value, attribute=attribute)
    total = start
    for item in items:
        if type(item) not in {int, float, bool}:
            raise SecurityError(f"sum() adds numbers, not a {kind_of(item)}")
        total += item
    return total


def _url(context: Context, value: Any) -> str:
    return safe_url(value.unescape() if type(value) is Markup else value)


def _bound(function: Function) -> Function:
    """One of Jinja2's functions, taking a context first whatever it asks for itself."""
    # Jinja2 marks what a function wants as its first argument; `pass_*` are its public markers.
    wants = getattr(function, "jinja_pass_arg", None)
    if wants is None:
        return lambda context, *args, **kwargs: function(*args, **kwargs)
    if wants.name == "context":
        return function
    if wants.name == "eval_context":
        return lambda context, *args, **kwargs: function(context.eval_ctx, *args, **kwargs)
    return lambda context, *args, **kwargs: function(context.environment, *args, **kwargs)


def _metered(
    function: Function, *, scalar: bool = False, free: bool = False, extra: bool = False
) -> Function:
    """`function`, paid for by the size of what goes in and what comes out.

    `scalar` functions take no container, `free` ones may be given containers as arguments, and
    `extra` ones compare and pay for the whole context.
    """

    @pass_context
    def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        if scalar:
            _scalar(value)
        budget = budget_of(context)
        weight = 1
        if args or kwargs:
            for argument in (*args, *kwargs.values()):
                weight += cost_of(argument if free else _scalar(argument))
        budget.spend(cost_of(value) * weight + weight + (budget.data if extra else 0))
        result = checked(function(context, value, *args, **kwargs))
        budget.spend(cost_of(result))
        return result

    return run


def filters() -> dict[str, Any]:
    """All filters, and the operations of the compiler."""
    table: dict[str, Any] = {
        " call": _method,
        " concat": _concat,
        " item": _item,
        " range": _range,
        " scalar": _scalar,
        " steps": _steps,
        " weigh": _weigh,
        "format": _metered(format_text, scalar=True),
        "join": _metered(_join),
        "replace": _metered(_replace, scalar=True),
        "round": _metered(_round, scalar=True),
        "sum": _metered(_sum),
        "url": _metered(_url, scalar=True),
    }
    for name in _SCALAR_FILTERS:
        table[name] = _metered(_bound(_JINJA_FILTERS[name]), scalar=True)
    for name in _LIST_FILTERS:
        table[name] = _metered(
            _bound(_JINJA_FILTERS[name]), free=name in {"d", "default"}, extra=name in _COMPARING
        )
    return table


def tests() -> dict[str, Any]:
    """All tests."""
    return {
        name: _metered(_bound(_JINJA_TESTS[name]), scalar=name in {"divisibleby", "lower", "upper"})
        for name in _TESTS
    }
