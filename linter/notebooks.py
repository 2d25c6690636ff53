"""Reads a notebook: its code cells as one Python text, its magics as shell text, and the place of every character in
the JSON, so that changed cells can be written back with nothing else touched."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property

from uncuda.around.json_reader import JsonError, read_json
from uncuda.around.tree import Mapping, Scalar, scalars
from uncuda.around.tree import Sequence as Items
from uncuda.notebook_cells import is_python, mask

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.S
)
_PLACEHOLDER = re.compile(r"(?<!\w)0#+")
_PYTHON = re.compile(r"(?i)i?python[\d.]*\Z|xpython\Z|pyspark\Z|python[\d.]*\W.*")


class NotebookError(ValueError):
    """The text isn't a notebook, or a fixed text can't be brought back into its cells. The message says why."""


@dataclass(frozen=True)
class Cell:
    """A code cell, `number` its place among all cells (from 1).

    `source` is what a reader sees, `code` the same with magics masked, in as many characters and lines; `start` is
    where both begin in the joined texts, `pieces` the texts of the JSON that the source is written in.
    """

    number: int
    source: str
    code: str
    start: int
    pieces: tuple[Scalar, ...]

    @property
    def end(self) -> int:
        """Where it ends in the joined texts."""
        return self.start + len(self.source)


@dataclass(frozen=True)
class Notebook:
    """A notebook of Python. `code` is what Python's rules look at, `plain` what a reader sees, place by place the
    same. A line that is in no cell stands before each of them."""

    text: str
    cells: tuple[Cell, ...]
    code: str
    plain: str
    mark: str
    starts: tuple[int, ...] = field(repr=False)

    def cell(self, offset: int) -> Cell:
        """The cell that an offset in the joined texts is in."""
        return self.cells[max(0, bisect_right(self.starts, offset) - 1)]

    def raw(self, offset: int) -> int:
        """The offset in the JSON of one in the joined texts."""
        cell = self.cell(offset)
        inside = min(max(0, offset - cell.start), len(cell.source))
        for piece in cell.pieces:
            if inside < len(piece.text) or piece is cell.pieces[-1]:
                return piece.start + _raw_length(self.text[piece.start : piece.end], inside)
            inside -= len(piece.text)
        return 0

    # -- writing back --------------------------------------------------------------------------------------

    def rewritten(self, code: str) -> str:
        """The JSON with the cells of a fixed `code`; what didn't change stays as it is written. Raises
        NotebookError."""
        edits: list[tuple[int, int, str]] = []
        for cell, new in zip(self.cells, self._split(code), strict=True):
            if new != cell.code:
                edits += self._edits(cell, _unmasked(cell, new))
        text = self.text
        for start, end, new in reversed(edits):
            text = text[:start] + new + text[end:]
        return text

    def _split(self, code: str) -> list[str]:
        head, *parts = re.split(rf"(?m)^{re.escape(self.mark)}(\d+)\n", code)
        numbers = [int(part) for part in parts[::2]]
        if head or numbers != list(range(len(self.cells))):
            raise NotebookError("a fix moved the border of a cell")
        return [part[:-1] for part in parts[1::2]]

    @cached_property
    def _ascii(self) -> bool:
        """Are characters beyond ASCII written as escapes?"""
        return self.text.isascii() and re.search(r"\\u(?!00[01])", self.text) is not None

    def _written(self, line: str) -> str:
        return json.dumps(line, ensure_ascii=self._ascii)[1:-1]

    def _edits(self, cell: Cell, new: str) -> list[tuple[int, int, str]]:
        """What to change in the JSON, in order, so that the cell has the source `new`."""
        old_lines, spans = self._lines(cell)
        new_lines = _split_lines(new)
        listed = len(cell.pieces) != 1 or self.text[: cell.pieces[0].start - 1].rstrip().endswith("[")
        quote = '"' if listed else ""
        between = self._between(cell) if listed else ""
        edits: list[tuple[int, int, str]] = []
        for tag, i, j, a, b in SequenceMatcher(None, old_lines, new_lines, autojunk=False).get_opcodes():
            if tag == "equal":
                continue
            written = between.join(f"{quote}{self._written(line)}{quote}" for line in new_lines[a:b])
            if tag == "replace":
                edits.append((spans[i][0], spans[j - 1][1], written))
            elif tag == "insert":
                at = spans[i][0] if i < len(spans) else spans[-1][1]
                edits.append((at, at, written + between if i < len(spans) else between + written))
            elif j < len(spans):
                edits.append((spans[i][0], spans[j][0], ""))
            elif i:
                edits.append((spans[i - 1][1], spans[j - 1][1], ""))
            else:
                edits.append((spans[0][0], spans[-1][1], f"{quote}{quote}"))
        return edits

    def _lines(self, cell: Cell) -> tuple[list[str], list[tuple[int, int]]]:
        """The lines of a cell with their places in the JSON, quotes of a list's texts included."""
        if len(cell.pieces) == 1 and not self.text[: cell.pieces[0].start - 1].rstrip().endswith("["):
            piece = cell.pieces[0]
            lines = _split_lines(piece.text)
            spans: list[tuple[int, int]] = []
            raw, at = self.text[piece.start : piece.end], piece.start
            for line in lines:
                length = _raw_length(raw[at - piece.start :], len(line))
                spans.append((at, at + length))
                at += length
            return lines, spans
        return [p.text for p in cell.pieces], [(p.start - 1, p.end + 1) for p in cell.pieces]

    def _between(self, cell: Cell) -> str:
        """What stands between two lines of a cell's list."""
        first = cell.pieces[0]
        if len(cell.pieces) > 1:
            return self.text[first.end + 1 : cell.pieces[1].start - 1]
        before = re.search(r"\s*\Z", self.text[: first.start - 1])
        return "," + (before[0] if before is not None and before[0] else " ")


