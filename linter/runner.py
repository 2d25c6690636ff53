"""Takes many files through prefilter, cache, engine and suppressions, in this process or in several."""

from __future__ import annotations

import gc
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from uncuda.findings import Applicability, Finding, Severity, Target, TorchVersion, at_least
from uncuda.results import (
    UNPARSABLE,
    Applied,
    FileResult,
    Placed,
    PlacedEdit,
    Position,
    Problem,
    ProblemKind,
)

if TYPE_CHECKING:
    from uncuda.cache import Cache
    from uncuda.context import Options
    from uncuda.parsing import ParseError
    from uncuda.source import Lines
    from uncuda.trees import Trees

CHUNKS = 40
"""Into so many for each worker files are shared out, or more."""
LARGEST_CHUNK, MOST_IN_CHUNK = 400_000, 64
"""Bytes and files."""
POOL_FROM_FORK = 40
"""From so many files to parse on, a pool of forked workers pays."""
POOL_FROM_UNREAD = 400
"""From so many files to read on, it pays that others sift them first."""
POOL_FROM_SPAWN = 200
"""The same where workers start afresh (macOS, Windows)."""

Progress = Callable[[int, int], None]
"""Called with the number of files done and of all files."""


class Mode(Enum):
    """What to do with fixes."""

    CHECK = "check"
    FIX = "fix"
    DIFF = "diff"


@dataclass(frozen=True)
class Profile:
    """What the settings of a file come to: everything that has a say in its findings, as plain data."""

    codes: frozenset[str]
    targets: frozenset[Target] | None = None
    torch_floor: TorchVersion = (2, 6)
    floor_origin: str = ""
    """Where the floor is written, for people."""
    device_expr: str | None = None
    device_import: str | None = None
    project: bool = False
    """Have the project's other modules a say?"""
    whole_file: bool = False
    prose: bool = False
    """Is code in texts looked at: fences in Markdown, examples in docstrings?"""
    require_reason: bool = False
    fixable: frozenset[str] | None = None
    """The codes whose fixes may be applied; None: all."""
    severity: Severity = Severity.WARNING
    """Findings below it are counted, not shown, and not fixed."""
    fail_on: Severity = Severity.WARNING
    unsafe: bool = False
    """May fixes be made that want a second look?"""

    def key(self, ignored: frozenset[str]) -> str:
        """The cache's name for it, for files for which `ignored` codes are switched off."""
        from uncuda.cache import profile_key

        return profile_key(
            {
                "codes": self.codes,
                "targets": None if self.targets is None else {t.value for t in self.targets},
                "floor": self.torch_floor,
                "device": [self.device_expr, self.device_import],
                "project": self.project,
                "whole": self.whole_file,
                "prose": self.prose,
                "reason": self.require_reason,
                "fixable": self.fixable,
                "ignored": ignored,
            }
        )

    def options(self) -> Options:
        """What the engine takes."""
        from uncuda.context import Options

        return Options(
            torch_floor=self.torch_floor,
            codes=self.codes,
            device_expr=self.device_expr,
            device_import=self.device_import,
            whole_file=self.whole_file,
            targets=self.targets,
        )


@dataclass(frozen=True)
class Beside:
    """What there is around a file that has a say in its findings: the packages of its own project, and whether the same
    file for other hardware lies beside it."""

    own: frozenset[str]
    others: bool


@dataclass(frozen=True)
class Job:
    """One file to deal with. `ignored` are codes switched off for it; `data` its content if it isn't on disk, `beside`
    what was around it if the disk isn't to be asked."""

    path: Path
    display: str
    profile: Profile
    ignored: frozenset[str] = frozenset()
    data: bytes | None = None
    beside: Beside | None = None

    @property
    def own(self) -> frozenset[str]:
        """The packages of its own project: an import of them is no tie."""
        if self.beside is not None:
            return self.beside.own
        from uncuda.own_names import own_names

        return own_names(os.fspath(self.path))

    @property
    def is_python(self) -> bool:
        """Is it read as a Python module? So is a file that was named and isn't of a kind that is known."""
        name = self.path.name
        if name.endswith((".py", ".pyi")):
            return True
        from uncuda.around.kinds import Kind, kind_of

        return kind_of(os.fspath(self.path)) in (None, Kind.PYTHON)

    def is_worth_reading(self, data: bytes) -> bool:
        """Can there be something in the file's content for the rules in force?"""
        if not self.is_python:
            from uncuda.around.examine import is_worth_reading

            return is_worth_reading(data, self)
        from uncuda.prefilter import needs_check

        return needs_check(data, self.profile.codes)


