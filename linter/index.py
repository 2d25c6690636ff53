"""What a file says outside the island at hand: its imports, module variables, functions and classes.

Made from `ast` (a sixteenth of libcst's cost) where the interpreter can read the file, else from the whole
concrete tree; both give the same facts, and the values of assignments are parsed only when asked for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import libcst as cst

from uncuda.bindings import Binding, bindings_in_suite, dotted
from uncuda.source import Lines

_USE = re.compile(r"(?<![\w.])(\w+)\.(\w+)(\(?)")
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class ClassFacts:
    """A top-level class: its bases as dotted text, its own methods, what its attributes are bound to."""

    name: str
    bases: tuple[str, ...]
    methods: frozenset[str]
    attributes: Callable[[], dict[str, list[Binding]]] = field(compare=False)
    """`self.x = …` in any method, and `x = …` in the class body."""
    decorators: tuple[str, ...] = ()
    """Their names as dotted text, without arguments."""


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
    bindings: dict[str, list[Binding]]
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

    @cached_property
    def uses(self) -> dict[str, set[tuple[str, bool]]]:
        """The attributes that the file reads of each plain name, wherever it does, and whether they are called."""
        found: dict[str, set[tuple[str, bool]]] = {}
        for name, attribute, called in _USE.findall(self.text):
            found.setdefault(name, set()).add((attribute, bool(called)))
        return found

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Module-level names that stand for something imported: bound name to dotted name."""
        return {
            name: found[-1].target
            for name, found in self.bindings.items()
            if found[-1].kind == "import" and found[-1].target
        }


def _parse_expression(text: str) -> cst.BaseExpression:
    return cst.parse_expression(f"({text}\n)")


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
                dot = "" if module.endswith(".") or not module else "."
                yield alias.asname or alias.name, f"{module}{dot}{alias.name}"


