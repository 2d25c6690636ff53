"""The import names that a file's own project provides: an import of them is no tie to somebody else's package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

ROOT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
"""Files that show where a project begins."""
_HIGHEST = 12


def own_names(path: str) -> frozenset[str]:
    """The top-level package that the file at `path` is in, and the packages beside it in its project."""
    return _names(os.path.dirname(os.path.abspath(path)))


@lru_cache(maxsize=4096)
def _names(directory: str) -> frozenset[str]:
    names: set[str] = set()
    here = directory
    while is_package(here):
        here, name = os.path.split(here)
        names = {name}
    for above in upwards(here):
        if any(os.path.isfile(os.path.join(above, name)) for name in ROOT_FILES):
            names |= _packages_in(above) | _packages_in(os.path.join(above, "src"))
            break
    return frozenset(names)


def upwards(directory: str) -> Iterator[str]:
    """A directory and those above it, as far as a project's beginning is looked for."""
    for _ in range(_HIGHEST):
        yield directory
        parent = os.path.dirname(directory)
        if parent == directory:
            return
        directory = parent


def is_package(directory: str) -> bool:
    """Is it a package with an `__init__.py`?"""
    return os.path.isfile(os.path.join(directory, "__init__.py"))


@lru_cache(maxsize=256)
def _packages_in(directory: str) -> frozenset[str]:
    try:
        with os.scandir(directory) as entries:
            return frozenset(e.name for e in entries if e.name.isidentifier() and is_package(e.path))
    except OSError:
        return frozenset()
