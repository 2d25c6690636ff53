"""Applies fixes to a text: all edits of a fix or none, and no two that touch each other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from uncuda.findings import Edit, Finding


def _clash(edit: Edit, taken: list[Edit]) -> bool:
    """Does `edit` overlap one of `taken` (sorted by start)? Equal edits and insertions at one place don't."""
    at = bisect_left(taken, (edit.start, edit.end), key=lambda e: (e.start, e.end))
    for other in (*taken[max(0, at - 2) : at + 2],):
        if other == edit:
            continue
        if edit.start == edit.end and other.start == other.end:
            continue
        if edit.start < other.end and other.start < edit.end:
            return True
        if edit.start == edit.end and other.start < edit.start < other.end:
            return True
        if other.start == other.end and edit.start < other.start < edit.end:
            return True
    return False


def choose(findings: Iterable[Finding]) -> list[Finding]:
    """The findings whose fixes can be applied together, first come first served."""
    taken: list[Edit] = []
    chosen: list[Finding] = []
    for finding in findings:
        if finding.fix is None or not finding.fix.edits:
            continue
        if any(_clash(e, taken) for e in finding.fix.edits):
            continue
        chosen.append(finding)
        for edit in finding.fix.edits:
            if edit not in taken:
                taken.append(edit)
        taken.sort(key=lambda e: (e.start, e.end))
    return chosen


def apply(text: str, edits: Iterable[Edit]) -> str:
    """`text` with the edits made. Equal edits count once; insertions at one place keep their order."""
    unique = list(dict.fromkeys(edits))
    unique.sort(key=lambda e: (e.start, e.end))
    parts: list[str] = []
    at = 0
    for edit in unique:
        if edit.start < at:
            raise ValueError(f"edits overlap at character {edit.start}")
        parts.append(text[at : edit.start])
        parts.append(edit.text)
        at = edit.end
    parts.append(text[at:])
    return "".join(parts)
