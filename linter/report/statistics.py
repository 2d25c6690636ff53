"""`--statistics`: how many findings of each rule, most first."""

from __future__ import annotations

import json
from collections import Counter

from uncuda.report.ansi import Style
from uncuda.report.summary import totals
from uncuda.results import Run


def _rows(run: Run) -> list[tuple[int, int, str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    fixable: Counter[tuple[str, str]] = Counter()
    for _, placed in run.findings:
        key = (placed.finding.code, placed.finding.name)
        counts[key] += 1
        fixable[key] += placed.fixable(unsafe=run.unsafe)
    return [(counts[k], fixable[k], *k) for k in sorted(counts, key=lambda k: (-counts[k], k))]


def render(run: Run, style: Style) -> str:
    """A table, then the totals. `[*]`: every one can be fixed; `[-]`: some can."""
    rows = _rows(run)
    lines: list[str] = []
    if rows:
        wide = len(str(rows[0][0]))
        for count, fixable, code, name in rows:
            mark = "[*]" if fixable == count else "[-]" if fixable else "[ ]"
            lines.append(
                f"{style.paint(f'{count:>{wide}}', 'bold')}  {style.paint(code, 'cyan')}"
                f"  {style.paint(mark, 'cyan')}  {name}"
            )
    closing = totals(run, style)
    if lines and closing:
        lines.append("")
    return "".join(f"{line}\n" for line in [*lines, *closing])


def render_json(run: Run, style: Style) -> str:
    """The same as a JSON array."""
    rows = [
        {"code": code, "name": name, "count": count, "fixable_count": fixable, "fixable": fixable == count}
        for count, fixable, code, name in _rows(run)
    ]
    return json.dumps(rows, indent=2) + "\n"
