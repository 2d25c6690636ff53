"""Which device is current: asking for it, setting it, and setting it for a block."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import device_module, guard_rename, keeps_raising
from uncuda.literals import argument
from uncuda.rules._calls import cuda_function, index_argument, is_read, literal_device
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.values import Kind

_ASK = frozenset({"current_device"})
_SET = frozenset({"set_device"})
_BLOCK = frozenset({"device", "device_of"})


class CudaCurrentDevice(Rule):
    """`torch.cuda.current_device()` raises on every accelerator but CUDA and ROCm.

    `torch.accelerator.current_device_index()` gives the same int on CUDA and the index of the current device
    elsewhere. Without an accelerator both raise. (`torch.cpu.current_device()` would give the text "cpu".)
    """

    code = "UC204"
    name = "cuda-current-device"
    triggers = (r"\bcuda\b",)
    effort = 1
    fix_safety = (
        "Safe: the same int with CUDA; without an accelerator both raise. Not offered in a `try` whose "
        "handlers catch AssertionError but not RuntimeError, which is what the new call raises."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.current_device")
    bad = (
        Bad(
            "import torch\n\ni = torch.cuda.current_device()\n",
            "import torch\n\ni = torch.accelerator.current_device_index()\n",
            run="i",
        ),
        Bad(
            "import torch\nfrom torch.distributed.fsdp import FullyShardedDataParallel as FSDP\n\n\n"
            "def wrap(m):\n"
            "    return FSDP(\n        m,\n        device_id=torch.cuda.current_device(),  # one per rank\n"
            "    )\n",
            "import torch\nfrom torch.distributed.fsdp import FullyShardedDataParallel as FSDP\n\n\n"
            "def wrap(m):\n"
            "    return FSDP(\n        m,\n        device_id=torch.accelerator.current_device_index(),"
            "  # one per rank\n    )\n",
            run="wrap(torch.nn.Linear(1, 1))",
            id="fsdp",
        ),
        Bad(
            "from torch.cuda import current_device as here\n\n\ndef f(x):\n    return x, here()\n",
            "import torch\n\n\ndef f(x):\n    return x, torch.accelerator.current_device_index()\n",
            run="f(torch.ones(1))",
            id="alias",
        ),
        Bad(
            "import torch\n\n\ndef f(x, device=None):\n"
            "    return device if device is not None else torch.cuda.current_device()\n",
            "import torch\n\n\ndef f(x, device=None):\n"
            "    return device if device is not None else torch.accelerator.current_device_index()\n",
            run="f(1, 2), f(1)",
            id="conditional",
        ),
        Bad(
            "import torch\n\ntry:\n    i = torch.cuda.current_device()\nexcept AssertionError:\n"
            "    i = None\n",
            None,
            id="caught",
        ),
        Bad("import torch\n\ni = torch.cuda.current_device()\n", None, floor=(2, 5), id="floor"),
        Bad(
            "import torch\n\n\ndef is_new():\n"
            "    return torch.cuda.get_device_capability(torch.cuda.current_device()) >= (8, 0)\n\n\n"
            "def test_it(name):\n    assert name == f'cuda:{torch.cuda.current_device()}'\n",
            None,
            count=2,
            id="goes-to-cuda",
        ),
    )
    good = (
        Good(
            "import torch\n\n\ndef f(name):\n    assert name == f'cuda:{torch.accelerator.current_device_index()}'\n"
        ),
        Good("import torch\n\ni = torch.accelerator.current_device_index()\n", "portable already"),
        Good("import torch\n\ni = torch.npu.current_device()\n", "another vendor's"),
        Good(
            "class Pool:\n    def current_device(self):\n        return 0\n\n\n"
            "Pool().current_device()  # cuda\n"
        ),
        Good("from cupy import cuda\n\ncuda.current_device()\n", "not torch"),
        Good("current_device = 'cuda'\n", "a name of one's own"),
        Good('"""Uses torch.cuda.current_device()."""\n', "prose"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not ctx.is_claimed(node) and not node.args and cuda_function(node.func, ctx, _ASK):
            self._report(node, node.func, ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in _ASK and not ctx.is_claimed(node) and is_read(node, ctx):
            if cuda_function(node, ctx, _ASK):
                self._report(node, node, ctx)

    def _report(self, node: cst.BaseExpression, name: cst.BaseExpression, ctx: Context) -> None:
        def rename(fix: FixBuilder) -> None:
            fix.needs("torch.accelerator")
            if _goes_to_cuda(ctx):
                raise CannotFix("what it goes into is CUDA's as well")
            keeps_raising(fix, node, "RuntimeError")
            fix.replace(name, fix.name("torch.accelerator.current_device_index"))

        ctx.report(
            self,
            node,
            "`torch.cuda.current_device()` needs CUDA",
            symbol="torch.cuda.current_device",
            fix=rename,
            title="Ask any accelerator for its current device",
        )


def _goes_to_cuda(ctx: Context) -> bool:
    """Is the index given to a function of torch.cuda, or put behind "cuda:"? Alone, another device's is of no use there."""
    match ctx.ancestors[-2:]:
        case [cst.Call(func=func), cst.Arg()]:
            return (ctx.qualified(func) or "").startswith("torch.cuda.")
        case [
            cst.FormattedString(parts=[cst.FormattedStringText(value=text), *_]),
            cst.FormattedStringExpression(),
        ]:
            return text == "cuda:"
        case _:
            return False


