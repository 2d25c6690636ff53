"""Calls that need an accelerator, written so that they are left out where there is none."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder, InsertBefore, Replace
from uncuda.guards import Guard

_HELD = (Guard.CUDA, Guard.ACCELERATOR, Guard.SKIPPED_TEST)


def is_guarded(ctx: Context, node: cst.CSTNode) -> bool:
    """Does `node` run only where an accelerator is there?"""
    return ctx.guard(node) in _HELD


def own_line(ctx: Context, node: cst.CSTNode) -> cst.SimpleStatementLine | None:
    """The statement line that holds the expression `node` and nothing else; None where there is more to it
    (an argument, a value that is kept, `a(); b()`, `if x: a()`)."""
    parent, path = ctx.parent_of(node)
    if not isinstance(parent, cst.Expr) or getattr(node, "lpar", ()) or len(path) < 2:
        return None
    line = path[-2]
    return line if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None


def is_discarded(ctx: Context, node: cst.CSTNode) -> bool:
    """Is `node` an expression statement (alone on its line or not), so that nobody reads its value?"""
    return isinstance(ctx.parent_of(node)[0], cst.Expr)


def guard_call(
    fix: FixBuilder, node: cst.BaseExpression, call: str, otherwise: str = "None", *, also: str = ""
) -> None:
    """Replaces `node` by `call` (source text), run only where an accelerator is available.

    A whole statement becomes `if torch.accelerator.is_available():` with the call below it, its trailing
    comment kept; anywhere else a conditional expression gives `otherwise` (source text) without one. Under a
    guard that tests for CUDA or an accelerator already, the call alone is written. `also` is a further
    condition (source text) that the call needs. Raises CannotFix below the floor of torch.accelerator.
    """
    _refuse_self_documenting(fix, node)
    tests = [] if is_guarded(fix.ctx, node) else [fix.is_available()]
    if also:
        tests.append(also)
    if not tests:
        fix.replace(node, call)
        return
    test = " and ".join(tests)
    line = own_line(fix.ctx, node)
    if line is None:
        fix.replace(node, f"{call} if {test} else {otherwise}")
        return
    fix.edits.append(InsertBefore(line, (f"if {test}:",)))
    fix.edits.append(Replace(node, f"{indent_unit(fix.ctx)}{call}"))


_FIRST_BLOCK = re.compile(
    r"^(?:def|class|if|for|while|with|try|else|async)\b[^\n#]*:[ ]*\r?\n([ \t]+)\S", re.M
)


def indent_unit(ctx: Context) -> str:
    """One level of indentation as this file writes it: that of its first indented block, else four spaces."""
    found = _FIRST_BLOCK.search(ctx.index.text)
    return found[1] if found is not None else ctx.root.default_indent


def _refuse_self_documenting(fix: FixBuilder, node: cst.CSTNode) -> None:
    """`f"{call()=}"` prints its own source."""
    _, path = fix.ctx.parent_of(node)
    if any(isinstance(n, cst.FormattedStringExpression) and n.equal is not None for n in path):
        raise CannotFix("the f-string prints the expression's own text")
