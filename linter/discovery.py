"""From the paths a person gives to the files to check."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from uncuda.around.kinds import is_around
from uncuda.gitignore import NAME as GITIGNORE
from uncuda.gitignore import NOTHING, Ignored, ignored_above, of_repository
from uncuda.own_names import is_package
from uncuda.patterns import Glob, is_plain, matches
from uncuda.results import Problem, ProblemKind
from uncuda.settings import FILE_NAMES, Settings, SettingsTree

_SETTINGS_FILES = frozenset(FILE_NAMES)
OUTPUT = frozenset({"build", "dist"})
"""Names left out by default that a package may have as well: then it is code, and searched."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file to check: its absolute path and the settings that count for it."""

    path: str
    settings: Settings


@dataclass
class Discovered:
    """`files` by path; `failures` are paths that could not be looked at; `notes` tell what was left out;
    `searched` are the directories that were looked through."""

    files: list[Found] = field(default_factory=list)
    failures: list[tuple[str, Problem]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)


def discover(
    paths: Sequence[str], tree: SettingsTree, *, force_exclude: bool = False, prose: bool = False
) -> Discovered:
    """Files that are named are taken whatever they are, directories searched for what the settings include.

    With `force_exclude`, what the settings exclude is left out even when it is named. With `prose`, texts that may
    hold code are looked for as well. Raises SettingsError.
    """
    out = Discovered()
    # By what they really are, so that a file that can be reached in two ways is checked once.
    named: dict[str, Found] = {}
    linked: dict[str, Found] = {}
    for given in paths:
        path = os.path.abspath(os.path.join(tree.cwd, given))
        if not given:
            out.failures.append(('""', Problem(ProblemKind.MISSING, "the path is empty")))
            continue
        try:
            os.stat(path)
        except FileNotFoundError:
            out.failures.append((path, Problem(ProblemKind.MISSING, "no such file or directory")))
            continue
        except (OSError, ValueError) as error:
            out.failures.append((path, _unreadable(error)))
            continue
        if os.path.isdir(path):
            if force_exclude and excluded(path, tree.for_directory(path), directory=True):
                out.notes.append(f"{given}: excluded")
                continue
            out.searched.append(given)
            real = os.path.realpath(path)
            for found, is_link in _Walk(path, tree, out, prose).files():
                inside = real + found.path[len(path) :]
                if is_link:
                    linked.setdefault(os.path.realpath(inside), found)
                else:
                    named.setdefault(inside, found)
            continue
        settings = tree.for_file(path)
        if force_exclude and excluded(path, settings):
            out.notes.append(f"{given}: excluded")
            continue
        named.setdefault(os.path.realpath(path), Found(path, settings))
    out.files = [*named.values(), *(found for real, found in linked.items() if real not in named)]
    out.files.sort(key=lambda found: found.path)
    return out


def _unreadable(error: OSError | ValueError) -> Problem:
    reason = error.strerror if isinstance(error, OSError) else None
    return Problem(ProblemKind.UNREADABLE, f"cannot be read: {reason or error}")


def excluded(path: str, settings: Settings, *, directory: bool = False) -> bool:
    """Do the settings exclude the absolute `path`, or a directory on the way to it?"""
    sieve = _Filter(settings)
    # Names that the settings' own directory lies in don't count.
    top = str(settings.directory)
    inside = os.path.relpath(path, top)
    if inside.startswith(os.pardir):
        top, inside = os.path.split(path)
    at = top
    for part in inside.split(os.sep):
        at = os.path.join(at, part)
        if sieve.leaves_out_name(part, at):
            return True
    return sieve.leaves_out(os.path.basename(path), path, directory)


class Search:
    """What a search of the directory `root` would take, told of paths at which there may be nothing. `is_file` tells
    what there is of packages."""

    def __init__(
        self, root: str, tree: SettingsTree, is_file: Callable[[str], bool] = os.path.isfile
    ) -> None:
        self._is_file = is_file
        self._root = root
        self._tree = tree
        settings = tree.for_directory(root)
        ignored = ignored_above(root) if settings.respect_gitignore else NOTHING
        self._known: dict[str, tuple[Settings, Ignored] | None] = {root: (settings, ignored.below(root))}
        self._filters: dict[int, _Filter] = {}

    def takes(self, path: str) -> Found | None:
        """The file at the absolute `path` below the root, if a search would take it. Raises SettingsError."""
        directory, name = os.path.split(path)
        inside = self._inside(directory)
        if inside is None:
            return None
        settings, ignored = inside
        sieve = self._filter(settings)
        if not sieve.includes(name, path) or self._hides(name, path, sieve, ignored, directory=False):
            return None
        return Found(path, settings)

    def _inside(self, directory: str) -> tuple[Settings, Ignored] | None:
        """What counts for the entries of a directory; None for one that isn't searched."""
        if directory not in self._known:
            above, name = os.path.split(directory)
            outer = self._inside(above)
            if outer is None or self._hides(
                name, directory, self._filter(outer[0]), outer[1], directory=True
            ):
                self._known[directory] = None
            else:
                self._known[directory] = self._tree.for_directory(directory), outer[1].below(directory)
        return self._known[directory]

    def _hides(self, name: str, path: str, sieve: _Filter, ignored: Ignored, *, directory: bool) -> bool:
        if sieve.leaves_out(name, path, directory):
            return True
        return sieve.gitignore and ignored.hides(path, directory)

    def _filter(self, settings: Settings) -> _Filter:
        if id(settings) not in self._filters:
            self._filters[id(settings)] = _Filter(settings, self._root, is_file=self._is_file)
        return self._filters[id(settings)]


