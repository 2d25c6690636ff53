"""The bindings of a scope read from `ast`, the same as from a concrete tree, with expressions parsed when asked for."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

import libcst as cst

from uncuda.bindings import (
    ANYWHERE,
    EACH,
    FIRST_CASE,
    IMPORTERS,
    LATE_TORCH,
    Binding,
    Block,
    Expression,
    Part,
    Test,
    by_name,
)
from uncuda.source import Lines

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_CHOICES = (ast.If, ast.Match)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_BIND_NOTHING = frozenset(
    {ast.Expr, ast.Return, ast.Pass, ast.Raise, ast.Assert, ast.Break, ast.Continue, ast.Global, ast.Nonlocal}
)
_SIMPLE = frozenset(
    {
        *_BIND_NOTHING, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Import, ast.ImportFrom,
        *([ast.TypeAlias] if hasattr(ast, "TypeAlias") else []),
    }
)  # fmt: skip
_TRIES = (ast.Try, getattr(ast, "TryStar", ast.Try))
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class AstText:
    """The text that an `ast` tree was made from, to find its nodes in."""

    def __init__(self, text: str, lines: Lines) -> None:
        self.text = text
        self.lines = lines

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """The characters of a node."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self.lines.from_utf8(node.lineno, node.col_offset),
            self.lines.from_utf8(node.end_lineno, node.end_col_offset),
        )

    def expression(self, node: ast.expr | None) -> Expression | None:
        """The concrete tree of an expression, made when it is asked for."""
        return None if node is None else _Later(self, node)


class _Later:
    """An expression that is parsed when it is first asked for."""

    __slots__ = ("made", "node", "source")

    def __init__(self, source: AstText, node: ast.expr) -> None:
        self.source = source
        self.node = node
        self.made: cst.BaseExpression | None = None

    def __call__(self) -> cst.BaseExpression:
        if self.made is None:
            start, end = self.source.span(self.node)
            self.made = cst.parse_expression(f"({self.source.text[start:end]}\n)")
        return self.made


