"""Story points and days: how they are counted, and the assumptions that are printed with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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
    """The points of each tie, in order. One of a symbol's bears the whole cost, which is the dearest's: the one that
    costs most where the code is, as the work is there and not where a package is named."""
    efforts = [tie.placed.finding.effort for tie in ties]
    by_symbol: dict[str, list[int]] = defaultdict(list)
    for number, tie in enumerate(ties):
        if tie.remedy in _BY_PEOPLE:
            by_symbol[tie.symbol].append(number)
    bearers = set()
    for numbers in by_symbol.values():
        dearest = max(numbers, key=lambda n: efforts[n])
        bearer = max(numbers, key=lambda n: (not ties[n].code.startswith(_NAMED), efforts[n]))
        efforts[dearest], efforts[bearer] = efforts[bearer], efforts[dearest]
        bearers.add(bearer)
    return [_points(tie, efforts[n], n in bearers) for n, tie in enumerate(ties)]


_BY_PEOPLE = (Remedy.SUGGESTION, Remedy.HAND)
_NAMED = "UC80"
"""The rules for requirements."""


def _points(tie: Tie, effort: int, bears: bool) -> float:
    if tie.remedy in _BY_PEOPLE:
        return effort * (1.0 if bears else REPEAT)
    return {Remedy.SAFE: REVIEW, Remedy.UNSAFE: UNSAFE}.get(tie.remedy, 0.0)


@dataclass(frozen=True)
class Tally:
    """The ties of some file, as far as sums of many files need them."""

    ties: int = 0
    hurting: int = 0
    safe: int = 0
    unsafe: int = 0
    by_people: tuple[tuple[str, int], ...] = ()
    """Symbol and points of the rule, for each tie that a person has to undo."""


NO_TIES = Tally()


def tally(ties: Sequence[Tie], hurting: int) -> Tally:
    """The tally of some ties."""
    return Tally(
        len(ties),
        hurting,
        sum(t.remedy is Remedy.SAFE for t in ties),
        sum(t.remedy is Remedy.UNSAFE for t in ties),
        tuple((t.symbol, t.placed.finding.effort) for t in ties if t.remedy in _BY_PEOPLE),
    )


class Ledger:
    """Sums over the tallies of many files, of which some come and others go."""

    def __init__(self) -> None:
        self.ties = 0
        self.hurting = 0
        self._safe = 0
        self._unsafe = 0
        self._efforts: dict[str, Counter[int]] = defaultdict(Counter)

    def add(self, found: Tally, sign: int = 1) -> None:
        """Takes a tally in; or out again, with a `sign` of -1."""
        self.ties += sign * found.ties
        self.hurting += sign * found.hurting
        self._safe += sign * found.safe
        self._unsafe += sign * found.unsafe
        for symbol, effort in found.by_people:
            self._efforts[symbol][effort] += sign

    @property
    def points(self) -> float:
        """The points of all ties, as `points_of` counts them."""
        total = self._safe * REVIEW + self._unsafe * UNSAFE
        for efforts in self._efforts.values():
            left = [(effort, number) for effort, number in efforts.items() if number]
            if left:
                dearest = max(left)[0]
                total += dearest + REPEAT * (sum(e * n for e, n in left) - dearest)
        return total

    @property
    def is_done(self) -> bool:
        """Is there nothing left to do?"""
        return not (self._safe or self._unsafe or any(any(e.values()) for e in self._efforts.values()))


def days(points: float) -> Days:
    """Points as a range of days, rounded to half days (never below half a day where there is something to do)."""
    if points <= 0:
        return Days(0, 0)
    return Days(max(0.5, round(points * DAYS_LOW * 2) / 2), max(0.5, round(points * DAYS_HIGH * 2) / 2))
