"""Choosing the device by asking for CUDA: what silently loses every other accelerator."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.flow import Kind, Value, argument, device_text, indexed_cuda_text
from uncuda.portable import mentions_cuda, uses_own_module
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.rules.markers import guards_markers
from uncuda.walk import walk

_AVAILABLE = "torch.cuda.is_available"
_TYPE = "torch.accelerator.current_accelerator().type"
_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_NO_FLOAT64 = (
    "On a Mac the accelerator is MPS, where code that ran on the CPU before now meets missing float64."
)


def availability_calls(test: cst.CSTNode, ctx: Context) -> list[cst.Call]:
    """The `torch.cuda.is_available()` calls in a condition."""
    return [n for n in walk(test) if isinstance(n, cst.Call) and ctx.qualified(n.func) == _AVAILABLE]


def _literal(node: cst.BaseExpression, ctx: Context) -> Value | None:
    """The CUDA device that a text or `torch.device(text)` names on the spot."""
    value = device_text(node)
    if value is None and isinstance(node, cst.Call) and ctx.qualified(node.func) == "torch.device":
        value = ctx.value(node)
        given = argument(node, "device", 0) or argument(node, "type", 0)
        if given is None or device_text(given.value) is None:
            return None
    return value if value is not None and value.is_cuda else None


def _accelerator(fix: FixBuilder, node: cst.BaseExpression, value: Value) -> str:
    """The accelerator for a CUDA literal, of the same kind (text stays text) and with its index, where one is
    known to be there."""
    fix.needs((2, 6))
    current = f"{fix.name('torch')}.accelerator.current_accelerator()"
    index = _index(fix, node, value)
    if value.kind is Kind.TEXT:
        return f"{current}.type" if index is None else f'f"{{{current}.type}}:{_in_braces(index)}"'
    return current if index is None else f"{fix.name('torch')}.device({current}.type, {index})"


def _in_braces(index: str) -> str:
    return index if index.isdigit() else f"{{{index}}}"


def _index(fix: FixBuilder, node: cst.BaseExpression, value: Value) -> str | None:
    if not value.index:
        return None
    if isinstance(node, cst.Call) and value.kind is Kind.DEVICE:
        separate = argument(node, "index", 1)
        if separate is not None:
            return fix.code(separate.value)
        given = argument(node, "device", 0) or argument(node, "type", 0)
        assert given is not None
        node = given.value
    computed = indexed_cuda_text(node)
    return fix.code(computed) if computed is not None else value.index


def _widen(fix: FixBuilder, test: cst.CSTNode, ctx: Context) -> bool:
    """Asks for any accelerator instead of CUDA in a condition; False when the condition asks by a flag."""
    calls = availability_calls(test, ctx)
    for call in calls:
        fix.replace(call, fix.is_available())
    return bool(calls)


class CudaOrCpu(Rule):
    """Choosing "cuda" where it is available, else "cpu", runs on the CPU of every other accelerator's host.

    Nothing raises and nothing is logged: on Ascend, Intel XPU, Apple MPS or Gaudi the program trains on the
    CPU, and nobody sees it but the clock. `torch.accelerator` answers for whichever accelerator is there, and
    gives "cuda" where it is CUDA. Text stays text, a torch.device stays one, and an index is kept.
    """

    code = "UC201"
    name = "cuda-or-cpu"
    triggers = ("cuda",)
    category = Category.MANDATORY
    effort = 1
    priority = 20
    fix_safety = (
        "Safe where the condition asks `torch.cuda.is_available()` itself or a variable that holds its answer: the "
        "same device on CUDA, the CPU where there is no accelerator. Unsafe where the condition is a flag from "
        "elsewhere. " + _NO_FLOAT64
    )
    sources = ("torch 2.13.0, executed", "torch 2.6.0: current_accelerator() raises on a CPU-only build")
    bad = (
        Bad(
            'import torch\n\ndevice = "cuda" if torch.cuda.is_available() else "cpu"\n',
            f'import torch\n\ndevice = {_TYPE} if torch.accelerator.is_available() else "cpu"\n',
            run="device",
        ),
        Bad(
            'import torch\n\ndevice = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n',
            f"import torch\n\ndevice = {_SELECT}\n",
            run="device",
            id="device",
        ),
        Bad(
            'import torch as th\n\ndevice = th.device("cuda:0" if th.cuda.is_available() else "cpu")\n',
            "import torch as th\n\ndevice = th.device(th.accelerator.current_accelerator().type, 0) "
            'if th.accelerator.is_available() else th.device("cpu")\n',
            run="device",
            id="indexed",
        ),
        Bad(
            'import torch\n\n\ndef pick(rank):\n    return f"cuda:{rank}" if torch.cuda.is_available() else "cpu"\n',
            f'import torch\n\n\ndef pick(rank):\n    return f"{{{_TYPE}}}:{{rank}}" '
            'if torch.accelerator.is_available() else "cpu"\n',
            run="pick(0)",
            id="f-string",
        ),
        Bad(
            "import torch\n\nif torch.cuda.is_available():\n    device = torch.device('cuda')\nelse:\n"
            "    device = torch.device('cpu')\n",
            "import torch\n\nif torch.accelerator.is_available():\n"
            "    device = torch.accelerator.current_accelerator()\nelse:\n    device = torch.device('cpu')\n",
            run="device",
            id="statement",
        ),
        Bad(
            "import torch\n\nuse_cuda = torch.cuda.is_available()\ndevice = torch.device('cuda' if use_cuda else 'cpu')\n",
            "import torch\n\nuse_cuda = torch.cuda.is_available()\n"
            "device = torch.device(torch.accelerator.current_accelerator().type if use_cuda else 'cpu')\n",
            run="device",
            id="flag",
        ),
        Bad(
            'import torch\n\n\ndef main(args):\n    return "cpu" if not torch.cuda.is_available() else "cuda"\n',
            'import torch\n\n\ndef main(args):\n    return "cpu" if not torch.accelerator.is_available() else '
            f"{_TYPE}\n",
            run="main(None)",
            id="negated",
        ),
        Bad(
            'import torch\n\n\ndef main(args):\n    return "cuda" if args.cuda else "cpu"\n',
            "import torch\n\n\ndef main(args):\n"
            f'    return ({_TYPE} if torch.accelerator.is_available() else "cpu") if args.cuda else "cpu"\n',
            Applicability.UNSAFE,
            id="foreign-flag",
        ),
        Bad(
            'import torch\n\ndev = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() '
            'else "cpu"\n',
            f'import torch\n\ndev = {_TYPE} if torch.accelerator.is_available() else "mps" '
            'if torch.backends.mps.is_available() else "cpu"\n',
            run="dev",
            id="chain",
        ),
        Bad(
            'import torch\n\ndevice = "cuda" if torch.cuda.is_available() else "cpu"\n',
            None,
            floor=(2, 5),
            id="floor",
        ),
    )
    good = (
        Good('import torch\n\ndevice = torch.accelerator.current_accelerator() if torch.accelerator.is_available() '
             'else torch.device("cpu")\n', "portable already"),
        Good('label = "cuda" if flag else "CUDA toolkit"\n', "neither side is another device"),
        Good('d = {"cuda": 1} if flag else {}\n', "a dict key"),
        Good('x = "cpu" if flag else "mps"\n'),
        Good('"""Use "cuda" if torch.cuda.is_available() else "cpu"."""\n', "prose"),
        Good('# device = "cuda" if torch.cuda.is_available() else "cpu"\nx = 1\n', "a comment"),
        Good('name = "cuda-12" if flag else "cpu-only"\n', "not devices"),
        Good('import torch\n\nif torch.accelerator.is_available():\n    dev = torch.accelerator.current_accelerator()\n'),
        Good('import torch\n\nn = 2 if torch.cuda.is_available() else 1\n', "UC202 tells this one"),
        Good('cuda = fetch()\nx = cuda if cuda else None\n', "a name that happens to be cuda"),
    )  # fmt: skip

    def visit_IfExp(self, node: cst.IfExp, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        for side, other in ((node.body, node.orelse), (node.orelse, node.body)):
            value = _literal(side, ctx)
            if value is not None and _is_elsewhere(other, ctx):
                break
        else:
            return
        outer = self._device_call(node, ctx)
        tie = outer if outer is not None else node
        flag = ctx.value(node.test)
        ctx.report(
            self,
            tie,
            "CUDA or the CPU: any other accelerator is lost without an error",
            symbol=_AVAILABLE,
            claims=(side, *availability_calls(node.test, ctx)),
            fix=lambda fix: self._fix(fix, node, side, value, outer, flag),
            title="Select the accelerator that is there",
        )

    def _device_call(self, node: cst.IfExp, ctx: Context) -> cst.Call | None:
        """`torch.device(<node>)` around the conditional."""
        if len(ctx.ancestors) < 2:
            return None
        arg, call = ctx.ancestors[-1], ctx.ancestors[-2]
        if isinstance(arg, cst.Arg) and isinstance(call, cst.Call) and len(call.args) == 1:
            return call if ctx.qualified(call.func) == "torch.device" else None
        return None

    def _fix(
        self,
        fix: FixBuilder,
        node: cst.IfExp,
        side: cst.BaseExpression,
        value: Value,
        outer: cst.Call | None,
        flag: Value,
    ) -> None:
        ctx = fix.ctx
        calls = availability_calls(node.test, ctx)
        asks_only = len(calls) == 1 and calls[0] is node.test
        if outer is not None and asks_only and side is node.body and device_text(node.orelse) is not None:
            index = _index(fix, side, value)
            fix.needs((2, 6))
            here = fix.spelling()
            fix.replace(outer, here.device if index is None else here.indexed(index))
            return
        new = _accelerator(fix, side, value)
        if calls:
            _widen(fix, node.test, ctx)
        elif flag.kind is not Kind.FLAG:
            fix.unsafe()
            fallback = '"cpu"' if value.kind is Kind.TEXT else f'{fix.name("torch")}.device("cpu")'
            new = fix.spelling().guarded(new, fallback)
        fix.replace(side, new)

    def visit_If(self, node: cst.If, ctx: Context) -> None:
        calls = availability_calls(node.test, ctx)
        if not calls or ctx.is_claimed(calls[0]) or not isinstance(node.body, cst.IndentedBlock):
            return
        negated = isinstance(node.test, cst.UnaryOperation)
        suite: cst.BaseSuite = node.body
        if negated:
            if not isinstance(node.orelse, cst.Else):
                return
            suite = node.orelse.body
        chosen = list(_assigned(suite, ctx))
        if not chosen:
            return
        values = [v for v, _ in chosen]
        ctx.report(
            self,
            calls[0],
            "CUDA or the CPU: any other accelerator is lost without an error",
            symbol=_AVAILABLE,
            claims=(*values, *calls),
            fix=lambda fix: self._fix_statement(fix, node, suite, chosen),
            title="Select the accelerator that is there",
        )

    def _fix_statement(
        self,
        fix: FixBuilder,
        node: cst.If,
        suite: cst.BaseSuite,
        chosen: list[tuple[cst.BaseExpression, Value]],
    ) -> None:
        ctx = fix.ctx
        literals = {id(v) for v, _ in chosen}
        rest = [s for s in suite.body if not any(id(n) in literals for n in walk(s))]
        if mentions_cuda(rest, ctx):
            raise CannotFix("the block holds other ties")
        if uses_own_module(rest, ctx):
            fix.unsafe()
        _widen(fix, node.test, ctx)
        for expression, value in chosen:
            fix.replace(expression, _accelerator(fix, expression, value))


def _assigned(suite: cst.BaseSuite, ctx: Context) -> Iterator[tuple[cst.BaseExpression, Value]]:
    """CUDA devices that a suite assigns or returns, at its top level."""
    for line in suite.body:
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            expression: cst.BaseExpression | None = None
            if isinstance(small, (cst.Assign, cst.AnnAssign, cst.Return)):
                expression = small.value
            if expression is not None:
                value = _literal(expression, ctx)
                if value is not None:
                    yield expression, value


def _is_elsewhere(node: cst.BaseExpression, ctx: Context) -> bool:
    """Another device than CUDA, or none."""
    if isinstance(node, cst.IfExp):
        return _is_elsewhere(node.body, ctx) or _is_elsewhere(node.orelse, ctx)
    value = ctx.value(node)
    return (value.kind in (Kind.TEXT, Kind.DEVICE) and not value.is_cuda) or value.kind is Kind.NONE


class CudaAvailable(Rule):
    """A block that runs only where CUDA is available is skipped on every other accelerator.

    `torch.cuda.is_available()` is False on Ascend, XPU, MPS and Gaudi: what it guards doesn't run there, with
    no error. Where everything behind the question is portable, `torch.accelerator.is_available()` asks what was
    meant. Where CUDA-only code stands behind it, the question is right and stays.
    """

    code = "UC202"
    name = "cuda-available"
    triggers = ("cuda",)
    category = Category.OPTIONAL
    effort = 1
    priority = 60
    fix_safety = (
        "Safe where the guarded block holds no other tie to CUDA, and in what is only printed. Unsafe where the answer is "
        "returned, stored or passed on, as who gets it may run CUDA-only code, and where the block calls what MPS lacks. Not offered while the block holds ties. "
        + _NO_FLOAT64
    )
    sources = ("torch 2.13.0, executed",)
    bad = (
        Bad(
            "import torch\n\n\ndef step(x):\n"
            "    with torch.autograd.profiler.emit_nvtx(enabled=ON and torch.cuda.is_available()):\n        return x\n",
            None,
            id="given-to-nvtx",
        ),
        Bad(
            "import torch\n\n\ndef f(model, device):\n    if torch.cuda.is_available():\n        model.to(device)\n",
            "import torch\n\n\ndef f(model, device):\n    if torch.accelerator.is_available():\n        model.to(device)\n",
            run="f(torch.nn.Linear(1, 1), 'cpu')",
        ),
        Bad(
            "import torch\n\n\ndef f(model, device):\n    if torch.cuda.is_available():\n        model.to(device)\n"
            "        torch.backends.cudnn.benchmark = True\n",
            "import torch\n\n\ndef f(model, device):\n    if torch.accelerator.is_available():\n        model.to(device)\n"
            "        torch.backends.cudnn.benchmark = True\n",
            run="f(torch.nn.Linear(1, 1), 'cpu')",
            id="harmless-flag",
        ),
        Bad(
            'import torch\n\nprint(f"GPU: {torch.cuda.is_available()}")\n',
            'import torch\n\nprint(f"GPU: {torch.accelerator.is_available()}")\n',
            run="None",
            id="printed",
        ),
        Bad(
            "import torch\n\nuse_gpu = torch.cuda.is_available()\n",
            "import torch\n\nuse_gpu = torch.accelerator.is_available()\n",
            Applicability.UNSAFE,
            id="stored",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    if torch.cuda.is_available():\n        return my_cuda_kernel(x)\n    return x\n",
            None,
            id="kernel-behind-it",
        ),
        Bad(
            "import torch\n\nif not torch.cuda.is_available():\n    raise SystemExit('needs a GPU')\n",
            "import torch\n\nif not torch.accelerator.is_available():\n    raise SystemExit('needs a GPU')\n",
            Applicability.UNSAFE,
            id="refusal",
        ),
        Bad(
            "import torch\nfrom torch.utils.data import DataLoader\n\n"
            "loader = DataLoader([1], pin_memory=torch.cuda.is_available())\n",
            "import torch\nfrom torch.utils.data import DataLoader\n\n"
            "loader = DataLoader([1], pin_memory=torch.accelerator.is_available())\n",
            run="len(loader)",
            id="pin-memory",
        ),
        Bad(
            "import torch\n\n\ndef side():\n    s = None\n    if torch.cuda.is_available():\n"
            "        s = torch.get_device_module().Stream()\n    return s\n",
            "import torch\n\n\ndef side():\n    s = None\n    if torch.accelerator.is_available():\n"
            "        s = torch.get_device_module().Stream()\n    return s\n",
            Applicability.UNSAFE,
            id="not-on-a-mac",
        ),
        Bad("import torch\n\nif torch.cuda.is_available():\n    go()\n", None, floor=(2, 5), id="floor"),
    )
    good = (
        Good("flags.enabled = cuda.is_available()\n", "not torch's"),
        Good("import torch\n\nif torch.accelerator.is_available():\n    go()\n"),
        Good("class cuda:\n    @staticmethod\n    def is_available():\n        return True\n\n\ncuda.is_available()\n",
             "a class of one's own"),
        Good("from numba import cuda\n\ncuda.is_available()\n", "numba's"),
        Good("'torch.cuda.is_available()'\n", "prose"),
        Good("import torch\n\ntorch.backends.mps.is_available()\n"),
        Good("import torch\n\ntorch.distributed.is_available()\n"),
        Good("import torch\n\nif torch.cuda.is_available():\n    torch.cuda.nvtx.range_push('a')\n",
             "a mark for NVIDIA's profiler, which others don't miss"),
        Good("import torch\n\nwith torch.autograd.profiler.emit_nvtx(enabled=torch.cuda.is_available()):\n    x = 1\n"),
        Good("def f(torch):\n    return torch.cuda.is_available()\n", "torch is a parameter here"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not isinstance(node.func, (cst.Name, cst.Attribute)) or node.args:
            return
        if ctx.is_claimed(node) or ctx.qualified(node.func) != _AVAILABLE:
            return
        if guards_markers(node, ctx):
            ctx.claim(node)
            return
        ctx.report(
            self,
            node,
            "what follows from `torch.cuda.is_available()` is skipped on other accelerators",
            symbol=_AVAILABLE,
            fix=lambda fix: self._fix(fix, node, ctx),
            title="Ask for any accelerator",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, ctx: Context) -> None:
        new = fix.is_available()
        if not self._only_shown(ctx) and not self._guards_portable(node, ctx):
            fix.unsafe()
        if "float64" in ctx.index.text or ".double()" in ctx.index.text:
            fix.unsafe()
        fix.replace(node, new)

    def _only_shown(self, ctx: Context) -> bool:
        """Printed, logged, or given to `pin_memory=`."""
        for above in reversed(ctx.ancestors):
            if isinstance(above, cst.Arg) and above.keyword is not None:
                return above.keyword.value == "pin_memory"
            if isinstance(above, cst.Call):
                func = above.func
                name = func.attr.value if isinstance(func, cst.Attribute) else getattr(func, "value", "")
                return name in ("print", "info", "debug", "warning")
            if isinstance(above, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
                return False
        return False

    def _guards_portable(self, node: cst.Call, ctx: Context) -> bool:
        """Is the question the condition of a block, and is all in the block portable?"""
        path = [*ctx.ancestors, node]
        for depth in range(len(path) - 2, -1, -1):
            above, below = path[depth], path[depth + 1]
            if isinstance(above, (cst.BooleanOperation, cst.UnaryOperation)):
                parts = [above.left, above.right] if isinstance(above, cst.BooleanOperation) else []
                if mentions_cuda([p for p in parts if p is not below], ctx):
                    raise CannotFix("the condition asks for CUDA in another way too")
                continue
            if isinstance(above, cst.Arg):
                call = path[depth - 1] if depth else None
                if isinstance(call, cst.Call) and mentions_cuda([call.func], ctx):
                    raise CannotFix("what it is given to is CUDA's own")
                return False
            if isinstance(above, cst.IfExp) and below is above.test:
                if mentions_cuda([above.body, above.orelse], ctx):
                    raise CannotFix("the expression holds other ties")
                return False
            if isinstance(above, cst.If) and below is above.test:
                suites: list[cst.CSTNode] = [above.body]
                if isinstance(above.orelse, cst.Else):
                    suites.append(above.orelse)
                if mentions_cuda(suites, ctx):
                    raise CannotFix("the block holds ties to CUDA")
                return not _refuses(above.body) and not uses_own_module(suites, ctx)
            return False
        return False


def _refuses(suite: cst.BaseSuite) -> bool:
    """Does the block raise, return or exit: is it a requirement rather than a choice?"""
    return any(
        isinstance(n, (cst.Raise, cst.Return, cst.Continue, cst.Break))
        or (isinstance(n, cst.Call) and (getattr(n.func, "value", "") in ("exit", "quit")))
        for n in walk(suite)
    )
