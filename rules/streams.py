"""Streams: the classes, the current one, and switching to another."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from uncuda.bindings import Binding
from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import caught, device_module, guard_call, is_discarded, is_guarded
from uncuda.literals import argument
from uncuda.rules._calls import cuda_function, index_argument, is_read, last_word, literal_device
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.rules.memory import device_arguments

_SWITCHES = frozenset({"stream", "StreamContext"})
_POINTERS = frozenset({"ExternalStream", "get_stream_from_external"})
_NAMES = frozenset({"Stream", "current_stream", "default_stream", "set_stream", *_SWITCHES, *_POINTERS})
# A CUDA stream's own attribute: the address of a cudaStream_t.
_RAW = "cuda_stream"
PASSES = (cst.Arg, cst.Return, cst.Assign, cst.Element, cst.DictElement, cst.IfExp)
"""Where a function or class is handed on."""
_WAITS = frozenset({"synchronize", "query"})


class CudaStream(Rule):
    """`torch.cuda.Stream()` and `current_stream()` raise on every accelerator but CUDA and ROCm.

    `with torch.cuda.stream(s)` doesn't raise there: it runs its block on the stream that is current anyway.
    Every accelerator with streams has the same names on its own module, so that
    `torch.get_device_module().Stream()` is a torch.cuda.Stream on CUDA and a torch.npu.Stream on Ascend; the
    CPU's module has streams that do nothing. MPS has none.

    The fix doesn't write `torch.Stream()` and `torch.accelerator.current_stream()`: their streams are of
    another class than those of torch.cuda. They lack `.cuda_stream`, and older releases record an event of
    torch.cuda on them without a check, which reads memory that isn't the stream's.
    `torch.cuda.stream(s)` is a block and `torch.cuda.Stream()` a class: neither ever becomes the other.
    """

    code = "UC213"
    name = "cuda-stream"
    triggers = (r"\bcuda\b",)
    effort = 3
    fix_safety = (
        "Safe: the same stream with CUDA. Without an accelerator `Stream()` and `current_stream()` raised, and "
        "give a stream that does nothing now; what waits for the current stream is left out. Unsafe for "
        "`stream(s)` and `set_stream(s)` where `s` may be None (with None they do nothing, also on a Mac, where "
        "the device's module has neither), and for `default_stream()`, which Ascend, MLU and MUSA have and XPU "
        "has not. Not offered where the failure is handled, nor where the raw handle `.cuda_stream` is taken."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch 2.3 to 2.7, wheels read: torch.cpu.Stream, torch.get_device_module",
        "pytorch, torch/csrc/cuda/Event.cpp: THCPEvent_record casts its argument unchecked",
        "knowledge base: torch.cuda.Stream and its kin",
    )
    bad = (
        Bad(
            "import torch\n\ncopy = torch.cuda.Stream()\ncopy.wait_stream(torch.cuda.current_stream())\n",
            "import torch\n\ncopy = torch.get_device_module().Stream()\n"
            "copy.wait_stream(torch.get_device_module().current_stream())\n",
            count=2,
            run="None",
        ),
        Bad(
            "import torch\n\ns = torch.cuda.Stream()\nwith torch.cuda.stream(s):\n    y = 1\n",
            "import torch\n\ns = torch.get_device_module().Stream()\n"
            "with torch.get_device_module().stream(s):\n    y = 1\n",
            count=2,
            run="y",
            id="block",
        ),
        Bad(
            "import torch\n\n\nclass Prefetcher:\n    def __init__(self):\n"
            "        self.stream = torch.cuda.Stream()\n\n"
            "    def preload(self, x):\n        with torch.cuda.stream(self.stream):\n            return x\n",
            "import torch\n\n\nclass Prefetcher:\n    def __init__(self):\n"
            "        self.stream = torch.get_device_module().Stream()\n\n"
            "    def preload(self, x):\n        with torch.get_device_module().stream(self.stream):\n"
            "            return x\n",
            count=2,
            run="Prefetcher().preload(1)",
            id="attribute",
        ),
        Bad(
            "import torch\n\n\ndef run(stream=None):\n    with torch.cuda.stream(stream):\n        return 1\n",
            "import torch\n\n\ndef run(stream=None):\n    with torch.get_device_module().stream(stream):\n"
            "        return 1\n",
            Applicability.UNSAFE,
            id="may-be-none",
        ),
        Bad(
            "import torch\n\n\ndef run(stream: torch.Stream):\n    with torch.cuda.stream(stream):\n"
            "        return 1\n",
            "import torch\n\n\ndef run(stream: torch.Stream):\n"
            "    with torch.get_device_module().stream(stream):\n        return 1\n",
            run="run(torch.cuda.Stream())",
            id="parameter",
        ),
        Bad(
            "import torch\n\nif torch.cuda.is_available():\n    side = torch.cuda.Stream(device=0)\n"
            "    with torch.cuda.stream(side):\n        y = 1\n",
            "import torch\n\nif torch.cuda.is_available():\n    side = torch.get_device_module().Stream(0)\n"
            "    with torch.get_device_module().stream(side):\n        y = 1\n",
            count=2,
            run="None",
            id="guarded",
        ),
        Bad(
            "import torch\n\n\ndef make(device):\n    return torch.cuda.Stream(device=device)\n",
            "import torch\n\n\ndef make(device):\n    return torch.get_device_module().Stream(device)\n",
            run="type(make(0)).__name__",
            id="device",
        ),
        Bad(
            "import torch\n\nlow = torch.cuda.Stream('cuda:1', priority=-1)\n",
            "import torch\n\nlow = torch.get_device_module().Stream(1, priority=-1)\n",
            Applicability.UNSAFE,
            id="device-and-priority",
        ),
        Bad(
            "import torch\n\ntorch.cuda.current_stream().synchronize()  # wait\n",
            "import torch\n\nif torch.accelerator.is_available():\n"
            "    torch.accelerator.current_stream().synchronize()  # wait\n",
            run="None",
            id="synchronize",
        ),
        Bad(
            "import torch\n\n\ndef wait(device):\n    torch.cuda.current_stream(device=device).synchronize()\n",
            "import torch\n\n\ndef wait(device):\n    if torch.accelerator.is_available():\n"
            "        torch.accelerator.current_stream(device).synchronize()\n",
            run="wait(0)",
            id="synchronize-device",
        ),
        Bad(
            "import torch\n\ntorch.cuda.current_stream().synchronize()\n",
            "import torch\n\ntorch.get_device_module().current_stream().synchronize()\n",
            floor=(2, 5),
            run="None",
            id="synchronize-before-2.6",
        ),
        Bad(
            "import torch\nfrom torch.cuda import Stream, current_stream as here\n\n\ndef f():\n"
            "    s = Stream()\n    here().wait_stream(s)\n",
            "import torch\n\n\ndef f():\n    s = torch.get_device_module().Stream()\n"
            "    torch.get_device_module().current_stream().wait_stream(s)\n",
            count=2,
            run="f()",
            id="imported",
        ),
        Bad(
            "from functools import partial\n\nimport torch\n\non = partial(torch.cuda.stream, None)\n",
            "from functools import partial\n\nimport torch\n\non = partial(torch.get_device_module().stream, None)\n",
            Applicability.UNSAFE,
            id="function",
        ),
        Bad(
            "import torch\n\n\ndef switch(s):\n    torch.cuda.set_stream(s)\n",
            "import torch\n\n\ndef switch(s):\n    torch.get_device_module().set_stream(s)\n",
            Applicability.UNSAFE,
            id="set",
        ),
        Bad(
            "import torch\n\n\ndef join(s):\n    s.wait_stream(torch.cuda.default_stream())\n",
            "import torch\n\n\ndef join(s):\n    s.wait_stream(torch.get_device_module().default_stream())\n",
            Applicability.UNSAFE,
            id="default",
        ),
        Bad("import torch\n\nmake = torch.cuda.Stream\n", None, id="kept"),
        Bad("import torch\n\nlaunch(torch.cuda.current_stream().cuda_stream)\n", None, id="raw-handle"),
        Bad(
            "import torch\n\n\ndef go():\n    stream = torch.cuda.current_stream()\n"
            "    launch(stream.cuda_stream)\n",
            None,
            id="raw-handle-later",
        ),
        Bad("import torch\n\ns = torch.cuda.ExternalStream(pointer)\n", None, id="pointer"),
        Bad(
            "import torch\n\ntry:\n    s = torch.cuda.Stream()\nexcept RuntimeError:\n    s = None\n",
            None,
            id="handled",
        ),
        Bad(
            "import torch\n\n\ndef check(s):\n    return isinstance(s, torch.cuda.Stream)\n",
            None,
            id="isinstance",
        ),
        Bad("import torch\n\ns = torch.cuda.Stream()\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good("import torch\n\ns = torch.Stream()\n", "any device's"),
        Good("import torch\n\ns = torch.get_device_module().Stream()\n", "portable already"),
        Good("import torch\n\ns = torch.accelerator.current_stream()\n"),
        Good("import torch\n\n\ndef f(x, s):\n    x.record_stream(s)  # cuda\n", "any device's stream"),
        Good("import torch\n\n\ndef f(s, cuda):\n    s.wait_stream(cuda)\n", "a stream's own method"),
        Good("import torch\n\ns = torch.xpu.Stream()\n", "another vendor's"),
        Good("import torch\n\ns = torch.cpu.Stream()\n"),
        Good("import cupy\n\ns = cupy.cuda.Stream()\n", "not torch"),
        Good("from numba import cuda\n\ns = cuda.stream()\n", "not torch"),
        Good("from cuda.bindings.driver import CUstream\n\ns = CUstream(0)\n", "not torch"),
        Good("class Stream:\n    pass\n\n\ns = Stream()  # cuda\n", "a class of one's own"),
        Good("def f(torch):\n    return torch.cuda.Stream()\n", "torch is a parameter here"),
        Good('"""with torch.cuda.stream(s): runs on s."""\n', "prose"),
        Good("# torch.cuda.Stream()\nx = 1\n", "a comment"),
        Good("cfg = {'stream': 'cuda'}\n", "a dict key"),
        Good("from torch.cuda import Stream\n", "an import alone"),
        Good("import torch\n\n\ndef f(s: torch.cuda.Stream):\n    pass\n", "an annotation has its own rule"),
        Good(
            "import torch\n\n\nclass My(torch.cuda.Stream):\n    pass\n", "a subclass: the catch-all tells it"
        ),
        Good("import torch\n\ntorch.cuda.set_stream = print\n", "a patch: the catch-all tells it"),
        Good("import torch\n\nmake = torch.xpu.Stream  # not cuda\n", "another vendor's"),
        Good("import torch\n\ncan = torch.cuda.is_available()  # a stream\n", "another question"),
        Good("import torch\n\nok = hasattr(torch.cuda, 'Stream')\n", "a question about the module"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        if isinstance(node.func, cst.Name) and node.func.value == "isinstance":
            self._type_test(node, ctx)
            return
        name = cuda_function(node.func, ctx, _NAMES)
        if name is None:
            return
        if _raw_handle(node, ctx):
            ctx.report(
                self,
                node,
                f"`.{_RAW}` is a CUDA handle, for native code: no other device's stream has it",
                symbol=f"torch.cuda.Stream.{_RAW}",
                claims=_literals(node, ctx),
            )
            return
        self._report(node, name, ctx, lambda fix: self._fix(fix, node, name))

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        """A function or class that is passed on."""
        if node.attr.value not in _NAMES or ctx.is_claimed(node) or not isinstance(ctx.parent, PASSES):
            return
        name = cuda_function(node, ctx, _NAMES)
        if name is not None and is_read(node, ctx) and not _is_base(ctx):
            self._report(node, name, ctx, lambda fix: self._rename(fix, node, name))

    def _report(
        self, node: cst.BaseExpression, name: str, ctx: Context, fix: Callable[[FixBuilder], None]
    ) -> None:
        says = "switches streams on CUDA alone" if name in _SWITCHES else "needs CUDA"
        if name == "set_stream":
            says = "sets CUDA's stream alone"
        elif name in _POINTERS:
            says = "wraps a raw CUDA handle"
        ctx.report(
            self,
            node,
            f"`torch.cuda.{name}()` {says}",
            symbol=f"torch.cuda.{name}",
            claims=_literals(node, ctx) if isinstance(node, cst.Call) else (),
            fix=fix,
            title="Use the stream of the device that is there",
        )

    def _type_test(self, node: cst.Call, ctx: Context) -> None:
        for item in node.args[1:2]:
            kinds = (
                [e.value for e in item.value.elements] if isinstance(item.value, cst.Tuple) else [item.value]
            )
            for kind in kinds:
                if cuda_function(kind, ctx, ("Stream", "ExternalStream")):
                    ctx.report(
                        self,
                        kind,
                        "another device's stream is no `torch.cuda.Stream`: the test fails",
                        symbol="isinstance(s, torch.cuda.Stream)",
                    )

    # -- fixes ---------------------------------------------------------------------------------------------

    def _fix(self, fix: FixBuilder, node: cst.Call, name: str) -> None:
        ctx = fix.ctx
        if name in _POINTERS:
            raise CannotFix("a raw handle")
        if any(a.star for a in node.args):
            fix.unsafe()
        if caught(ctx, node):
            raise CannotFix("the failure is handled")
        if name == "current_stream" and self._waits(fix, node):
            return
        if name in _SWITCHES or name == "set_stream":
            if not is_guarded(ctx, node) and not (
                name in _SWITCHES and len(node.args) == 1 and _is_stream(node.args[0].value, ctx)
            ):
                fix.unsafe()
        elif name == "default_stream":
            fix.unsafe()
        fix.replace(node.func, f"{device_module(fix)}.{name}")
        arguments = _stream_arguments(fix, node) if name == "Stream" else device_arguments(fix, node)
        if arguments is not None:
            fix.arguments(node, arguments)

    def _waits(self, fix: FixBuilder, node: cst.Call) -> bool:
        """`current_stream().synchronize()` as a statement: nothing to wait for without an accelerator."""
        ctx = fix.ctx
        if len(ctx.ancestors) < 2:
            return False
        method, call = ctx.ancestors[-1], ctx.ancestors[-2]
        if not (
            isinstance(method, cst.Attribute)
            and method.attr.value in _WAITS
            and isinstance(call, cst.Call)
            and call.func is method
            and not call.args
            and is_discarded(ctx, call)
            and fix.has("torch.accelerator")
        ):
            return False
        given = argument(node, "device", 0)
        if len(node.args) > 1 or (node.args and given is None):
            raise CannotFix("not the arguments of torch.cuda.current_stream")
        fix.needs("torch.accelerator")
        where = index_argument(fix, given.value) if given is not None else ""
        name = fix.name("torch.accelerator.current_stream")
        guard_call(fix, call, f"{name}({where}).{method.attr.value}()")
        return True

    def _rename(self, fix: FixBuilder, node: cst.BaseExpression, name: str) -> None:
        if name in _POINTERS or caught(fix.ctx, node):
            raise CannotFix("a raw handle, or the failure is handled")
        if isinstance(fix.ctx.parent, cst.Assign):
            raise CannotFix("it may be kept to be put back")
        fix.unsafe()
        fix.replace(node, f"{device_module(fix)}.{name}")


def _literals(node: cst.Call, ctx: Context) -> tuple[cst.CSTNode, ...]:
    return tuple(a.value for a in node.args if literal_device(a.value, ctx) is not None)


def _is_base(ctx: Context) -> bool:
    """Is the argument at hand a base of a class, or that of `isinstance` and its like?"""
    above = ctx.ancestors[-2] if len(ctx.ancestors) > 1 else None
    if isinstance(above, cst.ClassDef):
        return True
    return isinstance(above, cst.Call) and last_word(above.func) in (
        "hasattr",
        "getattr",
        "setattr",
        "object",
    )


def _raw_handle(node: cst.Call, ctx: Context) -> bool:
    """Is the raw handle of this stream taken, here or through the name that it is given?"""
    if isinstance(ctx.parent, cst.Attribute):
        return ctx.parent.attr.value == _RAW
    if not isinstance(ctx.parent, cst.Assign):
        return False
    names = [last_word(t.target) for t in ctx.parent.targets]
    around = ctx.function or ctx.root
    code = ctx.code(around)
    return any(f"{name}.{_RAW}" in code for name in names if name)


def _stream_arguments(fix: FixBuilder, node: cst.Call) -> str | None:
    """The arguments for any device's Stream: a device alone goes by position, as the CPU's takes no keyword."""
    arguments = device_arguments(fix, node)
    named = [a.keyword.value for a in node.args if a.keyword is not None]
    if named == ["device"] and len(node.args) == 1:
        return index_argument(fix, node.args[0].value)
    if set(named) - {"device", "priority"}:
        raise CannotFix("arguments of CUDA's stream alone")
    if len(node.args) > 1 and not is_guarded(fix.ctx, node):
        fix.unsafe()
    return arguments


def _is_stream(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this a stream for certain: made on the spot, or bound to nothing else, where CUDA's raises without
    CUDA?"""
    if isinstance(node, cst.Call):
        return last_word(node.func) in ("Stream", "current_stream", "default_stream")
    if isinstance(node, cst.Name):
        found = ctx.bindings_of(node.value)
        bindings = found[1] if found is not None else []
    elif isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) and node.value.value == "self":
        bindings = ctx.owner.attributes().get(node.attr.value, []) if ctx.owner is not None else []
    else:
        return False
    return bool(bindings) and all(_binds_stream(b, ctx) for b in bindings)


def _binds_stream(binding: Binding, ctx: Context) -> bool:
    if binding.kind == "param" and binding.value is None and binding.annotation is not None:
        return last_word(binding.annotation()) == "Stream"
    if binding.kind != "assign" or binding.value is None:
        return False
    value = binding.value()
    return isinstance(value, cst.Call) and _is_stream(value, ctx)
