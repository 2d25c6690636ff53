"""The oldest torch that fixed code must run on: set by the person, or read from the project's own files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial

from uncuda.findings import TorchVersion
from uncuda.own_names import ROOT_FILES
from uncuda.requirements import Mention, mentions
from uncuda.results import dotted
from uncuda.settings import Settings
from uncuda.settings_values import shown

SUPPOSED: TorchVersion = (2, 6)
"""The floor where a project names none: the first torch with torch.accelerator. Fixes need no more than that,
and no question has to be asked; what newer releases add is written only for projects that ask for them."""

_SUPPOSED = "supposed: "


@dataclass(frozen=True, slots=True)
class Floor:
    """A torch release, where it comes from (`requirements.txt:3`, an option, `supposed: …`) and what is written
    there."""

    version: TorchVersion
    origin: str
    text: str = ""

    def __str__(self) -> str:
        if self.origin.startswith(_SUPPOSED):
            return f"{dotted(self.version)}, {self.origin}"
        says = f" ({self.text})" if self.text else ""
        return f"{dotted(self.version)}, from {self.origin}{says}"


def parsed(text: str) -> TorchVersion:
    """`2.6` or `2.6.1` as a version."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


class Floors:
    """The floor of every directory, each worked out once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Floor] = {}
        self._read: dict[str, list[Mention]] = {}
        # Asked of every directory above each that is checked.
        self._is_repository = cache(lambda at: os.path.exists(os.path.join(at, ".git")))
        self._is_project = cache(_begins_project)

    def of(self, directory: str, settings: Settings) -> Floor:
        """The floor for the files of a directory: that of the settings, else that of the nearest files that
        name one, up to where the project begins; else the supposed one."""
        if settings.torch_floor is not None:
            return Floor(parsed(settings.torch_floor), settings.origins.get("torch-floor", "settings"))
        end = str(settings.directory) if settings.root else ""
        known = self._found.get((directory, end))
        if known is None:
            known = self._found[directory, end] = self._climb(directory, end)
        return known

    def _climb(self, directory: str, end: str) -> Floor:
        nameless: Mention | None = None
        at = directory
        for at in self._upwards(directory, end):
            said = self._mentions(at)
            bounded = [m for m in said if m.range.floor]
            if bounded:
                lowest = min(bounded, key=lambda m: m.range.floor or (0, 0))
                assert lowest.range.floor is not None
                return Floor(lowest.range.floor, _place(lowest), lowest.text)
            ended = [m for m in said if m.range.below]
            if ended:
                lowest = min(ended, key=lambda m: m.range.below or (0, 0))
                assert lowest.range.below is not None
                if lowest.range.below < SUPPOSED:
                    return Floor(lowest.range.below, _place(lowest), lowest.text)
            nameless = nameless or next(iter(said), None)
        if nameless is not None:
            return Floor(SUPPOSED, f"{_SUPPOSED}{_place(nameless)} names no lowest torch")
        return Floor(SUPPOSED, f"{_SUPPOSED}no requirement of torch was found")

    def _upwards(self, directory: str, end: str) -> Sequence[str]:
        """The directories from `directory` up to where its project begins.

        That is `end`, else the top of the git repository, else the first directory that has a package's files, else
        the one below the person's home.
        """
        every = _every(directory)
        if end in every:
            return every[: every.index(end) + 1]
        for begins in (self._is_repository, self._is_project):
            for number, at in enumerate(every):
                if begins(at):
                    return every[: number + 1]
        home = os.path.expanduser("~")
        return [at for at in every[:-1] if at != home and not home.startswith(at + os.sep)] or every[:1]

    def _mentions(self, directory: str) -> Sequence[Mention]:
        known = self._read.get(directory)
        if known is None:
            known = self._read[directory] = mentions(directory)
        return known


def _begins_project(directory: str) -> bool:
    """Are a package's files here, other than those of one that was copied into the package around it?"""
    here = partial(os.path.join, directory)
    return any(os.path.isfile(here(name)) for name in ROOT_FILES) and not (
        os.path.isfile(here("__init__.py")) and os.path.isfile(here(os.pardir, "__init__.py"))
    )


def _place(mention: Mention) -> str:
    return f"{shown(mention.file)}:{mention.row}"


@lru_cache(maxsize=4096)
def _every(directory: str) -> tuple[str, ...]:
    """A directory and all above it."""
    above = os.path.dirname(directory)
    return (directory,) if above == directory else (directory, *_every(above))
