"""What a file says outside the island at hand: its imports, module variables, functions and classes.

Made from `ast` (a sixteenth of libcst's cost) where the interpreter can read the file, else from the whole
concrete tree; both give the same facts, and the values of assignments are parsed only when asked for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from textwrap import dedent
from typing import TYPE_CHECKING

import libcst as cst

from uncuda.ast_bindings import (
    AstSuiteReader,
    AstText,
    FunctionNode,
    ast_dotted,
    import_bindings,
    imported_name,
    inner_functions,
    method_names,
    module_reader,
)
from uncuda.bindings import (
    ANYWHERE,
    Binding,
    Expression,
    Scope,
    SuiteReader,
    Test,
    by_name,
    dotted,
    module_bindings,
    ready,
)
from uncuda.source import Lines
from uncuda.walk import walk

if TYPE_CHECKING:
    from uncuda.neighbours import Neighbours

_CHANGING = "append|extend|insert|add|update|setdefault|appendleft|__setitem__"
_LONG = 8000
"""A function of more characters isn't parsed to know what it returns."""
_LEAVING = frozenset({"exit", "quit", "_exit", "skip", "skipTest"})
Names = dict[str, list[Binding]]


@dataclass(frozen=True)
class ClassFacts:
    """A class: its bases as dotted text, its own methods, what its attributes are bound to."""

    name: str
    bases: tuple[str, ...]
    methods: frozenset[str]
    attributes: Callable[[], Names] = field(compare=False)
    """`self.x = …` in any method, and `x = …` in the class body."""
    body: Callable[[], Names] = field(compare=False)
    """What the class body binds."""
    decorators: tuple[str, ...] = ()
    """Their names as dotted text, without arguments."""
    marks: tuple[Expression, ...] = field(default=(), compare=False)
    """The decorators as expressions."""
    method: Callable[[str], cst.FunctionDef | None] = field(default=lambda name: None, compare=False)
    """A plain method, or one of the class, by its name; None where there is none, or it is decorated otherwise."""


@dataclass(frozen=True)
class ImportSite:
    """A top-level import statement: characters `start:end`, without the line break."""

    start: int
    end: int
    names: tuple[tuple[str, str], ...]
    """(bound name, what it stands for)"""
    future: bool


