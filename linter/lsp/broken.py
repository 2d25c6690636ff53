"""Where a half-typed text is broken: the statements at the margin that can't be read, so that the others can be."""

from __future__ import annotations

import ast
import re
import warnings

import libcst as cst

from uncuda.parsing import parse_piece

# A line that begins a statement at the margin, as far as one line tells.
_TOP = re.compile(r"(?![ \t\r\n\f#)\]}]|(?:elif|else|except|finally)\b)")
_IMPORT = re.compile(r"^[ \t]*(?:import|from)\b", re.M)
_NOT_BREAK = re.compile(r"[^\r\n]")

Span = tuple[int, int]


def around(text: str, start: int, end: int) -> Span:
    """The statements at the margin that a range of the text touches, decorators included."""
    first = _line(text, start)
    while first and not _TOP.match(text, first):
        first = _line(text, first - 1)
    while first and text.startswith("@", above := _line(text, first - 1)):
        first = above
    decorated = text.startswith("@", first)
    last = _after(text, max(end, first))
    while last < len(text) and (decorated or not _TOP.match(text, last)):
        decorated = text.startswith("@", last) or (decorated and not _TOP.match(text, last))
        last = _after(text, last)
    return first, last


def can_be_read(piece: str) -> bool:
    """Is it Python, of this version or a newer one?"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(piece)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        try:
            parse_piece(piece)
        except (cst.ParserSyntaxError, RecursionError):
            return False
    return True


def imports(text: str, spans: list[Span]) -> bool:
    """May names be imported there? Without them nothing could be told of the rest."""
    return any(_IMPORT.search(text, a, b) for a, b in spans)


def without(text: str, spans: list[Span]) -> str:
    """The text with nothing but white space in these places."""
    for start, end in spans:
        text = text[:start] + _NOT_BREAK.sub(" ", text[start:end]) + text[end:]
    return text


def _line(text: str, at: int) -> int:
    """Where the line begins that `at` is in."""
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _after(text: str, at: int) -> int:
    """Where the next line begins; the text's length after the last."""
    found = _BREAK.search(text, at)
    return found.end() if found is not None else len(text)


_BREAK = re.compile(r"\r\n|\r|\n")
