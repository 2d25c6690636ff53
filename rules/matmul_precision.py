"""How precise a matrix product is on CUDA: TF32, and sums in half precision."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.rules._settings import CUDA, CUDNN, member, set_by_name
from uncuda.rules.base import Bad, Category, Good, Rule

_MATMUL = frozenset(
    f"matmul.{name}"
    for name in (
        "allow_tf32",
        "allow_fp16_accumulation",
        "allow_fp16_reduced_precision_reduction",
        "allow_bf16_reduced_precision_reduction",
        "fp32_precision",
    )
)
_CONVOLUTION = frozenset({"allow_tf32", "fp32_precision", "conv.fp32_precision", "rnn.fp32_precision"})
_LAST = frozenset(name.rpartition(".")[2] for name in _MATMUL | _CONVOLUTION)
_ASKS_ALL = frozenset({"matmul.allow_tf32"})


class CudaMatmulPrecision(Rule):
    """`torch.backends.cuda.matmul.allow_tf32` and its kin are read by cuBLAS and cuDNN alone.

    TF32 is NVIDIA's; setting the flags does no harm elsewhere, and nothing. Other devices have trade-offs of
    their own (HF32 on Ascend). `torch.set_float32_matmul_precision("high")` sets the same flag on CUDA and asks
    every device that can; it isn't written in place of the flag because it makes matrix products on the CPU
    less precise too, where the processor can do it. It doesn't reach convolutions.
    """

    code = "UC322"
    name = "cuda-matmul-precision"
    triggers = (r"\bcuda\b", "cudnn")
    category = Category.POTENTIAL
    effort = 0
    sources = (
        "torch 2.13.0, executed: set_float32_matmul_precision also sets oneDNN's precision",
        "knowledge base: torch.backends.cuda.matmul.allow_tf32 and its kin",
    )
    bad = (
        Bad(
            "import torch\n\ntorch.backends.cuda.matmul.allow_tf32 = True\ntorch.backends.cudnn.allow_tf32 = True\n",
            None,
            count=2,
        ),
        Bad(
            "import torch.backends.cuda as backend\n\nbackend.matmul.allow_bf16_reduced_precision_reduction = False\n",
            None,
            id="alias",
        ),
        Bad(
            'import torch\n\ntorch.backends.cudnn.conv.fp32_precision = "tf32"\n'
            "before = torch.backends.cuda.matmul.fp32_precision\n",
            None,
            count=2,
            id="new-names",
        ),
        Bad('import torch\n\nsetattr(torch.backends.cuda.matmul, "allow_tf32", True)\n', None, id="setattr"),
    )
    good = (
        Good(
            'import torch\n\ntorch.set_float32_matmul_precision("high")  # allow_tf32\n', "asks every device"
        ),
        Good('import torch\n\ntorch.backends.fp32_precision = "tf32"  # cuda\n', "every back end's"),
        Good('import torch\n\ntorch.backends.mkldnn.matmul.fp32_precision = "bf16"\n', "another library's"),
        Good("class Config:\n    allow_tf32 = True\n\n\nConfig.allow_tf32 = False  # cuda\n", "one's own"),
        Good(
            '"""torch.backends.cuda.matmul.allow_tf32"""\n# torch.backends.cudnn.allow_tf32 = True\n', "prose"
        ),
        Good("args = {'allow_tf32': True}\n", "a dict key"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        for prefix, names in ((CUDA, _MATMUL), (CUDNN, _CONVOLUTION)):
            name = set_by_name(node, ctx, prefix, names)
            if name is not None:
                self._report(node, prefix, name, ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value not in _LAST or ctx.is_claimed(node):
            return
        for prefix, names in ((CUDA, _MATMUL), (CUDNN, _CONVOLUTION)):
            name = member(node, ctx, prefix)
            if name in names:
                self._report(node, prefix, name, ctx)

    def _report(self, node: cst.BaseExpression, prefix: str, name: str, ctx: Context) -> None:
        hint = "no effect on other devices"
        if name in _ASKS_ALL:
            hint += "; torch.set_float32_matmul_precision() asks every device"
        library = "cuBLAS" if prefix == CUDA else "cuDNN"
        ctx.report(self, node, f"`{prefix}{name}` is for {library}: {hint}", symbol=f"{prefix}{name}")
