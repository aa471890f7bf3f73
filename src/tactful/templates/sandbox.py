"""A language for templates that strangers may write: Jinja2's syntax, with every door closed.

Jinja2's own sandbox keeps templates away from Python's internals, one forbidden name at a time. It
does not bound memory or time, and it has been escaped more than once through a way that nobody had
put on the list. This one starts from the other end: it allows what is listed here and nothing else.

**Reach.** The syntax tree is checked against the node types in `_NODES`, then rewritten before it
is compiled. Attribute access yields keys of dicts and the plain facts of a loop or a group, never a
Python attribute. A call `x.name(...)` becomes a lookup in `_METHODS`; `range(...)` is the only
function. No call to a Python object is left in the compiled code. There is no loader, no macro, no
block, no `self`. Values are plain data (`plain`), so that there is nothing to reach either.

**Work.** One render has a budget of steps. A step is one node of the tree that is executed, one
element that a filter walks over, or 16 characters that are handled. Loops pay before they start,
for all their rounds at once; filters, comparisons, slices and operators pay for the size of what
they touch. Every single text and list has a cap too, checked before it is built where an operation
can multiply. What pays by size must know its size: hence filters return lists, not iterators, and
a list that a template writes holds scalars only. Otherwise a chain of `[a, a]` would grow a value
whose comparison takes exponential time although nothing in it is large.

**Escaping.** With `autoescape`, every value is escaped; nothing turns that off and nothing marks
a value as safe. A value at the start of a URL attribute passes `safe_url` unasked. An attribute
without quotes around a value is refused, for escaping cannot protect it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NoReturn

from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.environment import Template as Compiled
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.filters import FILTERS, _GroupTuple
from jinja2.runtime import Context, LoopContext, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from tactful.templates.data import plain, weighed
from tactful.templates.places import Place, safe_url

__all__ = ["Budget", "Compiled", "LimitError", "Sandbox", "plain", "safe_url", "scope_of"]

MAX_SOURCE: Final = 256 * 1024
"""Characters of one template part."""
MAX_OUTPUT: Final = 500_000
"""Characters that one part may render to, and that any text on the way may have."""
MAX_NODES: Final = 3_000
MAX_DEPTH: Final = 60
MAX_LOOP_DEPTH: Final = 3
MAX_CONCATS: Final = 100
MAX_STEPS: Final = 250_000
MAX_ITEMS: Final = 10_000
MAX_BITS: Final = 256

_BUDGET: Final = " budget"  # with a blank, so that no template can name it
_TEXTS: Final = frozenset({str, Markup})
_SCALARS: Final = frozenset({str, Markup, int, float, bool, type(None)})
_SIZED: Final = frozenset({list, dict, tuple, range, _GroupTuple})

_NODES: Final = frozenset(
    getattr(nodes, name)
    for name in (
        "Template Output TemplateData Name Const List Tuple Dict Pair Keyword CondExpr Filter Test "
        "Call Getattr Getitem Slice Concat Compare Operand Add Sub Mul Div FloorDiv Mod Pow Not "
        "Neg Pos And Or For If With Assign AssignBlock"
    ).split()
)
_RESERVED: Final = frozenset({"self", "super", "caller", "varargs", "kwargs"})

_STR_METHODS: Final = frozenset(
    "capitalize count endswith find isalnum isalpha isdigit islower isspace isupper lower lstrip "
    "removeprefix removesuffix replace rfind rstrip split rsplit splitlines startswith strip title "
    "upper".split()
)
_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: _STR_METHODS,
    Markup: _STR_METHODS,
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    LoopContext: frozenset({"cycle", "changed"}),
}
_FACTS: Final[Mapping[type, frozenset[str]]] = {
    LoopContext: frozenset(
        "index index0 revindex revindex0 first last length depth depth0 previtem nextitem".split()
    ),
    _GroupTuple: frozenset({"grouper", "list"}),
}

# Filters by what they may be applied to. Left out on purpose: `attr` (reach); `safe`, `xmlattr` and
# `tojson` (they mark text as safe); `center`, `indent`, `wordwrap`, `batch` and `slice` (they
# multiply); `pprint` and `random` (same input, another output); `striptags` and `urlize`
# (quadratic).
_SCALAR_FILTERS: Final = frozenset(
    "abs capitalize e escape filesizeformat float forceescape int lower string title trim truncate "
    "upper urlencode wordcount".split()
)
_LIST_FILTERS: Final = frozenset(
    "count d default dictsort first groupby items last length list map max min reject rejectattr "
    "reverse select selectattr sort unique".split()
)
_COMPARING: Final = frozenset({"dictsort", "groupby", "max", "min", "sort", "unique"})
_TESTS: Final = frozenset(
    "boolean defined divisibleby even false float integer iterable lower mapping none number odd "
    "sequence string true undefined upper eq equalto == ne != lt lessthan < le <= gt greaterthan > "
    "ge >=".split()
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


def _cost(value: object) -> int:
    kind = type(value)
    if kind in _TEXTS:
        return len(value) >> 4  # type: ignore[arg-type]
    return len(value) if kind in _SIZED else 0  # type: ignore[arg-type]


def _kind(value: object) -> str:
    return {str: "text", Markup: "text", LoopContext: "loop"}.get(type(value), type(value).__name__)


def _scalar(value: Any) -> Any:
    """`value`, if it is a single text, number, truth or None."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Undefined):
        str(value)  # raises the error that names what is missing
    raise SecurityError(f"a {_kind(value)} cannot stand here; a text or a number can")


