"""What an audit says, as plain data: reports are made of this and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

from uncuda.findings import Outcome, Target
from uncuda.results import Placed

FORMAT = "uncuda-audit/1"
"""The name and version of the JSON report's shape."""


class Verdict(str, Enum):
    """Where a project stands on a target."""

    READY = "ready"
    AFTER_FIXES = "ready after automatic fixes"
    WORK = "work needed"
    BLOCKED = "blocked"


class Remedy(str, Enum):
    """How a tie is undone."""

    NONE = "nothing to do"
    SAFE = "safe fix"
    UNSAFE = "unsafe fix"
    SUGGESTION = "suggestion"
    HAND = "by hand"


@dataclass(frozen=True)
class Tie:
    """A finding, with where it is and how it is undone."""

    path: str
    placed: Placed
    kind: str
    remedy: Remedy
    blocker: bool
    """Is there no known way to undo it by editing this line: a kernel, a package without a substitute?"""
    points: float = 0.0
    """Its share of the whole effort."""

    @property
    def code(self) -> str:
        """The rule's code."""
        return self.placed.finding.code

    @property
    def symbol(self) -> str:
        """What it is a tie to."""
        return self.placed.finding.symbol

    @property
    def row(self) -> int:
        """The row that it starts at."""
        return self.placed.start.row

    def outcome(self, target: Target) -> Outcome:
        """What happens on `target`."""
        return self.placed.finding.outcomes.get(target, Outcome.UNKNOWN)


@dataclass(frozen=True)
class Place:
    """A line of a file, with what is there."""

    path: str
    row: int
    text: str


@dataclass(frozen=True)
class Days:
    """An honest range of working days."""

    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """One target: its verdict, what happens there today, what blocks, and what it takes."""

    target: Target
    title: str
    verdict: Verdict
    counts: dict[Outcome, int]
    silent: tuple[Place, ...]
    crashes: tuple[Place, ...]
    degraded: tuple[Place, ...]
    blockers: tuple[Place, ...]
    left: dict[Remedy, int]
    points: float
    days: Days


@dataclass(frozen=True)
class KindRow:
    """A row of the table by kind."""

    key: str
    title: str
    count: int
    outcomes: dict[Outcome, int]
    """The worst outcome of each tie on the chosen targets."""
    remedies: dict[Remedy, int]
    points: float


@dataclass(frozen=True)
class ApiRow:
    """An API, argument, package, kernel or variable that is used, with its status on each target."""

    symbol: str
    count: int
    places: tuple[Place, ...]
    outcomes: dict[Target, Outcome]
    replacement: str
    points: float


@dataclass(frozen=True)
class FamilyRow:
    """The ties of one family of rules, such as UC1."""

    code: str
    title: str
    count: int
    outcomes: dict[Outcome, int]
    remedies: dict[Remedy, int]


@dataclass(frozen=True)
class SourceRow:
    """Kernels of one language: how much there is to port."""

    language: str
    files: int
    kernels: int
    lines: int
    """Of native sources the whole files', of kernels in Python those of their functions."""


@dataclass(frozen=True)
class Spot:
    """A file or directory by effort."""

    path: str
    ties: int
    points: float


@dataclass(frozen=True)
class Step:
    """One thing to do in a phase."""

    title: str
    count: int
    points: float
    detail: str = ""
    command: str = ""


@dataclass(frozen=True)
class Phase:
    """A phase of the plan."""

    title: str
    why: str
    steps: tuple[Step, ...]
    points: float
    days: Days
    risks: tuple[str, ...] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        """What is pasted into a shell."""
        return tuple(step.command for step in self.steps if step.command)

    @property
    def tasks(self) -> tuple[Step, ...]:
        """What a person does: the steps without a command."""
        return tuple(step for step in self.steps if not step.command)

    @property
    def count(self) -> int:
        """How many things a person does."""
        return sum(step.count for step in self.tasks)


@dataclass(frozen=True)
class Point:
    """One commit of the trend: how many ties there were, how many that hurt, and the effort left."""

    commit: str
    time: int
    """Seconds since 1970."""
    ties: int
    hurting: int
    points: float

    @property
    def day(self) -> str:
        """The day of the commit, in UTC."""
        return datetime.fromtimestamp(self.time, timezone.utc).date().isoformat()


@dataclass(frozen=True)
class Audit:
    """The whole report."""

    root: Path
    """What the ties' paths are relative to."""
    name: str
    targets: tuple[Target, ...]
    torch_floor: str
    files: int
    """Files that were looked at."""
    lines: int
    ties: tuple[Tie, ...]
    standings: tuple[Standing, ...]
    kinds: tuple[KindRow, ...]
    families: tuple[FamilyRow, ...]
    outcomes: dict[Outcome, int]
    """The worst outcome of each tie on the chosen targets."""
    apis: tuple[ApiRow, ...]
    packages: tuple[ApiRow, ...]
    kernels: tuple[ApiRow, ...]
    sources: tuple[SourceRow, ...]
    deployment: tuple[ApiRow, ...]
    gates: tuple[Place, ...]
    """Tests that never run off CUDA."""
    guards: tuple[Place, ...]
    """Ties that are handled already: under a question for CUDA, beside a branch for another device, in a file of CUDA's own."""
    hotspots: tuple[Spot, ...]
    directories: tuple[Spot, ...]
    plan: tuple[Phase, ...]
    points: float
    days: Days
    assumptions: tuple[str, ...]
    remedies: dict[Remedy, int]
    examples: tuple[Tie, ...] = ()
    """Ties in code that stands in prose; in no total but their own."""
    problems: tuple[tuple[str, str], ...] = ()
    """Files that the tool failed on, and why."""
    unparsed: tuple[tuple[str, str], ...] = ()
    """Files that aren't Python of today, and where they stop being it: nothing in them was checked."""
    entry: str | None = None
    revision: str | None = None
    web: str | None = None
    """The address of the repository's files at this revision, when the remote is known."""
    suppressed: int = 0
    trend: tuple[Point, ...] = ()
