"""The totals at the end of text output, and what they count."""

from __future__ import annotations

from collections import Counter

from uncuda.findings import Outcome
from uncuda.report.ansi import Style, visible
from uncuda.results import FileResult, Placed, Run, dotted

OUTCOME_PAINT = {
    Outcome.CRASH: "alarm",
    Outcome.SILENT_CPU: "loss",
    Outcome.DEGRADED: "yellow",
    Outcome.UNKNOWN: "yellow",
    Outcome.HARMLESS: "green",
    Outcome.WORKS: "green",
}
# What is told first: a crash is seen by everybody, a lost accelerator by nobody.
_GRAVEST = (
    Outcome.SILENT_CPU,
    Outcome.CRASH,
    Outcome.DEGRADED,
    Outcome.UNKNOWN,
    Outcome.HARMLESS,
    Outcome.WORKS,
)


def plural(count: int, word: str) -> str:
    """`1 tie`, `2 ties`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def problem_lines(run: Run, style: Style) -> list[str]:
    """One line for each file that the tool could not deal with."""
    return [
        f"{style.paint('error', 'alarm')}: {visible(file.display)}: {visible(problem.message)}"
        for file, problem in run.problems
    ]


def gravest(file: FileResult, placed: Placed) -> Outcome | None:
    """What a finding is counted under: the loss that nobody sees before the crash that everybody does. None for
    what isn't a tie."""
    seen = {
        outcome
        for target, outcome in placed.finding.outcomes.items()
        if file.targets is None or target in file.targets
    }
    return next((outcome for outcome in _GRAVEST if outcome in seen), None)


def totals(run: Run, style: Style) -> list[str]:
    """The closing lines: what was found, what can be fixed how, what was hidden, what failed. None when the run is to
    be quiet about it."""
    if not run.totals:
        return []
    applied = sum(len(file.applied) for file in run.files)
    hidden = sum(file.hidden for file in run.files)
    out: list[str] = []
    if run.fixing and applied:
        files = sum(1 for file in run.files if file.applied)
        out.append(style.paint(f"Fixed {plural(applied, 'tie')} in {plural(files, 'file')}.", "green"))
    left = run.fixing and applied > 0
    if run.findings:
        out.append(_found(run, style, left))
        out += _fixable(run, style)
    elif run.checked > len(run.problems):
        words = "No ties left" if left else "No ties to CUDA"
        out.append(style.paint(f"{words} in {plural(run.checked - len(run.problems), 'file')}.", "green"))
    if hidden:
        out.append(
            style.paint(f"{plural(hidden, 'harmless one')} not shown; --severity info shows them.", "dim")
        )
    if run.problems:
        count = plural(len(run.problems), "file")
        out.append(style.paint(f"{count} could not be dealt with", "alarm") + " (see the errors above).")
    return out


def _found(run: Run, style: Style, left: bool) -> str:
    """`Found 12 ties in 3 files: 4 silent-cpu, 8 crash.`; what isn't a tie is counted by its rule's name."""
    ties: Counter[Outcome] = Counter()
    others: Counter[str] = Counter()
    for file, placed in run.findings:
        outcome = gravest(file, placed)
        if outcome is None:
            others[placed.finding.name] += 1
        else:
            ties[outcome] += 1
    parts = [f"{ties[o]} {style.paint(o.value, OUTCOME_PAINT[o])}" for o in _GRAVEST if ties[o]]
    parts += [f"{count} {style.paint(name, 'yellow')}" for name, count in sorted(others.items())]
    files = plural(len({file.path for file, _ in run.findings}), "file")
    total = ties.total()
    head = plural(total, "tie") if total else plural(len(run.findings), "finding")
    head = f"{head} left" if left else f"Found {head}"
    return f"{style.paint(f'{head} in {files}', 'bold')}: {', '.join(parts)}."


def _fixable(run: Run, style: Style) -> list[str]:
    """`Fixable: 3 [*] with --fix, 5 [**] more with --fix --unsafe-fixes; 4 are left to you.` The stars are those in
    the findings' headers."""
    safe = sum(placed.fixable(unsafe=False) for _, placed in run.findings)
    unsafe = sum(placed.fixable(unsafe=True) for _, placed in run.findings) - safe
    one, two = style.paint("[*]", "cyan"), style.paint("[**]", "cyan")
    parts: list[str] = []
    counted = safe + unsafe
    if run.fixing:
        # What could be fixed was.
        counted = 0 if run.unsafe else unsafe
        if counted:
            parts.append(f"{unsafe} {two} with --unsafe-fixes")
    elif run.unsafe:
        if counted:
            parts.append(f"{counted} {one} with --fix --unsafe-fixes")
    else:
        if safe:
            parts.append(f"{safe} {one} with --fix")
        if unsafe:
            parts.append(f"{unsafe} {two} {'more ' if safe else ''}with --fix --unsafe-fixes")
    newer = Counter(p.finding.fix_needs for _, p in run.findings if p.finding.fix_needs is not None)
    if newer:
        one_of = parts or run.fixing
        release = dotted(max(newer))
        parts.append(
            f"{newer.total()}{' more' if one_of else ''} if the floor were torch {release} (--torch-floor)"
        )
    if not parts:
        return []
    rest = len(run.findings) - counted - newer.total()
    tail = f"; {rest} {'is' if rest == 1 else 'are'} left to you" if rest else ""
    return [f"Fixable: {', '.join(parts)}{tail}."]


def show_fixes(run: Run, style: Style) -> list[str]:
    """For `--show-fixes`: each changed file with the fixes made, counted by rule."""
    out: list[str] = []
    for file in run.files:
        if not file.applied:
            continue
        counts = Counter((a.code, a.name, a.applicability.value) for a in file.applied)
        out.append(f"{style.paint(visible(file.display), 'bold')}:")
        for (code, name, trust), count in sorted(counts.items()):
            times = "\u00d7" if style.unicode else "x"
            out.append(f"    {count} {times} {style.paint(code, 'cyan')} ({name}, {trust})")
    if out:
        out.insert(0, "Fixes made:" if run.fixing else "Fixes that would be made:")
    return out
