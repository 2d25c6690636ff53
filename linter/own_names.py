"""The import names that a file's own project provides: an import of them is no tie to somebody else's package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

ROOT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
"""Files that show where a project begins."""
PACKAGE_FILE = "__init__.py"
_HIGHEST = 12


def own_names(path: str) -> frozenset[str]:
    """The top-level package that the file at `path` is in, and the packages beside it in its project."""
    return _names(os.path.dirname(os.path.abspath(path)))


@lru_cache(maxsize=4096)
def _names(directory: str) -> frozenset[str]:
    return names_around(directory, os.path.isfile, packages_in)


def names_around(
    directory: str, is_file: Callable[[str], bool], packages_in: Callable[[str], Iterable[str]]
) -> frozenset[str]:
    """The same for the files of a directory, of whom others than the disk know what is there."""
    names: set[str] = set()
    here = directory
    while is_package(here, is_file):
        here, name = os.path.split(here)
        names = {name}
    for above in upwards(here):
        if any(is_file(os.path.join(above, name)) for name in ROOT_FILES):
            names.update(packages_in(above), packages_in(os.path.join(above, "src")))
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


def is_package(directory: str, is_file: Callable[[str], bool] = os.path.isfile) -> bool:
    """Is it a package with an `__init__.py`?"""
    return is_file(os.path.join(directory, PACKAGE_FILE))


@lru_cache(maxsize=256)
def packages_in(directory: str) -> frozenset[str]:
    """The packages that lie in a directory, those among them that are mere folders of packages (PEP 420)."""
    return frozenset(
        e.name
        for e in _folders(directory)
        if is_package(e.path)
        or (e.name != "src" and any(is_package(inner.path) for inner in _folders(e.path)))
    )


def _folders(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return [e for e in entries if e.name.isidentifier() and e.is_dir()]
    except OSError:
        return []
