"""CUDA as a default: of a parameter, a field, a command-line option."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

import libcst as cst

from uncuda.context import Context
from uncuda.fixes.builder import CannotFix, FixBuilder, Replace
from uncuda.fixes.statements import indent_unit
from uncuda.flow import argument, string_value
from uncuda.rules._calls import last_word
from uncuda.rules._indexes import index_of
from uncuda.rules._literals import at_import, choices, cuda_text, in_cuda_class, is_cuda_side, names_device
from uncuda.rules._spellings import selected_text, text_for
from uncuda.rules.base import Applicability, Bad, Good, Rule
from uncuda.uses import uses
from uncuda.walk import is_text_statement

_SELECTED = 'torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"'
_DEVICE = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)
_DATACLASSES = frozenset(("dataclass", "dataclasses.dataclass", "pydantic.dataclasses.dataclass"))
_MODELS = frozenset(("pydantic.BaseModel", "pydantic.BaseSettings", "pydantic_settings.BaseSettings"))
# Decorators under which a signature is a schema.
_SCHEMAS = frozenset(("custom_op", "register_fake", "register_kernel", "impl", "overload"))
# Calls that wrap a default, and calls that declare a command-line option.
_WRAPPERS = frozenset(("field", "Field", "ib", "attrib", "Option", "Argument"))
_INDEXED = re.compile(r"cuda:\d+\Z")
_OPTIONS = frozenset(("add_argument", "add_option", "option"))
Fixer = Callable[[FixBuilder], None]


class CudaDeviceDefault(Rule):
    """A default of "cuda" is what everybody gets who doesn't name a device.

    Defaults of parameters, fields and options are evaluated once: when the module is imported, or the parser built. Asking
    for the accelerator there would start the driver during import, which keeps worker processes from being forked later.
    So a parameter gets None and looks when it is called, a field of a dataclass or pydantic model gets a factory. The
    value stays text.
    """

    code = "UC112"
    name = "cuda-device-default"
    triggers = (r"\bcuda\b",)
    effort = 1
    priority = 70
    fix_safety = (
        "Safe for an option of argparse whose value is given to torch in the same file: with CUDA the same text, without it every "
        'use raised. Unsafe otherwise: a signature shows None instead of "cuda", a field\'s default is no class '
        "attribute any more, and callers that pass None explicitly get a device. Lists of choices are left as they are. Not offered "
        "for lambdas, stubs, operator schemas and NamedTuples."
    )
    sources = ("torch 2.13.0, executed", "Python documentation: default values are evaluated at definition")
    bad = (
        Bad(
            'import torch\n\n\ndef load(path, device="cuda"):\n    """Loads."""\n    return torch.load(path).to(device)\n',
            'import torch\n\n\ndef load(path, device=None):\n    """Loads."""\n    if device is None:\n'
            f"        device = {_SELECTED}\n    return torch.load(path).to(device)\n",
            Applicability.UNSAFE,
        ),
        Bad(
            "from typing import Optional\nimport torch\n\n\nclass A:\n    def __init__(self, *, device: str = 'cuda:0', n: int = 1):\n"
            "        self.device = device\n",
            "from typing import Optional\nimport torch\n\n\nclass A:\n"
            "    def __init__(self, *, device: Optional[str] = None, n: int = 1):\n        if device is None:\n"
            '            device = f"{torch.accelerator.current_accelerator().type}:0" '
            'if torch.accelerator.is_available() else "cpu"\n        self.device = device\n',
            Applicability.UNSAFE,
            id="keyword-only",
        ),
        Bad(
            "from __future__ import annotations\n\nimport torch\n\n\ndef f(x, device: str | torch.device = 'cuda'):\n    return x.to(device)\n",
            "from __future__ import annotations\n\nimport torch\n\n\ndef f(x, device: str | torch.device | None = None):\n"
            f"    if device is None:\n        device = {_SELECTED}\n    return x.to(device)\n",
            Applicability.UNSAFE,
            id="annotation",
        ),
        Bad(
            "from dataclasses import dataclass\n\nimport torch\n\n\n@dataclass\nclass Config:\n    lr: float = 1e-3\n    device: str = \"cuda\"\n",
            "from dataclasses import dataclass, field\n\nimport torch\n\n\n@dataclass\nclass Config:\n    lr: float = 1e-3\n"
            f"    device: str = field(default_factory=lambda: {_SELECTED})\n",
            Applicability.UNSAFE,
            id="dataclass",
        ),
        Bad(
            "import dataclasses\nimport torch\n\n\n@dataclasses.dataclass(frozen=True)\nclass Config:\n"
            "    device: str = dataclasses.field(default='cuda', metadata={'help': 'where'})\n",
            "import dataclasses\nimport torch\n\n\n@dataclasses.dataclass(frozen=True)\nclass Config:\n"
            f"    device: str = dataclasses.field(default_factory=lambda: {_SELECTED}, metadata={{'help': 'where'}})\n",
            Applicability.UNSAFE,
            id="field",
        ),
        Bad(
            "import torch\nfrom pydantic import BaseModel, Field\n\n\nclass Config(BaseModel):\n"
            '    device: str = Field("cuda", description="where")\n',
            "import torch\nfrom pydantic import BaseModel, Field\n\n\nclass Config(BaseModel):\n"
            f'    device: str = Field(default_factory=lambda: {_SELECTED}, description="where")\n',
            Applicability.UNSAFE,
            id="pydantic",
        ),
        Bad(
            'import torch\n\n\nclass Encoder:\n    device = "cuda"\n',
            f"import torch\n\n\nclass Encoder:\n    device = {_SELECTED}\n",
            Applicability.UNSAFE,
            id="class-attribute",
        ),
        Bad(
            "import os\n\nfrom .base import Base\n\n\nclass A(Base):\n    def run(self, device: str = 'cuda') -> str:\n        return device\n",
            "import os\nfrom typing import Optional\n\nimport torch\nfrom .base import Base\n\n\nclass A(Base):\n"
            "    def run(self, device: Optional[str] = None) -> str:\n        if device is None:\n"
            f"            device = {_SELECTED}\n        return device\n",
            Applicability.UNSAFE,
            id="imports",
        ),
        Bad("from typing import NamedTuple\n\n\nclass A(NamedTuple):\n    device: str = 'cuda'\n", None, id="named-tuple"),
        Bad('move = lambda x, device="cuda": x.to(device)\n', None, id="lambda"),
        Bad(
            "import argparse\n\nimport torch\n\n\ndef parse(argv):\n    parser = argparse.ArgumentParser()\n"
            '    parser.add_argument("--cuda-num", default="cuda:0")\n    return parser.parse_args(argv)\n',
            "import argparse\n\nimport torch\n\n\ndef parse(argv):\n    parser = argparse.ArgumentParser()\n"
            '    parser.add_argument("--cuda-num", default=f"{torch.accelerator.current_accelerator().type}:0" '
            'if torch.accelerator.is_available() else "cpu")\n'
            "    return parser.parse_args(argv)\n",
            Applicability.UNSAFE,
            id="option-by-another-name",
        ),
        Bad(
            'import argparse\nimport torch\n\n\ndef main(argv):\n    parser = argparse.ArgumentParser()\n'
            '    parser.add_argument("-d", "--device", default="cuda", help="where to run")\n    args = parser.parse_args(argv)\n'
            "    return torch.ones(1).to(args.device)\n",
            "import argparse\nimport torch\n\n\ndef main(argv):\n    parser = argparse.ArgumentParser()\n"
            f'    device = {_DEVICE}\n    parser.add_argument("-d", "--device", default=device.type, help="where to run")\n'
            "    args = parser.parse_args(argv)\n    return torch.ones(1).to(args.device)\n",
            run="main([])",
            id="argparse",
        ),
        Bad(
            'import argparse\nimport torch\n\nparser = argparse.ArgumentParser()\n'
            'parser.add_argument("--device", type=str, default="cuda", choices=["cuda", "cpu"])\n',
            "import argparse\nimport torch\n\nparser = argparse.ArgumentParser()\n"
            f'parser.add_argument("--device", type=str, default={_SELECTED}, choices=["cuda", "cpu"])\n',
            Applicability.UNSAFE,
            id="choices",
        ),
        Bad(
            "import click\nimport torch\n\n\n@click.option('--device', default='cuda', show_default=True)\ndef main(device):\n    return device\n",
            "import click\nimport torch\n\n\n"
            f"@click.option('--device', default=lambda: {_SELECTED}, show_default=True)\ndef main(device):\n    return device\n",
            Applicability.UNSAFE,
            id="click",
        ),
        Bad(
            "import torch\nfrom absl import flags\n\nflags.DEFINE_string('device', 'cuda', 'where to run')\n",
            f"import torch\nfrom absl import flags\n\nflags.DEFINE_string('device', {_SELECTED}, 'where to run')\n",
            Applicability.UNSAFE,
            id="absl",
        ),
        Bad(
            "from typing import Literal\n\n\ndef f(device: Literal['cuda', 'cpu'] = 'cuda'):\n    return device\n",
            None,
            id="literal",
        ),
        Bad("import torch\n\n\ndef f(device='cuda'):\n    return torch.ones(1, device=device)\n", None, floor=(2, 5), id="floor"),
    )  # fmt: skip
    good = (
        Good('from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    device: str = "cuda"\n', "never runs"),
        Good('def f(device="cpu"):\n    return device\n'),
        Good('def f(device=None):\n    return device\n'),
        Good('def f(backend="cuda", cuda=True):\n    return backend\n', "not said to be a device"),
        Good('def f(device="cudagraph"):\n    return device\n', "not a device"),
        Good('class CudaPlatform:\n    device_type: str = "cuda"\n', "the CUDA side of an interface"),
        Good('def cuda_smoke_test(device="cuda"):\n    return device\n', "asked for by name"),
        Good('parser.add_argument("--cuda", action="store_true")\n', "a flag"),
        Good('parser.add_argument("--backend", default="cuda")\n', "not said to be a device"),
        Good('parser.add_argument("--device", default="cpu", choices=["cuda", "cpu"])\n', "a choice"),
        Good('parser.add_argument("--device", help="cuda")\n', "prose"),
        Good('parser.add_argument("--image", default="cuda:12.1-runtime")\n', "the tag of an image"),
        Good('from enum import Enum\n\n\nclass Kind(Enum):\n    device = "cuda"\n', "a name for a value"),
        Good('import torch\n\nparser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")\n', "UC201"),
        Good('"""def f(device="cuda"): ..."""\n# def f(device="cuda"): ...\n', "prose"),
        Good('f(device="cuda")\n', "an argument: UC103"),
        Good('def f():\n    device: str = "cuda"\n    return device\n', "a variable: UC105"),
    )  # fmt: skip

    # -- parameters ----------------------------------------------------------------------------------------

    def visit_Param(self, node: cst.Param, ctx: Context) -> None:
        if node.default is None or not names_device(node.name.value):
            return
        owner = next(
            (n for n in reversed(ctx.ancestors) if isinstance(n, (cst.FunctionDef, cst.Lambda))), None
        )
        if isinstance(owner, cst.FunctionDef) and is_cuda_side(owner.name.value):
            return
        for literal in _given(node.default, ctx):
            fix: Fixer | None = None
            if isinstance(owner, cst.FunctionDef) and literal is node.default:
                fix = partial(_fix_parameter, param=node, function=owner)
            self._tell(literal, f"the default of `{node.name.value}`", ctx, fix)

    # -- fields --------------------------------------------------------------------------------------------

    def visit_Assign(self, node: cst.Assign, ctx: Context) -> None:
        if ctx.scope.kind == "class":
            self._field(node.targets[0].target, node.value, ctx, annotated=None)

    def visit_AnnAssign(self, node: cst.AnnAssign, ctx: Context) -> None:
        if ctx.scope.kind == "class" and node.value is not None:
            self._field(node.target, node.value, ctx, annotated=node.annotation)

    def _field(
        self,
        target: cst.BaseExpression,
        value: cst.BaseExpression,
        ctx: Context,
        *,
        annotated: cst.Annotation | None,
    ) -> None:
        if not isinstance(target, cst.Name) or not names_device(target.value) or _is_enum(ctx):
            return
        for literal in _given(value, ctx):
            fix = partial(_fix_field, literal=literal, value=value, annotated=annotated)
            self._tell(literal, f"`{target.value}`", ctx, fix)

    # -- options -------------------------------------------------------------------------------------------

    def visit_Call(self, node: cst.Call, ctx: Context) -> None:
        called = last_word(node.func)
        flag = called.startswith("DEFINE_")
        if called not in _OPTIONS and not flag:
            return
        names = [string_value(a.value) or "" for a in node.args if a.keyword is None and not a.star]
        dest = argument(node, "dest")
        if dest is not None:
            names = [string_value(dest.value) or ""]
        given = argument(node, "default", 1 if flag else None)
        if given is None or not names:
            return
        said = next((n for n in names[: 1 if flag else None] if names_device(n)), None)
        for literal in choices(given.value, ctx):
            if said is None and not _INDEXED.match(string_value(literal) or ""):
                continue  # only a text with an index can't be anything else
            if cuda_text(literal) is not None:
                fix = partial(_fix_option, literal=literal, call=node, option=names[-1])
                self._tell(literal, f"the default of `{said or names[-1]}`", ctx, fix)

    def _tell(self, literal: cst.BaseExpression, what: str, ctx: Context, fix: Fixer | None) -> None:
        if in_cuda_class(ctx) or ctx.is_claimed(literal):
            return
        ctx.report(
            self,
            literal,
            f"{what} is CUDA, whatever the machine has",
            symbol='device = "cuda"',
            fix=fix,
            title="Look for the device that is there",
        )


def _given(value: cst.BaseExpression, ctx: Context) -> Iterator[cst.BaseExpression]:
    """The CUDA texts that a default can turn out to be, also through `field(default=…)` and kin."""
    if isinstance(value, cst.Call) and last_word(value.func) in _WRAPPERS:
        inner = argument(value, "default", 0)
        if inner is None:
            return
        value = inner.value
    for literal in choices(value, ctx):
        if cuda_text(literal) is not None:
            yield literal


# -- parameters --------------------------------------------------------------------------------------------


def _fix_parameter(fix: FixBuilder, param: cst.Param, function: cst.FunctionDef) -> None:
    fix.unsafe()
    assert param.default is not None
    if any(last_word(_called(d.decorator)) in _SCHEMAS for d in function.decorators):
        raise CannotFix("the signature is a schema")
    first = next((s for s in function.body.body if not _is_docstring(s)), None)
    if first is None or not isinstance(function.body, cst.IndentedBlock) or _is_stub(function.body):
        raise CannotFix("the function has no body")
    name = param.name.value
    fix.insert_before(
        first,
        f"if {name} is None:",
        f"{indent_unit(fix.ctx)}{name} = {selected_text(fix, param.default, reuse=False)}",
        above=True,
    )
    fix.replace(param.default, "None")
    if param.annotation is not None:
        _allow_none(fix, param.annotation.annotation)


def _called(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.func if isinstance(node, cst.Call) else node


def _is_docstring(stmt: cst.CSTNode) -> bool:
    return (
        isinstance(stmt, cst.SimpleStatementLine) and len(stmt.body) == 1 and is_text_statement(stmt.body[0])
    )


def _is_stub(body: cst.IndentedBlock) -> bool:
    """Nothing but a docstring, `pass`, `…` or `raise NotImplementedError`."""
    for stmt in body.body:
        if not isinstance(stmt, cst.SimpleStatementLine):
            return False
        for small in stmt.body:
            match small:
                case cst.Pass() | cst.Expr(value=cst.Ellipsis()) | cst.Raise():
                    pass
                case _ if is_text_statement(small):
                    pass
                case _:
                    return False
    return True


_NULLABLE = re.compile(r"\b(?:Optional|None|Any|object)\b")


def _refuse_list(annotation: str) -> None:
    if "Literal" in annotation:
        raise CannotFix("the annotation lists what it may be")


def _allow_none(fix: FixBuilder, node: cst.BaseExpression) -> None:
    """Makes an annotation take None, in the way that the file writes it."""
    ctx = fix.ctx
    code = fix.code(node)
    _refuse_list(code)
    if _NULLABLE.search(code):
        return
    optional = next((n for n, t in ctx.index.aliases.items() if t == "typing.Optional"), None)
    joined = isinstance(node, cst.BinaryOperation)
    lazy = "annotations" in ctx.index.aliases or " | None" in ctx.index.text
    if joined or (optional is None and lazy and string_value(node) is None):
        fix.replace(node, f"{code} | None")
        return
    if optional is None:
        if "Optional" in ctx.index.bindings:
            raise CannotFix("`Optional` means something else here")
        fix.edits.append(ctx.import_edit("from typing import Optional"))
    fix.replace(node, f"{optional or 'Optional'}[{code}]")


# -- fields ------------------------------------------------------------------------------------------------


def _full(name: str, ctx: Context) -> str:
    """A dotted name of this file's module scope with its import resolved."""
    head, dot, rest = name.partition(".")
    return ctx.index.aliases.get(head, head) + dot + rest


