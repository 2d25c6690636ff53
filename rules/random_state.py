"""The state of CUDA's generators: reading it and putting it back."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import device_module, keeps_raising, on_module
from uncuda.literals import argument
from uncuda.rules._calls import cuda_function, is_read, last_word, literal_device
from uncuda.rules._literals import in_cuda_class
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule
from uncuda.rules.memory import device_arguments
from uncuda.walk import walk

_RAISING = frozenset({"get_rng_state", "initial_seed"})
_SETTING = frozenset({"set_rng_state", "set_rng_state_all"})
_NAMES = frozenset({*_RAISING, *_SETTING, "get_rng_state_all"})


class CudaRandomState(Rule):
    """`torch.cuda.get_rng_state()` raises off CUDA; the accelerator's own random state is neither kept nor restored.

    `get_rng_state_all()` gives an empty list there and the setters do nothing, so that a resumed run draws
    other numbers than the one it continues. Every accelerator's module has the functions under the same names
    (`torch.get_device_module()`; MPS lacks those that end in `_all`, the CPU has none).
    """

    code = "UC302"
    name = "cuda-random-state"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe for reading: the same call with CUDA; without an accelerator `get_rng_state_all()` goes on giving an "
        "empty list, and what raised goes on raising. Safe for putting a state back that the same function took. "
        "Unsafe for any other: a state from a file may be another device's, and those are refused."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch 2.4 to 2.12, MPS: get_rng_state and set_rng_state take a device",
        "knowledge base: torch.cuda.get_rng_state and its kin",
    )
    bad = (
        Bad(
            "import torch\n\n\ndef snapshot():\n    return {\n        'cpu': torch.get_rng_state(),\n"
            "        'cuda': torch.cuda.get_rng_state_all(),\n    }\n",
            "import torch\n\n\ndef snapshot():\n    return {\n        'cpu': torch.get_rng_state(),\n"
            "        'cuda': getattr(torch.get_device_module(), \"get_rng_state_all\", lambda: [])(),\n    }\n",
            run="snapshot()['cuda']",
        ),
        Bad(
            "import torch\n\n\ndef apart(f):\n    state = torch.cuda.get_rng_state()\n    f()\n"
            "    torch.cuda.set_rng_state(state)\n",
            "import torch\n\n\ndef apart(f):\n    device_module = torch.get_device_module()\n"
            "    state = device_module.get_rng_state()\n    f()\n"
            '    if hasattr(device_module, "set_rng_state"):\n'
            "        device_module.set_rng_state(state)\n",
            count=2,
            run="apart(print)",
            id="taken-here",
        ),
        Bad(
            "import torch\n\n\ndef resume(states):\n    if torch.cuda.is_available():\n"
            "        torch.cuda.set_rng_state_all(states)\n",
            "import torch\n\n\ndef resume(states):\n    if torch.cuda.is_available():\n"
            '        if hasattr(torch.get_device_module(), "set_rng_state_all"):\n'
            "            torch.get_device_module().set_rng_state_all(states)\n",
            Applicability.UNSAFE,
            id="from-elsewhere",
        ),
        Bad(
            "import torch\n\n\ndef first():\n    return torch.cuda.random.get_rng_state('cuda:1'), "
            "torch.cuda.get_rng_state(device='cuda')\n",
            "import torch\n\n\ndef first():\n    return torch.get_device_module().get_rng_state(1), "
            "torch.get_device_module().get_rng_state()\n",
            count=2,
            run="first()",
            id="literal-device",
        ),
        Bad(
            "from torch.cuda import initial_seed\n\n\ndef seed():\n    return initial_seed()\n",
            "import torch\n\n\ndef seed():\n    return torch.get_device_module().initial_seed()\n",
            run="seed()",
            id="initial-seed",
        ),
        Bad(
            "import torch\n\n\ndef keep(state):\n    try:\n        state['cuda'] = torch.cuda.get_rng_state()\n"
            "    except Exception:\n        state['cuda'] = None\n    return state\n",
            "import torch\n\n\ndef keep(state):\n    try:\n"
            "        state['cuda'] = torch.get_device_module().get_rng_state()\n"
            "    except Exception:\n        state['cuda'] = None\n    return state\n",
            run="keep({})",
            id="caught",
        ),
        Bad(
            "import torch\n\nload, save = torch.cuda.set_rng_state, torch.cuda.get_rng_state\n",
            None,
            count=2,
            id="functions",
        ),
        Bad("import torch\n\nstate = torch.cuda.get_rng_state()\n", None, floor=(2, 3), id="floor"),
    )
    good = (
        Good("import torch\n\nstate = torch.get_rng_state()\ntorch.set_rng_state(state)  # not torch.cuda\n", "the CPU's"),
        Good("import torch\n\nstate = torch.get_device_module().get_rng_state()  # cuda\n", "portable already"),
        Good("import torch\n\nstate = torch.mps.get_rng_state()  # cuda\n", "another vendor's"),
        Good("class Tracker:\n    def get_rng_state(self):\n        return self.cuda\n\n\nTracker().get_rng_state()\n"),
        Good("def f(cuda):\n    cuda.set_rng_state(1)\n", "a parameter"),
        Good("from torch.cuda import get_rng_state\n", "an import alone"),
        Good('"""torch.cuda.get_rng_state() is kept."""\n', "prose"),
        Good("# torch.cuda.set_rng_state(state)\nx = 1\n", "a comment"),
        Good("state = {'cuda_rng_state': None, 'get_rng_state': 1}\n", "dict keys"),
        Good("import torch\n\ng = torch.Generator()\nx = g.get_state(), g.initial_seed()  # cuda\n", "a generator's"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = cuda_function(node.func, ctx, _NAMES)
        if name is not None:
            claims = tuple(a.value for a in node.args if literal_device(a.value, ctx) is not None)
            self._report(node, name, ctx, lambda fix: self._fix(fix, node, name), claims)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value not in _NAMES or ctx.is_claimed(node) or not is_read(node, ctx):
            return
        name = cuda_function(node, ctx, _NAMES)
        if name is not None:
            self._report(node, name, ctx, None, ())

    def _report(
        self,
        node: cst.BaseExpression,
        name: str,
        ctx: Context,
        fix: Callable[[FixBuilder], None] | None,
        claims: tuple[cst.CSTNode, ...],
    ) -> None:
        says = "needs CUDA" if name in _RAISING else "restores nothing off CUDA"
        if name == "get_rng_state_all":
            says = "is empty off CUDA"
        ctx.report(
            self,
            node,
            f"`torch.cuda.{name}()` {says}",
            symbol=f"torch.cuda.{name}",
            claims=claims,
            fix=fix,
            title="Ask the device's own module",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, name: str) -> None:
        if in_cuda_class(fix.ctx):
            raise CannotFix("the class is the CUDA side of an interface")
        arguments = device_arguments(fix, node)
        if name in _RAISING:
            keeps_raising(fix, node, "AttributeError")
            fix.replace(node.func, f"{device_module(fix)}.{name}")
            if arguments is not None:
                fix.arguments(node, arguments)
            return
        if name in _SETTING and not _was_taken_here(node, fix.ctx):
            fix.unsafe()
        on_module(fix, node, name, "[]" if name == "get_rng_state_all" else "None", arguments=arguments)


def _was_taken_here(node: cst.Call, ctx: Context) -> bool:
    """Is the state a variable of the function that only ever holds what `get_rng_state` gave?"""
    given = argument(node, "new_state", 0) or argument(node, "new_states", 0)
    if given is None or not isinstance(given.value, cst.Name):
        return False
    found = ctx.bindings_of(given.value.value)
    if found is None or found[0].kind != "function":
        return False
    return all(
        b.kind == "assign"
        and b.value is not None
        and any(
            isinstance(part, cst.Call) and last_word(part.func) in ("get_rng_state", "get_rng_state_all")
            for part in walk(b.value())
        )
        for b in found[1]
    )
