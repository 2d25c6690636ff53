"""Device memory: its figures, its cache, its allocator, and pinned host memory."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import (
    caught,
    device_module,
    guard_call,
    is_guarded,
    keeps_raising,
    member_or,
    on_module,
)
from uncuda.literals import device_text, string_value
from uncuda.rules._calls import cuda_function, index_argument, is_read, literal_device
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.values import Kind

_FIGURES = frozenset(
    {
        "memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved", "memory_cached",
        "max_memory_cached", "memory_stats", "memory_stats_as_nested_dict", "host_memory_stats",
        "host_memory_stats_as_nested_dict",
    }
)  # fmt: skip
# These raise without CUDA.
_RESETS = frozenset(
    {
        "reset_peak_memory_stats", "reset_accumulated_memory_stats", "reset_max_memory_allocated", "reset_max_memory_cached",
        "reset_peak_host_memory_stats", "reset_accumulated_host_memory_stats",
    }
)  # fmt: skip
# What stands for a report where there is none to give.
_REPORTS: dict[str, str] = {"memory_summary": '""', "memory_snapshot": "[]"}
_FREE = frozenset({"mem_get_info"})
_KNOWN = frozenset({*_FIGURES, *_RESETS, *_REPORTS, *_FREE})


def device_arguments(fix: FixBuilder, node: cst.Call) -> str | None:
    """The call's arguments with a literal CUDA device turned into its index; None when they stay as they are.

    The device's module takes what torch.cuda takes: an int, a torch.device, or nothing.
    """
    words: list[str] = []
    changed = False
    for arg in node.args:
        if arg.star:
            return None
        text = fix.code(arg.value)
        named = arg.keyword is None or arg.keyword.value == "device"
        if named and (literal_device(arg.value, fix.ctx) is not None or device_text(arg.value) is not None):
            text, changed = index_argument(fix, arg.value), True
            if not text:
                continue
        words.append(text if arg.keyword is None else f"{arg.keyword.value}={text}")
    return ", ".join(words) if changed else None


def _literals(node: cst.Call, ctx: Context) -> tuple[cst.CSTNode, ...]:
    return tuple(a.value for a in node.args if literal_device(a.value, ctx) is not None)


class CudaMemoryFigure(Rule):
    """`torch.cuda.memory_allocated()` and its kin read 0 on every other accelerator, or raise.

    The figures print as 0, so that a log looks fine and says nothing, and a batch-size search that reads
    them goes wrong; resetting the peak raises. Every accelerator's module has most of these functions under
    the same name: `torch.get_device_module()` is torch.cuda on CUDA, torch.npu on Ascend, torch.xpu on
    Intel, torch.cpu without an accelerator, which has none of them; hence the `hasattr`.

    `torch.accelerator.memory_allocated()` (torch 2.9) is not what the fix writes: it raises without an
    accelerator, where the CUDA function gives 0, and fails an internal assertion on MPS before torch 2.13
    and on back ends whose allocator isn't a c10::DeviceAllocator.
    """

    code = "UC210"
    name = "cuda-memory-figure"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe: the same call with CUDA; without an accelerator the same value as before (0, an empty "
        "dict), or "
        "nothing where the call raised. Deprecated names become the ones they stand for. In a `try` that "
        "handles "
        "the failure a call that raised goes on raising. The keys of `memory_stats()` may differ elsewhere."
    )
    sources = (
        "torch 2.13.0, executed",
        "knowledge base: torch.cuda.memory_allocated and its kin",
        "pytorch issues 167447 and 186430: torch.accelerator's memory functions on MPS",
    )
    bad = (
        Bad(
            "import torch\n\nused = torch.cuda.memory_allocated()\n",
            'import torch\n\nused = getattr(torch.get_device_module(), "memory_allocated", lambda: 0)()\n',
            run="used",
        ),
        Bad(
            'import torch\n\nprint(f"{torch.cuda.max_memory_allocated() / 2**20:.0f}MB")\n',
            "import torch\n\nprint(f\"{getattr(torch.get_device_module(), 'max_memory_allocated', lambda: 0)() "
            '/ 2**20:.0f}MB")\n',
            run='f"{torch.cuda.max_memory_allocated() / 2**20:.0f}MB"',
            id="f-string",
        ),
        Bad(
            "import torch\n\n\ndef peak(device):\n    return torch.cuda.max_memory_reserved(device) / 1e9\n",
            "import torch\n\n\ndef peak(device):\n    return "
            'getattr(torch.get_device_module(), "max_memory_reserved", lambda _: 0)(device) / 1e9\n',
            run='peak("cpu"), peak(0)',
            floor=(2, 9),
            id="argument",
        ),
        Bad(
            "import torch\n\n\ndef report(step):\n"
            "    used = torch.cuda.memory_allocated() / 2**20\n"
            "    peak = torch.cuda.max_memory_allocated() / 2**20\n"
            '    print(f"{step}: {used:.0f} MB, at most {peak:.0f} MB")\n'
            "    torch.cuda.reset_peak_memory_stats()\n    return peak\n",
            "import torch\n\n\ndef report(step):\n"
            "    device_module = torch.get_device_module()\n"
            '    used = getattr(device_module, "memory_allocated", lambda: 0)() / 2**20\n'
            '    peak = getattr(device_module, "max_memory_allocated", lambda: 0)() / 2**20\n'
            '    print(f"{step}: {used:.0f} MB, at most {peak:.0f} MB")\n'
            '    if hasattr(device_module, "reset_peak_memory_stats"):\n'
            "        device_module.reset_peak_memory_stats()\n    return peak\n",
            count=3,
            run="report(1)",
            id="block",
        ),
        Bad(
            "import torch\n\ntorch.cuda.reset_peak_memory_stats()  # from here\n",
            'import torch\n\nif hasattr(torch.get_device_module(), "reset_peak_memory_stats"):\n'
            "    torch.get_device_module().reset_peak_memory_stats()  # from here\n",
            run="None",
            id="reset",
        ),
        Bad(
            "import torch\n\n\ndef start():\n    torch.cuda.reset_max_memory_allocated('cuda:1')\n"
            "    return torch.cuda.memory_cached(device='cuda')\n",
            "import torch\n\n\ndef start():\n    device_module = torch.get_device_module()\n"
            '    if hasattr(device_module, "reset_peak_memory_stats"):\n'
            "        device_module.reset_peak_memory_stats(1)\n"
            '    return getattr(device_module, "memory_reserved", lambda: 0)()\n',
            count=2,
            run="start()",
            id="old-names",
        ),
        Bad(
            "from torch.cuda import memory_stats as stats\n\nnow = dict(stats())\n",
            'import torch\n\nnow = dict(getattr(torch.get_device_module(), "memory_stats", lambda: {})())\n',
            run="now",
            id="alias",
        ),
        Bad(
            "import torch\n\nprint(torch.cuda.memory_summary(abbreviated=True))\n",
            'import torch\n\nprint(getattr(torch.get_device_module(), "memory_summary", lambda **_: "")(abbreviated=True))\n',
            run="None",
            id="summary",
        ),
        Bad(
            "import torch\n\nfree, total = torch.cuda.mem_get_info()\n",
            "import torch\n\nfree, total = torch.get_device_module().mem_get_info()\n",
            run="free",
            id="free",
        ),
        Bad(
            "import torch\n\n\ndef log(step):\n    if torch.cuda.is_available():\n"
            "        print(step, torch.cuda.memory_allocated() // 2**20)\n",
            "import torch\n\n\ndef log(step):\n    if torch.cuda.is_available():\n"
            '        print(step, getattr(torch.get_device_module(), "memory_allocated", lambda: 0)() // 2**20)\n',
            run="log(1)",
            id="guarded",
        ),
        Bad(
            "import torch\n\ntry:\n    torch.cuda.reset_peak_memory_stats()\nexcept Exception:\n"
            "    print('none')\n",
            "import torch\n\ntry:\n    torch.get_device_module().reset_peak_memory_stats()\n"
            "except Exception:\n"
            "    print('none')\n",
            run="None",
            id="caught",
        ),
        Bad(
            "import torch\n\nfigures = [torch.cuda.memory_allocated, torch.cuda.memory_reserved]\n",
            None,
            count=2,
            id="functions",
        ),
        Bad("import torch\n\nused = torch.cuda.memory_allocated()\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good("import torch\n\nused = torch.get_device_module().memory_allocated()\n", "portable already"),
        Good("import torch\n\nused = torch.accelerator.memory_allocated()\n"),
        Good("import torch\n\nused = torch.mps.current_allocated_memory()\n"),
        Good(
            "class Pool:\n    def memory_allocated(self):\n        return 0\n\n\n"
            "Pool().memory_allocated()  # cuda\n"
        ),
        Good("memory_stats = {'cuda': 1}\n", "a name of one's own"),
        Good(
            "import torch\n\n\ndef used():\n    device_module = torch.get_device_module()  # torch.cuda\n"
            "    return device_module.memory_allocated()\n",
            "bound already",
        ),
        Good("def f(torch):\n    return torch.cuda.memory_allocated()\n", "torch is a parameter here"),
        Good('"""Prints torch.cuda.memory_summary()."""\n', "prose"),
        Good("# torch.cuda.reset_peak_memory_stats()\nx = 1\n", "a comment"),
        Good("from torch.cuda import max_memory_allocated\n", "an import alone"),
        Good("import psutil\n\npsutil.virtual_memory().total  # not cuda\n"),
        Good("row = {'memory_allocated': 0, 'device': 'cuda:0 name'}\n", "dict keys"),
        Good("import tensorflow as tf\n\ntf.config.experimental.get_memory_info('GPU:0')  # cuda\n"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = cuda_function(node.func, ctx, _KNOWN)
        if name is not None:
            self._report(node, name, ctx, lambda fix: self._fix(fix, node, name), _literals(node, ctx))

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value not in _KNOWN or ctx.is_claimed(node) or not is_read(node, ctx):
            return
        name = cuda_function(node, ctx, _KNOWN)
        if name is not None:
            self._report(node, name, ctx, None, ())

    def _report(
        self,
        node: cst.BaseExpression,
        name: str,
        ctx: Context,
        fix: Callable[[FixBuilder], None] | None,
        claims: tuple[cst.CSTNode, ...],
    ) -> None:
        says = "tells nothing off CUDA" if name in _FIGURES else "needs CUDA"
        ctx.report(
            self,
            node,
            f"`torch.cuda.{name}()` {says}",
            symbol=f"torch.cuda.{name}",
            claims=claims,
            fix=fix,
            title="Ask the device's own module",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, name: str) -> None:
        from uncuda.rules.knowledge import member

        arguments = device_arguments(fix, node)
        there, without = member(f"torch.cuda.{name}") if name in _FIGURES | _RESETS else (name, None)
        if without is not None:
            on_module(fix, node, there, without, arguments=arguments)
            return
        if name in _FREE or keeps_raising(fix, node, "AttributeError"):
            keeps_raising(fix, node, "AttributeError")
            fix.replace(node.func, f"{device_module(fix)}.{there}")
            if arguments is not None:
                fix.arguments(node, arguments)
            return
        on_module(fix, node, there, _REPORTS.get(name, "None"), arguments=arguments)


class CudaEmptyCache(Rule):
    """`torch.cuda.empty_cache()` does nothing off CUDA: the cache of the accelerator at work stays full.

    Nothing raises, memory is just not given back. Every accelerator's module has the function under the
    same name, the CPU's has not, so that the fix asks for it. `torch.accelerator.empty_cache()` (torch 2.9)
    raises without an accelerator, where the CUDA function does nothing, and fails an internal assertion on
    MPS before torch 2.13 and on back ends whose allocator isn't a c10::DeviceAllocator.
    """

    code = "UC211"
    name = "cuda-empty-cache"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe: the same call with CUDA, nothing without an accelerator, as before. `ipc_collect()`, which "
        "raised "
        "there, is left out; in a `try` that handles the failure it goes on raising."
    )
    sources = (
        "torch 2.13.0, executed",
        "knowledge base: torch.cuda.empty_cache, torch.cuda.ipc_collect",
        "pytorch issues 167447 and 186430: torch.accelerator.empty_cache on MPS",
    )
    bad = (
        Bad(
            "import gc\n\nimport torch\n\ngc.collect()\ntorch.cuda.empty_cache()  # give it back\n",
            "import gc\n\nimport torch\n\ngc.collect()\n"
            'if hasattr(torch.get_device_module(), "empty_cache"):\n'
            "    torch.get_device_module().empty_cache()  # give it back\n",
            run="None",
        ),
        Bad(
            "import torch\n\n\ndef free():\n    if torch.cuda.is_available():\n"
            "        torch.cuda.empty_cache()\n",
            "import torch\n\n\ndef free():\n    if torch.cuda.is_available():\n"
            "        torch.get_device_module().empty_cache()\n",
            run="free()",
            id="guarded",
        ),
        Bad(
            "import gc, torch\n\ngc.collect(); torch.cuda.empty_cache()\n",
            'import gc, torch\n\ngc.collect(); getattr(torch.get_device_module(), "empty_cache", lambda: None)()\n',
            run="None",
            id="semicolon",
        ),
        Bad(
            "import torch\n\n\ndef step(i):\n    if i % 10 == 0: torch.cuda.empty_cache()\n",
            "import torch\n\n\ndef step(i):\n"
            '    if i % 10 == 0: getattr(torch.get_device_module(), "empty_cache", lambda: None)()\n',
            run="step(10)",
            id="one-line",
        ),
        Bad(
            "import torch\n\nclear = lambda: torch.cuda.empty_cache()\n",
            'import torch\n\nclear = lambda: getattr(torch.get_device_module(), "empty_cache", lambda: None)()\n',
            run="clear()",
            id="lambda",
        ),
        Bad(
            "from torch.cuda import empty_cache\n\n\ndef f(x):\n    del x\n    empty_cache()\n",
            "import torch\n\n\ndef f(x):\n    del x\n    if hasattr(torch.get_device_module(), "
            '"empty_cache"):\n'
            "        torch.get_device_module().empty_cache()\n",
            run="f(1)",
            id="imported",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    return x\n\n\ndef g(x):\n  if x:\n    torch.cuda.ipc_collect()\n",
            "import torch\n\n\ndef f(x):\n    return x\n\n\ndef g(x):\n  if x:\n"
            '    if hasattr(torch.get_device_module(), "ipc_collect"):\n'
            "      torch.get_device_module().ipc_collect()\n",
            run="g(1)",
            id="two-spaces",
        ),
        Bad(
            "import torch\n\ntorch.cuda.ipc_collect()\n",
            'import torch\n\nif hasattr(torch.get_device_module(), "ipc_collect"):\n'
            "    torch.get_device_module().ipc_collect()\n",
            run="None",
            id="ipc",
        ),
        Bad(
            "import atexit\n\nimport torch\n\natexit.register(torch.cuda.empty_cache)\n",
            "import atexit\n\nimport torch\n\n"
            'atexit.register(lambda: getattr(torch.get_device_module(), "empty_cache", lambda: None)())\n',
            Applicability.UNSAFE,
            id="callback",
        ),
        Bad("import torch\n\ntorch.cuda.empty_cache()\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good(
            "import torch\n\n\ndef g(x):\n  if x:\n    torch.xpu.empty_cache()  # no cuda\n",
            "another vendor's",
        ),
        Good("import torch\n\nif torch.accelerator.is_available():\n    torch.accelerator.empty_cache()\n"),
        Good("import torch\n\ntorch.mps.empty_cache()\n", "another vendor's"),
        Good("class Pool:\n    def empty_cache(self):\n        pass\n\n\nPool().empty_cache()  # cuda\n"),
        Good("def empty_cache():\n    pass\n\n\nempty_cache()  # cuda\n", "a function of one's own"),
        Good("from mylib import cuda\n\ncuda.empty_cache()\n", "not torch"),
        Good('"""torch.cuda.empty_cache() frees memory."""\n', "prose"),
        Good("# torch.cuda.empty_cache()\nx = 1\n", "a comment"),
        Good("cfg = {'empty_cache': 'cuda'}\n", "a dict key"),
        Good("from torch.cuda import empty_cache\n", "an import alone"),
    )

    _NAMES = frozenset({"empty_cache", "ipc_collect"})

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = cuda_function(node.func, ctx, self._NAMES)
        if name is not None:
            self._report(node, name, ctx, lambda fix: self._fix(fix, node, name))

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value not in self._NAMES or ctx.is_claimed(node) or not is_read(node, ctx):
            return
        name = cuda_function(node, ctx, self._NAMES)
        if name is not None:
            self._report(node, name, ctx, lambda fix: self._fix_function(fix, node, name))

    def _report(
        self, node: cst.BaseExpression, name: str, ctx: Context, fix: Callable[[FixBuilder], None]
    ) -> None:
        says = "does nothing off CUDA" if name == "empty_cache" else "needs CUDA"
        ctx.report(
            self,
            node,
            f"`torch.cuda.{name}()` {says}",
            symbol=f"torch.cuda.{name}",
            fix=fix,
            title="Call it on the device's own module",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, name: str) -> None:
        if node.args:
            raise CannotFix("it takes no arguments")
        if name == "ipc_collect" and keeps_raising(fix, node, "AttributeError"):
            fix.replace(node.func, f"{device_module(fix)}.{name}")
            return
        on_module(fix, node, name, everywhere=name == "empty_cache")

    def _fix_function(self, fix: FixBuilder, node: cst.BaseExpression, name: str) -> None:
        """The function itself, given to something that calls it."""
        module = device_module(fix)
        if is_guarded(fix.ctx, node) and name == "empty_cache":
            fix.replace(node, f"{module}.{name}")
            return
        if not isinstance(fix.ctx.parent, cst.Arg):
            raise CannotFix("who calls the function isn't known")
        fix.unsafe()
        fix.replace(node, f"lambda: {member_or(module, name, '', 'None')}()")


class CudaMemoryControl(Rule):
    """Calls that steer CUDA's allocator: most have no counterpart, and they raise off CUDA.

    A limit on the share of memory (`set_per_process_memory_fraction`) exists on most accelerators under the
    same name. Pluggable allocators, memory pools, snapshots and raw allocations speak to CUDA's caching
    allocator itself: Ascend, Intel and Moore Threads have renamed counterparts, which have to be chosen by
    hand.
    """

    code = "UC212"
    name = "cuda-memory-control"
    triggers = (r"\bcuda\b",)
    effort = 3
    fix_safety = (
        "Unsafe, and offered for `set_per_process_memory_fraction` alone: the call is made on the device's "
        "own "
        "module where that has it; a share that was chosen for a GPU may not fit another device."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.MemPool and its kin")
    bad = (
        Bad(
            "import torch\n\ntorch.cuda.set_per_process_memory_fraction(0.5, 0)\n",
            'import torch\n\nif hasattr(torch.get_device_module(), "set_per_process_memory_fraction"):\n'
            "    torch.get_device_module().set_per_process_memory_fraction(0.5, 0)\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "import torch\n\ntorch.cuda.set_per_process_memory_fraction(\n    0.5,  # half of it\n    0,\n)\n",
            'import torch\n\nif hasattr(torch.get_device_module(), "set_per_process_memory_fraction"):\n'
            "    torch.get_device_module().set_per_process_memory_fraction(\n        0.5,  # half of it\n        0,\n    )\n",
            Applicability.UNSAFE,
            id="several-lines",
        ),
        Bad("import torch\n\npool = torch.cuda.MemPool()\n", None, id="pool"),
        Bad(
            "import torch\n\nalloc = torch.cuda.memory.CUDAPluggableAllocator('a.so', 'm', 'f')\n"
            "torch.cuda.memory.change_current_allocator(alloc)\n",
            None,
            count=2,
            id="pluggable",
        ),
        Bad(
            "import torch\n\ntorch.cuda.memory._record_memory_history()\n"
            "torch.cuda.memory._dump_snapshot('s.pickle')\n",
            None,
            count=2,
            id="history",
        ),
        Bad(
            "from torch.cuda import caching_allocator_alloc\n\np = caching_allocator_alloc(8)\n",
            None,
            id="raw",
        ),
    )
    good = (
        Good("import torch\n\ntorch.mps.set_per_process_memory_fraction(0.5)\n", "another vendor's"),
        Good("import cupy\n\npool = cupy.cuda.MemoryPool()\n", "not torch"),
        Good("class MemPool:\n    pass\n\n\npool = MemPool()  # cuda\n", "a class of one's own"),
        Good("'torch.cuda.MemPool()'\n", "prose"),
        Good("# torch.cuda.memory._record_memory_history()\nx = 1\n", "a comment"),
        Good("from torch.cuda import MemPool\n", "an import alone"),
    )

    _NAMES = frozenset(
        {
            "set_per_process_memory_fraction",
            "get_per_process_memory_fraction",
            "caching_allocator_alloc",
            "caching_allocator_delete",
            "caching_allocator_disabled",
            "caching_allocator_enable",
            "get_allocator_backend",
            "MemPool",
            "MemPoolContext",
            "use_mem_pool",
            "CUDAPluggableAllocator",
            "change_current_allocator",
            "_record_memory_history",
            "_dump_snapshot",
            "_snapshot",
            "_set_allocator_settings",
        }
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = cuda_function(node.func, ctx, self._NAMES)
        if name is None:
            return
        ctx.report(
            self,
            node,
            f"`torch.cuda.{name}` steers CUDA's own allocator",
            symbol=f"torch.cuda.{name}" if name[0] != "_" else f"torch.cuda.memory.{name}",
            claims=_literals(node, ctx) if name == "set_per_process_memory_fraction" else (),
            fix=(lambda fix: self._fix(fix, node, name)) if "fraction" in name else None,
            title="Call it on the device's own module",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, name: str) -> None:
        fix.unsafe()
        if name.startswith("get") or caught(fix.ctx, node):
            raise CannotFix("the value is read, or the failure handled")
        on_module(fix, node, name, arguments=device_arguments(fix, node))


class PinMemory(Rule):
    """Pinned host memory needs an accelerator: `x.pin_memory()` and `pin_memory=True` raise on a CPU.

    They work on every accelerator that can pin. `DataLoader(pin_memory=True)` warns and goes on, so that it
    isn't told; its `pin_memory_device="cuda"` names the vendor.
    """

    code = "UC219"
    name = "pin-memory"
    triggers = (
        ".pin_memory()",
        "pin_memory=True",
        "pin_memory = True",
        "pin_memory_device=",
        "pin_memory_device =",
    )
    reads_words = False
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe for `pin_memory=True` of a torch function (it raised without an accelerator) and for "
        "`pin_memory_device`, which torch ignores from 2.9 and fills in itself from 2.7. Unsafe for "
        "`x.pin_memory()`: on a CPU the same object is given back, and `x` may be something else than a "
        "tensor."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.Tensor.pin_memory")
    bad = (
        Bad(
            "import torch\n\nbuffer = torch.ones(4, pin_memory=True)\n",
            "import torch\n\nbuffer = torch.ones(4, pin_memory=torch.accelerator.is_available())\n",
            run="buffer",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor):\n    return x.pin_memory()\n",
            "import torch\n\n\ndef f(x: torch.Tensor):\n"
            "    return x.pin_memory() if torch.accelerator.is_available() else x\n",
            Applicability.UNSAFE,
            id="method",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor, device):\n"
            "    return x.pin_memory().to(device, non_blocking=True)\n",
            "import torch\n\n\ndef f(x: torch.Tensor, device):\n"
            "    return (x.pin_memory() if torch.accelerator.is_available() else x)"
            ".to(device, non_blocking=True)\n",
            Applicability.UNSAFE,
            id="chain",
        ),
        Bad(
            "from torch.utils.data import DataLoader\n\n"
            "loader = DataLoader([1], pin_memory=True, pin_memory_device='cuda')\n",
            "from torch.utils.data import DataLoader\n\nloader = DataLoader([1], pin_memory=True)\n",
            floor=(2, 9),
            run="len(loader)",
            id="loader",
        ),
        Bad(
            "import torch\nfrom torch.utils.data import DataLoader\n\n"
            "device = 'cuda' if torch.cuda.is_available() else 'cpu'\n"
            "loader = DataLoader([1], pin_memory=True, pin_memory_device='cuda')\n",
            "import torch\nfrom torch.utils.data import DataLoader\n\n"
            "device = 'cuda' if torch.cuda.is_available() else 'cpu'\n"
            "loader = DataLoader([1], pin_memory=True, pin_memory_device=device)\n",
            run="len(loader)",
            id="loader-before-2.7",
        ),
        Bad("import torch\n\nx = torch.from_numpy(a).pin_memory()\n", None, id="no-name"),
    )
    good = (
        Good(
            "def f(x, device):\n    return x.pin_memory() if device.type != 'cpu' else x\n",
            "an accelerator is there",
        ),
        Good(
            "from torch.utils.data import DataLoader\n\nloader = DataLoader(ds, pin_memory=True)\n",
            "warns, works",
        ),
        Good("import torch\n\nx = torch.empty(2, pin_memory=torch.accelerator.is_available())\n"),
        Good("import torch\n\nx = torch.empty(2, pin_memory=False)\n"),
        Good("import torch\n\nx = torch.empty(2, pin_memory=pin)\n", "a variable"),
        Good(
            "class Batch:\n    def pin_memory(self):\n        self.x = self.x.pin_memory()\n"
            "        return self\n",
            "a batch's own method: DataLoader calls it where it can pin",
        ),
        Good(
            "import torch\n\nif torch.cuda.is_available():\n    x = torch.ones(2).pin_memory()\n", "guarded"
        ),
        Good("def start(region):\n    region.pin_memory()\n", "pins itself, so it is no tensor"),
        Good("cfg = {'pin_memory': True}\n", "a dict key"),
        Good("parser.add_argument('--pin_memory', action='store_true')\n", "an option"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        if isinstance(node.func, cst.Attribute) and node.func.attr.value == "pin_memory":
            self._method(node, node.func.value, ctx)
            return
        for arg in node.args:
            if arg.keyword is None:
                continue
            if arg.keyword.value == "pin_memory" and isinstance(arg.value, cst.Name):
                self._factory(node, arg, ctx)
            elif arg.keyword.value == "pin_memory_device" and string_value(arg.value) is not None:
                self._loader(node, arg, ctx)

    def _method(self, node: cst.Call, receiver: cst.BaseExpression, ctx: Context) -> None:
        value = ctx.value(receiver)
        if node.args or value.kind in (Kind.OBJECT, Kind.MODULE) or is_guarded(ctx, node):
            return
        # A tensor's gives back another tensor: who doesn't take it has something else.
        if isinstance(ctx.parent, cst.Expr) and value.kind is not Kind.TENSOR:
            return
        function = ctx.function
        if function is not None and function.name.value == "pin_memory":
            return
        if isinstance(receiver, cst.Name) and receiver.value in ("self", "cls"):
            return

        def guard(fix: FixBuilder) -> None:
            if not isinstance(receiver, (cst.Name, cst.Attribute)):
                raise CannotFix("what is pinned has no name of its own")
            fix.unsafe()
            if keeps_raising(fix, node, "RuntimeError"):
                raise CannotFix("the failure is handled")
            guard_call(fix, node, fix.code(node), fix.code(receiver))

        self._tell(node, "`.pin_memory()` raises without an accelerator", ctx, guard)

    def _factory(self, node: cst.Call, arg: cst.Arg, ctx: Context) -> None:
        if ctx.code(arg.value) != "True" or is_guarded(ctx, node) or ctx.is_claimed(arg.value):
            return
        name = ctx.qualified(node.func) or ""
        if name.rpartition(".")[0] != "torch":
            return

        def ask(fix: FixBuilder) -> None:
            if caught(ctx, node):
                fix.unsafe()
            fix.replace(arg.value, fix.is_available())

        self._tell(
            arg.value,
            "`pin_memory=True` raises without an accelerator",
            ctx,
            ask,
        )

    def _tell(
        self,
        node: cst.CSTNode,
        message: str,
        ctx: Context,
        fix: Callable[[FixBuilder], None],
    ) -> None:
        ctx.report(
            self,
            node,
            message,
            symbol="torch.Tensor.pin_memory",
            fix=fix,
            title="Pin where there is an accelerator",
        )

    def _loader(self, node: cst.Call, arg: cst.Arg, ctx: Context) -> None:
        value = device_text(arg.value)
        if value is None or not value.is_cuda or ctx.is_claimed(arg.value):
            return

        def change(fix: FixBuilder) -> None:
            if fix.has("DataLoader pins for the accelerator by itself"):
                fix.needs("DataLoader pins for the accelerator by itself")
                fix.arguments(node, without(fix, node, arg))
            else:
                fix.replace(arg.value, fix.device_type())

        ctx.report(
            self,
            arg.value,
            "`pin_memory_device` names CUDA",
            symbol='DataLoader(pin_memory_device="cuda")',
            fix=change,
            title="Pin for the accelerator that is there",
        )


def without(fix: FixBuilder, node: cst.Call, gone: cst.Arg) -> str:
    """The source between a call's parentheses without one argument; layout stays."""
    kept = [a for a in node.args if a is not gone]
    text = fix.code(node.whitespace_before_args) + "".join(fix.code(a) for a in kept)
    if kept and node.args[-1] is gone and "\n" not in text:
        text = text.rstrip().removesuffix(",")
    return text
