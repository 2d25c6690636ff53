"""What the other modules of a project import from a file: names that a fix mustn't take away, though the file itself has
no more use for them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from uncuda.own_names import ROOT_FILES, is_package, upwards

_SKIPPED = frozenset({"node_modules", "build", "dist", "venv", "site-packages", "__pycache__"})
MOST_FILES = 20_000
"""In a larger project every name counts as imported: nothing is taken away."""
_IMPORT = re.compile(rb"\bfrom[ \t]+([\w.]+)[ \t]+import[ \t]*(\([^)]*\)|(?:\\\r?\n|[^\r\n;])*)")
_COMMENT = re.compile(rb"#[^\r\n]*")
_NAME = re.compile(rb"(\w+|\*)(?:[ \t\\\r\n]+as[ \t\\\r\n]+\w+)?")


def importers_of(path: str) -> Callable[[str], bool]:
    """Tells of a name whether another module of the project takes it from the module at `path`. Modules are told apart
    by the last part of their names; reads the project's files once, when it is first asked. A package's own
    `__init__.py` is there to be imported from: every name of it counts."""

    def is_imported(name: str) -> bool:
        stem, _ = os.path.splitext(os.path.basename(path))
        if stem == "__init__":
            return True
        taken = _taken(_root(os.path.dirname(os.path.abspath(path))))
        if taken is None:
            return True
        names = taken.get(stem, frozenset())
        return name in names or "*" in names

    return is_imported


@lru_cache(maxsize=256)
def _root(directory: str) -> tuple[str, bool]:
    """The project's top directory; and whether one was found, so that what lies below may be read."""
    for above in upwards(directory):
        if any(os.path.exists(os.path.join(above, name)) for name in (*ROOT_FILES, ".git")):
            return above, True
    here, inside = directory, False
    while is_package(here):
        here, inside = os.path.dirname(here), True
    return here, inside


@lru_cache(maxsize=8)
def _taken(root: tuple[str, bool]) -> dict[str, frozenset[str]] | None:
    """By the last part of a module's name: what is imported from it. None where there is too much to read."""
    found: dict[str, set[str]] = {}
    for number, path in enumerate(_modules(*root)):
        if number >= MOST_FILES:
            return None
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            continue
        for module, names in _IMPORT.findall(content):
            stem = module.rpartition(b".")[2]
            if stem:
                listed = _NAME.findall(_COMMENT.sub(b"", names))
                found.setdefault(stem.decode(), set()).update(n.decode("utf-8", "replace") for n in listed)
    return {stem: frozenset(names) for stem, names in found.items()}


def _modules(root: str, below: bool) -> Iterator[str]:
    for directory, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in _SKIPPED and not f.startswith(".")] if below else []
        for name in files:
            if name.endswith((".py", ".pyi")):
                yield os.path.join(directory, name)
