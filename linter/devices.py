"""Finds the device a fix can use: the project's helper, one already in scope, else a new `device = …`."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import libcst as cst

from uncuda.bindings import Binding, Place, arriving
from uncuda.class_layout import class_layout, class_start
from uncuda.current_index import is_current
from uncuda.device_places import NewDevice, NewModule, Path, Use, join, root_of
from uncuda.findings import Applicability, Edit
from uncuda.fixes.builder import Bind, CannotFix, DeviceRef, FixBuilder, NodeEdit, device_kind
from uncuda.fixes.styles import DEVICE_NAMES, MODULE_NAMES, Spelling
from uncuda.flow import Flow
from uncuda.given_device import given_device
from uncuda.guards import surely_available
from uncuda.known_devices import (
    EARLY_METHODS,
    MEMBERS,
    asked_device,
    assigned_before,
    bound_for_certain,
    indexed_device,
    indexed_member,
    module_in_scope,
    own_method,
    rank,
    said_device,
    scopes,
)
from uncuda.shared_index import SharedIndex, shared_index
from uncuda.source import above_comments
from uncuda.values import Which

if TYPE_CHECKING:
    from uncuda.context import Context
    from uncuda.index import ClassFacts


class Devices:
    """The devices of one file, as fixes ask for them. New bindings are shared by all fixes of a scope."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._local: dict[tuple[int, str], NewDevice] = {}
        self._shared: dict[int, SharedIndex | None] = {}
        self._module: tuple[str, tuple[NodeEdit, ...]] | None = None
        self._sure = False
        self._log: list[NewDevice | None] = []
        self._modules: dict[int, NewModule] = {}
        self._written: dict[str, str] = {}
        self._marks = 0

    def mark(self) -> int:
        """A point to come back to when a fix turns out impossible."""
        return len(self._log)

    def rewind(self, mark: int) -> None:
        """Forgets what was bound, and used, since `mark`."""
        while len(self._log) > mark:
            made = self._log.pop()
            if made is None:
                self._module, self._sure = None, False
            else:
                made.uses.pop()

    def judge(self, fix: FixBuilder) -> None:
        """A fix is done. What only an unsafe one binds in the module is no device for safe ones elsewhere: they would ask
        for it while the module is imported, which the code didn't do."""
        if self._module is not None and fix.applicability is Applicability.SAFE:
            self._sure = self._sure or self._module[1][-1] in fix.edits

    def settle(self) -> None:
        """An island is done: decides where its new devices are bound. One at module level stays of use."""
        for devices in (self._local.values(), self._modules.values()):
            join(devices)
            for made in devices:
                made.settle()
        self._written.update({made.mark: made.written for made in self._modules.values()})
        self._local = {}
        self._modules = {}
        self._shared = {}
        self._log.clear()

    def get(self, fix: FixBuilder, *, any_kind: bool = False, typed: bool = False) -> DeviceRef:
        """A device for the place at hand; adds to `fix` what binds it.

        `any_kind`: text, a torch.device or what the code itself takes for a device, will all do. `typed`: only its type
        is wanted, so that one with an index will do.
        """
        if self.ctx.options.device_expr:
            return self._helper(fix)
        found = self._in_scope() or asked_device(self.ctx)
        if found is None and typed:
            found = (
                indexed_device(self.ctx, None) or indexed_member(self.ctx, None) or self._indexed(fix, None)
            )
        if found is None and any_kind:
            found = said_device(self.ctx, fix.node)
            if found is not None:
                fix.unsafe()
        return found or self._new(fix)

    def with_index(self, fix: FixBuilder, index: str) -> DeviceRef | None:
        """A torch.device with this index (its source text) that is in scope, or that the function binds once for all
        its uses, or the plain one where the index is the current one; None where a device of the place's own says
        more."""
        if self.ctx.options.device_expr:
            return None
        found = indexed_device(self.ctx, index) or indexed_member(self.ctx, index)
        found = found or self._current(fix, index)
        if found is not None or self._in_scope() is not None:
            return found
        return self._indexed(fix, index)

    def known(self) -> DeviceRef | None:
        """A portable device that is in scope here already; not one that is CUDA whatever the machine."""
        found = self._in_scope()
        if found is None:
            return None
        which = self.ctx.value(cst.parse_expression(found.text)).which
        return found if which in (Which.CUDA_OR_CPU, Which.SELECTED) else None

    # -- its module ----------------------------------------------------------------------------------------

    def module(self, fix: FixBuilder, times: int) -> str:
        """The module of the device that is there, which the fix names so many times: a name that holds it, or what
        `resolved` makes such a name of, or the call, once the island is done."""
        known = module_in_scope(self.ctx)
        path = self._path(fix)
        root = root_of(path)
        if known is not None or not isinstance(root, cst.IndentedBlock):
            return known or fix.spelling().module
        spelling = fix.spelling()
        made = self._modules.get(id(root))
        if made is None:
            name = next((n for n in MODULE_NAMES if self.ctx.is_free(n)), None)
            if name is None:
                return spelling.module
            made = self._modules[id(root)] = NewModule(name, spelling, root, mark=f"__module_{self._marks}__")
            self._marks += 1
        for _ in range(times):
            self._use(fix, made, path)
        return made.mark

    def resolved(self, text: str) -> str:
        """What a fix writes, with what stands for a module resolved."""
        for mark, written in self._written.items():
            text = text.replace(mark, written)
        return text

    # -- the project's own ---------------------------------------------------------------------------------

    def _helper(self, fix: FixBuilder) -> DeviceRef:
        expression = self.ctx.options.device_expr or ""
        line = self.ctx.options.device_import
        if line:
            bound = _imported_name(line)
            known = self.ctx.index.bindings.get(bound, [])
            if not known:
                fix.edits.append(self.ctx.import_edit(line))
            elif not all(b.kind == "import" for b in known):
                raise CannotFix(f"{bound!r} means something else in this file")
        return DeviceRef(expression, False, True)

    # -- in scope ------------------------------------------------------------------------------------------

    def _in_scope(self) -> DeviceRef | None:
        ctx = self.ctx
        for scope, inner in scopes(ctx):
            if scope.parent is None:
                member = self._member()
                if member is not None:
                    return member
            for name in sorted(scope.bindings(), key=rank):
                if not any(_is_assigned(b) for b in scope.bindings()[name]):
                    continue
                reached = ctx.flow.bindings(name)
                if reached is None or reached[0] is not scope or any(map(_is_no_device, reached[1])):
                    continue
                kind = device_kind(ctx.value(cst.Name(name)))
                if kind is not None and bound_for_certain(ctx, scope, reached[1], inner):
                    return DeviceRef(name, kind, True)
        return None

    def _member(self) -> DeviceRef | None:
        ctx = self.ctx
        method = own_method(ctx)
        if method is None or ctx.owner is None:
            return None
        for name in MEMBERS:
            found = ctx.owner.attributes().get(name, [])
            if found and all(b.where == "__init__" for b in found):
                if method.name.value in EARLY_METHODS and not assigned_before(ctx, method, name):
                    continue
                kind = device_kind(ctx.flow.member(name))
                if kind is not None:
                    return DeviceRef(f"self.{name}", kind, True)
        return None

    # -- a new one -----------------------------------------------------------------------------------------

    def _path(self, fix: FixBuilder) -> Path:
        parent, above = self.ctx.parent_of(fix.node)
        return (*above, fix.node) if parent is not None else (*self.ctx.ancestors, fix.node)

    def _indexed(self, fix: FixBuilder, index: str | None) -> DeviceRef | None:
        """The device with the index that the function's devices share, where it is this one (None: any)."""
        path = self._path(fix)
        root = root_of(path)
        if not isinstance(root, cst.IndentedBlock):
            return None
        shared = self._shared_index(root, path)
        if shared is None or index not in (None, shared.text) or not shared.reaches(path):
            return None
        fix.needs("torch.accelerator")
        return DeviceRef(self._bind(fix, root, path, fix.spelling(), shared), False, True)

    def _current(self, fix: FixBuilder, index: str) -> DeviceRef | None:
        """The plain device, where the one with this index has been made the current one."""
        path = self._path(fix)
        root = root_of(path)
        if not isinstance(root, cst.IndentedBlock) or not is_current(root, path, index, self.ctx.flow):
            return None
        found = self._in_scope() or self._new(fix)
        return None if found.is_text else found

    def _shared_index(self, root: cst.IndentedBlock, path: Path) -> SharedIndex | None:
        if id(root) not in self._shared:
            above = path[: _index(path, root) + 1]
            self._shared[id(root)] = shared_index(root, above, self.ctx.flow)
        return self._shared[id(root)]

    def _bind(
        self,
        fix: FixBuilder,
        root: cst.CSTNode,
        path: Path,
        spelling: Spelling,
        shared: SharedIndex | None = None,
    ) -> str:
        """The name of a device that is bound in the suite `root`, and shared by all fixes in it."""
        key = id(root), shared.text if shared is not None else ""
        made = self._local.get(key)
        if made is None:
            made = NewDevice(self._free_name(root, shared), spelling, root)
            if shared is not None:
                made.index, made.at = shared.text, shared.path
            self._local[key] = made
        self._use(fix, made, path)
        return made.name

    def _use(self, fix: FixBuilder, made: NewDevice, path: Path) -> None:
        ctx = self.ctx
        flow = Flow(ctx.index, ctx.scope, list(ctx.ancestors), ctx.owner)
        made.uses.append(Use(path, flow, ctx.around))
        self._log.append(made)
        fix.edits.append(Bind(made))

    def own(self, fix: FixBuilder) -> DeviceRef | None:
        """What the project itself has for the device at hand: an expression of its own, with the import it needs."""
        given = given_device(self.ctx)
        if given is None:
            return None
        if given.line is not None:
            fix.edits.append(self.ctx.import_edit(given.line))
        return DeviceRef(given.expression, given.is_text, True)

    def _new(self, fix: FixBuilder) -> DeviceRef:
        own = self.own(fix)
        if own is not None and not own.text.endswith(")"):
            return own
        if own is None:
            fix.needs("torch.accelerator")
        spelling = fix.spelling() if own is None else Spelling(own=own.text)
        name = self._bound_name(fix, spelling)
        if name is None:
            return own or DeviceRef(spelling.device, False, False)
        return DeviceRef(name, own is not None and own.is_text, True)

    def _bound_name(self, fix: FixBuilder, spelling: Spelling) -> str | None:
        """The name of a new device; None where there is only room for an expression."""
        path = self._path(fix)
        root = root_of(path)
        if root is not None:
            return self._in_class(fix, path, spelling) or self._in_function(fix, root, path, spelling)
        if _decorates(path) and self.ctx.index.has(_DECORATED_TWICE):
            return self._in_module(fix, spelling, gap=2)
        if self.ctx.owner is not None or len(path) < 3 or _inside(path, (cst.FunctionDef, cst.ClassDef)):
            return None
        return self._in_module(fix, spelling)

    def _in_class(self, fix: FixBuilder, path: Path, spelling: Spelling) -> str | None:
        """`self.device`, bound in `__init__`, where that and other methods have ties: in a class that has no bases
        which may know the name."""
        ctx = self.ctx
        method = own_method(ctx)
        if method is None or ctx.owner is None or not _is_plain(ctx.owner, ctx):
            return None
        layout = class_layout(ctx.index.text, ctx.owner.name)
        if layout is None or len(layout.tied) < 2 or not {"__init__", method.name.value} <= layout.tied:
            return None
        if method.name.value == "__init__" and _calls_init(path[_index(path, method) + 2]):
            return None
        line = f"{layout.indent}self.device = {spelling.device}{ctx.newline}"
        fix.edits.append(Edit(layout.at, layout.at, line))
        return "self.device"

    def _in_function(self, fix: FixBuilder, root: cst.CSTNode, path: Path, spelling: Spelling) -> str:
        shared = self._module if self._sure or self.ctx.options.unsafe else None
        if shared is not None and self.ctx.is_free(shared[0]) and not _is_main_suite(path, root):
            # Bound by an earlier statement of the module, in this very round.
            fix.edits.extend(shared[1])
            return shared[0]
        return self._bind(fix, root, path, spelling)

    def _in_module(self, fix: FixBuilder, spelling: Spelling, gap: int = 0) -> str | None:
        """The name of a device that the module binds before the statement at hand, and above so many empty lines."""
        ctx = self.ctx
        known = ctx.index.bindings.get(spelling.torch.partition(".")[0], [])
        if known and not spelling.own and not arriving(known, Place(ctx.around.order, ())):
            # Torch is imported in the very statement before which the device would stand.
            return None
        if self._module is not None and not ctx.is_free(self._module[0]):
            return None
        if self._module is None:
            name = self._free_name(None, None)
            start = ctx.island_start if ctx.owner is None else class_start(ctx.index.text, ctx.owner.name)
            if start is None:
                return None
            at = above_comments(ctx.index.text, start)
            available = surely_available((), fix.node, ctx.flow, ctx.around)
            line = f"{name} = {spelling.bound('', available)}{ctx.newline * (1 + gap)}"
            # With the imports that this place wants, if it wants any.
            imports = [e for e in fix.edits if isinstance(e, Edit) and "import " in e.text]
            self._module = name, (*imports, Edit(at, at, line))
            self._log.append(None)
        fix.edits.extend(self._module[1])
        return self._module[0]

    def _free_name(self, root: cst.CSTNode | None, shared: SharedIndex | None) -> str:
        """A name for a new device in the suite `root`; that with an index, if there will be one, has the first choice."""
        taken = {made.name for made in self._local.values() if made.root is root}
        free = [n for n in DEVICE_NAMES if n not in taken and self.ctx.is_free(n)]
        if shared is None and self._shared.get(id(root)) is not None and len(free) == len(DEVICE_NAMES):
            del free[0]
        name = next(iter(free), None)
        if name is None:
            raise CannotFix("no free name for a device")
        return name


