"""Events: markers in a stream, mostly for timing."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import caught, device_module, is_guarded
from uncuda.rules._calls import cuda_function, is_read, last_word
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.rules.streams import PASSES

_NAMES = frozenset({"Event"})
_ARGUMENTS = frozenset({"enable_timing", "blocking", "interprocess"})
# Names of events that are shared between processes: bytes of CUDA's own.
_HANDLES = frozenset({"from_ipc_handle", "ipc_handle"})


class CudaEvent(Rule):
    """`torch.cuda.Event()` raises on every accelerator but CUDA and ROCm, and on the CPU.

    It mostly times: `start.record()`, the work, `end.record()`, `torch.cuda.synchronize()`,
    `start.elapsed_time(end)`. All accelerators have events with these methods, MPS too, so that the class
    alone has to come from elsewhere: `torch.get_device_module().Event(enable_timing=True)` is a
    torch.cuda.Event on CUDA. On a CPU no event can time: there `time.perf_counter()` does, and
    `torch.utils.benchmark.Timer` waits for whichever accelerator is there by itself.

    The fix doesn't write `torch.Event()`: its events are of another class, whose `elapsed_time()` has
    taken the other event unchecked, so that a pair of which only one was rewritten reads memory that isn't its own. On
    a CPU it can be made, and raises when it is recorded.
    """

    code = "UC214"
    name = "cuda-event"
    triggers = (r"\bcuda\b",)
    effort = 3
    fix_safety = (
        "Safe without arguments: the same event with CUDA, and one that does nothing on a CPU, where it raised "
        "before. Unsafe with arguments, which the CPU's event doesn't take: it raises there before and after; "
        "safe again under a guard. Not offered where the failure is handled, nor for `external=` and for events "
        "that are shared between processes."
    )
    sources = (
        "torch 2.13.0, executed",
        "pytorch, torch/csrc/cuda/Event.cpp: THCPEvent_elapsed_time casts its argument unchecked",
        "knowledge base: torch.cuda.Event",
    )
    bad = (
        Bad(
            "import torch\n\ndone = torch.cuda.Event()\ndone.record()\n",
            "import torch\n\ndone = torch.get_device_module().Event()\ndone.record()\n",
            run="done.query()",
        ),
        Bad(
            "import torch\n\n\ndef timed(step):\n    start = torch.cuda.Event(enable_timing=True)\n"
            "    end = torch.cuda.Event(enable_timing=True)\n    start.record()\n    step()\n"
            "    end.record()\n    end.synchronize()\n    return start.elapsed_time(end)\n",
            "import torch\n\n\ndef timed(step):\n    start = torch.get_device_module().Event(enable_timing=True)\n"
            "    end = torch.get_device_module().Event(enable_timing=True)\n    start.record()\n    step()\n"
            "    end.record()\n    end.synchronize()\n    return start.elapsed_time(end)\n",
            Applicability.UNSAFE,
            count=2,
            id="timing",
        ),
        Bad(
            "import torch\n\n\ndef timer():\n    if not torch.cuda.is_available():\n        return None\n"
            "    return [torch.cuda.Event(enable_timing=True) for _ in range(2)]\n",
            "import torch\n\n\ndef timer():\n    if not torch.cuda.is_available():\n        return None\n"
            "    return [torch.get_device_module().Event(enable_timing=True) for _ in range(2)]\n",
            run="timer()",
            id="guarded",
        ),
        Bad(
            "from torch.cuda import Event\n\n\ndef mark():\n    return Event()\n",
            "import torch\n\n\ndef mark():\n    return torch.get_device_module().Event()\n",
            run="mark().query()",
            id="imported",
        ),
        Bad(
            "from dataclasses import dataclass, field\n\nimport torch\n\n\n@dataclass\nclass State:\n"
            "    done: object = field(default_factory=torch.cuda.Event)\n",
            "from dataclasses import dataclass, field\n\nimport torch\n\n\n@dataclass\nclass State:\n"
            "    done: object = field(default_factory=torch.get_device_module().Event)\n",
            Applicability.UNSAFE,
            id="class",
        ),
        Bad(
            "import torch\n\n\ndef kind():\n    return torch.cuda.Event\n",
            "import torch\n\n\ndef kind():\n    return torch.get_device_module().Event\n",
            Applicability.UNSAFE,
            id="returned",
        ),
        Bad("import torch\n\ne = torch.cuda.Event(external=True)\n", None, id="external"),
        Bad("import torch\n\ne = torch.cuda.Event.from_ipc_handle(0, handle)\n", None, id="shared"),
        Bad(
            "import torch\n\ntry:\n    e = torch.cuda.Event()\nexcept Exception:\n    e = None\n",
            None,
            id="handled",
        ),
        Bad(
            "import torch\n\n\ndef f(e):\n    return isinstance(e, torch.cuda.Event)\n", None, id="isinstance"
        ),
        Bad("import torch\n\ndone = torch.cuda.Event()\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good("import torch\n\ndone = torch.Event()\n", "any device's"),
        Good("import torch\n\ndone = torch.get_device_module().Event()\n", "portable already"),
        Good("import torch\n\ndone = torch.mps.Event(enable_timing=True)\n", "another vendor's"),
        Good("import threading\n\nstop = threading.Event()  # cuda\n", "not torch"),
        Good("import cupy\n\ne = cupy.cuda.Event()\n", "not torch"),
        Good("class Event:\n    pass\n\n\ne = Event()  # cuda\n", "a class of one's own"),
        Good("def f(torch):\n    return torch.cuda.Event()\n", "torch is a parameter here"),
        Good(
            "import torch\n\n\ndef f(start, end):\n    return start.elapsed_time(end)  # cuda\n", "a method"
        ),
        Good('"""Times with torch.cuda.Event(enable_timing=True)."""\n', "prose"),
        Good("# torch.cuda.Event()\nx = 1\n", "a comment"),
        Good("from torch.cuda import Event\n", "an import alone"),
        Good("import torch\n\nok = hasattr(torch.cuda.Event, 'wait')\n", "a question about the class"),
        Good("import torch\n\n\ndef f(e: torch.cuda.Event):\n    pass\n", "an annotation has its own rule"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        if cuda_function(node.func, ctx, _NAMES):
            ctx.report(
                self,
                node,
                "`torch.cuda.Event()` needs CUDA",
                symbol="torch.cuda.Event",
                fix=lambda fix: self._fix(fix, node),
                title="Use an event of the device that is there",
            )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        if node.attr.value in _HANDLES and cuda_function(node.value, ctx, _NAMES):
            ctx.report(
                self,
                node,
                "CUDA events are shared between processes by CUDA's own handles",
                symbol="torch.cuda.Event",
            )
        elif node.attr.value in _NAMES and isinstance(ctx.parent, PASSES) and is_read(node, ctx):
            if cuda_function(node, ctx, _NAMES):
                self._class(node, ctx)

    def _class(self, node: cst.Attribute, ctx: Context) -> None:
        """The class itself, given to something."""
        call = ctx.ancestors[-2] if len(ctx.ancestors) > 1 else None
        if isinstance(call, cst.ClassDef):
            return
        told = last_word(call.func) if isinstance(call, cst.Call) else ""
        if told in ("hasattr", "getattr", "setattr", "object"):
            return
        if told == "isinstance":
            ctx.report(
                self,
                node,
                "another device's event is no `torch.cuda.Event`: the test fails",
                symbol="isinstance(e, torch.cuda.Event)",
            )
            return

        def rename(fix: FixBuilder) -> None:
            if isinstance(ctx.parent, cst.Assign):
                raise CannotFix("it may be kept to be put back")
            fix.unsafe()
            fix.replace(node, f"{device_module(fix)}.Event")

        ctx.report(
            self,
            node,
            "`torch.cuda.Event` needs CUDA",
            symbol="torch.cuda.Event",
            fix=rename,
            title="Use an event of the device that is there",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call) -> None:
        if any(a.keyword is not None and a.keyword.value not in _ARGUMENTS for a in node.args):
            raise CannotFix("an argument of CUDA's event alone")
        if caught(fix.ctx, node):
            raise CannotFix("the failure is handled")
        if node.args and not is_guarded(fix.ctx, node):
            fix.unsafe()
        fix.replace(node.func, f"{device_module(fix)}.Event")
