"""Which files of a project a program reaches by its imports. Nothing is imported: the text is read."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

from uncuda.source import SourceError, decode


def reached(entry: Path, files: Iterable[Path]) -> frozenset[Path]:
    """The resolved paths among `files` that `entry` reaches, itself included.

    A module is looked for beside the importing file, and from every directory above it that holds project
    files. Imports inside functions count; those by `importlib.import_module("name")` with a literal too.
    """
    known = {path.resolve() for path in files}
    start = entry.resolve()
    known.add(start)
    roots = _roots(known)
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for level, name in _imports(path):
            waiting.extend(p for p in _files(level, name, path, roots) if p in known)
    return frozenset(seen)


def importers(wanted: Set[Path], files: Sequence[Path]) -> dict[Path, list[tuple[Path, int]]]:
    """Where `wanted` files, which are resolved like all others, are imported as the importing file is loaded: not in
    a function, not under a try. (file, row) for each."""
    found: dict[Path, list[tuple[Path, int]]] = {}
    if not wanted:
        return found
    roots = _roots(set(files))
    stems = {p.parent.name if p.stem == "__init__" else p.stem for p in wanted}
    names = {stem.encode() for stem in stems}
    for path in files:
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if not any(name in data for name in names):
            continue
        # `from . import x` may name the package that it stands in.
        own = path.parent.name in stems
        for row, level, name in _loaded(data):
            if not any(part in stems for part in name.split(".")) and not (level and own):
                continue
            for target in _files(level, name, path, roots):
                if target in wanted and target != path and (path, row) not in found.get(target, ()):
                    found.setdefault(target, []).append((path, row))
    return found


def _loaded(data: bytes) -> Iterator[tuple[int, int, str]]:
    """(row, number of leading dots, dotted name) of what a module imports at its top when it is loaded."""
    text = data.decode("utf-8", "replace")
    row, at = 1, 0
    # Whole modules take fifty times as long to parse as their imports.
    for found in _IMPORT.finditer(text):
        row, at = row + text.count("\n", at, found.start()), found.start()
        for node in _body(found[0].encode("utf-8", "replace")):
            for level, name in _imported(node):
                yield row, level, name


_IMPORT = re.compile(r"^(?:from|import)[ \t][^\n(#\\]*(?:\([^)]*\)|(?:\\\r?\n[^\n\\]*)+)?", re.M)


def lazy_rows(data: bytes) -> frozenset[int]:
    """The rows of a module that run when one of its functions is called, not when it is loaded."""
    found: set[int] = set()
    waiting: list[ast.AST] = list(_body(data))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.update(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
        else:
            waiting.extend(ast.iter_child_nodes(node))
    return frozenset(found)


def _body(data: bytes) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(decode(data).text).body
    except (SourceError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _roots(files: set[Path]) -> list[Path]:
    """Directories from which absolute imports may start: those that aren't packages themselves."""
    found: set[Path] = set()
    for path in files:
        directory = path.parent
        while (directory / "__init__.py").is_file() and directory.parent != directory:
            directory = directory.parent
        found.add(directory)
    return sorted(found)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """(number of leading dots, dotted name) of everything that a file imports, names of `from` as well."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(decode(path.read_bytes()).text)
    except (OSError, SourceError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        yield from _imported(node)
        match node:
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _imports_by_name(func):
                yield 0, name
            case _:
                pass


def _imported(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Import(names=names):
            for alias in names:
                yield 0, alias.name
        case ast.ImportFrom(module=module, names=names, level=level):
            base = module or ""
            yield level, base
            for alias in names:
                yield level, f"{base}.{alias.name}".lstrip(".")
        case _:
            pass


def _imports_by_name(func: ast.expr) -> bool:
    last = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    return last in ("import_module", "__import__")


def _files(level: int, name: str, path: Path, roots: list[Path]) -> Iterator[Path]:
    if level:
        base = path.parent
        for _ in range(level - 1):
            base = base.parent
        starts = [base]
    else:
        starts = [path.parent, *roots]
    parts = [part for part in name.split(".") if part]
    for start in starts:
        here = start
        for number, part in enumerate(parts):
            here = here / part
            if number < len(parts) - 1 or here.is_dir():
                yield here / "__init__.py"
        if parts:
            yield here.with_suffix(".py") if here.suffix == "" else here.parent / f"{here.name}.py"
        else:
            yield start / "__init__.py"
