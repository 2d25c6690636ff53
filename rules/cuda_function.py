"""The method `cuda` used as a function: `map(torch.Tensor.cuda, xs)`, `getattr(x, "cuda")()`."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import string_value
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.values import Kind

_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_METHODS = frozenset(("torch.Tensor.cuda", "torch.nn.Module.cuda"))


class CudaAsFunction(Rule):
    """`torch.Tensor.cuda` handed to `map`, or asked for by name, moves to CUDA as `x.cuda()` does.

    Without CUDA it raises as soon as it is called. What moves to the accelerator that is there is `x.to(device)`.
    """

    code = "UC113"
    name = "cuda-function"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 48
    fix_safety = (
        "Safe for `torch.Tensor.cuda(x)` and for the first argument of `map`; unsafe where the function is kept or handed to "
        "something else, and where it is asked for by name."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.Tensor.cuda, torch.nn.Module.cuda")
    bad = (
        Bad(
            "import torch\n\n\ndef f(xs):\n    return list(map(torch.Tensor.cuda, xs))\n",
            f"import torch\n\n\ndef f(xs):\n    device = {_DEVICE}\n    return list(map(lambda x: x.to(device), xs))\n",
            run="f([torch.ones(1), torch.zeros(1)])",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    return torch.Tensor.cuda(x, non_blocking=True)\n",
            f"import torch\n\n\ndef f(x):\n    device = {_DEVICE}\n    return x.to(device, non_blocking=True)\n",
            run="f(torch.ones(1))",
            id="called",
        ),
        Bad(
            "from torch import nn\n\n\ndef f(nets):\n    return apply(nets, nn.Module.cuda)\n",
            f"import torch\n\n\ndef f(nets):\n    device = {_DEVICE}\n"
            "    return apply(nets, lambda x: x.to(device))\n",
            Applicability.UNSAFE,
            id="handed-on",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    return getattr(x, 'cuda')()\n",
            f"import torch\n\n\ndef f(x):\n    device = {_DEVICE}\n    return x.to(device)\n",
            Applicability.UNSAFE,
            id="getattr",
        ),
        Bad(
            "import operator\nimport torch\n\n\ndef f(xs):\n    return list(map(operator.methodcaller('cuda'), xs))\n",
            f"import operator\nimport torch\n\n\ndef f(xs):\n    device = {_DEVICE}\n"
            "    return list(map(operator.methodcaller('to', device), xs))\n",
            Applicability.UNSAFE,
            id="methodcaller",
        ),
        Bad(
            "import torch\n\n\ndef f(use):\n    net = torch.nn.Linear(1, 1)\n    move = net.cuda if use else net.cpu\n    return move()\n",
            None,
            id="bound",
        ),
    )
    good = (
        Good("def f(args):\n    return args.cuda\n", "a flag"),
        Good("class A:\n    def f(self):\n        return self.cuda\n", "an attribute of one's own"),
        Good("import torch\n\nversion = getattr(torch.version, 'cuda', None)\n", "a version"),
        Good("import torch\n\nmodule = getattr(torch, 'cuda')\n", "a module"),
        Good("import torch\n\nxs = list(map(torch.Tensor.cpu, xs))\n"),
        Good("@wraps(torch.nn.Module.cuda)\ndef cuda(self):\n    pass\n", "about the function"),
        Good("xs = list(map(Box.cuda, xs))\n", "another class"),
        Good("import torch\n\nx = torch.ones(1)\nx.cuda()\n", "UC101"),
        Good('"""map(torch.Tensor.cuda, xs)"""\n# torch.Tensor.cuda\n', "prose"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        func = node.func
        if isinstance(func, cst.Attribute) and func.attr.value == "cuda" and ctx.qualified(func) in _METHODS:
            self._tell(node, ctx, lambda fix: _fix_called(fix, node))
            return
        match func:
            case cst.Call(func=cst.Name("getattr"), args=[cst.Arg(value=owner), cst.Arg(value=name)]) if (
                string_value(name) == "cuda" and ctx.qualified(owner) is None
            ):
                self._tell(node, ctx, lambda fix: _fix_getattr(fix, node, owner))
            case _ if node.args and string_value(node.args[0].value) == "cuda":
                if ctx.qualified(func) == "operator.methodcaller":
                    self._tell(node, ctx, lambda fix: _fix_caller(fix, node))

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value != "cuda" or ctx.is_claimed(node):
            return
        parent = ctx.parent
        if isinstance(parent, (cst.Attribute, cst.AssignTarget)) or _in_decorator(ctx):
            return
        if isinstance(parent, cst.Call) and parent.func is node:
            return
        if ctx.qualified(node) in _METHODS:
            self._tell(node, ctx, lambda fix: _fix_value(fix, node))
        elif not isinstance(parent, (cst.If, cst.BooleanOperation, cst.UnaryOperation, cst.Comparison)):
            if ctx.qualified(node) is None and ctx.value(node.value).kind in (Kind.TENSOR, Kind.MODULE):
                self._tell(node, ctx, None)

    def _tell(self, node: cst.BaseExpression, ctx: Context, fix: object) -> None:
        ctx.report(
            self,
            node,
            "the method `cuda` as a function needs CUDA",
            symbol="torch.Tensor.cuda",
            fix=fix,  # type: ignore[arg-type]
            title="Move with .to(device)",
        )


def _in_decorator(ctx: Context) -> bool:
    """`@wraps(torch.nn.Module.cuda)`: about the function, which isn't called."""
    return any(isinstance(node, cst.Decorator) for node in ctx.ancestors)


def _fix_called(fix: FixBuilder, node: cst.Call) -> None:
    if not node.args or node.args[0].keyword is not None or node.args[0].star:
        raise CannotFix("nothing to move")
    first, *rest = node.args
    if any(a.keyword is None or a.keyword.value not in ("non_blocking", "memory_format") for a in rest):
        raise CannotFix("the device is given")
    owner = fix.code(first.value)
    words = [fix.device(), *(fix.code(a).rstrip(", ") for a in rest)]
    if not isinstance(first.value, (cst.Name, cst.Attribute, cst.Call, cst.Subscript)):
        owner = f"({owner})"
    fix.replace(node, f"{owner}.to({', '.join(words)})")


def _fix_getattr(fix: FixBuilder, node: cst.Call, owner: cst.BaseExpression) -> None:
    fix.unsafe()
    if node.args or not isinstance(owner, (cst.Name, cst.Attribute)):
        raise CannotFix("the device is given")
    fix.replace(node, f"{fix.code(owner)}.to({fix.device()})")


def _fix_caller(fix: FixBuilder, node: cst.Call) -> None:
    fix.unsafe()
    if any(a.keyword is None for a in node.args[1:]):
        raise CannotFix("the device is given")
    first = node.args[0].value
    assert isinstance(first, cst.SimpleString)
    text = fix.code(first).replace("cuda", "to")
    words = [text, fix.device(), *(fix.code(a).rstrip(", ") for a in node.args[1:])]
    fix.arguments(node, ", ".join(words))


def _fix_value(fix: FixBuilder, node: cst.Attribute) -> None:
    _, path = fix.ctx.parent_of(node)
    call = path[-2] if len(path) > 1 else None
    mapped = isinstance(call, cst.Call) and isinstance(call.func, cst.Name) and call.func.value == "map"
    if not mapped or not isinstance(call, cst.Call) or len(call.args) != 2:
        fix.unsafe()
    if not isinstance(path[-1], cst.Arg):
        raise CannotFix("it may be asked for its name, or compared")
    fix.replace(node, f"lambda x: x.to({fix.device()})")
