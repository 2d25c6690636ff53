"""Questions whether something is on CUDA: `device.type == "cuda"`, `x.is_cuda`."""

from __future__ import annotations

import re

import libcst as cst

from uncuda.bindings import dotted
from uncuda.context import Context
from uncuda.findings import Category
from uncuda.fixes.builder import CannotFix, FixBuilder
from uncuda.guards import leaves
from uncuda.literals import argument, device_text, string_value
from uncuda.others import handles_others, names_others, speaks_of_others
from uncuda.portable import mentions_cuda
from uncuda.rules._calls import last_word
from uncuda.rules._literals import (
    answers_about_cuda,
    cuda_object,
    cuda_text,
    in_cuda_class,
    is_tested,
    names_device,
)
from uncuda.rules._spellings import object_for
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.values import Kind, Which
from uncuda.walk import walk

_AVAILABLE = "torch.accelerator.is_available()"
_TYPE = "torch.accelerator.current_accelerator().type"
_SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_CHOSEN = (Which.CUDA_OR_CPU, Which.SELECTED)
_ON_HOST = '{} in ("cpu", "meta")'
_ELSEWHERE = '{} not in ("cpu", "meta")'
_UNSAFE = (
    "Unsafe: what the answer leads to may be CUDA-only, and a tensor that is neither on CUDA nor on the CPU, say on "
    "XLA, now counts as one on the accelerator. Not offered while the code behind the question holds ties "
    "to CUDA, not where CUDA kernels (Triton, extensions) are at work, and not in a function that names another "
    "accelerator, be it in a comment. With CUDA, and without any accelerator, the answer stays the same."
)
_IMPORTS_KERNELS = re.compile(
    r"^[ \t]*(?:import|from)[ \t]+(?:triton|tilelang|cupy|pycuda|cuda|numba|\w*(?:_cuda|_kernels?|_ext)\b)",
    re.M,
)
_LOADS_KERNELS = re.compile(r"\bload_inline\b|\bcpp_extension\b|\btorch\.ops\.")


