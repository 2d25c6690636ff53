"""The default text format: code frame, why it matters, the consequence on each target, the fix as a diff."""

from __future__ import annotations

from uncuda.findings import Applicability, Outcome
from uncuda.report.ansi import Style, visible
from uncuda.report.concise import header
from uncuda.report.frame import Code, frame, gutter_of, preview
from uncuda.report.summary import totals
from uncuda.results import FileResult, Placed, Run, dotted, grouped_outcomes

_PAINT = {
    Outcome.CRASH: "red",
    Outcome.SILENT_CPU: "red",
    Outcome.DEGRADED: "yellow",
    Outcome.UNKNOWN: "yellow",
    Outcome.HARMLESS: "green",
    Outcome.WORKS: "green",
}
_TRUST = {
    Applicability.SAFE: "safe",
    Applicability.UNSAFE: "unsafe: look at it",
    Applicability.DISPLAY: "a suggestion, never applied",
}


def consequence(file: FileResult, placed: Placed, style: Style) -> str:
    """`crash: cpu, ascend · works: rocm`, or nothing when no outcome is known."""
    groups = grouped_outcomes(placed.finding, file.targets)
    return f" {style.dot} ".join(
        f"{style.paint(outcome.value, _PAINT[outcome])}: {', '.join(t.value for t in targets)}"
        for outcome, targets in groups
    )


def _finding(run: Run, file: FileResult, placed: Placed, style: Style, code: Code | None) -> list[str]:
    out = [header(file, placed, style, run.unsafe)]
    gutter = 1
    if code is not None:
        out += frame(code, placed, style)
        gutter = gutter_of(code, placed)
    bar = f"{' ' * gutter} {style.paint('=', 'blue')}"
    why = run.summaries().get(placed.finding.code)
    if why:
        out.append(f"{bar} {style.paint('why', 'bold')}: {visible(why)}")
    outcome = consequence(file, placed, style)
    if outcome:
        out.append(f"{bar} {style.paint('off CUDA', 'bold')}: {outcome}")
    fix = placed.finding.fix
    if fix is not None:
        floor = f", torch {style.at_least} {dotted(fix.torch_floor)}" if fix.torch_floor else ""
        label = style.paint("fix", "bold")
        out.append(f"{bar} {label} ({_TRUST[fix.applicability]}{floor}): {visible(fix.title)}")
        if code is not None and fix.edits:
            indent = " " * (gutter + 3)
            out += [indent + line for line in preview(code, fix, style)]
    return out


def render(run: Run, style: Style) -> str:
    """All findings with their frames, then the totals."""
    blocks: list[str] = []
    for file in run.files:
        if not file.findings:
            continue
        text = file.text()
        code = None if text is None else Code(text)
        blocks += ["\n".join(_finding(run, file, placed, style, code)) + "\n" for placed in file.findings]
    return "\n".join([*blocks, "\n".join(totals(run, style)) + "\n"])
