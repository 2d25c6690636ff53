"""Builds one fix: edits on tree nodes, the device it needs, the imports it wants, the torch floor it has."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

from uncuda.findings import Applicability, Edit, TorchVersion
from uncuda.fixes.styles import Spelling
from uncuda.values import Kind, Value

if TYPE_CHECKING:
    from uncuda.context import Context
    from uncuda.device_places import NewDevice


class CannotFix(Exception):
    """There is no honest fix here; the text says why and what would make one possible."""


class TooOld(CannotFix):
    """The fix needs torch `version`, and the project's floor is lower."""

    def __init__(self, version: TorchVersion) -> None:
        super().__init__(f"the fix needs torch {'.'.join(map(str, version))}")
        self.version = version


@dataclass(frozen=True)
class Replace:
    """New text for a node (its own parentheses stay)."""

    node: cst.CSTNode
    text: str


@dataclass(frozen=True)
class InsertBefore:
    """New lines before a statement, at its indentation; with `above`, above the comment that belongs to it."""

    statement: cst.CSTNode
    lines: tuple[str, ...]
    above: bool = False


@dataclass(frozen=True)
class Remove:
    """A simple statement goes, or an `if` without `else`, with its lines; one of several statements on a line
    (`part`), with its semicolon.

    Nothing takes its place: something else must stay in the suite. `comment`: comments in it, and behind it on
    the same line, are about it and go too; else they keep the fix from being made.
    """

    statement: cst.CSTNode
    part: cst.BaseSmallStatement | None = None
    comment: bool = False


@dataclass(frozen=True)
class ReplaceArguments:
    """New text between a call's parentheses; what stands before them isn't touched."""

    call: cst.Call
    text: str


@dataclass(frozen=True)
class Indent:
    """The lines of a statement behind its first go one level (`unit`) to the right."""

    statement: cst.SimpleStatementLine
    unit: str


@dataclass(frozen=True)
class Bind:
    """A new device is bound in a line of its own, above the comment of the statement that it stands before."""

    device: NewDevice


NodeEdit = Replace | ReplaceArguments | InsertBefore | Indent | Bind | Remove | Edit


@dataclass
class PendingFix:
    """A fix whose edits still refer to nodes."""

    title: str
    edits: list[NodeEdit]
    applicability: Applicability
    floor: TorchVersion | None


@dataclass(frozen=True)
class DeviceRef:
    """A portable device in scope, or an expression for one.

    `text` is what to write; `is_text` says whether it is a str; `simple`, whether it is a plain name or attribute;
    `said`, whether only the code's own word says that it is a device.
    """

    text: str
    is_text: bool
    simple: bool
    said: bool = False


@dataclass
class FixBuilder:
    """Handed to a rule's fix function. Every method may raise CannotFix; the rule needn't catch it."""

    ctx: Context
    node: cst.CSTNode
    title: str
    edits: list[NodeEdit] = field(default_factory=list)
    floor: TorchVersion | None = None
    applicability: Applicability = Applicability.SAFE

    # -- floors and trust ----------------------------------------------------------------------------------

    def needs(self, what: str) -> None:
        """The new text needs a torch that has `what`, as the table of floors calls it."""
        version = _floor(what)
        if version > self.ctx.options.torch_floor:
            raise TooOld(version)
        self.floor = max(self.floor or (0, 0), version)

    def has(self, what: str) -> bool:
        """Has the project's oldest torch `what`?"""
        return _floor(what) <= self.ctx.options.torch_floor

    def unsafe(self) -> None:
        """Lowers the fix to `unsafe`."""
        if self.applicability is Applicability.SAFE:
            self.applicability = Applicability.UNSAFE

    def display(self) -> None:
        """Lowers the fix to one that is shown and never applied."""
        self.applicability = Applicability.DISPLAY

    # -- names ---------------------------------------------------------------------------------------------

    def name(self, dotted_name: str) -> str:
        """The local spelling of a dotted torch name ("torch.amp.autocast"), importing what it takes."""
        return self.ctx.spell(dotted_name, self)

    def spelling(self) -> Spelling:
        """The accelerator style, under the local name of torch."""
        return Spelling(self.name("torch"))

    def is_available(self) -> str:
        """`torch.accelerator.is_available()`."""
        self.needs("torch.accelerator")
        return self.spelling().available

    # -- devices -------------------------------------------------------------------------------------------

    def device(self, *, typed: bool = False) -> str:
        """An expression for the selected device (a torch.device or its text: either will do); with `typed`, one of its
        type, which may have an index."""
        return self.ctx.devices.get(self, any_kind=True, typed=typed).text

    def device_type(self, *, any_kind: bool = False) -> str:
        """An expression for the selected device's type, a str such as "cuda" or "cpu"; with `any_kind`, of what the code
        itself takes for the device."""
        ref = self.ctx.devices.get(self, any_kind=any_kind, typed=True)
        if ref.said:
            return f"{self.name('torch')}.device({ref.text}).type"
        return ref.text if ref.is_text else f"{_tight(ref.text)}.type"

    def torch_device(self) -> str:
        """An expression for the selected device that is a torch.device for certain."""
        ref = self._device()
        return f"{self.name('torch')}.device({ref.text})" if ref.is_text else ref.text

    def device_with_index(self, index: str) -> str:
        """A torch.device of the selected type with `index` (its text), `cpu:index` or `cpu` on a CPU."""
        shared = self.shared_device(index)
        if shared is not None:
            return shared
        found = self.ctx.devices.get(self, typed=True)
        if not found.simple:
            return self.spelling().bound(index, False)
        kind = found.text if found.is_text else f"{_tight(found.text)}.type"
        return f"{self.name('torch')}.device({kind}, {index})"

    def shared_device(self, index: str) -> str | None:
        """The torch.device with `index` that the function has, or binds once for all its uses; `cpu` on a CPU. None
        where there is only this use, or the index may be another each time."""
        ref = self.ctx.devices.with_index(self, index)
        return None if ref is None else ref.text

    def _device(self) -> DeviceRef:
        return self.ctx.devices.get(self)

    # -- edits ---------------------------------------------------------------------------------------------

    def code(self, node: cst.CSTNode) -> str:
        """The source of `node`."""
        return self.ctx.code(node)

    def replace(self, node: cst.CSTNode, text: str) -> None:
        """Writes `text` for `node`; adds parentheses, and swaps quotes in an f-string, where the place asks."""
        parent, ancestors = self.ctx.parent_of(node)
        text = _fit_quotes(text, [*ancestors, parent] if parent is not None else ancestors)
        if parent is not None and not getattr(node, "lpar", ()) and _needs_parentheses(parent, node, text):
            text = f"({text})"
        self.edits.append(Replace(node, text))

    def arguments(self, call: cst.Call, text: str) -> None:
        """Writes new arguments for a call and leaves the called expression, comments and all, alone."""
        parent, ancestors = self.ctx.parent_of(call)
        text = _fit_quotes(text, [*ancestors, parent] if parent is not None else ancestors)
        self.edits.append(ReplaceArguments(call, text))

    def insert_before(self, statement: cst.CSTNode, *lines: str, above: bool = False) -> None:
        """Writes whole lines before a statement, at its indentation; with `above`, above its comment."""
        self.edits.append(InsertBefore(statement, lines, above))

    def remove(
        self, statement: cst.CSTNode, part: cst.BaseSmallStatement | None = None, *, comment: bool = False
    ) -> None:
        """Takes a whole statement away, or one part of a line of several."""
        self.edits.append(Remove(statement, part, comment))

    def done(self) -> PendingFix:
        """The finished fix."""
        return PendingFix(self.title, self.edits, self.applicability, self.floor)