class _Filter:
    """The patterns of one settings object, sorted for quick answers. What matches `root` itself is lifted:
    whoever names a directory wants what is in it."""

    def __init__(
        self,
        settings: Settings,
        root: str = "",
        *,
        prose: bool = False,
        is_file: Callable[[str], bool] = os.path.isfile,
    ) -> None:
        self._is_file = is_file
        self._around = settings.around_code
        self._prose = prose
        globs = [*settings.exclude, *settings.extend_exclude]
        self.names = frozenset(g.pattern for g in globs if is_plain(g.pattern))
        self._spared = OUTPUT if settings.exclude == Settings().exclude else frozenset()
        self.globs = [g for g in globs if g.pattern not in self.names and not (root and _is_about(g, root))]
        self.endings, self.include = _split_include(settings.include)
        self.gitignore = settings.respect_gitignore

    def leaves_out(self, name: str, path: str, directory: bool) -> bool:
        if self.leaves_out_name(name, path):
            return True
        return any(g.matches(path, directory=directory) for g in self.globs)

    def leaves_out_name(self, name: str, path: str) -> bool:
        return name in self.names and not (name in self._spared and is_package(path, self._is_file))

    def includes(self, name: str, path: str) -> bool:
        if name.endswith(self.endings) or any(_matches_include(g, name, path) for g in self.include):
            return True
        return self._around and is_around(path, prose=self._prose)


def _is_about(glob: Glob, root: str) -> bool:
    """Does a pattern leave out the directory `root`, or all that is in it?"""
    return glob.matches(root, directory=True) or glob.matches(os.path.join(root, "a name"), directory=True)


def _split_include(globs: Sequence[Glob]) -> tuple[tuple[str, ...], list[Glob]]:
    """Endings that `*.py` and its like ask for, and the other patterns."""
    endings = [g.pattern[1:] for g in globs if g.pattern[:2] == "*." and is_plain(g.pattern[2:])]
    return tuple(endings), [g for g in globs if g.pattern[1:] not in endings]


def _matches_include(glob: Glob, name: str, path: str) -> bool:
    # A pattern without a slash is about the file's own name, not about a directory it is in.
    return glob.matches(path) if "/" in glob.pattern.rstrip("/") else matches(glob.pattern, name)


class _Walk:
    """The search of one directory. Links to directories aren't followed, so no loop of links can trap it."""

    def __init__(self, root: str, tree: SettingsTree, out: Discovered, prose: bool) -> None:
        self._prose = prose
        self._root = root
        self._tree = tree
        self._out = out
        self._filters: dict[int, _Filter] = {}

    def files(self) -> Iterator[tuple[Found, bool]]:
        """Every file to check, with whether it is a link."""
        settings = self._tree.for_directory(self._root)
        ignored = ignored_above(self._root) if settings.respect_gitignore else NOTHING
        stack = [(self._root, settings, ignored)]
        while stack:
            directory, settings, ignored = stack.pop()
            try:
                with os.scandir(directory) as scan:
                    entries = sorted(scan, key=lambda e: e.name)
            except OSError as error:
                self._out.failures.append((directory, _unreadable(error)))
                continue
            names = {e.name for e in entries}
            if not _SETTINGS_FILES.isdisjoint(names):
                settings = self._tree.for_directory(directory)
            sieve = self._filter(settings)
            if sieve.gitignore:
                if ".git" in names and directory != self._root:
                    ignored = of_repository(directory)
                if GITIGNORE in names:
                    ignored = ignored.below(directory)
            for entry in entries:
                kind = self._kind(entry)
                if kind == "directory":
                    if not self._hidden(entry, sieve, ignored, directory=True):
                        stack.append((entry.path, settings, ignored))
                elif kind and sieve.includes(entry.name, entry.path):
                    if not self._hidden(entry, sieve, ignored, directory=False):
                        yield Found(entry.path, settings), kind == "link"

    def _filter(self, settings: Settings) -> _Filter:
        known = self._filters.get(id(settings))
        if known is None:
            known = self._filters[id(settings)] = _Filter(settings, self._root, prose=self._prose)
        return known

    def _hidden(self, entry: os.DirEntry[str], sieve: _Filter, ignored: Ignored, directory: bool) -> bool:
        if sieve.leaves_out(entry.name, entry.path, directory):
            return True
        return sieve.gitignore and ignored.hides(entry.path, directory)

    def _kind(self, entry: os.DirEntry[str]) -> str:
        """`directory`, `file`, `link` (to a file), or nothing for what is passed over."""
        try:
            if entry.is_symlink():
                if entry.is_file():
                    return "link"
                if not entry.is_dir():
                    self._out.notes.append(f"{entry.path}: passed over, a link that leads nowhere")
                return ""
            return "directory" if entry.is_dir() else "file" if entry.is_file() else ""
        except OSError:
            # A loop of links.
            self._out.notes.append(f"{entry.path}: passed over, a link that leads nowhere")
            return ""