def _is_enum(ctx: Context) -> bool:
    bases = ctx.owner.bases if ctx.owner is not None else ()
    return any(base.rpartition(".")[2].endswith("Enum") for base in bases)


def _fix_field(
    fix: FixBuilder, literal: cst.BaseExpression, value: cst.BaseExpression, annotated: cst.Annotation | None
) -> None:
    fix.unsafe()
    if annotated is not None:
        _refuse_list(fix.code(annotated.annotation))
    ctx = fix.ctx
    new = selected_text(fix, literal, reuse=False)
    if isinstance(value, cst.Call) and literal is not value:
        given = argument(value, "default", 0)
        if given is None or given.value is not literal:
            raise CannotFix("the default is computed")
        attrs = (ctx.qualified(value.func) or "").partition(".")[0] in ("attr", "attrs")
        keyword = "factory" if attrs else "default_factory"
        if given.keyword is not None:
            fix.replace(given.keyword, keyword)
            fix.replace(literal, f"lambda: {new}")
        else:
            fix.edits.append(Replace(literal, f"{keyword}=lambda: {new}"))
        return
    facts = ctx.owner
    decorators = {_full(d, ctx) for d in facts.decorators} if facts is not None else set()
    bases = {_full(b, ctx) for b in facts.bases} if facts is not None else set()
    if bases & {"typing.NamedTuple", "typing.TypedDict", "typing_extensions.TypedDict"}:
        raise CannotFix("a NamedTuple has no factories")
    if any(d.partition(".")[0] in ("attr", "attrs") for d in decorators):
        raise CannotFix("a field of attrs")
    if literal is not value or annotated is None:
        fix.replace(literal, new)
    elif decorators & _DATACLASSES:
        fix.replace(value, f"{_imported(fix, 'dataclasses', 'field')}(default_factory=lambda: {new})")
    elif bases & _MODELS:
        fix.replace(value, f"{_imported(fix, 'pydantic', 'Field')}(default_factory=lambda: {new})")
    else:
        fix.replace(value, new)


