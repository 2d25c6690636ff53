"""Process groups over NCCL: where its name is given as a backend."""

from __future__ import annotations

import re
from collections.abc import Mapping

import libcst as cst

from uncuda.context import Context
from uncuda.findings import Outcome, Target
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import is_guarded
from uncuda.literals import argument, string_value
from uncuda.rules._backends import (
    OTHERS,
    Place,
    backend_place,
    default_backend,
    is_for_cuda,
    is_nccl,
    maps_devices,
    names_others,
)
from uncuda.rules._calls import last_word, literal_device, literal_index
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.values import Kind, Which
from uncuda.walk import walk

_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_SYMBOL = 'torch.distributed.init_process_group(backend="nccl")'
_TORCH = re.compile(r"^[ \t]*(?:import|from)[ \t]+torch\b", re.M)
# Calls whose backend moves weights, or is another program's.
_OTHER_USES = re.compile(r"weight|transfer|collective_group|dumps?$|post$|request", re.I)
_PER_DEVICE = re.compile(r"(?:\A|,)cuda:nccl(?:,|\Z)")


class NcclBackend(Rule):
    """NCCL moves data between NVIDIA (or, as RCCL, AMD) devices; no other accelerator has it.

    `init_process_group("nccl")` raises where torch was built without it, and a choice between "nccl" and
    "gloo" by CUDA's availability sends every other accelerator's traffic through the CPU, without a word.
    torch knows the library of each device: `get_default_backend_for_device` gives nccl for CUDA and ROCm, hccl
    for Ascend and Gaudi, xccl for XPU, cncl for Cambricon, mccl for Moore Threads, gloo for the CPU.
    """

    code = "UC401"
    name = "nccl-backend"
    triggers = (r"\bnccl\b", r"\bNCCL\b", r"\binit_process_group\b")
    category = Category.MANDATORY
    effort = 1
    priority = 30
    fix_safety = (
        "Unsafe: the backend then follows the device; a device whose backend package hasn't been imported raises "
        '("not registered"), as do MPS before torch 2.8 and devices that torch knows no library for. On CUDA and ROCm '
        'it stays "nccl". Defaults of parameters and fields are left, since they are evaluated at import; '
        "`backend=None` chooses by itself there since torch 2.6."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch 2.6.0: torch.distributed.get_default_backend_for_device",
        "knowledge base: init_process_group",
    )
    bad = (
        Bad(
            'import torch\nimport torch.distributed as dist\n\n\ndef setup(device):\n    dist.init_process_group("nccl")\n',
            "import torch\nimport torch.distributed as dist\n\n\ndef setup(device):\n"
            f"    accelerator = {_SELECT}\n"
            "    dist.init_process_group(dist.get_default_backend_for_device(accelerator))\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n\ndef setup(rank, n):\n"
            f"    device = {_SELECT}\n"
            '    dist.init_process_group(backend="nccl", rank=rank, world_size=n)\n',
            "import torch\nimport torch.distributed as dist\n\n\ndef setup(rank, n):\n"
            f"    device = {_SELECT}\n"
            "    dist.init_process_group(backend=dist.get_default_backend_for_device(device), rank=rank, world_size=n)\n",
            Applicability.UNSAFE,
            id="keyword",
        ),
        Bad(
            "import torch\n\n\ndef setup():\n    torch.distributed.init_process_group(\n"
            "        init_method='env://',\n        backend='nccl',  # fast\n    )\n",
            f"import torch\n\n\ndef setup():\n    device = {_SELECT}\n"
            "    torch.distributed.init_process_group(\n        init_method='env://',\n"
            "        backend=torch.distributed.get_default_backend_for_device(device),  # fast\n    )\n",
            Applicability.UNSAFE,
            id="lines",
        ),
        Bad(
            "from torch.distributed import init_process_group\n\n\ndef setup():\n    init_process_group('nccl')\n",
            f"import torch\nfrom torch.distributed import init_process_group\n\n\ndef setup():\n    device = {_SELECT}\n"
            "    init_process_group(torch.distributed.get_default_backend_for_device(device))\n",
            Applicability.UNSAFE,
            id="from-import",
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n"
            'backend = "nccl" if torch.cuda.is_available() else "gloo"\n',
            f"import torch\nimport torch.distributed as dist\n\ndevice = {_SELECT}\n"
            "backend = dist.get_default_backend_for_device(device)\n",
            Applicability.UNSAFE,
            id="conditional",
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n\ndef start(device):\n"
            '    dist.init_process_group("gloo" if not torch.cuda.is_available() else "nccl")\n',
            "import torch\nimport torch.distributed as dist\n\n\ndef start(device):\n"
            f"    accelerator = {_SELECT}\n"
            "    dist.init_process_group(dist.get_default_backend_for_device(accelerator))\n",
            Applicability.UNSAFE,
            id="negated",
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n\ndef start(device: torch.device):\n"
            '    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")\n',
            "import torch\nimport torch.distributed as dist\n\n\ndef start(device: torch.device):\n"
            "    dist.init_process_group(dist.get_default_backend_for_device(device))\n",
            Applicability.UNSAFE,
            id="by-type",
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n\ndef start(cfg):\n"
            '    dist.init_process_group(backend="gloo" if cfg.device == "cpu" else "nccl")\n',
            "import torch\nimport torch.distributed as dist\n\n\ndef start(cfg):\n"
            "    dist.init_process_group(backend=dist.get_default_backend_for_device(cfg.device))\n",
            Applicability.UNSAFE,
            id="by-cpu",
        ),
        Bad(
            "import torch.distributed as dist\n\n\ndef start(device, kind):\n"
            '    backend = "nccl" if device.type == "cuda" and dist.is_nccl_available() else "gloo"\n'
            '    other_backend = "nccl" if device_type == "cuda" else "gloo"\n',
            "import torch.distributed as dist\n\n\ndef start(device, kind):\n"
            "    backend = dist.get_default_backend_for_device(device)\n"
            "    other_backend = dist.get_default_backend_for_device(device_type)\n",
            Applicability.UNSAFE,
            count=2,
            id="by-type-and-library",
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n\ndef start(args):\n"
            '    dist.init_process_group("nccl" if args.gpu else "gloo")\n',
            "import torch\nimport torch.distributed as dist\n\n\ndef start(args):\n"
            f"    device = {_SELECT}\n"
            '    dist.init_process_group(dist.get_default_backend_for_device(device) if args.gpu else "gloo")\n',
            Applicability.UNSAFE,
            id="foreign-flag",
        ),
        Bad(
            "import os\nimport torch\n\nif torch.cuda.is_available() and os.name != 'nt':\n    pass\n"
            "backend = 'nccl' if torch.cuda.is_available() and os.name != 'nt' else 'gloo'\n",
            "import os\nimport torch\n\nif torch.cuda.is_available() and os.name != 'nt':\n    pass\n"
            f"device = {_SELECT}\n"
            "backend = torch.distributed.get_default_backend_for_device(device) "
            "if torch.accelerator.is_available() and os.name != 'nt' else 'gloo'\n",
            Applicability.UNSAFE,
            id="compound",
        ),
        Bad(
            "import argparse\nimport torch\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n"
            '    parser.add_argument("--dist-backend", type=str, default="nccl", help="nccl or gloo")\n',
            "import argparse\nimport torch\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n"
            f"    device = {_SELECT}\n"
            '    parser.add_argument("--dist-backend", type=str, '
            'default=torch.distributed.get_default_backend_for_device(device), help="nccl or gloo")\n',
            Applicability.UNSAFE,
            id="argparse",
        ),
        Bad(
            "import torch.distributed as dist\n\n\ndef setup(rank, backend='nccl'):\n    dist.init_process_group(backend)\n",
            None,
            id="parameter",
        ),
        Bad("env_cfg = dict(dist_cfg=dict(backend='nccl'))\n", None, id="configuration"),
        Bad(
            "import torch.distributed as dist\n\n\ndef start(backend=None):\n    backend = backend or 'nccl'\n"
            "    if backend not in ('nccl', 'gloo'):\n        raise ValueError(backend)\n    dist.init_process_group(backend)\n",
            None,
            id="checked",
        ),
        Bad(
            "import torch\nfrom vllm.config import WeightTransferConfig\n\nconfig = WeightTransferConfig(backend='nccl')\n",
            None,
            id="weights",
        ),
        Bad(
            "import torch\nimport ray.util.collective as collective\n\ncollective.init_collective_group(n, rank, 'nccl', 'all')\n",
            None,
            id="ray",
        ),
        Bad(
            "import torch.distributed as dist\n\n\ndef group(ranks):\n"
            "    options = dist.ProcessGroupNCCL.Options(is_high_priority_stream=True)\n"
            "    return dist.new_group(ranks, backend='nccl', pg_options=options)\n",
            None,
            id="options",
        ),
        Bad("def run(env_cfg=dict(dist_cfg=dict(backend='nccl'))):\n    pass\n", None, id="nested-parameter"),
        Bad(
            "from dataclasses import dataclass, field\n\n\n@dataclass\nclass Config:\n    dist_backend: str = 'nccl'\n"
            "    other_backend: str = field(default='nccl')\n",
            None,
            count=2,
            id="dataclass",
        ),
        Bad(
            "from transformers import TrainingArguments\n\nargs = TrainingArguments('out', ddp_backend='nccl')\n",
            "from transformers import TrainingArguments\n\nargs = TrainingArguments('out', ddp_backend=None)\n",
            Applicability.UNSAFE,
            id="omissible",
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n"
            f"device = {_SELECT}\ndist.init_process_group('cpu:gloo,cuda:nccl')\n",
            "import torch\nimport torch.distributed as dist\n\n"
            f"device = {_SELECT}\n"
            "dist.init_process_group("
            'f"cpu:gloo,{device.type}:{dist.get_default_backend_for_device(device)}" if device.type != "cpu" else "gloo")\n',
            Applicability.UNSAFE,
            id="per-device",
        ),
        Bad(
            "import torch.distributed as dist\n\n\ndef group(device, ranks):\n"
            "    return dist.new_group(ranks, None, dist.Backend.NCCL)\n",
            "import torch\nimport torch.distributed as dist\n\n\ndef group(device, ranks):\n"
            f"    accelerator = {_SELECT}\n"
            "    return dist.new_group(ranks, None, dist.get_default_backend_for_device(accelerator))\n",
            Applicability.UNSAFE,
            id="enum",
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n\ndef setup(rank, device):\n"
            '    dist.init_process_group(device_id=torch.device("cuda", rank))\n',
            "import torch\nimport torch.distributed as dist\n\n\ndef setup(rank, device):\n"
            f"    accelerator = {_SELECT}\n"
            "    dist.init_process_group("
            'device_id=torch.device(accelerator.type, rank) if accelerator.type != "cpu" else None)\n',
            Applicability.UNSAFE,
            id="device-id",
        ),
        Bad(
            "import torch\nimport torch.distributed as dist\n\n\ndef setup(rank):\n"
            '    device = torch.device("cuda", rank)\n    dist.init_process_group("nccl", device_id=device)\n',
            "import torch\nimport torch.distributed as dist\n\n\ndef setup(rank):\n"
            '    device = torch.device("cuda", rank)\n'
            "    dist.init_process_group(dist.get_default_backend_for_device(device), "
            'device_id=device if device.type != "cpu" else None)\n',
            Applicability.UNSAFE,
            count=2,
            id="chosen-device-id",
        ),
        Bad(
            "import os\nimport torch\n\ncfg = dict(backend=os.environ.get('DIST_BACKEND', 'nccl'))\n",
            f"import os\nimport torch\n\ndevice = {_SELECT}\n"
            "cfg = dict(backend=os.environ.get('DIST_BACKEND', torch.distributed.get_default_backend_for_device(device)))\n",
            Applicability.UNSAFE,
            id="environment",
        ),
        Bad(
            "import torch.distributed as dist\n\ndist.init_process_group('nccl')\n",
            None,
            floor=(2, 5),
            id="floor",
        ),
    )
    good = (
        Good("import torch.distributed as dist\n\ndist.init_process_group('gloo')\n", "gloo runs everywhere"),
        Good("import torch.distributed as dist\n\ndist.init_process_group()\n", "torch chooses"),
        Good("import torch.distributed as dist\n\n\ndef start(device=None):\n    dist.init_process_group(device_id=device)\n",
             "may be None already"),
        Good("import torch.distributed as dist\n\ndist.init_process_group(dist.get_default_backend_for_device(device))\n"),
        Good('"""init_process_group("nccl") starts NCCL."""\n', "prose"),
        Good("print('nccl')\nlog.info(backend, 'nccl')\n", "shown, not used"),
        Good("BACKENDS = {'cuda': 'nccl', 'cpu': 'gloo', 'npu': 'hccl'}\n", "a map by device type"),
        Good("BACKENDS = {'cuda': 'nccl'}\nbackend = BACKENDS[device.type]\n", "a map by device type"),
        Good("backend = {'cuda': 'nccl', 'npu': 'hccl'}.get(kind, 'gloo')\n", "a map by device type"),
        Good("def backend(device):\n    if device.type == 'cuda':\n        return 'nccl'\n"
             "    elif device.type == 'xpu':\n        return 'xccl'\n    return 'gloo'\n", "every device has its own"),
        Good("def pick(kind):\n    backend = 'nccl' if kind == 'cuda' else 'hccl' if kind == 'npu' else 'gloo'\n",
             "every device has its own"),
        Good("import torch.distributed as dist\n\nbackend = {'npu': 'hccl', 'xpu': 'xccl'}.get(\n"
             "    kind, 'nccl' if dist.is_nccl_available() else 'gloo')\n", "every device has its own"),
        Good("dist.init_process_group('cpu:gloo,cuda:nccl,xpu:xccl')\n", "every device has its own"),
        Good("import torch\n\ntorch.compile(model, backend='inductor')\nbackend = 'agg'\n", "another sort of backend"),
        Good("import torch.distributed as dist\n\ndist.new_group(ranks, backend='gloo')\n", "gloo runs everywhere"),
        Good("import ray.util.collective as collective\n\ncollective.init_collective_group(n, rank, 'gloo')\n", "gloo runs everywhere"),
        Good("NCCL_BACKEND = 'nccl'\nGLOO_BACKEND = 'gloo'\n", "the name of NCCL itself"),
        Good("class CudaPlatform:\n    dist_backend = 'nccl'\n\n    def get_backend(self):\n        return 'nccl'\n",
             "CUDA's side of something"),
        Good("import torch.distributed as dist\n\nif backend == 'nccl' and ready:\n    dist.init_process_group(backend='nccl')\n"
             "elif backend == 'gloo':\n    dist.init_process_group(backend='gloo')\n", "NCCL was asked for"),
        Good("import torch.distributed as dist\n\n\ndef pick(kind):\n    backend = 'nccl'\n"
             "    known = dist.Backend.default_device_backend_map\n    if kind in known:\n        backend = known[kind]\n"
             "    return backend\n", "torch's own map decides"),
        Good("names = ['nccl', 'gloo']\nparser.add_argument('--backend', choices=['nccl', 'gloo'])\n", "a list of choices"),
        Good("parser.add_argument('--library', default='nccl')\n", "not called a backend"),
        Good("def f(nccl='a'):\n    return nccl\n", "a parameter of that name"),
        Good("class nccl:\n    pass\n\n\nnccl()\n", "a class of that name"),
        Good("self.nccl = None\ncfg = {'nccl': 1}\n", "an attribute and a dict key"),
        Good("assert name == 'nccl'\n", "a comparison: that is nccl-backend-test, if it is about a backend"),
        Good("os.environ['NCCL_DEBUG'] = 'INFO'\n", "a variable: that is cuda-environment"),
        Good("from torch.cuda import nccl\n", "an import: its uses are told"),
    )  # fmt: skip

    def visit_IfExp(self, node: cst.IfExp, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        if is_nccl(node.body, ctx):
            literal, other = node.body, node.orelse
        elif is_nccl(node.orelse, ctx):
            literal, other = node.orelse, node.body
        else:
            return
        other_text = string_value(other)
        if (other_text is None or other_text in OTHERS) and backend_place(node, ctx) is None:
            return
        if maps_devices(ctx) or names_others(node) or is_for_cuda(ctx):
            ctx.claim(literal)
            return
        questions = [n for n in walk(node.test) if _asks_for_cuda(n, ctx)]
        whole = _whole_question(node.test, literal is node.body, ctx)
        if whole is None and not questions:
            return  # a flag from elsewhere, the platform: the name itself is the tie
        asks_cpu = any(string_value(n) == "cpu" for n in walk(node.test) if isinstance(n, cst.SimpleString))
        table = ctx.outcomes(_SYMBOL, node)
        ctx.report(
            self,
            node,
            'the backend "nccl" for every accelerator: it is on CUDA and ROCm only'
            if asks_cpu
            else '"nccl" where CUDA is, else no accelerator\'s own backend',
            symbol=_SYMBOL,
            outcomes={**table, Target.CPU: Outcome.HARMLESS} if asks_cpu else _gloo_instead(table),
            claims=(literal, node.test) if whole is not None else (literal, *questions),
            fix=lambda fix: self._choose(fix, node, literal, whole, questions, ctx),
            title="Let torch choose the device's backend",
        )

    def _choose(
        self,
        fix: FixBuilder,
        node: cst.IfExp,
        literal: cst.BaseExpression,
        whole: str | None,
        questions: list[cst.CSTNode],
        ctx: Context,
    ) -> None:
        fix.unsafe()
        if whole is not None:
            _refuse_where_nccl_is_meant(literal, ctx)
            fix.replace(node, default_backend(fix, whole or None))
            return
        self._fix(fix, literal, ctx, Place.VALUE)
        for question in questions:
            fix.replace(question, fix.is_available())

    def visit_SimpleString(self, node: cst.SimpleString, ctx: Context) -> None:
        text = string_value(node)
        if text is None or ctx.is_claimed(node):
            return
        if text.lower() == "nccl" or (_PER_DEVICE.search(text) and not OTHERS & set(re.split("[:,]", text))):
            self._named(node, text, ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value == "NCCL" and not ctx.is_claimed(node) and is_nccl(node, ctx):
            self._named(node, "nccl", ctx)

    def _named(self, node: cst.BaseExpression, text: str, ctx: Context) -> None:
        place = backend_place(node, ctx)
        if place is None or maps_devices(ctx) or is_for_cuda(ctx) or _falls_back(ctx):
            return
        ctx.report(
            self,
            node,
            f'the backend "{text}" is on CUDA and ROCm only',
            symbol=_symbol(node, text, ctx),
            fix=lambda fix: self._fix(fix, node, ctx, place),
            title="Let torch choose the device's backend",
        )

    def _fix(self, fix: FixBuilder, node: cst.BaseExpression, ctx: Context, place: Place) -> None:
        fix.unsafe()
        if place is Place.OMISSIBLE:
            fix.replace(node, "None")
            return
        _refuse_where_nccl_is_meant(node, ctx)
        if place is Place.DEFAULT or any(isinstance(n, (cst.Decorator, cst.Param)) for n in ctx.ancestors):
            raise CannotFix("a default is evaluated at import")
        text = string_value(node)
        if text is None or is_nccl(node, ctx):
            fix.replace(node, default_backend(fix, _device_beside(ctx)))
            return
        kind = fix.device_type()
        pairs = text.replace("cuda:nccl", f"{{{kind}}}:{{{default_backend(fix)}}}")
        fix.replace(
            node, f'f"{pairs}"' + ("" if is_guarded(ctx, node) else f' if {kind} != "cpu" else "gloo"')
        )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if last_word(node.func) != "init_process_group":
            return
        given = argument(node, "device_id")
        if given is None or ctx.is_claimed(given.value):
            return
        value = given.value
        if literal_device(value, ctx) is None:
            self._chosen_device(node, value, ctx)
            return
        ctx.report(
            self,
            value,
            "`device_id` names CUDA",
            symbol='torch.distributed.init_process_group(device_id="cuda:N")',
            claims=(value,),
            fix=lambda fix: self._device_id(fix, value),
            title="Bind the process group to the device that is there",
        )

    def _chosen_device(self, node: cst.Call, value: cst.BaseExpression, ctx: Context) -> None:
        """A device that is the CPU where there is no accelerator: torch refuses that as `device_id`."""
        if not isinstance(value, (cst.Name, cst.Attribute)) or is_guarded(ctx, node):
            return
        if not _is_chosen(value, ctx):
            return

        def omit(fix: FixBuilder) -> None:
            fix.unsafe()
            code = fix.code(value)
            fix.replace(value, f'{code} if {code}.type != "cpu" else None')

        ctx.report(
            self,
            value,
            "`device_id` raises for the CPU",
            symbol='torch.distributed.init_process_group(device_id="cuda:N")',
            fix=omit,
            title="Name the device only where it isn't the CPU",
        )

    def _device_id(self, fix: FixBuilder, value: cst.BaseExpression) -> None:
        fix.unsafe()
        index = literal_index(fix, value)
        if index is None:
            raise CannotFix("device_id needs an index")
        fix.replace(value, f'{fix.device_with_index(index)} if {fix.device_type()} != "cpu" else None')


def _is_chosen(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this a torch.device, CUDA's or the accelerator's, so that it is the CPU at most where there is none?"""
    known = ctx.value(node)
    return known.kind is Kind.DEVICE and known.which in (Which.CUDA, Which.CUDA_OR_CPU, Which.SELECTED)


def _device_beside(ctx: Context) -> str | None:
    """The device that the call at hand binds its process group to, if that has a name (source text)."""
    call = ctx.parent if isinstance(ctx.parent, cst.Call) else next(reversed(ctx.ancestors[:-1]), None)
    given = argument(call, "device_id") if isinstance(call, cst.Call) else None
    if given is None or not isinstance(given.value, (cst.Name, cst.Attribute)):
        return None
    return ctx.code(given.value) if _is_chosen(given.value, ctx) else None


def _gloo_instead(table: Mapping[Target, Outcome]) -> dict[Target, Outcome]:
    """Outcomes where "gloo" takes the place of "nccl" without CUDA: nothing raises, traffic goes by the CPU."""
    return {
        target: Outcome.HARMLESS
        if target is Target.CPU
        else Outcome.SILENT_CPU
        if outcome is Outcome.CRASH
        else outcome
        for target, outcome in table.items()
    }


def _symbol(node: cst.BaseExpression, text: str, ctx: Context) -> str:
    """The knowledge base's key for a backend named at the place at hand."""
    if isinstance(node, cst.Attribute):
        return "torch.distributed.Backend.NCCL"
    if _PER_DEVICE.search(text):
        return 'torch.distributed.init_process_group("cpu:gloo,cuda:nccl")'
    call = next((n for n in reversed(ctx.ancestors) if isinstance(n, cst.Call)), None)
    if call is not None and last_word(call.func) == "new_group":
        return 'torch.distributed.new_group(backend="nccl")'
    return _SYMBOL


def _falls_back(ctx: Context) -> bool:
    """Does the function at hand ask torch's own map of devices and backends as well?"""
    return ctx.function is not None and any(
        isinstance(n, cst.Attribute) and n.attr.value == "default_device_backend_map"
        for n in walk(ctx.function)
    )


def _refuse_where_nccl_is_meant(node: cst.BaseExpression, ctx: Context) -> None:
    """Raises CannotFix where the code around asks for NCCL by its name, or the name isn't a process group's."""
    if _TORCH.search(ctx.index.text) is None:
        raise CannotFix("the file doesn't use torch")
    around = ctx.function or ctx.statement
    for item in walk(around) if around is not None else ():
        if isinstance(item, (cst.Name, cst.Attribute)) and "ProcessGroupNCCL" in last_word(item):
            raise CannotFix("the options beside it are NCCL's")
        if isinstance(item, (cst.Comparison, cst.List, cst.Tuple, cst.Set)):
            if any(is_nccl(part, ctx) and part is not node for part in walk(item)):
                raise CannotFix("the code around it asks for NCCL by name")
    for above in ctx.ancestors:
        if isinstance(above, cst.Call) and _OTHER_USES.search(last_word(above.func)):
            raise CannotFix("it isn't known to be a process group's backend")


def _asks_for_cuda(node: cst.CSTNode, ctx: Context) -> bool:
    return isinstance(node, cst.Call) and ctx.qualified(node.func) == "torch.cuda.is_available"


def _asks_for_nccl(node: cst.BaseExpression, ctx: Context) -> bool:
    return isinstance(node, cst.Call) and (ctx.qualified(node.func) or "").endswith(".is_nccl_available")


def _whole_question(test: cst.BaseExpression, positive: bool, ctx: Context) -> str | None:
    """What replaces a choice whose test asks for CUDA and for nothing else: "" for the device that is there, a
    device's source where its type is asked for; None when the test asks for more."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return _whole_question(test.expression, not positive, ctx)
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        target = test.comparisons[0]
        equal = isinstance(target.operator, cst.Equal)
        if not equal and not isinstance(target.operator, cst.NotEqual):
            return None
        named = string_value(target.comparator)
        if (named, equal) not in (
            (("cuda", True), ("cpu", False)) if positive else (("cuda", False), ("cpu", True))
        ):
            return None
        if isinstance(test.left, cst.Attribute) and test.left.attr.value == "type":
            return ctx.code(test.left.value)
        known = ctx.value(test.left).kind in (Kind.TEXT, Kind.DEVICE)
        return (
            ctx.code(test.left) if known or last_word(test.left).endswith(("device", "device_type")) else None
        )
    if not positive:
        return None
    if isinstance(test, cst.BooleanOperation):
        # `device.type == "cuda" and dist.is_nccl_available()`
        sides = [side for side in (test.left, test.right) if not _asks_for_nccl(side, ctx)]
        alone = isinstance(test.operator, cst.And) and len(sides) == 1
        return _whole_question(sides[0], positive, ctx) if alone else None
    if _asks_for_nccl(test, ctx):
        return ""
    value = ctx.value(test)
    return "" if value.kind is Kind.FLAG and value.which in (Which.CUDA, Which.SELECTED) else None
