"""Settings that name a device or a back end, in files and on command lines."""

from __future__ import annotations

import re

from uncuda.around.context import FileContext
from uncuda.around.items import Setting
from uncuda.rules._spelled import given_to
from uncuda.rules.base import Bad, Category, FileRule, Good

_DEVICE = re.compile(
    r"(?:.*_)?(?:device|dev)(?:s|_type|_name|_str|_string|_id)?\Z|map_location\Z|(?:.*_)?device_map\Z"
)
_CUDA = re.compile(r"(?:torch\.device\([\"']?)?cuda(?::(?:\d+|\$\{?\w+\}?))?[\"')]*\Z")
_SWITCH = re.compile(r"(?:use|enable|with)_cuda\Z")
_BACKEND = re.compile(r"(?:.*_)?backend(?:_name)?\Z")
_NCCL = re.compile(r"(?:cpu:gloo,)?(?:cuda:)?nccl(?:,cpu:gloo)?\Z")
_ACCELERATOR = re.compile(r"(?:.*_)?accelerators?(?:_type)?\Z")
_ACCELERATORS = ('Trainer(accelerator="gpu")', 'Trainer(accelerator="cuda")')
_FLASH = (
    'from_pretrained(attn_implementation="flash_attention_2")',
    'from_pretrained(attn_implementation="flash_attention_3")',
)
_ATTENTION = re.compile(r"_?(?:.*_)?attn_impl(?:ementation)?\Z|_?attention_implementation\Z")


def _written(item: Setting) -> str:
    """The setting as it is written."""
    if item.argument:
        return (
            f"--{item.keys[-1]} {item.value}"
            if len(item.keys) == 1
            else f"{'.'.join(item.keys)}={item.value}"
        )
    return f"{item.keys[-1]}: {item.value}"


def _report(rule: FileRule, item: Setting, ctx: FileContext, symbol: str, advice: str) -> None:
    from uncuda.rules.knowledge import outcomes

    ctx.report(
        rule,
        item,
        f"`{_written(item)}` {advice}",
        symbol=symbol,
        outcomes=outcomes(symbol),
        category=rule.category,
    )


class DeviceSetting(FileRule):
    """A setting names `cuda` as the device, so that the program asks for CUDA wherever it runs.

    Whoever runs it elsewhere has to find and change the line. Leave the setting out, or give it a value that the
    program resolves (`auto`), and let the code choose the accelerator that is there. Only settings whose name says
    that they hold a device are looked at; a list that names other devices too is a choice.
    """

    code = "UC831"
    name = "device-setting"
    triggers = ("cuda",)
    category = Category.MANDATORY
    effort = 1
    sources = ('knowledge base: torch.device("cuda")',)
    bad = (
        Bad("train:\n  device: cuda\n  lr: 0.1\n", file="config.yaml"),
        Bad("MODEL:\n  DEVICE: 'cuda:0'\n", file="configs/base.yml", id="index"),
        Bad('{"model": {"device": "cuda", "dim": 3}}\n', file="config.json", id="json"),
        Bad('[train]\ndevice = "cuda"\n', file="settings.toml", id="toml"),
        Bad("[train]\ndevice = cuda\n", file="train.cfg", id="ini"),
        Bad("python train.py --device cuda --lr 0.1\npython eval.py model.device=cuda:0\n", file="run.sh", count=2, id="arguments"),
        Bad("models:\n  - name: a\n    torch_device: cuda\n", file="a.yaml", id="prefix"),
        Bad("args:\n  device:\n    default: cuda\n    help: where it runs\n", file="schema.yaml", id="default"),
        Bad("defaults:\n  devices: [cuda:0, cuda:1]\n", file="config.yaml", count=2, id="list"),
        Bad('{"model": "x", "use_cuda": true}\n', file="conf.json", id="switch"),
        Bad("device: cuda\n", file="deploy/values.yaml.j2", id="template"),
    )  # fmt: skip
    good = (
        Good("device: auto\n", "resolved by the program", file="config.yaml"),
        Good("device: npu\n", "another vendor's", file="config.yaml"),
        Good("# device: cuda\ncudnn: cuda\n", "a comment, another setting", file="config.yaml"),
        Good("description: 'device: cuda'\nname: cuda\n", "text", file="config.yaml"),
        Good("strategy:\n  matrix:\n    device: [cpu, cuda]\n", "a choice", file="ci.yml"),
        Good("device:\n  enum: [cpu, cuda]\n  choices: [cuda]\n", "what may be chosen", file="schema.yaml"),
        Good('{"deviceName": "cuda drawer"}\n', "text", file="config.json"),
        Good("labels:\n  - cuda\n", "a label", file="config.yaml"),
        Good("echo --device cuda\ndocker run --device cuda image\n", "text, a device file", file="run.sh"),
        Good("device = cpu\n", file="train.cfg"),
        Good(
            "strategy:\n  matrix:\n    include:\n      - device: cuda\n      - device: npu\n",
            "a table for each device",
            file="ci.yml",
        ),
        Good(
            "use_cuda: false\nprofiler:\n  cuda: true\n",
            "switched off; what a profiler records",
            file="config.yaml",
        ),
    )  # fmt: skip

    def visit_Setting(self, item: Setting, ctx: FileContext) -> None:
        named = _DEVICE.match(item.key) and _CUDA.match(item.value)
        switched = _SWITCH.match(item.key) and item.value.lower() in ("true", "1", "yes", "on")
        if item.key and (named or switched):
            _report(self, item, ctx, 'torch.device("cuda")', "asks for CUDA wherever the program runs")


