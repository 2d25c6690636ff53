"""Checks the text of one open document, and keeps what is known while a line is half typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from uncuda.findings import Edit, Fix
from uncuda.lsp.broken import Span, around, can_be_read, imports, without
from uncuda.lsp.buffers import Change
from uncuda.results import UNPARSABLE, Placed, Problem, ProblemKind
from uncuda.runner import Examined, Job, Mode, examine, examine_text, internal_problem, place, shown
from uncuda.source import Lines
from uncuda.trees import Trees

TRIES = 4
"""Broken places that are looked for, at most, before the findings of the last text are all there is."""


LONGEST_PIECE = 20_000
"""Characters of a changed statement that are looked at by themselves."""
MOST_CHANGES = 50
"""From one check to the next; more are taken for one."""


@dataclass(frozen=True)
class Checked:
    """What is known of a text: the findings to show. `notes` are for the log.

    In what can't be parsed they are those of the last text that could be, where they still apply.
    """

    text: str
    findings: tuple[Placed, ...] = ()
    notes: tuple[str, ...] = ()
    broken: tuple[Span, ...] = ()
    """The statements that can't be parsed."""


def check(
    text: str,
    job: Job,
    last: Checked | None = None,
    trees: Trees | None = None,
    changes: Sequence[Change] | None = None,
) -> Checked:
    """Checks `text`; `last` is what was known of the document before, `trees` what was parsed for it, and `changes` are
    those that made this text of that one."""
    data = text.encode("utf-8", "surrogatepass")
    if not job.is_worth_reading(data):
        return Checked(text)
    if not job.is_python:
        done = examine(data, replace(job, data=data), Mode.CHECK)
        return Checked(text, shown(done.findings, job.profile), _notes(done))
    job = _telling(job)
    spans: list[Span] = []
    if last is not None:
        if changes is None or len(changes) > MOST_CHANGES:
            changes = [_difference(last.text, text)]
        for place in dict.fromkeys(around(text, a, b) for a, b in _touched(changes, last.broken)):
            if place[1] - place[0] <= LONGEST_PIECE and place != (0, len(text)):
                if not can_be_read(text[slice(*place)]):
                    spans.append(place)
    for _ in range(TRIES):
        if imports(text, spans):
            break
        done = _examined(without(text, spans), job, trees)
        if done.problem is not None:
            return Checked(text, carried(last, text, job, changes), _notes(done))
        fault = next((p for p in done.findings if p.finding.code == UNPARSABLE), None)
        if fault is None:
            found = shown(done.findings, job.profile)
            if spans:
                found = _both(found, carried(last, text, job, changes), spans)
            return Checked(text, found, broken=tuple(spans))
        fallen = around(text, fault.finding.start, fault.finding.start)
        if fallen in spans or fallen == (0, len(text)):
            break
        spans.append(fallen)
    return Checked(text, carried(last, text, job, changes), broken=tuple(spans))


def _telling(job: Job) -> Job:
    """The job, with a word for a text that can't be parsed whatever the settings are."""
    profile = job.profile
    if UNPARSABLE not in profile.codes:
        profile = replace(profile, codes=profile.codes | {UNPARSABLE})
    return replace(job, profile=profile, ignored=job.ignored - {UNPARSABLE})


def _examined(text: str, job: Job, trees: Trees | None) -> Examined:
    try:
        return examine_text(text, job, Mode.CHECK, trees)
    except RecursionError:
        return Examined(problem=Problem(ProblemKind.INTERNAL, "nested too deeply to be checked"))
    except Exception as error:  # the server must outlive a bug in a rule
        return Examined(problem=internal_problem(error))


def _notes(done: Examined) -> tuple[str, ...]:
    return (done.problem.message,) if done.problem is not None else ()


