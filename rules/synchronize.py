"""Waiting for the device: `torch.cuda.synchronize()`."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import guard_rename, keeps_raising
from uncuda.literals import argument
from uncuda.rules._calls import cuda_function, index_argument, is_read, literal_device
from uncuda.rules.base import Bad, Good, Rule

_NAMES = frozenset({"synchronize"})


class CudaSynchronize(Rule):
    """`torch.cuda.synchronize()` raises on every accelerator but CUDA and ROCm, and on the CPU.

    It mostly stands around timed code. `torch.accelerator.synchronize()` waits for whichever accelerator is
    there; a statement or a callback leaves the call out where there is none, so that the program runs there
    too. It takes its device by position only, and an int, a text or a torch.device as before.
    """

    code = "UC206"
    name = "cuda-synchronize"
    triggers = (r"\bcuda\b",)
    effort = 1
    fix_safety = (
        "Safe: the same call with CUDA; without an accelerator it raised, and is left out now. In a `try` "
        "that handles the failure it goes on failing; not offered where the handlers wouldn't catch "
        "RuntimeError, which is what the new call raises."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.synchronize")
    bad = (
        Bad(
            "import time\n\nimport torch\n\ntorch.cuda.synchronize()  # wait\nstart = time.perf_counter()\n",
            "import time\n\nimport torch\n\nif torch.accelerator.is_available():\n"
            "    torch.accelerator.synchronize()  # wait\nstart = time.perf_counter()\n",
            run="None",
        ),
        Bad(
            "import torch\n\n\ndef f(device):\n    torch.cuda.synchronize(device=device)\n",
            "import torch\n\n\ndef f(device):\n    if torch.accelerator.is_available():\n"
            "        torch.accelerator.synchronize(device)\n",
            run="f(0)",
            id="keyword",
        ),
        Bad(
            'import torch\n\ntorch.cuda.synchronize("cuda:1")\n'
            'torch.cuda.synchronize(torch.device("cuda"))\n',
            "import torch\n\nif torch.accelerator.is_available():\n    torch.accelerator.synchronize(1)\n"
            "if torch.accelerator.is_available():\n    torch.accelerator.synchronize()\n",
            count=2,
            run="None",
            id="literal",
        ),
        Bad(
            "import torch\n\n\ndef f():\n\tif torch.cuda.is_available():\n\t\ttorch.cuda.synchronize()\n",
            "import torch\n\n\ndef f():\n\tif torch.cuda.is_available():\n"
            "\t\ttorch.accelerator.synchronize()\n",
            run="f()",
            id="guarded",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n\tx += 1\n\ttorch.cuda.synchronize()\n\treturn x\n",
            "import torch\n\n\ndef f(x):\n\tx += 1\n\tif torch.accelerator.is_available():\n"
            "\t\ttorch.accelerator.synchronize()\n\treturn x\n",
            run="f(1)",
            id="tabs",
        ),
        Bad(
            "import torch\n\nx = 1; torch.cuda.synchronize(); y = 2\n",
            "import torch\n\nx = 1; torch.accelerator.synchronize() if torch.accelerator.is_available() "
            "else None; "
            "y = 2\n",
            run="y",
            id="semicolons",
        ),
        Bad(
            "import torch\n\nsync = lambda: torch.cuda.synchronize()\n",
            "import torch\n\nsync = lambda: (torch.accelerator.synchronize() if "
            "torch.accelerator.is_available() "
            "else None)\n",
            run="sync()",
            id="lambda",
        ),
        Bad(
            "import torch\n\nsync = torch.cuda.synchronize\nsync()\n",
            "import torch\n\nsync = torch.accelerator.synchronize\nsync()\n",
            run="None",
            id="function",
        ),
        Bad(
            "import torch\n\n\ndef f():\n    try:\n        torch.cuda.synchronize()\n"
            "    except AssertionError:\n"
            "        pass\n",
            None,
            id="caught",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    if torch.cuda.device_count() > 1:\n        torch.cuda.synchronize()\n"
            "    if x.is_cuda:\n        torch.cuda.synchronize()\n",
            "import torch\n\n\ndef f(x):\n    if torch.cuda.device_count() > 1:\n        torch.accelerator.synchronize()\n"
            "    if x.is_cuda:\n        torch.accelerator.synchronize()\n",
            count=2,
            run="f(torch.ones(1))",
            id="counted",
        ),
        Bad("import torch\n\ntorch.cuda.synchronize()\n", None, floor=(2, 5), id="floor"),
    )
    good = (
        Good(
            "import torch\n\nif torch.accelerator.device_count() > 1:\n    torch.accelerator.synchronize()  # cuda or other\n"
        ),
        Good("import torch\n\ntorch.accelerator.synchronize()\n", "portable already"),
        Good("import torch\n\ntorch.mps.synchronize()\n", "another vendor's"),
        Good("def f(stream_cuda):\n    stream_cuda.synchronize()\n", "a stream's method"),
        Good("import torch\n\n\ndef f(event):\n    event.synchronize()  # cuda\n", "an event's method"),
        Good("from cupy import cuda\n\ncuda.synchronize()\n", "not torch"),
        Good(
            "class cuda:\n    @staticmethod\n    def synchronize():\n        pass\n\n\ncuda.synchronize()\n"
        ),
        Good("import torch\n\ntorch.cpu.synchronize()\n"),
        Good("'call torch.cuda.synchronize() first'\n", "prose"),
        Good("# torch.cuda.synchronize()\nx = 1\n", "a comment"),
        Good("from torch.cuda import synchronize\n", "an import alone"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node) or not cuda_function(node.func, ctx, _NAMES):
            return
        given = argument(node, "device", 0)
        literal = given is not None and literal_device(given.value, ctx) is not None
        self._report(
            node,
            ctx,
            lambda fix: self._fix(fix, node, given),
            (given.value,) if given is not None and literal else (),
        )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value not in _NAMES or ctx.is_claimed(node) or not is_read(node, ctx):
            return
        if cuda_function(node, ctx, _NAMES):
            self._report(node, ctx, lambda fix: self._rename(fix, node), ())

    def _report(
        self,
        node: cst.BaseExpression,
        ctx: Context,
        fix: Callable[[FixBuilder], None],
        claims: tuple[cst.CSTNode, ...],
    ) -> None:
        ctx.report(
            self,
            node,
            "`torch.cuda.synchronize()` needs CUDA",
            symbol="torch.cuda.synchronize",
            claims=claims,
            fix=fix,
            title="Wait for any accelerator",
        )

    def _rename(self, fix: FixBuilder, node: cst.BaseExpression) -> None:
        fix.needs("torch.accelerator")
        fix.replace(node, fix.name("torch.accelerator.synchronize"))

    def _fix(self, fix: FixBuilder, node: cst.Call, given: cst.Arg | None) -> None:
        if len(node.args) > 1 or (node.args and given is None):
            raise CannotFix("not the arguments of torch.cuda.synchronize")
        fix.needs("torch.accelerator")
        arguments: str | None = None
        if given is not None:
            where = index_argument(fix, given.value)
            if given.keyword is not None or where != fix.code(given.value):
                arguments = where
        test = "" if keeps_raising(fix, node, "RuntimeError") else None
        guard_rename(fix, node, fix.name("torch.accelerator.synchronize"), arguments=arguments, test=test)
