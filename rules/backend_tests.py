"""Code that asks whether a process group runs over NCCL."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import string_value
from uncuda.rules._backends import (
    OTHERS,
    accelerators_backends,
    default_backend,
    is_for_cuda,
    is_nccl,
    maps_devices,
    named,
    target_name,
)
from uncuda.rules._calls import last_word
from uncuda.rules.base import Bad, Category, Good, Rule


class NcclBackendTest(Rule):
    """A test for NCCL is false with every other accelerator's own library.

    What it guards (device-side collectives, barriers with device_ids, bucket tuning) is skipped there. If it
    means "an accelerator's library, not gloo", it should ask for that; if it reaches into NCCL itself, it is
    right, and marks code that the move has to look at.
    """

    code = "UC405"
    name = "nccl-backend-test"
    triggers = (r"\bnccl\b", r"\bNCCL\b", r"\bis_nccl_available\b", r"\bProcessGroupNCCL\b")
    category = Category.POTENTIAL
    effort = 1
    priority = 25
    fix_safety = "Shown, never applied: what stands behind the test may be NCCL's alone."
    sources = ("torch 2.13.0, executed", "knowledge base: rewrite 71")
    bad = (
        Bad("import torch.distributed as dist\n\nif dist.get_backend() == 'nccl':\n    dist.barrier()\n"),
        Bad(
            "import torch.distributed as dist\n\nif dist.get_backend(group) != dist.Backend.NCCL:\n    pass\n",
            id="enum",
        ),
        Bad("def f(args):\n    assert args.dist_backend == 'nccl'\n", id="argument"),
        Bad("def f(backend):\n    return backend in ('nccl', 'ucc')\n", id="among"),
        Bad("def f(backend):\n    return 'nccl' in backend\n", id="within"),
        Bad("import torch.distributed as dist\n\nok = dist.is_nccl_available()\n", id="available"),
        Bad("import torch\n\nok = torch.distributed.is_backend_available('nccl')\n", id="backend-available"),
        Bad(
            "import torch.distributed as dist\nfrom torch.distributed import ProcessGroupNCCL\n\n"
            "options = ProcessGroupNCCL.Options()\nraw = dist.ProcessGroupNCCL\n",
            count=2,
            id="process-group",
        ),
    )
    good = (
        Good("if dist.get_backend() == 'gloo':\n    pass\n"),
        Good("if backend in ('nccl', 'hccl', 'xccl'):\n    pass\n", "others are named too"),
        Good("if backend == 'nccl':\n    one()\nelif backend == 'hccl':\n    two()\n", "others are named too"),
        Good("import torch.distributed as dist\n\nok = dist.is_nccl_available() or dist.is_hccl_available()\n"
             "backend = {'xpu': 'xccl'}.get(kind, 'nccl' if dist.is_nccl_available() else 'gloo')\n", "others are named too"),
        Good("class NcclCommunicator:\n    def f(self):\n        assert self.backend != 'nccl'\n", "NCCL's own"),
        Good("if name == 'nccl':\n    pass\n", "not about a backend"),
        Good("dist.init_process_group(backend='nccl')\n", "that is nccl-backend"),
        Good("'dist.get_backend() == \"nccl\"'\n", "prose"),
        Good("class ProcessGroupNCCL:\n    pass\n\n\nProcessGroupNCCL()\n", "a class of one's own"),
        Good("def is_nccl_available():\n    return False\n\n\nis_nccl_available()\n", "a function of one's own"),
        Good("from torch.distributed import is_nccl_available\n", "an import: its uses are told"),
    )  # fmt: skip

    def visit_Comparison(self, node: cst.Comparison, ctx: Context) -> None:
        if len(node.comparisons) != 1 or ctx.is_claimed(node):
            return
        operator, right = node.comparisons[0].operator, node.comparisons[0].comparator
        if isinstance(operator, (cst.Equal, cst.NotEqual)):
            literal, other = (right, node.left) if is_nccl(right, ctx) else (node.left, right)
            if not is_nccl(literal, ctx) or not _is_backend(other):
                return
        elif isinstance(operator, (cst.In, cst.NotIn)):
            if isinstance(right, (cst.Tuple, cst.List, cst.Set)):
                literal, other = right, node.left
                names = [string_value(e.value) for e in right.elements]
                if "nccl" not in names or OTHERS & set(names):
                    return
            else:
                literal, other = node.left, right
                if not is_nccl(literal, ctx):
                    return
            if not _is_backend(other):
                return
        else:
            return
        if maps_devices(ctx) or is_for_cuda(ctx):
            return
        ctx.report(
            self,
            node,
            "a test for NCCL is false with every other accelerator's backend",
            symbol='torch.distributed.get_backend() == "nccl"',
            claims=(literal,),
            fix=lambda fix: self._fix(fix, node, other, operator),
            title="Name the other accelerators' backends too",
        )

    def _fix(
        self, fix: FixBuilder, node: cst.Comparison, other: cst.BaseExpression, operator: cst.BaseCompOp
    ) -> None:
        fix.display()
        if not isinstance(operator, (cst.Equal, cst.NotEqual)):
            raise CannotFix("the test looks into a text or a list")
        word = "in" if isinstance(operator, cst.Equal) else "not in"
        fix.replace(node, f"{fix.code(other)} {word} ({', '.join(accelerators_backends())})")

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        last = last_word(node.func)
        if last not in ("is_nccl_available", "is_backend_available") or ctx.is_claimed(node):
            return
        if not (ctx.qualified(node.func) or "").startswith("torch.distributed."):
            return
        if last == "is_backend_available" and not (node.args and is_nccl(node.args[0].value, ctx)):
            return
        if maps_devices(ctx) or is_for_cuda(ctx):
            return
        ctx.report(
            self,
            node,
            f"`{last}` asks for CUDA's backend alone",
            symbol="torch.distributed.is_nccl_available",
            claims=tuple(node.args),
            fix=lambda fix: self._available(fix, node),
            title="Ask for the device's backend",
        )

    def _available(self, fix: FixBuilder, node: cst.Call) -> None:
        fix.display()
        default = default_backend(fix)
        fix.replace(node, f"{default.partition('.get_default')[0]}.is_backend_available({default})")

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value == "ProcessGroupNCCL":
            self._class(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if node.value == "ProcessGroupNCCL":
            self._class(node, ctx)

    def _class(self, node: cst.BaseExpression, ctx: Context) -> None:
        if ctx.is_claimed(node) or not (ctx.qualified(node) or "").startswith("torch."):
            return
        ctx.report(
            self,
            node,
            "`ProcessGroupNCCL` is in builds with CUDA or ROCm only",
            symbol="torch.distributed.ProcessGroupNCCL",
        )


def _is_backend(node: cst.BaseExpression) -> bool:
    """Does the expression's name say that it holds a backend: `args.dist_backend`, `get_backend(group)`?"""
    if isinstance(node, cst.Call):
        last = last_word(node.func)
        if last in ("lower", "strip", "upper") and isinstance(node.func, cst.Attribute):
            return _is_backend(node.func.value)
        if last in ("str", "getattr") and node.args:
            return any(named(string_value(a.value)) or named(target_name(a.value)) for a in node.args)
        return named(last)
    return named(target_name(node))