class _AstIndexer:
    def __init__(self, text: str, tree: ast.Module, lines: Lines) -> None:
        self.text = text
        self.tree = tree
        self.lines = lines
        self.order = 0

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self.lines.from_utf8(node.lineno, node.col_offset),
            self.lines.from_utf8(node.end_lineno, node.end_col_offset),
        )

    def value(self, node: ast.expr | None) -> Callable[[], cst.BaseExpression] | None:
        if node is None:
            return None
        start, end = self.span(node)
        text = self.text

        cell: list[cst.BaseExpression] = []

        def parse() -> cst.BaseExpression:
            if not cell:
                cell.append(_parse_expression(text[start:end]))
            return cell[0]

        return parse

    def targets(self, target: ast.expr, value: ast.expr | None, kind: str, out: list[Binding]) -> None:
        if isinstance(target, ast.Name):
            out.append(
                Binding(target.id, kind, self.order, value=self.value(value), target=_plain_name(value))
            )
        elif isinstance(target, (ast.Tuple, ast.List)):
            pairs: Iterable[ast.expr | None]
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
                pairs = value.elts
            else:
                pairs, kind = [None] * len(target.elts), "other"
            for item, part in zip(target.elts, pairs, strict=True):
                self.targets(item, part, kind, out)
        elif isinstance(target, ast.Starred):
            self.targets(target.value, None, "other", out)

    def suite(self, body: list[ast.stmt], out: list[Binding], block: tuple[int, ...]) -> None:
        for stmt in body:
            self.order += 1
            first = len(out)
            match stmt:
                case ast.Assign():
                    for target in stmt.targets:
                        self.targets(target, stmt.value, "assign", out)
                case ast.AnnAssign(target=ast.Name(id=name)):
                    out.append(
                        Binding(
                            name,
                            "assign" if stmt.value else "declare",
                            self.order,
                            value=self.value(stmt.value),
                            annotation=self.value(stmt.annotation),
                            target=_plain_name(stmt.value),
                        )
                    )
                case ast.AugAssign():
                    self.targets(stmt.target, None, "other", out)
                case ast.Import() | ast.ImportFrom():
                    for name, imported in import_bindings(stmt):
                        out.append(Binding(name, "import", self.order, target=imported))
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    out.append(Binding(stmt.name, "def", self.order))
                case ast.ClassDef():
                    out.append(Binding(stmt.name, "class", self.order))
                case ast.For() | ast.AsyncFor():
                    self.targets(stmt.target, None, "other", out)
                case ast.With() | ast.AsyncWith():
                    for item in stmt.items:
                        if item.optional_vars is not None:
                            self.targets(item.optional_vars, None, "other", out)
                case ast.Delete():
                    for target in stmt.targets:
                        self.targets(target, None, "other", out)
                case _:
                    pass
            for i in range(first, len(out)):
                out[i] = out[i].at(block)
            if not isinstance(stmt, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                for part, inner in enumerate(nested_suites(stmt)):
                    self.suite(inner, out, (*block, self.order * 8 + part))

    def class_attributes(self, node: ast.ClassDef) -> dict[str, list[Binding]]:
        found: dict[str, list[Binding]] = {}
        body: list[Binding] = []
        self.suite(node.body, body, ())
        for binding in body:
            found.setdefault(binding.name, []).append(binding)
        for method in node.body:
            if not isinstance(method, FunctionNode) or (not method.args.args and not method.args.posonlyargs):
                continue
            me = (*method.args.posonlyargs, *method.args.args)[0].arg
            for stmt in ast.walk(method):
                targets: list[ast.expr]
                value: ast.expr | None
                if isinstance(stmt, ast.Assign):
                    targets, value = stmt.targets, stmt.value
                elif isinstance(stmt, ast.AnnAssign) and stmt.value is not None:
                    targets, value = [stmt.target], stmt.value
                elif isinstance(stmt, ast.AugAssign):
                    targets, value = [stmt.target], None
                else:
                    continue
                for target in targets:
                    for item in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                        match item:
                            case ast.Attribute(value=ast.Name(id=owner), attr=attr) if owner == me:
                                whole = item is target and value is not None
                                found.setdefault(attr, []).append(
                                    Binding(
                                        attr,
                                        "assign" if whole else "other",
                                        0,
                                        value=self.value(value) if whole else None,
                                        where=method.name,
                                    )
                                )
        return found


def nested_suites(stmt: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The suites of a compound statement, in the order body, else, finally, handlers or cases."""
    for name in ("body", "orelse", "finalbody"):
        suite = getattr(stmt, name, None)
        if isinstance(suite, list) and suite and isinstance(suite[0], ast.stmt):
            yield suite
    for name in ("handlers", "cases"):
        for part in getattr(stmt, name, ()):
            yield part.body


def _ast_dotted(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


def _ast_decorator(node: ast.expr) -> str | None:
    return _ast_dotted(node.func if isinstance(node, ast.Call) else node)


def _unsubscript(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def _plain_name(node: ast.expr | None) -> str:
    return (_ast_dotted(node) or "") if isinstance(node, (ast.Name, ast.Attribute)) else ""


def _by_name(bound: list[Binding]) -> dict[str, list[Binding]]:
    names: dict[str, list[Binding]] = {}
    for binding in bound:
        names.setdefault(binding.name, []).append(binding)
    return names


def from_ast(text: str, tree: ast.Module, lines: Lines) -> FileIndex:
    """The facts of a file that `ast` could read."""
    maker = _AstIndexer(text, tree, lines)
    bound: list[Binding] = []
    orders: list[int] = []
    for stmt in tree.body:
        orders.append(maker.order)
        maker.suite([stmt], bound, ())
    names = _by_name(bound)
    classes: dict[str, ClassFacts] = {}
    functions: dict[str, tuple[int, int]] = {}
    imports: list[ImportSite] = []
    star = main_guard = False
    body_start = 0
    for number, stmt in enumerate(tree.body):
        match stmt:
            case ast.ClassDef():
                cell: list[dict[str, list[Binding]]] = []

                def attributes(
                    node: ast.ClassDef = stmt, cell: list[dict[str, list[Binding]]] = cell
                ) -> dict[str, list[Binding]]:
                    if not cell:
                        cell.append(maker.class_attributes(node))
                    return cell[0]

                classes[stmt.name] = ClassFacts(
                    stmt.name,
                    tuple(filter(None, (_ast_dotted(_unsubscript(b)) for b in stmt.bases))),
                    frozenset(m.name for m in stmt.body if isinstance(m, FunctionNode)),
                    attributes,
                    tuple(filter(None, map(_ast_decorator, stmt.decorator_list))),
                )
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions[stmt.name] = maker.span(stmt)
            case ast.Import() | ast.ImportFrom():
                future = isinstance(stmt, ast.ImportFrom) and stmt.module == "__future__"
                star = star or any(a.name == "*" for a in stmt.names)
                imports.append(ImportSite(*maker.span(stmt), tuple(import_bindings(stmt)), future))
                if future:
                    body_start = lines.after(imports[-1].end)
            case ast.Expr(value=ast.Constant(value=str())) if number == 0:
                body_start = lines.after(maker.span(stmt)[1])
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                main_guard = True
            case _:
                pass
    return FileIndex(text, names, classes, functions, imports, body_start, star, main_guard, orders)


def from_cst(
    text: str, tree: cst.Module, where: Callable[[cst.CSTNode], tuple[int, int]], lines: Lines
) -> FileIndex:
    """The same facts from a whole concrete tree. `where` gives a node's offsets."""
    bound, places = bindings_in_suite(tree.body)
    names = _by_name(bound)
    orders = [
        places[id(s.body[0] if isinstance(s, cst.SimpleStatementLine) else s)][0] - 1 for s in tree.body
    ]
    classes: dict[str, ClassFacts] = {}
    functions: dict[str, tuple[int, int]] = {}
    imports: list[ImportSite] = []
    star = main_guard = False
    body_start = 0
    for number, stmt in enumerate(tree.body):
        match stmt:
            case cst.ClassDef():
                classes[stmt.name.value] = class_facts(stmt)
            case cst.FunctionDef():
                functions[stmt.name.value] = where(stmt)
            case cst.SimpleStatementLine():
                for small in stmt.body:
                    match small:
                        case cst.Import() | cst.ImportFrom():
                            future = (
                                isinstance(small, cst.ImportFrom)
                                and small.module is not None
                                and dotted(small.module) == "__future__"
                            )
                            star = star or isinstance(small.names, cst.ImportStar)
                            names_here = tuple(cst_import_bindings(small))
                            imports.append(ImportSite(*where(small), names_here, future))
                            if future:
                                body_start = lines.after(imports[-1].end)
                        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()) if number == 0:
                            body_start = lines.after(where(small)[1])
                        case _:
                            pass
            case cst.If(test=cst.Comparison(left=cst.Name("__name__"))):
                main_guard = True
            case _:
                pass
    return FileIndex(text, names, classes, functions, imports, body_start, star, main_guard, orders)


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
            name = dotted(alias.name) or ""
            dot = "" if module.endswith(".") or not module else "."
            bound = name
            if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
                bound = alias.asname.name.value
            yield bound, f"{module}{dot}{name}"


def class_facts(node: cst.ClassDef) -> ClassFacts:
    """The facts of a class from its concrete tree."""
    bases = tuple(
        filter(
            None, (dotted(_unsubscripted(a.value)) for a in node.bases if a.keyword is None and not a.star)
        )
    )
    body = node.body.body if isinstance(node.body, cst.IndentedBlock) else ()
    methods = [m for m in body if isinstance(m, cst.FunctionDef)]
    cell: list[dict[str, list[Binding]]] = []

    def attributes() -> dict[str, list[Binding]]:
        if not cell:
            cell.append(_cst_class_attributes(node, methods))
        return cell[0]

    decorators = tuple(filter(None, (dotted(_called(d.decorator)) for d in node.decorators)))
    return ClassFacts(
        node.name.value, bases, frozenset(m.name.value for m in methods), attributes, decorators
    )


def _called(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.func if isinstance(node, cst.Call) else node


def _unsubscripted(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.value if isinstance(node, cst.Subscript) else node


def _cst_class_attributes(node: cst.ClassDef, methods: list[cst.FunctionDef]) -> dict[str, list[Binding]]:
    from uncuda.walk import walk

    found: dict[str, list[Binding]] = {}
    for binding in bindings_in_suite(node.body.body)[0]:
        found.setdefault(binding.name, []).append(binding)
    for method in methods:
        params = (*method.params.posonly_params, *method.params.params)
        if not params:
            continue
        me = params[0].name.value
        for stmt in walk(method.body):
            value: cst.BaseExpression | None
            if isinstance(stmt, cst.Assign):
                targets, value = [t.target for t in stmt.targets], stmt.value
            elif isinstance(stmt, cst.AnnAssign) and stmt.value is not None:
                targets, value = [stmt.target], stmt.value
            elif isinstance(stmt, cst.AugAssign):
                targets, value = [stmt.target], None
            else:
                continue
            for target in targets:
                parts = (
                    [e.value for e in target.elements]
                    if isinstance(target, (cst.Tuple, cst.List))
                    else [target]
                )
                for item in parts:
                    match item:
                        case cst.Attribute(value=cst.Name(owner), attr=cst.Name(attr)) if owner == me:
                            whole = item is target and value is not None
                            found.setdefault(attr, []).append(
                                Binding(
                                    attr,
                                    "assign" if whole else "other",
                                    0,
                                    value=(lambda v=value: v) if whole else None,  # type: ignore[misc]
                                    where=method.name.value,
                                )
                            )
    return found
