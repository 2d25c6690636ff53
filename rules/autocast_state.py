"""Questions about autocast that mean CUDA's: `torch.is_autocast_enabled()`, `torch.get_autocast_gpu_dtype()`."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import FixBuilder
from uncuda.fixes.statements import guard_call, is_guarded
from uncuda.rules._amp import DeviceType, amp_name, names_cuda
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule

# Each function: how many arguments it has when it means CUDA (None: always), what to call with a device's type,
# and its key in the knowledge base.
_FUNCTIONS: dict[str, tuple[int | None, str, str]] = {
    "torch.is_autocast_enabled": (0, "is_autocast_enabled", "torch.is_autocast_enabled()"),
    "torch.get_autocast_gpu_dtype": (None, "get_autocast_dtype", "torch.get_autocast_gpu_dtype"),
    "torch.get_autocast_dtype": (-1, "get_autocast_dtype", "torch.get_autocast_gpu_dtype"),
    "torch.set_autocast_enabled": (1, "set_autocast_enabled", "torch.set_autocast_enabled(bool)"),
    "torch.set_autocast_gpu_dtype": (None, "set_autocast_dtype", "torch.set_autocast_gpu_dtype"),
    "torch.set_autocast_dtype": (-1, "set_autocast_dtype", "torch.set_autocast_gpu_dtype"),
}
_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)


class CudaAutocastState(Rule):
    """`torch.is_autocast_enabled()` asks whether CUDA's autocast is on, and no other device's.

    So does `torch.get_autocast_gpu_dtype()` (deprecated) for its dtype, and `torch.set_autocast_enabled(flag)`
    with one argument switches CUDA's. Code that casts by the answer does nothing under another accelerator's
    autocast: a kernel then gets float32 beside bfloat16. Since torch 2.4 the functions take the device's type.
    """

    code = "UC313"
    name = "cuda-autocast-state"
    triggers = ("is_autocast_enabled()", "set_autocast_enabled", "autocast_gpu_dtype", r"\bcuda\b")
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Unsafe: the same with CUDA, but on the CPU the questions are about the CPU's autocast, which may be on, and "
        "in bfloat16. What sets the state is left out there."
    )
    sources = (
        "torch 2.13.0, executed",
        "knowledge base: torch.is_autocast_enabled(), torch.get_autocast_gpu_dtype and their kin",
    )
    bad = (
        Bad(
            "import torch\n\n\ndef cast(x):\n    if torch.is_autocast_enabled():\n"
            "        return x.to(torch.get_autocast_gpu_dtype())\n    return x\n",
            f"import torch\n\n\ndef cast(x):\n    device = {_SELECT}\n"
            "    if torch.is_autocast_enabled(device.type):\n"
            "        return x.to(torch.get_autocast_dtype(device.type))\n    return x\n",
            Applicability.UNSAFE,
            count=2,
        ),
        Bad(
            "import torch\n\n\ndef full(f, dtype):\n    before = torch.is_autocast_enabled('cuda')\n"
            '    torch.set_autocast_enabled(False)\n    torch.set_autocast_dtype("cuda", dtype)\n    f()\n'
            "    torch.set_autocast_enabled(before)\n",
            f"import torch\n\n\ndef full(f, dtype):\n    device = {_SELECT}\n"
            '    before = torch.is_autocast_enabled(device.type)\n    if device.type != "cpu":\n'
            '        torch.set_autocast_enabled(device.type, False)\n    if device.type != "cpu":\n'
            '        torch.set_autocast_dtype(device.type, dtype)\n    f()\n    if device.type != "cpu":\n'
            "        torch.set_autocast_enabled(device.type, before)\n",
            Applicability.UNSAFE,
            count=4,
            id="set",
        ),
        Bad(
            "from torch import is_autocast_enabled\n\nx = 1 if is_autocast_enabled() else 2\n",
            f"import torch\nfrom torch import is_autocast_enabled\n\ndevice = {_SELECT}\n"
            "x = 1 if is_autocast_enabled(device.type) else 2\n",
            Applicability.UNSAFE,
            id="imported",
        ),
        Bad("import torch\n\non = torch.is_autocast_enabled()\n", None, floor=(2, 3), id="floor"),
        Bad(
            "import torch\n\n\ndef on(kind):\n    try:\n        return torch.is_autocast_enabled(kind)\n"
            "    except TypeError:\n        return torch.is_autocast_enabled()\n",
            None,
            id="older-torch",
        ),
    )
    good = (
        Good("import torch\n\non = torch.is_autocast_enabled(x.device.type)\n", "portable already"),
        Good("import torch\n\n\ndef on(kind):\n    return torch.is_autocast_enabled(device_type=kind)  # not cuda\n"),
        Good('import torch\n\non = torch.is_autocast_enabled("cpu")\n'),
        Good("import torch\n\ntorch.set_autocast_enabled(kind, False)\n"),
        Good("import torch\n\ndtype = torch.get_autocast_dtype(kind)\n"),
        Good("import torch\n\non = torch.is_autocast_cpu_enabled(), torch.is_autocast_cache_enabled()\n"),
        Good("def is_autocast_enabled():\n    return False\n\n\nis_autocast_enabled()\n", "one's own"),
        Good("import torch\n\nold = hasattr(torch, 'is_autocast_enabled')\n"),
        Good('"""torch.is_autocast_enabled() asks CUDA."""\n', "prose"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        name = amp_name(node.func, ctx)
        known = _FUNCTIONS.get(name) if name is not None else None
        if known is None or ctx.is_claimed(node) or any(a.star for a in node.args):
            return
        count, general, symbol = known
        literal = bool(node.args) and names_cuda(node.args[0].value)
        if not literal and count is not None and len(node.args) != count:
            return
        says = "asks about" if general.startswith(("is", "get")) else "sets"
        ctx.report(
            self,
            node,
            f"`{name}` {says} CUDA's autocast alone",
            symbol=symbol,
            claims=(node.args[0].value,) if literal else (),
            fix=lambda fix: self._fix(fix, node, general, literal),
            title="Name the device that is there",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, general: str, literal: bool) -> None:
        fix.unsafe()
        fix.needs("torch.get_autocast_dtype")
        kind = DeviceType(fix)
        func = fix.code(node.func)
        if not func.endswith(general):
            func = fix.name(f"torch.{general}")
        rest = [fix.code(a.value) for a in node.args[1 if literal else 0 :]]
        call = f"{func}({', '.join([kind.text, *rest])})"
        if general.startswith("set"):
            guard_call(fix, node, call, test="" if is_guarded(fix.ctx, node) else kind.is_accelerator)
        else:
            fix.replace(node, call)
