"""Choosing the device by asking for CUDA: what silently loses every other accelerator."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from uncuda.context import Context
from uncuda.findings import Outcome, Target
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.guards import assigned_to, denies, polarity
from uncuda.literals import argument, device_text, indexed_cuda_text, string_value
from uncuda.others import among_others, handles_others, names_others
from uncuda.portable import mentions_cuda, uses_own_module
from uncuda.rules._calls import calls_of, is_read, last_word
from uncuda.rules._foreign import refuse_foreign
from uncuda.rules._literals import answers_about_cuda
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.rules.markers import guards_markers
from uncuda.values import Kind, Value
from uncuda.walk import walk

_AVAILABLE = "torch.cuda.is_available"
_COUNT = "torch.cuda.device_count"
# Calls whose answer, where it isn't False or 0, says that there is a device.
_THERE = frozenset(
    f"torch.{home}.{asks}" for home in ("cuda", "accelerator") for asks in ("is_available", "device_count")
)
_ABOUT_CUDA = re.compile(r"cuda|nvidia", re.I)
_BUILDS = re.compile(
    r"\bcpp_extension\b|\bnvcc\b|^[ \t]*(?:import|from)[ \t]+(?:setuptools|distutils)\b", re.M
)
_FACT = re.compile(r"cuda_?(?:is_)?(?:un)?avail", re.I)
_ROCM = re.compile(r"(?<![a-z])(?:hip|rocm)", re.I)
_WISH = re.compile(r"(?:no|not|use|with|without|disable|enable|force|allow|want)?_?cuda\Z", re.I)
_LEAVES = frozenset({"exit", "quit", "skip", "skipTest", "fail", "abort"})
_SHOWS = re.compile(r"print|\A(?:info|debug|warning|warn|error|log|write|echo|append_row)\Z")
_TYPE = "torch.accelerator.current_accelerator().type"
_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_FLOAT64 = re.compile(r"(?<!\bnp\.)(?<!\bnumpy\.)\b(?:float64|DoubleTensor)\b|\.double\b")
_NO_FLOAT64 = (
    "On a Mac the accelerator is MPS, where code that ran on the CPU before now meets missing float64: unsafe in a file "
    "that works with it, unless the targets are chosen and MPS isn't among them."
)


def availability_calls(test: cst.CSTNode, ctx: Context) -> list[cst.Call]:
    """The `torch.cuda.is_available()` calls in a condition."""
    return calls_of(_AVAILABLE, test, ctx)


def _is_wish(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this what somebody asked for on the command line (`args.no_cuda`, `not use_cuda`), and no question about the
    machine? A wish for CUDA is one for the accelerator that is there."""
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
        return _is_wish(node.expression, ctx)
    if not _WISH.match(last_word(node)):
        return False
    if isinstance(node, cst.Name):
        found = ctx.bindings_of(node.value)
        return found is not None and all(
            b.kind == "param"
            or (b.kind == "assign" and b.value is not None and isinstance(b.value(), cst.Attribute))
            for b in found[1]
        )
    return (
        isinstance(node, cst.Attribute)
        and isinstance(node.value, cst.Name)
        and node.value.value not in ("self", "cls")
        and ctx.qualified(node) is None
        and not assigned_to(ctx.scope, node.value.value, node.attr.value)
    )


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
    fix.needs("torch.accelerator")
    current = f"{fix.name('torch')}.accelerator.current_accelerator()"
    index = _index(fix, node, value)
    if value.kind is Kind.TEXT:
        return f"{current}.type" if index is None else f'f"{{{current}.type}}:{_in_braces(index)}"'
    return current if index is None else f"{fix.name('torch')}.device({current}.type, {index})"


def _in_braces(index: str) -> str:
    return index if index.isdigit() else f"{{{index}}}"


def builds(ctx: Context) -> bool:
    """Does the file build extensions?"""
    return ctx.index.has(_BUILDS, "cpp_extension", "nvcc", "setuptools", "distutils")


def _doubt_float64(fix: FixBuilder) -> None:
    """A file that works with float64 runs on a Mac's CPU, and not on its MPS: unless nobody asks for that, a fix that
    selects it wants a second look."""
    targets = fix.ctx.options.targets
    if (targets is None or Target.MPS in targets) and fix.ctx.index.has(
        _FLOAT64, "float64", "DoubleTensor", ".double"
    ):
        fix.unsafe()


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


def _implied(test: cst.BaseExpression, want: bool, ctx: Context, depth: int = 0) -> bool:
    """Is CUDA, or any accelerator, available for certain wherever `test` is `want`?"""
    match test:
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            return _implied(inner, not want, ctx, depth)
        case cst.BooleanOperation(left=left, operator=operator, right=right):
            sides = (_implied(side, want, ctx, depth) for side in (left, right))
            return any(sides) if isinstance(operator, cst.And) is want else all(sides)
        case cst.Call(func=func, args=args):
            if isinstance(func, cst.Name) and func.value == "bool" and len(args) == 1:
                return _implied(args[0].value, want, ctx, depth)
            return want and ctx.qualified(func) in _THERE
        case cst.Comparison(
            left=count, comparisons=[cst.ComparisonTarget(operator=operator, comparator=cst.Integer(number))]
        ) if isinstance(count, cst.Call) and (ctx.qualified(count.func) or "").endswith(".device_count"):
            least = int(number, 0) + isinstance(operator, cst.GreaterThan)
            asks = isinstance(operator, (cst.GreaterThan, cst.GreaterThanEqual)) and least > 0
            return want and asks and _implied(count, True, ctx, depth)
        case cst.Name(name):
            found = ctx.bindings_of(name)
            bindings = found[1] if found is not None else []
        case cst.Attribute(value=cst.Name("self"), attr=cst.Name(name)) if ctx.owner is not None:
            bindings = ctx.owner.attributes().get(name, [])
        case cst.Attribute(value=cst.Name(owner), attr=cst.Name(name)):
            bindings = assigned_to(ctx.scope, owner, name)
        case _:
            return False
    return (
        bool(bindings)
        and depth < 4
        and all(
            b.kind == "assign" and b.value is not None and _implied(b.value(), want, ctx, depth + 1)
            for b in bindings
        )
    )


