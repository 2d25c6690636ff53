"""Process groups over NCCL: where its name is given as a backend, and where code asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto

import libcst as cst

from uncuda.context import Context
from uncuda.findings import Outcome, Target
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.styles import ACCELERATOR_FLOOR
from uncuda.flow import Kind, Which, argument, string_value
from uncuda.rules._calls import last_word, literal_device, literal_index
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.walk import walk

_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_SYMBOL = 'torch.distributed.init_process_group(backend="nccl")'

_BACKEND_NAME = re.compile(r"backend(?:_?(?:name|type|str))?\Z", re.I)
_PER_DEVICE = re.compile(r"(?:\A|,)cuda:nccl(?:,|\Z)")
# The libraries of other accelerators: who names one of them has thought of more than NCCL.
_OTHERS = frozenset({"hccl", "xccl", "ccl", "cncl", "mccl", "xla", "tccl"})

# Where a call takes the backend by position.
_POSITIONS = {"init_process_group": 0, "init_distributed": 0, "new_group": 2, "Backend": 0}
# Keywords whose default, None, already means "the one that fits the device".
_NONE_MEANS_DEFAULT = frozenset({"ddp_backend", "process_group_backend"})
_LOOKUPS = frozenset({"get", "getenv", "setdefault", "pop", "getattr"})
_FIELDS = frozenset({"field", "Field", "Option", "Argument"})
_OPTIONS = frozenset({"add_argument", "option", "add_option"})


class Place(Enum):
    """How a text comes to be a backend."""

    ARGUMENT = auto()  # given to a call
    OMISSIBLE = auto()  # given to a call that chooses by itself when given None
    OPTION = auto()  # the default of a command line option
    DEFAULT = auto()  # a parameter's or a field's default, evaluated at import
    VALUE = auto()  # assigned, returned, looked up, or in a dict


def is_nccl(node: cst.CSTNode, ctx: Context) -> bool:
    """Is this "nccl" (in any case, as init_process_group takes it), or `Backend.NCCL`?"""
    if isinstance(node, cst.Attribute):
        if node.attr.value != "NCCL":
            return False
        full = ctx.qualified(node) or ""
        return full.startswith("torch.distributed.") and full.endswith("Backend.NCCL")
    text = string_value(node)
    return text is not None and text.lower() == "nccl"


def _named(name: str | None) -> bool:
    return name is not None and _BACKEND_NAME.search(name) is not None


def _target_name(node: cst.BaseExpression) -> str | None:
    match node:
        case cst.Name(name) | cst.Attribute(attr=cst.Name(name)):
            return name
        case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=key))]):
            return string_value(key)
        case _:
            return None


def backend_place(node: cst.BaseExpression, ctx: Context) -> Place | None:
    """How the expression at hand comes to be a process group's backend; None when nothing says that it does."""
    below: cst.CSTNode = node
    path = ctx.ancestors
    for depth in range(len(path) - 1, -1, -1):
        above = path[depth]
        match above:
            case cst.IfExp() if below is not above.test:
                pass
            case cst.BooleanOperation():
                pass
            case cst.Call():
                pass  # a field's maker: its own place is what counts
            case cst.Arg():
                call = path[depth - 1]
                if not isinstance(call, cst.Call):
                    return None
                if not (
                    last_word(call.func) in _FIELDS
                    and (above.keyword is None or above.keyword.value == "default")
                ):
                    return _argument_place(call, above)
            case cst.NamedExpr():
                return Place.VALUE if _named(_target_name(above.target)) else None
            case cst.Assign():
                found = any(_named(_target_name(t.target)) for t in above.targets)
                return (Place.DEFAULT if _in_class_body(ctx) else Place.VALUE) if found else None
            case cst.AnnAssign():
                if not _named(_target_name(above.target)):
                    return None
                return Place.DEFAULT if _in_class_body(ctx) else Place.VALUE
            case cst.Param():
                return Place.DEFAULT if below is above.default and _named(above.name.value) else None
            case cst.DictElement():
                return Place.VALUE if below is above.value and _named(string_value(above.key)) else None
            case cst.Return():
                return Place.VALUE if ctx.function is not None and _named(ctx.function.name.value) else None
            case _:
                return None
        below = above
    return None


