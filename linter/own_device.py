"""The project's own way to its device: a function, or a name, that fixes use in place of one more selection."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from uncuda.loading import files_of, loaded
from uncuda.neighbours import module_at, names_in, roots_of, state_of
from uncuda.own_names import is_package

if TYPE_CHECKING:
    from uncuda.index import FileIndex

_FOLDERS = frozenset("accelerator common core device devices helpers lib misc tools util utils".split())
_FILES = frozenset(
    """base common config configs const configuration constants core defaults env environment general globals helper helpers
    misc parameters params platform settings tools util utils""".split()
)
_ABOUT_DEVICES = re.compile(r"device|accelerat|cuda|gpu|torch")
"""Modules with such names are looked at, and those in `_FILES`: at the top of a package and in its `_FOLDERS`."""
MAY_NAME = re.compile(r"device", re.I)
"""What names of a device, or of a function that gives one, have in common."""
_SAID = re.compile(
    rb"^(?:def[ \t]+(\w*device\w*)[ \t]*\(|(\w*device\w*)[ \t]*(?::[^=\n]+)?=(?!=))", re.M | re.I
)
_NO_LIBRARY = frozenset("benchmark benchmarks doc docs example examples script scripts test tests".split())
_MOST_LOADED = 200
"""A module whose import loads more files of the project than that is nothing to import for a device."""
_NAMES = (
    """get_device get_default_device default_device get_torch_device get_best_device best_device pick_device select_device
    choose_device auto_device infer_device detect_device device DEVICE DEFAULT_DEVICE TORCH_DEVICE"""
).split()


@dataclass(frozen=True)
class OwnDevice:
    """A device that a module of the project gives: the accelerator wherever there is one.

    `expression` is `get_device()` or `DEVICE`, `name` what has to be imported from `module` (its dotted name, in the file
    `path`) for it; `is_text`: is it a str? `loads` are the project's files that are loaded with it.
    """

    expression: str
    name: str
    is_text: bool
    module: str
    path: str
    row: int
    loads: frozenset[str] = frozenset()

    @property
    def line(self) -> str:
        """The import, by the module's full name."""
        return f"from {self.module} import {self.name}"

    def import_for(self, path: str, index: FileIndex) -> str | None:
        """The import as the file at `path` would write it; None where importing it might go round in a circle, or the
        file imports nothing of the project so far."""
        if path in self.loads:
            return None
        targets = [target for site in index.imports for _, target in site.names]
        top = self.module.partition(".")[0]
        relative = any(t.startswith(".") for t in targets)
        package = _package_of(os.path.dirname(path))
        if relative and package and package[0] == top:
            return f"from {_relative(self.module.split('.'), package)} import {self.name}"
        beside = frozenset[str]() if package else names_in(os.path.dirname(path))[0]
        heads = {t.partition(".")[0] for t in targets}
        return self.line if top in heads or (top in beside and heads & beside) else None


@dataclass(frozen=True)
class Search:
    """The device that was found for a directory's files, and the state of all that was looked at."""

    device: OwnDevice | None
    states: dict[str, str]


def own_device(directory: str) -> Search:
    """What the project of the files in a directory has. Reads the few files where such a thing is wont to be."""
    found = _search(directory)
    if any(state_of(path) != state for path, state in found.states.items()):
        _search.cache_clear()
        found = _search(directory)
    return found


@lru_cache(maxsize=1024)
def _search(directory: str) -> Search:
    states: dict[str, str] = {}
    found = [made for path, module in _modules(directory, states) for made in _given(path, module)]
    for best in sorted(found, key=_rank):
        loads = _loaded_with(best.path, best.module)
        if loads is not None:
            states |= {path: state_of(path) for path in loads}
            return Search(replace(best, loads=frozenset(loads)), states)
    return Search(None, states)


def _rank(device: OwnDevice) -> tuple[bool, int, int, str]:
    known = _NAMES.index(device.name) if device.name in _NAMES else len(_NAMES)
    return device.is_text, known, device.module.count("."), device.module


# -- where it may be ---------------------------------------------------------------------------------------


