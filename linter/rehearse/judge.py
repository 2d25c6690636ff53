"""From notes to a verdict: which touch of CUDA hurts, which rule explains it, and what to do next."""

from __future__ import annotations

import re
import signal
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from uncuda.findings import Category, Outcome, Severity, Target
from uncuda.rehearse.devices import Device
from uncuda.rehearse.launch import Ending
from uncuda.rehearse.model import SIMULATED, Failure, Rehearsal, Rule, Touch, Verdict
from uncuda.rehearse.notes import Line, Notes, Raised, Seen

_HURTS = (Outcome.CRASH, Outcome.SILENT_CPU)
_OUTCOMES = (*_HURTS, Outcome.DEGRADED, Outcome.UNKNOWN, Outcome.HARMLESS, Outcome.WORKS)
_SITE = re.compile(r"[/\\](?:site|dist)-packages[/\\]([^/\\]+)")
ARGUMENT = 'device="cuda" argument'
"""What the tables call the device argument of any function of torch."""
_MIXED = ("at least two devices", "and weight type")
"""What torch says of operands on different devices."""
_HEAVY = re.compile(r"mm|convolution|attention|_thnn|lstm|gru|embedding")
"""The operators for whose sake a program has an accelerator."""
_LACKING = re.compile(r"PrivateUse1|the simulated device has|from the '(?!\w*CUDA)\w+' backend")
"""What torch says where the simulation has nothing to give."""

_BLIND = (
    "numbers, dtypes and operators that a real device lacks: the CPU computes here",
    "lines that this run didn't come to: `uncuda check` reads those too",
)
_BLIND_SIMULATED = (
    "missing synchronization: the simulated device has done everything at once",
    "torch.compile: compiled functions ran as they are",
    "sparse, quantized and nested tensors, and kernels of the project's own: the simulated device has none",
)
_BLIND_WATCHED = (
    "whether tensors would go to an accelerator: there was none, so whatever asks for one got the CPU",
)


class Judge:
    """Knows the rules' findings in each file that a rehearsal went through."""

    def __init__(self, target: Target, *, strict: bool) -> None:
        self._target = target
        self._strict = strict
        self.rules_at = cache(self._rules_at)

    def rehearsal(
        self, notes: Notes, ending: Ending, command: Sequence[str], device: Device, devices: int
    ) -> Rehearsal:
        """The whole report."""
        touches = sorted((self._touch(seen) for seen in notes.touches if seen.at.is_own), key=_order)
        failure = self._failure(notes, ending)
        verdict = _verdict(notes, ending, touches)
        return Rehearsal(
            target=self._target,
            verdict=verdict,
            command=tuple(command),
            device=device,
            devices=devices,
            way=notes.way,
            why=notes.why,
            torch=notes.torch,
            ending=ending,
            processes=notes.processes,
            failure=failure,
            touches=tuple(touches),
            libraries=_libraries(notes.touches),
            mixed=tuple(notes.mixed),
            operators=tuple(sorted(notes.operators.items(), key=lambda item: (-item[1], item[0]))),
            computed_on_cpu=tuple(notes.computed_on_cpu),
            groups=tuple(notes.groups),
            stand_ins=tuple(notes.stand_ins),
            blind=_blind(notes.way),
            broken=notes.broken,
        )

    # -- touches -------------------------------------------------------------------------------------------

    def _touch(self, seen: Seen) -> Touch:
        known = known_as(seen.subject)
        rule = self.rule_for(seen.at, known)
        hurts = self._strict or (rule is not None and rule.outcome in _HURTS and not rule.handled)
        return Touch(seen.subject, seen.at, seen.times, rule, known, hurts)

    def rule_for(self, at: Line, known: str | None = None) -> Rule | None:
        """The rule that explains what happened at a line: the one that names it, or else the gravest there."""
        found = [
            (symbol, rule) for first, last, symbol, rule in self.rules_at(at.file) if first <= at.line <= last
        ]
        named = [rule for symbol, rule in found if known is not None and symbol == known]
        every = named or [rule for _, rule in found]
        return min(every, key=lambda rule: _OUTCOMES.index(rule.outcome), default=None)

    def _rules_at(self, file: str) -> tuple[tuple[int, int, str, Rule], ...]:
        """The findings of a file: first and last row, symbol, and what the rule says."""
        from uncuda.api import check_source
        from uncuda.around.texts import decode_any

        try:
            text = decode_any(Path(file).read_bytes()).text
            findings = check_source(
                text, filename=file, targets=[self._target], severity=Severity.INFO
            ).findings
        except Exception:
            # Whatever keeps a file from being read or checked: what the run showed must be told all the same.
            return ()
        return tuple(
            (
                item.start.row,
                item.end.row,
                item.symbol,
                Rule(
                    code=item.code,
                    name=item.name,
                    message=item.message,
                    outcome=item.outcomes.get(self._target, Outcome.UNKNOWN),
                    fix=None if item.fix is None else item.fix.applicability.value,
                    handled=item.category is Category.POTENTIAL,
                ),
            )
            for item in findings
        )

    def _failure(self, notes: Notes, ending: Ending) -> Failure | None:
        if notes.crash is not None or (ending.code < 0 and not (ending.timed_out or ending.interrupted)):
            return Failure(
                _signal(ending.code),
                "the process was ended by the system",
                tuple(notes.crash or ()),
                None,
                "A crash in native code is most often the simulation's: it has no memory of its own for C++ to use.",
            )
        if ending.code == 0 or not notes.raised:
            return None
        first = notes.raised[0]
        at = first.own_line
        rule = None if at is None else self.rule_for(at)
        return Failure(first.error, first.text, tuple(reversed(first.lines)), rule, _advice(first))