def _is_plain(owner: ClassFacts, ctx: Context) -> bool:
    """May the class get an attribute `device`: does none that is above or below it, as far as they are seen, know the
    name or come from elsewhere?"""
    family = [owner, *(c for c in ctx.index.classes.values() if owner.name in c.bases)]
    for member in family:
        if {"device", "__slots__"} & (member.methods | member.attributes().keys()):
            return False
        for base in member.bases:
            if base not in ("object", owner.name) and _full(base, ctx) != "torch.nn.Module":
                return False
    return "mixin" not in owner.name.lower() and (bool(owner.bases) or not _is_cooperative(owner, ctx))


def _is_cooperative(owner: ClassFacts, ctx: Context) -> bool:
    """Does `__init__` of a class without bases call the next one's? It is made to stand beside others."""
    init = owner.method("__init__")
    return init is not None and "super()" in ctx.code(init)


def _full(name: str, ctx: Context) -> str:
    head, dot, rest = name.partition(".")
    return ctx.index.aliases.get(head, head) + dot + rest


def _index(path: Path, node: cst.CSTNode) -> int:
    return next(i for i, item in enumerate(path) if item is node)


def _calls_init(stmt: cst.CSTNode) -> bool:
    match stmt:
        case cst.SimpleStatementLine(
            body=[cst.Expr(value=cst.Call(func=cst.Attribute(attr=cst.Name("__init__"))))]
        ):
            return True
        case _:
            return False


