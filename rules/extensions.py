"""Native code for CUDA: extensions, kernels, inline assembler, and CUDA's libraries loaded by name."""

from __future__ import annotations

import re
from functools import cache

import libcst as cst

from uncuda.context import Context
from uncuda.literals import argument, string_value
from uncuda.rules._calls import is_imported, is_read, last_word
from uncuda.rules._spelled import named
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.rules.cuda_packages import alternative, reached
from uncuda.walk import walk

_EXTENSION = "torch.utils.cpp_extension"
_PATHS = frozenset({f"{_EXTENSION}.include_paths", f"{_EXTENSION}.library_paths"})
_CUDA_FLAGS = ("with_cuda", "extra_cuda_cflags")
_CUDA_SOURCE = re.compile(r"\.cuh?\Z")


def _is_set(arg: cst.Arg | None) -> bool:
    """Is the argument given, and neither None, False nor empty?"""
    if arg is None:
        return False
    match arg.value:
        case cst.Name("None" | "False") | cst.List(elements=[]) | cst.Tuple(elements=[]):
            return False
        case cst.SimpleString() as text:
            return bool(string_value(text))
        case _:
            return True


class CudaExtension(Rule):
    """A CUDA extension needs nvcc (or hipcc) where it is built, and an NVIDIA or AMD device where it runs.

    `CUDAExtension` raises at build time without a toolkit, which stops `pip install` on every other host. A
    CppExtension builds everywhere; kernels for other devices are NpuExtension (Ascend), SyclExtension (XPU, torch
    2.7), MUSAExtension (Moore Threads), or one Triton kernel for several. Behind an operator of torch.library
    a plain torch implementation can serve the rest.
    """

    code = "UC502"
    name = "cuda-extension"
    triggers = (
        "CUDAExtension",
        "CUDA_HOME",
        "cpp_extension",
        "with_cuda",
        "cuda_cflags",
        "cuda_sources",
        ".cu'",
        '.cu"',
        ".cuh'",
        '.cuh"',
    )
    category = Category.MANDATORY
    effort = 7
    priority = 30
    sources = ("torch 2.13.0, executed", "knowledge base: torch.utils.cpp_extension")
    bad = (
        Bad(
            "from torch.utils.cpp_extension import BuildExtension, CUDAExtension\n\n"
            "setup(ext_modules=[CUDAExtension('ops', ['ops.cpp', 'ops.cu'])], cmdclass={'build_ext': BuildExtension})\n"
        ),
        Bad(
            "from torch.utils import cpp_extension as ext\n\nmods = [\n    ext.CUDAExtension(  # kernels\n        'ops',\n"
            "        sources,\n    )\n]\n",
            id="alias",
        ),
        Bad(
            "from torch.utils.cpp_extension import load\n\nops = load(name='ops', sources=['a.cpp', 'a.cu'])\n",
            id="load",
        ),
        Bad(
            "from torch.utils.cpp_extension import load\n\nops = load('ops', srcs, extra_cuda_cflags=['-O3'])\n",
            id="flags",
        ),
        Bad(
            "from torch.utils.cpp_extension import load_inline\n\nops = load_inline('ops', cpp, cuda_sources=src)\n",
            id="inline",
        ),
        Bad(
            "import torch.utils.cpp_extension\n\nif torch.utils.cpp_extension.CUDA_HOME is not None:\n    pass\n",
            id="home",
        ),
        Bad(
            "from torch.utils.cpp_extension import CUDA_HOME\n\nhas_nvcc = bool(CUDA_HOME and exists(CUDA_HOME))\n\n\n"
            "def f():\n    if CUDA_HOME:\n        return CUDA_HOME\n",
            count=2,
            id="home-from",
        ),
        Bad(
            "import torch.utils.cpp_extension as e\n\next = e.CUDAExtension if gpu else e.CppExtension\n",
            id="class",
        ),
        Bad(
            "from torch.utils.cpp_extension import include_paths\n\nwhere = include_paths(device_type='cuda')\n",
            id="paths",
        ),
    )
    good = (
        Good("from torch.utils.cpp_extension import BuildExtension, CppExtension\n\n"
             "setup(ext_modules=[CppExtension('ops', ['ops.cpp'])], cmdclass={'build_ext': BuildExtension})\n", "plain C++"),
        Good("from torch.utils.cpp_extension import load\n\nload('ops', ['a.cpp'])\n", "plain C++"),
        Good("from torch.utils.cpp_extension import load_inline\n\nload_inline('ops', cpp, cuda_sources=[])\n", "no CUDA"),
        Good("from torch.utils.cpp_extension import load_inline\n\nload_inline('ops', cpp, with_cuda=False)\n", "no CUDA"),
        Good("from torch.utils.cpp_extension import CUDAExtension, CUDA_HOME\n", "imports: their uses are told"),
        Good("from json import load\n\nload('x.cu', with_cuda=True)\n", "not torch's"),
        Good("from torch.utils.cpp_extension import include_paths\n\nwhere = include_paths()  # no cuda\n", "of torch itself"),
        Good("class CUDAExtension:\n    pass\n\n\nCUDAExtension()\n", "a class of one's own"),
        Good("import os\n\nCUDA_HOME = os.environ['CUDA_HOME']\nprint(CUDA_HOME)\n", "a variable: that is cuda-environment"),
        Good("'CUDAExtension(name, sources)'\n", "prose"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func)
        if full is None or ctx.is_claimed(node):
            return
        if full == f"{_EXTENSION}.CUDAExtension":
            self._report(node.func, "`CUDAExtension` builds with CUDA's or ROCm's toolkit only", full, ctx)
        elif full == f"{_EXTENSION}.load":
            if any(_is_set(argument(node, f)) for f in _CUDA_FLAGS) or _names_cuda_sources(node):
                self._load(node, "load", "load(with_cuda=True)", ctx)
        elif full == f"{_EXTENSION}.load_inline":
            asked = any(_is_set(argument(node, f)) for f in _CUDA_FLAGS)
            if asked or _is_set(argument(node, "cuda_sources", 2)):
                self._load(node, "load_inline", "load_inline(cuda_sources=...)", ctx)
        elif full in _PATHS:
            given = argument(node, "device_type", 0)
            if given is not None and string_value(given.value) == "cuda":
                message = "asks for the paths of CUDA's toolkit"
                self._report(node.func, message, f'{_EXTENSION}.include_paths(device_type="cuda")', ctx)

    def _load(self, node: cst.Call, name: str, key: str, ctx: Context) -> None:
        self._report(node.func, f"`{name}` compiles CUDA sources", f"{_EXTENSION}.{key}", ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in ("CUDA_HOME", "CUDAExtension"):
            self._visit_name(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if node.value in ("CUDA_HOME", "CUDAExtension") and is_imported(node, ctx):
            self._visit_name(node, ctx)

    def _visit_name(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        full = ctx.qualified(node) or ""
        if not full.startswith(_EXTENSION) or ctx.is_claimed(node) or not is_read(node, ctx):
            return
        if full.endswith("CUDAExtension"):
            self._report(node, "`CUDAExtension` builds with CUDA's or ROCm's toolkit only", full, ctx)
        elif _is_first(node, ctx):
            message = "`CUDA_HOME` is None without CUDA's toolkit"
            ctx.report(self, node, message, symbol=full, category=Category.POTENTIAL)

    def _report(self, node: cst.BaseExpression, message: str, symbol: str, ctx: Context) -> None:
        from uncuda.rules.knowledge import outcomes

        table, category = reached(outcomes(symbol), node, ctx)
        ctx.report(self, node, message, symbol=symbol, outcomes=table, category=category)


def _is_first(node: cst.Attribute | cst.Name, ctx: Context) -> bool:
    """Is this where its function, or its statement at the top level, asks for CUDA_HOME for the first time?"""
    around: cst.CSTNode = ctx.function or next(
        (n for n in ctx.ancestors if isinstance(n, (cst.SimpleStatementLine, cst.BaseCompoundStatement))),
        ctx.root,
    )
    for item in walk(around):
        if isinstance(item, (cst.Attribute, cst.Name)) and last_word(item) == "CUDA_HOME":
            if isinstance(item, cst.Attribute) or is_imported(item, ctx):
                return item is node
    return False


def _names_cuda_sources(node: cst.Call) -> bool:
    """Is there a literal file name of CUDA source among the sources?"""
    given = argument(node, "sources", 1)
    if given is None:
        return False
    return any(
        _CUDA_SOURCE.search(string_value(n) or "") for n in walk(given) if isinstance(n, cst.SimpleString)
    )


_LOADERS = frozenset(
    {
        "ctypes.CDLL", "ctypes.WinDLL", "ctypes.PyDLL", "ctypes.OleDLL", "ctypes.cdll.LoadLibrary",
        "ctypes.windll.LoadLibrary", "ctypes.util.find_library",
    }
)  # fmt: skip
_LIBRARIES = "ctypes libcudart"
_ASSEMBLER = "triton.language.inline_asm_elementwise"


class KernelDefinition(Rule):
    """A kernel is written for the devices that its language has a compiler for.

    Triton runs on NVIDIA, AMD and Intel, and on Ascend with triton-ascend; TileLang has an Ascend dialect; CUDA C and
    PTX run on NVIDIA alone. Every kernel is a piece of work of its own: port it, or give it a torch implementation
    that the other devices use. Each is reported once, where it is defined.
    """

    code = "UC503"
    name = "kernel-definition"
    triggers = (
        r"\btriton\b & import triton",
        r"\btilelang\b",
        r"\bcuda\b",
        "pycuda",
        "cupy",
        "cutlass",
        "DLL",
        "LoadLibrary",
        "find_library",
    )
    category = Category.POTENTIAL
    effort = 7
    priority = 30
    sources = ("knowledge base: packages", "knowledge base: ctypes libcudart, inline_asm_elementwise")
    bad = (
        Bad(
            "import triton\nimport triton.language as tl\n\n\n@triton.jit\ndef add(x, y, n: tl.constexpr):\n    pass\n"
        ),
        Bad(
            "import triton\n\n\n@triton.autotune(configs=[], key=['n'])\n@triton.jit\ndef mul(x, n):\n    pass\n",
            id="autotune",
        ),
        Bad(
            "from triton import jit\n\n\nclass Ops:\n    @jit\n    def one(x):\n        pass\n\n    @jit\n    def two(x):\n"
            "        pass\n",
            count=2,
            id="methods",
        ),
        Bad(
            "import tilelang\nimport tilelang.language as T\n\n\n@tilelang.jit(out_idx=[-1])\ndef gemm(m):\n    @T.prim_func\n"
            "    def main(a):\n        pass\n    return main\n",
            id="tilelang",
        ),
        Bad(
            "from numba import cuda\n\n\n@cuda.jit\ndef k(a):\n    pass\n\n\n@cuda.jit('void(f4[:])', device=True)\n"
            "def d(a):\n    pass\n",
            id="numba",
        ),
        Bad(
            "import cutlass.cute as cute\n\n\nclass Gemm:\n    @cute.jit\n    def load(self, x):\n        pass\n\n"
            "    @cute.kernel\n    def kernel(self, x):\n        pass\n",
            id="cutlass",
        ),
        Bad(
            "import cupy as cp\n\nkernel = cp.RawKernel(r'extern \"C\" __global__ void f() {}', 'f')\n",
            id="cupy",
        ),
        Bad(
            "from pycuda.compiler import SourceModule\n\nmod = SourceModule('__global__ void f() {}')\n",
            id="pycuda",
        ),
        Bad(
            "import triton.language as tl\n\n\ndef helper(x):\n    return tl.inline_asm_elementwise(\n"
            "        'cvt.rn.f16.f32 $0, $1;', '=h,r', [x], dtype=tl.float16, is_pure=True, pack=1)\n",
            id="ptx",
        ),
        Bad(
            "import ctypes\n\nrt = ctypes.CDLL('libcudart.so')\nlib = ctypes.cdll.LoadLibrary('/usr/lib/libnccl.so.2')\n",
            count=2,
            id="ctypes",
        ),
        Bad(
            "from ctypes import CDLL\nfrom ctypes.util import find_library\n\nCDLL(find_library('cudart'))\n",
            id="find",
        ),
    )
    good = (
        Good("import torch\n\n\n@torch.jit.script\ndef f(x):\n    return x\n", "TorchScript"),
        Good("from numba import jit, njit\n\n\n@njit\ndef f(x):\n    return x\n", "runs on the CPU"),
        Good("import triton\n\n\ndef launch(x):\n    grid = (triton.cdiv(x, 2),)\n    return kernel[grid](x)\n",
             "a launch: the kernel is told where it is defined"),
        Good("import ctypes\n\nlibc = ctypes.CDLL('libc.so.6')\nmine = ctypes.CDLL('./libmycuda_helper.so')\n",
             "not CUDA's libraries"),
        Good("from mylib import triton\n\n\n@triton.jit\ndef f(x):\n    pass\n", "not Triton"),
        Good("def jit(f):\n    return f\n\n\n@jit\ndef triton_kernel(x):\n    pass\n", "a decorator of one's own"),
        Good("from cutlass import cute\n\n\n@cute.jit\ndef part(x):\n    return x\n", "a part of kernels"),
        Good("import jax\n\n\n@jax.jit\ndef f(x):\n    return x\n", "XLA compiles for every device"),
        Good("'@triton.jit'\nprint('tl.inline_asm_elementwise')\n", "prose"),
        Good("import triton\n", "an import: that is cuda-only-import"),
        Good("import numpy as np\n\nnp.RawKernel('x')\nRawKernel('x')\n", "not CuPy's"),
    )  # fmt: skip

    def visit_FunctionDef(self, node: cst.FunctionDef, ctx: Context) -> None:
        for decorator in node.decorators:
            target = decorator.decorator
            func = target.func if isinstance(target, cst.Call) else target
            package = _makes_kernel("decorators", ctx.qualified(func))
            if package is None or _in_kernel(ctx):
                continue
            if isinstance(target, cst.Call) and _is_set(argument(target, "device")):
                continue  # numba's device functions are parts of kernels
            self._kernel(node.name, f"`{node.name.value}` is a kernel for", package, ctx)
            return

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func)
        if full is None or ctx.is_claimed(node):
            return
        package = _makes_kernel("calls", full)
        if package is not None:
            self._kernel(node.func, "a kernel for", package, ctx)
        elif full in named((_ASSEMBLER,)):
            message = "inline assembler is for one vendor's devices"
            ctx.report(self, node.func, message, symbol=_ASSEMBLER)
        elif full in _LOADERS and node.args and _library().match(string_value(node.args[0].value) or ""):
            library = node.args[0].value
            from uncuda.rules.knowledge import outcomes

            table, category = reached(outcomes(_LIBRARIES), library, ctx)
            message = f"`{string_value(library)}` is one of CUDA's own libraries"
            ctx.report(self, library, message, symbol=_LIBRARIES, outcomes=table, category=category)

    def _kernel(self, node: cst.BaseExpression, what: str, name: str, ctx: Context) -> None:
        from uncuda.rules.knowledge import package

        found = package(name)
        assert found is not None, f"{name} is in the packages table"
        ctx.report(
            self,
            node,
            f"{what} {name}; advice: {alternative(found)}",
            symbol=name,
            outcomes=reached(found.outcomes, node, ctx)[0],
        )


def _makes_kernel(kind: str, name: str | None) -> str | None:
    """The package whose compiler makes a kernel of what a decorator or a call of this name is given."""
    if name is None or name.startswith("torch."):
        return None
    from uncuda.rules.knowledge import kernel_makers

    return kernel_makers(kind).get(name)


@cache
def _library() -> re.Pattern[str]:
    """The file names of CUDA's own libraries."""
    names = "|".join(map(re.escape, named((_LIBRARIES,))))
    return re.compile(rf"(?:.*[/\\])?(?:lib)?(?:{names})(?:64)?(?:[-_.\d]*)(?:\.(?:so|dll|dylib)[\d.]*)?\Z")


def _in_kernel(ctx: Context) -> bool:
    """Is the place inside another kernel's definition?"""
    for above in ctx.ancestors:
        if isinstance(above, cst.FunctionDef):
            for decorator in above.decorators:
                target = decorator.decorator
                func = target.func if isinstance(target, cst.Call) else target
                if (
                    _makes_kernel("decorators", ctx.qualified(func)) is not None
                    or last_word(func) == "prim_func"
                ):
                    return True
    return False
