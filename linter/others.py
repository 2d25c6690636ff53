"""Code that handles accelerators one by one: does it name others beside CUDA?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import libcst as cst

from uncuda.findings import Target
from uncuda.guards import leaves
from uncuda.literals import string_value
from uncuda.walk import walk

if TYPE_CHECKING:
    from uncuda.context import Context

_TARGETS = {
    "xpu": Target.XPU,
    "npu": Target.ASCEND,
    "mps": Target.MPS,
    "hpu": Target.HPU,
    "gaudi": Target.HPU,
    "mlu": Target.MLU,
    "musa": Target.MUSA,
    "xla": Target.XLA,
    "xm": Target.XLA,
    "tpu": Target.XLA,
    # Their backends of torch.distributed.
    "hccl": Target.ASCEND,
    "cncl": Target.MLU,
    "mccl": Target.MUSA,
    "xccl": Target.XPU,
}
_CUDAS = ("cuda", "nccl")
_AROUND = re.compile(r"^(?:is_|use_|has_)?(?:torch_)?|_available$")
_IMPLEMENTATION = re.compile(
    r"(?:cuda|nvidia)\w*?(?:platform|accelerator|backend)|(?:platform|accelerator|backend)_?(?:cuda|nvidia)",
    re.I,
)
# Of an interface to something that others may not have at all.
_OF_A_PART = re.compile(r"test|graph|kernel|attention|cache|compil|piecewise", re.I)
_SAID = re.compile(r"\b(?:mps|xpu|npu|hpu|mlu|musa|Ascend|Gaudi|Apple Silicon)\b", re.I)
_OTHERS = frozenset({*_TARGETS, "mtia", "privateuseone", "maia", "gcu", "sdaa"})


def is_cuda_implementation(name: str) -> bool:
    """Is a class by this name (`CudaPlatform`, `CUDA_Accelerator`) what an interface is on CUDA, beside those for other
    hardware?"""
    return bool(_IMPLEMENTATION.search(name)) and not _OF_A_PART.search(name)


def names_others(node: cst.CSTNode) -> bool:
    """Is there a text, a name or an attribute in `node` that stands for another accelerator?"""
    return next(_named(node), None) is not None


def speaks_of_others(ctx: Context) -> bool:
    """Does the function at hand name other accelerators, be it in a comment? Then what it asks of CUDA is weighed."""
    if ctx.function is None or not ctx.index.has(_SAID):
        return False
    return _SAID.search(ctx.code(ctx.function)) is not None


def _named(node: cst.CSTNode) -> Iterator[str]:
    for item in walk(node):
        if isinstance(item, cst.SimpleString):
            name = (string_value(item) or "").partition(":")[0]
        elif isinstance(item, (cst.Name, cst.Attribute)):
            name = _said(item).lower()
        else:
            continue
        if name in _OTHERS:
            yield name


def _said(node: cst.Name | cst.Attribute) -> str:
    """What a name is about: "mps" for `use_mps`, `is_mps_available`."""
    return _AROUND.sub("", node.value if isinstance(node, cst.Name) else node.attr.value)


def _names_cuda(node: cst.CSTNode) -> bool:
    """Is a device compared with CUDA in `node`, or a backend with NCCL, by its text or by is_cuda, is torch.cuda asked,
    or a flag that is called after it?"""
    for item in walk(node):
        if isinstance(item, cst.SimpleString) and (string_value(item) or "").partition(":")[0] in _CUDAS:
            return True
        if isinstance(item, (cst.Name, cst.Attribute)) and _said(item).lower() in _CUDAS:
            return True
    return False


def own_branches(path: list[cst.CSTNode]) -> tuple[frozenset[Target], bool]:
    """The targets that have a branch of their own in the `if` chains around the last node of `path`; and whether that
    is in the branch for CUDA devices of a chain that has one for another accelerator."""
    targets: set[Target] = set()
    cuda_side = False
    for depth in range(len(path) - 1, -1, -1):
        above = path[depth]
        if isinstance(above, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            break
        if not isinstance(above, (cst.If, cst.IfExp)):
            continue
        here = path[depth + 1] if depth + 1 < len(path) else None
        branches = [*_chain(above, path[:depth]), *_beside(above, path[:depth])]
        named = {n for item in branches if item.body is not here for n in _named(item.test)}
        targets |= {_TARGETS[name] for name in named if name in _TARGETS}
        if named and here is above.body and _names_cuda(above.test):
            cuda_side = True
    return frozenset(targets), cuda_side


def handles_others(node: cst.CSTNode, ctx: Context) -> bool:
    """Does the condition that `node` stands in, or the `if` chain around it, name other accelerators?"""
    path = [*ctx.ancestors, node]
    top: cst.CSTNode = node
    for depth in range(len(path) - 2, -1, -1):
        above, below = path[depth], path[depth + 1]
        if isinstance(above, (cst.BooleanOperation, cst.UnaryOperation, cst.Comparison)):
            top = above
            continue
        if isinstance(above, (cst.If, cst.IfExp)) and below is above.test:
            branches = [*_chain(above, path[:depth]), *_beside(above, path[:depth])]
            if any(names_others(item.test) for item in branches):
                return True
        break
    return names_others(top)


def among_others(ctx: Context) -> bool:
    """Does the place at hand stand in one branch of an `if` chain or `match` of which others are for other
    accelerators, or after an `if` that left the function for one?"""
    path = ctx.ancestors
    for depth in range(len(path) - 1, -1, -1):
        above = path[depth]
        if isinstance(above, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
            return False
        if isinstance(above, (cst.If, cst.IfExp)):
            here = path[depth + 1] if depth + 1 < len(path) else None
            for item in _chain(above, path[:depth]):
                if names_others(item.test) or (item.body is not here and names_others(item.body)):
                    return True
        elif isinstance(above, cst.Match):
            return any(names_others(case.pattern) for case in above.cases)
        elif isinstance(above, cst.IndentedBlock) and depth + 1 < len(path):
            for stmt in above.body:
                if stmt is path[depth + 1]:
                    break
                if isinstance(stmt, cst.If) and leaves(stmt.body) and names_others(stmt.test):
                    return True
    return False


def _beside(node: cst.CSTNode, path: list[cst.CSTNode]) -> Iterator[cst.If]:
    """The `if` statements right before and behind `node`, as far as each leaves the function where it holds: a chain
    in all but name."""
    block = path[-1] if path else None
    if not isinstance(block, cst.IndentedBlock):
        return
    at = next(i for i, stmt in enumerate(block.body) if stmt is node)
    for stmt in reversed(block.body[:at]):
        if not isinstance(stmt, cst.If) or not leaves(stmt.body):
            break
        yield stmt
    for last, stmt in pairwise(block.body[at:]):
        if not isinstance(last, cst.If) or not leaves(last.body) or not isinstance(stmt, cst.If):
            break
        yield stmt


def _chain(node: cst.If | cst.IfExp, path: list[cst.CSTNode]) -> Iterator[cst.If | cst.IfExp]:
    """The whole if/elif chain, or nest of conditionals, that `node` belongs to, branch by branch."""
    first: cst.If | cst.IfExp = node
    for above in reversed(path):
        if isinstance(above, (cst.If, cst.IfExp)) and above.orelse is first:
            first = above
        else:
            break
    item: object = first
    while isinstance(item, (cst.If, cst.IfExp)):
        yield item
        item = item.orelse