class BackendSetting(FileRule):
    """A setting names `nccl` as the back end of the process group, which CUDA builds alone have.

    Elsewhere the group isn't made. Leave it out: from torch 2.6 on `init_process_group` picks the back end of the
    device (hccl, xccl, gloo, …).
    """

    code = "UC832"
    name = "backend-setting"
    triggers = ("nccl",)
    category = Category.MANDATORY
    effort = 1
    sources = ('knowledge base: torch.distributed.init_process_group(backend="nccl")',)
    bad = (
        Bad("distributed:\n  backend: nccl\n", file="config.yaml"),
        Bad('{"dist_backend": "nccl"}\n', file="train_config.json", id="json"),
        Bad("torchrun train.py --dist-backend nccl\n", file="run.sh", id="argument"),
        Bad('{"communication_backend_name": "nccl"}\n', file="ds_config.json", id="deepspeed"),
    )
    good = (
        Good("distributed:\n  backend: gloo\n", file="config.yaml"),
        Good("# backend: nccl\nbackend: inductor\n", "a comment, another back end", file="config.yaml"),
        Good("matrix:\n  backend: [nccl, gloo]\n", "a choice", file="ci.yml"),
        Good("comment: uses nccl\n", "text", file="config.yaml"),
    )

    def visit_Setting(self, item: Setting, ctx: FileContext) -> None:
        if item.key and _BACKEND.match(item.key) and _NCCL.match(item.value.lower()):
            symbol = 'torch.distributed.init_process_group(backend="nccl")'
            _report(self, item, ctx, symbol, "needs CUDA; without it torch takes the back end of the device")


class AcceleratorSetting(FileRule):
    """A setting asks a framework for a GPU: `accelerator: gpu` means CUDA or MPS to Lightning, and raises elsewhere.

    `auto` takes what is there. What a notebook's metadata says is for the service that hosts it, and no tie.
    """

    code = "UC833"
    name = "accelerator-setting"
    triggers = ("accelerator",)
    category = Category.MANDATORY
    effort = 1
    sources = ('knowledge base: Trainer(accelerator="gpu")',)
    bad = (
        Bad("trainer:\n  accelerator: gpu\n  devices: 2\n", file="config.yaml"),
        Bad("accelerator: 'cuda'\n", file="conf/trainer/ddp.yaml", id="cuda"),
        Bad("python train.py trainer.accelerator=gpu\nlitgpt train --accelerator gpu\n", file="run.sh", count=2, id="arguments"),
    )  # fmt: skip
    good = (
        Good("trainer:\n  accelerator: auto\n", file="config.yaml"),
        Good("accelerator: cpu\n# accelerator: gpu\n", "the CPU, a comment", file="config.yaml"),
        Good("keyboard:\n  accelerator: ctrl+g\n", "another meaning", file="config.yaml"),
        Good(
            '{"cells": [], "metadata": {"accelerator": "GPU"}, "nbformat": 4, "nbformat_minor": 0}',
            "what a host starts it on",
            file="a.ipynb",
        ),
    )

    def visit_Setting(self, item: Setting, ctx: FileContext) -> None:
        value = item.value.lower()
        symbol = given_to(_ACCELERATORS, "accelerator", value)
        if item.key and _ACCELERATOR.match(item.key) and symbol is not None:
            _report(self, item, ctx, symbol, "raises on most accelerators; advice: auto")


class AttentionSetting(FileRule):
    """A setting asks transformers for FlashAttention, which most devices have no kernel for.

    Without the package and its device loading the model raises. `sdpa` runs everywhere, and picks the fastest kernel
    that is there; UC601 says the same of Python.
    """

    code = "UC834"
    name = "attention-setting"
    triggers = ("flash_attention", "flash_attn")
    category = Category.MANDATORY
    effort = 1
    sources = ('knowledge base: from_pretrained(attn_implementation="flash_attention_2")',)
    bad = (
        Bad("model:\n  attn_implementation: flash_attention_2\n", file="config.yaml"),
        Bad('{"_attn_implementation": "flash_attention_2"}\n', file="config.json", id="json"),
        Bad("python sft.py --attn_implementation flash_attention_2\n", file="run.sh", id="argument"),
    )
    good = (
        Good("model:\n  attn_implementation: sdpa\n", file="config.yaml"),
        Good("# attn_implementation: flash_attention_2\n", "a comment", file="config.yaml"),
        Good("flash_attention: false\n", "another setting", file="config.yaml"),
    )

    def visit_Setting(self, item: Setting, ctx: FileContext) -> None:
        symbol = given_to(_FLASH, "attn_implementation", item.value)
        if item.key and _ATTENTION.match(item.key) and symbol is not None:
            _report(self, item, ctx, symbol, "needs a kernel that most devices lack; advice: sdpa")
