"""What kind of device it is: names, properties, versions, compute capability, bfloat16."""

from __future__ import annotations

import re
from itertools import pairwise

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import (
    caught,
    device_module,
    is_discarded,
    is_guarded,
    keeps_raising,
    on_module,
)
from uncuda.guards import Guard
from uncuda.rules._calls import cuda_function, is_read, is_shown, literal_device, module_says
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.rules.memory import device_arguments

_PORTABLE_PROPERTIES = ("total_memory", "name")
_INFO = frozenset(
    {
        "get_device_name",
        "get_device_properties",
        "utilization",
        "temperature",
        "power_draw",
        "clock_rate",
        "memory_usage",
        "list_gpu_processes",
        "device_memory_used",
    }
)
_CAPABILITY = frozenset({"get_device_capability", "is_tf32_supported"})


def _literals(node: cst.Call, ctx: Context) -> tuple[cst.CSTNode, ...]:
    return tuple(a.value for a in node.args if literal_device(a.value, ctx) is not None)


_GENERATION = re.compile(r"\.(?:major|minor)\b")
_NVIDIA = re.compile(
    r"""[."'](?:gcnArchName|multi_processor_count|warp_size|shared_memory_per_\w+|regs_per_\w+|max_threads_per_\w+|L2_cache_size|pci_\w+)\b"""
)


