"""One traversal of a concrete syntax tree: which children a node has, and in what order they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields

import libcst as cst

# Fields that hold whitespace, punctuation or operators: no rule looks there, and they are most of a tree.
_SKIPPED = frozenset(
    {
        "lpar", "rpar", "comma", "semicolon", "leading_lines", "lines_after_decorators", "header", "footer",
        "equal", "colon", "dot", "lbracket", "rbracket", "lbrace", "rbrace", "trailing_whitespace", "indent",
        "first_colon", "second_colon", "operator", "newline", "async_", "asynchronous", "from_",
        "relative", "default_newline", "default_indent", "encoding", "has_trailing_newline", "star", "posonly_ind",
    }
)  # fmt: skip
# Source order where it isn't the order of the fields.
_ORDER: dict[str, tuple[str, ...]] = {
    "FunctionDef": ("decorators", "params", "returns", "body"),
    "ClassDef": ("decorators", "bases", "keywords", "body"),
    "Lambda": ("params", "body"),
    "IfExp": ("body", "test", "orelse"),
    "If": ("test", "body", "orelse"),
    "Subscript": ("value", "slice"),
    "Arg": ("value",),
    "Attribute": ("value",),
    "Call": ("func", "args"),
    "Name": (),
    "SimpleString": (),
    "Integer": (),
    "Float": (),
    "Import": (),
    "ImportFrom": (),
}

_CHILD_FIELDS: dict[type[cst.CSTNode], tuple[str, ...]] = {}


def _child_fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    known = _CHILD_FIELDS.get(kind)
    if known is None:
        known = _ORDER.get(kind.__name__)
        if known is None:
            known = tuple(
                f.name
                for f in fields(kind)  # libcst nodes are dataclasses
                if f.name not in _SKIPPED and not f.name.startswith("whitespace")
            )
        _CHILD_FIELDS[kind] = known
    return known


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The child nodes of `node` that can hold code, in source order."""
    for name in _child_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif value.__class__ is tuple or value.__class__ is list:
            for item in value:
                if isinstance(item, cst.CSTNode):
                    yield item


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """`node` and everything below it, parents first."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(tuple(children(node))))


def walk_scope(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Everything below `node` that runs in its scope: doesn't enter functions, classes, lambdas."""
    stack = list(reversed(tuple(children(node))))
    while stack:
        item = stack.pop()
        yield item
        if isinstance(item, (cst.FunctionDef, cst.ClassDef)):
            stack.extend(reversed(item.decorators))
        elif not isinstance(item, cst.Lambda):
            stack.extend(reversed(tuple(children(item))))


Handler = Callable[[cst.CSTNode], None]


def is_text_statement(node: cst.CSTNode) -> bool:
    """A docstring, or any other string that stands alone: prose, never a tie."""
    return isinstance(node, cst.Expr) and isinstance(
        node.value, (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)
    )


def traverse(
    root: cst.CSTNode,
    handlers: dict[type[cst.CSTNode], list[Handler]],
    ancestors: list[cst.CSTNode],
    enter: Handler,
    leave: Handler,
    scoped: frozenset[type[cst.CSTNode]],
) -> None:
    """Visits `root` and all below it, parents first.

    `handlers` are called by node type; `ancestors` is kept up to date around each call (outermost first);
    `enter` and `leave` are called around the children of nodes whose type is in `scoped`.
    """
    lookup = handlers.get
    push, pop = ancestors.append, ancestors.pop

    def visit(node: cst.CSTNode) -> None:
        kind = type(node)
        if kind is cst.Expr and is_text_statement(node):
            return
        for handler in lookup(kind, ()):
            handler(node)
        push(node)
        if kind in scoped:
            enter(node)
            for child in children(node):
                visit(child)
            leave(node)
        else:
            for child in children(node):
                visit(child)
        pop()

    visit(root)
