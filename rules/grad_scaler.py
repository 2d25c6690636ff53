"""Loss scaling for CUDA: `torch.cuda.amp.GradScaler`, and `torch.amp.GradScaler` without a device."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.arguments import change_arguments
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import argument
from uncuda.rules._amp import (
    DeviceType,
    Sure,
    amp_name,
    be_certain,
    by_name,
    certainty,
    enabled_off_cpu,
    is_assigned,
    may_be,
    mentioned,
    names_cuda,
)
from uncuda.rules._literals import at_import
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule

_OLD = frozenset({"torch.cuda.amp.GradScaler"})
_GENERAL = frozenset({"torch.amp.GradScaler", "torch.GradScaler"})
_SHARDED = "torch.distributed.fsdp.sharded_grad_scaler.ShardedGradScaler"
"""The first torch with torch.amp.GradScaler."""
# A class that is only named is there in every build.
_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)


class CudaGradScaler(Rule):
    """A `GradScaler` for CUDA switches itself off on every other device, with a warning.

    `torch.cuda.amp.GradScaler()` (deprecated since torch 2.4) is for CUDA; so is `torch.amp.GradScaler()` when
    it is given no device, and `ShardedGradScaler()`. Beside an autocast that is on, the loss isn't scaled any
    more and small float16 gradients become zero, without an error.

    The device is the first argument of `torch.amp.GradScaler`, so that a scale given by position moves one
    place on. On the CPU such a scaler would be on; `enabled=` keeps it off there, as it was.
    """

    code = "UC311"
    name = "cuda-grad-scaler"
    triggers = (r"\bcuda\b", "GradScaler")
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe: the same scaler with CUDA, none on the CPU. The object's class becomes torch.amp.GradScaler, the base "
        "class of the old one; annotations, and tests with isinstance, are written for it too. Unsafe where the "
        "scaler is made while a module is imported. On a Mac a scaler needs torch 2.8: before, it asks for "
        "float64 there. Not offered where `**` hides what is given, and for subclasses."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch 2.4 to 2.12, amp/grad_scaler.py and cuda/amp/grad_scaler.py: order of arguments, MPS from 2.8",
        'knowledge base: torch.cuda.amp.GradScaler, torch.amp.GradScaler("cuda"), ShardedGradScaler',
    )
    bad = (
        Bad(
            "import torch\n\n\ndef train(use_amp):\n    scaler = torch.cuda.amp.GradScaler(enabled=use_amp)\n"
            "    return scaler\n",
            f"import torch\n\n\ndef train(use_amp):\n    device = {_SELECT}\n"
            "    scaler = torch.amp.GradScaler(device.type, enabled=use_amp and "
            'device.type != "cpu")\n    return scaler\n',
            run="train(True).is_enabled(), train(True).state_dict(), train(False).is_enabled()",
        ),
        Bad(
            'import torch\n\ndevice = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n\n\n'
            "def make():\n    return torch.cuda.amp.GradScaler()\n",
            'import torch\n\ndevice = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n\n\n'
            'def make():\n    return torch.amp.GradScaler(device.type, enabled=device.type != "cpu")\n',
            run="make().is_enabled(), make().scale(torch.ones(1))",
            id="in-scope",
        ),
        Bad(
            "from torch.cuda.amp import GradScaler as Scaler\n\n\ndef make(fp16, bf16):\n"
            "    return Scaler(2.0**10, growth_interval=100, enabled=fp16 if not bf16 else False)\n",
            "import torch\n\n\ndef make(fp16, bf16):\n"
            f"    device = {_SELECT}\n"
            "    return torch.amp.GradScaler(device.type, 2.0**10, growth_interval=100, "
            'enabled=(fp16 if not bf16 else False) and device.type != "cpu")\n',
            run="make(True, False).is_enabled(), make(True, False).get_scale()",
            id="position",
        ),
        Bad(
            'import torch\n\n\ndef make():\n    return torch.amp.GradScaler(), torch.GradScaler("cuda", 1024.0)\n',
            f"import torch\n\n\ndef make():\n    device = {_SELECT}\n"
            '    return torch.amp.GradScaler(device.type, enabled=device.type != "cpu"), '
            'torch.GradScaler(device.type, 1024.0, enabled=device.type != "cpu")\n',
            count=2,
            run="[s.is_enabled() for s in make()]",
            id="general",
        ),
        Bad(
            "from torch import amp\n\n\ndef make(a, b):\n"
            '    return amp.GradScaler("cuda"), amp.GradScaler(enabled=(a or b)), amp.GradScaler(device="cuda", enabled=a)\n',
            f"import torch\nfrom torch import amp\n\n\ndef make(a, b):\n    device = {_SELECT}\n"
            '    return amp.GradScaler(device.type, enabled=device.type != "cpu"), '
            'amp.GradScaler(device.type, enabled=((a or b) and device.type != "cpu")), '
            'amp.GradScaler(device=device.type, enabled=a and device.type != "cpu")\n',
            count=3,
            run="[s.is_enabled() for s in make(True, False)]",
            id="alone-and-in-parentheses",
        ),
        Bad(
            "import torch\n\n\nclass Trainer:\n    def __init__(self, amp):\n"
            "        self.scaler = torch.cuda.amp.GradScaler(\n            init_scale=128.0,  # small\n"
            "            enabled=amp,\n        )\n",
            "import torch\n\n\nclass Trainer:\n    def __init__(self, amp):\n"
            f"        device = {_SELECT}\n"
            "        self.scaler = torch.amp.GradScaler(\n            device.type,\n"
            "            init_scale=128.0,  # small\n"
            '            enabled=amp and device.type != "cpu",\n        )\n',
            run="Trainer(True).scaler.is_enabled()",
            id="lines",
        ),
        Bad(
            "import torch\n\n\ndef make(device):\n    if torch.cuda.is_available():\n"
            "        return torch.cuda.amp.GradScaler()\n    return None\n",
            "import torch\n\n\ndef make(device):\n"
            "    if torch.cuda.is_available():\n        accelerator = torch.accelerator.current_accelerator()\n"
            "        return torch.amp.GradScaler(accelerator.type)\n    return None\n",
            run="make(None)",
            id="guarded",
        ),
        Bad(
            "import torch\n\n\ndef make(device: torch.device, amp):\n"
            "    return torch.cuda.amp.GradScaler(enabled=device.type == 'cuda' and amp)\n",
            "import torch\n\n\ndef make(device: torch.device, amp):\n"
            f"    accelerator = {_SELECT}\n"
            "    return torch.amp.GradScaler(accelerator.type, enabled=device.type == 'cuda' and amp)\n",
            run="make(torch.device('cpu'), True).is_enabled()",
            id="asked-already",
        ),
        Bad(
            "from typing import Optional\n\nimport torch\nfrom torch.cuda.amp import GradScaler\n\n\n"
            "def step(scaler: Optional[GradScaler] = None):\n"
            "    return isinstance(scaler, (torch.cuda.amp.GradScaler, int))\n",
            "from typing import Optional\n\nimport torch\n\n\n"
            "def step(scaler: Optional[torch.amp.GradScaler] = None):\n"
            "    return isinstance(scaler, (torch.amp.GradScaler, int))\n",
            count=2,
            run='step(), step(1), step(torch.amp.GradScaler("cpu", enabled=False)) in (True, False)',
            id="class",
        ),
        Bad(
            "from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler\n\n\ndef make(amp):\n"
            "    return ShardedGradScaler(enabled=amp)\n",
            "import torch\nfrom torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler\n\n\n"
            f"def make(amp):\n    device = {_SELECT}\n"
            '    return ShardedGradScaler(device=device.type, enabled=amp and device.type != "cpu")\n',
            run="make(True).is_enabled()",
            id="sharded",
        ),
        Bad(
            "import torch\n\nscaler = torch.cuda.amp.GradScaler()\n",
            f"import torch\n\ndevice = {_SELECT}\n"
            'scaler = torch.amp.GradScaler(device.type, enabled=device.type != "cpu")\n',
            Applicability.UNSAFE,
            id="top-level",
        ),
        Bad(
            "import torch\n\n\nclass Scaler(torch.cuda.amp.GradScaler):\n    pass\n\n\n"
            "def make(kwargs, scaler=torch.cuda.amp.GradScaler):\n"
            "    return torch.cuda.amp.GradScaler(**kwargs), scaler()\n",
            None,
            count=3,
            id="hidden",
        ),
        Bad(
            "import torch\n\n\ndef make(device):\n    try:\n        return torch.amp.GradScaler(device=device)\n"
            "    except (AttributeError, TypeError):\n        return torch.cuda.amp.GradScaler()\n",
            None,
            id="older-torch",
        ),
        Bad(
            "import torch\n\n\ndef make(device):\n    if hasattr(torch.amp, 'GradScaler'):\n"
            "        return torch.amp.GradScaler(device)\n    return torch.cuda.amp.GradScaler()\n",
            None,
            id="asked-for",
        ),
        Bad(
            "import torch\n\n\ndef make():\n    return torch.cuda.amp.GradScaler()\n",
            None,
            floor=(2, 5),
            id="floor",
        ),
    )
    good = (
        Good('import torch\n\nscaler = torch.amp.GradScaler("cpu")  # cuda\n', "another device"),
        Good("import torch\n\nscaler = torch.amp.GradScaler(device.type, enabled=device.type != 'cpu')\n"),
        Good("import torch\n\nscaler = torch.amp.GradScaler(device=device)\n", "a variable"),
        Good("import torch\n\nscaler = torch.amp.GradScaler(device) if use else None\n"),
        Good("scaler = GradScaler()  # cuda\n", "it may be anybody's"),
        Good("import torch\n\nscaler = torch.amp.GradScaler(**kwargs)\n", "the device may be among them"),
        Good("import torch\n\nscaler = torch.npu.amp.GradScaler()\n", "another vendor's"),
        Good("class GradScaler:\n    pass\n\n\nscaler = GradScaler()  # cuda\n", "a class of one's own"),
        Good("from fairscale.optim.grad_scaler import ShardedGradScaler\n\nscaler = ShardedGradScaler()\n", "not torch's"),
        Good("from torch.cuda.amp import GradScaler\n", "an import alone"),
        Good("from apex.amp import GradScaler\n\nGradScaler()\n", "not torch's"),
        Good("try:\n    from torch.amp import GradScaler\nexcept ImportError:\n    from torch.cuda.amp import GradScaler\n\n\n"
             "def f(kind) -> GradScaler:\n    return GradScaler(kind)\n", "the device is given"),
        Good('"""Uses torch.cuda.amp.GradScaler()."""\n', "prose"),
        Good("# torch.cuda.amp.GradScaler()\nx = 1\n", "a comment"),
        Good("def f(grad_scaler):\n    return grad_scaler.scale(1)  # cuda GradScaler\n"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = amp_name(node.func, ctx)
        kind = argument(node, "device", 0)
        if name in _OLD and not (may_be(node.func, ctx, _GENERAL) and kind is not None):
            if not is_assigned(node.func, ctx):
                self._report(node, "torch.cuda.amp.GradScaler", ctx, lambda fix: self._old(fix, node))
            return
        is_sharded = ctx.qualified(node.func) == _SHARDED
        if not is_sharded and name not in _GENERAL and name not in _OLD:
            return
        if kind is None and any(a.star for a in node.args):
            return
        if kind is not None and not names_cuda(kind.value):
            return
        symbol = _SHARDED if is_sharded else f"torch.amp.GradScaler({'' if kind is None else repr('cuda')})"
        self._report(
            node,
            symbol.replace("'", '"'),
            ctx,
            lambda fix: self._general(fix, node, kind, is_sharded),
            *([kind.value] if kind is not None else []),
        )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        self._mention(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        self._mention(node, ctx)

    def _mention(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        if mentioned(node, ctx, _OLD) is None:
            return
        if any(isinstance(above, cst.Annotation) for above in ctx.ancestors):
            if certainty(node, ctx) is Sure.YES:
                from uncuda.rules.knowledge import outcomes

                ctx.report(
                    self,
                    node,
                    "an annotation for CUDA's own `GradScaler`",
                    symbol="torch.cuda.amp.GradScaler",
                    outcomes=outcomes("x: torch.cuda.*"),
                    fix=lambda fix: self._class(fix, node),
                    title="Name the class of any device's scaler",
                )
            else:
                ctx.claim(node)
            return
        is_test = _is_class_test(ctx)
        self._report(
            node, "torch.cuda.amp.GradScaler", ctx, (lambda fix: self._class(fix, node)) if is_test else None
        )

    def _report(
        self,
        node: cst.BaseExpression,
        symbol: str,
        ctx: Context,
        fix: Callable[[FixBuilder], None] | None,
        *claims: cst.CSTNode,
    ) -> None:
        called = symbol.rpartition(".")[2] if symbol == _SHARDED else symbol
        ctx.report(
            self,
            node,
            f"`{called}` is for CUDA: it switches itself off on other devices",
            symbol=symbol,
            claims=claims,
            fix=fix,
            title="Scale on the device that is there",
        )

    # -- fixes ---------------------------------------------------------------------------------------------

    def _class(self, fix: FixBuilder, node: cst.BaseExpression) -> None:
        be_certain(fix, node)
        fix.needs("torch.amp.GradScaler")
        fix.replace(node, fix.name("torch.amp.GradScaler"))

    def _old(self, fix: FixBuilder, node: cst.Call) -> None:
        from uncuda.rules.knowledge import parameters

        known = parameters("torch.cuda.amp.GradScaler")
        given = by_name(node, known)
        be_certain(fix, node.func)
        if given is None or not set(given) <= set(known):
            raise CannotFix("not the arguments of torch.cuda.amp.GradScaler")
        fix.needs("torch.amp.GradScaler")
        fix.replace(node.func, fix.name("torch.amp.GradScaler"))
        self._write(fix, node, given.get("enabled"), None, by_keyword=False)

    def _general(self, fix: FixBuilder, node: cst.Call, kind: cst.Arg | None, by_keyword: bool) -> None:
        if any(a.star for a in node.args):
            raise CannotFix("what is given isn't known")
        be_certain(fix, node.func)
        self._write(fix, node, argument(node, "enabled", 5), kind, by_keyword=by_keyword)

    def _write(
        self,
        fix: FixBuilder,
        node: cst.Call,
        enabled: cst.Arg | None,
        device: cst.Arg | None,
        *,
        by_keyword: bool,
    ) -> None:
        if at_import(fix.ctx):
            fix.unsafe()
        switch_off = enabled.value if enabled is not None else None
        kind = DeviceType(fix, switch_off)
        switch = enabled_off_cpu(fix, node, switch_off, kind)
        instead: dict[cst.Arg, str] = {}
        first = last = ""
        if device is not None:
            instead[device] = kind.text
        else:
            first = f"device={kind.text}" if by_keyword else kind.text
        if enabled is None:
            last = f"enabled={switch}" if switch else ""
        elif switch != fix.code(enabled.value):
            instead[enabled] = switch or "True"
        change_arguments(fix, node, instead, first=first, last=last)


def _is_class_test(ctx: Context) -> bool:
    """Is the class named in a test with isinstance or issubclass?"""
    for above in reversed(ctx.ancestors):
        match above:
            case cst.Call(func=cst.Name("isinstance" | "issubclass")):
                return True
            case cst.Arg() | cst.Tuple() | cst.Element():
                continue
            case _:
                return False
    return False
