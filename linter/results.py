"""What a run over files produced, as plain data: the only thing that reports look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from uncuda.findings import Applicability, Finding, Fix, Outcome, Severity, Target, TorchVersion

UNPARSABLE = "UC000"
"""The code of the finding that stands for a file Python can't parse."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text: row and column, both from 1; columns count characters."""

    row: int
    column: int


@dataclass(frozen=True, slots=True)
class PlacedEdit:
    """An edit with the rows and columns of its two ends."""

    start: Position
    end: Position
    text: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A finding with its rows and columns, and its severity on the targets chosen for its file."""

    finding: Finding
    severity: Severity
    start: Position
    end: Position
    edits: tuple[PlacedEdit, ...] = ()

    @property
    def fix(self) -> Fix | None:
        """The finding's fix, when it has edits that could be made."""
        fix = self.finding.fix
        return fix if fix is not None and fix.edits else None

    def fixable(self, unsafe: bool) -> bool:
        """Would `--fix` (with `--unsafe-fixes` when `unsafe`) repair it?"""
        if self.fix is None:
            return False
        wanted = self.fix.applicability
        return wanted is Applicability.SAFE or (unsafe and wanted is Applicability.UNSAFE)


class ProblemKind(str, Enum):
    """Why the tool could not do its work on a file."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNDECODABLE = "undecodable"
    UNWRITABLE = "unwritable"
    BAD_FIX = "bad-fix"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure of the tool on one file; any of them makes the exit code 2."""

    kind: ProblemKind
    message: str
    detail: str = ""
    """The traceback of an internal error."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A fix that was made (or, with `--diff`, would be)."""

    code: str
    name: str
    title: str
    applicability: Applicability


@dataclass(frozen=True)
class FileResult:
    """Everything about one file.

    `findings` are those to show; `hidden` were below the severity asked for, `suppressed` were silenced by a
    comment or a per-file setting. `old` and `new` are set when a fix changed the text (also under `--diff`).
    `source` is the text that the findings' offsets refer to, where it can't be read from `path`.
    """

    path: Path
    display: str
    findings: tuple[Placed, ...] = ()
    hidden: int = 0
    suppressed: int = 0
    applied: tuple[Applied, ...] = ()
    problem: Problem | None = None
    old: str | None = None
    new: str | None = None
    source: str | None = None
    targets: frozenset[Target] | None = None
    torch_floor: TorchVersion | None = None
    floor_origin: str = ""
    fail_on: Severity = Severity.INFO

    def text(self) -> str | None:
        """The text that the findings' offsets refer to; None when the file can't be read any more."""
        if self.source is not None:
            return self.source
        from uncuda.source import SourceError, decode

        try:
            return decode(self.path.read_bytes()).text
        except (OSError, SourceError):
            return None


@dataclass(frozen=True)
class Run:
    """A whole run: the files with something to say, in path order, and the totals."""

    files: tuple[FileResult, ...]
    checked: int
    root: Path
    """The directory that displayed paths are relative to."""
    fixing: bool = False
    """Were fixes written (`--fix`)?"""
    diffing: bool = False
    """Were fixes worked out, not written (`--diff`)?"""
    unsafe: bool = False
    """Were unsafe fixes asked for?"""
    totals: bool = True
    """Do text reports close with the totals?"""
    command_line: tuple[str, ...] = ()
    summaries: Callable[[], Mapping[str, str]] = field(default=dict, compare=False)
    """Rule code to one-line summary, asked for by the reports that show it."""

    @property
    def findings(self) -> list[tuple[FileResult, Placed]]:
        """Every shown finding with its file, in order."""
        return [(file, placed) for file in self.files for placed in file.findings]

    @property
    def problems(self) -> list[tuple[FileResult, Problem]]:
        """Every failure with its file, in order."""
        return [(file, file.problem) for file in self.files if file.problem is not None]


OUTCOME_ORDER = (
    Outcome.CRASH,
    Outcome.SILENT_CPU,
    Outcome.DEGRADED,
    Outcome.UNKNOWN,
    Outcome.HARMLESS,
    Outcome.WORKS,
)
"""Worst first."""


def grouped_outcomes(
    finding: Finding, targets: frozenset[Target] | None
) -> list[tuple[Outcome, tuple[Target, ...]]]:
    """Outcomes of a finding on the chosen targets (None: all), worst first, targets in their usual order."""
    groups: dict[Outcome, list[Target]] = {}
    for target in Target:
        outcome = finding.outcomes.get(target)
        if outcome is not None and (targets is None or target in targets):
            groups.setdefault(outcome, []).append(target)
    return [(outcome, tuple(groups[outcome])) for outcome in OUTCOME_ORDER if outcome in groups]


def dotted(version: TorchVersion) -> str:
    """`2.6` for `(2, 6)`."""
    return ".".join(map(str, version))
