"""Classes of torch.cuda in type annotations."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.rules._calls import last_word
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule

_PREFIX = "torch.cuda."
# What stands for a class of torch.cuda on any device, and the attribute that only CUDA's has.
_ANY_DEVICE = {"Stream": ("torch.Stream", "cuda_stream"), "Event": ("torch.Event", "cuda_event")}
_CLASSES = frozenset(
    "Stream Event ExternalStream StreamContext CUDAGraph graph MemPool device CUDAPluggableAllocator".split()
)
_GENERIC = frozenset(
    "Optional Union list List dict Dict tuple Tuple set Set deque Deque defaultdict DefaultDict Callable Iterator "
    "Iterable Sequence Mapping MutableMapping ContextVar ClassVar Final type Type Generator Annotated".split()
)


class CudaAnnotation(Rule):
    """An annotation that names `torch.cuda.Stream` or `torch.cuda.Event` is wrong for any other device's.

    Nothing happens at run time: the classes are there in every build. But the code says that it takes
    CUDA's streams alone, and a type checker believes it. `torch.Stream` and `torch.Event` are the bases of
    every accelerator's, from torch 2.4.
    """

    code = "UC224"
    name = "cuda-annotation"
    triggers = (r"\bcuda\b",)
    category = Category.POTENTIAL
    effort = 0
    priority = 30
    fix_safety = (
        "Unsafe: nothing changes at run time, but a type checker may complain where the value goes on to code that "
        "is still annotated with CUDA's class. Not offered where the file takes the raw handle, `.cuda_stream` or "
        "`.cuda_event`."
    )
    sources = (
        "torch 2.4 to 2.13, wheels read: torch._C._CudaStreamBase, torch.Event",
        "pytorch, torch/csrc/cuda/Event.cpp: THCPEventType.tp_base",
    )
    bad = (
        Bad(
            "import torch\n\n\ndef copy(x, stream: torch.cuda.Stream):\n    pass\n",
            "import torch\n\n\ndef copy(x, stream: torch.Stream):\n    pass\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "import torch\n\n\nclass Job:\n    done: torch.cuda.Event | None = None\n",
            "import torch\n\n\nclass Job:\n    done: torch.Event | None = None\n",
            Applicability.UNSAFE,
            id="event",
        ),
        Bad(
            "from typing import Optional\n\nimport torch\n\n\n"
            "def side(n: int) -> list[Optional[torch.cuda.Stream]]:\n    return [None] * n\n",
            "from typing import Optional\n\nimport torch\n\n\n"
            "def side(n: int) -> list[Optional[torch.Stream]]:\n    return [None] * n\n",
            Applicability.UNSAFE,
            id="inside",
        ),
        Bad(
            "import torch\nfrom torch.cuda import Event\n\n\ndef wait(e: Event):\n    e.wait()\n",
            "import torch\n\n\ndef wait(e: torch.Event):\n    e.wait()\n",
            Applicability.UNSAFE,
            id="imported",
        ),
        Bad(
            "import torch\nfrom torch.cuda import Stream as CudaStream\n\n\nclass Job:\n    side: CudaStream\n",
            "import torch\n\n\nclass Job:\n    side: torch.Stream\n",
            Applicability.UNSAFE,
            id="renamed",
        ),
        Bad(
            "import torch\n\nRows = list[tuple[torch.Tensor, torch.cuda.Event]]\n",
            "import torch\n\nRows = list[tuple[torch.Tensor, torch.Event]]\n",
            Applicability.UNSAFE,
            id="alias",
        ),
        Bad(
            "from typing import cast\n\nimport torch\n\ns = cast(torch.cuda.Stream, t)\n",
            "from typing import cast\n\nimport torch\n\ns = cast(torch.Stream, t)\n",
            Applicability.UNSAFE,
            id="cast",
        ),
        Bad("import torch\n\ngraphs: dict[int, torch.cuda.CUDAGraph] = {}\n", None, id="graph"),
        Bad(
            "import torch\n\n\ndef launch(s: torch.cuda.Stream):\n    kernel(s.cuda_stream)\n",
            None,
            id="raw-handle",
        ),
        Bad("import torch\n\n\ndef f(s: torch.cuda.Stream):\n    pass\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good("import torch\n\n\ndef f(s: torch.Stream, e: torch.Event):\n    pass  # cuda\n", "any device's"),
        Good("import torch\n\n\ndef f(s: torch.xpu.Stream):\n    pass\n", "another vendor's"),
        Good("import cupy\n\n\ndef f(s: cupy.cuda.Stream):\n    pass\n", "not torch"),
        Good("class Stream:\n    pass\n\n\ndef f(cuda: Stream):\n    pass\n", "a class of one's own"),
        Good("import torch\n\n\ndef f(x: torch.cuda.FloatTensor):\n    pass\n", "a tensor type"),
        Good("import torch\n\n\ndef f(x: 'torch.cuda.Stream'):\n    pass\n", "text"),
        Good("import torch\n\n\ndef f(s=torch.cuda.Stream()):\n    pass\n", "a default, not an annotation"),
        Good("import torch\n\nrows = [torch.cuda.Event, torch.Tensor]\n", "a list of classes"),
        Good('"""s: torch.cuda.Stream"""\n', "prose"),
        Good("# s: torch.cuda.Stream\nx = 1\n", "a comment"),
        Good("import torch\n\nkind = table[torch.cuda.Event]\n", "a key, in a table of one's own"),
    )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value in _CLASSES and not ctx.is_claimed(node):
            self._look(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        known = node.value in _CLASSES or ctx.index.aliases.get(node.value, "").startswith(_PREFIX)
        if known and not ctx.is_claimed(node):
            self._look(node, ctx)

    def _look(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        if not _is_annotation(ctx):
            return
        name = ctx.qualified(node)
        if name is None or not name.startswith(_PREFIX):
            return
        short = name.rpartition(".")[2]
        if short not in _CLASSES:
            return
        from uncuda.rules.knowledge import outcomes

        any_device = _ANY_DEVICE.get(short)
        ctx.report(
            self,
            node,
            f"the annotation names `torch.cuda.{short}`"
            + (f"; any device's is a `{any_device[0]}`" if any_device else ", which is CUDA's alone"),
            symbol=f"torch.cuda.{short}",
            outcomes=outcomes("x: torch.cuda.*"),
            fix=lambda fix: self._fix(fix, node, short),
            title="Name any device's class",
        )

    def _fix(self, fix: FixBuilder, node: cst.Attribute | cst.Name, short: str) -> None:
        if short not in _ANY_DEVICE:
            raise CannotFix("no class of any device's stands for it")
        name, raw = _ANY_DEVICE[short]
        if f".{raw}" in fix.ctx.index.text:
            raise CannotFix("the raw handle is taken in this file")
        fix.needs("torch.Event")
        fix.unsafe()
        fix.replace(node, fix.name(name))


def _is_annotation(ctx: Context) -> bool:
    """Is the node at hand in an annotation, the subscript of a generic type, or the type of `cast()`?"""
    for depth in range(len(ctx.ancestors) - 1, -1, -1):
        above = ctx.ancestors[depth]
        match above:
            case cst.Annotation():
                return True
            case cst.Subscript() if last_word(above.value) in _GENERIC:
                return True
            case cst.Arg():
                call = ctx.ancestors[depth - 1]
                return isinstance(call, cst.Call) and last_word(call.func) == "cast" and call.args[0] is above
            case cst.BaseExpression() | cst.SubscriptElement() | cst.Index() | cst.Element():
                if isinstance(above, (cst.Call, cst.Lambda)):
                    return False
            case _:
                return False
    return False
