"""A call's arguments changed, and others put before and behind them; layout and comments stay."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import libcst as cst

from uncuda.fixes.builder import FixBuilder, Replace


def change_arguments(
    fix: FixBuilder,
    call: cst.Call,
    instead: Mapping[cst.Arg, str] = MappingProxyType({}),
    *,
    first: str = "",
    last: str = "",
) -> None:
    """Writes new values (source text) for some of a call's arguments, and further arguments before the first
    and behind the last of them."""
    given = call.args
    between = _separator(call, fix)
    if not given or (first and _is_closed(given[0])) or (last and given[-1].value.lpar):
        own = [_argument(fix, arg, instead.get(arg)) for arg in given]
        fix.arguments(call, f",{between}".join(filter(None, (first, *own, last))))
        return
    texts: dict[cst.CSTNode, str] = {arg.value: text for arg, text in instead.items()}
    if first:
        front: cst.CSTNode = given[0].keyword if given[0].keyword is not None else given[0].value
        texts[front] = f"{first},{between}{texts.get(front, fix.code(front))}"
    if last:
        back = given[-1].value
        texts[back] = f"{texts.get(back, fix.code(back))},{between}{last}"
    fix.edits.extend(Replace(node, text) for node, text in texts.items())


def _is_closed(arg: cst.Arg) -> bool:
    """Can nothing be written right before the argument: has it a star, or parentheses?"""
    return bool(arg.star) or (arg.keyword is None and bool(arg.value.lpar))


def _argument(fix: FixBuilder, arg: cst.Arg, value: str | None) -> str:
    code = fix.code(arg.with_changes(comma=cst.MaybeSentinel.DEFAULT)).strip()
    if value is None:
        return code
    return value if arg.keyword is None else f"{arg.keyword.value}={value}"


def _separator(call: cst.Call, fix: FixBuilder) -> str:
    """What stands between two arguments, behind the comma: a space, or a line break with its indentation."""
    space = call.whitespace_before_args
    if len(call.args) > 1 and isinstance(call.args[0].comma, cst.Comma):
        space = call.args[0].comma.whitespace_after
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return " "
    _, path = fix.ctx.parent_of(call)
    blocks = [n.indent or fix.ctx.root.default_indent for n in path if isinstance(n, cst.IndentedBlock)]
    indent = "".join(blocks) if space.indent else ""
    return f"{fix.ctx.newline}{indent}{space.last_line.value}"
