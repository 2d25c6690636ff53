"""Which bindings of a name reach a place: imports, assignments, parameters, in scope order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import libcst as cst

from uncuda.walk import COMPOUND_STATEMENTS, SUITES, children, walk, walk_scope

Expression = Callable[[], cst.BaseExpression]
"""An expression that is parsed when it is asked for."""


class Part(NamedTuple):
    """One suite of a compound statement. `order` is that of the statement, `number` counts its suites."""

    order: int
    number: int
    """From 0, but the cases of `match` from FIRST_CASE."""
    loop: bool = False
    """Does it run again and again?"""
    choice: bool = False
    """Is it one of several of which one runs (`if`, `match`)?"""
    ends: bool = False
    """Does a choice end in `return` or `raise`?"""


FIRST_CASE = 2
Block = tuple[Part, ...]
"""The suites that something stands in, below its scope's own, outermost first."""
ANYWHERE: Block = (Part(-1, 0),)
"""Stands for a place that isn't known."""


EACH = -1
"""Among the steps to a part: every element in turn."""


class Place(NamedTuple):
    """A statement of a scope: how many statements come before it, and the suites it stands in."""

    order: int
    block: Block


class Test(NamedTuple):
    """The innermost `if` around something, and whether it is in the suite where the condition holds."""

    condition: Expression
    holds: bool


@dataclass(slots=True)
class Binding:
    """One place where a name gets a value. `order` counts the statements of the scope from its start.

    `kind` is import, assign, declare (an annotation alone), param, def, class, or other.
    """

    name: str
    kind: str
    order: int = 0
    value: Expression | None = field(default=None, compare=False)
    annotation: Expression | None = field(default=None, compare=False)
    target: str = ""
    """What an import stands for, or the plain name that is assigned, as a dotted name."""
    block: Block = ()
    test: Test | None = field(default=None, compare=False)
    where: str = ""
    """For an attribute: the method that binds it."""
    names: Callable[[], dict[str, list[Binding]]] | None = field(default=None, compare=False)
    """For an attribute: what that method binds."""
    whole: Expression | None = field(default=None, compare=False)
    """What the value is a part of: something that is iterated over, or taken apart."""
    steps: tuple[int, ...] = ()
    """The way from there to the value: numbers of parts, EACH for one after the other."""

    @property
    def place(self) -> Place | None:
        """Where it stands; None when that isn't known."""
        return None if self.block == ANYWHERE else Place(self.order, self.block)


def dotted(node: cst.CSTNode | None) -> str | None:
    """`a.b.c` as text, or None for anything but names and attributes."""
    parts: list[str] = []
    while node.__class__ is cst.Attribute:
        parts.append(node.attr.value)
        node = node.value
    if not isinstance(node, cst.Name):
        return None
    parts.append(node.value)
    return ".".join(reversed(parts))


def by_name(bound: Iterable[Binding]) -> dict[str, list[Binding]]:
    """Bindings by the name they bind, in order."""
    names: dict[str, list[Binding]] = {}
    for binding in bound:
        names.setdefault(binding.name, []).append(binding)
    return names


# -- reading a concrete tree -------------------------------------------------------------------------------


def ready(node: cst.BaseExpression) -> Expression:
    """An expression that is there already."""
    return lambda: node


def _const(node: cst.BaseExpression | None) -> Expression | None:
    return None if node is None else ready(node)


def _plain_name(node: cst.BaseExpression | None) -> str:
    name = dotted(node) or ""
    return "" if name in ("True", "False", "None") else name


IMPORTERS = frozenset({"importorskip", "import_module"})
"""Functions of pytest and importlib that give the module whose name they get first."""


LATE_TORCH = re.compile(r"_torch|_?(?:get|(?:lazy_)?import|lazy|load)_torch")
"""Functions that import torch when they are called, where what they give is called torch."""


