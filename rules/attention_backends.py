"""Which kernels attention may use: switches below `torch.backends.cuda`."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.rules._amp import by_name
from uncuda.rules._settings import CUDA, member
from uncuda.rules.base import Bad, Category, Good, Rule

_SWITCHES = frozenset(
    {
        "enable_flash_sdp",
        "enable_math_sdp",
        "enable_mem_efficient_sdp",
        "enable_cudnn_sdp",
        "allow_fp16_bf16_reduction_math_sdp",
        "flash_sdp_enabled",
        "math_sdp_enabled",
        "mem_efficient_sdp_enabled",
        "cudnn_sdp_enabled",
        "fp16_bf16_reduction_math_sdp_allowed",
    }
)
# They take an SDPAParams, which belongs to the question.
_ASKING = frozenset({"can_use_flash_attention", "can_use_efficient_attention", "can_use_cudnn_attention"})
_QUESTIONS = frozenset({*_ASKING, "SDPAParams", "is_flash_attention_available", "is_ck_sdpa_available"})
_CONTEXT = "sdp_kernel"
_NAMES = frozenset({*_SWITCHES, *_QUESTIONS, _CONTEXT})
_BACKENDS = {
    "enable_flash": "FLASH_ATTENTION",
    "enable_mem_efficient": "EFFICIENT_ATTENTION",
    "enable_math": "MATH",
    "enable_cudnn": "CUDNN_ATTENTION",
}


class CudaAttentionBackend(Rule):
    """Switches for attention kernels stand below `torch.backends.cuda`, but not all of them are CUDA's.

    `enable_flash_sdp` and its kin set global flags, on every build; the CPU's choice, and some devices',
    heeds them too, so that they can stay. Questions such as `can_use_flash_attention` are answered for CUDA's
    kernels alone: False elsewhere, whatever the device has. `sdp_kernel` is deprecated for
    `torch.nn.attention.sdpa_kernel`, which belongs to no device and takes a list of what may be used.
    """

    code = "UC323"
    name = "cuda-attention-backend"
    triggers = (r"\bcuda\b",)
    category = Category.POTENTIAL
    effort = 0
    fix_safety = (
        "Safe: `sdp_kernel` calls `sdpa_kernel` with the very list that is written; switches that aren't given are "
        "on. Not offered where a switch isn't plainly True or False."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch 2.4.1 to 2.12, backends/cuda: sdp_kernel calls sdpa_kernel",
        "knowledge base: torch.backends.cuda.sdp_kernel, enable_flash_sdp and their kin",
    )
    bad = (
        Bad(
            "import torch\n\n\ndef switches():\n    with torch.backends.cuda.sdp_kernel(enable_flash=False, enable_cudnn=False):\n"
            "        return torch.backends.mha.get_fastpath_enabled()\n",
            "import torch\n\n\ndef switches():\n"
            "    with torch.nn.attention.sdpa_kernel([torch.nn.attention.SDPBackend.EFFICIENT_ATTENTION, "
            "torch.nn.attention.SDPBackend.MATH]):\n"
            "        return torch.backends.mha.get_fastpath_enabled()\n",
            run="switches(), torch.backends.cuda.flash_sdp_enabled()",
        ),
        Bad(
            "import torch\nfrom torch.nn.attention import SDPBackend, sdpa_kernel\n\nb = torch.backends.cuda\n\n\n"
            "def switches(f):\n    with torch.backends.cuda.sdp_kernel(True, False, False, False):\n        return f()\n",
            "import torch\nfrom torch.nn.attention import SDPBackend, sdpa_kernel\n\nb = torch.backends.cuda\n\n\n"
            "def switches(f):\n    with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):\n        return f()\n",
            run="switches(lambda: (b.flash_sdp_enabled(), b.math_sdp_enabled(), b.mem_efficient_sdp_enabled(), "
            "b.cudnn_sdp_enabled()))",
            id="imported",
        ),
        Bad(
            "import torch\n\ntorch.backends.cuda.enable_flash_sdp(False)\nif torch.backends.cuda.math_sdp_enabled():\n    x = 1\n",
            None,
            count=2,
            id="switch",
        ),
        Bad(
            "from torch.backends.cuda import SDPAParams, can_use_flash_attention\n\n\ndef f(q, k, v):\n"
            "    return can_use_flash_attention(SDPAParams(q, k, v, None, 0.0, False, False))\n",
            None,
            id="question",
        ),
        Bad(
            "import torch\n\n\ndef f(config, flash):\n    with torch.backends.cuda.sdp_kernel(**config):\n        pass\n"
            "    with torch.backends.cuda.sdp_kernel(enable_flash=flash):\n        pass\n",
            None,
            count=2,
            id="not-literal",
        ),
    )
    good = (
        Good(
            "import torch\n\nwith torch.nn.attention.sdpa_kernel(b):\n    x = 1  # cuda\n",
            "belongs to no device",
        ),
        Good("from torch.nn.attention import SDPBackend\n\nb = SDPBackend.FLASH_ATTENTION  # cuda\n"),
        Good(
            "class Model:\n    def enable_flash_sdp(self):\n        pass\n\n\nModel().enable_flash_sdp()  # cuda\n"
        ),
        Good("def sdp_kernel():\n    pass\n\n\nsdp_kernel()  # torch.backends.cuda\n", "one's own"),
        Good("from torch.backends.cuda import sdp_kernel\n", "an import alone"),
        Good(
            "try:\n    from torch.backends.cuda import SDPAParams\nexcept ImportError:\n    SDPAParams = None\n",
            "an import alone",
        ),
        Good(
            '"""torch.backends.cuda.sdp_kernel()"""\n# torch.backends.cuda.enable_flash_sdp(True)\n', "prose"
        ),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = self._name(node.func, ctx)
        if name is not None:
            self._report(node, name, ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in _NAMES and not ctx.is_claimed(node) and member(node, ctx, CUDA) in _NAMES:
            self._report(node, node.attr.value, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if not ctx.is_claimed(node):
            name = member(node, ctx, CUDA)
            if name in _NAMES:
                self._report(node, name, ctx)

    def _name(self, func: cst.BaseExpression, ctx: Context) -> str | None:
        name = member(func, ctx, CUDA)
        return name if name in _NAMES else None

    def _report(self, node: cst.BaseExpression, name: str, ctx: Context) -> None:
        if name == _CONTEXT:
            says = "is deprecated for `torch.nn.attention.sdpa_kernel`"
        elif name in _SWITCHES:
            says = "does no harm on other devices, which may heed it or not"
        else:
            says = "tells of CUDA's attention kernels alone"
        call = node if isinstance(node, cst.Call) and name == _CONTEXT else None
        ctx.report(
            self,
            node,
            f"`{CUDA}{name}` {says}",
            symbol=f"{CUDA}{name}",
            claims=tuple(a.value for a in node.args)
            if name in _ASKING and isinstance(node, cst.Call)
            else (),
            fix=(lambda fix: self._fix(fix, call)) if call is not None else None,
            title="Name the kernels by torch.nn.attention",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call) -> None:
        from uncuda.rules.knowledge import parameters

        known = parameters("torch.backends.cuda.sdp_kernel")
        given = by_name(node, known)
        if given is None or not set(given) <= set(known):
            raise CannotFix("the switches aren't known")
        fix.needs("sdp_kernel is sdpa_kernel")
        wanted: list[str] = []
        backend = self._spell(fix, "SDPBackend")
        for switch, name in _BACKENDS.items():
            code = fix.code(given[switch].value) if switch in given else "True"
            if code not in ("True", "False"):
                raise CannotFix("a switch isn't plainly True or False")
            if code == "True":
                wanted.append(f"{backend}.{name}")
        fix.replace(node, f"{self._spell(fix, 'sdpa_kernel')}([{', '.join(wanted)}])")

    def _spell(self, fix: FixBuilder, name: str) -> str:
        full = f"torch.nn.attention.{name}"
        return fix.ctx.local_name(full) or fix.name(full)
