"""Everything else under `torch.cuda` and `torch.backends.cuda`."""

from __future__ import annotations

import re
from functools import lru_cache

import libcst as cst

from uncuda.context import Context
from uncuda.findings import Outcome, Target
from uncuda.flow import string_value
from uncuda.rules._calls import is_imported
from uncuda.rules.base import Bad, Good, Rule

_MODULES = ("torch.cuda", "torch.backends.cuda")
# Longer portable forms are for `explain`.
_LONGEST = 70
_INSIDE = ("torch.cuda.", "torch.backends.cuda.", "torch._C._cuda")
_IMPORTS = re.compile(
    r"^[ \t]*from[ \t]+torch\.(?:backends\.)?cuda\b"
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
    (`torch.get_device_module()`), raw handles and NVIDIA's libraries have none. The module passed around
    (`backend = torch.cuda`, `getattr(torch, "cuda")`) hides what is used of it.
    """

    code = "UC299"
    name = "cuda-api"
    triggers = ("cuda",)
    effort = 3
    priority = 90
    sources = ("knowledge base: the members of torch.cuda",)
    bad = (
        Bad("import torch\n\nh = torch.cuda.current_blas_handle()\n", None),
        Bad("import torch\n\nbackend = torch.cuda\n", None, id="module"),
        Bad('import torch\n\nbackend = getattr(torch, "cuda")\n', None, id="getattr"),
        Bad('import torch\n\nif hasattr(torch.cuda, "cudart"):\n    x = 1\n', None, id="hasattr"),
        Bad(
            "from torch.cuda import default_generators as g\n\nseed = g[0].initial_seed()\n",
            None,
            id="imported",
        ),
        Bad("import torch\n\nok = torch.cuda.can_device_access_peer(0, 1)\n", None, id="peer"),
        Bad("import torch\n\ntorch.cuda._sleep(1000)\n", None, id="private"),
        Bad("import torch\n\nn = torch.backends.cuda.cufft_plan_cache.size\n", None, id="backend"),
        Bad("import torch\n\nn = torch._C._cuda_getDeviceCount()\n", None, id="binding"),
        Bad("import torch\n\nlib = torch.cuda.cudart()\nlib.cudaProfilerStart()\n", None, id="runtime"),
    )
    good = (
        Good("import torch.cuda\n", "an import alone"),
        Good("from torch.cuda import default_generators\n", "an import alone"),
        Good("from torch import cuda\n", "an import alone"),
        Good("import torch\n\nok = hasattr(torch, 'cuda')\n", "it always has"),
        Good("from numba import cuda\n\n\n@cuda.jit\ndef f(x):\n    pass\n", "not torch"),
        Good("import cupy\n\ncupy.cuda.Device(0).use()\n", "not torch"),
        Good("class Config:\n    cuda = True\n\n\nprint(Config.cuda)\n", "an attribute of one's own"),
        Good("def f(torch):\n    return torch.cuda.cudart()\n", "torch is a parameter here"),
        Good("def f(cuda):\n    return cuda.cudart()\n", "a parameter"),
        Good('"""torch.cuda.cudart() is CUDA\'s own."""\n# torch.cuda.cudart()\n', "prose"),
        Good("import mytorch as torch\n\ntorch.cuda.cudart()\n", "another package under the name"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not isinstance(node.func, cst.Name) or len(node.args) < 2 or ctx.is_claimed(node):
            return
        if node.func.value not in ("getattr", "hasattr"):
            return
        owner, asked = ctx.qualified(node.args[0].value), string_value(node.args[1].value)
        if owner == "torch" and asked == "cuda" and node.func.value == "getattr":
            self._report(node, "torch.cuda", ctx)
        elif owner in _MODULES:
            if node.func.value == "hasattr":
                self._feature_test(node, owner, asked, ctx)
            elif asked is not None:
                ctx.claim(node.args[0].value)
                self._report(node, f"{owner}.{asked}", ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if isinstance(ctx.parent, cst.Attribute) or ctx.is_claimed(node):
            return
        name = ctx.qualified(node)
        if name is not None and (name in _MODULES or name.startswith(_INSIDE)):
            self._report(node, name, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if isinstance(ctx.parent, cst.Attribute) or not _names_matter(ctx.index.text) or ctx.is_claimed(node):
            return
        if not is_imported(node, ctx):
            return
        name = ctx.qualified(node)
        if name is not None and (name in _MODULES or name.startswith(_INSIDE)):
            self._report(node, name, ctx)

    def _feature_test(self, node: cst.Call, owner: str, asked: str | None, ctx: Context) -> None:
        """`hasattr(torch.cuda, "x")`: the module is there in every build."""
        table = {t: Outcome.WORKS if t is Target.ROCM else Outcome.HARMLESS for t in Target}
        ctx.report(
            self,
            node,
            f"asks what `{owner}` has, not what the device can do",
            symbol=_listed(owner if asked is None else f"{owner}.{asked}")[0],
            outcomes=table,
            claims=(node.args[0].value,),
        )

    def _report(self, node: cst.BaseExpression, name: str, ctx: Context) -> None:
        symbol, portable = _listed(name)
        if name in _MODULES:
            message = f"`{name}` is passed around as a module: what is used of it can't be seen"
        else:
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
            return known, entry.replacement if known == name else None
        known = known.rpartition(".")[0]
    return (f"{name}.*" if name == "torch.backends.cuda" else name), None
