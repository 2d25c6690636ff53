"""Arguments of framework calls, found by the names of the call and of the argument."""

from __future__ import annotations

from collections.abc import Container

import libcst as cst

from uncuda.context import Context
from uncuda.literals import string_value
from uncuda.rules._calls import last_word


def keyword(node: cst.Call, name: str) -> cst.Arg | None:
    """The argument given as `name=`; None when there is none."""
    return next((a for a in node.args if a.keyword is not None and a.keyword.value == name), None)


def text_argument(node: cst.Call, name: str, values: Container[str]) -> cst.Arg | None:
    """The argument `name=` if it is a literal text among `values`."""
    found = keyword(node, name)
    text = string_value(found.value) if found is not None else None
    return found if text is not None and text in values else None


def is_true(arg: cst.Arg | None) -> bool:
    """Is it the literal True?"""
    return arg is not None and isinstance(arg.value, cst.Name) and arg.value.value == "True"


def imports(ctx: Context, *packages: str) -> bool:
    """Does the file import one of these top-level packages, or something out of them, at its top level?"""
    return any(target.partition(".")[0] in packages for site in ctx.index.imports for _, target in site.names)


def belongs(node: cst.BaseExpression, ctx: Context, *packages: str) -> bool:
    """Does a called name come from one of these packages, by an import of this file?"""
    full = ctx.qualified(node)
    return full is not None and full.partition(".")[0] in packages


def called(node: cst.Call, names: Container[str]) -> bool:
    """Is the last word of what is called one of `names`?"""
    return last_word(node.func) in names