def _module_of(value: cst.BaseExpression, target: cst.BaseExpression) -> str | None:
    """The module that `importlib.import_module("torch")` or `pytest.importorskip("torch")` gives, or `_torch()` to
    `torch`."""
    match value:
        case cst.Call(func=cst.Name(name), args=[]) if LATE_TORCH.fullmatch(name):
            return "torch" if isinstance(target, cst.Name) and target.value == "torch" else None
        case cst.Call(
            func=cst.Name(name) | cst.Attribute(attr=cst.Name(name)),
            args=[cst.Arg(value=cst.SimpleString() as text, keyword=None), *_],
        ) if name in IMPORTERS:
            told = text.evaluated_value
            return told if isinstance(told, str) and not told.startswith(".") else None
        case _:
            return None


_ONLY_HOLD_SUITES = (cst.If, cst.While)
_CHOICES = (cst.If, cst.Match)
_LOOPS = (cst.For, cst.While)
_BIND_NOTHING: frozenset[type[cst.CSTNode]] = frozenset(
    {
        cst.Expr, cst.Return, cst.Pass, cst.Raise, cst.Assert, cst.Break, cst.Continue, cst.Global, cst.Nonlocal,
    }
)  # fmt: skip


class SuiteReader:
    """Collects the bindings of one scope, statement by statement. `order` is that of the statement before."""

    def __init__(self, order: int = 0) -> None:
        self.order = order
        self.out: list[Binding] = []
        self.members: list[Binding] = []
        """Of attributes of plain names (`args.cuda = …`), under their dotted names."""
        self.places: dict[int, Place] = {}
        """Of every statement, by its `id`."""
        self._block: Block = ()
        self._test: Test | None = None

    def read(self, body: Sequence[cst.CSTNode]) -> None:
        """Reads the statements of a suite."""
        for stmt in body:
            if isinstance(stmt, cst.SimpleStatementLine):
                for small in stmt.body:
                    self._statement(small)
                self.places[id(stmt)] = Place(self.order, self._block)
            else:
                self._statement(stmt)

    def read_target(self, target: cst.BaseAssignTargetExpression, iterable: cst.BaseExpression) -> None:
        """Reads what the `for` of a comprehension binds."""
        self._targets(target, None, "other", iterable, (EACH,))

    def _bind(
        self,
        name: str,
        kind: str,
        value: cst.BaseExpression | None = None,
        annotation: cst.BaseExpression | None = None,
        target: str | None = None,
        whole: cst.BaseExpression | None = None,
        steps: tuple[int, ...] = (),
    ) -> None:
        told = Binding(
            name,
            kind,
            self.order,
            _const(value),
            _const(annotation),
            _plain_name(value) if target is None else target,
            self._block,
            self._test,
            whole=_const(whole),
            steps=steps if whole is not None else (),
        )
        (self.members if "." in name else self.out).append(told)

    def _targets(
        self,
        target: cst.CSTNode,
        value: cst.BaseExpression | None,
        kind: str,
        whole: cst.BaseExpression | None = None,
        steps: tuple[int, ...] = (),
    ) -> None:
        match target:
            case cst.Name(name):
                self._bind(name, kind, value, whole=whole, steps=steps)
            case cst.Attribute(value=cst.Name(owner), attr=cst.Name(attribute)):
                self._bind(f"{owner}.{attribute}", kind, value, whole=whole, steps=steps)
            case cst.Tuple(elements=elements) | cst.List(elements=elements):
                starred = any(isinstance(e, cst.StarredElement) for e in elements)
                parts: list[cst.BaseExpression | None] = [None] * len(elements)
                if isinstance(value, (cst.Tuple, cst.List)) and len(value.elements) == len(elements):
                    if not any(isinstance(e, cst.StarredElement) for e in (*elements, *value.elements)):
                        parts = [e.value for e in value.elements]
                whole = None if starred else value if value is not None else whole
                for number, (item, part) in enumerate(zip(elements, parts, strict=True)):
                    if part is not None:
                        self._targets(item.value, part, kind)
                    else:
                        self._targets(item.value, None, "other", whole, (*steps, number))
            case _:
                pass

    def _statement(self, stmt: cst.CSTNode) -> None:
        from uncuda.index import cst_import_bindings

        self.order += 1
        self.places[id(stmt)] = Place(self.order, self._block)
        kind = stmt.__class__
        if kind in _BIND_NOTHING:
            return
        if kind in _ONLY_HOLD_SUITES:
            self._parts(stmt)
            return
        match stmt:
            case cst.Assign():
                for target in stmt.targets:
                    module = _module_of(stmt.value, target.target)
                    if module is not None and isinstance(target.target, cst.Name):
                        self._bind(target.target.value, "import", target=module)
                    else:
                        self._targets(target.target, stmt.value, "assign")
            case cst.AnnAssign(target=cst.Name(name)):
                told = stmt.annotation.annotation
                self._bind(name, "assign" if stmt.value else "declare", stmt.value, told)
            case cst.AnnAssign(target=cst.Attribute(value=cst.Name(owner), attr=cst.Name(name))):
                if stmt.value is not None:
                    self._bind(f"{owner}.{name}", "assign", stmt.value, stmt.annotation.annotation)
            case cst.AugAssign() | cst.Del():
                self._targets(stmt.target, None, "other")
            case cst.Import() | cst.ImportFrom():
                for name, imported in cst_import_bindings(stmt):
                    self._bind(name, "import", target=imported)
            case cst.FunctionDef(name=cst.Name(name)):
                self._bind(name, "def")
                return
            case cst.ClassDef(name=cst.Name(name)):
                self._bind(name, "class")
                return
            case cst.For():
                self._targets(stmt.target, None, "other", stmt.iter, (EACH,))
            case cst.With():
                for item in stmt.items:
                    if item.asname is not None:
                        self._targets(item.asname.name, None, "other")
            case cst.Try() | cst.TryStar():
                for handler in stmt.handlers:
                    if handler.name is not None:
                        self._targets(handler.name.name, None, "other")
            case cst.Match():
                for case in stmt.cases:
                    for name in _captured(case.pattern):
                        self._bind(name, "other")
            case _:
                if kind not in COMPOUND_STATEMENTS:
                    return
        self._parts(stmt)

    def _parts(self, stmt: cst.CSTNode) -> None:
        block, test, order = self._block, self._test, self.order
        kind = stmt.__class__
        choice, loop = kind in _CHOICES, kind in _LOOPS
        for number, suite in enumerate(_suites(stmt), FIRST_CASE if kind is cst.Match else 0):
            body = suite.body
            ends = choice and bool(body) and _ends(body[-1])
            self._block = (*block, Part(order, number, loop and number == 0, choice, ends))
            if isinstance(stmt, cst.If):
                self._test = Test(ready(stmt.test), number == 0)
            if isinstance(suite, cst.SimpleStatementSuite):
                for small in body:
                    self._statement(small)
            else:
                self.read(body)
        self._block, self._test = block, test


