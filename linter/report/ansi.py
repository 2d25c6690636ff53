"""Text for a terminal: colours, glyphs, cell widths, and nothing raw from the code under check."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

TAB_CELLS = 4

# Only colours that can be read on a black and on a white ground: bright yellow and plain blue can't.
_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "blue": "94",
    "alarm": "31;1",
    "loss": "35;1",
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
        """`text` in the named colours (`bold`, `dim`, `red`, …), or as it is without colours.

        `alarm` is for what breaks, `loss` for what is lost without a word.
        """
        if not self.color or not text:
            return text
        return f"\x1b[{';'.join(_CODES[n] for n in names)}m{text}\x1b[0m"

    @property
    def ellipsis(self) -> str:
        """What stands for text left out."""
        return "…" if self.unicode else "..."

    @property
    def at_least(self) -> str:
        """The sign before a lowest version."""
        return "≥" if self.unicode else ">="

    def visible(self, char: str) -> str:
        """A character as this output can show it: one that its encoding may lack is spelt out, too."""
        shown = visible_char(char)
        return shown if self.unicode or shown.isascii() else ascii(shown)[1:-1]


def style_for(stream: TextIO, color: str, environ: Mapping[str, str] | None = None) -> Style:
    """The style that fits a stream.

    `color` is `auto`, `always` or `never`. With `auto`, NO_COLOR (not empty) wins over FORCE_COLOR (not empty
    and not 0), which wins over whether the stream is a terminal that isn't `dumb`. COLUMNS is the width, for a file too.
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
    if wanted and os.name == "nt":
        os.system("")  # Windows' console reads colour codes once a program has asked for a shell
    width = 120
    columns = env.get("COLUMNS", "")
    if columns.isdecimal():
        width = max(40, int(columns))
    elif tty:
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
    return text if _is_plain(text) else "".join(map(visible_char, text))


def _is_plain(text: str) -> bool:
    """Is each character shown as it is, in one cell?"""
    return text.isascii() and text.isprintable()


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


@dataclass(frozen=True, slots=True)
class Cut:
    """A line of code cut to a width: its printable text, and the cells that the mark starts at and covers."""

    text: str
    before: int
    covered: int


def cut_line(text: str, begin: int, end: int, first: int, last: int, style: Style, room: int) -> Cut:
    """The line `begin:end` of `text`, cut to `room` cells around its characters `first:last`.

    A mark that doesn't fit is shown from its start. Of what is left two thirds go before the mark, and a fifth
    of the room in any case.
    """
    first = min(max(first, begin), end)
    last = min(max(last, first), end)
    if end - begin <= room and _is_plain(text[begin:end]):
        return Cut(text[begin:end], first - begin, max(1, last - first))
    # Only what can be seen is converted: a line may be megabytes long.
    left = max(begin, first - 2 * room)
    right = min(end, max(first + 1, min(last, first + room)) + 2 * room)
    shown = [style.visible(c) for c in text[left:right]]
    sizes = [cells(c) for c in shown]
    at, stop_at = first - left, min(last, right) - left
    cut_left, cut_right = left > begin, right < end
    if not cut_left and not cut_right and sum(sizes) <= room:
        return Cut("".join(shown), sum(sizes[:at]), max(1, sum(sizes[at:stop_at])))
    dots = cells(style.ellipsis)
    budget = max(8, room - 2 * dots)
    mark = sum(sizes[at:stop_at])
    wanted = max((budget - min(mark, budget)) * 2 // 3, budget // 5)
    start = at
    used = 0
    while start > 0 and used + sizes[start - 1] <= wanted:
        start -= 1
        used += sizes[start]
    stop = at
    total = used
    while stop < len(sizes) and total + sizes[stop] <= budget:
        total += sizes[stop]
        stop += 1
    while start > 0 and total + sizes[start - 1] <= budget:
        start -= 1
        total += sizes[start]
        used += sizes[start]
    head = style.ellipsis if cut_left or start > 0 else ""
    tail = style.ellipsis if cut_right or stop < len(sizes) else ""
    covered = sum(sizes[at : min(stop_at, stop)])
    return Cut(head + "".join(shown[start:stop]) + tail, cells(head) + used, max(1, covered))


def wrapped(line: str, style: Style, room: int, limit: int) -> list[str] | None:
    """A line of code in pieces of at most `room` cells, the later ones indented; None when it takes more than
    `limit` pieces."""
    if len(line) > room * limit:
        return None
    if len(line) <= room and _is_plain(line):
        return [line]
    indent = len(line) - len(line.lstrip(" "))
    hang = " " * (indent + 2 if indent + 2 <= room // 2 else 2)
    pieces: list[str] = []
    piece, used = "", 0
    for char in line:
        shown = style.visible(char)
        size = cells(shown)
        if used + size > room and used > len(hang):
            head, blank, rest = piece.rpartition(" ")
            if not blank or cells(head) < room // 2:
                head, rest = piece, ""
            pieces.append(head)
            piece = hang + rest
            used = cells(piece)
        piece += shown
        used += size
    pieces.append(piece)
    return pieces if len(pieces) <= limit else None