def _imported(fix: FixBuilder, module: str, name: str) -> str:
    """The local spelling of `module.name`, imported beside what the file takes from `module` already."""
    ctx = fix.ctx
    local = next((n for n, t in ctx.index.aliases.items() if t == f"{module}.{name}"), None)
    if local is not None:
        return local
    whole = next((n for n, t in ctx.index.aliases.items() if t == module), None)
    if whole is not None:
        return f"{whole}.{name}"
    if name in ctx.index.bindings:
        raise CannotFix(f"`{name}` means something else here")
    fix.edits.append(ctx.import_edit(f"from {module} import {name}"))
    return name


# -- options -----------------------------------------------------------------------------------------------


def _fix_option(fix: FixBuilder, literal: cst.BaseExpression, call: cst.Call, option: str) -> None:
    ctx = fix.ctx
    called = last_word(call.func)
    given = argument(call, "default")
    if called == "option" and given is not None and given.value is literal:
        fix.unsafe()
        fix.replace(literal, f"lambda: {selected_text(fix, literal, reuse=False)}")
        return
    seen = uses(ctx.index.text, f".{option.lstrip('-').replace('-', '_')}")
    at_once = seen.at_import if at_import(ctx) else seen.sinks
    if called != "add_argument" or not at_once or argument(call, "choices") is not None:
        fix.unsafe()
    plain = index_of(fix, literal) is None and not at_import(ctx)
    fix.replace(literal, text_for(fix, literal) if plain else selected_text(fix, literal, reuse=False))
