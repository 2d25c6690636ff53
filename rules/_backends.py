"""Process groups' backends: where the name of one is given, and what stands for the device's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from itertools import pairwise

import libcst as cst

from uncuda.context import Context
from uncuda.findings import Target
from uncuda.fixes.builder import FixBuilder
from uncuda.literals import string_value
from uncuda.rules._calls import last_word
from uncuda.walk import walk

_BACKEND_NAME = re.compile(r"backend(?:_?(?:name|type|str))?\Z", re.I)
# The libraries of other accelerators: who names one of them has thought of more than NCCL.
OTHERS = frozenset({"hccl", "xccl", "ccl", "cncl", "mccl", "xla", "tccl"})

# Where a call takes the backend by position.
_POSITIONS = {
    "init_process_group": 0,
    "init_distributed": 0,
    "new_group": 2,
    "Backend": 0,
    "init_collective_group": 2,
    "create_collective_group": 3,
}
# Keywords whose default, None, already means "the one that fits the device".
_NONE_MEANS_DEFAULT = frozenset({"ddp_backend", "process_group_backend"})
_LOOKUPS = frozenset({"get", "getenv", "setdefault", "pop", "getattr"})
_FIELDS = frozenset({"field", "Field", "Option", "Argument"})
_OPTIONS = frozenset({"add_argument", "option", "add_option"})


class Place(Enum):
    """How a text comes to be a backend."""

    ARGUMENT = auto()  # given to a call
    OMISSIBLE = auto()  # given to a call that chooses by itself when given None
    OPTION = auto()  # the default of a command line option
    DEFAULT = auto()  # a parameter's or a field's default, evaluated at import
    VALUE = auto()  # assigned, returned, looked up, or in a dict


def is_nccl(node: cst.CSTNode, ctx: Context) -> bool:
    """Is this "nccl" (in any case, as init_process_group takes it), or `Backend.NCCL`?"""
    if isinstance(node, cst.Attribute):
        if node.attr.value != "NCCL":
            return False
        full = ctx.qualified(node) or ""
        return full.startswith("torch.distributed.") and full.endswith("Backend.NCCL")
    text = string_value(node)
    return text is not None and text.lower() == "nccl"


def named(name: str | None) -> bool:
    """Is something by this name a backend's name? What is called NCCL itself isn't a choice."""
    return name is not None and _BACKEND_NAME.search(name) is not None and "nccl" not in name.lower()


def target_name(node: cst.BaseExpression) -> str | None:
    """The last word of what is assigned to: a name, an attribute, a literal key."""
    match node:
        case cst.Name(name) | cst.Attribute(attr=cst.Name(name)):
            return name
        case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=key))]):
            return string_value(key)
        case _:
            return None


def backend_place(node: cst.BaseExpression, ctx: Context) -> Place | None:
    """How the expression at hand comes to be a process group's backend; None when nothing says that it does."""
    below: cst.CSTNode = node
    path = ctx.ancestors
    for depth in range(len(path) - 1, -1, -1):
        above = path[depth]
        match above:
            case cst.IfExp() if below is not above.test:
                pass
            case cst.BooleanOperation():
                pass
            case cst.Call():
                pass  # a field's maker: its own place is what counts
            case cst.Arg():
                call = path[depth - 1]
                if not isinstance(call, cst.Call):
                    return None
                if not (
                    last_word(call.func) in _FIELDS
                    and (above.keyword is None or above.keyword.value == "default")
                ):
                    return _argument_place(call, above)
            case cst.NamedExpr():
                return Place.VALUE if named(target_name(above.target)) else None
            case cst.Assign():
                found = any(named(target_name(t.target)) for t in above.targets)
                return (Place.DEFAULT if _in_class_body(ctx) else Place.VALUE) if found else None
            case cst.AnnAssign():
                if not named(target_name(above.target)):
                    return None
                return Place.DEFAULT if _in_class_body(ctx) else Place.VALUE
            case cst.Param():
                return Place.DEFAULT if below is above.default and named(above.name.value) else None
            case cst.DictElement():
                return Place.VALUE if below is above.value and named(string_value(above.key)) else None
            case cst.Return():
                return Place.VALUE if ctx.function is not None and named(ctx.function.name.value) else None
            case _:
                return None
        below = above
    return None


