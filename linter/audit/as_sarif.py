"""The audit's ties as SARIF for code scanning."""

from __future__ import annotations

from uncuda.audit.model import Audit
from uncuda.report import render as render_report
from uncuda.report.ansi import Style
from uncuda.results import FileResult, Run


def render(audit: Audit) -> str:
    """Every tie that matters on the chosen targets, in the shape that `uncuda check` has."""
    from uncuda.rules.catalogue import catalogue

    by_path: dict[str, list[FileResult]] = {}
    for tie in audit.ties:
        by_path.setdefault(tie.path, [])
    files = tuple(
        FileResult(
            audit.root / path,
            path,
            findings=tuple(t.placed for t in audit.ties if t.path == path),
            targets=frozenset(audit.targets),
        )
        for path in by_path
    )
    run = Run(
        files=files,
        checked=audit.files,
        root=audit.root,
        summaries=lambda: {info.code: info.summary for info in catalogue()},
    )
    return render_report("sarif", run, Style(width=120))
