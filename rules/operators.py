"""Operators of torch.library that are made for CUDA alone."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.literals import argument, string_value
from uncuda.rules.base import Bad, Category, Good, Rule

_SYMBOL = 'torch.library.custom_op(device_types="cuda")'


class CudaOperator(Rule):
    """`custom_op(device_types="cuda")` makes an operator that every other device refuses.

    A call with tensors of another device, the CPU's too, raises NotImplementedError. Without `device_types` the
    function serves every device; where it holds a kernel of CUDA's, give the operator a plain torch function, and
    register the kernel beside it (`@op.register_kernel("cuda")`).
    """

    code = "UC505"
    name = "cuda-operator"
    triggers = ("device_types",)
    category = Category.MANDATORY
    effort = 3
    sources = ("torch 2.13.0, executed", "knowledge base: torch.library.custom_op")
    bad = (
        Bad(
            "import torch\n\n\n@torch.library.custom_op('mine::twice', mutates_args=(), device_types='cuda')\n"
            "def twice(x: torch.Tensor) -> torch.Tensor:\n    return x * 2\n"
        ),
        Bad(
            "from torch.library import custom_op\n\n"
            "op = custom_op('mine::twice', twice, mutates_args=(), device_types=('cuda', 'cpu'))\n",
            id="with-cpu",
        ),
    )
    good = (
        Good(
            "import torch\n\n\n@torch.library.custom_op('mine::twice', mutates_args=())\n"
            "def twice(x: torch.Tensor) -> torch.Tensor:\n    return x * 2  # device_types\n",
            "for every device",
        ),
        Good(
            "import torch\n\nop = torch.library.custom_op('a::b', f, mutates_args=(), device_types=('cuda', 'xpu'))\n",
            "other accelerators are named too",
        ),
        Good(
            "import torch\n\nop = torch.library.custom_op('a::b', f, mutates_args=(), device_types='cpu')\n"
        ),
        Good("@op.register_kernel('cuda')\ndef _(x, device_types):\n    return x\n", "a kernel beside it"),
        Good("custom_op('a::b', f, device_types='cuda')\n", "not torch's"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        given = argument(node, "device_types")
        if given is None or ctx.qualified(node.func) not in (
            "torch.library.custom_op",
            "torch._library.custom_op",
        ):
            return
        value = given.value
        names = {string_value(value)}
        if isinstance(value, (cst.Tuple, cst.List)):
            names = {string_value(element.value) for element in value.elements}
        if "cuda" in names and names <= {"cuda", "cpu"}:
            ctx.report(
                self, value, "the operator is made for CUDA alone: without `device_types` it serves every device",
                symbol=_SYMBOL, claims=(value,),
            )  # fmt: skip