@dataclass
class FileIndex:
    """The facts of one file. `bindings` are those of the module scope, in order."""

    text: str
    bindings: Names
    members: Names
    """Attributes of plain names that the module assigns (`args.cuda`), by their dotted names."""
    classes: dict[str, ClassFacts]
    functions: dict[str, tuple[int, int]]
    """Top-level functions: characters from `def` to the end."""
    imports: list[ImportSite]
    body_start: int
    """Where code may begin: after the docstring and `from __future__` imports (a line start)."""
    star_import: bool
    main_guard: bool
    """Is there an `if __name__ == "__main__":`?"""
    orders: list[int]
    """For each top-level statement, the order of the statement before it."""
    decorated: set[str] = field(default_factory=set)
    """Top-level functions with decorators."""
    exits: list[tuple[int, Test]] = field(default_factory=list)
    """Conditions that hold, or don't, after the top-level statement of that order: `if not x: exit()`, `assert x`."""
    neighbours: Neighbours | None = field(default=None, repr=False, compare=False)
    """The project's other modules; None where nothing but the file counts."""
    given: dict[str, tuple[bool, bool] | None] = field(default_factory=dict, repr=False, compare=False)
    """What `plain_choice` has found out about its names."""
    _found: dict[re.Pattern[str], bool] = field(default_factory=dict, repr=False, compare=False)

    def has(self, pattern: re.Pattern[str], *words: str) -> bool:
        """Is `pattern` found in the text? Looked for once. `words`: whatever it finds has one of them in it, for which a
        text is searched a hundred times as fast as for a pattern that begins with a border."""
        if pattern not in self._found:
            likely = not words or any(word in self.text for word in words)
            self._found[pattern] = likely and pattern.search(self.text) is not None
        return self._found[pattern]

    def changes(self, name: str) -> bool:
        """Is something put into the list or mapping `name` ("x", "self.x") anywhere in the file?"""
        if name not in self._changes:
            spelled = re.escape(name)
            self._changes[name] = not name or bool(
                re.search(
                    rf"(?<![\w.]){spelled}(?:\.(?:{_CHANGING})\(|\[[^\n]*?\]\s*[-+*/|&]?=(?!=))", self.text
                )
            )
        return self._changes[name]

    @cached_property
    def _changes(self) -> dict[str, bool]:
        return {}

    @cached_property
    def moves_itself(self) -> bool:
        """Has a class of the file that derives from another a `cuda` or `to` of its own?"""
        return any(facts.bases and {"cuda", "to"} & facts.methods for facts in self.classes.values())

    def function(self, name: str) -> cst.FunctionDef | None:
        """A plain function of the module, with a tree of its own; None where it is decorated, or long."""
        if name not in self._functions:
            start, end = self.functions.get(name, (0, 0))
            found: cst.FunctionDef | None = None
            if name not in self.decorated and 0 < end - start < _LONG:
                try:
                    statement = cst.parse_statement(self.text[start:end] + "\n")
                except cst.ParserSyntaxError:
                    statement = None
                if isinstance(statement, cst.FunctionDef) and statement.asynchronous is None:
                    found = statement
            self._functions[name] = found
        return self._functions[name]

    @cached_property
    def _functions(self) -> dict[str, cst.FunctionDef | None]:
        return {}

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Module-level names that stand for something imported: bound name to dotted name."""
        return {
            name: found[-1].target
            for name, found in self.bindings.items()
            if found[-1].kind == "import" and found[-1].target
        }


class _AstIndexer:
    """Gathers the facts of a file from its `ast`."""

    def __init__(self, text: str, tree: ast.Module, lines: Lines) -> None:
        self.source = AstText(text, lines)
        self.lines = lines
        self.tree = tree

    def index(self) -> FileIndex:
        reader, orders = module_reader(self.source, self.tree)
        span = self.source.span
        found = FileIndex(
            self.source.text,
            by_name(reader.out),
            by_name(reader.members),
            {},
            {},
            [],
            0,
            False,
            False,
            orders,
        )
        for number, stmt in enumerate(self.tree.body):
            match stmt:
                case ast.ClassDef():
                    found.classes[stmt.name] = self._class(stmt)
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    found.functions[stmt.name] = span(stmt)
                    if not all(map(_changes_nothing, map(ast_dotted, map(_ast_called, stmt.decorator_list)))):
                        found.decorated.add(stmt.name)
                case ast.Import() | ast.ImportFrom():
                    future = isinstance(stmt, ast.ImportFrom) and stmt.module == "__future__"
                    found.star_import = found.star_import or any(a.name == "*" for a in stmt.names)
                    found.imports.append(ImportSite(*span(stmt), tuple(import_bindings(stmt)), future))
                    if future:
                        found.body_start = self.lines.after(found.imports[-1].end)
                case ast.Expr(value=ast.Constant(value=str())) if number == 0:
                    found.body_start = self.lines.after(span(stmt)[1])
                case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                    found.main_guard = True
                case ast.If() | ast.Assert():
                    found.exits.extend((orders[number] + 1, test) for test in self._exits(stmt))
                case _:
                    pass
        return found

    def _exits(self, stmt: ast.If | ast.Assert) -> Iterator[Test]:
        test = self.source.expression(stmt.test)
        assert test is not None
        if isinstance(stmt, ast.Assert):
            yield Test(test, True)
        elif _ast_leaves(stmt.body):
            yield Test(test, False)
        elif stmt.orelse and _ast_leaves(stmt.orelse):
            yield Test(test, True)

    def _class(self, node: ast.ClassDef) -> ClassFacts:
        marks = [self.source.expression(d) for d in node.decorator_list]
        return ClassFacts(
            node.name,
            tuple(filter(None, (ast_dotted(_ast_unsubscripted(b)) for b in node.bases))),
            frozenset(m.name for m in node.body if isinstance(m, FunctionNode)),
            cache(lambda: self._attributes(node)),
            cache(lambda: self._body(node)),
            tuple(filter(None, (ast_dotted(_ast_called(d)) for d in node.decorator_list))),
            tuple(mark for mark in marks if mark is not None),
            cache(lambda name: self._method(node, name)),
        )

    def _method(self, node: ast.ClassDef, name: str) -> cst.FunctionDef | None:
        found = [m for m in node.body if isinstance(m, FunctionNode) and m.name == name]
        if len(found) != 1 or isinstance(found[0], ast.AsyncFunctionDef):
            return None
        start, end = self.source.span(found[0])
        if end - start > _LONG or not all(
            map(_keeps, map(ast_dotted, map(_ast_called, found[0].decorator_list)))
        ):
            return None
        text = self.source.text
        line = text.rfind("\n", 0, start) + 1
        try:
            statement = cst.parse_statement(dedent(" " * (start - line) + text[start:end]) + "\n")
        except cst.ParserSyntaxError:
            return None
        return statement if isinstance(statement, cst.FunctionDef) else None

    def _body(self, node: ast.ClassDef) -> Names:
        reader = AstSuiteReader(self.source)
        reader.read(node.body)
        return by_name(reader.out)

    def _attributes(self, node: ast.ClassDef) -> Names:
        found = {name: list(bound) for name, bound in self._body(node).items()}
        for method in node.body:
            if isinstance(method, FunctionNode) and (method.args.posonlyargs or method.args.args):
                me = (*method.args.posonlyargs, *method.args.args)[0].arg
                reader = AstSuiteReader(self.source)
                reader.read(method.body)
                inner: list[Binding] = []
                for item in inner_functions(method):
                    nested = AstSuiteReader(self.source)
                    nested.read(item.body)
                    inner.extend(nested.members)
                names = cache(lambda method=method, reader=reader: method_names(self.source, method, reader))
                _add_attributes(found, me, method.name, reader.members, inner, names)
        return found


def _add_attributes(
    found: Names,
    me: str,
    method: str,
    members: Iterable[Binding],
    inner: Iterable[Binding],
    names: Callable[[], Names],
) -> None:
    """Adds what a method binds of the object `me`; `inner` are those of functions inside it."""
    for binding in members:
        owner, _, attribute = binding.name.partition(".")
        if owner == me:
            told = replace(binding, name=attribute, where=method, names=names)
            found.setdefault(attribute, []).append(told)
    for binding in inner:
        owner, _, attribute = binding.name.partition(".")
        if owner == me:
            found.setdefault(attribute, []).append(Binding(attribute, "other", block=ANYWHERE, where=method))


def _changes_nothing(decorator: str | None) -> bool:
    """Does a function with this decorator still return what it says?"""
    return (decorator or "").rpartition(".")[2] in ("no_grad", "inference_mode", "enable_grad")


def _keeps(decorator: str | None) -> bool:
    """Can a method with this decorator be called on its class or an object, and gives what it says?"""
    return decorator in ("classmethod", "staticmethod") or _changes_nothing(decorator)


def _ast_leaves(body: list[ast.stmt]) -> bool:
    """Does a suite at module level always leave the module?"""
    match body[-1]:
        case ast.Raise():
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))):
            return name in _LEAVING
        case _:
            return False


def _ast_called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _ast_unsubscripted(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def from_ast(text: str, tree: ast.Module, lines: Lines) -> FileIndex:
    """The facts of a file that `ast` could read."""
    return _AstIndexer(text, tree, lines).index()


def from_cst(
    text: str, tree: cst.Module, where: Callable[[cst.CSTNode], tuple[int, int]], lines: Lines
) -> FileIndex:
    """The same facts from a whole concrete tree. `where` gives a node's offsets."""
    reader = module_bindings(tree)
    orders = [
        reader.places[id(s.body[0] if isinstance(s, cst.SimpleStatementLine) else s)].order - 1
        for s in tree.body
    ]
    found = FileIndex(text, by_name(reader.out), by_name(reader.members), {}, {}, [], 0, False, False, orders)
    for number, stmt in enumerate(tree.body):
        match stmt:
            case cst.ClassDef():
                found.classes[stmt.name.value] = class_facts(stmt)
            case cst.FunctionDef():
                found.functions[stmt.name.value] = (where(stmt)[0], where(last_part(stmt))[1])
                if not all(_changes_nothing(dotted(_called(d.decorator))) for d in stmt.decorators):
                    found.decorated.add(stmt.name.value)
            case cst.SimpleStatementLine():
                for small in stmt.body:
                    match small:
                        case cst.Import() | cst.ImportFrom():
                            future = (
                                isinstance(small, cst.ImportFrom)
                                and small.module is not None
                                and dotted(small.module) == "__future__"
                            )
                            found.star_import = found.star_import or isinstance(small.names, cst.ImportStar)
                            names_here = tuple(cst_import_bindings(small))
                            found.imports.append(ImportSite(*where(small), names_here, future))
                            if future:
                                found.body_start = lines.after(found.imports[-1].end)
                        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()) if number == 0:
                            found.body_start = lines.after(where(small)[1])
                        case cst.Assert(test=test):
                            order = reader.places[id(small)].order
                            found.exits.append((order, Test(ready(test), True)))
                        case _:
                            pass
            case cst.If(test=cst.Comparison(left=cst.Name("__name__"))):
                found.main_guard = True
            case cst.If(test=test):
                order = reader.places[id(stmt)].order
                if _cst_leaves(stmt.body):
                    found.exits.append((order, Test(ready(test), False)))
                elif isinstance(stmt.orelse, cst.Else) and _cst_leaves(stmt.orelse.body):
                    found.exits.append((order, Test(ready(test), True)))
            case _:
                pass
    return found


