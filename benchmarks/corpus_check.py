"""Checks and fixes every file of a corpus, and holds the results against what must always be true.

    python benchmarks/corpus_check.py DIRECTORY... [--whole] [--names] [--sample N] [--jobs N]

For each `.py` file: no crash; fixes leave it parsing; a second run changes nothing; nothing outside the edits moves.
With `--whole`, islands and whole-file parsing give the same findings and the same fixed text. With `--names`
(needs pyflakes), a fixed file has no undefined or unused name that it hadn't before. Prints counts by code, and a
random sample of findings and fixed lines to read by eye. Exit 1 when anything was broken.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import multiprocessing
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from uncuda.engine import Options, check_text, fix_text
from uncuda.findings import Applicability
from uncuda.source import SourceError, decode


@dataclass
class Report:
    """What one file gave: plain data, to cross a process border."""

    path: str
    codes: Counter[str] = field(default_factory=Counter)
    fixable: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    diffs: list[str] = field(default_factory=list)
    applied: int = 0
    left: int = 0
    unparsable: bool = False


def parses(text: str) -> bool:
    """Does `ast` read it?"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def name_problems(text: str) -> Counter[str]:
    """What pyflakes says of the names in a text, without places."""
    from pyflakes import messages
    from pyflakes.checker import Checker

    wanted = (
        messages.UndefinedName,
        messages.UndefinedLocal,
        messages.UndefinedExport,
        messages.UnusedImport,
        messages.UnusedVariable,
        messages.RedefinedWhileUnused,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = Checker(ast.parse(text)).messages
    return Counter(f"{type(m).__name__} {m.message_args[0]}" for m in told if isinstance(m, wanted))


def look(job: tuple[Path, bool, bool, Options]) -> Report:
    """All checks on one file."""
    path, whole, names, options = job
    report = Report(str(path))
    try:
        text = decode(path.read_bytes()).text
    except (OSError, SourceError):
        report.unparsable = True
        return report
    try:
        _look(report, text, whole, names, options)
    except Exception:
        report.problems.append(traceback.format_exc(limit=-4))
    return report


def _look(report: Report, text: str, whole: bool, names: bool, options: Options) -> None:
    path = report.path
    checked = check_text(text, options)
    if checked.error is not None:
        report.unparsable = True
        return
    for finding in checked.findings:
        report.codes[finding.code] += 1
        trust = finding.fix.applicability.value if finding.fix else "-"
        report.fixable[f"{finding.code} {trust}"] += 1
        row = text.count("\n", 0, finding.start) + 1
        line = text.splitlines()[row - 1].strip() if text else ""
        report.findings.append(
            f"{path}:{row}: {finding.code} [{trust}] {finding.message}\n      {line[:160]}"
        )
    reference = replace(options, whole_file=True)
    if whole:
        slow = check_text(text, reference)
        if slow != checked:
            gone = [f for f in slow.findings if f not in checked.findings][:2]
            new = [f for f in checked.findings if f not in slow.findings][:2]
            report.problems.append(
                f"islands differ from the whole file: only whole {gone}, only islands {new}"
            )
    report.left = len(checked.findings)
    last = text
    for unsafe in (False, True):
        wanted = {Applicability.SAFE, Applicability.UNSAFE} if unsafe else {Applicability.SAFE}
        if not any(f.fix is not None and f.fix.applicability in wanted for f in checked.findings):
            continue
        fixed = fix_text(text, options, unsafe=unsafe)
        if fixed.error:
            report.problems.append(f"fix (unsafe={unsafe}): {fixed.error}")
            continue
        if fixed.text == last:
            continue
        last = fixed.text
        if parses(text) and not parses(fixed.text):
            report.problems.append(f"fix (unsafe={unsafe}): does not parse any more")
            continue
        again = fix_text(fixed.text, options, unsafe=unsafe)
        if again.text != fixed.text:
            report.problems.append(
                f"fix (unsafe={unsafe}): a second run changes it:\n{_delta(fixed.text, again.text)}"
            )
        if whole and fix_text(text, reference, unsafe=unsafe).text != fixed.text:
            report.problems.append(f"fix (unsafe={unsafe}): islands and whole file give different text")
        if names and parses(text):
            new_names = name_problems(fixed.text) - name_problems(text)
            if new_names:
                report.problems.append(
                    f"fix (unsafe={unsafe}): names: {', '.join(new_names)}\n{_delta(text, fixed.text)}"
                )
        report.applied = len(fixed.applied)
        report.left = len(fixed.remaining)
    if last != text:
        hunks = list(difflib.unified_diff(text.splitlines(), last.splitlines(), path, "", lineterm="", n=1))
        chunk: list[str] = []
        for line in hunks[2:]:
            if line.startswith("@@") and chunk:
                report.diffs.append(f"{path}\n" + "\n".join(chunk))
                chunk = []
            chunk.append(line)
        report.diffs.append(f"{path}\n" + "\n".join(chunk))


def _delta(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    return "\n".join(lines)[:1500]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--whole", action="store_true", help="compare with whole-file parsing (slow)")
    parser.add_argument("--names", action="store_true", help="compare undefined and unused names (pyflakes)")
    parser.add_argument("--sample", type=int, default=0, help="print this many findings and fixed hunks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--code", help="sample only findings of this code")
    parser.add_argument("--floor", default="2.6")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    major, minor = args.floor.split(".")
    options = Options(torch_floor=(int(major), int(minor)))
    files = sorted(f for p in args.paths for f in (p.rglob("*.py") if p.is_dir() else [p]) if f.is_file())
    start = time.monotonic()
    total = Report("")
    broken = unparsable = with_findings = 0
    with multiprocessing.Pool(args.jobs) as pool:
        for report in pool.imap_unordered(
            look, [(f, args.whole, args.names, options) for f in files], chunksize=8
        ):
            total.codes += report.codes
            total.fixable += report.fixable
            total.findings += report.findings
            total.diffs += report.diffs
            total.applied += report.applied
            total.left += report.left
            unparsable += report.unparsable
            with_findings += bool(report.codes)
            for problem in report.problems:
                broken += 1
                print(f"BROKEN {report.path}: {problem}")
    if args.sample:
        rng = random.Random(args.seed)
        wanted = sorted(f for f in total.findings if not args.code or f" {args.code} " in f)
        for item in rng.sample(wanted, min(args.sample, len(wanted))):
            print(item)
        diffs = sorted(total.diffs)
        for item in rng.sample(diffs, min(args.sample, len(diffs))):
            print("-" * 80 + "\n" + item)
    print(
        f"{len(files)} files in {time.monotonic() - start:.1f} s; {with_findings} with findings; {unparsable} unreadable"
    )
    print(f"{sum(total.codes.values())} findings; {total.applied} fixed, {total.left} left")
    for key, count in sorted(total.fixable.items()):
        print(f"  {key:18} {count}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
