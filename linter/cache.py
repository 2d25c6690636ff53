"""What earlier runs found, kept on disk as plain JSON; anything odd in it is thrown away, never trusted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from uncuda import __version__
from uncuda.findings import Applicability, Category, Edit, Finding, Fix, Outcome, Target, TorchVersion
from uncuda.results import Placed, PlacedEdit, Position

FILE_NAME = "findings.json"
DIRECTORY_NAME = ".uncuda_cache"
_TAG_NAME = "CACHEDIR.TAG"
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This directory was made by uncuda; it can be deleted at any time.\n"
)
_KEPT_PROFILES = 4
_MAX_BYTES = 256 * 1024 * 1024
_RACY_NS = 100_000_000
"""A file changed this shortly before it was read may change again without its time changing."""


class _Foreign(Exception):
    """The data isn't what this version writes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a file's content. `digest` is empty when the prefilter ruled every rule out."""

    findings: tuple[Placed, ...]
    suppressed: int
    digest: str
    learnt: tuple[tuple[str, str], ...] = ()
    """Other files that had a say, each with its state then."""


# -- findings as JSON --------------------------------------------------------------------------------------


def _need(condition: bool) -> None:
    if not condition:
        raise _Foreign


def _place(position: Position) -> list[int]:
    return [position.row, position.column]


def placed_to_plain(placed: Placed) -> list[Any]:
    """A finding with its places as JSON data."""
    finding = placed.finding
    fix = finding.fix
    return [
        finding.code,
        finding.name,
        finding.message,
        finding.start,
        finding.end,
        finding.symbol,
        finding.category.value,
        finding.effort,
        {target.value: outcome.value for target, outcome in finding.outcomes.items()},
        None
        if fix is None
        else [
            fix.title,
            [[e.start, e.end, e.text] for e in fix.edits],
            fix.applicability.value,
            None if fix.torch_floor is None else list(fix.torch_floor),
        ],
        _place(placed.start),
        _place(placed.end),
        [[_place(e.start), _place(e.end)] for e in placed.edits],
        None if finding.fix_needs is None else list(finding.fix_needs),
    ]


def _string(value: object) -> str:
    _need(isinstance(value, str))
    assert isinstance(value, str)
    return value


def _number(value: object) -> int:
    _need(type(value) is int and 0 <= value < 2**53)
    assert isinstance(value, int)
    return value


def _list(value: object, size: int | None = None) -> list[Any]:
    _need(isinstance(value, list) and size in (None, len(value)))
    assert isinstance(value, list)
    return value


def _position(data: object) -> Position:
    row, column = _list(data, 2)
    _need(_number(row) > 0 and _number(column) > 0)
    return Position(row, column)


def placed_from_plain(data: object, targets: frozenset[Target] | None) -> Placed:
    """The finding that `placed_to_plain` wrote, its severity that on `targets`.

    Raises ValueError, TypeError or an own error for anything else.
    """
    row = _list(data, 14)
    (
        code,
        name,
        message,
        start,
        end,
        symbol,
        category,
        effort,
        outcomes,
        fix,
        first,
        last,
        edits,
        needs,
    ) = row
    _need(isinstance(outcomes, dict))
    _need(_number(start) <= _number(end))
    finding = Finding(
        code=_string(code),
        name=_string(name),
        message=_string(message),
        start=start,
        end=end,
        symbol=_string(symbol),
        category=Category(_string(category)),
        effort=_number(effort),
        outcomes={Target(_string(t)): Outcome(_string(o)) for t, o in outcomes.items()},
        fix=None if fix is None else _fix(fix),
        fix_needs=None if needs is None else _version(needs),
    )
    own = finding.fix.edits if finding.fix is not None else ()
    places = [tuple(map(_position, _list(item, 2))) for item in _list(edits, len(own))]
    placed_edits = tuple(PlacedEdit(p[0], p[1], e.text) for p, e in zip(places, own, strict=True))
    return Placed(
        finding,
        finding.severity(targets),
        _position(first),
        _position(last),
        placed_edits,
    )


def _fix(data: object) -> Fix:
    title, edits, applicability, floor = _list(data, 4)
    made: list[Edit] = []
    for item in _list(edits):
        start, end, text = _list(item, 3)
        _need(_number(start) <= _number(end))
        made.append(Edit(start, end, _string(text)))
    ordered = sorted(set(made), key=lambda e: (e.start, e.end))
    _need(all(a.end <= b.start for a, b in pairwise(ordered)))
    version = None if floor is None else _version(floor)
    return Fix(_string(title), tuple(made), Applicability(_string(applicability)), version)


def _version(data: object) -> TorchVersion:
    major, minor = _list(data, 2)
    return _number(major), _number(minor)


# -- the tool's own identity -------------------------------------------------------------------------------


def tool_stamp() -> str:
    """Changes with the version and with any change to the tool's own code or tables."""
    from hashlib import blake2b

    import uncuda
    import uncuda.fixes
    import uncuda.rules

    digest = blake2b(__version__.encode(), digest_size=16)
    seen: set[str] = set()
    for package in (uncuda, uncuda.rules, uncuda.fixes):
        for root in package.__path__:
            for folder, names, files in os.walk(root):
                names[:] = sorted(n for n in names if n != "__pycache__")
                for name in sorted(files):
                    path = os.path.join(folder, name)
                    if name.endswith((".py", ".json")) and path not in seen:
                        seen.add(path)
                        info = os.stat(path)
                        identity = f"{path}\0{info.st_mtime_ns}\0{info.st_size}\0"
                        digest.update(identity.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


# -- the file ----------------------------------------------------------------------------------------------


@dataclass
class Cache:
    """The findings of files, by profile (everything that has a say in the findings) and absolute path.

    Nothing here ever raises for a bad or unwritable cache: it is then empty, and stays unsaved.
    """

    directory: Path
    _profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    _used: list[str] = field(default_factory=list)
    _stamp: str = ""
    _changed: bool = False
    _states: dict[str, str] = field(default_factory=dict)
    _started: int = field(default_factory=time.time_ns)

    @classmethod
    def load(cls, directory: Path) -> Cache:
        """Reads the cache in `directory`; an absent, broken or foreign one gives an empty cache."""
        cache = cls(directory, _stamp=tool_stamp())
        path = directory / FILE_NAME
        try:
            if not _is_ours(directory) or path.is_symlink() or path.stat().st_size > _MAX_BYTES:
                return cache
            data = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return cache
        if not isinstance(data, dict) or data.get("stamp") != cache._stamp:
            return cache
        profiles = data.get("profiles")
        if isinstance(profiles, dict) and all(isinstance(p, dict) for p in profiles.values()):
            cache._profiles = profiles
        return cache

    def get(
        self, profile: str, path: str, info: os.stat_result, targets: frozenset[Target] | None
    ) -> Entry | None:
        """What is known of the file, if its time and size are those of then."""
        row = self._profiles.get(profile, {}).get(path)
        if row is None:
            return None
        try:
            modified, size, digest, suppressed, findings, learnt = _list(row, 6)
            if modified != info.st_mtime_ns or size != info.st_size or not self._holds(learnt):
                return None
            return Entry(
                tuple(placed_from_plain(f, targets) for f in _list(findings)),
                _number(suppressed),
                _string(digest),
            )
        except (_Foreign, ValueError, TypeError):
            return None

    def _holds(self, learnt: object) -> bool:
        """Are the other files that had a say as they were then?"""
        if learnt == {}:
            return True
        from uncuda.neighbours import state_of

        _need(isinstance(learnt, dict))
        assert isinstance(learnt, dict)
        for path, state in learnt.items():
            if path not in self._states:
                self._states[path] = state_of(path)
            if self._states[path] != state:
                return False
        return True

    def put(self, profile: str, path: str, info: os.stat_result, entry: Entry) -> None:
        """Notes what was found in a file that had this time and size before it was read."""
        if info.st_mtime_ns > self._started - _RACY_NS:
            return
        row = [
            info.st_mtime_ns,
            info.st_size,
            entry.digest,
            entry.suppressed,
            [placed_to_plain(f) for f in entry.findings],
            dict(entry.learnt),
        ]
        self._profiles.setdefault(profile, {})[path] = row
        self._changed = True

    def use(self, profile: str) -> None:
        """Marks a profile as wanted by this run: those not used for long are dropped."""
        if profile not in self._used:
            self._used.append(profile)

    def save(self) -> None:
        """Writes the cache if something changed. Failing to is no failure of the run."""
        if not self._changed:
            return
        rest = [p for p in self._profiles if p not in self._used]
        keep = [*rest, *self._used][-max(_KEPT_PROFILES, len(self._used)) :]
        data = {"stamp": self._stamp, "profiles": {p: self._profiles[p] for p in keep if p in self._profiles}}
        try:
            if not _prepare(self.directory):
                return
            from uncuda.writing import write_atomically

            write_atomically(self.directory / FILE_NAME, json.dumps(data, separators=(",", ":")).encode())
        except (OSError, ValueError):
            return


def _is_ours(directory: Path) -> bool:
    tag = directory / _TAG_NAME
    return not directory.is_symlink() and not tag.is_symlink() and tag.is_file()


def _prepare(directory: Path) -> bool:
    """Makes the directory with its two marker files. A directory that is there and isn't ours is left alone."""
    if directory.is_symlink() or directory.exists():
        return _is_ours(directory)
    directory.mkdir(parents=True)
    (directory / _TAG_NAME).write_text(_TAG, encoding="ascii")
    (directory / ".gitignore").write_text("*\n", encoding="ascii")
    return True


def profile_key(parts: Mapping[str, object]) -> str:
    """A short name for everything that has a say in a file's findings."""
    from hashlib import blake2b

    text = json.dumps({k: _stable(v) for k, v in parts.items()}, sort_keys=True)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _stable(value: object) -> object:
    if isinstance(value, (frozenset, set)):
        return sorted(map(str, value))
    if isinstance(value, (tuple, list)):
        return [_stable(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _stable(v) for k, v in value.items()}
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def digest_of(data: bytes) -> str:
    """The identity of a file's content."""
    from hashlib import blake2b

    return blake2b(data, digest_size=16).hexdigest()