def _widen(fix: FixBuilder, test: cst.CSTNode, ctx: Context) -> bool:
    """Asks for any accelerator instead of CUDA in a condition; False when the condition asks by a flag."""
    calls, counts = availability_calls(test, ctx), calls_of(_COUNT, test, ctx)
    for call in calls:
        fix.replace(call, fix.is_available())
    for call in counts:
        fix.replace(call.func, f"{fix.name('torch')}.accelerator.device_count")
    return bool(calls or counts)


class CudaOrCpu(Rule):
    """Choosing "cuda" where it is available, else "cpu", runs on the CPU of every other accelerator's host.

    Nothing raises and nothing is logged: on Ascend, Intel XPU, Apple MPS or Gaudi the program trains on the
    CPU, and nobody sees it but the clock. `torch.accelerator` answers for whichever accelerator is there, and
    gives "cuda" where it is CUDA. Text stays text, a torch.device stays one, and an index is kept.
    """

    code = "UC201"
    name = "cuda-or-cpu"
    triggers = (r"\bcuda\b",)
    category = Category.MANDATORY
    effort = 1
    priority = 20
    fix_safety = (
        "Safe where the condition asks `torch.cuda.is_available()` itself or a variable that holds its answer: the "
        "same device on CUDA, the CPU where there is no accelerator. Unsafe where the condition is a flag from "
        "elsewhere. Not offered where the device goes to a library with names of its own for devices (CTranslate2, "
        "XGBoost, Warp): it would refuse the name of any other accelerator. " + _NO_FLOAT64
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
            'import torch\n\ndevice = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n'
            "grid = torch.linspace(0, 1, 5, dtype=torch.float64).to(device)\n",
            f"import torch\n\ndevice = {_SELECT}\n"
            "grid = torch.linspace(0, 1, 5, dtype=torch.float64).to(device)\n",
            Applicability.UNSAFE,
            run="grid",
            id="float64",
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
            'device = torch.accelerator.current_accelerator() if use_cuda else torch.device("cpu")\n',
            run="device",
            id="flag",
        ),
        Bad(
            "import torch\n\n\ndef main(args):\n    args.cuda = not args.no_cuda and torch.cuda.is_available()\n"
            "    device = torch.device('cuda' if args.cuda else 'cpu')\n    return device\n",
            "import torch\n\n\ndef main(args):\n    args.cuda = not args.no_cuda and torch.cuda.is_available()\n"
            '    device = torch.accelerator.current_accelerator() if args.cuda else torch.device("cpu")\n'
            "    return device\n",
            setup="import types",
            run="main(types.SimpleNamespace(no_cuda=False))",
            id="attribute",
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
            f'    return {_TYPE} if args.cuda and torch.accelerator.is_available() else "cpu"\n',
            Applicability.UNSAFE,
            id="foreign-flag",
        ),
        Bad(
            'import torch\n\n\ndef main(args):\n    return torch.device("cuda" if args.gpu or args.cuda else "cpu")\n',
            "import torch\n\n\ndef main(args):\n    return torch.accelerator.current_accelerator() "
            'if (args.gpu or args.cuda) and torch.accelerator.is_available() else torch.device("cpu")\n',
            Applicability.UNSAFE,
            id="foreign-flags",
        ),
        Bad(
            'import torch\n\n\ndef main(args):\n    return "cpu" if args.no_cuda else "cuda"\n',
            "import torch\n\n\ndef main(args):\n"
            f'    return "cpu" if args.no_cuda or not torch.accelerator.is_available() else {_TYPE}\n',
            Applicability.UNSAFE,
            id="foreign-denial",
        ),
        Bad(
            'import torch\n\n\ndef f(force):\n    return "cuda" if force or torch.cuda.is_available() else "cpu"\n',
            "import torch\n\n\ndef f(force):\n"
            f'    return ({_TYPE} if torch.accelerator.is_available() else "cpu") '
            'if force or torch.accelerator.is_available() else "cpu"\n',
            Applicability.UNSAFE,
            id="not-implied",
        ),
        Bad(
            'import torch\n\ndevice = "cuda:0" if torch.cuda.device_count() > 0 else "cpu"\n',
            f'import torch\n\ndevice = f"{{{_TYPE}}}:0" if torch.accelerator.device_count() > 0 else "cpu"\n',
            run="device",
            id="counted",
        ),
        Bad(
            'import torch\n\n\ndef f(where):\n    return "cuda" if where == "cuda" else "cpu"\n',
            None,
            id="compared",
        ),
        Bad(
            'import torch\n\n\ndef f(backend):\n    if backend == "nccl" and torch.cuda.is_available():\n'
            '        device = "cuda"\n    else:\n        device = "cpu"\n    return device\n',
            None,
            id="asks-more",
        ),
        Bad(
            'import torch\n\ndev = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() '
            'else "cpu"\n',
            f'import torch\n\ndev = {_TYPE} if torch.accelerator.is_available() else "cpu"\n',
            run="dev",
            id="chain",
        ),
        Bad(
            'import torch\n\n\ndef pick():\n    if torch.cuda.is_available():\n        device = torch.device("cuda")\n'
            '    elif hasattr(torch, "xpu") and torch.xpu.is_available():\n        device = torch.device("xpu")\n'
            '    elif torch.backends.mps.is_available():\n        device = torch.device("mps")\n'
            '    else:\n        device = torch.device("cpu")\n    return device\n',
            "import torch\n\n\ndef pick():\n    if torch.accelerator.is_available():\n"
            "        device = torch.accelerator.current_accelerator()\n"
            '    else:\n        device = torch.device("cpu")\n    return device\n',
            run="pick()",
            id="one-by-one",
        ),
        Bad(
            'import torch\n\n\ndef pick():\n    if torch.cuda.is_available():\n        return "cuda"\n'
            '    if torch.backends.mps.is_available():\n        return "mps"\n    return "cpu"\n',
            f"import torch\n\n\ndef pick():\n    if torch.accelerator.is_available():\n        return {_TYPE}\n"
            '    return "cpu"\n',
            run="pick()",
            id="one-after-the-other",
        ),
        Bad(
            'import torch\n\n\ndef pick(dtype=None):\n    if torch.cuda.is_available():\n        device = "cuda"\n'
            '        dtype = torch.float16\n    elif torch.backends.mps.is_available():\n        device = "mps"\n'
            '        dtype = torch.float32\n    else:\n        device = "cpu"\n    return device, dtype\n',
            None,
            id="one-by-one-and-more",
        ),
        Bad(
            'import torch\n\n\ndef pick(fits_mps):\n    if torch.cuda.is_available():\n        return "cuda"\n'
            '    elif fits_mps and torch.backends.mps.is_available():\n        return "mps"\n    return "cpu"\n',
            None,
            id="one-by-one-on-a-condition",
        ),
        Bad(
            'import torch\n\ndevice = "cuda" if torch.cuda.is_available() else "cpu"\n',
            None,
            floor=(2, 5),
            id="floor",
        ),
        Bad(
            "import torch\nfrom faster_whisper import WhisperModel\n\n"
            "device = 'cuda' if torch.cuda.is_available() else 'cpu'\nmodel = WhisperModel('small', device=device)\n",
            None,
            id="names-of-its-own",
        ),
        Bad(
            "import torch\nimport xgboost\n\n\ndef fit():\n    if torch.cuda.is_available():\n        where = 'cuda'\n"
            "    else:\n        where = 'cpu'\n    return xgboost.XGBClassifier(n_estimators=max(1, 2), device=where)\n",
            None,
            id="names-of-its-own-block",
        ),
    )
    good = (
        Good("from faster_whisper import WhisperModel\n\nmodel = WhisperModel('small', device='auto')  # not cuda\n"),
        Good("import xgboost\n\nmodel = xgboost.XGBClassifier(device='cpu')  # not cuda\n"),
        Good('import torch\n\ndevice = torch.accelerator.current_accelerator() if torch.accelerator.is_available() '
             'else torch.device("cpu")\n', "portable already"),
        Good('import torch\n\ndev = torch.accelerator.current_accelerator().type if hasattr(torch, "accelerator") '
             'else "cuda"\n', "for the torch that has no torch.accelerator"),
        Good('import torch\n\nn = 1 if torch.cuda.is_available() else "cpu"\n', "no device"),
        Good('x = "cuda" if flag else "rocm"\n', "vendors, not devices"),
        Good('x = ["cuda", "cpu"][flag]\n', "a list"),
        Good('x = "cpu" if flag or other else kind\n', "kind may be anything"),
        Good('x = "cpu" if not flag else "meta"\n'),
        Good('x = "hip" if a else ("cuda" if b else "cpu")\n', "vendors, not devices"),
        Good("""key = f"{'cuda' if gpu else 'cpu'}_time_total"\n""", "part of a word"),
        Good('label = "cuda" if flag else "CUDA toolkit"\n', "neither side is another device"),
        Good('d = {"cuda": 1} if flag else {}\n', "a dict key"),
        Good('x = "cpu" if flag else "mps"\n'),
        Good('"""Use "cuda" if torch.cuda.is_available() else "cpu"."""\n', "prose"),
        Good('# device = "cuda" if torch.cuda.is_available() else "cpu"\nx = 1\n', "a comment"),
        Good('name = "cuda-12" if flag else "cpu-only"\n', "not devices"),
        Good('import torch\n\nif torch.accelerator.is_available():\n    dev = torch.accelerator.current_accelerator()\n'),
        Good('import torch\n\nn = 2 if torch.cuda.is_available() else 1\n', "UC202 tells this one"),
        Good('import torch\n\ndev = "xpu" if args.xpu else "cpu"  # cuda\n', "another device's flag"),
        Good('cuda = fetch()\nx = cuda if cuda else None\n', "a name that happens to be cuda"),
        Good('import torch\n\ndev = "mps" if torch.backends.mps.is_available() else "cpu"  # no cuda\n'),
        Good('import torch\n\nif torch.backends.mps.is_available():\n    dev = "mps"\nelse:\n    dev = "cpu"  # no cuda\n'),
        Good('import torch\n\n\ndef pick(fast):\n    if fast and torch.xpu.is_available():\n        return "xpu"\n'
             '    return "cpu"  # cuda\n'),
        Good('import torch\n\n\ndef pick():\n    if torch.xpu.is_available():\n        return "xpu"\n    return "cpu"  # cuda\n'),
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
        if "accelerator" in ctx.code(node) or _names_vendors(node, ctx):
            return
        told = _of_a_wish(node, tie, ctx)
        ctx.report(
            self,
            tie,
            "CUDA or the CPU: any other accelerator is lost without an error"
            if told is None
            else "CUDA or the CPU, as somebody asks for: no other accelerator can be had",
            symbol=_AVAILABLE,
            outcomes=told,
            claims=(side, *availability_calls(node.test, ctx), *calls_of(_COUNT, node.test, ctx)),
            fix=lambda fix: self._fix(fix, node, side, value, outer),
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
    ) -> None:
        ctx = fix.ctx
        if any(device_text(n) is not None for n in walk(node.test)):
            raise CannotFix("the condition compares devices")
        refuse_foreign(ctx)
        _doubt_float64(fix)
        calls = availability_calls(node.test, ctx)
        asks_only = len(calls) == 1 and calls[0] is node.test
        last = node.orelse
        if asks_only and side is node.body:
            while isinstance(last, cst.IfExp) and _is_found_too(last.test, last.body, ctx):
                last = last.orelse
        if outer is not None and asks_only and side is node.body and device_text(last) is not None:
            index = _index(fix, side, value)
            fix.needs("torch.accelerator")
            here = fix.spelling()
            fix.replace(outer, here.bound(index or "", False))
            return
        new = _accelerator(fix, side, value)
        if calls and _implied(node.test, side is node.body, ctx):
            test = fix.code(node.test)
            for call in calls:
                test = test.replace(fix.code(call), fix.is_available())
            if "cuda." not in test and self._replace_whole(fix, node, side, new, outer, test):
                return
        widened = _widen(fix, node.test, ctx)
        if not _implied(node.test, side is node.body, ctx):
            fix.unsafe()
            if not widened and _is_cpu(node.orelse if side is node.body else node.body, ctx):
                self._ask_too(fix, node, side, new, outer)
                return
            fallback = '"cpu"' if value.kind is Kind.TEXT else f'{fix.name("torch")}.device("cpu")'
            new = fix.spelling().guarded(new, fallback)
        elif not widened and self._replace_whole(fix, node, side, new, outer, fix.code(node.test)):
            return
        if last is not node.orelse:
            fix.replace(node.orelse, fix.code(last))
        fix.replace(side, new)

    def _ask_too(
        self, fix: FixBuilder, node: cst.IfExp, side: cst.BaseExpression, new: str, outer: cst.Call | None
    ) -> None:
        """Beside a flag that doesn't know, asks whether there is an accelerator."""
        test = fix.code(node.test)
        chosen = side is node.body
        if isinstance(node.test, (cst.BooleanOperation, cst.IfExp, cst.Lambda)) and not node.test.lpar:
            test = f"({test})"
        asked = f"{test} and {fix.is_available()}" if chosen else f"{test} or not {fix.is_available()}"
        if not self._replace_whole(fix, node, side, new, outer, asked):
            fix.replace(node.test, asked)
            fix.replace(side, new)

    def _replace_whole(
        self,
        fix: FixBuilder,
        node: cst.IfExp,
        side: cst.BaseExpression,
        new: str,
        outer: cst.Call | None,
        test: str,
    ) -> bool:
        """Writes a choice of devices for `torch.device(<choice of texts>)`, where that is one of any accelerator and
        the CPU; says whether it did."""
        if outer is None or side is not node.body or string_value(node.orelse) != "cpu":
            return False
        here = fix.spelling()
        if new != f"{here.accelerator}.type" or "\n" in test:
            return False
        fix.replace(outer, f'{here.accelerator} if {test} else {here.torch}.device("cpu")')
        return True

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
            "accelerators are asked for one by one: those that aren't named are passed over"
            if handles_others(calls[0], ctx)
            else "CUDA or the CPU: any other accelerator is lost without an error",
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
        if not _implied(node.test, suite is node.body, ctx):
            raise CannotFix("the device is chosen without CUDA too")
        refuse_foreign(ctx, *_targets(suite, chosen))
        _doubt_float64(fix)
        asked = {id(call) for call in availability_calls(node.test, ctx)}
        if _asks_more(node.test, asked, ctx):
            raise CannotFix("the condition asks for CUDA in another way too")
        literals = {id(v) for v, _ in chosen}
        rest = [s for s in suite.body if not any(id(n) in literals for n in walk(s))]
        if mentions_cuda(rest, ctx):
            raise CannotFix("the block holds other ties")
        if uses_own_module(rest, ctx):
            fix.unsafe()
        shadowed = _shadowed(node, ctx)
        if shadowed:
            alone = len(suite.body) == 1 and suite is node.body
            if not alone or not all(_chooses_too(node, item, ctx) for item in shadowed):
                raise CannotFix("the branches for other accelerators do more than choose them")
            if len(asked) == 1 and id(node.test) in asked:
                for item in shadowed:
                    if _asks_only_for_others(item.test, ctx) and not any(
                        n.comment for n in item.leading_lines
                    ):
                        fix.remove(item)
        _widen(fix, node.test, ctx)
        for expression, value in chosen:
            fix.replace(expression, _accelerator(fix, expression, value))


def _targets(
    suite: cst.BaseSuite, chosen: list[tuple[cst.BaseExpression, Value]]
) -> Iterator[cst.BaseExpression]:
    """What the devices in a block are bound to."""
    literals = {id(expression) for expression, _ in chosen}
    for item in walk(suite):
        if isinstance(item, cst.Assign) and any(id(n) in literals for n in walk(item.value)):
            yield from (target.target for target in item.targets)


# What torch.accelerator finds as well as the libraries that these ask (torch 2.13.0, executed).
_FOUND_TOO = frozenset(
    f"torch.{asks}"
    for asks in ("backends.mps.is_available", "backends.mps.is_built", "mps.is_available", "xpu.is_available")
)


def _is_found_too(test: cst.BaseExpression, choice: cst.BaseExpression, ctx: Context) -> bool:
    """Is this the choice of an accelerator, where it is there, that torch.accelerator would find as well?"""
    given: cst.BaseExpression | None = choice
    if (
        isinstance(choice, cst.Call)
        and ctx.qualified(choice.func) == "torch.device"
        and len(choice.args) == 1
    ):
        given = choice.args[0].value
    return given is not None and string_value(given) in ("mps", "xpu") and _asks_only_for_others(test, ctx)


def _asks_only_for_others(test: cst.BaseExpression, ctx: Context) -> bool:
    match test:
        case cst.BooleanOperation(left=left, operator=cst.And(), right=right):
            return _asks_only_for_others(left, ctx) and _asks_only_for_others(right, ctx)
        case cst.Call(func=cst.Name("hasattr"), args=[cst.Arg(value=owner), _]):
            return (ctx.qualified(owner) or "").partition(".")[0] == "torch"
        case cst.Call(func=func, args=[]):
            return ctx.qualified(func) in _FOUND_TOO
        case _:
            return False


def _joined(test: cst.BaseExpression) -> list[cst.BaseExpression]:
    """What `and` joins in a condition."""
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
        return _joined(test.left) + _joined(test.right)
    return [test]


def _shadowed(node: cst.If, ctx: Context) -> list[cst.If]:
    """The branches for other accelerators behind an `if` that asks for CUDA: once it asks for any, they are never
    taken where they ask for nothing else."""
    found: list[cst.If] = []
    item: object = node.orelse
    while isinstance(item, cst.If):
        if names_others(item.test):
            found.append(item)
        item = item.orelse
    if node.orelse is None:
        for stmt in _behind(ctx.parent, node):
            if not isinstance(stmt, cst.If) or stmt.orelse is not None or not names_others(stmt.test):
                break
            found.append(stmt)
    return found


def _chooses_too(node: cst.If, other: cst.If, ctx: Context) -> bool:
    """Does a branch do to another accelerator what that of `node` does to CUDA, and nothing else, under the same
    conditions?"""
    asked = {ctx.code(part) for part in _joined(node.test)}
    if not all(_asks_only_for_others(p, ctx) or ctx.code(p) in asked for p in _joined(other.test)):
        return False
    match node.body.body, other.body.body:
        case (
            [cst.SimpleStatementLine(body=[cst.Return()])],
            [cst.SimpleStatementLine(body=[cst.Return(value=value)])],
        ) if value is not None:
            pass
        case (
            [cst.SimpleStatementLine(body=[cst.Assign(targets=targets)])],
            [cst.SimpleStatementLine(body=[cst.Assign(targets=others, value=value)])],
        ) if [ctx.code(t.target) for t in targets] == [ctx.code(t.target) for t in others]:
            pass
        case _:
            return False
    given = value.args[0].value if isinstance(value, cst.Call) and len(value.args) == 1 else value
    if string_value(given) not in ("mps", "xpu"):
        return False
    return given is value or (isinstance(value, cst.Call) and ctx.qualified(value.func) == "torch.device")


def _names_vendors(node: cst.IfExp, ctx: Context) -> bool:
    """Is the text part of a longer word (f"{'cuda' if …}_time"), or is one of the choices ROCm by its name?"""
    top: cst.CSTNode = node
    for above in reversed(ctx.ancestors):
        if isinstance(above, cst.FormattedString):
            at = next(
                (i for i, part in enumerate(above.parts) if getattr(part, "expression", None) is top), 0
            )
            rest = above.parts[at + 1 : at + 2]
            return at > 0 or (bool(rest) and not getattr(rest[0], "value", "").startswith(":"))
        if isinstance(above, (cst.IfExp, cst.FormattedStringExpression)):
            top = above if isinstance(above, cst.IfExp) else top
            continue
        break
    return any(string_value(n) in ("hip", "rocm") for n in walk(top) if isinstance(n, cst.SimpleString))


def _asks_more(test: cst.BaseExpression, asked: set[int], ctx: Context) -> bool:
    """Does a condition ask for CUDA, or for NVIDIA's libraries, beside the calls `asked`?"""
    if id(test) in asked:
        return False
    if isinstance(test, cst.BooleanOperation):
        return _asks_more(test.left, asked, ctx) or _asks_more(test.right, asked, ctx)
    if isinstance(test, cst.UnaryOperation):
        return _asks_more(test.expression, asked, ctx)
    return not _is_wish(test, ctx) and mentions_cuda([test], ctx)


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


def _behind(suite: cst.CSTNode | None, node: cst.If) -> list[cst.CSTNode]:
    """The statements behind an `if` that ends in a `return`, which only run where it isn't taken."""
    match node.body:
        case cst.IndentedBlock(body=[*_, cst.SimpleStatementLine(body=[*_, cst.Return()])]) if isinstance(
            suite, cst.IndentedBlock
        ):
            at = next((i for i, stmt in enumerate(suite.body) if stmt is node), None)
            return [] if at is None else list(suite.body[at + 1 :])
        case _:
            return []


def _is_cpu(node: cst.BaseExpression, ctx: Context) -> bool:
    """The CPU, as text or as torch.device, written out."""
    given = node.args[0].value if isinstance(node, cst.Call) and len(node.args) == 1 else node
    if given is not node and (not isinstance(node, cst.Call) or ctx.qualified(node.func) != "torch.device"):
        return False
    return string_value(given) == "cpu"


def _is_elsewhere(node: cst.BaseExpression, ctx: Context) -> bool:
    """Another device than CUDA, or none."""
    if isinstance(node, cst.IfExp):
        return _is_elsewhere(node.body, ctx) or _is_elsewhere(node.orelse, ctx)
    value = ctx.value(node)
    return (value.kind in (Kind.TEXT, Kind.DEVICE) and not value.is_cuda) or value.kind is Kind.NONE


def _of_a_wish(node: cst.IfExp, tie: cst.BaseExpression, ctx: Context) -> dict[Target, Outcome] | None:
    """What becomes of a choice that a text decides, which somebody gave (`device == "gpu"`): CUDA, where it is wished
    for, raises off CUDA. None where the machine is asked, or a flag that may hold its answer."""
    match node.test:
        case cst.Comparison(left=left, comparisons=[cst.ComparisonTarget(comparator=right)]):
            if string_value(left) is None and string_value(right) is None:
                return None
        case _:
            return None
    if polarity(node.test, ctx.flow) is not None or denies(node.test, ctx.flow) is not None:
        return None
    return ctx.outcomes('device = "cuda"', tie) | {Target.CPU: Outcome.WORKS}


class CudaAvailable(Rule):
    """A block that runs only where CUDA is available is skipped on every other accelerator.

    `torch.cuda.is_available()` is False on Ascend, XPU, MPS and Gaudi: what it guards doesn't run there, with
    no error. Where everything behind the question is portable, `torch.accelerator.is_available()` asks what was
    meant. Where CUDA-only code stands behind it, the question is right and stays.
    """

    code = "UC202"
    name = "cuda-available"
    triggers = (r"\bcuda\b",)
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
            "import torch\n\n\ndef main(args):\n    return not args.no_cuda and torch.cuda.is_available()\n",
            "import torch\n\n\ndef main(args):\n    return not args.no_cuda and torch.accelerator.is_available()\n",
            Applicability.UNSAFE,
            id="wish",
        ),
        Bad(
            "import torch\n\n\ndef f(flash):\n    if not torch.cuda.is_available() or not flash:\n        return None\n"
            "    return torch.cuda.get_device_properties(0).major\n",
            None,
            id="left-before-ties",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    if torch.cuda.is_available():\n        return my_cuda_kernel(x)\n    return x\n",
            None,
            id="kernel-behind-it",
        ),
        Bad('import torch\n\nprint(f"CUDA: {torch.cuda.is_available()}")\n', None, id="printed-about-cuda"),
        Bad(
            'import torch\n\nfacts = {"cuda_available": torch.cuda.is_available()}\n',
            None,
            id="entry-about-cuda",
        ),
        Bad("import torch\n\nassert torch.cuda.is_available(), 'Megatron needs CUDA'\n", None, id="asserted"),
        Bad(
            "import torch\n\nif not torch.cuda.is_available():\n    raise RuntimeError('needs an NVIDIA GPU')\n",
            None,
            id="refusal-about-cuda",
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
            "import torch\n\nempty = getattr(torch.cuda, 'empty_cache', None)\n"
            "if torch.cuda.is_available():\n    empty()\n",
            None,
            id="looked-up",
        ),
        Bad(
            "import torch\n\n\ndef f():\n    with_cuda = torch.cuda.is_available()\n"
            "    with_xpu = torch.xpu.is_available()\n    return with_cuda, with_xpu\n",
            None,
            id="beside-others",
        ),
        Bad(
            "import torch\n\n\ndef f():\n    if torch.cuda.is_available():\n        return 2\n"
            "    elif torch.backends.mps.is_available():\n        return 1\n    return 0\n",
            None,
            id="one-by-one",
        ),
        Bad(
            "import torch\n\nnvidia = torch.version.hip is None and torch.cuda.is_available()\n",
            None,
            id="not-amd",
        ),
        Bad(
            "import pytest\nimport torch\n\n\ndef test_it(how):\n"
            "    if how == 'fast' and not torch.cuda.is_available():\n        pytest.skip('needs CUDA')\n",
            None,
            id="skips",
        ),
        Bad(
            "import torch\n\n\ndef f(fast):\n    if torch.cuda.is_available():\n        print('CUDA it is')\n",
            "import torch\n\n\ndef f(fast):\n    if torch.accelerator.is_available():\n        print('CUDA it is')\n",
            Applicability.UNSAFE,
            id="says-cuda",
        ),
        Bad("import torch\n\ncuda_available = bool(torch.cuda.is_available())\n", None, id="a-fact"),
        Bad(
            "import torch\n\n\ndef fast():\n    return torch.cuda.is_available() and torch.backends.cudnn.is_available()\n",
            None,
            id="asks-for-cudnn",
        ),
        Bad(
            "import torch\n\n\ndef has_cuda():\n    return torch.cuda.is_available()\n\n\ndef facts(info):\n"
            "    info['torch_cuda_available'] = torch.cuda.is_available()\n    return info\n",
            None,
            count=2,
            id="asked-by-name",
        ),
        Bad(
            "import os\n\nimport torch\n\nos.environ['CUDA_VISIBLE_DEVICES'] = '1' if torch.cuda.is_available() else ''\n",
            None,
            id="variable-of-cuda",
        ),
        Bad(
            "import torch\n\nACCELERATOR = 'gpu' if torch.cuda.is_available() else 'cpu'\n",
            None,
            id="called-gpu",
        ),
        Bad(
            "import torch\n\n\ndef f():\n    return bool(torch.cuda.is_available()) and not is_rocm()\n",
            None,
            id="not-rocm",
        ),
        Bad(
            "import torch\n\nprobes = [torch.cuda.is_available]\n",
            "import torch\n\nprobes = [torch.accelerator.is_available]\n",
            Applicability.UNSAFE,
            id="function",
        ),
        Bad(
            "import torch\n\n\ndef export(model):\n    asked = torch.cuda.is_available\n"
            "    torch.cuda.is_available = lambda: True\n    model.save()\n    torch.cuda.is_available = asked\n",
            None,
            id="put-back-later",
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
        Bad(
            "import torch\n\n\ndef check(device):\n    if device == 'cuda' and torch.cuda.is_available() is False:\n"
            "        device = 'cpu'\n    return device\n",
            None,
            id="falls-back",
        ),
        Bad(
            "import torch\n\n\ndef read(path):\n    if torch.cuda.is_available():\n        return torch.load(path)\n"
            "    return torch.load(path, map_location='cpu')\n",
            None,
            id="read-back-to-cuda",
        ),
        Bad(
            "import torch\n\n\ndef read(path):\n"
            "    return torch.load(path, map_location=None if torch.cuda.is_available() else 'cpu')\n",
            None,
            id="map-location",
        ),
        Bad(
            "import torch\n\nREPORT = 'CUDA: {}, threads: {}'\nprint(REPORT.format(torch.cuda.is_available(), 2))\n",
            None,
            id="template",
        ),
        Bad(
            "import torch\nfrom setuptools import setup\n\nwith_kernels = torch.cuda.is_available()\nsetup(name='ops')\n",
            None,
            id="build-script",
        ),
        Bad(
            "import pytorch_lightning as pl\nimport torch\n\n\ndef options(given):\n    if torch.cuda.is_available():\n"
            "        given['accelerator'] = 'gpu'\n    return given\n",
            None,
            id="lightnings-name",
        ),
    )
    good = (
        Good("flags.enabled = cuda.is_available()\n", "not torch's"),
        Good("import torch\n\nif torch.accelerator.is_available():\n    go()\n"),
        Good("class cuda:\n    @staticmethod\n    def is_available():\n        return True\n\n\ncuda.is_available()\n",
             "a class of one's own"),
        Good("from numba import cuda\n\ncuda.is_available()\n", "numba's"),
        Good("'torch.cuda.is_available()'\n", "prose"),
        Good("import torch\n\ntorch.backends.mps.is_available()\n"),
        Good("import torch\n\ntorch.xpu.is_available()\n", "another vendor's"),
        Good("import torch\n\nn = torch.accelerator.device_count()  # cuda or other\n"),
        Good("'cuda' in torch.__version__\n", "text"),
        Good("import torch\n\nok = torch.mps.is_available()  # no cuda\n", "another vendor's"),
        Good("class Gpu:\n    def is_available(self):\n        return 1\n\n\nGpu().is_available()  # cuda\n", "one's own"),
        Good("import torch\n\nok = torch.backends.cudnn.is_available()\n", "cuDNN's own question"),
        Good("import torch\n\nok = torch.accelerator.is_available() and fast  # not cuda alone\n"),
        Good("ok = cuda.is_available\n", "nobody knows what cuda is"),
        Good("import torch\n\n\ndef is_available():\n    return True\n\n\nis_available()  # cuda\n", "one's own"),
        Good("import torch\n\nprint(torch.accelerator.is_available())  # cuda or other\n"),
        Good("import cupy\n\ncupy.cuda.is_available()\n", "not torch"),
        Good("from torch import cuda\n", "an import alone"),
        Good("import torch\n\ntorch.cuda.is_available = print\n", "a patch has its own rule"),
        Good("import torch\n\nasked = torch.accelerator.is_available  # not cuda's\n"),
        Good("import os\n\nos.environ['CUDA_VISIBLE_DEVICES'] = '1' if wanted else ''\n", "another condition"),
        Good("import torch\n\n\ndef has_cuda():\n    return torch.backends.cuda.is_built()\n", "another question"),
        Good("import torch\n\nACCELERATOR = 'gpu' if torch.accelerator.is_available() else 'cpu'  # not cuda alone\n"),
        Good("import torch\n\nok = torch.cuda.nccl.is_available([])\n", "asked of something else"),
        Good("import torch\n\ntorch.distributed.is_available()\n"),
        Good("import torch\n\nif torch.cuda.is_available():\n    torch.cuda.nvtx.range_push('a')\n",
             "a mark for NVIDIA's profiler, which others don't miss"),
        Good("import torch\n\nwith torch.autograd.profiler.emit_nvtx(enabled=torch.cuda.is_available()):\n    x = 1\n"),
        Good("def f(torch):\n    return torch.cuda.is_available()\n", "torch is a parameter here"),
        Good("def f(args):\n    return args.cuda and not args.no_cuda\n", "wishes alone"),
        Good("import torch\n\n\ndef f(path):\n    return torch.load(path, map_location='cpu')  # cuda or not\n"),
        Good("import torch\n\n\ndef f(path, where):\n    return torch.load(path, map_location=where)  # not cuda\n"),
        Good("import torch\n\nok = torch.accelerator.is_available() is False  # cuda or other\n"),
        Good("from setuptools import setup\n\nsetup(name='ops')  # cuda\n"),
        Good("REPORT = 'CUDA: {}'\nprint(REPORT.format(True))\n"),
        Good("def f(given):\n    given['accelerator'] = 'auto'  # cuda\n    return given\n"),
        Good("def f(flash):\n    if not torch.accelerator.is_available() or not flash:\n        return cuda()\n", "portable"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not isinstance(node.func, (cst.Name, cst.Attribute)) or node.args:
            return
        if ctx.is_claimed(node) or ctx.qualified(node.func) != _AVAILABLE:
            return
        if guards_markers(node, ctx):
            ctx.claim(node)
            return
        shown = self._only_shown(ctx)
        if handles_others(node, ctx) or among_others(ctx) or _beside_others(ctx):
            ctx.report(
                self,
                node,
                "accelerators are asked for one by one: those that aren't named are passed over",
                symbol=_AVAILABLE,
                category=Category.POTENTIAL,
            )
            return
        ctx.report(
            self,
            node,
            "only CUDA is mentioned: other accelerators go unsaid"
            if shown
            else "what follows from `torch.cuda.is_available()` is skipped on other accelerators",
            symbol=_AVAILABLE,
            fix=lambda fix: self._fix(fix, node, ctx, shown),
            title="Ask for any accelerator",
            category=Category.POTENTIAL if shown else None,
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, ctx: Context, shown: bool) -> None:
        if builds(ctx):
            raise CannotFix("the answer may decide over what is built with nvcc")
        if answers_about_cuda(ctx):
            raise CannotFix("the function's name says that it is about CUDA")
        new = fix.is_available()
        if shown:
            if says_cuda(ctx):
                raise CannotFix("the text is about CUDA")
        elif not self._pins(ctx) and not self._guards_portable(node, ctx):
            fix.unsafe()
        _doubt_float64(fix)
        fix.replace(node, new + _and_properties(fix, node))

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value != "is_available" or isinstance(ctx.parent, (cst.Attribute, cst.Call)):
            return
        if ctx.is_claimed(node) or not is_read(node, ctx) or ctx.qualified(node) != _AVAILABLE:
            return

        def rename(fix: FixBuilder) -> None:
            fix.unsafe()
            fix.is_available()
            fix.replace(node, fix.name("torch.accelerator.is_available"))

        ctx.report(
            self,
            node,
            "what follows from `torch.cuda.is_available()` is skipped on other accelerators",
            symbol=_AVAILABLE,
            fix=rename,
            title="Ask for any accelerator",
        )

    def _pins(self, ctx: Context) -> bool:
        """Given to `pin_memory=`."""
        arg = ctx.parent
        return isinstance(arg, cst.Arg) and arg.keyword is not None and arg.keyword.value == "pin_memory"

    def _only_shown(self, ctx: Context) -> bool:
        """Printed, logged or written into a text, or the value of an entry whose key is about CUDA."""
        text = False
        for above in reversed(ctx.ancestors):
            if isinstance(above, cst.DictElement):
                return text or bool(_ABOUT_CUDA.search(string_value(above.key) or ""))
            if isinstance(above, (cst.Arg, cst.FormattedStringExpression, cst.FormattedString)):
                if isinstance(above, cst.Arg) and above.keyword is not None:
                    return text
                text = text or isinstance(above, cst.FormattedString)
                continue
            if isinstance(above, cst.Call):
                if last_word(above.func) in ("str", "format"):
                    text = text or last_word(above.func) == "format"
                    continue
                return text or bool(_SHOWS.search(last_word(above.func)))
            if not isinstance(above, cst.BinaryOperation):
                return text
        return text

    def _guards_portable(self, node: cst.Call, ctx: Context) -> bool:
        """Is the question the condition of a block, and is all in the block portable?"""
        path = [*ctx.ancestors, node]
        for depth in range(len(path) - 2, -1, -1):
            above, below = path[depth], path[depth + 1]
            if isinstance(above, (cst.BooleanOperation, cst.UnaryOperation)):
                parts = [above.left, above.right] if isinstance(above, cst.BooleanOperation) else []
                parts = [p for p in parts if p is not below]
                if any(_ROCM.search(ctx.code(p)) for p in parts):
                    raise CannotFix("the condition tells NVIDIA from AMD")
                if mentions_cuda([p for p in parts if not _is_wish(p, ctx)], ctx):
                    raise CannotFix("the condition asks for CUDA in another way too")
                continue
            if isinstance(above, cst.Call) and last_word(above.func) == "bool":
                continue
            if isinstance(above, (cst.Comparison, cst.ComparisonTarget)):
                continue
            if isinstance(above, cst.Arg):
                call = path[depth - 1] if depth else None
                if isinstance(call, cst.Call) and last_word(call.func) == "bool":
                    continue
                if isinstance(call, cst.Call) and mentions_cuda([call.func], ctx):
                    raise CannotFix("what it is given to is CUDA's own")
                return False
            if isinstance(above, cst.IfExp) and below is above.test:
                if mentions_cuda([above.body, above.orelse], ctx):
                    raise CannotFix("the expression holds other ties")
                if any(
                    (string_value(side) or "").partition(":")[0] == "gpu"
                    for side in (above.body, above.orelse)
                ):
                    raise CannotFix('"gpu" is what some library calls CUDA')
                stored = path[depth - 1] if depth else None
                if isinstance(stored, cst.Assign) and any(
                    isinstance(t.target, cst.Subscript) and _ABOUT_CUDA.search(_told(t.target))
                    for t in stored.targets
                ):
                    raise CannotFix("the entry is about CUDA")
                arg = path[depth - 1] if depth else None
                if isinstance(arg, cst.Arg) and arg.keyword is not None:
                    if arg.keyword.value == "map_location":
                        raise CannotFix(
                            "without a place to put them, tensors saved from CUDA are read back to it"
                        )
                return False
            if isinstance(above, cst.Assign) and any(_FACT.search(_told(t.target)) for t in above.targets):
                raise CannotFix("the name says that it is about CUDA")
            if isinstance(above, cst.Assert) and below is above.test:
                if above.msg is not None and _text_about_cuda(above.msg):
                    raise CannotFix("the message asks for CUDA")
                return False
            if isinstance(above, cst.If) and below is above.test:
                suites: list[cst.CSTNode] = [above.body]
                if isinstance(above.orelse, cst.Else):
                    suites.append(above.orelse)
                if mentions_cuda(suites, ctx):
                    raise CannotFix("the block holds ties to CUDA")
                if mentions_cuda(_behind(path[depth - 1] if depth else None, above), ctx):
                    raise CannotFix("what follows, where it is there, holds ties to CUDA")
                refused = isinstance(above.test, cst.UnaryOperation) or _refuses(above.body)
                if refused and _text_about_cuda(above.body):
                    raise CannotFix("the message asks for CUDA")
                return not refused and not _text_about_cuda(above.body) and not uses_own_module(suites, ctx)
            return False
        return False


_TRIES = re.compile(r"^[ \t]*try:", re.M)
_PROPERTIES = re.compile(r"\bget_device_properties\(")


def _and_properties(fix: FixBuilder, node: cst.Call) -> str:
    """What else a guard has to ask where the properties of the device are read under it: MPS has none."""
    ctx = fix.ctx
    below: cst.CSTNode = node
    joined = True
    for above in reversed(ctx.ancestors):
        if isinstance(above, cst.If) and below is above.test:
            if _TRIES.search(ctx.code(above.body)):
                return ""
            if joined and _PROPERTIES.search(ctx.code(above.body)):
                return f' and hasattr({fix.spelling().module}, "get_device_properties")'
            if not joined and _PROPERTIES.search(ctx.code(ctx.function or above)):
                raise CannotFix("MPS, which has no properties, would pass the guard")
            return ""
        if not isinstance(above, (cst.BooleanOperation, cst.UnaryOperation)):
            return ""
        joined = joined and isinstance(above, cst.BooleanOperation) and isinstance(above.operator, cst.And)
        below = above
    return ""


def _told(target: cst.BaseExpression) -> str:
    """The last name of what is assigned to: of an entry, its key."""
    match target:
        case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=key))]):
            return string_value(key) or ""
        case _:
            return last_word(target)


