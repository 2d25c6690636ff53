"""Libraries that know CUDA and the CPU by name, and no device of torch's beside them."""

from __future__ import annotations

import re
from functools import cache

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix


@cache
def _libraries() -> frozenset[str]:
    from uncuda.rules.knowledge import own_device_names

    return frozenset(own_device_names())


def is_foreign(name: str | None) -> bool:
    """Does a call by this dotted name belong to such a library?"""
    return name is not None and name.partition(".")[0] in _libraries()


def refuse_foreign(ctx: Context, *bound: cst.BaseExpression) -> None:
    """Raises CannotFix where the device that is chosen at the place at hand, or that is bound to one of these names,
    goes to such a library: to it the device that torch would choose is no name at all."""
    targets = list(bound)
    for above in reversed(ctx.ancestors):
        match above:
            case cst.Call(func=func) if is_foreign(ctx.qualified(func)):
                raise CannotFix("the library that it is given to knows no other accelerator")
            case cst.Assign(targets=several):
                targets += [one.target for one in several]
            case cst.AnnAssign(target=target):
                targets.append(target)
            case cst.Call() | cst.BaseStatement():
                break
            case _:
                pass
    sites = ctx.index.imports if targets else ()
    called = {local for site in sites for local, full in site.names if is_foreign(full)}
    if not called:
        return
    names = "|".join(re.escape(ctx.code(target)) for target in targets)
    given = re.compile(rf"\b(?:{'|'.join(called)})\b[\w.]*\((?:[^()]|\([^()]*\))*(?<![\w.])(?:{names})\b")
    if given.search(ctx.index.text):
        raise CannotFix("a library that it is given to knows no other accelerator")
