"""The folders of an editor's workspace: which settings count for a document in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uncuda.cli.plan import Profiles
from uncuda.discovery import Found, discover, excluded
from uncuda.rules.catalogue import pairs
from uncuda.runner import Job, Profile
from uncuda.settings import FILE_NAMES, Overrides, SettingsError, SettingsTree

REQUIREMENTS = ("setup.py", "setup.cfg", "requirements*.txt", "environment.y*ml", "Pipfile")
"""Files beside the settings that the torch floor is read from."""
WATCHED = (*FILE_NAMES, *REQUIREMENTS)
EDITOR = "editor settings"


@dataclass(frozen=True)
class ClientSettings:
    """What the editor is set to: `settings` as in uncuda.toml; they go before the files' own."""

    enable: bool = True
    code_lens: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)

    @staticmethod
    def read(value: Any) -> ClientSettings:
        """From what a client sends, whatever that is; what makes no sense counts as not set."""
        if not isinstance(value, Mapping):
            return ClientSettings()
        settings = value.get("settings")
        return ClientSettings(
            enable=value.get("enable") is not False,
            code_lens=value.get("codeLens") is True,
            settings=settings if isinstance(settings, Mapping) else {},
        )


class Folder:
    """One folder of the workspace with its settings. `error` says why they can't be used, if so: then the
    defaults count."""

    def __init__(self, root: Path, client: ClientSettings) -> None:
        self.root = root
        self.client = client
        self.error: str | None = None
        self._tree = self._make(client)
        self._profiles = Profiles(whole_file=False)

    def _make(self, client: ClientSettings) -> SettingsTree:
        known = {word for pair in pairs() for word in pair}
        values = {k: v for k, v in client.settings.items() if v is not None}
        if values:
            try:
                given = Overrides(values, dict.fromkeys(values, EDITOR))
                return SettingsTree(known, overrides=[given], cwd=self.root)
            except SettingsError as error:
                self.error = str(error)
        return SettingsTree(known, cwd=self.root)

    def job(self, path: str) -> Job | None:
        """How to check the file `path`; None when the settings leave it out."""
        try:
            settings = self._tree.for_file(path)
            if excluded(path, settings):
                return None
            return self._profiles.job(Found(path, settings), self.root)
        except SettingsError as error:
            self.error = str(error)
            return _default(path)

    def files(self) -> list[Job]:
        """Every file that `uncuda check` would look at here."""
        try:
            found = discover([str(self.root)], self._tree)
            return [self._profiles.job(item, self.root) for item in found.files]
        except SettingsError as error:
            self.error = str(error)
            return []


def _default(path: str) -> Job:
    from uncuda.rules.catalogue import catalogue

    return Job(Path(path), path, Profile(frozenset(info.code for info in catalogue())))


class Workspace:
    """All folders; a document belongs to the innermost that holds it, or to the first."""

    def __init__(self) -> None:
        self.folders = [Folder(Path.cwd(), ClientSettings())]

    def open(self, roots: Mapping[str, ClientSettings]) -> None:
        """Takes these folders (absolute paths), and reads all settings afresh."""
        self.folders = [Folder(Path(root), client) for root, client in roots.items()]
        if not self.folders:
            self.folders = [Folder(Path.cwd(), ClientSettings())]

    def folder(self, path: str | None) -> Folder:
        """The folder that a path belongs to."""
        inside = [f for f in self.folders if path is not None and _within(path, str(f.root))]
        return max(inside, key=lambda f: len(str(f.root)), default=self.folders[0])

    def job(self, path: str | None) -> Job | None:
        """How to check a document; one that is in no file yet counts as lying in the first folder."""
        folder = self.folder(path)
        if not folder.client.enable:
            return None
        return folder.job(path if path is not None else os.path.join(folder.root, "untitled.py"))


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
