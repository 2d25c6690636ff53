"""Applies fixes to a text: all edits of a fix or none, and no two that touch each other."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from uncuda.findings import Edit, Finding


def _place(edit: Edit) -> tuple[int, int]:
    return edit.start, edit.end


def _clash(edit: Edit, taken: list[Edit]) -> bool:
    """Does `edit` overlap one of `taken` (sorted, none of which overlaps another)? Equal edits don't, nor do insertions
    at one place."""
    at = bisect_left(taken, _place(edit), key=_place)
    for other in taken[max(0, at - 1) : at + 2]:
        if other == edit:
            continue
        if edit.start == edit.end or other.start == other.end:
            inner, outer = (edit, other) if edit.start == edit.end else (other, edit)
            if outer.start < inner.start < outer.end:
                return True
        elif edit.start < other.end and other.start < edit.end:
            return True
    return False


def choose(findings: Iterable[Finding]) -> list[Finding]:
    """The findings whose fixes can be applied together, first come first served."""
    taken: list[Edit] = []
    known: set[Edit] = set()
    chosen: list[Finding] = []
    for finding in findings:
        new: list[Edit] = []
        for edit in finding.fix.edits if finding.fix is not None else ():
            if edit in known:
                continue
            if _clash(edit, taken):
                break
            new.append(edit)
            known.add(edit)
            insort(taken, edit, key=_place)
        else:
            if finding.fix is not None and finding.fix.edits:
                chosen.append(finding)
            continue
        for edit in new:
            known.remove(edit)
            taken.remove(edit)
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