def _ends(stmt: cst.CSTNode) -> bool:
    last = stmt.body[-1] if isinstance(stmt, cst.SimpleStatementLine) else stmt
    return isinstance(last, (cst.Return, cst.Raise))


def _captured(pattern: cst.CSTNode) -> Iterator[str]:
    """The names that a pattern of `match` binds."""
    for node in walk(pattern):
        match node:
            case cst.MatchAs(name=cst.Name(name)) | cst.MatchStar(name=cst.Name(name)):
                yield name
            case cst.MatchMapping(rest=cst.Name(name)):
                yield name
            case _:
                pass


def _suites(stmt: cst.CSTNode) -> Iterator[cst.BaseSuite]:
    """The suites of a compound statement, in the order body, else, finally, handlers or cases."""
    if stmt.__class__ not in COMPOUND_STATEMENTS:
        return
    body = getattr(stmt, "body", None)
    if body.__class__ in SUITES:
        yield body  # type: ignore[misc]
    orelse = getattr(stmt, "orelse", None)
    if orelse is not None:
        yield cst.IndentedBlock([orelse]) if orelse.__class__ is cst.If else orelse.body
    final = getattr(stmt, "finalbody", None)
    if final is not None:
        yield final.body
    for part in (*getattr(stmt, "handlers", ()), *getattr(stmt, "cases", ())):
        yield part.body


def statements(body: Iterable[cst.CSTNode]) -> Iterator[cst.CSTNode]:
    """All statements of a suite and of those below it, each before what is in it; a line of several gives each."""
    for stmt in body:
        if stmt.__class__ is cst.SimpleStatementLine:
            yield from stmt.body
            continue
        yield stmt
        for suite in _suites(stmt):
            yield from statements(suite.body)


