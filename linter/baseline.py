"""A file of ties that are known: a ratchet that lets a large code base start today and only get better."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uncuda.fingerprints import fingerprints
from uncuda.results import UNPARSABLE, FileResult

FORMAT = "uncuda-baseline/1"


class BaselineError(Exception):
    """The baseline can't be used; the message says why and what to do."""


@dataclass(frozen=True, order=True)
class Entry:
    """One known tie. The fingerprint doesn't depend on rows; the path is where it was last seen."""

    path: str
    code: str
    fingerprint: str


def entries(results: Iterable[FileResult]) -> list[list[Entry]]:
    """The entries of each result's findings, in their order."""
    out: list[list[Entry]] = []
    for result in results:
        found = [p.finding for p in result.findings]
        prints = fingerprints(result.text() or "", found) if found else []
        path = result.display.replace("\\", "/")
        out.append([Entry(path, f.code, p) for f, p in zip(found, prints, strict=True)])
    return out


def load(path: Path) -> list[Entry]:
    """Reads a baseline. Raises BaselineError."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BaselineError(
            f"there is no baseline {path}; write one with `uncuda check --baseline {path} --update-baseline`"
        ) from None
    except OSError as error:
        raise BaselineError(f"the baseline {path} can't be read: {error.strerror or error}") from None
    except ValueError as error:
        raise BaselineError(f"the baseline {path} is not JSON: {error}") from None
    if (
        not isinstance(content, dict)
        or content.get("format") != FORMAT
        or not isinstance(content.get("ties"), list)
    ):
        raise BaselineError(f"{path} is not a baseline of this tool ({FORMAT})")
    out: list[Entry] = []
    for number, item in enumerate(content["ties"], 1):
        if not (isinstance(item, list) and len(item) == 3 and all(isinstance(word, str) for word in item)):
            raise BaselineError(f"{path}: tie {number} is not [path, code, fingerprint]")
        out.append(Entry(*item))
    return out


def dump(known: Iterable[Entry]) -> str:
    """The baseline's text: a line for each tie, sorted, so that changes of it read well and merge easily."""
    rows = ",\n".join(f"  {json.dumps([e.path, e.code, e.fingerprint])}" for e in sorted(known))
    return (
        f'{{\n "format": {json.dumps(FORMAT)},\n "ties": [\n{rows}\n ]\n}}\n'
        if rows
        else (f'{{\n "format": {json.dumps(FORMAT)},\n "ties": []\n}}\n')
    )


@dataclass(frozen=True)
class Compared:
    """Findings held against a baseline: `results` have only those that are new."""

    results: list[FileResult]
    known: int
    new: list[Entry]
    gone: list[Entry]
    now: list[Entry]


def compare(results: Sequence[FileResult], baseline: Sequence[Entry]) -> Compared:
    """Which findings a baseline knows, by fingerprint: in the same file first, then in any file (a renamed
    one). A file that can't be parsed is never known."""
    made = entries(results)
    exact = Counter(baseline)
    known: set[tuple[int, int]] = set()
    for i, row in enumerate(made):
        for j, entry in enumerate(row):
            if entry.code != UNPARSABLE and exact[entry] > 0:
                exact[entry] -= 1
                known.add((i, j))
    moved = Counter((e.code, e.fingerprint) for e in exact.elements())
    for i, row in enumerate(made):
        for j, entry in enumerate(row):
            key = (entry.code, entry.fingerprint)
            if (i, j) not in known and entry.code != UNPARSABLE and moved[key] > 0:
                moved[key] -= 1
                known.add((i, j))
    gone: list[Entry] = []
    for entry in exact.elements():
        key = (entry.code, entry.fingerprint)
        if moved[key] > 0:
            moved[key] -= 1
            gone.append(entry)
    kept: list[FileResult] = []
    for i, result in enumerate(results):
        mine = [j for j in range(len(result.findings)) if (i, j) in known]
        new = tuple(p for j, p in enumerate(result.findings) if (i, j) not in known)
        kept.append(replace(result, findings=new, suppressed=result.suppressed + len(mine)))
    now = [e for row in made for e in row if e.code != UNPARSABLE]
    return Compared(
        results=kept,
        known=len(known),
        new=[e for i, row in enumerate(made) for j, e in enumerate(row) if (i, j) not in known],
        gone=gone,
        now=now,
    )
