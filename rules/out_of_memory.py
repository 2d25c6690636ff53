"""The exception for memory that ran out."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import FixBuilder
from uncuda.rules._calls import cuda_function, is_read
from uncuda.rules.base import Bad, Category, Good, Rule

_NAMES = frozenset({"OutOfMemoryError"})


class CudaOutOfMemoryError(Rule):
    """`torch.cuda.OutOfMemoryError` is an old name of the exception that every accelerator raises.

    It is the same object as `torch.OutOfMemoryError`, so nothing breaks; but a reader has to know that, and
    takes the handler for one that other hardware never reaches.
    """

    code = "UC220"
    name = "cuda-out-of-memory-error"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 0
    fix_safety = "Safe: both names are one object, from torch 2.4 on."
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.OutOfMemoryError")
    bad = (
        Bad(
            "import torch\n\ntry:\n    y = f(x)\nexcept torch.cuda.OutOfMemoryError:\n    y = None\n",
            "import torch\n\ntry:\n    y = f(x)\nexcept torch.OutOfMemoryError:\n    y = None\n",
            floor=(2, 4),
            setup="x = 1\n\n\ndef f(x):\n    raise torch.OutOfMemoryError\n",
            run="y",
        ),
        Bad(
            "import torch\nfrom torch.cuda import OutOfMemoryError\n\nRETRY = (RuntimeError, OutOfMemoryError)\n",
            "import torch\n\nRETRY = (RuntimeError, torch.OutOfMemoryError)\n",
            run="RETRY",
            id="imported",
        ),
        Bad("import torch\n\nRETRY = (torch.cuda.OutOfMemoryError,)\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good("import torch\n\nRETRY = (torch.OutOfMemoryError,)\n", "the new name"),
        Good("class OutOfMemoryError(Exception):\n    pass\n\n\nRETRY = (OutOfMemoryError,)\n", "one's own"),
        Good("from torch.cuda import OutOfMemoryError\n", "an import alone: uses are told"),
        Good('try:\n    f()\nexcept RuntimeError as e:\n    oom = "OutOfMemoryError" in str(e)\n', "text"),
    )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        self._visit(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        self._visit(node, ctx)

    def _visit(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        if ctx.is_claimed(node) or not is_read(node, ctx) or cuda_function(node, ctx, _NAMES) is None:
            return
        ctx.report(
            self,
            node,
            "`torch.cuda.OutOfMemoryError` is the old name of `torch.OutOfMemoryError`",
            symbol="torch.cuda.OutOfMemoryError",
            fix=lambda fix: self._fix(fix, node),
            title="Use the name that fits every accelerator",
        )

    def _fix(self, fix: FixBuilder, node: cst.Attribute | cst.Name) -> None:
        fix.needs("torch.OutOfMemoryError")
        fix.replace(node, f"{fix.name('torch')}.OutOfMemoryError")
