"""Arguments of transformers and diffusers that only CUDA can follow."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.index import cst_import_bindings
from uncuda.literals import string_value
from uncuda.rules._arguments import called, is_true, keyword
from uncuda.rules._calls import last_word
from uncuda.rules._literals import cuda_text
from uncuda.rules._spelled import given_to
from uncuda.rules._spellings import text_for
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.walk import walk

_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_FLASH = (
    'from_pretrained(attn_implementation="flash_attention_2")',
    'from_pretrained(attn_implementation="flash_attention_3")',
)
_ABOUT_FLASH = re.compile(r"flash_?att", re.I)
_CONFIG_NAMES = ("attn_implementation", "_attn_implementation")


class FlashAttentionChoice(Rule):
    """`attn_implementation="flash_attention_2"` wants the flash-attn package, which most devices haven't.

    Loading the model raises ImportError there. PyTorch's own scaled dot product attention, `"sdpa"`, runs
    everywhere, and on CUDA takes a flash kernel by itself where the shapes allow it.
    """

    code = "UC601"
    name = "flash-attention-choice"
    triggers = ("'flash_attention_", '"flash_attention_', "use_flash_attention_")
    category = Category.MANDATORY
    effort = 1
    fix_safety = (
        "Unsafe: with CUDA the model takes another kernel: the same mathematics, other rounding and speed, and no "
        "unpadded batches."
    )
    sources = ("transformers 4.57.6 and 5.24.0, read",)
    bad = (
        Bad(
            "from transformers import AutoModel\n\n"
            'model = AutoModel.from_pretrained(name, attn_implementation="flash_attention_2")\n',
            'from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained(name, attn_implementation="sdpa")\n',
            Applicability.UNSAFE,
        ),
        Bad(
            "def load(name):\n    return Net.from_pretrained(name, use_flash_attention_2=True, dtype='auto')\n",
            "def load(name):\n    return Net.from_pretrained(name, attn_implementation=\"sdpa\", dtype='auto')\n",
            Applicability.UNSAFE,
            id="old-name",
        ),
        Bad(
            "config._attn_implementation = 'flash_attention_2'\n",
            "config._attn_implementation = 'sdpa'\n",
            Applicability.UNSAFE,
            id="config",
        ),
        Bad(
            "if outer._attn_implementation == 'flash_attention_2':\n"
            "    inner._attn_implementation = 'flash_attention_2'\n",
            None,
            id="passed-on",
        ),
        Bad(
            "def pack(config):\n    if 'flash_attention' not in config.attn_implementation:\n"
            "        config.attn_implementation = 'flash_attention_2'\n",
            None,
            id="nothing-else-will-do",
        ),
        Bad(
            "kwargs = dict(attn_implementation='flash_attention_3')\nkwargs['attn_implementation'] = 'flash_attention_2'\n",
            "kwargs = dict(attn_implementation='sdpa')\nkwargs['attn_implementation'] = 'sdpa'\n",
            Applicability.UNSAFE,
            count=2,
            id="keywords",
        ),
        Bad(
            "model = Net.from_pretrained(name, attn_implementation='flash_attention_2' if fast else 'eager')\n",
            None,
            id="switch",
        ),
        Bad(
            "def f(attn_implementation: str = 'flash_attention_2'):\n    return attn_implementation\n",
            "def f(attn_implementation: str = 'sdpa'):\n    return attn_implementation\n",
            Applicability.UNSAFE,
            id="parameter",
        ),
    )
    good = (
        Good("model = Net.from_pretrained(name, attn_implementation='sdpa')\n"),
        Good("if config._attn_implementation == 'flash_attention_2':\n    pass\n", "a comparison"),
        Good("KERNELS = {'flash_attention_2': flash, 'sdpa': sdpa}\n", "a table"),
        Good("choices = ['eager', 'sdpa', 'flash_attention_2']\n", "a list of choices"),
        Good("model = Net.from_pretrained(name, use_flash_attention_2=False)\n", "switched off"),
        Good("model = Net.from_pretrained(\n    name,\n"
             "    attn_implementation='flash_attention_2' if is_flash_attn_2_available() else 'sdpa',\n)\n", "asks before"),
        Good("if is_flash_attn_2_available():\n    config._attn_implementation = 'flash_attention_2'\n", "asks before"),
        Good("try:\n    import flash_attn\n    options['attn_implementation'] = 'flash_attention_2'\n"
             "except ImportError:\n    pass\n", "only where the package is"),
        Good("# attn_implementation='flash_attention_2'\nlog('flash_attention_2 is on')\n", "prose"),
        Good("def flash_attention_2(q, k, v):\n    return q\n", "a function of one's own"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        old = keyword(node, "use_flash_attention_2")
        if old is not None and is_true(old):
            self._tell(
                old, "flash_attention_2", ctx, lambda fix: _rename(fix, old, "attn_implementation", '"sdpa"')
            )

    def visit_SimpleString(self, node: cst.SimpleString, ctx: Context) -> None:
        text = string_value(node)
        if text is None or _flash(text) is None or not _is_choice(node, ctx):
            return
        above = ctx.parent
        if isinstance(above, cst.IfExp) and any(
            word in ctx.code(above.test) for word in ("available", "requested")
        ):
            return
        if _is_there(ctx):
            return
        write = lambda fix: _same_quotes(fix, node, "sdpa")  # noqa: E731
        self._tell(node, text, ctx, None if isinstance(above, cst.IfExp) else write)

    def _tell(
        self, node: cst.CSTNode, text: str, ctx: Context, fix: Callable[[FixBuilder], None] | None
    ) -> None:
        symbol = _flash(text)
        assert symbol is not None, text
        ctx.report(
            self,
            node,
            f'"{text}" wants a package that is built for CUDA',
            symbol=symbol,
            fix=fix,
            title="Take PyTorch's own attention",
        )


def _flash(text: str) -> str | None:
    """The entry of the knowledge base that a choice of attention falls under."""
    return given_to(_FLASH, "attn_implementation", text) if text.startswith("flash") else None


def _same_quotes(fix: FixBuilder, node: cst.SimpleString, text: str) -> None:
    fix.unsafe()
    if any(isinstance(n, cst.If) and _ABOUT_FLASH.search(fix.ctx.code(n.test)) for n in fix.ctx.ancestors):
        raise CannotFix("the condition asks for this attention, or passes the setting on")
    fix.replace(node, f"{node.quote}{text}{node.quote}")


def _is_there(ctx: Context) -> bool:
    """Does the place run only where a package of FlashAttention was found: behind a question, or an import?"""
    for above, below in pairwise([*ctx.ancestors]):
        if isinstance(above, cst.If) and below is above.body:
            test = ctx.code(above.test)
            if (
                _ABOUT_FLASH.search(test)
                and "available" in test
                and not isinstance(above.test, cst.UnaryOperation)
            ):
                return True
        elif isinstance(above, cst.Try) and below is above.body and above.handlers:
            imports = (n for n in walk(above.body) if isinstance(n, (cst.Import, cst.ImportFrom)))
            if any(full.startswith("flash_attn") for n in imports for _, full in cst_import_bindings(n)):
                return True
    return False


def _is_choice(node: cst.SimpleString, ctx: Context) -> bool:
    """Is the text given to something called attn_implementation?"""
    path = [*ctx.ancestors]
    while path and isinstance(path[-1], cst.IfExp):
        path.pop()
    match path[-1] if path else None:
        case cst.Arg(keyword=cst.Name(value=name)):
            return name in _CONFIG_NAMES
        case cst.Param(name=cst.Name(value=name)):
            return name in _CONFIG_NAMES
        case cst.AnnAssign(target=target):
            return last_word(target) in _CONFIG_NAMES
        case cst.Assign(targets=targets):
            return any(_assigned(t.target) in _CONFIG_NAMES for t in targets)
        case cst.DictElement(key=key, value=value):
            return key is not node and string_value(key) in _CONFIG_NAMES and value is not None
        case _:
            return False


def _assigned(target: cst.BaseExpression) -> str:
    match target:
        case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=key))]):
            return string_value(key) or ""
        case _:
            return last_word(target)


class CudaDeviceMap(Rule):
    """`device_map="cuda"` loads a model straight onto CUDA, and raises where there is none.

    The text of the device that is there does the same on CUDA (where transformers reads "cuda" as the device of
    LOCAL_RANK), and loads onto another accelerator or the CPU elsewhere.
    """

    code = "UC602"
    name = "cuda-device-map"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 40
    fix_safety = "Unsafe: what a library makes of the text of another device is its own affair. With CUDA nothing changes."
    sources = ("transformers 5.24.0, read",)
    bad = (
        Bad(
            "import torch\nfrom transformers import AutoModel\n\n"
            "device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device('cpu')\n"
            "model = AutoModel.from_pretrained(name, device_map='cuda')\n",
            "import torch\nfrom transformers import AutoModel\n\n"
            "device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device('cpu')\n"
            "model = AutoModel.from_pretrained(name, device_map=device.type)\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "import torch\n\n\ndef load(name):\n    return Net.from_pretrained(name, device_map='cuda:0')\n",
            f"import torch\n\n\ndef load(name):\n    device = {_DEVICE}\n"
            '    return Net.from_pretrained(name, device_map=f"{device.type}:0")\n',
            Applicability.UNSAFE,
            id="index",
        ),
        Bad(
            "import torch\n\n\ndef load(name):\n    return Net.from_pretrained(name, device_map={'': 'cuda'})\n",
            f"import torch\n\n\ndef load(name):\n    device = {_DEVICE}\n"
            "    return Net.from_pretrained(name, device_map={'': device.type})\n",
            Applicability.UNSAFE,
            id="dict",
        ),
    )
    good = (
        Good("model = Net.from_pretrained(name, device_map='auto')\n"),
        Good("model = Net.from_pretrained(name, device_map={'': 0})\n", "an index means the accelerator that is there"),
        Good("model = Net.from_pretrained(name, device_map=device)\n"),
        Good("if device_map == 'cuda':\n    pass\n", "a comparison"),
        Good("'device_map=\"cuda\"'\n", "prose"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        given = keyword(node, "device_map")
        if given is None:
            return
        values = [given.value]
        if isinstance(given.value, cst.Dict):
            values = [e.value for e in given.value.elements]
        for value in values:
            if cuda_text(value) is None or ctx.is_claimed(value):
                continue
            ctx.report(
                self,
                value,
                f"`{last_word(node.func)}` loads the model onto CUDA",
                symbol='from_pretrained(device_map="cuda")',
                fix=lambda fix, value=value: _write_text(fix, value),  # type: ignore[misc]
                title="Load onto the device that is there",
            )


def _write_text(fix: FixBuilder, value: cst.BaseExpression) -> None:
    fix.unsafe()
    fix.replace(value, text_for(fix, value))


class BitsAndBytesQuantization(Rule):
    """`load_in_4bit=True` quantises with bitsandbytes, whose kernels are for CUDA, ROCm, Intel XPU and the CPU.

    On MPS plain torch stands in for most of them, on Gaudi a part works, on Ascend only a fork. Weights in the formats
    of GPTQ, AWQ or torchao have kernels on more devices.
    """

    code = "UC603"
    name = "bitsandbytes-quantization"
    triggers = ("load_in_4bit=True", "load_in_4bit = True", "load_in_8bit=True", "load_in_8bit = True")
    reads_words = False
    category = Category.POTENTIAL
    effort = 3
    sources = ("bitsandbytes 0.50.2, README and back ends, read",)
    bad = (
        Bad("from transformers import BitsAndBytesConfig\n\nq = BitsAndBytesConfig(load_in_4bit=True)\n"),
        Bad("model = Net.from_pretrained(name, load_in_8bit=True, device_map='auto')\n", id="old-name"),
    )
    good = (
        Good("model = Net.from_pretrained(name, load_in_8bit=False)\n", "switched off"),
        Good("model = Net.from_pretrained(name, load_in_4bit=args.load_in_4bit)\n", "not known"),
        Good("def f(load_in_4bit=True):\n    return load_in_4bit\n", "a parameter"),
        Good("# load_in_4bit=True\n'load_in_8bit=True'\n", "prose"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        for name in ("load_in_4bit", "load_in_8bit"):
            found = keyword(node, name)
            if found is not None and is_true(found):
                ctx.report(
                    self,
                    found,
                    f"`{name}=True` quantises with bitsandbytes, which some devices have no kernels for",
                    symbol="BitsAndBytesConfig(load_in_4bit=True)",
                )
                return


_OPTIMIZERS = ('TrainingArguments(optim="adamw_bnb_8bit")', 'TrainingArguments(optim="adamw_apex_fused")')
# Every text that falls under them has one of these.
_OPTIMIZER_WORDS = (
    "adamw_bnb", "adamw_8bit", "paged_adamw", "paged_lion", "paged_ademamix", "lion_8bit", "lion_32bit", "rmsprop_bnb",
    "ademamix_8bit", "adamw_apex_fused",
)  # fmt: skip


class TrainingArgumentsTie(Rule):
    """Arguments of TrainingArguments that only CUDA can follow, or that are named after it.

    `no_cuda=True` is gone in transformers 5 (`use_cpu=True` says it), `tf32=True` raises where TF32 isn't, the
    optimizers of bitsandbytes and apex want their kernels.
    """

    code = "UC604"
    name = "training-arguments"
    triggers = (
        "no_cuda",
        "tf32=True & import transformers|trl",
        "tf32 = True & import transformers|trl",
        *_OPTIMIZER_WORDS,
    )
    category = Category.OPTIONAL
    effort = 1
    fix_safety = "Unsafe: `use_cpu` came with transformers 4.34; older releases know `no_cuda` only."
    sources = ("transformers 4.57.6 and 5.24.0, read",)
    bad = (
        Bad(
            "from transformers import TrainingArguments\n\nargs = TrainingArguments('out', no_cuda=True)\n",
            "from transformers import TrainingArguments\n\nargs = TrainingArguments('out', use_cpu=True)\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "from transformers import Seq2SeqTrainingArguments as Args\n\n"
            "args = Args('out', tf32=True, optim='paged_adamw_8bit')\n",
            None,
            count=2,
            id="tf32",
        ),
        Bad("from trl import SFTConfig\n\nargs = SFTConfig(optim='adamw_apex_fused')\n", None, id="trl"),
    )
    good = (
        Good("from transformers import TrainingArguments\n\nargs = TrainingArguments('out', tf32=False)\n"),
        Good("args = parse(no_cuda=True)\n", "another function"),
        Good("from transformers import TrainingArguments\n\nTrainingArguments('out', optim='adamw_torch')\n"),
        Good("from transformers import TrainingArguments\n\nTrainingArguments('out', no_cuda=args.no_cuda or x)\n", "not known"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func) or ""
        if not full.startswith(("transformers.", "trl.")) or not full.endswith(("Arguments", "Config")):
            return
        old = keyword(node, "no_cuda")
        if old is not None and is_true(old):
            ctx.report(
                self,
                old,
                "`no_cuda` is gone in transformers 5",
                symbol="TrainingArguments(no_cuda=True)",
                fix=lambda fix: _rename(fix, old, "use_cpu"),
                title="Say use_cpu",
            )
        exact = keyword(node, "tf32")
        if exact is not None and is_true(exact):
            ctx.report(
                self, exact, "`tf32=True` raises where TF32 isn't", symbol="TrainingArguments(tf32=True)"
            )
        optimizer = keyword(node, "optim")
        name = string_value(optimizer.value) if optimizer is not None else None
        symbol = given_to(_OPTIMIZERS, "optim", name)
        if optimizer is not None and symbol is not None:
            ctx.report(
                self,
                optimizer.value,
                f'the optimizer "{name}" wants kernels that are built for CUDA',
                symbol=symbol,
            )


def _rename(fix: FixBuilder, old: cst.Arg, name: str, value: str | None = None) -> None:
    """Another name for a keyword argument, and another value."""
    fix.unsafe()
    assert old.keyword is not None
    fix.replace(old.keyword, name)
    if value is not None:
        fix.replace(old.value, value)


class XformersSwitch(Rule):
    """`enable_xformers_memory_efficient_attention()` raises where xformers isn't, and where there is no CUDA.

    diffusers takes torch's own attention by itself, which is as lean on memory. The call can go.
    """

    code = "UC605"
    name = "xformers-switch"
    triggers = (".enable_xformers_memory_efficient_attention",)
    reads_words = False
    effort = 1
    fix_safety = (
        "Unsafe: with CUDA the model takes another kernel: other rounding, and another need of memory."
    )
    sources = ("diffusers 0.42.1, read",)
    bad = (
        Bad(
            "def make(pipe):\n    pipe.enable_xformers_memory_efficient_attention()\n    return pipe\n",
            "def make(pipe):\n    return pipe\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "if is_xformers_available():\n    unet.enable_xformers_memory_efficient_attention()\n",
            None,
            id="asked",
        ),
    )
    good = (
        Good("pipe.disable_xformers_memory_efficient_attention()\n", "switched off"),
        Good("def enable_xformers_memory_efficient_attention(self):\n    pass\n", "a definition"),
        Good("class P:\n    def enable_xformers_memory_efficient_attention(self, op=None):\n"
             "        self.unet.enable_xformers_memory_efficient_attention(op)\n", "hands the wish on"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        func = node.func
        name = "enable_xformers_memory_efficient_attention"
        if not isinstance(func, cst.Attribute) or func.attr.value != name:
            return
        if any(isinstance(n, cst.FunctionDef) and "xformers" in n.name.value for n in ctx.ancestors):
            return
        line = ctx.statement
        suite = ctx.ancestors[ctx.ancestors.index(line) - 1] if line in ctx.ancestors else None
        alone = (
            isinstance(line, cst.SimpleStatementLine)
            and len(line.body) == 1
            and isinstance(line.body[0], cst.Expr)
            and line.body[0].value is node
            and isinstance(suite, (cst.IndentedBlock, cst.Module))
            and len(suite.body) > 1
        )

        def fix(builder: FixBuilder) -> None:
            builder.unsafe()
            assert line is not None
            builder.remove(line)

        ctx.report(
            self,
            node,
            "xformers is built for CUDA",
            symbol="enable_xformers_memory_efficient_attention()",
            fix=fix if alone else None,
            title="Leave torch's own attention on",
        )


class PipelineDeviceIndex(Rule):
    """`pipeline(…, device=0)` means the first CUDA device to older transformers.

    Since transformers 5 a number is an index of whichever accelerator is there, and no argument at all picks the
    first one. Older releases look for CUDA first and fall back to the CPU without a word.
    """

    code = "UC606"
    name = "pipeline-device-index"
    triggers = (r"\bpipeline( & import transformers",)
    reads_words = False
    category = Category.POTENTIAL
    effort = 1
    sources = ("transformers 5.24.0, read",)
    bad = (
        Bad("from transformers import pipeline\n\nask = pipeline('text-generation', model=name, device=0)\n"),
        Bad("import transformers\n\nask = transformers.pipeline('ner', device=1)\n", id="module"),
    )
    good = (
        Good("from transformers import pipeline\n\nask = pipeline('ner', device=-1)\n", "the CPU"),
        Good("from transformers import pipeline\n\nask = pipeline('ner', device=device)\n"),
        Good("from mylib import pipeline\n\nask = pipeline('ner', device=0)\n", "another function"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not called(node, ("pipeline",)) or ctx.qualified(node.func) != "transformers.pipeline":
            return
        given = keyword(node, "device")
        if given is not None and isinstance(given.value, cst.Integer):
            ctx.report(
                self,
                given.value,
                "a number is a CUDA device to transformers before 5",
                symbol="pipeline(device=0)",
            )


__all__ = [
    "BitsAndBytesQuantization",
    "CudaDeviceMap",
    "FlashAttentionChoice",
    "PipelineDeviceIndex",
    "TrainingArgumentsTie",
    "XformersSwitch",
]
