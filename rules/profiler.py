"""torch's own profiler: which activities it records, and by which column it sorts."""

from __future__ import annotations

import re
from collections.abc import Callable

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import argument, device_text, string_value
from uncuda.rules._calls import is_read, last_word
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule

_ACTIVITY = "torch.profiler.ProfilerActivity"
_PROFILES = frozenset({"torch.profiler.profile", "torch.profiler.profiler.profile"})
_LEGACY = frozenset({"torch.autograd.profiler.profile"})
_COLUMN = re.compile(r"(?:self_)?cuda_(?:time|time_total|memory_usage)\Z")
_AVAILABLE = "torch.cuda.is_available"


class CudaProfiler(Rule):
    """`ProfilerActivity.CUDA` and `use_cuda=True` record CUDA alone: on other devices only the CPU is recorded.

    Nothing raises beside a warning, and the table looks complete: what the accelerator did isn't in it.
    `torch.profiler.supported_activities()` is the CPU and whichever accelerator the build can record, and on
    CUDA just what the list said. Ascend has a profiler of its own too (`torch_npu.profiler`), with more in it.
    The activity alone, `[ProfilerActivity.CUDA]`, raises where it isn't supported.

    Columns named after CUDA (`sort_by="cuda_time_total"`) are old names of those that hold for every device.
    """

    code = "UC217"
    name = "cuda-profiler"
    triggers = ("ProfilerActivity", r"\buse_cuda\b", r"\buse_device\b", "cuda_time", "cuda_memory_usage")
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe for a list of CPU and CUDA given to the profiler, and for `sort_by`: the same with CUDA, and without an "
        "accelerator the same table without the warning. Unsafe for a list that is kept (it becomes one of what is "
        "supported, in another order), and for the old profiler's `use_cuda` and `use_device`: on XPU that one raises "
        "unless `use_kineto=True` is given too."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch 2.4 to 2.7, wheels read: autograd/profiler.py, autograd/profiler_util.py",
        "knowledge base: torch.profiler.ProfilerActivity.CUDA and its kin",
    )
    bad = (
        Bad(
            "import torch\nfrom torch.profiler import ProfilerActivity, profile\n\n"
            "with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as p:\n    x = torch.ones(2) + 1\n",
            "import torch\nfrom torch.profiler import profile\n\n"
            "with profile(activities=torch.profiler.supported_activities()) as p:\n    x = torch.ones(2) + 1\n",
            run="x, len(p.key_averages()) > 0",
        ),
        Bad(
            "import torch\n\np = torch.profiler.profile(\n    activities={\n"
            "        torch.profiler.ProfilerActivity.CPU,\n        torch.profiler.ProfilerActivity.CUDA,\n    },\n"
            "    record_shapes=True,\n)\n",
            "import torch\n\np = torch.profiler.profile(\n    activities=torch.profiler.supported_activities(),\n"
            "    record_shapes=True,\n)\n",
            run="p.record_shapes",
            id="set",
        ),
        Bad(
            "from torch import profiler\n\nkinds = [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA]\n",
            "from torch import profiler\n\nkinds = list(profiler.supported_activities())\n",
            Applicability.UNSAFE,
            id="kept",
        ),
        Bad(
            "import torch\nfrom torch.profiler import ProfilerActivity\n\n\ndef kinds():\n"
            "    activities = [ProfilerActivity.CPU]\n    if torch.cuda.is_available():\n"
            "        activities.append(ProfilerActivity.CUDA)\n    return activities\n",
            None,
            id="appended",
        ),
        Bad(
            "import torch\n\np = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])\n",
            None,
            id="alone",
        ),
        Bad(
            "import torch\n\nwith torch.autograd.profiler.profile(use_cuda=True) as p:\n    x = torch.ones(2)\n",
            "import torch\n\nwith torch.autograd.profiler.profile(use_device=torch.accelerator.current_accelerator().type "
            "if torch.accelerator.is_available() else None) as p:\n    x = torch.ones(2)\n",
            Applicability.UNSAFE,
            id="old-profiler",
        ),
        Bad(
            'from torch.autograd import profiler\n\np = profiler.profile(record_shapes=True, use_device="cuda")\n',
            "import torch\nfrom torch.autograd import profiler\n\n"
            "p = profiler.profile(record_shapes=True, use_device=torch.accelerator.current_accelerator().type "
            "if torch.accelerator.is_available() else None)\n",
            Applicability.UNSAFE,
            id="device",
        ),
        Bad(
            "import torch\n\np = torch.autograd.profiler.profile(use_cuda=torch.cuda.is_available())\n",
            "import torch\n\np = torch.autograd.profiler.profile(use_device=torch.accelerator.current_accelerator().type "
            "if torch.accelerator.is_available() else None)\n",
            Applicability.UNSAFE,
            id="asked",
        ),
        Bad(
            "import torch\n\n\ndef trace(cuda):\n    return torch.autograd.profiler.profile(use_cuda=cuda)\n",
            None,
            id="flag",
        ),
        Bad(
            "import torch\n\nwith torch.profiler.profile() as p:\n    x = torch.ones(2) + 1\n"
            'table = p.key_averages().table(sort_by="self_cuda_time_total", row_limit=3)\n',
            "import torch\n\nwith torch.profiler.profile() as p:\n    x = torch.ones(2) + 1\n"
            'table = p.key_averages().table(sort_by="self_device_time_total", row_limit=3)\n',
            run="len(table.splitlines())",
            id="column",
        ),
        Bad(
            "import torch\n\np = torch.autograd.profiler.profile(use_cuda=True)\n",
            None,
            floor=(2, 5),
            id="floor",
        ),
    )
    good = (
        Good(
            "import torch\n\np = torch.profiler.profile(activities=torch.profiler.supported_activities())\n"
        ),
        Good(
            "from torch.profiler import ProfilerActivity, profile\n\np = profile(activities=[ProfilerActivity.CPU])\n"
        ),
        Good(
            "from torch.profiler import ProfilerActivity\n\nkinds = [ProfilerActivity.XPU]\n",
            "another vendor's",
        ),
        Good("from mylib import ProfilerActivity\n\nkinds = [ProfilerActivity.CUDA]\n", "not torch"),
        Good(
            "from torch.profiler import ProfilerActivity\n\n"
            "KINDS = {'cpu': ProfilerActivity.CPU, 'cuda': ProfilerActivity.CUDA}\n",
            "a table of what each name means",
        ),
        Good("def train(use_cuda=True):\n    pass\n\n\ntrain(use_cuda=True)\n", "a flag of one's own"),
        Good("stats = {'cuda_time_total': 1}\n", "a dict key"),
        Good("rows = table.sort_values(by='cuda_time_total')\n", "a column of one's own"),
        Good("import torch\n\nt = p.key_averages().table(sort_by='device_time_total')\n"),
        Good("import torch\n\np.export_stacks('f', 'self_cuda_time_total')\n", "it knows no other name"),
        Good('"""Sorted by self_cuda_time_total, with ProfilerActivity.CUDA."""\n', "prose"),
        Good("# ProfilerActivity.CUDA\nx = 1\n", "a comment"),
    )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value != "CUDA" or ctx.is_claimed(node) or not is_read(node, ctx):
            return
        if last_word(node.value) != "ProfilerActivity" or ctx.qualified(node.value) != _ACTIVITY:
            return
        if isinstance(ctx.parent, cst.DictElement):
            return
        self._report(
            node,
            ctx,
            "`ProfilerActivity.CUDA` records CUDA alone",
            "torch.profiler.ProfilerActivity.CUDA",
            lambda fix: self._activities(fix, node),
            "Record whichever accelerator is there",
        )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        if isinstance(node.func, cst.Attribute) and node.func.attr.value == "table":
            self._table(node, ctx)
            return
        name = ctx.qualified(node.func)
        if name not in _LEGACY and name not in _PROFILES:
            return
        for arg in node.args:
            if arg.keyword is None:
                continue
            if arg.keyword.value == "use_cuda" and ctx.code(arg.value) not in ("False", "None"):
                self._old_flag(arg, ctx, name in _LEGACY)
            elif arg.keyword.value == "use_device":
                value = device_text(arg.value)
                if value is not None and value.is_cuda:
                    self._old_flag(arg, ctx, name in _LEGACY)

    def _report(
        self,
        node: cst.CSTNode,
        ctx: Context,
        message: str,
        symbol: str,
        fix: Callable[[FixBuilder], None],
        title: str,
        category: Category | None = None,
        claims: tuple[cst.CSTNode, ...] = (),
    ) -> None:
        ctx.report(self, node, message, symbol=symbol, claims=claims, fix=fix, title=title, category=category)

    def _old_flag(self, arg: cst.Arg, ctx: Context, legacy: bool) -> None:
        def change(fix: FixBuilder) -> None:
            if not legacy:
                raise CannotFix("the new profiler takes activities")
            asks = isinstance(arg.value, cst.Call) and ctx.qualified(arg.value.func) == _AVAILABLE
            if not asks and ctx.code(arg.value) not in ("True", '"cuda"', "'cuda'"):
                raise CannotFix("a flag from elsewhere")
            # On XPU the old profiler asserts that it was built on kineto, where the CUDA flag only warned.
            fix.unsafe()
            fix.needs("torch.accelerator")
            here = fix.spelling()
            current = f"{here.torch}.accelerator.current_accelerator().type"
            assert arg.keyword is not None
            fix.replace(arg.keyword, "use_device")
            fix.replace(arg.value, here.guarded(current, "None"))

        assert arg.keyword is not None
        word = arg.keyword.value
        self._report(
            arg.value,
            ctx,
            f"`{word}={ctx.code(arg.value)}` records CUDA alone",
            "torch.autograd.profiler.profile(use_cuda=True)",
            change,
            "Record whichever accelerator is there",
            claims=(arg.value,),
        )

    def _table(self, node: cst.Call, ctx: Context) -> None:
        given = argument(node, "sort_by", 0)
        text = string_value(given.value) if given is not None else None
        if given is None or text is None or not _COLUMN.match(text):
            return
        value = given.value

        def rename(fix: FixBuilder) -> None:
            fix.needs("profiler columns of any device")
            fix.replace(value, fix.code(value).replace("cuda", "device"))

        self._report(
            value,
            ctx,
            f"`{text}` is the old name of the column that holds for any device",
            'key_averages().table(sort_by="cuda_time_total")',
            rename,
            "Name the column of any device",
            Category.POTENTIAL,
        )

    def _activities(self, fix: FixBuilder, node: cst.Attribute) -> None:
        """A list of just the CPU and CUDA is what is supported, where CUDA is there."""
        ctx = fix.ctx
        if len(ctx.ancestors) < 3 or not isinstance(ctx.ancestors[-2], (cst.List, cst.Set, cst.Tuple)):
            raise CannotFix("no list of activities")
        whole, above = ctx.ancestors[-2], ctx.ancestors[-3]
        kinds = {last_word(e.value) for e in whole.elements}
        if kinds != {"CPU", "CUDA"}:
            raise CannotFix("other activities too, or none but CUDA")
        fix.needs("torch.profiler.supported_activities")
        known = ctx.local_name("torch.profiler")
        everything = f"{known or fix.name('torch.profiler')}.supported_activities()"
        call = ctx.ancestors[-4] if len(ctx.ancestors) > 3 else None
        if (
            isinstance(above, cst.Arg)
            and (above.keyword is None or above.keyword.value == "activities")
            and isinstance(call, cst.Call)
            and ctx.qualified(call.func) in _PROFILES
        ):
            fix.replace(whole, everything)
            return
        if isinstance(whole, cst.Tuple):
            raise CannotFix("who reads the tuple isn't known")
        fix.unsafe()
        fix.replace(whole, f"{'set' if isinstance(whole, cst.Set) else 'list'}({everything})")