def _in_class_body(ctx: Context) -> bool:
    return ctx.scope.kind == "class"


def _argument_place(call: cst.Call, arg: cst.Arg) -> Place | None:
    func = last_word(call.func)
    texts = [string_value(a.value) for a in call.args if a is not arg and a.keyword is None and not a.star]
    about_backends = any(_named(t) for t in texts)
    if arg.keyword is not None:
        keyword = arg.keyword.value
        if keyword in _NONE_MEANS_DEFAULT:
            return Place.OMISSIBLE
        if _named(keyword):
            return Place.ARGUMENT
        return Place.OPTION if keyword == "default" and func in _OPTIONS and about_backends else None
    position = call.args.index(arg)
    if any(a.star for a in call.args[:position]):
        return None
    if _POSITIONS.get(func) == position:
        return Place.ARGUMENT
    if position and about_backends:
        if func in _LOOKUPS:
            return Place.VALUE
        if func.startswith("DEFINE_"):
            return Place.OPTION if position == 1 else None
    return None


def default_backend(fix: FixBuilder, device: str | None = None) -> str:
    """`dist.get_default_backend_for_device(device)`, for `device` (source text) or the one that is there."""
    fix.needs(ACCELERATOR_FLOOR)
    dist = fix.ctx.local_name("torch.distributed")
    function = f"{dist}.get_default_backend_for_device" if dist is not None else ""
    function = function or fix.name("torch.distributed.get_default_backend_for_device")
    return f"{function}({device if device is not None else fix.device()})"


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