def _fits(size: int) -> None:
    if size > MAX_OUTPUT:
        raise LimitError(f"makes a text of more than {MAX_OUTPUT} characters")


def _sized(value: Any) -> Any:
    """The result of a filter or method, with its own size checked; iterators become lists."""
    kind = type(value)
    if kind in _TEXTS:
        _fits(len(value))
    elif kind is int:
        if value.bit_length() > MAX_BITS:
            raise LimitError(f"makes a number of more than {MAX_BITS} bits")
    elif kind not in _SCALARS and kind not in _SIZED and not isinstance(value, Undefined):
        value = list(islice(value, MAX_OUTPUT))
    return value


# Operations -----------------------------------------------------------------------------------


def _budget(context: Context) -> Budget:
    # From `parent`, where the render's scope is; what a template sets itself goes elsewhere.
    budget: Budget = context.parent[_BUDGET]
    return budget


@pass_context
def _printable(context: Context, value: Any) -> Any:
    """What an expression in the output becomes; None is shown as nothing."""
    kind = type(value)
    if kind in _TEXTS:
        _budget(context).spend(len(value) >> 4)
        return value
    return "" if value is None else _scalar(value)


@pass_context
def _steps(context: Context, value: Any, weight: int) -> Any:
    """The iterable of a loop, after all its rounds are paid; `weight` is the size of its body."""
    if type(value) not in _SIZED and type(value) not in _TEXTS:
        if isinstance(value, Undefined):
            str(value)
        raise SecurityError(f"a {_kind(value)} cannot be looped over")
    _budget(context).spend(len(value) * weight)
    return value


@pass_context
def _weigh(context: Context, value: Any) -> Any:
    """An operand of a comparison or a slice, after it is paid for."""
    budget = _budget(context)
    # Two containers may be compared down to their last leaf, so each counts as the whole context.
    budget.spend(_cost(value) + (budget.data if type(value) in _SIZED else 0))
    return value


@pass_context
def _concat(context: Context, parts: list[Any]) -> str:
    size = sum(len(_scalar(p)) if type(p) in _TEXTS else len(str(_scalar(p))) for p in parts)
    _fits(size)
    _budget(context).spend(size >> 4)
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
        raise SecurityError(f"{name}() of a {_kind(value)} is not available")
    if name != "get":
        for argument in (*args, *kwargs.values()):
            _scalar(argument)
    budget = _budget(context)
    budget.spend(_cost(value) + sum(map(_cost, args)))
    if name == "replace":
        return _replace(context, value, *args, **kwargs)
    if name in {"count", "index"} and type(value) in _SIZED:
        budget.spend(budget.data)
    result = _sized(getattr(value, name)(*args, **kwargs))
    budget.spend(_cost(result))
    return result


def _replace(context: Context, value: Any, old: str, new: str, count: int | None = None) -> Any:
    """`replace` whose size is known before it is made."""
    text, short = str(value), str(old)
    _fits(len(text) + text.count(short) * max(0, len(str(new)) - len(short)))
    return _sized(FILTERS["replace"](context.eval_ctx, value, old, new, count))


