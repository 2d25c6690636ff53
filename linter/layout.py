"""Where a text's comments and logical lines are, and where a comment may stand: found without a parser."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from uncuda.source import lines_of

# The standard library's tokenizer differs from one Python to the next (before 3.12 it reads no f-string that
# holds its own quote), stops at what it doesn't like, and is slow.
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\r\n]*)
    |(?P<quote>\"{3}|'{3}|["'])
    |(?P<open>[(\[{])
    |(?P<close>[)\]}])
    |(?P<joined>\\(?:\r\n|\r|\n))
    |(?P<newline>\r\n|\r|\n)""",
    re.VERBOSE,
)
_END = {
    '"': re.compile(r'[^"\\\r\n]*(?:\\(?:\r\n|[\s\S])[^"\\\r\n]*)*"'),
    "'": re.compile(r"[^'\\\r\n]*(?:\\(?:\r\n|[\s\S])[^'\\\r\n]*)*'"),
    '"""': re.compile(r'[^"\\]*(?:(?:\\[\s\S]|"(?!""))[^"\\]*)*"""'),
    "'''": re.compile(r"[^'\\]*(?:(?:\\[\s\S]|'(?!''))[^'\\]*)*'''"),
}
# In the literal part of an f-string: escapes, doubled braces, the start of an expression, the end.
_LITERAL = {
    quote: re.compile(rf"\\N\{{[^}}\"'\r\n]*\}}|\\[^{{}}]|\{{\{{|\}}\}}|(?P<open>\{{)|(?P<end>{quote}){line}")
    for quote, line in (('"', r"|(?P<line>[\r\n])"), ("'", r"|(?P<line>[\r\n])"), ('"""', ""), ("'''", ""))
}
_EXPRESSION = re.compile(
    r"""(?P<quote>\"{3}|'{3}|["'])
    |(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<colon>:)|\#[^\r\n]*""",
    re.VERBOSE,
)
_SPEC = re.compile(r"[{}]")
_FORMATTED = frozenset({"f", "t", "fr", "rf", "tr", "rt"})
_WORD = re.compile(r"\w*\Z")
_BLANK = re.compile(r"[ \t\f]*")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, `start` at its `#`. `alone`: nothing stands before it in its row. `inside`: within brackets."""

    start: int
    end: int
    row: int
    alone: bool
    inside: bool


class Layout:
    """The comments and logical lines of a text. Never raises, whatever the text is."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = lines_of(text)
        self.comments: list[Comment] = []
        self._logical: list[tuple[int, int]] = []
        self._shut: set[int] = set()
        self._read()
        self._firsts = [first for first, _ in self._logical]

    def row(self, offset: int) -> int:
        """The row of an offset."""
        return self.lines.position(offset)[0]

    def logical_line(self, row: int) -> tuple[int, int]:
        """First and last row of the logical line that `row` is in; `row` itself when it is in none."""
        at = bisect_right(self._firsts, row) - 1
        if at >= 0 and row <= self._logical[at][1]:
            return self._logical[at]
        return row, row

    def next_logical_line(self, row: int) -> tuple[int, int] | None:
        """The first logical line that starts after `row`."""
        at = bisect_left(self._firsts, row + 1)
        return self._logical[at] if at < len(self._logical) else None

    def open_row(self, row: int) -> int:
        """The first row, from `row` on, at whose end a comment may stand: not in a string, no backslash."""
        while row in self._shut:
            row += 1
        return row

    def is_blank(self, row: int) -> bool:
        """Is there nothing in the row?"""
        return not self.lines.line(row).strip(" \t\f")

    # -- reading -------------------------------------------------------------------------------------------

    def _read(self) -> None:
        # Offsets only grow here: rows are looked for by bisection, without the calls that `row` takes.
        text, starts, search = self.text, self.lines.starts, _TOKEN.search
        begun = at = depth = 0
        comment: int | None = None
        while (found := search(text, at)) is not None:
            at = found.end()
            kind = found.lastgroup
            if kind == "newline":
                if depth == 0:
                    end = found.start() if comment is None else comment
                    # A line without anything on it, the most frequent one of all kinds, is none.
                    if end > begun:
                        self._line(begun, end)
                    begun, comment = at, None
            elif kind == "open":
                depth += 1
            elif kind == "close":
                depth = max(0, depth - 1)
            elif kind == "quote":
                begin = found.start()
                at = _string_end(text, begin, found.group())
                first = bisect_right(starts, begin)
                if first < len(starts) and at > starts[first]:
                    self._shut.update(range(first, bisect_right(starts, at)))
            elif kind == "comment":
                self._comment(found.start(), at, depth > 0)
                if depth == 0:
                    comment = found.start()
            else:
                self._shut.add(bisect_right(starts, found.start()))
        self._line(begun, len(text) if comment is None else comment)

    def _line(self, start: int, end: int) -> None:
        blank = _BLANK.match(self.text, start, end)
        start = blank.end() if blank is not None else start
        if start < end:
            starts = self.lines.starts
            first = bisect_right(starts, start)
            last = first if first == len(starts) or end < starts[first] else bisect_right(starts, end)
            self._logical.append((first, last))

    def _comment(self, start: int, end: int, inside: bool) -> None:
        row = self.row(start)
        alone = not self.text[self.lines.start(row) : start].strip(" \t\f")
        self.comments.append(Comment(start, end, row, alone, inside))


def _string_end(text: str, start: int, quote: str) -> int:
    """Past the end of the string whose opening quote is at `start`; the end of its row when it isn't closed."""
    at = start + len(quote)
    word = _WORD.search(text, max(0, start - 3), start)
    if word is not None and word.group().lower() in _FORMATTED:
        return _formatted_end(text, at, quote)
    found = _END[quote].match(text, at)
    return found.end() if found is not None else _unclosed(text, at, quote)


def _unclosed(text: str, at: int, quote: str) -> int:
    if len(quote) == 3:
        return len(text)
    line = re.compile(r"[\r\n]").search(text, at)
    return line.start() if line is not None else len(text)


def _formatted_end(text: str, at: int, quote: str) -> int:
    """The same for an f-string, whose expressions may hold strings with the same quotes (Python 3.12)."""
    pattern = _LITERAL[quote]
    while (found := pattern.search(text, at)) is not None:
        if found.lastgroup == "end":
            return found.end()
        if found.lastgroup == "line":
            return found.start()
        at = found.end() if found.lastgroup is None else _expression_end(text, found.end())
    return len(text)


def _expression_end(text: str, at: int) -> int:
    """Past the brace that closes an expression (with its format) whose text begins at `at`."""
    depth = 0
    while (found := _EXPRESSION.search(text, at)) is not None:
        at = found.end()
        kind = found.lastgroup
        if kind == "quote":
            at = _string_end(text, found.start(), found.group())
        elif kind == "open":
            depth += 1
        elif kind == "close":
            if depth == 0:
                return at
            depth -= 1
        elif kind == "colon" and depth == 0:
            return _format_end(text, at)
    return len(text)


def _format_end(text: str, at: int) -> int:
    while (found := _SPEC.search(text, at)) is not None:
        if found.group() == "}":
            return found.end()
        at = _expression_end(text, found.end())
    return len(text)
