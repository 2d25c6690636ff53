"""What torch was built for: `torch.version.cuda`, and the questions whether CUDA is compiled in."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import string_value
from uncuda.rules._calls import cuda_function, is_read, is_shown, last_word
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.walk import walk

_VERSION = "torch.version.cuda"
_PARSERS = frozenset({"Version", "parse", "LooseVersion", "StrictVersion", "float", "int", "tuple"})
_TEXTS = frozenset({"str", "repr", "format"})


class CudaVersion(Rule):
    """`torch.version.cuda` is None in every build but NVIDIA's, ROCm's among them.

    Taking it apart (`.split(".")`, `Version(…)`, `>= "12.3"`) raises there, often at import, and also behind
    `torch.cuda.is_available()`, which is True on ROCm. Asked whether it is there, it says "NVIDIA's build": right
    before NVIDIA-only code, and a wall for everybody else before anything more. What only shows the version, or
    falls back (`torch.version.cuda or ""`), isn't told.
    """

    code = "UC221"
    name = "cuda-version"
    triggers = ("version.cuda", "torch.version", "from torch import version")
    category = Category.MANDATORY
    effort = 1
    sources = ("torch 2.13.0, executed", "knowledge base: torch.version.cuda")
    bad = (
        Bad('import torch\n\nmajor = int(torch.version.cuda.split(".")[0])\n', None),
        Bad(
            "import torch\nfrom packaging.version import Version\n\n"
            'new = Version(torch.version.cuda) >= Version("12.3")\n',
            None,
            id="parsed",
        ),
        Bad('import torch\n\nnew = torch.version.cuda >= "12.3"\n', None, id="compared"),
        Bad('import torch\n\ntag = "cu" + torch.version.cuda\n', None, id="joined"),
        Bad(
            "import torch\n\nif torch.version.cuda is not None:\n    from kernels import fused\n",
            None,
            id="asked",
        ),
        Bad("import torch\n\nassert torch.version.cuda\n", None, id="required"),
        Bad("import torch\n\nversion = torch.version.cuda\n", None, id="kept"),
        Bad("from torch.version import cuda\n\nmajor = cuda.split('.')[0]\n", None, id="imported"),
    )
    good = (
        Good("import torch\n\nprint(torch.version.cuda)\n", "shown"),
        Good('import torch\n\nline = f"torch {torch.__version__}, CUDA {torch.version.cuda}"\n', "shown"),
        Good('import torch\n\nfacts = {"cuda": torch.version.cuda}\n', "collected for a report"),
        Good('import torch\n\nmajor = (torch.version.cuda or "12").split(".")[0]\n', "falls back"),
        Good(
            "import torch\n\nv = tuple(torch.version.cuda.split('.')) if torch.version.cuda else (0, 0)\n",
            "falls back",
        ),
        Good(
            "import torch\n\nfacts = {'cuda': torch.version.cuda if gpu else None}\n",
            "collected for a report",
        ),
        Good(
            "import torch\n\nif torch.version.hip is None and torch.version.hip:\n    x = 1\n",
            "another vendor's",
        ),
        Good("import torch\n\nprint(torch.__version__)\n"),
        Good("import jax.version as version\n\nversion.cuda.split('.')\n", "not torch"),
        Good("class version:\n    cuda = '12'\n\n\nversion.cuda.split('.')\n", "a class of one's own"),
        Good('"""torch.version.cuda.split(".") raises."""\n', "prose"),
        Good("# torch.version.cuda >= '12'\nx = 1\n", "a comment"),
        Good("import torch\n\ntorch.version.cuda = '12.4'\n", "a patch"),
    )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value == "cuda" and not ctx.is_claimed(node) and is_read(node, ctx):
            if ctx.qualified(node) == _VERSION:
                self._look(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if node.value != "cuda" or ctx.is_claimed(node) or not is_read(node, ctx):
            return
        found = ctx.bindings_of("cuda")
        if found is not None and any(b.target == _VERSION for b in found[1]):
            self._look(node, ctx)

    def _look(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        if _is_only_shown(ctx) or _falls_back(node, ctx):
            ctx.claim(node)
            return
        if _is_taken_apart(node, ctx):
            if _is_asked_before(ctx):
                ctx.claim(node)
                return
            ctx.report(
                self,
                node,
                "`torch.version.cuda` is None off CUDA, on ROCm too: taking it apart raises",
                symbol='torch.version.cuda.split(".")',
            )
            return
        asked = _is_asked(node, ctx)
        ctx.report(
            self,
            node,
            "asks for NVIDIA's build of torch: on any other `torch.version.cuda` is None"
            if asked
            else "`torch.version.cuda` is None off CUDA, on ROCm too",
            symbol=_VERSION,
            category=Category.POTENTIAL,
        )


def _is_only_shown(ctx: Context) -> bool:
    """Printed, logged, in an f-string, the value of a dict entry, made text."""
    depth = len(ctx.ancestors) - 1
    while isinstance(ctx.ancestors[depth], cst.IfExp):
        depth -= 1
    above = ctx.ancestors[depth]
    if isinstance(above, (cst.FormattedStringExpression, cst.DictElement)):
        return True
    if not isinstance(above, cst.Arg):
        return False
    call = ctx.ancestors[depth - 1]
    called = last_word(call.func) if isinstance(call, cst.Call) else ""
    return called in _TEXTS or "print" in called or is_shown(ctx)


def _falls_back(node: cst.CSTNode, ctx: Context) -> bool:
    """Is there something to stand for None: `… or ""`, `f(…) if torch.version.cuda else other`?"""
    match ctx.parent:
        case cst.BooleanOperation(operator=cst.Or(), left=left, right=right) if left is node:
            return string_value(right) is not None or isinstance(right, (cst.Attribute, cst.BooleanOperation))
        case cst.IfExp(test=test, body=body) if test is node:
            return any(
                isinstance(n, (cst.Attribute, cst.Name)) and ctx.qualified(n) == _VERSION for n in walk(body)
            )
        case _:
            return False


def _is_taken_apart(node: cst.CSTNode, ctx: Context) -> bool:
    parent = ctx.parent
    match parent:
        case cst.Attribute() | cst.BinaryOperation():
            return True
        case cst.Comparison():
            return isinstance(
                parent.comparisons[0].operator,
                (cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual),
            )
        case cst.ComparisonTarget():
            return isinstance(
                parent.operator, (cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual)
            )
        case cst.Arg():
            call = ctx.ancestors[-2]
            return isinstance(call, cst.Call) and last_word(call.func) in _PARSERS
        case _:
            return False


def _conditions(ctx: Context) -> Iterator[cst.CSTNode]:
    """The conditions that must have held for the place at hand to be reached."""
    for depth in range(len(ctx.ancestors) - 1):
        above, below = ctx.ancestors[depth], ctx.ancestors[depth + 1]
        if isinstance(above, (cst.If, cst.IfExp, cst.While)) and below is not above.test:
            yield above.test
        elif isinstance(above, (cst.IndentedBlock, cst.Module)):
            for earlier in above.body:
                if earlier is below:
                    break
                if isinstance(earlier, cst.If):
                    yield earlier.test
    for above in ctx.ancestors:
        if isinstance(above, cst.BooleanOperation):
            yield above.left


def _is_asked_before(ctx: Context) -> bool:
    return any("version.cuda" in ctx.code(test) for test in _conditions(ctx) if test not in ctx.ancestors)


def _is_asked(node: cst.CSTNode, ctx: Context) -> bool:
    match ctx.parent:
        case (
            cst.Comparison()
            | cst.ComparisonTarget()
            | cst.BooleanOperation()
            | cst.UnaryOperation()
            | cst.Assert()
        ):
            return True
        case cst.If() | cst.IfExp() | cst.While() as above:
            return above.test is node
        case cst.Arg():
            call = ctx.ancestors[-2]
            return isinstance(call, cst.Call) and last_word(call.func) == "bool"
        case _:
            return False


class CudaBuild(Rule):
    """Whether torch was built with CUDA, and for which NVIDIA architectures: no for everybody else.

    `torch.backends.cuda.is_built()` is False in the builds for Ascend, XPU and MPS, so that what it decides over
    is lost there without an error. From torch 2.7 `torch.accelerator.current_accelerator() is not None` says
    that torch was built for some accelerator, whether or not one is there. Architecture lists and compiler
    flags are NVIDIA's and AMD's own.
    """

    code = "UC227"
    name = "cuda-build"
    triggers = (r"\bcuda\b", "has_cuda")
    category = Category.OPTIONAL
    effort = 1
    fix_safety = "Unsafe: what the answer decides over has to be looked at. For `is_built()` alone."
    sources = ("torch 2.13.0, executed", "knowledge base: torch.backends.cuda.is_built")
    bad = (
        Bad(
            "import torch\n\ngpu = torch.backends.cuda.is_built()\n",
            "import torch\n\ngpu = torch.accelerator.current_accelerator() is not None\n",
            Applicability.UNSAFE,
            floor=(2, 7),
        ),
        Bad(
            "import torch\n\nif not torch.backends.cuda.is_built():\n    raise SystemExit('no GPU build')\n",
            "import torch\n\nif not torch.accelerator.current_accelerator() is not None:\n"
            "    raise SystemExit('no GPU build')\n",
            Applicability.UNSAFE,
            floor=(2, 7),
            id="negated",
        ),
        Bad("import torch\n\ngpu = torch.backends.cuda.is_built()\n", None, id="floor"),
        Bad("import torch\n\nok = 'sm_90' in torch.cuda.get_arch_list()\n", None, id="architectures"),
        Bad("import torch\n\nflags = torch.cuda.get_gencode_flags()\n", None, id="flags"),
        Bad("import torch\n\nbuilt = torch.cuda._is_compiled()\n", None, id="private"),
        Bad("import torch\n\nbuilt = torch.has_cuda\n", None, id="attribute"),
    )
    good = (
        Good("import torch\n\nok = torch.backends.mps.is_built()  # not cuda\n", "another vendor's"),
        Good("import torch\n\nok = torch.accelerator.current_accelerator() is not None  # cuda or other\n"),
        Good("import torch\n\nok = torch.backends.mkl.is_available()  # cuda\n"),
        Good("from tensorflow import test as cuda\n\ncuda.is_built()\n", "not torch"),
        Good("class Box:\n    has_cuda = True\n\n\nprint(Box.has_cuda)\n", "an attribute of one's own"),
        Good("def is_built():\n    return 1\n\n\nis_built()  # cuda\n", "a function of one's own"),
        Good('"""torch.backends.cuda.is_built()"""\n', "prose"),
    )

    _OWN = frozenset({"get_arch_list", "get_gencode_flags", "_is_compiled"})

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        if last_word(node.func) == "is_built":
            if ctx.qualified(node.func) == "torch.backends.cuda.is_built":
                ctx.report(
                    self,
                    node,
                    "`torch.backends.cuda.is_built()` says no in builds for other accelerators",
                    symbol="torch.backends.cuda.is_built",
                    fix=lambda fix: self._fix(fix, node),
                    title="Ask whether torch was built for any accelerator",
                )
            return
        name = cuda_function(node.func, ctx, self._OWN)
        if name is not None:
            ctx.report(
                self,
                node,
                f"`torch.cuda.{name}()` tells of a build for NVIDIA or AMD",
                symbol=f"torch.cuda.{name}",
            )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value == "has_cuda" and not ctx.is_claimed(node) and is_read(node, ctx):
            if ctx.qualified(node) == "torch.has_cuda":
                message = "`torch.has_cuda` tells of a build for NVIDIA or AMD, and is deprecated"
                ctx.report(self, node, message, symbol="torch.has_cuda")

    def _fix(self, fix: FixBuilder, node: cst.Call) -> None:
        if node.args:
            raise CannotFix("it takes no arguments")
        fix.needs("current_accelerator may be asked where there is none")
        fix.unsafe()
        fix.replace(node, f"{fix.name('torch.accelerator.current_accelerator')}() is not None")
