"""Variables, attributes and dict entries that hold the text "cuda"."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.findings import Category
from uncuda.fixes.builder import FixBuilder
from uncuda.literals import string_value
from uncuda.others import among_others
from uncuda.rules._calls import last_word
from uncuda.rules._literals import at_import, choices, cuda_text, in_cuda_class, is_cuda_side, names_device
from uncuda.rules._spellings import selected_text, text_for
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.rules.device_objects import is_conditional
from uncuda.uses import Uses, uses

_TYPE = 'torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"'
_INDEXED = (
    'f"{torch.accelerator.current_accelerator().type}:0" if torch.accelerator.is_available() else "cpu"'
)
_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
SYMBOL = 'device = "cuda"'
# Calls that give the entry of a mapping or object by its name, with a text to fall back on.
_LOOKUPS = frozenset(("get", "pop", "setdefault", "getattr", "setattr", "getenv"))


class CudaDeviceText(Rule):
    """`device = "cuda"` is the device of whatever uses the variable, on every machine.

    The text does no harm until it gets to `.to()` or `device=`, often in another function or file; there it
    raises without CUDA. It stays text: code that compares it, splits it or puts it into an f-string goes on working, and
    with CUDA it is the same text. An index is kept where there is an accelerator.
    """

    code = "UC105"
    name = "cuda-device-text"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 70
    fix_safety = (
        "Safe for a variable that is given to `.to()`, `device=` or `torch.device()` nearby: with CUDA it holds the same text, "
        "without it those raised. Unsafe for a variable whose uses can't be seen, for entries of dicts, for fallbacks "
        "of `getattr` and kin, for a module variable that nothing uses during import, and under a condition that asks for CUDA."
    )
    sources = ("torch 2.13.0, executed",)
    bad = (
        Bad(
            'import torch\n\ndevice = "cuda"\nmodel = torch.nn.Linear(2, 2).to(device)\n',
            f"import torch\n\ndevice = {_TYPE}\nmodel = torch.nn.Linear(2, 2).to(device)\n",
            run="model.weight.shape",
        ),
        Bad(
            "import torch\n\n\ndef f(model):\n    dev = 'cuda:0'\n    return model.to(dev)\n",
            f"import torch\n\n\ndef f(model):\n    dev = {_INDEXED}\n    return model.to(dev)\n",
            run="f(torch.nn.Linear(2, 2)).bias.shape",
            id="index",
        ),
        Bad(
            'import torch\n\n\nclass Runner:\n    def __init__(self, device=None):\n        self.device = device or "cuda"\n\n'
            "    def run(self, x):\n        return x.to(self.device)\n",
            "import torch\n\n\nclass Runner:\n    def __init__(self, device=None):\n"
            f"        self.device = device or ({_TYPE})\n\n    def run(self, x):\n        return x.to(self.device)\n",
            run="Runner().run(torch.ones(1))",
            id="attribute",
        ),
        Bad(
            'import torch\n\nDEVICE = "cuda"\n\n\ndef f(x):\n    return x.to(DEVICE)\n',
            f"import torch\n\nDEVICE = {_TYPE}\n\n\ndef f(x):\n    return x.to(DEVICE)\n",
            Applicability.UNSAFE,
            id="module-variable",
        ),
        Bad(
            'import torch\n\n\ndef f(net):\n    options = {"lr": 1, "device": "cuda"}\n    return train(net, **options)\n',
            f"import torch\n\n\ndef f(net):\n    device = {_DEVICE}\n"
            '    options = {"lr": 1, "device": device.type}\n    return train(net, **options)\n',
            Applicability.UNSAFE,
            id="dict",
        ),
        Bad(
            'import torch\n\n\ndef f(cfg):\n    cfg["device"] = "cuda"\n    return cfg\n',
            f'import torch\n\n\ndef f(cfg):\n    cfg["device"] = {_TYPE}\n    return cfg\n',
            Applicability.UNSAFE,
            id="entry",
        ),
        Bad(
            'import torch\n\n\ndef f(args, x):\n    device = getattr(args, "device", "cuda")\n    return x.to(device)\n',
            f"import torch\n\n\ndef f(args, x):\n    accelerator = {_DEVICE}\n"
            '    device = getattr(args, "device", accelerator.type)\n    return x.to(device)\n',
            Applicability.UNSAFE,
            id="fallback",
        ),
        Bad(
            'import torch\n\n\ndef default_device():\n    return "cuda"\n',
            f"import torch\n\n\ndef default_device():\n    return {_TYPE}\n",
            Applicability.UNSAFE,
            id="return",
        ),
        Bad(
            'def kernel_device(x):\n    if x.is_cuda:\n        return "cuda"\n    if x.device.type == "mps":\n'
            '        return "mps"\n    raise ValueError(x.device)\n',
            None,
            id="one-answer-of-two",
        ),
        Bad(
            "import torch\n\n\ndef f(opt):\n    if opt.xpu:\n        device = 'xpu'\n    else:\n        device = 'cuda'\n"
            "    return torch.ones(1).to(device)\n",
            None,
            id="others-too",
        ),
        Bad(
            'import torch\n\n\ndef f():\n    device = "cuda"\n    return torch.ones(1, device=device)\n',
            None,
            floor=(2, 5),
            id="floor",
        ),
    )
    good = (
        Good('device = "cpu"\n'),
        Good('platform = "cuda"\nbackend = "cuda"\n', "not said to be a device"),
        Good('device = "cuda-enabled laptop"\n', "prose"),
        Good('"""device = "cuda" """\n# device = "cuda"\n', "a docstring, a comment"),
        Good('x = {"cuda": 1, "device": "cpu"}\n', "cuda is a key"),
        Good('assert f() == {"device": "cuda"}\n', "compared"),
        Good('print("device", "cuda")\n', "shown"),
        Good('import torch\n\ndevice = "cuda" if torch.cuda.is_available() else "cpu"\n', "UC201"),
        Good('import torch\n\nif torch.cuda.is_available():\n    device = "cuda"\nelse:\n    device = "cpu"\n', "UC201"),
        Good('map_location = "cuda"\n', "UC107"),
        Good('class CudaWorker:\n    def __init__(self):\n        self.device_type = "cuda"\n', "the CUDA side of an interface"),
        Good('args.get("cuda")\nargs.get("toolkit", "cuda")\n', "another entry"),
        Good('def cuda_device():\n    return "cuda"\n', "asked for by name"),
        Good("def f(device=None):\n    return device\n\n\nx: str = 'cuda'\n", "a name that says nothing"),
    )  # fmt: skip

    def visit_Assign(self, node: cst.Assign, ctx: Context) -> None:
        if ctx.scope.kind != "class":
            self._assigned(node, [t.target for t in node.targets], node.value, ctx)

    def visit_AnnAssign(self, node: cst.AnnAssign, ctx: Context) -> None:
        if ctx.scope.kind != "class" and node.value is not None:
            self._assigned(node, [node.target], node.value, ctx)

    def visit_NamedExpr(self, node: cst.NamedExpr, ctx: Context) -> None:
        self._assigned(node, [node.target], node.value, ctx)

    def _assigned(
        self,
        node: cst.CSTNode,
        targets: list[cst.BaseExpression],
        value: cst.BaseExpression,
        ctx: Context,
    ) -> None:
        found = [c for c in choices(value, ctx) if cuda_text(c) is not None]
        if not found:
            return
        for target in targets:
            seen = seen_uses(target, ctx)
            if names_device(_said(target)) or seen.sinks:
                for literal in found:
                    certain = bool(seen.at_import if at_import(ctx) else seen.sinks)
                    self._tell(literal, f"`{ctx.code(target)}`", ctx, certain=certain)
                return

    def visit_DictElement(self, node: cst.DictElement, ctx: Context) -> None:
        if names_device(string_value(node.key) or "") and not _is_compared(ctx):
            for literal in choices(node.value, ctx):
                if cuda_text(literal) is not None:
                    self._tell(literal, "the entry", ctx, certain=False, inline=False)

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if last_word(node.func) not in _LOOKUPS or len(node.args) < 2:
            return
        literal = node.args[-1].value
        names = [string_value(a.value) or "" for a in node.args[:-1]]
        if cuda_text(literal) is not None and any(map(names_device, names)):
            self._tell(literal, "the device", ctx, certain=False, inline=False)

    def visit_Return(self, node: cst.Return, ctx: Context) -> None:
        function = ctx.function
        if node.value is None or function is None or not names_device(function.name.value):
            return
        if is_cuda_side(function.name.value):
            return
        for literal in choices(node.value, ctx):
            if cuda_text(literal) is not None:
                self._tell(literal, f"the answer of `{function.name.value}`", ctx, certain=False)

    def _tell(
        self, literal: cst.BaseExpression, what: str, ctx: Context, *, certain: bool, inline: bool = True
    ) -> None:
        if in_cuda_class(ctx) or ctx.is_claimed(literal):
            return
        others = among_others(ctx)
        ctx.report(
            self,
            literal,
            f"{what} is CUDA, whatever the machine has",
            symbol=SYMBOL,
            category=Category.POTENTIAL if others else None,
            fix=None if others else lambda fix: _fix(fix, literal, certain, inline),
            title="Name the device that is there",
        )


def _said(target: cst.BaseExpression) -> str:
    """The word by which a target says what it holds: a name, an attribute's last word, the key of an entry."""
    match target:
        case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=key))]):
            return string_value(key) or ""
        case _:
            return last_word(target)


def seen_uses(target: cst.BaseExpression, ctx: Context) -> Uses:
    """What is done with the variable or attribute `target` where the rule can look: in the function, or in the
    file."""
    if isinstance(target, cst.Name):
        outer = next((n for n in ctx.ancestors if isinstance(n, cst.FunctionDef)), None)
        return uses(ctx.code(outer) if outer is not None else ctx.index.text, target.value)
    if isinstance(target, cst.Attribute) and isinstance(target.value, cst.Name):
        return uses(ctx.index.text, f"{target.value.value}.{target.attr.value}")
    return Uses()


def _is_compared(ctx: Context) -> bool:
    for node in reversed(ctx.ancestors):
        if isinstance(node, (cst.Comparison, cst.Assert)):
            return True
        if isinstance(node, cst.Call) and last_word(node.func).startswith("assert"):
            return True
        if isinstance(node, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
            return False
    return False


def _fix(fix: FixBuilder, literal: cst.BaseExpression, certain: bool, inline: bool) -> None:
    if not certain or is_conditional(fix):
        fix.unsafe()
    new = selected_text(fix, literal) if inline or at_import(fix.ctx) else text_for(fix, literal)
    fix.replace(literal, new)
