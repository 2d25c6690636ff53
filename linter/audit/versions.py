"""The contents that the files of a project had over many commits: each is named once, and checked once."""

from __future__ import annotations

import gc
import hashlib
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from uncuda.audit.effort import Tally, tally
from uncuda.audit.judge import HURTS, tie
from uncuda.audit.model import Tie
from uncuda.audit.past import Past, beside_today
from uncuda.discovery import OUTPUT
from uncuda.findings import Target
from uncuda.git import Repository
from uncuda.pool import shared_out
from uncuda.runner import POOL_FROM_FORK, POOL_FROM_SPAWN, Job, Mode, examine
from uncuda.trees import Trees

Progress = Callable[[int, int], None]
JobOf = Callable[[str], "Job | None"]
"""Gives the job of a path from the top of the repository, under the settings of today; None for one that isn't looked at."""
Look = Callable[[Callable[[str], bool]], JobOf]
"""Makes that, told what tells whether there is a file at an absolute path."""
_SHA1 = 40
"""Digits of an object's name in most repositories; the others have SHA-256."""


@dataclass(frozen=True)
class Known:
    """A file of today: the content that it has, and the ties that were found in it."""

    job: Job
    data: bytes
    ties: Sequence[Tie]


class Versions:
    """Every content that a file had in some commit, with a number."""

    def __init__(self, top: str, look: Look) -> None:
        self.jobs: list[Job] = []
        self.blobs: list[str] = []
        self.runs: dict[str, list[int]] = defaultdict(list)
        """By path: the versions that were met there first, in the order of the commits."""
        self._numbers: dict[object, int] = {}
        self._look = look
        self._past = Past(top)
        self._job_of = look(self._past.is_file)
        self._jobs: dict[str, Job | None] = {}
        self._packages = 0
        self._now: dict[str, int] = {}

    def step(self, changes: Mapping[str, str | None]) -> list[tuple[int | None, int | None]]:
        """Takes what a commit changed; gives the versions that went, each with the one that came for it."""
        out: list[tuple[int | None, int | None]] = []
        touched = self._past.move_on(changes)
        if self._packages != self._past.packages:
            self._packages = self._past.packages
            # A directory of output isn't looked at, one of the same name that is a package is.
            touched.update(loose := [p for p in self._past.blobs if not OUTPUT.isdisjoint(p.split("/")[:-1])])
            if loose:
                self._job_of = self._look(self._past.is_file)
                for path in loose:
                    self._jobs.pop(path, None)
        for path in sorted(touched):
            gone = self._now.pop(path, None)
            come = self._number(path)
            if come is not None:
                self._now[path] = come
            if come != gone:
                out.append((gone, come))
        return out

    def _number(self, path: str) -> int | None:
        blob = self._past.blobs.get(path)
        if blob is None:
            return None
        if path not in self._jobs:
            self._jobs[path] = self._job_of(path)
        job = self._jobs[path]
        if job is None:
            return None
        job = replace(job, beside=self._past.beside(path))
        number = self._numbers.setdefault(_key(job, blob), len(self.jobs))
        if number == len(self.jobs):
            self.jobs.append(job)
            self.blobs.append(blob)
            self.runs[path].append(number)
        return number

    def number_of(self, known: Known) -> int | None:
        """The number of a content of today, if some commit has it."""
        # A past content is looked at by itself: what the project's other modules said of this one doesn't count.
        if not self.blobs or known.job.profile.project:
            return None
        made = hashlib.sha1 if len(self.blobs[0]) == _SHA1 else hashlib.sha256
        blob = made(b"blob %d\0%b" % (len(known.data), known.data), usedforsecurity=False).hexdigest()
        job = replace(known.job, beside=beside_today(os.fspath(known.job.path)))
        return self._numbers.get(_key(job, blob))


def _key(job: Job, blob: str) -> object:
    """What decides about the ties of a content. A module may move: its own name doesn't count, what is around it does."""
    return blob, None if job.is_python else job.path, job.profile, job.ignored, job.beside


# -- checking ----------------------------------------------------------------------------------------------

