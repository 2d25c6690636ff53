"""Texts that name a CUDA device by its number: `f"cuda:{rank}"`."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.findings import Category
from uncuda.fixes.builder import FixBuilder
from uncuda.literals import indexed_cuda_text
from uncuda.others import among_others
from uncuda.rules._calls import is_shown, last_word
from uncuda.rules._literals import at_import, cuda_text, in_cuda_class, is_cuda_side
from uncuda.rules._spellings import selected_text, text_for
from uncuda.rules.base import Applicability, Bad, Good, Rule

_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_TYPE = "torch.accelerator.current_accelerator().type"
# Calls that look into a text, or make a message of it.
_TEXTUAL = frozenset(
    (
        "startswith", "endswith", "match", "fullmatch", "search", "compile", "sub", "split", "replace", "removeprefix",
        "find", "count", "index", "join", "patch", "param", "parametrize", "skip", "fail", "Exception", "RuntimeError",
        "ValueError", "AssertionError", "warn", "len",
    )
)  # fmt: skip


class CudaIndexText(Rule):
    """`f"cuda:{rank}"` gives one process, or one layer, its own card: of CUDA, whatever the machine has.

    The text ends up in `.to()`, `device=` or a device map, where it raises without CUDA. The type of the device that
    is there takes the place of "cuda"; the number stays. Where torch itself gets the text, other rules report it.
    """

    code = "UC106"
    name = "cuda-index-text"
    triggers = ("cuda:",)
    effort = 1
    priority = 90
    fix_safety = (
        "Unsafe: with CUDA it is the same text, but what is done with it elsewhere can't be seen. On the CPU it names "
        '"cpu:1", which torch takes nearly everywhere; `torch.load` does not.'
    )
    sources = ("torch 2.13.0, executed",)
    bad = (
        Bad(
            'import torch\n\n\ndef spread(layers, n):\n    names = [f"cuda:{i}" for i in range(n)]\n    return list(zip(layers, names))\n',
            f"import torch\n\n\ndef spread(layers, n):\n    device = {_DEVICE}\n"
            '    names = [f"{device.type}:{i}" for i in range(n)]\n    return list(zip(layers, names))\n',
            Applicability.UNSAFE,
        ),
        Bad(
            "import torch\n\n\ndef work(rank, net):\n    run(net, 'cuda:%d' % rank)\n    run(net, 'cuda:' + str(rank))\n",
            f"import torch\n\n\ndef work(rank, net):\n    device = {_DEVICE}\n"
            '    run(net, f"{device.type}:{rank}")\n    run(net, f"{device.type}:{rank}")\n',
            Applicability.UNSAFE,
            count=2,
            id="percent-and-plus",
        ),
        Bad(
            'import torch\n\n\ndef main():\n    for net in nets():\n        train(net, "cuda:1")\n',
            f'import torch\n\n\ndef main():\n    device = {_DEVICE}\n    for net in nets():\n        train(net, f"{{device.type}}:1")\n',
            Applicability.UNSAFE,
            id="argument",
        ),
        Bad(
            "import torch\n\n\ndef where(i):\n    return 'cuda:{}'.format(i)\n",
            f'import torch\n\n\ndef where(i):\n    device = {_DEVICE}\n    return f"{{device.type}}:{{i}}"\n',
            Applicability.UNSAFE,
            id="return",
        ),
        Bad(
            'import torch\n\nWORKERS = [f"cuda:{i}" for i in range(8)]\n',
            f'import torch\n\nWORKERS = [(f"{{{_TYPE}}}:{{i}}" if torch.accelerator.is_available() else "cpu") for i in range(8)]\n',
            Applicability.UNSAFE,
            id="module",
        ),
        Bad(
            'def pick(kind, i):\n    if kind == "npu":\n        return f"npu:{i}"\n    return f"cuda:{i}"\n',
            None,
            id="beside-others",
        ),
        Bad('import torch\n\n\ndef f(i):\n    return [f"cuda:{i}"]\n', None, floor=(2, 5), id="floor"),
    )
    good = (
        Good('x = f"cpu:{i}"\n'),
        Good('print(f"cuda:{i}")\nlogger.info("cuda:%d", i)\n', "shown"),
        Good('x = f"cuda:{i} is busy"\n', "prose"),
        Good('x = f"cuda-{i}"\n', "no device"),
        Good('ok = name.startswith("cuda:0")\n', "looks into a text"),
        Good('x = table[f"cuda:{i}"]\n', "a key"),
        Good('import torch\n\nx = x.to(f"cuda:{i}")\n', "UC102"),
        Good('import torch\n\nx = torch.ones(1, device=f"cuda:{i}")\n', "UC103"),
        Good('import torch\n\nd = torch.device("cuda:" + str(i))\n', "UC104"),
        Good('device = f"cuda:{i}"\n', "UC105"),
        Good('class CudaPool:\n    def name(self, i):\n        return f"cuda:{i}"\n', "the CUDA side of an interface"),
        Good('"""Use f"cuda:{i}"."""\n# f"cuda:{i}"\n', "prose"),
        Good("@pytest.mark.parametrize('device', ['cpu', 'cuda:0'])\ndef test(device):\n    pass\n", "a choice"),
    )  # fmt: skip

    def visit_FormattedString(self, node: cst.FormattedString, ctx: Context) -> None:
        self._computed(node, ctx)

    def visit_BinaryOperation(self, node: cst.BinaryOperation, ctx: Context) -> None:
        self._computed(node, ctx)

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        self._computed(node, ctx)
        if last_word(node.func) in _TEXTUAL:
            return
        for arg in node.args:
            value = cuda_text(arg.value)
            if arg.keyword is None and not arg.star and value is not None and value.index not in ("", "?"):
                self._tell(arg.value, ctx)

    def _computed(self, node: cst.BaseExpression, ctx: Context) -> None:
        if indexed_cuda_text(node) is not None:
            self._tell(node, ctx)

    def _tell(self, node: cst.BaseExpression, ctx: Context) -> None:
        if ctx.is_claimed(node) or in_cuda_class(ctx) or is_shown(ctx) or _is_textual(ctx):
            return
        function = ctx.function
        if function is not None and is_cuda_side(function.name.value):
            return
        others = among_others(ctx)
        ctx.report(
            self,
            node,
            f"`{ctx.code(node)}` is a CUDA device, whatever the machine has",
            symbol='device = "cuda"',
            category=Category.POTENTIAL if others else None,
            fix=None if others else lambda fix: _fix(fix, node),
            title="Name the device that is there",
        )


def _is_textual(ctx: Context) -> bool:
    """Is the text compared, a key that is looked up, or given to a call that looks into it?"""
    for node in reversed(ctx.ancestors):
        if isinstance(node, (cst.Comparison, cst.Assert, cst.Raise, cst.Index)):
            return True
        if isinstance(node, cst.Call):
            return last_word(node.func) in _TEXTUAL or last_word(node.func).startswith("assert")
        if isinstance(node, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
            return False
    return False


def _fix(fix: FixBuilder, node: cst.BaseExpression) -> None:
    fix.unsafe()
    fix.replace(node, selected_text(fix, node) if at_import(fix.ctx) else text_for(fix, node))
