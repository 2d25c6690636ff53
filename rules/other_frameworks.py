"""TensorFlow and JAX device names, and switches of other libraries that ask for a GPU."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.guards import Guard
from uncuda.literals import argument, string_value
from uncuda.rules._arguments import keyword
from uncuda.rules._calls import is_read, last_word
from uncuda.rules._spelled import given_to, named
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule

_TF_GPU = re.compile(r"/?(?:(?:job|replica|task):[^/]*/)*(?:device:)?gpu:(?:\d+|\*)\Z", re.I)
_TF_QUESTIONS = ("tf.test.is_built_with_cuda()", "tf.test.is_gpu_available()")


class TensorflowGpu(Rule):
    """`tf.device("/GPU:0")` runs on the CPU of a host without such a device, without a word.

    Soft placement, which is the default, moves the block, in a graph too; without it, it raises.
    `tf.test.is_built_with_cuda()` is False on every other build. `tf.config.list_physical_devices()` says what is there.
    """

    code = "UC630"
    name = "tensorflow-gpu"
    triggers = tuple(
        f"{word} & import tensorflow" for word in ("GPU:", "gpu:", "is_built_with_cuda", "is_gpu_available")
    )
    category = Category.OPTIONAL
    effort = 1
    sources = ("knowledge base: frameworks",)
    bad = (
        Bad("import tensorflow as tf\n\nwith tf.device('/GPU:0'):\n    y = f(x)\n"),
        Bad("import tensorflow as tf\n\nwith tf.device('/device:gpu:1'):\n    y = f(x)\n", id="device"),
        Bad("import tensorflow as tf\n\nif tf.test.is_built_with_cuda() and tf.test.is_gpu_available():\n    f()\n",
            count=2, id="questions"),
    )  # fmt: skip
    good = (
        Good("import tensorflow as tf\n\nwith tf.device('/CPU:0'):\n    y = f(x)\n"),
        Good("import tensorflow as tf\n\ngpus = tf.config.list_physical_devices('GPU')\n"),
        Good("with env.device('/GPU:0'):\n    pass\n", "not TensorFlow"),
        Good("print('GPU: none')\n", "prose"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func)
        if full == "tensorflow.device":
            given = argument(node, "device_name", 0)
            text = string_value(given.value) if given is not None else None
            if given is not None and text is not None and _TF_GPU.match(text):
                ctx.report(
                    self,
                    given.value,
                    f'"{text}" runs on the CPU where there is no such device',
                    symbol='tf.device("/GPU:0")',
                )
        elif full is not None and full.startswith("tensorflow.test."):
            symbol = named(_TF_QUESTIONS).get(full)
            if symbol is not None:
                ctx.report(self, node, f"`{symbol}` asks for one vendor", symbol=symbol)


_JAX_PLATFORMS = ('jax.devices("gpu")', 'jax.devices("cuda")')


class JaxGpuBackend(Rule):
    """`jax.devices("gpu")` raises where there is no such platform.

    Without an argument the functions speak of the default platform, which is the accelerator that is there. "cuda"
    fails even on ROCm, whose platform is called rocm.
    """

    code = "UC631"
    name = "jax-gpu-backend"
    triggers = (r"\bcuda\b", "'gpu' & import jax", '"gpu" & import jax')
    effort = 1
    fix_safety = "Unsafe: where JAX_PLATFORMS or a plug-in changes the default platform, the devices are those of that one."
    sources = ("knowledge base: frameworks",)
    bad = (
        Bad("import jax\n\nd = jax.devices('gpu')[0]\n", "import jax\n\nd = jax.devices()[0]\n", Applicability.UNSAFE),
        Bad("import jax\n\nn = jax.local_device_count(backend='cuda')\n", "import jax\n\nn = jax.local_device_count()\n",
            Applicability.UNSAFE, id="keyword"),
        Bad("import jax\n\njax.config.update('jax_platform_name', 'gpu')\n", None, id="config"),
        Bad("import jax\n\ntry:\n    print(jax.devices('gpu'))\nexcept RuntimeError:\n    print('none')\n", None, id="tried"),
    )  # fmt: skip
    good = (
        Good("import jax\n\nd = jax.devices()[0]\n"),
        Good("import jax\n\nd = jax.devices('cpu')\n"),
        Good("pool.devices('gpu')\n", "not jax"),
        Good(
            "import jax\n\ntry:\n    print(jax.devices('tpu'))\nexcept RuntimeError:\n    print('none')  # cuda\n"
        ),
        Good("import jax\n\nif jax.default_backend() == 'gpu':\n    pass\n", "a comparison"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func)
        if full is None or not full.startswith("jax."):
            return
        if full in named(_JAX_PLATFORMS):
            given = argument(node, "backend", 0)
            text = string_value(given.value) if given is not None else None
            symbol = given_to(_JAX_PLATFORMS, "backend", text)
            if symbol is not None:
                ctx.report(
                    self,
                    node,
                    f'`{full}("{text}")` raises where there is no such platform',
                    symbol=symbol,
                    fix=lambda fix: _no_argument(fix, node),
                    title="Ask the default platform",
                )
        elif full == "jax.config.update" and len(node.args) == 2:
            key, value = (string_value(a.value) for a in node.args)
            symbol = given_to(_JAX_PLATFORMS, "backend", value)
            if key in ("jax_platform_name", "jax_platforms") and symbol is not None:
                ctx.report(self, node, f'the platform is set to "{value}"', symbol=symbol)


def _no_argument(fix: FixBuilder, node: cst.Call) -> None:
    fix.unsafe()
    if len(node.args) != 1:
        raise CannotFix("there are other arguments")
    if fix.ctx.guard(node) is Guard.TRY:
        raise CannotFix("it is asked whether there is one")
    fix.arguments(node, "")


class RayGpus(Rule):
    """`num_gpus=1` asks Ray for a resource that only hosts of NVIDIA, AMD, Intel and Apple offer.

    On Ascend the resource is called NPU, on Gaudi HPU, on TPU TPU: the task or actor is never scheduled there, and the
    program waits for ever without an error. Name the resource in the settings: `resources={"NPU": 1}`.
    """

    code = "UC632"
    name = "ray-gpus"
    triggers = ("num_gpus & import ray", "use_gpu & import ray", "get_gpu_ids & import ray")
    effort = 3
    sources = ("knowledge base: frameworks",)
    bad = (
        Bad("import ray\n\n\n@ray.remote(num_gpus=1)\nclass Worker:\n    pass\n"),
        Bad("import ray\n\nw = Worker.options(num_cpus=1, num_gpus=0.5).remote()\n", id="options"),
        Bad(
            "from ray.train import ScalingConfig\n\nc = ScalingConfig(num_workers=2, use_gpu=True)\n",
            id="scaling",
        ),
        Bad("import ray\n\nids = ray.get_gpu_ids()\n", id="ids"),
    )
    good = (
        Good("import ray\n\n\n@ray.remote(num_gpus=0)\nclass Worker:\n    pass\n", "asks for none"),
        Good("run(num_gpus=1)\n", "not Ray"),
        Good(
            "import ray\n\nw = Worker.options(num_gpus=n, resources={'NPU': m}).remote()\n",
            "names the others too",
        ),
        Good("def f(num_gpus=1, use_gpu=True):\n    return num_gpus\n", "parameters"),
        Good("from ray.train import ScalingConfig\n\nc = ScalingConfig(use_gpu=False)\n"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func) or ""
        word = last_word(node.func)
        if full == "ray.get_gpu_ids":
            ctx.report(self, node, "an empty list where Ray has no GPU resource", symbol="ray.get_gpu_ids()")
        elif full.startswith("ray.") and word == "ScalingConfig":
            found = keyword(node, "use_gpu")
            if found is not None and isinstance(found.value, cst.Name) and found.value.value == "True":
                self._tell(found, "ScalingConfig(use_gpu=True)", ctx)
        elif full == "ray.remote" or (word == "options" and _remote(ctx)):
            found = keyword(node, "num_gpus")
            zero = found is not None and isinstance(found.value, cst.Integer) and found.value.value == "0"
            if found is not None and not zero and keyword(node, "resources") is None:
                self._tell(found, "ray.remote(num_gpus=1)", ctx)

    def _tell(self, arg: cst.Arg, symbol: str, ctx: Context) -> None:
        ctx.report(
            self,
            arg,
            "waits for ever where Ray's resource isn't called GPU (Ascend, Gaudi, TPU)",
            symbol=symbol,
        )


def _remote(ctx: Context) -> bool:
    """Is `X.options(…)` at hand followed by `.remote`, as with Ray?"""
    return isinstance(ctx.parent, cst.Attribute) and ctx.parent.attr.value == "remote"


_SWITCHES = (
    'catboost(task_type="GPU")',
    "decord.gpu(0)",
    "faiss.StandardGpuResources()",
    'lightgbm(device="gpu")',
    'mindspore.set_context(device_target="GPU")',
    'mitsuba.set_variant("cuda_ad_rgb")',
    "mxnet.gpu()",
    'open3d.core.Device("CUDA:0")',
    'openmm.Platform.getPlatformByName("CUDA")',
    'paddle.set_device("gpu")',
    "spacy.require_gpu()",
    'WhisperModel(device="cuda")',
    'xgboost(device="cuda")',
    'xgboost(predictor="gpu_predictor")',
    'xgboost(tree_method="gpu_hist")',
)
_CHOOSES = 'WhisperModel(device="cuda")'
"""Where "auto" is what "cuda" is on a CUDA host."""
_FLAGS = ("jittor.flags.use_cuda", "taichi.init(arch=taichi.cuda)")


@cache
def _by_package() -> Mapping[str, tuple[str, ...]]:
    """The entries of each library, any call of which may be told to use a GPU."""
    from uncuda.rules.knowledge import spelled

    owners = {package for symbol in _SWITCHES for package in spelled(symbol).packages}
    return {owner: tuple(s for s in _SWITCHES if owner in spelled(s).packages) for owner in owners}


class GpuSwitch(Rule):
    """A library that is told to use a GPU, which to it is CUDA.

    XGBoost, LightGBM, CatBoost, faiss, spaCy, PaddlePaddle, MindSpore, MXNet, Jittor, Taichi, Mitsuba, Open3D, OpenMM,
    decord and CTranslate2 (faster-whisper) raise, or fall back to the CPU, where their build or the host has none. Take
    the choice from settings, or ask before. CTranslate2 knows no other accelerators: `"auto"` is CUDA or the CPU.
    """

    code = "UC633"
    name = "gpu-switch"
    triggers = (
        r"\bcuda\b",
        *(
            f"{word} & import xgboost|lightgbm|catboost|faiss|spacy|paddle|decord|mxnet|mindspore"
            for word in ("gpu", "GPU", "Gpu")
        ),
        "CUDA & import open3d|openmm|simtk",
        "cuda & import mitsuba|jittor|taichi",
    )
    effort = 1
    priority = 40
    fix_safety = (
        "Unsafe: `spacy.prefer_gpu()` goes on without a GPU, where `require_gpu()` stopped the program; so does CTranslate2 "
        "when told `auto`."
    )
    sources = ("knowledge base: frameworks",)
    bad = (
        Bad("import xgboost as xgb\n\nm = xgb.XGBClassifier(tree_method='gpu_hist', device='cuda')\n", None, count=2),
        Bad("from catboost import CatBoostClassifier\n\nm = CatBoostClassifier(task_type='GPU')\n", None, id="catboost"),
        Bad("import faiss\n\nindex = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)\n", None, count=2, id="faiss"),
        Bad("import spacy\n\nspacy.require_gpu()\n", "import spacy\n\nspacy.prefer_gpu()\n", Applicability.UNSAFE, id="spacy"),
        Bad("import paddle\n\npaddle.set_device('gpu:0')\n", None, id="paddle"),
        Bad("import lightgbm as lgb\n\nm = lgb.LGBMRegressor(device_type='gpu')\n", None, id="lightgbm"),
        Bad("import decord\n\nr = decord.VideoReader(path, ctx=decord.gpu(0))\n", None, id="decord"),
        Bad("import mitsuba as mi\n\nmi.set_variant('cuda_ad_rgb')\n", None, id="mitsuba"),
        Bad("import open3d as o3d\n\nd = o3d.core.Device('CUDA:0')\n", None, id="open3d"),
        Bad("import openmm as mm\n\np = mm.Platform.getPlatformByName('CUDA')\n", None, id="openmm"),
        Bad("import mindspore as ms\n\nms.set_context(device_target='GPU')\n", None, id="mindspore"),
        Bad("import mxnet as mx\n\nctx = mx.gpu(0)\n", None, id="mxnet"),
        Bad("import jittor as jt\n\njt.flags.use_cuda = 1\n", None, id="jittor"),
        Bad("import taichi as ti\n\nti.init(arch=ti.cuda)\n", None, id="taichi"),
        Bad("from faster_whisper import WhisperModel\n\nm = WhisperModel('small', device='cuda')\n",
            "from faster_whisper import WhisperModel\n\nm = WhisperModel('small', device='auto')\n",
            Applicability.UNSAFE, id="ctranslate2"),
    )  # fmt: skip
    good = (
        Good("import xgboost as xgb\n\nm = xgb.XGBClassifier(tree_method='hist')\n"),
        Good("import catboost\n\nm = catboost.CatBoostClassifier(task_type='CPU')\n"),
        Good("import faiss\n\nif hasattr(faiss, 'StandardGpuResources'):\n    res = faiss.StandardGpuResources()\n", "asked before"),
        Good("import spacy\n\nspacy.prefer_gpu()\n"),
        Good("import paddle\n\npaddle.set_device('cpu')\n"),
        Good("queue.require_gpu()\n", "not spaCy"),
        Good("import decord\n\nr = decord.VideoReader(path, ctx=decord.cpu(0))\n"),
        Good("import mitsuba as mi\n\nmi.set_variant('llvm_ad_rgb')  # not cuda\n"),
        Good("import open3d as o3d\n\nd = o3d.core.Device('CPU:0')  # CUDA\n"),
        Good("import openmm as mm\n\np = mm.Platform.getPlatformByName('OpenCL')  # not CUDA\n"),
        Good("import mindspore as ms\n\nms.set_context(device_target='Ascend')  # not GPU\n"),
        Good("import jittor as jt\n\njt.flags.use_cuda = 0\nprint(jt.flags.use_cuda)\n", "switched off, and read"),
        Good("import taichi as ti\n\nti.init(arch=ti.gpu)  # cuda, metal or vulkan\n", "whichever there is"),
        Good("import taichi as ti\n\nti.init(arch=ti.cpu)  # cuda\n"),
        Good("import ctranslate2\n\nt = ctranslate2.Translator(path, device='auto')  # cuda\n", "CUDA or the CPU"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func)
        if full is None:
            return
        from uncuda.rules.knowledge import spelled

        symbol = named(_SWITCHES).get(full)
        if symbol is not None and spelled(symbol).arguments:
            for name in spelled(symbol).arguments:
                given = argument(node, name, 0)
                text = string_value(given.value) if given is not None else None
                if given is not None and text is not None and spelled(symbol).takes(name, text):
                    message = f'"{text}" is CUDA to {full.partition(".")[0]}'
                    ctx.report(self, given.value, message, symbol=symbol)
            return
        if symbol is not None:
            if not _asked(node, ctx):
                ctx.report(
                    self,
                    node,
                    f"`{full}` is there in a build for CUDA only",
                    symbol=symbol,
                    fix=(lambda fix: _prefer(fix, node)) if full == "spacy.require_gpu" else None,
                    title="Use a GPU where there is one",
                )
            return
        for symbol in _by_package().get(full.partition(".")[0], ()):
            for name in spelled(symbol).arguments:
                given = keyword(node, name)
                text = string_value(given.value) if given is not None else None
                if given is not None and text is not None and spelled(symbol).takes(name, text):
                    self._switch(given.value, name, text, symbol, ctx)

    def _switch(self, node: cst.BaseExpression, name: str, text: str, symbol: str, ctx: Context) -> None:
        ctx.report(
            self,
            node,
            f'`{name}="{text}"` asks for CUDA',
            symbol=symbol,
            fix=(lambda fix: _auto(fix, node)) if symbol == _CHOOSES else None,
            title="Let the library choose",
        )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value == "cuda" and isinstance(ctx.parent, cst.Arg) and not ctx.is_claimed(node):
            self._flag(node, ctx)

    def visit_Assign(self, node: cst.Assign, ctx: Context) -> None:
        off = isinstance(node.value, (cst.Integer, cst.Name)) and node.value.value in ("0", "False")
        for target in node.targets:
            if (
                isinstance(target.target, cst.Attribute)
                and target.target.attr.value == "use_cuda"
                and not off
            ):
                self._flag(target.target, ctx)

    def _flag(self, node: cst.Attribute, ctx: Context) -> None:
        full = ctx.qualified(node) or ""
        symbol = named(_FLAGS).get(full)
        if symbol is not None:
            ctx.report(self, node, f"`{full}` is for CUDA alone", symbol=symbol)


def _asked(node: cst.Call, ctx: Context) -> bool:
    """Is the call under `hasattr` of the same library?"""
    for above in ctx.ancestors:
        if isinstance(above, (cst.If, cst.IfExp)) and "hasattr" in ctx.code(above.test):
            return is_read(node, ctx)
    return False


def _auto(fix: FixBuilder, value: cst.BaseExpression) -> None:
    fix.unsafe()
    assert isinstance(value, cst.SimpleString)
    fix.replace(value, f"{value.quote}auto{value.quote}")


def _prefer(fix: FixBuilder, node: cst.Call) -> None:
    fix.unsafe()
    if isinstance(node.func, cst.Attribute):
        fix.replace(node.func.attr, "prefer_gpu")
    else:
        raise CannotFix("the function is imported by name")


_DEEPSPEED = ("deepspeed.ops.adam.FusedAdam", "deepspeed.ops.lamb.FusedLamb", "DeepSpeed op builder")


class DeepspeedKernels(Rule):
    """DeepSpeed's fused optimizers are built for the accelerators that it has an op builder for.

    `FusedAdam` has builders for CUDA, ROCm, Intel, Ascend, Gaudi, Cambricon, MPS and the CPU; FusedLamb, FusedLion and
    the one-bit optimizers for fewer. `torch.optim.AdamW` needs none.
    """

    code = "UC611"
    name = "deepspeed-kernels"
    triggers = (
        r"\bFusedAdam\b",
        r"\bFusedLamb\b",
        r"\bFusedLion\b",
        r"\bOnebitAdam\b",
        r"\bOnebitLamb\b",
        r"\bZeroOneAdam\b",
        r"\bDS4Sci_EvoformerAttention\b",
    )
    category = Category.POTENTIAL
    effort = 3
    sources = ("deepspeed 0.19.8, op_builder, read",)
    bad = (
        Bad("from deepspeed.ops.adam import FusedAdam\n\nopt = FusedAdam(params)\n"),
        Bad("import deepspeed\n\nopt = deepspeed.ops.lamb.FusedLamb(params)\n", id="lamb"),
        Bad(
            "from deepspeed.ops.deepspeed4science import DS4Sci_EvoformerAttention\n\ny = DS4Sci_EvoformerAttention(q, k)\n",
            id="evoformer",
        ),
    )
    good = (
        Good("from mylib import FusedAdam\n\nopt = FusedAdam(params)\n", "another package"),
        Good(
            "from deepspeed.ops.adam import DeepSpeedCPUAdam\n\nopt = DeepSpeedCPUAdam(params)\n", "the CPU's"
        ),
        Good("# FusedAdam\nnames = ['FusedAdam']\n", "prose"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        full = ctx.qualified(node.func)
        if full is None or not full.startswith("deepspeed."):
            return
        word = last_word(node.func)
        symbol = named(_DEEPSPEED).get(word)
        if symbol is None:
            return
        ctx.report(
            self,
            node.func,
            f"`{word}` is a kernel that DeepSpeed builds for some accelerators only",
            symbol=symbol,
        )
