"""Lightning: a Trainer that is told to use GPUs."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import FixBuilder
from uncuda.literals import string_value
from uncuda.rules._arguments import called, imports, keyword
from uncuda.rules._calls import calls_of
from uncuda.rules._spelled import given_to
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule

_SYMBOLS = ('Trainer(accelerator="gpu")', 'Trainer(accelerator="cuda")')


class LightningGpu(Rule):
    """`Trainer(accelerator="gpu")` raises on every host without CUDA or MPS.

    `"auto"` picks what is there: CUDA on a CUDA host, as before, MPS on a Mac, the CPU elsewhere. An accelerator
    that Lightning doesn't know (Ascend, Intel) needs a plug-in of its own. `gpus=` is gone since Lightning 2.
    """

    code = "UC610"
    name = "lightning-gpu"
    triggers = (
        "accelerator & import lightning|pytorch_lightning|lightning_fabric|lightning_lite",
        "gpus & import lightning|pytorch_lightning|lightning_fabric|lightning_lite",
    )
    category = Category.MANDATORY
    effort = 1
    fix_safety = (
        "Unsafe: where there is no accelerator the program now trains on the CPU, slowly, instead of stopping. With CUDA "
        "nothing changes."
    )
    sources = ("pytorch-lightning 2.6.6, read",)
    bad = (
        Bad(
            "import pytorch_lightning as pl\n\ntrainer = pl.Trainer(accelerator='gpu', devices=2)\n",
            "import pytorch_lightning as pl\n\ntrainer = pl.Trainer(accelerator='auto', devices=2)\n",
            Applicability.UNSAFE,
        ),
        Bad(
            'from lightning.fabric import Fabric\n\nfabric = Fabric(accelerator="cuda", devices=1)\n',
            'from lightning.fabric import Fabric\n\nfabric = Fabric(accelerator="auto", devices=1)\n',
            Applicability.UNSAFE,
            id="fabric",
        ),
        Bad(
            "from pytorch_lightning import Trainer\n\ntrainer = Trainer(max_epochs=1, gpus=4)\n",
            'from pytorch_lightning import Trainer\n\ntrainer = Trainer(max_epochs=1, accelerator="auto", devices=4)\n',
            Applicability.UNSAFE,
            id="gpus",
        ),
        Bad(
            "import lightning as L\n\ntrainer = L.Trainer(accelerator='gpu', gpus=n)\n",
            "import lightning as L\n\ntrainer = L.Trainer(accelerator='auto', gpus=n)\n",
            Applicability.UNSAFE,
            count=2,
            id="both",
        ),
        Bad(
            "import torch\nfrom pytorch_lightning import Trainer\n\n"
            "trainer = Trainer(accelerator='gpu' if torch.cuda.is_available() else 'cpu', devices=1)\n",
            "from pytorch_lightning import Trainer\n\ntrainer = Trainer(accelerator='auto', devices=1)\n",
            Applicability.UNSAFE,
            id="gpu-or-cpu",
        ),
        Bad(
            "import torch\nfrom lightning import Trainer\n\n\ndef make(fast):\n"
            '    return Trainer(accelerator="gpu" if fast and torch.cuda.is_available() else "cpu")\n',
            None,
            id="gpu-on-request",
        ),
    )
    good = (
        Good("import pytorch_lightning as pl\n\ntrainer = pl.Trainer(accelerator='auto')\n"),
        Good("import pytorch_lightning as pl\n\ntrainer = pl.Trainer(accelerator='cpu', gpus=0)\n"),
        Good("import pytorch_lightning as pl\n\ntrainer = pl.Trainer(gpus=None)\n"),
        Good("from mylib import Trainer\n\ntrainer = Trainer(accelerator='gpu', gpus=2)\n", "another Trainer"),
        Good("from lightning import Trainer\n\nTrainer(accelerator='auto' if fast else 'cpu')\n"),
        Good("import torch\nfrom lightning import Trainer\n\nTrainer(accelerator=choose(torch.accelerator.is_available()))\n"),
        Good("import lightning as L\n\nif accelerator == 'gpu':\n    pass\n", "a comparison"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        from uncuda.rules.knowledge import spelled

        known = spelled(_SYMBOLS[0])
        if not called(node, known.names) or not imports(ctx, *known.packages):
            return
        full = ctx.qualified(node.func)
        if full is not None and full.partition(".")[0] not in known.packages:
            return
        named = keyword(node, "accelerator")
        text = string_value(named.value) if named is not None else None
        symbol = given_to(_SYMBOLS, "accelerator", text)
        if named is not None and symbol is not None:
            ctx.report(
                self,
                named.value,
                f'`accelerator="{text}"` raises without ' + ("CUDA or MPS" if text == "gpu" else "CUDA"),
                symbol=symbol,
                fix=lambda fix: _auto(fix, named.value),
                title="Let Lightning pick the accelerator",
            )
        chosen = keyword(node, "accelerator")
        if chosen is not None and isinstance(chosen.value, cst.IfExp):
            self._choice(chosen.value, ctx)
        old = keyword(node, "gpus")
        if old is not None and not _none(old.value):
            plain = isinstance(old.value, (cst.Integer, cst.UnaryOperation))
            others = {"accelerator", "devices"} & {
                a.keyword.value for a in node.args if a.keyword is not None
            }
            ctx.report(
                self,
                old,
                "`gpus=` is gone since Lightning 2",
                symbol="Trainer(gpus=1)",
                fix=(lambda fix: _devices(fix, old)) if plain and not others else None,
                title="Say accelerator and devices",
            )

    def _choice(self, node: cst.IfExp, ctx: Context) -> None:
        """`"gpu" if torch.cuda.is_available() else "cpu"`, which is what `"auto"` picks, or less."""
        calls = calls_of("torch.cuda.is_available", node.test, ctx)
        texts = {string_value(node.body), string_value(node.orelse)}
        if len(calls) != 1 or not texts <= {"gpu", "cuda", "cpu", "auto"} or not texts & {"gpu", "cuda"}:
            return
        asks_only = node.test is calls[0] and string_value(node.orelse) == "cpu"
        ctx.report(
            self,
            node,
            "CUDA or the CPU: Lightning isn't asked for any other accelerator",
            symbol="torch.cuda.is_available",
            claims=(calls[0],),
            fix=(lambda fix: _auto(fix, node, node.body)) if asks_only else None,
            title="Let Lightning pick the accelerator",
        )


def _none(value: cst.BaseExpression) -> bool:
    return (isinstance(value, cst.Name) and value.value == "None") or (
        isinstance(value, cst.Integer) and value.value == "0"
    )


def _auto(fix: FixBuilder, value: cst.BaseExpression, text: cst.BaseExpression | None = None) -> None:
    """Writes "auto", with the quotes that the text there has."""
    fix.unsafe()
    quote = getattr(text or value, "quote", '"')
    fix.replace(value, f"{quote}auto{quote}")


def _devices(fix: FixBuilder, old: cst.Arg) -> None:
    fix.unsafe()
    assert old.keyword is not None
    fix.replace(old.keyword, 'accelerator="auto", devices')