def last_part(stmt: cst.CSTNode) -> cst.CSTNode:
    """The simple statement that a statement ends in: what comes after it is layout."""
    while True:
        match stmt:
            case cst.SimpleStatementLine(body=body) | cst.SimpleStatementSuite(body=body):
                return body[-1]
            case cst.IndentedBlock(body=body):
                stmt = body[-1]
            case cst.Match(cases=cases):
                stmt = cases[-1].body
            case _:
                parts = [getattr(stmt, name, None) for name in ("finalbody", "orelse")]
                parts += [*reversed(getattr(stmt, "handlers", ())), getattr(stmt, "body", None)]
                stmt = next(part for part in parts if part is not None)


def _cst_leaves(body: cst.BaseSuite) -> bool:
    last: cst.CSTNode = body.body[-1]
    if isinstance(last, cst.SimpleStatementLine):
        last = last.body[-1]
    match last:
        case cst.Raise():
            return True
        case cst.Expr(value=cst.Call(func=cst.Name(name) | cst.Attribute(attr=cst.Name(name)))):
            return name in _LEAVING
        case _:
            return False


def cst_import_bindings(node: cst.Import | cst.ImportFrom) -> Iterator[tuple[str, str]]:
    """(bound name, dotted name it stands for) of a concrete import statement."""
    if isinstance(node, cst.Import):
        for alias in node.names:
            full = dotted(alias.name) or ""
            if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
                yield alias.asname.name.value, full
            else:
                top = full.split(".")[0]
                yield top, top
    elif not isinstance(node.names, cst.ImportStar):
        module = "." * len(node.relative) + ((dotted(node.module) or "") if node.module else "")
        for alias in node.names:
            name = bound = dotted(alias.name) or ""
            if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
                bound = alias.asname.name.value
            yield bound, imported_name(module, name, bound)


