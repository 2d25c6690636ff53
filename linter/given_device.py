"""What a place is given for its device: a function or a name of this file, or one that another module of the project
has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from uncuda.bindings import Binding
from uncuda.index import FileIndex
from uncuda.known_devices import bound_for_certain, rank
from uncuda.own_device import MAY_NAME, own_device
from uncuda.plain_choice import given_by

if TYPE_CHECKING:
    from uncuda.context import Context

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class GivenDevice:
    """An expression for the device, `get_device()` or `DEVICE`; is it a str? `line` is the import that it needs."""

    expression: str
    is_text: bool
    line: str | None = None


def given_device(ctx: Context) -> GivenDevice | None:
    """What the place at hand can use. None in the function that makes the device, and in all that it calls."""
    for name in sorted(_names(ctx.index), key=rank):
        found = _here(ctx, name)
        if found is not None:
            return found
    return _elsewhere(ctx)


def _names(index: FileIndex) -> Iterator[str]:
    for name, bound in index.bindings.items():
        if MAY_NAME.search(name) and len(bound) == 1 and bound[0].kind in ("def", "import"):
            yield name


def _here(ctx: Context, name: str) -> GivenDevice | None:
    """What the file has under a name: a function of its own, or something that it imports."""
    reached = ctx.flow.bindings(name)
    if reached is None or reached[0] is not ctx.module or len(reached[1]) != 1:
        return None
    [binding] = reached[1]
    inner = ctx.scope is not ctx.module
    if not bound_for_certain(ctx, ctx.module, [binding], inner) or (
        not inner and binding.order > ctx.around.order
    ):
        return None
    said = _said(ctx, binding)
    if said is None:
        return None
    index, there = said
    told = given_by(index, there)
    if told is None or (index is ctx.index and _is_called_by(ctx, name)):
        return None
    is_text, called = told
    return GivenDevice(f"{name}()" if called else name, is_text)


def _said(ctx: Context, binding: Binding) -> tuple[FileIndex, str] | None:
    """The module that says what a name is, and the name there."""
    if binding.kind == "def":
        return ctx.index, binding.name
    index, name = ctx.index, binding.target
    for _ in range(4):  # a package hands on what a module of it says, which ...
        told = index.neighbours.find(name) if index.neighbours is not None else None
        if told is None:
            return None
        bound = told.index.bindings.get(told.name, [])
        if len(bound) != 1 or bound[0].kind != "import":
            return told.index, told.name
        index, name = told.index, bound[0].target
    return None


def _is_called_by(ctx: Context, name: str) -> bool:
    """Is the place in a function or class that the function `name` may come to?"""
    owners = {n.name.value for n in ctx.ancestors if isinstance(n, (cst.FunctionDef, cst.ClassDef))}
    if ctx.owner is not None:
        owners.add(ctx.owner.name)
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        here = waiting.pop()
        if here in owners:
            return True
        if here not in seen:
            seen.add(here)
            start, end = ctx.index.functions.get(here, (0, 0))
            waiting += [
                w for w in _WORD.findall(ctx.index.text[start:end]) if w in ctx.index.functions or w in owners
            ]
    return False


def _elsewhere(ctx: Context) -> GivenDevice | None:
    """What another module of the project has, if the file can import it."""
    neighbours = ctx.index.neighbours
    if neighbours is None:
        return None
    search = own_device(os.path.dirname(neighbours.path))
    neighbours.note(search.states)
    device = search.device
    if device is None or not ctx.is_free(device.name):
        return None
    line = device.import_for(neighbours.path, ctx.index)
    return None if line is None else GivenDevice(device.expression, device.is_text, line)
