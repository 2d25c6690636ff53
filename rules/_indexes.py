"""The index in a CUDA device: which part of a literal it is, and of what kind."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import FixBuilder
from uncuda.literals import argument, indexed_cuda_text
from uncuda.rules._literals import cuda_object, cuda_text, type_argument


@dataclass(frozen=True)
class Index:
    """The index of a device: source text, and whether it is an int for certain (it may be text).

    `current`: it is that of the current device, so that a device without index is the same one. `tensor`: source
    text of the tensor whose device it is.
    """

    text: str
    is_int: bool
    current: bool = False
    tensor: str = ""


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


def is_current(node: cst.CSTNode, ctx: Context) -> bool:
    """Is this `torch.cuda.current_device()`?"""
    return (
        isinstance(node, cst.Call)
        and not node.args
        and ctx.qualified(node.func) == "torch.cuda.current_device"
    )


def tensor_of(node: cst.BaseExpression) -> cst.BaseExpression | None:
    """The tensor in `x.get_device()` and `x.device.index`."""
    match node:
        case cst.Call(func=cst.Attribute(value=tensor, attr=cst.Name("get_device")), args=[]):
            return tensor
        case cst.Attribute(
            value=cst.Attribute(value=tensor, attr=cst.Name("device")), attr=cst.Name("index")
        ):
            return tensor
        case _:
            return None


def index_at(fix: FixBuilder, node: cst.BaseExpression) -> Index:
    """What an expression is as the index of a device."""
    tensor = tensor_of(node)
    return Index(
        fix.code(node),
        is_int(node, fix.ctx),
        is_current(node, fix.ctx),
        fix.code(tensor) if tensor is not None else "",
    )


def index_of(fix: FixBuilder, node: cst.BaseExpression) -> Index | None:
    """The index that a CUDA literal (text or torch.device) names; None when it has none."""
    ctx = fix.ctx
    if isinstance(node, cst.Call) and cuda_object(node, ctx) is not None:
        separate = argument(node, "index", 1)
        if separate is not None:
            found = index_at(fix, separate.value)
            return Index(found.text, True, found.current, found.tensor)
        inner = type_argument(node)
        assert inner is not None
        node = inner
    computed = indexed_cuda_text(node)
    if computed is not None:
        return index_at(fix, computed)
    value = cuda_text(node)
    return Index(value.index, True) if value is not None and value.index else None


def joined(kind: str, index: Index) -> str:
    """Source of the text "kind:index"; `kind` is an expression."""
    code = index.text
    inside = code if code.isdigit() else f"{{{code}}}"
    if "\\" not in code and "\n" not in code and "#" not in code and not code.startswith("{"):
        for quote in "\"'":
            if quote not in code and quote not in kind:
                return f"f{quote}{{{kind}}}:{inside}{quote}"
    return f'{kind} + ":" + str({code})'