_BYTES = 512 * 1024
"""So much is asked of git at once, and given to one process."""
_MOST = 64
"""So many contents at once, at most."""

_Run = list[tuple[int, Job, str]]
"""Versions of one file, one after another: number, job and blob."""


def tallies(
    repository: Repository,
    versions: Versions,
    known: Container[int],
    targets: Sequence[Target],
    workers: int,
    progress: Progress | None,
) -> tuple[dict[int, Tally], list[tuple[str, str]]]:
    """The tallies of the versions that aren't known, by number; and what can't be looked at, with the
    reason. Raises GitError."""
    wanted = [n for numbers in versions.runs.values() for n in numbers if n not in known]
    sizes = repository.sizes(versions.blobs[n] for n in wanted)
    problems: list[tuple[str, str]] = []
    chunks = list(_chunks(versions, frozenset(wanted), sizes))
    # The largest first, so that no process is left with much to do at the end.
    chunks.sort(key=lambda chunk: -sum(sizes[blob] for run in chunk for _, _, blob in run))
    found: dict[int, Tally] = {}
    total = sum(len(run) for chunk in chunks for run in chunk)

    def take(made: dict[int, Tally]) -> None:
        found.update(made)
        if progress is not None:
            progress(len(found), total)

    work = partial(_work, repository, tuple(targets))
    forking = sys.platform not in ("darwin", "win32")
    if workers < 2 or total < (POOL_FROM_FORK if forking else POOL_FROM_SPAWN):
        collecting = gc.isenabled()
        try:
            for chunk in chunks:
                take(work(chunk))
        finally:
            if collecting:
                gc.enable()
        return found, problems
    method = "fork" if forking else "spawn"
    lost: list[list[_Run]] = []
    for some, at_once in ((chunks, workers), (lost, 1)):
        # A version of each lost chunk killed the process that had it: which one shows when each has its own.
        with closing(shared_out(work, list(some), at_once, method)) as results:
            for number, made in results:
                if made is not None:
                    take(made)
                elif some is chunks:
                    lost += [[[version]] for run in chunks[number] for version in run]
                else:
                    ((_, job, blob),) = lost[number][0]
                    problems.append(
                        (job.display, f"the process that checked its past content {blob} was killed")
                    )
    return found, problems


def _chunks(versions: Versions, wanted: Container[int], sizes: Mapping[str, int]) -> Iterator[list[_Run]]:
    """The versions in portions for one process each; those of a file stay together as far as that goes."""
    chunk: list[_Run] = []
    size = number = 0
    for numbers in versions.runs.values():
        run: _Run = []
        for n in numbers:
            if n not in wanted:
                continue
            blob = versions.blobs[n]
            if number and (size + sizes[blob] > _BYTES or number == _MOST):
                yield [*chunk, run] if run else chunk
                chunk, run, size, number = [], [], 0, 0
            run.append((n, versions.jobs[n], blob))
            size += sizes[blob]
            number += 1
        if run:
            chunk.append(run)
    if chunk:
        yield chunk


def _work(repository: Repository, targets: Sequence[Target], chunk: list[_Run]) -> dict[int, Tally]:
    gc.disable()
    contents = dict(repository.blobs(dict.fromkeys(blob for run in chunk for _, _, blob in run)))
    found: dict[int, Tally] = {}
    for run in chunk:
        # A commit changes some lines of a file: what stays as it is isn't parsed again.
        trees = Trees()
        for number, job, blob in run:
            found[number] = tally_of(_ties(contents[blob], job, targets, trees), targets)
    return found


def tally_of(ties: Sequence[Tie], targets: Sequence[Target]) -> Tally:
    """The tally of the ties of one file."""
    return tally(ties, sum(any(t.outcome(target) in HURTS for target in targets) for t in ties))


def _ties(content: bytes, job: Job, targets: Sequence[Target], trees: Trees) -> list[Tie]:
    if not job.is_worth_reading(content):
        return []
    found = examine(content, job, Mode.CHECK, trees).findings
    return [tie("", placed, targets) for placed in found if placed.finding.outcomes]
