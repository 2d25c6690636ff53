"""GitHub Actions annotations: workflow commands, one a finding."""

from __future__ import annotations

from uncuda.findings import Severity
from uncuda.report.ansi import Style, visible
from uncuda.results import Run

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def render(run: Run, style: Style) -> str:
    """One workflow command a finding, and one an unusable file."""
    out: list[str] = []
    for file, placed in run.findings:
        finding = placed.finding
        place = {
            "title": f"uncuda ({finding.code})",
            "file": visible(file.display),
            "line": str(placed.start.row),
            "endLine": str(placed.end.row),
        }
        # GitHub takes columns only for a range within one line.
        if placed.start.row == placed.end.row:
            place |= {"col": str(placed.start.column), "endColumn": str(placed.end.column)}
        where = ",".join(f"{key}={_property(value)}" for key, value in place.items())
        short = f"{file.display}:{placed.start.row}:{placed.start.column}: {finding.code} {finding.message}"
        out.append(f"::{_LEVELS[placed.severity]} {where}::{_data(visible(short))}")
    for file, problem in run.problems:
        out.append(
            f"::error title=uncuda,file={_property(visible(file.display))}"
            f"::{_data(visible(f'{file.display}: {problem.message}'))}"
        )
    return "".join(line + "\n" for line in out)
