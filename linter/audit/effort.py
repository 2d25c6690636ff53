"""Story points and days: how they are counted, and the assumptions that are printed with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

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
    "Points are those of the rule for the first tie to a symbol; each further tie to the same symbol by hand costs "
    f"{REPEAT:.0%} of it.",
    f"A safe fix costs {REVIEW:g} points of review, an unsafe one {UNSAFE:g}.",
    "A kernel or package without a substitute is counted with the rule's points once, which covers choosing a fallback, "
    "not writing a kernel of the same speed.",
    f"Verification on the new hardware is counted with {VERIFY:g} points; access to that hardware is supposed.",
)


def points_of(ties: Iterable[Tie]) -> float:
    """Story points of undoing these ties."""
    total = 0.0
    seen: Counter[str] = Counter()
    for tie in ties:
        total += _points(tie, seen)
    return total


def each(ties: Sequence[Tie]) -> list[float]:
    """The points of each tie, in order; the first of a symbol bears its whole cost."""
    seen: Counter[str] = Counter()
    return [_points(tie, seen) for tie in ties]


def _points(tie: Tie, seen: Counter[str]) -> float:
    if tie.remedy is Remedy.NONE:
        return 0.0
    if tie.remedy is Remedy.SAFE:
        return REVIEW
    if tie.remedy is Remedy.UNSAFE:
        return UNSAFE
    seen[tie.symbol] += 1
    effort = tie.placed.finding.effort
    return float(effort) if seen[tie.symbol] == 1 else effort * REPEAT


def days(points: float) -> Days:
    """Points as a range of days, rounded to half days (never below half a day where there is something to do)."""
    if points <= 0:
        return Days(0, 0)
    return Days(max(0.5, round(points * DAYS_LOW * 2) / 2), max(0.5, round(points * DAYS_HIGH * 2) / 2))