class AstSuiteReader:
    """Collects the bindings of one scope, as SuiteReader does."""

    def __init__(self, source: AstText) -> None:
        self.source = source
        self.order = 0
        self.out: list[Binding] = []
        self.members: list[Binding] = []
        self._block: Block = ()
        self._test: Test | None = None

    def read(self, body: Sequence[ast.stmt]) -> None:
        """Reads the statements of a suite."""
        for stmt in body:
            self._statement(stmt)

    def _bind(
        self,
        name: str,
        kind: str,
        value: ast.expr | None = None,
        annotation: ast.expr | None = None,
        target: str | None = None,
        whole: ast.expr | None = None,
        steps: tuple[int, ...] = (),
    ) -> None:
        told = Binding(
            name,
            kind,
            self.order,
            self.source.expression(value),
            self.source.expression(annotation),
            (ast_dotted(value) or "") if target is None else target,
            self._block,
            self._test,
            whole=self.source.expression(whole),
            steps=steps if whole is not None else (),
        )
        (self.members if "." in name else self.out).append(told)

    def _targets(
        self,
        target: ast.expr,
        value: ast.expr | None,
        kind: str,
        whole: ast.expr | None = None,
        steps: tuple[int, ...] = (),
    ) -> None:
        match target:
            case ast.Name(id=name):
                self._bind(name, kind, value, whole=whole, steps=steps)
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                self._bind(f"{owner}.{attribute}", kind, value, whole=whole, steps=steps)
            case ast.Starred():
                self._targets(target.value, None, "other")
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                starred = any(isinstance(e, ast.Starred) for e in elements)
                parts: list[ast.expr | None] = [None] * len(elements)
                if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(elements):
                    if not any(isinstance(e, ast.Starred) for e in (*elements, *value.elts)):
                        parts = [*value.elts]
                whole = None if starred else value if value is not None else whole
                for number, (item, part) in enumerate(zip(elements, parts, strict=True)):
                    if part is not None:
                        self._targets(item, part, kind)
                    else:
                        self._targets(item, None, "other", whole, (*steps, number))
            case _:
                pass

    def _statement(self, stmt: ast.stmt) -> None:
        self.order += 1
        if stmt.__class__ in _BIND_NOTHING:
            return
        match stmt:
            case ast.Assign():
                for target in stmt.targets:
                    module = _module_of(stmt.value, target)
                    if module is not None and isinstance(target, ast.Name):
                        self._bind(target.id, "import", target=module)
                    else:
                        self._targets(target, stmt.value, "assign")
            case ast.AnnAssign(target=ast.Name(id=name)):
                self._bind(name, "assign" if stmt.value else "declare", stmt.value, stmt.annotation)
            case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id=owner), attr=name)):
                if stmt.value is not None:
                    self._bind(f"{owner}.{name}", "assign", stmt.value, stmt.annotation)
            case ast.AugAssign():
                self._targets(stmt.target, None, "other")
            case ast.Delete():
                for target in stmt.targets:
                    self._targets(target, None, "other")
            case ast.Import() | ast.ImportFrom():
                for name, imported in import_bindings(stmt):
                    self._bind(name, "import", target=imported)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._bind(stmt.name, "def")
                return
            case ast.ClassDef():
                self._bind(stmt.name, "class")
                return
            case ast.For() | ast.AsyncFor():
                self._targets(stmt.target, None, "other", stmt.iter, (EACH,))
            case ast.With() | ast.AsyncWith():
                for item in stmt.items:
                    if item.optional_vars is not None:
                        self._targets(item.optional_vars, None, "other")
            case _ if isinstance(stmt, _TRIES):
                for handler in stmt.handlers:
                    if handler.name is not None:
                        self._bind(handler.name, "other")
            case ast.Match():
                for case in stmt.cases:
                    for name in _captured(case.pattern):
                        self._bind(name, "other")
            case _:
                pass
        if stmt.__class__ not in _SIMPLE:
            self._parts(stmt)

    def _parts(self, stmt: ast.stmt) -> None:
        block, test, order = self._block, self._test, self.order
        choice, loop = isinstance(stmt, _CHOICES), isinstance(stmt, _LOOPS)
        for number, suite in enumerate(nested_suites(stmt), FIRST_CASE if isinstance(stmt, ast.Match) else 0):
            ends = choice and isinstance(suite[-1], (ast.Return, ast.Raise))
            self._block = (*block, Part(order, number, loop and number == 0, choice, ends))
            if isinstance(stmt, ast.If):
                condition = self.source.expression(stmt.test)
                assert condition is not None
                self._test = Test(condition, number == 0)
            self.read(suite)
        self._block, self._test = block, test


def _module_of(value: ast.expr, target: ast.expr) -> str | None:
    """The module that `importlib.import_module("torch")` or `pytest.importorskip("torch")` gives, or `_torch()` to
    `torch`."""
    match value:
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if LATE_TORCH.fullmatch(name):
            return "torch" if isinstance(target, ast.Name) and target.id == "torch" else None
        case ast.Call(
            func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(value=str(told)), *_]
        ) if name in IMPORTERS and not told.startswith("."):
            return told
        case _:
            return None


def module_reader(source: AstText, tree: ast.Module) -> tuple[AstSuiteReader, list[int]]:
    """The bindings of a module's scope; and for each statement, the order of the one before it."""
    reader = AstSuiteReader(source)
    orders: list[int] = []
    for stmt in tree.body:
        orders.append(reader.order)
        reader.read([stmt])
    text = source.text
    walrus = [found.start() for found in re.finditer(":=", text)] if ":=" in text else []
    reader.out.extend(_walrus(source, list(_around(source, tree, walrus))))
    for stmt in _around(source, tree, _globals(text)):
        names = [n for node in ast.walk(stmt) if isinstance(node, ast.Global) for n in node.names]
        reader.out.extend(Binding(name, "other", block=ANYWHERE) for name in names)
    return reader, orders


def _globals(text: str) -> list[int]:
    """Where `global` begins a statement, or may."""
    found: list[int] = []
    at = text.find("global")
    while at >= 0:
        end = at + len("global")
        if text[end : end + 1] in (" ", "\t", "\\"):
            before = text[text.rfind("\n", 0, at) + 1 : at].rpartition("\r")[2].strip()
            if not before or before[-1] in ";:":
                found.append(at)
        at = text.find("global", end)
    return found


