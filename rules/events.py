"""Events: markers in a stream, mostly for timing."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import caught, device_module, indent_unit, is_guarded
from uncuda.rules._calls import cuda_function, is_read, last_word
from uncuda.rules._timing import Words, timing
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
    torch.cuda.Event on CUDA. On a CPU no event can time; there the host's clock does, as nothing runs behind its
    back. Where the events do nothing but time, and all of that stands in one function (or in a script), the whole
    timing gets both ways: the same events wherever there is an accelerator, `time.perf_counter()` elsewhere.

    The fix doesn't write `torch.Event()`: its events are of another class, whose `elapsed_time()` has
    taken the other event unchecked, so that a pair of which only one was rewritten reads memory that isn't its own. On
    a CPU it can be made, even with `enable_timing=True`, and raises when it is recorded (torch 2.13.0).
    """

    code = "UC214"
    name = "cuda-event"
    triggers = (r"\bcuda\b",)
    effort = 3
    fix_safety = (
        "Safe without arguments: the same event with CUDA, and one that does nothing on a CPU, where it raised "
        "before. Safe for a timing that stands in one function, where the clock takes the events' place on a CPU. "
        "Unsafe with arguments elsewhere (events that are kept in an attribute or a list, or given away), which the "
        "CPU's event doesn't take: it raises there before and after; "
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
            "import time\n\nimport torch\n\n\ndef timed(step):\n    if torch.accelerator.is_available():\n"
            "        start = torch.get_device_module().Event(enable_timing=True)\n"
            "        end = torch.get_device_module().Event(enable_timing=True)\n        start.record()\n"
            "    else:\n        start_time = time.perf_counter()\n    step()\n"
            "    if torch.accelerator.is_available():\n        end.record()\n        end.synchronize()\n"
            "        return start.elapsed_time(end)\n    return (time.perf_counter() - start_time) * 1000\n",
            count=2,
            run="timed(int) < 10000",
            id="timing",
        ),
        Bad(
            "import torch\n\nbegin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)\n"
            "seconds = []\nfor _ in range(3):\n    begin.record()\n    y = torch.ones(2) * 2\n    end.record()\n"
            "    # until it is done\n    end.synchronize()\n"
            "    seconds.append(begin.elapsed_time(end) / 1000)\n",
            "import time\n\nimport torch\n\nif torch.accelerator.is_available():\n"
            "    begin, end = torch.get_device_module().Event(enable_timing=True), "
            "torch.get_device_module().Event(enable_timing=True)\n"
            "seconds = []\nfor _ in range(3):\n    if torch.accelerator.is_available():\n        begin.record()\n"
            "    else:\n        begin_time = time.perf_counter()\n    y = torch.ones(2) * 2\n"
            "    if torch.accelerator.is_available():\n        end.record()\n        # until it is done\n"
            "        end.synchronize()\n        seconds.append(begin.elapsed_time(end) / 1000)\n"
            "    else:\n        seconds.append(time.perf_counter() - begin_time)\n",
            count=2,
            run="len(seconds)",
            id="script",
        ),
        Bad(
            "import time\n\nimport torch\n\n\ndef timed(step, times):\n    start_event = torch.cuda.Event(True)  # of all\n"
            "    end_event = torch.cuda.Event(True)\n    start_event.record()\n    step()\n    end_event.record()\n"
            "    end_event.synchronize()\n    times['ms'] = start_event.elapsed_time(end_event)\n"
            '    return f"{start_event.elapsed_time(end_event) / 1000:.3f} s"\n',
            "import time\n\nimport torch\n\n\ndef timed(step, times):\n    if torch.accelerator.is_available():\n"
            "        start_event = torch.get_device_module().Event(True)  # of all\n"
            "        end_event = torch.get_device_module().Event(True)\n        start_event.record()\n"
            "    else:\n        start_time = time.perf_counter()\n    step()\n"
            "    if torch.accelerator.is_available():\n        end_event.record()\n        end_event.synchronize()\n"
            "        times['ms'] = start_event.elapsed_time(end_event)\n"
            '        return f"{start_event.elapsed_time(end_event) / 1000:.3f} s"\n'
            "    end_time = time.perf_counter()\n    times['ms'] = (end_time - start_time) * 1000\n"
            '    return f"{end_time - start_time:.3f} s"\n',
            count=2,
            run="timed(int, {})[-1]",
            id="read-twice",
        ),
        Bad(
            "import torch\n\n\ndef rate(step, n):\n    start = torch.cuda.Event(enable_timing=True)\n"
            "    end = torch.cuda.Event(enable_timing=True)\n    start.record()\n    step(0.02)\n    end.record()\n"
            "    end.synchronize()\n    return n / start.elapsed_time(end) / 1000\n",
            "import time\n\nimport torch\n\n\ndef rate(step, n):\n    if torch.accelerator.is_available():\n"
            "        start = torch.get_device_module().Event(enable_timing=True)\n"
            "        end = torch.get_device_module().Event(enable_timing=True)\n        start.record()\n"
            "    else:\n        start_time = time.perf_counter()\n    step(0.02)\n"
            "    if torch.accelerator.is_available():\n        end.record()\n        end.synchronize()\n"
            "        return n / start.elapsed_time(end) / 1000\n"
            "    return n / ((time.perf_counter() - start_time) * 1000) / 1000\n",
            count=2,
            # At least 20 ms of sleep: a rate of at most 1 / 20 a millisecond.
            run="0 < rate(__import__('time').sleep, 1000) <= 0.05",
            id="rate",
        ),
        Bad(
            "import torch\n\n\nclass Timer:\n    def __enter__(self):\n"
            "        self.start = torch.cuda.Event(enable_timing=True)\n        self.start.record()\n"
            "        return self\n",
            "import torch\n\n\nclass Timer:\n    def __enter__(self):\n"
            "        self.start = torch.get_device_module().Event(enable_timing=True)\n        self.start.record()\n"
            "        return self\n",
            Applicability.UNSAFE,
            id="kept",
        ),
        Bad(
            "import torch\n\n\ndef timed(step, wait):\n    start = torch.cuda.Event(enable_timing=True)\n"
            "    end = torch.cuda.Event(enable_timing=True)\n    start.record()\n    step()\n"
            "    end.record()\n    wait(end)\n    return start.elapsed_time(end)\n",
            "import torch\n\n\ndef timed(step, wait):\n"
            "    start = torch.get_device_module().Event(enable_timing=True)\n"
            "    end = torch.get_device_module().Event(enable_timing=True)\n    start.record()\n    step()\n"
            "    end.record()\n    wait(end)\n    return start.elapsed_time(end)\n",
            Applicability.UNSAFE,
            count=2,
            id="given-away",
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
        Good(
            "import time\n\nimport torch\n\nif torch.accelerator.is_available():\n"
            "    start = torch.get_device_module().Event(enable_timing=True)  # torch.cuda.Event\n"
            "else:\n    start_time = time.perf_counter()\n",
            "both ways",
        ),
        Good("from lib import get_accelerator\n\nstart = get_accelerator().Event()  # not torch.cuda\n"),
        Good("import torch\n\ndone = torch.mps.Event(enable_timing=True)\n", "another vendor's"),
        Good("import threading\n\nstop = threading.Event()  # cuda\n", "not torch"),
        Good("import cupy\n\ne = cupy.cuda.Event()\n", "not torch"),
        Good("class Event:\n    pass\n\n\ne = Event()  # cuda\n", "a class of one's own"),
        Good("def f(torch):\n    return torch.cuda.Event()\n", "torch is a parameter here"),
        Good(
            "import torch\n\n\ndef f(start, end):\n    return start.elapsed_time(end)  # cuda\n", "a method"
        ),
        Good("def mark(stream):\n    return stream.record_event()  # cuda\n", "a stream's own"),
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
            if self._times(fix, node):
                return
            fix.unsafe()
        fix.replace(node.func, f"{device_module(fix)}.Event")

    def _times(self, fix: FixBuilder, node: cst.Call) -> bool:
        """Where events do nothing but time what one function does, the whole timing is rewritten."""
        ctx = fix.ctx
        name = _assigned(node, ctx)
        if name is None or not fix.has("torch.accelerator"):
            return False
        function = ctx.function.name.value if ctx.function is not None else ""
        start = ctx.island_start if function else 0
        found = timing(ctx.index.text, ctx.code(node.func), name, function, start)
        if found is None:
            return False
        before = len(fix.edits)
        clock = ctx.local_name("time.perf_counter") or f"{fix.name('time')}.perf_counter"
        words = Words(
            # Never by a name: that would be bound between a wait, which may go into the new block, and the events.
            f"{fix.spelling().module}.Event",
            fix.name("torch.accelerator.synchronize"),
            fix.is_available(),
            f"{clock}()",
            indent_unit(ctx),
            ctx.newline,
        )
        edits = found.edits(words)
        if edits is None:
            del fix.edits[before:]
            return False
        fix.edits.extend(edits)
        return True


def _assigned(node: cst.Call, ctx: Context) -> str | None:
    """The variable that an event is bound to: alone, or as one of a tuple."""
    match ctx.parent:
        case cst.Assign(targets=[cst.AssignTarget(cst.Name(name))]):
            return name
        case cst.Element():
            match ctx.ancestors[-3:-1]:
                case [
                    cst.Assign(targets=[cst.AssignTarget(cst.Tuple(elements=names))]),
                    cst.Tuple(elements=values),
                ]:
                    for target, value in zip(names, values, strict=False):
                        if value.value is node and isinstance(target.value, cst.Name):
                            return target.value.value
    return None