# -- scopes ------------------------------------------------------------------------------------------------

_COMPREHENSIONS: frozenset[type[cst.CSTNode]] = frozenset(
    {cst.ListComp, cst.SetComp, cst.GeneratorExp, cst.DictComp}
)
SCOPED: frozenset[type[cst.CSTNode]] = frozenset(
    {cst.FunctionDef, cst.Lambda, cst.ClassDef, *_COMPREHENSIONS}
)


@dataclass
class Scope:
    """A function, lambda, comprehension, class or module scope, with the bindings made in it."""

    kind: Literal["module", "class", "function"]
    node: cst.CSTNode | None
    parent: Scope | None
    names: dict[str, list[Binding]] | None = None
    places: dict[int, Place] = field(default_factory=dict)
    members: dict[str, list[Binding]] = field(default_factory=dict)
    """Attributes of plain names that are assigned here (`args.cuda`), by their dotted names."""
    globals: frozenset[str] = frozenset()
    """Names that a `global` statement hands to the module. All of these are filled by `bindings`."""
    rebinds: bool = True
    """May there be what `may_rebind` asks for in its code?"""

    def bindings(self) -> dict[str, list[Binding]]:
        """Names bound in this scope, each with its bindings in order."""
        if self.names is None:
            self.names = by_name(self._read())
        return self.names

    @property
    def immediate(self) -> bool:
        """Does its code run where it stands, as that of a comprehension or a class does?"""
        return self.kind == "class" or self.node.__class__ in _COMPREHENSIONS

    def _read(self) -> Iterator[Binding]:
        node = self.node
        if isinstance(node, (cst.FunctionDef, cst.Lambda)):
            yield from _parameters(node.params)
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            reader = SuiteReader()
            reader.read(node.body.body)
            self.places = reader.places
            self.members = by_name(reader.members)
            outside: set[str] = set()
            for item in walk_scope(node.body) if self.rebinds else ():
                kind = item.__class__
                if kind in _INNER_BINDERS:
                    match item:
                        case cst.Global(names=names):
                            self.globals |= {n.name.value for n in names}
                        case cst.Nonlocal(names=names):
                            outside |= {n.name.value for n in names}
                        case cst.NamedExpr(target=cst.Name(name), value=value):
                            yield Binding(name, "assign", value=_const(value), block=ANYWHERE)
                        case cst.FunctionDef():
                            yield from _rebound_inside(item.body, cst.Nonlocal)
                        case _:
                            pass
            outside |= self.globals
            yield from (b for b in reader.out if b.name not in outside)
        elif isinstance(node, cst.BaseComp):
            comp: cst.CompFor | None = node.for_in
            while comp is not None:
                reader = SuiteReader()
                reader.read_target(comp.target, comp.iter)
                yield from reader.out
                comp = comp.inner_for_in


def may_rebind(text: str) -> bool:
    """May there be something in a text of code that binds names inside expressions, or says whose they are?"""
    return ":=" in text or "global" in text or "nonlocal" in text


# What it is then, and what it may be in.
_INNER_BINDERS = frozenset({cst.Global, cst.Nonlocal, cst.NamedExpr, cst.FunctionDef})


def _rebound_inside(node: cst.CSTNode, kind: type[cst.Global] | type[cst.Nonlocal]) -> Iterator[Binding]:
    """Names that functions in `node` may bind in a scope around them."""
    for item in walk(node):
        if isinstance(item, kind):
            for name in item.names:
                yield Binding(name.name.value, "other", block=ANYWHERE)


def module_bindings(tree: cst.Module) -> SuiteReader:
    """The bindings of a module's scope."""
    reader = SuiteReader()
    reader.read(tree.body)
    for node in walk_scope(tree):
        match node:
            case cst.NamedExpr(target=cst.Name(name), value=value):
                reader.out.append(Binding(name, "assign", value=_const(value), block=ANYWHERE))
            case _:
                pass
    reader.out.extend(_rebound_inside(tree, cst.Global))
    return reader


