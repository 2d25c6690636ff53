"""Marks and switches for NVIDIA's profilers: NVTX ranges, cudaProfilerStart, emit_nvtx."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import caught, guard_rename
from uncuda.guards import Guard
from uncuda.literals import argument
from uncuda.rules._calls import is_read, last_word
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.walk import walk

_NVTX = "torch.cuda.nvtx"
_PROFILER = "torch.cuda.profiler"
# Where torch.cuda.profiler has it from is told by the name of the runtime itself.
_CUDART = f"{_PROFILER}.cudart"
_EMIT = "torch.autograd.profiler.emit_nvtx"
_SWITCHES = frozenset({"cudaProfilerStart", "cudaProfilerStop"})
_BLOCKS = frozenset({f"{_NVTX}.range", f"{_PROFILER}.profile"})
_AVAILABLE = "torch.cuda.is_available"


def marker(node: cst.CSTNode, ctx: Context) -> str | None:
    """The full name of what a call marks or switches for NVIDIA's profilers; None for any other node."""
    if not isinstance(node, cst.Call):
        return None
    if last_word(node.func) in _SWITCHES:
        owner = node.func.value if isinstance(node.func, cst.Attribute) else None
        if isinstance(owner, cst.Call) and ctx.qualified(owner.func) in ("torch.cuda.cudart", _CUDART):
            return "torch.cuda.cudart"
        return None
    name = ctx.qualified(node.func)
    if (
        name is None
        or name == _CUDART
        or not (name == _EMIT or name.startswith((f"{_NVTX}.", f"{_PROFILER}.")))
    ):
        return None
    return name


def guards_markers(call: cst.Call, ctx: Context) -> bool:
    """Does `torch.cuda.is_available()` at the place at hand keep nothing but such marks from other devices?"""
    parent = ctx.parent
    if isinstance(parent, cst.Arg):
        return marker(ctx.ancestors[-2], ctx) == _EMIT
    if isinstance(parent, cst.IfExp) and parent.test is call:
        return marker(parent.body, ctx) is not None
    if isinstance(parent, cst.If) and parent.test is call and parent.orelse is None:
        return all(_only_marks(line, ctx) for line in parent.body.body)
    return False


def _only_marks(line: cst.CSTNode, ctx: Context) -> bool:
    if not isinstance(line, cst.SimpleStatementLine):
        return False
    values: Iterable[cst.CSTNode | None] = (
        small.value if isinstance(small, (cst.Expr, cst.Assign)) else None for small in line.body
    )
    return all(value is not None and marker(value, ctx) is not None for value in values)


