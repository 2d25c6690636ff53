"""The default text format: code frame, why it matters, the consequence on each target, the fix as a diff."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from functools import lru_cache

from uncuda.findings import Applicability, Edit
from uncuda.report.ansi import Style, visible
from uncuda.report.concise import header
from uncuda.report.frame import frame, gutter_of, preview
from uncuda.report.summary import OUTCOME_PAINT, totals
from uncuda.results import FileResult, Placed, Run, dotted, grouped_outcomes
from uncuda.source import Lines

_TRUST = {
    Applicability.SAFE: "safe",
    Applicability.UNSAFE: "unsafe: look at it",
    Applicability.DISPLAY: "only a hint",
}
_NARROWEST = 40


class _Writer:
    """Writes the findings of one file; what was said before in it isn't said again."""

    def __init__(self, run: Run, file: FileResult, style: Style, summaries: Mapping[str, str]) -> None:
        self.run = run
        self.file = file
        self.style = style
        self.summaries = summaries
        text = file.text()
        self.lines = None if text is None else Lines(text)
        self.explained: set[str] = set()
        self.drawn: set[Edit] = set()

    def block(self, placed: Placed) -> str:
        """A finding: its header, its frame, the notes below it, the fix."""
        out = [header(self.file, placed, self.style, self.run.unsafe)]
        gutter = 1
        if self.lines is not None:
            gutter = gutter_of(self.lines, placed)
            out += frame(self.lines, placed, self.style, gutter)
        for label, text in self._notes(placed):
            out += self._note(label, text, gutter)
        if self.lines is not None and placed.fix is not None:
            new = [edit for edit in placed.fix.edits if edit not in self.drawn]
            out += preview(self.lines, new, self.style, gutter)
            self.drawn.update(new)
        return "\n".join(out) + "\n"

    def _notes(self, placed: Placed) -> Iterator[tuple[str, str]]:
        """Labels and texts: why the rule is there (once in a file), what happens off CUDA, what the fix does."""
        code = placed.finding.code
        why = self.summaries.get(code)
        if why and code not in self.explained:
            self.explained.add(code)
            yield "why", visible(why)
        groups = grouped_outcomes(placed.finding, self.file.targets)
        if groups:
            yield (
                "off CUDA",
                "; ".join(f"{o.value} on {', '.join(t.value for t in targets)}" for o, targets in groups),
            )
        fix = placed.finding.fix
        if fix is not None:
            floor = f", torch {self.style.at_least} {dotted(fix.torch_floor)}" if fix.torch_floor else ""
            shared = "; with the lines shown before" if self.drawn.intersection(fix.edits) else ""
            yield "fix", f"{visible(fix.title)} ({_TRUST[fix.applicability]}{floor}{shared})"
        elif placed.finding.fix_needs is not None:
            yield "fix", f"there is one from torch {dotted(placed.finding.fix_needs)} on{_floor(self.file)}"

    def _note(self, label: str, text: str, gutter: int) -> list[str]:
        """A note over as many lines as it takes, with what matters in it painted."""
        head = f"{' ' * gutter} = "
        wide = max(_NARROWEST, self.style.width)
        rows = list(_rows(f"{head}{label}: {text}", wide, len(head) + 2))
        paint = self.style.paint
        rows[0] = (
            f"{' ' * gutter} {paint('=', 'blue')} {paint(f'{label}:', 'bold')}{rows[0][len(head) + len(label) + 1 :]}"
        )
        if label == "off CUDA":
            for outcome, color in OUTCOME_PAINT.items():
                rows = [
                    row.replace(f"{outcome.value} on", f"{paint(outcome.value, color)} on") for row in rows
                ]
        return rows


@lru_cache(maxsize=256)
def _rows(text: str, wide: int, indent: int) -> tuple[str, ...]:
    """A text over as many lines as it takes. Few texts are for many findings."""
    wrap = textwrap.TextWrapper(
        wide, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    return tuple(wrap.wrap(text))


def _floor(file: FileResult) -> str:
    if file.torch_floor is None:
        return ""
    origin = f" ({visible(file.floor_origin)})" if file.floor_origin else ""
    return f"; the project's floor is {dotted(file.torch_floor)}{origin}"


def render(run: Run, style: Style) -> str:
    """All findings with their frames, then the totals."""
    summaries = run.summaries()
    blocks: list[str] = []
    for file in run.files:
        if file.findings:
            writer = _Writer(run, file, style, summaries)
            blocks += [writer.block(placed) for placed in file.findings]
    closing = totals(run, style)
    if blocks and style.terminal and run.totals:
        closing.append(style.paint("`uncuda explain CODE` says more about a rule.", "dim"))
    return "\n".join([*blocks, *(["\n".join(closing) + "\n"] if closing else [])])
