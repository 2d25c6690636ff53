"""`uncuda check`: from arguments to files, results, reports and an exit code."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from uncuda.cli.check_options import check_parser
from uncuda.cli.output import warn, write, write_bytes
from uncuda.cli.ratchet import RatchetError, narrow, refuse_contradictions
from uncuda.findings import at_least
from uncuda.report import FORMATS, TEXT_FORMATS
from uncuda.report.ansi import Style, style_for, visible
from uncuda.results import FileResult, ProblemKind, Run

if TYPE_CHECKING:
    from uncuda.cli.plan import Gathered

CLEAN, FINDINGS, FAILURE, INTERRUPTED = 0, 1, 2, 130


class UsageError(Exception):
    """The arguments or settings make no sense; the message says why."""


def parser() -> ArgumentParser:
    """The parser of `uncuda check`."""
    return check_parser()


def run(arguments: Namespace) -> int:
    """Checks, reports, and gives the exit code."""
    from uncuda.settings import SettingsError

    try:
        outputs = _outputs(arguments)
        _refuse_contradictions(arguments)
        refuse_contradictions(arguments)
        if arguments.watch:
            from uncuda.cli.watch import watch

            return watch(arguments.paths or ["."], lambda: _run(arguments, outputs))
        return _run(arguments, outputs)
    except (UsageError, RatchetError, SettingsError) as error:
        warn(f"uncuda: error: {error}")
        return FAILURE


# -- arguments ---------------------------------------------------------------------------------------------


def _outputs(arguments: Namespace) -> list[tuple[str, Path | None]]:
    """Pairs of format and file (None: standard output)."""
    formats: list[str] = list(dict.fromkeys(arguments.output_format or ()))
    files: list[tuple[str, Path]] = []
    for item in arguments.output_file or ():
        name, equals, path = item.partition("=")
        if equals and name in FORMATS:
            files.append((name, Path(path)))
        elif len(formats) == 1 and not (equals and name.isalpha()):
            files.append((formats[0], Path(item)))
        else:
            raise UsageError(
                f"--output-file takes FORMAT=PATH, with FORMAT one of {', '.join(FORMATS)}; got {visible(item)!r}"
            )
    if any(path in (Path(""), Path(".")) for _, path in files):
        raise UsageError("--output-file takes FORMAT=PATH; the path is missing")
    written = {name for name, _ in files}
    printed = [name for name in formats if name not in written]
    if not formats:
        printed = ["full"]
    return [*((name, None) for name in printed), *files]


def _refuse_contradictions(arguments: Namespace) -> None:
    if arguments.add_ignore is not None and (arguments.fix or arguments.diff):
        raise UsageError("--add-ignore can't be used with --fix or --diff")
    paths = arguments.paths
    if "-" in paths and len(paths) > 1:
        raise UsageError("- (standard input) can't be mixed with other paths")
    if arguments.stdin_filename is not None and paths != ["-"]:
        raise UsageError("--stdin-filename goes with - (standard input)")
    if arguments.add_ignore is not None and paths == ["-"]:
        raise UsageError("--add-ignore needs files; it can't be used with -")
    if arguments.watch and (
        arguments.fix or arguments.diff or arguments.add_ignore is not None or paths == ["-"]
    ):
        raise UsageError("--watch only reports: it can't be used with --fix, --diff, --add-ignore or -")
    if arguments.quiet and arguments.verbose:
        raise UsageError("--quiet and --verbose exclude each other")


# -- the run -----------------------------------------------------------------------------------------------


def _run(arguments: Namespace, outputs: list[tuple[str, Path | None]]) -> int:
    from uncuda.cli.plan import gather
    from uncuda.runner import Interrupted, Mode, Runner, default_workers

    begun = time.perf_counter()
    stdin = arguments.paths == ["-"]
    gathered = gather(arguments, sys.stdin.buffer.read() if stdin else None)
    out_style = style_for(sys.stdout, arguments.color)
    err_style = style_for(sys.stderr, arguments.color)
    if arguments.verbose:
        for note in gathered.notes:
            warn(f"uncuda: {visible(note)}")
    if arguments.show_files:
        return _show_files(gathered, err_style)
    if gathered.searched and not gathered.jobs and not gathered.failures:
        warn(f"uncuda: warning: no Python files under {', '.join(map(visible, gathered.searched))}")
    mode = Mode.DIFF if arguments.diff else Mode.FIX if arguments.fix else Mode.CHECK
    cache = None
    if gathered.cache_directory is not None and arguments.add_ignore is None:
        from uncuda.cache import Cache

        cache = Cache.load(gathered.cache_directory)
    watcher = progress(total=len(gathered.jobs), quiet=arguments.quiet)
    runner = Runner(mode, arguments.jobs or default_workers(), cache, watcher.step if watcher else None)
    interrupted = False
    try:
        results = runner.run(gathered.jobs)
    except Interrupted as stop:
        results, interrupted = stop.results, True
    finally:
        if watcher is not None:
            watcher.stop()
    if not interrupted:
        results = narrow(arguments, results, gathered.root)
    files = tuple(result for result in (*gathered.failures, *results) if _worth_telling(result))
    run = Run(
        files=files,
        checked=len(results),
        root=gathered.root,
        fixing=mode is Mode.FIX,
        diffing=mode is Mode.DIFF,
        unsafe=gathered.unsafe,
        totals=not arguments.quiet,
        command_line=gathered.command_line,
        summaries=_summaries,
    )
    if interrupted:
        left = len(gathered.jobs) - len(results)
        warn(
            f"uncuda: interrupted: {len(results)} files were dealt with, {left} were not; every file is whole"
        )
        return INTERRUPTED
    if arguments.add_ignore is not None:
        return _add_ignores(arguments, run)
    if stdin and mode is Mode.FIX:
        _give_back(gathered, results)
    failed = _report(arguments, run, outputs, out_style, err_style, stdin)
    if arguments.verbose:
        warn(f"uncuda: {len(results)} files in {time.perf_counter() - begun:.2f} s")
    return FAILURE if failed else _exit_code(arguments, run)


def _show_files(gathered: Gathered, err_style: Style) -> int:
    from uncuda.report.summary import problem_lines

    run = Run(gathered.failures, 0, gathered.root)
    for line in problem_lines(run, err_style):
        warn(line)
    write("".join(f"{visible(job.display)}\n" for job in gathered.jobs))
    return FAILURE if run.problems else CLEAN


def _worth_telling(result: FileResult) -> bool:
    return bool(
        result.findings
        or result.hidden
        or result.suppressed
        or result.applied
        or result.problem
        or result.new is not None
    )


def _summaries() -> dict[str, str]:
    from uncuda.rules.catalogue import catalogue

    return {info.code: info.summary for info in catalogue()}


def _exit_code(arguments: Namespace, run: Run) -> int:
    if run.problems:
        return FAILURE
    if arguments.exit_zero:
        return CLEAN
    if run.diffing:
        return FINDINGS if any(file.applied for file in run.files) else CLEAN
    if arguments.exit_non_zero_on_fix and any(file.applied for file in run.files):
        return FINDINGS
    failing = sum(at_least(placed.severity, file.fail_on) for file, placed in run.findings)
    return FINDINGS if failing > (arguments.max_findings or 0) else CLEAN


def _give_back(gathered: Gathered, results: list[FileResult]) -> None:
    """With --fix, standard input goes to standard output: fixed, or as it came."""
    from uncuda.around.texts import source_of

    for job, result in zip(gathered.jobs, results, strict=True):
        assert job.data is not None
        if result.new is None:
            write_bytes(job.data)
        else:
            write_bytes(source_of(str(job.path), job.data).encode(result.new))


# -- reports -----------------------------------------------------------------------------------------------


def _report(
    arguments: Namespace,
    run: Run,
    outputs: list[tuple[str, Path | None]],
    out_style: Style,
    err_style: Style,
    stdin: bool,
) -> bool:
    """Writes all reports; True when one could not be written."""
    from uncuda.report import render
    from uncuda.report.summary import problem_lines, show_fixes

    for line in problem_lines(run, err_style):
        warn(line)
    if arguments.verbose:
        for _, problem in run.problems:
            if problem.detail:
                warn(visible_lines(problem.detail))
    # What goes to standard output is either the fixed text (with - and --fix), or the diff, or the reports.
    taken = stdin and run.fixing
    stream, style = (sys.stderr, err_style) if taken else (sys.stdout, out_style)
    if run.diffing:
        from uncuda.report.diff import diff_lines

        write("".join(diff_lines(run, out_style)))
        if not arguments.quiet:
            for line in _diff_totals(run, err_style):
                warn(line)
    failed = False
    for name, path in outputs:
        if path is None:
            if run.diffing:
                continue
            if arguments.statistics and name in (*TEXT_FORMATS, "json"):
                from uncuda.report import statistics

                render_one: Callable[[Run, Style], str] = (
                    statistics.render_json if name == "json" else statistics.render
                )
                text = render_one(run, style)
            else:
                text = render(name, run, replace(style, width=max(style.width, 40)))
            write(text, stream)
        else:
            failed |= not write_report(path, render(name, run, Style(width=120)))
    if arguments.show_fixes and not run.diffing:
        for line in show_fixes(run, err_style):
            warn(line)
    return failed


def visible_lines(text: str) -> str:
    """Several lines made printable."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _diff_totals(run: Run, style: Style) -> list[str]:
    from uncuda.report.summary import plural, show_fixes

    files = sum(1 for file in run.files if file.applied)
    count = sum(len(file.applied) for file in run.files)
    if not count:
        return ["Nothing to fix."]
    return [*show_fixes(run, style), f"Would fix {plural(count, 'tie')} in {plural(files, 'file')}."]


