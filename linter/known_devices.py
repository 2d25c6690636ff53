"""Devices that are in scope at a place: those that flow proves, and those that the code itself takes for one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from uncuda.bindings import Binding, Scope, names_read
from uncuda.fixes.builder import DeviceRef
from uncuda.literals import argument, indexed_cuda_text
from uncuda.narrowing import told_to_be
from uncuda.uses import uses
from uncuda.values import Kind, Which
from uncuda.walk import walk

if TYPE_CHECKING:
    from uncuda.context import Context

NAMES = ("device", "DEVICE", "dev", "_device", "torch_device")
MEMBERS = ("device", "_device", "dev")
EARLY_METHODS = ("__init__", "__new__", "setUpClass")
"""Methods that run before the attributes of an object are bound for certain."""
_SETTINGS = ("args", "cfg", "config", "opt", "opts", "options", "params", "hparams", "self.args", "self.cfg",
             "self.config", "self.opt")  # fmt: skip


_NAMES_DEVICE = re.compile(r"(?:\A|_)dev(?:ice)?(?:_(?:type|name|str))?\Z", re.I)
_DEVICE_METHOD = re.compile(r"^[ \t]+def device\(self.*?(?=^[ \t]*(?:@|def\b|class\b)|\Z)", re.M | re.S)


def rank(name: str) -> int:
    """Names that are wont to hold the device come first."""
    return NAMES.index(name) if name in NAMES else len(NAMES)


def scopes(ctx: Context) -> Iterator[tuple[Scope, bool]]:
    """The scopes whose names are seen from here, inside out; is it one around the function?"""
    scope: Scope | None = ctx.scope
    inner = False
    while scope is not None:
        if not (scope.kind == "class" and inner):
            yield scope, inner
        if scope.kind == "function":
            inner = True
        scope = scope.parent


def bound_for_certain(ctx: Context, scope: Scope, reached: list[Binding], inner: bool) -> bool:
    """Is a name of `scope` bound whichever way the code came here?"""
    if inner:
        # A name of an enclosing scope: bound unconditionally there, or a parameter.
        return all(b.block == () for b in reached) and not (
            scope.parent is None and any(_is_late_for(ctx, b) for b in reached)
        )
    place = next((scope.places[id(n)] for n in reversed(ctx.ancestors) if id(n) in scope.places), None)
    if place is None:
        return all(b.block == () for b in reached)
    order, block = place
    return any(b.order < order and block[: len(b.block)] == b.block for b in reached)


_AT_TOP = re.compile(r"^(?!def |class |async |@)[^\s#].*$", re.M)
_CALLED = re.compile(r"(?<![\w.])(\w+)\(")


def _is_late_for(ctx: Context, binding: Binding) -> bool:
    """Does the module call a function or class of its own between the place at hand and what it binds below it?"""
    if binding.order <= ctx.around.order:
        return False
    text = ctx.index.text
    bound = re.compile(rf"^{re.escape(binding.name)}\b\s*[:=]", re.M).search(text, ctx.island_start)
    own = ctx.index.functions.keys() | ctx.index.classes.keys()
    lines = _AT_TOP.finditer(text, ctx.island_start, bound.start() if bound is not None else len(text))
    return any(name in own for line in lines for name in _CALLED.findall(line[0]))


def own_method(ctx: Context) -> cst.FunctionDef | None:
    """The method of the class at hand that the place is in, where `self` is the object."""
    if ctx.owner is None:
        return None
    method = next((n for n in ctx.ancestors if isinstance(n, cst.FunctionDef)), None)
    if method is None or not method.params.params or method.params.params[0].name.value != "self":
        return None
    return method


def assigned_before(ctx: Context, method: cst.FunctionDef, name: str) -> bool:
    """Does a statement of the method's own suite bind `self.<name>` before the place at hand?"""
    if not isinstance(method.body, cst.IndentedBlock):
        return False
    here = {id(node) for node in ctx.ancestors}
    for stmt in method.body.body:
        if id(stmt) in here:
            return False
        match stmt:
            case cst.SimpleStatementLine(
                body=[
                    cst.Assign(
                        targets=[
                            cst.AssignTarget(
                                target=cst.Attribute(value=cst.Name("self"), attr=cst.Name(bound))
                            )
                        ]
                    )
                ]
            ) if bound == name:
                return True
            case _:
                pass
    return False


