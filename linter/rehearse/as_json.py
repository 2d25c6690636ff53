"""A rehearsal for programs."""

from __future__ import annotations

import json
from typing import Any

from uncuda.rehearse.model import FORMAT, Failure, Rehearsal, Rule, Touch
from uncuda.rehearse.notes import Line, Seen
from uncuda.rehearse.words import next_steps, summary


def render(rehearsal: Rehearsal) -> str:
    """The report, in ASCII."""
    return json.dumps(data(rehearsal), indent=2, ensure_ascii=True) + "\n"


def data(rehearsal: Rehearsal) -> dict[str, Any]:
    """The report as JSON's own values."""
    return {
        "format": FORMAT,
        "verdict": rehearsal.verdict.value,
        "summary": summary(rehearsal),
        "command": list(rehearsal.command),
        "target": rehearsal.target.value,
        "device": rehearsal.device.name,
        "devices": rehearsal.devices,
        "way": rehearsal.way,
        "why": rehearsal.why,
        "torch": rehearsal.torch,
        "exit_code": rehearsal.ending.code,
        "seconds": round(rehearsal.ending.seconds, 3),
        "processes": rehearsal.processes,
        "broken": rehearsal.broken,
        "failure": None if rehearsal.failure is None else _failure(rehearsal.failure),
        "touches": [_touch(t) for t in rehearsal.touches],
        "libraries": {name: [_seen(s) for s in seen] for name, seen in rehearsal.libraries},
        "mixed_devices": [_seen(s) for s in rehearsal.mixed],
        "operators": dict(rehearsal.operators),
        "computed_on_cpu": [_seen(s) for s in rehearsal.computed_on_cpu],
        "process_groups": [_seen(s) for s in rehearsal.groups],
        "stand_ins": [_seen(s) for s in rehearsal.stand_ins],
        "blind": list(rehearsal.blind),
        "next": list(next_steps(rehearsal)),
    }


def _line(line: Line) -> dict[str, Any]:
    return {"file": line.file, "line": line.line, "owner": line.owner}


def _seen(seen: Seen) -> dict[str, Any]:
    return {"what": seen.subject, **_line(seen.at), "times": seen.times}


def _rule(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {
        "code": rule.code,
        "name": rule.name,
        "message": rule.message,
        "outcome": rule.outcome.value,
        "fix": rule.fix,
        "handled": rule.handled,
    }


def _touch(touch: Touch) -> dict[str, Any]:
    return {
        "symbol": touch.symbol,
        "known_as": touch.known,
        **_line(touch.at),
        "times": touch.times,
        "hurts": touch.hurts,
        "rule": _rule(touch.rule),
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "error": failure.error,
        "text": failure.text,
        "lines": [_line(line) for line in failure.lines],
        "rule": _rule(failure.rule),
        "advice": failure.advice,
    }