def class_facts(node: cst.ClassDef) -> ClassFacts:
    """The facts of a class from its concrete tree."""
    bases = tuple(
        filter(
            None, (dotted(_unsubscripted(a.value)) for a in node.bases if a.keyword is None and not a.star)
        )
    )
    body = node.body.body if isinstance(node.body, cst.IndentedBlock) else ()
    methods = [m for m in body if isinstance(m, cst.FunctionDef)]
    return ClassFacts(
        node.name.value,
        bases,
        frozenset(m.name.value for m in methods),
        cache(lambda: _cst_attributes(node, methods)),
        cache(lambda: _cst_body(node)),
        tuple(filter(None, (dotted(_called(d.decorator)) for d in node.decorators))),
        tuple(ready(d.decorator) for d in node.decorators),
        lambda name: _cst_method(methods, name),
    )


def _cst_method(methods: list[cst.FunctionDef], name: str) -> cst.FunctionDef | None:
    found = [m for m in methods if m.name.value == name]
    if len(found) != 1 or found[0].asynchronous is not None:
        return None
    marks = (dotted(_called(d.decorator)) for d in found[0].decorators)
    return found[0] if all(map(_keeps, marks)) else None


def _called(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.func if isinstance(node, cst.Call) else node


def _unsubscripted(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.value if isinstance(node, cst.Subscript) else node


def _cst_body(node: cst.ClassDef) -> Names:
    reader = SuiteReader()
    reader.read(node.body.body)
    return by_name(reader.out)


def _cst_attributes(node: cst.ClassDef, methods: list[cst.FunctionDef]) -> Names:
    found = {name: list(bound) for name, bound in _cst_body(node).items()}
    for method in methods:
        params = (*method.params.posonly_params, *method.params.params)
        if not params:
            continue
        reader = SuiteReader()
        reader.read(method.body.body)
        inner: list[Binding] = []
        for item in walk(method.body):
            if isinstance(item, cst.FunctionDef):
                nested = SuiteReader()
                nested.read(item.body.body)
                inner.extend(nested.members)
        names = Scope("function", method, None).bindings
        _add_attributes(found, params[0].name.value, method.name.value, reader.members, inner, names)
    return found
