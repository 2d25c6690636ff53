"""The import names that a file's own project provides: an import of them is no tie to somebody else's package."""

from __future__ import annotations

import os
from functools import lru_cache

_ROOT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_HIGHEST = 12


def own_names(path: str) -> frozenset[str]:
    """The top-level package that the file at `path` is in, and the packages beside it in its project."""
    return _names(os.path.dirname(os.path.abspath(path)))


@lru_cache(maxsize=4096)
def _names(directory: str) -> frozenset[str]:
    names: set[str] = set()
    here = directory
    while _is_package(here):
        here, name = os.path.split(here)
        names = {name}
    for _ in range(_HIGHEST):
        if any(os.path.isfile(os.path.join(here, name)) for name in _ROOT_FILES):
            names |= _packages_in(here) | _packages_in(os.path.join(here, "src"))
            break
        parent = os.path.dirname(here)
        if parent == here:
            break
        here = parent
    return frozenset(names)


def _is_package(directory: str) -> bool:
    return os.path.isfile(os.path.join(directory, "__init__.py"))


@lru_cache(maxsize=256)
def _packages_in(directory: str) -> frozenset[str]:
    try:
        with os.scandir(directory) as entries:
            return frozenset(e.name for e in entries if e.name.isidentifier() and _is_package(e.path))
    except OSError:
        return frozenset()