def _around(source: AstText, tree: ast.Module, places: list[int]) -> Iterator[ast.stmt]:
    """The top-level statements that hold one of these offsets."""
    if not places:
        return
    rows = [source.lines.position(at)[0] for at in places]
    for stmt in tree.body:
        assert stmt.end_lineno is not None
        if bisect_left(rows, stmt.lineno) < bisect_right(rows, stmt.end_lineno):
            yield stmt


def method_names(source: AstText, node: FunctionNode, reader: AstSuiteReader) -> dict[str, list[Binding]]:
    """What a function binds, parameters included; `reader` has read its body."""
    found = list(_parameters(source, node.args))
    found.extend(_walrus(source, node.body))
    outside: set[str] = set()
    for item in scope_nodes(node.body):
        if isinstance(item, (ast.Global, ast.Nonlocal)):
            outside.update(item.names)
        elif isinstance(item, FunctionNode):
            for inner in ast.walk(item):
                if isinstance(inner, ast.Nonlocal):
                    found.extend(Binding(name, "other", block=ANYWHERE) for name in inner.names)
    found.extend(b for b in reader.out if b.name not in outside)
    return by_name(found)


def _parameters(source: AstText, args: ast.arguments) -> Iterator[Binding]:
    for extra in (args.vararg, args.kwarg):
        if extra is not None:
            yield Binding(extra.arg, "other")
    plain = (*args.posonlyargs, *args.args)
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults))
    pairs = [*zip(plain, (*defaults, *args.defaults), strict=True)]
    pairs += zip(args.kwonlyargs, args.kw_defaults, strict=True)
    for arg, default in pairs:
        yield Binding(arg.arg, "param", 0, source.expression(default), source.expression(arg.annotation))


def _walrus(source: AstText, body: Sequence[ast.stmt]) -> Iterator[Binding]:
    for node in scope_nodes(body):
        if isinstance(node, ast.NamedExpr) and isinstance(node.target, ast.Name):
            yield Binding(node.target.id, "assign", value=source.expression(node.value), block=ANYWHERE)


def scope_nodes(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Every node that runs in the scope of some statements: doesn't enter functions, classes, lambdas."""
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, _OWN_SCOPE):
            stack.extend(node.decorator_list)
        elif not isinstance(node, ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def inner_functions(node: FunctionNode) -> Iterator[FunctionNode]:
    """The functions defined in a function, at any depth."""
    stack: list[ast.stmt] = list(node.body)
    while stack:
        stmt = stack.pop()
        if isinstance(stmt, FunctionNode):
            yield stmt
        for suite in nested_suites(stmt):
            stack.extend(suite)


def _captured(pattern: ast.pattern) -> Iterator[str]:
    for node in ast.walk(pattern):
        match node:
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
            case _:
                pass


def nested_suites(stmt: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The suites of a compound statement, in the order body, else, finally, handlers or cases."""
    if stmt.__class__ in _SIMPLE:
        return
    for name in ("body", "orelse", "finalbody"):
        suite = getattr(stmt, name, None)
        if suite:
            yield suite
    for name in ("handlers", "cases"):
        for part in getattr(stmt, name, ()):
            yield part.body


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements of a suite and of those below it, each before what is in it."""
    for stmt in body:
        yield stmt
        if stmt.__class__ not in _SIMPLE:
            for suite in nested_suites(stmt):
                yield from statements(suite)


def import_bindings(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """(bound name, dotted name it stands for) of an import statement; `*` binds nothing."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield alias.asname, alias.name
            else:
                top = alias.name.split(".")[0]
                yield top, top
    else:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name != "*":
                bound = alias.asname or alias.name
                yield bound, imported_name(module, alias.name, bound)


def imported_name(module: str, name: str, bound: str) -> str:
    """What `from module import name as bound` stands for. A module beside this one that has `torch` hands torch on."""
    if name == bound == "torch" and module.startswith(".") and module.strip("."):
        return "torch"
    return f"{module}{'' if module.endswith('.') or not module else '.'}{name}"


def ast_dotted(node: ast.AST | None) -> str | None:
    """`a.b.c` as text, or None for anything but names and attributes."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])
