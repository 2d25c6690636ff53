"""What the mixed-precision rules share: which of torch's names a place means, and how the CPU is kept out."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from enum import Enum, auto
from functools import lru_cache

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import is_guarded
from uncuda.rules._calls import is_read
from uncuda.rules._literals import cuda_text, in_cuda_class
from uncuda.values import Kind

# Where torch's own modules keep what `torch.cuda.amp` and `torch.amp` show.
_INNER = re.compile(r"\.(?:autocast_mode|grad_scaler)(?=\.)")
_IMPORTS = re.compile(r"^[ \t]*from[ \t]+torch\.cuda\.amp[\w.]*[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)", re.M)
_NAME = re.compile(r"(\w+)(?:[ \t\n]+as[ \t\n]+(\w+))?[ \t\n]*(?:,|#|\)|$)", re.M)


def amp_name(node: cst.BaseExpression, ctx: Context) -> str | None:
    """The full name of what `node` stands for, in the form that torch's documentation uses."""
    name = ctx.qualified(node)
    return _INNER.sub("", name) if name is not None and name.startswith("torch.") else None


class Sure(Enum):
    """How sure is it what a name stands for?"""

    YES = auto()
    LIKELY = auto()  # one import, and something else for when that fails
    NO = auto()  # imported from two places


def certainty(func: cst.BaseExpression, ctx: Context) -> Sure:
    """How sure is it what the first name of `func` stands for?"""
    head = func
    while isinstance(head, cst.Attribute):
        head = head.value
    found = ctx.bindings_of(head.value) if isinstance(head, cst.Name) else None
    if found is None:
        return Sure.YES
    targets = {_INNER.sub("", b.target) for b in found[1] if b.kind == "import"}
    if len(targets) != 1:
        return Sure.NO
    return Sure.YES if all(b.kind == "import" for b in found[1]) else Sure.LIKELY


def may_be(func: cst.BaseExpression, ctx: Context, names: Container[str]) -> bool:
    """Is the name imported from one of `names`, if not always?"""
    found = ctx.bindings_of(func.value) if isinstance(func, cst.Name) else None
    return found is not None and any(_INNER.sub("", b.target) in names for b in found[1])


def be_certain(fix: FixBuilder, func: cst.BaseExpression) -> None:
    """Raises CannotFix for a name that stands for two things; lowers the fix where the other one is a stopgap."""
    sure = certainty(func, fix.ctx)
    if sure is Sure.NO:
        raise CannotFix("the name may stand for something else")
    if sure is Sure.LIKELY:
        fix.unsafe()
    if in_cuda_class(fix.ctx):
        raise CannotFix("the class is the CUDA side of an interface")


def is_assigned(func: cst.BaseExpression, ctx: Context) -> bool:
    """Is the function called by a variable that holds it? The place where it is assigned is told."""
    if not isinstance(func, cst.Name):
        return False
    found = ctx.bindings_of(func.value)
    return found is not None and all(b.kind == "assign" for b in found[1])


@lru_cache(maxsize=4)
def _imported(text: str) -> frozenset[str]:
    """The names that a file imports from torch.cuda.amp."""
    names: set[str] = set()
    for found in _IMPORTS.finditer(text) if "torch.cuda.amp" in text else ():
        for name, alias in _NAME.findall(found[1].strip("()")):
            names.add(alias or name)
    return frozenset(names)


def mentioned(node: cst.Attribute | cst.Name, ctx: Context, names: frozenset[str]) -> str | None:
    """The member of torch.cuda.amp, one of `names` (full ones), that is read here without being called."""
    if isinstance(node, cst.Name):
        if node.value not in _imported(ctx.index.text) or isinstance(ctx.parent, cst.Attribute):
            return None
    elif not any(node.attr.value == name.rpartition(".")[2] for name in names):
        return None
    if ctx.is_claimed(node) or not is_read(node, ctx) or is_assigned(node, ctx):
        return None
    if isinstance(ctx.parent, cst.Call) or (isinstance(ctx.parent, cst.Arg) and ctx.parent.keyword is node):
        return None
    name = amp_name(node, ctx)
    return name if name in names else None


