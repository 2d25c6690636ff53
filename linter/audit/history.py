"""How the ties of a project have come and gone: past commits, read from git's objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from uncuda.audit.effort import points_of
from uncuda.audit.judge import HURTS, tie
from uncuda.audit.model import Point, Tie
from uncuda.findings import Target
from uncuda.git import Repository
from uncuda.results import Placed
from uncuda.runner import Job, Mode, examine

MOST = 60
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
    template: Job,
    targets: Sequence[Target],
    *,
    every_days: float | None = None,
    below: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> list[Point]:
    """The trend over `A..B` (or up to `B`), oldest first. Raises GitError.

    Every commit is checked under the settings of `template`, those of today. `below`: only files in this
    directory of the repository. A file that didn't change between two commits is checked once.
    """
    chosen = spread(repository.commits(span), every_days)
    known: dict[str, tuple[Placed, ...]] = {}
    out: list[Point] = []
    for number, (commit, time) in enumerate(chosen):
        files = [
            (path, blob)
            for path, blob in repository.files(commit)
            if path.endswith((".py", ".pyi")) and _is_below(path, below)
        ]
        missing = [blob for blob in dict.fromkeys(b for _, b in files) if blob not in known]
        for name, content in repository.blobs(missing):
            known[name] = _findings(content, template)
        ties: list[Tie] = [tie(path, p, targets) for path, blob in files for p in known.get(blob, ())]
        counts = Counter(any(t.outcome(target) in HURTS for target in targets) for t in ties)
        out.append(Point(commit, time, len(ties), counts[True], round(points_of(ties), 2)))
        if progress is not None:
            progress(number + 1, len(chosen))
    return out


def _is_below(path: str, directory: str) -> bool:
    return not directory or PurePosixPath(path).is_relative_to(directory)


def _findings(content: bytes, template: Job) -> tuple[Placed, ...]:
    from uncuda.prefilter import needs_check

    if not needs_check(content, template.profile.codes):
        return ()
    return tuple(p for p in examine(content, template, Mode.CHECK).findings if p.finding.outcomes)


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
