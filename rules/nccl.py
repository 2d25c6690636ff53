"""Single-process collectives: `torch.cuda.nccl` and `torch.cuda.comm`."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.rules._calls import is_imported, is_read
from uncuda.rules.base import Bad, Category, Good, Rule

_INSTEAD = {
    "torch.cuda.nccl": "use torch.distributed",
    "torch.cuda.comm": "use torch.distributed, or `.to()` for each device",
}


class CudaCollectives(Rule):
    """`torch.cuda.nccl` and `torch.cuda.comm` move tensors between CUDA devices within one process.

    No other accelerator has them: the functions raise. One process for each device, and torch.distributed
    between them, is the form that every accelerator supports; a copy to another device is `.to(device)`.
    """

    code = "UC407"
    name = "cuda-collectives"
    triggers = (r"\bcuda\b",)
    category = Category.MANDATORY
    effort = 5
    priority = 30
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.nccl, torch.cuda.comm")
    bad = (
        Bad("import torch\n\nprint(torch.cuda.nccl.version())\n"),
        Bad("import torch.cuda.nccl as nccl\n\nnccl.all_reduce(xs)\n", id="alias"),
        Bad("from torch.cuda.comm import broadcast\n\ncopies = broadcast(x, [0, 1])\n", id="from-import"),
        Bad(
            "import torch.cuda.comm as comm\n\n\ndef f(xs):\n    return comm.reduce_add_coalesced(xs, 0)\n",
            id="comm",
        ),
        Bad("import torch\n\nif torch.cuda.nccl.is_available(xs):\n    pass\n", id="question"),
    )
    good = (
        Good("import torch.distributed as dist\n\ndist.all_reduce(x)\n"),
        Good("from mpi4py import MPI\n\ncomm = MPI.COMM_WORLD\ncomm.broadcast(x)\n", "not torch's"),
        Good("from cupy.cuda import nccl\n\nnccl.get_version()\n", "not torch's"),
        Good("from torch.cuda import nccl, comm\n", "imports: their uses are told"),
        Good("def f(comm):\n    return comm.gather(1)\n", "a parameter"),
        Good("'torch.cuda.nccl.version()'\n", "prose"),
    )  # fmt: skip

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        self._visit(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if is_imported(node, ctx):
            self._visit(node, ctx)

    def _visit(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        if ctx.is_claimed(node) or not is_read(node, ctx):
            return
        full = ctx.qualified(node)
        if full is None or not full.startswith(("torch.cuda.nccl", "torch.cuda.comm")):
            return
        module = ".".join(full.split(".")[:3])
        if module not in _INSTEAD:
            return
        ctx.report(
            self,
            node,
            f"`{full}` is CUDA's alone{'' if full.endswith('.version') else f'; {_INSTEAD[module]}'}",
            symbol=full,
        )
