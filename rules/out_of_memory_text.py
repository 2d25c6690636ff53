"""The message that comes with memory that ran out."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import FixBuilder
from uncuda.literals import string_value
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.walk import walk

_MESSAGE = re.compile(r"\s*CUDA (?:error: )?out of memory[.\s]*\Z", re.I)
_METHODS = frozenset({"startswith", "count", "find", "index"})


class OutOfMemoryText(Rule):
    """Whoever looks for "CUDA out of memory" in an error's message doesn't find it on other hardware.

    The allocators say "HIP out of memory." on ROCm, "NPU out of memory." on Ascend, "XPU out of memory." and
    "MPS backend out of memory": the retry with a smaller batch, or the kinder message, never comes.
    `torch.OutOfMemoryError` (torch 2.4) is raised on all of them but MPS, and "out of memory" is in every text.
    """

    code = "UC226"
    name = "out-of-memory-text"
    reads_texts = True
    triggers = ("out of memory", "Out of memory", "OUT OF MEMORY")
    effort = 1
    fix_safety = (
        'Unsafe: on CUDA too the shorter text is found in more messages, such as "CUDA error: out of memory", which '
        "comes from the driver and not from torch's allocator."
    )
    sources = (
        "pytorch issues 138002 (HIP out of memory); sglang issue 29838, vllm-ascend issue 19 (NPU out of memory)",
        "accelerate, utils/memory.py: what it looks for on CUDA, HIP, XPU and MPS",
        'knowledge base: "CUDA out of memory" in str(e)',
    )
    bad = (
        Bad(
            'try:\n    f(x)\nexcept RuntimeError as e:\n    if "CUDA out of memory" not in str(e):\n        raise\n',
            'try:\n    f(x)\nexcept RuntimeError as e:\n    if "out of memory" not in str(e):\n        raise\n',
            Applicability.UNSAFE,
        ),
        Bad(
            "def is_oom(e):\n    return 'CUDA out of memory. ' in e.args[0]\n",
            "def is_oom(e):\n    return 'out of memory' in e.args[0]\n",
            Applicability.UNSAFE,
            id="full-stop",
        ),
        Bad(
            "def is_oom(e):\n    return 'cuda out of memory' in str(e).lower()\n",
            "def is_oom(e):\n    return 'out of memory' in str(e).lower()\n",
            Applicability.UNSAFE,
            id="lower",
        ),
        Bad("def is_oom(e):\n    return str(e).startswith('CUDA out of memory.')\n", None, id="start"),
    )
    good = (
        Good("def is_oom(e):\n    return 'out of memory' in str(e)\n", "in the text of each"),
        Good(
            "def is_oom(e):\n    return 'CUDA out of memory' in str(e) or 'HIP out of memory' in str(e)\n",
            "others are thought of",
        ),
        Good("raise RuntimeError('CUDA out of memory')\n", "raised, not looked for"),
        Good("print('CUDA out of memory: try a smaller batch')\n", "said"),
        Good("hint = 'CUDA out of memory'\n", "a text"),
        Good("KNOWN = ['CUDA out of memory', 'NaN loss']\n", "a list of messages"),
        Good("def f(e):\n    return 'MPS backend out of memory' in str(e)\n", "another vendor's"),
        Good('"""Retries when "CUDA out of memory" is in the message."""\n', "prose"),
        Good("# if 'CUDA out of memory' in str(e)\nx = 1\n", "a comment"),
    )

    def visit_Comparison(self, node: cst.Comparison, ctx: Context) -> None:
        if len(node.comparisons) == 1 and isinstance(node.comparisons[0].operator, (cst.In, cst.NotIn)):
            self._look(node.left, ctx, True)

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in _METHODS and node.args:
            self._look(node.args[0].value, ctx, False)

    def _look(self, node: cst.BaseExpression, ctx: Context, fixable: bool) -> None:
        text = string_value(node)
        if text is None or not _MESSAGE.match(text) or ctx.is_claimed(node) or _others_too(ctx):
            return

        def shorten(fix: FixBuilder) -> None:
            fix.unsafe()
            said = re.search("out of memory", text, re.I)
            assert said is not None
            quote = node.quote if isinstance(node, cst.SimpleString) else '"'
            fix.replace(node, f"{quote}{said[0]}{quote}")

        ctx.report(
            self,
            node,
            "other accelerators say it otherwise: the text isn't found there",
            symbol='"CUDA out of memory" in str(e)',
            fix=shorten if fixable else None,
            title="Look for what all of them say",
        )


def _others_too(ctx: Context) -> bool:
    """Is another text about memory looked for in the same condition?"""
    outermost = None
    for above in reversed(ctx.ancestors):
        if isinstance(above, cst.BooleanOperation):
            outermost = above
        elif isinstance(above, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
            break
    if outermost is None:
        return False
    texts = {string_value(n) or "" for n in walk(outermost) if isinstance(n, cst.SimpleString)}
    return sum("out of memory" in text.lower() for text in texts) > 1
