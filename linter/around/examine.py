"""Checks the content of one file that isn't a Python module, and fixes what can be fixed in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from uncuda.around.comments import WITHOUT, layout_of
from uncuda.around.engine import check_file
from uncuda.around.kinds import Kind, kind_of
from uncuda.around.texts import decode_any
from uncuda.findings import Finding
from uncuda.fixes.apply import apply, choose
from uncuda.prefilter import needs_look
from uncuda.results import Applied, Placed, Problem, ProblemKind
from uncuda.runner import Examined, Job, Mode, place, shown
from uncuda.source import Lines, SourceError
from uncuda.suppressions import silence

MOST = 8 * 1024 * 1024
"""Larger files of this sort are data; they are passed over."""


def examine_other(data: bytes, job: Job, mode: Mode) -> Examined:
    """Checks or fixes the content of a file that isn't a Python module."""
    kind = kind_of(os.fspath(job.path))
    assert kind is not None
    if kind is Kind.NOTEBOOK:
        from uncuda.around.examine_notebook import examine_notebook

        return examine_notebook(data, job, mode)
    return examine_around(data, job, mode, kind)


def is_worth_reading(data: bytes, job: Job) -> bool:
    """Can there be something in the content of such a file for the rules in force?"""
    return needs_look(data, job.profile.codes, python=kind_of(os.fspath(job.path)) is Kind.NOTEBOOK)


def examine_around(data: bytes, job: Job, mode: Mode, kind: Kind) -> Examined:
    """Checks or fixes a file's content. The fixes are those of comments that silence nothing."""
    if len(data) > MOST:
        return Examined()
    source = decode_any(data)
    findings, suppressed = settled(source.text, job, kind)
    result = Examined(placed(source.text, findings, job), suppressed)
    wanted = [p.finding for p in shown(result.findings, job.profile) if p.fixable(job.profile.unsafe)]
    if mode is Mode.CHECK or not wanted:
        return result
    chosen = choose(wanted)
    new = apply(source.text, (edit for f in chosen if f.fix for edit in f.fix.edits))
    try:
        encoded = source.encode(new)
    except SourceError as error:
        return replace(
            result, problem=Problem(ProblemKind.UNWRITABLE, f"its fixes were not written: {error}")
        )
    left, suppressed = settled(new, job, kind)
    applied = tuple(
        Applied(f.code, f.name, f.fix.title, f.fix.applicability) for f in chosen if f.fix is not None
    )
    return Examined(placed(new, left, job), suppressed, applied, old=source.text, new=new, data=encoded)


def settled(text: str, job: Job, kind: Kind) -> tuple[list[Finding], int]:
    """The findings in a text that count, and how many were silenced."""
    codes = job.profile.codes - job.ignored
    found = check_file(
        text,
        kind,
        path=os.fspath(job.path),
        shown=job.display,
        codes=codes,
        targets=job.profile.targets,
        others=None if job.beside is None else job.beside.others,
    )
    if kind in WITHOUT:
        return list(found), 0
    layout = layout_of(os.fspath(job.path), text)
    return silence(text, found, codes=codes, require_reason=job.profile.require_reason, layout=layout)


def placed(text: str, findings: Sequence[Finding], job: Job) -> tuple[Placed, ...]:
    """Findings with their rows and columns."""
    if not findings:
        return ()
    lines = Lines(text)
    return tuple(place(lines, finding, job.profile.targets) for finding in findings)
