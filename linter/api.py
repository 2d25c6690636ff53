"""Checking and fixing a text from Python: `uncuda.check_source` and `uncuda.fix_source`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from uncuda.findings import Applicability, Category, Outcome, Severity, Target, TorchVersion
from uncuda.results import Applied, Placed, PlacedEdit, Position
from uncuda.runner import Examined, Job, Mode, examine_text, shown
from uncuda.settings import SettingsError


@dataclass(frozen=True, slots=True)
class SourceFix:
    """What would repair a finding: edits that belong together.

    `safe` was executed before and after, `unsafe` wants a second look, `display` is never applied.
    `torch_floor` is the first torch that has everything the new text uses (None: any).
    """

    title: str
    applicability: Applicability
    edits: tuple[PlacedEdit, ...]
    torch_floor: TorchVersion | None


@dataclass(frozen=True, slots=True)
class SourceFinding:
    """One tie to CUDA. Rows and columns count from 1, columns in characters; `end` is past the last one."""

    code: str
    name: str
    message: str
    severity: Severity
    category: Category
    effort: int
    symbol: str
    outcomes: Mapping[Target, Outcome]
    start: Position
    end: Position
    fix: SourceFix | None


@dataclass(frozen=True, slots=True)
class CheckedSource:
    """The findings in the order of the text, and how many a comment silenced."""

    findings: tuple[SourceFinding, ...]
    suppressed: int


@dataclass(frozen=True, slots=True)
class FixedSource:
    """The text after its fixes, and what is left in it.

    `error` says why nothing was changed, where a fixed text would not have parsed.
    """

    text: str
    applied: tuple[Applied, ...]
    findings: tuple[SourceFinding, ...]
    suppressed: int
    error: str | None


def check_source(
    text: str,
    *,
    filename: str | os.PathLike[str] | None = None,
    torch_floor: str | None = None,
    targets: Iterable[str | Target] | None = None,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    severity: str | Severity | None = None,
) -> CheckedSource:
    """Finds the ties to CUDA in a Python text. The text is never run or imported.

    - `filename`: the file that the text belongs to. Its project's settings and torch floor count then, where
      no argument says otherwise; the file itself isn't read. Without it no file is read at all.
    - `torch_floor`: the oldest torch that fixed code must run on, such as `"2.4"` (otherwise `"2.6"`).
    - `targets`: the hardware that counts, such as `["ascend", "rocm"]` (otherwise all).
    - `select`, `ignore`: rules by code, prefix, name or `"ALL"`.
    - `severity`: the least grave findings to give, `"error"`, `"warning"` or `"info"` (otherwise `"warning"`).

    A text that isn't Python gives one finding, UC000. Raises ValueError for an argument that makes no sense,
    and for settings of the project that don't.
    """
    job = _job(filename, torch_floor, targets, select, ignore, severity, unsafe=False)
    done = examine_text(text, job, Mode.CHECK)
    return CheckedSource(_findings(done, job), done.suppressed)


def fix_source(
    text: str,
    *,
    filename: str | os.PathLike[str] | None = None,
    torch_floor: str | None = None,
    targets: Iterable[str | Target] | None = None,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    severity: str | Severity | None = None,
    unsafe: bool = False,
) -> FixedSource:
    """Finds the ties to CUDA in a Python text and makes the fixes that may be made.

    Takes what `check_source` takes, and `unsafe`: make the fixes that want a second look as well. Everything
    outside the fixes stays as it is, line breaks included. Raises ValueError as `check_source` does.
    """
    job = _job(filename, torch_floor, targets, select, ignore, severity, unsafe=unsafe)
    done = examine_text(text, job, Mode.FIX)
    return FixedSource(
        text=text if done.new is None else done.new,
        applied=done.applied,
        findings=_findings(done, job),
        suppressed=done.suppressed,
        error=None if done.problem is None else done.problem.message,
    )


def _job(
    filename: str | os.PathLike[str] | None,
    torch_floor: str | None,
    targets: Iterable[str | Target] | None,
    select: Iterable[str] | None,
    ignore: Iterable[str] | None,
    severity: str | Severity | None,
    *,
    unsafe: bool,
) -> Job:
    """The arguments as settings, checked word by word as those of a file."""
    from uncuda import neighbours
    from uncuda.cli.plan import Profiles
    from uncuda.discovery import Found
    from uncuda.floor import SUPPOSED
    from uncuda.results import dotted
    from uncuda.rules.catalogue import pairs
    from uncuda.settings import Overrides, SettingsTree

    if not isinstance(torch_floor, (str, type(None))):
        raise ValueError(f'torch_floor: must be a text such as "2.6", not {torch_floor!r}')
    if torch_floor is None and filename is None:
        torch_floor = dotted(SUPPOSED)
    given: dict[str, object] = {
        "torch-floor": torch_floor,
        "targets": _listed("targets", targets),
        "select": _listed("select", select),
        "ignore": _listed("ignore", ignore),
        "severity": severity.value if isinstance(severity, Severity) else severity,
    }
    values = {key: value for key, value in given.items() if value is not None}
    origins = {key: key.replace("-", "_") for key in values}
    # Only asked for, never forbidden: a project may allow unsafe fixes in its settings.
    values |= {"unsafe-fixes": True} if unsafe else {}
    values |= {"project": False} if filename is None else {}
    neighbours.forget()  # files may have changed since an earlier call
    try:
        tree = SettingsTree(
            {word for pair in pairs() for word in pair},
            overrides=[Overrides(values, origins)],
            isolated=filename is None,
        )
        path = os.path.abspath("text.py" if filename is None else filename)
        return Profiles(whole_file=False).job(Found(path, tree.for_file(path)), tree.cwd)
    except SettingsError as error:
        raise ValueError(str(error)) from None


def _listed(name: str, items: Iterable[str | Target] | None) -> Sequence[str] | None:
    if items is None:
        return None
    if isinstance(items, str):
        raise ValueError(f"{name}: must be several texts, not one: [{items!r}]")
    return [item.value if isinstance(item, Target) else item for item in items]


def _findings(done: Examined, job: Job) -> tuple[SourceFinding, ...]:
    return tuple(map(_finding, shown(done.findings, job.profile)))


def _finding(placed: Placed) -> SourceFinding:
    finding, fix = placed.finding, placed.fix
    return SourceFinding(
        code=finding.code,
        name=finding.name,
        message=finding.message,
        severity=placed.severity,
        category=finding.category,
        effort=finding.effort,
        symbol=finding.symbol,
        outcomes=finding.outcomes,
        start=placed.start,
        end=placed.end,
        fix=None if fix is None else SourceFix(fix.title, fix.applicability, placed.edits, fix.torch_floor),
    )
