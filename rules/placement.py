"""Tensors and modules moved to CUDA by name: `.cuda()` and `.to("cuda")`."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.bindings import dotted
from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import argument
from uncuda.rules._calls import last_word
from uncuda.rules._indexes import index_at, is_current
from uncuda.rules._literals import cuda_literal, cuda_text, names_device
from uncuda.rules._spellings import argument_for, device_for
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.values import Kind, Value

_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)


class CudaCall(Rule):
    """`.cuda()` moves a tensor or module to NVIDIA (or ROCm) hardware only.

    Off CUDA the call raises: "Torch not compiled with CUDA enabled". `.to(device)` does the same on every
    backend. The index and `non_blocking` are kept; a device without index is the current device, for
    `.cuda()` and for `.to()` alike.
    """

    code = "UC101"
    name = "cuda-call"
    triggers = (r".cuda\b",)
    effort = 1
    fix_safety = (
        "Safe where the file itself proves that the receiver is a tensor or an nn.Module (what torch gives, "
        "annotations, `isinstance`, elements of known containers, own functions and classes), and the device argument "
        "is a literal. Unsafe where the receiver is unknown (a class with a `cuda` but no `to` method would break) or the "
        "argument is a variable. Left alone where the class brings its own `cuda` method."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.Tensor.cuda, torch.nn.Module.cuda")
    bad = (
        Bad(
            "import torch\n\n\ndef f():\n    x = torch.ones(2)\n    return x.cuda()\n",
            f"import torch\n\n\ndef f():\n    x = torch.ones(2)\n    device = {_DEVICE}\n    return x.to(device)\n",
            run="f()",
        ),
        Bad(
            "import torch\nfrom torch import nn\n\nmodel = nn.Linear(2, 2).cuda()\n",
            f"import torch\nfrom torch import nn\n\ndevice = {_DEVICE}\nmodel = nn.Linear(2, 2).to(device)\n",
            run="model.weight.shape",
        ),
        Bad(
            'import torch\n\ndevice = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n'
            "x = torch.ones(2).cuda(non_blocking=True)\n",
            'import torch\n\ndevice = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n'
            "x = torch.ones(2).to(device, non_blocking=True)\n",
            id="in-scope",
            run="x",
        ),
        Bad(
            "import torch\n\n\ndef f(rank: int):\n    return torch.ones(2).cuda(0)\n",
            "import torch\n\n\ndef f(rank: int):\n"
            f"    device = {_DEVICE}\n    return torch.ones(2).to(torch.device(device.type, 0))\n",
            id="index",
            run="f(0)",
        ),
        Bad(
            "import torch\n\n\ndef f(xs: list[torch.Tensor], rank: int):\n    total = torch.zeros(2).cuda(rank)\n"
            "    for x in xs:\n        total += x.cuda(rank)\n    return total\n",
            "import torch\n\n\ndef f(xs: list[torch.Tensor], rank: int):\n"
            "    device = torch.device(torch.accelerator.current_accelerator().type, rank)"
            ' if torch.accelerator.is_available() else torch.device("cpu")\n'
            "    total = torch.zeros(2).to(device)\n"
            "    for x in xs:\n        total += x.to(device)\n    return total\n",
            count=2,
            run="f([torch.ones(2)], 0)",
            id="index-shared",
        ),
        Bad(
            "import torch\n\n\ndef main(rank: int):\n    if torch.accelerator.is_available():\n"
            "        torch.accelerator.set_device_index(rank)\n    net = torch.nn.Linear(2, 2).cuda(rank)\n"
            "    return net(torch.ones(2).cuda(rank)).shape\n",
            "import torch\n\n\ndef main(rank: int):\n    if torch.accelerator.is_available():\n"
            "        torch.accelerator.set_device_index(rank)\n"
            f"    device = {_DEVICE}\n    net = torch.nn.Linear(2, 2).to(device)\n"
            "    return net(torch.ones(2).to(device)).shape\n",
            count=2,
            run="main(0)",
            id="index-current",
        ),
        Bad(
            "import torch\n\n\ndef f(xs: list[torch.Tensor]):\n    done = []\n    for i in range(len(xs)):\n"
            "        i = int(i)\n        done.append(xs[i].cuda(i) + xs[0].cuda(i))\n        i = 0\n    return done\n",
            "import torch\n\n\ndef f(xs: list[torch.Tensor]):\n    done = []\n"
            f"    device = {_DEVICE}\n    for i in range(len(xs)):\n"
            "        i = int(i)\n        done.append(xs[i].to(torch.device(device.type, i)) + "
            "xs[0].to(torch.device(device.type, i)))\n        i = 0\n    return done\n",
            count=2,
            run="f([torch.ones(2)])",
            id="index-rebound",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor, y: torch.Tensor):\n    x = x.cuda(torch.cuda.current_device())\n"
            "    return x, y.cuda(device=x.get_device(), non_blocking=True)\n",
            f"import torch\n\n\ndef f(x: torch.Tensor, y: torch.Tensor):\n    device = {_DEVICE}\n    x = x.to(device)\n"
            "    return x, y.to(x.device, non_blocking=True)\n",
            count=2,
            run="f(torch.ones(2), torch.ones(2))",
            id="current-and-same",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor, args, cuda_device):\n    return x.cuda(args.gpu), x.cuda(cuda_device)\n",
            f"import torch\n\n\ndef f(x: torch.Tensor, args, cuda_device):\n    device = {_DEVICE}\n"
            "    return x.to(torch.device(device.type, args.gpu)), x.to(cuda_device)\n",
            Applicability.UNSAFE,
            count=2,
            id="variable",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor, device=None):\n    return x.cuda(device)\n",
            f"import torch\n\n\ndef f(x: torch.Tensor, device=None):\n    accelerator = {_DEVICE}\n"
            "    return x.to(accelerator if device is None else device)\n",
            Applicability.UNSAFE,
            run="f(torch.ones(2))",
            id="none-by-default",
        ),
        Bad(
            "import torch\n\n\ndef noise(n, device):\n    return torch.randn(n).cuda(device)\n\n\n"
            "def step(rank):\n    return noise(2, device=rank)\n",
            f"import torch\n\n\ndef noise(n, device):\n    accelerator = {_DEVICE}\n"
            "    return torch.randn(n).to(torch.device(accelerator.type, device))\n\n\n"
            "def step(rank):\n    return noise(2, device=rank)\n",
            Applicability.UNSAFE,
            run="step(0).shape",
            id="index-by-name",
        ),
        Bad(
            "class Wrapper:\n    def cuda(self):\n        self.model.cuda()\n        return self\n",
            None,
            id="own-method",
        ),
        Bad(
            "import torch\n\n\ndef f(batch):\n    return batch.cuda()\n",
            f"import torch\n\n\ndef f(batch):\n    device = {_DEVICE}\n    return batch.to(device)\n",
            Applicability.UNSAFE,
            id="unknown-receiver",
        ),
        Bad(
            "import torch\n\n\ndef place(index):\n    return lambda storage, where: storage.cuda(int(index))\n",
            "import torch\n\n\ndef place(index):\n"
            f"    device = {_DEVICE}\n"
            "    return lambda storage, where: storage.to(device=torch.device(device.type, int(index)))\n",
            Applicability.UNSAFE,
            run="len(place(0)(torch.ones(2).untyped_storage(), 0))",
            id="storage",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor):\n    return x.cuda()\n",
            None,
            floor=(2, 4),
            id="floor",
        ),
        Bad(
            "import torch\n\nxs = list(map(lambda t: t.cuda(), [torch.ones(2)]))\n",
            f"import torch\n\ndevice = {_DEVICE}\nxs = list(map(lambda t: t.to(device), [torch.ones(2)]))\n",
            run="xs",
            id="lambda",
        ),
        Bad(
            "import torch\n\n\ndef f(ts):\n    return list(map(lambda t: t.cuda(), ts))\n",
            f"import torch\n\n\ndef f(ts):\n    device = {_DEVICE}\n    return list(map(lambda t: t.to(device), ts))\n",
            Applicability.UNSAFE,
            id="lambda-unknown",
        ),
        Bad(
            "import torch\n\n\ndef f(batch):\n"
            "    return {k: v.cuda() if isinstance(v, torch.Tensor) else v for k, v in batch.items()}\n",
            f"import torch\n\n\ndef f(batch):\n    device = {_DEVICE}\n"
            "    return {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}\n",
            run='f({"a": torch.ones(2), "b": 1})',
            id="isinstance",
        ),
        Bad(
            "import torch\n\n\ndef f(x, load):\n    if isinstance(x, torch.Tensor):\n        x = load(x)\n"
            "        x = x.cuda()\n    return x\n",
            "import torch\n\n\ndef f(x, load):\n    if isinstance(x, torch.Tensor):\n        x = load(x)\n"
            f"        device = {_DEVICE}\n        x = x.to(device)\n    return x\n",
            Applicability.UNSAFE,
            id="isinstance-no-more",
        ),
        Bad(
            "import torch\n\n\ndef f(m: torch.nn.Module, ts: list[torch.Tensor]):\n    for p in m.parameters():\n"
            "        p.data = p.cuda()\n    return [t.cuda() for t in ts]\n",
            "import torch\n\n\ndef f(m: torch.nn.Module, ts: list[torch.Tensor]):\n"
            f"    device = {_DEVICE}\n    for p in m.parameters():\n"
            "        p.data = p.to(device)\n    return [t.to(device) for t in ts]\n",
            count=2,
            run="f(torch.nn.Linear(1, 1, bias=False), [torch.ones(1)])",
            id="elements",
        ),
        Bad(
            "import torch\n\n\ndef noise(n):\n    return torch.ones(n), n\n\n\ndef f():\n    x, n = noise(2)\n"
            "    return x.cuda(), n\n",
            "import torch\n\n\ndef noise(n):\n    return torch.ones(n), n\n\n\ndef f():\n    x, n = noise(2)\n"
            f"    device = {_DEVICE}\n    return x.to(device), n\n",
            run="f()",
            id="own-function",
        ),
        Bad(
            "def load():\n    import torch\n\n    return torch.nn.Linear(2, 2)\n\n\ndef prepare():\n    from torch.nn import Linear\n\n"
            "    return Linear(2, 2).cuda()\n",
            None,
            id="torch-is-put-off",
        ),
        Bad(
            "import torch\n\n\ndef f(x, y: torch.Tensor):\n    device = torch.device('cuda' if x.is_cuda else 'cpu')\n"
            "    return y.cuda(), device\n",
            "import torch\n\n\ndef f(x, y: torch.Tensor):\n    device = torch.device('cuda' if x.is_cuda else 'cpu')\n"
            f"    accelerator = {_DEVICE}\n    return y.to(accelerator), device\n",
            run="f(torch.ones(1), torch.ones(2))[0]",
            id="device-of-one-value",
        ),
        Bad(
            "import torch\n\n\ndef f(y: torch.Tensor):\n    several = 'cuda' if torch.cuda.device_count() > 1 else 'cpu'\n"
            "    return y.cuda(), several\n",
            "import torch\n\n\ndef f(y: torch.Tensor):\n    several = 'cuda' if torch.cuda.device_count() > 1 else 'cpu'\n"
            f"    device = {_DEVICE}\n    return y.to(device), several\n",
            run="f(torch.ones(2))[0]",
            id="several-devices",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor, device):\n    if device != 'cuda':\n        return x\n    return x.cuda()\n",
            "import torch\n\n\ndef f(x: torch.Tensor, device):\n    if device != 'cuda':\n        return x\n    return x.to(device)\n",
            run="f(torch.ones(2), 'cpu').tolist()",
            id="asked-before",
        ),
    )
    good = (
        Good("import torch\n\n\ndef f(rank):\n    torch.accelerator.set_device_index(rank)\n    return torch.ones(2).to(rank)  # no cuda\n"),
        Good("class Meter:\n    def cuda(self):\n        return 1\n\n\nMeter().cuda()\n", "a cuda method of one's own"),
        Good("class Job:\n    def run(self):\n        return self.cuda\n", "a flag that is called cuda"),
        Good("cfg.cuda = True\nprint(cfg.cuda)\n", "an attribute, not a call"),
        Good("import torch\n\n\nclass Pair:\n    def cuda(self):\n        return self\n\n\ndef f(x):\n"
             "    return x.cuda() if isinstance(x, Pair) else x\n", "a test for a class with a cuda method of its own"),
        Good("class Pair:\n    def cuda(self):\n        return self\n\n\nfor p in [Pair(), Pair()]:\n    p.cuda()\n",
             "elements that have a cuda method of their own"),
        Good("class Pair:\n    def cuda(self):\n        return self\n\n\ndef make():\n    return Pair()\n\n\nmake().cuda()\n",
             "a function of the file that makes such an object"),
        Good("class Pair:\n    def cuda(self):\n        return self\n\n\ndef f(p: Pair, many: list[Pair]):\n    p.cuda()\n"
             "    many[0].cuda()\n", "annotated with such a class"),
        Good("class Pair:\n    def cuda(self):\n        return self\n\n\nclass Job:\n    def __init__(self):\n"
             "        self.p = Pair()\n\n    def run(self):\n        self.p.cuda()\n", "an attribute that is such an object"),
        Good("x.to(gpu)\n"),
        Good("import torch\n\n\ndef f(x, y):\n    return y.to(x.device) if x.is_cpu else y.to(x)  # cuda or other\n"),
        Good("import torch\n\nmany = torch.accelerator.device_count() > 1  # cuda or other\n"),
        Good("def f(x, device):\n    return x.to(device) if device == 'cuda' else x\n", "not `.cuda()`"),
        Good("def f():\n    import torch\n\n    return torch.ones(2).to('cpu')  # not cuda\n", "torch is put off, CUDA unnamed"),
        Good("def place(device):\n    return lambda storage, where: storage.to(device=device)  # cuda\n"),
        Good("class Pair:\n    def cuda(self, i):\n        return self\n\n\nPair().cuda(0)\n", "with an index of its own"),
        Good("import torch\n\n\ndef f(x: torch.Tensor, rank):\n    device = torch.device('cpu')\n    return x.to(device)\n"),
        Good("import torch\n\nx = torch.ones(2)\nx.cpu()\n"),
        Good("def noise(n, device):\n    return sample(n).to(device)\n\n\nnoise(2, device=rank)\n"),
        Good("import torch\n\nx = torch.ones(2)\nx.to(torch.accelerator.current_device_index())\n", "portable already"),
        Good('"""Call x.cuda() to move x."""\n# model.cuda()\n', "prose"),
        Good("import torch\n\nx = torch.ones(2)\nx.to(device)\n", "already portable"),
        Good("import torch\n\n\ndef f(x, device=None):\n    return x.to(x.device if device is None else device)\n"),
        Good("from numba import cuda\n\nf.cuda(1, 2, 3, 4)\n", "no torch signature has four arguments"),
        Good("import torch\n\n\nclass Net(torch.nn.Module):\n    def cuda(self, device=None):\n        return self\n\n\n"
             "Net().cuda()\n", "the class overrides cuda()"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        func = node.func
        if not isinstance(func, cst.Attribute) or func.attr.value != "cuda" or len(node.args) > 3:
            return
        if ctx.is_claimed(node) or ctx.qualified(func) is not None:
            return
        keywords = {a.keyword.value for a in node.args if a.keyword is not None}
        if not keywords <= {"device", "non_blocking", "memory_format"} or any(a.star for a in node.args):
            return
        receiver = ctx.value(func.value)
        if receiver.kind is Kind.OBJECT or not _can_move(func.value, ctx):
            return
        kind = {Kind.MODULE: "torch.nn.Module.cuda"}.get(receiver.kind, "torch.Tensor.cuda")
        given = argument(node, "device", 0)
        ctx.report(
            self,
            node,
            f"`{_short(ctx.code(func.value))}.cuda()` needs CUDA",
            symbol=kind,
            claims=(given.value,) if given is not None and is_current(given.value, ctx) else (),
            fix=lambda fix: self._fix(fix, node, func, receiver),
            title="Move with .to(device)",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, func: cst.Attribute, receiver: Value) -> None:
        if not receiver.moves:
            fix.unsafe()
        given = argument(node, "device", 0)
        others = [a for a in node.args if a is not given]
        where = _argument_device(fix, given.value if given is not None else None)
        words = [where]
        for position, arg in enumerate(others):
            keyword = (
                arg.keyword.value if arg.keyword is not None else ("non_blocking", "memory_format")[position]
            )
            words.append(f"{keyword}={fix.code(arg.value)}")
        fix.replace(func.attr, "to")
        if _STORAGE.search(last_word(func.value.func if isinstance(func.value, cst.Call) else func.value)):
            # torch.UntypedStorage.to() takes its arguments by name.
            words[0] = f"device={words[0]}"
        fix.arguments(node, ", ".join(words))


def _argument_device(fix: FixBuilder, given: cst.BaseExpression | None) -> str:
    """What `.to()` takes for the device argument of `.cuda()`."""
    if given is None:
        return fix.device()
    ctx = fix.ctx
    if cuda_literal(given, ctx) is not None:
        return device_for(fix, given)
    index = index_at(fix, given)
    value = ctx.value(given)
    if index.is_int or index.current or index.tensor:
        return argument_for(fix, index)
    if value.kind is Kind.NONE:
        return fix.device()
    if value.kind in (Kind.DEVICE, Kind.TEXT):
        return fix.code(given)
    # From here on it may be None, which `.cuda()` takes for the current device and `.to()` for "stay".
    fix.unsafe()
    last = last_word(given)
    if names_device(last) and not _INDEX.search(last):
        code = fix.code(given)
        if isinstance(given, cst.Name) and _takes_index(last, ctx):
            return fix.device_with_index(code)
        return f"{fix.device()} if {code} is None else {code}" if _defaults_to_none(given, ctx) else code
    if _INDEX.search(last):
        return fix.device_with_index(fix.code(given))
    raise CannotFix("the device argument may be None, an index or a device")


def _takes_index(name: str, ctx: Context) -> bool:
    """Is a parameter given an index wherever this file gives its own functions one of that name (`device=rank`)?"""
    found = ctx.bindings_of(name)
    if found is None or not all(b.kind == "param" and b.value is None for b in found[1]):
        return False
    calls = re.findall(rf"\b(\w+)\([^()\n]*\b{name}\s*=\s*([\w.]+)\s*[,)]", ctx.index.text)
    given = {text.rpartition(".")[2] for called, text in calls if called in ctx.index.functions} - {name}
    return bool(given) and all(last.isdigit() or _INDEX.search(last) for last in given)


_STORAGE = re.compile(r"(?:\A|_)storage\Z")
_INDEX = re.compile(r"(?:^|_)(?:rank|gpus?|ordinal|idx|index|i|id)\Z", re.I)


def _defaults_to_none(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this a parameter that is None unless the caller says otherwise?"""
    found = ctx.bindings_of(node.value) if isinstance(node, cst.Name) else None
    return found is not None and any(
        b.kind == "param" and b.value is not None and dotted(b.value()) == "None" for b in found[1]
    )


