"""Which rules can fire in a statement, by the kinds of nodes that it has: told from `ast`, before libcst reads it."""

from __future__ import annotations

import ast
from collections.abc import Iterable

# What rules listen to, and the nodes of `ast` that stand for it; where one may be hidden in another, both.
_SHOWN_BY: dict[str, tuple[str, ...]] = {
    "AnnAssign": ("AnnAssign",),
    "Arg": ("Call", "ClassDef"),
    "Assign": ("Assign",),
    "AssignTarget": ("Assign",),
    "Attribute": ("Attribute",),
    "BinaryOperation": ("BinOp",),
    "Call": ("Call",),
    "Comparison": ("Compare",),
    "Decorator": ("FunctionDef", "AsyncFunctionDef", "ClassDef"),
    "DictElement": ("Dict",),
    "FormattedString": ("JoinedStr",),
    "FunctionDef": ("FunctionDef", "AsyncFunctionDef"),
    "If": ("If",),
    "IfExp": ("IfExp",),
    "Import": ("Import",),
    "ImportFrom": ("ImportFrom",),
    "Match": ("Match",),
    "NamedExpr": ("NamedExpr",),
    "Param": ("arg",),
    "Return": ("Return",),
    "SimpleString": ("Constant", "JoinedStr"),
}


class Listeners:
    """What each of some rules, given as bits, listens to."""

    def __init__(self, heard: Iterable[tuple[int, str]] = ()) -> None:
        """`heard`: rules, and the name of a libcst node that they listen to. A node that isn't listed may be anywhere."""
        self._anywhere = 0
        self._by_kind: dict[type[ast.AST], int] = {}
        for rules, name in heard:
            shown = _SHOWN_BY.get(name)
            if shown is None:
                self._anywhere |= rules
                continue
            for kind in (getattr(ast, name) for name in shown):
                self._by_kind[kind] = self._by_kind.get(kind, 0) | rules

    def among(self, rules: int, stmt: ast.stmt) -> int:
        """Those of `rules` that listen to something in a statement's own code, the statements in it aside."""
        left = rules & ~self._anywhere
        if isinstance(stmt, (ast.Import, ast.ImportFrom)):
            # Their names are no nodes of their own to rules.
            return rules & self._by_kind.get(stmt.__class__, 0)
        stack: list[ast.AST] = [stmt]
        while left and stack:
            node = stack.pop()
            left &= ~self._by_kind.get(node.__class__, 0)
            for name in node._fields:
                value = getattr(node, name, None)
                if isinstance(value, list):
                    stack.extend(v for v in value if isinstance(v, ast.AST) and not isinstance(v, ast.stmt))
                elif isinstance(value, ast.AST):
                    stack.append(value)
        return rules & ~left
