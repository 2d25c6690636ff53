"""Findings in notebooks as a reader counts: by cell, with rows and columns of the cell, or by the lines of the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from uncuda.findings import Edit
from uncuda.notebooks import Cell, Notebook
from uncuda.results import FileResult, Placed, PlacedEdit, Position, Run
from uncuda.source import Lines


def by_cells(run: Run) -> Run:
    """The run, each notebook in it a file for each of its cells with findings."""
    if not any(file.is_notebook and file.findings for file in run.files):
        return run
    return replace(run, files=tuple(part for file in run.files for part in _parts(file)))


def in_files(run: Run) -> Run:
    """The run, findings in notebooks at their places in the files, where no fix can be shown."""
    if not any(file.is_notebook and file.findings for file in run.files):
        return run
    return replace(run, files=tuple(map(as_written, run.files)))


def as_written(file: FileResult) -> FileResult:
    """A notebook's result with the places of the JSON that it is."""
    notebook = file.notebook
    if notebook is None or not file.findings:
        return file
    lines = Lines(notebook.text)
    findings = tuple(_in_file(placed, notebook, lines) for placed in file.findings)
    return replace(file, findings=findings, source=notebook.text, joined=False)


def _in_file(placed: Placed, notebook: Notebook, lines: Lines) -> Placed:
    finding = placed.finding
    start = notebook.raw(finding.start)
    # The last character's place: a finding that ends with its line may end in another text of the JSON.
    end = notebook.raw(finding.end - 1) + 1 if finding.end > finding.start else start
    end = max(end, start)
    return Placed(
        replace(finding, start=start, end=end, fix=None),
        placed.severity,
        Position(*lines.position(start)),
        Position(*lines.position(end)),
        cell=notebook.cell(finding.start).number,
    )


def _parts(file: FileResult) -> Iterator[FileResult]:
    notebook = file.notebook
    if notebook is None or not file.findings:
        yield file
        return
    found: dict[int, list[Placed]] = {}
    for placed in file.findings:
        found.setdefault(notebook.cells.index(notebook.cell(placed.finding.start)), []).append(placed)
    first = True
    for number, listed in found.items():
        cell = notebook.cells[number]
        part = replace(
            file,
            display=f"{file.display}:cell {cell.number}",
            findings=tuple(_in_cell(placed, notebook, cell) for placed in listed),
            source=cell.source,
            joined=False,
            cell=cell.number,
        )
        if not first:
            part = replace(part, hidden=0, suppressed=0, applied=(), problem=None, old=None, new=None)
        first = False
        yield part


def _in_cell(placed: Placed, notebook: Notebook, cell: Cell) -> Placed:
    finding, fix = placed.finding, placed.finding.fix
    lines = Lines(cell.source)

    def at(offset: int) -> Position:
        return Position(*lines.position(min(max(0, offset - cell.start), len(cell.source))))

    if fix is not None:
        own = [e for e in fix.edits if cell.start <= e.start and e.end <= cell.end + 1]
        moved = tuple(
            Edit(e.start - cell.start, min(e.end - cell.start, len(cell.source)), e.text) for e in own
        )
        fix = replace(fix, edits=moved)
    return Placed(
        replace(finding, start=finding.start - cell.start, end=finding.end - cell.start, fix=fix),
        placed.severity,
        at(finding.start),
        at(finding.end),
        tuple(_edit(e, notebook) for e in placed.finding.fix.edits) if placed.finding.fix is not None else (),
        cell.number,
    )


def _edit(edit: Edit, notebook: Notebook) -> PlacedEdit:
    cell = notebook.cell(edit.start)
    lines = Lines(cell.source)

    def at(offset: int) -> Position:
        return Position(*lines.position(min(max(0, offset - cell.start), len(cell.source))))

    return PlacedEdit(at(edit.start), at(edit.end), edit.text, cell.number)
