"""Wrappers that spread a model over devices: DistributedDataParallel and DataParallel."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import FixBuilder
from uncuda.fixes.statements import is_guarded
from uncuda.literals import argument, string_value
from uncuda.rules._calls import last_word
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.values import Kind
from uncuda.walk import walk

_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_DISTRIBUTED = frozenset(
    {
        "torch.nn.parallel.DistributedDataParallel",
        "torch.nn.parallel.distributed.DistributedDataParallel",
    }
)
_PARALLEL = frozenset(
    {
        "torch.nn.DataParallel",
        "torch.nn.parallel.DataParallel",
        "torch.nn.parallel.data_parallel.DataParallel",
    }
)
_FUNCTION = frozenset({"torch.nn.parallel.data_parallel", "torch.nn.parallel.data_parallel.data_parallel"})
_PIECES = frozenset({"replicate", "scatter", "gather"})


def _asks_about_the_cpu(ctx: Context, node: cst.CSTNode) -> bool:
    """Does `node` stand in a branch that was chosen by comparing a device with the CPU, or with CUDA?"""
    path = [*ctx.ancestors, node]
    for depth in range(len(path) - 2, -1, -1):
        above = path[depth]
        if isinstance(above, cst.FunctionDef):
            return False
        if isinstance(above, (cst.If, cst.IfExp)) and path[depth + 1] is not above.test:
            if any(
                isinstance(n, cst.SimpleString) and string_value(n) in ("cpu", "cuda")
                for n in walk(above.test)
            ):
                return True
    return False


class DdpDeviceIds(Rule):
    """DistributedDataParallel takes `device_ids` for modules on an accelerator only.

    The numbers mean the same on every accelerator, but a module on the CPU raises: "device_ids and
    output_device arguments only work with single-device/multiple-device GPU modules or CPU modules". Where the
    device turns out to be the CPU they have to be None. The output device is the first by itself, so that one which
    says the same can go.
    """

    code = "UC403"
    name = "ddp-device-ids"
    triggers = (r"\bDistributedDataParallel\b",)
    reads_words = False
    category = Category.MANDATORY
    effort = 1
    priority = 30
    fix_safety = (
        "Unsafe: the module's own device isn't known, and the fix asks for the device in scope. With CUDA the same numbers "
        "are passed."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: DistributedDataParallel")
    bad = (
        Bad(
            "import torch\nfrom torch.nn.parallel import DistributedDataParallel as DDP\n\n\ndef wrap(model, rank):\n"
            "    return DDP(model, device_ids=[rank])\n",
            "import torch\nfrom torch.nn.parallel import DistributedDataParallel as DDP\n\n\ndef wrap(model, rank):\n"
            f"    device = {_SELECT}\n"
            '    return DDP(model, device_ids=[rank] if device.type != "cpu" else None)\n',
            Applicability.UNSAFE,
        ),
        Bad(
            "import torch\n\n\ndef wrap(model, args):\n"
            f"    device = {_SELECT}\n"
            "    return torch.nn.parallel.DistributedDataParallel(\n        model,\n        device_ids=[args.gpu],  # one\n"
            "        output_device=args.gpu,\n        find_unused_parameters=True,\n    )\n",
            "import torch\n\n\ndef wrap(model, args):\n"
            f"    device = {_SELECT}\n"
            "    return torch.nn.parallel.DistributedDataParallel(\n        model,\n"
            '        device_ids=[args.gpu] if device.type != "cpu" else None,  # one\n'
            '        output_device=args.gpu if device.type != "cpu" else None,\n'
            "        find_unused_parameters=True,\n    )\n",
            Applicability.UNSAFE,
            id="output-device",
        ),
        Bad(
            "import torch\nfrom torch.nn.parallel import DistributedDataParallel\n\n"
            'device = "cuda" if torch.cuda.is_available() else "cpu"\n'
            "net = DistributedDataParallel(net, [0], 0)\n",
            "import torch\nfrom torch.nn.parallel import DistributedDataParallel\n\n"
            'device = "cuda" if torch.cuda.is_available() else "cpu"\n'
            'net = DistributedDataParallel(net, [0] if device != "cpu" else None, 0 if device != "cpu" else None)\n',
            Applicability.UNSAFE,
            id="positions",
        ),
        Bad(
            "from torch.nn.parallel import DistributedDataParallel\n\n\ndef f(self, net):\n"
            "    return DistributedDataParallel(net, device_ids=[self.device.index])\n",
            "from torch.nn.parallel import DistributedDataParallel\n\n\ndef f(self, net):\n"
            "    return DistributedDataParallel("
            'net, device_ids=[self.device.index] if self.device.type != "cpu" else None)\n',
            Applicability.UNSAFE,
            id="own-device",
        ),
        Bad(
            "from torch.nn.parallel import DistributedDataParallel\n\n\ndef f(net, gpu, device):\n"
            "    net.to(device)\n"
            "    return DistributedDataParallel(net, device_ids=[gpu], output_device=gpu, static_graph=True)\n",
            "import torch\nfrom torch.nn.parallel import DistributedDataParallel\n\n\ndef f(net, gpu, device):\n"
            "    net.to(device)\n    return DistributedDataParallel("
            'net, device_ids=[gpu] if torch.device(device).type != "cpu" else None, static_graph=True)\n',
            Applicability.UNSAFE,
            id="output-device-by-itself",
        ),
        Bad(
            "import torch\nfrom torch.nn.parallel import DistributedDataParallel\n\n\ndef f(self, net):\n"
            "    return DistributedDataParallel(net, device_ids=[self.device])\n",
            "import torch\nfrom torch.nn.parallel import DistributedDataParallel\n\n\ndef f(self, net):\n"
            "    return DistributedDataParallel("
            'net, device_ids=[self.device] if torch.device(self.device).type != "cpu" else None)\n',
            Applicability.UNSAFE,
            id="device-or-text",
        ),
        Bad(
            "from torch.nn.parallel import DistributedDataParallel\n\n\ndef f(net, r):\n"
            "    return DistributedDataParallel(net, device_ids=[r])\n",
            None,
            floor=(2, 3),
            id="floor",
        ),
    )
    good = (
        Good("from torch.nn.parallel import DistributedDataParallel as DDP\n\nDDP(model)\n", "no devices are named"),
        Good("from torch.nn.parallel import DistributedDataParallel as DDP\n\nDDP(model, device_ids=None)\n"),
        Good("from torch.nn.parallel import DistributedDataParallel as DDP\n\n"
             "DDP(model, device_ids=[rank] if device.type != 'cpu' else None)\n", "handled"),
        Good("from torch.nn.parallel import DistributedDataParallel as DDP\n\n"
             "if device.type != 'cpu':\n    m = DDP(model, device_ids=[rank])\nelse:\n    m = DDP(model)\n", "handled"),
        Good("import torch\nfrom torch.nn.parallel import DistributedDataParallel as DDP\n\n"
             "if torch.cuda.is_available():\n    m = DDP(model, device_ids=[rank])\n", "reached with an accelerator only"),
        Good("from mylib import DistributedDataParallel\n\nDistributedDataParallel(model, device_ids=[0])\n", "not torch's"),
        Good("from torch.nn.parallel import DistributedDataParallel as DDP\n\nDDP(model, device_ids=ids)\n",
             "may be None already"),
        Good("'DistributedDataParallel(model, device_ids=[0])'\n", "prose"),
        Good("from torch.nn.parallel import DistributedDataParallel as DDP\n\nDDP(model, static_graph=True)\n"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if len(node.args) < 2 or ctx.qualified(node.func) not in _DISTRIBUTED:
            return
        given = argument(node, "device_ids", 1)
        if given is None or not isinstance(given.value, cst.List) or ctx.is_claimed(given.value):
            return
        if is_guarded(ctx, node) or _asks_about_the_cpu(ctx, node):
            return
        ids = given.value
        output = argument(node, "output_device", 2)
        ctx.report(
            self,
            ids,
            "`device_ids` raises for a module on the CPU",
            symbol="DistributedDataParallel(device_ids=[rank])",
            fix=lambda fix: self._fix(fix, node, ids, output),
            title="Name devices only where the device isn't the CPU",
        )

    def _fix(self, fix: FixBuilder, call: cst.Call, ids: cst.List, output: cst.Arg | None) -> None:
        fix.unsafe()
        condition = f'{_device_type(fix, ids)} != "cpu"'
        new = f"{fix.code(ids)} if {condition} else None"
        if output is not None and _is_first(fix, ids, output) and "\n" not in fix.code(call):
            kept = [a.with_changes(comma=cst.MaybeSentinel.DEFAULT) for a in call.args if a is not output]
            texts = (f"{_name(a)}{new}" if a.value is ids else fix.code(a).strip() for a in kept)
            fix.arguments(call, ", ".join(texts))
            return
        fix.replace(ids, new)
        if output is not None and not isinstance(output.value, cst.IfExp):
            if not (isinstance(output.value, cst.Name) and output.value.value == "None"):
                fix.replace(output.value, f"{fix.code(output.value)} if {condition} else None")


def _name(arg: cst.Arg) -> str:
    return "" if arg.keyword is None else f"{arg.keyword.value}="


def _is_first(fix: FixBuilder, ids: cst.List, output: cst.Arg) -> bool:
    """Is the output device, given by name, the only one that `ids` names? It is the first by itself."""
    named = output.keyword is not None and len(ids.elements) == 1
    return named and fix.code(ids.elements[0].value) == fix.code(output.value)


def _device_type(fix: FixBuilder, ids: cst.List) -> str:
    """The type of the device that `ids` names, as source: its own where it is a device, else that in scope."""
    if len(ids.elements) == 1:
        device = ids.elements[0].value
        if isinstance(device, cst.Attribute) and device.attr.value == "index":
            return f"{fix.code(device.value)}.type"
        if isinstance(device, (cst.Name, cst.Attribute)):
            if fix.ctx.value(device).kind is Kind.DEVICE:
                return f"{fix.code(device)}.type"
            if last_word(device).endswith("device"):
                fix.needs("an index is the accelerator's")
                return f"{fix.name('torch')}.device({fix.code(device)}).type"
    return fix.device_type(any_kind=True)


class DataParallelDevices(Rule):
    """DataParallel over devices that are named by number wants a machine with just these devices.

    Without `device_ids` it takes every device there is; on the CPU, and on a Mac, the wrapper passes through. With
    several devices of another vendor it raises: what scatters the batch is part of CUDA and ROCm builds only. The
    function `data_parallel` raises without an accelerator. Both work by threads in one process;
    DistributedDataParallel is the way that every accelerator's vendor looks after.
    """

    code = "UC406"
    name = "data-parallel"
    triggers = (
        r"\bDataParallel\b",
        r"\bdata_parallel\b",
        "parallel.replicate",
        "parallel.scatter",
        "parallel.gather",
        "nn.parallel",
    )
    reads_words = False
    category = Category.OPTIONAL
    effort = 3
    priority = 30
    fix_safety = (
        "Shown, never applied: without the numbers all devices are used. The wrapper itself has to stay, since the keys of a "
        'saved state_dict begin with "module.".'
    )
    sources = (
        "torch 2.13.0, executed",
        "knowledge base: nn.DataParallel(device_ids)",
        "Ascend: torch.nn.parallel.data_parallel is not supported",
    )
    bad = (
        Bad("import torch.nn as nn\n\nnet = nn.DataParallel(net, device_ids=[0, 1])\n"),
        Bad("import torch\n\nnet = torch.nn.DataParallel(net, [0, 1], 0)\n", id="positions"),
        Bad(
            "from torch.nn import DataParallel as DP\n\nnet = DP(\n    net,  # mine\n    device_ids=range(4),\n)\n",
            id="range",
        ),
        Bad(
            "import torch.nn as nn\n\n\ndef f(net, x):\n    return nn.parallel.data_parallel(net, x, range(2))\n",
            id="function",
        ),
        Bad("import torch.nn as nn\n\nnets = nn.parallel.replicate(net, [0, 1])\n", id="replicate"),
    )
    good = (
        Good("import torch.nn as nn\n\nnet = nn.DataParallel(net)\n", "all devices there are"),
        Good("from torch.distributed.tensor import replicate\n\nreplicate(x)\n", "another function"),
        Good("import torch.nn as nn\n\nnet = nn.DataParallel(net, device_ids=ids)\n", "chosen elsewhere"),
        Good("import torch\nimport torch.nn as nn\n\nnet = nn.DataParallel(net, list(range(torch.accelerator.device_count())))\n",
             "counted"),
        Good("from mylib import DataParallel\n\nDataParallel(net, device_ids=[0, 1])\n", "not torch's"),
        Good("from fairscale.nn.data_parallel import ShardedDataParallel\n", "another wrapper"),
        Good("'nn.DataParallel(net, device_ids=[0])'\n", "prose"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        full = ctx.qualified(node.func)
        if full in _FUNCTION:
            ctx.report(
                self,
                node,
                "`data_parallel` needs an accelerator that supports it",
                symbol="torch.nn.parallel.data_parallel",
            )
        elif last_word(node.func) in _PIECES and (full or "").startswith("torch.nn.parallel."):
            ctx.report(
                self,
                node,
                f"`{last_word(node.func)}` works on several CUDA devices of one process",
                symbol=f"torch.nn.parallel.{last_word(node.func)}",
            )
        elif full in _PARALLEL:
            given = argument(node, "device_ids", 1)
            if given is None or not _fixed_numbers(given.value):
                return
            ctx.report(
                self,
                node,
                "`DataParallel` is tied to devices by number",
                symbol="nn.DataParallel(device_ids)",
                fix=lambda fix: self._fix(fix, node, given),
                title="Use every device there is",
            )

    def _fix(self, fix: FixBuilder, node: cst.Call, given: cst.Arg) -> None:
        fix.display()
        output = argument(node, "output_device", 2)
        kept = [a for a in node.args if a is not given and a is not output]
        fix.arguments(
            node, ", ".join(fix.code(a.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for a in kept)
        )


def _fixed_numbers(node: cst.BaseExpression) -> bool:
    """Is this a list, or a range, of literal numbers?"""
    if isinstance(node, (cst.List, cst.Tuple)):
        return bool(node.elements) and all(isinstance(e.value, cst.Integer) for e in node.elements)
    if (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Name)
        and node.func.value in ("range", "list", "tuple")
    ):
        return bool(node.args) and all(
            isinstance(a.value, cst.Integer) or _fixed_numbers(a.value) for a in node.args
        )
    return False
