"""Text for a terminal: colours, glyphs, cell widths, and nothing raw from the code under check."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

TAB_CELLS = 4

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31;1",
    "green": "32",
    "yellow": "33;1",
    "blue": "34;1",
    "cyan": "36",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How text output looks: with colours or not, beyond ASCII or not, how wide a line of code may be, and
    whether it goes to a terminal."""

    color: bool = False
    unicode: bool = True
    width: int = 120
    terminal: bool = False

    def paint(self, text: str, *names: str) -> str:
        """`text` in the named colours (`bold`, `dim`, `red`, …), or as it is without colours."""
        if not self.color or not text:
            return text
        return f"\x1b[{';'.join(_CODES[n] for n in names)}m{text}\x1b[0m"

    @property
    def dot(self) -> str:
        """What separates things in a line."""
        return "·" if self.unicode else "|"

    @property
    def ellipsis(self) -> str:
        """What stands for text left out."""
        return "…" if self.unicode else "..."

    @property
    def at_least(self) -> str:
        """The sign before a lowest version."""
        return "≥" if self.unicode else ">="


def style_for(stream: TextIO, color: str, environ: Mapping[str, str] | None = None) -> Style:
    """The style that fits a stream.

    `color` is `auto`, `always` or `never`. With `auto`, NO_COLOR (not empty) wins over FORCE_COLOR (not empty
    and not 0), which wins over whether the stream is a terminal that isn't `dumb`.
    """
    env = os.environ if environ is None else environ
    tty = stream.isatty()
    if color == "auto":
        if env.get("NO_COLOR"):
            wanted = False
        elif env.get("FORCE_COLOR", "0") not in ("", "0"):
            wanted = True
        else:
            wanted = tty and env.get("TERM") != "dumb"
    else:
        wanted = color == "always"
    width = 120
    if tty:
        import shutil

        width = max(40, shutil.get_terminal_size((120, 24)).columns)
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").replace("_", "")
    return Style(color=wanted, unicode=encoding.startswith("utf"), width=width, terminal=tty)


def visible_char(char: str) -> str:
    """A character as a terminal may see it: tabs as blanks, control and format characters spelt out."""
    if " " <= char <= "~":
        return char
    if char == "\t":
        return " " * TAB_CELLS
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    # Controls, bidirectional overrides and other invisibles, lone surrogates, line and paragraph separators.
    # The joiner that emoji need stays: alone it does nothing.
    if code != 0x200D and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"<U+{code:04X}>"
    return char


def visible(text: str) -> str:
    """`text` safe to print on one line."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(visible_char, text))


def cells(text: str) -> int:
    """How many terminal cells `text` (already visible) takes."""
    if text.isascii():
        return len(text)
    total = 0
    for char in text:
        if char == "\u200d" or unicodedata.category(char) in ("Mn", "Me"):
            continue
        total += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return total


def marked_line(line: str, first: int, last: int, style: Style, room: int) -> tuple[str, int, int]:
    """A line of code cut to `room` cells around the characters `first:last`.

    Returns the printable text, the cell where the mark starts, and how many cells it covers (at least 1).
    A mark that doesn't fit is shown from its start.
    """
    first = min(max(first, 0), len(line))
    last = min(max(last, first), len(line))
    # Only what can be seen is converted: a line may be megabytes long.
    left = max(0, first - 2 * room)
    right = min(len(line), max(first + 1, min(last, first + room)) + 2 * room)
    shown = [visible_char(c) for c in line[left:right]]
    sizes = [cells(c) for c in shown]
    at, end = first - left, min(last, right) - left
    cut_left, cut_right = left > 0, right < len(line)
    if sum(sizes) <= room and not cut_left and not cut_right:
        before = sum(sizes[:at])
        return "".join(shown), before, max(1, sum(sizes[at:end]))
    dots = cells(style.ellipsis)
    budget = max(8, room - 2 * dots)
    mark = sum(sizes[at:end])
    # The mark first, then context: two thirds of what is left goes before it.
    lead = max(0, budget - min(mark, budget)) * 2 // 3
    begin = at
    used = 0
    while begin > 0 and used + sizes[begin - 1] <= lead:
        begin -= 1
        used += sizes[begin]
    stop = at
    total = used
    while stop < len(sizes) and total + sizes[stop] <= budget:
        total += sizes[stop]
        stop += 1
    while begin > 0 and total + sizes[begin - 1] <= budget:
        begin -= 1
        total += sizes[begin]
        used += sizes[begin]
    head = style.ellipsis if cut_left or begin > 0 else ""
    tail = style.ellipsis if cut_right or stop < len(sizes) else ""
    before = cells(head) + used
    covered = sum(sizes[at : min(end, stop)])
    return head + "".join(shown[begin:stop]) + tail, before, max(1, covered)
