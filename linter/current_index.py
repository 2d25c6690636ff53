"""Is a device's index the one that was made current just before? Then the device without an index is the same one."""

from __future__ import annotations

import re
from itertools import pairwise

import libcst as cst

from uncuda.bindings import Scope
from uncuda.device_places import Path
from uncuda.flow import Flow
from uncuda.walk import walk

_SETS = frozenset({"torch.cuda.set_device", "torch.accelerator.set_device_index"})
_BLOCKS = frozenset({"torch.cuda.device", "torch.accelerator.device_index", "torch.cuda.device_of"})
_INDEX = re.compile(
    r"""(?:torch\.device\(\s*)?[fF]?["']cuda(?::\{(?P<text>[\w.]+)\}|:(?P<number>\d+)|["'],\s*(?P<argument>[\w.]+))"""
)


def is_current(root: cst.CSTNode, path: Path, index: str, flow: Flow) -> bool:
    """Has a statement before the place at the end of `path`, in the function with the suite `root`, made the device with
    this index (its source text) the current one, and does the index still hold the same?"""
    if "set_device" not in flow.index.text or not _is_bound_once(index, root, flow):
        return False
    depth = next((at for at, node in enumerate(path) if node is root), len(path))
    for above, below in reversed(list(pairwise(path[depth:]))):
        if isinstance(above, cst.With) and any(_is_block(item.item, flow) for item in above.items):
            return False
        if not isinstance(above, cst.IndentedBlock):
            if isinstance(above, (cst.FunctionDef, cst.Lambda, cst.For, cst.While)) and _sets_inside(
                above, flow
            ):
                return False
            continue
        before = above.body[: next(at for at, stmt in enumerate(above.body) if stmt is below)]
        for stmt in reversed(before):
            made = _made_current(stmt, flow)
            if made is not None:
                return made == index
    return False


def _is_bound_once(index: str, root: cst.CSTNode, flow: Flow) -> bool:
    scope: Scope = flow.scope
    while scope.parent is not None and getattr(scope.node, "body", None) is not root:
        scope = scope.parent
    head = index.partition(".")[0]
    bound = [b for b in scope.bindings().get(head, []) if b.kind != "declare"]
    return len(bound) <= 1 and head not in scope.globals and index not in scope.members


def _is_block(node: cst.CSTNode, flow: Flow) -> bool:
    return isinstance(node, cst.Call) and flow.qualified(node.func) in _BLOCKS


def _sets_inside(node: cst.CSTNode, flow: Flow) -> bool:
    return any(_is_set(call, flow) for call in walk(node))


def _is_set(node: cst.CSTNode, flow: Flow) -> bool:
    return isinstance(node, cst.Call) and flow.qualified(node.func) in _SETS


def _made_current(stmt: cst.CSTNode, flow: Flow) -> str | None:
    """The index that a statement makes current wherever there is an accelerator, "" where nobody knows; None where it
    makes none current."""
    calls = [node for node in walk(stmt) if isinstance(node, cst.Call) and _is_set(node, flow)]
    if not calls:
        return None
    inner = stmt
    if isinstance(stmt, cst.If) and stmt.orelse is None and len(stmt.body.body) == 1:
        if _asks_for_one(stmt.test, flow):
            inner = stmt.body.body[0]
    match inner:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.Call() as call)]) if _is_set(call, flow):
            return _named(cst.Module([]).code_for_node(call.args[0].value)) if len(call.args) == 1 else ""
        case _:
            return ""


def _asks_for_one(test: cst.BaseExpression, flow: Flow) -> bool:
    return isinstance(test, cst.Call) and flow.qualified(test.func) in (
        "torch.cuda.is_available",
        "torch.accelerator.is_available",
    )


def _named(given: str) -> str:
    """The index in what a device is set by: `rank`, `f"cuda:{rank}"`, `torch.device("cuda", rank)`."""
    if re.fullmatch(r"[\w.]+", given):
        return given
    found = _INDEX.match(given)
    return "" if found is None else found["text"] or found["number"] or found["argument"] or ""
