"""Finds the device a fix can use: the project's helper, one already in scope, else a new `device = …`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from uncuda.bindings import Binding, Scope
from uncuda.findings import Edit
from uncuda.fixes.builder import CannotFix, DeviceRef, FixBuilder, InsertBefore, device_kind
from uncuda.fixes.styles import ACCELERATOR_FLOOR, DEVICE_NAMES
from uncuda.flow import Which

if TYPE_CHECKING:
    from uncuda.context import Context

_PREFERRED = ("device", "DEVICE", "dev", "_device", "torch_device")


class Devices:
    """The devices of one file, as fixes ask for them. New bindings are shared by all fixes of a scope."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._made: dict[object, tuple[str, InsertBefore | Edit]] = {}
        self._log: list[object] = []

    def mark(self) -> int:
        """A point to come back to when a fix turns out impossible."""
        return len(self._log)

    def rewind(self, mark: int) -> None:
        """Forgets the bindings made since `mark`."""
        while len(self._log) > mark:
            self._made.pop(self._log.pop(), None)

    def forget_local(self) -> None:
        """A new island begins: only a module-level binding is still of use."""
        self._made = {key: made for key, made in self._made.items() if key == "module"}
        self._log.clear()

    def get(self, fix: FixBuilder) -> DeviceRef:
        """A device for the place at hand; adds to `fix` what binds it."""
        if self.ctx.options.device_expr:
            return self._helper(fix)
        found = self._in_scope()
        if found is not None:
            return found
        return self._bind(fix)

    def known(self) -> DeviceRef | None:
        """A portable device that is in scope here already; not one that is CUDA whatever the machine."""
        found = self._in_scope()
        if found is None:
            return None
        which = self.ctx.value(cst.parse_expression(found.text)).which
        return found if which in (Which.CUDA_OR_CPU, Which.SELECTED) else None

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
        scope: Scope | None = ctx.scope
        inner = False
        while scope is not None:
            if not (scope.kind == "class" and inner):
                names = sorted(
                    (n for n in scope.bindings() if not n.startswith("__")),
                    key=lambda n: _PREFERRED.index(n) if n in _PREFERRED else len(_PREFERRED),
                )
                for name in names:
                    if not any(_may_be_device(b) for b in scope.bindings()[name]):
                        continue
                    reached = ctx.flow.bindings(name)
                    if reached is None or reached[0] is not scope:
                        continue
                    kind = device_kind(ctx.value(cst.Name(name)))
                    if kind is not None and self._bound_for_certain(scope, reached[1], inner):
                        return DeviceRef(name, kind, True)
            if scope.kind == "function":
                inner = True
            scope = scope.parent
        return self._member()

    def _bound_for_certain(self, scope: Scope, reached: list[Binding], inner: bool) -> bool:
        if inner:
            # A name of an enclosing scope: bound unconditionally there, or a parameter.
            return all(b.block == () for b in reached)
        place = next(
            (scope.places[id(n)] for n in reversed(self.ctx.ancestors) if id(n) in scope.places), None
        )
        if place is None:
            return all(b.block == () for b in reached)
        order, block = place
        return any(b.order < order and block[: len(b.block)] == b.block for b in reached)

    def _member(self) -> DeviceRef | None:
        ctx = self.ctx
        if ctx.owner is None:
            return None
        method = next((n for n in ctx.ancestors if isinstance(n, cst.FunctionDef)), None)
        if method is None or not method.params.params or method.params.params[0].name.value != "self":
            return None
        if method.name.value in ("__init__", "__new__", "setUpClass"):
            return None
        for name in ("device", "_device", "dev"):
            found = ctx.owner.attributes().get(name, [])
            if found and all(b.where == "__init__" for b in found):
                kind = device_kind(ctx.flow.member(name))
                if kind is not None:
                    return DeviceRef(f"self.{name}", kind, True)
        return None

    # -- a new one -----------------------------------------------------------------------------------------

    def _bind(self, fix: FixBuilder) -> DeviceRef:
        fix.needs(ACCELERATOR_FLOOR)
        place = self._place()
        if place is None:
            return DeviceRef(fix.spelling().device, False, False)
        key, statement = place
        made = self._made.get(key)
        if made is None:
            name = next((n for n in DEVICE_NAMES if self.ctx.is_free(n)), None)
            if name is None:
                raise CannotFix("no free name for a device")
            line = f"{name} = {fix.spelling().device}"
            edit: InsertBefore | Edit
            if key == "module":
                at = self.ctx.island_start
                edit = Edit(at, at, line + self.ctx.newline)
            else:
                edit = InsertBefore(statement, (line,))
            made = (name, edit)
            self._made[key] = made
            self._log.append(key)
        else:
            fix.name("torch")
        fix.edits.append(made[1])
        return DeviceRef(made[0], False, True)

    def _place(self) -> tuple[object, cst.CSTNode] | None:
        """The scope that a new binding belongs to, and the statement before which it stands; None where there
        is room for an expression only (class bodies, defaults, decorators, one-line functions)."""
        path = list(self.ctx.ancestors)
        here = path[-1] if path else None
        for depth in range(len(path) - 1, -1, -1):
            node = path[depth]
            if isinstance(node, (cst.Lambda, cst.ClassDef)):
                return None if isinstance(node, cst.ClassDef) else self._place_above(depth)
            if isinstance(node, cst.FunctionDef):
                below = path[depth + 1] if depth + 1 < len(path) else here
                if below is not node.body or not isinstance(node.body, cst.IndentedBlock):
                    return None
                if depth + 2 >= len(path):
                    return None
                return id(node), path[depth + 2]
        return self._module_place(path)

    def _place_above(self, depth: int) -> tuple[object, cst.CSTNode] | None:
        saved = self.ctx.ancestors[depth:]
        del self.ctx.ancestors[depth:]
        try:
            return self._place()
        finally:
            self.ctx.ancestors.extend(saved)

    def _module_place(self, path: list[cst.CSTNode]) -> tuple[object, cst.CSTNode] | None:
        if self.ctx.owner is not None or len(path) < 2:
            return None
        top = path[1]
        match top:
            case cst.If(test=cst.Comparison(left=cst.Name("__name__")), body=cst.IndentedBlock() as body) if (
                len(path) > 3 and path[2] is body
            ):
                return "main", path[3]
            case _:
                return "module", top


def _may_be_device(binding: Binding) -> bool:
    return binding.value is not None and binding.kind == "assign"


def _imported_name(line: str) -> str:
    return line.rstrip().rpartition(" ")[2].partition(".")[0]