@dataclass(frozen=True)
class Examined:
    """What the engine and the suppressions made of a file's content, before anything is written or hidden."""

    findings: tuple[Placed, ...] = ()
    suppressed: int = 0
    applied: tuple[Applied, ...] = ()
    problem: Problem | None = None
    old: str | None = None
    new: str | None = None
    data: bytes | None = None
    """The bytes to write, when fixes changed the text."""
    learnt: tuple[tuple[str, str], ...] = ()
    """Other files that had a say, each with its state then."""


class Interrupted(Exception):
    """Ctrl-C came: `results` are the files that were done."""

    def __init__(self, results: list[FileResult]) -> None:
        super().__init__("interrupted")
        self.results = results


# -- one file ----------------------------------------------------------------------------------------------


def place(lines: Lines, finding: Finding, targets: frozenset[Target] | None) -> Placed:
    """A finding with its rows and columns."""

    def at(offset: int) -> Position:
        return Position(*lines.position(offset))

    edits = finding.fix.edits if finding.fix is not None else ()
    return Placed(
        replace(finding, outcomes=dict(finding.outcomes)),
        finding.severity(targets),
        at(finding.start),
        at(finding.end),
        tuple(PlacedEdit(at(e.start), at(e.end), e.text) for e in edits),
    )


def unparsable(error: ParseError, lines: Lines) -> Placed:
    """The finding that stands for a text that isn't Python."""
    from uncuda.rules.housekeeping import UnparsableFile

    at = lines.offset(error.row, error.column)
    where = Position(*lines.position(at))
    finding = Finding(
        code=UNPARSABLE,
        name=UnparsableFile.name,
        message=f"cannot be parsed, so it was not checked: {error.message}",
        start=at,
        end=at,
        symbol="",
        category=UnparsableFile.category,
        effort=UnparsableFile.effort,
        outcomes={},
    )
    return Placed(finding, Severity.ERROR, where, where)


def restrained(finding: Finding, profile: Profile) -> Finding:
    """The finding, its fix only shown where the settings forbid to apply it."""
    if finding.fix is None or profile.fixable is None or finding.code in profile.fixable:
        return finding
    return replace(finding, fix=replace(finding.fix, applicability=Applicability.DISPLAY))


def examine(data: bytes, job: Job, mode: Mode, trees: Trees | None = None) -> Examined:
    """Checks or fixes a file's content. Writes nothing; never raises, whatever the content is.

    `trees`: those of another state of the file, for who checks it again and again.
    """
    try:
        return _examine(data, job, mode, trees)
    except MemoryError:
        return Examined(problem=Problem(ProblemKind.INTERNAL, "not enough memory to check it"))
    except RecursionError:
        return Examined(problem=Problem(ProblemKind.INTERNAL, "nested too deeply to be checked"))
    except Exception as error:
        return Examined(problem=internal_problem(error))


def internal_problem(error: Exception) -> Problem:
    """An error of the tool's own, with what a bug report needs."""
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(last[0].filename).name}:{last[0].lineno})" if last else ""
    return Problem(
        ProblemKind.INTERNAL,
        f"internal error{where}: {type(error).__name__}: {error}; this is a bug in uncuda, please report it "
        "with the file (-v shows the traceback)",
        "".join(traceback.format_exception(error)),
    )


def _examine(data: bytes, job: Job, mode: Mode, trees: Trees | None) -> Examined:
    from uncuda.source import SourceError, decode

    if not job.is_python:
        from uncuda.around.examine import examine_other

        return examine_other(data, job, mode)
    try:
        source = decode(data)
    except SourceError as error:
        return Examined(problem=Problem(ProblemKind.UNDECODABLE, str(error)))
    done = examine_text(source.text, job, mode, trees)
    if done.new is None:
        return done
    try:
        return replace(done, data=source.encode(done.new))
    except SourceError as error:
        as_it_was = examine_text(source.text, job, Mode.CHECK)
        problem = Problem(ProblemKind.UNWRITABLE, f"its fixes were not written: {error}")
        return replace(as_it_was, problem=problem)


