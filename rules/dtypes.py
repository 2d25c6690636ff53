"""Kinds of numbers that only some devices have: FP8, and complex values where real ones do."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.context import Context
from uncuda.literals import string_value
from uncuda.rules._calls import last_word
from uncuda.rules._outcomes import softened
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.rules.cuda_packages import HANDLED

FP8 = "dtype=torch.float8_*"
ROTARY = "complex rotary embedding"
_NAMES = "torch.float8_"
_TEXT = re.compile(r"float8_e[0-9]m[0-9]\w*")
_CASTS = frozenset({"to", "view", "type", "astype"})


class Float8(Rule):
    """FP8 tensors need a device that has FP8: Ascend A2 and A3 and Apple's GPUs have none.

    Weights, caches and activations in `torch.float8_e4m3fn` can't be made there, whatever the code around them does
    about devices. AMD's MI300 has other encodings (`e4m3fnuz`, greatest value 240, not 448), Gaudi 2 a smaller range.
    Convert the checkpoint to BF16, or to INT8 with scales, and take the dtype from what the device can do. What is only
    compared with such a dtype, or listed among others, isn't told. Kernels in TileLang name their dtypes as text: there a
    variable that holds such a name is told.
    """

    code = "UC330"
    name = "float8-dtype"
    triggers = (r"\bfloat8_",)
    words_beside = "tilelang"
    category = Category.OPTIONAL
    effort = 3
    sources = (
        "Ascend: native API list of torch_npu for torch 2.12",
        "AMD: FP8 numbers in HIP's documentation",
        "knowledge base: dtype=torch.float8_*",
    )
    bad = (
        Bad("import torch\n\ncache = torch.zeros(4, 8, dtype=torch.float8_e4m3fn)\n"),
        Bad("import torch\n\ny = x.to(torch.float8_e5m2)\nz = x.view(torch.float8_e4m3fn)\n", count=2, id="cast"),
        Bad(
            "import torch\n\n\ndef make(fp8):\n    Linear.dtype = torch.float8_e4m3fn if fp8 else torch.bfloat16\n",
            id="chosen",
        ),
        Bad("from torch import float8_e4m3fn, empty_like\n\ny = empty_like(x, dtype=float8_e4m3fn)\n", id="imported"),
        Bad("import torch\n\nkv_cache_dtype = torch.float8_e4m3fn\n", id="named"),
        Bad("import torch\n\nquantise(x, out_dtype=torch.float8_e4m3fnuz)\n", id="argument"),
        Bad('import tilelang\n\nFP8 = "float8_e4m3"\n', id="kernel"),
        Bad(
            "import tilelang.language as T\n\n"
            'FP8 = "float8_e4m3fnuz" if on_rocm else "float8_e4m3fn"\n',
            id="kernel-chosen",
        ),
    )  # fmt: skip
    good = (
        Good(
            "import torch\n\nif w.dtype == torch.float8_e4m3fn or w.dtype in (torch.float8_e5m2,):\n    pass\n",
            "compared",
        ),
        Good('import torch\n\nDTYPES = {"fp8": torch.float8_e4m3fn, "bf16": torch.bfloat16}\n', "a table"),
        Good("import torch\n\ncache = torch.zeros(4, dtype=torch.bfloat16)  # torch.float8_e4m3fn\n"),
        Good("x = np.zeros(3, dtype=ml_dtypes.float8_e4m3fn)\n", "another library's"),
        Good('"""dtype=torch.float8_e4m3fn"""\nname = "torch.float8_e4m3fn"\n', "prose, text"),
        Good('FP8 = "float8_e4m3"\n', "text of who knows what"),
        Good(
            'import tilelang\n\nNAMES = {"float8_e4m3": 1}\nif x == "float8_e4m3":\n    pass\n',
            "a table",
        ),
        Good("import torch\n\nlimit = torch.finfo(torch.float8_e4m3fn).max\n", "a figure"),
    )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        self._report(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if node.value.startswith("float8_"):
            self._report(node, ctx)

    def visit_SimpleString(self, node: cst.SimpleString, ctx: Context) -> None:
        if _TEXT.fullmatch(string_value(node) or "") and _has_kernels(ctx):
            whole, above = _chosen(node, ctx)
            if isinstance(above, (cst.Assign, cst.AnnAssign)):
                self._tell(whole, ctx)

    def _report(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        if (ctx.qualified(node) or "").startswith(_NAMES) and _makes(node, ctx):
            self._tell(node, ctx)

    def _tell(self, node: cst.BaseExpression, ctx: Context) -> None:
        outcomes = ctx.outcomes(FP8, node)
        handled = ctx.guard(node) in HANDLED
        ctx.report(
            self,
            node,
            "FP8 is on some devices only; advice: BF16, or INT8 with scales, by what the device can do",
            symbol=FP8,
            outcomes=softened(outcomes) if handled else outcomes,
            category=Category.POTENTIAL if handled else None,
        )


def _has_kernels(ctx: Context) -> bool:
    return any(target.partition(".")[0] == "tilelang" for target in ctx.index.aliases.values())


def _chosen(node: cst.BaseExpression, ctx: Context) -> tuple[cst.BaseExpression, cst.CSTNode | None]:
    """The conditional expressions that may give a value, and what stands around them."""
    below: cst.BaseExpression = node
    for above in reversed(ctx.ancestors):
        if not isinstance(above, cst.IfExp) or below is above.test:
            return below, above
        below = above
    return below, None


def _makes(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is a tensor made in the dtype at hand, or the dtype chosen for those that come?"""
    path = ctx.ancestors
    depth = len(path) - 1
    below: cst.CSTNode = node
    while depth >= 0 and isinstance(path[depth], cst.IfExp):
        chooser = path[depth]
        assert isinstance(chooser, cst.IfExp)
        if below is chooser.test:
            return False
        below = chooser
        depth -= 1
    if depth < 1:
        return False
    above = path[depth]
    if isinstance(above, cst.Arg):
        call = path[depth - 1]
        if above.keyword is not None:
            return above.keyword.value.endswith("dtype")
        return (
            isinstance(call, cst.Call)
            and isinstance(call.func, cst.Attribute)
            and last_word(call.func) in _CASTS
        )
    if isinstance(above, cst.Assign):
        return any(_last(target.target).endswith("dtype") for target in above.targets)
    return isinstance(above, cst.AnnAssign) and _last(above.target).endswith("dtype")


