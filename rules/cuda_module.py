"""`torch.cuda` as a module that is handed on, looked into, or patched."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import is_guarded
from uncuda.literals import string_value
from uncuda.rules._calls import is_imported, is_read, last_word
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule

_PATCH = re.compile(r"patch|mock", re.I)
_MODULE = "torch.cuda"
_OWNERS = (_MODULE, "torch.backends.cuda")
_LOOKED_UP, _REPLACED = 'hasattr(torch.cuda, "Stream")', "torch.cuda.X = replacement"
_LOOKS = frozenset({"getattr", "hasattr"})
_PATCHES = frozenset({"object", "setattr", "delattr"})


def _is_module(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this torch.cuda itself?"""
    if isinstance(node, cst.Attribute):
        return node.attr.value == "cuda" and ctx.qualified(node) == _MODULE
    return isinstance(node, cst.Name) and is_imported(node, ctx) and ctx.qualified(node) == _MODULE


class CudaModule(Rule):
    """`torch.cuda` handed on as a module hides what is used of it, and is CUDA's whatever the device.

    `torch.get_device_module()` is the module of the accelerator that is there, torch.cuda on CUDA, and has most
    of its functions under the same names; torch.cpu, without an accelerator, has few. A table that has an entry
    for each device (`{"cuda": torch.cuda, "xpu": torch.xpu}`) and `getattr(torch, device.type, torch.cuda)` are
    portable already. `hasattr(torch.cuda, "x")` asks for torch's version, not for what a device can do.
    """

    code = "UC223"
    name = "cuda-module"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 3
    priority = 60
    fix_safety = (
        "Unsafe: the same module with CUDA; elsewhere what is used of it may be missing, on a CPU too, where many "
        "functions of torch.cuda do nothing and torch.cpu has none of the name. Not offered under a guard, where it is "
        "one of several branches, nor for what is looked up by name."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda")
    bad = (
        Bad(
            "import torch\n\nbackend = torch.cuda\nbackend.synchronize()\n",
            "import torch\n\nbackend = torch.get_device_module()\nbackend.synchronize()\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "from torch import cuda\n\n\ndef module():\n    return cuda\n",
            "import torch\n\n\ndef module():\n    return torch.get_device_module()\n",
            Applicability.UNSAFE,
            id="returned",
        ),
        Bad(
            "from unittest import mock\n\nimport torch\n\nwith mock.patch.multiple(torch.cuda, synchronize=f):\n    x = 1\n",
            None,
            id="stand-in",
        ),
        Bad(
            "import torch\n\n\ndef run(use_cuda):\n    return torch.cuda if use_cuda else torch.xpu\n",
            "import torch\n\n\ndef run(use_cuda):\n    return torch.get_device_module()\n",
            Applicability.UNSAFE,
            id="one-of-two",
        ),
        Bad('import torch\n\nbackend = getattr(torch, "cuda")\n', None, id="getattr"),
        Bad('import torch\n\nif hasattr(torch.cuda, "cudart"):\n    x = 1\n', None, id="hasattr"),
        Bad('import torch\n\nbf16 = getattr(torch.cuda, "is_bf16_supported", None)\n', None, id="by-name"),
        Bad("import torch\n\n\ndef f(module):\n    return module is torch.cuda\n", None, id="compared"),
        Bad(
            "import torch\n\n\ndef f(device):\n    if device.type == 'cuda':\n        return torch.cuda\n"
            "    return torch.xpu\n",
            None,
            id="branch",
        ),
        Bad("import torch\n\nbackend = torch.cuda\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good("import torch\n\nbackend = torch.get_device_module()  # cuda or other\n"),
        Good(
            "import torch\n\nMODULES = {'cuda': torch.cuda, 'xpu': torch.xpu}\n", "an entry for each device"
        ),
        Good(
            "import torch\n\n\ndef f(device):\n    return getattr(torch, device.type, torch.cuda)\n",
            "looked up",
        ),
        Good("import torch\n\nok = hasattr(torch, 'cuda')\n", "it always has"),
        Good("import torch\n\nok = torch.cuda.is_available()\n", "a call of it has its own rule"),
        Good("from numba import cuda\n\nbackend = cuda\n", "not torch"),
        Good("import torch.cuda\n", "an import alone"),
        Good("from torch import cuda\n", "an import alone"),
        Good("def f(cuda):\n    return cuda\n", "a parameter"),
        Good("class Config:\n    cuda = True\n\n\nprint(Config.cuda)\n", "an attribute of one's own"),
        Good('"""Pass torch.cuda as the module."""\n', "prose"),
        Good("import torch\n\ntorch.cuda.synchronize = print\n", "a patch has its own rule"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not isinstance(node.func, cst.Name) or node.func.value not in _LOOKS or len(node.args) < 2:
            return
        if ctx.is_claimed(node):
            return
        asks = node.func.value == "hasattr"
        owner, name = ctx.qualified(node.args[0].value), string_value(node.args[1].value)
        if owner == "torch":
            if name == "cuda" and not asks:
                self._tell(node, ctx, Category.POTENTIAL if len(node.args) > 2 else None)
            elif name is None and len(node.args) > 2 and _is_module(node.args[2].value, ctx):
                ctx.claim(node.args[2].value)
        elif owner in _OWNERS or (owner or "").startswith(tuple(f"{module}." for module in _OWNERS)):
            ctx.report(
                self,
                node,
                f"asks what `{owner}` has, not what the device can do"
                if asks
                else f"`{owner}.{name or '…'}` is looked up by name",
                symbol=f"{owner}.{name}" if name else _MODULE,
                outcomes=ctx.outcomes(_LOOKED_UP, node) if asks or len(node.args) > 2 else None,
                claims=(node.args[0].value,),
                category=Category.POTENTIAL,
            )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value == "cuda" and not isinstance(ctx.parent, cst.Attribute):
            self._look(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if not isinstance(ctx.parent, cst.Attribute):
            self._look(node, ctx)

    def _look(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        if ctx.is_claimed(node) or not is_read(node, ctx) or not _is_module(node, ctx):
            return
        parent = ctx.parent
        if (
            isinstance(parent, cst.DictElement)
            and parent.value is node
            and string_value(parent.key) is not None
        ):
            return
        compared = isinstance(parent, (cst.Comparison, cst.ComparisonTarget))
        self._tell(node, ctx, Category.POTENTIAL if compared or is_guarded(ctx, node) else None)

    def _tell(self, node: cst.BaseExpression, ctx: Context, category: Category | None) -> None:
        ctx.report(
            self,
            node,
            "`torch.cuda` is handed on as a module: what is used of it can't be seen here",
            symbol=_MODULE,
            category=category,
            fix=lambda fix: self._fix(fix, node),
            title="Hand on the module of the device that is there",
        )

    def _fix(self, fix: FixBuilder, node: cst.BaseExpression) -> None:
        ctx = fix.ctx
        if is_guarded(ctx, node) and not isinstance(ctx.parent, cst.IfExp):
            raise CannotFix("one of several branches")
        if not isinstance(node, (cst.Attribute, cst.Name)):
            raise CannotFix("looked up by name")
        if any(isinstance(n, cst.Call) and _PATCH.search(ctx.code(n.func)) for n in ctx.ancestors[-2:]):
            raise CannotFix("a test's stand-in")
        fix.needs("torch.get_device_module")
        fix.unsafe()
        module = f"{fix.name('torch')}.get_device_module()"
        if isinstance(ctx.parent, cst.IfExp):
            sides = (ctx.parent.body, ctx.parent.orelse)
            names = [ctx.qualified(side) or "" for side in sides]
            if not all(name.startswith("torch.") and name.count(".") == 1 for name in names):
                raise CannotFix("the other side isn't a device's module")
            fix.replace(ctx.parent, module)
        elif isinstance(ctx.parent, (cst.Assign, cst.AnnAssign, cst.Return, cst.Arg)):
            fix.replace(node, module)
        else:
            raise CannotFix("what becomes of it isn't seen")


class CudaPatch(Rule):
    """Replacing a function of `torch.cuda` reaches the code that calls it there, and no other.

    Tests pretend that CUDA is there, or is not, by `patch.object(torch.cuda, "is_available", …)`; programs turn
    calls off by `torch.cuda.synchronize = …`. Once the code asks `torch.accelerator`, or another device's
    module, the patch does nothing more: it has to move along.
    """

    code = "UC228"
    name = "cuda-patch"
    triggers = (r"\bcuda\b",)
    category = Category.POTENTIAL
    effort = 1
    priority = 15
    sources = ("torch 2.13.0: torch/accelerator/__init__.py",)
    bad = (
        Bad(
            "from unittest.mock import patch\n\nimport torch\n\n"
            'with patch.object(torch.cuda, "is_available", return_value=False):\n    x = 1\n',
            None,
        ),
        Bad("import torch\n\ntorch.cuda.synchronize = lambda: None\n", None, id="assigned"),
        Bad(
            "import torch\n\n\ndef test_it(monkeypatch):\n"
            '    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)\n',
            None,
            id="monkeypatch",
        ),
        Bad(
            "import pytest\n\n\ndef test_it(monkeypatch):\n"
            '    monkeypatch.setattr("torch.cuda.is_available", lambda: True)\n',
            None,
            id="by-name",
        ),
        Bad(
            "from unittest import mock\n\n\n@mock.patch('torch.cuda.is_available', return_value=False)\n"
            "def test_it(_):\n    pass\n",
            None,
            id="decorator",
        ),
    )
    good = (
        Good("import torch\n\ntorch.backends.cudnn.benchmark = True  # cuda\n", "a setting"),
        Good("import torch\n\ntorch.backends.cuda.matmul.allow_tf32 = True\n", "a setting"),
        Good("class Box:\n    pass\n\n\nBox.cuda = 1\n", "an attribute of one's own"),
        Good("from unittest.mock import patch\n\nwith patch.object(cuda, 'x'):\n    y = 1\n", "not torch"),
        Good("print('torch.cuda.is_available', True)\n", "said"),
        Good("import torch\n\nok = torch.cuda.is_available()\n", "a call"),
        Good("def f(monkeypatch):\n    monkeypatch.setattr('mylib.cuda.is_available', None)\n", "not torch"),
    )

    def visit_AssignTarget(self, node: cst.AssignTarget, ctx: Context) -> None:
        target = node.target
        if isinstance(target, cst.Attribute) and not ctx.is_claimed(target):
            name = ctx.qualified(target)
            if name is not None and name.startswith(f"{_MODULE}."):
                self._report(target, name, ctx)

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node) or not node.args:
            return
        last, first = last_word(node.func), node.args[0].value
        text = string_value(first)
        if text is not None:
            if text.startswith(f"{_MODULE}.") and last in (*_PATCHES, "patch"):
                self._report(first, text, ctx)
        elif last in _PATCHES and isinstance(node.func, (cst.Attribute, cst.Name)) and len(node.args) > 1:
            name = string_value(node.args[1].value)
            if name is not None and _is_module(first, ctx):
                self._report(first, f"{_MODULE}.{name}", ctx)

    def _report(self, node: cst.BaseExpression, name: str, ctx: Context) -> None:
        ctx.report(
            self,
            node,
            f"`{name}` is replaced here: code that asks any other module won't see it",
            symbol=name,
            outcomes=ctx.outcomes(_REPLACED, node),
        )