def _both(found: Sequence[Placed], kept: Sequence[Placed], spans: Sequence[Span]) -> tuple[Placed, ...]:
    """What was found around broken places, and what is known to stand in them.

    A fix may lean on what stands there: only those that were known before are offered.
    """
    known = {(p.finding.code, p.finding.start, p.finding.end): p for p in kept}
    out = [p for p in kept if any(a <= p.finding.start < b for a, b in spans)]
    for placed in found:
        finding = placed.finding
        same = known.get((finding.code, finding.start, finding.end))
        fix = same.finding.fix if same is not None else None
        out.append(
            replace(placed, finding=replace(finding, fix=fix), edits=same.edits if same is not None else ())
        )
    return tuple(sorted(out, key=lambda p: (p.finding.start, p.finding.end, p.finding.code)))


def carried(
    last: Checked | None, text: str, job: Job, changes: Sequence[Change] | None = None
) -> tuple[Placed, ...]:
    """The findings of `last` that no change has touched, where they stand in `text`."""
    if last is None or not last.findings:
        return ()
    changes = [_difference(last.text, text)] if changes is None else changes
    lines = Lines(text)
    kept: list[Placed] = []
    for placed in last.findings:
        finding = placed.finding
        start = _moved(finding.start, finding.end, changes)
        if start is not None:
            end = start + finding.end - finding.start
            fix = _moved_fix(finding.fix, changes) if finding.fix is not None else None
            kept.append(place(lines, replace(finding, start=start, end=end, fix=fix), job.profile.targets))
    return tuple(kept)


def _moved(start: int, end: int, changes: Sequence[Change], *, beside: bool = False) -> int | None:
    """Where a piece of text begins after the changes; None when one touches it. Right `beside` it may be allowed: else
    only with a line break between."""
    for first, last, new in changes:
        if start > last or (start == last and (start > first or new.endswith("\n"))):
            shift = len(new) - (last - first)
            start, end = start + shift, end + shift
        elif not (end < first or (end == first and (beside or new.startswith(("\n", "\r"))))):
            return None
    return start


def _moved_fix(fix: Fix, changes: Sequence[Change]) -> Fix | None:
    """The fix at its new place; None when one of its edits is where something changed."""
    edits: list[Edit] = []
    for edit in fix.edits:
        start = _moved(edit.start, edit.end, changes, beside=True)
        if start is None:
            return None
        edits.append(Edit(start, start + edit.end - edit.start, edit.text))
    return replace(fix, edits=tuple(edits))


def _touched(changes: Sequence[Change], before: Sequence[Span] = ()) -> list[Span]:
    """The places that changes, and some others in the text before, have come to in the text after all changes."""
    places = list(before)
    for first, last, new in changes:
        shift = len(new) - (last - first)
        places = [
            (a, b)
            if b < first
            else (a + shift, b + shift)
            if a > last
            else (min(a, first), max(b, last) + shift)
            for a, b in places
        ]
        places.append((first, first + len(new)))
    return places


def _difference(old: str, new: str) -> Change:
    """What turns one text into the other, as one change of whole lines."""
    head, tail = _common(old, new)
    return head, tail, new[head : tail + len(new) - len(old)]


def _common(old: str, new: str) -> Span:
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


def fixed(text: str, job: Job, code: str | None = None) -> str | None:
    """The text with every safe fix made (of one rule, with `code`), until nothing is left to do; None if nothing is, or
    something went wrong."""
    profile = replace(job.profile, unsafe=False)
    if code is not None:
        profile = replace(profile, fixable=frozenset({code}))
    job = replace(job, profile=profile)
    if job.is_python:
        done = examine_text(text, job, Mode.FIX)
    else:
        data = text.encode("utf-8", "surrogatepass")
        done = examine(data, replace(job, data=data), Mode.FIX)
    return done.new if done.problem is None else None


def edits_of(findings: Sequence[Placed], unsafe: bool) -> list[Placed]:
    """The findings whose fixes may be made together without asking, first come first served."""
    from uncuda.fixes.apply import choose

    chosen = {id(f) for f in choose(p.finding for p in findings if p.fixable(unsafe))}
    return [p for p in findings if id(p.finding) in chosen]
