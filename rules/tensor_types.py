"""The tensor types of old: `torch.cuda.FloatTensor` and kin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

import libcst as cst

from uncuda.context import Context
from uncuda.findings import Category
from uncuda.fixes.builder import CannotFix, FixBuilder, Replace
from uncuda.literals import string_value
from uncuda.rules._calls import is_imported, is_read, last_word
from uncuda.rules._indexes import is_int
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.values import Kind

_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_SIZE = re.compile(r"(?:size|len|length|num|count|dim|shape|width|height)s?\Z|\A(?:n|num|len|max)_", re.I)
_TYPE = "torch.Tensor.type(torch.cuda.*Tensor)"
_COMPARED = 'torch.Tensor.type() == "torch.cuda.*Tensor"'


class CudaTensorType(Rule):
    """`torch.cuda.FloatTensor` is a dtype and a device in one name, and the device is CUDA.

    The types exist in every build, so that asking for them by `hasattr` tells nothing; making a tensor raises
    TypeError without CUDA, comparing with one is False on every other accelerator. The constructors read their
    argument in three ways: ints are a size (and the memory isn't set), a list or array is data, a tensor is shared. Written out,
    dtype and device are two arguments: `torch.empty(…, dtype=…, device=…)`, `torch.tensor(…)`, `.to(device, dtype)`.
    """

    code = "UC108"
    name = "cuda-tensor-type"
    triggers = (r"\bcuda\b",)
    effort = 3
    priority = 35
    fix_safety = (
        "Safe for constructors whose arguments are sizes or literal data, and for `.type()` of a tensor: with CUDA the same "
        "tensor, without it they raised. Unsafe for arguments of unknown kind (a tensor would be copied, not shared), for "
        "`.type()` of what may be a module, and for comparisons. A name that stands for one type or another "
        "(`Tensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor`) is used as constructor, as type and in isinstance: it is "
        "left to you."
    )
    sources = ("torch 2.13.0, executed", "knowledge base: torch.cuda.FloatTensor, torch.Tensor.type")
    bad = (
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor):\n    return torch.cuda.FloatTensor(x.size(0), 3).fill_(0)\n",
            f"import torch\n\n\ndef f(x: torch.Tensor):\n    device = {_DEVICE}\n"
            "    return torch.empty(x.size(0), 3, dtype=torch.float32, device=device).fill_(0)\n",
            run="f(torch.ones(2))",
        ),
        Bad(
            "import torch\n\n\ndef f():\n    return torch.cuda.LongTensor([[1, 2], [3, 4]])\n",
            f"import torch\n\n\ndef f():\n    device = {_DEVICE}\n"
            "    return torch.tensor([[1, 2], [3, 4]], dtype=torch.long, device=device)\n",
            run="f()",
            id="data",
        ),
        Bad(
            "import torch as th\nfrom torch.cuda import ByteTensor\n\n\ndef f():\n    return ByteTensor(), th.cuda.HalfTensor(4)\n",
            "import torch as th\n\n\ndef f():\n"
            f"    device = {_DEVICE.replace('torch.', 'th.')}\n    return th.empty(0, dtype=th.uint8, device=device), "
            "th.empty(4, dtype=th.float16, device=device)\n",
            count=2,
            run="[t.shape for t in f()]",
            id="alias",
        ),
        Bad(
            "import torch\n\n\ndef f(ids):\n    return torch.cuda.LongTensor(ids)\n",
            f"import torch\n\n\ndef f(ids):\n    device = {_DEVICE}\n    return torch.LongTensor(ids).to(device)\n",
            Applicability.UNSAFE,
            id="unknown-argument",
        ),
        Bad(
            "import torch\n\n\ndef f(n_rows, where):\n    a = torch.cuda.FloatTensor(n_rows)\n"
            "    b = torch.cuda.LongTensor(n_rows, device=where)\n    return a, b\n",
            f"import torch\n\n\ndef f(n_rows, where):\n    device = {_DEVICE}\n"
            "    a = torch.empty(n_rows, dtype=torch.float32, device=device)\n"
            "    b = torch.empty(n_rows, dtype=torch.long, device=where)\n    return a, b\n",
            Applicability.UNSAFE,
            count=2,
            id="size-by-name",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.Tensor):\n    return x.type(torch.cuda.FloatTensor)\n",
            f"import torch\n\n\ndef f(x: torch.Tensor):\n    device = {_DEVICE}\n    return x.to(device, torch.float32)\n",
            run="f(torch.ones(2, dtype=torch.float64))",
            id="type",
        ),
        Bad(
            "import torch\n\n\ndef f(batch):\n    return batch.type('torch.cuda.LongTensor', non_blocking=True)\n",
            f"import torch\n\n\ndef f(batch):\n    device = {_DEVICE}\n    return batch.to(device, torch.long, non_blocking=True)\n",
            Applicability.UNSAFE,
            id="type-text",
        ),
        Bad(
            "import torch\n\n\ndef f(z):\n    if z.type() == 'torch.cuda.HalfTensor':\n        z = z.float()\n    return z\n",
            "import torch\n\n\ndef f(z):\n    if z.device.type != \"cpu\" and z.dtype == torch.float16:\n        z = z.float()\n    return z\n",
            Applicability.UNSAFE,
            id="compared",
        ),
        Bad(
            "import torch\n\n\ndef f(z):\n    if z.type() in ['torch.cuda.HalfTensor', 'torch.cuda.BFloat16Tensor']:\n"
            "        z = z.float()\n    return z\n",
            "import torch\n\n\ndef f(z):\n"
            '    if z.device.type != "cpu" and z.dtype in (torch.float16, torch.bfloat16):\n'
            "        z = z.float()\n    return z\n",
            Applicability.UNSAFE,
            id="one-of-several",
        ),
        Bad(
            "import torch\n\n\ndef f(z):\n    return z.type() in ('torch.cuda.HalfTensor', 'torch.HalfTensor')\n",
            None,
            id="one-of-several-kinds",
        ),
        Bad(
            "import torch\n\n\ndef f(z):\n    return not isinstance(z, torch.cuda.FloatTensor)\n",
            "import torch\n\n\ndef f(z):\n    return not (z.device.type != \"cpu\" and z.dtype == torch.float32)\n",
            Applicability.UNSAFE,
            id="isinstance",
        ),
        Bad(
            "import torch\n\n\ndef f(x: torch.cuda.FloatTensor) -> None:\n    pass\n",
            "import torch\n\n\ndef f(x: torch.Tensor) -> None:\n    pass\n",
            Applicability.UNSAFE,
            id="annotation",
        ),
        Bad(
            "import torch\n\ncuda = torch.cuda.is_available()\nTensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor\n",
            None,
            id="alias-of-two",
        ),
        Bad("import torch\n\nkinds = {'f': torch.cuda.FloatTensor}\n", None, id="stored"),
        Bad("import torch\n\nx = torch.cuda.FloatTensor(3)\n", None, floor=(2, 5), id="floor"),
    )  # fmt: skip
    good = (
        Good("import torch\n\nx = torch.FloatTensor(3)\n", "a CPU tensor"),
        Good("import torch\n\nx = x.type(torch.FloatTensor)\n"),
        Good("import torch\n\nok = isinstance(x, torch.Tensor)\n"),
        Good("x = widget.type('cuda')\n", "not a tensor type"),
        Good("import torch\n\nok = x.type() == 'torch.FloatTensor'\n"),
        Good("import torch\n\nok = x.type() in ['torch.FloatTensor', 'torch.HalfTensor']  # not torch.cuda.HalfTensor\n"),
        Good("ok = widget.type() in ['cuda', 'torch.cuda']\n", "not tensor types"),
        Good('raise ValueError("expected torch.cuda.FloatTensor")\n', "a message"),
        Good('"""Takes a torch.cuda.FloatTensor."""\n# torch.cuda.FloatTensor\n', "prose"),
        Good("import torch\n\ntorch.set_default_tensor_type('torch.cuda.FloatTensor')\n", "UC109"),
        Good("import torch\n\nkind = 'torch.cuda.FloatTensor'\n", "a text"),
        Good("import torch\n\nx = torch.cuda.FloatStorage(3)\n", "a storage"),
        Good("class FloatTensor:\n    pass\n\n\nFloatTensor(3)\n", "a class of one's own"),
        Good("def f(torch):\n    return torch.cuda.FloatTensor(3)\n", "torch is a parameter here"),
        Good("from torch.cuda import FloatTensor\n", "an import: its uses are told"),
    )  # fmt: skip

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        func = node.func
        if isinstance(func, (cst.Attribute, cst.Name)):
            name = _cuda_type(func, ctx)
            if name is not None:
                self._made(node, func, name, ctx)
                return
        if isinstance(func, cst.Attribute) and func.attr.value == "type" and node.args:
            name = _cuda_type(node.args[0].value, ctx)
            if name is not None and node.args[0].keyword is None:
                ctx.report(
                    self,
                    node.args[0].value,
                    f"`.type({name})` moves to CUDA",
                    symbol=_TYPE,
                    fix=partial(_fix_type, node=node, func=func, name=name),
                    title="Move with .to(device, dtype)",
                )
        elif isinstance(func, cst.Name) and func.value == "isinstance" and len(node.args) == 2:
            name = _cuda_type(node.args[1].value, ctx)
            if name is not None:
                ctx.report(
                    self,
                    node,
                    f"`{name}` is a tensor on CUDA: no other accelerator's tensor is one",
                    symbol=_COMPARED,
                    claims=(node.args[1].value,),
                    fix=lambda fix: _fix_question(fix, node, node.args[0].value, [name], negated=False),
                    title="Ask for the dtype and the device",
                )

    def _made(self, node: cst.Call, func: cst.Attribute | cst.Name, name: str, ctx: Context) -> None:
        ctx.report(
            self,
            node,
            f"`{name}()` makes a tensor on CUDA",
            symbol=name,
            claims=(func,),
            fix=lambda fix: _fix_made(fix, node, name),
            title="Write dtype and device out",
        )

    def visit_Comparison(self, node: cst.Comparison, ctx: Context) -> None:
        if len(node.comparisons) != 1:
            return
        operator, right = node.comparisons[0].operator, node.comparisons[0].comparator
        match operator, right:
            case ((cst.Equal() | cst.NotEqual()), _):
                names = [_cuda_type(right, ctx)]
            case ((cst.In() | cst.NotIn()), (cst.List() | cst.Tuple() | cst.Set())):
                names = [_cuda_type(e.value, ctx) for e in right.elements]
            case _:
                return
        first = next(filter(None, names), None)
        match node.left:
            case cst.Call(func=cst.Attribute(value=tensor, attr=cst.Name("type")), args=[]) if (
                first is not None
            ):
                ctx.report(
                    self,
                    node,
                    f"`{first}` is a tensor on CUDA: no other accelerator's tensor is one",
                    symbol=_COMPARED,
                    claims=(right,),
                    fix=lambda fix: _fix_question(
                        fix, node, tensor, names, negated=isinstance(operator, (cst.NotEqual, cst.NotIn))
                    ),
                    title="Ask for the dtype and the device",
                )
            case _:
                pass

    def visit_IfExp(self, node: cst.IfExp, ctx: Context) -> None:
        for side in (node.body, node.orelse):
            name = _cuda_type(side, ctx)
            if name is not None:
                ctx.report(
                    self,
                    side,
                    f"`{name}` or a type on the CPU: every other accelerator is lost",
                    symbol=name,
                )

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        self._named(node, ctx)

    def visit_Name(self, node: cst.Name, ctx: Context) -> None:
        if _is_type(node.value) or (node.value in ctx.index.aliases and is_imported(node, ctx)):
            self._named(node, ctx)

    def _named(self, node: cst.Attribute | cst.Name, ctx: Context) -> None:
        name = _cuda_type(node, ctx)
        if name is None or ctx.is_claimed(node) or not is_read(node, ctx):
            return
        if any(isinstance(n, (cst.Annotation, cst.Subscript)) for n in ctx.ancestors):
            from uncuda.rules.knowledge import outcomes

            ctx.report(
                self,
                node,
                f"`{name}` in a type: no other accelerator's tensor is one",
                symbol=name,
                category=Category.OPTIONAL,
                outcomes=outcomes("x: torch.cuda.*"),
                fix=_fix_annotation if isinstance(ctx.parent, cst.Annotation) else None,
                title="Say torch.Tensor",
            )
        elif not any(isinstance(n, (cst.ImportFrom, cst.Import)) for n in ctx.ancestors):
            ctx.report(self, node, f"`{name}` is a tensor on CUDA", symbol=name)


def _cuda_type(node: cst.BaseExpression, ctx: Context) -> str | None:
    """ "torch.cuda.FloatTensor" for a name that stands for it, or its text."""
    from uncuda.rules.knowledge import tensor_dtype

    name = string_value(node)
    if name is None and isinstance(node, (cst.Attribute, cst.Name)):
        if isinstance(node, cst.Attribute) and not _is_type(node.attr.value):
            return None
        name = ctx.qualified(node)
    if name is None or not name.startswith("torch.cuda."):
        return None
    return name if _is_type(name) and tensor_dtype(name) is not None else None


def _is_type(name: str) -> bool:
    """Does a name look like that of a type of tensors?"""
    return name.endswith("Tensor")


def _dtype(fix: FixBuilder, name: str) -> str:
    from uncuda.rules.knowledge import tensor_dtype

    return fix.name(f"torch.{tensor_dtype(name)}")


def _fix_made(fix: FixBuilder, node: cst.Call, name: str) -> None:
    given = [a for a in node.args if a.keyword is None and not a.star]
    extra = [a for a in node.args if a not in given]
    dtype = _dtype(fix, name)
    if not extra:
        where = fix.device()
    elif len(extra) == 1 and extra[0].keyword is not None and extra[0].keyword.value == "device":
        fix.unsafe()
        where = fix.code(extra[0].value)
    else:
        raise CannotFix("the size is unpacked")
    words = f"dtype={dtype}, device={where}"
    if not given:
        fix.replace(node.func, fix.name("torch.empty"))
        fix.arguments(node, f"0, {words}")
        return
    only = given[0].value
    maker = "torch.empty"
    if len(given) == 1 and isinstance(only, (cst.List, cst.Tuple)) and _is_plain(only):
        maker = "torch.tensor"
    elif len(given) == 1 and not is_int(only, fix.ctx):
        fix.unsafe()
        if not _SIZE.search(last_word(only)):
            kind = fix.name(f"torch.{name.rpartition('.')[2]}")
            fix.replace(node, f"{kind}({fix.code(only)}).to({where})")
            return
    fix.replace(node.func, fix.name(maker))
    last = given[-1].value
    if extra:
        assert extra[0].keyword is not None
        fix.edits.append(Replace(extra[0].keyword, f"dtype={dtype}, device"))
    else:
        # The other arguments keep their lines and comments.
        fix.edits.append(Replace(last, f"{fix.code(last)}, {words}"))


def _is_plain(node: cst.BaseExpression) -> bool:
    """Numbers, in lists of lists: data, and nothing that is a tensor already."""
    if isinstance(node, (cst.List, cst.Tuple)):
        return all(isinstance(e, cst.Element) and _is_plain(e.value) for e in node.elements)
    if isinstance(node, cst.UnaryOperation):
        return _is_plain(node.expression)
    if isinstance(node, cst.Name):
        return node.value in ("True", "False")
    if isinstance(node, cst.Call):
        return last_word(node.func) in ("float", "int", "len")
    return isinstance(node, (cst.Integer, cst.Float))


def _fix_type(fix: FixBuilder, node: cst.Call, func: cst.Attribute, name: str) -> None:
    if fix.ctx.value(func.value).kind is not Kind.TENSOR:
        fix.unsafe()
    words = [fix.device(), _dtype(fix, name)]
    for arg in node.args[1:]:
        if arg.star or (arg.keyword is not None and arg.keyword.value != "non_blocking"):
            raise CannotFix("an unknown argument")
        words.append(f"non_blocking={fix.code(arg.value)}")
    fix.replace(func.attr, "to")
    fix.arguments(node, ", ".join(words))


def _fix_question(
    fix: FixBuilder,
    node: cst.BaseExpression,
    tensor: cst.BaseExpression,
    names: Sequence[str | None],
    *,
    negated: bool,
) -> None:
    """Asks for the dtype, one of several, and for a device that isn't the CPU."""
    fix.unsafe()
    known = [name for name in names if name is not None]
    if len(known) < len(names):
        raise CannotFix("other types are among them")
    if not isinstance(tensor, (cst.Name, cst.Attribute)):
        raise CannotFix("the tensor would be asked for twice")
    code = fix.code(tensor)
    dtypes = [_dtype(fix, name) for name in known]
    if len(dtypes) == 1:
        asked = f"{code}.dtype {'!=' if negated else '=='} {dtypes[0]}"
    else:
        asked = f"{code}.dtype {'not in' if negated else 'in'} ({', '.join(dtypes)})"
    on_cpu = f'{code}.device.type {"==" if negated else "!="} "cpu"'
    fix.replace(node, f"{on_cpu} {'or' if negated else 'and'} {asked}")


def _fix_annotation(fix: FixBuilder) -> None:
    fix.unsafe()
    fix.replace(fix.node, fix.name("torch.Tensor"))
