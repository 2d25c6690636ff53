"""Cells of a notebook as one Python text: magics masked, and every place kept."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

# Cell magics after which the rest of the cell is Python still.
_PYTHON_MAGICS = frozenset({"capture", "prun", "python", "python3", "time", "timeit"})
_CELL = re.compile(r"[ \t]*%%(\w+)")
_LINE = re.compile(r"^([ \t]*)(?:[%!]|\?)[^\n]*", re.M)
_ASSIGNED = re.compile(r"^([ \t]*[\w, \t.\[\]'\"]+=[ \t]*)[%!](?!=)[^\n]*", re.M)
_HELP = re.compile(r"^([ \t]*)[\w.]+\?{1,2}[ \t]*$", re.M)


def mask(source: str) -> str:
    """A cell's text with what only IPython reads replaced by comments, in as many characters and lines."""
    found = _CELL.match(source)
    if found is not None and found[1] not in _PYTHON_MAGICS:
        return re.sub(r"[^\r\n]", "#", source)
    for pattern in (_LINE, _ASSIGNED, _HELP):
        source = pattern.sub(_masked, source)
    return source


def _masked(found: re.Match[str]) -> str:
    """A value of the magic's length: a statement may stand there alone, or something be assigned from it."""
    kept = found[1]
    whole = found[0].rstrip("\r")
    return f"{kept}0{'#' * (len(whole) - len(kept) - 1)}{found[0][len(whole) :]}"


@dataclass(frozen=True)
class Joined:
    """Cells one after the other. `starts` are the offsets at which they begin in `text`."""

    text: str
    starts: tuple[int, ...]
    sources: tuple[str, ...]

    def cell(self, offset: int) -> tuple[int, int]:
        """The number of the cell that an offset lies in, and the offset within it."""
        number = max(0, bisect_right(self.starts, offset) - 1)
        return number, offset - self.starts[number]


def join(sources: Sequence[str]) -> Joined:
    """One text out of the cells' sources; each ends with a line break there."""
    parts: list[str] = []
    starts: list[int] = []
    at = 0
    for source in sources:
        starts.append(at)
        text = mask(source)
        if not text.endswith("\n"):
            text += "\n"
        parts.append(text)
        at += len(text)
    return Joined("".join(parts), tuple(starts), tuple(sources))