class CudaDeviceComparison(Rule):
    """`device.type == "cuda"` is False on every other accelerator: the branch for the accelerator is not taken.

    Nothing raises; the program takes the path that was meant for the CPU. Where the branch is portable, the question
    that was meant is whether this is the accelerator. Where CUDA-only kernels stand behind it, the question is right
    and stays. A test that names other accelerators too is reported as a place to look at.
    """

    code = "UC110"
    name = "cuda-device-comparison"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 45
    fix_safety = _UNSAFE
    sources = (
        "torch 2.13.0, executed",
        "pitfalls: naive comparison with the selected device is True on the CPU",
    )
    bad = (
        Bad(
            'import torch\n\n\ndef f(x):\n    if x.device.type == "cuda":\n        x = x.half()\n    return x\n',
            f"import torch\n\n\ndef f(x):\n    if {_ELSEWHERE.format('x.device.type')}:\n        x = x.half()\n    return x\n",
            Applicability.UNSAFE,
        ),
        Bad(
            'import torch\n\n\ndef f(device):\n    return device != "cuda"\n',
            f"import torch\n\n\ndef f(device):\n    return not {_AVAILABLE} or device != {_TYPE}\n",
            Applicability.UNSAFE,
            id="not-equal",
        ),
        Bad(
            'import torch\n\ndevice = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n'
            'pin = device.type == "cuda"\n',
            'import torch\n\ndevice = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n'
            'pin = device.type != "cpu"\n',
            Applicability.UNSAFE,
            id="selected",
        ),
        Bad(
            'import torch\n\n\ndef f(x: torch.Tensor, y):\n    return y and "cuda" in str(x.device)\n',
            f"import torch\n\n\ndef f(x: torch.Tensor, y):\n    return y and {_ELSEWHERE.format('x.device.type')}\n",
            Applicability.UNSAFE,
            id="in-text-of-device",
        ),
        Bad(
            "import torch\n\n\ndef f(device, y, args):\n"
            '    return y and "cuda" in str(device) or str(args.device).startswith("cuda")\n',
            "import torch\n\n\ndef f(device, y, args):\n"
            f"    return y and {_AVAILABLE} and {_TYPE} in str(device) or "
            f"({_AVAILABLE} and str(args.device).startswith({_TYPE}))\n",
            Applicability.UNSAFE,
            count=2,
            id="in-text",
        ),
        Bad(
            "def f(m, x):\n    if not str(next(m.parameters()).device).startswith('cuda'):\n        raise ValueError(x)\n"
            "    return x.device.type != 'cuda'\n",
            'def f(m, x):\n    if next(m.parameters()).device.type in ("cpu", "meta"):\n        raise ValueError(x)\n'
            '    return x.device.type in ("cpu", "meta")\n',
            Applicability.UNSAFE,
            count=2,
            id="negated",
        ),
        Bad(
            "import torch\n\n\ndef f(args):\n    use = args.device.startswith('cuda')\n    return use\n",
            "import torch\n\n\ndef f(args):\n"
            f"    use = {_AVAILABLE} and args.device.startswith({_TYPE})\n    return use\n",
            Applicability.UNSAFE,
            id="startswith",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    return x.device == torch.device('cuda', 0)\n",
            "import torch\n\n\ndef f(x):\n"
            f"    return {_AVAILABLE} and x.device == torch.device({_TYPE}, 0)\n",
            Applicability.UNSAFE,
            id="object",
        ),
        Bad(
            'def f(x):\n    if x.device.type == "cuda":\n        return my_cuda_kernel(x)\n    return x\n',
            None,
            id="kernel",
        ),
        Bad(
            "import torch\n\n\ndef is_new(device: torch.device):\n    if device.type != 'cuda' or DISABLED:\n"
            "        return False\n    return torch.cuda.get_device_capability(device) > (8, 0)\n",
            None,
            id="left-before-ties",
        ),
        Bad(
            "import torch\n\n\ndef put(x, y):\n    if x.device != torch.device('cuda'):\n        x = x.to(y.device)\n"
            "    return x\n",
            "import torch\n\n\ndef put(x, y):\n"
            f"    device = {_SELECT}\n    if x.device != device:\n        x = x.to(y.device)\n    return x\n",
            Applicability.UNSAFE,
            id="moved-there",
        ),
        Bad(
            "import torch\n\n\ndef choose(device: torch.device):\n    if device.type == 'cuda':\n        return 2\n"
            "    return len(os.environ['CUDA_HOME'])\n",
            'import torch\n\n\ndef choose(device: torch.device):\n    if device.type not in ("cpu", "meta"):\n'
            "        return 2\n    return len(os.environ['CUDA_HOME'])\n",
            Applicability.UNSAFE,
            id="left-on-cuda",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    kind = x.device.type\n    return 2 if kind == 'cuda' else 1\n",
            "import torch\n\n\ndef f(x):\n    kind = x.device.type\n"
            f"    return 2 if {_ELSEWHERE.format('kind')} else 1\n",
            Applicability.UNSAFE,
            id="kept-type",
        ),
        Bad(
            "import torch\n\n\ndef check(device):\n    if device == 'cuda' and not torch.accelerator.is_available():\n"
            "        device = 'cpu'\n    return device\n",
            None,
            id="falls-back",
        ),
        Bad(
            "import engine\n\n\ndef load(device):\n    return engine.Model(quick=device == 'cuda')\n",
            None,
            id="no-torch",
        ),
        Bad("def f(x):\n    return x.device.type in ('cuda', 'xpu')\n", None, id="others-too"),
        Bad(
            "def f(d):\n    if d.type == 'npu':\n        return 1\n    elif d.type == 'cuda':\n        return 2\n    return 3\n",
            None,
            id="elif",
        ),
        Bad(
            "def f(device):\n    match device.type:\n        case 'cuda':\n            return 1\n        case _:\n            return 2\n",
            None,
            id="match",
        ),
        Bad("def f(device):\n    return device == 'cuda'\n", None, floor=(2, 5), id="floor"),
        Bad(
            "def f(x):\n    return x.device.type == 'cuda'\n",
            'def f(x):\n    return x.device.type not in ("cpu", "meta")\n',
            Applicability.UNSAFE,
            floor=(2, 2),
            id="any-torch",
        ),
        Bad(
            "import torch\n\n\ndef test_options(options):\n    assert options['device'] == 'cuda'\n"
            "    assert options.device == 'cuda:0'\n",
            None,
            count=2,
            id="asserted-text",
        ),
        Bad(
            "import torch\n\n\ndef kind(device: torch.device):\n    if device.type == 'cuda':\n        return 'gpu'\n"
            "    if device.type == 'mps':\n        return 'mps'\n    return 'host'\n",
            None,
            id="one-after-the-other",
        ),
        Bad(
            "import torch\n\n\ndef f(name, device: str):\n    if 'cuda' in device and name:\n        return 1\n    return 0\n",
            "import torch\n\n\ndef f(name, device: str):\n"
            "    if torch.accelerator.is_available() and torch.accelerator.current_accelerator().type in device and name:\n"
            "        return 1\n    return 0\n",
            Applicability.UNSAFE,
            id="one-of-two-conditions",
        ),
        Bad(
            "import torch\n\n\ndef kinds(device: torch.device):\n    # bf16 is there on CUDA; on mps it isn't\n"
            "    return torch.bfloat16 if device.type == 'cuda' else torch.float32\n",
            None,
            id="others-in-mind",
        ),
        Bad(
            "import torch\n\n\nclass Box:\n    @property\n    def is_cuda(self):\n        return self.x.device.type == 'cuda'\n",
            None,
            id="asked-by-name",
        ),
        Bad(
            "import torch\n\n\nclass Block:\n    def forward(self, x: torch.Tensor):\n"
            "        if x.device.type == 'cuda':\n            return self.replay(x)\n        return x\n\n"
            "    def replay(self, x):\n        self.graph = torch.cuda.CUDAGraph()\n        return x\n",
            None,
            id="tie-in-own-method",
        ),
    )
    good = (
        Good("def kinds(device):\n    return 16 if device.type in ('npu', 'xpu') else 32  # not cuda\n"),
        Good("class Block:\n    def forward(self, x):\n        return x if x.device.type == 'cpu' else self.replay(x)  # not cuda\n"),
        Good("class Box:\n    def is_cpu(self):\n        return self.x.device.type == 'cpu'  # not cuda\n"),
        Good("def test_options(options):\n    assert options['device'] == 'cpu'  # not cuda\n"),
        Good("def kind(device):\n    if device.type == 'cpu':\n        return 'host'\n    return 'cuda' in SETTINGS\n", "settings"),
        Good("def f(name, device):\n    return 'cpu' in device and name  # not cuda\n"),
        Good("x = device.type == 'cpu'\n"),
        Good("x = device.type not in ('cpu', 'meta')\n", "portable already"),
        Good("x = layer.type == 'cudnn'\n", "not a device"),
        Good("x = solver == 'cuda'\n", "not a device"),
        Good("import torch\n\n\ndef put(x, where):\n    if x.device != where:\n        x = x.to(where)  # cuda\n    return x\n"),
        Good("x = device.type == 'meta'\n"),
        Good("x = device.type != 'meta'\n"),
        Good("x = device.type == 'xla'\n", "another device"),
        Good("def f(node):\n    kind = node.type\n    return kind == 'cuda'\n", "a node's type"),
        Good("import torch\n\n\ndef f(device):\n    if device.type == 'cpu':\n        return None\n"
             "    return torch.accelerator.device_count()  # cuda or other\n"),
        Good("x = backend == 'cuda'\n", "not a device"),
        Good("x = 'cuda' in requirements\n", "prose"),
        Good("x = name.startswith('cuda')\n", "a file, perhaps"),
        Good("x = 'cuda' in config\n", "a dict key"),
        Good("x = 'cuda' in sys.modules\n", "a module"),
        Good("import torch\n\nx = torch.device(kind) == device\n"),
        Good("x = device.type != 'cpu'\n", "portable already"),
        Good("# if device.type == 'cuda':\nx = 1\n", "a comment"),
        Good("x = 'cuda out of memory' in str(error)\n", "a message"),
        Good("class CudaBackend:\n    def ok(self, d):\n        return d.type == 'cuda'\n", "the CUDA side of an interface"),
        Good("match word.kind:\n    case 'cudagraph':\n        x = 1\n"),
    )  # fmt: skip

    def visit_Comparison(self, node: cst.Comparison, ctx: Context) -> None:
        if len(node.comparisons) != 1 or ctx.is_claimed(node):
            return
        operator, right = node.comparisons[0].operator, node.comparisons[0].comparator
        if isinstance(operator, (cst.Equal, cst.NotEqual)):
            for literal, other in ((right, node.left), (node.left, right)):
                if _is_cuda(literal, ctx) and device_like(other, ctx):
                    self._tell(node, literal, ctx)
                    return
        elif isinstance(operator, (cst.In, cst.NotIn)):
            if _is_cuda(node.left, ctx) and string_value(node.left) is not None and device_like(right, ctx):
                self._tell(node, node.left, ctx)
                return
            literals = [e.value for e in getattr(right, "elements", ()) if _is_cuda(e.value, ctx)]
            if literals and isinstance(right, (cst.Tuple, cst.List, cst.Set)) and device_like(node.left, ctx):
                self._tell(node, literals[0], ctx, right)

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        func = node.func
        if not isinstance(func, cst.Attribute) or func.attr.value != "startswith" or len(node.args) != 1:
            return
        literal = node.args[0].value
        if string_value(literal) in ("cuda", "cuda:") and device_like(func.value, ctx):
            self._tell(node, literal, ctx)

    def visit_Match(self, node: cst.Match, ctx: Context) -> None:
        if not device_like(node.subject, ctx) or in_cuda_class(ctx):
            return
        for case in node.cases:
            pattern = case.pattern
            parts = [o.pattern for o in pattern.patterns] if isinstance(pattern, cst.MatchOr) else [pattern]
            for part in parts:
                if isinstance(part, cst.MatchValue) and cuda_text(part.value) is not None:
                    handled = any(names_others(c.pattern) for c in node.cases)
                    ctx.report(
                        self,
                        part.value,
                        "this case is not taken on other accelerators",
                        symbol='device.type == "cuda"',
                        category=Category.POTENTIAL if handled else None,
                    )

    def _tell(
        self,
        node: cst.BaseExpression,
        literal: cst.BaseExpression,
        ctx: Context,
        several: cst.BaseExpression | None = None,
    ) -> None:
        if in_cuda_class(ctx) or ctx.is_claimed(node):
            return
        handled = handles_others(node, ctx)
        ctx.report(
            self,
            node,
            f"`{_short(ctx.code(node))}` knows no accelerator but CUDA"
            if not handled
            else f"`{_short(ctx.code(node))}` lists the accelerators that it knows",
            symbol='device.type == "cuda"',
            claims=(literal,) if several is None else (several,),
            category=Category.POTENTIAL if handled else None,
            fix=None if handled or several is not None else lambda fix: self._fix(fix, node, literal),
            title="Ask whether it is the accelerator",
        )

    def _fix(self, fix: FixBuilder, node: cst.BaseExpression, literal: cst.BaseExpression) -> None:
        ctx = fix.ctx
        fix.unsafe()
        if cuda_object(literal, ctx) is not None and _moves_there(node, ctx):
            fix.replace(literal, object_for(fix, literal))
            return
        refuse_kernels(node, ctx)
        negated = isinstance(node, cst.Comparison) and isinstance(
            node.comparisons[0].operator, (cst.NotEqual, cst.NotIn)
        )
        kind = _type_asked(node, literal, ctx) if string_value(literal) == "cuda" else None
        if kind is not None:
            _ask_type(fix, node, fix.code(kind[0]) + kind[1], negated)
            return
        fix.needs("torch.accelerator")
        if isinstance(node, cst.Comparison) and is_tested(node, ctx.ancestors):
            raise CannotFix("a test asks for that very text")
        if answers_about_cuda(ctx):
            raise CannotFix("the function's name says that it is about CUDA")
        if speaks_of_others(ctx):
            raise CannotFix("the function speaks of other accelerators, and doesn't mean them")
        if _asks_for_none(node, ctx):
            raise CannotFix("the condition asks for a machine without it")
        if "torch" not in ctx.index.text:
            raise CannotFix("it may be another library's device")
        spelling = fix.spelling()
        current = f"{spelling.torch}.accelerator.current_accelerator()"
        new = _portable_literal(fix, literal, current)
        if isinstance(node, cst.Comparison):
            target = node.comparisons[0]
            other = target.comparator if literal is node.left else node.left
            if _is_equality(target.operator) and string_value(literal) == "cuda":
                value = ctx.value(other)
                if (
                    value.kind is Kind.TEXT
                    and value.which in (Which.CUDA_OR_CPU, Which.SELECTED)
                    and not value.index
                ):
                    fix.replace(node, f'{fix.code(other)} {"==" if negated else "!="} "cpu"')
                    return
            left, right = fix.code(node.left), fix.code(target.comparator)
            if literal is node.left:
                left = new
            else:
                right = new
            sign = ctx.code(target.operator).strip()
            asked = f"{left} {sign} {right}"
        else:
            assert isinstance(node, cst.Call)
            asked = f"{fix.code(node.func)}({new})"
        if negated:
            fix.replace(node, f"not {spelling.available} or {asked}")
        else:
            fix.replace(node, f"{spelling.available} and {asked}")