def _blind(way: str | None) -> tuple[str, ...]:
    if way is None:
        return ()
    return (*_BLIND, *(_BLIND_SIMULATED if way == SIMULATED else _BLIND_WATCHED))


def _verdict(notes: Notes, ending: Ending, touches: Sequence[Touch]) -> Verdict:
    if ending.interrupted:
        return Verdict.INTERRUPTED
    if ending.timed_out:
        return Verdict.TIMED_OUT
    if notes.crash is not None or ending.code < 0:
        return Verdict.CRASHED
    if ending.code != 0:
        return Verdict.FAILED
    if notes.way is None:
        return Verdict.NO_TORCH
    if notes.way == SIMULATED and not _used(notes):
        return Verdict.STAYED
    return Verdict.TIED if any(t.hurts for t in touches) else Verdict.RAN


def _used(notes: Notes) -> bool:
    """Did the program compute on the device? A few numbers there don't count beside a model on the CPU."""
    if notes.computed_on_cpu:
        return any(_HEAVY.search(name) for name in notes.operators)
    return bool(notes.operators)


def known_as(symbol: str) -> str | None:
    """The name that the tables have for what was seen."""
    from uncuda.rules.knowledge import canonical, lookup

    name = ARGUMENT if symbol.endswith(f"({ARGUMENT.partition(' ')[0]})") else symbol
    return canonical(name) if lookup(name) is not None else None


def _order(touch: Touch) -> tuple[bool, str, int, str]:
    return not touch.hurts, touch.at.file, touch.at.line, touch.symbol


def _libraries(touches: Iterable[Seen]) -> tuple[tuple[str, tuple[Seen, ...]], ...]:
    by_name: dict[str, list[Seen]] = defaultdict(list)
    for seen in touches:
        if not seen.at.is_own:
            found = _SITE.search(seen.at.file)
            by_name[found[1].removesuffix(".py") if found else Path(seen.at.file).stem].append(seen)
    return tuple(
        (name, tuple(sorted(mine, key=lambda s: -s.times))) for name, mine in sorted(by_name.items())
    )


def _signal(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"


def _advice(raised: Raised) -> str:
    """What an exception most likely means here."""
    if any(text in raised.text for text in _MIXED):
        return "A tensor or a module was left on the CPU: move it to the device of the others."
    if _LACKING.search(raised.text):
        return (
            "The simulation lacks this, and a real device may have it; to see the rest of the program, watch it "
            "without a device: uncuda rehearse --watch-only"
        )
    return ""
