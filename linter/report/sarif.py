"""SARIF 2.1.0, for code scanning and editors."""

from __future__ import annotations

import json
from typing import Any

from uncuda import __version__
from uncuda.findings import Severity
from uncuda.fingerprints import fingerprints
from uncuda.report.ansi import Style
from uncuda.report.links import directory_or_file_uri, relative_uri, rule_url
from uncuda.report.rule_pages import page
from uncuda.results import UNPARSABLE, FileResult, Placed, PlacedEdit, Position, Run, dotted, grouped_outcomes

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_ROOT = "SRCROOT"


def _artifact(run: Run, file: FileResult) -> dict[str, str]:
    uri, inside = relative_uri(file.path, run.root)
    return {"uri": uri, "uriBaseId": _ROOT} if inside else {"uri": uri}


def _region(start: Position, end: Position, offset: int, length: int) -> dict[str, int]:
    return {
        "startLine": start.row,
        "startColumn": start.column,
        "endLine": end.row,
        "endColumn": end.column,
        "charOffset": offset,
        "charLength": length,
    }


def _rules(run: Run) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for _, placed in run.findings:
        seen.setdefault(placed.finding.code, placed.finding.name)
    for code, name in sorted(seen.items()):
        known = page(code)
        rule: dict[str, Any] = {"id": code, "name": "".join(part.title() for part in name.split("-"))}
        if known is not None:
            rule["shortDescription"] = {"text": known.summary}
            rule["fullDescription"] = {"text": known.text}
            rule["help"] = {"text": known.text, "markdown": known.markdown}
        else:
            rule["shortDescription"] = {"text": name}
        url = rule_url(code)
        if url:
            rule["helpUri"] = url
        rule["properties"] = {"tags": ["portability", "error"] if code == UNPARSABLE else ["portability"]}
        out.append(rule)
    return out


def _fix(run: Run, file: FileResult, placed: Placed) -> dict[str, Any] | None:
    fix = placed.fix
    if fix is None:
        return None

    def replacement(offset: int, length: int, edit: PlacedEdit) -> dict[str, Any]:
        change: dict[str, Any] = {"deletedRegion": _region(edit.start, edit.end, offset, length)}
        if edit.text:
            change["insertedContent"] = {"text": edit.text}
        return change

    return {
        "description": {"text": f"{fix.title} ({fix.applicability.value})"},
        "artifactChanges": [
            {
                "artifactLocation": _artifact(run, file),
                "replacements": [
                    replacement(edit.start, edit.end - edit.start, where)
                    for edit, where in zip(fix.edits, placed.edits, strict=True)
                ],
            }
        ],
    }


def _results(run: Run, index: dict[str, int]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for file in run.files:
        if not file.findings:
            continue
        text = file.text() or ""
        prints = fingerprints(text, [p.finding for p in file.findings])
        for placed, fingerprint in zip(file.findings, prints, strict=True):
            finding = placed.finding
            outcomes = "; ".join(
                f"{outcome.value}: {', '.join(t.value for t in targets)}"
                for outcome, targets in grouped_outcomes(finding, file.targets)
            )
            floor = finding.fix.torch_floor if finding.fix else None
            result: dict[str, Any] = {
                "ruleId": finding.code,
                "ruleIndex": index[finding.code],
                "level": _LEVELS[placed.severity],
                "message": {"text": finding.message + (f" ({outcomes})" if outcomes else "")},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": _artifact(run, file),
                            "region": _region(
                                placed.start, placed.end, finding.start, finding.end - finding.start
                            ),
                        }
                    }
                ],
                "partialFingerprints": {"uncuda/v1": fingerprint},
                "properties": {
                    "symbol": finding.symbol,
                    "category": finding.category.value,
                    "effort": finding.effort,
                    "outcomes": {t.value: o.value for t, o in finding.outcomes.items()},
                    "torchFloor": dotted(floor) if floor else None,
                    "fixNeedsTorch": dotted(finding.fix_needs) if finding.fix_needs else None,
                },
            }
            fix = _fix(run, file, placed)
            if fix is not None:
                result["fixes"] = [fix]
            out.append(result)
    return out


def render(run: Run, style: Style) -> str:
    """One SARIF log with one run."""
    rules = _rules(run)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    notes = [
        {
            "level": "error",
            "message": {"text": problem.message},
            "descriptor": {"id": problem.kind.value},
            "locations": [{"physicalLocation": {"artifactLocation": _artifact(run, file)}}],
        }
        for file, problem in run.problems
    ]
    root = directory_or_file_uri(run.root).rstrip("/") + "/"
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "uncuda",
                        "version": __version__,
                        "semanticVersion": __version__,
                        "rules": rules,
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": not notes,
                        "arguments": list(run.command_line),
                        "toolExecutionNotifications": notes,
                    }
                ],
                "originalUriBaseIds": {_ROOT: {"uri": root}},
                "columnKind": "unicodeCodePoints",
                "results": _results(run, index),
            }
        ],
    }
    return json.dumps(log, indent=2) + "\n"