class CudaSetDevice(Rule):
    """`torch.cuda.set_device(i)` raises on every accelerator but CUDA and ROCm.

    It is the first line of most multi-device programs, so that they stop there on Ascend or XPU.
    `torch.accelerator.set_device_index(i)` selects the same device on CUDA; it takes its argument by position
    only, and an int, a text or a torch.device as before. A statement of its own is left out where there is no
    accelerator, so that the program goes on there, on the CPU.
    """

    code = "UC205"
    name = "cuda-set-device"
    triggers = (r"\bcuda\b",)
    effort = 1
    fix_safety = (
        "Safe: the same device with CUDA; without an accelerator the call raised, and a statement of its "
        "own is "
        "skipped now. In a `try` that handles the failure it goes on failing; not offered where the handlers "
        "wouldn't catch RuntimeError, which is what the new call raises. A literal without an index (it always raises) is left alone."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.set_device")
    bad = (
        Bad(
            "import torch\n\n\ndef setup(rank):\n    torch.cuda.set_device(rank)  # one device per rank\n",
            "import torch\n\n\ndef setup(rank):\n    if torch.accelerator.is_available():\n"
            "        torch.accelerator.set_device_index(rank)  # one device per rank\n",
            run="setup(0)",
        ),
        Bad(
            "import torch\n\ntorch.cuda.set_device(device=0)\n",
            "import torch\n\nif torch.accelerator.is_available():\n"
            "    torch.accelerator.set_device_index(0)\n",
            run="None",
            id="keyword",
        ),
        Bad(
            'import torch\n\n\ndef setup(rank):\n    torch.cuda.set_device(f"cuda:{rank}")\n',
            "import torch\n\n\ndef setup(rank):\n    if torch.accelerator.is_available():\n"
            "        torch.accelerator.set_device_index(rank)\n",
            run="setup(0)",
            id="text",
        ),
        Bad(
            "import torch\n\n\ndef setup(rank):\n    torch.cuda.set_device(torch.device('cuda', rank))\n",
            "import torch\n\n\ndef setup(rank):\n    if torch.accelerator.is_available():\n"
            "        torch.accelerator.set_device_index(rank)\n",
            run="setup(0)",
            id="device",
        ),
        Bad(
            "import torch\n\n\ndef setup(rank):\n    if torch.cuda.is_available():\n"
            "        torch.cuda.set_device(rank)\n",
            "import torch\n\n\ndef setup(rank):\n    if torch.cuda.is_available():\n"
            "        torch.accelerator.set_device_index(rank)\n",
            run="setup(0)",
            id="guarded",
        ),
        Bad(
            "import torch\n\n\ndef setup(args):\n    if args.gpu is not None: "
            "torch.cuda.set_device(args.gpu)\n",
            "import torch\n\n\ndef setup(args):\n    if args.gpu is not None: "
            "torch.accelerator.set_device_index"
            "(args.gpu) if torch.accelerator.is_available() else None\n",
            setup="import types",
            run="setup(types.SimpleNamespace(gpu=None))",
            id="one-line",
        ),
        Bad(
            "import os\n\nimport torch\n\n\ndef setup():\n"
            "    torch.cuda.set_device(\n        int(os.environ['LOCAL_RANK']),  # set by torchrun\n    )\n",
            "import os\n\nimport torch\n\n\ndef setup():\n    if torch.accelerator.is_available():\n"
            "        torch.accelerator.set_device_index(\n            int(os.environ['LOCAL_RANK']),"
            "  # set by torchrun\n        )\n",
            run="None",
            id="multi-line",
        ),
        Bad(
            "import torch\n\ntry:\n    torch.cuda.set_device(0)\nexcept Exception:\n    print('no GPU')\n",
            "import torch\n\ntry:\n    torch.accelerator.set_device_index(0)\nexcept Exception:\n"
            "    print('no GPU')\n",
            run="None",
            id="caught",
        ),
        Bad("import torch\n\ntorch.cuda.set_device('cuda')\n", None, id="no-index"),
    )
    good = (
        Good("import torch\n\ntorch.accelerator.set_device_index(0)\n", "portable already"),
        Good("import torch\n\ntorch.set_default_device('cuda')\n", "another call, told by another rule"),
        Good(
            "class Engine:\n    def set_device(self, d):\n        self.d = d\n\n\n"
            "Engine().set_device('cuda')\n"
        ),
        Good("from numba import cuda\n\ncuda.set_device(0)\n", "not torch"),
        Good("import torch\n\ntorch.npu.set_device(0)\n", "another vendor's"),
        Good("def f(torch):\n    torch.cuda.set_device(0)\n", "torch is a parameter here"),
        Good("# torch.cuda.set_device(0)\nx = 1\n", "a comment"),
        Good("help = 'calls torch.cuda.set_device(i)'\n", "prose"),
        Good("from torch.cuda import set_device\n", "an import alone"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node) or not cuda_function(node.func, ctx, _SET):
            return
        given = argument(node, "device", 0)
        literal = given is not None and literal_device(given.value, ctx) is not None
        ctx.report(
            self,
            node,
            "`torch.cuda.set_device()` needs CUDA",
            symbol="torch.cuda.set_device",
            claims=(given.value,) if given is not None and literal else (),
            fix=lambda fix: self._fix(fix, node, given),
            title="Set the device of any accelerator",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, given: cst.Arg | None) -> None:
        if given is None or len(node.args) != 1:
            raise CannotFix("not the arguments of torch.cuda.set_device")
        fix.needs("torch.accelerator")
        where = index_argument(fix, given.value)
        if not where:
            raise CannotFix("a device without index can't be set")
        same = given.keyword is None and where == fix.code(given.value)
        test = "" if keeps_raising(fix, node, "RuntimeError") else None
        name = fix.name("torch.accelerator.set_device_index")
        guard_rename(fix, node, name, arguments=None if same else where, test=test)


class CudaDeviceContext(Rule):
    """`with torch.cuda.device(i):` raises on every accelerator but CUDA and ROCm.

    From torch 2.8 `torch.accelerator.device_index(i)` does the same for any accelerator. It takes an int or
    None, where the CUDA one takes text and a torch.device too: those are turned into their index where they
    are known, else the device's own module is asked (`torch.get_device_module().device(x)`). With None it
    does nothing, so that `device_index(x.device.index)` and what stands for `device_of(x)` run on the CPU
    as well.
    """

    code = "UC207"
    name = "cuda-device-context"
    triggers = (r"\bcuda\b",)
    effort = 1
    fix_safety = (
        "Unsafe: on a CPU a negative index did nothing before and raises now, and what the argument holds is "
        "seldom known."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.device, torch.cuda.device_of")
    bad = (
        Bad(
            "import torch\n\nwith torch.cuda.device(0):\n    y = 1\n",
            "import torch\n\nwith torch.accelerator.device_index(0):\n    y = 1\n",
            Applicability.UNSAFE,
            floor=(2, 8),
        ),
        Bad(
            "import torch\n\nwith torch.cuda.device(0):\n    y = 1\n",
            "import torch\n\nwith torch.get_device_module().device(0):\n    y = 1\n",
            Applicability.UNSAFE,
            id="before-2.8",
        ),
        Bad(
            "import torch\n\n\ndef launch(x: torch.Tensor):\n    with torch.cuda.device(x.device):\n"
            "        run(x)\n",
            "import torch\n\n\ndef launch(x: torch.Tensor):\n"
            "    with torch.accelerator.device_index(x.device.index):\n        run(x)\n",
            Applicability.UNSAFE,
            floor=(2, 9),
            id="tensor-device",
        ),
        Bad(
            "import torch\n\n\ndef launch(x, device):\n    with torch.cuda.device(device):\n        run(x)\n",
            "import torch\n\n\ndef launch(x, device):\n"
            "    with torch.get_device_module().device(device):\n        run(x)\n",
            Applicability.UNSAFE,
            floor=(2, 9),
            id="unknown-kind",
        ),
        Bad(
            "import torch\n\n\ndef launch(x):\n    with torch.cuda.device_of(x):\n        run(x)\n",
            "import torch\n\n\ndef launch(x):\n    with torch.accelerator.device_index(x.device.index):\n"
            "        run(x)\n",
            Applicability.UNSAFE,
            floor=(2, 8),
            id="device-of",
        ),
        Bad(
            'import torch\n\nwith torch.cuda.device("cuda:1"), open("log"):\n    y = 1\n',
            'import torch\n\nwith torch.accelerator.device_index(1), open("log"):\n    y = 1\n',
            Applicability.UNSAFE,
            floor=(2, 9),
            id="text",
        ),
        Bad(
            "import torch\n\n\ndef launch(x):\n    with torch.cuda.device_of(x):\n        run(x)\n",
            None,
            id="device-of-before-2.8",
        ),
    )
    good = (
        Good("import torch\n\nwith torch.accelerator.device_index(0):\n    y = 1\n", "portable already"),
        Good("import torch\n\ny = torch.device('cpu')\n", "a device, not a context"),
        Good("import torch\n\nwith torch.device('cpu'):\n    y = torch.ones(1)\n"),
        Good("import cupy\n\nwith cupy.cuda.Device(0):\n    y = 1\n", "not torch"),
        Good("with cuda.device(0):\n    y = 1\n", "nobody knows what cuda is"),
        Good("cfg = {'cuda.device': 0}\n", "a dict key"),
        Good("class Pool:\n    def device(self, i):\n        return i\n\n\ncuda = Pool()\ncuda.device(0)\n"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = cuda_function(node.func, ctx, _BLOCK)
        if name is None or len(node.args) != 1 or node.args[0].star:
            return
        given = node.args[0]
        literal = literal_device(given.value, ctx) is not None
        ctx.report(
            self,
            node,
            f"`torch.cuda.{name}()` needs CUDA",
            symbol=f"torch.cuda.{name}",
            claims=(given.value,) if literal else (),
            fix=lambda fix: self._fix(fix, node, name, given.value),
            title="Set any accelerator's device for the block",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, name: str, given: cst.BaseExpression) -> None:
        fix.unsafe()
        index = self._index(fix, name, given)
        if index is not None and (fix.has("torch.accelerator.device_index") or name == "device_of"):
            fix.needs("torch.accelerator.device_index")
            fix.replace(node.func, fix.name("torch.accelerator.device_index"))
            fix.arguments(node, index)
            return
        module = device_module(fix)
        fix.replace(node.func, f"{module}.device")
        where = index_argument(fix, given)
        if not where:
            fix.arguments(node, "None")
        elif where != fix.code(given):
            fix.arguments(node, where)

    def _index(self, fix: FixBuilder, name: str, given: cst.BaseExpression) -> str | None:
        """The argument as an int or None, when it is known to become one."""
        if name == "device_of":
            if not isinstance(given, (cst.Name, cst.Attribute, cst.Subscript, cst.Call)):
                raise CannotFix("the argument is an expression")
            return f"{fix.code(given)}.device.index"
        if literal_device(given, fix.ctx) is not None:
            return index_argument(fix, given) or "None"
        value = fix.ctx.value(given)
        if value.kind in (Kind.INT, Kind.NONE):
            return fix.code(given)
        if value.kind is Kind.DEVICE:
            return f"{fix.code(given)}.index"
        match given:
            case cst.Attribute(attr=cst.Name("index"), value=cst.Attribute(attr=cst.Name("device"))):
                return fix.code(given)
            case cst.Attribute(attr=cst.Name("device"), value=owner) if (
                fix.ctx.value(owner).kind is Kind.TENSOR
            ):
                return f"{fix.code(given)}.index"
            case cst.Call() if fix.ctx.qualified(given.func) in _INDEX_CALLS:
                return fix.code(given)
            case _:
                return None


_INDEX_CALLS = frozenset(
    {"torch.cuda.current_device", "torch.accelerator.current_device_index", "torch.distributed.get_rank"}
)
