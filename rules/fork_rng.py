"""Random numbers drawn aside: `torch.random.fork_rng()`, which looks after CUDA's generators alone."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.arguments import change_arguments
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import argument
from uncuda.rules._calls import calls_of
from uncuda.rules._literals import cuda_text
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.values import Kind

_NAMES = frozenset({"torch.random.fork_rng"})
_COUNT = "torch.cuda.device_count"


class CudaForkRng(Rule):
    """`torch.random.fork_rng()` keeps the CPU's random state and CUDA's, and no other device's, before torch 2.13.

    Its `device_type` is "cuda" unless it is given. On another accelerator the numbers drawn inside the block
    change those drawn after it; with `devices=[…]` it asks CUDA for their state and raises. `devices=[]` keeps
    the CPU's alone, and isn't told.
    """

    code = "UC303"
    name = "cuda-fork-rng"
    triggers = ("fork_rng",)
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe: the same generators with CUDA, the CPU's alone without an accelerator. The devices are counted, "
        "because the CPU has no random state of its own to ask for by that way. CUDA's warning that forking many "
        "devices is slow is no longer given."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch 2.4 to 2.12, torch/random.py: device_type is 'cuda'; 2.13: the current accelerator",
        'knowledge base: torch.random.fork_rng(device_type="cuda")',
    )
    bad = (
        Bad(
            "import torch\n\n\ndef aside(f, device=None):\n    with torch.random.fork_rng():\n        return f()\n",
            "import torch\n\n\ndef aside(f, device=None):\n"
            "    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() "
            'else torch.device("cpu")\n'
            "    with torch.random.fork_rng(devices=range(torch.accelerator.device_count()), "
            "device_type=accelerator.type):\n        return f()\n",
            setup="torch.manual_seed(1)",
            run="aside(lambda: torch.rand(1)), torch.rand(1)",
        ),
        Bad(
            "import torch\n\ndevice = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\n"
            "with torch.random.fork_rng(devices=range(torch.cuda.device_count()), enabled=True):\n"
            "    x = torch.rand(1)\n",
            "import torch\n\ndevice = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\n"
            "with torch.random.fork_rng(devices=range(torch.accelerator.device_count()), enabled=True, "
            "device_type=device.type):\n    x = torch.rand(1)\n",
            setup="torch.manual_seed(1)",
            run="x, torch.rand(1)",
            id="counted",
        ),
        Bad(
            "import torch\n\n\ndef aside(f):\n    n = torch.random.fork_rng(list(range(torch.cuda.device_count())))\n"
            "    with n:\n        return f()\n",
            "import torch\n\n\ndef aside(f):\n"
            "    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() "
            'else torch.device("cpu")\n'
            "    n = torch.random.fork_rng(list(range(torch.accelerator.device_count())), device_type=device.type)\n"
            "    with n:\n        return f()\n",
            setup="torch.manual_seed(1)",
            run="aside(lambda: torch.rand(1)), torch.rand(1)",
            id="counted-last",
        ),
        Bad(
            "import torch\n\n\ndef aside(f, device):\n"
            "    with torch.random.fork_rng(devices=[device] if device.type != 'cpu' else []):\n        return f()\n",
            "import torch\n\n\ndef aside(f, device):\n"
            "    with torch.random.fork_rng(devices=[device] if device.type != 'cpu' else [], "
            "device_type=device.type):\n        return f()\n",
            setup="torch.manual_seed(1)",
            run="aside(lambda: torch.rand(1), torch.device('cpu')), torch.rand(1)",
            id="of-the-device-that-is-given",
        ),
        Bad(
            "from torch.random import fork_rng\n\n\ndef aside(f, device, devices):\n"
            '    with fork_rng(devices, device_type="cuda"):\n        return f()\n',
            "import torch\nfrom torch.random import fork_rng\n\n\ndef aside(f, device, devices):\n"
            "    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() "
            'else torch.device("cpu")\n'
            "    with fork_rng(devices, device_type=accelerator.type):\n        return f()\n",
            setup="torch.manual_seed(1)",
            run="aside(lambda: torch.rand(1), None, []), torch.rand(1)",
            id="literal",
        ),
        Bad(
            "import torch\n\n\ndef aside(f, devices):\n    with torch.random.fork_rng(\n        devices=devices,\n    ):\n"
            "        return f()\n",
            "import torch\n\n\ndef aside(f, devices):\n"
            "    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() "
            'else torch.device("cpu")\n'
            "    with torch.random.fork_rng(\n        devices=devices,\n        device_type=device.type,\n    ):\n"
            "        return f()\n",
            setup="torch.manual_seed(1)",
            run="aside(lambda: torch.rand(1), []), torch.rand(1)",
            id="lines",
        ),
        Bad(
            'import torch\n\nwith torch.random.fork_rng(device_type="cuda"):\n    x = torch.rand(1)\n',
            "import torch\n\n"
            "device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() "
            'else torch.device("cpu")\n'
            "with torch.random.fork_rng(devices=range(torch.accelerator.device_count()), "
            "device_type=device.type):\n    x = torch.rand(1)\n",
            floor=(2, 13),
            setup="torch.manual_seed(1)",
            run="x, torch.rand(1)",
            id="literal-2.13",
        ),
        Bad("import torch\n\nwith torch.random.fork_rng():\n    x = 1\n", None, floor=(2, 5), id="floor"),
    )
    good = (
        Good("import torch\n\nwith torch.random.fork_rng(devices=[]):\n    x = 1\n", "the CPU's alone"),
        Good("import torch\n\nwith torch.random.fork_rng():\n    x = 1\n", "asks for the accelerator", floor=(2, 13)),
        Good("import torch\n\nwith torch.random.fork_rng(devices=d, device_type=device.type):\n    x = 1\n"),
        Good('import torch\n\nwith torch.random.fork_rng(devices=[0], device_type="mps"):\n    x = 1\n'),
        Good("import torch\n\nwith torch.random.fork_rng(**settings):\n    x = 1\n", "what is given can't be seen"),
        Good("with self.tracker.fork_rng():\n    x = 1\n", "an object's own method"),
        Good("def fork_rng():\n    pass\n\n\nfork_rng()\n", "a function of one's own"),
        Good("import torch\n\nwith torch.random.fork_rng(enabled=False):\n    x = 1\n", "switched off"),
        Good('"""torch.random.fork_rng() forks."""\n', "prose"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.qualified(node.func) not in _NAMES or any(a.star for a in node.args) or ctx.is_claimed(node):
            return
        kind = argument(node, "device_type", 4)
        literal = kind is not None and _names_cuda(kind.value)
        if not literal and (kind is not None or _asks_itself(ctx)):
            return
        devices = argument(node, "devices", 0)
        enabled = argument(node, "enabled", 1)
        if enabled is not None and ctx.code(enabled.value) == "False":
            return
        if devices is not None and _is_empty(devices.value):
            return
        counts = _counts(devices, ctx)
        ctx.report(
            self,
            node,
            "`fork_rng` keeps the random state of CUDA, and of no other accelerator",
            symbol='torch.random.fork_rng(device_type="cuda")',
            claims=(*counts, *([kind.value] if kind is not None and literal else [])),
            fix=lambda fix: self._fix(fix, node, devices, kind),
            title="Keep the random state of the device that is there",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, devices: cst.Arg | None, kind: cst.Arg | None) -> None:
        fix.needs("torch.accelerator")
        count = f"{fix.name('torch')}.accelerator.device_count"
        device_type = _own_type(devices, fix.ctx) or fix.device_type()
        bare = devices is None or fix.code(devices.value) == "None"
        if devices is not None and not bare:
            instead: dict[cst.Arg, str] = {}
            for call in _counts(devices, fix.ctx):
                found = instead.get(devices, fix.code(devices.value))
                instead[devices] = found.replace(fix.code(call), f"{count}()")
            if kind is not None:
                instead[kind] = device_type
            change_arguments(
                fix, node, instead, last="" if kind is not None else f"device_type={device_type}"
            )
            return
        if any(a.keyword is None and a is not devices for a in node.args):
            raise CannotFix("arguments by position")
        kept = [fix.code(a.value) for a in node.args if a is not devices and a is not kind]
        words = [f"devices=range({count}())"]
        words += [f"enabled={word}" for word in kept]
        fix.arguments(node, ", ".join([*words, f"device_type={device_type}"]))


def _own_type(devices: cst.Arg | None, ctx: Context) -> str | None:
    """`device.type`, where `[device]` is given, alone or on a condition that asks for its type."""
    given = None if devices is None else devices.value
    test = ""
    if isinstance(given, cst.IfExp):
        test, given = ctx.code(given.test), given.body
    match given:
        case cst.List(elements=[cst.Element(value=cst.Name(name) as node)]) if (
            re.search(rf"\b{name}\.type\b", test) or ctx.value(node).kind is Kind.DEVICE
        ):
            return f"{name}.type"
        case _:
            return None


def _asks_itself(ctx: Context) -> bool:
    """Does the project's oldest torch take the accelerator where no device type is given?"""
    from uncuda.rules.knowledge import floor

    return ctx.options.torch_floor >= floor("fork_rng takes the accelerator by itself")


def _names_cuda(node: cst.BaseExpression) -> bool:
    value = cuda_text(node)
    return value is not None and not value.index


def _is_empty(node: cst.BaseExpression) -> bool:
    return isinstance(node, (cst.List, cst.Tuple)) and not node.elements


def _counts(devices: cst.Arg | None, ctx: Context) -> list[cst.Call]:
    """The `torch.cuda.device_count()` calls in the devices that are given."""
    return [] if devices is None else calls_of(_COUNT, devices.value, ctx)
