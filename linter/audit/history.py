"""How the ties of a project have come and gone: past commits, read from git's objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from uncuda.audit.effort import NO_TIES, VERIFY, Ledger
from uncuda.audit.model import Point
from uncuda.audit.versions import Known, Look, Versions, tallies, tally_of
from uncuda.findings import Target
from uncuda.git import Repository

MOST = 240
"""So many commits are looked at, at most, evenly spread."""


def spread(commits: Sequence[tuple[str, int]], every_days: float | None) -> list[tuple[str, int]]:
    """The commits to look at: one in so many days, or at most `MOST`; the first and the last always."""
    if not commits:
        return []
    chosen = [commits[0]]
    if every_days is not None:
        for commit in commits[1:-1]:
            if commit[1] - chosen[-1][1] >= every_days * 86_400:
                chosen.append(commit)
    else:
        step = max(1.0, (len(commits) - 1) / (MOST - 1))
        at = step
        while round(at) < len(commits) - 1:
            chosen.append(commits[round(at)])
            at += step
    if len(commits) > 1:
        chosen.append(commits[-1])
    return chosen


def history(
    repository: Repository,
    span: str,
    look: Look,
    targets: Sequence[Target],
    *,
    every_days: float | None = None,
    known: Iterable[Known] = (),
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Point], list[tuple[str, str]]]:
    """The trend over `A..B` (or up to `B`), oldest first, and what couldn't be looked at. Raises GitError.

    `look` tells which files are looked at, under the settings of today. A content is checked once, whatever the number of commits that have it, and not again if it is `known`.
    """
    commits = spread(repository.commits(span), every_days)
    versions = Versions(str(repository.top), look)
    steps = [versions.step(changes) for changes in repository.changes([name for name, _ in commits])]
    found = {
        number: tally_of(item.ties, targets)
        for item in known
        if (number := versions.number_of(item)) is not None
    }
    checked, problems = tallies(repository, versions, found, targets, workers, progress)
    found |= checked
    ledger = Ledger()
    beyond_cpu = any(target is not Target.CPU for target in targets)
    out: list[Point] = []
    for (commit, time), step in zip(commits, steps, strict=True):
        for gone, come in step:
            if gone is not None:
                ledger.add(found.get(gone, NO_TIES), -1)
            if come is not None:
                ledger.add(found.get(come, NO_TIES))
        points = ledger.points + (VERIFY if beyond_cpu and not ledger.is_done else 0.0)
        out.append(Point(commit, time, ledger.ties, ledger.hurting, round(points, 2)))
    return out, problems


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Values as a row of bars."""
    top = max(values, default=0)
    if top <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(7, int(8 * value / top))] for value in values)


def curve(values: Sequence[float], width: float, height: float, top: float = 0.0) -> str:
    """Values as the points of an SVG line from the left edge to the right, 0 at the bottom, `top` at the top (the
    greatest value, if that is more)."""
    top = max([*values, top, 1.0])
    step = width / max(1, len(values) - 1)
    return " ".join(f"{i * step:.1f},{height - height * v / top:.1f}" for i, v in enumerate(values))
