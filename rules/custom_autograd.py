"""Custom autograd functions under autocast: `custom_fwd` and `custom_bwd` for CUDA."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.arguments import change_arguments
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import argument
from uncuda.rules._amp import DeviceType, amp_name, be_certain, is_assigned, mentioned, names_cuda
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule

_OLD = frozenset({"torch.cuda.amp.custom_fwd", "torch.cuda.amp.custom_bwd"})
_GENERAL = frozenset({"torch.amp.custom_fwd", "torch.amp.custom_bwd"})
"""The first torch with torch.amp.custom_fwd."""
_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)


class CudaCustomAutograd(Rule):
    """`custom_fwd` and `custom_bwd` for CUDA don't see the autocast of any other device.

    They cast the inputs of a custom autograd function, and run its backward under the autocast state of its
    forward: CUDA's. On another accelerator neither happens; the function gets inputs of mixed dtypes under
    autocast, which a kernel may refuse. `torch.amp.custom_fwd` (torch 2.4) takes the device's type, by keyword
    only, so that the bare decorator becomes a call.
    """

    code = "UC312"
    name = "cuda-custom-autograd"
    triggers = ("custom_fwd", "custom_bwd")
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Unsafe: the device's type is asked for while the module is imported, which may start the accelerator too "
        "early for worker processes, and under an autocast region for the CPU the function casts there as well. "
        "The same with CUDA."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch 2.4.1, amp/autocast_mode.py: device_type is a keyword",
        "knowledge base: torch.cuda.amp.custom_fwd, torch.cuda.amp.custom_bwd",
    )
    bad = (
        Bad(
            "import torch\nfrom torch.cuda.amp import custom_bwd, custom_fwd\n\n\nclass Scale(torch.autograd.Function):\n"
            "    @staticmethod\n    @custom_fwd(cast_inputs=torch.float32)\n    def forward(ctx, x):\n"
            "        return x * 2\n\n    @staticmethod\n    @custom_bwd\n    def backward(ctx, g):\n"
            "        return g * 2\n",
            f"import torch\n\n\ndevice = {_SELECT}\n\n\nclass Scale(torch.autograd.Function):\n"
            "    @staticmethod\n    @torch.amp.custom_fwd(device_type=device.type, cast_inputs=torch.float32)\n"
            "    def forward(ctx, x):\n        return x * 2\n\n    @staticmethod\n"
            "    @torch.amp.custom_bwd(device_type=device.type)\n    def backward(ctx, g):\n        return g * 2\n",
            Applicability.UNSAFE,
            count=2,
        ),
        Bad(
            'import torch\n\nforward = torch.cuda.amp.custom_fwd\nbackward = torch.amp.custom_bwd(device_type="cuda")\n',
            f"import torch\n\ndevice = {_SELECT}\nforward = torch.amp.custom_fwd(device_type=device.type)\n"
            "backward = torch.amp.custom_bwd(device_type=device.type)\n",
            Applicability.UNSAFE,
            count=2,
            id="variable",
        ),
        Bad(
            "import functools\n\nimport torch\n\nforward = functools.partial(torch.amp.custom_fwd, device_type='cuda')\n",
            f"import functools\n\nimport torch\n\ndevice = {_SELECT}\n"
            "forward = functools.partial(torch.amp.custom_fwd, device_type=device.type)\n",
            Applicability.UNSAFE,
            id="partial",
        ),
        Bad(
            "import torch\n\nhelpers = {'forward': torch.cuda.amp.custom_fwd}\n",
            None,
            id="passed-on",
        ),
        Bad(
            "import torch\n\n\n@torch.cuda.amp.custom_fwd\ndef forward(ctx, x):\n    return x\n",
            None,
            floor=(2, 5),
            id="floor",
        ),
    )
    good = (
        Good('import torch\n\nforward = torch.amp.custom_fwd(device_type="xpu")  # cuda\n', "another device"),
        Good("import torch\n\nforward = torch.amp.custom_fwd(device_type=device.type)  # cuda\n"),
        Good("from torch.cuda.amp import custom_fwd\n", "an import alone"),
        Good("def custom_fwd(f):\n    return f\n\n\n@custom_fwd\ndef f():\n    pass  # cuda\n", "one's own"),
        Good('"""@torch.cuda.amp.custom_fwd is deprecated."""\n', "prose"),
        Good("# @torch.cuda.amp.custom_bwd\nx = 1\n", "a comment"),
        Good("class Layer:\n    custom_fwd = None\n\n    def f(self):\n        return self.custom_fwd  # cuda\n"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = amp_name(node.func, ctx)
        if name is not None and name in _OLD:
            if not is_assigned(node.func, ctx):
                self._report(node, name, ctx, lambda fix: self._call(fix, node, name))
            return
        called = name
        if ctx.qualified(node.func) == "functools.partial" and node.args:
            called = amp_name(node.args[0].value, ctx)
        kind = argument(node, "device_type")
        if called is not None and called in _GENERAL and kind is not None and names_cuda(kind.value):
            self._report(node, called, ctx, lambda fix: self._literal(fix, kind), kind.value)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        self._mention(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        self._mention(node, ctx)

    def _mention(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        name = mentioned(node, ctx, _OLD)
        if name is not None:
            self._report(node, name, ctx, lambda fix: self._bare(fix, node, name))

    def _report(
        self,
        node: cst.BaseExpression,
        name: str,
        ctx: Context,
        fix: Callable[[FixBuilder], None],
        *claims: cst.CSTNode,
    ) -> None:
        general = name in _GENERAL
        ctx.report(
            self,
            node,
            f"`{name}` follows CUDA's autocast alone",
            symbol=f'{name}(device_type="cuda")' if general else name,
            claims=claims,
            fix=fix,
            title="Follow the autocast of the device that is there",
        )

    # -- fixes ---------------------------------------------------------------------------------------------

    def _bare(self, fix: FixBuilder, node: cst.BaseExpression, name: str) -> None:
        be_certain(fix, node)
        if not isinstance(fix.ctx.parent, (cst.Decorator, cst.Assign)):
            raise CannotFix("who calls the decorator isn't known")
        fix.unsafe()
        fix.needs("torch.amp.custom_fwd")
        fix.replace(node, f"{self._new(fix, name)}(device_type={DeviceType(fix).text})")

    def _call(self, fix: FixBuilder, node: cst.Call, name: str) -> None:
        be_certain(fix, node.func)
        fix.unsafe()
        fix.needs("torch.amp.custom_fwd")
        kind = f"device_type={DeviceType(fix).text}"
        fix.replace(node.func, self._new(fix, name))
        if node.args and node.args[0].keyword is None:
            change_arguments(fix, node, last=kind)
        else:
            change_arguments(fix, node, first=kind)

    def _literal(self, fix: FixBuilder, kind: cst.Arg) -> None:
        fix.unsafe()
        fix.replace(kind.value, DeviceType(fix).text)

    def _new(self, fix: FixBuilder, name: str) -> str:
        return fix.name(name.replace("torch.cuda.amp", "torch.amp"))
