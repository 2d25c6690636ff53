"""CUDA devices written as literals: which node holds one, and what portable text stands for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import libcst as cst

from uncuda.context import Context
from uncuda.literals import argument, device_text
from uncuda.values import Kind, Value
from uncuda.walk import walk

_DEVICE_NAME = re.compile(
    r"(?:^|_)dev(?:ice)?s?(?:_?(?:type|name|str|string|id|ids|arg|spec|map|backend|list))?\d*\Z", re.I
)
_EXPECTED = re.compile(r"expect|want|truth|answer", re.I)
_ASKS_CUDA = re.compile(r"(?:^|_)(?:is|has|have|on|num|count)_(?:\w+_)?cuda|cuda_?(?:is_)?avail", re.I)
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


def is_expected(ctx: Context, node: cst.CSTNode) -> bool:
    """Is the device at hand an answer that is expected, alone or among others, rather than a place to put things: is it
    compared in a test with something other than where a tensor is, or does its text stand beside it?"""
    path: list[cst.CSTNode] = [*ctx.ancestors, node]
    held = False
    for above, below in zip(reversed(path[:-1]), reversed(path[1:]), strict=True):
        match above:
            case cst.Element() | cst.DictElement() | cst.ComparisonTarget():
                pass
            case cst.Tuple(elements=elements) | cst.List(elements=elements) | cst.Set(elements=elements):
                held = True
                if any(e is not below and cuda_text(e.value) is not None for e in elements):
                    return True
            case cst.Dict():
                held = True
            case cst.Comparison():
                return is_tested(above, path)
            case cst.Arg():
                call = path[path.index(above) - 1]
                if not isinstance(call, cst.Call) or not _asserts(call):
                    return False
                return not any(_is_place(arg.value) for arg in call.args)
            case cst.Assign():
                return held and any(_EXPECTED.search(_word(t.target)) for t in above.targets)
            case _:
                return False
    return False


def is_tested(comparison: cst.Comparison, path: Sequence[cst.CSTNode]) -> bool:
    """Does a test assert what is compared here, which isn't where a tensor or module is? `path` leads to it. A `device`
    that is compared with text is text."""
    sides = [comparison.left, *(target.comparator for target in comparison.comparisons)]
    asserted = any(isinstance(n, cst.Assert) or (isinstance(n, cst.Call) and _asserts(n)) for n in path)
    texts = any(cuda_text(side) is not None for side in sides)
    places = (
        side for side in sides if not (texts and isinstance(side, cst.Attribute) and _word(side) == "device")
    )
    return asserted and not any(_is_place(side) for side in places)


def asserts_cuda(ctx: Context) -> bool:
    """Does a test at hand expect CUDA's text, or the object for it, as an answer?"""
    if ctx.function is None:
        return False
    for node in walk(ctx.function.body):
        if isinstance(node, cst.Assert):
            asked = [n for n in walk(node) if isinstance(n, cst.Comparison)]
            if any(_names_cuda(n) and is_tested(n, [node]) for n in asked):
                return True
        elif isinstance(node, cst.Call) and _asserts(node):
            if _names_cuda(node) and not any(_is_place(arg.value) for arg in node.args):
                return True
    return False


def _names_cuda(node: cst.CSTNode) -> bool:
    return any(cuda_text(n) is not None for n in walk(node))


def _asserts(call: cst.Call) -> bool:
    return _word(call.func).startswith("assert")


def _is_place(node: cst.BaseExpression) -> bool:
    """Is this the `device` of something: `x.device`, `next(model.parameters()).device`?"""
    called = {id(n.func) for n in walk(node) if isinstance(n, cst.Call)}
    return any(
        isinstance(n, cst.Attribute) and n.attr.value == "device" and id(n) not in called for n in walk(node)
    )


def _word(node: cst.BaseExpression) -> str:
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


def is_cuda_side(name: str) -> bool:
    """Does the name of a class or function say that it is the CUDA (or ROCm) side of something?"""
    return bool(_CUDA_SIDE.search(name))


def answers_about_cuda(ctx: Context) -> bool:
    """Is this inside a function whose name asks about CUDA, as `is_cuda_available` and `has_cuda` do? Who calls it
    wants to know that, and no more."""
    return any(isinstance(n, cst.FunctionDef) and _ASKS_CUDA.search(n.name.value) for n in ctx.ancestors)


def in_cuda_class(ctx: Context) -> bool:
    """Is this inside a class that is the CUDA side of something: `class CudaBackend`?"""
    if ctx.owner is not None and is_cuda_side(ctx.owner.name):
        return True
    return any(isinstance(n, cst.ClassDef) and is_cuda_side(n.name.value) for n in ctx.ancestors)
