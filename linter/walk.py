"""One traversal of a concrete syntax tree: which children a node has, and in what order they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from operator import attrgetter
from typing import Any

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

_NODES = [kind for kind in vars(cst).values() if isinstance(kind, type)]


def _kinds(base: type) -> frozenset[type[cst.CSTNode]]:
    return frozenset(kind for kind in _NODES if base in kind.__mro__)


# libcst's classes are abstract ones to Python, of which `isinstance` takes ten times as long to say no as to find a
# class in a set.
SMALL_STATEMENTS = _kinds(cst.BaseSmallStatement)
COMPOUND_STATEMENTS = _kinds(cst.BaseCompoundStatement)
STATEMENTS = SMALL_STATEMENTS | COMPOUND_STATEMENTS
SUITES = _kinds(cst.BaseSuite)
EXPRESSIONS = _kinds(cst.BaseExpression)

_Reader = Callable[[cst.CSTNode], Any]


class _Readers(dict[type, _Reader]):
    """A node's class to what reads its fields that can hold code, as a tuple."""

    def __missing__(self, kind: type[cst.CSTNode]) -> _Reader:
        names = _ORDER.get(kind.__name__)
        if names is None:
            names = tuple(
                f.name
                for f in fields(kind)  # libcst nodes are dataclasses
                if f.name not in _SKIPPED and not f.name.startswith("whitespace")
            )
        read = attrgetter(*names) if names else _nothing
        self[kind] = read if len(names) != 1 else lambda node: (read(node),)
        return self[kind]


class _Nodes(dict[type, bool]):
    """Is a class one of nodes? The classes' own answer (an ABC's) costs ten times as much."""

    def __missing__(self, kind: type) -> bool:
        self[kind] = issubclass(kind, cst.CSTNode)
        return self[kind]


def _nothing(node: cst.CSTNode) -> tuple[()]:
    return ()


_READERS = _Readers()
_IS_NODE = _Nodes()


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    """The child nodes of `node` that can hold code, in source order."""
    found: list[cst.CSTNode] = []
    for value in _READERS[node.__class__](node):
        kind = value.__class__
        if kind is tuple or kind is list:
            found += value
        elif _IS_NODE[kind]:
            found.append(value)
    return found


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """`node` and everything below it, parents first."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def walk_scope(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Everything below `node` that runs in its scope: doesn't enter functions, classes, lambdas."""
    stack = children(node)[::-1]
    while stack:
        item = stack.pop()
        yield item
        kind = item.__class__
        if kind is cst.FunctionDef or kind is cst.ClassDef:
            stack.extend(reversed(item.decorators))  # type: ignore[attr-defined]
        elif kind is not cst.Lambda:
            stack.extend(reversed(children(item)))


def is_text_statement(node: cst.CSTNode) -> bool:
    """A docstring, or any other string that stands alone: prose, never a tie."""
    return isinstance(node, cst.Expr) and isinstance(
        node.value, (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)
    )
