"""CUDA devices written as literals: which node holds one, and what portable text stands for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from uncuda.context import Context
from uncuda.flow import Kind, Value, argument, device_text

_DEVICE_NAME = re.compile(
    r"(?:^|_)dev(?:ice)?s?(?:_?(?:type|name|str|string|id|ids|arg|spec|map|backend|list))?\d*\Z", re.I
)
_CUDA_SIDE = re.compile(r"cuda|nvidia|rocm|hip(?![a-z])", re.I)


def names_device(name: str) -> bool:
    """Does a variable, parameter, key or option by this name hold a device, or the text of one?"""
    name = name.lstrip("-").replace("-", "_")
    return bool(_DEVICE_NAME.search(name))


def cuda_text(node: cst.CSTNode) -> Value | None:
    """The value of a text that names CUDA and nothing else ("cuda", "cuda:0", f"cuda:{i}"); None otherwise."""
    value = device_text(node)
    return value if value is not None and value.is_cuda else None


def cuda_object(node: cst.CSTNode, ctx: Context) -> Value | None:
    """The value of `torch.device(…)` with a literal CUDA text; None otherwise."""
    if not isinstance(node, cst.Call) or ctx.qualified(node.func) != "torch.device":
        return None
    given = type_argument(node)
    text = cuda_text(given) if given is not None else None
    if text is None:
        return None
    return Value(Kind.DEVICE, text.which, "?" if argument(node, "index", 1) is not None else text.index)


def cuda_literal(node: cst.CSTNode, ctx: Context) -> Value | None:
    """The value of a CUDA device written on the spot, as text or as `torch.device(…)`; None otherwise."""
    return cuda_text(node) or cuda_object(node, ctx)


def choices(node: cst.BaseExpression, ctx: Context) -> Iterator[cst.BaseExpression]:
    """The expressions that `node` can turn out to be: both sides of a conditional, of an `or`.

    A conditional between CUDA and another device is a selection, which has a rule of its own: it gives nothing.
    """
    if isinstance(node, cst.IfExp):
        if not any(_is_elsewhere(side, ctx) for side in (node.body, node.orelse)):
            yield from choices(node.body, ctx)
            yield from choices(node.orelse, ctx)
    elif isinstance(node, cst.BooleanOperation) and isinstance(node.operator, cst.Or):
        yield from choices(node.left, ctx)
        yield from choices(node.right, ctx)
    else:
        yield node


def _is_elsewhere(node: cst.BaseExpression, ctx: Context) -> bool:
    if isinstance(node, cst.IfExp):
        return _is_elsewhere(node.body, ctx) or _is_elsewhere(node.orelse, ctx)
    value = ctx.value(node)
    return (value.kind in (Kind.TEXT, Kind.DEVICE) and not value.is_cuda) or value.kind is Kind.NONE


def type_argument(call: cst.Call) -> cst.BaseExpression | None:
    """The argument of `torch.device()` that names the type."""
    given = argument(call, "device", 0) or argument(call, "type", 0)
    return given.value if given is not None else None


# -- where it stands ---------------------------------------------------------------------------------------


def at_import(ctx: Context) -> bool:
    """Does the place run when the module is imported: at its top level, in a class body, in a parameter's default?"""
    for at, node in enumerate(ctx.ancestors):
        if isinstance(node, cst.Lambda):
            return False
        if isinstance(node, cst.FunctionDef) and node.body in ctx.ancestors[at + 1 : at + 2]:
            return False
        match node:
            case cst.If(test=cst.Comparison(left=cst.Name("__name__"))):
                return False
            case _:
                pass
    return True


def is_cuda_side(name: str) -> bool:
    """Does the name of a class or function say that it is the CUDA (or ROCm) side of something?"""
    return bool(_CUDA_SIDE.search(name))


def in_cuda_class(ctx: Context) -> bool:
    """Is this inside a class that is the CUDA side of something: `class CudaBackend`?"""
    if ctx.owner is not None and is_cuda_side(ctx.owner.name):
        return True
    return any(isinstance(n, cst.ClassDef) and is_cuda_side(n.name.value) for n in ctx.ancestors)
