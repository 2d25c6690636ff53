"""Flags of cuDNN: `torch.backends.cudnn.benchmark = True` and its kin."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.rules._calls import cuda_function, last_word
from uncuda.rules._seeds import Seeds
from uncuda.rules._settings import CUDA, CUDNN, member, set_by_name
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.walk import walk

_CALLED = frozenset({"flags", "set_flags"})
_FLAGS = frozenset({"benchmark", "benchmark_limit", "deterministic", "enabled", "depthwise_kernel", *_CALLED})
# What else a block may set that is guarded for CUDA, and does no harm without it.
_OTHER_FLAGS = frozenset({"allow_tf32", "fp32_precision"})


class CudnnFlag(Rule):
    """`torch.backends.cudnn.benchmark` and its kin are read by cuDNN (and MIOpen) alone.

    Setting them does no harm anywhere, and nothing off CUDA; they can stay. What was wanted may want a word on
    other devices, though. Repeatable results are asked of every device by
    `torch.use_deterministic_algorithms(True)`, which is stricter: it raises where an operation has no
    repeatable form. Choosing convolutions by trying them has no switch elsewhere.
    """

    code = "UC320"
    name = "cudnn-flag"
    triggers = ("cudnn", r"\bcuda\b")
    category = Category.POTENTIAL
    effort = 0
    sources = ("torch 2.13.0, executed", "knowledge base: torch.backends.cudnn.benchmark and its kin")
    bad = (
        Bad("import torch\n\ntorch.backends.cudnn.benchmark = True\n", None),
        Bad(
            "import torch.backends.cudnn as cudnn\n\ncudnn.deterministic, cudnn.benchmark = True, False\n",
            None,
            count=2,
            id="alias",
        ),
        Bad(
            "from torch.backends import cudnn\n\nif not cudnn.enabled:\n    x = 1\n",
            None,
            id="read",
        ),
        Bad(
            "import torch\n\nwith torch.no_grad(), torch.backends.cudnn.flags(enabled=False):\n    x = 1\n",
            None,
            id="context",
        ),
        Bad(
            "import torch\n\n\ndef f(seed):\n    if torch.cuda.is_available():\n"
            "        torch.backends.cudnn.benchmark = False\n        torch.backends.cudnn.allow_tf32 = False\n",
            None,
            id="guarded",
        ),
        Bad(
            'import torch\n\nsetattr(torch.backends.cudnn, "benchmark", True)\n',
            None,
            id="setattr",
        ),
    )
    good = (
        Good("import torch\n\ntorch.use_deterministic_algorithms(True)  # cudnn\n", "asks every device"),
        Good("import torch.backends.cudnn as cudnn\n", "an import alone"),
        Good("import torch\n\nversion = torch.backends.cudnn.version()\n", "UC321"),
        Good("import torch\n\ntorch.backends.cudnn.allow_tf32 = True\n", "UC322"),
        Good("import torch\n\ntorch.backends.mkldnn.enabled = False  # cudnn\n", "another library's"),
        Good("class Settings:\n    cudnn_benchmark = True\n\n\nSettings().cudnn.benchmark\n", "an attribute of one's own"),
        Good("def f(cudnn):\n    cudnn.benchmark = True\n", "a parameter"),
        Good("env_cfg = dict(cudnn_benchmark=True, mp_cfg={'cudnn': 1})\n", "configuration"),
        Good('"""Set torch.backends.cudnn.benchmark."""\n# torch.backends.cudnn.benchmark = True\n', "prose"),
    )  # fmt: skip

    def visit_If(self, node: cst.If, ctx: Context) -> None:
        """A question about CUDA before flags of CUDA's: nothing is lost where they aren't set."""
        if node.orelse is None and _sets_flags(node.body, ctx) and any(_flags(node.body, ctx)):
            for part in walk(node.test):
                if isinstance(part, cst.Call):
                    ctx.claim(part)

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = member(node.func, ctx, CUDNN) if last_word(node.func) in _CALLED else None
        self._report(node, name or set_by_name(node, ctx, CUDNN, _FLAGS), ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in _FLAGS and not ctx.is_claimed(node):
            self._report(node, member(node, ctx, CUDNN), ctx)

    def _report(self, node: cst.BaseExpression, name: str | None, ctx: Context) -> None:
        if name not in _FLAGS:
            return
        hint = "no effect on other devices"
        if name == "deterministic":
            hint += "; torch.use_deterministic_algorithms() asks every device"
        ctx.report(self, node, f"`{CUDNN}{name}` is for cuDNN: {hint}", symbol=f"{CUDNN}{name}")


def _flags(suite: cst.BaseSuite, ctx: Context) -> list[bool]:
    """For each statement that sets such a flag: True."""
    return [
        True
        for line in suite.body
        for small in getattr(line, "body", ())
        if isinstance(small, cst.Assign) and _is_flag(small, ctx)
    ]


def _sets_flags(suite: cst.BaseSuite, ctx: Context) -> bool:
    """Does a block only set flags that nothing but CUDA reads, or seed what is seeded already?"""
    for line in suite.body:
        smalls = line.body if isinstance(line, cst.SimpleStatementLine) else [line]
        for small in smalls:
            if isinstance(small, cst.Assign) and _is_flag(small, ctx):
                continue
            if isinstance(small, cst.Expr) and isinstance(small.value, cst.Call):
                call = small.value
                names = ("manual_seed", "manual_seed_all")
                if cuda_function(call.func, ctx, names) and Seeds(call, ctx).is_repeated():
                    continue
            return False
    return True


def _is_flag(small: cst.Assign, ctx: Context) -> bool:
    for target in small.targets:
        name = ctx.qualified(target.target) or ""
        if not name.startswith((CUDNN, CUDA)) or name.rpartition(".")[2] not in _FLAGS | _OTHER_FLAGS:
            return False
    return not any(isinstance(part, cst.Call) for part in walk(small.value))
