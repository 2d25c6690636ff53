"""CUDA as an object: `torch.device("cuda")`, and torch's default device."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.guards import Guard
from uncuda.literals import argument, string_value
from uncuda.rules._calls import last_word
from uncuda.rules._literals import (
    asserts_cuda,
    at_import,
    choices,
    cuda_object,
    cuda_text,
    in_cuda_class,
    is_expected,
)
from uncuda.rules._parameters import none_by_default
from uncuda.rules._spellings import device_for, object_for, selected_object
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.uses import uses
from uncuda.values import Kind

_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_CURRENT = "torch.accelerator.current_accelerator().type"
_INDEXED = f'torch.device({_CURRENT}, {{}}) if torch.accelerator.is_available() else torch.device("cpu")'


class CudaDeviceObject(Rule):
    """`torch.device("cuda")` is a promise that CUDA is there; what is sent to it raises elsewhere.

    Making the object works on every machine, using it doesn't. `torch.accelerator.current_accelerator()` is the
    same device on CUDA, and the right one elsewhere; an index is kept where there is an accelerator. The same holds
    for `with torch.device("cuda"):` and for `torch.set_default_device("cuda")`.
    """

    code = "UC104"
    name = "cuda-device-object"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 55
    fix_safety = (
        "Safe in functions and scripts: with CUDA the same device, without it every use raised. Unsafe in a class body, and at "
        "the top of a module that doesn't use the device there: asking for the accelerator while a module is imported can keep "
        "worker processes from being forked later. Unsafe too under a condition that asks for CUDA, and beside a device of "
        "another kind in a list: without an accelerator, the same device stands there twice; and where a test "
        "gives it to other code. Not offered for what a test expects as an answer."
    )
    sources = ("torch 2.13.0, executed", 'knowledge base: torch.device("cuda")')
    bad = (
        Bad(
            'import torch\n\n\ndef f():\n    device = torch.device("cuda")\n    return torch.ones(2, device=device)\n',
            f"import torch\n\n\ndef f():\n    device = {_DEVICE}\n    return torch.ones(2, device=device)\n",
            run="f()",
        ),
        Bad(
            "import torch\n\n\ndef f(rank: int):\n    device = torch.device(f'cuda:{rank}')\n    return torch.ones(2).to(device)\n",
            f"import torch\n\n\ndef f(rank: int):\n    device = {_INDEXED.format('rank')}\n    return torch.ones(2).to(device)\n",
            run="f(0)",
            id="rank",
        ),
        Bad(
            "import torch\n\n\ndef f(gpu):\n    return torch.device('cuda:{}'.format(gpu))\n",
            f'import torch\n\n\ndef f(gpu):\n    return torch.device(f"{{{_CURRENT}}}:{{gpu}}") '
            'if torch.accelerator.is_available() else torch.device("cpu")\n',
            run='torch.ones(1, device=f("0"))',
            id="index-of-unknown-kind",
        ),
        Bad(
            "import torch\n\n\ndef test_pick():\n    assert pick('auto') == (torch.device('cuda:0'),)\n"
            "    expected = {torch.device('cuda:1')}\n    assert set(pick(2)) == expected\n",
            None,
            count=2,
            id="expected",
        ),
        Bad(
            "import torch\n\n\ndef test_move(model):\n    movers[0].all['x'](model)\n    move(model, torch.device('cuda'))\n"
            "    assert model.options['device'] == 'cuda'\n",
            None,
            id="asked-back",
        ),
        Bad(
            "import torch\n\n\ndef test_move():\n    place = place_of(3, torch.device('cuda', 2))\n    assert place.index == 5\n",
            f"import torch\n\n\ndef test_move():\n    device = {_DEVICE}\n"
            "    place = place_of(3, torch.device(device.type, 2))\n    assert place.index == 5\n",
            Applicability.UNSAFE,
            id="told-to-others-in-a-test",
        ),
        Bad(
            "import torch\n\n\ndef tried():\n    return [torch.device('cuda'), torch.device('cpu')]\n",
            f"import torch\n\n\ndef tried():\n    device = {_DEVICE}\n    return [device, torch.device('cpu')]\n",
            Applicability.UNSAFE,
            id="one-of-several",
        ),
        Bad(
            "import pytest\nimport torch\n\n\n@pytest.mark.parametrize('given, text', [(torch.device('cuda', 2), 'cuda:2')])\n"
            "def test_name(given, text):\n    assert name_of(given) == text\n",
            None,
            id="beside-its-text",
        ),
        Bad(
            "import torch\n\n\ndef f(x, i):\n    return x.to(torch.device(type='cuda', index=i))\n",
            f"import torch\n\n\ndef f(x, i):\n    device = {_DEVICE}\n    return x.to(torch.device(device.type, i))\n",
            run="f(torch.ones(2), 0)",
            id="keywords",
        ),
        Bad(
            "import torch\n\n\ndef f():\n    with torch.device('cuda'):\n        return torch.ones(2)\n",
            f"import torch\n\n\ndef f():\n    device = {_DEVICE}\n    with device:\n        return torch.ones(2)\n",
            run="f()",
            id="context",
        ),
        Bad(
            "import torch\n\n\ndef main():\n    torch.set_default_device('cuda')\n    return torch.ones(2)\n",
            f"import torch\n\n\ndef main():\n    device = {_DEVICE}\n    torch.set_default_device(device)\n    return torch.ones(2)\n",
            run="main()",
            id="default-device",
        ),
        Bad(
            "from torch import device as D, nn\n\n\ndef f():\n    return nn.Linear(2, 2).to(D('cuda'))\n",
            "import torch\nfrom torch import nn\n\n\ndef f():\n"
            f"    device = {_DEVICE}\n    return nn.Linear(2, 2).to(device)\n",
            run="f().weight.shape",
            id="alias",
        ),
        Bad(
            "import torch\n\ndevice = torch.device('cuda')\nx = torch.ones(2).to(device)\n",
            f"import torch\n\ndevice = {_DEVICE}\nx = torch.ones(2).to(device)\n",
            run="x",
            id="script",
        ),
        Bad(
            "import torch\n\nDEVICE = torch.device('cuda')\n\n\ndef f(x):\n    return x.to(DEVICE)\n",
            f"import torch\n\nDEVICE = {_DEVICE}\n\n\ndef f(x):\n    return x.to(DEVICE)\n",
            Applicability.UNSAFE,
            id="library",
        ),
        Bad(
            "import torch\n\n\ndef f(opt):\n    if opt.device == 'cuda':\n        return torch.device('cuda')\n    return None\n",
            f"import torch\n\n\ndef f(opt):\n    if opt.device == 'cuda':\n        return {_DEVICE}\n    return None\n",
            Applicability.UNSAFE,
            id="guarded",
        ),
        Bad(
            "import torch\n\n\ndef f(model, args):\n    return model.to(torch.device(args.device or 'cuda'))\n",
            "import torch\n\n\ndef f(model, args):\n"
            f"    device = {_DEVICE}\n    return model.to(torch.device(args.device or device))\n",
            setup="import torch\nclass A:\n    device = None\n",
            run="f(torch.nn.Linear(1, 1), A).bias.shape",
            id="or",
        ),
        Bad(
            "import torch\n\n\ndef f(n=2, device=torch.device('cuda', 0)):\n    return torch.ones(n, device=device)\n",
            "import torch\n\n\ndef f(n=2, device=None):\n    if device is None:\n"
            f"        device = {_INDEXED.format('0')}\n    return torch.ones(n, device=device)\n",
            Applicability.UNSAFE,
            run="f()",
            id="default",
        ),
        Bad("import torch\n\ndevice = torch.device('cuda')\n", None, floor=(2, 5), id="floor"),
        Bad(
            "import torch\n\n\ndef load(engine, device):\n    if engine:\n        import tensorrt\n\n"
            "        device = torch.device('cuda:0')\n    return device\n",
            None,
            id="engine-for-cuda",
        ),
    )
    good = (
        Good('import torch\n\ndevice = torch.device("cpu")\n'),
        Good('import torch\n\ndevice = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n', "UC201"),
        Good('import torch\n\nd = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")\n', "UC201"),
        Good("import torch\n\nsame = x.device == torch.device('cuda')\n", "UC110"),
        Good("import torch\n\nx = torch.load(p, map_location=torch.device('cuda'))\n", "UC107"),
        Good("import torch\n\ndevice = torch.device(name)\n"),
        Good("import torch\n\nwith torch.cuda.device(0):\n    pass\n", "told by the current-device rules"),
        Good("def device(name):\n    return name\n\n\ndevice('cuda')\n", "a function of one's own"),
        Good("import torch\n\n\ndef test_pick():\n    assert pick('cpu') == torch.device('cpu')  # not cuda\n"),
        Good("import torch\n\n\ndef test_move(model):\n    move(model, torch.device('cpu'))  # not cuda\n"),
        Good("import torch\n\n\ndef test_all(made):\n    made[0].of['x'](torch.device('cpu'))  # not cuda\n"),
        Good("import torch\n\n\ndef test_place():\n    assert place_of(3, device=torch.device('meta')).index == 5  # not cuda\n"),
        Good("import torch\n\n\ndef tried():\n    return [torch.device('xpu'), torch.device('cpu')]  # no cuda\n"),
        Good("import torch\n\n\ndef test_pick(text):\n    assert str(torch.device(text)) == 'cuda:1'\n"),
        Good("import tensorflow as tf\n\nwith tf.device('cuda'):\n    pass\n", "not torch"),
        Good('"""torch.device("cuda")"""\n# torch.device("cuda")\n', "prose"),
        Good("import torch\n\ntorch.set_default_device(device)\n"),
        Good("import torch\n\nclass CudaBackend:\n    device = torch.device('cuda')\n", "the CUDA side of an interface"),
        Good("import torch\n\ndevice = torch.device(0)\n", "an index is portable already"),
        Good("import torch\n\n\ndef f(n=2, device=torch.device('cpu')):\n    return n  # cuda\n"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if ctx.is_claimed(node) or not node.args:
            return
        name = ctx.qualified(node.func)
        if name == "torch.set_default_device":
            self._default(node, ctx)
        elif name == "torch.device":
            if in_cuda_class(ctx):
                return
            if cuda_object(node, ctx) is None:
                self._choice(node, ctx)
                return
            ctx.report(
                self,
                node,
                f"what is sent to `{_short(ctx.code(node))}` needs CUDA",
                symbol='torch.device("cuda")',
                claims=(node,),
                fix=lambda fix: _fix(fix, node),
                title="Use the device that is there",
            )

    def _default(self, node: cst.Call, ctx: Context) -> None:
        given = argument(node, "device", 0)
        if given is None:
            return
        for literal in choices(given.value, ctx):
            if (cuda_text(literal) is None and cuda_object(literal, ctx) is None) or ctx.is_claimed(literal):
                continue
            ctx.report(
                self,
                literal,
                "every tensor made from here on needs CUDA",
                symbol='torch.set_default_device("cuda")',
                claims=(literal,),
                fix=lambda fix, literal=literal: _fix_default(fix, literal),  # type: ignore[misc]
                title="Make the accelerator that is there the default",
            )

    def _choice(self, node: cst.Call, ctx: Context) -> None:
        """`torch.device(args.device or "cuda")`."""
        for literal in choices(node.args[0].value, ctx):
            if cuda_text(literal) is not None and not ctx.is_claimed(literal):
                ctx.report(
                    self,
                    literal,
                    'what is sent to `torch.device("cuda")` needs CUDA',
                    symbol='torch.device("cuda")',
                    fix=lambda fix, literal=literal: _fix_default(fix, literal),  # type: ignore[misc]
                    title="Use the device that is there",
                )


def _short(code: str) -> str:
    line = " ".join(code.split())
    return line if len(line) <= 50 else "torch.device(…)"


def _stands_alone(ctx: Context) -> bool:
    """Is the device bound or returned as it is, so that no other name for it is needed?"""
    return isinstance(ctx.parent, (cst.Assign, cst.AnnAssign, cst.Return, cst.NamedExpr))


def _fix(fix: FixBuilder, node: cst.Call) -> None:
    ctx = fix.ctx
    if is_expected(ctx, node):
        raise CannotFix("it is an answer that is expected, not a place")
    if _is_handed_over(ctx):
        if asserts_cuda(ctx):
            raise CannotFix("a test asks for that very device back")
        if ctx.function is not None and ctx.function.name.value.startswith("test"):
            fix.unsafe()
    judge(fix, ctx)
    match ctx.ancestors[-3:]:
        case [cst.FunctionDef() as function, cst.Parameters(), cst.Param(default=default) as param] if (
            default is node
        ):
            none_by_default(fix, param, function, selected_object(fix, node, reuse=False))
            return
    if _stands_alone(ctx):
        fix.replace(node, selected_object(fix, node))
    else:
        fix.replace(node, object_for(fix, node))


def _fix_default(fix: FixBuilder, literal: cst.BaseExpression) -> None:
    judge(fix, fix.ctx)
    fix.replace(literal, device_for(fix, literal))


def judge(fix: FixBuilder, ctx: Context) -> None:
    """Lowers a fix that asks for the accelerator where that is new: while a module is imported, or under a
    condition that asks for CUDA."""
    if is_conditional(fix) or _is_one_of_several(ctx):
        fix.unsafe()
    if at_import(ctx) and not used_at_import(ctx):
        fix.unsafe()


def _is_handed_over(ctx: Context) -> bool:
    """Is the device given to a call that may do anything with it, rather than to torch?"""
    match ctx.ancestors[-2:]:
        case [cst.Call(func=func), cst.Arg()]:
            name = ctx.qualified(func) or ""
            return not name.startswith("torch.") and last_word(func) not in ("to", "to_empty", "cuda")
        case _:
            return False


def _is_one_of_several(ctx: Context) -> bool:
    """Is the device an element beside others of another kind, as in a list of the devices to try?"""
    match ctx.ancestors[-2:]:
        case [cst.Tuple() | cst.List() | cst.Set() as held, cst.Element()]:
            return any(
                ctx.value(e.value).kind in (Kind.DEVICE, Kind.TEXT) and not ctx.value(e.value).is_cuda
                for e in held.elements
            )
        case _:
            return False


def is_conditional(fix: FixBuilder) -> bool:
    """Does the place run only where CUDA is there, or in a `try` that handles its absence?"""
    return fix.ctx.guard(fix.node) in (Guard.CUDA, Guard.TRY, Guard.SKIPPED_TEST)


def used_at_import(ctx: Context) -> bool:
    """Does the statement at hand, at the top of a module, bind a device that the module itself uses there?"""
    for node in ctx.ancestors:
        if isinstance(node, cst.ClassDef):
            return False
    if ctx.owner is not None:
        return False
    for node in reversed(ctx.ancestors):
        if isinstance(node, cst.Assign):
            names = [t.target.value for t in node.targets if isinstance(t.target, cst.Name)]
            return any(uses(ctx.index.text, name).at_import for name in names)
        if isinstance(node, cst.AnnAssign) and isinstance(node.target, cst.Name):
            return bool(uses(ctx.index.text, node.target.value).at_import)
    return _moves_at_import(ctx)


def _moves_at_import(ctx: Context) -> bool:
    """Is the device at hand given to a call that uses it at once?"""
    for node in reversed(ctx.ancestors):
        if isinstance(node, cst.Call) and ctx.qualified(node.func) != "torch.device":
            return isinstance(node.func, cst.Attribute) and node.func.attr.value in ("to", "to_empty")
        if isinstance(node, cst.BaseSmallStatement):
            return False
    return False


class DefaultCudaTensorType(Rule):
    """`torch.set_default_tensor_type("torch.cuda.FloatTensor")` makes every new tensor a CUDA tensor.

    Without CUDA the call raises. It sets two things at once, and is deprecated since 2.1: the default dtype
    (`torch.set_default_dtype`) and the default device (`torch.set_default_device`).
    """

    code = "UC109"
    name = "default-cuda-tensor-type"
    triggers = ("set_default_tensor_type",)
    effort = 3
    priority = 30
    fix_safety = (
        "Unsafe: `set_default_device` works through a function mode. It costs a little on each call, doesn't reach "
        "`torch.from_numpy`, and a shuffling DataLoader then wants a generator on that device."
    )
    sources = ("torch 2.13.0, executed", "torch documentation: set_default_tensor_type")
    bad = (
        Bad(
            'import torch\n\n\ndef main():\n    torch.set_default_tensor_type("torch.cuda.FloatTensor")\n',
            f"import torch\n\n\ndef main():\n    device = {_DEVICE}\n    torch.set_default_dtype(torch.float32)\n"
            "    torch.set_default_device(device)\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "import torch as th\n\n\ndef main():\n    th.set_default_tensor_type(th.cuda.HalfTensor)  # half\n",
            "import torch as th\n\n\ndef main():\n"
            f"    device = {_DEVICE.replace('torch.', 'th.')}\n    th.set_default_dtype(th.float16)\n"
            "    th.set_default_device(device)  # half\n",
            Applicability.UNSAFE,
            id="class",
        ),
        Bad(
            "import torch\n\n\ndef main(args):\n    torch.set_default_tensor_type(\n"
            "        torch.cuda.FloatTensor if args.cuda else torch.FloatTensor\n    )\n",
            None,
            id="choice",
        ),
        Bad(
            'import torch\n\ntorch.set_default_tensor_type("torch.cuda.FloatTensor")\n',
            None,
            floor=(2, 5),
            id="floor",
        ),
    )
    good = (
        Good('import torch\n\ntorch.set_default_tensor_type("torch.FloatTensor")\n'),
        Good("import torch\n\ntorch.set_default_tensor_type(torch.DoubleTensor)\n"),
        Good("import torch\n\ntorch.set_default_dtype(torch.float32)\n"),
        Good(
            "def set_default_tensor_type(x):\n    pass\n\n\nset_default_tensor_type('torch.cuda.FloatTensor')\n"
        ),
        Good('# torch.set_default_tensor_type("torch.cuda.FloatTensor")\nx = 1\n', "a comment"),
    )

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if (
            ctx.is_claimed(node)
            or ctx.qualified(node.func) != "torch.set_default_tensor_type"
            or not node.args
        ):
            return
        given = node.args[0].value
        kinds = [_cuda_kind(choice, ctx) for choice in choices(given, ctx)]
        if not any(kinds):
            return
        ctx.report(
            self,
            node,
            "`set_default_tensor_type` makes every new tensor a CUDA tensor",
            symbol='torch.set_default_tensor_type("torch.cuda.FloatTensor")',
            claims=(given,),
            fix=lambda fix: self._fix(fix, node, kinds),
            title="Set the default dtype and the default device",
        )

    def _fix(self, fix: FixBuilder, node: cst.Call, kinds: list[str | None]) -> None:
        fix.unsafe()
        from uncuda.rules.knowledge import tensor_dtype

        dtype = tensor_dtype(f"torch.cuda.{kinds[0]}") if len(kinds) == 1 else None
        if dtype is None or not dtype.startswith(("float", "bfloat")):
            raise CannotFix("the type depends on a condition")
        line = fix.ctx.statement
        if not isinstance(fix.ctx.parent, cst.Expr) or not isinstance(line, cst.SimpleStatementLine):
            raise CannotFix("not a statement of its own")
        if len(line.body) != 1:
            raise CannotFix("the line holds other statements")
        device = fix.device()
        torch = fix.name("torch")
        fix.insert_before(line, f"{torch}.set_default_dtype({torch}.{dtype})")
        fix.replace(node.func, f"{torch}.set_default_device")
        fix.arguments(node, device)


def _cuda_kind(node: cst.BaseExpression, ctx: Context) -> str | None:
    """ "FloatTensor" for torch.cuda.FloatTensor or its text."""
    name = string_value(node) or ctx.qualified(node)
    if name is None or not name.startswith("torch.cuda."):
        return None
    last = name.rpartition(".")[2]
    return last if last.endswith("Tensor") else None
