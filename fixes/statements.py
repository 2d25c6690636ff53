"""Calls that need an accelerator, written so that they are left out where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable

import libcst as cst

from uncuda.bindings import dotted
from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder, Indent, InsertBefore, Replace
from uncuda.guards import Guard
from uncuda.walk import walk

_HELD = (Guard.CUDA, Guard.ACCELERATOR, Guard.SKIPPED_TEST)
_CATCH_ALL = frozenset({"Exception", "BaseException"})
_WITHOUT_CUDA = _CATCH_ALL | {"AssertionError", "AttributeError", "RuntimeError"}
"""What handlers name that deal with a machine without CUDA (torch 2.13.0: builds with and without it)."""


def is_guarded(ctx: Context, node: cst.CSTNode) -> bool:
    """Does `node` run only where an accelerator is there?"""
    return ctx.guard(node) in _HELD


def own_line(ctx: Context, node: cst.CSTNode) -> cst.SimpleStatementLine | None:
    """The statement line that holds the expression `node` and nothing else; None where there is more to it
    (an argument, a value that is kept, `a(); b()`, `if x: a()`)."""
    parent, path = ctx.parent_of(node)
    if not isinstance(parent, cst.Expr) or parent.value.lpar or len(path) < 2:
        return None
    line = path[-2]
    return line if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None


def is_discarded(ctx: Context, node: cst.CSTNode) -> bool:
    """Is `node` an expression statement (alone on its line or not), so that nobody reads its value?"""
    return isinstance(ctx.parent_of(node)[0], cst.Expr)


def caught(ctx: Context, node: cst.CSTNode) -> frozenset[str]:
    """The exception names that handlers around `node`, in the same function, catch ("" for a dotted name)."""
    _, path = ctx.parent_of(node)
    path = [*path, node]
    names: set[str] = set()
    for depth in range(len(path) - 2, -1, -1):
        above = path[depth]
        if isinstance(above, (cst.FunctionDef, cst.Lambda)):
            break
        if isinstance(above, cst.Try) and path[depth + 1] is above.body:
            for handler in above.handlers:
                kind = handler.type
                if kind is None:
                    names.add("BaseException")
                    continue
                kinds = [e.value for e in kind.elements] if isinstance(kind, cst.Tuple) else [kind]
                names.update(k.value if isinstance(k, cst.Name) else "" for k in kinds)
    return frozenset(names)


def keeps_raising(fix: FixBuilder, node: cst.CSTNode, error: str) -> bool:
    """Is `node` in a try that handles its failure without CUDA? Then the new call must go on failing there.

    It fails with `error`. Raises CannotFix where no handler would catch that.
    """
    names = caught(fix.ctx, node) & _WITHOUT_CUDA
    if names and not names & (_CATCH_ALL | {error}):
        raise CannotFix(f"the handlers around it wouldn't catch {error}")
    return bool(names)


def guard_call(
    fix: FixBuilder,
    node: cst.BaseExpression,
    call: str,
    otherwise: str = "None",
    *,
    also: str = "",
    test: str | None = None,
) -> None:
    """Replaces `node` by `call` (source text), run only where an accelerator is available.

    A whole statement becomes `if torch.accelerator.is_available():` with the call below it, its trailing
    comment kept; anywhere else a conditional expression gives `otherwise` (source text) without one. Under a
    guard that tests for CUDA or an accelerator already, the call alone is written. `also` is a further
    condition (source text) that the call needs; `test` is the whole condition, in place of the usual one (""
    for none). Raises CannotFix below the floor of torch.accelerator, and in `f"{call()=}"`.
    """
    condition = _condition(fix, node, also, test)
    line = own_line(fix.ctx, node)
    if not condition:
        fix.replace(node, call)
    elif line is None:
        fix.replace(node, f"{call} if {condition} else {otherwise}")
    else:
        fix.edits.append(InsertBefore(line, (f"if {condition}:",)))
        fix.edits.append(Replace(node, f"{indent_unit(fix.ctx)}{call}"))


def guard_rename(
    fix: FixBuilder,
    node: cst.Call,
    name: str,
    otherwise: str = "None",
    *,
    arguments: str | None = None,
    also: str = "",
    test: str | None = None,
) -> None:
    """Like `guard_call`, for a call of which only the called name changes, to `name`.

    The arguments stay as they are, comments and line breaks too where the call stands on lines of its own; or
    become `arguments` (source text).
    """
    condition = _condition(fix, node, also, test)
    line = own_line(fix.ctx, node)
    if condition and line is None:
        given = on_one_line(fix, node) if arguments is None else arguments
        fix.replace(node, f"{name}({given}) if {condition} else {otherwise}")
        return
    if line is not None and condition:
        fix.edits.append(InsertBefore(line, (f"if {condition}:",)))
        fix.edits.append(Replace(node.func, f"{indent_unit(fix.ctx)}{name}"))
        if arguments is None and not any(_is_long_text(n) for n in walk(node)):
            fix.edits.append(Indent(line, indent_unit(fix.ctx)))
    else:
        fix.replace(node.func, name)
    if arguments is not None:
        fix.arguments(node, arguments)


def _is_long_text(node: cst.CSTNode) -> bool:
    """Is this a part of a text with line breaks, which has its own indentation?"""
    return isinstance(node, (cst.SimpleString, cst.FormattedStringText)) and "\n" in node.value


def on_one_line(fix: FixBuilder, node: cst.Call) -> str:
    """The arguments of a call as source without line breaks; CannotFix where a comment or an argument itself needs
    several lines."""
    given = [fix.code(a.with_changes(comma=cst.MaybeSentinel.DEFAULT)).strip() for a in node.args]
    if any(set(text) & set("\r\n#") for text in given) or any("#" in fix.code(a) for a in node.args):
        raise CannotFix("the arguments stand on several lines")
    return ", ".join(given)


def _condition(fix: FixBuilder, node: cst.BaseExpression, also: str, test: str | None) -> str:
    """What has to be asked before the call; "" for nothing."""
    _refuse_self_documenting(fix, node)
    if test is None:
        test = "" if is_guarded(fix.ctx, node) else fix.is_available()
    return " and ".join(filter(None, (test, also)))


def device_module(fix: FixBuilder, times: int = 1) -> str:
    """`torch.get_device_module()`: torch.cuda on CUDA, torch.npu on Ascend, torch.cpu without an accelerator; or the
    name that it has in this function. `times`: how often the fix names it, two for a long line.

    torch.accelerator's own memory functions are no substitute: on MPS before torch 2.13, and with back ends
    whose allocator isn't a c10::DeviceAllocator (torch_npu, torch_musa, HPU), they fail an internal
    assertion.
    """
    fix.needs("torch.get_device_module")
    return fix.ctx.devices.module(fix, times)


def stand_in(node: cst.Call) -> str | None:
    """The parameters of a lambda that stands in for what `node` calls: for no argument, one, or keywords only. None for
    others, and where an argument is a call, which may fail on a device that has no use for its value."""
    if not node.args:
        return ""
    if any(a.star or isinstance(a.value, cst.Call) for a in node.args):
        return None
    if all(a.keyword is not None for a in node.args):
        return " **_"
    return " _" if len(node.args) == 1 else None


def member_or(module: str, member: str, takes: str, otherwise: str) -> str:
    """A function of a device's module, or one with the parameters `takes` that gives `otherwise` where it has none."""
    return f'getattr({module}, "{member}", lambda{takes}: {otherwise})'


