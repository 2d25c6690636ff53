"""What a run over files produced, as plain data: the only thing that reports look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from uncuda.findings import Applicability, Finding, Fix, Outcome, Severity, Target, TorchVersion

if TYPE_CHECKING:
    from uncuda.notebooks import Notebook

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
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A finding with its rows and columns, and its severity on the targets chosen for its file."""

    finding: Finding
    severity: Severity
    start: Position
    end: Position
    edits: tuple[PlacedEdit, ...] = ()
    cell: int | None = None
    """The cell of a notebook that the rows and columns count in."""

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
    `source` is the content of the file, where it can't be read from `path`. Findings in a notebook have their
    places in its joined cells (`joined`), until a report takes it apart: then `cell` says which one this is.
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
    joined: bool = True
    cell: int | None = None

    @property
    def is_notebook(self) -> bool:
        """Are the findings' places those of a notebook's joined cells?"""
        return self.joined and self.path.suffix == ".ipynb"

    @cached_property
    def notebook(self) -> Notebook | None:
        """The notebook, read again; None for other files, and when it can't be read any more."""
        if not self.is_notebook:
            return None
        from uncuda.around.texts import decode_any
        from uncuda.notebooks import NotebookError, read_notebook

        try:
            return read_notebook(
                decode_any(self.path.read_bytes()).text if self.source is None else self.source
            )
        except (OSError, NotebookError):
            return None

    def text(self) -> str | None:
        """The text that the findings' offsets refer to; None when the file can't be read any more."""
        if self.is_notebook:
            return None if self.notebook is None else self.notebook.plain
        if self.source is not None:
            return self.source
        from uncuda.around.texts import text_of

        try:
            return text_of(os.fspath(self.path), self.path.read_bytes())
        except OSError:
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
