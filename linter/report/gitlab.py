"""GitLab code quality."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from uncuda.findings import Severity
from uncuda.fingerprints import fingerprints
from uncuda.report.ansi import Style
from uncuda.results import Run

_LEVELS = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(run: Run, style: Style) -> str:
    """One JSON array; fingerprints are unique in it and don't depend on row numbers."""
    out: list[dict[str, Any]] = []
    for file in run.files:
        if not file.findings:
            continue
        prints = fingerprints(file.text() or "", [p.finding for p in file.findings])
        path = file.display.replace("\\", "/")
        for placed, fingerprint in zip(file.findings, prints, strict=True):
            key = f"{path}\0{fingerprint}".encode("utf-8", "surrogateescape")
            out.append(
                {
                    "check_name": placed.finding.code,
                    "description": f"{placed.finding.code}: {placed.finding.message}",
                    "severity": _LEVELS[placed.severity],
                    "fingerprint": blake2b(key, digest_size=16).hexdigest(),
                    "location": {
                        "path": path,
                        "positions": {
                            "begin": {"line": placed.start.row, "column": placed.start.column},
                            "end": {"line": placed.end.row, "column": placed.end.column},
                        },
                    },
                }
            )
    return json.dumps(out, indent=2) + "\n"
