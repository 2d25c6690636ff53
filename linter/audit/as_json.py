"""The audit as JSON; the shape is published in audit.schema.json and versioned by its `format` field."""

from __future__ import annotations

import json
from typing import Any

from uncuda import __version__
from uncuda.audit.model import FORMAT, ApiRow, Audit, Days, Place, Spot, Standing, Tie
from uncuda.audit.wording import unchecked


def render(audit: Audit) -> str:
    """The report as text, ending in a line break."""
    return json.dumps(content(audit), indent=2, ensure_ascii=False) + "\n"


def content(audit: Audit) -> dict[str, Any]:
    """The report as plain data."""
    return {
        "format": FORMAT,
        "tool": {"name": "uncuda", "version": __version__},
        "project": {
            "name": audit.name,
            "revision": audit.revision,
            "entry": audit.entry,
            "torch_floor": audit.torch_floor,
            "files": audit.files,
            "lines": audit.lines,
        },
        "targets": [_standing(s) for s in audit.standings],
        "totals": {
            "ties": len(audit.ties),
            "handled": len(audit.guards),
            "suppressed": audit.suppressed,
            "examples": len(audit.examples),
            "outcomes": {o.value: n for o, n in audit.outcomes.items()},
            "remedies": {r.value: n for r, n in audit.remedies.items()},
        },
        "effort": {
            "points": audit.points,
            "days": _days(audit.days),
            "assumptions": list(audit.assumptions),
        },
        "kinds": [
            {
                "key": row.key,
                "title": row.title,
                "count": row.count,
                "outcomes": {o.value: n for o, n in row.outcomes.items()},
                "remedies": {r.value: n for r, n in row.remedies.items()},
                "points": round(row.points, 2),
            }
            for row in audit.kinds
        ],
        "families": [
            {
                "code": row.code,
                "title": row.title,
                "count": row.count,
                "outcomes": {o.value: n for o, n in row.outcomes.items()},
                "remedies": {r.value: n for r, n in row.remedies.items()},
            }
            for row in audit.families
        ],
        "inventory": {
            "apis": [_api(row) for row in audit.apis],
            "packages": [_api(row) for row in audit.packages],
            "kernels": [_api(row) for row in audit.kernels],
            "sources": [
                {"language": r.language, "files": r.files, "kernels": r.kernels, "lines": r.lines}
                for r in audit.sources
            ],
            "deployment": [_api(row) for row in audit.deployment],
            "guards": [_place(p) for p in audit.guards],
            "tests_that_never_run_off_cuda": [_place(p) for p in audit.gates],
        },
        "hotspots": {
            "files": [_spot(s) for s in audit.hotspots],
            "directories": [_spot(s) for s in audit.directories],
        },
        "plan": [
            {
                "title": phase.title,
                "why": phase.why,
                "points": round(phase.points, 2),
                "days": _days(phase.days),
                "risks": list(phase.risks),
                "steps": [
                    {
                        "title": step.title,
                        "count": step.count,
                        "points": step.points,
                        "detail": step.detail,
                        "command": step.command,
                    }
                    for step in phase.steps
                ],
            }
            for phase in audit.plan
        ],
        "trend": [
            {"commit": p.commit, "day": p.day, "ties": p.ties, "hurting": p.hurting, "points": p.points}
            for p in audit.trend
        ],
        "ties": [_tie(t) for t in audit.ties],
        "examples": [_tie(t) for t in audit.examples],
        "problems": [{"path": path, "message": message} for path, message in unchecked(audit)],
    }


def _days(days: Days) -> list[float]:
    return [days.low, days.high]


def _place(place: Place) -> dict[str, Any]:
    return {"path": place.path, "row": place.row, "message": place.text}


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "target": standing.target.value,
        "title": standing.title,
        "verdict": standing.verdict.value,
        "outcomes": {o.value: n for o, n in standing.counts.items()},
        "silent": [_place(p) for p in standing.silent],
        "crashes": [_place(p) for p in standing.crashes],
        "degraded": [_place(p) for p in standing.degraded],
        "blockers": [_place(p) for p in standing.blockers],
        "remedies": {r.value: n for r, n in standing.left.items()},
        "points": round(standing.points, 2),
        "days": _days(standing.days),
    }


def _api(row: ApiRow) -> dict[str, Any]:
    return {
        "symbol": row.symbol,
        "count": row.count,
        "outcomes": {t.value: o.value for t, o in row.outcomes.items()},
        "replacement": row.replacement,
        "points": round(row.points, 2),
        "places": [_place(p) for p in row.places],
    }


def _spot(spot: Spot) -> dict[str, Any]:
    return {"path": spot.path, "ties": spot.ties, "points": spot.points}


def _tie(tie: Tie) -> dict[str, Any]:
    finding = tie.placed.finding
    return {
        "path": tie.path,
        "row": tie.row,
        "column": tie.placed.start.column,
        "code": finding.code,
        "name": finding.name,
        "symbol": finding.symbol,
        "message": finding.message,
        "kind": tie.kind,
        "category": finding.category.value,
        "effort": finding.effort,
        "remedy": tie.remedy.value,
        "blocker": tie.blocker,
        "outcomes": {t.value: o.value for t, o in finding.outcomes.items()},
    }
