"""Tests that skip themselves where CUDA isn't."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import argument
from uncuda.others import names_others
from uncuda.portable import mentions_cuda
from uncuda.rules._calls import last_word
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.walk import walk

_MARKS = frozenset({"pytest.mark.skipif", "pytest.mark.xfail"})
_SKIPS = frozenset(
    {"unittest.skipIf", "unittest.skipUnless", "unittest.case.skipIf", "unittest.case.skipUnless"}
)
_AVAILABLE = "torch.cuda.is_available"
_CUDA_OR_HIP = re.compile(r"cuda|\bhip\b|nvidia|capability", re.I)
# Reasons that no other device can meet, and what a reason calls a device.
_OF_CUDA = re.compile(r"kernel|triton|nccl|graph|capture|stream|\bsm_?\d|nvidia|cudnn|fused|ptx|flash", re.I)
_CUDA_DEVICE = re.compile(r"\b(?:an? )?cuda(?:[- ](?:gpu|device|accelerator))?\b", re.I)
_CUDA = re.compile(r"cuda|cudnn|nccl|nvtx|nvidia|triton|apex|flash_attn|xformers|tensorrt|cupy", re.I)


class CudaTestGate(Rule):
    """A test that is skipped without CUDA never runs on any other hardware.

    The suite is green on Ascend, XPU, MPS or ROCm-less CI and has tested nothing there: the place where a port
    would show its faults first stays dark. Where the test itself is portable, `torch.accelerator.is_available()`
    is the condition that was meant. Where it tests CUDA-only code, the gate is right.
    """

    code = "UC702"
    name = "cuda-test-gate"
    triggers = (
        r"\bcuda\b",
        "require_torch_",
        "require_cuda",
        "requires_cuda",
        "requires_gpu",
        "onlyCUDA",
        "skip_if_lt_x_gpu",
        "requires_nccl",
    )
    category = Category.OPTIONAL
    effort = 1
    priority = 20
    fix_safety = (
        "Unsafe: the test begins to run where it was skipped, and may fail there. Offered only where the test, or for a "
        "mark of the whole file the file, holds no other tie to CUDA. With CUDA, and on the CPU, nothing changes."
    )
    sources = (
        "torch 2.13.0, executed",
        "knowledge base: pytest skipif",
        "testing_utils of transformers 5.24.0 and diffusers 0.42.1; test_utils.testing of accelerate 1.15.0",
    )
    bad = (
        Bad(
            "import pytest\nimport torch\n\n\n@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')\n"
            "def test_add(device):\n    assert torch.ones(1, device=device) == 1\n",
            "import pytest\nimport torch\n\n\n@pytest.mark.skipif(not torch.accelerator.is_available(), reason='needs an accelerator')\n"
            "def test_add(device):\n    assert torch.ones(1, device=device) == 1\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "import unittest\nimport torch\n\n\n@unittest.skipUnless(torch.cuda.is_available(), 'no GPU')\n"
            "class TestAdd(unittest.TestCase):\n    def test_add(self):\n        self.assertTrue(add(1))\n",
            "import unittest\nimport torch\n\n\n@unittest.skipUnless(torch.accelerator.is_available(), 'no GPU')\n"
            "class TestAdd(unittest.TestCase):\n    def test_add(self):\n        self.assertTrue(add(1))\n",
            Applicability.UNSAFE,
            id="unittest-class",
        ),
        Bad(
            'import pytest\n\ntorch = pytest.importorskip("torch")\ncuda = pytest.importorskip("torch.cuda")\n\n\n'
            "@pytest.mark.skipif(not cuda.is_available(), reason='needs a GPU')\n"
            "def test_add(device):\n    assert torch.ones(1, device=device) == 1\n",
            'import pytest\n\ntorch = pytest.importorskip("torch")\ncuda = pytest.importorskip("torch.cuda")\n\n\n'
            "@pytest.mark.skipif(not torch.accelerator.is_available(), reason='needs a GPU')\n"
            "def test_add(device):\n    assert torch.ones(1, device=device) == 1\n",
            Applicability.UNSAFE,
            id="import-or-skip",
        ),
        Bad(
            "import unittest\nimport torch\n\n\nclass TestAdd(unittest.TestCase):\n"
            "    @unittest.skipIf(not torch.cuda.is_available(), 'no GPU')\n    def test_add(self):\n        add(1)\n",
            "import unittest\nimport torch\n\n\nclass TestAdd(unittest.TestCase):\n"
            "    @unittest.skipIf(not torch.accelerator.is_available(), 'no GPU')\n    def test_add(self):\n        add(1)\n",
            Applicability.UNSAFE,
            id="method",
        ),
        Bad(
            "import pytest\nimport torch\n\n\n@pytest.mark.skipif(not torch.cuda.is_available(), reason='CUDA')\n"
            "def test_kernel():\n    run(x.to('cuda'))\n",
            None,
            id="tie-behind-it",
        ),
        Bad(
            "import pytest\nimport torch\n\npytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='GPU')\n\n\n"
            "def test_add(device):\n    assert add(device)\n",
            "import pytest\nimport torch\n\npytestmark = pytest.mark.skipif(not torch.accelerator.is_available(), reason='GPU')\n"
            "\n\ndef test_add(device):\n    assert add(device)\n",
            Applicability.UNSAFE,
            id="whole-file",
        ),
        Bad(
            "import pytest\nimport torch\n\nrequires_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='x')\n\n\n"
            "@requires_cuda\ndef test_add():\n    add(1)\n",
            None,
            id="variable",
        ),
        Bad(
            "import pytest\nimport torch\n\n\n@pytest.mark.parametrize('device', [\n    'cpu',\n"
            "    pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='x')),\n])\n"
            "def test_add(device):\n    add(device)\n",
            None,
            id="parameter",
        ),
        Bad(
            "from pytest import mark\nimport torch as th\n\n\n"
            "@mark.skipif(not th.cuda.is_available() or SLOW, reason='x')\ndef test_add():\n    add(1)\n",
            "from pytest import mark\nimport torch as th\n\n\n"
            "@mark.skipif(not th.accelerator.is_available() or SLOW, reason='x')\ndef test_add():\n    add(1)\n",
            Applicability.UNSAFE,
            id="alias",
        ),
        Bad(
            "import pytest\nimport torch\n\n\n@pytest.mark.skipif(not torch.cuda.is_available(), reason='x')\n"
            "def test_add():\n    add(1)\n",
            None,
            floor=(2, 5),
            id="floor",
        ),
        Bad(
            'import unittest\nimport torch\n\n\n@unittest.skipUnless(torch.cuda.is_available(), "No CUDA device here")\n'
            "def test_add():\n    add(1)\n",
            'import unittest\nimport torch\n\n\n@unittest.skipUnless(torch.accelerator.is_available(), "No accelerator here")\n'
            "def test_add():\n    add(1)\n",
            Applicability.UNSAFE,
            id="reason",
        ),
        Bad(
            "import pytest\nimport torch\n\n\n"
            "@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs the fused CUDA kernel')\n"
            "def test_add():\n    add(1)\n\n\n"
            "@pytest.mark.skipif(not torch.cuda.is_available() or torch.version.hip is not None, reason='x')\n"
            "def test_mul():\n    mul(1)\n",
            None,
            count=2,
            id="of-cuda",
        ),
        Bad(
            "from transformers.testing_utils import require_torch_gpu\nfrom mylib.testing import requires_cuda\n\n\n"
            "@require_torch_gpu\nclass TestA:\n    @requires_cuda\n    def test_b(self):\n        pass\n",
            None,
            count=2,
            id="helpers",
        ),
    )
    good = (
        Good("import pytest\nimport torch\n\n\n@pytest.mark.skipif(not torch.accelerator.is_available(), reason='x')\n"
             "def test_add():\n    add(1)\n", "asks for any accelerator"),
        Good("import pytest\nimport torch\n\n\n@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='x')\n"
             "def test_add():\n    add(1)\n", "a count: that is cuda-device-count"),
        Good("import pytest\n\n\n@pytest.mark.skipif(sys.platform == 'win32', reason='no CUDA')\ndef test_add():\n    add(1)\n",
             "another reason"),
        Good("import torch\n\n\ndef test_add():\n    if not torch.cuda.is_available():\n        return\n",
             "a condition in the body: that is cuda-available"),
        Good("import pytest\nimport torch\n\n\n"
             "@pytest.mark.skipif(not (torch.cuda.is_available() or torch.xpu.is_available()), reason='x')\n"
             "def test_add():\n    add(1)\n", "others are asked for too"),
        Good("from transformers.testing_utils import require_torch_accelerator\n\n\n@require_torch_accelerator\n"
             "def test_add():\n    add(1)\n", "asks for any accelerator"),
        Good("import pytest\n\n\n@pytest.mark.requires_cuda\ndef test_add():\n    add(1)\n", "a mark skips nothing by itself"),
        Good("def requires_cuda(f):\n    return f\n\n\n@requires_cuda\ndef test_add():\n    add(1)\n",
             "defined here, where its question is told"),
        Good("import pytest\n\ntriton = pytest.importorskip('triton')\n", "asks for a package, not for a device"),
        Good("from numba import cuda\nimport pytest\n\n\n@pytest.mark.skipif(not cuda.is_available(), reason='x')\n"
             "def test_add():\n    add(1)\n", "numba's question"),
        Good("'@pytest.mark.skipif(not torch.cuda.is_available())'\n", "prose"),
        Good("import torch\n\n\ndef skipif(x):\n    return x\n\n\nskipif(torch.cuda.is_available())\n",
             "a function of one's own"),
        Good("import pytest\nimport torch\n\n\n@pytest.mark.skipif(torch.cuda.is_available(), reason='tests the CPU path')\n"
             "def test_add():\n    add(1)\n", "runs where there is no CUDA"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func)
        if (full not in _MARKS and full not in _SKIPS) or not node.args or ctx.is_claimed(node):
            return
        test = next(
            (a.value for a in node.args if a.keyword is not None and a.keyword.value == "condition"), None
        )
        test = test or node.args[0].value
        questions = [
            n
            for n in walk(test)
            if isinstance(n, cst.Call) and ctx.qualified(n.func) == _AVAILABLE and not ctx.is_claimed(n)
        ]
        if not questions or names_others(test) or not _skips_without(test, full.endswith("skipUnless"), ctx):
            return
        ctx.report(
            self,
            node,
            "the test never runs without CUDA",
            symbol="pytest.mark.skipif(not torch.cuda.is_available())",
            claims=tuple(questions),
            fix=lambda fix: self._fix(fix, node, test, questions, ctx),
            title="Run it on any accelerator",
        )

    def visit_Decorator(self, node: cst.Decorator, ctx: Context) -> None:
        called = node.decorator.func if isinstance(node.decorator, cst.Call) else node.decorator
        name = last_word(called)
        if "cuda" not in name.lower() and "gpu" not in name and "nccl" not in name:
            return
        from uncuda.rules.knowledge import test_decorators

        if name not in test_decorators() or ctx.is_claimed(node.decorator):
            return
        full = ctx.qualified(called)
        if full is None or full.startswith("pytest.mark."):
            return  # defined here, where its question is told; or a mark, which skips nothing by itself
        instead = test_decorators()[name].get(full.partition(".")[0])
        ctx.report(
            self,
            node.decorator,
            "the test never runs without CUDA" + (f"; `{instead}` takes any accelerator" if instead else ""),
            symbol="pytest.mark.skipif(not torch.cuda.is_available())",
        )

    def _fix(
        self,
        fix: FixBuilder,
        node: cst.Call,
        test: cst.BaseExpression,
        questions: list[cst.Call],
        ctx: Context,
    ) -> None:
        fix.unsafe()
        if len(_CUDA_OR_HIP.findall(ctx.code(test))) > len(questions):
            raise CannotFix("the condition asks for more of CUDA")
        reason = _reason(node)
        if reason is not None and _OF_CUDA.search(reason.value):
            raise CannotFix("the reason that is given is about CUDA's own")
        decorated = _decorated(node, ctx)
        if decorated is not None:
            others = [d for d in decorated.decorators if d.decorator is not node]
            inside: list[cst.CSTNode] = [decorated.body, *others]
            if isinstance(decorated, cst.FunctionDef):
                inside.append(decorated.params)
            if mentions_cuda(inside, ctx):
                raise CannotFix("the test itself asks for CUDA")
        elif isinstance(ctx.parent, cst.Assign) and ctx.function is None and ctx.owner is None:
            # Whoever uses the mark is in this file: it must be free of CUDA, this statement apart.
            words = len(_CUDA.findall(ctx.index.text))
            if words > len(_CUDA.findall(ctx.code(ctx.parent.value))):
                raise CannotFix("the file holds other ties to CUDA")
        else:
            raise CannotFix("what the mark stands on isn't known")
        new = fix.is_available()
        for question in questions:
            fix.replace(question, new)
        if reason is not None:
            told = _CUDA_DEVICE.sub(_any_device, reason.raw_value)
            if told != reason.raw_value:
                fix.replace(reason, f"{reason.prefix}{reason.quote}{told}{reason.quote}")


def _decorated(node: cst.Call, ctx: Context) -> cst.FunctionDef | cst.ClassDef | None:
    """The function or class that `node` decorates."""
    if not isinstance(ctx.parent, cst.Decorator) or len(ctx.ancestors) < 2:
        return None
    above = ctx.ancestors[-2]
    return above if isinstance(above, (cst.FunctionDef, cst.ClassDef)) else None


def _reason(node: cst.Call) -> cst.SimpleString | None:
    """The literal text that says why the test is skipped."""
    given = argument(node, "reason", 1)
    return given.value if given is not None and isinstance(given.value, cst.SimpleString) else None


def _any_device(found: re.Match[str]) -> str:
    """What a reason says in place of "CUDA", "a CUDA device": an article where a verb stands before it."""
    before = found.string[: found.start()].rstrip()
    plain = not before or re.search(r"\b(?:no|any|without|the)\Z", before, re.I) or before[-1] in ".:;,("
    return "accelerator" if plain else "an accelerator"


def _skips_without(test: cst.BaseExpression, unless: bool, ctx: Context) -> bool:
    """Does the condition skip the test where CUDA isn't available?"""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return _skips_without(test.expression, not unless, ctx)
    if isinstance(test, cst.BooleanOperation):
        return any(_skips_without(side, unless, ctx) for side in (test.left, test.right))
    if isinstance(test, cst.Call) and ctx.qualified(test.func) == _AVAILABLE:
        return unless
    return False
