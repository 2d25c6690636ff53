"""Which files a module imports when it is loaded. Nothing is imported: the text is read."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence

from uncuda.own_names import is_package
from uncuda.source import SourceError, decode

# Whole modules take fifty times as long to parse as their imports.
_IMPORT = re.compile(r"^(?:from|import)[ \t][^\n(#\\]*(?:\([^)]*\)|(?:\\\r?\n[^\n\\]*)+)?", re.M)


def loaded(data: bytes) -> Iterator[tuple[int, int, str]]:
    """(row, number of leading dots, dotted name) of what a module imports at its top when it is loaded."""
    text = data.decode("utf-8", "replace")
    row, at = 1, 0
    for found in _IMPORT.finditer(text):
        row, at = row + text.count("\n", at, found.start()), found.start()
        for node in body(found[0].encode("utf-8", "replace")):
            for level, name in imported(node):
                yield row, level, name


def body(data: bytes) -> list[ast.stmt]:
    """The statements of a module; none where it can't be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(decode(data).text).body
    except (SourceError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def imported(node: ast.AST) -> Iterator[tuple[int, str]]:
    """(number of leading dots, dotted name) of what an import statement imports; names of `from` as well."""
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


def roots(files: Iterable[str]) -> list[str]:
    """Directories from which the absolute imports of files may start: those that aren't packages themselves."""
    found: set[str] = set()
    for directory in {os.path.dirname(path) for path in files}:
        while is_package(directory) and os.path.dirname(directory) != directory:
            directory = os.path.dirname(directory)
        found.add(directory)
    return sorted(found)


def files_of(level: int, name: str, path: str, roots: Sequence[str]) -> Iterator[str]:
    """The files that an import in the file at `path` may load, those that aren't there among them. `roots`: where
    absolute imports begin."""
    directory = os.path.dirname(path)
    starts: Iterable[str] = (directory, *roots)
    if level:
        for _ in range(level - 1):
            directory = os.path.dirname(directory)
        starts = (directory,)
    parts = [part for part in name.split(".") if part]
    for start in starts:
        here = start
        for number, part in enumerate(parts):
            here = os.path.join(here, part)
            if number < len(parts) - 1 or os.path.isdir(here):
                yield os.path.join(here, "__init__.py")
        yield f"{here}.py" if parts else os.path.join(start, "__init__.py")
