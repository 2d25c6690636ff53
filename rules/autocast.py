"""Mixed precision by `torch.cuda.amp.autocast`, and by `torch.autocast("cuda")`."""

from __future__ import annotations

import re
from collections.abc import Callable

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.fixes.statements import is_guarded
from uncuda.literals import argument
from uncuda.rules._amp import (
    DeviceType,
    amp_name,
    be_certain,
    by_name,
    enabled_off_cpu,
    is_assigned,
    may_be,
    mentioned,
    names_cuda,
)
from uncuda.rules._calls import last_word
from uncuda.rules.base import Applicability, Bad, Category, Good, Rule

_OLD = frozenset({"torch.cuda.amp.autocast"})
_GENERAL = frozenset({"torch.autocast", "torch.amp.autocast"})
_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)


class CudaAutocast(Rule):
    """`autocast` for CUDA leaves every other accelerator in full precision, with a warning at most.

    `torch.cuda.amp.autocast()` (deprecated since torch 2.4) and `torch.autocast("cuda")` switch themselves off
    where there is no CUDA: the program runs on, slower, in twice the memory, and with other numbers than on
    CUDA. `torch.autocast(device.type)` means whichever device is there.

    The CPU is left as it was: there, `torch.autocast("cpu")` would switch bfloat16 on where nothing was
    switched on before. In a program of its own `enabled=` keeps it off. What others import may be called
    within an autocast region that was made for the CPU: there a `with` gets an empty context instead, which leaves
    such a region alone.
    """

    code = "UC310"
    name = "cuda-autocast"
    triggers = (r"\bcuda\b",)
    category = Category.OPTIONAL
    effort = 1
    fix_safety = (
        "Safe in a `with`, and in `enter_context()`: the same with CUDA, nothing without an accelerator. Where "
        '`enabled` asks about a device (`device.type != "cpu"`), that is the device meant. float16, '
        "which `torch.cuda.amp.autocast` takes by default, is written out, because other devices may take bfloat16. "
        "Unsafe for a decorator, and for a context that is kept or returned: these get "
        "`enabled=` instead, which switches off a region around them that was made for the CPU; a decorator looks "
        "for the device while the module is imported. Not offered where `**` hides what is given, or "
        "where the name stands for two things."
    )
    sources = (
        "torch 2.13.0, executed",
        "torch 2.4 to 2.12, amp/autocast_mode.py and cuda/amp/autocast_mode.py: order of arguments, default dtypes",
        'knowledge base: torch.cuda.amp.autocast, torch.autocast("cuda")',
    )
    bad = (
        Bad(
            "import torch\n\n\ndef predict(model, x):\n    with torch.cuda.amp.autocast():\n        return model(x)\n",
            f"import contextlib\n\nimport torch\n\n\ndef predict(model, x):\n    device = {_SELECT}\n"
            '    with torch.autocast(device.type, dtype=torch.float16) if device.type != "cpu" '
            "else contextlib.nullcontext():\n        return model(x)\n",
            run="predict(torch.nn.Linear(2, 2), torch.ones(1, 2)).dtype",
        ),
        Bad(
            "import torch\n\n\ndef main(model, x, amp=True):\n    with torch.cuda.amp.autocast(enabled=amp):\n"
            "        y = model(x)\n    return y\n\n\nif __name__ == '__main__':\n    main()\n",
            f"import torch\n\n\ndef main(model, x, amp=True):\n    device = {_SELECT}\n"
            '    with torch.autocast(device.type, dtype=torch.float16, enabled=amp and device.type != "cpu"):\n'
            "        y = model(x)\n    return y\n\n\nif __name__ == '__main__':\n    main()\n",
            run="main(torch.nn.Linear(2, 2), torch.ones(1, 2)).dtype",
            id="program",
        ),
        Bad(
            "import torch\n\n\ndef main(model, x, device):\n    half = device.type != 'cpu'\n"
            "    with torch.cuda.amp.autocast(half):\n        y = model(x.to(device))\n    return y\n\n\n"
            "if __name__ == '__main__':\n    main()\n",
            "import torch\n\n\ndef main(model, x, device):\n    half = device.type != 'cpu'\n"
            "    with torch.autocast(device.type, dtype=torch.float16, enabled=half):\n        y = model(x.to(device))\n"
            "    return y\n\n\nif __name__ == '__main__':\n    main()\n",
            run="main(torch.nn.Linear(2, 2), torch.ones(1, 2), "
            "torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device('cpu')).dtype",
            id="device-asked-about",
        ),
        Bad(
            "from contextlib import nullcontext\n\nimport torch\n\n"
            'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n\n\ndef predict(model, x):\n'
            '    with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16):\n        return model(x)\n',
            "from contextlib import nullcontext\n\nimport torch\n\n"
            'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n\n\ndef predict(model, x):\n'
            "    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16) "
            'if device.type != "cpu" else nullcontext():\n        return model(x)\n',
            run="predict(torch.nn.Linear(2, 2), torch.ones(1, 2)).dtype",
            id="general",
        ),
        Bad(
            'import torch\n\n\ndef predict(model, x):\n    with torch.autocast("cpu", dtype=torch.bfloat16):\n'
            "        with torch.cuda.amp.autocast(enabled=False):\n            return model(x)\n",
            f"import contextlib\n\nimport torch\n\n\ndef predict(model, x):\n    device = {_SELECT}\n"
            '    with torch.autocast("cpu", dtype=torch.bfloat16):\n'
            '        with torch.autocast(device.type, enabled=False) if device.type != "cpu" '
            "else contextlib.nullcontext():\n            return model(x)\n",
            run="predict(torch.nn.Linear(2, 2), torch.ones(1, 2)).dtype",
            id="region-of-the-cpu",
        ),
        Bad(
            "import torch\nfrom torch.cuda.amp import autocast, GradScaler\n\n\nclass Trainer:\n"
            "    def __init__(self, amp):\n        self.amp = amp\n        self.device = torch.device(\n"
            '            "cuda" if torch.cuda.is_available() else "cpu"\n        )\n\n'
            "    def loss(self, model, x):\n        with autocast(self.amp, torch.bfloat16):\n"
            "            return model(x).sum()\n",
            "import contextlib\n\nimport torch\nfrom torch.cuda.amp import GradScaler\n\n\nclass Trainer:\n"
            "    def __init__(self, amp):\n        self.amp = amp\n        self.device = torch.device(\n"
            '            "cuda" if torch.cuda.is_available() else "cpu"\n        )\n\n'
            "    def loss(self, model, x):\n        with torch.autocast(self.device.type, dtype=torch.bfloat16, "
            'enabled=self.amp) if self.device.type != "cpu" else contextlib.nullcontext():\n'
            "            return model(x).sum()\n",
            run="Trainer(True).loss(torch.nn.Linear(2, 2), torch.ones(1, 2)).dtype",
            id="imported",
        ),
        Bad(
            "import contextlib\n\nimport torch\nfrom torch.cuda import amp\n\n\ndef enter(x, **kwargs):\n"
            "    with contextlib.ExitStack() as stack:\n        stack.enter_context(amp.autocast(dtype=torch.float16))\n"
            '        stack.enter_context(torch.amp.autocast(device_type="cuda", **kwargs))\n'
            "        return (x @ x).dtype\n",
            "import contextlib\n\nimport torch\n\n\ndef enter(x, **kwargs):\n"
            f"    device = {_SELECT}\n    with contextlib.ExitStack() as stack:\n"
            "        stack.enter_context(torch.autocast(device.type, dtype=torch.float16) "
            'if device.type != "cpu" else contextlib.nullcontext())\n'
            "        stack.enter_context(torch.amp.autocast(device_type=device.type, **kwargs) "
            'if device.type != "cpu" else contextlib.nullcontext())\n'
            "        return (x @ x).dtype\n",
            count=2,
            run="enter(torch.ones(2, 2))",
            id="stack",
        ),
        Bad(
            "import torch\n\n\ndef step(model, x):\n    if not torch.cuda.is_available():\n        return model(x)\n"
            "    with torch.cuda.amp.autocast(dtype=torch.bfloat16):\n        return model(x)\n",
            "import torch\n\n\ndef step(model, x):\n    if not torch.cuda.is_available():\n"
            "        return model(x)\n    device = torch.accelerator.current_accelerator()\n"
            "    with torch.autocast(device.type, dtype=torch.bfloat16):\n"
            "        return model(x)\n",
            run="step(torch.nn.Linear(2, 2), torch.ones(1, 2)).dtype",
            id="guarded",
        ),
        Bad(
            "import torch\n\n\nclass Net(torch.nn.Module):\n    @torch.cuda.amp.autocast(enabled=False)\n"
            '    def forward(self, x):\n        return x\n\n    @torch.autocast("cuda")\n    def half(self, x):\n'
            "        return x\n",
            f"import torch\n\n\ndevice = {_SELECT}\n\n\nclass Net(torch.nn.Module):\n"
            "    @torch.autocast(device.type, enabled=False)\n"
            "    def forward(self, x):\n        return x\n\n"
            '    @torch.autocast(device.type, enabled=device.type != "cpu")\n'
            "    def half(self, x):\n        return x\n",
            Applicability.UNSAFE,
            count=2,
            id="decorator",
        ),
        Bad(
            "import torch\n\n\ndef context(amp, fast):\n    return torch.cuda.amp.autocast(enabled=amp or fast)\n",
            f"import torch\n\n\ndef context(amp, fast):\n    device = {_SELECT}\n"
            "    return torch.autocast(device.type, dtype=torch.float16, "
            'enabled=(amp or fast) and device.type != "cpu")\n',
            Applicability.UNSAFE,
            id="returned",
        ),
        Bad(
            "from diffusers.utils import maybe_autocast\n\n\ndef f(x):\n"
            '    with maybe_autocast(device_type="cuda", enabled=False):\n        return x\n',
            "from diffusers.utils import maybe_autocast\nimport torch\n\n\ndef f(x):\n"
            f"    device = {_SELECT}\n    with maybe_autocast(device_type=device.type, enabled=False):\n"
            "        return x\n",
            Applicability.UNSAFE,
            id="wrapper",
        ),
        Bad(
            "from contextlib import nullcontext\n\nimport torch\n\ntry:\n    from torch.cuda.amp import autocast\n"
            "except ImportError:\n    autocast = nullcontext\n\n\n"
            "def f(x):\n    with autocast(False):\n        return x\n",
            "from contextlib import nullcontext\n\nimport torch\n\ntry:\n    from torch.cuda.amp import autocast\n"
            "except ImportError:\n    autocast = nullcontext\n\n\n"
            f"def f(x):\n    device = {_SELECT}\n"
            '    with torch.autocast(device.type, enabled=False) if device.type != "cpu" else nullcontext():\n'
            "        return x\n",
            Applicability.UNSAFE,
            id="stopgap",
        ),
        Bad(
            "try:\n    from torch.amp import autocast\nexcept ImportError:\n    from torch.cuda.amp import autocast\n\n\n"
            'def f(x):\n    with autocast("cuda"):\n        return x\n',
            None,
            id="two-meanings",
        ),
        Bad(
            "import functools\n\nimport torch\n\nhalf = functools.partial(torch.cuda.amp.autocast, dtype=torch.bfloat16)\n"
            'full = functools.partial(torch.autocast, device_type="cuda", enabled=False)\n'
            "autocast = torch.cuda.amp.autocast\n\n\ndef f(x):\n    with autocast(True):\n        return x\n",
            None,
            count=3,
            id="not-called",
        ),
        Bad(
            "import torch\n\n\ndef f(x, settings):\n    with torch.cuda.amp.autocast(**settings):\n        return x\n",
            None,
            id="hidden-arguments",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    with torch.cuda.amp.autocast():\n        return x\n",
            None,
            floor=(2, 5),
            id="floor",
        ),
        Bad(
            "import torch\n\n\ndef train(net, x, amp):\n    device = torch.device('cpu' if x is None else x.device)\n"
            "    region = torch.autocast(\n        device_type='cuda',\n        dtype=torch.bfloat16,  # no scaler\n"
            "        enabled=amp\n        and torch.cuda.is_available(),\n    )\n    with region:\n        return net(x)\n",
            "import torch\n\n\ndef train(net, x, amp):\n    device = torch.device('cpu' if x is None else x.device)\n"
            f"    accelerator = {_SELECT}\n"
            "    region = torch.autocast(\n        device_type=accelerator.type,\n"
            "        dtype=torch.bfloat16,  # no scaler\n"
            "        enabled=amp\n        and torch.cuda.is_available(),\n    )\n    with region:\n        return net(x)\n",
            Applicability.UNSAFE,
            id="several-lines",
        ),
    )
    good = (
        Good("import torch\n\nwith torch.autocast(\n    x.device.type,  # cuda or other\n    enabled=True,\n):\n    y = 1\n"),
        Good('import torch\n\nwith torch.autocast("cpu", dtype=torch.bfloat16):\n    x = 1  # cuda\n', "another device"),
        Good("import torch\n\nwith torch.autocast(device.type):\n    x = 1  # cuda\n", "portable already"),
        Good('import torch\n\nwith torch.autocast(device_type="mps"):\n    x = 1  # cuda\n'),
        Good('import torch\n\nwith torch.autocast("cuda" if torch.cuda.is_available() else "cpu"):\n    x = 1\n', "UC201"),
        Good("import torch\n\nwith torch.cpu.amp.autocast():\n    x = 1  # cuda\n", "the CPU's own"),
        Good("import torch\n\nwith torch.xpu.amp.autocast():\n    x = 1  # cuda\n", "another vendor's"),
        Good("from torch.cuda.amp import autocast\n", "an import alone"),
        Good("try:\n    from torch.amp import autocast\nexcept ImportError:\n    from torch.cuda.amp import autocast\n\n\n"
             "def f(x, kind):\n    with autocast(kind):\n        return x\n", "the device is given"),
        Good("class CudaAmp:\n    def f(self, enabled):\n        return self.autocast(enabled)\n"),
        Good("with accelerator.autocast():\n    x = 1  # cuda\n", "an object's own method"),
        Good("def autocast(kind):\n    return kind\n\n\nautocast('fp16')  # cuda\n", "a function of one's own"),
        Good('"""with torch.cuda.amp.autocast(): …"""\n', "prose"),
        Good("# with torch.cuda.amp.autocast():\nx = 1\n", "a comment"),
        Good("cfg = {'autocast': 'cuda'}\n", "a dict entry"),
        Good("class Trainer:\n    autocast = True\n\n    def f(self):\n        return self.autocast  # cuda\n"),
        Good("from tensorflow import amp\n\nwith amp.autocast('cuda-like'):\n    x = 1\n", "not torch"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node):
            return
        name = amp_name(node.func, ctx)
        kind = argument(node, "device_type", 0)
        if name in _OLD and not (may_be(node.func, ctx, _GENERAL) and _is_kind(kind, ctx)):
            if not is_assigned(node.func, ctx):
                self._report(node, "torch.cuda.amp.autocast", ctx, lambda fix: self._old(fix, node))
            return
        if name in _OLD or name in _GENERAL:
            if kind is not None and names_cuda(kind.value):
                self._report(
                    node,
                    'torch.autocast("cuda")',
                    ctx,
                    lambda fix: self._general(fix, node, kind),
                    kind.value,
                )
        elif name == "functools.partial" or ctx.qualified(node.func) == "functools.partial":
            self._partial(node, ctx)
        elif name is None and "autocast" in last_word(node.func) and kind is not None:
            if names_cuda(kind.value):
                self._wrapper(node, kind, ctx)

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        self._mention(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        self._mention(node, ctx)

    def _mention(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        if mentioned(node, ctx, _OLD) is not None:
            self._report(node, "torch.cuda.amp.autocast", ctx, None)

    def _partial(self, node: cst.Call, ctx: Context) -> None:
        if not node.args or amp_name(node.args[0].value, ctx) not in _GENERAL:
            return
        kind = argument(node, "device_type", 1)
        if kind is not None and names_cuda(kind.value):
            self._report(node, 'torch.autocast("cuda")', ctx, None, kind.value)

    def _wrapper(self, node: cst.Call, kind: cst.Arg, ctx: Context) -> None:
        """Somebody's own function around `torch.autocast`."""

        def name_type(fix: FixBuilder) -> None:
            fix.unsafe()
            fix.replace(kind.value, fix.device_type())

        ctx.report(
            self,
            kind.value,
            f"`{last_word(node.func)}` is asked for CUDA",
            symbol='torch.autocast("cuda")',
            fix=name_type,
            title="Name the device that is there",
        )

    def _report(
        self,
        node: cst.BaseExpression,
        symbol: str,
        ctx: Context,
        fix: Callable[[FixBuilder], None] | None,
        *claims: cst.CSTNode,
    ) -> None:
        off = isinstance(node, cst.Call) and _is_off(node, symbol, ctx)
        says = "switches off CUDA's autocast alone" if off else "leaves other accelerators in full precision"
        ctx.report(
            self,
            node,
            f"`{symbol}` {says}",
            symbol=symbol,
            claims=claims,
            fix=fix,
            title="Name the device that is there",
        )

    # -- fixes ---------------------------------------------------------------------------------------------

    def _old(self, fix: FixBuilder, node: cst.Call) -> None:
        be_certain(fix, node.func)
        from uncuda.rules.knowledge import parameters

        known = parameters("torch.cuda.amp.autocast")
        given = by_name(node, known)
        if given is None or not set(given) <= set(known):
            raise CannotFix("not the arguments of torch.cuda.amp.autocast")
        enabled = given["enabled"].value if "enabled" in given else None
        words: list[str] = []
        if "dtype" in given:
            words.append(f"dtype={fix.code(given['dtype'].value)}")
        elif enabled is None or fix.code(enabled) != "False":
            words.append(f"dtype={fix.name('torch')}.float16")
        cache = (
            [f"cache_enabled={fix.code(given['cache_enabled'].value)}"] if "cache_enabled" in given else []
        )
        self._write(fix, node, fix.name("torch.autocast"), "{}", words, enabled, cache)

    def _general(self, fix: FixBuilder, node: cst.Call, kind: cst.Arg) -> None:
        given = by_name(node, ("device_type", "dtype", "enabled", "cache_enabled"))
        be_certain(fix, node.func)
        enabled = given["enabled"].value if given is not None and "enabled" in given else None
        place = "device_type={}" if kind.keyword is not None else "{}"
        words: list[str] = []
        for arg in node.args:
            if arg is kind or arg.value is enabled:
                continue
            words.append(fix.code(arg.with_changes(comma=cst.MaybeSentinel.DEFAULT)).strip())
        if given is None:
            # What is given with `**` may be `enabled`.
            if not _is_context(node, fix.ctx) and not is_guarded(fix.ctx, node):
                raise CannotFix("what is given isn't known")
        elif "dtype" in given and given["dtype"].keyword is None:
            words[0] = f"dtype={words[0]}"
        self._write(fix, node, fix.code(node.func), place, words, enabled, [], kind.value)

    def _write(
        self,
        fix: FixBuilder,
        node: cst.Call,
        func: str,
        place: str,
        words: list[str],
        enabled: cst.BaseExpression | None,
        behind: list[str],
        asked: cst.BaseExpression | None = None,
    ) -> None:
        """Writes the call anew; one that stands on several lines stays as it is laid out where its arguments do, and
        `asked`, the device's type, is all that changes."""
        ctx = fix.ctx
        kind = DeviceType(fix, enabled)
        context = _is_context(node, ctx)
        alone = context and _is_program(ctx)
        apart = context and not alone and not is_guarded(ctx, node)
        if alone:
            switch = enabled_off_cpu(fix, node, enabled, kind)
        elif apart or is_guarded(ctx, node):
            switch = fix.code(enabled) if enabled is not None else ""
            switch = "" if switch == "True" else switch
        else:
            fix.unsafe()
            switch = enabled_off_cpu(fix, node, enabled, kind)
        if asked is not None and not apart and "\n" in fix.code(node) and (enabled is not None or not switch):
            fix.replace(asked, kind.text)
            if enabled is not None and switch not in ("", fix.code(enabled)):
                fix.replace(enabled, switch)
            return
        if switch:
            words = [*words, f"enabled={switch}"]
        words = [_BREAK.sub(" ", word) for word in words]
        call = f"{func}({', '.join([place.format(kind.text), *words, *behind])})"
        if apart:
            call = f"{call} if {kind.is_accelerator} else {_null(fix)}"
        fix.replace(node, call)


_BREAK = re.compile(r"\s*[\r\n]\s*")
_AROUND = re.compile(
    r"""autocast\(\s*(?:device_type\s*=\s*)?["']cpu|\bcpu\.amp\b|\b(?:accelerate|lightning\w*|fabric)\b"""
)


def _is_program(ctx: Context) -> bool:
    """Is the file a program of its own, in which nothing makes a region of the CPU around others?"""
    return ctx.index.main_guard and not ctx.index.has(_AROUND)


def _null(fix: FixBuilder) -> str:
    """A context that does nothing."""
    known = fix.ctx.local_name("contextlib.nullcontext")
    return f"{known or fix.name('contextlib.nullcontext')}()"


def _is_context(node: cst.Call, ctx: Context) -> bool:
    """Is the call entered where it stands, by `with` or `enter_context`, and by nothing else?"""
    match ctx.parent:
        case cst.WithItem(asname=None):
            return True
        case cst.Arg():
            above = ctx.ancestors[-2] if len(ctx.ancestors) > 1 else None
            return isinstance(above, cst.Call) and last_word(above.func) == "enter_context"
        case _:
            return False


def _is_kind(given: cst.Arg | None, ctx: Context) -> bool:
    """Can this be a device's type, rather than a bool?"""
    return given is not None and ctx.code(given.value) not in ("True", "False")


def _is_off(node: cst.Call, symbol: str, ctx: Context) -> bool:
    given = argument(node, "enabled", 0 if symbol.startswith("torch.cuda") else 2)
    return given is not None and ctx.code(given.value) == "False"