def _format(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
    """`"%.2f"|format(x)` with widths and precisions of at most two digits."""
    given = [*args, *kwargs.values()]
    text = str(value)
    rest, places = _CONVERSION.subn("", text)
    if "%" in rest:
        raise SecurityError("format() allows %s, %d, %.2f and the like, up to a width of 99")
    longest = max((len(str(_scalar(argument))) for argument in given), default=0)
    _fits(len(text) + places * (longest + 450))  # 450: the longest float, %.99f of 1e308
    return FILTERS["format"](value, *args, **kwargs)


def _join(context: Context, value: Any, d: str = "", attribute: Any = None) -> Any:
    items = list(value)
    if attribute is not None:
        items = list(FILTERS["map"](context, items, attribute=attribute))
    size = sum(len(str(_scalar(item))) for item in items)
    _fits(size + len(str(d)) * len(items))
    _budget(context).spend(size >> 4)
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
            raise SecurityError(f"sum() adds numbers, not a {_kind(item)}")
        total += item
    return total


def _url(context: Context, value: Any) -> str:
    return safe_url(value)


def _bound(function: Callable[..., Any]) -> Callable[..., Any]:
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
    function: Callable[..., Any], *, scalar: bool = False, free: bool = False, extra: bool = False
) -> Callable[..., Any]:
    """`function`, paid for by the size of what goes in and what comes out.

    `scalar` functions take no container, `free` ones may be given containers as arguments, and
    `extra` ones compare and pay for the whole context.
    """

    @pass_context
    def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        if scalar:
            _scalar(value)
        budget = _budget(context)
        weight = 1
        if args or kwargs:
            for argument in (*args, *kwargs.values()):
                weight += _cost(argument if free else _scalar(argument))
        budget.spend(_cost(value) * weight + weight + (budget.data if extra else 0))
        result = _sized(function(context, value, *args, **kwargs))
        budget.spend(_cost(result))
        return result

    return run


def _filters() -> dict[str, Callable[..., Any]]:
    table = {
        " call": _method,
        " concat": _concat,
        " range": _range,
        " scalar": lambda value: _scalar(value),
        " steps": _steps,
        " weigh": _weigh,
        "format": _metered(_format, scalar=True),
        "join": _metered(_join),
        "replace": _metered(_replace, scalar=True),
        "round": _metered(_round, scalar=True),
        "sum": _metered(_sum),
        "url": _metered(_url, scalar=True),
    }
    for name in _SCALAR_FILTERS:
        table[name] = _metered(_bound(FILTERS[name]), scalar=True)
    for name in _LIST_FILTERS:
        table[name] = _metered(
            _bound(FILTERS[name]), free=name in {"d", "default"}, extra=name in _COMPARING
        )
    return table


def _tests() -> dict[str, Callable[..., Any]]:
    return {
        name: _metered(_bound(TESTS[name]), scalar=name in {"divisibleby", "lower", "upper"})
        for name in _TESTS
    }


# Compilation ----------------------------------------------------------------------------------


def _walk(tree: nodes.Node) -> Iterator[tuple[nodes.Node, int, int]]:
    """All nodes below `tree` in any order, each with its depth and the loops around it."""
    # With a stack of its own: this is what finds trees that are too deep to recurse into.
    stack = [(tree, 0, 0)]
    while stack:
        node, depth, loops = stack.pop()
        yield node, depth, loops
        loops += isinstance(node, nodes.For)
        stack.extend((child, depth + 1, loops) for child in node.iter_child_nodes())


def _refuse(message: str, node: nodes.Node) -> NoReturn:
    raise TemplateSyntaxError(message, node.lineno)


def _check_shape(tree: nodes.Template) -> None:
    """Refuse what is not in the language, and trees that are too large, before any recursion."""
    count = concats = 0
    for node, depth, loops in _walk(tree):
        count += 1
        concats += isinstance(node, nodes.Concat)
        if type(node) not in _NODES:
            _refuse(f"{type(node).__name__.lower()} is not available in templates", node)
        if isinstance(node, nodes.Name):
            if node.name in _RESERVED or node.name.startswith("__"):
                _refuse(f"the name {node.name!r} is not available in templates", node)
        if isinstance(node, (nodes.Call, nodes.Filter, nodes.Test)):
            if node.dyn_args is not None or node.dyn_kwargs is not None:
                _refuse("arguments with * and ** are not available in templates", node)
        if isinstance(node, nodes.For) and (node.recursive or loops >= MAX_LOOP_DEPTH):
            _refuse(f"loops may be nested {MAX_LOOP_DEPTH} deep, and not recursive", node)
        if isinstance(node, nodes.AssignBlock) and node.filter is not None:
            _refuse("{% set %} with a block takes no filter", node)
        if depth > MAX_DEPTH:
            _refuse(f"nested more than {MAX_DEPTH} levels deep", node)
    if count > MAX_NODES or concats > MAX_CONCATS:
        _refuse(f"larger than {MAX_NODES} parts or {MAX_CONCATS} uses of ~", tree)


