"""Times a trend over 200 commits beside one audit of the same project, on a repository made of a package's releases.

    python benchmarks/history.py DIRECTORY [--runs 5]

The wheels are downloaded into DIRECTORY with the pip of the environment it runs in; nothing of them is installed or
run. What a release changed is committed three files at a time, so that the changes are those of people and the commits
as large as theirs. Prints a Markdown table; the two take turns, so that a slow moment of the machine hits both.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from speed import HEAD, Row, measure, median, script, table

PACKAGE = "trl"
RELEASES = (
    "0.24.0", "0.25.0", "0.25.1", "0.26.0", "0.26.1", "0.26.2", "0.27.0", "0.27.1", "0.27.2", "0.28.0", "0.29.0",
    "1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.8.0", "1.9.0", "1.10.0", "1.11.0",
    "1.12.0", "1.13.0", "1.14.0", "1.15.0", "1.16.0",
)  # fmt: skip
COMMITS = 200
FILES_A_COMMIT = 3
DAY = 86_400
BEGIN = 1_700_000_000


def wheels(into: Path) -> Iterator[Path]:
    """The wheels of the releases, from the directory or the package index."""
    for release in RELEASES:
        found = sorted(into.glob(f"{PACKAGE}-{release}-*.whl"))
        if not found:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            subprocess.run([*pip, "--dest", into, f"{PACKAGE}=={release}"], check=True)
            found = sorted(into.glob(f"{PACKAGE}-{release}-*.whl"))
        yield found[0]


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel, its metadata aside."""
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if ".dist-info/" not in n and not n.endswith("/")]
        return {name: archive.read(name) for name in names}


class Commits:
    """A repository that is being made."""

    def __init__(self, at: Path) -> None:
        shutil.rmtree(at, ignore_errors=True)
        at.mkdir()
        self.at = at
        self.number = 0
        self._git("init", "-q", "-b", "main")

    def _git(self, *words: str) -> None:
        moment = f"{BEGIN + self.number * DAY} +0000"
        times = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        who = ["-c", "user.name=x", "-c", "user.email=x@example.invalid"]
        subprocess.run(["git", *who, *words], cwd=self.at, env={**os.environ, **times}, check=True)

    def add(self, changes: dict[str, bytes | None]) -> None:
        """Commits new contents of files; None for one that goes."""
        for name, data in changes.items():
            path = self.at / name
            if data is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        self._git("add", "-A")
        self._git("commit", "-q", "-m", f"{self.number}")
        self.number += 1


def build(at: Path, archives: Path) -> int:
    """Makes the repository; gives the number of its commits."""
    commits = Commits(at)
    chosen = random.Random(1)
    old: dict[str, bytes] = {}
    for wheel in wheels(archives):
        new = contents(wheel)
        changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        chosen.shuffle(changed)
        size = FILES_A_COMMIT if old else len(changed)
        for start in range(0, len(changed), size):
            commits.add({name: new.get(name) for name in changed[start : start + size]})
        old = new
    return commits.number


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    archives: Path = args.directory.resolve() / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    at = args.directory.resolve() / "repository"
    made = build(at, archives)
    if made <= COMMITS:
        sys.exit(f"history.py: the repository has {made} commits, which isn't enough")
    audit = [script("uncuda"), "audit", "--no-cache", "--quiet", "--output-format", "json"]
    rows = [
        Row("one audit", audit, at, args.runs),
        Row(
            f"audit and trend, {COMMITS} commits",
            [*audit, "--history", f"HEAD~{COMMITS}..HEAD"],
            at,
            args.runs,
        ),
    ]
    one, trend = times = measure(rows)
    processors = [statistics.median(t.cpu for t in row) for row in times]
    print(f"{HEAD}\n{table(rows, times)}\n")
    print(
        f"With the trend an audit takes {median(trend) / median(one):.1f} times as long by the clock, "
        f"{processors[1] / processors[0]:.1f} times by the processors."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
