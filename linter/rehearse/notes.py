"""Reads what the processes of a rehearsal have written down."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OWN, LIBRARY = "project", "library"
_CRASH_LINE = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+)')


@dataclass(frozen=True)
class Line:
    """A line of a file, and whose the file is: `project` or `library`."""

    file: str
    line: int
    owner: str = OWN

    @property
    def is_own(self) -> bool:
        """Is it the project's own code?"""
        return self.owner == OWN


@dataclass(frozen=True)
class Seen:
    """Something seen at a line, and how often."""

    subject: str
    at: Line
    times: int


@dataclass(frozen=True)
class Raised:
    """An exception that ended a process; `lines` are those it went through, the innermost last."""

    error: str
    text: str
    lines: tuple[Line, ...]
    time: float

    @property
    def own_line(self) -> Line | None:
        """The innermost line of the project."""
        return next((line for line in reversed(self.lines) if line.is_own), None)


@dataclass
class Notes:
    """What all the processes of a rehearsal saw. `way` is None when none of them imported torch."""

    processes: int = 0
    """Those that imported torch."""
    way: str | None = None
    why: str = ""
    torch: str = ""
    touches: list[Seen] = field(default_factory=list)
    mixed: list[Seen] = field(default_factory=list)
    computed_on_cpu: list[Seen] = field(default_factory=list)
    operators: Counter[str] = field(default_factory=Counter)
    groups: list[Seen] = field(default_factory=list)
    stand_ins: list[Seen] = field(default_factory=list)
    raised: list[Raised] = field(default_factory=list)
    broken: str | None = None
    """Why the device could not be simulated, where it should have been."""
    crash: tuple[Line, ...] | None = None
    """The lines of Python that led to a native crash, the innermost first."""


_SEEN = {
    "touch": "touches",
    "mixed": "mixed",
    "cpu": "computed_on_cpu",
    "group": "groups",
    "stand-in": "stand_ins",
}


def read(folder: Path) -> Notes:
    """The notes in a folder."""
    notes = Notes()
    seen: dict[str, dict[tuple[str, Line], int]] = {kind: {} for kind in _SEEN}
    for path in sorted(folder.glob("*.jsonl"), key=lambda p: int(p.stem)):
        first: dict[tuple[str, str, str, int], str] = {}
        operators: Counter[str] = Counter()
        for row in _rows(path):
            kind = row["kind"]
            if kind in _SEEN:
                key = (kind, row["subject"], row["file"], row["line"])
                first[key] = row["owner"]
                _add(seen[kind], row, row["owner"], 1)
            elif kind == "times":
                owner = first.get((row["of"], row["subject"], row["file"], row["line"]))
                if owner is not None:
                    _add(seen[row["of"]], row, owner, row["times"] - 1)
            elif kind == "op":
                operators[row["name"]] = 1
            elif kind == "ops":
                operators.update({name: times - 1 for name, times in row["times"].items()})
            else:
                _other(notes, kind, row)
        notes.operators += operators
    for kind, attribute in _SEEN.items():
        getattr(notes, attribute).extend(Seen(subject, at, n) for (subject, at), n in seen[kind].items())
    notes.raised.sort(key=lambda r: r.time)
    notes.crash = _crash(folder)
    return notes


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # the process ended while it wrote this


def _add(counts: dict[tuple[str, Line], int], row: Mapping[str, Any], owner: str, times: int) -> None:
    key = (row["subject"], Line(row["file"], row["line"], owner))
    counts[key] = counts.get(key, 0) + times


def _other(notes: Notes, kind: str, row: Mapping[str, Any]) -> None:
    if kind == "torch":
        notes.processes += 1
        if notes.way is None:
            notes.way, notes.why, notes.torch = row["way"], row["why"], row["version"]
    elif kind == "raised":
        lines = tuple(Line(*place) for place in row["places"])
        notes.raised.append(Raised(row["error"], row["text"], lines, row["time"]))
    elif kind == "broken":
        notes.broken = f"{row['error']}: {row['text']}"


def _crash(folder: Path) -> tuple[Line, ...] | None:
    """The first native crash: Python wrote its own lines then, those of the crashed thread first."""
    for path in sorted(folder.glob("*.crash")):
        text = path.read_text("utf-8", "replace")
        if text.startswith("Fatal Python error"):
            current = text.partition("Current thread")[2] or text
            current = current.partition("\n\n")[0]
            return tuple(
                Line(m["file"], int(m["line"]), _owner(m["file"])) for m in _CRASH_LINE.finditer(current)
            )
    return None


def _owner(file: str) -> str:
    """Whose a file is, by its place: a crashed process could not say."""
    parts = Path(file).parts
    foreign = file.startswith("<") or any(p in ("site-packages", "dist-packages") for p in parts)
    installed = any(p.startswith("python3.") and q == "lib" for q, p in itertools.pairwise(parts))
    rehearsal = Path(__file__).resolve().parent in Path(file).parents
    return LIBRARY if foreign or installed or rehearsal else OWN
