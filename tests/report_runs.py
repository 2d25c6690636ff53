"""Runs made for the report tests: real findings of real checks, and findings made up to the character."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from uncuda.engine import Options, check_text
from uncuda.findings import (
    Applicability,
    Category,
    Edit,
    Finding,
    Fix,
    Outcome,
    Severity,
    Target,
    TorchVersion,
    at_least,
)
from uncuda.results import FileResult, Run
from uncuda.runner import place, unparsable
from uncuda.source import Lines, decode

SUMMARIES = {"UC901": "A made-up rule for the tests", "UC902": "Another one"}
CRASH = {Target.CPU: Outcome.CRASH, Target.ASCEND: Outcome.CRASH, Target.ROCM: Outcome.WORKS}
SILENT = {Target.CPU: Outcome.WORKS, Target.ASCEND: Outcome.SILENT_CPU, Target.ROCM: Outcome.WORKS}


def finding(
    text: str,
    tie: str,
    *,
    code: str = "UC901",
    message: str = "`it` needs CUDA",
    outcomes: dict[Target, Outcome] | None = None,
    new: str | None = None,
    trust: Applicability = Applicability.SAFE,
    floor: TorchVersion | None = (2, 6),
    extra: Iterable[Edit] = (),
    needs: TorchVersion | None = None,
    at: int = 0,
) -> Finding:
    """A finding at the first `tie` in `text` past `at`, whose fix writes `new` for it."""
    start = text.index(tie, at)
    fix = None
    if new is not None:
        fix = Fix("Write it anew", (*extra, Edit(start, start + len(tie), new)), trust, floor)
    return Finding(
        code,
        "made-up",
        message,
        start,
        start + len(tie),
        "torch.made.up",
        Category.MANDATORY,
        1,
        CRASH if outcomes is None else outcomes,
        fix,
        needs,
    )


def result(
    path: Path,
    text: str,
    findings: Iterable[Finding],
    *,
    display: str | None = None,
    targets: frozenset[Target] | None = None,
    hidden: int = 0,
) -> FileResult:
    """What a run says of a file that holds `text`."""
    lines = Lines(text)
    placed = tuple(place(lines, f, targets) for f in findings)
    return FileResult(
        path=path,
        display=path.name if display is None else display,
        findings=placed,
        hidden=hidden,
        source=text,
        targets=targets,
        torch_floor=(2, 6),
    )


def run(*files: FileResult, root: Path = Path("/project"), unsafe: bool = False, fixing: bool = False) -> Run:
    """A run over `files`."""
    return Run(
        files=files,
        checked=len(files),
        root=root,
        unsafe=unsafe,
        fixing=fixing,
        command_line=("check", "."),
        summaries=lambda: SUMMARIES,
    )


def made_up(text: str, *findings: Finding, display: str = "a.py") -> Run:
    """A run over one file with made-up findings."""
    return run(result(Path("a.py"), text, findings, display=display))


def checked(
    directory: Path,
    files: dict[str, str | bytes],
    *,
    targets: frozenset[Target] | None = None,
    severity: Severity = Severity.WARNING,
) -> Run:
    """A run over real files, checked for real."""
    out: list[FileResult] = []
    for name, content in sorted(files.items()):
        data = content if isinstance(content, bytes) else content.encode()
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        text = decode(data).text
        lines = Lines(text)
        told = check_text(text, Options(targets=targets))
        if told.error is not None:
            placed = [unparsable(told.error, lines)]
        else:
            placed = [place(lines, f, targets) for f in told.findings]
        shown = tuple(p for p in placed if at_least(p.severity, severity))
        out.append(
            FileResult(
                path=Path(name),
                display=name,
                findings=shown,
                hidden=len(placed) - len(shown),
                source=text,
                targets=targets,
                torch_floor=(2, 6),
            )
        )
    return replace(run(*out, root=directory), summaries=_summaries)


def _summaries() -> dict[str, str]:
    from uncuda.rules.catalogue import catalogue

    return {info.code: info.summary for info in catalogue()}
