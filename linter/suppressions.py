"""Comments that silence rules: which findings they silence, what is wrong with them, and how to add them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from uncuda.findings import Applicability, Edit, Finding, Fix
from uncuda.fixes.apply import apply
from uncuda.layout import Comment, Layout
from uncuda.marks import Entry, Kind, Mark, may_hold_marks, read_marks, ties
from uncuda.rules.base import Rule
from uncuda.rules.housekeeping import IgnoreWithoutReason, InvalidIgnore, UnusedIgnore


def silence(
    text: str,
    findings: Sequence[Finding],
    *,
    codes: frozenset[str],
    require_reason: bool = False,
    layout: Layout | None = None,
) -> tuple[list[Finding], int]:
    """The findings that no comment silences, and how many were silenced.

    Findings about the comments themselves are added: for those of UC001 to UC003 that are among `codes`, the
    rules in force. A comment counts as unused only where all rules that it names are in force. `layout` is that of
    a text that isn't Python.
    """
    if not may_hold_marks(text, bare=bool(findings)):
        return list(findings), 0
    layout = layout or Layout(text)
    marks = read_marks(layout)
    if not marks:
        return list(findings), 0
    judge = _Judge(layout, marks)
    kept = [f for f in findings if not judge.silences(f)]
    about = [f for f in _about(layout, marks, codes, require_reason) if not judge.silences_comment(f)]
    return sorted([*kept, *about], key=lambda f: (f.start, f.end, f.code)), len(findings) - len(kept)


# -- which comment silences what ---------------------------------------------------------------------------


class _Judge:
    """Decides by place and rule; what was used is noted in the marks.

    A mark at the end of a line silences what touches that line, or begins in the logical line whose first or
    last row it is. On a line of its own it silences the logical line below it (within brackets: the row).
    """

    def __init__(self, layout: Layout, marks: list[Mark]) -> None:
        self.layout = layout
        self.at_row: dict[int, list[Mark]] = {}
        self.above: dict[int, list[Mark]] = {}
        self.blocks: list[tuple[int, int, Mark]] = []
        self.file: list[Mark] = []
        for mark in marks:
            if mark.fault is None:
                self._sort_in(mark)

    def _sort_in(self, mark: Mark) -> None:
        row = mark.comment.row
        if mark.kind is Kind.FILE:
            self.file.append(mark)
        elif mark.kind is Kind.START and mark.partner is not None:
            self.blocks.append((row, mark.partner.comment.row, mark))
        elif mark.kind is Kind.LINE and mark.comment.alone:
            if mark.comment.inside:
                self.at_row.setdefault(self._code_row(row), []).append(mark)
            else:
                below = self.layout.next_logical_line(row)
                if below is not None and not any(map(self.layout.is_blank, range(row + 1, below[0]))):
                    self.above.setdefault(below[0], []).append(mark)
        elif mark.kind in (Kind.LINE, Kind.NOQA) and not mark.comment.alone:
            self.at_row.setdefault(row, []).append(mark)

    def _code_row(self, row: int) -> int:
        """The next row that holds more than a comment."""
        alone = {c.row for c in self.layout.comments if c.alone}
        row += 1
        while row in alone or (self.layout.is_blank(row) and row < len(self.layout.lines.starts)):
            row += 1
        return row

    def silences(self, finding: Finding) -> bool:
        """Does a mark silence the finding? The nearest is noted as used."""
        layout = self.layout
        start = layout.row(finding.start)
        first, last = layout.logical_line(start)
        end = min(layout.open_row(layout.row(max(finding.start, finding.end - 1))), last)
        near = [m for row in range(start, end + 1) for m in self.at_row.get(row, ())]
        ends = [m for row in (first, last) for m in self.at_row.get(row, ()) if not m.comment.alone]
        return self._hit((*near, *ends, *self.above.get(first, ())), start, finding.code)

    def silences_comment(self, finding: Finding) -> bool:
        """The same for a finding about a comment, which only a mark that names its rule silences."""
        row = self.layout.row(finding.start)
        marks = [m for m in self.at_row.get(row, ()) if m.entries]
        return self._hit(marks, row, finding.code)

    def _hit(self, nearest: Iterable[Mark], row: int, code: str) -> bool:
        blocks = [mark for first, last, mark in self.blocks if first < row < last]
        # What names the rule goes first: a bare comment beside it may have been meant for something else.
        bare: Mark | None = None
        for mark in (*nearest, *reversed(blocks), *self.file):
            if not mark.entries:
                bare = bare or (mark if code in ties() else None)
                continue
            for entry in mark.entries:
                if code in entry.codes:
                    entry.used = mark.used = True
                    return True
        if bare is not None:
            bare.used = True
        return bare is not None


# -- findings about comments -------------------------------------------------------------------------------


def _about(
    layout: Layout, marks: list[Mark], codes: frozenset[str], require_reason: bool
) -> Iterable[Finding]:
    for mark in marks:
        if InvalidIgnore.code in codes:
            if mark.fault is not None:
                yield _finding(
                    InvalidIgnore, mark.start, mark.head_end, f"the comment silences nothing: {mark.fault}"
                )
            for entry in mark.entries:
                if not entry.codes and not entry.foreign:
                    message = f"{entry.text!r} is not a rule{_near(entry.text)}"
                    yield _finding(InvalidIgnore, entry.start, entry.end, message)
        if mark.fault is not None or mark.kind is Kind.END:
            continue
        if UnusedIgnore.code in codes:
            yield from _unused(layout, mark, codes)
        if IgnoreWithoutReason.code in codes and require_reason and mark.used and not mark.reason:
            message = f"the comment silences {_told(mark.entries)} without saying why"
            yield _finding(IgnoreWithoutReason, mark.start, mark.head_end, message)


def _unused(layout: Layout, mark: Mark, codes: frozenset[str]) -> Iterable[Finding]:
    if not mark.entries:
        if mark.kind is not Kind.NOQA and not mark.used and ties() <= codes:
            fix = _removal(layout, [mark])
            yield _finding(UnusedIgnore, mark.start, mark.head_end, "the comment silences nothing", fix)
        return
    gone = [e for e in mark.entries if not e.used and e.codes and e.codes <= codes & ties()]
    if not gone:
        return
    both = [mark] if mark.partner is None else [mark, mark.partner]
    fix = _removal(layout, both) if len(gone) == len(mark.entries) else _trimming(layout.text, both, gone)
    message = f"the comment silences {_told(gone)}, which finds nothing there"
    yield _finding(UnusedIgnore, gone[0].start, gone[-1].end, message, fix)


def _told(entries: Sequence[Entry]) -> str:
    return ", ".join(e.text for e in entries if not e.foreign) or "every rule"


def _near(word: str) -> str:
    from difflib import get_close_matches

    from uncuda.rules.catalogue import pairs

    codes, names = zip(*pairs(), strict=True)
    # Codes are alike whatever they mean.
    near = [word.upper()] if word.upper() in codes else get_close_matches(word, names, 1, 0.7)
    return f"; did you mean {near[0]}?" if near else ""


def _finding(rule: type[Rule], start: int, end: int, message: str, fix: Fix | None = None) -> Finding:
    return Finding(
        code=rule.code,
        name=rule.name,
        message=message,
        start=start,
        end=end,
        symbol="",
        category=rule.category,
        effort=rule.effort,
        outcomes={},
        fix=fix,
    )


def _removal(layout: Layout, marks: list[Mark]) -> Fix:
    edits = tuple(_taken_out(layout, mark) for mark in marks)
    return Fix("Take the comment away", edits, Applicability.SAFE)


def _taken_out(layout: Layout, mark: Mark) -> Edit:
    """The mark goes: with its row when nothing else is in it, else with the blanks that set it off."""
    text, comment = layout.text, mark.comment
    first, last = mark.start == comment.start, not text[mark.end : comment.end].strip()
    if first and last and comment.alone:
        return Edit(layout.lines.start(comment.row), layout.lines.end(comment.row), "")
    if not last:
        end = mark.end
        while text[end] in " \t":
            end += 1
        return Edit(mark.start, end, "")
    start = mark.start
    while text[start - 1] in " \t\f":
        start -= 1
    return Edit(start, comment.end, "")


def _trimming(text: str, marks: list[Mark], gone: list[Entry]) -> Fix:
    names = {entry.text for entry in marks[0].entries if entry not in gone}
    edits = []
    for mark in marks:
        if mark.listed is None:
            continue
        start, end = mark.listed
        kept = [e for e in mark.entries if e.text in names and e not in gone]
        new = text[start : mark.entries[0].start] + kept[0].text
        for entry in kept[1:]:
            before = mark.entries[mark.entries.index(entry) - 1]
            new += text[before.end : entry.start] + entry.text
        edits.append(Edit(start, end, new + text[mark.entries[-1].end : end]))
    return Fix("Take the rules that aren't needed out of the comment", tuple(edits), Applicability.SAFE)


# -- adding comments ---------------------------------------------------------------------------------------

_LONE_HASH = re.compile(r"#(?!\d)")


def add(text: str, findings: Iterable[Finding], *, reason: str = "") -> str:
    """`text` with a comment at each finding that silences it, one a row, next to the comments that are there.

    A row that has such a comment gets the rule into its list. Findings about comments are left out.
    """
    layout = Layout(text)
    wanted: dict[int, set[str]] = {}
    for finding in findings:
        if finding.code in ties():
            row = layout.open_row(layout.row(finding.start))
            wanted.setdefault(row, set()).add(finding.code)
    listed = {
        mark.comment.row: mark
        for mark in read_marks(layout)
        if mark.kind is Kind.LINE and not mark.comment.alone and mark.fault is None and mark.entries
    }
    # A `#` in the reason could begin another comment to some linter.
    words = " ".join(_LONE_HASH.sub("", reason).split())
    edits = []
    for row, codes in wanted.items():
        mark = listed.get(row)
        if mark is not None:
            missing = sorted(codes - {c for e in mark.entries for c in e.codes})
            at = mark.entries[-1].end
            edits.append(Edit(at, at, "".join(f", {code}" for code in missing)))
            continue
        at = layout.lines.content_end(row)
        before = text[layout.lines.start(row) : at]
        gap = "" if before.endswith("  ") else " " if before.endswith((" ", "\t")) else "  "
        tail = f" {words}" if words else ""
        edits.append(Edit(at, at, f"{gap}# uncuda: ignore[{', '.join(sorted(codes))}]{tail}"))
    return apply(text, edits)


__all__ = ["Comment", "add", "silence"]