def _in_class_body(ctx: Context) -> bool:
    return ctx.scope.kind == "class"


def _argument_place(call: cst.Call, arg: cst.Arg) -> Place | None:
    func = last_word(call.func)
    texts = [string_value(a.value) for a in call.args if a is not arg and a.keyword is None and not a.star]
    about_backends = any(named(t) for t in texts)
    if arg.keyword is not None:
        keyword = arg.keyword.value
        if keyword in _NONE_MEANS_DEFAULT:
            return Place.OMISSIBLE
        if named(keyword):
            return Place.ARGUMENT
        return Place.OPTION if keyword == "default" and func in _OPTIONS and about_backends else None
    position = call.args.index(arg)
    if any(a.star for a in call.args[:position]):
        return None
    if _POSITIONS.get(func) == position:
        return Place.ARGUMENT
    if position and about_backends:
        if func in _LOOKUPS:
            return Place.VALUE
        if func.startswith("DEFINE_"):
            return Place.OPTION if position == 1 else None
    return None


def default_backend(fix: FixBuilder, device: str | None = None) -> str:
    """`dist.get_default_backend_for_device(device)`, for `device` (source text) or the one that is there."""
    fix.needs("torch.accelerator")
    dist = fix.ctx.local_name("torch.distributed")
    function = f"{dist}.get_default_backend_for_device" if dist is not None else ""
    function = function or fix.name("torch.distributed.get_default_backend_for_device")
    return f"{function}({device if device is not None else fix.device(typed=True)})"


def names_others(node: cst.CSTNode) -> bool:
    """Is another accelerator's library named in `node`: its text, or a question for it?"""
    for item in walk(node):
        if isinstance(item, cst.SimpleString):
            if OTHERS & set(re.split("[:,]", (string_value(item) or "").lower())):
                return True
        elif isinstance(item, (cst.Name, cst.Attribute)):
            if last_word(item).removeprefix("is_").removesuffix("_available") in OTHERS:
                return True
    return False


def maps_devices(ctx: Context) -> bool:
    """Is the place at hand one entry of a choice by device type, which names another accelerator's library too?"""
    top: cst.CSTNode | None = None
    for above in reversed(ctx.ancestors):
        if isinstance(above, (cst.FunctionDef, cst.ClassDef)) and top is not None:
            break
        if isinstance(above, (cst.If, cst.IfExp, cst.Dict, cst.Match, cst.BooleanOperation, cst.Comparison)):
            top = above
        elif isinstance(above, cst.Call):
            func = above.func
            if isinstance(func, cst.Attribute) and isinstance(func.value, cst.Dict):
                top = above  # {"npu": "hccl"}.get(kind, "nccl")
    return top is not None and names_others(top)


_CUDA_SIDE = re.compile(r"cuda|nvidia|rocm|nccl", re.I)


def is_for_cuda(ctx: Context) -> bool:
    """Does the place at hand run for CUDA, or over NCCL, anyway: in a class that is CUDA's side of something, or
    in a branch that was chosen by NCCL's name?"""
    if ctx.owner is not None and _CUDA_SIDE.search(ctx.owner.name):
        return True
    path = ctx.ancestors
    for above, below in pairwise(path):
        if isinstance(above, cst.ClassDef) and _CUDA_SIDE.search(above.name.value):
            return True
        if isinstance(above, (cst.If, cst.IfExp)) and below is above.body:
            if any(_equals_nccl(part, ctx) for part in _conjuncts(above.test)):
                return True
    return False


def _conjuncts(test: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
        yield from _conjuncts(test.left)
        yield from _conjuncts(test.right)
    else:
        yield test


def _equals_nccl(test: cst.BaseExpression, ctx: Context) -> bool:
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
        return False
    [target] = test.comparisons
    sides = (test.left, target.comparator)
    return isinstance(target.operator, cst.Equal) and any(is_nccl(side, ctx) for side in sides)


def accelerators_backends() -> list[str]:
    """The backends of all accelerators, as literals, NCCL first."""
    from uncuda.rules.knowledge import target

    names = dict.fromkeys(["nccl", *(target(t).backend for t in Target)])
    return [f'"{name}"' for name in names if name != target(Target.CPU).backend]
