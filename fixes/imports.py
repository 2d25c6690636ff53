"""Takes away the imports that fixes left unused."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from uncuda.ast_bindings import nested_suites
from uncuda.findings import Edit
from uncuda.fixes.apply import apply

_NAME = re.compile(r"[A-Za-z_]\w*")
_TYPING = frozenset({"cast", "assert_type", "TypeVar", "NewType", "ForwardRef", "NamedTuple", "TypedDict"})
_GENERIC = frozenset({"list", "dict", "set", "frozenset", "tuple", "type"})
_MARKER = re.compile(r"#\s*(?:noqa|type:|py|mypy|isort|fmt|pragma|uncuda|ruff|flake8|nosec|nopy)", re.I)
_IMPORT_WORD = re.compile(r"^[ \t]*(?:import|from)\b", re.M)


def drop_unused(before: str, after: str, wanted: Callable[[str], bool] | None = None) -> str:
    """`after` without the import names that `before` used and `after` doesn't.

    A name is kept when it was unused already, is listed in `__all__`, is imported with a redundant alias
    (`import x as x`, a re-export), is `wanted` of the module by others, or stands in a `try` or in a statement that
    shares its line or has a comment for a tool.
    """
    if before == after or not _IMPORT_WORD.search(after):
        return after
    old, new = _parse(before), _parse(after)
    if old is None or new is None:
        return after
    one, other = list(_scopes(old)), list(_scopes(new))
    known = {scope.name for scope in one}
    other = [scope for scope in other if scope.name in known]  # without the helpers that fixes wrote
    if [scope.name for scope in one] != [scope.name for scope in other]:
        return after
    edits: list[Edit] = []
    for number, (was, now) in enumerate(zip(one, other, strict=True)):
        gone = was.used - now.used
        if number == 0 and wanted is not None:
            gone = {name for name in gone if name not in now.bound or not wanted(name)}
        if gone:
            shrinker = _Shrinker(after, gone)
            for suite, owner in _suites_with_imports(now.body):
                edits.extend(shrinker.suite(suite, owner, suite is new.body))
    fixed = apply(after, edits)
    return fixed if _parse(fixed) is not None else after


def _parse(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class _Scope:
    """A module or a function: its statements, and the names that it and the functions in it take from it or from
    around it."""

    name: str
    body: list[ast.stmt]
    used: set[str]
    bound: set[str]


def _scopes(tree: ast.Module) -> Iterator[_Scope]:
    """The module and all functions in it, in the order of the text."""
    found: list[_Scope] = []
    _read_scope(tree, found)
    yield from found


def _read_scope(node: ast.Module | _Function, found: list[_Scope]) -> _Scope:
    scope = _Scope("" if isinstance(node, ast.Module) else node.name, node.body, set(), set())
    found.append(scope)
    stack: list[ast.AST] = list(reversed(node.body))
    if isinstance(node, _Function):
        args = node.args
        for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
            if arg is not None:
                scope.bound.add(arg.arg)
    while stack:
        item = stack.pop()
        for place in _of_types(item):
            for inner in ast.walk(place):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    scope.used.update(_NAME.findall(inner.value))
        match item:
            case ast.Name(id=name, ctx=ast.Load()):
                scope.used.add(name)
            case ast.Name(id=name):
                scope.bound.add(name)
                scope.used.add(name)
            case ast.Import() | ast.ImportFrom():
                scope.bound.update(a.asname or a.name.split(".")[0] for a in item.names)
            case ast.Global() | ast.Nonlocal():
                scope.used.update(item.names)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                inside = _read_scope(item, found)
                scope.used |= inside.used - inside.bound
                args = item.args
                told = [a.annotation for a in ast.walk(args) if isinstance(a, ast.arg)]
                outside = (*item.decorator_list, *args.defaults, *args.kw_defaults, *told, item.returns)
                stack.extend(part for part in outside if part is not None)
                continue
            case _:
                pass
        stack.extend(reversed(list(ast.iter_child_nodes(item))))
    return scope


def _of_types(node: ast.AST) -> Iterator[ast.expr]:
    """What in a node is read as a type, or as a list of names, text in it included."""
    match node:
        case ast.AnnAssign():
            yield node.annotation
            if node.value is not None and _is_all(node.target):
                yield node.value
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            told = [node.returns, *(a.annotation for a in ast.walk(node.args) if isinstance(a, ast.arg))]
            yield from (t for t in told if t is not None)
        case ast.Assign(targets=[target], value=value) | ast.AugAssign(target=target, value=value):
            if _is_all(target):
                yield value
        case ast.Call(func=ast.Attribute(value=owner), args=args) if _is_all(owner):
            yield from args
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args, keywords=keywords):
            if name in _TYPING:
                yield from (*args, *(k.value for k in keywords))
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            if name[:1].isupper() or name in _GENERIC:
                yield inner
        case _:
            pass


def _is_all(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "__all__"


def _suites_with_imports(
    body: list[ast.stmt], owner: ast.If | None = None
) -> Iterator[tuple[list[ast.stmt], ast.If | None]]:
    """The suites of a scope that hold imports, classes among them, functions not; each with the `if` that can go when
    its suite does. An import in a `try` asks whether the module is there: it stays."""
    if any(isinstance(stmt, (ast.Import, ast.ImportFrom)) for stmt in body):
        yield body, owner
    stays = any(not isinstance(stmt, (ast.Import, ast.ImportFrom, ast.If)) for stmt in body)
    for stmt in body:
        if not isinstance(stmt, _Function) and not (isinstance(stmt, ast.Try) and stmt.handlers):
            alone = stmt if stays and isinstance(stmt, ast.If) and _only_asks(stmt) else None
            for suite in nested_suites(stmt):
                yield from _suites_with_imports(suite, alone)


def _only_asks(stmt: ast.If) -> bool:
    """Has an `if` no other branch, and does its test read nothing but an attribute?"""
    test = stmt.test.operand if isinstance(stmt.test, ast.UnaryOp) else stmt.test
    while isinstance(test, ast.Attribute):
        test = test.value
        if isinstance(test, ast.Name):
            return not stmt.orelse
    return False


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for found in re.finditer(r"\r\n|\r|\n", text):
        starts.append(found.end())
    starts.append(len(text) + 1)
    return starts


def _offset(text: str, starts: list[int], row: int, column: int) -> int:
    line = text[starts[row - 1] : starts[row]]
    return starts[row - 1] + len(line.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore"))


class _Shrinker:
    """Takes names out of import statements."""

    def __init__(self, text: str, gone: set[str]) -> None:
        self.text = text
        self.gone = gone
        self.starts = _line_starts(text)

    def suite(self, body: list[ast.stmt], owner: ast.If | None, top: bool) -> Iterator[Edit]:
        """The edits for one suite; `top`: it may be empty afterwards. Else `owner`, if any, goes with it."""
        edits = {id(s): self._shrunk(s) for s in body if isinstance(s, (ast.Import, ast.ImportFrom))}
        emptied = not top and all((edit := edits.get(id(s))) is not None and not edit.text for s in body)
        if emptied:
            start, _ = self._span(body[0])
            whole = self._lines_of(owner) if owner is not None else None
            if whole is not None:
                yield whole
                return
            if all(s.lineno == body[0].lineno for s in body):
                yield Edit(start, self._span(body[-1])[1], "pass")
                return
            edits[id(body[0])] = Edit(*self._span(body[0]), "pass")
        yield from self._joined([edit for s in body if (edit := edits.get(id(s))) is not None])

    def _lines_of(self, stmt: ast.stmt) -> Edit | None:
        """Takes a statement away with its lines, if nothing else stands on them, no comment either."""
        assert stmt.end_lineno is not None
        first, last = self.starts[stmt.lineno - 1], min(self.starts[stmt.end_lineno], len(self.text))
        start, end = self._span(stmt)
        before = self.text[first:start].strip()
        return (
            None
            if before or "#" in self.text[start:last] or self.text[end:last].strip()
            else Edit(first, last, "")
        )

    def _joined(self, edits: list[Edit]) -> Iterator[Edit]:
        """The edits, with those of neighbours on one line, which share the semicolon between them, made one."""
        last: Edit | None = None
        for edit in edits:
            if last is not None and edit.start < last.end:
                line_end = self.text.find("\n", edit.end) + 1 or len(self.text)
                alone = (
                    not self.text[: last.start].rpartition("\n")[2].strip()
                    and not self.text[edit.end : line_end].strip()
                )
                last = Edit(last.start, line_end if alone else edit.end, "")
                continue
            if last is not None:
                yield last
            last = edit
        if last is not None:
            yield last

    def _span(self, stmt: ast.stmt) -> tuple[int, int]:
        assert stmt.end_lineno is not None and stmt.end_col_offset is not None
        return (
            _offset(self.text, self.starts, stmt.lineno, stmt.col_offset),
            _offset(self.text, self.starts, stmt.end_lineno, stmt.end_col_offset),
        )

    def _is_gone(self, alias: ast.alias, stmt: ast.Import | ast.ImportFrom) -> bool:
        if alias.name == "*" or alias.asname == alias.name:
            return False
        bound = alias.asname or (alias.name.split(".")[0] if isinstance(stmt, ast.Import) else alias.name)
        return bound in self.gone

    def _shrunk(self, stmt: ast.Import | ast.ImportFrom) -> Edit | None:
        if isinstance(stmt, ast.ImportFrom) and stmt.module == "__future__":
            return None
        kept = [alias for alias in stmt.names if not self._is_gone(alias, stmt)]
        if len(kept) == len(stmt.names):
            return None
        start, end = self._span(stmt)
        source = self.text[start:end]
        if not kept:
            return None if _MARKER.search(source) else self._removal(stmt, start, end)
        lines = self._without_lines(source, {_spelled(a) for a in kept}, {_spelled(a) for a in stmt.names})
        if lines is not None:
            return Edit(start, end, lines)
        if "#" in source:
            return None
        head = source.partition("import")[0]
        return Edit(start, end, f"{head}import {', '.join(map(_spelled, kept))}")

    def _removal(self, stmt: ast.stmt, start: int, end: int) -> Edit | None:
        """The statement goes with its lines and the comment behind it, which was about it."""
        assert stmt.end_lineno is not None
        first, last = self.starts[stmt.lineno - 1], min(self.starts[stmt.end_lineno], len(self.text))
        before, behind = self.text[first:start].strip(), self.text[end:last].strip()
        if _MARKER.search(behind):
            return None
        if before.endswith(";"):
            return Edit(len(self.text[:start].rstrip(" \t;")), end, "")
        if before or (behind and not behind.startswith((";", "#"))):
            return None
        if behind.startswith(";") and not behind[1:].lstrip().startswith("#") and behind[1:].strip():
            return Edit(start, end + re.match(r"\s*;\s*", self.text[end:]).end(), "")  # type: ignore[union-attr]
        return Edit(first, last, "")

    def _without_lines(self, source: str, kept: set[str], names: set[str]) -> str | None:
        """The source of an import that has each name on a line of its own, without the lines of those that go."""
        if "(" not in source or "\n" not in source:
            return None
        lines = source.split("\n")
        shown = [lines[0]]
        for line in lines[1:-1]:
            code, _, comment = line.partition("#")
            name = code.strip().rstrip(",").strip()
            if name and name not in kept:
                if name not in names or _MARKER.match(f"#{comment}"):
                    return None
                continue
            shown.append(line)
        outside = lines[0].rpartition("(")[2], lines[-1].partition(")")[0]
        if any(part.partition("#")[0].strip() for part in outside):
            return None
        return "\n".join([*shown, lines[-1]])


def _spelled(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name