class CudaDeviceInfo(Rule):
    """The name, the properties and the load of a CUDA device: asking for them raises elsewhere.

    The modules of most other accelerators answer `get_device_name()` and `get_device_properties()` too, the
    latter with a name and the total memory and little else; MPS and the CPU answer neither. Load,
    temperature and processes come from NVIDIA's management library.
    """

    code = "UC208"
    name = "cuda-device-info"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 3
    fix_safety = (
        "Safe for a name that is only shown and for `.total_memory` and `.name` of the properties: the "
        "same call with "
        "CUDA, and without an accelerator it raised before. Unsafe for a name or properties that go on to "
        "other code, and under a guard: one that any accelerator passes then asks for the properties too, since MPS has none. "
        "Not offered where such a guard stands elsewhere, nor for what has no counterpart."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.get_device_name and its kin")
    bad = (
        Bad(
            'import torch\n\ndevice = "cuda" if torch.cuda.is_available() else "cpu"\n'
            'print(f"running on {torch.cuda.get_device_name(0)}")\n',
            'import torch\n\ndevice = "cuda" if torch.cuda.is_available() else "cpu"\n'
            "print(f\"running on {getattr(torch.get_device_module(), 'get_device_name', lambda _: device)(0)}\")\n",
            run="None",
            id="shown",
        ),
        Bad(
            "import torch\n\n\ndef show(device):\n    torch.cuda.get_device_name(device)\n"
            "    print(torch.cuda.get_device_name(device))\n",
            "import torch\n\n\ndef show(device):\n"
            "    device_module = torch.get_device_module()\n"
            '    if hasattr(device_module, "get_device_name"):\n'
            "        device_module.get_device_name(device)\n"
            '    print(getattr(device_module, "get_device_name", str)(device))\n',
            count=2,
            run="None",
            id="of-a-device",
        ),
        Bad(
            "import torch\n\ndevice = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\n"
            "gpu = torch.cuda.get_device_name()\n",
            "import torch\n\ndevice = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\n"
            'gpu = getattr(torch.get_device_module(), "get_device_name", lambda: device.type)()\n',
            Applicability.UNSAFE,
            id="kept",
        ),
        Bad(
            "import torch\n\ngib = torch.cuda.get_device_properties('cuda:0').total_memory / 2**30\n",
            "import torch\n\ngib = torch.get_device_module().get_device_properties(0).total_memory / 2**30\n",
            run="gib",
            id="memory",
        ),
        Bad(
            "import torch\n\nprops = torch.cuda.get_device_properties('cuda')\n",
            "import torch\n\nprops = torch.get_device_module().get_device_properties(None)\n",
            Applicability.UNSAFE,
            floor=(2, 5),
            id="before-2.6",
        ),
        Bad(
            "import torch\n\nprops = torch.cuda.get_device_properties(0)\n",
            "import torch\n\nprops = torch.get_device_module().get_device_properties(0)\n",
            Applicability.UNSAFE,
            id="properties",
        ),
        Bad(
            "import torch\n\n\ndef show():\n    if torch.accelerator.is_available():\n"
            "        props = torch.cuda.get_device_properties(0)\n        print(props.name, props.total_memory)\n",
            "import torch\n\n\ndef show():\n"
            '    if torch.accelerator.is_available() and hasattr(torch.get_device_module(), "get_device_properties"):\n'
            "        props = torch.get_device_module().get_device_properties(0)\n        print(props.name, props.total_memory)\n",
            Applicability.UNSAFE,
            id="guarded",
        ),
        Bad(
            "import torch\n\n\ndef fits(n):\n    if not torch.accelerator.is_available():\n        return True\n"
            "    return n < torch.cuda.get_device_properties(0).total_memory\n",
            None,
            id="left-before",
        ),
        Bad(
            "import torch\n\n\ndef arch(i):\n    return torch.cuda.get_device_properties(i).gcnArchName\n",
            None,
            id="of-amd",
        ),
        Bad(
            "import torch\n\nsms = torch.cuda.get_device_properties(0).multi_processor_count\n",
            None,
            id="processors",
        ),
        Bad("import torch\n\nload = torch.cuda.utilization(0)\n", None, id="load"),
    )
    good = (
        Good("import torch\n\nprint(torch.__version__)\n"),
        Good("import torch\n\nprint(torch.version.cuda)\n", "a version has its own rule"),
        Good(
            "import torch\n\nprint(torch.get_device_module().get_device_properties(0).name)\n",
            "portable already",
        ),
        Good("import torch\n\nprint(torch.xpu.get_device_name(0))\n", "another vendor's"),
        Good(
            "class Gpu:\n    def get_device_name(self):\n        return ''\n\n\n"
            "Gpu().get_device_name()  # cuda\n"
        ),
        Good("from pynvml import cuda\n\ncuda.utilization()\n", "not torch"),
        Good("import jax.version as version\n\nprint(version.cuda)\n", "not torch"),
        Good("def f(torch):\n    return torch.cuda.get_device_name(0)\n", "torch is a parameter here"),
        Good('"""See torch.cuda.get_device_properties."""\n', "prose"),
        Good("# torch.cuda.get_device_name(0)\nx = 1\n", "a comment"),
        Good("cfg = {'version': {'cuda': '12.4'}}\n", "a dict key"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = cuda_function(node.func, ctx, _INFO)
        if name is None or (name == "get_device_properties" and _asks_capability(ctx)):
            return
        fixes = name in ("get_device_name", "get_device_properties")
        ctx.report(
            self,
            node,
            f"`torch.cuda.{name}()` asks about a CUDA device",
            symbol=f"torch.cuda.{name}",
            claims=_literals(node, ctx),
            fix=(lambda fix: self._fix(fix, node, name)) if fixes else None,
            title="Ask the device's own module",
        )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        if node.attr.value in _INFO and is_read(node, ctx):
            name = cuda_function(node, ctx, _INFO)
            if name is not None:
                ctx.report(
                    self, node, f"`torch.cuda.{name}()` asks about a CUDA device", symbol=f"torch.cuda.{name}"
                )

    def _fix(self, fix: FixBuilder, node: cst.Call, name: str) -> None:
        arguments = device_arguments(fix, node)
        if keeps_raising(fix, node, "AttributeError") or name == "get_device_properties":
            if name == "get_device_properties":
                parent, _ = fix.ctx.parent_of(node)
                if isinstance(parent, cst.Attribute) and parent.attr.value not in _PORTABLE_PROPERTIES:
                    raise CannotFix("other devices don't have this property")
                around = fix.ctx.function
                if around is not None and _GENERATION.search(fix.code(around)):
                    raise CannotFix("the function asks for NVIDIA's compute capability")
                if around is not None and _NVIDIA.search(fix.code(around)):
                    raise CannotFix("the function asks for what NVIDIA and AMD alone tell")
                if not isinstance(parent, cst.Attribute) or is_guarded(fix.ctx, node):
                    fix.unsafe()
                if fix.ctx.guard(node) is Guard.ACCELERATOR and not caught(fix.ctx, node):
                    _ask_for(fix, node, name)
            fix.replace(node.func, f"{device_module(fix)}.{name}")
            if arguments is not None:
                fix.arguments(node, arguments or self._current(fix, name))
            return
        if is_discarded(fix.ctx, node):
            on_module(fix, node, name, arguments=arguments)
            return
        if not is_shown(fix.ctx):
            fix.unsafe()
        if name == "get_device_name" and arguments is None and _is_name(node):
            # The device itself says enough where it has no name.
            fix.replace(
                node, f'getattr({device_module(fix, 2)}, "{name}", str)({fix.code(node.args[0].value)})'
            )
        else:
            on_module(fix, node, name, fix.device_type(), arguments=arguments)

    def _current(self, fix: FixBuilder, name: str) -> str:
        """What stands for the current device: properties had to be asked of one before torch 2.6."""
        if name != "get_device_properties":
            return ""
        if not fix.has("get_device_properties without a device"):
            return "None"
        fix.needs("get_device_properties without a device")
        return ""


def _ask_for(fix: FixBuilder, node: cst.Call, name: str) -> None:
    """Lets nobody in who can't answer: MPS comes to pass the guard around, and its module has no properties."""
    path = [*fix.ctx.parent_of(node)[1], node]
    for above, below in reversed(list(pairwise(path))):
        if isinstance(above, (cst.FunctionDef, cst.Lambda)):
            break
        if isinstance(above, cst.If) and f'"{name}")' in fix.code(above.test):
            return
        if isinstance(above, cst.If) and below is above.body and _asks(above.test, fix.ctx):
            module = fix.spelling().module
            fix.replace(above.test, f'{fix.code(above.test)} and hasattr({module}, "{name}")')
            return
    raise CannotFix("MPS, which has no properties, would pass the guard")


def _asks(test: cst.BaseExpression, ctx: Context) -> bool:
    return isinstance(test, cst.Call) and ctx.qualified(test.func) == "torch.accelerator.is_available"


def _is_name(node: cst.Call) -> bool:
    """Is a call given one argument, and that by a name?"""
    return len(node.args) == 1 and isinstance(node.args[0].value, (cst.Name, cst.Attribute))


def _asks_capability(ctx: Context) -> bool:
    return isinstance(ctx.parent, cst.Attribute) and ctx.parent.attr.value in ("major", "minor")


class CudaCapabilityGate(Rule):
    """Compute capability, the (8, 0) of an A100, means nothing off NVIDIA, where code decides by it.

    Asking raises on most accelerators and gives None on Ascend, so that the comparison raises. On ROCm the
    gfx number answers, and passes `>= (8, 0)` by accident. A gate before an NVIDIA kernel is right to stay;
    it wants `torch.cuda.is_available()` (and `torch.version.hip is None`) before it. Where the gate is
    about a feature, ask for the feature: bfloat16 by `is_bf16_supported()`, a kernel by trying to import
    it. Never `torch.accelerator.get_device_capability()`: it has the name, and gives a dict of supported
    types.
    """

    code = "UC209"
    name = "cuda-capability-gate"
    triggers = (r"\bcuda\b",)
    effort = 3
    priority = 45
    fix_safety = (
        "A guard before the comparison is shown, not applied: what the gate protects has to be looked at."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.get_device_capability")
    bad = (
        Bad("import torch\n\nok = torch.cuda.get_device_capability() >= (8, 0)\n", None),
        Bad("import torch\n\nmajor, minor = torch.cuda.get_device_capability(0)\n", None, id="unpacked"),
        Bad(
            "import torch\n\n\ndef flash(x):\n"
            "    return torch.cuda.is_available() and torch.cuda.get_device_capability(x.device)[0] >= 8\n",
            None,
            id="guarded",
        ),
        Bad("import torch\n\nok = torch.cuda.get_device_properties('cuda').major >= 9\n", None, id="major"),
        Bad("import torch\n\ntf32 = torch.cuda.is_tf32_supported()\n", None, id="tf32"),
    )
    good = (
        Good(
            "import torch\n\ncan = torch.accelerator.get_device_capability()\n",
            "another thing by the same name",
        ),
        Good("import torch\n\nok = torch.version.hip is None\n"),
        Good(
            "class Gpu:\n    def get_device_capability(self):\n        return (8, 0)\n\n\n"
            "Gpu().get_device_capability()  # cuda\n"
        ),
        Good("from numba import cuda\n\ncc = cuda.get_current_device().compute_capability\n", "not torch"),
        Good('"""Needs torch.cuda.get_device_capability() >= (8, 0)."""\n', "prose"),
        Good("capability = {'cuda': (8, 0)}\n", "a dict"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = cuda_function(node.func, ctx, _CAPABILITY)
        if name is not None:
            self._report(node, name, _literals(node, ctx), ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        if node.attr.value in ("major", "minor") and isinstance(node.value, cst.Call):
            if cuda_function(node.value.func, ctx, ("get_device_properties",)):
                self._report(node, "get_device_capability", (node.value,), ctx)
        elif node.attr.value in _CAPABILITY and is_read(node, ctx):
            name = cuda_function(node, ctx, _CAPABILITY)
            if name is not None:
                self._report(node, name, (), ctx)

    def _report(
        self, node: cst.BaseExpression, name: str, claims: tuple[cst.CSTNode, ...], ctx: Context
    ) -> None:
        ctx.report(
            self,
            node,
            "an NVIDIA architecture decides: AMD's number passes by accident, others have none"
            if name == "get_device_capability"
            else "TF32 is a mode of NVIDIA's, and few others'",
            symbol=f"torch.cuda.{name}",
            claims=claims,
            fix=lambda fix: self._guard(fix, node),
            title="Ask for CUDA first",
        )

    def _guard(self, fix: FixBuilder, node: cst.BaseExpression) -> None:
        """`torch.cuda.is_available() and` before the comparison, to look at."""
        if is_guarded(fix.ctx, node):
            raise CannotFix("a guard is there")
        for above in reversed(fix.ctx.ancestors):
            if isinstance(above, cst.Comparison):
                fix.display()
                available = fix.name("torch.cuda.is_available")
                fix.replace(above, f"{available}() and {fix.code(above)}")
                return
            if not isinstance(above, (cst.Subscript, cst.Attribute, cst.ComparisonTarget, cst.Call, cst.Arg)):
                break
        raise CannotFix("no comparison to guard")


class CudaBf16Check(Rule):
    """`torch.cuda.is_bf16_supported()` says no on every accelerator but CUDA and ROCm.

    Nothing raises: the program falls back to float16 or float32 on hardware that has bfloat16 (Ascend, XPU,
    Gaudi). The modules of most accelerators have the function under the same name; the CPU's and MPS's have
    not, where the answer stays False.
    """

    code = "UC218"
    name = "cuda-bf16-check"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe: the same call with CUDA, False without an accelerator, as before. On a ROCm build without a "
        "GPU it "
        "said True before and says False now. With an argument it is unsafe: Cambricon's function takes none."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch_mlu: torch_mlu/mlu/__init__.py, is_bf16_supported()",
        "knowledge base: torch.cuda.is_bf16_supported",
    )
    bad = (
        Bad(
            "import torch\n\ndtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16\n",
            'import torch\n\ndtype = torch.bfloat16 if getattr(torch.get_device_module(), "is_bf16_supported", '
            "lambda: False)() else torch.float16\n",
            run="dtype",
        ),
        Bad(
            "import torch\n\nfp16 = not torch.cuda.is_bf16_supported()\n",
            'import torch\n\nfp16 = not getattr(torch.get_device_module(), "is_bf16_supported", lambda: False)()\n',
            run="fp16",
            id="negated",
        ),
        Bad(
            "import torch\n\n\ndef args(make):\n    return make(\n"
            "        bf16=torch.cuda.is_bf16_supported(),\n"
            "        fp16=False,\n    )\n",
            "import torch\n\n\ndef args(make):\n    return make(\n"
            '        bf16=getattr(torch.get_device_module(), "is_bf16_supported", lambda: False)(),\n'
            "        fp16=False,\n    )\n",
            run="args(dict)",
            id="argument",
        ),
        Bad(
            "import torch\n\nok = torch.cuda.is_available() and "
            "torch.cuda.is_bf16_supported(including_emulation=False)\n",
            "import torch\n\nok = torch.cuda.is_available() and getattr(torch.get_device_module(), "
            '"is_bf16_supported", lambda **_: False)(including_emulation=False)\n',
            applicability=Applicability.UNSAFE,
            run="ok",
            id="and",
        ),
        Bad("import torch\n\nok = torch.cuda.is_bf16_supported()\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good("import torch\n\nok = torch.npu.is_bf16_supported()\n", "another vendor's"),
        Good("import torch\n\nok = torch.get_device_module().is_bf16_supported()\n"),
        Good("def is_bf16_supported():\n    return True\n\n\nis_bf16_supported()  # cuda\n", "one's own"),
        Good("'torch.cuda.is_bf16_supported()'\n", "prose"),
        Good("cfg = {'is_bf16_supported': 'cuda'}\n", "a dict key"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node) or not cuda_function(node.func, ctx, ("is_bf16_supported",)):
            return

        ctx.report(
            self,
            node,
            "`torch.cuda.is_bf16_supported()` says no on other accelerators",
            symbol="torch.cuda.is_bf16_supported",
            fix=lambda fix: self._ask(fix, node),
            title="Ask the device's own module",
        )

    def _ask(self, fix: FixBuilder, node: cst.Call) -> None:
        if node.args:
            fix.unsafe()
        module_says(fix, node, "is_bf16_supported")
