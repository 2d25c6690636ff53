"""Where checkpoints are put when they are read: `map_location`."""

from __future__ import annotations

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.literals import argument
from uncuda.rules._indexes import index_of
from uncuda.rules._literals import at_import, choices, cuda_literal, cuda_text
from uncuda.rules._spellings import selected_object, selected_text
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.values import Kind

_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_TYPE = "torch.accelerator.current_accelerator().type"
_LOADERS = frozenset(
    (
        "torch.load", "torch.jit.load", "torch.hub.load_state_dict_from_url",
        "torch.utils.model_zoo.load_url",
    )
)  # fmt: skip


class CudaMapLocation(Rule):
    """`map_location="cuda"` puts the tensors of a checkpoint on CUDA: reading fails without it.

    The accelerator that is there takes its place. An index is kept on an accelerator only: `torch.load` refuses
    "cpu:0". A dict that moves what was saved on CUDA to another device (`{"cuda:0": "cpu"}`) is portable.
    """

    code = "UC107"
    name = "cuda-map-location"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 40
    fix_safety = (
        "Safe for torch's own loaders and a device or its text: with CUDA the same place, without it they always raised. Unsafe "
        "for a function or a dict (which moves only what was saved on the device that it names), for loaders of "
        "other libraries, and for variables."
    )
    sources = ("torch 2.13.0, executed", 'knowledge base: torch.load(map_location="cuda")')
    bad = (
        Bad(
            'import torch\n\n\ndef f(path):\n    return torch.load(path, map_location="cuda")\n',
            f"import torch\n\n\ndef f(path):\n    device = {_DEVICE}\n    return torch.load(path, map_location=device)\n",
            setup="import torch, io\nbuf = io.BytesIO()\ntorch.save(torch.ones(2), buf)\nbuf.seek(0)\n",
            run="f(buf)",
        ),
        Bad(
            "import torch\n\n\ndef f(path, rank):\n    return torch.load(path, map_location=f'cuda:{rank}', weights_only=True)\n",
            f"import torch\n\n\ndef f(path, rank):\n    device = {_DEVICE}\n    return torch.load(path, "
            'map_location=f"{device.type}:{rank}" if device.type != "cpu" else device, weights_only=True)\n',
            setup="import torch, io\nbuf = io.BytesIO()\ntorch.save(torch.ones(2), buf)\nbuf.seek(0)\n",
            run="f(buf, 0)",
            id="f-string",
        ),
        Bad(
            "import torch\n\n\ndef f(path):\n    return torch.load(path, torch.device('cuda:0'))\n",
            f"import torch\n\n\ndef f(path):\n    device = {_DEVICE}\n    return torch.load(path, "
            'torch.device(device.type, 0) if device.type != "cpu" else device)\n',
            setup="import torch, io\nbuf = io.BytesIO()\ntorch.save(torch.ones(2), buf)\nbuf.seek(0)\n",
            run="f(buf)",
            id="position",
        ),
        Bad(
            "import torch\n\n\ndef f(path):\n    return torch.load(path, map_location=lambda storage, loc: storage.cuda())\n",
            f"import torch\n\n\ndef f(path):\n    device = {_DEVICE}\n    return torch.load(path, map_location=device)\n",
            Applicability.UNSAFE,
            id="lambda",
        ),
        Bad(
            "import torch\n\n\ndef f(path):\n"
            "    return torch.load(path, map_location=lambda storage, loc: storage.cuda(0))\n",
            f"import torch\n\n\ndef f(path):\n    device = {_DEVICE}\n"
            '    return torch.load(path, map_location=torch.device(device.type, 0) if device.type != "cpu" else device)\n',
            Applicability.UNSAFE,
            id="lambda-index",
        ),
        Bad(
            "import torch\n\n\ndef f(path, args):\n"
            "    return torch.load(path, map_location=lambda storage, loc: storage.cuda(args.gpu))\n",
            f"import torch\n\n\ndef f(path, args):\n    device = {_DEVICE}\n"
            '    return torch.load(path, map_location=torch.device(device.type, args.gpu) if device.type != "cpu" else device)\n',
            Applicability.UNSAFE,
            id="lambda-variable",
        ),
        Bad(
            "import torch\n\n\ndef f(path, rank):\n"
            '    return torch.load(path, map_location={"cuda:0": "cuda:1", "cuda:1": "cuda:0"})\n',
            None,
            id="dict-of-two",
        ),
        Bad(
            'import torch\n\n\ndef f(path, rank: int):\n    return torch.load(path, map_location={"cuda:0": f"cuda:{rank}"})\n',
            f"import torch\n\n\ndef f(path, rank: int):\n    device = {_DEVICE}\n    return torch.load("
            'path, map_location=torch.device(device.type, rank) if device.type != "cpu" else device)\n',
            Applicability.UNSAFE,
            id="dict",
        ),
        Bad(
            "import torch\n\n\ndef f(path, rank):\n    map_location = 'cuda:%d' % rank\n"
            "    return torch.load(path, map_location=map_location)\n",
            f'import torch\n\n\ndef f(path, rank):\n    map_location = f"{{{_TYPE}}}:{{rank}}" '
            'if torch.accelerator.is_available() else "cpu"\n'
            "    return torch.load(path, map_location=map_location)\n",
            Applicability.UNSAFE,
            id="variable",
        ),
        Bad(
            'import torch\n\n\ndef f(path):\n    return read_weights(path, map_location="cuda")\n',
            f"import torch\n\n\ndef f(path):\n    return read_weights(path, map_location={_TYPE} "
            'if torch.accelerator.is_available() else "cpu")\n',
            Applicability.UNSAFE,
            id="other-loader",
        ),
        Bad('import torch\n\nx = torch.load("w.pt", map_location="cuda")\n', None, floor=(2, 5), id="floor"),
    )
    good = (
        Good('import torch\n\nx = torch.load(p, map_location="cpu")\n'),
        Good('import torch\n\nx = torch.load(p, map_location=device)\n'),
        Good('import torch\n\nx = torch.load(p, map_location={"cuda:0": "cpu"})\n', "moves away from CUDA"),
        Good('import torch\n\nx = torch.load(p, map_location=lambda storage, loc: storage)\n', "stays on the CPU"),
        Good('import torch\n\nx = torch.load(p, lambda s, l: s)\n', "stays on the CPU"),
        Good('import torch\n\nx = torch.load("cuda")\n', "a file that is called cuda"),
        Good('import json\n\nx = json.load(p, cls="cuda")\n', "not torch's"),
        Good('# torch.load(p, map_location="cuda")\nx = 1\n', "a comment"),
        Good('import torch\n\nx = torch.load(p, map_location="cuda" if torch.cuda.is_available() else "cpu")\n', "UC201"),
        Good('print("map_location=cuda")\n', "prose"),
        Good('x = {"map_location": 1, "cuda": 2}\n', "dict keys"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        if not node.args:
            return
        given = argument(node, "map_location")
        known = False
        if given is None or given.keyword is not None:
            known = ctx.qualified(node.func) in _LOADERS
            if given is None and known:
                given = argument(node, "map_location", 1)
        if given is None:
            return
        for choice in choices(given.value, ctx):
            if ctx.is_claimed(choice) or not _names_cuda(choice, ctx):
                continue
            ctx.report(
                self,
                choice,
                "reading the checkpoint needs CUDA",
                symbol='torch.load(map_location="cuda")',
                claims=(choice,),
                fix=lambda fix, choice=choice: _fix(fix, choice, known),  # type: ignore[misc]
                title="Read to the device that is there",
            )

    def visit_Assign(self, node: cst.Assign, ctx: Context) -> None:
        if not any(_is_map_location(t.target) for t in node.targets):
            return
        for choice in choices(node.value, ctx):
            if ctx.is_claimed(choice) or not _names_cuda(choice, ctx):
                continue
            ctx.report(
                self,
                choice,
                "reading the checkpoint needs CUDA",
                symbol='torch.load(map_location="cuda")',
                claims=(choice,),
                fix=lambda fix, choice=choice: _fix_variable(fix, choice),  # type: ignore[misc]
                title="Read to the device that is there",
            )


def _is_map_location(target: cst.BaseExpression) -> bool:
    last = target.attr.value if isinstance(target, cst.Attribute) else getattr(target, "value", "")
    return last in ("map_location", "maploc", "map_loc")


def _names_cuda(node: cst.BaseExpression, ctx: Context) -> bool:
    if isinstance(node, cst.Dict):
        return any(
            isinstance(e, cst.DictElement) and cuda_literal(e.value, ctx) is not None for e in node.elements
        )
    return cuda_literal(node, ctx) is not None or _moved(node) is not None


def _moved(node: cst.BaseExpression) -> cst.Call | None:
    """The `storage.cuda(…)` in `lambda storage, loc: storage.cuda(…)`."""
    match node:
        case cst.Lambda(
            params=cst.Parameters(params=[cst.Param(name=cst.Name(first)), _]),
            body=cst.Call(func=cst.Attribute(value=cst.Name(used), attr=cst.Name("cuda"))) as call,
        ) if first == used and len(call.args) <= 1:
            return call
        case _:
            return None


def _only_value(node: cst.Dict) -> cst.BaseExpression:
    if len(node.elements) != 1 or not isinstance(node.elements[0], cst.DictElement):
        raise CannotFix("the dict moves several devices")
    if cuda_text(node.elements[0].key) is None:
        raise CannotFix("the dict's key isn't a CUDA device")
    return node.elements[0].value


def _fix(fix: FixBuilder, node: cst.BaseExpression, known: bool) -> None:
    source = node
    index: tuple[str, bool] | None = None
    call = _moved(node)
    if call is not None:
        fix.unsafe()
        if call.args:
            given = call.args[0].value
            if fix.ctx.value(given).kind in (Kind.DEVICE, Kind.TEXT):
                raise CannotFix("the index is a device")
            if not isinstance(given, (cst.Integer, cst.Name, cst.Attribute)):
                raise CannotFix("the index may be a device")
            index = fix.code(given), True
    else:
        if isinstance(node, cst.Dict):
            fix.unsafe()
            source = _only_value(node)
        named = index_of(fix, source)
        index = (named.text, named.is_int) if named is not None else None
    if not known:
        fix.unsafe()
        if cuda_text(source) is not None:
            fix.replace(node, selected_text(fix, source))
            return
    shared = fix.shared_device(index[0]) if index is not None else None
    device = shared or fix.device()
    if index is None or shared is not None:
        fix.replace(node, device)
        return
    kind = fix.device_type()
    text, is_int = index
    if is_int or "'" in text or '"' in text:
        number = text if is_int else f"int({text})"
        new = f"{fix.name('torch')}.device({kind}, {number})"
    else:
        new = f'f"{{{kind}}}:{{{text}}}"'
    fix.replace(node, f'{new} if {kind} != "cpu" else {device}')


def _fix_variable(fix: FixBuilder, node: cst.BaseExpression) -> None:
    fix.unsafe()
    if at_import(fix.ctx) and fix.ctx.owner is not None:
        raise CannotFix("a class attribute")
    source = _only_value(node) if isinstance(node, cst.Dict) else node
    if cuda_text(source) is not None:
        fix.replace(node, selected_text(fix, source))
    elif cuda_literal(source, fix.ctx) is not None:
        fix.replace(node, selected_object(fix, source))
    else:
        raise CannotFix("a function")
