"""The totals at the end of text output, and what they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from uncuda.findings import Severity
from uncuda.report.ansi import Style, visible
from uncuda.results import Run


def plural(count: int, word: str) -> str:
    """`1 tie`, `2 ties`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def _severities(counts: Counter[Severity]) -> str:
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "remark"}
    return ", ".join(plural(counts[s], words[s]) for s in Severity if counts[s])


def problem_lines(run: Run, style: Style) -> list[str]:
    """One line for each file that the tool could not deal with."""
    return [
        f"{style.paint('error', 'red')}: {visible(file.display)}: {visible(problem.message)}"
        for file, problem in run.problems
    ]


def totals(run: Run, style: Style) -> list[str]:
    """The closing lines: what was found where, what can be fixed how, what was hidden, what failed."""
    findings = run.findings
    hidden = sum(file.hidden for file in run.files)
    applied = sum(len(file.applied) for file in run.files)
    failed = len(run.problems)
    out: list[str] = []
    if run.fixing and applied:
        files = sum(1 for file in run.files if file.applied)
        out.append(style.paint(f"Fixed {plural(applied, 'tie')} in {plural(files, 'file')}.", "green"))
    if findings:
        counts = Counter(placed.severity for _, placed in findings)
        files = len({file.display for file, _ in findings})
        left = "left" if run.fixing and applied else "Found"
        head = f"{plural(len(findings), 'tie')}"
        head = f"{head} left" if left == "left" else f"Found {head}"
        text = f"{head} ({_severities(counts)}) in {plural(files, 'file')}"
        parts = [style.paint(text, "bold"), *_fixable(run)]
        if hidden:
            parts.append(_hidden(hidden))
        out.append("; ".join(parts) + ".")
    elif run.checked:
        text = f"No ties to CUDA in {plural(run.checked, 'file')}" if not (run.fixing and applied) else ""
        text = text or f"No ties left in {plural(run.checked, 'file')}"
        tail = f"; {_hidden(hidden)}" if hidden else ""
        out.append(style.paint(text, "green") + tail + ".")
    if failed:
        out.append(
            style.paint(f"{plural(failed, 'file')} could not be dealt with", "red")
            + " (see the errors above)."
        )
    return out


def _hidden(count: int) -> str:
    return f"{plural(count, 'harmless one')} hidden (--severity info)"


def _fixable(run: Run) -> Iterable[str]:
    safe = sum(1 for _, placed in run.findings if placed.fixable(unsafe=False))
    both = sum(1 for _, placed in run.findings if placed.fixable(unsafe=True))
    unsafe = both - safe
    if run.fixing:
        if unsafe and not run.unsafe:
            yield f"{unsafe} fixable with --unsafe-fixes"
        return
    if safe and unsafe and not run.unsafe:
        yield f"{safe} fixable with --fix, {unsafe} more with --unsafe-fixes"
    elif run.unsafe and both:
        yield f"{both} fixable with --fix --unsafe-fixes"
    elif safe:
        yield f"{safe} fixable with --fix"
    elif unsafe:
        yield f"{unsafe} fixable with --fix --unsafe-fixes"


def show_fixes(run: Run, style: Style) -> list[str]:
    """For `--show-fixes`: each changed file with the fixes made, counted by rule."""
    out: list[str] = []
    for file in run.files:
        if not file.applied:
            continue
        counts = Counter((a.code, a.name, a.applicability.value) for a in file.applied)
        out.append(f"{style.paint(visible(file.display), 'bold')}:")
        for (code, name, trust), count in sorted(counts.items()):
            out.append(f"    {count} × {style.paint(code, 'red')} ({name}, {trust})")
    if out:
        out.insert(0, "Fixes made:" if run.fixing else "Fixes that would be made:")
    return out
