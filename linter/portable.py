"""Does a piece of code still ask for CUDA? The test before a guard around it may be widened."""

from __future__ import annotations

import re
from collections.abc import Iterable

import libcst as cst

from uncuda.bindings import names_read
from uncuda.context import Context
from uncuda.findings import Outcome
from uncuda.literals import argument
from uncuda.walk import children, is_text_statement, walk

_WORDS = re.compile(
    r"cuda|cudnn|nccl|nvtx|nvml|nvidia|triton|apex|flash_attn|xformers|tensorrt|cupy|bitsandbytes", re.I
)
_KERNELS = re.compile(r"(?:\A|\.)\w*(?:_ext|_extension|_kernels?|\b_C)(?:\.|\Z)")
"""Modules that are built for CUDA, as their names tell."""
NAMES_GPU = re.compile(
    r"^[ \t]*(?:import|from)[ \t]+(?:ray|lightning|pytorch_lightning|lightgbm|xgboost|catboost)\b", re.M
)
"""Imports of packages that take "gpu" for a name: to none of them it is every accelerator."""
_ONE_WORD = re.compile(r"\S+\Z")
_GPU = re.compile(r"[bru]*['\"]+gpu['\"]+\Z", re.I)
# Among these are flags that do no harm on any device: a guard around them needs no second look.
_BACKENDS = ("torch.backends.cudnn.", "torch.backends.cuda.")
_ASKS = frozenset({"is_available", "is_acceptable", "is_built"})


def mentions_cuda(nodes: Iterable[cst.CSTNode], ctx: Context, ignore: Iterable[str] = ()) -> bool:
    """Is there a name, attribute, or string in `nodes` that is about CUDA, a call of a function, class or method of this
    file that is, or a checkpoint read back to the devices that it was saved from? `ignore`: names that don't count."""
    skipped = frozenset(ignore)
    for top in nodes:
        stack = [top]
        while stack:
            node = stack.pop()
            if isinstance(node, cst.Attribute) and _does_no_harm(node, ctx):
                continue
            stack.extend(reversed(tuple(children(node))))
            if isinstance(node, cst.Name) and node.value not in skipped:
                if _WORDS.search(node.value) or _stands_for_cuda(node.value, ctx):
                    return True
            elif isinstance(node, cst.Attribute):
                if _WORDS.search(node.attr.value):
                    return True
            elif isinstance(node, (cst.SimpleString, cst.FormattedStringText)):
                if re.search(r"\bcuda\b|nccl|nvidia-smi|CUDA_|\w-gpu\b", node.value) and not _is_message(
                    node, top
                ):
                    return True
                if _GPU.match(node.value) and ctx.index.has(NAMES_GPU):
                    return True
            elif isinstance(node, cst.Call) and (reads_back(node, ctx) or _calls_own_tie(node, ctx)):
                return True
    return False


def _calls_own_tie(node: cst.Call, ctx: Context) -> bool:
    """Is this `self.method()` of a method whose code, names and texts of one word, is about CUDA?"""
    match node.func:
        case cst.Attribute(value=cst.Name("self" | "cls"), attr=cst.Name(name)) if ctx.owner is not None:
            method = ctx.owner.method(name)
        case _:
            return False
    if method is None or (ctx.function is not None and ctx.function.name.value == name):
        return False
    stack: list[cst.CSTNode] = [method.body]
    while stack:
        part = stack.pop()
        if isinstance(part, cst.Attribute) and _does_no_harm(part, ctx):
            continue
        stack.extend(children(part))
        if isinstance(part, (cst.Name, cst.SimpleString)) and _ONE_WORD.match(part.value):
            if _WORDS.search(part.value):
                return True
    return False


def reads_back(node: cst.Call, ctx: Context) -> bool:
    """Is this `torch.load` of tensors to the devices that they were saved from, CUDA's more often than not?"""
    if ctx.qualified(node.func) != "torch.load":
        return False
    given = argument(node, "map_location", 1)
    return not any(a.star for a in node.args) and (
        given is None or (isinstance(given.value, cst.Name) and given.value.value == "None")
    )


def _does_no_harm(node: cst.Attribute, ctx: Context) -> bool:
    """Is this a flag such as `torch.backends.cudnn.benchmark`, which does nothing where there is no CUDA?"""
    from uncuda.rules.knowledge import lookup

    name = ctx.qualified(node)
    if name is None or not name.startswith(_BACKENDS) or name.rpartition(".")[2] in _ASKS:
        return False
    found = lookup(name)
    return found is not None and set(found.outcomes.values()) <= {Outcome.HARMLESS, Outcome.WORKS}


def _is_message(node: cst.CSTNode, top: cst.CSTNode) -> bool:
    """Is the text something that is only shown: printed, logged, raised?"""
    for call in walk(top):
        if isinstance(call, cst.Call):
            last = (
                call.func.attr.value
                if isinstance(call.func, cst.Attribute)
                else getattr(call.func, "value", "")
            )
            if last in (
                "print",
                "info",
                "debug",
                "warning",
                "warn",
                "error",
                "log",
                "write",
                "RuntimeError",
                "ValueError",
            ):
                if any(inner is node for inner in walk(call)):
                    return True
    return is_text_statement(top)


def _stands_for_cuda(name: str, ctx: Context) -> bool:
    """A name imported from CUDA or bound to a part of it, or a function or class of this file that speaks of it."""
    target = ctx.index.aliases.get(name)
    if target is not None:
        return bool(_WORDS.search(target) or _KERNELS.search(target))
    span = ctx.index.functions.get(name)
    if span is not None:
        return bool(_WORDS.search(ctx.index.text[slice(*span)]))
    found = ctx.bindings_of(name)
    return found is not None and any(
        b.kind == "assign" and b.value is not None and _is_cudas_own(b.value(), ctx) for b in found[1]
    )


def _is_cudas_own(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this a part of torch.cuda, written out or looked up by `getattr`?"""
    match node:
        case cst.Call(func=cst.Name("getattr"), args=[cst.Arg(value=owner), *_]):
            return _is_cudas_own(owner, ctx)
        case cst.Name() | cst.Attribute():
            return (ctx.qualified(node) or "").startswith("torch.cuda")
        case _:
            return False


def reads(node: cst.CSTNode, name: str) -> bool:
    """Is the plain name `name` read or bound anywhere in `node`?"""
    return any(found == name for found in names_read(node))


def uses_own_module(nodes: Iterable[cst.CSTNode], ctx: Context) -> bool:
    """Is a function of the device's own module (`torch.get_device_module()`) called that MPS's module hasn't,
    without asking for it first? Code that MPS comes to pass then raises on a Mac."""
    from uncuda.rules.knowledge import lookup

    used: set[str] = set()
    asked: set[str] = set()
    for top in nodes:
        for node in walk(top):
            match node:
                case cst.Attribute(value=cst.Call(func=func), attr=cst.Name(member)) if (
                    ctx.qualified(func) == "torch.get_device_module"
                ):
                    used.add(member)
                case cst.Call(func=cst.Name("hasattr"), args=[_, cst.Arg(value=cst.SimpleString() as name)]):
                    asked.add(name.raw_value)
                case _:
                    pass
    for member in used - asked:
        found = lookup(f"torch.cuda.{member}")
        if found is None or "mps" not in found.same_name:
            return True
    return False
