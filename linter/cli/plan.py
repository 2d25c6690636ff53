"""From arguments to jobs: settings, files, rules and the torch floor, worked out before anything is parsed."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

from uncuda.discovery import Discovered, Found, discover, excluded
from uncuda.floor import Floor, Floors
from uncuda.results import FileResult
from uncuda.rules.catalogue import pairs
from uncuda.runner import Job, Profile
from uncuda.settings import (
    Overrides,
    Settings,
    SettingsError,
    SettingsTree,
    fixable,
    ignored_in,
    parse_override,
    selected,
)
from uncuda.settings_values import shown

STDIN = "-"

# Settings and the options that stand for them; what an option holds is what TOML would hold.
_OPTIONS = {
    "select": "--select",
    "extend-select": "--extend-select",
    "ignore": "--ignore",
    "targets": "--target",
    "torch-floor": "--torch-floor",
    "severity": "--severity",
    "fail-on": "--fail-on",
    "unsafe-fixes": "--unsafe-fixes",
    "extend-exclude": "--exclude",
    "respect-gitignore": "--respect-gitignore",
    "project": "--project",
}


@dataclass(frozen=True)
class Gathered:
    """What a run has to do.

    `failures` are paths that could not be looked at, `searched` the directories that were looked through;
    `notes` are for those who want to know more. `root` is what displayed paths are relative to. `unsafe`: may
    unsafe fixes be made in any file? `cache_directory` None: remember nothing.
    """

    jobs: list[Job]
    failures: tuple[FileResult, ...]
    searched: tuple[str, ...]
    notes: tuple[str, ...]
    root: Path
    unsafe: bool
    command_line: tuple[str, ...]
    cache_directory: Path | None


def gather(arguments: Namespace, stdin: bytes | None) -> Gathered:
    """The files to check, each with what its settings come to. Raises SettingsError."""
    tree = settings_tree(arguments)
    prose = getattr(arguments, "prose", False)
    profiles = Profiles(whole_file=arguments.cst == "whole", prose=prose)
    found = Discovered()
    if stdin is None:
        found = discover(arguments.paths or ["."], tree, force_exclude=arguments.force_exclude, prose=prose)
        jobs = [profiles.job(item, tree.cwd) for item in found.files]
    else:
        jobs = [_stdin_job(arguments, tree, profiles, stdin)]
    return Gathered(
        jobs=jobs,
        failures=tuple(
            FileResult(Path(path), display(path, tree.cwd), problem=problem)
            for path, problem in found.failures
        ),
        searched=tuple(found.searched),
        notes=(*found.notes, *profiles.notes()),
        root=tree.cwd,
        unsafe=any(job.profile.unsafe for job in jobs),
        command_line=tuple(sys.argv[1:]),
        cache_directory=None if stdin is not None else _cache_directory(arguments, tree),
    )


def settings_tree(arguments: Namespace) -> SettingsTree:
    """The settings that the arguments and the files beside the checked code come to. Raises SettingsError."""
    files: list[Path] = []
    overrides: list[Overrides] = []
    for item in arguments.config or ():
        if os.path.isfile(item):
            files.append(Path(item))
        elif "=" in item:
            values = parse_override(item)
            overrides.append(Overrides(values, dict.fromkeys(values, f"--config {item}")))
        else:
            raise SettingsError(f"--config: there is no file {item!r}")
    if len(files) > 1:
        raise SettingsError("--config takes one file; a settings file can use another with extend")
    if files and arguments.isolated:
        raise SettingsError("--isolated and --config with a file exclude each other")
    values = _given(arguments)
    if values:
        overrides.append(Overrides(values, {key: _OPTIONS[key] for key in values}))
    known = {word for pair in pairs() for word in pair}
    return SettingsTree(
        known, overrides=overrides, config=files[0] if files else None, isolated=arguments.isolated
    )


def _given(arguments: Namespace) -> dict[str, object]:
    """The settings that options set, as TOML would have them."""
    out: dict[str, object] = {}
    for key, option in _OPTIONS.items():
        value = getattr(arguments, option.lstrip("-").replace("-", "_"), None)
        if isinstance(value, list):
            out[key] = [item for part in value for item in part]
        elif value is not None:
            out[key] = value
    return out


def display(path: str, cwd: Path) -> str:
    """A path as it is shown: from the current directory where it is below it."""
    prefix = str(cwd)
    return path.removeprefix(prefix if prefix.endswith(os.sep) else prefix + os.sep)


def _stdin_job(arguments: Namespace, tree: SettingsTree, profiles: Profiles, data: bytes) -> Job:
    name = arguments.stdin_filename
    path = os.path.abspath(tree.cwd / (name or STDIN))
    settings = tree.for_file(path)
    job = replace(profiles.job(Found(path, settings), tree.cwd), data=data)
    if name is not None and arguments.force_exclude and excluded(path, settings):
        return replace(job, profile=replace(job.profile, codes=frozenset()))
    return job


def _cache_directory(arguments: Namespace, tree: SettingsTree) -> Path | None:
    """Beside the settings that count for the first path."""
    from uncuda.cache import DIRECTORY_NAME

    first = os.path.abspath(tree.cwd / (arguments.paths or ["."])[0])
    settings = tree.for_directory(first) if os.path.isdir(first) else tree.for_file(first)
    if arguments.no_cache or not settings.cache:
        return None
    return settings.cache_dir or settings.directory / DIRECTORY_NAME


class Profiles:
    """What settings and torch floors come to; files that agree in both share one object."""

    def __init__(self, *, whole_file: bool, prose: bool = False) -> None:
        self._whole_file = whole_file
        self._prose = prose
        self._floors = Floors()
        self._by_directory: dict[tuple[str, int], Profile] = {}
        self._made: dict[tuple[int, Floor], tuple[Settings, Profile]] = {}

    def job(self, found: Found, cwd: Path) -> Job:
        """The job of a file."""
        settings = found.settings
        directory = os.path.dirname(found.path)
        known = (directory, id(settings))
        profile = self._by_directory.get(known)
        if profile is None:
            profile = self._by_directory[known] = self._profile(directory, settings)
        return Job(
            Path(found.path),
            display(found.path, cwd),
            profile,
            ignored_in(settings, found.path, pairs()),
        )

    def _profile(self, directory: str, settings: Settings) -> Profile:
        floor = self._floors.of(directory, settings)
        known = (id(settings), floor)
        if known not in self._made:
            made = make_profile(settings, floor, whole_file=self._whole_file, prose=self._prose)
            self._made[known] = settings, made
        return self._made[known][1]

    def notes(self) -> list[str]:
        """Which settings files and torch floors are in force."""
        files = dict.fromkeys(s.file for s, _ in self._made.values())
        floors = dict.fromkeys(floor for _, floor in self._made)
        return [
            *(f"settings: {shown(file) if file else 'no file'}" for file in files),
            *(f"torch floor: {floor}" for floor in floors),
        ]


def make_profile(
    settings: Settings, floor: Floor, *, whole_file: bool = False, prose: bool = False
) -> Profile:
    """What settings and a torch floor come to."""
    codes = selected(settings, pairs())
    may_fix = fixable(settings, pairs())
    return Profile(
        codes=codes,
        targets=frozenset(settings.targets) or None,
        torch_floor=floor.version,
        floor_origin=floor.origin,
        device_expr=settings.device_expr,
        device_import=settings.device_import,
        project=settings.project,
        whole_file=whole_file,
        prose=prose,
        require_reason=settings.require_reason,
        fixable=None if codes <= may_fix else may_fix,
        severity=settings.severity,
        fail_on=settings.fail_on,
        unsafe=settings.unsafe_fixes,
    )