def _last(node: cst.BaseExpression) -> str:
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


class ComplexRotary(Rule):
    """Rotary embeddings in complex numbers are slow on Ascend, and not there on some devices.

    Complex tensors are fused badly or not at all outside CUDA; `torch.polar(torch.ones_like(x), x)` and
    `torch.view_as_complex()` stand for a cosine and a sine. The same in real numbers (`x * cos + rotated * sin`) is a
    few lines, exact, and runs everywhere. Told where the code is about rotary embeddings.
    """

    code = "UC331"
    name = "complex-rotary"
    triggers = ("torch.polar", "view_as_complex", r"\bpolar\b")
    reads_words = False
    category = Category.OPTIONAL
    effort = 1
    sources = (
        "Ascend: native API list of torch_npu for torch 2.12; ports to Ascend use cosine and sine",
        "knowledge base: complex rotary embedding",
    )
    bad = (
        Bad("import torch\n\n\ndef table(freqs):\n    return torch.polar(torch.ones_like(freqs), freqs)\n"),
        Bad(
            "import torch\n\n\ndef apply_rotary_emb(x, freqs_cis):\n"
            "    x = torch.view_as_complex(x.float().view(*x.shape[:-1], -1, 2))\n"
            "    return torch.view_as_real(x * freqs_cis).flatten(3)\n",
            id="applied",
        ),
    )
    good = (
        Good("import torch\n\nz = torch.polar(magnitude, angle)\n", "any complex number"),
        Good("import torch\n\n\ndef istft(x):\n    return torch.view_as_complex(x)\n", "a signal"),
        Good(
            "def apply_rotary_emb(x, cos, sin):  # not view_as_complex\n    return x * cos + turn(x) * sin\n"
        ),
        Good("import cmath\n\nz = cmath.polar(1j)\n", "another library's"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        name = ctx.qualified(node.func)
        if name == "torch.polar":
            first = node.args[0].value if node.args else None
            if not (
                isinstance(first, cst.Call) and ctx.qualified(first.func) in ("torch.ones_like", "torch.ones")
            ):
                return
        elif name != "torch.view_as_complex" or not _is_rotary(ctx):
            return
        ctx.report(
            self,
            node,
            "complex rotary embeddings are slow or missing on some devices; advice: cosine and sine",
            symbol=ROTARY,
            outcomes=ctx.outcomes(ROTARY, node),
        )


def _is_rotary(ctx: Context) -> bool:
    names = [a.name.value for a in ctx.ancestors if isinstance(a, (cst.FunctionDef, cst.ClassDef))]
    return any("rotary" in n.lower() or "rope" in n.lower() for n in names)
