"""`--since`, `--baseline` and `--max-findings`: how a large code base starts with what it has."""

from __future__ import annotations

from argparse import Namespace, _ArgumentGroup
from pathlib import Path

from uncuda.cli.output import warn
from uncuda.report.ansi import visible
from uncuda.results import FileResult


class RatchetError(Exception):
    """The options can't be followed; the message says why."""


def add_options(group: _ArgumentGroup) -> None:
    """The options, for a parser's group."""
    group.add_argument("--since", metavar="REV", help="only findings on lines changed since this revision")
    group.add_argument(
        "--baseline", metavar="FILE", type=Path, help="leave out the findings that this file knows"
    )
    group.add_argument(
        "--update-baseline", action="store_true", help="write the findings there are to the baseline"
    )
    group.add_argument(
        "--allow-growth", action="store_true", help="with --update-baseline: also findings that are new"
    )
    group.add_argument(
        "--max-findings",
        type=_count,
        metavar="N",
        help="exit with 1 only when there are more findings than this",
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


_count.__name__ = "number"


def refuse_contradictions(arguments: Namespace) -> None:
    """Raises RatchetError for options that don't go together."""
    if (arguments.update_baseline or arguments.allow_growth) and arguments.baseline is None:
        raise RatchetError("--update-baseline and --allow-growth go with --baseline FILE")
    if arguments.allow_growth and not arguments.update_baseline:
        raise RatchetError("--allow-growth goes with --update-baseline")
    if arguments.since is not None and (arguments.fix or arguments.diff):
        raise RatchetError(
            "--since says what to report; fixes are made in whole files, so it can't go with --fix or --diff"
        )
    if arguments.update_baseline and arguments.since is not None:
        raise RatchetError("--update-baseline needs every finding; it can't go with --since")
    if (arguments.since is not None or arguments.baseline is not None) and arguments.paths == ["-"]:
        raise RatchetError("--since and --baseline need files; they can't be used with -")


def narrow(arguments: Namespace, results: list[FileResult], root: Path) -> list[FileResult]:
    """The results without what isn't new; writes the baseline when asked to. Raises RatchetError."""
    if arguments.since is not None:
        from uncuda.git import GitError
        from uncuda.since import only_since

        try:
            results = only_since(results, arguments.since, root)
        except GitError as error:
            raise RatchetError(f"--since: {error}") from None
    if arguments.baseline is not None:
        results = _against_baseline(arguments, results, root)
    return results


def _against_baseline(arguments: Namespace, results: list[FileResult], root: Path) -> list[FileResult]:
    from uncuda.baseline import BaselineError, compare, dump, load
    from uncuda.writing import write_atomically

    path: Path = root / arguments.baseline
    try:
        fresh = arguments.update_baseline and not path.exists()
        compared = compare(results, [] if fresh else load(path))
    except BaselineError as error:
        raise RatchetError(str(error)) from None
    if not arguments.update_baseline:
        if compared.gone and not arguments.quiet:
            warn(
                f"{compared.known + len(compared.gone)} ties are in the baseline; {len(compared.gone)} of them are gone. "
                "Run with --update-baseline to hold on to that."
            )
        return compared.results
    broken = next((r for r in results if r.problem is not None), None)
    if broken is not None and broken.problem is not None:
        raise RatchetError(
            f"the baseline was not written, because not every file could be checked; {visible(broken.display)}: "
            f"{visible(broken.problem.message)}"
        )
    if compared.new and not fresh and not arguments.allow_growth:
        first = compared.new[0]
        raise RatchetError(
            f"the baseline would grow by {len(compared.new)} (first {visible(first.path)}, {first.code}): a baseline "
            "only shrinks; fix them, or add --allow-growth"
        )
    try:
        write_atomically(path, dump(compared.now).encode())
    except OSError as error:
        raise RatchetError(f"the baseline {path} can't be written: {error.strerror or error}") from None
    if not arguments.quiet:
        warn(f"Wrote {len(compared.now)} ties to {visible(str(arguments.baseline))}.")
    return compare(results, compared.now).results
