"""The syntax of templates: what a tree may consist of, and what it becomes before it is compiled.

The shape is checked first and without recursion. Then the tree is rewritten, so that calls,
comparisons, slices, loops, literals and `~` go through the operations of `operations`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.visitor import NodeTransformer

from tactful.templates.places import Place

MAX_NODES: Final = 3_000
MAX_DEPTH: Final = 60
MAX_LOOP_DEPTH: Final = 3
MAX_CONCATS: Final = 100

_NODES: Final[frozenset[type[nodes.Node]]] = frozenset(
    (
        nodes.Template,
        nodes.Output,
        nodes.TemplateData,
        nodes.Name,
        nodes.Const,
        nodes.List,
        nodes.Tuple,
        nodes.Dict,
        nodes.Pair,
        nodes.Keyword,
        nodes.CondExpr,
        nodes.Filter,
        nodes.Test,
        nodes.Call,
        nodes.Getattr,
        nodes.Getitem,
        nodes.Slice,
        nodes.Concat,
        nodes.Compare,
        nodes.Operand,
        nodes.Add,
        nodes.Sub,
        nodes.Mul,
        nodes.Div,
        nodes.FloorDiv,
        nodes.Mod,
        nodes.Pow,
        nodes.Not,
        nodes.Neg,
        nodes.Pos,
        nodes.And,
        nodes.Or,
        nodes.For,
        nodes.If,
        nodes.With,
        nodes.Assign,
        nodes.AssignBlock,
    )
)
_RESERVED: Final = frozenset({"self", "super", "caller", "varargs", "kwargs"})


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


def check_shape(tree: nodes.Template) -> None:
    """Refuse what is not in the language, and trees that are too large, before any recursion.

    Raises TemplateSyntaxError with the line and what is wrong.
    """
    count = concats = 0
    for node, depth, loops in _walk(tree):
        count += 1
        concats += isinstance(node, nodes.Concat)
        if type(node) not in _NODES:
            _refuse(f"{type(node).__name__.lower()} is not available in templates", node)
        if isinstance(node, nodes.Name) and (node.name in _RESERVED or node.name.startswith("__")):
            _refuse(f"the name {node.name!r} is not available in templates", node)
        if isinstance(node, (nodes.Call, nodes.Filter, nodes.Test)) and (
            node.dyn_args or node.dyn_kwargs
        ):
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
        # Declared as pairs, but filters are compiled from keywords just like calls.
        call.kwargs = node.kwargs  # type: ignore[assignment]
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
        return self.guard(" concat", nodes.List(node.nodes, lineno=node.lineno))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        holders: list[nodes.Compare | nodes.Operand] = [node, *node.ops]
        for holder in holders:
            if not isinstance(holder.expr, nodes.Const):
                holder.expr = self.guard(" weigh", holder.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = self.guard(" weigh", node.node)
        elif not isinstance(node.arg, nodes.Const):
            return self.guard(" item", node.node, node.arg)
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
            after = self.place
        self.place = before
        self.branch(node.else_)
        self.same(after, node)
        return node

    def branch(self, body: list[nodes.Node]) -> None:
        body[:] = [self.visit(child) for child in body]

    def same(self, place: Place, node: nodes.Node) -> None:
        try:
            self.place = place.joined(self.place)
        except ValueError as error:
            _refuse(str(error), node)

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
            try:
                self.place = self.place.after(child.data) if self.html else self.place
            except ValueError as error:
                _refuse(str(error), child)
            return child
        if self.place.problem:
            _refuse(self.place.problem, child)
        shown: nodes.Expr = self.visit(child)
        return self.guard("url", shown) if self.place.is_url else shown


def rewrite(
    tree: nodes.Template, filters: Mapping[str, Any], tests: Mapping[str, Any], html: bool
) -> None:
    """Put the guarded operations into a tree that `check_shape` has passed.

    With `html` every value is also held against the place it stands in. Raises
    TemplateSyntaxError for calls, filters and tests that there are not, and for unsafe places.
    """
    _Rewriter(filters, tests, html).visit(tree)
