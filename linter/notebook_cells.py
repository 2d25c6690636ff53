"""Cells of a notebook as one Python text: magics masked, and every place kept."""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

# Cell magics after which the rest of the cell is Python still.
_PYTHON_MAGICS = frozenset({"capture", "prun", "python", "python3", "time", "timeit"})
_CELL = re.compile(r"[ \t]*%%(\w+)")
_REST = r"(?:[^\n\\]|\\(?:\r?\n)?)*"  # a backslash at its end continues a magic
_LINE = re.compile(rf"^([ \t]*)(?:[%!]|\?){_REST}", re.M)
_ASSIGNED = re.compile(rf"^([ \t]*[\w, \t.\[\]'\"]+=[ \t]*)[%!](?!=){_REST}", re.M)
_MAYBE = re.compile(r"[%!?]")
_MARK = re.compile(r"(?<=[ \t])#[ \t]*(?:uncuda:|noqa)")
_MORE = re.compile(r"(\n)##")
_HELP = re.compile(r"^([ \t]*)[\w.]+\?{1,2}[ \t]*$", re.M)


def mask(source: str) -> str:
    """A cell's text with what only IPython reads replaced by comments, in as many characters and lines. A cell that
    is Python as it stands has no magics: `%` may continue an expression."""
    if not _MAYBE.search(source) or is_python(source):
        return source
    found = _CELL.match(source)
    if found is not None and found[1] not in _PYTHON_MAGICS:
        return re.sub(r"[^\r\n]", "#", source)
    for pattern in (_LINE, _ASSIGNED, _HELP):
        source = pattern.sub(_masked, source)
    return source


def is_python(source: str) -> bool:
    """Can a text be parsed as it stands?"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _masked(found: re.Match[str]) -> str:
    """A value of the magic's length: a statement may stand there alone, or something be assigned from it. A comment
    that silences a rule stays."""
    kept = found[1]
    whole = found[0].rstrip("\r")
    mark = _MARK.search(whole, len(kept) + 1)
    magic = whole[len(kept) : mark.start() if mark is not None else len(whole)]
    # Lines that continue it are told apart from comments, which belong to the statement below them.
    masked = "0" + _MORE.sub(r"\1#!", re.sub(r"[^\r\n]", "#", magic[1:]))
    return f"{kept}{masked}{whole[len(kept) + len(magic) :]}{found[0][len(whole) :]}"


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