def _parameters(params: cst.Parameters) -> Iterator[Binding]:
    for extra in (params.star_arg, params.star_kwarg):
        if isinstance(extra, cst.Param):
            yield Binding(extra.name.value, "other")
    for param in (*params.posonly_params, *params.params, *params.kwonly_params):
        told = param.annotation.annotation if param.annotation is not None else None
        yield Binding(param.name.value, "param", 0, _const(param.default), _const(told))


# -- reaching a place --------------------------------------------------------------------------------------


def reaching(
    scope: Scope, name: str, place_in: Callable[[Scope], Place | None]
) -> tuple[Scope, list[Binding]] | None:
    """The scope that owns `name` as seen from `scope`, and its bindings that can reach the place.

    `place_in` tells which statement of a scope the place is in. Within the owner's own statements a binding that
    is always passed hides those before it; from a function inside it every binding counts.
    """
    here: Scope | None = scope
    crossed = inner = False
    while here is not None:
        found = here.bindings().get(name)
        if found and not (here.kind == "class" and crossed):
            place = None if inner else place_in(here)
            return here, found if place is None else visible(found, place)
        if name in here.globals:
            while here.parent is not None:
                here = here.parent
            found = here.bindings().get(name)
            return (here, found) if found else None
        inner = inner or not here.immediate
        crossed = True
        here = here.parent
    return None


def _holds(outer: Block, inner: Block) -> bool:
    return inner[: len(outer)] == outer


def _parted(one: Block, other: Block) -> bool:
    """Can control not get from the first to the second but by a loop: are they in two branches of a choice, or does
    the first's branch end the function?"""
    for depth, part in enumerate(one):
        if depth < len(other) and part == other[depth]:
            continue
        if part.choice and depth < len(other) and part.order == other[depth].order:
            return True
        return any(p.ends for p in one[depth:])
    return False


def visible(found: list[Binding], place: Place) -> list[Binding]:
    """Those of a scope's bindings of one name that can reach a place in it (all, when none seems to)."""
    return arriving(found, place) or found


def arriving(found: list[Binding], place: Place) -> list[Binding]:
    """Those of a scope's bindings of one name that can reach a place in it."""
    order, block = place
    kept: list[Binding] = []
    passed: list[Block] = []
    around: list[Binding] = []
    for binding in found:
        if binding.block == ANYWHERE:
            kept.append(binding)
        elif (
            binding.order > order
            or (binding.order == order and binding.kind != "def")
            or _parted(binding.block, block)
        ):
            around.append(binding)
        else:
            if binding.kind != "declare" and binding.order < order and _holds(binding.block, block):
                kept = [b for b in kept if b.block == ANYWHERE]
                passed.append(binding.block)
            kept.append(binding)
    for binding in around:
        for depth in range(1, len(block) + 1):
            loop = block[:depth]
            if loop[-1].loop and _holds(loop, binding.block) and not any(_holds(loop, b) for b in passed):
                kept.append(binding)
                break
    return kept


def surely_bound(found: Iterable[Binding], place: Place) -> bool:
    """Is one of a scope's bindings of one name passed on every way to a place in it?"""
    before = [b for b in found if b.block != ANYWHERE and b.order < place.order and b.kind != "declare"]
    return any(
        _bound_in(place.block[:depth], before, place.block) for depth in range(len(place.block), -1, -1)
    )


def _bound_in(block: Block, found: list[Binding], to: Block) -> bool:
    """Is a name bound wherever the suite `block` has run through, up to the suite `to`?"""
    inside = [b for b in found if _holds(block, b.block)]
    if any(b.block == block for b in inside):
        return True
    depth = len(block)
    branches: dict[int, set[Part]] = {}
    for binding in inside:
        part = binding.block[depth]
        if part.choice and part not in to:
            branches.setdefault(part.order, set()).add(part)
    # `if` has two suites, of which the second may be missing; the cases of `match` may not be all.
    return any(
        {p.number for p in parts} == {0, 1} and all(_bound_in((*block, p), inside, to) for p in parts)
        for parts in branches.values()
    )


def names_read(node: cst.CSTNode) -> Iterator[str]:
    """Every plain name that occurs in `node` (attribute names and keywords are none)."""
    stack = [node]
    while stack:
        item = stack.pop()
        if item.__class__ is cst.Name:
            yield item.value
        stack.extend(children(item))
