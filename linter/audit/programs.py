"""Which programs of a project a rehearsal can run, and the commands that do. Nothing is run: the text is read."""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from uncuda.audit.model import Tie
from uncuda.findings import Target
from uncuda.loading import body, files_of, loaded, roots
from uncuda.rehearse.devices import SIMULATED
from uncuda.runner import Job

SHOWN = 6
"""Programs whose command is shown; the others are counted."""
_MANY = 40
"""Programs whose imports are followed at most."""
_OURS = frozenset({"packages", "deployment", "process"})
"""Kinds of ties that aren't calls of torch."""
_TESTS = re.compile(
    r"(?:\A|/)(?:tests?/|testing/|test_[^/]*\.py\Z|[^/]*_test\.py\Z|conftest\.py\Z|setup\.py\Z)"
)
_TEST_FILE = re.compile(r"(?:\A|[/\\])(?:test_[^/\\]*|[^/\\]*_test)\.py\Z")
_LAUNCHED = ("LOCAL_RANK", "torchrun")


@dataclass(frozen=True)
class Program:
    """A file that is run, and how: as a script, or as a module of a package. `launched`: is it started by torchrun,
    a process for each device?"""

    path: str
    module: str | None
    launched: bool
    arguments: tuple[str, ...] = ()

    def seen_from_outside(self, root: Path) -> Program:
        """The same program of a project at `root`, started in a directory that isn't in it."""
        if self is TESTS:
            return replace(self, arguments=(str(root),))
        return replace(self, path=str(root / self.path), module=None)

    def command(self, target: Target) -> str:
        """What rehearses it. Arguments are the reader's to add."""
        words = ["-m", self.module] if self.module is not None else [self.path]
        options: list[str] = []
        if self.launched:
            options = [
                "--devices",
                "2",
                "-m",
                "torch.distributed.run",
                "--standalone",
                "--nproc_per_node",
                "2",
            ]
        return shlex.join(["uncuda", "rehearse", "--target", target.value, *options, *words, *self.arguments])


def target_of(targets: Sequence[Target]) -> Target | None:
    """The target to rehearse for: the first that can be simulated. What is free of CUDA shows on any of them."""
    if Target.CPU in targets and len(targets) == 1:
        return Target.CPU
    if list(targets) == [Target.ROCM]:
        return None
    return next((t for t in targets if t in SIMULATED), SIMULATED[0])


TESTS = Program("the project's tests", "pytest", False)


def programs(jobs: Sequence[Job], ties: Sequence[Tie], entry: str | None = None) -> tuple[Program, ...]:
    """The programs that torch ties to CUDA, in their own file or in one that they import; most ties first, after the
    project's tests.

    A program is a file that asks whether it is `__main__`, or is called so. With an `entry` it is that alone.
    """
    own: dict[str, int] = defaultdict(int)
    for tie in ties:
        if tie.kind not in _OURS:
            own[tie.path] += 1
    found: list[tuple[int, Program]] = []
    files = [job for job in jobs if job.path.suffix == ".py"]
    wanted = None if entry is None else Path(entry).resolve()
    candidates = []
    for job in files:
        name = job.display.replace("\\", "/")
        if wanted is not None and job.path.resolve() != wanted:
            continue
        if wanted is None and _TESTS.search(name):
            continue
        data = _read(job.path)
        if wanted is not None or _is_program(job.path, data):
            candidates.append((name, job, data))
    tied = {os.fspath(job.path.resolve()) for job in files if own.get(job.display.replace("\\", "/"))}
    loads = _Loads(files) if len(candidates) <= _MANY else None
    for name, job, data in candidates:
        count = own.get(name, 0)
        if count or (loads is not None and loads.any_of(job.path, tied)):
            found.append((count, Program(name, _module(job.path, name), _is_launched(data))))
    most_first = [program for _, program in sorted(found, key=lambda item: (-item[0], item[1].path))]
    tested = wanted is None and any(_TEST_FILE.search(job.display) for job in files)
    return (TESTS, *most_first) if tested else tuple(most_first)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _is_program(path: Path, data: bytes) -> bool:
    if path.name == "__main__.py":
        return True
    return b"__main__" in data and any(map(_asks, body(data)))


def _asks(node: ast.stmt) -> bool:
    """Is it `if __name__ == "__main__":`?"""
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare)):
        return False
    sides = [node.test.left, *node.test.comparators]
    named = any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)
    return named and any(isinstance(side, ast.Constant) and side.value == "__main__" for side in sides)


class _Loads:
    """Which files the files of a project load as they are loaded themselves, each read once."""

    def __init__(self, files: Sequence[Job]) -> None:
        self._known = {os.fspath(job.path.resolve()) for job in files}
        self._roots = roots(self._known)
        self._found: dict[str, list[str]] = {}

    def any_of(self, path: Path, wanted: set[str]) -> bool:
        """Does the file load one of these, directly or not?"""
        waiting, seen = [os.fspath(path.resolve())], set[str]()
        while waiting:
            here = waiting.pop()
            if here in wanted:
                return True
            if here not in seen:
                seen.add(here)
                waiting += self._by(here)
        return False

    def _by(self, path: str) -> list[str]:
        if path not in self._found:
            named = {(level, name) for _, level, name in loaded(_read(Path(path)))}
            files = {f for level, name in named for f in files_of(level, name, path, self._roots)}
            self._found[path] = sorted(files & self._known)
        return self._found[path]


def _module(path: Path, name: str) -> str | None:
    """The dotted name of a file in a package that lies in the current directory; None where a script will do."""
    if not (path.parent / "__init__.py").is_file():
        return None
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or len(pure.parts) < 2:
        return None
    folders = pure.parts[:-1]
    top = path.parents[len(folders)]
    whole = all((path.parents[i] / "__init__.py").is_file() for i in range(len(folders)))
    if not whole or (top / "__init__.py").is_file() or not all(part.isidentifier() for part in folders):
        return None
    return ".".join(folders if pure.stem == "__main__" else (*folders, pure.stem))


def _is_launched(data: bytes) -> bool:
    return any(word.encode() in data for word in _LAUNCHED)
