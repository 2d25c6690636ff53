"""A device index that a function uses again and again: is one device with it bound once, and where?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import libcst as cst

from uncuda.bindings import Binding, Scope, dotted, surely_bound
from uncuda.current_index import is_current
from uncuda.device_places import Path, out_of_blocks, place
from uncuda.flow import Flow
from uncuda.literals import argument, indexed_cuda_text, string_value
from uncuda.walk import children


@dataclass(frozen=True)
class SharedIndex:
    """An index by its source text, and the path to the statement before which its device is bound."""

    text: str
    path: Path

    def reaches(self, path: Path) -> bool:
        """Is the place at the end of `path` in that statement, or behind it in its suite?"""
        *_, suite, statement = self.path
        for above, below in pairwise(path):
            if above is suite:
                behind = False
                for stmt in suite.body:  # type: ignore[attr-defined]
                    behind = behind or stmt is statement
                    if stmt is below:
                        return behind
        return False


@dataclass(frozen=True)
class _Use:
    index: cst.BaseExpression
    path: Path
    number: bool
    """Does only a number stand here, never its text?"""


def shared_index(root: cst.IndentedBlock, above: Path, flow: Flow) -> SharedIndex | None:
    """The first index that at least two CUDA devices in the suite `root`, which ends the path `above`, have, and that
    is the same in all of them: a number, or a name or attribute that nothing binds anew in between. One that is current
    by then needs no device of its own."""
    scope = _scope_of(root, flow)
    found: dict[str, list[_Use]] = {}
    for use in _uses(root, above, flow):
        text = use.index.value if isinstance(use.index, cst.Integer) else dotted(use.index)
        if text is not None and not is_current(root, use.path, text, flow):
            found.setdefault(text, []).append(use)
    for text, uses in found.items():
        if len(uses) > 1 and any(use.number for use in uses):
            path = _place(root, text, uses, scope)
            if path is not None:
                return SharedIndex(text, path)
    return None


def _scope_of(root: cst.CSTNode, flow: Flow) -> Scope:
    scope = flow.scope
    while scope.parent is not None and getattr(scope.node, "body", None) is not root:
        scope = scope.parent
    scope.bindings()
    return scope


_OF_THEIR_OWN: frozenset[type[cst.CSTNode]] = frozenset({cst.FunctionDef, cst.ClassDef, cst.Lambda})


def _uses(root: cst.CSTNode, above: Path, flow: Flow) -> Iterator[_Use]:
    """The indexes of CUDA devices in the function's own code, in the order of the text."""
    stack: list[Path] = [above if above[-1] is root else (*above, root)]
    while stack:
        path = stack.pop()
        node = path[-1]
        if node.__class__ in _OF_THEIR_OWN:
            continue
        found = _index(node, flow)
        if found is not None:
            yield _Use(found[0], path, found[1])
        stack.extend((*path, child) for child in reversed(children(node)))


_MAY_INDEX: frozenset[type[cst.CSTNode]] = frozenset(
    {cst.BinaryOperation, cst.Call, cst.FormattedString, cst.SimpleString}
)


def _index(node: cst.CSTNode, flow: Flow) -> tuple[cst.BaseExpression, bool] | None:
    if node.__class__ not in _MAY_INDEX:
        return None
    match node:
        case cst.Call(func=cst.Attribute(attr=cst.Name("cuda"))):
            given = argument(node, "device", 0)
            return None if given is None or string_value(given.value) is not None else (given.value, True)
        case cst.Call(func=func) if flow.qualified(func) == "torch.device":
            index = argument(node, "index", 1)
            kind = argument(node, "device", 0) or argument(node, "type", 0)
            if index is None or kind is None or string_value(kind.value) != "cuda":
                return None
            return index.value, True
        case cst.SimpleString():
            text = string_value(node) or ""
            digits = text.removeprefix("cuda:")
            return (cst.Integer(digits), True) if digits != text and digits.isdecimal() else None
        case cst.FormattedString() | cst.BinaryOperation() | cst.Call():
            inner = indexed_cuda_text(node)
            return None if inner is None else (inner, False)
        case _:
            return None


def _place(root: cst.IndentedBlock, text: str, uses: Sequence[_Use], scope: Scope) -> Path | None:
    """Where the device is bound: before all uses, where the index has its value, and where it is used in any case."""
    near = place(root, [use.path for use in uses])
    if text.isdigit():
        return tuple(out_of_blocks(root, list(near)))
    name = text.partition(".")[0]
    if name in scope.globals or (name != text and text in scope.members):
        return None
    bound = [b for b in scope.bindings().get(name, []) if b.kind != "declare"]
    if len(bound) > 1 or not _is_certain(near[-1], uses[0].path):
        return None
    ways = [near] if name != text else [tuple(out_of_blocks(root, list(near))), near]
    return next((path for path in ways if _is_bound(bound, scope, path[-1])), None)


def _is_bound(bound: list[Binding], scope: Scope, statement: cst.CSTNode) -> bool:
    here = scope.places.get(id(statement))
    if not bound or bound[0].kind == "param":
        return True
    return here is not None and surely_bound(bound, here)


def _is_certain(statement: cst.CSTNode, path: Path) -> bool:
    """Does whoever comes to `statement` come to the end of `path` in it as well?"""
    at = next((depth for depth, node in enumerate(path) if node is statement), None)
    if at is None:
        return False
    for depth in range(at, len(path) - 1):
        above, below = path[depth], path[depth + 1]
        match above:
            case cst.If() | cst.While() | cst.IfExp() if below is not above.test:
                return False
            case cst.For() if below is not above.iter:
                return False
            case cst.BooleanOperation() if below is above.right:
                return False
            case cst.ListComp() | cst.SetComp() | cst.GeneratorExp() | cst.DictComp():
                return False
            case cst.Try() | cst.TryStar() | cst.Match() | cst.Assert():
                return False
            case cst.IndentedBlock() if below is not above.body[0]:
                return False
            case _:
                pass
    return True