def _weight(loop: nodes.For) -> int:
    """The steps of one round: its nodes, and 16 characters of literal text as one more each."""
    return sum(
        1 + (len(node.data) >> 4 if isinstance(node, nodes.TemplateData) else 0)
        for node, _, _ in _walk(loop)
    )


class _Rewriter(NodeTransformer):
    """Puts the guarded operations into a checked tree; with `html` it also follows the places."""

    def __init__(self, filters: Mapping[str, Any], tests: Mapping[str, Any], html: bool) -> None:
        self.filters = filters
        self.tests = tests
        self.html = html
        self.place = Place()

    def guard(self, name: str, node: Any, *args: nodes.Expr) -> nodes.Filter:
        return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        target = node.node
        if isinstance(target, nodes.Getattr):
            name = nodes.Const(target.attr, lineno=node.lineno)
            call = self.guard(" call", target.node, name, *node.args)
        elif isinstance(target, nodes.Name) and target.name == "range":
            call = self.guard(" range", nodes.Const(None, lineno=node.lineno), *node.args)
        else:
            _refuse("only range() and methods of values can be called", node)
        call.kwargs = node.kwargs
        return self.generic_visit(call)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        if node.name not in self.filters:
            _refuse(f"there is no filter {node.name!r}", node)
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        if node.name not in self.tests:
            _refuse(f"there is no test {node.name!r}", node)
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self.guard(" concat", nodes.List(node.nodes, "load", lineno=node.lineno))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        for holder in (node, *node.ops):
            if not isinstance(holder.expr, nodes.Const):
                holder.expr = self.guard(" weigh", holder.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = self.guard(" weigh", node.node)
        return node

    def element(self, node: nodes.Expr) -> nodes.Expr:
        literal = isinstance(node, (nodes.Const, nodes.List, nodes.Tuple, nodes.Dict))
        return node if literal else self.guard(" scalar", node)

    def visit_List(self, node: nodes.List | nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node, nodes.Tuple) or node.ctx == "load":
            node.items = [self.element(item) for item in node.items]
        return node

    visit_Tuple = visit_List  # noqa: N815

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.key, node.value = self.element(node.key), self.element(node.value)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        weight = nodes.Const(_weight(node), lineno=node.lineno)
        before = self.place
        self.generic_visit(node)
        self.same(before, node)
        node.iter = self.guard(" steps", node.iter, weight)
        return node

    def visit_If(self, node: nodes.If) -> nodes.Node:  # noqa: N802
        node.test = self.visit(node.test)
        before = self.place
        self.branch(node.body)
        after = self.place
        for other in node.elif_:
            self.place = before
            other.test = self.visit(other.test)
            self.branch(other.body)
            self.same(after, other)
        self.place = before
        self.branch(node.else_)
        self.same(after, node)
        return node

    def branch(self, body: list[nodes.Node]) -> None:
        body[:] = [self.visit(child) for child in body]

    def same(self, place: Place, node: nodes.Node) -> None:
        # An attribute's name and what is begun may differ where they no longer matter.
        if (place.tag, place.quote, place.equals) != (
            self.place.tag,
            self.place.quote,
            self.place.equals,
        ):
            _refuse("all ways through this must end at the same place of the HTML", node)
        self.place = place._replace(begun=place.begun or self.place.begun)

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:  # noqa: N802
        before, self.place = self.place, Place()
        self.generic_visit(node)
        self.same(Place(), node)
        self.place = before
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802
        node.nodes = [self.output(child) for child in node.nodes]
        return node

    def output(self, child: nodes.Expr) -> nodes.Expr:
        if isinstance(child, nodes.TemplateData):
            if self.html:
                self.place = self.place.after(child.data)
            return child
        if self.place.problem:
            _refuse(self.place.problem, child)
        shown: nodes.Expr = self.visit(child)
        return self.guard("url", shown) if self.place.is_url else shown


class Sandbox(ImmutableSandboxedEnvironment):
    """The language of templates; `html` escapes every value for the place it stands in.

    Stateless once it is made: one instance may compile and render in many threads.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, *, html: bool = False) -> None:
        # Not optimized: nothing of a template is to be computed while it is compiled.
        super().__init__(
            autoescape=html,
            undefined=StrictUndefined,
            optimized=False,
            finalize=_printable,
            cache_size=0,
        )
        self.html = html
        self.globals = {}
        self.filters = _filters()
        self.tests = _tests()

    # What a template can do ---------------------------------------------------------------

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether `attr` is one of the listed facts of a loop or a group."""
        return attr in _FACTS.get(type(obj), ())

    def is_safe_callable(self, obj: Any) -> bool:
        """Never: compiled templates hold no calls."""
        return False

    def wrap_str_format(self, value: Any) -> NoReturn:
        """Refuses `str.format`, whose fields reach attributes and whose widths multiply."""
        raise SecurityError("format() of a text is not available")

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`: a key of a dict, or a listed fact."""
        if type(obj) is dict:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(f"{attribute!r} is undefined", name=attribute)
        if isinstance(obj, Undefined):
            str(obj)
        if self.is_safe_attribute(obj, attribute, None):
            return getattr(obj, attribute)
        return self.undefined(f"a {_kind(obj)} has no {attribute!r}", name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`: never an attribute, but for the listed facts."""
        try:
            return obj[argument]
        except (TypeError, LookupError):
            if isinstance(argument, str):
                return self.getattr(obj, str(argument))
            return self.undefined(f"a {_kind(obj)} has no {argument!r}", name=str(argument))

    def call_filter(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A filter that `map` and the like call by name; not the guards of the compiler."""
        if name.startswith(" "):
            raise SecurityError(f"there is no filter {name!r}")
        return super().call_filter(name, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`+ * ** %` with the size of the result known before it is made."""
        for operand in (left, right):
            if isinstance(operand, Undefined):
                str(operand)
        texts = (type(left) in _TEXTS) + (type(right) in _TEXTS)
        cost = _cost(left) + _cost(right)
        if operator == "%" and type(left) in _TEXTS:
            return _format(context, left, *(right if type(right) is tuple else (right,)))
        if operator == "*" and type(left) in {*_TEXTS, int} and type(right) in {*_TEXTS, int}:
            if texts == 1:
                text, times = (left, right) if type(left) in _TEXTS else (right, left)
                _fits(len(text) * max(0, times))
                cost *= max(1, times)
        elif operator == "+" and texts == 2:
            _fits(len(left) + len(right))
        elif operator == "+" and type(left) is type(right) is list:
            if len(left) + len(right) > MAX_ITEMS:
                raise LimitError(f"makes a list of more than {MAX_ITEMS} elements")
        elif type(left) not in _SCALARS or type(right) not in _SCALARS or texts:
            raise SecurityError(f"a {_kind(left)} {operator} a {_kind(right)} is not available")
        if operator == "**" and not -64 <= right <= 64:
            raise LimitError("** takes exponents from -64 to 64")
        _budget(context).spend(cost)
        return _sized(super().call_binop(context, operator, left, right))

    # From source to text ------------------------------------------------------------------

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _check_shape(tree)
        _Rewriter(self.filters, self.tests, self.html).visit(tree)
        return tree

    def compiled(self, source: str) -> Compiled:
        """`source`, ready to run. Raises TemplateSyntaxError with a line and what is wrong."""
        if len(source) > MAX_SOURCE:
            raise TemplateSyntaxError(f"longer than {MAX_SOURCE} characters", 1)
        try:
            return self.from_string(source)
        except TemplateSyntaxError:
            raise
        except Exception as error:  # numbers too long to print, nesting too deep to parse, ...
            raise TemplateSyntaxError(f"cannot be compiled ({type(error).__name__})", 1) from error

    def run(self, template: Compiled, scope: dict[str, Any]) -> str:
        """The text that `template` makes of a `scope`. Raises what goes wrong in it as it is."""
        parts, size = [], 0
        context = self.context_class(self, scope, None, {})
        for part in template.root_render_func(context):
            size += len(part)
            if size > MAX_OUTPUT:
                raise LimitError(f"renders to more than {MAX_OUTPUT} characters")
            parts.append(part)
        return "".join(parts)


def scope_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data`, checked by `plain`, with the budget of one render; for all parts of a message."""
    copy, size = weighed(data)
    copy[_BUDGET] = Budget(size >> 4)
    return copy
