"""What a function gives when it is called: by its annotation, else by all its `return` statements."""

from __future__ import annotations

from functools import lru_cache

import libcst as cst

from uncuda.bindings import Scope
from uncuda.flow import Flow
from uncuda.guards import Guard, Surroundings, guard_of
from uncuda.values import UNKNOWN, Kind, Value, Which, joined
from uncuda.walk import EXPRESSIONS, children, walk_scope

_DEVICES = frozenset({Kind.DEVICE, Kind.TEXT})


def returned(node: cst.FunctionDef, module: Flow) -> Value:
    """What the function gives; `module` is its file as seen from the top level."""
    told = UNKNOWN if node.returns is None else module.annotated(node.returns.annotation)
    # Of a device an annotation doesn't say which.
    return told if told.kind not in (Kind.UNKNOWN, Kind.DEVICE) else _by_statements(node, module, told)


def _by_statements(node: cst.FunctionDef, module: Flow, otherwise: Value) -> Value:
    scope = Scope("function", node, module.scope)
    values: list[tuple[Value, bool]] = []
    for path in _returns(node):
        inside = module.inside(scope, path)
        last = path[-1]
        assert isinstance(last, cst.Return)
        value = inside.value(last.value) if last.value is not None else Value(Kind.NONE)
        if value.kind is Kind.UNKNOWN:
            return otherwise
        guarded = value.kind in _DEVICES and _is_guarded(path, inside)
        values.append((value, guarded))
    told = _chosen(values) or joined([value for value, _ in values])
    return otherwise if told.kind is Kind.UNKNOWN else told


def _is_guarded(path: list[cst.CSTNode], flow: Flow) -> bool:
    guard = guard_of(path[:-1], path[-1], lambda: flow, Surroundings())
    return guard in (Guard.CUDA, Guard.ACCELERATOR)


def _chosen(values: list[tuple[Value, bool]]) -> Value | None:
    """The device that a function chooses: an accelerator's where there is one, else another."""
    kinds = {value.kind for value, _ in values}
    chosen = [(value, guarded) for value, guarded in values if value.which is not Which.OTHER]
    if len(kinds) != 1 or not kinds <= _DEVICES or not 0 < len(chosen) < len(values):
        return None
    first = chosen[0][0]
    if any(value != first for value, _ in chosen) or first.which is None:
        return None
    if first.which is Which.CUDA_OR_CPU:
        return first
    if not all(guarded for _, guarded in chosen):
        return None
    return Value(first.kind, Which.CUDA_OR_CPU if first.which is Which.CUDA else Which.SELECTED, first.index)


_MORE_THAN_ONE = frozenset({cst.Await, cst.Yield})
_WITHOUT_RETURNS = EXPRESSIONS | {cst.FunctionDef, cst.ClassDef}


@lru_cache(maxsize=64)
def _returns(node: cst.FunctionDef) -> tuple[list[cst.CSTNode], ...]:
    """The paths to a function's own `return` statements, from the function down; none for what is more than one."""
    if any(item.__class__ in _MORE_THAN_ONE for item in walk_scope(node.body)):
        return ()
    found: list[list[cst.CSTNode]] = []
    stack: list[list[cst.CSTNode]] = [[node, node.body]]
    while stack:
        path = stack.pop()
        for child in children(path[-1]):
            if child.__class__ is cst.Return:
                found.append([*path, child])
            elif child.__class__ not in _WITHOUT_RETURNS:
                stack.append([*path, child])
    return tuple(found)
