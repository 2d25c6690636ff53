"""Times `uncuda` as people run it: whole processes, medians, beside ruff where ruff has something like it.

    python benchmarks/speed.py CORPUS_DIRECTORY... [--runs 5] [--skip-cold]

Prints a Markdown table. What is compared is run in turns, so that a slow moment of the machine hits both. ruff bans
the import of `torch.cuda` (TID251), the nearest that it has to a search for ties. `benchmarks/README.md` says how to
get the corpus that the figures in there are of.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Command = Sequence[str]

WARM_UP = 1
# An installed program has its modules compiled; so has a checkout after its first run, if nothing forbids it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    command: Command
    cwd: Path
    runs: int


def script(name: str) -> str:
    """A command that is installed beside this Python, else on the path."""
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        sys.exit(f"speed.py: {name} is not installed")
    return found


@dataclass(frozen=True)
class Taken:
    """Seconds of one run: by the clock, and of all processors."""

    wall: float
    cpu: float


def once(row: Row) -> Taken:
    """Runs the command."""
    before = processor_time()
    begun = time.perf_counter()
    done = subprocess.run(
        row.command,
        cwd=row.cwd,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    taken = Taken(time.perf_counter() - begun, processor_time() - before)
    if done.returncode not in (0, 1):
        sys.exit(f"speed.py: {' '.join(row.command)} failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    return taken


def processor_time() -> float:
    """What all processes that were started from here, and theirs, have used so far."""
    times = os.times()
    return times.children_user + times.children_system


def measure(rows: Sequence[Row]) -> list[list[Taken]]:
    """The times of each row; the rows take turns."""
    times: list[list[Taken]] = [[] for _ in rows]
    for turn in range(max(row.runs for row in rows) + WARM_UP):
        for row, taken in zip(rows, times, strict=True):
            if turn < row.runs + WARM_UP:
                seconds = once(row)
                if turn >= WARM_UP:
                    taken.append(seconds)
    return times


def median(taken: Sequence[Taken]) -> float:
    """The median by the clock."""
    return statistics.median(t.wall for t in taken)


def corpus_files(paths: Sequence[Path]) -> list[Path]:
    """Every Python file of the corpus."""
    return sorted(f for p in paths for f in p.rglob("*.py") if f.is_file())


def changed_files(files: Sequence[Path], count: int = 5) -> list[Path]:
    """Files with ties, of a size such as people change: the ones in the middle by size, spread out."""
    tied = [f for f in files if b".cuda()" in f.read_bytes() or b"torch.cuda." in f.read_bytes()]
    tied.sort(key=lambda f: (f.stat().st_size, str(f)))
    middle = tied[len(tied) // 4 : -len(tied) // 4 or None]
    step = max(1, len(middle) // count)
    return middle[::step][:count]


def ruff_rules() -> list[str]:
    """ruff, told to ban `torch.cuda` and nothing else."""
    return [
        script("ruff"),
        "check",
        "--isolated",
        "--quiet",
        "--select=TID251",
        "--config",
        'lint.flake8-tidy-imports.banned-api."torch.cuda".msg = "CUDA"',
    ]


HEAD = "| what | median | fastest | processors | runs |\n|---|---:|---:|---:|---:|"


def table(rows: Sequence[Row], times: Sequence[Sequence[Taken]]) -> str:
    """The results as the rows of a Markdown table: by the clock, and the median of what processors spent."""
    return "\n".join(
        f"| {row.name} | {show(median(taken))} | {show(min(t.wall for t in taken))} "
        f"| {show(statistics.median(t.cpu for t in taken))} | {len(taken)} |"
        for row, taken in zip(rows, times, strict=True)
    )


def show(seconds: float) -> str:
    """`0.012 s`, `3.4 s`."""
    return f"{seconds:.3f} s" if seconds < 1 else f"{seconds:.2f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpus", nargs="+", type=Path)
    parser.add_argument(
        "--runs", type=int, default=5, help="runs of what takes seconds; short ones run more often"
    )
    parser.add_argument("--skip-cold", action="store_true", help="leave out what takes seconds")
    args = parser.parse_args()
    corpus = [path.resolve() for path in args.corpus]
    files = corpus_files(corpus)
    if not files:
        sys.exit("speed.py: there are no Python files in the corpus")
    with tempfile.TemporaryDirectory() as name:
        print(report(corpus, files, Path(name), args.runs, skip_cold=args.skip_cold))
    return 0


def report(corpus: Sequence[Path], files: Sequence[Path], work: Path, runs: int, *, skip_cold: bool) -> str:
    """Runs everything; gives the text to print."""
    uncuda = [script("uncuda")]
    check = [*uncuda, "check", "--isolated", "--no-respect-gitignore", "--exit-zero", "--quiet"]
    (work / "plain.py").write_text("import torch\n\n\ndef f(x):\n    return torch.relu(x) + 1\n" * 20)
    changed = work / "changed"
    changed.mkdir()
    for number, file in enumerate(changed_files(files)):
        shutil.copy(file, changed / f"{number}_{file.name}")
    five = sorted(str(f) for f in changed.iterdir())
    size = sum(Path(f).stat().st_size for f in five)
    short = max(runs * 4, 10)
    small = [
        Row("`python -c pass`", [sys.executable, "-c", "pass"], work, short),
        Row("`uncuda --version`", [*uncuda, "--version"], work, short),
        Row("a file without triggers", [*check, "--no-cache", "plain.py"], work, short),
        Row(
            f"{len(five)} changed files with ties ({size / 1000:.0f} kB)",
            [*check, "--no-cache", *five],
            work,
            short,
        ),
    ]
    small_times = measure(small)
    lines = [HEAD, table(small, small_times)]
    notes = [
        f"`--version` takes {show(median(small_times[1]) - median(small_times[0]))} more than `python -c pass`.",
        f"libcst is {'' if loads_libcst(check, work) else 'not '}loaded for a file without triggers.",
    ]
    if not skip_cold:
        whole = [str(path) for path in corpus]
        cold = [
            Row("whole corpus, cold: uncuda", [*check, "--no-cache", *whole], work, runs),
            Row("whole corpus, cold: ruff's banned-api", [*ruff_rules(), "--no-cache", *whole], work, runs),
            Row("whole corpus, warm cache: uncuda", [*check, *whole], work, runs),
            Row(
                "whole corpus, warm cache: ruff's banned-api",
                [*ruff_rules(), "--cache-dir", str(work / "ruff_cache"), *whole],
                work,
                runs,
            ),
        ]
        times = measure(cold)
        lines.append(table(cold, times))
        notes.append(f"Cold, uncuda takes {median(times[0]) / median(times[1]):.1f} times what ruff takes.")
    return "\n\n".join([heading(files), "\n".join(lines), "\n".join(f"- {note}" for note in notes)])


def loads_libcst(check: Command, work: Path) -> bool:
    """Is libcst imported to check a file without triggers?"""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *check, "--no-cache", "plain.py"],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    return "libcst" in done.stderr


def heading(files: Sequence[Path]) -> str:
    """What was measured, and on what."""
    total = sum(f.stat().st_size for f in files)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    ruff = subprocess.run([script("ruff"), "--version"], capture_output=True, text=True, check=True)
    return (
        f"{len(files)} files, {total / 1e6:.0f} MB; {cores} cores, Python {platform.python_version()}, "
        f"{ruff.stdout.strip()}"
    )


if __name__ == "__main__":
    sys.exit(main())