def _floor(what: str) -> TorchVersion:
    from uncuda.rules.knowledge import floor

    return floor(what)


_NAME = re.compile(r"[\w.]+\Z|[\w.]+\([^()]*\)\Z")


def _tight(text: str) -> str:
    return text if _NAME.match(text) else f"({text})"


# Where a conditional, a comparison or an operator can stand without parentheses.
_OPEN_PARENTS = (
    cst.Arg, cst.Assign, cst.AnnAssign, cst.AugAssign, cst.Return, cst.Expr, cst.Index, cst.Element, cst.Param,
    cst.DictElement, cst.FormattedStringExpression, cst.Yield, cst.If, cst.While, cst.WithItem, cst.NamedExpr,
    cst.Assert, cst.Annotation,
)  # fmt: skip


def _needs_parentheses(parent: cst.CSTNode, node: cst.CSTNode, text: str) -> bool:
    try:
        kind = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise CannotFix("the new text would not parse") from error
    if not isinstance(
        kind, (ast.IfExp, ast.BoolOp, ast.Compare, ast.UnaryOp, ast.BinOp, ast.Lambda, ast.Await)
    ):
        return False
    if isinstance(parent, cst.FormattedStringExpression):
        return isinstance(kind, ast.Lambda)
    if isinstance(parent, cst.Arg) and parent.star:
        return True
    if isinstance(parent, cst.NamedExpr):
        return parent.value is not node
    if isinstance(parent, (cst.GeneratorExp, cst.ListComp, cst.SetComp, cst.CompIf)):
        return isinstance(kind, (ast.IfExp, ast.Lambda))
    if isinstance(parent, cst.IfExp):
        return isinstance(kind, (ast.IfExp, ast.Lambda))
    if isinstance(parent, cst.BooleanOperation):
        same = ast.And if isinstance(parent.operator, cst.And) else ast.Or
        joined = isinstance(kind, ast.BoolOp) and isinstance(kind.op, same)
        return not joined and not isinstance(kind, (ast.Compare, ast.BinOp))
    if isinstance(parent, cst.UnaryOperation) and isinstance(parent.operator, cst.Not):
        return not isinstance(kind, (ast.Compare, ast.BinOp))
    return not isinstance(parent, _OPEN_PARENTS)


def _fit_quotes(text: str, ancestors: list[cst.CSTNode]) -> str:
    """Before Python 3.12 an f-string can't hold its own quote inside an expression."""
    for above in ancestors:
        if isinstance(above, cst.FormattedString):
            quote = above.start[-1]
            if quote in text:
                other = "'" if quote == '"' else '"'
                if other in text or "\\" in text:
                    raise CannotFix("the new text has both kinds of quotes, inside an f-string")
                text = text.replace(quote, other)
            if "\\" in text or "\n" in text:
                raise CannotFix("the new text has a backslash, inside an f-string")
    return text


def device_kind(value: Value) -> bool | None:
    """Is a selecting device text (True) or a torch.device (False)? None when it is neither."""
    if not value.selects:
        return None
    return value.kind is Kind.TEXT