def names_cuda(node: cst.BaseExpression) -> bool:
    """Is this the text "cuda", without an index?"""
    value = cuda_text(node)
    return value is not None and not value.index


class DeviceType:
    """The type of the device at work, for a place where the CPU has to be left out: that of the device which
    `enabled` asks about (`enabled=device.type != "cpu"`), else of the selected one."""

    def __init__(self, fix: FixBuilder, enabled: cst.BaseExpression | None = None) -> None:
        asked = asked_type(enabled, fix.ctx) if enabled is not None else None
        self.is_asked = asked is not None
        text = asked if asked is not None else fix.device_type()
        self.text = text
        self.is_accelerator = f'{text} != "cpu"'
        """A condition: is it another device than the CPU?"""
        if " if " in text:
            # There was no room for a variable.
            fix.needs("torch.accelerator")
            self.text = fix.spelling().type
            self.is_accelerator = fix.is_available()


def asked_type(enabled: cst.BaseExpression, ctx: Context) -> str | None:
    """`x.type`, as source, where `enabled` is true only with `x.type != "cpu"`, itself or by a variable."""
    match enabled:
        case cst.BooleanOperation(operator=cst.And()):
            return asked_type(enabled.left, ctx) or asked_type(enabled.right, ctx)
        case cst.Name(name):
            bound = _only_value(name, ctx)
            return None if bound is None or isinstance(bound, cst.Name) else asked_type(bound, ctx)
        case cst.Comparison(
            left=cst.Attribute(value=cst.Name() | cst.Attribute() as owner, attr=cst.Name("type")) as kind,
            comparisons=[
                cst.ComparisonTarget(operator=cst.NotEqual(), comparator=cst.SimpleString() as text)
            ],
        ) if text.raw_value == "cpu":
            if isinstance(owner, cst.Name):
                found = ctx.bindings_of(owner.value)
                return ctx.code(kind) if found is not None and len(found[1]) == 1 else None
            return (
                ctx.code(kind) if isinstance(owner.value, cst.Name) and owner.value.value == "self" else None
            )
        case _:
            return None


def _only_value(name: str, ctx: Context) -> cst.BaseExpression | None:
    """What a variable of this function, or of the module, is bound to, where that is one thing."""
    found = ctx.bindings_of(name)
    if found is None or len(found[1]) != 1:
        return None
    binding = found[1][0]
    return binding.value() if binding.kind == "assign" and binding.value is not None else None


def enabled_off_cpu(
    fix: FixBuilder, node: cst.Call, enabled: cst.BaseExpression | None, kind: DeviceType
) -> str:
    """What `enabled` has to be so that nothing is switched on without an accelerator; "" for the default."""
    ctx = fix.ctx
    code = fix.code(enabled) if enabled is not None else "True"
    if code == "False" or kind.is_asked or (enabled is not None and ctx.value(enabled).kind is Kind.FLAG):
        return code
    if is_guarded(ctx, node):
        return "" if code == "True" else code
    if code == "True":
        return kind.is_accelerator
    loose = isinstance(enabled, (cst.IfExp, cst.Lambda, cst.NamedExpr)) or (
        isinstance(enabled, cst.BooleanOperation) and isinstance(enabled.operator, cst.Or)
    )
    return f"{f'({code})' if loose and not getattr(enabled, 'lpar', ()) else code} and {kind.is_accelerator}"


def by_name(call: cst.Call, names: tuple[str, ...]) -> Mapping[str, cst.Arg] | None:
    """A call's arguments by the parameters' names; None with a star, or with one argument too many."""
    found: dict[str, cst.Arg] = {}
    for place, arg in enumerate(call.args):
        if arg.star:
            return None
        if arg.keyword is not None:
            found[arg.keyword.value] = arg
        elif place < len(names):
            found[names[place]] = arg
        else:
            return None
    return found