def examine_text(text: str, job: Job, mode: Mode, trees: Trees | None = None) -> Examined:
    """Checks or fixes a text; `job.path` and `job.data` are not looked at. `data` of the answer is not set.

    `trees`: those of an earlier state of the text, for who checks it again and again.
    """
    from uncuda.engine import check_text, fix_text
    from uncuda.importers import importers_of
    from uncuda.neighbours import Neighbours
    from uncuda.source import lines_of
    from uncuda.suppressions import silence

    profile = job.profile
    # Where the disk isn't to be asked, the project isn't either.
    alone = not profile.project or job.beside is not None
    neighbours = None if alone else Neighbours(os.path.abspath(job.path))
    options = replace(profile.options(), own=job.own, neighbours=neighbours)

    def settle(text: str, findings: Sequence[Finding]) -> tuple[list[Finding], int]:
        """The findings that count, restrained, and how many were suppressed."""
        wanted = [f for f in findings if f.code in profile.codes and f.code not in job.ignored]
        kept, suppressed = silence(
            text, wanted, codes=profile.codes - job.ignored, require_reason=profile.require_reason
        )
        return [restrained(f, profile) for f in kept], suppressed

    def report(text: str, findings: Sequence[Finding]) -> tuple[Placed, ...]:
        if not findings:
            return ()
        lines = lines_of(text)
        return tuple(place(lines, f, profile.targets) for f in findings)

    checked = check_text(text, options, trees)
    if checked.error is not None:
        wanted = UNPARSABLE in profile.codes and UNPARSABLE not in job.ignored
        return Examined((unparsable(checked.error, lines_of(text)),) if wanted else ())
    findings, suppressed = settle(text, checked.findings)
    learnt = () if neighbours is None else tuple(neighbours.looked_at().items())
    result = Examined(report(text, findings), suppressed, learnt=learnt)
    if mode is Mode.CHECK or not any(p.fixable(profile.unsafe) for p in shown(result.findings, profile)):
        return result

    def keep(text: str, found: tuple[Finding, ...]) -> list[Finding]:
        return [f for f in settle(text, found)[0] if at_least(f.severity(profile.targets), profile.severity)]

    imported = importers_of(os.fspath(job.path))
    fixed = fix_text(text, options, unsafe=profile.unsafe, keep=keep, wanted=imported)
    if fixed.error is not None:
        return replace(result, problem=Problem(ProblemKind.BAD_FIX, fixed.error))
    if fixed.text == text:
        return result
    after = check_text(fixed.text, options)
    left, suppressed = settle(fixed.text, after.findings)
    return Examined(
        findings=report(fixed.text, left),
        suppressed=suppressed,
        applied=tuple(
            Applied(f.code, f.name, f.fix.title, f.fix.applicability)
            for f in fixed.applied
            if f.fix is not None
        ),
        old=text,
        new=fixed.text,
    )


def shown(findings: Sequence[Placed], profile: Profile) -> tuple[Placed, ...]:
    """The findings that are grave enough to show."""
    return tuple(p for p in findings if at_least(p.severity, profile.severity))


# -- all files ---------------------------------------------------------------------------------------------


_Done = tuple[int, "Examined | None", "os.stat_result | None", str]
"""Of a file: its number, what it gave (None: there is nothing in it to be parsed), its state and digest as read."""


