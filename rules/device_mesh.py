"""Device meshes laid over CUDA by name."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.literals import argument, device_text
from uncuda.rules.base import Bad, Good, Rule

_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_GROUP = (
    "import torch.distributed as dist\n"
    "dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)\n"
)
_BY_POSITION = frozenset({"init_device_mesh", "DeviceMesh", "from_group"})


class CudaDeviceMesh(Rule):
    """A device mesh laid over "cuda" has no devices anywhere else.

    `init_device_mesh("cuda", …)` is accepted without CUDA; what fails is the first tensor or collective on the
    mesh. The device type that is there keeps the mesh where the model is.
    """

    code = "UC402"
    name = "cuda-device-mesh"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 30
    fix_safety = "Safe: the same mesh with CUDA, a mesh over the CPU without an accelerator."
    sources = ("torch 2.13.0, executed", "knowledge base: init_device_mesh")
    bad = (
        Bad(
            "import torch\nfrom torch.distributed.device_mesh import init_device_mesh\n\n\ndef mesh(n):\n"
            '    return init_device_mesh("cuda", (n,))\n',
            "import torch\nfrom torch.distributed.device_mesh import init_device_mesh\n\n\ndef mesh(n):\n"
            f"    device = {_SELECT}\n"
            "    return init_device_mesh(device.type, (n,))\n",
            setup=_GROUP,
            run="mesh(1).size()",
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n\ndef mesh(n, device: torch.device):\n"
            "    return dist.device_mesh.init_device_mesh(\n        device_type='cuda', mesh_shape=(n,)\n    )\n",
            "import torch\nimport torch.distributed as dist\n\n\ndef mesh(n, device: torch.device):\n"
            f"    accelerator = {_SELECT}\n"
            "    return dist.device_mesh.init_device_mesh(\n        device_type=accelerator.type, mesh_shape=(n,)\n    )\n",
            setup=_GROUP,
            run="mesh(1, torch.device('cpu')).size()",
            id="keyword",
        ),
        Bad(
            "import torch\nfrom torch.distributed.device_mesh import DeviceMesh\n\n"
            f"device = {_SELECT}\nmesh = DeviceMesh('cuda', [0])\n",
            "import torch\nfrom torch.distributed.device_mesh import DeviceMesh\n\n"
            f"device = {_SELECT}\nmesh = DeviceMesh(device.type, [0])\n",
            setup=_GROUP,
            run="mesh.size()",
            id="class",
        ),
        Bad(
            "import torch\nfrom torch.distributed import init_device_mesh\n\ninit_device_mesh('cuda', (1,))\n",
            None,
            floor=(2, 5),
            id="floor",
        ),
    )
    good = (
        Good("from torch.distributed.device_mesh import init_device_mesh\n\ninit_device_mesh(device.type, (2,))\n"),
        Good("from torch.distributed.device_mesh import init_device_mesh\n\ninit_device_mesh('cpu', (2,))\n"),
        Good("def init_device_mesh(kind, shape):\n    return shape\n\n\ninit_device_mesh('cuda', (2,))\n",
             "a function of one's own"),
        Good("mesh = Mesh('cuda')\n", "not torch's"),
        Good('"""init_device_mesh("cuda", (2,))"""\n', "prose"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func)
        if full is None or not full.startswith("torch.distributed."):
            return
        last = full.rpartition(".")[2]
        given = argument(
            node, "device_type", (1 if last == "from_group" else 0) if last in _BY_POSITION else None
        )
        if given is None or ctx.is_claimed(given.value):
            return
        literal = given.value
        value = device_text(literal)
        if value is None or not value.is_cuda or value.index:
            return
        ctx.report(
            self,
            literal,
            f'`{last}` is laid over "cuda"',
            symbol='torch.distributed.device_mesh.init_device_mesh("cuda",...)',
            fix=lambda fix: fix.replace(literal, fix.device_type()),
            title="Lay it over the device that is there",
        )
