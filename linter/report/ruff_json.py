"""JSON and JSON lines in ruff's shape, with what uncuda knows beside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from uncuda.layout import Layout
from uncuda.report.ansi import Style
from uncuda.report.links import rule_url
from uncuda.results import FileResult, Placed, Position, Run, dotted


def _place(position: Position) -> dict[str, int]:
    return {"row": position.row, "column": position.column}


def entry(run: Run, file: FileResult, placed: Placed, noqa_row: int) -> dict[str, Any]:
    """One finding as plain data. `noqa_row` is the row at whose end a comment silences it."""
    finding = placed.finding
    fix: dict[str, Any] | None = None
    if finding.fix is not None:
        fix = {
            "applicability": finding.fix.applicability.value,
            "message": finding.fix.title,
            "edits": [
                {
                    "content": edit.text,
                    "location": _place(edit.start),
                    "end_location": _place(edit.end),
                }
                for edit in placed.edits
            ],
        }
    floor = finding.fix.torch_floor if finding.fix is not None else None
    return {
        "cell": None,
        "code": finding.code,
        "name": finding.name,
        "message": finding.message,
        "filename": str(run.root / file.path),
        "location": _place(placed.start),
        "end_location": _place(placed.end),
        "noqa_row": noqa_row,
        "url": rule_url(finding.code),
        "symbol": finding.symbol,
        "category": finding.category.value,
        "effort": finding.effort,
        "severity": placed.severity.value,
        "outcomes": {
            target.value: outcome.value
            for target, outcome in sorted(finding.outcomes.items(), key=lambda item: item[0].value)
            if file.targets is None or target in file.targets
        },
        "torch_floor": dotted(floor) if floor else None,
        "fix_needs_torch": dotted(finding.fix_needs) if finding.fix_needs else None,
        "fix": fix,
    }


def _entries(run: Run) -> Iterator[dict[str, Any]]:
    for file in run.files:
        text = file.text() if file.findings else None
        layout = Layout(text or "")
        for placed in file.findings:
            yield entry(run, file, placed, layout.open_row(placed.start.row))


def render(run: Run, style: Style) -> str:
    """One JSON array (ASCII only, so that every output can carry it)."""
    return json.dumps(list(_entries(run)), indent=2) + "\n"


def render_lines(run: Run, style: Style) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(item) + "\n" for item in _entries(run))
