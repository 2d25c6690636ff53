"""How the ties of a project have come and gone: past commits, read from git's objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from uncuda.audit.effort import VERIFY, points_of
from uncuda.audit.judge import HURTS, tie
from uncuda.audit.model import Point, Remedy, Tie
from uncuda.findings import Target
from uncuda.git import Repository
from uncuda.runner import Job, Mode, examine
from uncuda.trees import Trees

MOST = 240
"""So many commits are looked at, at most, evenly spread."""
TOGETHER = 20
"""The contents that so many commits bring are asked of git at once."""


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
    job_of: Callable[[str], Job | None],
    targets: Sequence[Target],
    *,
    every_days: float | None = None,
    below: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> list[Point]:
    """The trend over `A..B` (or up to `B`), oldest first. Raises GitError.

    `job_of` gives the job of a path, under the settings of today; None for one that isn't looked at. `below`: only
    files in this directory of the repository. A file that didn't change between two commits is checked once.
    """
    chosen = spread(repository.commits(span), every_days)
    jobs: dict[str, Job | None] = {}
    known: dict[tuple[str, str], tuple[Tie, ...]] = {}
    # A commit changes some lines of a file: what stays as it is isn't parsed again.
    trees: dict[str, Trees] = {}
    out: list[Point] = []
    beyond_cpu = any(target is not Target.CPU for target in targets)
    for start in range(0, len(chosen), TOGETHER):
        part = chosen[start : start + TOGETHER]
        listed: list[list[tuple[str, str]]] = []
        missing: dict[str, list[str]] = {}
        for commit, _ in part:
            files: list[tuple[str, str]] = []
            for path, blob in repository.files(commit):
                if path not in jobs:
                    jobs[path] = job_of(path) if _is_below(path, below) else None
                if jobs[path] is None:
                    continue
                files.append((path, blob))
                if (path, blob) not in known and path not in missing.setdefault(blob, []):
                    missing[blob].append(path)
            listed.append(files)
        wanted = [blob for blob, paths in missing.items() if paths]
        for blob, content in repository.blobs(wanted):
            for path in missing[blob]:
                job = jobs[path]
                assert job is not None
                known[path, blob] = _ties(content, job, targets, trees.setdefault(path, Trees()))
        for (commit, time), files in zip(part, listed, strict=True):
            ties = [item for file in files for item in known.get(file, ())]
            hurting = sum(any(t.outcome(target) in HURTS for target in targets) for t in ties)
            points = points_of(ties)
            if beyond_cpu and any(t.remedy is not Remedy.NONE for t in ties):
                points += VERIFY
            out.append(Point(commit, time, len(ties), hurting, round(points, 2)))
        if progress is not None:
            progress(len(out), len(chosen))
    return out


def _is_below(path: str, directory: str) -> bool:
    return not directory or PurePosixPath(path).is_relative_to(directory)


def _ties(content: bytes, job: Job, targets: Sequence[Target], trees: Trees) -> tuple[Tie, ...]:
    if not job.is_worth_reading(content):
        return ()
    shown = job.display.replace("\\", "/")
    found = examine(content, job, Mode.CHECK, trees).findings
    return tuple(tie(shown, placed, targets) for placed in found if placed.finding.outcomes)


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
