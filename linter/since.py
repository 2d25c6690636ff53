"""Only what is new: findings on lines that changed since a revision."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

from uncuda.around.texts import text_of
from uncuda.git import Repository
from uncuda.results import FileResult


def changed_rows(old: str, new: str) -> set[int]:
    """The rows (from 1) of `new` that aren't in `old`. Line endings don't count."""
    before, after = old.splitlines(), new.splitlines()
    rows: set[int] = set()
    for tag, _, _, start, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag in ("replace", "insert"):
            rows.update(range(start + 1, end + 1))
    return rows


def only_since(results: Iterable[FileResult], revision: str, directory: Path) -> list[FileResult]:
    """The results with only those findings that touch a line changed since `revision`.

    The others count as suppressed. Raises GitError when there is no such revision.
    """
    repository = Repository(directory)
    commit = repository.commit(revision)
    out: list[FileResult] = []
    for result in results:
        text = result.text() if result.findings else None
        if text is None:
            out.append(result)
            continue
        content = repository.content(commit, directory / result.path)
        if content is None:
            out.append(result)
            continue
        before = text_of(os.fspath(result.path), content)
        rows = set(range(1, text.count("\n") + 2)) if before is None else changed_rows(before, text)
        kept = tuple(p for p in result.findings if not rows.isdisjoint(range(p.start.row, p.end.row + 1)))
        silenced = len(result.findings) - len(kept)
        out.append(replace(result, findings=kept, suppressed=result.suppressed + silenced))
    return out
