"""Which functions and classes of a file TorchScript compiles: it knows nothing of torch.accelerator."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache

SCRIPTS = re.compile(
    r"@[^\r\n]*\b(?:script(?:_method|_if_tracing)?|jit)\b|\bscript(?:_method|_if_tracing)?[ \t]*\("
)
"""A file that may have something compiled: a decorator of such a name, or a call of it."""
_MAKERS = frozenset({"script", "script_method", "script_if_tracing"})
_MARKS = _MAKERS | {"jit"}  # Triton's and Numba's too

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@lru_cache(maxsize=16)
def scripted(text: str) -> frozenset[str]:
    """The names of the functions, methods and classes that a file has compiled: those that are decorated or given to
    `torch.jit.script`, and what these call of the file's own."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    own: dict[str, list[_Definition]] = {}
    made: dict[str, str] = {}
    waiting: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                own.setdefault(node.name, []).append(node)
                if any(_last(mark) in _MARKS for mark in node.decorator_list):
                    waiting.append(node.name)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=maker)):
                made[name] = _last(maker)
            case ast.Call(func=func, args=[given, *_]) if _last(func) in _MAKERS:
                waiting.append(_last(given))
            case _:
                pass
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        name = name if name in own else made.get(name, "")
        if name in own and name not in found:
            found.add(name)
            waiting.extend(called for node in own[name] for called in _calls(node))
    return frozenset(found)


def _calls(node: _Definition) -> Iterator[str]:
    """What the body of a function, or of a class's methods, calls by a plain name or of the object itself."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            match part.func:
                case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
                    yield name
                case _:
                    pass


def _last(node: ast.expr) -> str:
    """The last word of a name, or of what is called."""
    if isinstance(node, ast.Call):
        return _last(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