def asked_device(ctx: Context) -> DeviceRef | None:
    """What the tests around the place have found to be "cuda", under a name that says that it is a device."""
    node = told_to_be("cuda", ctx.flow)
    if node is None or not _NAMES_DEVICE.search(
        node.value if isinstance(node, cst.Name) else node.attr.value
    ):
        return None
    return DeviceRef(ctx.code(node), True, True)


def said_device(ctx: Context, moved: cst.CSTNode) -> DeviceRef | None:
    """What the function at hand gives to `.to()` or `device=` elsewhere, under a name that says that it is a device:
    a parameter, a variable, `self.device`, `args.device`. It may be text, a torch.device or a number. Not where
    `moved` was before."""
    outer = next((n for n in ctx.ancestors if isinstance(n, cst.FunctionDef)), None)
    if outer is None:
        return None
    text = ctx.code(outer)
    for scope, inner in scopes(ctx):
        for name in NAMES:
            found = scope.bindings().get(name)
            if not found or not uses(ctx.index.text if inner else text, name).sinks:
                continue
            reached = ctx.flow.bindings(name)
            if reached is None or reached[0] is not scope or not all(map(_could_hold, reached[1])):
                continue
            if _is_other(ctx, name) or not bound_for_certain(ctx, scope, reached[1], inner):
                continue
            if any(_is_device_of(b, moved) for b in reached[1]):
                continue
            return DeviceRef(name, False, True, said=True)
    method = own_method(ctx)
    if method is not None and ctx.owner is not None and _is_late(ctx, method):
        known = ctx.owner.attributes().get("device", [])
        bound = bool(known) and all(b.where == "__init__" and b.kind == "assign" for b in known)
        if (bound or "device" in ctx.owner.methods) and not _is_other(ctx, "self.device"):
            return DeviceRef("self.device", False, True, said=True)
    for owner in _SETTINGS:
        name = f"{owner}.device"
        if uses(text, name).sinks and _is_set_by_now(ctx, name):
            return DeviceRef(name, False, True, said=True)
    return None


def _is_set_by_now(ctx: Context, name: str) -> bool:
    """Isn't `name`, an attribute, one that the functions at hand assign later than this?"""
    assigned = ((scope, scope.members.get(name), inner) for scope, inner in scopes(ctx))
    return all(not found or bound_for_certain(ctx, scope, found, inner) for scope, found, inner in assigned)


def indexed_device(ctx: Context, index: str | None) -> DeviceRef | None:
    """A torch.device in scope, bound as `torch.device(<selected type>, index)`; `index` by its source text, and then
    bound once, None for any."""
    for scope, inner in scopes(ctx):
        for name in sorted(scope.bindings(), key=rank):
            every = scope.bindings()[name]
            if index is not None and len(every) != 1:
                continue
            if not any(b.kind == "assign" and b.value is not None for b in every):
                continue
            reached = ctx.flow.bindings(name)
            if reached is None or reached[0] is not scope or len(reached[1]) != 1:
                continue
            [binding] = reached[1]
            if binding.kind != "assign" or not bound_for_certain(ctx, scope, [binding], inner):
                continue
            value = ctx.value(cst.Name(name))
            chosen = (*_SELECTED, Which.CUDA) if index is None else _SELECTED
            if value.kind is not Kind.DEVICE or not value.index or value.which not in chosen:
                continue
            if index is None or (not inner and _has_index(ctx, scope, binding, index)):
                return DeviceRef(name, False, True)
    return None


def indexed_member(ctx: Context, index: str | None) -> DeviceRef | None:
    """A torch.device with an index that the object at hand keeps, bound once, in its `__init__`; `index` by its source
    text as seen from a method (`self.rank`), None for any."""
    method = own_method(ctx)
    if method is None or ctx.owner is None or method.name.value in EARLY_METHODS:
        return None
    attributes = ctx.owner.attributes()
    for name in MEMBERS:
        found = attributes.get(name, [])
        if len(found) != 1 or found[0].where != "__init__" or found[0].value is None:
            continue
        value = ctx.flow.member(name)
        if value.kind is not Kind.DEVICE or not value.index or value.which not in (*_SELECTED, Which.CUDA):
            continue
        if index is None or {_kept_as(attributes, index)} == _index_texts(found[0].value()):
            return DeviceRef(f"self.{name}", False, True)
    return None