_SHORT = re.compile(r"""[\w.]+|\{\}|\[\]|\"\"""")
"""What fits behind a lambda: a constant, or a name."""


def on_module(
    fix: FixBuilder,
    node: cst.Call,
    member: str,
    otherwise: str = "None",
    *,
    arguments: str | None = None,
    everywhere: bool = False,
) -> None:
    """Makes a `torch.cuda.*` call of `member` on the current device's module instead, if that has it.

    Elsewhere (the CPU among them) the value is `otherwise`. Arguments stay, or become `arguments`.
    `everywhere`: every accelerator's module has the member, so that under a guard nothing need be asked.
    """
    module = device_module(fix, 2)
    test = f'hasattr({module}, "{member}")'
    if everywhere and is_guarded(fix.ctx, node):
        test = ""
    if test and _SHORT.fullmatch(otherwise) and own_line(fix.ctx, node) is None:
        given = on_one_line(fix, node) if arguments is None else arguments
        takes = stand_in(node) if given else ""
        if takes is not None:
            _refuse_self_documenting(fix, node)
            fix.replace(node, f"{member_or(module, member, takes, otherwise)}({given})")
            return
    guard_rename(fix, node, f"{module}.{member}", otherwise, arguments=arguments, test=test)


_FIRST_BLOCK = re.compile(
    r"^(?:def|class|if|for|while|with|try|else|async)\b[^\r\n#]*:[ \t]*(?:#[^\r\n]*)?(?:\r\n?|\n)([ \t]+)\S",
    re.M,
)


