"""Which bindings of a name reach a place: imports, assignments, parameters, in scope order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import libcst as cst

from uncuda.walk import children, walk_scope

Kind = Literal["import", "assign", "declare", "param", "def", "class", "other"]


@dataclass(frozen=True)
class Binding:
    """One place where a name gets a value. `order` counts the statements of the scope from its start."""

    name: str
    kind: str
    order: int
    value: Callable[[], cst.BaseExpression] | None = field(default=None, compare=False)
    annotation: Callable[[], cst.BaseExpression] | None = field(default=None, compare=False)
    target: str = ""
    """What an import stands for, or the plain name that is assigned, as a dotted name."""
    block: tuple[int, ...] = ()
    """The suites that the binding stands in, below the scope's own, outermost first."""
    where: str = ""
    """For an attribute: the method that binds it."""

    def at(self, block: tuple[int, ...]) -> Binding:
        """The same binding, inside `block`."""
        return replace(self, block=block)


def dotted(node: cst.CSTNode | None) -> str | None:
    """`a.b.c` as text, or None for anything but names and attributes."""
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if not isinstance(node, cst.Name):
        return None
    parts.append(node.value)
    return ".".join(reversed(parts))


def _const(node: cst.BaseExpression) -> Callable[[], cst.BaseExpression]:
    return lambda: node


class _SuiteReader:
    """Collects the bindings of one scope, statement by statement."""

    def __init__(self, order: int = 0) -> None:
        self.out: list[Binding] = []
        self.order = order
        self.places: dict[int, tuple[int, tuple[int, ...]]] = {}

    def targets(
        self, target: cst.CSTNode, value: cst.BaseExpression | None, kind: str, block: tuple[int, ...]
    ) -> None:
        if isinstance(target, cst.Name):
            self.out.append(
                Binding(
                    target.value,
                    kind,
                    self.order,
                    value=_const(value) if value else None,
                    target=dotted(value) or "",
                    block=block,
                )
            )
        elif isinstance(target, (cst.Tuple, cst.List)):
            parts: Sequence[cst.BaseExpression | None] = [None] * len(target.elements)
            if isinstance(value, (cst.Tuple, cst.List)) and len(value.elements) == len(target.elements):
                parts = [e.value for e in value.elements]
            else:
                kind = "other"
            for item, part in zip(target.elements, parts, strict=True):
                self.targets(item.value, part, kind, block)

    def small(self, stmt: cst.CSTNode, block: tuple[int, ...]) -> None:
        from uncuda.index import cst_import_bindings

        match stmt:
            case cst.Assign():
                for target in stmt.targets:
                    self.targets(target.target, stmt.value, "assign", block)
            case cst.AnnAssign(target=cst.Name(name)):
                self.out.append(
                    Binding(
                        name,
                        "assign" if stmt.value else "declare",
                        self.order,
                        value=_const(stmt.value) if stmt.value else None,
                        annotation=_const(stmt.annotation.annotation),
                        target=dotted(stmt.value) or "",
                        block=block,
                    )
                )
            case cst.AugAssign():
                self.targets(stmt.target, None, "other", block)
            case cst.Import() | cst.ImportFrom():
                for name, imported in cst_import_bindings(stmt):
                    self.out.append(Binding(name, "import", self.order, target=imported, block=block))
            case cst.Del():
                self.targets(stmt.target, None, "other", block)
            case _:
                pass

    def suite(self, body: Sequence[cst.CSTNode], block: tuple[int, ...]) -> None:
        for stmt in body:
            if isinstance(stmt, cst.SimpleStatementLine):
                for small in stmt.body:
                    self.order += 1
                    self.places[id(small)] = (self.order, block)
                    self.small(small, block)
                self.places[id(stmt)] = (self.order, block)
                continue
            self.order += 1
            self.places[id(stmt)] = (self.order, block)
            match stmt:
                case cst.FunctionDef(name=cst.Name(name)):
                    self.out.append(Binding(name, "def", self.order, block=block))
                    continue
                case cst.ClassDef(name=cst.Name(name)):
                    self.out.append(Binding(name, "class", self.order, block=block))
                    continue
                case cst.For():
                    self.targets(stmt.target, None, "other", block)
                case cst.With():
                    for item in stmt.items:
                        if item.asname is not None:
                            self.targets(item.asname.name, None, "other", block)
                case _:
                    pass
            for part, inner in enumerate(suites(stmt)):
                key = (*block, self.order * 8 + part)
                if isinstance(inner, cst.SimpleStatementSuite):
                    for small in inner.body:
                        self.order += 1
                        self.places[id(small)] = (self.order, key)
                        self.small(small, key)
                else:
                    self.suite(inner.body, key)


def suites(stmt: cst.CSTNode) -> Iterator[cst.IndentedBlock | cst.SimpleStatementSuite]:
    """The suites of a compound statement, in the order body, else, finally, handlers or cases."""
    orelse = getattr(stmt, "orelse", None)
    final = getattr(stmt, "finalbody", None)
    found: list[object] = [getattr(stmt, "body", None)]
    if isinstance(orelse, cst.Else):
        found.append(orelse.body)
    elif isinstance(orelse, cst.If):
        found.append(cst.IndentedBlock([orelse]))
    if isinstance(final, cst.Finally):
        found.append(final.body)
    found.extend(part.body for part in (*getattr(stmt, "handlers", ()), *getattr(stmt, "cases", ())))
    for suite in found:
        if isinstance(suite, (cst.IndentedBlock, cst.SimpleStatementSuite)):
            yield suite


