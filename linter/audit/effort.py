"""Story points and days: how they are counted, and the assumptions that are printed with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from uncuda.audit.model import Days, Remedy, Tie

REPEAT = 0.1
"""What each further tie to the same symbol costs, as a share of the first: one decision serves them all."""
REVIEW = 0.05
"""Points for looking at a safe fix in a diff."""
UNSAFE = 0.25
"""Points for judging an unsafe fix."""
DAYS_LOW, DAYS_HIGH = 0.25, 0.75
"""Working days a point, at best and at worst."""
VERIFY = 2.0
"""Points for running the project on new hardware once, whatever its size."""

ASSUMPTIONS = (
    f"One story point is {DAYS_LOW:g} to {DAYS_HIGH:g} working days of an engineer who knows the code.",
    "What is done by hand costs the rule's points once for each symbol; each further tie to the same symbol costs "
    f"{REPEAT:.0%} of them.",
    f"A safe fix costs {REVIEW:g} points of review, an unsafe one {UNSAFE:g}.",
    "A kernel or package without a substitute is counted with the rule's points once, which covers choosing a fallback, "
    "not writing a kernel of the same speed.",
    "Days are rounded to half days, for each phase and for the whole.",
    f"Verification on the new hardware is counted with {VERIFY:g} points; access to that hardware is supposed.",
)


def points_of(ties: Iterable[Tie]) -> float:
    """Story points of undoing these ties."""
    return sum(each(list(ties)))


def costed(ties: Sequence[Tie]) -> list[Tie]:
    """The ties with their points, of which every figure of a report is a sum."""
    return [replace(tie, points=points) for tie, points in zip(ties, each(ties), strict=True)]


def each(ties: Sequence[Tie]) -> list[float]:
    """The points of each tie, in order; the dearest of a symbol bears its whole cost, the first of several."""
    dearest: dict[str, int] = {}
    for number, tie in enumerate(ties):
        if tie.remedy in _BY_PEOPLE:
            best = dearest.setdefault(tie.symbol, number)
            if tie.placed.finding.effort > ties[best].placed.finding.effort:
                dearest[tie.symbol] = number
    return [_points(tie, dearest.get(tie.symbol) == number) for number, tie in enumerate(ties)]


_BY_PEOPLE = (Remedy.SUGGESTION, Remedy.HAND)


def _points(tie: Tie, bears: bool) -> float:
    if tie.remedy in _BY_PEOPLE:
        return tie.placed.finding.effort * (1.0 if bears else REPEAT)
    return {Remedy.SAFE: REVIEW, Remedy.UNSAFE: UNSAFE}.get(tie.remedy, 0.0)


def days(points: float) -> Days:
    """Points as a range of days, rounded to half days (never below half a day where there is something to do)."""
    if points <= 0:
        return Days(0, 0)
    return Days(max(0.5, round(points * DAYS_LOW * 2) / 2), max(0.5, round(points * DAYS_HIGH * 2) / 2))
