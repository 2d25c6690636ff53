"""Code frames: the lines around a finding with the tie underlined, and its fix as a small diff."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from uncuda.findings import Edit
from uncuda.fixes.apply import apply
from uncuda.report.ansi import Style, cut_line, wrapped
from uncuda.results import Placed
from uncuda.source import Lines

MARKED_LINES = 4
"""A tie over more lines than this is underlined on its first ones only."""
DIFF_LINES = 12
"""A fix's diff is cut after this many lines."""
WRAPPED_LINES = 3
"""A changed line is shown whole when it fits in this many rows."""
_LONG = 5_000
_NEAR = 400

_INDENT = re.compile(r"[ \t\f]*")


def rows_of(lines: Lines) -> int:
    """How many rows there are, an empty last one left out."""
    return max(1, len(lines.starts) - (lines.starts[-1] == len(lines.text)))


def gutter_of(lines: Lines, placed: Placed) -> int:
    """How many cells the row numbers of the finding's frame and of its fix take."""
    last = min(placed.end.row + 1, placed.start.row + MARKED_LINES)
    last = max([last, *(edit.end.row + 1 for edit in placed.edits)])
    return len(str(min(rows_of(lines), last)))


def frame(lines: Lines, placed: Placed, style: Style, gutter: int) -> list[str]:
    """The finding's lines, one line of context on each side, the tie underlined."""
    first, last = placed.start.row, placed.end.row
    shown_last = min(last, first + MARKED_LINES - 1)
    room = max(20, style.width - gutter - 3)
    bar = style.paint("|", "blue")
    blank = f"{' ' * gutter} {bar}"
    mark = "alarm" if placed.severity.value == "error" else "yellow"
    out = [blank]

    def line(row: int, start: int, end: int) -> tuple[int, int]:
        cut = cut_line(lines.text, lines.start(row), lines.content_end(row), start, end, style, room)
        out.append(f"{style.paint(f'{row:>{gutter}}', 'blue')} {bar} {cut.text}".rstrip())
        return cut.before, cut.covered

    def context(row: int) -> None:
        if 1 <= row <= rows_of(lines) and _content(lines, row)[1]:
            line(row, lines.start(row), lines.start(row))

    context(first - 1)
    for row in range(first, shown_last + 1):
        start, end = _content(lines, row)
        start = lines.start(row) + placed.start.column - 1 if row == first else start
        end = lines.start(row) + placed.end.column - 1 if row == last else end
        before, covered = line(row, start, end)
        if end > start or row == first:
            out.append(f"{blank} {' ' * before}{style.paint('^' * covered, mark)}")
    if shown_last < last:
        out.append(f"{blank} {style.paint(f'{style.ellipsis} {last - shown_last} more lines of it', 'dim')}")
    else:
        context(last + 1)
    return out


def _content(lines: Lines, row: int) -> tuple[int, int]:
    """Where a row's text starts and ends, blanks around it left out; 0 and 0 for a blank row."""
    begin, end = lines.start(row), lines.content_end(row)
    found = _INDENT.match(lines.text, begin, end)
    start = found.end() if found is not None else begin
    while end > start and lines.text[end - 1] in " \t\f":
        end -= 1
    return (start, end) if end > start else (0, 0)


def _regions(starts: list[int], edits: Iterable[Edit], size: int) -> list[tuple[int, int, list[Edit]]]:
    """Runs of whole lines that edits change: `(start offset, end offset, edits)`; those that overlap are joined."""
    regions: list[tuple[int, int, list[Edit]]] = []
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        top = bisect_right(starts, edit.start) - 1
        bottom = bisect_right(starts, edit.end) - 1
        # An edit that ends where a line starts leaves that line as it is, unless it is an insertion.
        if edit.end > edit.start and starts[bottom] == edit.end and bottom > top:
            bottom -= 1
        begin = starts[top]
        stop = starts[bottom + 1] if bottom + 1 < len(starts) else size
        if regions and begin < regions[-1][1]:
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


def _same(old: list[str] | str, new: list[str] | str) -> tuple[int, int]:
    """How many elements `old` and `new` have in common at their start, and at their end."""
    shorter = min(len(old), len(new))
    head = 0
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return head, tail


def preview(lines: Lines, edits: Iterable[Edit], style: Style, gutter: int) -> list[str]:
    """Edits as a small diff: removed and added lines, with their row numbers where the frame has its own."""
    text = lines.text
    out: list[str] = []
    grown = total = 0
    for begin, stop, own in _regions(lines.starts, edits, len(text)):
        row = bisect_right(lines.starts, begin)
        if stop - begin > _LONG:
            begin = max(begin, own[0].start - _NEAR)
            stop = min(stop, own[-1].end + _NEAR)
        before = text[begin:stop]
        after = apply(before, [Edit(e.start - begin, e.end - begin, e.text) for e in own])
        old, new = _split(before), _split(after)
        head, tail = _same(old, new)
        gone, come = old[head : len(old) - tail], new[head : len(new) - tail]
        for sign, shown, others, at in (("-", gone, come, row), ("+", come, gone, row + grown)):
            # Lines that are new as a whole stand before those that were changed.
            shift = len(others) - len(shown)
            for number, line in enumerate(shown):
                total += 1
                if len(out) < DIFF_LINES:
                    other = others[number + shift] if 0 <= number + shift < len(others) else ""
                    out += _diff_line(sign, at + head + number, line, other, style, gutter)
        grown += len(new) - len(old)
        if total > DIFF_LINES:
            break
    if total > DIFF_LINES:
        out.append(style.paint(f"{' ' * gutter} {style.ellipsis} and more", "dim"))
    return out


def _diff_line(sign: str, row: int, line: str, other: str, style: Style, gutter: int) -> Iterator[str]:
    room = max(20, style.width - gutter - 3)
    paint = "red" if sign == "-" else "green"
    pieces = wrapped(line, style, room, WRAPPED_LINES)
    if pieces is None:
        head, tail = _same(other, line)
        # A line that is new or gone as a whole is shown from its start; an old and a new one are cut alike.
        first, last = (head, max(len(line), len(other)) - tail) if other else (0, 0)
        pieces = [cut_line(line, 0, len(line), first, last, style, room).text]
    for number, piece in enumerate(pieces):
        label = f"{row:>{gutter}}" if number == 0 else " " * gutter
        yield style.paint(f"{label} {sign} {piece}".rstrip(), paint)
