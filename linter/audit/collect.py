"""Looks at everything in a project that an audit speaks of."""

from __future__ import annotations

import os
import subprocess
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from uncuda.audit.build import build
from uncuda.audit.examples import examples, is_text
from uncuda.audit.judge import IMPORT, tie
from uncuda.audit.model import Audit, Point, Tie
from uncuda.audit.programs import programs
from uncuda.audit.sources import sources
from uncuda.findings import Target
from uncuda.git import Repository
from uncuda.results import UNPARSABLE
from uncuda.runner import Job

if TYPE_CHECKING:
    from uncuda.audit.versions import JobOf, Known, Look
    from uncuda.cli.plan import Gathered


class AuditError(Exception):
    """The audit can't be made; the message says why and what to do."""


def collect(arguments: Namespace) -> Audit:
    """Checks what the arguments name, and audits it. Raises AuditError or SettingsError."""
    from uncuda.cli.check import progress
    from uncuda.cli.plan import display, gather
    from uncuda.runner import Mode, Runner, default_workers

    if arguments.history is not None and arguments.entry is not None:
        raise AuditError(
            "--history looks at all files of past commits, not at what --entry reaches: leave one out"
        )
    paths = arguments.paths or ["."]
    arguments.paths = paths
    gathered = gather(arguments, None)
    texts = [job for job in gathered.jobs if is_text(job)]
    jobs = [job for job in gathered.jobs if not is_text(job)]
    if arguments.entry is not None:
        from uncuda.audit.reach import reached

        entry = Path(arguments.entry)
        if not entry.is_file():
            raise AuditError(f"--entry: there is no file {arguments.entry}")
        kept = reached(entry, [job.path for job in jobs])
        jobs = [job for job in jobs if job.path.resolve() in kept]
        texts = []
    if not jobs and not gathered.failures:
        raise AuditError(f"there is nothing to look at in {', '.join(paths)}")
    cache = None
    if gathered.cache_directory is not None:
        from uncuda.cache import Cache

        cache = Cache.load(gathered.cache_directory)
    watcher = progress(total=len(jobs), quiet=arguments.quiet)
    runner = Runner(Mode.CHECK, arguments.jobs or default_workers(), cache, watcher.step if watcher else None)
    try:
        results = [*gathered.failures, *runner.run(jobs)]
    finally:
        if watcher is not None:
            watcher.stop()
    root = _root(gathered.root, paths)
    if root != gathered.root:
        results = [replace(r, display=display(os.path.abspath(r.path), root)) for r in results]
        jobs, texts = (
            [replace(job, display=display(str(job.path), root)) for job in some] for some in (jobs, texts)
        )
    floors = sorted({job.profile.torch_floor for job in jobs})
    targets = jobs[0].profile.targets if jobs else None
    chosen = [t for t in Target if targets is None or t in targets]
    revision, web = repository(root)
    ties = [
        item
        for result in results
        for item in _eased(
            result.path,
            [
                tie(result.display.replace("\\", "/"), placed, chosen)
                for placed in result.findings
                if placed.finding.outcomes
            ],
        )
    ]
    problems = [(r.display, r.problem.message) for r in results if r.problem is not None]
    unparsed = [
        (r.display, f"{placed.finding.message} (line {placed.start.row})")
        for r in results
        for placed in r.findings
        if placed.finding.code == UNPARSABLE
    ]
    trend: list[Point] = []
    if arguments.history is not None:
        seen = {r.display for r in results if r.problem is None}
        trend, missed = _trend(
            arguments, gathered, chosen, _known([j for j in jobs if j.display in seen], ties)
        )
        problems += missed
    return build(
        ties,
        problems,
        unparsed,
        suppressed=sum(r.suppressed for r in results),
        root=root,
        name=_name(gathered.root, paths),
        paths=paths,
        targets=chosen,
        torch_floor=", ".join(".".join(map(str, f)) for f in floors),
        files=len(jobs),
        lines=sum(_lines(job.path) for job in jobs),
        entry=arguments.entry,
        revision=revision,
        web=web,
        trend=trend,
        loaders=_loaders(ties, jobs),
        sources=sources(jobs, ties),
        examples=examples([*texts, *jobs], chosen),
        rehearsed=tuple(
            program if root == gathered.root else program.seen_from_outside(root)
            for program in programs(jobs, ties, arguments.entry)
        ),
    )


def _root(here: Path, paths: list[str]) -> Path:
    """What the paths of a report are relative to: `here`, or the one directory that was named if it lies elsewhere.
    Its revision and its place on the web are the report's."""
    named = Path(os.path.abspath(here / paths[0]))
    outside = len(paths) == 1 and named.is_dir() and not named.is_relative_to(here)
    return named if outside else here


def _eased(path: Path, ties: list[Tie]) -> list[Tie]:
    """The ties of a file. A package that a function imports stops those who call it, not the program."""
    if not any(item.blocker and item.code == IMPORT for item in ties):
        return ties
    from uncuda.audit.reach import lazy_rows

    try:
        lazy = lazy_rows(path.read_bytes())
    except OSError:
        return ties
    return [
        replace(item, blocker=False) if item.code == IMPORT and item.row in lazy else item for item in ties
    ]