def _split_lines(text: str) -> list[str]:
    pieces = text.split("\n")
    return [
        *(piece + "\n" for piece in pieces[:-1]),
        *([pieces[-1]] if pieces[-1] or len(pieces) == 1 else []),
    ]


def _raw_length(raw: str, length: int) -> int:
    """How many characters of JSON spell the first `length` characters of a text."""
    if "\\" not in raw:
        return min(length, len(raw))
    at = 0
    for _ in range(length):
        found = _ESCAPE.match(raw, at)
        if found is None:
            break
        at = found.end()
    return at


def _unmasked(cell: Cell, new: str) -> str:
    """A fixed cell with its magics back."""
    old = cell.code
    if old == cell.source:
        return new
    before = [m.span() for m in _PLACEHOLDER.finditer(old)]
    after = [m.span() for m in _PLACEHOLDER.finditer(new)]
    if not before or [old[a:b] for a, b in before] != [new[a:b] for a, b in after]:
        raise NotebookError(f"a fix reaches into a magic of cell {cell.number}")
    if _CELL_MAGIC.match(cell.source) and after[0][0]:
        # A cell's magic is its first line.
        (start, end), at = before[0], after[0][0]
        while (line := _CONTINUED.match(old, end)) is not None:
            end = line.end()
        length = min(end + 1, len(old)) - start
        new = new[at : at + length] + new[:at] + new[at + length :]
        after = [m.span() for m in _PLACEHOLDER.finditer(new)]
    # What was masked lies within the placeholders, and in the lines that continue them.
    for (start, end), (at, _) in reversed(list(zip(before, after, strict=True))):
        while (line := _CONTINUED.match(old, end)) is not None:
            end = line.end()
        if new[at : at + end - start] != old[start:end]:
            raise NotebookError(f"a fix reaches into a magic of cell {cell.number}")
        new = new[:at] + cell.source[start:end] + new[at + end - start :]
    return new


_CELL_MAGIC = re.compile(r"[ \t]*%%")
_CONTINUED = re.compile(r"\r?\n#!?#*")


# -- reading -----------------------------------------------------------------------------------------------


def read_notebook(text: str) -> Notebook | None:
    """The notebook in a text; None when it is one of another language. Raises NotebookError."""
    try:
        root = read_json(text)
    except JsonError as error:
        row = text.count("\n", 0, error.offset) + 1
        raise NotebookError(f"is not JSON (line {row}): {error}") from None
    listed = root.get("cells") if isinstance(root, Mapping) else None
    if not isinstance(root, Mapping) or not isinstance(listed, Items):
        raise NotebookError("is not a notebook of format 4: it has no list of cells")
    if not _is_python(root):
        return None
    found: list[tuple[int, tuple[Scalar, ...]]] = []
    for number, item in enumerate(listed.items, 1):
        if isinstance(item, Mapping) and _text(item, "cell_type") == "code" and _is_python_cell(item):
            pieces = tuple(scalars(item.get("source")))
            if pieces:
                found.append((number, pieces))
    mark = "# %% cell "
    while mark in text:
        mark += "_"
    return _joined(text, found, mark)


def _joined(text: str, found: Sequence[tuple[int, tuple[Scalar, ...]]], mark: str) -> Notebook:
    cells: list[Cell] = []
    code: list[str] = []
    plain: list[str] = []
    at = 0
    for count, (number, pieces) in enumerate(found):
        source = "".join(piece.text for piece in pieces)
        masked = _masked(source)
        head = f"{mark}{count}\n"
        cells.append(Cell(number, source, masked, at + len(head), pieces))
        code.append(f"{head}{masked}\n")
        plain.append(f"{head}{source}\n")
        at += len(head) + len(source) + 1
    return Notebook(text, tuple(cells), "".join(code), "".join(plain), mark, tuple(c.start for c in cells))


def _masked(source: str) -> str:
    """A cell as Python: with its magics masked, or all of it where it isn't Python even so."""
    masked = mask(source)
    return masked if is_python(masked) else re.sub(r"[^\r\n]", "#", source)


def _text(table: Mapping, *keys: str) -> str:
    node = table.get(*keys)
    return node.text if isinstance(node, Scalar) else ""


def _is_python(root: Mapping) -> bool:
    told = (
        _text(root, "metadata", "kernelspec", "language")
        or _text(root, "metadata", "language_info", "name")
        or _text(root, "metadata", "kernelspec", "name")
    )
    return not told or _PYTHON.match(told) is not None or (not _OTHER.match(told) and "language" not in told)


# Kernels by name, where a notebook says no more; anything else is somebody's environment of Python.
_OTHER = re.compile(
    r"(?i)(?:ir|r|julia.*|javascript|typescript|deno|bash|sh|scala.*|java|kotlin|rust|go|cpp.*|c\+\+.*|xcpp.*|xeus-cling.*"
    r"|\.net.*|csharp|fsharp|powershell|sql|matlab|octave|sas|ruby|perl|haskell|ocaml.*|lua|swift|wolfram.*|sagemath.*)\Z"
)


def _is_python_cell(cell: Mapping) -> bool:
    """Editors let single cells be of another language."""
    told = _text(cell, "metadata", "vscode", "languageId") or _text(cell, "metadata", "language")
    return not told or _PYTHON.match(told) is not None
