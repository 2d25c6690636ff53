"""Which `torch.cuda` function a call or a name stands for."""

from __future__ import annotations

from collections.abc import Container

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder, Replace
from uncuda.fixes.statements import device_module, member_or, on_one_line, stand_in
from uncuda.literals import argument, device_text, indexed_cuda_text
from uncuda.walk import walk

_PREFIX = "torch.cuda."
# Sub-modules whose members torch.cuda has under the same name.
_HOMES = frozenset({"", "memory", "random", "streams", "graphs"})
_SHOWING = frozenset(
    {"print", "info", "debug", "warning", "warn", "error", "log", "critical", "write", "exception"}
)


def cuda_function(node: cst.BaseExpression, ctx: Context, names: Container[str]) -> str | None:
    """The member of torch.cuda (or of its memory, random, streams, graphs) that a name or attribute stands for,
    if one of `names`.

    A plain name counts when an import binds it: a name that was assigned is told where that is done.
    """
    if isinstance(node, cst.Attribute):
        if node.attr.value not in names:
            return None
    elif not isinstance(node, cst.Name) or not is_imported(node, ctx):
        return None
    full = ctx.qualified(node)
    if full is None or not full.startswith(_PREFIX):
        return None
    home, _, short = full[len(_PREFIX) :].rpartition(".")
    return short if home in _HOMES and short in names else None


def is_imported(node: cst.Name, ctx: Context) -> bool:
    """Does an import, and nothing else, bind this name?"""
    found = ctx.bindings_of(node.value)
    return found is not None and bool(found[1]) and all(b.kind == "import" for b in found[1])


_NEVER_READ = frozenset({cst.AssignTarget, cst.Del, cst.NameItem, cst.AsName})
_WITH_TARGET = frozenset({cst.AnnAssign, cst.AugAssign, cst.NamedExpr, cst.For, cst.CompFor})


def is_read(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is the node at hand read, rather than assigned to, deleted or declared?"""
    # Asked of every name: look-ups instead of `match`.
    kind = ctx.parent.__class__
    if kind in _NEVER_READ:
        return False
    if kind is cst.Param:
        return getattr(ctx.parent, "default", None) is node
    return kind not in _WITH_TARGET or getattr(ctx.parent, "target", None) is not node


def is_shown(ctx: Context) -> bool:
    """Is the place at hand inside a call that only shows its arguments: print, a logger's method?"""
    for above in reversed(ctx.ancestors):
        if isinstance(above, cst.Call):
            func = above.func
            last = func.attr.value if isinstance(func, cst.Attribute) else getattr(func, "value", "")
            if last in _SHOWING:
                return True
            if last not in ("format", "str", "join", "round", "int", "float", "get", "getenv"):
                return False
        elif isinstance(above, (cst.BaseSmallStatement, cst.BaseCompoundStatement, cst.Comparison)):
            return False
    return False


def literal_device(node: cst.BaseExpression, ctx: Context) -> cst.BaseExpression | None:
    """The text in a literal CUDA device: "cuda:0" itself, or what `torch.device("cuda:0")` holds."""
    inner: cst.BaseExpression = node
    if isinstance(node, cst.Call) and ctx.qualified(node.func) == "torch.device":
        given = argument(node, "device", 0) or argument(node, "type", 0)
        if given is None:
            return None
        inner = given.value
    value = device_text(inner)
    return inner if value is not None and value.is_cuda else None


def literal_index(fix: FixBuilder, node: cst.BaseExpression) -> str | None:
    """The index that a literal CUDA device names, as source text of an int; None when it has none."""
    ctx = fix.ctx
    text = literal_device(node, ctx)
    assert text is not None
    index: cst.BaseExpression | None = None
    if isinstance(node, cst.Call) and text is not node:
        separate = argument(node, "index", 1)
        index = separate.value if separate is not None else None
    index = index or indexed_cuda_text(text)
    if index is None:
        value = device_text(text)
        return value.index if value is not None and value.index else None
    code = fix.code(index)
    return f"int({code})" if _is_text(index, ctx) else code


def _is_text(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this an environment variable, which is text?"""
    if isinstance(node, cst.Subscript):
        return ctx.qualified(node.value) == "os.environ"
    return isinstance(node, cst.Call) and ctx.qualified(node.func) in ("os.getenv", "os.environ.get")


def index_argument(fix: FixBuilder, given: cst.BaseExpression) -> str:
    """What stands for a device argument of `torch.cuda.*`, where int, text and torch.device are taken alike.

    Source text: the index that a literal names, "" for a literal without one (the current device), the
    expression itself for anything else. Raises CannotFix for a literal of another device, and for a
    torch.cuda.device object.
    """
    if literal_device(given, fix.ctx) is not None:
        return literal_index(fix, given) or ""
    if device_text(given) is not None:
        raise CannotFix("the argument names another device")
    if isinstance(given, cst.Call) and fix.ctx.qualified(given.func) == "torch.cuda.device":
        raise CannotFix("the argument is a torch.cuda.device")
    return fix.code(given)


def calls_of(name: str, within: cst.CSTNode, ctx: Context) -> list[cst.Call]:
    """The calls of the function `name` (a full dotted name) at or below a node."""
    return [n for n in walk(within) if isinstance(n, cst.Call) and ctx.qualified(n.func) == name]


def last_word(node: cst.CSTNode) -> str:
    """The last word of a name or attribute (`b` of `a.b`); "" for anything else."""
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


def module_says(fix: FixBuilder, node: cst.Call, member: str) -> None:
    """Asks the current device's module a question with a yes or no, where it has it: no elsewhere."""
    module = device_module(fix, 2)
    given = on_one_line(fix, node)
    takes = stand_in(node)
    if takes is not None:
        fix.replace(node, f"{member_or(module, member, takes, 'False')}({given})")
        return
    text = f'hasattr({module}, "{member}") and {module}.{member}({given})'
    parent = fix.ctx.parent
    if isinstance(parent, cst.BooleanOperation) and isinstance(parent.operator, cst.And):
        # One more link of a chain of `and` needs no parentheses.
        if not any(isinstance(n, cst.FormattedString) for n in fix.ctx.ancestors):
            fix.edits.append(Replace(node, text))
            return
    fix.replace(node, text)