_DECORATED_TWICE = re.compile(
    r"^[ \t]*@[\w.]*(?:custom_[fb]wd|autocast)\b.*^[ \t]*@[\w.]*(?:custom_[fb]wd|autocast)\b", re.M | re.S
)


def _decorates(path: Path) -> bool:
    """Is the end of a path in a decorator of a function or method that isn't inside another function?"""
    for above, below in pairwise(path):
        if isinstance(above, cst.FunctionDef):
            return isinstance(below, cst.Decorator)
    return False


def _inside(path: Path, kinds: tuple[type[cst.CSTNode], ...]) -> bool:
    return any(isinstance(node, kinds) for node in path)


def _is_main_suite(path: Path, root: cst.CSTNode) -> bool:
    return len(path) > 2 and path[2] is root and isinstance(path[1], cst.If)


def _is_assigned(binding: Binding) -> bool:
    return binding.value is not None and binding.kind == "assign"


_NO_DEVICES: frozenset[type[cst.CSTNode]] = frozenset(
    {
        cst.BinaryOperation, cst.Comparison, cst.Dict, cst.DictComp, cst.Float, cst.Integer, cst.Lambda, cst.List,
        cst.ListComp, cst.Set, cst.SetComp, cst.Tuple, cst.UnaryOperation,
    }
)  # fmt: skip


def _is_no_device(binding: Binding) -> bool:
    """Does the very form of an assigned value tell that it is no device, and no text of one without an index?"""
    if binding.kind != "assign" or binding.value is None or binding.annotation is not None:
        return False
    return binding.value().__class__ in _NO_DEVICES


def _imported_name(line: str) -> str:
    return line.rstrip().rpartition(" ")[2].partition(".")[0]
