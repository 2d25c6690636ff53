"""How many devices there are: `torch.cuda.device_count()`."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import string_value
from uncuda.portable import NAMES_GPU, mentions_cuda, uses_own_module
from uncuda.rules._calls import cuda_function, is_read, is_shown
from uncuda.rules._literals import answers_about_cuda
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.rules.selection import builds, says_cuda
from uncuda.walk import walk

_NAMES = frozenset({"device_count"})
_DATA_PARALLEL = frozenset({"DataParallel", "data_parallel"})
_GPU = re.compile(r"(?:\A|_)gpus?(?:_|\Z)", re.I)
_USES_DATA_PARALLEL = re.compile(r"\b(?:DataParallel|data_parallel)\(")


class CudaDeviceCount(Rule):
    """`torch.cuda.device_count()` is 0 on every accelerator but CUDA and ROCm.

    Nothing raises: a program that starts one worker per device starts none on Ascend, one that divides its
    batch by the count divides by zero, and `> 1` never holds. `torch.accelerator.device_count()` counts the
    devices of the accelerator that is there, gives the same number on CUDA, and 0 without one
    (`torch.cpu.device_count()` would give 1).
    """

    code = "UC203"
    name = "cuda-device-count"
    triggers = (r"\bcuda\b",)
    effort = 1
    fix_safety = (
        "Safe: the same number with CUDA, 0 without an accelerator, both before and after. Unsafe in the "
        "condition of a "
        "skipped test, which would begin to run elsewhere. Not offered where the count decides over code "
        "that "
        "still asks for CUDA, or over DataParallel, which raises for several devices of another accelerator; "
        "unsafe elsewhere in a file that uses it. A Mac counts one device where CUDA counted none."
    )
    sources = (
        "torch 2.13.0, executed",
        "knowledge base: torch.cuda.device_count",
        "DataParallel: torch._C._scatter is part of CUDA and ROCm builds only",
    )
    bad = (
        Bad(
            "import ray\nimport torch\n\nray.init(num_cpus=2, num_gpus=torch.cuda.device_count())\n",
            None,
            id="ray",
        ),
        Bad(
            "import torch\nfrom ray import tune\n\n\ndef ask(options):\n"
            "    options.gpus = min(1, torch.cuda.device_count())\n    return tune.run(f, resources=options)\n",
            None,
            id="ray-options",
        ),
        Bad(
            "import torch\n\nn = torch.cuda.device_count()\n",
            "import torch\n\nn = torch.accelerator.device_count()\n",
            run="n",
        ),
        Bad(
            "import torch as th\n\nmulti = th.cuda.is_available() and th.cuda.device_count() > 1\n",
            "import torch as th\n\nmulti = th.cuda.is_available() and th.accelerator.device_count() > 1\n",
            run="multi",
            id="alias",
        ),
        Bad(
            "from torch import cuda\n\nworkers = [i for i in range(cuda.device_count())]\n",
            "import torch\n\nworkers = [i for i in range(torch.accelerator.device_count())]\n",
            run="workers",
            id="from-torch",
        ),
        Bad(
            "import torch\nimport torch.multiprocessing as mp\n\n\ndef start(f):\n"
            "    mp.spawn(f, nprocs=torch.cuda.device_count(), args=(1,))\n",
            "import torch\nimport torch.multiprocessing as mp\n\n\ndef start(f):\n"
            "    mp.spawn(f, nprocs=torch.accelerator.device_count(), args=(1,))\n",
            run="start(print)",
            id="spawn",
        ),
        Bad(
            "import torch\n\n\ndef wrap(m):\n    if torch.cuda.device_count() > 1:\n        m = spread(m)\n    return m\n",
            "import torch\n\n\ndef wrap(m):\n    if torch.accelerator.device_count() > 1:\n        m = spread(m)\n"
            "    return m\n",
            run="wrap(1)",
            id="condition",
        ),
        Bad(
            "import torch\nfrom torch import nn\n\n\ndef wrap(m):\n    if torch.cuda.device_count() > 1:\n"
            "        m = nn.DataParallel(m)\n    return m\n",
            None,
            id="data-parallel",
        ),
        Bad(
            "import torch\nfrom torch import nn\n\nn_gpu = torch.cuda.device_count()\n\n\ndef wrap(m):\n"
            "    return nn.DataParallel(m) if n_gpu > 1 else m\n",
            "import torch\nfrom torch import nn\n\nn_gpu = torch.accelerator.device_count()\n\n\ndef wrap(m):\n"
            "    return nn.DataParallel(m) if n_gpu > 1 else m\n",
            Applicability.UNSAFE,
            id="data-parallel-later",
        ),
        Bad(
            'import torch\n\nprint(f"{torch.cuda.device_count()} GPUs")\n',
            'import torch\n\nprint(f"{torch.accelerator.device_count()} GPUs")\n',
            run="None",
            id="f-string",
        ),
        Bad("import torch\n\nprint('CUDA devices:', torch.cuda.device_count())\n", None, id="told-of-cuda"),
        Bad(
            "import torch\n\ncount = torch.cuda.device_count\n",
            "import torch\n\ncount = torch.accelerator.device_count\n",
            run="count()",
            id="function",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    if torch.cuda.device_count() > 0:\n"
            "        return fused_cuda_op(x)\n    return x\n",
            None,
            id="decides-over-cuda",
        ),
        Bad(
            'import torch\n\nnames = [f"cuda:{i}" for i in range(torch.cuda.device_count())]\n',
            None,
            id="comprehension",
        ),
        Bad(
            "import pytest\nimport torch\n\n\n@pytest.mark.skipif(torch.cuda.device_count() < 2, "
            "reason='two')\n"
            "def test_two():\n    assert True\n",
            "import pytest\nimport torch\n\n\n@pytest.mark.skipif(torch.accelerator.device_count() < 2, "
            "reason='two')\n"
            "def test_two():\n    assert True\n",
            Applicability.UNSAFE,
            id="skipped-test",
        ),
        Bad(
            "import unittest\n\nimport torch\n\n\ndef two(test):\n"
            "    return unittest.skipUnless(torch.cuda.device_count() > 1, 'needs two')(test)\n",
            "import unittest\n\nimport torch\n\n\ndef two(test):\n"
            "    return unittest.skipUnless(torch.accelerator.device_count() > 1, 'needs two')(test)\n",
            Applicability.UNSAFE,
            id="skip-helper",
        ),
        Bad("import torch\n\nn = torch.cuda.device_count()\n", None, floor=(2, 5), id="floor"),
        Bad(
            "import torch\n\n\ndef has_cuda_devices() -> bool:\n    return torch.cuda.device_count() > 0\n",
            None,
            id="asked-by-name",
        ),
        Bad(
            "import torch\n\n\ndef num_cuda_devices():\n    return torch.cuda.device_count()\n",
            None,
            id="counted-by-name",
        ),
    )
    good = (
        Good(
            "import torch\n\n\ndef has_cuda_devices() -> bool:\n    return torch.backends.cuda.is_built()\n",
            "another question",
        ),
        Good("import torch\n\nn = torch.accelerator.device_count()\n", "portable already"),
        Good(
            "import torch\n\n\ndef num_cuda_devices():\n    return torch.accelerator.device_count()\n",
            "portable already",
        ),
        Good("import torch\n\nprint('CUDA devices: see', torch.__version__, 'device_count')\n"),
        Good("import ray\n\nray.init(num_cpus=2)  # device_count of cuda\n"),
        Good("from ray import tune\n\ntune.run(f, resources={'gpu': 1})  # no device_count of cuda\n"),
        Good("import torch\n\nn = torch.xpu.device_count()\n", "another vendor's"),
        Good(
            "import torch\n\nif torch.accelerator.device_count() > 1:\n    m = spread(m)\n",
            "portable already",
        ),
        Good(
            "from torch.nn import DataParallel\n\nif device_count() > 1:\n    m = DataParallel(m)\n",
            "not torch's",
        ),
        Good(
            "class cuda:\n    @staticmethod\n    def device_count():\n        return 1\n\n\n"
            "cuda.device_count()\n",
            "a class of one's own",
        ),
        Good("from pycuda import driver as cuda\n\ncuda.device_count()\n", "not torch"),
        Good("def f(torch):\n    return torch.cuda.device_count()\n", "torch is a parameter here"),
        Good('"""torch.cuda.device_count() tells how many."""\n', "prose"),
        Good("# n = torch.cuda.device_count()\nn = 1\n", "a comment"),
        Good("import torch\n\ninfo = {'device_count': 1, 'cuda': torch.__version__}\n", "a dict key"),
        Good("from torch.cuda import device_count\n", "an import alone: its uses are told"),
        Good("import torch\n\nnames = [f'cuda:{i}' for i in range(count)]\n", "a count of one's own"),
        Good("import unittest\n\n\n@unittest.skipUnless(device_count() > 1, 'cuda')\ndef f():\n    pass\n"),
        Good("def device_count():\n    return 1\n\n\nn_cuda = device_count()\n", "a function of one's own"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not ctx.is_claimed(node) and not node.args and cuda_function(node.func, ctx, _NAMES):
            self._report(node, node.func, ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in _NAMES and not ctx.is_claimed(node) and is_read(node, ctx):
            if cuda_function(node, ctx, _NAMES):
                self._report(node, node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if node.value in _NAMES and not ctx.is_claimed(node) and is_read(node, ctx):
            if cuda_function(node, ctx, _NAMES):
                self._report(node, node, ctx)

    def _report(self, node: cst.BaseExpression, name: cst.BaseExpression, ctx: Context) -> None:
        ctx.report(
            self,
            node,
            "`torch.cuda.device_count()` is 0 on other accelerators",
            symbol="torch.cuda.device_count",
            fix=lambda fix: self._fix(fix, node, name, ctx),
            title="Count the devices of any accelerator",
        )

    def _fix(self, fix: FixBuilder, node: cst.BaseExpression, name: cst.BaseExpression, ctx: Context) -> None:
        fix.needs("torch.accelerator")
        if builds(ctx):
            raise CannotFix("the count may decide over what is built with nvcc")
        if answers_about_cuda(ctx):
            raise CannotFix("the function's name says that it is about CUDA")
        if is_shown(ctx):
            if says_cuda(ctx):
                raise CannotFix("the text is about CUDA")
        else:
            if ctx.index.has(NAMES_GPU) and _is_for_gpus(ctx):
                raise CannotFix('to what takes the count, a "GPU" isn\'t every accelerator')
            _look_behind(fix, node, ctx)
            if ctx.index.has(_USES_DATA_PARALLEL, "DataParallel", "data_parallel"):
                fix.unsafe()
        fix.replace(name, fix.name("torch.accelerator.device_count"))


def _look_behind(fix: FixBuilder, node: cst.BaseExpression, ctx: Context) -> None:
    """Refuses where the count decides over code that asks for CUDA."""
    path = [*ctx.ancestors, node]
    for depth in range(len(path) - 2, -1, -1):
        above, below = path[depth], path[depth + 1]
        match above:
            case cst.Call() if "skip" in _last_name(above.func).lower():
                fix.unsafe()
                return
            case cst.Decorator():
                return
            case cst.If() | cst.While() | cst.IfExp() if below is above.test:
                decided: list[cst.CSTNode] = [above.body]
                if above.orelse is not None and not isinstance(above.orelse, cst.If):
                    decided.append(above.orelse)
                if mentions_cuda(decided, ctx):
                    raise CannotFix("the count decides over code that asks for CUDA")
                if uses_own_module(decided, ctx):
                    fix.unsafe()
                if any(_is_data_parallel(n) for part in decided for n in walk(part)):
                    raise CannotFix("DataParallel is for CUDA and ROCm; use DistributedDataParallel")
                return
            case cst.For() if below is above.iter:
                if mentions_cuda([above.body], ctx):
                    raise CannotFix("the count decides over code that asks for CUDA")
                return
            case cst.ListComp() | cst.SetComp() | cst.GeneratorExp() if below is above.for_in:
                if mentions_cuda([above.elt], ctx):
                    raise CannotFix("the count decides over code that asks for CUDA")
            case cst.DictComp() if below is above.for_in:
                if mentions_cuda([above.key, above.value], ctx):
                    raise CannotFix("the count decides over code that asks for CUDA")
            case cst.BaseSmallStatement() | cst.BaseCompoundStatement():
                return
            case _:
                pass


def _is_for_gpus(ctx: Context) -> bool:
    """Does the count go to an argument, entry or attribute whose name says GPU?"""
    for above in reversed(ctx.ancestors):
        match above:
            case cst.Arg(keyword=cst.Name(name)):
                return _GPU.search(name) is not None
            case cst.DictElement(key=key):
                return _GPU.search(string_value(key) or "") is not None
            case cst.Assign(targets=targets):
                ends = (t.target.attr.value for t in targets if isinstance(t.target, cst.Attribute))
                return any(_GPU.search(name) for name in ends)
            case cst.BaseSmallStatement() | cst.BaseCompoundStatement():
                return False
            case _:
                pass
    return False


def _is_data_parallel(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Call) and _last_name(node.func) in _DATA_PARALLEL


def _last_name(func: cst.BaseExpression) -> str:
    if isinstance(func, cst.Attribute):
        return func.attr.value
    return func.value if isinstance(func, cst.Name) else ""