def indent_unit(ctx: Context) -> str:
    """One level of indentation as it is written around the place at hand, else in the file's first indented block, else
    four spaces."""
    for above in reversed(ctx.ancestors):
        if isinstance(above, cst.IndentedBlock):
            return above.indent or ctx.root.default_indent
    found = _FIRST_BLOCK.search(ctx.index.text)
    return found[1] if found is not None else "    "


def _refuse_self_documenting(fix: FixBuilder, node: cst.CSTNode) -> None:
    """`f"{call()=}"` prints its own source."""
    _, path = fix.ctx.parent_of(node)
    if any(isinstance(n, cst.FormattedStringExpression) and n.equal is not None for n in path):
        raise CannotFix("the f-string prints the expression's own text")


def drop_call(fix: FixBuilder, node: cst.Call, dropped: Callable[[cst.Call], bool]) -> None:
    """Takes a call away that is a statement. `dropped` says of other calls whether they go as well.

    Where nothing else would stay in an `if`, the `if` goes too; raises CannotFix where it can't, and where the
    call is more than a statement. A comment on the call's own line goes with it.
    """
    parent, path = fix.ctx.parent_of(node)
    if not isinstance(parent, cst.Expr) or len(path) < 2:
        raise CannotFix("the call is part of something else")
    holder = path[-2]
    if isinstance(holder, cst.SimpleStatementLine) and len(holder.body) > 1:
        if all(_only_calls(small, dropped) for small in holder.body):
            raise CannotFix("nothing would stay on the line")
        fix.remove(holder, parent)
        return
    block = holder if isinstance(holder, cst.SimpleStatementSuite) else path[-3] if len(path) > 2 else None
    if isinstance(block, cst.Module):
        fix.remove(holder, comment=True)
        return
    if not isinstance(block, (cst.IndentedBlock, cst.SimpleStatementSuite)):
        raise CannotFix("the call is part of something else")
    if not all(_only_calls(stmt, dropped) for stmt in block.body):
        if block is holder:
            raise CannotFix("the call shares its line")
        fix.remove(holder, comment=True)
        return
    above = path[path.index(block) - 1] if path.index(block) else None
    if not isinstance(above, cst.If) or not is_droppable_if(above, path, dropped):
        raise CannotFix("nothing would stay in the block")
    fix.remove(above, comment=True)


def is_droppable_if(node: cst.If, path: list[cst.CSTNode], dropped: Callable[[cst.Call], bool]) -> bool:
    """May an `if` go that holds nothing but calls that go? `path` leads from the tree's root to it, or further."""
    if node.orelse is not None or not _only_calls(node.body, dropped) or not _is_plain_test(node.test):
        return False
    at = path.index(node) if node in path else len(path)
    around = path[at - 1] if at else None
    if isinstance(around, cst.Module):
        return True
    return isinstance(around, cst.IndentedBlock) and not all(_only_calls(s, dropped) for s in around.body)


def _only_calls(stmt: cst.CSTNode, dropped: Callable[[cst.Call], bool]) -> bool:
    """Is there nothing in a statement but calls that go?"""
    match stmt:
        case cst.SimpleStatementLine() | cst.SimpleStatementSuite() | cst.IndentedBlock():
            return all(_only_calls(inner, dropped) for inner in stmt.body)
        case cst.Expr(value=cst.Call() as call):
            return dropped(call)
        case cst.If(body=body, orelse=None):
            return _only_calls(body, dropped)
        case _:
            return False


def _is_plain_test(test: cst.BaseExpression) -> bool:
    """Does asking change nothing: names, comparisons, and what torch says of its devices?"""
    for part in walk(test):
        if isinstance(part, cst.Call):
            name = (dotted(part.func) or "").rpartition(".")[2]
            if name not in ("is_available", "device_count", "len", "isinstance", "hasattr", "getattr"):
                return False
        elif isinstance(part, (cst.Await, cst.Yield, cst.NamedExpr, cst.Subscript)):
            return False
    return True
