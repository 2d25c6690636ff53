"""The project's other modules, as far as a file's imports name them. They are read as text, never imported."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from uncuda.own_names import ROOT_FILES, is_package, upwards

if TYPE_CHECKING:
    from uncuda.index import FileIndex

MOST_BYTES = 100_000
"""A longer module isn't read: what it says is worth less than the time."""
MISSING = ""
_OF_TORCH = re.compile(rb"torch|cuda|Module")
"""A module without any of these has nothing to tell, unless it hands on what others say, as packages do."""
_OF_DEVICES = re.compile(
    rb"torch|cuda|nn\.|module|tensor|device|return [a-z]\w*\(|return \w*(?:model|net)", re.I
)


@dataclass(frozen=True)
class Told:
    """Where an imported name is said: in the module that `index` is of, as `name` (dotted for an attribute)."""

    index: FileIndex
    name: str


@dataclass
class Neighbours:
    """The modules of the project that the file at `path` can import. What is looked at is written down, so that
    findings can be kept for as long as nothing of it changes."""

    path: str
    _states: dict[str, str] = field(default_factory=dict)
    _found: dict[str, Told | None] = field(default_factory=dict)
    _used: dict[str, Module] = field(default_factory=dict)

    def find(self, name: str) -> Told | None:
        """What an import of this file names, by its full dotted name: `mylib.utils.get_device`, `.utils.DEVICE`. None
        for what isn't the project's."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def looked_at(self) -> dict[str, str]:
        """All that had a say in the answers so far, and its state then: files, also those that aren't there, and
        directories (with a separator at the end)."""
        states: dict[str, str] = {}
        waiting, seen = [self], {id(self)}
        while waiting:
            here = waiting.pop()
            states |= here._states
            for module in here._used.values():
                if id(module.neighbours) not in seen:
                    seen.add(id(module.neighbours))
                    waiting.append(module.neighbours)
        return states

    def note(self, states: Mapping[str, str]) -> None:
        """These had a say as well."""
        self._states.update(states)

    def _find(self, name: str) -> Told | None:
        words = name.lstrip(".")
        dots = len(name) - len(words)
        directory = os.path.dirname(self.path)
        parts = words.split(".")
        if dots:
            for _ in range(dots - 1):
                directory = os.path.dirname(directory)
            return self._below(directory, parts, inside=True)
        for root in roots_of(directory):
            names, state = names_in(root)
            self._states[root + os.sep] = state
            if parts[0] in names:
                return self._below(root, parts, inside=False)
        return None

    def _below(self, directory: str, parts: list[str], *, inside: bool) -> Told | None:
        """The module below a directory that says the name. `inside`: is the directory a package that the name may be
        in?"""
        for number, name in enumerate(parts):
            rest = parts[number + 1 :]
            package = os.path.join(directory, "__init__.py") if number or inside else None
            if not rest and package is not None:
                told = self._in_module(package, [name])
                if told is not None and name in told.index.bindings:
                    return told
            deeper = os.path.join(directory, name)
            if not self._is_there(os.path.join(deeper, "__init__.py")):
                if self._is_there(f"{deeper}.py"):
                    return self._in_module(f"{deeper}.py", rest)
                if not os.path.isdir(deeper):
                    return None if package is None else self._in_module(package, parts[number:])
            directory = deeper
        return None

    def _in_module(self, path: str, names: list[str]) -> Told | None:
        if not names or path == self.path or not self._is_there(path):
            return None
        module = module_at(path)
        self._used[path] = module
        index = module.index_for(names[0])
        return None if index is None else Told(index, ".".join(names))

    def _is_there(self, path: str) -> bool:
        if path not in self._states:
            self._states[path] = state_of(path)
        return self._states[path] != MISSING


@dataclass
class Module:
    """A module that others import from."""

    path: str
    neighbours: Neighbours
    _index: FileIndex | None = None
    _bad: bool = False

    def index_for(self, name: str) -> FileIndex | None:
        """Its facts, if it can be read and says `name` at all."""
        if self._index is None and not self._bad:
            self._bad = not self.path.endswith("__init__.py") and _OF_TORCH.search(self.data) is None
            if self._bad or not self._may_tell(name):
                return None
            self._index = self._parsed(self.data)
            self._bad = self._index is None
        return self._index

    def _may_tell(self, name: str) -> bool:
        """Is the name there at all; and if it is a function's, is that about torch and devices? Told without a parser,
        which takes fifty times as long."""
        spelled = name.encode("utf-8", "replace")
        if spelled not in self.data:
            return False
        text = re.search(
            rb"^def[ \t]+" + re.escape(spelled) + rb"\b.*?(?=^[^\s)\]}#]|\Z)", self.data, re.M | re.S
        )
        return text is None or _OF_DEVICES.search(text[0]) is not None

    @cached_property
    def data(self) -> bytes:
        """What is in the file; nothing where that is too much, or it can't be read."""
        try:
            with open(self.path, "rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError:
            return b""
        return data if len(data) <= MOST_BYTES else b""

    def _parsed(self, data: bytes) -> FileIndex | None:
        from uncuda.index import from_ast
        from uncuda.parsing import Unreadable, parse_ast
        from uncuda.source import Lines, SourceError, decode

        try:
            text = decode(data).text
            tree = parse_ast(text)
        except (SourceError, Unreadable, RecursionError):
            return None
        index = from_ast(text, tree, Lines(text))
        index.neighbours = self.neighbours
        return index


@lru_cache(maxsize=4096)
def module_at(path: str) -> Module:
    """The module in a file."""
    return Module(path, Neighbours(path))


def forget() -> None:
    """Files may have changed: all is read again when it is next asked for."""
    module_at.cache_clear()
    roots_of.cache_clear()
    names_in.cache_clear()


def state_of(path: str) -> str:
    """What changes when a file changes, or the modules in a directory (a path that ends in a separator) do."""
    if path.endswith(os.sep):
        return names_in(path[: -len(os.sep)])[1]
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return MISSING
    return f"{info.st_mtime_ns}:{info.st_size}"


@lru_cache(maxsize=4096)
def roots_of(directory: str) -> tuple[str, ...]:
    """Where the absolute imports of a directory's files begin: above its package, and at the top of its project."""
    here = directory
    while is_package(here):
        here = os.path.dirname(here)
    found = [here]
    for above in upwards(here):
        if any(os.path.isfile(os.path.join(above, name)) for name in ROOT_FILES):
            found += [above, os.path.join(above, "src")]
            break
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=4096)
def names_in(directory: str) -> tuple[frozenset[str], str]:
    """The modules and packages that may be imported from a directory, and a text that changes with them."""
    names: set[str] = set()
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                stem = entry.name.removesuffix(".py")
                if stem.isidentifier() and stem != "__pycache__" and (stem != entry.name or entry.is_dir()):
                    names.add(stem)
    except OSError:
        pass
    return frozenset(names), blake2b(
        "\0".join(sorted(names)).encode("utf-8", "surrogateescape"), digest_size=8
    ).hexdigest()
