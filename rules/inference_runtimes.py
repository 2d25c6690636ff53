"""ONNX Runtime and serving engines told to use CUDA's own back ends."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.literals import string_value
from uncuda.rules._arguments import text_argument
from uncuda.rules._calls import last_word
from uncuda.rules._spelled import given_to
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.walk import walk

_SYMBOL = 'InferenceSession(providers=["CUDAExecutionProvider"])'
# Calls that take providers by position.
_TAKERS = frozenset({"append", "insert", "extend", "set_providers", "InferenceSession"})


class OnnxRuntimeProvider(Rule):
    """`providers=["CUDAExecutionProvider"]` runs the model on the CPU wherever CUDA isn't, and says so in a log only.

    A provider that the build doesn't have is left out with a warning, one that can't start with a log line. Choose
    from `onnxruntime.get_available_providers()` and ask `session.get_providers()` afterwards. Each vendor's build has
    a provider of its own: MIGraphX on ROCm, CANN on Ascend, OpenVINO on Intel, CoreML on Apple.
    """

    code = "UC620"
    name = "onnxruntime-provider"
    triggers = ("CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
    category = Category.MANDATORY
    effort = 1
    sources = ("onnxruntime issues 23372 and 26994",)
    bad = (
        Bad(
            "import onnxruntime as ort\n\ns = ort.InferenceSession(path, providers=['CUDAExecutionProvider'])\n"
        ),
        Bad("PROVIDERS = ['CUDAExecutionProvider', 'CPUExecutionProvider']\n", id="variable"),
        Bad(
            "s = Session(path, providers=[('TensorrtExecutionProvider', {'id': 0}), 'CUDAExecutionProvider'])\n",
            id="pair",
        ),
        Bad(
            "def f(cuda):\n    return 'CUDAExecutionProvider' if cuda else 'CPUExecutionProvider'\n",
            id="conditional",
        ),
        Bad("def f(p='CUDAExecutionProvider'):\n    s.set_providers(providers=p)\n", id="default"),
    )
    good = (
        Good("import onnxruntime as ort\n\nhas = 'CUDAExecutionProvider' in ort.get_available_providers()\n", "asks"),
        Good("import onnxruntime as ort\n\n"
             "ps = [p for p in ['CUDAExecutionProvider', 'CPUExecutionProvider'] if p in ort.get_available_providers()]\n",
             "chosen from what is there"),
        Good("NAMES = {'CUDAExecutionProvider': 'cuda'}\n", "a table"),
        Good("if provider == 'CUDAExecutionProvider':\n    bind()\n", "a comparison"),
        Good("print('CUDAExecutionProvider is missing')\nprint('CUDAExecutionProvider')\n", "prose"),
        Good("graph = options.get('CUDAExecutionProvider', {}).get('enable_cuda_graph')\n", "a key"),
        Good("providers = ['CPUExecutionProvider']\n"),
        Good("import onnxruntime as ort\n\nif 'CUDAExecutionProvider' in ort.get_available_providers():\n"
             "    providers = ['CUDAExecutionProvider']\n", "asked before"),
    )  # fmt: skip

    def visit_SimpleString(self, node: cst.SimpleString, ctx: Context) -> None:
        text = string_value(node)
        if not _is_provider(text) or ctx.is_claimed(node) or _is_asked(ctx):
            return
        path: list[cst.CSTNode] = list(ctx.ancestors)
        top: cst.CSTNode = node
        while path and isinstance(path[-1], (cst.Element, cst.Tuple, cst.List)):
            top = path.pop()
        above = path[-1] if path else None
        if not isinstance(
            above, (cst.Arg, cst.Assign, cst.AnnAssign, cst.Param, cst.IfExp, cst.Return, cst.BinaryOperation)
        ):
            return
        if isinstance(above, cst.Arg) and above.keyword is None:
            call = path[-2] if len(path) > 1 else None
            if not isinstance(call, cst.Call) or last_word(call.func) not in _TAKERS:
                return
        others = tuple(
            n
            for n in walk(top)
            if n is not node and isinstance(n, cst.SimpleString) and _is_provider(string_value(n))
        )
        ctx.report(
            self,
            node,
            f"`{text}`: without CUDA the session runs on the CPU",
            symbol=_SYMBOL,
            claims=others,
        )


def _is_provider(text: str | None) -> bool:
    """Is this a provider that wants CUDA?"""
    return (
        text is not None and text.endswith("Provider") and given_to((_SYMBOL,), "providers", text) is not None
    )


def _is_asked(ctx: Context) -> bool:
    """Is the place under a question whether the provider is there?"""
    for above in ctx.ancestors:
        tests: list[cst.CSTNode] = []
        match above:
            case cst.If() | cst.IfExp():
                tests.append(above.test)
            case cst.ListComp(for_in=comp) | cst.GeneratorExp(for_in=comp):
                tests.extend(comp.ifs)
            case _:
                pass
        for item in (n for test in tests for n in walk(test)):
            if isinstance(item, (cst.Name, cst.Attribute)) and "available" in last_word(item):
                return True
    return False


_PINNED = (
    'LLM(attention_backend="FLASHINFER")',
    'LLM(attention_backend="FLASH_ATTN")',
    'Engine(attention_backend="fa3")',
    'LLM(quantization="awq_marlin")',
    'LLM(quantization="gptq_marlin")',
)


class ServingBackend(Rule):
    """A serving engine that is told which attention or quantisation kernel to take runs where that kernel is.

    vLLM and SGLang pick what the platform has. A name that is pinned in code (FlashInfer, FlashAttention 3, Marlin)
    is refused on ROCm and XPU unless it is one of theirs; the CPU and the plug-in for Ascend take their own attention
    all the same, but refuse a quantization that they don't know.
    """

    code = "UC621"
    name = "serving-backend"
    triggers = ("attention_backend & import vllm|sglang", "_marlin", "'marlin'", '"marlin"')
    category = Category.MANDATORY
    effort = 1
    sources = ("vllm 0.33.0 and vllm-ascend, platforms, read", "SGLang documentation on attention backends")
    bad = (
        Bad("from vllm import LLM\n\nllm = LLM(model=name, attention_backend='FLASHINFER')\n"),
        Bad(
            "import sglang as sgl\n\nllm = sgl.Engine(model_path=name, attention_backend='fa3')\n",
            id="sglang",
        ),
        Bad("from vllm import LLM\n\nllm = LLM(name, quantization='awq_marlin')\n", id="marlin"),
    )
    good = (
        Good(
            "from vllm import LLM\n\nllm = LLM(model=name, attention_backend='TRITON_ATTN')\n",
            "not CUDA's alone",
        ),
        Good("from vllm import LLM\n\nllm = LLM(model=name, attention_backend=args.backend)\n"),
        Good("run(attention_backend='FLASHINFER')\n", "another function"),
        Good("from vllm import LLM\n\nif attention_backend == 'FLASHINFER':\n    pass\n", "a comparison"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        owner = (ctx.qualified(node.func) or "").partition(".")[0]
        if owner in ("", "torch"):
            return
        from uncuda.rules.knowledge import spelled

        for symbol in _PINNED:
            known = spelled(symbol)
            for name in known.arguments if owner in known.packages else ():
                found = text_argument(node, name, known.texts)
                if found is not None:
                    ctx.report(
                        self,
                        found.value,
                        f'"{string_value(found.value)}" is a kernel that few platforms have',
                        symbol=symbol,
                    )
