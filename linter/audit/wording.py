"""How every shape of the report words figures, so that they all say the same."""

from __future__ import annotations

from collections.abc import Mapping

from uncuda.audit.model import Audit, Days, Place, Remedy, Standing, Verdict
from uncuda.findings import Outcome


def days(value: Days) -> str:
    """`3–9 days`, or `none`."""
    if value.high == 0:
        return "none"
    if value.low == value.high:
        return f"{value.low:g} days"
    return f"{value.low:g}–{value.high:g} days"


def cost(standing: Standing) -> str:
    """What a target takes: `3–9 days`; optional where all runs there already, and only something is lost."""
    said = days(standing.days)
    return f"{said}, optional" if standing.verdict is Verdict.READY and standing.days.high else said


def ties(count: int) -> str:
    """`1 tie`, `3 ties`."""
    return f"{count} {'tie' if count == 1 else 'ties'}"


def items(count: int) -> str:
    """`1 item`, `3 items`."""
    return f"{count} {'item' if count == 1 else 'items'}"


def shares(audit: Audit) -> str:
    """`6 fixed automatically and safely (67%), 3 left to people (33%)`, and what a newer torch would give."""
    open_ties = len(audit.ties) - audit.remedies.get(Remedy.NONE, 0)
    parts = [
        f"{audit.remedies[r]} {_UNDONE[r]} ({audit.remedies[r] / open_ties:.0%})"
        for r in _UNDONE
        if r in audit.remedies
    ]
    needs = [
        t.placed.finding.fix_needs
        for t in audit.ties
        if t.placed.finding.fix_needs is not None and t.remedy is not Remedy.NONE
    ]
    said = ", ".join(parts)
    if needs:
        newest = ".".join(map(str, max(needs)))
        said += f"; {len(needs)} have a fix from torch {newest} on (the floor here is {audit.torch_floor})"
    return said


_UNDONE = {
    Remedy.SAFE: "fixed automatically and safely",
    Remedy.UNSAFE: "by fixes that want a look",
    Remedy.SUGGESTION: "with a known replacement",
    Remedy.HAND: "left to people",
}


def counts(found: Mapping[Outcome, int] | Mapping[Remedy, int]) -> str:
    """`3 crash, 1 degraded`."""
    return ", ".join(f"{n} {key.value}" for key, n in found.items())


def silent(audit: Audit) -> list[Place]:
    """Where the accelerator is lost with no error on one of the targets; what the program handles comes last."""
    handled = set(audit.guards)
    places = dict.fromkeys(place for standing in audit.standings for place in standing.silent)
    return sorted(places, key=lambda place: place in handled)


def unchecked(audit: Audit) -> list[tuple[str, str]]:
    """The files that the report says nothing of, and why."""
    return [*audit.problems, *audit.unparsed]


def files(count: int) -> str:
    """`1 file`, `3 files`."""
    return f"{count} {'file' if count == 1 else 'files'}"


def examples(audit: Audit) -> str:
    """How many ties stand in prose."""
    where = files(len({t.path for t in audit.examples}))
    return f"Examples in texts and docstrings, counted apart: {ties(len(audit.examples))} in {where}"