def _maps_devices(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this one entry of a choice by device type, which names another accelerator's library too?"""
    top: cst.CSTNode | None = None
    for above in reversed(ctx.ancestors):
        if isinstance(above, (cst.FunctionDef, cst.ClassDef, cst.IndentedBlock)) and top is not None:
            if not isinstance(above, cst.IndentedBlock):
                break
        if isinstance(above, (cst.If, cst.IfExp, cst.Dict, cst.Match)):
            top = above
        elif (
            isinstance(above, cst.Call)
            and isinstance(above.func, cst.Attribute)
            and isinstance(above.func.value, cst.Dict)
        ):
            top = above  # {"npu": "hccl"}.get(kind, "nccl")
    if top is None:
        return False
    return any(
        (string_value(n) or "").lower() in _OTHERS for n in walk(top) if isinstance(n, cst.SimpleString)
    )


class NcclBackend(Rule):
    """NCCL moves data between NVIDIA (or, as RCCL, AMD) devices; no other accelerator has it.

    `init_process_group("nccl")` raises where torch was built without it, and a choice between "nccl" and
    "gloo" by CUDA's availability sends every other accelerator's traffic through the CPU, without a word.
    torch knows the library of each device: `get_default_backend_for_device` gives nccl for CUDA and ROCm, hccl
    for Ascend and Gaudi, xccl for XPU, cncl for Cambricon, mccl for Moore Threads, gloo for the CPU.
    """

    code = "UC401"
    name = "nccl-backend"
    triggers = ("nccl", "NCCL", "init_process_group")
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
            "import os\n\ncfg = dict(backend=os.environ.get('DIST_BACKEND', 'nccl'))\n",
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
        if (other_text is None or other_text in _OTHERS) and backend_place(node, ctx) is None:
            return
        if _maps_devices(literal, ctx) or _mentions_others(node):
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
            fix.replace(node, default_backend(fix, whole or None))
            return
        self._fix(fix, literal, ctx, Place.VALUE)
        for question in questions:
            fix.replace(question, fix.is_available())

    def visit_SimpleString(self, node: cst.SimpleString, ctx: Context) -> None:
        text = string_value(node)
        if text is None or ctx.is_claimed(node):
            return
        if text.lower() == "nccl" or (_PER_DEVICE.search(text) and not _OTHERS & set(re.split("[:,]", text))):
            self._named(node, text, ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value == "NCCL" and not ctx.is_claimed(node) and is_nccl(node, ctx):
            self._named(node, "nccl", ctx)

    def _named(self, node: cst.BaseExpression, text: str, ctx: Context) -> None:
        place = backend_place(node, ctx)
        if place is None or _maps_devices(node, ctx):
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
        if place is Place.DEFAULT or any(isinstance(n, (cst.Decorator, cst.Param)) for n in ctx.ancestors):
            raise CannotFix("a default is evaluated at import")
        text = string_value(node)
        if text is None or is_nccl(node, ctx):
            fix.replace(node, default_backend(fix))
            return
        kind = fix.device_type()
        pairs = text.replace("cuda:nccl", f"{{{kind}}}:{{{default_backend(fix)}}}")
        fix.replace(node, f'f"{pairs}" if {kind} != "cpu" else "gloo"')

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if last_word(node.func) != "init_process_group":
            return
        given = argument(node, "device_id")
        if given is None or ctx.is_claimed(given.value) or literal_device(given.value, ctx) is None:
            return
        value = given.value
        ctx.report(
            self,
            value,
            "`device_id` names CUDA",
            symbol='torch.distributed.init_process_group(device_id="cuda:N")',
            claims=(value,),
            fix=lambda fix: self._device_id(fix, value),
            title="Bind the process group to the device that is there",
        )

    def _device_id(self, fix: FixBuilder, value: cst.BaseExpression) -> None:
        fix.unsafe()
        index = literal_index(fix, value)
        if index is None:
            raise CannotFix("device_id needs an index")
        fix.replace(value, f'{fix.device_with_index(index)} if {fix.device_type()} != "cpu" else None')


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


def _mentions_others(node: cst.CSTNode) -> bool:
    return any(isinstance(n, cst.SimpleString) and (string_value(n) or "") in _OTHERS for n in walk(node))


def _asks_for_cuda(node: cst.CSTNode, ctx: Context) -> bool:
    return isinstance(node, cst.Call) and ctx.qualified(node.func) == "torch.cuda.is_available"


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
        return ctx.code(test.left) if known or last_word(test.left).endswith("device") else None
    if not positive or isinstance(test, cst.BooleanOperation):
        return None
    if isinstance(test, cst.Call) and (ctx.qualified(test.func) or "").endswith(".is_nccl_available"):
        return ""
    value = ctx.value(test)
    return "" if value.kind is Kind.FLAG and value.which in (Which.CUDA, Which.SELECTED) else None


def _accelerators_backends() -> list[str]:
    """The backends of all accelerators, as literals, NCCL first."""
    from uncuda.rules.knowledge import target

    names = dict.fromkeys(["nccl", *(target(t).backend for t in Target)])
    return [f'"{name}"' for name in names if name != target(Target.CPU).backend]


class NcclBackendTest(Rule):
    """A test for NCCL is false with every other accelerator's own library.

    What it guards (device-side collectives, barriers with device_ids, bucket tuning) is skipped there. If it
    means "an accelerator's library, not gloo", it should ask for that; if it reaches into NCCL itself, it is
    right, and marks code that the move has to look at.
    """

    code = "UC405"
    name = "nccl-backend-test"
    triggers = ("nccl", "NCCL")
    category = Category.POTENTIAL
    effort = 1
    priority = 25
    fix_safety = "Shown, never applied: what stands behind the test may be NCCL's alone."
    sources = ("torch 2.13.0, executed", "knowledge base: rewrite 71")
    bad = (
        Bad("import torch.distributed as dist\n\nif dist.get_backend() == 'nccl':\n    dist.barrier()\n"),
        Bad(
            "import torch.distributed as dist\n\nif dist.get_backend(group) != dist.Backend.NCCL:\n    pass\n",
            id="enum",
        ),
        Bad("def f(args):\n    assert args.dist_backend == 'nccl'\n", id="argument"),
        Bad("def f(backend):\n    return backend in ('nccl', 'ucc')\n", id="among"),
        Bad("def f(backend):\n    return 'nccl' in backend\n", id="within"),
        Bad("import torch.distributed as dist\n\nok = dist.is_nccl_available()\n", id="available"),
        Bad("import torch\n\nok = torch.distributed.is_backend_available('nccl')\n", id="backend-available"),
        Bad(
            "import torch.distributed as dist\nfrom torch.distributed import ProcessGroupNCCL\n\n"
            "options = ProcessGroupNCCL.Options()\nraw = dist.ProcessGroupNCCL\n",
            count=2,
            id="process-group",
        ),
    )
    good = (
        Good("if dist.get_backend() == 'gloo':\n    pass\n"),
        Good("if backend in ('nccl', 'hccl', 'xccl'):\n    pass\n", "others are named too"),
        Good("if name == 'nccl':\n    pass\n", "not about a backend"),
        Good("dist.init_process_group(backend='nccl')\n", "that is nccl-backend"),
        Good("'dist.get_backend() == \"nccl\"'\n", "prose"),
        Good("class ProcessGroupNCCL:\n    pass\n\n\nProcessGroupNCCL()\n", "a class of one's own"),
        Good("def is_nccl_available():\n    return False\n\n\nis_nccl_available()\n", "a function of one's own"),
        Good("from torch.distributed import is_nccl_available\n", "an import: its uses are told"),
    )  # fmt: skip

    def visit_Comparison(self, node: cst.Comparison, ctx: Context) -> None:
        if len(node.comparisons) != 1 or ctx.is_claimed(node):
            return
        operator, right = node.comparisons[0].operator, node.comparisons[0].comparator
        if isinstance(operator, (cst.Equal, cst.NotEqual)):
            literal, other = (right, node.left) if is_nccl(right, ctx) else (node.left, right)
            if not is_nccl(literal, ctx) or not _is_backend(other):
                return
        elif isinstance(operator, (cst.In, cst.NotIn)):
            if isinstance(right, (cst.Tuple, cst.List, cst.Set)):
                literal, other = right, node.left
                names = [string_value(e.value) for e in right.elements]
                if "nccl" not in names or _OTHERS & set(names):
                    return
            else:
                literal, other = node.left, right
                if not is_nccl(literal, ctx):
                    return
            if not _is_backend(other):
                return
        else:
            return
        ctx.report(
            self,
            node,
            "a test for NCCL is false with every other accelerator's backend",
            symbol='torch.distributed.get_backend() == "nccl"',
            claims=(literal,),
            fix=lambda fix: self._fix(fix, node, other, operator),
            title="Name the other accelerators' backends too",
        )

    def _fix(
        self, fix: FixBuilder, node: cst.Comparison, other: cst.BaseExpression, operator: cst.BaseCompOp
    ) -> None:
        fix.display()
        if not isinstance(operator, (cst.Equal, cst.NotEqual)):
            raise CannotFix("the test looks into a text or a list")
        word = "in" if isinstance(operator, cst.Equal) else "not in"
        fix.replace(node, f"{fix.code(other)} {word} ({', '.join(_accelerators_backends())})")

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        last = last_word(node.func)
        if last not in ("is_nccl_available", "is_backend_available") or ctx.is_claimed(node):
            return
        if not (ctx.qualified(node.func) or "").startswith("torch.distributed."):
            return
        if last == "is_backend_available" and not (node.args and is_nccl(node.args[0].value, ctx)):
            return
        ctx.report(
            self,
            node,
            f"`{last}` asks for CUDA's backend alone",
            symbol="torch.distributed.is_nccl_available",
            claims=tuple(node.args),
            fix=lambda fix: self._available(fix, node),
            title="Ask for the device's backend",
        )

    def _available(self, fix: FixBuilder, node: cst.Call) -> None:
        fix.display()
        default = default_backend(fix)
        fix.replace(node, f"{default.partition('.get_default')[0]}.is_backend_available({default})")

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value == "ProcessGroupNCCL":
            self._class(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if node.value == "ProcessGroupNCCL":
            self._class(node, ctx)

    def _class(self, node: cst.BaseExpression, ctx: Context) -> None:
        if ctx.is_claimed(node) or not (ctx.qualified(node) or "").startswith("torch."):
            return
        ctx.report(
            self,
            node,
            "`ProcessGroupNCCL` is in builds with CUDA or ROCm only",
            symbol="torch.distributed.ProcessGroupNCCL",
        )


def _is_backend(node: cst.BaseExpression) -> bool:
    """Does the expression's name say that it holds a backend: `args.dist_backend`, `get_backend(group)`?"""
    if isinstance(node, cst.Call):
        last = last_word(node.func)
        if last in ("lower", "strip", "upper") and isinstance(node.func, cst.Attribute):
            return _is_backend(node.func.value)
        if last in ("str", "getattr") and node.args:
            return any(_named(string_value(a.value)) or _named(_target_name(a.value)) for a in node.args)
        return _named(last)
    return _named(_target_name(node))