def _can_move(receiver: cst.BaseExpression, ctx: Context) -> bool:
    """Not a module, a class of this file, or a literal: something that could be a tensor."""
    if isinstance(receiver, cst.Name):
        if receiver.value in ("self", "cls", "super"):
            return receiver.value == "self" and ctx.owner is not None and "cuda" not in ctx.owner.methods
        if receiver.value in ctx.index.classes:
            return False
        found = ctx.flow.bindings(receiver.value)
        if found is not None and any(b.kind == "import" for b in found[1]):
            return False
    return not isinstance(receiver, (cst.SimpleString, cst.Integer)) and not (
        isinstance(receiver, cst.Call)
        and isinstance(receiver.func, cst.Name)
        and receiver.func.value == "super"
    )


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:18]} … {text[-18:]}"


class ToCuda(Rule):
    """`.to("cuda")` names the vendor where it means "the accelerator".

    Off CUDA the call raises. `.to(device)` with the accelerator that is there does the same on CUDA and works
    elsewhere; an index in the text is kept.
    """

    code = "UC102"
    name = "to-cuda"
    triggers = (r"\bcuda\b",)
    effort = 1
    fix_safety = (
        "Safe: `.to()` with a CUDA text always raised without CUDA, and names the same device with it."
    )
    sources = ("torch 2.13.0, executed",)
    bad = (
        Bad(
            'import torch\n\nx = torch.ones(2).to("cuda")\n',
            f"import torch\n\ndevice = {_DEVICE}\nx = torch.ones(2).to(device)\n",
            run="x",
        ),
        Bad(
            'import torch\n\n\ndef f(x, rank):\n    return x.to(f"cuda:{rank}", non_blocking=True)\n',
            "import torch\n\n\ndef f(x, rank):\n"
            f'    device = {_DEVICE}\n    return x.to(f"{{device.type}}:{{rank}}", non_blocking=True)\n',
            run="f(torch.ones(2), 0)",
            id="f-string",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    y = x.to(torch.cuda.current_device())\n    return y, x.to('cuda:%d' % y.get_device())\n",
            f"import torch\n\n\ndef f(x):\n    device = {_DEVICE}\n    y = x.to(device)\n    return y, x.to(y.device)\n",
            count=2,
            run="f(torch.ones(2))",
            id="current-and-same",
        ),
        Bad(
            'import torch\n\n\ndef f(x):\n    return x.to(device="cuda:0", dtype=torch.float32)\n',
            "import torch\n\n\ndef f(x):\n"
            f"    device = {_DEVICE}\n    return x.to(device=torch.device(device.type, 0), dtype=torch.float32)\n",
            run="f(torch.ones(2))",
            id="keyword",
        ),
        Bad(
            "def fetch(batch):\n    return [x.to('cuda') for x in batch]\n",
            "import torch\n\ndef fetch(batch):\n"
            f"    device = {_DEVICE}\n    return [x.to(device) for x in batch]\n",
            Applicability.UNSAFE,
            id="no-torch-yet",
        ),
    )
    good = (
        Good('x.to("cpu")\n'),
        Good('x.to(device)\n'),
        Good('path.to("cuda-11")\n', "not a device"),
        Good('table.to({"cuda": 1})\n', "a dict key"),
        Good('def fetch(batch, place):\n    return [x.to(place) for x in batch]  # cuda or not\n'),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        func = node.func
        if not isinstance(func, cst.Attribute) or func.attr.value not in ("to", "to_empty") or not node.args:
            return
        given = argument(node, "device", 0)
        if given is None:
            return
        where = given.value
        current = is_current(where, ctx)
        if ctx.is_claimed(where) or (cuda_text(where) is None and not current):
            return
        ctx.report(
            self,
            where,
            f"`.{func.attr.value}({ctx.code(where)})` needs CUDA",
            symbol='torch.Tensor.to("cuda")',
            claims=(where,),
            fix=lambda fix: fix.replace(where, fix.device() if current else device_for(fix, where)),
            title="Move to the device that is there",
        )
