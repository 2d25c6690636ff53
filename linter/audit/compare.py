"""What changed between two audits."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from uncuda.audit.collect import AuditError
from uncuda.audit.model import FORMAT, Audit
from uncuda.audit.wording import ties
from uncuda.cli.plan import display


def compare(path: Path, audit: Audit) -> str:
    """Lines that say what changed since the JSON report in `path`. Raises AuditError when it is none."""
    old = load(path)
    before = Counter((display(t["path"], audit.root), t["code"], t["symbol"]) for t in old["ties"])
    now = Counter((t.path, t.code, t.symbol) for t in audit.ties)
    gone, come = before - now, now - before
    lines = [f"Since {path.name}: {ties(sum(gone.values()))} gone, {sum(come.values())} new."]
    verdicts = {t["target"]: t["verdict"] for t in old["targets"]}
    for standing in audit.standings:
        was = verdicts.get(standing.target.value)
        if was is not None and was != standing.verdict.value:
            lines.append(f"  {standing.target.value}: {was} → {standing.verdict.value}")
    points = float(old["effort"]["points"])
    lines.append(f"  effort: {points:g} → {audit.points:g} story points")
    lines.extend(
        f"  new: {path} {code} {symbol} ({count})"
        for (path, code, symbol), count in sorted(come.items())[:20]
    )
    return "\n".join(lines) + "\n"


def load(path: Path) -> dict[str, Any]:
    """A JSON report. Raises AuditError when the file can't be read or has another shape."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise AuditError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise AuditError(f"{path} is not a report of `uncuda audit --output-format json` ({FORMAT})")
    return content
