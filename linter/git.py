"""Reads revisions straight from git's objects; the work tree isn't touched, and no hook, filter or helper runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

# Settings by which a repository could make git start a program, or wait for a person.
_QUIET = (
    "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat",
    "-c", "protocol.allow=never", "-c", "log.showSignature=false",
)  # fmt: skip
TIMEOUT = 60
_REGULAR = b"100"
"""The modes of regular files begin like this; links and submodules have others."""


class GitError(Exception):
    """git can't answer; the message says why."""


class Repository:
    """The repository that a directory lies in."""

    def __init__(self, directory: Path) -> None:
        """Raises GitError when there is none, or no git."""
        self.directory = directory
        self.top = Path(self.run("rev-parse", "--show-toplevel"))

    def run(self, *words: str) -> str:
        """What git prints, without the last line break. Raises GitError."""
        return self._bytes(words).decode("utf-8", "surrogateescape").rstrip("\n")

    def _bytes(self, words: Iterable[str], given: bytes | None = None) -> bytes:
        environment = {
            **os.environ,
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "LC_ALL": "C",
        }
        try:
            done = subprocess.run(
                ["git", *_QUIET, *words],
                cwd=self.directory,
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                capture_output=True,
                timeout=TIMEOUT,
                env=environment,
                check=False,
            )
        except FileNotFoundError:
            raise GitError("git isn't installed") from None
        except subprocess.TimeoutExpired:
            raise GitError(f"git {next(iter(words), '')} didn't answer within {TIMEOUT} s") from None
        if done.returncode != 0:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise GitError(
                lines[-1].removeprefix("fatal: ") if lines else f"git exits with {done.returncode}"
            )
        return done.stdout

    def commit(self, revision: str) -> str:
        """The full name of the commit that `revision` means. Raises GitError."""
        if revision.startswith("-"):
            raise GitError(f"{revision!r} is no revision")
        try:
            return self.run("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        except GitError as error:
            raise GitError(f"there is no revision {revision!r} ({error})") from None

    def commits(self, span: str) -> list[tuple[str, int]]:
        """The first-parent commits of `A..B` (or those up to `B`), oldest first, with their times in seconds."""
        if span.startswith("-"):
            raise GitError(f"{span!r} is no range of revisions")
        first, dots, last = span.partition("..")
        words = ["--first-parent", "--reverse", "--format=%H %ct"]
        if dots:
            start, end = self.commit(first or "HEAD"), self.commit(last or "HEAD")
            # The range leaves its start out; a trend begins there.
            listed = [start, *self.run("rev-list", "--first-parent", "--reverse", f"{start}..{end}").split()]
            given = "\n".join(listed).encode()
            shown = self._bytes(["log", "--no-walk=unsorted", "--stdin", "--format=%H %ct"], given)
            lines = shown.decode().split("\n")
        else:
            lines = self.run("log", *words, self.commit(first)).split("\n")
        return [(name, int(time)) for name, _, time in (line.partition(" ") for line in lines if line)]

    def files(self, commit: str) -> dict[str, str]:
        """The blob of every regular file of a commit, by its path from the top of the repository."""
        listed = self._bytes(["ls-tree", "-r", "-z", "--full-tree", commit])
        found: dict[str, str] = {}
        for entry in listed.split(b"\0"):
            head, tab, path = entry.partition(b"\t")
            if tab and head.startswith(_REGULAR):
                found[_text(path)] = head.split()[2].decode()
        return found

    def changes(self, commits: Sequence[str]) -> Iterator[dict[str, str | None]]:
        """What each commit has that the one before it in the list hasn't: blobs by path, None for what is no regular
        file any more. Of the first commit: all that it has."""
        if not commits:
            return
        yield {**self.files(commits[0])}
        # What comes behind a commit is taken for its parents, whatever those are.
        pairs = "".join(f"{new} {old}\n" for old, new in pairwise(commits))
        told = self._bytes(["diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames"], pairs.encode())
        found: dict[str, dict[str, str | None]] = {commit: {} for commit in commits[1:]}
        changed: dict[str, str | None] = {}
        parts = iter(told.split(b"\0"))
        for part in parts:
            if part.startswith(b":"):
                _, mode, _, blob, _ = part.split()
                changed[_text(next(parts))] = blob.decode() if mode.startswith(_REGULAR) else None
            elif part:
                changed = found[part.strip().decode()]
        yield from found.values()

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """The bytes that the contents of objects have. Raises GitError, also where one is missing."""
        wanted = dict.fromkeys(names)
        try:
            answer = self._bytes(["cat-file", "--batch-check"], "".join(f"{n}\n" for n in wanted).encode())
        except GitError as error:
            if "promisor" not in str(error):
                raise
            answer = b""  # git would have to fetch them
        heads = (line.split() for line in answer.decode().splitlines())
        sizes = {head[0]: int(head[2]) for head in heads if len(head) == 3}
        if len(sizes) < len(wanted):
            raise GitError("this clone lacks contents of past commits: fetch them, or clone without --filter")
        return sizes

    def blobs(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The content of objects; what is missing is left out."""
        wanted = list(names)
        answer = self._bytes(["cat-file", "--batch"], "".join(f"{n}\n" for n in wanted).encode())
        at = 0
        for name in wanted:
            end = answer.index(b"\n", at)
            head = answer[at:end].split()
            at = end + 1
            if len(head) == 3 and head[1] == b"blob":
                size = int(head[2])
                yield name, answer[at : at + size]
                at += size + 1
            elif len(head) == 3:
                at += int(head[2]) + 1

    def content(self, commit: str, path: Path) -> bytes | None:
        """A file's content at a commit; None when it wasn't there."""
        try:
            inside = path.resolve().relative_to(self.top.resolve()).as_posix()
        except ValueError:
            return None
        try:
            return self._bytes(["cat-file", "blob", f"{commit}:{inside}"])
        except GitError:
            return None


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