def _loaders(ties: list[Tie], jobs: list[Job]) -> dict[str, list[str]]:
    """For each file with a blocker: the places at which other files import it when they are loaded themselves."""
    from uncuda.audit.reach import importers

    shown = {job.path.resolve(): job.display.replace("\\", "/") for job in jobs if job.is_python}
    paths = {display: path for path, display in shown.items()}
    blocked = {paths[t.path] for t in ties if t.blocker and t.path in paths}
    found = importers(blocked, list(shown))
    return {shown[path]: [f"{shown[by]}:{row}" for by, row in places] for path, places in found.items()}


def _trend(
    arguments: Namespace, gathered: Gathered, targets: list[Target], known: Iterator[Known]
) -> tuple[list[Point], list[tuple[str, str]]]:
    """The trend of what the paths of the arguments hold, and what couldn't be looked at."""
    from uncuda.audit.history import history
    from uncuda.cli.check import progress
    from uncuda.runner import default_workers

    starts = [gathered.root / path for path in arguments.paths]
    repository = Repository(starts[0] if starts[0].is_dir() else starts[0].parent)
    watcher = progress(total=0, quiet=arguments.quiet)
    try:
        return history(
            repository,
            arguments.history,
            _look(arguments, repository.top, starts),
            targets,
            every_days=arguments.every,
            known=known,
            workers=arguments.jobs or default_workers(),
            progress=watcher.step if watcher else None,
        )
    finally:
        if watcher is not None:
            watcher.stop()


def _look(arguments: Namespace, top: Path, starts: list[Path]) -> Look:
    """What tells of a path in the repository at `top` whether the trend is about it. Raises AuditError."""
    from uncuda.cli.plan import Profiles, settings_tree
    from uncuda.discovery import Found, Search

    tree = settings_tree(arguments)
    profiles = Profiles(whole_file=False, prose=True)
    directories: list[tuple[PurePosixPath, Path]] = []
    files: dict[str, Path] = {}
    for start in starts:
        at = Path(os.path.abspath(start))
        try:
            inside = at.resolve().relative_to(top.resolve()).as_posix()
        except ValueError:
            raise AuditError(f"--history: {start} isn't in the repository at {top}") from None
        if at.is_dir():
            directories.append((PurePosixPath(inside), at))
        else:
            files[inside] = at

    def look(is_file: Callable[[str], bool]) -> JobOf:
        searches = [(inside, at, Search(str(at), tree, is_file)) for inside, at in directories]

        def found(path: str) -> Found | None:
            if path in files:
                return Found(str(files[path]), tree.for_file(files[path]))
            pure = PurePosixPath(path)
            within = (
                s.takes(str(at / pure.relative_to(i))) for i, at, s in searches if pure.is_relative_to(i)
            )
            return next((item for item in within if item is not None), None)

        def job_of(path: str) -> Job | None:
            item = found(path)
            job = profiles.job(item, tree.cwd) if item is not None else None
            return None if job is None or is_text(job) else job

        return job_of

    return look


def _known(jobs: Sequence[Job], ties: Sequence[Tie]) -> Iterator[Known]:
    """The files of today, with what was found in them."""
    from uncuda.audit.versions import Known

    by_path: dict[str, list[Tie]] = defaultdict(list)
    for item in ties:
        by_path[item.path].append(item)
    for job in jobs:
        try:
            yield Known(job, job.path.read_bytes(), by_path[job.display.replace("\\", "/")])
        except OSError:
            continue


def _name(root: Path, paths: list[str]) -> str:
    """What a report calls the project: the directory that was named, else the one it was started in; what was named,
    where some of it lies elsewhere."""
    named = [(root / path).resolve() for path in paths]
    if len(named) == 1 and named[0].is_dir():
        return named[0].name or str(root)
    if all(path.is_relative_to(root.resolve()) for path in named):
        return root.name or str(root)
    return ", ".join(dict.fromkeys(path.name for path in named))


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


_WEB = {
    "github.com": "/blob/",
    "gitlab.com": "/-/blob/",
    "codeberg.org": "/src/commit/",
    "gitee.com": "/blob/",
}


def repository(root: Path) -> tuple[str | None, str | None]:
    """The revision that is checked out in `root`, and the address of its files on the web, as far as known.

    Only git itself is asked, with the project's own hooks and helpers switched off.
    """
    revision = _git(root, "rev-parse", "HEAD")
    if revision is None:
        return None, None
    remote = _git(root, "remote", "get-url", "origin") or ""
    prefix = _git(root, "rev-parse", "--show-prefix") or ""
    return revision, web_address(remote, revision, prefix)


def web_address(remote: str, revision: str, prefix: str = "") -> str | None:
    """The address of a revision's files on the host of `remote`; None for hosts whose layout isn't known."""
    address = remote.removesuffix(".git").rstrip("/")
    if address.startswith("git@"):
        host, _, path = address.removeprefix("git@").partition(":")
    elif "://" in address:
        host, _, path = address.partition("://")[2].partition("/")
        host = host.rpartition("@")[2]
    else:
        return None
    way = _WEB.get(host)
    if way is None or not path:
        return None
    return f"https://{host}/{path}{way}{revision}/{prefix}".rstrip("/")


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
