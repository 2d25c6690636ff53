"""Members of `torch.backends.cudnn` and `torch.backends.cuda`: flags, and what is asked of them."""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache

import libcst as cst

from uncuda.context import Context
from uncuda.literals import string_value
from uncuda.rules._calls import is_imported, is_read

CUDNN = "torch.backends.cudnn."
CUDA = "torch.backends.cuda."


def member(node: cst.BaseExpression, ctx: Context, prefix: str) -> str | None:
    """The dotted name below `prefix` of what is named at `node`, written out to its last part.

    A plain name counts when an import binds it; a part of a longer name doesn't.
    """
    if isinstance(ctx.parent, cst.Attribute):
        return None
    if isinstance(node, cst.Name):
        if not _imports(ctx.index.text, prefix) or not is_read(node, ctx) or not is_imported(node, ctx):
            return None
        if isinstance(ctx.parent, cst.Arg) and ctx.parent.keyword is node:
            return None
    elif not isinstance(node, cst.Attribute):
        return None
    name = ctx.qualified(node)
    return name[len(prefix) :] if name is not None and name.startswith(prefix) else None


@lru_cache(maxsize=8)
def _imports(text: str, prefix: str) -> bool:
    """Does a file import members of the module by name?"""
    return f"from {prefix[:-1]} import" in text


def set_by_name(node: cst.Call, ctx: Context, prefix: str, names: Container[str]) -> str | None:
    """The member, one of `names`, that `setattr(torch.backends.cudnn, "benchmark", …)`, `patch.object` and
    their kin set or read."""
    if len(node.args) < 2:
        return None
    owner, asked = ctx.qualified(node.args[0].value), string_value(node.args[1].value)
    if owner is None or asked is None or not f"{owner}.".startswith(prefix):
        return None
    name = f"{owner}.{asked}"[len(prefix) :]
    return name if name in names else None
