"""Everything else under `torch.cuda` and `torch.backends.cuda`."""

from __future__ import annotations

import re
from functools import lru_cache

import libcst as cst

from uncuda.context import Context
from uncuda.rules._calls import is_imported, is_read
from uncuda.rules.base import Bad, Good, Rule

# Modules and sets of flags: an assignment is a shorter name for them.
_SHORTENED = ("torch.backends.cuda", "torch.backends.cuda.matmul")
_MODULES = ("torch.cuda", "torch.backends.cuda")
# Longer portable forms are for `explain`.
_LONGEST = 70
_INSIDE = ("torch.cuda.", "torch.backends.cuda.", "torch.backends.cusparselt.", "torch._C._cuda")
_IMPORTS = re.compile(
    r"^[ \t]*from[ \t]+torch\.(?:cuda|backends\.cu(?:da|sparselt))\b"
    r"|^[ \t]*from[ \t]+torch(?:\.backends)?[ \t]+import\b(?:[^\n(]*|[ \t]*\([^)]*)\bcuda\b"
    r"|^[ \t]*import[ \t]+torch\.(?:backends\.)?cuda[\w.]*[ \t]+as\b",
    re.M,
)


@lru_cache(maxsize=4)
def _names_matter(text: str) -> bool:
    """Does the file import torch.cuda, or something from it, under a name of its own?"""
    return _IMPORTS.search(text) is not None


class CudaApi(Rule):
    """A part of `torch.cuda` or `torch.backends.cuda` that no other rule knows.

    It is CUDA's own, works on ROCm as a rule, and raises or does nothing elsewhere. Look at what the line
    wants: a figure or a setting may have a counterpart on the device's own module
    (`torch.get_device_module()`), raw handles and NVIDIA's libraries have none.
    """

    code = "UC299"
    name = "cuda-api"
    triggers = (r"\bcuda\b", "cusparselt", "_C._cuda")
    effort = 3
    priority = 90
    sources = ("knowledge base: the members of torch.cuda",)
    bad = (
        Bad("import torch\n\nh = torch.cuda.current_blas_handle()\n", None),
        Bad("import torch\n\nshow(torch.backends.cuda)\n", None, id="module"),
        Bad(
            "from torch.cuda import default_generators as g\n\nseed = g[0].initial_seed()\n",
            None,
            id="imported",
        ),
        Bad("import torch\n\ntorch.cuda._sleep(1000)\n", None, id="private"),
        Bad("import torch\n\nn = torch.backends.cuda.cufft_plan_cache.size\n", None, id="backend"),
        Bad("import torch\n\nn = torch._C._cuda_getDeviceCount()\n", None, id="binding"),
        Bad("import torch\n\nok = torch.backends.cusparselt.is_available()\n", None, id="cusparselt"),
        Bad("import torch\n\nlib = torch.cuda.cudart()\nlib.cudaProfilerStart()\n", None, id="runtime"),
    )
    good = (
        Good("import torch.cuda\n", "an import alone"),
        Good("from torch.cuda import default_generators\n", "an import alone"),
        Good("from torch import cuda\n", "an import alone"),
        Good("import torch\n\nok = hasattr(torch, 'cuda')\n", "it always has"),
        Good("import torch\n\nbackend = torch.cuda\n", "the module has its own rule"),
        Good("import torch\n\nflags = torch.backends.cuda.matmul\n", "a shorter name, whose uses are told"),
        Good(
            "try:\n    from torch.backends.cuda import SDPAParams\nexcept ImportError:\n    SDPAParams = None\n",
            "bound, not used",
        ),
        Good("from numba import cuda\n\n\n@cuda.jit\ndef f(x):\n    pass\n", "not torch"),
        Good("import cupy\n\ncupy.cuda.Device(0).use()\n", "not torch"),
        Good("class Config:\n    cuda = True\n\n\nprint(Config.cuda)\n", "an attribute of one's own"),
        Good("def f(torch):\n    return torch.cuda.cudart()\n", "torch is a parameter here"),
        Good("def f(cuda):\n    return cuda.cudart()\n", "a parameter"),
        Good('"""torch.cuda.cudart() is CUDA\'s own."""\n# torch.cuda.cudart()\n', "prose"),
        Good("import mytorch as torch\n\ntorch.cuda.cudart()\n", "another package under the name"),
    )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if isinstance(ctx.parent, cst.Attribute) or ctx.is_claimed(node):
            return
        name = ctx.qualified(node)
        if name is not None and (name in _MODULES or name.startswith(_INSIDE)):
            self._report(node, name, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if isinstance(ctx.parent, cst.Attribute) or not _names_matter(ctx.index.text) or ctx.is_claimed(node):
            return
        if not is_read(node, ctx):
            return
        if not is_imported(node, ctx):
            return
        name = ctx.qualified(node)
        if name is not None and (name in _MODULES or name.startswith(_INSIDE)):
            self._report(node, name, ctx)

    def _report(self, node: cst.BaseExpression, name: str, ctx: Context) -> None:
        if name in _SHORTENED and isinstance(ctx.parent, cst.Assign):
            return
        symbol, portable = _listed(name)
        message = f"`{name}` is CUDA's own"
        if portable is not None and len(portable) <= _LONGEST:
            message += f"; portable: `{portable}`"
        ctx.report(self, node, message, symbol=symbol)


def _listed(name: str) -> tuple[str, str | None]:
    """The key of the knowledge base for a dotted name, and the portable form that it has of it, if any.

    An attribute of a listed name (`torch.cuda.Event.from_ipc_handle`) counts as that name; what isn't listed
    keeps its name, or that of its family.
    """
    from uncuda.rules.knowledge import lookup

    if name.startswith("torch._C."):
        return "torch._C._cuda_*", None
    known = name
    while known not in _MODULES:
        entry = lookup(known)
        if entry is not None:
            return entry.symbol, entry.replacement if known == name else None
        known = known.rpartition(".")[0]
    return (f"{name}.*" if name == "torch.backends.cuda" else name), None