def bindings_in_suite(
    body: Sequence[cst.CSTNode], order: int = 0
) -> tuple[list[Binding], dict[int, tuple[int, tuple[int, ...]]]]:
    """The bindings that the statements of `body` make in their scope, and the place (order, block) of each
    statement by `id`. `order` is that of the statement before the first."""
    reader = _SuiteReader(order)
    reader.suite(body, ())
    return reader.out, reader.places


@dataclass
class Scope:
    """A function, lambda, comprehension, class or module scope, with the bindings made in it."""

    kind: Literal["module", "class", "function"]
    node: cst.CSTNode | None
    parent: Scope | None
    names: dict[str, list[Binding]] | None = None
    places: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    uses: dict[str, set[tuple[str, bool]]] = field(default_factory=dict)
    """For a function: the attributes that its own statements read of each plain name, and whether they are called.
    Filled by `bindings`."""

    def bindings(self) -> dict[str, list[Binding]]:
        """Names bound in this scope, each with its bindings in order."""
        if self.names is None:
            self.names = {}
            for binding in self._read():
                self.names.setdefault(binding.name, []).append(binding)
        return self.names

    def _read(self) -> Iterator[Binding]:
        node = self.node
        if isinstance(node, (cst.FunctionDef, cst.Lambda)):
            yield from _parameters(node.params)
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            body = node.body.body
            found, self.places = bindings_in_suite(body)
            outside: set[str] = set()
            for item in walk_scope(node.body):
                kind = item.__class__
                if kind is cst.Attribute or kind is cst.Call:
                    self._use(item)
                elif kind in _BINDERS:
                    match item:
                        case cst.Global() | cst.Nonlocal():
                            outside |= {n.name.value for n in item.names}
                        case cst.NamedExpr(target=cst.Name(name), value=value):
                            yield Binding(name, "assign", 0, value=_const(value), block=(-1,))
                        case (
                            cst.MatchAs(name=cst.Name(name))
                            | cst.MatchStar(name=cst.Name(name))
                            | cst.ExceptHandler(name=cst.AsName(name=cst.Name(name)))
                        ):
                            yield Binding(name, "other", 0, block=(-1,))
                        case _:
                            pass
            yield from (b for b in found if b.name not in outside)
        elif isinstance(node, (cst.ListComp, cst.SetComp, cst.GeneratorExp, cst.DictComp)):
            comp: cst.CompFor | None = node.for_in
            while comp is not None:
                for item in (comp.target, *walk_scope(comp.target)):
                    if isinstance(item, cst.Name):
                        yield Binding(item.value, "other", 0)
                comp = comp.inner_for_in

    def _use(self, node: cst.CSTNode) -> None:
        called = isinstance(node, cst.Call)
        func = node.func if isinstance(node, cst.Call) else node
        if isinstance(func, cst.Attribute) and isinstance(func.value, cst.Name):
            self.uses.setdefault(func.value.value, set()).add((func.attr.value, called))


# Expressions and clauses that bind names, or say whose they are, inside statements.
_BINDERS = frozenset({cst.Global, cst.Nonlocal, cst.NamedExpr, cst.MatchAs, cst.MatchStar, cst.ExceptHandler})


def _parameters(params: cst.Parameters) -> Iterator[Binding]:
    everything = [*params.posonly_params, *params.params, *params.kwonly_params]
    for extra in (params.star_arg, params.star_kwarg):
        if isinstance(extra, cst.Param):
            yield Binding(extra.name.value, "other", 0)
    for param in everything:
        yield Binding(
            param.name.value,
            "param",
            0,
            value=_const(param.default) if param.default is not None else None,
            annotation=_const(param.annotation.annotation) if param.annotation is not None else None,
        )


SCOPED: frozenset[type[cst.CSTNode]] = frozenset(
    {cst.FunctionDef, cst.Lambda, cst.ClassDef, cst.ListComp, cst.SetComp, cst.GeneratorExp, cst.DictComp}
)


def reaching(scope: Scope, name: str, ancestors: Sequence[cst.CSTNode]) -> tuple[Scope, list[Binding]] | None:
    """The scope that owns `name` as seen from a place, and its bindings that can reach the place.

    `ancestors` is the path from the island's root to the place. Within the owner's own statements a binding
    that dominates the place hides those before it; from an inner scope every binding counts.
    """
    here: Scope | None = scope
    inner = False
    while here is not None:
        if not (here.kind == "class" and inner):
            found = here.bindings().get(name)
            if found:
                return here, found if inner else _visible(found, here, ancestors)
        inner = True
        here = here.parent
    return None


def _visible(found: list[Binding], scope: Scope, ancestors: Sequence[cst.CSTNode]) -> list[Binding]:
    place: tuple[int, tuple[int, ...]] | None = None
    loops = False
    for node in reversed(ancestors):
        if node is scope.node:
            break
        if isinstance(node, (cst.For, cst.While)):
            loops = True
        if place is None and id(node) in scope.places:
            place = scope.places[id(node)]
    if place is None:
        return found
    order, block = place
    kept: list[Binding] = []
    for binding in found:
        if binding.order >= order and not loops:
            if binding.order > order or binding.kind != "def":
                continue
        if binding.order < order and block[: len(binding.block)] == binding.block:
            kept = []
        kept.append(binding)
    return kept or found


def names_read(node: cst.CSTNode) -> Iterator[str]:
    """Every plain name that occurs in `node` (attribute names and keywords are none)."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, cst.Name):
            yield item.value
        stack.extend(children(item))