def _package_of(directory: str) -> list[str]:
    """The names of the packages that a directory is in, itself the last; none where it is no package."""
    names: list[str] = []
    while is_package(directory):
        directory, name = os.path.split(directory)
        names.insert(0, name)
    return names


def _modules(directory: str, states: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(file, dotted name) of the modules that may have it: in the package that the directory is in; else beside it, and
    in the packages of its project."""
    names = _package_of(directory)
    top = directory
    for _ in names[1:]:
        top = os.path.dirname(top)
    yield from _modules_in(top, names[:1], states)
    for root in () if names else roots_of(directory):
        stems, states[root + os.sep] = names_in(root)
        for stem in sorted(stems - _NO_LIBRARY):
            if is_package(os.path.join(root, stem)):
                yield from _modules_in(os.path.join(root, stem), [stem], states)


def _modules_in(top: str, names: list[str], states: dict[str, str]) -> Iterator[tuple[str, str]]:
    places = [(top, names)]
    inside, states[top + os.sep] = names_in(top)
    places += [(os.path.join(top, name), [*names, name]) for name in sorted(inside & _FOLDERS)]
    for place, parts in places:
        stems, states[place + os.sep] = names_in(place)
        if place != top:
            yield from _module(os.path.join(place, "__init__.py"), parts, states)
        for stem in sorted(stems):
            if stem in _FILES or _ABOUT_DEVICES.search(stem):
                yield from _module(os.path.join(place, f"{stem}.py"), [*parts, stem], states)


def _module(path: str, parts: list[str], states: dict[str, str]) -> Iterator[tuple[str, str]]:
    states[path] = state_of(path)
    if states[path]:
        yield path, ".".join(parts)


# -- is it one? --------------------------------------------------------------------------------------------


def _given(path: str, module: str) -> Iterator[OwnDevice]:
    """The devices that a module gives without being asked anything."""
    file = module_at(path)
    said = _SAID.findall(file.data) if b"available" in file.data else []
    names = [name.decode() for name in dict.fromkeys(function or constant for function, constant in said)]
    if not names:
        return
    from uncuda.plain_choice import given_by

    for name in names:
        index = None if name.startswith("_") else file.index_for(name)
        told = None if index is None else given_by(index, name)
        if told is not None and index is not None:
            is_text, called = told
            expression = f"{name}()" if called else name
            yield OwnDevice(expression, name, is_text, module, path, _row(index.text, name))


def _row(text: str, name: str) -> int:
    found = re.search(rf"^(?:def[ \t]+)?{name}\b", text, re.M)
    return 1 if found is None else text.count("\n", 0, found.start()) + 1


# -- can it be imported? -----------------------------------------------------------------------------------


def _loaded_with(path: str, module: str) -> set[str] | None:
    """The project's files that are loaded with a module, but for the package's own `__init__.py`, which is loaded
    already wherever this matters. None where that is too much, or wants something of the package itself."""
    parts = module.split(".")
    directory = os.path.dirname(path)
    depth = len(parts) - (2 if not path.endswith("__init__.py") else 1)
    top = directory
    for _ in range(max(depth, 0)):
        top = os.path.dirname(top)
    root = os.path.join(top, "__init__.py") if is_package(top) else ""
    waiting = [path]
    while directory != top and directory.startswith(top):
        waiting.append(os.path.join(directory, "__init__.py"))
        directory = os.path.dirname(directory)
    seen: set[str] = set()
    while waiting:
        here = waiting.pop()
        if here in seen or here == root or not os.path.isfile(here):
            continue
        seen.add(here)
        if len(seen) > _MOST_LOADED:
            return None
        roots = roots_of(os.path.dirname(here))
        for _, level, name in loaded(module_at(here).data):
            files = [f for f in files_of(level, name, here, roots) if os.path.isfile(f)]
            if files == [root] and "." in name.lstrip("."):
                return None
            waiting += files
    return seen


def _relative(module: list[str], package: list[str]) -> str:
    common = 0
    while common < min(len(module), len(package)) and module[common] == package[common]:
        common += 1
    return "." * (len(package) - common + 1) + ".".join(module[common:])