def _type_asked(
    node: cst.BaseExpression, literal: cst.BaseExpression, ctx: Context
) -> tuple[cst.BaseExpression, str] | None:
    """The device's type that is asked for, as an expression and what goes behind it; None where it can't be told."""
    if isinstance(node, cst.Call):
        asked = node.func.value if isinstance(node.func, cst.Attribute) else None
    elif isinstance(node, cst.Comparison):
        asked = node.comparisons[0].comparator if literal is node.left else node.left
    else:
        asked = None
    match asked:
        case cst.Attribute(value=owner, attr=cst.Name("type")) if device_like(owner, ctx):
            selected = ctx.value(asked)
            known = selected.which in (Which.CUDA_OR_CPU, Which.SELECTED) and selected.kind is Kind.TEXT
            plain = isinstance(node, cst.Comparison) and _is_equality(node.comparisons[0].operator)
            return None if known and plain else (asked, "")
        case cst.Name(name) if _holds_type(name, ctx) and ctx.value(asked).which not in _CHOSEN:
            return asked, ""
        case cst.Call(
            func=cst.Name("str"),
            args=[cst.Arg(value=cst.Attribute(value=owner, attr=cst.Name("device")) as inner)],
        ) if _has_device(owner, ctx):
            return inner, ".type"
        case _:
            return None


