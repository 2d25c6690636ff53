"""Arguments put into a call before or behind those that it has, whose layout and comments stay."""

from __future__ import annotations

import libcst as cst

from uncuda.fixes.builder import FixBuilder, Replace


def add_arguments(fix: FixBuilder, call: cst.Call, *, first: str = "", last: str = "") -> None:
    """Writes further arguments (source text) before the first and behind the last of a call's own."""
    given = call.args
    if not given:
        fix.arguments(call, ", ".join(filter(None, (first, last))))
        return
    between = _separator(call, fix)
    head, tail = given[0], given[-1]
    if head.star or tail.value.lpar or head.value.lpar:
        own = "".join(fix.code(a.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for a in given[:1])
        own += "".join(
            f",{between}{fix.code(a.with_changes(comma=cst.MaybeSentinel.DEFAULT))}" for a in given[1:]
        )
        fix.arguments(call, f",{between}".join(filter(None, (first, own, last))))
        return
    front: cst.CSTNode = head.keyword if head.keyword is not None else head.value
    texts = {id(front): fix.code(front), id(tail.value): fix.code(tail.value)}
    if first:
        texts[id(front)] = f"{first},{between}{texts[id(front)]}"
    if last:
        texts[id(tail.value)] = f"{texts[id(tail.value)]},{between}{last}"
    for node in {id(n): n for n in (front, tail.value)}.values():
        if texts[id(node)] != fix.code(node):
            fix.edits.append(Replace(node, texts[id(node)]))


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