@dataclass
class Runner:
    """Runs jobs and hands out their results in the order of the jobs.

    `workers`: processes to use at most. `progress` is told how far it is.
    """

    mode: Mode = Mode.CHECK
    workers: int = 1
    cache: Cache | None = None
    progress: Progress | None = None
    _results: dict[int, FileResult] = field(default_factory=dict)
    _total: int = 0
    _keys: dict[tuple[int, frozenset[str]], str] = field(default_factory=dict)

    def run(self, jobs: Sequence[Job]) -> list[FileResult]:
        """Deals with every job. Raises Interrupted on Ctrl-C; a bad file never raises."""
        self._results, self._total = {}, len(jobs)
        neighbours = sys.modules.get("uncuda.neighbours")
        if neighbours is not None:  # Files may have changed since an earlier run.
            neighbours.forget()
        collecting = gc.isenabled()
        try:
            gc.disable()
            self._examine_all(jobs, self._unknown(jobs))
        except KeyboardInterrupt:
            raise Interrupted([self._results[n] for n in sorted(self._results)]) from None
        finally:
            if collecting:
                gc.enable()
            if self.cache is not None:
                self.cache.save()
        return [self._results[n] for n in sorted(self._results)]

    # -- what needs no parsing -----------------------------------------------------------------------------

    def _unknown(self, jobs: Sequence[Job]) -> list[tuple[int, int]]:
        """Settles the files that the cache knows; returns `(size, number)` of the others."""
        unknown: list[tuple[int, int]] = []
        for number, job in enumerate(jobs):
            size = self._look_up(number, job)
            if size is not None:
                unknown.append((size, number))
        return unknown

    def _look_up(self, number: int, job: Job) -> int | None:
        from uncuda.cache import digest_of

        if job.data is not None:
            return len(job.data)
        try:
            info = os.stat(job.path)
            known = None
            if self.cache is not None:
                known = self.cache.get(self._key(job), str(job.path), info, job.profile.targets)
            # Time and size are enough to report by; before a file is written its content is compared.
            if known is not None and self.mode is Mode.CHECK:
                self._settle(number, job, Examined(known.findings, known.suppressed))
                return None
            if known is not None and known.digest and digest_of(job.path.read_bytes()) == known.digest:
                if not any(p.fixable(job.profile.unsafe) for p in shown(known.findings, job.profile)):
                    self._settle(number, job, Examined(known.findings, known.suppressed))
                    return None
        except OSError as error:
            self._settle(number, job, Examined(problem=read_problem(error)))
            return None
        return info.st_size

    def _key(self, job: Job) -> str:
        known = (id(job.profile), job.ignored)
        if known not in self._keys:
            self._keys[known] = job.profile.key(job.ignored)
            if self.cache is not None:
                self.cache.use(self._keys[known])
        return self._keys[known]

    # -- what does -----------------------------------------------------------------------------------------

    def _examine_all(self, jobs: Sequence[Job], unknown: list[tuple[int, int]]) -> None:
        forking = sys.platform not in ("darwin", "win32")
        if self.workers > 1 and forking and len(unknown) >= POOL_FROM_UNREAD:
            hits = self._sifted_by_others(jobs, unknown)
        else:
            hits = [hit for file in unknown for hit in self._sifted(jobs, [file])]
        if self.workers > 1 and len(hits) >= (POOL_FROM_FORK if forking else POOL_FROM_SPAWN):
            self._in_pool(jobs, hits, "fork" if forking else "spawn")
            return
        for _, number in hits:
            for done in _each([(number, jobs[number])], self.mode, self.cache is not None):
                self._take(jobs[number], done)

    def _sifted(self, jobs: Sequence[Job], files: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of some files that have to be parsed; the others are settled."""
        hits, settled = _sift(self.cache is not None, jobs, files)
        for done in settled:
            self._take(jobs[done[0]], done)
        return hits

    def _sifted_by_others(self, jobs: Sequence[Job], files: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The same, sifted by other processes, while this one loads the rules."""
        from uncuda.pool import shared_out

        files = sorted(files, reverse=True)
        parts = [files[first :: self.workers] for first in range(self.workers)]
        hits: list[tuple[int, int]] = []
        work = partial(_sift, self.cache is not None, jobs)
        with closing(shared_out(work, parts, self.workers, "fork", _load_rules)) as results:
            for part, sifted in results:
                if sifted is None:  # A file killed the process: which one shows when they are parsed.
                    hits += parts[part]
                    continue
                hits += sifted[0]
                for done in sifted[1]:
                    self._take(jobs[done[0]], done)
        return hits

    def _in_pool(self, jobs: Sequence[Job], hits: list[tuple[int, int]], method: str) -> None:
        if method == "fork":
            _load_rules()  # once for all workers
        lost = self._share_out(jobs, _chunks(hits, self.workers), self.workers, method)
        # A file of each lost chunk killed the process that had it: which one shows when each has its own.
        for number in self._share_out(jobs, [[n] for n in sorted(lost)], 1, method):
            text = (
                "the process that checked it was killed (out of memory, or a bug in uncuda: please report it "
                "with the file)"
            )
            self._settle(number, jobs[number], Examined(problem=Problem(ProblemKind.INTERNAL, text)))

    def _share_out(
        self, jobs: Sequence[Job], chunks: list[list[int]], workers: int, method: str
    ) -> list[int]:
        """Takes what processes make of chunks of files; the files of chunks that were lost are given back."""
        from uncuda.pool import shared_out

        lost: list[int] = []
        work = partial(_work, self.mode, self.cache is not None)
        if method == "fork":
            # They have the jobs already.
            shared = shared_out(partial(_work_on, work, jobs), chunks, workers, method)
        else:
            shared = shared_out(work, [[(n, jobs[n]) for n in chunk] for chunk in chunks], workers, method)
        with closing(shared) as results:
            for chunk, done in results:
                if done is None:
                    lost += chunks[chunk]
                    continue
                for item in done:
                    self._take(jobs[item[0]], item)
        return lost

    # -- results -------------------------------------------------------------------------------------------

    def _take(self, job: Job, done: _Done) -> None:
        """Writes what has to be written, remembers what can be remembered, settles the rest."""
        from uncuda.cache import Entry

        number, examined, info, digest = done
        if examined is None:
            if self.cache is not None and info is not None:
                self.cache.put(self._key(job), str(job.path), info, Entry((), 0, ""))
            examined = Examined()
        elif examined.data is not None and self.mode is Mode.FIX and job.data is None:
            problem = _write(job.path, examined.data, info)
            if problem is not None:
                loaded = load(job)
                before = Examined()
                if not isinstance(loaded, Problem):
                    before = examine(loaded[0], job, Mode.CHECK)
                examined = replace(before, problem=problem)
        elif (
            self.mode is Mode.FIX
            and examined.problem is None
            and info is not None
            and _read_only(info)
            and (blocked := sum(p.fixable(job.profile.unsafe) for p in shown(examined.findings, job.profile)))
        ):
            text = f"is read-only: {blocked} fix{'' if blocked == 1 else 'es'} not written"
            examined = replace(examined, problem=Problem(ProblemKind.UNWRITABLE, text))
        elif (
            self.cache is not None and info is not None and examined.problem is None and examined.new is None
        ):
            if digest and not any(p.finding.code == UNPARSABLE for p in examined.findings):
                entry = Entry(examined.findings, examined.suppressed, digest, examined.learnt)
                self.cache.put(self._key(job), str(job.path), info, entry)
        self._settle(number, job, examined)

    def _settle(self, number: int, job: Job, examined: Examined) -> None:
        visible = shown(examined.findings, job.profile)
        source = None
        if job.data is not None and visible:
            source = examined.new if examined.new is not None else _text_of(job.path, job.data)
        elif examined.new is not None and self.mode is Mode.DIFF:
            source = examined.new
        self._results[number] = FileResult(
            path=job.path,
            display=job.display,
            findings=visible,
            hidden=len(examined.findings) - len(visible),
            suppressed=examined.suppressed,
            applied=examined.applied,
            problem=examined.problem,
            old=examined.old,
            new=examined.new,
            source=source,
            targets=job.profile.targets,
            torch_floor=job.profile.torch_floor,
            floor_origin=job.profile.floor_origin,
            fail_on=job.profile.fail_on,
        )
        if self.progress is not None:
            self.progress(len(self._results), self._total)


def _text_of(path: Path, data: bytes) -> str | None:
    from uncuda.around.texts import source_of
    from uncuda.source import SourceError

    try:
        return source_of(os.fspath(path), data).text
    except SourceError:
        return None


def read_problem(error: OSError) -> Problem:
    """Why a file could not be read."""
    if isinstance(error, FileNotFoundError):
        return Problem(ProblemKind.MISSING, "no such file (it may have been removed while uncuda ran)")
    return Problem(ProblemKind.UNREADABLE, f"cannot be read: {error.strerror or error}")


def load(job: Job) -> tuple[bytes, os.stat_result | None] | Problem:
    """A job's content and the state of its file from before it was read."""
    if job.data is not None:
        return job.data, None
    try:
        path = os.fspath(job.path)
        info = os.stat(path)
        with open(path, "rb", buffering=0) as file:
            return file.read(), info
    except OSError as error:
        return read_problem(error)


def _read_only(info: os.stat_result) -> bool:
    # Asked of the mode, not of the system: what is marked read-only isn't replaced, not for root either.
    return not info.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def mode_for(mode: Mode, info: os.stat_result | None) -> Mode:
    """The mode for one file: what is read-only is only checked."""
    return Mode.CHECK if mode is Mode.FIX and info is not None and _read_only(info) else mode


def _write(path: Path, data: bytes, info: os.stat_result | None) -> Problem | None:
    from uncuda.writing import write_atomically

    try:
        now = os.stat(path)
        if info is not None and (now.st_mtime_ns, now.st_size) != (info.st_mtime_ns, info.st_size):
            text = "was changed by something else meanwhile; its fixes were not written"
            return Problem(ProblemKind.UNWRITABLE, text)
        write_atomically(path, data)
    except OSError as error:
        return Problem(ProblemKind.UNWRITABLE, f"cannot be written: {error.strerror or error}")
    return None


def _chunks(files: Sequence[tuple[int, int]], workers: int) -> list[list[int]]:
    """The numbers of files, given with their sizes, in parts of about the same size; the largest files first, so that no
    process is left with much to do at the end."""
    enough = min(LARGEST_CHUNK, sum(size for size, _ in files) // (workers * CHUNKS))
    chunks: list[list[int]] = []
    full = True
    for size, number in sorted(files, reverse=True):
        if full:
            chunks.append([])
            held = 0
        chunks[-1].append(number)
        held += size
        full = held >= enough or len(chunks[-1]) == MOST_IN_CHUNK
    return chunks


def _load_rules() -> None:
    from uncuda.engine import check_text

    check_text("")


# -- in a worker -------------------------------------------------------------------------------------------


def _sift(
    remembered: bool, jobs: Sequence[Job], files: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[_Done]]:
    """Those of some files, given as sizes and numbers, in which there is something that has to be parsed, and what there
    is to say of the others."""
    gc.disable()
    hits: list[tuple[int, int]] = []
    settled: list[_Done] = []
    for size, number in files:
        loaded = load(jobs[number])
        if isinstance(loaded, Problem):
            settled.append((number, Examined(problem=loaded), None, ""))
        elif jobs[number].is_worth_reading(loaded[0]):
            hits.append((size, number))
        else:
            settled.append((number, None, loaded[1] if remembered else None, ""))
    return hits, settled


def _work_on(
    work: Callable[[Sequence[tuple[int, Job]]], list[_Done]], jobs: Sequence[Job], numbers: Sequence[int]
) -> list[_Done]:
    return work([(number, jobs[number]) for number in numbers])


def _work(mode: Mode, remembered: bool, numbered: Sequence[tuple[int, Job]]) -> list[_Done]:
    from uncuda.parsing import leave_out_checks

    gc.disable()
    leave_out_checks()
    return list(_each(numbered, mode, remembered))


def _each(numbered: Sequence[tuple[int, Job]], mode: Mode, remembered: bool) -> Iterator[_Done]:
    """`remembered`: there is a cache, which wants to know what was read."""
    from uncuda.cache import digest_of

    for number, job in numbered:
        loaded = load(job)
        if isinstance(loaded, Problem):
            yield number, Examined(problem=loaded), None, ""
            continue
        data, info = loaded
        yield number, examine(data, job, mode_for(mode, info)), info, digest_of(data) if remembered else ""


def default_workers() -> int:
    """As many as processors that this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:
        return max(1, os.cpu_count() or 1)
