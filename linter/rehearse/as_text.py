"""A rehearsal for people, on a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from uncuda.findings import Outcome
from uncuda.rehearse.model import SIMULATED, Rehearsal, Touch, Verdict
from uncuda.rehearse.notes import Seen
from uncuda.rehearse.words import devices, next_steps, shown, summary
from uncuda.report.ansi import Style, visible

_PAINT = {
    Outcome.CRASH: "alarm",
    Outcome.SILENT_CPU: "loss",
    Outcome.DEGRADED: "yellow",
}
_MANY = 12
"""Lines of a list before the rest is only counted."""


def render(rehearsal: Rehearsal, style: Style) -> str:
    """The report."""
    return "\n".join(_lines(rehearsal, style)) + "\n"


def _lines(rehearsal: Rehearsal, style: Style) -> Iterator[str]:
    good = rehearsal.verdict is Verdict.RAN
    yield ""
    yield f"{style.paint('rehearsal', 'bold')}  {visible(shlex.join(rehearsal.command))}"
    yield f"  {style.paint(summary(rehearsal), 'green' if good else 'alarm')}"
    yield f"  {style.paint(_setting(rehearsal), 'dim')}"
    if rehearsal.broken is not None:
        yield f"  {style.paint('the device could not be simulated', 'alarm')}: {visible(rehearsal.broken)}"
    yield from _failure(rehearsal, style)
    hurting = [t for t in rehearsal.touches if t.hurts]
    others = [t for t in rehearsal.touches if not t.hurts]
    yield from _listed("asks for CUDA", [_touch(t, style) for t in hurting], style)
    yield from _listed("asks for CUDA, without harm in this run", [_touch(t, style) for t in others], style)
    yield from _listed("mixes devices", [_seen(s) for s in rehearsal.mixed], style)
    if rehearsal.way == SIMULATED:
        yield from _computing(rehearsal, style)
    yield from _listed("process groups", [_seen(s) for s in rehearsal.groups], style)
    yield from _listed(
        "libraries asked for CUDA",
        [f"{visible(name)}: {', '.join(_times(s) for s in seen[:5])}" for name, seen in rehearsal.libraries],
        style,
    )
    yield from _listed(
        "a package of the vendor's was imported, and is empty here",
        [_seen(s) for s in rehearsal.stand_ins],
        style,
    )
    yield from _listed("a rehearsal doesn't see", list(rehearsal.blind), style)
    yield from _listed("next", list(next_steps(rehearsal)), style)


def _setting(rehearsal: Rehearsal) -> str:
    if rehearsal.way is None:
        return f"{rehearsal.ending.seconds:.1f} s"
    many = f", {rehearsal.processes} processes" if rehearsal.processes > 1 else ""
    how = f"; not simulated: {rehearsal.why}" if rehearsal.why else ""
    return f"torch {rehearsal.torch} on {devices(rehearsal)}{many}, {rehearsal.ending.seconds:.1f} s{how}"


def _listed(title: str, lines: list[str], style: Style) -> Iterator[str]:
    if not lines:
        return
    yield ""
    yield style.paint(title, "bold")
    for line in lines[:_MANY]:
        yield f"  {line}"
    if len(lines) > _MANY:
        yield f"  {style.paint(f'and {len(lines) - _MANY} more', 'dim')}"


def _failure(rehearsal: Rehearsal, style: Style) -> Iterator[str]:
    failure = rehearsal.failure
    if failure is None:
        return
    lines = [f"{style.paint(visible(failure.error), 'alarm')}: {visible(_gist(failure.text))}"]
    lines += [f"at {shown(line)}" for line in failure.lines if line.is_own][:5]
    if failure.rule is not None:
        lines.append(f"{failure.rule.code} {failure.rule.name}: {visible(failure.rule.message)}")
    yield from _listed("ended by", lines, style)


def _gist(text: str) -> str:
    """The line of an exception's text that says what happened: the last where it holds a traceback."""
    lines = text.strip().splitlines() or [""]
    return lines[-1] if any(line.startswith("Traceback (most") for line in lines) else lines[0]


def _touch(touch: Touch, style: Style) -> str:
    text = f"{shown(touch.at)}: {style.paint(visible(touch.symbol), 'cyan')}{_count(touch.times)}"
    rule = touch.rule
    if rule is None:
        return text
    outcome = style.paint(rule.outcome.value, _PAINT.get(rule.outcome, "dim"))
    fix = f" [{rule.fix} fix]" if rule.fix in ("safe", "unsafe") else ""
    handled = " (handled)" if rule.handled else ""
    return f"{text} {rule.code} {outcome}{handled}: {visible(rule.message)}{fix}"


def _count(times: int) -> str:
    return f" ({times} times)" if times > 1 else ""


def _seen(seen: Seen) -> str:
    return f"{shown(seen.at)}: {visible(seen.subject)}{_count(seen.times)}"


def _times(seen: Seen) -> str:
    return f"{visible(seen.subject)} at {shown(seen.at)}{_count(seen.times)}"


def _computing(rehearsal: Rehearsal, style: Style) -> Iterator[str]:
    total = sum(times for _, times in rehearsal.operators)
    if total:
        most = ", ".join(f"{name.removeprefix('aten::')} {times}" for name, times in rehearsal.operators[:6])
        kinds = len(rehearsal.operators)
        number = (
            "1 operator"
            if total == 1
            else f"{total} operators of {kinds} {'kind' if kinds == 1 else 'kinds'}"
        )
        text = f"{number}: {most}"
        yield from _listed(f"computed on the {rehearsal.device.name}", [text], style)
    yield from _listed("computed on the CPU", [_seen(s) for s in rehearsal.computed_on_cpu], style)
