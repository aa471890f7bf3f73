"""A language for templates that strangers may write: Jinja2's syntax, with every door closed.

Jinja2's own sandbox keeps templates away from Python's internals, one forbidden name at a time. It
does not bound memory or time, and it has been escaped more than once through a way that nobody had
put on the list. This one starts from the other end: it allows what is listed here and nothing else.

**Reach.** The syntax tree is checked against a list of node types, then rewritten before it is
compiled (`language`). Attribute access yields keys of dicts and the plain facts of a loop or a
group, never a Python attribute. A call `x.name(...)` becomes a lookup in a list of methods
(`operations`); `range(...)` is the only function. No call to a Python object is left in the
compiled code. There is no loader, no macro, no block, no `self`. Values are plain data (`data`), so
that there is nothing to reach either.

**Work.** One render has a budget of steps. A step is one node of the tree that is executed, one
element that a filter walks over, or 16 characters that are handled. Loops pay before they start,
for all their rounds at once; filters, comparisons, slices and operators pay for the size of what
they touch. Every single text and list has a cap too, checked before it is built where an operation
can multiply. What pays by size must know its size: hence filters return lists, not iterators, and
a list that a template writes holds scalars only. Otherwise a chain of `[a, a]` would grow a value
whose comparison takes exponential time although nothing in it is large.

**Escaping.** With `autoescape`, every value is escaped; nothing turns that off and nothing marks
a value as safe. A value at the start of a URL attribute passes `safe_url` unasked, and where
escaping cannot protect, as in an attribute without quotes, no value is let in (`places`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.environment import Template as Compiled
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.filters import _GroupTuple
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tactful.templates import operations
from tactful.templates.data import plain, weighed
from tactful.templates.language import MAX_NODES, check_shape, rewrite
from tactful.templates.operations import (
    BUDGET,
    MAX_ITEMS,
    MAX_OUTPUT,
    SCALARS,
    TEXTS,
    Budget,
    LimitError,
    budget_of,
    check_fits,
    checked,
    cost_of,
    format_text,
    kind_of,
    printable,
)
from tactful.templates.places import safe_url

__all__ = ["Budget", "Compiled", "LimitError", "Sandbox", "plain", "safe_url", "scope_of"]

MAX_SOURCE: Final = 256 * 1024
"""Characters of one template part."""

_FACTS: Final[Mapping[type, frozenset[str]]] = {
    LoopContext: frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
    | {"depth", "depth0", "previtem", "nextitem"},
    _GroupTuple: frozenset({"grouper", "list"}),
}


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
            finalize=printable,
            cache_size=0,
        )
        self.html = html
        self.globals = {}
        self.filters = operations.filters()
        self.tests = operations.tests()

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
        return self.undefined(f"a {kind_of(obj)} has no {attribute!r}", name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`: never an attribute, but for the listed facts."""
        try:
            return obj[argument]
        except (TypeError, LookupError):
            if isinstance(argument, str):
                return self.getattr(obj, str(argument))
            return self.undefined(f"a {kind_of(obj)} has no {argument!r}", name=str(argument))

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
        texts = (type(left) in TEXTS) + (type(right) in TEXTS)
        cost = cost_of(left) + cost_of(right)
        if operator == "%" and type(left) in TEXTS:
            return format_text(context, left, *(right if type(right) is tuple else (right,)))
        if operator == "*" and type(left) in {*TEXTS, int} and type(right) in {*TEXTS, int}:
            if texts == 1:
                text, times = (left, right) if type(left) in TEXTS else (right, left)
                check_fits(len(text) * max(0, times))
                cost *= max(1, times)
        elif operator == "+" and texts == 2:
            check_fits(len(left) + len(right))
        elif operator == "+" and type(left) is type(right) is list:
            if len(left) + len(right) > MAX_ITEMS:
                raise LimitError(f"makes a list of more than {MAX_ITEMS} elements")
        elif type(left) not in SCALARS or type(right) not in SCALARS or texts:
            raise SecurityError(f"a {kind_of(left)} {operator} a {kind_of(right)} is not available")
        if operator == "**" and not -64 <= right <= 64:
            raise LimitError("** takes exponents from -64 to 64")
        budget_of(context).spend(cost)
        return checked(super().call_binop(context, operator, left, right))

    # From source to text ------------------------------------------------------------------

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        check_shape(tree)
        rewrite(tree, self.filters, self.tests, self.html)
        return tree

    def compiled(self, source: str) -> Compiled:
        """`source`, ready to run. Raises TemplateSyntaxError with a line and what is wrong."""
        if len(source) > MAX_SOURCE:
            raise TemplateSyntaxError(f"longer than {MAX_SOURCE} characters", 1)
        if source.count("{{") + source.count("{%") > MAX_NODES:  # not worth parsing
            raise TemplateSyntaxError(f"larger than {MAX_NODES} parts", 1)
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


def scope_of(data: Mapping[str, Any], *, known_plain: bool = False) -> dict[str, Any]:
    """`data` with the budget of one render; for all parts of a message.

    It is checked by `plain`, unless it is known to have been before: then only its outermost level
    is copied, since nothing in a template can change what lies below.
    """
    copy, size = (dict(data), len(repr(data))) if known_plain else weighed(data)
    copy[BUDGET] = Budget(size >> 4)
    return copy
