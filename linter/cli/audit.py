"""`uncuda audit`: what a move to other hardware takes, in one report."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from uncuda.cli.check_options import add_file_options, codes
from uncuda.cli.output import warn, write
from uncuda.findings import Target
from uncuda.report.ansi import Style, style_for, visible

CLEAN, FINDINGS, FAILURE = 0, 1, 2
FORMATS = ("terminal", "html", "markdown", "json", "sarif")
VERDICTS = {"ready": 0, "fixes": 1, "work": 2, "blocked": 3}

_EXAMPLES = """\
examples:
  uncuda audit
  uncuda audit src --target ascend,cpu
  uncuda audit --entry train.py
  uncuda audit --output-file html=audit.html --output-file json=audit.json
  uncuda audit --output-format markdown >> "$GITHUB_STEP_SUMMARY"
  uncuda audit --compare old.json
  uncuda audit --history v1.0..HEAD --every 30d

exit codes: 0 whatever is found; 1 with --fail-on, when a target's verdict is that bad or worse; 2 failure
"""


def parser() -> ArgumentParser:
    """The parser of `uncuda audit`."""
    made = ArgumentParser(
        prog="uncuda audit",
        description="Say what it takes to run a project on other hardware: verdicts, inventory, effort and a plan.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("paths", nargs="*", metavar="PATH", help="files and directories (default: .)")
    made.add_argument(
        "--target",
        action="append",
        type=codes,
        metavar="TARGETS",
        help=f"the hardware to move to: {', '.join(t.value for t in Target)} (default: all)",
    )
    made.add_argument("--torch-floor", metavar="VERSION", help="the oldest torch that fixed code must run on")
    made.add_argument("--entry", metavar="FILE", help="only what this program reaches by its imports")
    made.add_argument(
        "--fail-on",
        dest="verdict",
        choices=tuple(VERDICTS)[1:],
        help="exit with 1 when a target needs fixes, needs work, or is blocked",
    )
    made.add_argument(
        "--compare",
        metavar="JSON",
        type=Path,
        help="say what changed since this JSON report of an earlier audit",
    )
    made.add_argument(
        "--history",
        metavar="REV..REV",
        help="show how the ties came and went over these commits, read from git without touching the work tree",
    )
    made.add_argument(
        "--every",
        metavar="30d",
        type=_span,
        help="with --history: one commit in so many days (30d) or weeks (4w)",
    )
    output = made.add_argument_group("output")
    output.add_argument(
        "--output-format",
        action="append",
        choices=FORMATS,
        metavar="FORMAT",
        help=f"{', '.join(FORMATS)} (default: terminal); can be given more than once",
    )
    output.add_argument(
        "-o",
        "--output-file",
        action="append",
        metavar="FORMAT=PATH",
        help="write a report in FORMAT to PATH, beside what is printed; can be given more than once",
    )
    output.add_argument("-q", "--quiet", action="store_true", help="no progress")
    output.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    files = add_file_options(made)
    for name in ("--select", "--extend-select", "--ignore"):
        files.add_argument(
            name, action="append", type=codes, metavar="RULES", help=f"as in uncuda check {name}"
        )
    files.add_argument("--no-cache", action="store_true", help="neither read nor write the cache")
    files.add_argument("-j", "--jobs", type=int, metavar="N", help="processes to use at most")
    made.set_defaults(
        cst="islands",
        prose=True,
        force_exclude=False,
        severity="info",
        unsafe_fixes=None,
        stdin_filename=None,
    )
    return made


def _span(text: str) -> float:
    number = float(text[:-1]) if text[-1:] in ("d", "w") else -1.0
    if number <= 0:
        raise ValueError
    return number * (7 if text.endswith("w") else 1)


_span.__name__ = "span such as 30d or 4w"


def run(arguments: Namespace) -> int:
    """Audits, reports, and gives the exit code."""
    from uncuda.audit.collect import AuditError, collect
    from uncuda.git import GitError
    from uncuda.settings import SettingsError

    try:
        outputs = _outputs(arguments)
        if arguments.every is not None and arguments.history is None:
            raise AuditError("--every goes with --history REV..REV")
        audit = collect(arguments)
        changes = _changes(arguments, audit)
    except (AuditError, GitError, SettingsError) as error:
        warn(f"uncuda: error: {error}")
        return FAILURE
    for where, message in audit.problems:
        warn(f"uncuda: {visible(where)}: {visible(message)}")
    failed = False
    for name, path in outputs:
        if path is None:
            text = _render(name, audit, style_for(sys.stdout, arguments.color))
            write(text + changes if name in ("terminal", "markdown") else text)
        else:
            from uncuda.cli.check import write_report

            failed |= not write_report(path, _render(name, audit, Style(width=120)))
    if failed or audit.problems:
        return FAILURE
    if arguments.verdict is not None:
        from uncuda.audit.model import Verdict

        order = (Verdict.READY, Verdict.AFTER_FIXES, Verdict.WORK, Verdict.BLOCKED)
        if any(order.index(s.verdict) >= VERDICTS[arguments.verdict] for s in audit.standings):
            return FINDINGS
    return CLEAN


def _outputs(arguments: Namespace) -> list[tuple[str, Path | None]]:
    from uncuda.audit.collect import AuditError

    files: list[tuple[str, Path | None]] = []
    for item in arguments.output_file or ():
        name, equals, path = item.partition("=")
        if not equals or name not in FORMATS or not path:
            raise AuditError(
                f"--output-file takes FORMAT=PATH, with FORMAT one of {', '.join(FORMATS)}; got {visible(item)!r}"
            )
        files.append((name, Path(path)))
    printed: list[tuple[str, Path | None]] = [(n, None) for n in dict.fromkeys(arguments.output_format or ())]
    return [*(printed or ([] if files else [("terminal", None)])), *files]


def _render(name: str, audit: object, style: Style) -> str:
    from uncuda.audit import as_json, as_markdown, as_text
    from uncuda.audit.model import Audit

    assert isinstance(audit, Audit)
    if name == "terminal":
        return as_text.render(audit, style)
    if name == "html":
        from uncuda.audit import as_html

        return as_html.render(audit)
    if name == "sarif":
        from uncuda.audit import as_sarif

        return as_sarif.render(audit)
    makers: dict[str, Callable[[Audit], str]] = {"json": as_json.render, "markdown": as_markdown.render}
    return makers[name](audit)


def _changes(arguments: Namespace, audit: object) -> str:
    if arguments.compare is None:
        return ""
    from uncuda.audit.compare import compare
    from uncuda.audit.model import Audit

    assert isinstance(audit, Audit)
    return compare(arguments.compare, audit)
