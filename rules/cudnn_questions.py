"""What is asked of cuDNN: its version, and whether it is there."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import FixBuilder
from uncuda.fixes.statements import caught
from uncuda.rules._calls import last_word
from uncuda.rules._settings import CUDNN, member
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.walk import walk

_NAMES = frozenset({"version", "is_available", "is_acceptable"})
_COMPARED = "torch.backends.cudnn.version() > N"


class CudnnQuestion(Rule):
    """`torch.backends.cudnn.version()` is None without cuDNN, and a number of MIOpen's on ROCm.

    Comparing None with a number raises. `is_available()` is False and `is_acceptable(x)` too: what they lead to
    is skipped on other devices, which may be just right.
    """

    code = "UC321"
    name = "cudnn-question"
    triggers = ("cudnn",)
    category = Category.POTENTIAL
    effort = 1
    fix_safety = (
        "Safe, for `>` and `>=` with a number: without cuDNN the version counts as 0, where the comparison raised. "
        "Not offered where a handler catches that, nor for `<`, where an old cuDNN was meant and not none."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.backends.cudnn.version")
    bad = (
        Bad(
            "import torch\n\n\ndef is_new():\n    return torch.backends.cudnn.version() >= 8000\n",
            "import torch\n\n\ndef is_new():\n    return (torch.backends.cudnn.version() or 0) >= 8000\n",
            run="is_new()",
        ),
        Bad(
            "from torch.backends import cudnn\n\nif cudnn.is_available() and 7602 < cudnn.version():\n    x = 1\n",
            None,
            count=2,
            id="other-side",
        ),
        Bad(
            "import torch\n\nprint(torch.backends.cudnn.version(), torch.backends.cudnn.is_acceptable(x))\n",
            None,
            count=2,
            id="shown",
        ),
        Bad(
            "import torch\n\ntry:\n    new = torch.backends.cudnn.version() > 7000\nexcept TypeError:\n    new = False\n",
            None,
            id="caught",
        ),
    )
    good = (
        Good("import torch\n\nversion = torch.__version__  # cudnn\n"),
        Good("import torch\n\ntorch.backends.cudnn.enabled = False\n", "UC320"),
        Good("import torch\n\nok = torch.backends.mps.is_available()  # cudnn\n", "another back end's"),
        Good("def version():\n    return 1\n\n\nversion() > 0  # cudnn\n", "one's own"),
        Good("class cudnn:\n    version = 8\n\n\ncudnn.version > 7\n", "one's own"),
        Good('"""torch.backends.cudnn.version() >= 8000"""\n', "prose"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if last_word(node.func) not in _NAMES:
            return
        name = member(node.func, ctx, CUDNN)
        if name not in _NAMES or ctx.is_claimed(node):
            return
        compared = name == "version" and isinstance(ctx.parent, (cst.Comparison, cst.ComparisonTarget))
        raises = compared and _is_order(ctx) and not _is_there(ctx)
        symbol = _COMPARED if raises else f"{CUDNN}{name}"
        says = "None without cuDNN" if name == "version" else "False without cuDNN"
        ctx.report(
            self,
            node,
            f"`{CUDNN}{name}()` is {says}",
            symbol=symbol,
            fix=(lambda fix: self._fix(fix, node)) if raises and _is_at_least(node, ctx) else None,
            title="Count no cuDNN as version 0",
        )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in _NAMES and not ctx.is_claimed(node) and member(node, ctx, CUDNN) in _NAMES:
            ctx.report(
                self,
                node,
                f"`{CUDNN}{node.attr.value}` tells of cuDNN alone",
                symbol=f"{CUDNN}{node.attr.value}",
            )

    def _fix(self, fix: FixBuilder, node: cst.Call) -> None:
        if not caught(fix.ctx, node):
            fix.replace(node, f"{fix.code(node)} or 0")


def _is_there(ctx: Context) -> bool:
    """Has it been asked before, in the same condition or a block around, whether cuDNN is there?"""
    for above in ctx.ancestors:
        match above:
            case cst.If(test=asked) | cst.IfExp(test=asked) | cst.BooleanOperation(left=asked):
                if any(ctx.qualified(part) == f"{CUDNN}is_available" for part in walk(asked)):
                    return True
            case _:
                pass
    return False


def _is_order(ctx: Context) -> bool:
    """Is the comparison at hand one of order, which None can't take part in?"""
    above = next(n for n in reversed(ctx.ancestors) if isinstance(n, cst.Comparison))
    orders = (cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual)
    return any(isinstance(c.operator, orders) for c in above.comparisons)


def _is_at_least(node: cst.Call, ctx: Context) -> bool:
    """`version() >= 8000`, `version() > 8000`."""
    match ctx.parent:
        case cst.Comparison(
            left=left,
            comparisons=[
                cst.ComparisonTarget(
                    operator=cst.GreaterThan() | cst.GreaterThanEqual(), comparator=cst.Integer()
                )
            ],
        ):
            return left is node
        case _:
            return False
