"""CUDA graphs: capturing them, and asking whether one is captured."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import caught, device_module, is_guarded
from uncuda.literals import argument, string_value
from uncuda.rules._calls import cuda_function, is_read, last_word, module_says
from uncuda.rules.base import Bad, Good, Rule

_GRAPHS = frozenset({"CUDAGraph", "graph", "make_graphed_callables", "graph_pool_handle"})
_BACKEND, _OPTION = 'torch.compile(backend="cudagraphs")', 'torch.compile(options={"triton.cudagraphs":True})'
_ASKS = frozenset({"is_current_stream_capturing"})
_SAYS = {
    "CUDAGraph": "`torch.cuda.CUDAGraph` is CUDA's own: other devices name their graphs otherwise, or have none",
    "graph": "`torch.cuda.graph()` captures on CUDA alone",
    "make_graphed_callables": "`torch.cuda.make_graphed_callables()` captures on CUDA alone",
    "graph_pool_handle": "`torch.cuda.graph_pool_handle()` names a memory pool of CUDA graphs",
}


class CudaGraph(Rule):
    """CUDA graphs raise on every accelerator but CUDA and ROCm.

    Ascend, XPU, MLU and MUSA have graphs under other class names (`NPUGraph`, `XPUGraph`, …) and other
    keywords, MPS, Gaudi and the CPU have none. From torch 2.12 `torch.accelerator.Graph` stands for any of
    them; it is the graph and the context in one (`with stream, graph:`), so that the capture has to be
    written anew: a rename isn't enough. Where the graph is an optimisation, keep the plain call beside it
    and capture behind `torch.cuda.is_available()`; `torch.compile(mode="reduce-overhead")` leaves the
    choice to the back end.
    """

    code = "UC215"
    name = "cuda-graph"
    triggers = (r"\bcuda\b", "cudagraphs")
    effort = 7
    sources = (
        "torch 2.13.0: torch/cuda/graphs.py, torch/accelerator/graphs.py",
        "knowledge base: torch.cuda.CUDAGraph and its kin",
    )
    bad = (
        Bad(
            "import torch\n\ng = torch.cuda.CUDAGraph()\nwith torch.cuda.graph(g):\n    y = step(x)\ng.replay()\n",
            None,
            count=2,
        ),
        Bad("import torch\n\nstep = torch.cuda.make_graphed_callables(step, (x,))\n", None, id="callables"),
        Bad(
            "from torch.cuda.graphs import graph_pool_handle\n\npool = graph_pool_handle()\n",
            None,
            id="imported",
        ),
        Bad(
            "import torch\n\n\nclass Runner(torch.cuda.CUDAGraph):\n    pass\n",
            None,
            id="subclass",
        ),
        Bad(
            "import torch\n\n\ndef f(g):\n    return isinstance(g, torch.cuda.CUDAGraph)\n",
            None,
            id="isinstance",
        ),
        Bad("import torch\n\nfast = torch.compile(step, backend='cudagraphs')\n", None, id="compile"),
        Bad(
            "import torch\n\n\n@torch.compile(options={'triton.cudagraphs': True})\ndef f(x):\n    return x\n",
            None,
            id="compile-option",
        ),
    )
    good = (
        Good("import torch\n\nwith torch.accelerator.Graph() as g:\n    y = 1\n", "any device's"),
        Good("import torch\n\nfast = torch.compile(f, mode='reduce-overhead')  # cuda graphs\n"),
        Good(
            "import torch\n\n\ndef f(g: torch.cuda.CUDAGraph):\n    pass\n", "an annotation has its own rule"
        ),
        Good("import networkx\n\ng = networkx.graph()  # cuda\n", "another graph"),
        Good("import cugraph\n\ncugraph.Graph()  # cuda\n", "another package"),
        Good("class CUDAGraph:\n    pass\n\n\ng = CUDAGraph()  # cuda\n", "a class of one's own"),
        Good('"""Wraps torch.cuda.graph()."""\n', "prose"),
        Good("# torch.cuda.CUDAGraph()\nx = 1\n", "a comment"),
        Good("cfg = {'cuda': {'graph': True}}\n", "a dict key"),
        Good(
            "import torch\n\nfast = torch.compile(f, options={'triton.cudagraphs': False})\n", "switched off"
        ),
        Good("compile(f, backend='cudagraphs')\n", "not torch's"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = cuda_function(node.func, ctx, _GRAPHS)
        if name is not None:
            self._report(node, name, ctx)
        elif last_word(node.func) == "compile" and ctx.qualified(node.func) == "torch.compile":
            self._compile(node, ctx)

    def _compile(self, node: cst.Call, ctx: Context) -> None:
        backend, options = argument(node, "backend"), argument(node, "options")
        if backend is not None and string_value(backend.value) == "cudagraphs":
            ctx.report(
                self, backend.value, "the back end `cudagraphs` captures on CUDA alone", symbol=_BACKEND
            )
        if options is not None and isinstance(options.value, cst.Dict):
            for element in options.value.elements:
                match element:
                    case cst.DictElement(key=key, value=cst.Name("True")):
                        if string_value(key) == "triton.cudagraphs":
                            message = 'CUDA graphs are asked for; `mode="reduce-overhead"` asks any back end'
                            ctx.report(self, key, message, symbol=_OPTION)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in _GRAPHS and not ctx.is_claimed(node) and _is_passed(node, ctx):
            name = cuda_function(node, ctx, _GRAPHS)
            if name is not None:
                self._report(node, name, ctx)

    def _report(self, node: cst.BaseExpression, name: str, ctx: Context) -> None:
        ctx.report(self, node, _SAYS[name], symbol=f"torch.cuda.{name}")


class CudaCapturing(Rule):
    """`torch.cuda.is_current_stream_capturing()` raises in every build without CUDA or ROCm.

    It mostly guards what must not happen while a CUDA graph is captured. Where nothing is captured the answer
    is no: the fix asks the device's own module, if that has graphs.
    """

    code = "UC225"
    name = "cuda-graph-capturing"
    triggers = (r"\bcuda\b",)
    effort = 1
    fix_safety = (
        "Safe: the same answer with CUDA; False where the device has no graphs, and where the call raised. Not "
        "offered where the failure is handled, nor in code that is compiled by TorchScript."
    )
    sources = (
        "torch 2.13.0, executed",
        "knowledge base: torch.cuda.is_current_stream_capturing",
    )
    bad = (
        Bad(
            "import torch\n\nbusy = torch.cuda.is_current_stream_capturing()\n",
            'import torch\n\nbusy = getattr(torch.get_device_module(), "is_current_stream_capturing", lambda: False)()\n',
            run="busy",
        ),
        Bad(
            "import torch\n\n\ndef grow(n):\n    if torch.cuda.is_current_stream_capturing():\n"
            "        raise RuntimeError('no memory may be taken here')\n    return n\n",
            "import torch\n\n\ndef grow(n):\n"
            '    if getattr(torch.get_device_module(), "is_current_stream_capturing", lambda: False)():\n'
            "        raise RuntimeError('no memory may be taken here')\n    return n\n",
            run="grow(1)",
            id="condition",
        ),
        Bad(
            "import torch\n\n\ndef busy():\n"
            "    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()\n",
            "import torch\n\n\ndef busy():\n"
            "    return torch.cuda.is_available() and torch.get_device_module().is_current_stream_capturing()\n",
            run="busy()",
            id="guarded",
        ),
        Bad("import torch\n\nask = torch.cuda.is_current_stream_capturing\n", None, id="function"),
        Bad(
            "import torch\n\ntry:\n    busy = torch.cuda.is_current_stream_capturing()\n"
            "except RuntimeError:\n    busy = False\n",
            None,
            id="handled",
        ),
        Bad(
            "import torch\n\nbusy = torch.cuda.is_current_stream_capturing()\n",
            None,
            floor=(2, 3),
            id="floor",
        ),
    )
    good = (
        Good(
            "import torch\n\nbusy = torch.accelerator.current_stream().is_capturing()\n", "portable already"
        ),
        Good("import torch\n\nbusy = torch.npu.is_current_stream_capturing()\n", "another vendor's"),
        Good("import torch\n\nbusy = torch.compiler.is_compiling()  # cuda\n", "another question"),
        Good(
            "def is_current_stream_capturing():\n    return False\n\n\nis_current_stream_capturing()  # cuda\n",
            "a function of one's own",
        ),
        Good('"""See torch.cuda.is_current_stream_capturing()."""\n', "prose"),
        Good("# torch.cuda.is_current_stream_capturing()\nx = 1\n", "a comment"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not ctx.is_claimed(node) and cuda_function(node.func, ctx, _ASKS):
            self._report(node, ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in _ASKS and not ctx.is_claimed(node) and is_read(node, ctx):
            if cuda_function(node, ctx, _ASKS):
                self._report(node, ctx)

    def _report(self, node: cst.BaseExpression, ctx: Context) -> None:
        def ask(fix: FixBuilder) -> None:
            if not isinstance(node, cst.Call) or node.args:
                raise CannotFix("the function is passed on")
            if caught(ctx, node):
                raise CannotFix("the failure is handled")
            if is_guarded(ctx, node):
                fix.replace(node.func, f"{device_module(fix)}.is_current_stream_capturing")
            else:
                module_says(fix, node, "is_current_stream_capturing")

        ctx.report(
            self,
            node,
            "`torch.cuda.is_current_stream_capturing()` needs a build with CUDA",
            symbol="torch.cuda.is_current_stream_capturing",
            fix=ask,
            title="Ask the device's own module",
        )


def _is_passed(node: cst.Attribute, ctx: Context) -> bool:
    """Is the class or function given to something, assigned to a name, or a base of a class?"""
    if not isinstance(ctx.parent, (cst.Arg, cst.Assign, cst.Return, cst.IfExp, cst.Element)):
        return False
    call = ctx.ancestors[-2] if len(ctx.ancestors) > 1 else None
    if isinstance(call, cst.Call) and last_word(call.func) in ("hasattr", "getattr", "setattr", "object"):
        return False
    return is_read(node, ctx)
