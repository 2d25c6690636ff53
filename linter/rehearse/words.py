"""A rehearsal in words: what it shows, and what to do next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from uncuda.findings import Outcome
from uncuda.rehearse.model import SIMULATED, Rehearsal, Touch, Verdict
from uncuda.rehearse.notes import Line
from uncuda.report.ansi import visible


def shown(line: Line) -> str:
    """A line as `file:line`, from the current directory where it is below it."""
    here = os.getcwd() + os.sep
    return f"{visible(line.file.removeprefix(here))}:{line.line}"


def devices(rehearsal: Rehearsal) -> str:
    """The devices that the program had."""
    name = rehearsal.device.name
    if rehearsal.way != SIMULATED:
        return "the CPU"
    return (
        f"a simulated {name}" if rehearsal.devices == 1 else f"{rehearsal.devices} simulated {name} devices"
    )


def summary(rehearsal: Rehearsal) -> str:
    """What the rehearsal shows, in one sentence."""
    name = rehearsal.device.name
    hurting = len({t.at for t in rehearsal.touches if t.hurts})
    asks = f"{hurting} {'line asks' if hurting == 1 else 'lines ask'} for CUDA"
    if rehearsal.verdict is Verdict.RAN:
        if rehearsal.way == SIMULATED:
            return f"it ran on {devices(rehearsal)}, without CUDA"
        return "it ran without CUDA" + ("" if name == "cpu" else "; no accelerator was simulated")
    if rehearsal.verdict is Verdict.TIED:
        return f"it ran, but {asks}"
    if rehearsal.verdict is Verdict.STAYED:
        return (
            f"it ran, but stayed on the CPU: there is an accelerator ({name}), and it had nothing to compute"
        )
    if rehearsal.verdict is Verdict.NO_TORCH:
        return "it ended without importing torch: there was nothing to see"
    if rehearsal.verdict is Verdict.INTERRUPTED:
        return "it was interrupted; this is what was seen until then"
    if rehearsal.verdict is Verdict.TIMED_OUT:
        return f"it was stopped after {rehearsal.ending.seconds:.0f} s; this is what was seen until then"
    failure = rehearsal.failure
    if failure is None:
        return f"it ended with exit code {rehearsal.ending.code}"
    at = next((line for line in failure.lines if line.is_own), None)
    where = "" if at is None else f" at {shown(at)}"
    return f"it {rehearsal.verdict.value}{where}: {visible(failure.error)}"


def next_steps(rehearsal: Rehearsal) -> Iterator[str]:
    """What to do now, the most useful first."""
    target = rehearsal.target.value
    failure = rehearsal.failure
    if failure is not None and failure.advice:
        yield failure.advice
    fixable = [
        t for t in rehearsal.touches if t.rule is not None and t.rule.fix in ("safe", "unsafe") and _counts(t)
    ]
    if fixable:
        files = list(dict.fromkeys(shown(t.at).rpartition(":")[0] for t in fixable))
        unsafe = (
            " --unsafe-fixes" if any(t.rule is not None and t.rule.fix == "unsafe" for t in fixable) else ""
        )
        yield f"uncuda check --target {target} --fix{unsafe} {shlex.join(files)}"
    fixed = {t.rule.code for t in fixable if t.rule is not None}
    codes = [t.rule.code for t in rehearsal.touches if t.rule is not None and t.hurts]
    codes += [failure.rule.code] if failure is not None and failure.rule is not None else []
    for code in dict.fromkeys(code for code in codes if code not in fixed):
        yield f"uncuda explain {code}"
    if rehearsal.verdict is Verdict.STAYED and not fixable:
        yield "Choose the device where the program starts: uncuda explain UC201"
    if rehearsal.verdict is Verdict.NO_TORCH:
        yield "Give it the arguments with which it trains or answers, in little time."
    if rehearsal.verdict is Verdict.TIMED_OUT:
        yield "Make the run short (few steps, small data), or give it more time: --timeout SECONDS"
    if rehearsal.broken is not None:
        yield f"Watch without a device: {shlex.join(['uncuda', 'rehearse', '--watch-only', *rehearsal.command])}"


def _counts(touch: Touch) -> bool:
    assert touch.rule is not None
    return touch.hurts or touch.rule.outcome in (Outcome.CRASH, Outcome.SILENT_CPU, Outcome.DEGRADED)
