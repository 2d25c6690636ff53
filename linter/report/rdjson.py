"""Reviewdog's diagnostic format."""

from __future__ import annotations

import json
from typing import Any

from uncuda.findings import Edit, Severity
from uncuda.fixes.apply import apply
from uncuda.report.ansi import Style
from uncuda.report.links import rule_url
from uncuda.results import Placed, Position, Run
from uncuda.source import Lines

_LEVELS = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "INFO"}
_SUGGESTION_ROWS = 10


def _point(position: Position, lines: Lines | None) -> dict[str, int]:
    # Columns of this format count bytes of UTF-8.
    column = position.column
    if lines is not None and not lines.text.isascii():
        start = lines.start(position.row)
        before = lines.text[start : start + position.column - 1]
        column += len(before.encode("utf-8", "surrogatepass")) - len(before)
    return {"line": position.row, "column": column}


def _suggestions(placed: Placed, lines: Lines | None) -> list[dict[str, Any]]:
    """The fix as one replacement: the format takes several suggestions as alternatives, not as parts."""
    fix = placed.fix
    if fix is None or lines is None:
        return []
    first = min(placed.edits, key=lambda e: (e.start.row, e.start.column)).start
    last = max(placed.edits, key=lambda e: (e.end.row, e.end.column)).end
    if last.row - first.row >= _SUGGESTION_ROWS:
        return []
    begin, stop = min(e.start for e in fix.edits), max(e.end for e in fix.edits)
    new = apply(lines.text[begin:stop], [Edit(e.start - begin, e.end - begin, e.text) for e in fix.edits])
    return [{"range": {"start": _point(first, lines), "end": _point(last, lines)}, "text": new}]


def render(run: Run, style: Style) -> str:
    """One JSON object."""
    out: list[dict[str, Any]] = []
    for file in run.files:
        text = file.text() if file.findings else None
        source = Lines(text) if text is not None else None
        for placed in file.findings:
            code: dict[str, str] = {"value": placed.finding.code}
            url = rule_url(placed.finding.code)
            if url:
                code["url"] = url
            item: dict[str, Any] = {
                "message": placed.finding.message,
                "location": {
                    "path": file.display.replace("\\", "/"),
                    "range": {"start": _point(placed.start, source), "end": _point(placed.end, source)},
                },
                "severity": _LEVELS[placed.severity],
                "code": code,
            }
            suggestions = _suggestions(placed, source)
            if suggestions:
                item["suggestions"] = suggestions
            out.append(item)
    return json.dumps({"source": {"name": "uncuda"}, "diagnostics": out}, indent=2) + "\n"
