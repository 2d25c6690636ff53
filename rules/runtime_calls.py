"""Start-up, peer access and debugging: calls for which the device's own module stands in."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import caught, is_discarded, on_module
from uncuda.rules._calls import cuda_function, is_read
from uncuda.rules.base import Bad, Category, Good, Rule

_SAYS = {
    "init": "starts CUDA",
    "_lazy_init": "starts CUDA",
    "is_initialized": "asks whether CUDA has been started",
    "can_device_access_peer": "asks about two CUDA devices",
    "set_sync_debug_mode": "watches CUDA's synchronisations",
    "get_sync_debug_mode": "tells how CUDA's synchronisations are watched",
}
_STATEMENTS = frozenset({"init", "set_sync_debug_mode"})


class CudaRuntimeCall(Rule):
    """`torch.cuda.init()`, peer access and synchronisation debugging are asked of CUDA, and raise elsewhere.

    The modules of Ascend, XPU and MLU have most of them under the same names. Start-up is automatic on all
    of them: where nothing waits for it, `init()` can go. `is_initialized()` is False off CUDA, so that code that
    looks before it forks believes that the accelerator hasn't been started.
    """

    code = "UC222"
    name = "cuda-runtime-call"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe for `init()` and `set_sync_debug_mode()`: the same call with CUDA; elsewhere it raised, and is made only "
        "where the device's module has it. Not offered where the failure is handled, nor for a call whose value is "
        "used: `is_initialized()` of the CPU says yes."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.init and its kin")
    bad = (
        Bad(
            "import torch\n\ntorch.cuda.init()  # once\n",
            'import torch\n\nif hasattr(torch.get_device_module(), "init"):\n'
            "    torch.get_device_module().init()  # once\n",
            run="None",
        ),
        Bad(
            "import torch\n\ntorch.cuda.set_sync_debug_mode('warn')\n",
            'import torch\n\nif hasattr(torch.get_device_module(), "set_sync_debug_mode"):\n'
            "    torch.get_device_module().set_sync_debug_mode('warn')\n",
            run="None",
            id="debug",
        ),
        Bad("import torch\n\npeers = torch.cuda.can_device_access_peer(0, 1)\n", None, id="peer"),
        Bad("import torch\n\nmode = torch.cuda.get_sync_debug_mode()\n", None, id="mode"),
        Bad("import torch\n\nstarted = torch.cuda.is_initialized()\n", None, id="initialized"),
        Bad(
            "import torch\n\ntry:\n    torch.cuda.init()\nexcept Exception:\n    gpu = False\n",
            None,
            id="handled",
        ),
        Bad("from torch.cuda import init as start\n\nrun = [start, print]\n", None, id="function"),
    )
    good = (
        Good("import torch\n\ntorch.xpu.init()  # not cuda\n", "another vendor's"),
        Good("import torch\n\ntorch.get_device_module().init()  # cuda or other\n"),
        Good("import pycuda.autoinit\nimport pycuda.driver as cuda\n\ncuda.init()\n", "not torch"),
        Good("class cuda:\n    @staticmethod\n    def init():\n        pass\n\n\ncuda.init()\n", "one's own"),
        Good("import torch.distributed as dist\n\ndist.is_initialized()  # cuda\n", "the process group"),
        Good('"""torch.cuda.init() starts it."""\n', "prose"),
        Good("# torch.cuda.init()\nx = 1\n", "a comment"),
        Good("from torch.cuda import init\n", "an import alone"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not ctx.is_claimed(node):
            name = cuda_function(node.func, ctx, _SAYS)
            if name is not None:
                self._report(node, name, ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in _SAYS and not ctx.is_claimed(node) and is_read(node, ctx):
            name = cuda_function(node, ctx, _SAYS)
            if name is not None:
                self._report(node, name, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if ctx.is_claimed(node) or not is_read(node, ctx) or isinstance(ctx.parent, cst.Call):
            return
        name = cuda_function(node, ctx, _SAYS)
        if name is not None:
            self._report(node, name, ctx)

    def _report(self, node: cst.BaseExpression, name: str, ctx: Context) -> None:
        ctx.report(
            self,
            node,
            f"`torch.cuda.{name}()` {_SAYS[name]}",
            symbol=f"torch.cuda.{name}",
            fix=lambda fix: self._fix(fix, node, name),
            title="Call it on the device's own module",
        )

    def _fix(self, fix: FixBuilder, node: cst.BaseExpression, name: str) -> None:
        ctx = fix.ctx
        if not isinstance(node, cst.Call) or caught(ctx, node):
            raise CannotFix("passed on, or the failure is handled")
        if name in _STATEMENTS and is_discarded(ctx, node):
            on_module(fix, node, name)
        else:
            raise CannotFix("the value that stands for it elsewhere isn't known")
