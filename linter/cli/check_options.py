"""The options of `uncuda check`."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from uncuda.cli.ratchet import add_options as add_ratchet_options
from uncuda.findings import Severity, Target
from uncuda.report import FORMATS

_EXAMPLES = """\
examples:
  uncuda check src tests/test_gpu.py
  uncuda check --target ascend,rocm --severity error
  uncuda check --fix --unsafe-fixes --show-fixes
  uncuda check --output-file sarif=uncuda.sarif --output-file junit=uncuda.xml
  git show HEAD:train.py | uncuda check - --stdin-filename train.py

exit codes: 0 clean; 1 findings as grave as --fail-on (also left over after --fix);
2 wrong usage, or a file that could not be read, fixed or written (the others are still done)
"""


def codes(text: str) -> list[str]:
    """`UC101,UC2` as a list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def add_rule_options(parser: ArgumentParser) -> None:
    """Options that say what to look for; each stands for a setting."""
    rules = parser.add_argument_group("what to look for")
    for name, text in (
        ("--select", "only these rules: codes, prefixes of codes, names"),
        ("--extend-select", "these rules as well"),
        ("--ignore", "not these rules"),
    ):
        rules.add_argument(name, action="append", type=codes, metavar="RULES", help=text)
    rules.add_argument(
        "--target",
        action="append",
        type=codes,
        metavar="TARGETS",
        help=f"the hardware that counts: {', '.join(t.value for t in Target)} (default: all)",
    )
    rules.add_argument(
        "--torch-floor", metavar="VERSION", help="the oldest torch that fixed code must run on"
    )
    severities = [s.value for s in Severity]
    rules.add_argument(
        "--severity", choices=severities, help="the least grave findings to show (default: warning)"
    )
    rules.add_argument("--fail-on", choices=severities, help="the least grave findings to exit with 1 for")


def add_file_options(parser: ArgumentParser) -> argparse._ArgumentGroup:
    """Options that say which files count and where settings come from."""
    files = parser.add_argument_group("files and settings")
    files.add_argument(
        "--exclude", action="append", type=codes, metavar="PATTERNS", help="leave these paths out"
    )
    files.add_argument(
        "--respect-gitignore",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="leave out what git ignores (default: yes)",
    )
    files.add_argument(
        "--project",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="ask the project's other modules what imported names are (default: yes)",
    )
    files.add_argument(
        "--config",
        action="append",
        metavar="FILE|KEY=VALUE",
        help="a settings file to use instead of those found, or one setting; can be given more than once",
    )
    files.add_argument("--isolated", action="store_true", help="ignore all settings files")
    return files


class _Parser(ArgumentParser):
    """Reads a bare `--add-ignore` as one without a reason, never with the next word as the reason."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        given = list(sys.argv[1:] if args is None else args)
        stop = given.index("--") if "--" in given else len(given)
        given[:stop] = ["--add-ignore=" if a == "--add-ignore" else a for a in given[:stop]]
        return super().parse_known_args(given, namespace)


def check_parser() -> ArgumentParser:
    """The parser of `uncuda check`."""
    parser = _Parser(
        prog="uncuda check",
        description="Find ties of Python code to CUDA, say what they do on other hardware, and fix them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files and directories, or - for standard input (default: .)"
    )

    fixes = parser.add_argument_group("fixes")
    fixes.add_argument("--fix", action="store_true", help="apply the safe fixes")
    fixes.add_argument(
        "--unsafe-fixes",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="count fixes that want a second look as well; with --fix, apply them",
    )
    fixes.add_argument("--diff", action="store_true", help="print what --fix would change, change nothing")
    fixes.add_argument("--show-fixes", action="store_true", help="list the fixes that were made")
    fixes.add_argument(
        "--exit-non-zero-on-fix",
        action="store_true",
        help="exit with 1 when a fix was made, even if nothing is left",
    )
    fixes.add_argument(
        "--add-ignore",
        nargs="?",
        metavar="REASON",
        help="put a comment at each finding that silences it; write --add-ignore=REASON to give a reason",
    )

    add_rule_options(parser)

    add_ratchet_options(parser.add_argument_group("what is known already"))

    output = parser.add_argument_group("output")
    output.add_argument(
        "--output-format",
        action="append",
        choices=FORMATS,
        metavar="FORMAT",
        help=f"{', '.join(FORMATS)} (default: full); can be given more than once",
    )
    output.add_argument(
        "-o",
        "--output-file",
        action="append",
        metavar="FORMAT=PATH",
        help="write a report in FORMAT to PATH, beside what is printed; can be given more than once",
    )
    output.add_argument(
        "--watch", action="store_true", help="check again whenever a file changes, until Ctrl-C"
    )
    output.add_argument("--statistics", action="store_true", help="only count findings by rule")
    output.add_argument("--show-files", action="store_true", help="list the files that would be checked")
    output.add_argument(
        "-q", "--quiet", action="store_true", help="print findings only, no totals; no progress"
    )
    output.add_argument("-v", "--verbose", action="store_true", help="say more: settings, timing, tracebacks")
    output.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    output.add_argument(
        "-e", "--exit-zero", action="store_true", help="exit with 0 even when there are findings"
    )

    files = add_file_options(parser)
    files.add_argument("--stdin-filename", metavar="PATH", help="the name that standard input goes by")
    files.add_argument(
        "--force-exclude", action="store_true", help="leave out excluded files even when they are named"
    )
    files.add_argument("--no-cache", action="store_true", help="neither read nor write the cache")
    files.add_argument(
        "-j",
        "--jobs",
        type=_positive,
        metavar="N",
        help="processes to use at most (default: one a processor)",
    )
    # For comparing the two ways of parsing.
    parser.add_argument("--cst", choices=("islands", "whole"), default="islands", help=argparse.SUPPRESS)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


_positive.__name__ = "positive number"