def _asks_for_none(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is there, beside the question in a condition, one whether there is no accelerator? Then it means the text alone."""
    top: cst.CSTNode = node
    for above in reversed(ctx.ancestors):
        if not isinstance(above, (cst.BooleanOperation, cst.UnaryOperation)):
            break
        top = above
    for part in walk(top):
        match part:
            case (
                cst.UnaryOperation(operator=cst.Not(), expression=cst.Call(func=func))
                | cst.Comparison(
                    left=cst.Call(func=func), comparisons=[cst.ComparisonTarget(comparator=cst.Name("False"))]
                )
            ):
                if last_word(func) == "is_available":
                    return True
            case _:
                pass
    return False


def _moves_there(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this `if x.device != torch.device("cuda"):` with nothing below it but the move of `x`? Off CUDA that raised."""
    match node, ctx.parent:
        case (
            cst.Comparison(
                left=cst.Attribute(value=moved, attr=cst.Name("device")),
                comparisons=[cst.ComparisonTarget(operator=cst.NotEqual())],
            ),
            cst.If(
                test=test,
                body=cst.IndentedBlock(
                    body=[
                        cst.SimpleStatementLine(
                            body=[
                                cst.Assign(
                                    targets=[cst.AssignTarget(target=target)],
                                    value=cst.Call(
                                        func=cst.Attribute(value=receiver, attr=cst.Name("to" | "cuda"))
                                    ),
                                )
                            ]
                        )
                    ]
                ),
                orelse=None,
            ),
        ) if test is node:
            return ctx.code(moved) == ctx.code(target) == ctx.code(receiver)
        case _:
            return False


def _holds_type(name: str, ctx: Context) -> bool:
    """Is a name bound to the type of a device, and to nothing else (`kind = x.device.type`)?"""
    found = ctx.bindings_of(name)
    bound = found[1] if found is not None else []
    return bool(bound) and all(
        b.kind == "assign" and b.value is not None and _is_type(b.value(), ctx) for b in bound
    )


def _is_type(node: cst.BaseExpression, ctx: Context) -> bool:
    match node:
        case cst.Attribute(value=cst.Attribute(attr=cst.Name("device")), attr=cst.Name("type")):
            return True
        case cst.Attribute(value=cst.Call(func=func), attr=cst.Name("type")):
            return ctx.qualified(func) == "torch.device"
        case cst.Attribute(value=cst.Name(name), attr=cst.Name("type")):
            return names_device(name)
        case _:
            return False


def _has_device(owner: cst.BaseExpression, ctx: Context) -> bool:
    """Is `owner.device` a torch.device for certain? That of an object, say of options, may be text."""
    match owner:
        case cst.Call(func=cst.Name("next"), args=[cst.Arg(value=cst.Call(func=func)), *_]):
            return last_word(func) in ("parameters", "buffers")
        case _:
            return ctx.value(owner).kind is Kind.TENSOR


def _ask_type(fix: FixBuilder, node: cst.BaseExpression, kind: str, negated: bool) -> None:
    """Asks whether a device's type is an accelerator's; a `not` around the question, or `is False` behind it, goes into
    it."""
    path = fix.ctx.parent_of(node)[1]
    match path[-1] if path else None:
        case cst.UnaryOperation(operator=cst.Not()) as above:
            node, negated = above, not negated
        case (
            cst.Comparison(
                left=left,
                comparisons=[
                    cst.ComparisonTarget(
                        operator=(cst.Is() | cst.IsNot() | cst.Equal() | cst.NotEqual()) as operator,
                        comparator=cst.Name("True" | "False" as answer),
                    )
                ],
            ) as above
        ) if left is node:
            denied = isinstance(operator, (cst.IsNot, cst.NotEqual)) != (answer == "False")
            node, negated = above, negated != denied
    fix.replace(node, (_ON_HOST if negated else _ELSEWHERE).format(kind))


def _is_equality(operator: cst.BaseCompOp) -> bool:
    return isinstance(operator, (cst.Equal, cst.NotEqual))


def _is_cuda(node: cst.BaseExpression, ctx: Context) -> bool:
    return cuda_text(node) is not None or cuda_object(node, ctx) is not None or string_value(node) == "cuda:"


def _portable_literal(fix: FixBuilder, literal: cst.BaseExpression, current: str) -> str:
    """The accelerator, where one is known to be there, for the literal in a comparison."""
    if isinstance(literal, cst.Call) and cuda_object(literal, fix.ctx) is not None:
        index = argument(literal, "index", 1)
        if index is not None:
            return f"{fix.name('torch')}.device({current}.type, {fix.code(index.value)})"
        inner = literal.args[0].value
        value = device_text(inner)
        if value is None or value.index == "?":
            raise CannotFix("the index is computed")
        return f"{fix.name('torch')}.device({current}.type, {value.index})" if value.index else current
    text = string_value(literal)
    if text is None:
        raise CannotFix("the index is computed")
    rest = text.removeprefix("cuda")
    return f'f"{{{current}.type}}{rest}"' if rest else f"{current}.type"


def device_like(node: cst.BaseExpression, ctx: Context) -> bool:
    """Does `node` hold a device, its type or its text, as far as flow and its name tell?"""
    if device_text(node) is not None:
        return False
    # Its name is sooner looked at than what it holds.
    return _is_called_device(node, ctx) or ctx.value(node).kind in (Kind.DEVICE, Kind.TEXT)


def _is_called_device(node: cst.BaseExpression, ctx: Context) -> bool:
    """Do the name of `node`, or those of its parts, tell that?"""
    match node:
        case cst.Name(name):
            return names_device(name) or _holds_type(name, ctx)
        case cst.Attribute(attr=cst.Name("type")):
            return True
        case cst.Attribute(attr=cst.Name(name)):
            return names_device(name)
        case cst.Call(func=cst.Name("str" | "repr"), args=[cst.Arg(value=inner)]):
            return device_like(inner, ctx)
        case cst.Call(
            func=cst.Attribute(value=inner, attr=cst.Name("lower" | "strip" | "split" | "partition"))
        ):
            return device_like(inner, ctx)
        case cst.Call(func=func):
            if ctx.qualified(func) == "torch.device":
                return True
            last = func.attr.value if isinstance(func, cst.Attribute) else getattr(func, "value", "")
            return names_device(last)
        case cst.Subscript(value=inner):
            if isinstance(inner, cst.Call):
                return device_like(inner, ctx)
            match node.slice:
                case [cst.SubscriptElement(slice=cst.Index(value=key))]:
                    return names_device(string_value(key) or "")
            return False
        case cst.FormattedString(parts=[cst.FormattedStringExpression(expression=inner)]):
            return device_like(inner, ctx)
        case cst.IfExp():
            return device_like(node.body, ctx) and device_like(node.orelse, ctx)
        case _:
            return False


def _short(code: str) -> str:
    line = " ".join(code.split())
    return line if len(line) <= 60 else f"{line[:57]}…"


def refuse_kernels(node: cst.CSTNode, ctx: Context) -> None:
    """Raises CannotFix where CUDA-only code stands behind the question `node`."""
    path = [*ctx.ancestors, node]
    for depth in range(len(path) - 2, -1, -1):
        above, below = path[depth], path[depth + 1]
        if isinstance(above, cst.BooleanOperation):
            beside = above.right if below is above.left else above.left
            if mentions_cuda([n for n in _operands(beside) if not _is_question(n, ctx)], ctx):
                raise CannotFix("the condition asks for CUDA in another way too")
        elif isinstance(above, cst.IfExp) and below is above.test:
            if mentions_cuda([above.body, above.orelse], ctx):
                raise CannotFix("the expression holds other ties")
            return
        elif isinstance(above, cst.If) and below is above.test:
            suites: list[cst.CSTNode] = [above.body]
            if isinstance(above.orelse, cst.Else):
                suites.append(above.orelse)
            if mentions_cuda(suites, ctx):
                raise CannotFix("the block holds ties to CUDA")
            if _raises(above.body):
                _refuse_kernel_file(ctx)
            behind = _behind(above, path[depth - 1] if depth else None)
            if _is_denied(path[depth + 1 :]) and mentions_cuda(behind, ctx):
                raise CannotFix("what follows, where it is on CUDA, holds ties to CUDA")
            return
        elif isinstance(above, cst.Assert):
            _refuse_kernel_file(ctx)
            return
        elif isinstance(above, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
            if _has_kernels(ctx):
                raise CannotFix("the file brings CUDA kernels")
            return


def _is_denied(path: list[cst.CSTNode]) -> bool:
    """Does a condition, of which the question is the last of `path`, hold where it is answered with no?"""
    denied = False
    for node in path:
        match node:
            case cst.UnaryOperation(operator=cst.Not()):
                denied = not denied
            case cst.Comparison(comparisons=[cst.ComparisonTarget(operator=cst.NotEqual() | cst.NotIn())]):
                denied = not denied
            case _:
                pass
    return denied


def _behind(node: cst.If, suite: cst.CSTNode | None) -> list[cst.CSTNode]:
    """The statements behind an `if` that leaves, which only run where it isn't taken."""
    if not leaves(node.body) or not isinstance(suite, cst.IndentedBlock):
        return []
    at = next((i for i, stmt in enumerate(suite.body) if stmt is node), None)
    return [] if at is None else list(suite.body[at + 1 :])


def _operands(node: cst.BaseExpression) -> list[cst.BaseExpression]:
    """What `and`, `or` and `not` join in a condition."""
    if isinstance(node, cst.BooleanOperation):
        return _operands(node.left) + _operands(node.right)
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
        return _operands(node.expression)
    return [node]


def _is_question(node: cst.BaseExpression, ctx: Context) -> bool:
    """Is this a question of the same sort, which is rewritten as this one is?"""
    match node:
        case cst.Attribute(value=cst.Name(), attr=cst.Name("is_cuda")):
            return True
        case cst.Comparison(left=left, comparisons=[cst.ComparisonTarget(comparator=right)]):
            return any(
                cuda_text(literal) is not None and device_like(other, ctx)
                for literal, other in ((right, left), (left, right))
            )
        case cst.Call(
            func=cst.Attribute(value=text, attr=cst.Name("startswith")), args=[cst.Arg(value=literal)]
        ):
            return cuda_text(literal) is not None and device_like(text, ctx)
        case _:
            return False


def _raises(suite: cst.BaseSuite) -> bool:
    return any(isinstance(n, cst.Raise) for n in walk(suite))


def _has_kernels(ctx: Context) -> bool:
    """Does the file bring CUDA kernels?"""
    index = ctx.index
    return index.has(_IMPORTS_KERNELS) or index.has(
        _LOADS_KERNELS, "load_inline", "cpp_extension", "torch.ops."
    )


def _refuse_kernel_file(ctx: Context) -> None:
    """A requirement ("must be on CUDA") is right where the function goes on to run CUDA-only code."""
    function = ctx.function
    if _has_kernels(ctx) or (function is not None and _goes_on_with_cuda(function, ctx)):
        raise CannotFix("the function runs CUDA-only code")


def _goes_on_with_cuda(function: cst.FunctionDef, ctx: Context) -> bool:
    here = {id(n) for n in ctx.ancestors}
    return mentions_cuda([s for s in function.body.body if id(s) not in here], ctx)


class IsCuda(Rule):
    """`x.is_cuda` is False for a tensor on any other accelerator: the branch for the accelerator is not taken.

    Nothing raises; the program takes the path that was meant for the CPU. Where CUDA-only kernels stand behind the
    question it is right and stays.
    """

    code = "UC111"
    name = "is-cuda"
    triggers = (r"\bis_cuda\b",)
    effort = 1
    priority = 45
    fix_safety = _UNSAFE
    sources = ("torch 2.13.0, executed", "knowledge base: torch.Tensor.is_cuda")
    bad = (
        Bad(
            "import torch\n\n\ndef f(x):\n    return x.is_cuda is False, x.is_cuda is not True, x.is_cuda == True\n",
            "import torch\n\n\ndef f(x):\n"
            '    return x.device.type in ("cpu", "meta"), x.device.type in ("cpu", "meta"), '
            'x.device.type not in ("cpu", "meta")\n',
            Applicability.UNSAFE,
            count=3,
            run="f(torch.ones(1))",
            id="said-out",
        ),
        Bad(
            "import torch\n\n\ndef f(x):\n    if x.is_cuda:\n        x = x.half()\n    return x\n",
            f"import torch\n\n\ndef f(x):\n    if {_ELSEWHERE.format('x.device.type')}:\n        x = x.half()\n    return x\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "import torch\n\n\ndef f(model):\n    return not next(model.parameters()).is_cuda\n",
            "import torch\n\n\ndef f(model):\n"
            f"    return {_ON_HOST.format('next(model.parameters()).device.type')}\n",
            Applicability.UNSAFE,
            id="not",
        ),
        Bad(
            "import torch\nimport fused_ext\n\n\ndef f(x):\n    if x.is_cuda:\n        return fused_ext.relu(x)\n"
            "    return torch.relu(x)\n",
            None,
            id="kernel-in-branch",
        ),
        Bad(
            "import my_ops_ext\n\n\ndef f(x):\n    assert x.is_cuda\n    return my_ops_ext.run(x)\n",
            None,
            id="kernel",
        ),
        Bad("def f(x):\n    return x.is_cuda or x.is_xpu\n", None, id="others-too"),
        Bad(
            "import torch\n\n\ndef f(x):\n    return x.is_cuda\n",
            f"import torch\n\n\ndef f(x):\n    return {_ELSEWHERE.format('x.device.type')}\n",
            Applicability.UNSAFE,
            floor=(2, 2),
            id="any-torch",
        ),
        Bad("def f(job):\n    return job.is_cuda\n", None, id="perhaps-no-tensor"),
        Bad(
            "import torch\n\n\ndef f(x, y):\n    if x.is_cuda and not y.is_cuda:\n        y = y.half()\n    return y\n",
            'import torch\n\n\ndef f(x, y):\n    if x.device.type not in ("cpu", "meta") and '
            'y.device.type in ("cpu", "meta"):\n        y = y.half()\n    return y\n',
            Applicability.UNSAFE,
            count=2,
            id="two",
        ),
        Bad(
            "import torch\n\n\ndef check(x):\n    if not x.is_cuda:\n"
            "        raise TypeError(f'on CUDA only, not {x.is_cuda=}')\n    return x\n",
            None,
            count=2,
            id="told",
        ),
        Bad(
            "import torch\n\n\ndef solve(costs: torch.Tensor):\n    # SciPy can't read what is on MPS.\n"
            "    if not costs.is_cuda:\n        costs = costs.cpu()\n    return costs\n",
            None,
            id="others-in-mind",
        ),
        Bad(
            "import torch\n\n\ndef is_torch_cuda_array(x):\n    return isinstance(x, torch.Tensor) and x.is_cuda\n",
            None,
            id="asked-by-name",
        ),
        Bad(
            "import torch\n\n\ndef is_new(x: torch.Tensor):\n    if not x.is_cuda:\n        return False\n"
            "    return torch.cuda.get_device_capability(x.device) > (8, 0)\n",
            None,
            id="left-before-ties",
        ),
    )
    good = (
        Good("def f(x):\n    return x.is_cpu is False  # on cuda or another\n"),
        Good("import torch\n\n\ndef f(x):\n    return torch.linalg.svd(x, driver='gesvd' if x.is_cuda else None)\n",
             "torch.linalg takes drivers on CUDA alone"),
        Good("if platform.is_cuda():\n    x = 1\n", "a method of something else"),
        Good("class A:\n    def __init__(self):\n        self.is_cuda = False\n\n    def f(self):\n        return self.is_cuda\n"),
        Good("is_cuda = True\nif is_cuda:\n    x = 1\n", "a variable"),
        Good("def f(x, is_cuda=False):\n    return g(x, is_cuda=is_cuda)\n", "a parameter"),
        Good('x = {"is_cuda": 1}\n# x.is_cuda\n', "a key, a comment"),
        Good('print("x.is_cuda")\n', "prose"),
        Good("import torch\n\n\ndef f(x):\n    return x.is_meta  # not is_cuda\n"),
        Good('def f(x):\n    return x.device.type not in ("cpu", "meta")\n', "portable already"),
        Good("def f(x):\n    return x.is_cpu\n"),
        Good("def is_torch_array(x):\n    return hasattr(x, 'is_cuda')\n", "what every tensor has"),
        Good("import torch\n\n\ndef solve(costs: torch.Tensor):\n    return costs.cpu() if costs.is_mps else costs  # no is_cuda\n"),
        Good('import fused_ext\n\n\ndef f(x):\n    return fused_ext.relu(x) if x.is_cpu else x\n'),
    )  # fmt: skip

    def visit_Attribute(self, node: cst.Attribute, ctx: Context) -> None:
        if node.attr.value != "is_cuda" or ctx.is_claimed(node) or in_cuda_class(ctx):
            return
        match ctx.parent:
            case cst.Call(func=func) if func is node:
                return
            case cst.AssignTarget() | cst.Del():
                return
            case cst.Attribute():
                return
            case cst.AnnAssign(target=target) if target is node:
                return
            case _:
                pass
        if _asks_for_driver(ctx):
            return
        if ctx.qualified(node) is not None or ctx.value(node.value).kind is Kind.OBJECT:
            return
        if dotted(node.value) == "self" and ctx.owner is not None:
            if "is_cuda" in ctx.owner.attributes() or "is_cuda" in ctx.owner.methods:
                return
        handled = handles_others(node, ctx)
        ctx.report(
            self,
            node,
            f"`{_short(ctx.code(node))}` knows no accelerator but CUDA",
            symbol="torch.Tensor.is_cuda",
            category=Category.POTENTIAL if handled else None,
            fix=None if handled else lambda fix: self._fix(fix, node),
            title="Ask whether it is on the accelerator",
        )

    def _fix(self, fix: FixBuilder, node: cst.Attribute) -> None:
        fix.unsafe()
        refuse_kernels(node, fix.ctx)
        if answers_about_cuda(fix.ctx):
            raise CannotFix("the function's name says that it is about CUDA")
        if speaks_of_others(fix.ctx):
            raise CannotFix("the function speaks of other accelerators, and doesn't mean them")
        if any(isinstance(above, cst.FormattedString) for above in fix.ctx.ancestors):
            raise CannotFix("the text is about CUDA")
        if isinstance(node.value, cst.Name) and node.value.value in ("self", "cls"):
            raise CannotFix("the class may not have a device")
        if "torch" not in fix.ctx.index.text and fix.ctx.value(node.value).kind is not Kind.TENSOR:
            raise CannotFix("it may be no tensor")
        _ask_type(fix, node, f"{fix.code(node.value)}.device.type", negated=False)


def _asks_for_driver(ctx: Context) -> bool:
    """Is this `driver="gesvd" if x.is_cuda else None`, a choice that torch.linalg has for CUDA alone?"""
    for above in reversed(ctx.ancestors):
        if isinstance(above, cst.Arg) and above.keyword is not None:
            return above.keyword.value == "driver"
        if isinstance(above, (cst.BaseSmallStatement, cst.Call)):
            return False
    return False
