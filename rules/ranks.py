"""Ranks spread over the CUDA devices of a machine by division."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import FixBuilder
from uncuda.fixes.statements import caught, is_guarded
from uncuda.rules.base import Applicability, Bad, Good, Rule

_DIVISIONS = (cst.Modulo, cst.FloorDivide, cst.Divide)
_HANDLERS = frozenset({"ZeroDivisionError", "ArithmeticError", "Exception", "BaseException"})


class RankModuloDevices(Rule):
    """A number divided by the count of CUDA devices: a ZeroDivisionError wherever the count is 0.

    `rank % torch.cuda.device_count()` is the usual way to a local rank. The count is 0 on every accelerator but
    CUDA and ROCm, and on a CPU. `torch.accelerator.device_count()` counts the devices of any accelerator; the
    CPU counts as one device.
    """

    code = "UC404"
    name = "rank-modulo-devices"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 30
    fix_safety = (
        "Safe: the same number where there are CUDA devices; where there are none the division raised. Unsafe "
        "inside a try that handles the ZeroDivisionError."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.device_count")
    bad = (
        Bad(
            "import torch\n\n\ndef local(rank):\n    return rank % torch.cuda.device_count()\n",
            "import torch\n\n\ndef local(rank):\n    return rank % max(torch.accelerator.device_count(), 1)\n",
            run="local(3)",
        ),
        Bad(
            "import torch as th\n\n\ndef nodes(world):\n    return world // th.cuda.device_count()\n",
            "import torch as th\n\n\ndef nodes(world):\n    return world // max(th.accelerator.device_count(), 1)\n",
            run="nodes(8)",
            id="nodes",
        ),
        Bad(
            "import torch\nfrom torch.cuda import device_count\n\n\ndef f(batch):\n    return int(batch / device_count())\n",
            "import torch\n\n\ndef f(batch):\n    return int(batch / max(torch.accelerator.device_count(), 1))\n",
            run="f(8)",
            id="from-import",
        ),
        Bad(
            'import torch\n\n\ndef f(rank):\n    return f"cuda:{rank % torch.cuda.device_count()}"\n',
            'import torch\n\n\ndef f(rank):\n    return f"cuda:{rank % max(torch.accelerator.device_count(), 1)}"\n',
            run="f(2)",
            id="f-string",
        ),
        Bad(
            "import torch\n\n\ndef f(rank):\n    try:\n        return rank % torch.cuda.device_count()\n"
            "    except ZeroDivisionError:\n        return None\n",
            "import torch\n\n\ndef f(rank):\n    try:\n        return rank % max(torch.accelerator.device_count(), 1)\n"
            "    except ZeroDivisionError:\n        return None\n",
            Applicability.UNSAFE,
            id="handled",
        ),
        Bad(
            "import torch\n\n\ndef f(rank):\n    return rank % torch.cuda.device_count()\n",
            None,
            floor=(2, 4),
            id="floor",
        ),
    )
    good = (
        Good("import torch\n\n\ndef f(rank):\n    return rank % max(torch.cuda.device_count(), 1)\n", "never 0"),
        Good("import torch\n\n\ndef f(rank):\n    return rank * torch.cuda.device_count()\n", "no division"),
        Good("import torch\n\n\ndef f(rank):\n    return torch.cuda.device_count() % rank\n", "divided, not the divisor"),
        Good("import torch\n\n\ndef f(rank):\n    return rank % torch.accelerator.device_count()\n", "not CUDA's"),
        Good("import torch\n\n\ndef f(rank):\n    if torch.cuda.is_available():\n        return rank % torch.cuda.device_count()\n",
             "reached where there is one only: that is cuda-device-count"),
        Good("def f(rank):\n    return rank % cuda.device_count()\n", "not known to be torch's"),
        Good("'rank % torch.cuda.device_count()'\n", "prose"),
    )  # fmt: skip

    def visit_BinaryOperation(self, node: cst.BinaryOperation, ctx: Context) -> None:
        if not isinstance(node.operator, _DIVISIONS):
            return
        count = node.right
        if not isinstance(count, cst.Call) or count.args or ctx.is_claimed(count):
            return
        if ctx.qualified(count.func) != "torch.cuda.device_count" or is_guarded(ctx, node):
            return
        ctx.report(
            self,
            count,
            "divides by `torch.cuda.device_count()`, which is 0 without CUDA",
            symbol="rank % torch.cuda.device_count()",
            fix=lambda fix: self._fix(fix, count),
            title="Count the devices of any accelerator, the CPU as one",
        )

    def _fix(self, fix: FixBuilder, count: cst.Call) -> None:
        fix.needs("torch.accelerator")
        if caught(fix.ctx, count) & _HANDLERS:
            fix.unsafe()
        fix.replace(count, f"max({fix.name('torch')}.accelerator.device_count(), 1)")
