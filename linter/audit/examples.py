"""Ties in examples: code fences in texts, and examples in docstrings. They are shown, and counted apart: nobody's
program runs them, but readers copy them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from uncuda.around.kinds import Kind, kind_of
from uncuda.around.snippets import Snippet, in_docstrings, in_text, joined
from uncuda.audit.judge import tie
from uncuda.audit.model import Tie
from uncuda.findings import Finding, Target
from uncuda.results import Placed, Position
from uncuda.runner import Job
from uncuda.source import Lines, SourceError, decode


def is_text(job: Job) -> bool:
    """Is the job's file a text with code in it, rather than code?"""
    return kind_of(os.fspath(job.path)) is Kind.TEXT


def examples(jobs: Iterable[Job], targets: Sequence[Target]) -> list[Tie]:
    """The ties in the examples of texts and Python modules, in the order of the files."""
    found: list[Tie] = []
    for job in jobs:
        if not (is_text(job) or job.is_python):
            continue
        try:
            data = job.path.read_bytes()
        except OSError:
            continue
        found += of_file(data, job, targets)
    return found


def of_file(data: bytes, job: Job, targets: Sequence[Target]) -> list[Tie]:
    """The ties in the examples of one file's content."""
    from uncuda.prefilter import needs_check, needs_look

    codes = job.profile.codes
    text_file = is_text(job)
    if not (needs_check(data, codes) or (text_file and needs_look(data, codes, python=True))):
        return []
    if text_file:
        snippets = joined(in_text(data.decode("utf-8", "replace")))
    else:
        try:
            text = decode(data).text
        except SourceError:
            return []
        # Most files name CUDA in their code, and have examples about something else: those aren't parsed.
        if not any(
            needs_check(s.text.encode("utf-8", "replace"), codes)
            or needs_look(s.text.encode("utf-8", "replace"), codes, python=False)
            for s in in_text(text)
        ):
            return []
        snippets = in_docstrings(text)
    shown = job.display.replace("\\", "/")
    ties = [tie(shown, placed, targets) for snippet in snippets for placed in _placed(snippet, job)]
    return sorted(ties, key=lambda t: t.row)


def _placed(snippet: Snippet, job: Job) -> Iterator[Placed]:
    lines = Lines(snippet.text)
    for finding in _findings(snippet, job):
        row = snippet.rows[min(lines.position(finding.start)[0] - 1, len(snippet.rows) - 1)]
        if row and finding.outcomes:
            # A fix would reach into the prose around the code.
            finding = replace(finding, fix=None)
            at = Position(row, 1)
            yield Placed(finding, finding.severity(job.profile.targets), at, at)


def _findings(snippet: Snippet, job: Job) -> tuple[Finding, ...]:
    if snippet.kind is Kind.PYTHON:
        from uncuda.engine import check_text

        return check_text(snippet.text, job.profile.options()).findings
    from uncuda.around.engine import check_file

    return check_file(
        snippet.text, snippet.kind, shown="", codes=job.profile.codes, targets=job.profile.targets
    )
