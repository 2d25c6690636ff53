"""Which files of a project a program reaches by its imports. Nothing is imported: the text is read."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

from uncuda.loading import body, files_of, imported, loaded, roots


def reached(entry: Path, files: Iterable[Path]) -> frozenset[Path]:
    """The resolved paths among `files` that `entry` reaches, itself included.

    A module is looked for beside the importing file, and from every directory above it that holds project
    files. Imports inside functions count; those by `importlib.import_module("name")` with a literal too.
    """
    known = {path.resolve() for path in files}
    start = entry.resolve()
    known.add(start)
    starts = roots(map(str, known))
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for level, name in _imports(path):
            waiting.extend(p for p in _files(level, name, path, starts) if p in known)
    return frozenset(seen)


def importers(wanted: Set[Path], files: Sequence[Path]) -> dict[Path, list[tuple[Path, int]]]:
    """Where `wanted` files, which are resolved like all others, are imported as the importing file is loaded: not in
    a function, not under a try. (file, row) for each."""
    found: dict[Path, list[tuple[Path, int]]] = {}
    if not wanted:
        return found
    starts = roots(map(str, files))
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
        for row, level, name in loaded(data):
            if not any(part in stems for part in name.split(".")) and not (level and own):
                continue
            for target in _files(level, name, path, starts):
                if target in wanted and target != path and (path, row) not in found.get(target, ()):
                    found.setdefault(target, []).append((path, row))
    return found


def lazy_rows(data: bytes) -> frozenset[int]:
    """The rows of a module that run when one of its functions is called, not when it is loaded."""
    found: set[int] = set()
    waiting: list[ast.AST] = list(body(data))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.update(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
        else:
            waiting.extend(ast.iter_child_nodes(node))
    return frozenset(found)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """(number of leading dots, dotted name) of everything that a file imports, names of `from` as well."""
    try:
        tree = ast.Module(body(path.read_bytes()), [])
    except OSError:
        return
    for node in ast.walk(tree):
        yield from imported(node)
        match node:
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _imports_by_name(func):
                yield 0, name
            case _:
                pass


def _imports_by_name(func: ast.expr) -> bool:
    last = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    return last in ("import_module", "__import__")


def _files(level: int, name: str, path: Path, starts: list[str]) -> Iterator[Path]:
    return map(Path, files_of(level, name, str(path), starts))
