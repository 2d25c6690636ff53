"""Where a class would bind an attribute for all its methods, and which of them have ties to CUDA."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from dataclasses import dataclass
from functools import lru_cache

from uncuda.source import above_comments, lines_of

_TIE = re.compile(r"\.cuda\(|[\"']cuda\b")


@dataclass(frozen=True)
class Layout:
    """`at`: the start of the line in `__init__` before which `self.x = …` belongs, after a docstring and the call of
    the base class's `__init__`; `indent` is that line's. `tied`: the methods that name CUDA."""

    at: int
    indent: str
    tied: frozenset[str]


@lru_cache(maxsize=64)
def class_layout(text: str, name: str) -> Layout | None:
    """The layout of the top-level class `name`; None when it has no `__init__` with a body of its own lines."""
    tree = _parsed(text)
    if tree is None:
        return None
    found = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name]
    if len(found) != 1:
        return None
    lines = lines_of(text)
    methods = [n for n in found[0].body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    init = next((m for m in methods if m.name == "__init__"), None)
    first = next((s for s in init.body if not _goes_before(s)), None) if init is not None else None
    if first is None:
        return None
    start = lines.start(first.lineno)
    at = lines.from_utf8(first.lineno, first.col_offset)
    if text[start:at].strip():
        return None
    tied = frozenset(
        m.name
        for m in methods
        if _TIE.search(text, lines.start(m.lineno), lines.end(m.end_lineno or m.lineno))
    )
    return Layout(above_comments(text, start), text[start:at], tied)


def class_start(text: str, name: str) -> int | None:
    """Where the only top-level class `name` begins, decorators and all."""
    tree = _parsed(text)
    found = (
        [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name] if tree is not None else []
    )
    if len(found) != 1:
        return None
    return lines_of(text).start(
        min(found[0].lineno, *(mark.lineno for mark in found[0].decorator_list), sys.maxsize)
    )


def _goes_before(stmt: ast.stmt) -> bool:
    """A docstring, or a call of an `__init__`."""
    if not isinstance(stmt, ast.Expr):
        return False
    value = stmt.value
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Attribute) and value.func.attr == "__init__"
    return isinstance(value, ast.Constant)


@lru_cache(maxsize=4)
def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
