"""What git ignores: `.gitignore` files on the way down, and the lists that a repository and a person keep."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from uncuda.patterns import Matcher

NAME = ".gitignore"


@dataclass(frozen=True)
class _Layer:
    """The patterns of one file. `base` is the directory they count from, with a separator at its end."""

    base: str
    matcher: Matcher


@dataclass(frozen=True)
class Ignored:
    """The patterns in force in a directory, the weakest first."""

    layers: tuple[_Layer, ...] = ()

    def hides(self, path: str, directory: bool) -> bool:
        """Does git ignore the absolute `path`? Its parents aren't looked at: the walk doesn't come there."""
        for layer in reversed(self.layers):
            inside = path[len(layer.base) :]
            if os.sep != "/":
                inside = inside.replace(os.sep, "/")
            verdict = layer.matcher.verdict(inside + "/" if directory else inside)
            if verdict is not None:
                return verdict
        return False

    def below(self, directory: str) -> Ignored:
        """With the patterns of `directory`'s own `.gitignore`, if there is one."""
        layer = _read(os.path.join(directory, NAME), directory)
        return self if layer is None else Ignored((*self.layers, layer))


NOTHING = Ignored()


def ignored_above(directory: str) -> Ignored:
    """The patterns in force in `directory` from outside it: the person's, the repository's, those of parents.

    Without a repository only what lies below counts. An ignored directory that is asked for by name starts
    afresh: whoever names it wants what is in it.
    """
    top = _repository(directory)
    if top is None or top == directory:
        return NOTHING if top is None else of_repository(top)
    ignored = of_repository(top).below(top)
    at = top
    for part in os.path.relpath(directory, top).split(os.sep):
        at = os.path.join(at, part)
        if ignored.hides(at, directory=True):
            return NOTHING
        if at != directory:
            ignored = ignored.below(at)
    return ignored


def of_repository(top: str) -> Ignored:
    """The patterns in force at the top of a working tree, its `.gitignore` aside: nothing of what is around."""
    files = (_personal_file(), os.path.join(_git_directory(top), "info", "exclude"))
    layers = [_read(path, top) for path in files]
    return Ignored(tuple(layer for layer in layers if layer is not None))


def _repository(directory: str) -> str | None:
    at = directory
    while not os.path.exists(os.path.join(at, ".git")):
        parent = os.path.dirname(at)
        if parent == at:
            return None
        at = parent
    return at


def _git_directory(top: str) -> str:
    """Where the repository's own files are: elsewhere for a linked working tree or a submodule."""
    git = os.path.join(top, ".git")
    try:
        if os.path.isfile(git):
            text = Path(git).read_text("utf-8", "surrogateescape")
            git = os.path.join(top, text.partition(":")[2].strip())
            common = os.path.join(git, "commondir")
            if os.path.isfile(common):
                git = os.path.join(git, Path(common).read_text("utf-8", "surrogateescape").strip())
    except OSError:
        pass
    return git


_EXCLUDES = re.compile(r"^\s*excludesfile\s*=\s*\"?(.+?)\"?\s*$", re.IGNORECASE | re.MULTILINE)


def _personal_file() -> str:
    """The file of patterns for all of a person's repositories."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    for config in (os.path.join(os.path.expanduser("~"), ".gitconfig"), os.path.join(home, "git", "config")):
        try:
            found = _EXCLUDES.search(Path(config).read_text("utf-8", "surrogateescape"))
        except OSError:
            continue
        if found:
            return os.path.expanduser(found.group(1))
    return os.path.join(home, "git", "ignore")


def _read(path: str, base: str) -> _Layer | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            matcher = Matcher(stream.read().split("\n"))
    except OSError:
        return None
    prefix = base if base.endswith(os.sep) else base + os.sep
    return _Layer(prefix, matcher) if matcher else None