def _refuses(suite: cst.BaseSuite) -> bool:
    """Does the block raise, return or exit: is it a requirement rather than a choice?"""
    return any(
        isinstance(n, (cst.Raise, cst.Return, cst.Continue, cst.Break))
        or (isinstance(n, cst.Call) and last_word(n.func) in _LEAVES)
        for n in walk(suite)
    )


def _text_about_cuda(node: cst.CSTNode) -> bool:
    """Does a text below `node` say CUDA or NVIDIA?"""
    return any(
        isinstance(n, (cst.SimpleString, cst.FormattedStringText)) and _ABOUT_CUDA.search(n.value)
        for n in walk(node)
    )


def says_cuda(ctx: Context) -> bool:
    """Does the call or entry that shows the answer say CUDA, or a text from elsewhere that it is put into?"""
    for above in reversed(ctx.ancestors):
        if isinstance(above, cst.Call) and last_word(above.func) == "format":
            if isinstance(above.func, cst.Attribute) and string_value(above.func.value) is None:
                return True
        if isinstance(above, (cst.BaseSmallStatement, cst.DictElement)):
            return _text_about_cuda(above)
    return False


def _beside_others(ctx: Context) -> bool:
    """Is another accelerator asked for in the same statement of a function, or in the one before or after?"""
    if ctx.function is None:
        return False
    for depth in range(len(ctx.ancestors) - 1, -1, -1):
        above = ctx.ancestors[depth]
        if isinstance(above, cst.FunctionDef):
            return False
        if isinstance(above, cst.IndentedBlock) and depth + 1 < len(ctx.ancestors):
            here = next((i for i, s in enumerate(above.body) if s is ctx.ancestors[depth + 1]), 0)
            near = [
                s for s in above.body[max(0, here - 1) : here + 2] if isinstance(s, cst.SimpleStatementLine)
            ]
            return any(
                isinstance(n, cst.Call) and "available" in last_word(n.func) and names_others(n.func)
                for s in near
                for n in walk(s)
            )
    return False