class NvidiaMarker(Rule):
    """Marks for NVIDIA's profilers raise where torch was built without CUDA: they break what they measure.

    `torch.cuda.nvtx.range_push()`, `torch.cuda.profiler.start()`, `torch.cuda.cudart().cudaProfilerStart()` and
    `emit_nvtx()` speak to Nsight, and mean nothing to any other tool. The fix leaves them out where CUDA isn't
    there, and changes nothing for who profiles with Nsight. `torch.profiler.record_function("name")` is a
    block that every device's profiler shows, Nsight only under `emit_nvtx()`.

    Marks behind `torch.cuda.is_available()` are fine, and not told.
    """

    code = "UC216"
    name = "nvidia-profiler-marker"
    triggers = (r"\bcuda\b", "emit_nvtx")
    category = Category.MANDATORY
    effort = 1
    priority = 40
    fix_safety = (
        "Safe: the same marks with CUDA; left out elsewhere, where they raised (on ROCm they stay). Not offered for "
        "decorators, for functions that are passed on, and where the failure is handled."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.nvtx.range_push and its kin")
    bad = (
        Bad(
            'import torch\n\ntorch.cuda.nvtx.range_push("step")\nx = 1\ntorch.cuda.nvtx.range_pop()  # step\n',
            'import torch\n\nif torch.cuda.is_available():\n    torch.cuda.nvtx.range_push("step")\nx = 1\n'
            "if torch.cuda.is_available():\n    torch.cuda.nvtx.range_pop()  # step\n",
            count=2,
            run="x",
        ),
        Bad(
            "import torch\n\n\ndef forward(x):\n    with torch.cuda.nvtx.range(f'layer {x}'):\n        return x\n",
            "import contextlib\n\nimport torch\n\n\ndef forward(x):\n"
            "    with torch.cuda.nvtx.range(f'layer {x}') if torch.cuda.is_available() else contextlib.nullcontext():\n"
            "        return x\n",
            run="forward(1)",
            id="block",
        ),
        Bad(
            "from contextlib import nullcontext\n\nimport torch\nimport torch.cuda.nvtx as nvtx\n\n\n"
            "def mark(on):\n    return nvtx.range('x') if on else nullcontext()\n",
            "from contextlib import nullcontext\n\nimport torch\nimport torch.cuda.nvtx as nvtx\n\n\n"
            "def mark(on):\n"
            "    return (nvtx.range('x') if torch.cuda.is_available() else nullcontext()) if on else nullcontext()\n",
            run="[None for _ in [mark(True).__enter__()]]",
            id="returned",
        ),
        Bad(
            "import torch\n\ntorch.cuda.profiler.start()\ny = 1\ntorch.cuda.profiler.stop()\n",
            "import torch\n\nif torch.cuda.is_available():\n    torch.cuda.profiler.start()\ny = 1\n"
            "if torch.cuda.is_available():\n    torch.cuda.profiler.stop()\n",
            count=2,
            run="y",
            id="profiler",
        ),
        Bad(
            "import torch\n\n\ndef begin():\n    torch.cuda.cudart().cudaProfilerStart()\n",
            "import torch\n\n\ndef begin():\n    if torch.cuda.is_available():\n"
            "        torch.cuda.cudart().cudaProfilerStart()\n",
            run="begin()",
            id="runtime-library",
        ),
        Bad(
            "import torch\n\n\ndef step(x):\n    with torch.autograd.profiler.emit_nvtx(record_shapes=True):\n"
            "        return x\n",
            "import torch\n\n\ndef step(x):\n"
            "    with torch.autograd.profiler.emit_nvtx(record_shapes=True, enabled=torch.cuda.is_available()):\n"
            "        return x\n",
            run="step(1)",
            id="emit",
        ),
        Bad(
            "import torch\n\n\ndef step(x, on):\n    with torch.autograd.profiler.emit_nvtx(enabled=on):\n"
            "        return x\n",
            "import torch\n\n\ndef step(x, on):\n"
            "    with torch.autograd.profiler.emit_nvtx(enabled=on and torch.cuda.is_available()):\n"
            "        return x\n",
            run="step(1, True)",
            id="emit-enabled",
        ),
        Bad(
            "from torch.cuda import nvtx\n\n\ndef f():\n    r = nvtx.range_start('a')\n    nvtx.range_end(r)\n",
            "import torch\nfrom torch.cuda import nvtx\n\n\ndef f():\n"
            "    r = nvtx.range_start('a') if torch.cuda.is_available() else None\n"
            "    if torch.cuda.is_available():\n        nvtx.range_end(r)\n",
            count=2,
            run="f()",
            id="value",
        ),
        Bad("import torch\n\n\n@torch.cuda.nvtx.range('f')\ndef f():\n    pass\n", None, id="decorator"),
        Bad("import torch\n\npush = torch.cuda.nvtx.range_push\n", None, id="function"),
        Bad("import torch\n\nbackend = torch.cuda.nvtx\n", None, id="module"),
    )
    good = (
        Good(
            "import torch\n\nif torch.cuda.is_available():\n    torch.cuda.nvtx.range_push('a')\n", "guarded"
        ),
        Good(
            "import torch\n\ntry:\n    torch.cuda.nvtx.mark('a')\nexcept RuntimeError:\n    pass\n",
            "the failure is handled",
        ),
        Good("import torch\n\nwith torch.profiler.record_function('a'):\n    y = 1\n", "any device's"),
        Good(
            "import nvtx\n\nwith nvtx.annotate('a'):\n    y = 1  # cuda\n", "the nvtx package works anywhere"
        ),
        Good(
            "class nvtx:\n    @staticmethod\n    def mark(m):\n        pass\n\n\nnvtx.mark('cuda')\n",
            "one's own",
        ),
        Good("def f(torch):\n    torch.cuda.nvtx.mark('a')\n", "torch is a parameter here"),
        Good('"""Calls torch.cuda.nvtx.range_push()."""\n', "prose"),
        Good("# torch.cuda.nvtx.range_pop()\nx = 1\n", "a comment"),
        Good("from torch.cuda import nvtx\n", "an import alone"),
        Good("parser.add_argument('--emit_nvtx')\n", "an option"),
        Good("import torch\n\nemit = lambda emit_nvtx: emit_nvtx\n", "a name of one's own"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = marker(node, ctx)
        if name is None:
            return
        if name == _EMIT and _is_off(node, ctx):
            return
        # What a guard or a handler keeps away is told no more, by no other rule either.
        if ctx.guard(node) in (Guard.CUDA, Guard.TRY, Guard.SKIPPED_TEST):
            ctx.claim(node)
            if isinstance(node.func, cst.Attribute):
                ctx.claim(node.func.value)
            return
        told = f"torch.cuda.cudart().{last_word(node.func)}" if name == "torch.cuda.cudart" else name
        ctx.report(
            self,
            node,
            f"`{told}()` is for NVIDIA's profiler, and raises off CUDA",
            symbol=name,
            claims=(node.func.value,)
            if name == "torch.cuda.cudart" and isinstance(node.func, cst.Attribute)
            else (),
            fix=lambda fix: self._fix(fix, node, name),
            title="Leave it out where CUDA isn't there",
        )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if ctx.is_claimed(node) or isinstance(ctx.parent, cst.Attribute) or not is_read(node, ctx):
            return
        name = ctx.qualified(node)
        if (
            name is None
            or name == _CUDART
            or not (name in (_NVTX, _EMIT) or name.startswith((f"{_NVTX}.", f"{_PROFILER}.")))
        ):
            return
        if isinstance(ctx.parent, cst.Annotation) or ctx.guard(node) is Guard.CUDA:
            return
        ctx.report(self, node, f"`{name}` is for NVIDIA's profiler, and raises off CUDA", symbol=name)

    def _fix(self, fix: FixBuilder, node: cst.Call, name: str) -> None:
        ctx = fix.ctx
        available = f"{fix.name(_AVAILABLE)}()"
        if name == _EMIT:
            self._enable(fix, node, available)
            return
        if isinstance(ctx.parent, cst.Decorator):
            raise CannotFix("a decorator has no condition")
        if caught(ctx, node):
            raise CannotFix("the failure is handled")
        otherwise = "None"
        if name in _BLOCKS:
            known = ctx.local_name("contextlib.nullcontext")
            otherwise = f"{known or fix.name('contextlib.nullcontext')}()"
        guard_rename(fix, node, fix.code(node.func), otherwise, test=available)

    def _enable(self, fix: FixBuilder, node: cst.Call, available: str) -> None:
        """`emit_nvtx(enabled=…)` does nothing where it is False."""
        given = argument(node, "enabled", 0)
        if given is None:
            if any(a.star for a in node.args):
                raise CannotFix("the arguments aren't known")
            rest = "".join(fix.code(a) for a in node.args).rstrip().removesuffix(",")
            fix.arguments(node, f"{rest}, enabled={available}" if rest else f"enabled={available}")
        elif fix.code(given.value) == "True":
            fix.replace(given.value, available)
        elif isinstance(given.value, (cst.Name, cst.Attribute, cst.Call)):
            fix.replace(given.value, f"{fix.code(given.value)} and {available}")
        else:
            raise CannotFix("a longer condition")


def _is_off(node: cst.Call, ctx: Context) -> bool:
    """Is `emit_nvtx(enabled=…)` off without CUDA?"""
    given = argument(node, "enabled", 0)
    if given is None:
        return False
    if ctx.code(given.value) == "False":
        return True
    return any(isinstance(n, cst.Call) and ctx.qualified(n.func) == _AVAILABLE for n in walk(given.value))