def _index_texts(node: cst.BaseExpression) -> set[str]:
    """The indexes that a device is made with, as source text."""
    module = cst.Module([])
    texts = (indexed_cuda_text(n) for n in walk(node) if isinstance(n, cst.BaseExpression))
    given = (argument(n, "index", 1) for n in walk(node) if isinstance(n, cst.Call))
    found = [*(t for t in texts if t is not None), *(g.value for g in given if g is not None)]
    return {module.code_for_node(n) for n in found}


def _kept_as(attributes: dict[str, list[Binding]], index: str) -> str:
    """What `__init__` knows `self.<name>` as: the parameter that it is bound to, once; else itself."""
    bound = attributes.get(index.removeprefix("self."), []) if index.startswith("self.") else []
    if len(bound) != 1 or bound[0].where != "__init__" or bound[0].value is None:
        return ""
    value = bound[0].value()
    return value.value if isinstance(value, cst.Name) else index


def module_in_scope(ctx: Context) -> str | None:
    """A name in scope that holds the module of the device that is there, `torch.get_device_module()`."""
    if "= torch.get_device_module()" not in ctx.index.text:
        return None
    for scope, inner in scopes(ctx):
        for name, found in scope.bindings().items():
            if len(found) != 1 or found[0].kind != "assign" or found[0].value is None:
                continue
            match found[0].value():
                case cst.Call(func=cst.Attribute(cst.Name("torch"), cst.Name("get_device_module")), args=[]):
                    pass
                case _:
                    continue
            reached = ctx.flow.bindings(name)
            if reached is not None and reached[0] is scope and bound_for_certain(ctx, scope, found, inner):
                return name
    return None


_SELECTED = (Which.SELECTED, Which.CUDA_OR_CPU)


def _has_index(ctx: Context, scope: Scope, binding: Binding, index: str) -> bool:
    """Is this the index of the device that is bound, and still what it was then?"""
    assert binding.value is not None
    given = [argument(n, "index", 1) for n in walk(binding.value()) if isinstance(n, cst.Call)]
    texts = {cst.Module([]).code_for_node(g.value) for g in given if g is not None}
    head = index.partition(".")[0]
    bound = [b for b in scope.bindings().get(head, []) if b.kind != "declare"]
    if texts != {index} or index in scope.members or len(bound) > 1 or head in scope.globals:
        return False
    return not bound or bound[0].kind == "param" or bound[0].order < binding.order


def _is_late(ctx: Context, method: cst.FunctionDef) -> bool:
    """Can `self.device` be asked for in `method`: neither before it is bound, nor where it is worked out?"""
    if "device" in (ctx.owner.methods if ctx.owner is not None else ()):
        asked = _DEVICE_METHOD.findall(ctx.index.text)
        if method.name.value == "device" or any(f"self.{method.name.value}" in body for body in asked):
            return False
    return method.name.value not in EARLY_METHODS or assigned_before(ctx, method, "device")


def _is_device_of(binding: Binding, moved: cst.CSTNode) -> bool:
    """Is this `device = x.device`, and has `moved` to do with that `x`? It goes back there afterwards."""
    match binding.value() if binding.value is not None else None:
        case cst.Attribute(value=cst.Name(name), attr=cst.Name("device")):
            return name in names_read(moved)
        case _:
            return False


def _could_hold(binding: Binding) -> bool:
    """A parameter without a default of None, or an assignment."""
    if binding.kind == "param":
        if binding.value is not None:
            match binding.value():
                case cst.Name("None"):
                    return False
        return True
    return binding.kind in ("assign", "import")


def _is_other(ctx: Context, code: str) -> bool:
    """Is it known to be another device (one with an index may be another than the current one), a number or nothing?"""
    value = ctx.flow.value(cst.parse_expression(code))
    if value.kind in (Kind.DEVICE, Kind.TEXT):
        return value.which is Which.OTHER or (value.which is Which.SELECTED and bool(value.index))
    return value.kind is not Kind.UNKNOWN
