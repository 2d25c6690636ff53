"""Seeding CUDA's generators: `torch.cuda.manual_seed_all(…)` and its kin."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import drop_call, is_droppable_if, on_module
from uncuda.rules._calls import cuda_function, is_read
from uncuda.rules._literals import in_cuda_class
from uncuda.rules._seeds import Seeds
from uncuda.rules.base import Bad, Category, Good, Rule
from uncuda.walk import walk

_SEEDING = frozenset({"manual_seed", "manual_seed_all", "seed", "seed_all"})
_WITH_SEED = frozenset({"manual_seed", "manual_seed_all"})
# What a call does beside one of torch.manual_seed.
_REPEATED = "torch.manual_seed(s); torch.cuda.manual_seed_all(s)"


class CudaSeed(Rule):
    """`torch.cuda.manual_seed_all()` and its kin seed nothing off CUDA, without an error.

    Most of these calls stand next to `torch.manual_seed(seed)`, which seeds the generators of every device
    already, CUDA's and everybody else's: the second call says nothing new and can go. One that stands alone
    leaves the accelerator unseeded, so that runs can't be repeated there. `torch.manual_seed` is no substitute
    for it, because it would seed the CPU's generator too. The device's own module has the function
    (`torch.get_device_module()`: torch.npu on Ascend, torch.xpu on Intel); the CPU's hasn't.
    """

    code = "UC301"
    name = "cuda-seed"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe. A call is taken away where `torch.manual_seed` gives the same generators the same seed just before, "
        "or another one right after, and nothing between the two draws a number; an `if` that held nothing else "
        "goes with it. Alone, the same call is made on the device's own module where that has it: the CPU's "
        "generator isn't touched. On MPS, which has no `manual_seed_all`, nothing is seeded, as before."
    )
    sources = (
        "torch 2.13.0, executed: torch.manual_seed seeds CUDA, MPS, XPU, MTIA and custom devices",
        "knowledge base: torch.cuda.manual_seed and its kin",
    )
    bad = (
        Bad(
            "import torch\n\n\ndef set_seed(seed):\n    torch.manual_seed(seed)\n"
            "    torch.cuda.manual_seed_all(seed)  # all GPUs\n",
            "import torch\n\n\ndef set_seed(seed):\n    torch.manual_seed(seed)\n",
            run="set_seed(3), torch.rand(2), torch.initial_seed()",
        ),
        Bad(
            "import torch\n\ntorch.cuda.manual_seed_all(0)\n",
            'import torch\n\nif hasattr(torch.get_device_module(), "manual_seed_all"):\n'
            "    torch.get_device_module().manual_seed_all(0)\n",
            setup="torch.manual_seed(7)",
            run="torch.rand(2)",
            id="alone",
        ),
        Bad(
            "import random\n\nimport numpy as np\nimport torch\n\n\ndef set_seed(args):\n    random.seed(args.seed)\n"
            "    torch.manual_seed(args.seed)\n    np.random.seed(args.seed)\n    if args.n_gpu > 0:\n"
            "        torch.cuda.manual_seed(args.seed)\n        torch.cuda.manual_seed_all(args.seed)\n"
            "    torch.backends.cudnn.deterministic = True\n",
            "import random\n\nimport numpy as np\nimport torch\n\n\ndef set_seed(args):\n    random.seed(args.seed)\n"
            "    torch.manual_seed(args.seed)\n    np.random.seed(args.seed)\n"
            "    torch.backends.cudnn.deterministic = True\n",
            setup="class Args:\n    seed = 3\n    n_gpu = 1",
            count=2,
            run="set_seed(Args()), torch.rand(2)",
            id="guarded",
        ),
        Bad(
            "import torch\n\n\ndef set_seed(seed):\n    torch.manual_seed(seed)\n    if torch.cuda.is_available():\n"
            "        torch.cuda.manual_seed_all(seed)\n        torch.backends.cudnn.benchmark = False\n",
            "import torch\n\n\ndef set_seed(seed):\n    torch.manual_seed(seed)\n    if torch.cuda.is_available():\n"
            "        torch.backends.cudnn.benchmark = False\n",
            run="set_seed(3), torch.rand(2)",
            id="guarded-with-more",
        ),
        Bad(
            "import torch\n\n\ndef check(state):\n    torch.cuda.manual_seed(state)\n    torch.manual_seed(state)\n",
            "import torch\n\n\ndef check(state):\n    torch.manual_seed(state)\n",
            run="check(3), torch.rand(2)",
            id="before",
        ),
        Bad(
            "import torch\n\ntorch.manual_seed(0); torch.cuda.manual_seed_all(0)\nx = torch.rand(1)\n",
            "import torch\n\ntorch.manual_seed(0)\nx = torch.rand(1)\n",
            run="x",
            id="semicolon",
        ),
        Bad(
            "import torch\n\ntorch.manual_seed(0)\ntorch.cuda.manual_seed_all(0)\n",
            "import torch\n\ntorch.manual_seed(0)\n",
            run="torch.rand(2)",
            id="top-level",
        ),
        Bad(
            "import torch\n\n\ndef start(seed, rank):\n    torch.manual_seed(seed)\n"
            "    torch.cuda.manual_seed_all(seed + rank)\n",
            "import torch\n\n\ndef start(seed, rank):\n    torch.manual_seed(seed)\n"
            '    if hasattr(torch.get_device_module(), "manual_seed_all"):\n'
            "        torch.get_device_module().manual_seed_all(seed + rank)\n",
            run="start(1, 2), torch.rand(2)",
            id="another-seed",
        ),
        Bad(
            "import torch\n\n\ndef start(model, seed):\n    torch.manual_seed(seed)\n    model.reset()\n"
            "    torch.cuda.manual_seed(seed)\n",
            "import torch\n\n\ndef start(model, seed):\n    torch.manual_seed(seed)\n    model.reset()\n"
            '    if hasattr(torch.get_device_module(), "manual_seed"):\n'
            "        torch.get_device_module().manual_seed(seed)\n",
            setup="class Model:\n    def reset(self):\n        torch.rand(1)",
            run="start(Model(), 2), torch.rand(2)",
            id="drawn-between",
        ),
        Bad(
            "import torch\n\n\ndef start(seed):\n    torch.cuda.manual_seed(seed)\n    torch.cuda.manual_seed_all(seed)\n",
            'import torch\n\n\ndef start(seed):\n    if hasattr(torch.get_device_module(), "manual_seed_all"):\n'
            "        torch.get_device_module().manual_seed_all(seed)\n",
            setup="torch.manual_seed(1)",
            count=2,
            run="start(2), torch.rand(2)",
            id="one-and-all",
        ),
        Bad(
            "from torch.cuda import manual_seed_all as seed_gpus\n\nseed_gpus(1)\n",
            'import torch\n\nif hasattr(torch.get_device_module(), "manual_seed_all"):\n'
            "    torch.get_device_module().manual_seed_all(1)\n",
            run="None",
            id="imported",
        ),
        Bad(
            "import torch\n\n\ndef vary():\n    torch.cuda.seed_all()\n",
            'import torch\n\n\ndef vary():\n    if hasattr(torch.get_device_module(), "seed_all"):\n'
            "        torch.get_device_module().seed_all()\n",
            setup="torch.manual_seed(1)",
            run="vary(), torch.rand(2)",
            id="seed",
        ),
        Bad(
            "import torch\n\n\ndef set_seed(seed):\n    torch.manual_seed(seed)\n    if is_npu():\n"
            "        torch.npu.manual_seed_all(seed)\n    else:\n        torch.cuda.manual_seed_all(seed)\n",
            None,
            id="one-branch-of-several",
        ),
        Bad("import torch\n\nseeders = [torch.cuda.manual_seed_all]\n", None, id="function"),
        Bad("import torch\n\ntorch.cuda.manual_seed_all(0)\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good("import torch\n\ntorch.manual_seed(0)\n", "seeds every device"),
        Good('import torch\n\nif hasattr(torch.get_device_module(), "manual_seed_all"):\n'
             "    torch.get_device_module().manual_seed_all(0)  # not torch.cuda\n"),
        Good("import torch\n\ntorch.mps.manual_seed(0)\n", "another vendor's"),
        Good("import torch\n\ntorch.npu.manual_seed_all(0)  # cuda\n", "another vendor's"),
        Good("import torch\n\ng = torch.Generator()\ng.manual_seed(0)  # cuda\n", "a generator's own method"),
        Good("import torch\n\ng = torch.Generator(device='cuda')\ng.manual_seed(0)\n", "UC103 tells the device"),
        Good("class Cuda:\n    def manual_seed_all(self, seed):\n        pass\n\n\ncuda = Cuda()\ncuda.manual_seed_all(0)\n"),
        Good("from cupy import cuda, random\n\nrandom.seed(0)\n", "not torch"),
        Good("def f(torch):\n    torch.cuda.manual_seed_all(0)\n", "torch is a parameter here"),
        Good("from torch.cuda import manual_seed_all\n", "an import alone"),
        Good('"""torch.cuda.manual_seed_all(seed) seeds all GPUs."""\n', "prose"),
        Good("# torch.cuda.manual_seed_all(0)\nx = 1\n", "a comment"),
        Good("cfg = {'manual_seed_all': 0, 'cuda': True}\n", "dict keys"),
        Good("import random\n\nrandom.seed(0)  # cuda\n"),
        Good("parser.add_argument('--cuda-seed', type=int)\n", "an option"),
    )  # fmt: skip

    def visit_If(self, node: cst.If, ctx: Context) -> None:
        """The question before calls that all go belongs to them."""
        if is_droppable_if(node, ctx.ancestors, lambda call: self._goes(call, ctx)):
            for part in walk(node.test):
                if isinstance(part, cst.Call):
                    ctx.claim(part)

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = cuda_function(node.func, ctx, _SEEDING)
        if name is None:
            return
        repeated = name in _WITH_SEED and Seeds(node, ctx).is_repeated()
        says = "repeats torch.manual_seed, which seeds every device" if repeated else "seeds nothing off CUDA"
        ctx.report(
            self,
            node,
            f"`torch.cuda.{name}()` {says}",
            symbol=f"torch.cuda.{name}",
            outcomes=ctx.outcomes(_REPEATED, node) if repeated else None,
            fix=lambda fix: self._fix(fix, node, name, repeated),
            title="Leave out the second seed" if repeated else "Seed the device's own generators",
        )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value not in _SEEDING or ctx.is_claimed(node) or not is_read(node, ctx):
            return
        name = cuda_function(node, ctx, _SEEDING)
        if name is not None:
            ctx.report(self, node, f"`torch.cuda.{name}` seeds nothing off CUDA", symbol=f"torch.cuda.{name}")

    def _goes(self, call: cst.Call, ctx: Context) -> bool:
        return cuda_function(call.func, ctx, _WITH_SEED) is not None and Seeds(call, ctx).is_repeated()

    def _fix(self, fix: FixBuilder, node: cst.Call, name: str, repeated: bool) -> None:
        if in_cuda_class(fix.ctx):
            raise CannotFix("the class is the CUDA side of an interface")
        if repeated:
            drop_call(fix, node, lambda call: self._goes(call, fix.ctx))
        else:
            on_module(fix, node, name)
