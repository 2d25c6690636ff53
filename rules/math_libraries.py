"""Which of CUDA's libraries computes: `torch.backends.cuda.preferred_linalg_library(…)`."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.literals import argument, string_value
from uncuda.rules._settings import CUDA, member
from uncuda.rules._spelled import given_to
from uncuda.rules.base import Bad, Category, Good, Rule

_NAMES = frozenset({"preferred_linalg_library", "preferred_blas_library", "preferred_rocm_fa_library"})
# Entries of the knowledge base for what some builds refuse.
_REFUSED = (
    'torch.backends.cuda.preferred_linalg_library("cusolver")',
    'torch.backends.cuda.preferred_blas_library("cublaslt")',
)


class CudaMathLibrary(Rule):
    """`torch.backends.cuda.preferred_linalg_library("magma")` raises where torch was built without that library.

    These functions choose among CUDA's and ROCm's own libraries (cuSOLVER, MAGMA, cuBLASLt, CK). Asked without
    an argument they answer on every build; a library that the build lacks is refused. Nothing of the kind has
    to be chosen on other devices: call them where CUDA is there.
    """

    code = "UC324"
    name = "cuda-math-library"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 1
    sources = ("torch 2.13.0, executed", "knowledge base: torch.backends.cuda.preferred_linalg_library")
    bad = (
        Bad('import torch\n\ntorch.backends.cuda.preferred_linalg_library("magma")\n', None),
        Bad(
            'from torch.backends.cuda import preferred_blas_library as blas\n\nbefore = blas()\nblas("cublaslt")\nblas(before)\n',
            None,
            count=3,
            id="imported",
        ),
    )
    good = (
        Good("def preferred_linalg_library(name):\n    pass\n\n\npreferred_linalg_library('magma')  # cuda\n", "one's own"),
        Good("config.preferred_blas_library = 'cublas'  # cuda\n", "an attribute of one's own"),
        Good('"""torch.backends.cuda.preferred_linalg_library("magma")"""\n', "prose"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        name = member(node.func, ctx, CUDA)
        if name not in _NAMES or ctx.is_claimed(node):
            return
        given = argument(node, "backend", 0)
        chosen = string_value(given.value) if given is not None else None
        asked = tuple(symbol for symbol in _REFUSED if symbol.startswith(f"{CUDA}{name}("))
        symbol = given_to(asked, "backend", chosen) or f"{CUDA}{name}"
        ctx.report(self, node, f"`{CUDA}{name}` chooses among libraries of CUDA's", symbol=symbol)
