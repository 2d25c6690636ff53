"""Checks and fixes the cells of one notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from uncuda.around.engine import check_items
from uncuda.around.kinds import Kind
from uncuda.around.notebook_shell import items_of_notebook
from uncuda.around.texts import decode_any
from uncuda.context import Options
from uncuda.findings import Finding, at_least
from uncuda.notebook_cells import mask
from uncuda.notebooks import Notebook, NotebookError, read_notebook
from uncuda.parsing import ParseError, Unreadable, parse_ast
from uncuda.prefilter import triggers
from uncuda.results import UNPARSABLE, Applied, Placed, Problem, ProblemKind
from uncuda.runner import Examined, Job, Mode, place, restrained, shown, unparsable
from uncuda.source import Lines
from uncuda.suppressions import silence


def examine_notebook(data: bytes, job: Job, mode: Mode) -> Examined:
    """Checks or fixes a notebook. Rows and columns of the findings are those of its joined text."""
    source = decode_any(data)
    try:
        notebook = read_notebook(source.text)
    except NotebookError as error:
        return Examined(problem=Problem(ProblemKind.UNDECODABLE, str(error)))
    if notebook is None:
        return Examined()
    findings, suppressed = _settled(notebook, job, _python(notebook.code, job))
    result = Examined(_placed(notebook, findings, job), suppressed)
    profile = job.profile
    if mode is Mode.CHECK or not any(p.fixable(profile.unsafe) for p in shown(result.findings, profile)):
        return result
    from uncuda.engine import fix_text

    def keep(text: str, found: tuple[Finding, ...]) -> list[Finding]:
        wanted = _settled(replace(notebook, code=text), job, found, magics=False)[0]
        return [f for f in wanted if at_least(f.severity(profile.targets), profile.severity)]

    fixed = fix_text(notebook.code, _options(job), unsafe=profile.unsafe, keep=keep)
    if fixed.error is not None:
        return replace(result, problem=Problem(ProblemKind.BAD_FIX, fixed.error))
    if fixed.text == notebook.code:
        return result
    try:
        new = notebook.rewritten(fixed.text)
        after = read_notebook(new)
    except NotebookError as error:
        return replace(result, problem=Problem(ProblemKind.BAD_FIX, f"its fixes were not written: {error}"))
    assert after is not None
    left, suppressed = _settled(after, job, _python(after.code, job))
    return Examined(
        findings=_placed(after, left, job),
        suppressed=suppressed,
        applied=tuple(
            Applied(f.code, f.name, f.fix.title, f.fix.applicability)
            for f in fixed.applied
            if f.fix is not None
        ),
        old=source.text,
        new=new,
        data=source.encode(new),
    )


def _options(job: Job) -> Options:
    return replace(job.profile.options(), own=job.own)


def _python(code: str, job: Job) -> Sequence[Finding]:
    from uncuda.engine import check_text

    return check_text(code, _options(job)).findings


def _settled(
    notebook: Notebook, job: Job, python: Sequence[Finding], *, magics: bool = True
) -> tuple[list[Finding], int]:
    """The findings that count, restrained, and how many were suppressed."""
    profile = job.profile
    codes = profile.codes - job.ignored
    found = [f for f in python if f.code in codes]
    if magics:
        items = items_of_notebook(notebook)
        found += check_items(items, notebook.plain, Kind.NOTEBOOK, "", job.display, codes, profile.targets)
        found.sort(key=lambda f: (f.start, f.end, f.code))
    kept, suppressed = silence(notebook.code, found, codes=codes, require_reason=profile.require_reason)
    return [restrained(f, profile) for f in kept], suppressed


def _placed(notebook: Notebook, findings: Sequence[Finding], job: Job) -> tuple[Placed, ...]:
    lines = Lines(notebook.plain)
    out = [place(lines, finding, job.profile.targets) for finding in findings]
    if UNPARSABLE in job.profile.codes and UNPARSABLE not in job.ignored:
        out += (unparsable(error, lines) for error in _unparsable_cells(notebook, job))
        out.sort(key=lambda p: (p.finding.start, p.finding.end, p.finding.code))
    return tuple(out)


def _unparsable_cells(notebook: Notebook, job: Job) -> Iterator[ParseError]:
    """What is wrong with the cells that aren't Python though they should be, and may hold a tie."""
    for cell in notebook.cells:
        if cell.code == cell.source or cell.code.strip("#\r\n \t"):
            continue
        masked = mask(cell.source)
        if masked == cell.code or not triggers(job.profile.codes).found_in(cell.source):
            continue
        try:
            parse_ast(masked)
        except Unreadable as unreadable:
            above = notebook.plain.count("\n", 0, cell.start)
            yield replace(unreadable.error, row=unreadable.error.row + above)
