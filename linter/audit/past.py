"""The files of a past commit, where the disk shows those of today: what lies around a file has a say in its findings."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from uncuda.around.kinds import Kind, kind_of
from uncuda.around.variants import has_other, has_others
from uncuda.own_names import PACKAGE_FILE, ROOT_FILES, is_package, names_around, own_names, packages_in
from uncuda.runner import Beside

_TELLING = frozenset({PACKAGE_FILE, *ROOT_FILES})
"""Where one of these comes or goes, packages do."""


def beside_today(path: str) -> Beside:
    """What there is around a file on the disk."""
    return Beside(own_names(path), False) if _has_code(path) else Beside(frozenset(), has_others(path))


def _has_code(path: str) -> bool:
    return kind_of(path) in (Kind.PYTHON, Kind.NOTEBOOK, None)


class Past:
    """The files of one commit of the repository at `top`, moved on from commit to commit."""

    def __init__(self, top: str) -> None:
        self.blobs: dict[str, str] = {}
        """By their paths from the top."""
        self.packages = 0
        """How often packages have come or gone."""
        self._top = top
        self._entries: dict[str, Counter[str]] = defaultdict(Counter)
        self._own: dict[str, frozenset[str]] = {}
        self._packages: dict[str, frozenset[str]] = {}

    def move_on(self, changes: Mapping[str, str | None]) -> set[str]:
        """Takes what a commit changed; gives the paths whose content changed, or what lies around them."""
        touched = set(changes)
        come_or_gone = {path for path, blob in changes.items() if (blob is None) != (path not in self.blobs)}
        for path in come_or_gone:
            for directory, name in _upwards(path):
                self._entries[directory][name] += -1 if changes[path] is None else 1
        for path, blob in changes.items():
            if blob is None:
                self.blobs.pop(path, None)
            else:
                self.blobs[path] = blob
        around = {directory for path in come_or_gone for directory, _ in _upwards(path)}
        if any(path.rpartition("/")[2] in _TELLING for path in come_or_gone):
            self.packages += 1
            before, self._own, self._packages = self._own, {}, {}
            around.update(folder for folder, names in before.items() if self._own_names(folder) != names)
        if around:
            touched.update(path for path in self.blobs if path.rpartition("/")[0] in around)
        return touched

    def beside(self, path: str) -> Beside:
        """What there is around a file."""
        folder, _, name = path.rpartition("/")
        if _has_code(path):
            return Beside(self._own_names(folder), False)
        return Beside(frozenset(), has_other(name, self._names(folder)))

    def _own_names(self, folder: str) -> frozenset[str]:
        if folder not in self._own:
            directory = os.path.join(self._top, *folder.split("/")) if folder else self._top
            self._own[folder] = names_around(directory, self.is_file, self._packages_in)
        return self._own[folder]

    def is_file(self, path: str) -> bool:
        """Is there a file at an absolute path? What is outside of the repository is as it is today."""
        inside = self._inside(path)
        return os.path.isfile(path) if inside is None else inside in self.blobs

    def _packages_in(self, directory: str) -> frozenset[str]:
        if directory not in self._packages:
            inside = self._inside(directory)
            if inside is None:
                return packages_in(directory)
            self._packages[directory] = frozenset(
                name
                for name in self._names(inside)
                if name.isidentifier() and is_package(os.path.join(directory, name), self.is_file)
            )
        return self._packages[directory]

    def _names(self, folder: str) -> list[str]:
        return [name for name, number in self._entries.get(folder, Counter()).items() if number]

    def _inside(self, path: str) -> str | None:
        """A path from the top; None for one that is outside."""
        if path == self._top:
            return ""
        prefix = self._top if self._top.endswith(os.sep) else self._top + os.sep
        return path[len(prefix) :].replace(os.sep, "/") if path.startswith(prefix) else None


def _upwards(path: str) -> Iterator[tuple[str, str]]:
    """Each directory that a path is below of, with the name of what leads to it there."""
    while path:
        path, _, name = path.rpartition("/")
        yield path, name
