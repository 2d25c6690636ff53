"""Code frames: the lines around a finding with the tie underlined, and its fix as a small diff."""

from __future__ import annotations

import re
from bisect import bisect_right

from uncuda.findings import Edit, Fix
from uncuda.fixes.apply import apply
from uncuda.report.ansi import Style, marked_line
from uncuda.results import Placed

MARKED_LINES = 4
"""A tie over more lines than this is underlined on its first ones only."""
DIFF_LINES = 12
"""A fix's diff is cut after this many lines."""


_BREAK = re.compile(r"\r\n|\r|\n")


class Code:
    """A text with the offsets where its rows start; rows end as in Python, not as in `splitlines`."""

    __slots__ = ("starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in _BREAK.finditer(text))]

    @property
    def rows(self) -> int:
        """How many rows there are, an empty last one left out."""
        return max(1, len(self.starts) - (self.starts[-1] == len(self.text)))

    def row(self, number: int) -> str:
        """A row's text without its ending; empty past the end."""
        if not 1 <= number <= len(self.starts):
            return ""
        stop = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : stop].rstrip("\r\n")


def gutter_of(code: Code, placed: Placed) -> int:
    """How many cells the row numbers of the finding's frame take."""
    return len(str(min(code.rows, placed.end.row + 1, placed.start.row + MARKED_LINES)))


def frame(code: Code, placed: Placed, style: Style) -> list[str]:
    """The finding's lines, one line of context on each side, the tie underlined."""
    rows = code.rows
    first, last = placed.start.row, placed.end.row
    shown_last = min(last, first + MARKED_LINES - 1)
    gutter = gutter_of(code, placed)
    room = max(20, style.width - gutter - 3)
    bar = style.paint("|", "blue")
    blank = f"{' ' * gutter} {bar}"
    paint = "red" if placed.severity.value == "error" else "yellow"
    out = [blank]

    def plain(row: int) -> None:
        text, _, _ = marked_line(code.row(row), 0, 0, style, room)
        out.append(f"{style.paint(f'{row:>{gutter}}', 'blue')} {bar} {text}".rstrip())

    if first > 1 and code.row(first - 1).strip():
        plain(first - 1)
    for row in range(first, shown_last + 1):
        line = code.row(row)
        indent = len(line) - len(line.lstrip())
        start = placed.start.column - 1 if row == first else indent
        end = placed.end.column - 1 if row == last else len(line.rstrip())
        text, before, covered = marked_line(line, start, end, style, room)
        out.append(f"{style.paint(f'{row:>{gutter}}', 'blue')} {bar} {text}".rstrip())
        if line.strip() or row == first:
            out.append(f"{blank} {' ' * before}{style.paint('^' * covered, paint)}")
    if shown_last < last:
        left = last - shown_last
        out.append(f"{blank} {style.paint(f'{style.ellipsis} {left} more lines of it', 'dim')}")
    elif last < rows and code.row(last + 1).strip():
        plain(last + 1)
    return out


def _regions(starts: list[int], edits: list[Edit], size: int) -> list[tuple[int, int, list[Edit]]]:
    """Runs of whole lines that edits change: `(start offset, end offset, edits)`; neighbours are joined."""
    regions: list[tuple[int, int, list[Edit]]] = []
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        top = bisect_right(starts, edit.start) - 1
        bottom = bisect_right(starts, edit.end) - 1
        # An edit that ends where a line starts leaves that line as it is, unless it is an insertion.
        if edit.end > edit.start and starts[bottom] == edit.end and bottom > top:
            bottom -= 1
        begin = starts[top]
        stop = starts[bottom + 1] if bottom + 1 < len(starts) else size
        if regions and begin <= regions[-1][1]:
            previous = regions[-1]
            regions[-1] = (previous[0], max(previous[1], stop), [*previous[2], edit])
        else:
            regions.append((begin, stop, [edit]))
    return regions


def split_keeping_ends(text: str) -> list[str]:
    """Lines with their endings, cut after each `\\n` only, as `patch` does."""
    pieces = text.split("\n")
    return [*(piece + "\n" for piece in pieces[:-1]), *([pieces[-1]] if pieces[-1] else [])]


def _split(text: str) -> list[str]:
    """Lines without their endings (only `\\n`, `\\r` and `\\r\\n` end one, as in Python source)."""
    pieces = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return pieces[:-1] if pieces[-1] == "" else pieces


def _changed_span(old: str, new: str) -> tuple[int, int]:
    """Where `new` differs from `old`: first and past-last character of the difference in `new`."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    tail = 0
    while tail < min(len(old), len(new)) - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return start, len(new) - tail


def preview(code: Code, fix: Fix, style: Style) -> list[str]:
    """A fix as a small diff: removed and added lines with their row numbers."""
    text, starts = code.text, code.starts
    edits = list(dict.fromkeys(fix.edits))
    out: list[str] = []
    grown = 0
    total = 0
    for begin, stop, own in _regions(starts, edits, len(text)):
        before = text[begin:stop]
        after = apply(before, [Edit(e.start - begin, e.end - begin, e.text) for e in own])
        old, new = _split(before), _split(after)
        row = bisect_right(starts, begin)
        same = 0
        while same < min(len(old), len(new)) and old[same] == new[same]:
            same += 1
        tail = 0
        while tail < min(len(old), len(new)) - same and old[-1 - tail] == new[-1 - tail]:
            tail += 1
        gone, come = old[same : len(old) - tail], new[same : len(new) - tail]
        for offset, line in enumerate(gone):
            other = come[offset] if offset < len(come) else ""
            total += 1
            if len(out) < DIFF_LINES:
                out.append(_diff_line("-", row + same + offset, line, other, style))
        for offset, line in enumerate(come):
            other = gone[offset] if offset < len(gone) else ""
            total += 1
            if len(out) < DIFF_LINES:
                out.append(_diff_line("+", row + same + offset + grown, line, other, style))
        grown += len(new) - len(old)
    if total > len(out):
        out.append(style.paint(f"  {style.ellipsis} {total - len(out)} more lines", "dim"))
    return out


def _diff_line(sign: str, row: int, line: str, other: str, style: Style) -> str:
    start, end = _changed_span(other, line)
    room = max(20, style.width - 10)
    # A line that is new or gone as a whole is shown from its start.
    text, _, _ = marked_line(line, start, end, style, room) if other else marked_line(line, 0, 0, style, room)
    return style.paint(f"{sign} {row:>4} | {text}".rstrip(), "red" if sign == "-" else "green")