def write_report(path: Path, text: str) -> bool:
    """Writes a report to a file, making its directories; says on standard error why it can't, and gives False."""
    from uncuda.writing import write_atomically

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            # A pipe or /dev/stderr: written to, not replaced.
            with path.open("wb") as stream:
                stream.write(text.encode("utf-8", "backslashreplace"))
        else:
            write_atomically(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        warn(f"uncuda: error: the report {visible(str(path))} cannot be written: {error.strerror or error}")
        return False
    return True


def progress(*, total: int, quiet: bool) -> _Watcher | None:
    """A progress bar on a terminal, for more than one file."""
    if quiet or total < 2 or not sys.stderr.isatty():
        return None
    from uncuda.cli.progress import Progress

    return Progress(total)


# -- ignores -----------------------------------------------------------------------------------------------


def _add_ignores(arguments: Namespace, run: Run) -> int:
    """Puts a suppression comment at every shown tie."""
    from uncuda.marks import ties
    from uncuda.report.summary import plural, problem_lines
    from uncuda.source import SourceError, decode
    from uncuda.suppressions import add
    from uncuda.writing import write_atomically

    for line in problem_lines(run, style_for(sys.stderr, arguments.color)):
        warn(line)
    count = files = 0
    failed = bool(run.problems)
    for file in run.files:
        findings = [p.finding for p in file.findings if p.finding.code in ties()]
        if not findings:
            continue
        try:
            source = decode(file.path.read_bytes())
            new = add(source.text, findings, reason=arguments.add_ignore)
            if new == source.text:
                continue
            write_atomically(file.path, source.encode(new))
        except (OSError, SourceError) as error:
            warn(f"uncuda: error: {visible(file.display)}: {error}")
            failed = True
            continue
        count += len(findings)
        files += 1
    if not arguments.quiet:
        warn(f"Silenced {plural(count, 'tie')} in {plural(files, 'file')}.")
    return FAILURE if failed else CLEAN


if TYPE_CHECKING:
    from uncuda.cli.progress import Progress as _Watcher

__all__ = ["ProblemKind", "UsageError", "parser", "run"]
