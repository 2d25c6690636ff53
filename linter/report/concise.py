"""One finding a line: `path:row:column: CODE [*] message`."""

from __future__ import annotations

from uncuda.report.ansi import Style, visible
from uncuda.report.summary import totals
from uncuda.results import FileResult, Placed, Run


def header(file: FileResult, placed: Placed, style: Style, unsafe: bool) -> str:
    """The line that both text formats start a finding with.

    `[*]` says that `--fix` repairs it, `[**]` that `--unsafe-fixes` is needed as well.
    """
    star = ""
    if placed.fixable(unsafe=unsafe):
        star = f" {style.paint('[*]', 'cyan')}"
    elif placed.fixable(unsafe=True):
        star = f" {style.paint('[**]', 'cyan')}"
    colon = style.paint(":", "dim")
    code = style.paint(placed.finding.code, "alarm" if placed.severity.value == "error" else "yellow")
    where = f"{style.paint(visible(file.display), 'bold')}{colon}{placed.start.row}{colon}{placed.start.column}{colon}"
    return f"{where} {code}{star} {visible(placed.finding.message)}"


def render(run: Run, style: Style) -> str:
    """All findings, then the totals."""
    lines = [header(file, placed, style, run.unsafe) for file, placed in run.findings]
    return "".join(f"{line}\n" for line in [*lines, *totals(run, style)])
