"""Checks the text of one open document, and keeps what is known while a line is half typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from uncuda.findings import Edit, Fix
from uncuda.results import UNPARSABLE, Placed, Problem
from uncuda.runner import Job, Mode, examine_text, internal_problem, place, shown
from uncuda.source import Lines
from uncuda.trees import Trees


@dataclass(frozen=True)
class Checked:
    """What is known of a text: the findings to show, and whether it could be parsed.

    Findings of a text that can't be parsed are those of the last one that could, where they still apply.
    """

    text: str
    findings: tuple[Placed, ...] = ()
    parsed: bool = True
    problem: Problem | None = None


def check(text: str, job: Job, last: Checked | None = None, trees: Trees | None = None) -> Checked:
    """Checks `text`; `last` is what was known of the document before, `trees` what was parsed for it."""
    from uncuda.prefilter import needs_check

    if not needs_check(text.encode("utf-8", "surrogatepass"), job.profile.codes):
        return Checked(text)
    try:
        done = examine_text(text, job, Mode.CHECK, trees)
    except RecursionError:
        return Checked(text, carried(last, text, job), parsed=False)
    except Exception as error:  # the server must outlive a bug in a rule
        return Checked(text, carried(last, text, job), problem=internal_problem(error))
    if done.problem is not None:
        return Checked(text, problem=done.problem)
    found = shown(done.findings, job.profile)
    if any(p.finding.code == UNPARSABLE for p in found):
        return Checked(text, carried(last, text, job), parsed=False)
    return Checked(text, found)


def carried(last: Checked | None, text: str, job: Job) -> tuple[Placed, ...]:
    """The findings of `last` whose lines stand in `text` unchanged, above or below what is being typed."""
    if last is None or not last.findings:
        return ()
    head, tail = _common(last.text, text)
    shift = len(text) - len(last.text)
    lines = Lines(text)
    kept: list[Placed] = []
    for placed in last.findings:
        finding = placed.finding
        if finding.end <= head:
            move = 0
        elif finding.start >= tail:
            move = shift
        else:
            continue
        fix = finding.fix
        moved = replace(
            finding,
            start=finding.start + move,
            end=finding.end + move,
            fix=_moved(fix, head, tail, shift) if fix is not None else None,
        )
        kept.append(place(lines, moved, job.profile.targets))
    return tuple(kept)


def _moved(fix: Fix, head: int, tail: int, shift: int) -> Fix | None:
    """The fix at its new place; None when one of its edits touches what is being typed."""
    edits: list[Edit] = []
    for edit in fix.edits:
        if edit.end <= head:
            edits.append(edit)
        elif edit.start >= tail:
            edits.append(Edit(edit.start + shift, edit.end + shift, edit.text))
        else:
            return None
    return replace(fix, edits=tuple(edits))


def _common(old: str, new: str) -> tuple[int, int]:
    """Offsets in `old` between which the texts differ, moved out to whole lines."""
    limit = min(len(old), len(new))
    head = _equal_ends(old, new, limit)
    head = old.rfind("\n", 0, head) + 1
    rest = limit - head
    same = _equal_ends(old[::-1], new[::-1], rest) if rest else 0
    tail = len(old) - same
    line = old.find("\n", tail)
    return head, len(old) if line < 0 else line + 1


def _equal_ends(old: str, new: str, limit: int) -> int:
    """How many characters are equal at the start, at most `limit`."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def edits_of(findings: Sequence[Placed], unsafe: bool) -> list[Placed]:
    """The findings whose fixes may be made together without asking, first come first served."""
    from uncuda.fixes.apply import choose

    chosen = {id(f) for f in choose(p.finding for p in findings if p.fixable(unsafe))}
    return [p for p in findings if id(p.finding) in chosen]
