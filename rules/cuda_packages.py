"""Imports of packages that are built for CUDA."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, TypeVar

import libcst as cst

from uncuda.bindings import dotted
from uncuda.context import Context
from uncuda.findings import Outcomes
from uncuda.guards import Guard
from uncuda.index import cst_import_bindings
from uncuda.literals import string_value
from uncuda.rules._calls import last_word
from uncuda.rules._outcomes import softened
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.rules.catalogue import held_triggers
from uncuda.walk import walk

if TYPE_CHECKING:
    from uncuda.rules.knowledge import Package

_ASKS = re.compile(r"available|installed|\bfind_spec\b|(?:\b|_)(?:has|have|with|use|enable)_", re.I)
# Functions that import a module when it is used, or give something else where it isn't there.
_LAZY = re.compile(
    r"_*(?:optional|lazy|try|maybe|soft|safe|late)_?import(?:er|_module|_wrapper)?\Z|_*lazy_?(?:loader|module)\Z"
    r"|_*import_(?:optional\w*|or_none|if_available)\Z",
    re.I,
)
_IMPORTERS = frozenset({"importlib.import_module", "__import__", "builtins.__import__"})
_Node = TypeVar("_Node", bound=cst.CSTNode)

HANDLED = (Guard.CUDA, Guard.TRY, Guard.SKIPPED_TEST)
"""Guards under which a program goes on without a CUDA-only piece."""
_STATUS = {
    "yes": "is for CUDA only",
    "partly": "runs on some devices only",
    "no": "needs another build off CUDA",
}


def entry(name: str) -> Package | None:
    """The entry of the packages table that the dotted `name` falls under."""
    from uncuda.rules.knowledge import package

    return None if name.startswith("torch.") else package(name)


def alternative(found: Package) -> str:
    """The first of the alternatives that the table lists, short enough for a message."""
    return found.alternative.partition("; ")[0]


def _named(importing: str) -> tuple[str, ...]:
    """The triggers of imports of all packages that count as `importing`."""
    from uncuda.rules.knowledge import package_aliases, package_imports

    kinds = package_imports()
    names = {name: name for name in kinds} | dict(package_aliases())
    chosen = sorted(name for name, listed in names.items() if kinds[listed] == importing)
    tops = {name for name in chosen if "." not in name}
    found = {f"import {name}" for name in tops}
    for name in chosen:
        top = name.partition(".")[0]
        if top not in tops:
            found.add(rf"\b{name.rpartition('.')[2]}\b & import {top}")
    return (*sorted(found), r"\bLazyImport(", r"\bLazyLoader(", r"\bLazyModule(")


class _PackageImport(Rule):
    """Tells imports of the packages that count as `importing` in the packages table."""

    importing: ClassVar[str]

    @classmethod
    def made_triggers(cls) -> tuple[str, ...]:
        return _named(cls.importing)

    def visit_Import(self, node: cst.Import, ctx: Context) -> None:
        for alias in node.names:
            self._report(node, alias.name, dotted(alias.name) or "", ctx)

    def visit_ImportFrom(self, node: cst.ImportFrom, ctx: Context) -> None:
        if node.relative or node.module is None:
            return
        module = dotted(node.module) or ""
        if self._report(node, node.module, module, ctx) or isinstance(node.names, cst.ImportStar):
            return
        for alias in node.names:
            self._report(node, alias.name, f"{module}.{dotted(alias.name)}", ctx)

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        last = last_word(node.func)
        if _LAZY.match(last):
            for arg in node.args[:3]:
                name = string_value(arg.value)
                if name is not None and self._report(node, arg.value, name, ctx, lazy=True):
                    return
        if not node.args or last not in ("import_module", "__import__"):
            return
        full = ctx.qualified(node.func) or (last if isinstance(node.func, cst.Name) else "")
        if full not in _IMPORTERS or (full == "__import__" and ctx.bindings_of("__import__") is not None):
            return
        name = string_value(node.args[0].value)
        if name is not None and not name.startswith("."):
            self._report(node, node.args[0].value, name, ctx)

    def _report(
        self, importer: cst.CSTNode, node: cst.BaseExpression, name: str, ctx: Context, *, lazy: bool = False
    ) -> bool:
        found = entry(name)
        if found is None or found.importing != self.importing:
            return False
        if ctx.is_claimed(node) or name.partition(".")[0] in ctx.options.own:
            return False
        asked = _asked(ctx)
        if asked is None or _told_before(found, importer, node, ctx):
            return True
        handled = lazy or asked or ctx.guard(node) in HANDLED
        return ctx.report(
            self,
            node,
            f"`{name}` {_STATUS[found.cuda_only]}{', and is optional here' if handled else ''}; "
            f"advice: {alternative(found)}",
            symbol=found.import_name,
            outcomes=softened(found.outcomes) if handled else found.outcomes,
            category=Category.POTENTIAL if handled else None,
        )


class CudaOnlyImport(_PackageImport):
    """A package that is built for CUDA can't be imported, or does less, elsewhere.

    Its wheel doesn't install, its extension module doesn't load, or its kernels have no code for the device: an
    unguarded import stops the whole program on a host where nothing else would. Each finding names what can stand
    in its place. An import under a try, or behind a question whether the package is there, costs the feature and
    not the program. A package is told once, at the import that the others in its place follow.
    """

    code = "UC501"
    name = "cuda-only-import"
    importing = "tie"
    triggers = held_triggers("UC501")
    category = Category.MANDATORY
    effort = 3
    priority = 45
    sources = ("knowledge base: packages",)
    bad = (
        Bad("import flash_attn\n"),
        Bad(
            "from flash_attn.flash_attn_interface import flash_attn_func, flash_attn_varlen_func\n",
            id="submodule",
        ),
        Bad("import os, triton, sys\n", id="among-others"),
        Bad("import triton\nimport triton.language as tl\n", id="alias"),
        Bad("from apex import amp\nfrom apex.optimizers import FusedAdam as Adam\n", id="apex"),
        Bad(
            "try:\n    import cutlass, cutlass.cute\n    from cutlass.cute.nvgpu import warp\nexcept ImportError:\n"
            "    pass\n\n\ndef f():\n    import cutlass; from cutlass import cute\n    if cute:\n"
            "        from cutlass.cute import arch\n",
            count=2,
            id="once-where-it-runs",
        ),
        Bad(
            "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import triton\nelse:\n    import triton\n",
            id="type-checking-else",
        ),
        Bad(
            "class A:\n    def f(self):\n        import cupy\n\n    def g(self):\n        import cupy\n",
            count=2,
            id="methods",
        ),
        Bad("from numba import cuda, jit\n", id="numba"),
        Bad("import nvidia.dali.fn as fn\n", id="namespace"),
        Bad("def f():\n    import deep_gemm\n    return deep_gemm\n", id="in-a-function"),
        Bad("try:\n    import xformers.ops\nexcept ImportError:\n    xformers = None\n", id="try"),
        Bad(
            "from mylib import is_bnb_available\n\nif is_bnb_available():\n    import bitsandbytes as bnb\n",
            id="asked",
        ),
        Bad(
            "import importlib\n\ntl = importlib.import_module('tilelang.language')\nte = __import__('transformer_engine')\n",
            count=2,
            id="dynamic",
        ),
        Bad(
            "from monai.utils import optional_import\n\ncp, has_cp = optional_import('cupy')\n"
            "trt, _ = optional_import('tensorrt', '8.5.3')\nfa = LazyLoader('fa', globals(), 'flash_attn')\n"
            "ndimage = optional_import('cupyx.scipy.ndimage')[0]\n",
            count=3,
            id="lazy",
        ),
        Bad("from fast_hadamard_transform import (\n    hadamard_transform,  # rotates\n)\n", id="lines"),
        Bad(
            "import cupy as cp\nimport pycuda.autoinit\nimport pynvml\nimport tensorrt as trt\n",
            count=4,
            id="runtimes",
        ),
        Bad("import rmm\nfrom fla.ops import gla\n", count=2, id="short-names"),
    )
    good = (
        Good("from .triton import kernel\nfrom . import apex\nfrom ..flash_attn import f\n", "modules of the project"),
        Good("from mylib.triton import kernel\nimport mylib.apex\n", "modules of another package"),
        Good("import torch.backends.cudnn as cudnn\nimport torch.cuda\nfrom torch.cuda import nccl\n", "torch's own"),
        Good("from torch.utils.cpp_extension import CUDAExtension\n", "that is cuda-extension, where it is used"),
        Good("from monai.utils import optional_import\n\nnp, _ = optional_import('numpy')\nx = lazy_import(name)\n", "others"),
        Good("import flash_attention_mine\nimport triton_viz_helper\n", "another name"),
        Good("from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import triton\n", "never runs"),
        Good("triton = None\nprint('import triton')\n", "a variable, and prose"),
        Good("import importlib\n\nimportlib.import_module(name)\nimportlib.import_module('.triton', 'mylib')\n", "not known"),
        Good("from numba import njit\nimport cv2\n", "the rest of the package runs everywhere"),
        Good("import importlib.util\n\nhas = importlib.util.find_spec('triton') is not None\n", "asks only"),
        Good("import pytest\n\npytest.importorskip('triton')\n", "skips where it isn't"),
        Good("x.apex = 1\ncfg = {'triton': 1, 'apex': 2}\n", "an attribute and dict keys"),
        Good("import flask\nfrom flax import linen\nimport rmmlib\n", "names that begin alike"),
        Good("from transformers.utils import is_flash_attn_2_available as ok\n\nif ok():\n    pass\n", "asks only"),
        Good("from importlib.metadata import version\n\nversion('flash_attn')\n_is_package_available('xformers')\n", "asks only"),
        Good("raise ImportError('import triton failed: pip install triton')\n", "prose"),
        Good("def import_module(name):\n    return name\n\n\nimport_module('triton')\n", "a function of one's own"),
    )  # fmt: skip


class PartlyCudaImport(_PackageImport):
    """A package that runs without CUDA may do its work on the CPU there, or lack what the program calls.

    It can be imported on every host, and has kernels for CUDA (and ROCm, at times) alone: tensors of another
    accelerator are refused or copied, or a function isn't there in that build. Whether the program uses such a part
    can't be seen from the import. Each finding names what can stand in its place. A package is told once, at the
    import that the others in its place follow.
    """

    code = "UC504"
    name = "partly-cuda-import"
    importing = "maybe"
    triggers = held_triggers("UC504")
    category = Category.POTENTIAL
    effort = 3
    priority = 45
    sources = ("knowledge base: packages",)
    bad = (
        Bad("import dgl\n"),
        Bad("from torch_scatter import scatter_add, scatter_mean\n", id="function"),
        Bad("import spconv.pytorch as spconv\nfrom spconv.core import ConvAlgo\n", id="submodule"),
        Bad("from mmcv.ops import nms\n", id="part"),
        Bad("try:\n    import pytorch3d\nexcept ImportError:\n    pytorch3d = None\n", id="try"),
        Bad("import importlib\n\nk2 = importlib.import_module('k2')\n", id="dynamic"),
    )
    good = (
        Good("import vllm\nimport transformers\n", "run on every device, some by a plug-in"),
        Good("import flash_attn\n", "that is cuda-only-import"),
        Good("from .dgl import graph\nfrom . import spconv\n", "modules of the project"),
        Good("import mmcv\nfrom mmcv.cnn import ConvModule\n", "the rest of the package runs everywhere"),
        Good("dgl = None\nprint('import dgl')\n", "a variable, and prose"),
        Good("from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import dgl\n", "never runs"),
    )


def reached(outcomes: Outcomes, node: cst.CSTNode, ctx: Context) -> tuple[Outcomes, Category | None]:
    """The outcomes of a CUDA-only piece at `node`, and its category where the program goes on without it."""
    return (softened(outcomes), Category.POTENTIAL) if ctx.guard(node) in HANDLED else (outcomes, None)


def _told_before(found: Package, importer: cst.CSTNode, node: cst.BaseExpression, ctx: Context) -> bool:
    """Has an import of the same package come before the one at hand, which runs only where that one has run?"""
    for site in ctx.index.imports:
        if site.start >= ctx.island_start:
            break
        if any(entry(target) is found for _, target in site.names):
            return True
    if isinstance(importer, cst.Call) and ctx.function is None:
        # A table of lazy imports is one tie.
        call = rf"^[^\s#].*\b{re.escape(last_word(importer.func))}\(\s*[\"']([\w.]+)[\"']"
        earlier = re.finditer(call, ctx.index.text[: ctx.island_start], re.M)
        if any(entry(match[1]) is found for match in earlier):
            return True
    path = [*ctx.ancestors, importer]
    for depth, above in enumerate(path):
        if isinstance(above, cst.SimpleStatementLine):
            if _imports(_before(above.body, path[depth + 1]), found):
                return True
        # The first block may be a class's body, of which an island holds one member only.
        elif isinstance(above, cst.IndentedBlock) and depth and not isinstance(path[depth - 1], cst.ClassDef):
            for line in _before(above.body, path[depth + 1]):
                if isinstance(line, cst.SimpleStatementLine) and _imports(line.body, found):
                    return True
        elif isinstance(above, cst.Import):
            names = [alias.name for alias in above.names]
            if any(entry(dotted(name) or "") is found for name in _before(names, node)):
                return True
    return False


def _before(items: Iterable[_Node], stop: cst.CSTNode) -> Iterator[_Node]:
    """The items that come before `stop`."""
    for item in items:
        if item is stop:
            return
        yield item


def _imports(statements: Iterable[cst.BaseSmallStatement], found: Package) -> bool:
    """Does one of the statements import the package?"""
    return any(
        entry(target) is found
        for statement in statements
        if isinstance(statement, (cst.Import, cst.ImportFrom))
        for _, target in cst_import_bindings(statement)
    )


def _asked(ctx: Context) -> bool | None:
    """Is the import at hand made only where somebody asked whether the package is there? None where it is never
    run: under TYPE_CHECKING."""
    for depth in range(len(ctx.ancestors) - 1, -1, -1):
        above = ctx.ancestors[depth]
        if isinstance(above, cst.If):
            below = ctx.ancestors[depth + 1] if depth + 1 < len(ctx.ancestors) else None
            if below is above.test:
                continue
            words = list(_words(above.test))
            if "TYPE_CHECKING" in words:
                if below is above.body:
                    return None
            elif any(_ASKS.search(word) for word in words):
                return True
        elif isinstance(above, cst.With):
            if any("suppress" in _words(item.item) for item in above.items):
                return True
    return False


def _words(node: cst.CSTNode) -> Iterator[str]:
    """The names and attribute names in an expression."""
    for item in walk(node):
        if isinstance(item, cst.Name):
            yield item.value
        elif isinstance(item, cst.Attribute):
            yield item.attr.value
