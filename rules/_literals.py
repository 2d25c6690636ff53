"""CUDA devices written as literals: which node holds one, and what portable text stands for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import FixBuilder
from uncuda.fixes.styles import ACCELERATOR_FLOOR
from uncuda.flow import Kind, Value, argument, device_text, indexed_cuda_text

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
    given = _type_argument(node)
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


def _type_argument(call: cst.Call) -> cst.BaseExpression | None:
    given = argument(call, "device", 0) or argument(call, "type", 0)
    return given.value if given is not None else None


# -- where it stands ---------------------------------------------------------------------------------------


def at_import(ctx: Context) -> bool:
    """Does the place run when the module is imported: at its top level, or in a class body?"""
    for node in ctx.ancestors:
        if isinstance(node, (cst.FunctionDef, cst.Lambda)):
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


# -- the index ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Index:
    """The index of a device: source text, and whether it is an int for certain (it may be text)."""

    text: str
    is_int: bool


_INT_CALLS = (
    "get_rank",
    "get_local_rank",
    "get_node_local_rank",
    "current_device",
    "get_world_size",
    "device_count",
)


def is_int(node: cst.BaseExpression, ctx: Context, depth: int = 0) -> bool:
    """Is `node` an int for certain? (A device's index may also be text.)"""
    if isinstance(node, cst.Integer):
        return True
    if isinstance(node, cst.Subscript):
        return _is_one_size(node)
    if isinstance(node, cst.Call):
        func = node.func
        if isinstance(func, cst.Name):
            return func.value in ("int", "len", *_INT_CALLS)
        if isinstance(func, cst.Attribute) and func.attr.value == "size":
            return len(node.args) == 1
        return isinstance(func, cst.Attribute) and func.attr.value in (
            *_INT_CALLS,
            "numel",
            "nelement",
            "dim",
        )
    if isinstance(node, cst.BinaryOperation) and isinstance(
        node.operator, (cst.Add, cst.Subtract, cst.Modulo, cst.FloorDivide, cst.Multiply)
    ):
        return is_int(node.left, ctx, depth) and is_int(node.right, ctx, depth)
    if isinstance(node, cst.Name) and depth < 3:
        found = ctx.bindings_of(node.value)
        if found is None or not found[1]:
            return False
        for binding in found[1]:
            told = binding.annotation() if binding.annotation is not None else None
            if isinstance(told, cst.Name) and told.value == "int":
                continue
            if (
                binding.kind != "assign"
                or binding.value is None
                or not is_int(binding.value(), ctx, depth + 1)
            ):
                return False
        return True
    return False


def _is_one_size(node: cst.Subscript) -> bool:
    """`x.shape[0]`, `x.size()[0]`."""
    match node.value:
        case (
            cst.Attribute(attr=cst.Name("shape"))
            | cst.Call(func=cst.Attribute(attr=cst.Name("size")), args=[])
        ):
            match node.slice:
                case [cst.SubscriptElement(slice=cst.Index())]:
                    return True
    return False


def index_of(fix: FixBuilder, node: cst.BaseExpression) -> Index | None:
    """The index that a CUDA literal (text or torch.device) names; None when it has none."""
    ctx = fix.ctx
    if isinstance(node, cst.Call) and cuda_object(node, ctx) is not None:
        separate = argument(node, "index", 1)
        if separate is not None:
            return Index(fix.code(separate.value), True)
        inner = _type_argument(node)
        assert inner is not None
        node = inner
    computed = indexed_cuda_text(node)
    if computed is not None:
        return Index(fix.code(computed), is_int(computed, ctx))
    value = cuda_text(node)
    return Index(value.index, True) if value is not None and value.index else None


def _joined(kind: str, index: Index) -> str:
    """Source of the text "kind:index"; `kind` is an expression."""
    code = index.text
    inside = code if code.isdigit() else f"{{{code}}}"
    if "\\" not in code and "\n" not in code and "#" not in code and not code.startswith("{"):
        for quote in "\"'":
            if quote not in code and quote not in kind:
                return f"f{quote}{{{kind}}}:{inside}{quote}"
    return f'{kind} + ":" + str({code})'


# -- portable text -----------------------------------------------------------------------------------------


def device_for(fix: FixBuilder, node: cst.BaseExpression) -> str:
    """What a call takes as its device in place of a CUDA literal: a torch.device, or its text."""
    index = index_of(fix, node)
    if index is None:
        return fix.device()
    if index.is_int:
        return fix.device_with_index(index.text)
    return _joined(fix.device_type(), index)


def object_for(fix: FixBuilder, node: cst.BaseExpression) -> str:
    """A torch.device in place of a CUDA literal."""
    index = index_of(fix, node)
    if index is None:
        return fix.torch_device()
    if index.is_int:
        return fix.device_with_index(index.text)
    return f"{fix.name('torch')}.device({_joined(fix.device_type(), index)})"


def text_for(fix: FixBuilder, node: cst.BaseExpression) -> str:
    """A str in place of a CUDA text, made from the device in scope or a new one."""
    index = index_of(fix, node)
    return fix.device_type() if index is None else _joined(fix.device_type(), index)


def selected_text(fix: FixBuilder, node: cst.BaseExpression, *, reuse: bool = True) -> str:
    """An expression of its own that selects what a CUDA text names, as str; "cpu" without an accelerator.

    `reuse`: a portable device that is in scope may be used.
    """
    index = index_of(fix, node)
    here = _in_scope_text(fix, reuse)
    if here is not None:
        return here if index is None else _joined(here, index)
    fix.needs(ACCELERATOR_FLOOR)
    spelling = fix.spelling()
    if index is None:
        return spelling.type
    return spelling.guarded(
        _joined(f"{spelling.torch}.accelerator.current_accelerator().type", index), '"cpu"'
    )


def selected_object(fix: FixBuilder, node: cst.BaseExpression, *, reuse: bool = True) -> str:
    """An expression of its own that selects what a CUDA device names, as torch.device; the CPU without an
    accelerator."""
    index = index_of(fix, node)
    here = _in_scope_text(fix, reuse)
    if here is not None:
        return object_for(fix, node)
    fix.needs(ACCELERATOR_FLOOR)
    spelling = fix.spelling()
    if index is None:
        return spelling.device
    if index.is_int:
        return spelling.indexed(index.text)
    text = _joined(f"{spelling.torch}.accelerator.current_accelerator().type", index)
    return spelling.guarded(f"{spelling.torch}.device({text})", f'{spelling.torch}.device("cpu")')


def _in_scope_text(fix: FixBuilder, reuse: bool) -> str | None:
    """The type of a portable device that can be used without binding one, as str."""
    if fix.ctx.options.device_expr:
        return fix.device_type()
    if not reuse or fix.ctx.devices.known() is None:
        return None
    return fix.device_type()
