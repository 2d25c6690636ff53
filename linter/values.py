"""What is known of a value: its sort, the device it is about, and what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache

from uncuda import known_results
from uncuda.bindings import EACH


class Kind(Enum):
    """The sort of thing a value is."""

    UNKNOWN = auto()
    DEVICE = auto()  # a torch.device
    TEXT = auto()  # a device as str
    FLAG = auto()  # a condition that is true only where an accelerator is there
    DENIAL = auto()  # a condition that is false only where an accelerator is there
    TENSOR = auto()
    MODULE = auto()
    MOVABLE = auto()  # one of the two, or another of torch's own that .cuda() and .to() move alike
    BATCH = auto()  # a tensor, or text, or a plain container of these: only a tensor can be moved
    OBJECT = auto()  # an instance of a class of this file that is neither
    MANY = auto()  # gives a value like `parts[0]` each time it is iterated over or indexed
    TABLE = auto()  # a mapping to values like `parts[0]`
    PARTS = auto()  # a tuple of `parts`
    NONE = auto()
    INT = auto()
    COUNT = auto()  # how many accelerators there are


class Which(Enum):
    """Which device a DEVICE, TEXT, FLAG, DENIAL or COUNT is about."""

    CUDA = auto()  # cuda and nothing else
    CUDA_OR_CPU = auto()  # cuda where there is one, else cpu
    SELECTED = auto()  # the accelerator where there is one, else cpu
    OTHER = auto()  # anything else that is known: cpu, mps, meta …


@dataclass(frozen=True)
class Value:
    """An abstract value. `index` says whether a device names one: "" none, else the digits or "?". `parts`: what is
    in it, if it holds others. `partly`: a condition asks for more than the machine, so that it may be false where there
    is an accelerator."""

    kind: Kind
    which: Which | None = None
    index: str = ""
    cls: str = ""
    parts: tuple[Value, ...] = ()
    partly: bool = False

    @property
    def is_cuda(self) -> bool:
        """A device, or its text, that is CUDA whatever the machine."""
        return self.kind in (Kind.DEVICE, Kind.TEXT) and self.which is Which.CUDA

    @property
    def moves(self) -> bool:
        """Torch's own, or derived from it: `.cuda()` and `.to()` move it alike. (It may also be None.)"""
        return self.kind in MOVED

    @property
    def selects(self) -> bool:
        """A device without index that is the current accelerator wherever CUDA is the accelerator."""
        return (
            self.kind in (Kind.DEVICE, Kind.TEXT)
            and not self.index
            and self.which in (Which.CUDA, Which.CUDA_OR_CPU, Which.SELECTED)
        )


MOVED = frozenset({Kind.TENSOR, Kind.MODULE, Kind.MOVABLE, Kind.BATCH})
UNKNOWN = Value(Kind.UNKNOWN)
TENSOR = Value(Kind.TENSOR)
MODULE = Value(Kind.MODULE)
_TOLD = {
    known_results.TENSOR: TENSOR,
    known_results.TENSORS: Value(Kind.MANY, parts=(TENSOR,)),
    known_results.MODULE: MODULE,
    known_results.MODULES: Value(Kind.MODULE, parts=(MODULE,)),
    known_results.MOVABLE: Value(Kind.MOVABLE),
    known_results.BATCHES: Value(Kind.MANY, parts=(Value(Kind.BATCH),)),
}
CUDA_FLAG = Value(Kind.FLAG, Which.CUDA)
ACCELERATOR_FLAG = Value(Kind.FLAG, Which.SELECTED)
_OPPOSITE = {Kind.FLAG: Kind.DENIAL, Kind.DENIAL: Kind.FLAG}


@cache
def stated(gives: str | None) -> Value:
    """The value that the tables of known results name."""
    if gives is None:
        return UNKNOWN
    if gives.startswith(known_results.EACH):
        return Value(Kind.MANY, parts=(stated(gives.removeprefix(known_results.EACH)),))
    if " " in gives:
        return Value(Kind.PARTS, parts=tuple(_TOLD.get(word, UNKNOWN) for word in gives.split()))
    return _TOLD[gives]


def joined(values: Sequence[Value]) -> Value:
    """What values of one of these kinds have in common. None beside a tensor or a module changes nothing: it has
    neither `.cuda()` nor `.to()`."""
    values = [v for v in values if v.kind is not Kind.NONE] or list(values)
    if not values or any(v.kind is Kind.UNKNOWN for v in values):
        return UNKNOWN
    first = values[0]
    kinds = {v.kind for v in values}
    if all(v == first for v in values):
        return first
    if kinds <= MOVED:
        return Value(kinds.pop() if len(kinds) == 1 else Kind.MOVABLE)
    if kinds == {Kind.PARTS} and len({len(v.parts) for v in values}) == 1:
        return Value(Kind.PARTS, parts=tuple(map(joined, zip(*(v.parts for v in values), strict=True))))
    if kinds <= {Kind.PARTS, Kind.MANY} or kinds == {Kind.TABLE}:
        return many([p for v in values for p in v.parts], Kind.TABLE if Kind.TABLE in kinds else Kind.MANY)
    return UNKNOWN


def many(parts: Sequence[Value], kind: Kind = Kind.MANY) -> Value:
    """Something that gives such values one after the other."""
    each = joined(parts)
    return UNKNOWN if each.kind is Kind.UNKNOWN else Value(kind, parts=(each,))


def part(value: Value, step: int) -> Value:
    """A part of a value: one by its number, or EACH."""
    match value.kind:
        case Kind.MANY | Kind.MODULE if value.parts:
            return value.parts[0]
        case Kind.PARTS if step == EACH:
            return joined(value.parts)
        case Kind.PARTS if -len(value.parts) <= step < len(value.parts):
            return value.parts[step]
        case Kind.TENSOR | Kind.BATCH:
            return value
        case _:
            return UNKNOWN


def condition_of(value: Value) -> Value:
    """What a value says as a condition: a number of accelerators holds where there is one."""
    return replace(value, kind=Kind.FLAG) if value.kind is Kind.COUNT else value


def negated(value: Value) -> Value:
    """`not` of a condition."""
    value = condition_of(value)
    kind = _OPPOSITE.get(value.kind)
    return UNKNOWN if kind is None else replace(value, kind=kind)
