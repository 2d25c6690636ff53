"""Devices given to calls: `device="cuda"`, `torch.Generator("cuda")`."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import argument
from uncuda.rules._foreign import is_foreign
from uncuda.rules._indexes import is_current
from uncuda.rules._literals import asserts_cuda, choices, cuda_text, in_cuda_class
from uncuda.rules._spellings import device_for, text_for
from uncuda.rules.base import Applicability, Bad, Good, Rule

_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)

# Where the device may stand without its keyword.
_POSITIONS = {"torch.Generator": 0, "torch._C.Generator": 0, "torch.as_tensor": 2}
# Families that other rules know.
_ELSEWHERE = (
    "torch.cuda.",
    "torch.autocast",
    "torch.amp.",
    "torch.distributed.",
    "torch.profiler.",
    "torch.autograd.",
)
_METHODS = frozenset(("new_empty", "new_full", "new_ones", "new_tensor", "new_zeros", "new_empty_strided"))


class CudaDeviceArgument(Rule):
    """`device="cuda"` asks a call for CUDA, whatever the machine has.

    Torch's own factories, modules and generators raise without CUDA. Given the accelerator that is there they do
    the same on CUDA and work elsewhere; an index is kept. What a call of another library does with the text is its own
    affair: it gets text again.
    """

    code = "UC103"
    name = "cuda-device-argument"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 60
    fix_safety = (
        "Safe for torch's own calls and for `new_zeros` and kin: with CUDA the same device, without it they always raised. "
        "Unsafe for other calls, which get the device as text. Random numbers differ between kinds of device."
    )
    sources = ("torch 2.13.0, executed", 'knowledge base: device="cuda" argument')
    bad = (
        Bad(
            'import torch\n\nx = torch.zeros(2, device="cuda")\n',
            f"import torch\n\ndevice = {_DEVICE}\nx = torch.zeros(2, device=device)\n",
            run="x",
        ),
        Bad(
            "import torch\n\n\ndef f(n):\n    g = torch.Generator('cuda').manual_seed(0)\n    return g\n",
            f"import torch\n\n\ndef f(n):\n    device = {_DEVICE}\n"
            "    g = torch.Generator(device).manual_seed(0)\n    return g\n",
            run="f(1).initial_seed()",
            id="position",
        ),
        Bad(
            "import torch as th\nfrom torch import nn\n\n\ndef f(device_id):\n"
            '    return nn.Linear(\n        2,\n        2,  # out\n        device=f"cuda:{device_id}",\n    )\n',
            "import torch as th\nfrom torch import nn\n\n\ndef f(device_id):\n"
            f"    device = {_DEVICE.replace('torch.', 'th.')}\n"
            '    return nn.Linear(\n        2,\n        2,  # out\n        device=f"{device.type}:{device_id}",\n    )\n',
            run="f(0).weight.shape",
            id="f-string",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor):\n    return x.new_zeros(3, device='cuda:1')\n",
            f"import torch\n\n\ndef f(x: torch.Tensor):\n    device = {_DEVICE}\n"
            "    return x.new_zeros(3, device=torch.device(device.type, 1))\n",
            run="f(torch.ones(1))",
            id="method",
        ),
        Bad(
            "import torch\n\n\ndef f(gpu):\n    return torch.ones(2, device='cuda:%s' % gpu['id'])\n",
            f"import torch\n\n\ndef f(gpu):\n    device = {_DEVICE}\n"
            "    return torch.ones(2, device=f\"{device.type}:{gpu['id']}\")\n",
            run="f({'id': '0'})",
            id="percent",
        ),
        Bad(
            "import torch\n\n\ndef f(n):\n    a = torch.zeros(n, device=torch.cuda.current_device())\n"
            "    return a, torch.ones(n, device=f'cuda:{a.device.index}')\n",
            f"import torch\n\n\ndef f(n):\n    device = {_DEVICE}\n    a = torch.zeros(n, device=device)\n"
            "    return a, torch.ones(n, device=a.device)\n",
            count=2,
            run="f(2)",
            id="current-and-same",
        ),
        Bad(
            'import torch\n\n\ndef f(device=None):\n    return torch.ones(1, device=device or "cuda")\n',
            f"import torch\n\n\ndef f(device=None):\n    accelerator = {_DEVICE}\n"
            "    return torch.ones(1, device=device or accelerator)\n",
            run="f()",
            id="or",
        ),
        Bad(
            'import functools\nimport torch\n\n\ndef f():\n    make = functools.partial(torch.ones, device="cuda")\n'
            "    return make(2)\n",
            f"import functools\nimport torch\n\n\ndef f():\n    device = {_DEVICE}\n"
            "    make = functools.partial(torch.ones, device=device)\n    return make(2)\n",
            run="f()",
            id="partial",
        ),
        Bad(
            'import torch\n\n\ndef f(path):\n    return load_encoder(path, device="cuda")\n',
            f"import torch\n\n\ndef f(path):\n    device = {_DEVICE}\n    return load_encoder(path, device=device.type)\n",
            Applicability.UNSAFE,
            id="other-call",
        ),
        Bad('import torch\n\nx = torch.zeros(2, device="cuda")\n', None, floor=(2, 5), id="floor"),
        Bad(
            "import torch\n\n\ndef test_options():\n    options = make(device='cuda')\n"
            "    assert options['device'] == 'cuda'\n",
            None,
            id="asked-back",
        ),
        Bad("import warp as wp\n\nx = wp.zeros(3, device='cuda:0')\n", None, id="names-of-its-own"),
    )
    good = (
        Good("def test_options():\n    assert make(device='cpu')['device'] == 'cpu'  # not cuda\n"),
        Good('import torch\n\nx = torch.zeros(2, device="cpu")\n'),
        Good('import torch\n\nx = torch.zeros(2, device=device)\n'),
        Good('import torch\n\nx = torch.zeros(2, device=0)\n', "an index is portable already"),
        Good('import torch\n\nwith torch.autocast(device_type="cuda"):\n    pass\n', "told by the autocast rule"),
        Good('import torch\n\nx = torch.ones(1, device="cuda" if torch.cuda.is_available() else "cpu")\n', "UC201"),
        Good('make(toolkit="cuda")\n', "not a device"),
        Good('make(device="cuda-quadro")\n', "not a torch device"),
        Good('# torch.zeros(2, device="cuda")\nx = 1\n', "a comment"),
        Good('"""torch.zeros(2, device="cuda")"""\n', "prose"),
        Good('make({"device=cuda": 1})\n', "a dict key"),
        Good('import torch\n\ng = torch.Generator("cpu")\n'),
        Good('class CudaBackend:\n    def make(self):\n        return Stream(device="cuda")\n', "the CUDA side of an interface"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not node.args or ctx.is_claimed(node):
            return
        name = ctx.qualified(node.func)
        if name is not None and name.startswith(_ELSEWHERE):
            return
        position = _POSITIONS.get(name) if name is not None else None
        given = argument(node, "device", position)
        if given is None:
            return
        for literal in choices(given.value, ctx):
            known = _is_torch(node, name, ctx)
            if cuda_text(literal) is None and not (known and is_current(literal, ctx)):
                continue
            if ctx.is_claimed(literal):
                continue
            if not known and in_cuda_class(ctx):
                continue
            called = name if name is not None else _last(node.func)
            ctx.report(
                self,
                literal,
                f"`{called}` is asked for CUDA" if called else "the call is asked for CUDA",
                symbol='torch.Generator(device="cuda")' if position == 0 else 'device="cuda" argument',
                claims=(literal,),
                fix=lambda fix, literal=literal, known=known: _fix(fix, literal, known, is_foreign(name)),  # type: ignore[misc]
                title="Use the device that is there",
            )


def _fix(fix: FixBuilder, literal: cst.BaseExpression, known: bool, foreign: bool) -> None:
    if is_current(literal, fix.ctx):
        fix.replace(literal, fix.device())
    elif known:
        fix.replace(literal, device_for(fix, literal))
    elif foreign:
        raise CannotFix("the library knows no other accelerator")
    elif asserts_cuda(fix.ctx):
        raise CannotFix("a test asks for that very text back")
    else:
        fix.unsafe()
        fix.replace(literal, text_for(fix, literal))


def _is_torch(node: cst.Call, name: str | None, ctx: Context) -> bool:
    """A call of torch itself, of a method that only tensors have, or a `partial` of either."""
    if name is None:
        return _last(node.func) in _METHODS
    if name == "functools.partial":
        inner = ctx.qualified(node.args[0].value)
        return inner is not None and inner.startswith("torch.")
    return name.startswith("torch.")


def _last(func: cst.BaseExpression) -> str:
    if isinstance(func, cst.Attribute):
        return func.attr.value
    return func.value if isinstance(func, cst.Name) else ""
