"""Checks the text of one open document, and keeps what is known while a line is half typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from uncuda.findings import Edit, Fix
from uncuda.lsp.broken import Span, around, can_be_read, imports, without
from uncuda.results import UNPARSABLE, Placed, Problem, ProblemKind
from uncuda.runner import Examined, Job, Mode, examine, examine_text, internal_problem, place, shown
from uncuda.source import Lines
from uncuda.trees import Trees

TRIES = 4
"""Broken places that are looked for, at most, before the findings of the last text are all there is."""


LONGEST_PIECE = 20_000
"""Characters between changes that are looked at by themselves. What is longer was changed in several places."""


@dataclass(frozen=True)
class Checked:
    """What is known of a text: the findings to show. `notes` are for the log.

    In what can't be parsed they are those of the last text that could be, where they still apply.
    """

    text: str
    findings: tuple[Placed, ...] = ()
    notes: tuple[str, ...] = ()


def check(text: str, job: Job, last: Checked | None = None, trees: Trees | None = None) -> Checked:
    """Checks `text`; `last` is what was known of the document before, `trees` what was parsed for it."""
    data = text.encode("utf-8", "surrogatepass")
    if not job.is_worth_reading(data):
        return Checked(text)
    if not job.is_python:
        done = examine(data, replace(job, data=data), Mode.CHECK)
        return Checked(text, shown(done.findings, job.profile), _notes(done))
    job = _telling(job)
    spans: list[Span] = []
    if last is not None and last.text != text:
        touched = around(text, *_changed(last.text, text))
        if (
            touched[1] - touched[0] <= LONGEST_PIECE
            and touched != (0, len(text))
            and not can_be_read(text[slice(*touched)])
        ):
            spans.append(touched)
    for _ in range(TRIES):
        if imports(text, spans):
            break
        done = _examined(without(text, spans), job, trees)
        if done.problem is not None:
            return Checked(text, carried(last, text, job), _notes(done))
        fault = next((p for p in done.findings if p.finding.code == UNPARSABLE), None)
        if fault is None:
            found = shown(done.findings, job.profile)
            if spans:
                found = _both(found, carried(last, text, job), spans)
            return Checked(text, found)
        fallen = around(text, fault.finding.start, fault.finding.start)
        if fallen in spans or fallen == (0, len(text)):
            break
        spans.append(fallen)
    return Checked(text, carried(last, text, job))


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


def _changed(old: str, new: str) -> Span:
    """Where a text differs from the one before; whole lines."""
    head, tail = _common(old, new)
    return head, max(head, tail + len(new) - len(old))


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
