"""How a variable is used in a piece of code: as a device, in a comparison, as text."""

from __future__ import annotations

import ast
import textwrap
import warnings
from dataclasses import dataclass
from functools import lru_cache


@dataclass
class Uses:
    """Counts of what is done with one variable.

    `sinks`: given to something that takes a device (`.to(x)`, `device=x`, `torch.device(x)`); `at_import`: of
    these, those that run when the module is imported; `tests`: compared, or asked with a method of str.
    """

    sinks: int = 0
    at_import: int = 0
    tests: int = 0


_MOVES = frozenset({"to", "to_empty"})
_KEYWORDS = frozenset({"device", "map_location", "devices", "device_type"})
_FUNCTIONS = frozenset({"device", "Generator", "set_default_device"})


@lru_cache(maxsize=8)
def _parsed(text: str) -> ast.AST | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


@lru_cache(maxsize=256)
def uses(text: str, variable: str) -> Uses:
    """What the code `text` does with `variable` ("device", "self.device", ".device" of anything); nothing for
    what isn't Python 3."""
    counted = Uses()
    tree = _parsed(text) if all(word in text for word in variable.split(".")) else None
    if tree is not None:
        _count(tree, variable, counted, inside=False)
    return counted


def _is(node: ast.AST, variable: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == variable
    if variable.startswith("."):
        return isinstance(node, ast.Attribute) and node.attr == variable[1:]
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and f"{node.value.id}.{node.attr}" == variable
    )


def _last(func: ast.AST) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _count(node: ast.AST, variable: str, counted: Uses, inside: bool) -> None:
    match node:
        case ast.Call(func=func, args=args, keywords=keywords):
            name = _last(func)
            sinks = sum(_is(k.value, variable) for k in keywords if k.arg in _KEYWORDS)
            if args and _is(args[0], variable) and name in (_MOVES | _FUNCTIONS):
                sinks += 1
            counted.sinks += sinks
            if not inside and name != "device":
                counted.at_import += sinks
            if isinstance(func, ast.Attribute) and _is(func.value, variable):
                counted.tests += 1
        case ast.Compare(left=left, comparators=others):
            counted.tests += any(_is(n, variable) for n in (left, *others))
        case _:
            pass
    below = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    for child in ast.iter_child_nodes(node):
        _count(child, variable, counted, below)
