"""A checked file's text, to the byte: decoding, encoding back, and offsets turned into rows and columns."""

from __future__ import annotations

import ast
import codecs
import re
import warnings
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

BOM = codecs.BOM_UTF8
_BREAK = re.compile(r"\r\n|\r|\n")
_BREAK_BYTES = re.compile(rb"\r\n|\r|\n")
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_NO_CODE = re.compile(rb"[ \t\f]*(?:#|$)")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_WIDE = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class SourceError(ValueError):
    """A file's bytes can't be read as text, or a text can't be written as bytes. The message says where, and
    what to do about it; it doesn't name the file."""


@dataclass(frozen=True)
class Source:
    """A decoded file. `text` has the line breaks of the file, and no byte order mark.

    `exact` is False for the rare file whose bytes don't come back from its text (encodings that spell a
    character in two ways): it can be checked, and is never written.
    """

    text: str
    encoding: str = "utf-8"
    bom: bool = False
    exact: bool = True

    def encode(self, text: str) -> bytes:
        """`text` as the bytes of this file: same encoding, same mark, no line break translated.

        Raises SourceError when the encoding has no way to write it.
        """
        if not self.exact:
            raise SourceError(
                f"some characters have two spellings in its encoding, {self.encoding}, so writing it would "
                "change lines that nobody touched; convert it to UTF-8 first"
            )
        try:
            data = text.encode(self.encoding)
        except UnicodeEncodeError as error:
            row, column = Lines(text).position(error.start)
            raise SourceError(
                f"the new text has {text[error.start]!a} (line {row}, column {column}), which its encoding, "
                f"{self.encoding}, cannot write; convert the file to UTF-8"
            ) from None
        return BOM + data if self.bom else data


def decode(data: bytes) -> Source:
    """A Python file's bytes as text, by the encoding that the file declares (PEP 263), else UTF-8.

    Raises SourceError for bytes that aren't text in that encoding, an unknown encoding, and NUL bytes.
    """
    for mark, wide in _WIDE:
        if data.startswith(mark):
            raise SourceError(f"is {wide} text, which Python does not read as source; save it as UTF-8")
    nul = data.find(b"\0")
    if nul >= 0:
        raise SourceError(
            f"has a NUL byte at offset {nul} (line {_row(data, nul)}): it is not Python source, or it is "
            "damaged; exclude it or restore it"
        )
    bom = data.startswith(BOM)
    body = data[len(BOM) :] if bom else data
    declared = _declared(body)
    if declared is None:
        encoding = "utf-8"
    else:
        encoding = _codec(*declared)
        if bom and encoding != "utf-8":
            raise SourceError(
                f"starts with a UTF-8 byte order mark but declares {declared[0]} on line {declared[1]}; "
                "remove one of the two"
            )
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceError(_undecodable(error, body, encoding, len(BOM) if bom else 0)) from None
    except UnicodeError as error:
        raise SourceError(f"is not valid {encoding}: {error}; save it as UTF-8") from None
    if encoding == "utf-8":
        return Source(text, encoding, bom)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise SourceError(f"holds half a character when read as {encoding}; save it as UTF-8") from None
    if "\0" in text:
        raise SourceError(f"has a NUL character when read as {encoding}; save it as UTF-8")
    return Source(text, encoding, bom, _comes_back(text, encoding, body))


def _comes_back(text: str, encoding: str, data: bytes) -> bool:
    try:
        return text.encode(encoding) == data
    except UnicodeError:
        return False


def _undecodable(error: UnicodeDecodeError, body: bytes, encoding: str, shift: int) -> str:
    row = _row(body, error.start)
    where = f"is not valid {encoding} at byte {error.start + shift} (line {row}): 0x{body[error.start]:02x}"
    if encoding == "utf-8":
        return (
            f"{where}; save it as UTF-8, or declare its encoding on the first line "
            "(# -*- coding: latin-1 -*-, say)"
        )
    return f"{where}; correct the encoding that it declares, or save it as UTF-8"


def _row(data: bytes, offset: int) -> int:
    return sum(1 for _ in _BREAK_BYTES.finditer(data, 0, offset)) + 1


def _declared(body: bytes) -> tuple[str, int] | None:
    """The declared encoding and its line: a comment on the first line, or on the second after one without
    code."""
    at = 0
    for row in (1, 2):
        found = _BREAK_BYTES.search(body, at)
        line = body[at : found.start() if found else len(body)]
        match = _COOKIE.match(line)
        if match:
            return match.group(1).decode("ascii", "replace"), row
        if found is None or not _NO_CODE.match(line):
            return None
        at = found.end()
    return None


def _codec(name: str, row: int) -> str:
    """The usual name of an encoding, by Python's own rules for a declared one."""
    plain = name[:12].lower().replace("_", "-")
    if plain == "utf-8" or plain.startswith("utf-8-"):
        return "utf-8"
    try:
        # Codecs such as rot13 aren't encodings: asking for text is what tells, unless there is nothing to decode.
        b"x".decode(name)
    except UnicodeError:
        pass
    except LookupError:
        raise SourceError(
            f"declares an encoding on line {row} that is not known: {name}; correct it, or save the file as "
            "UTF-8"
        ) from None
    return codecs.lookup(name).name


class Lines:
    """Rows and columns of a text, both from 1, columns in characters.

    Lines end at `\\n`, `\\r\\n` and `\\r`, as for Python itself, and nowhere else (no form feed, no U+2028).
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts: list[int] | None = None
        self._ascii = text.isascii()
        self._wide: dict[int, tuple[list[int], list[int]]] = {}

    @property
    def starts(self) -> list[int]:
        """The offset at which each line starts. A text that ends with a line break has an empty last line."""
        if self._starts is None:
            if "\r" in self.text:
                self._starts = [0, *(m.end() for m in _BREAK.finditer(self.text))]
            else:
                sizes = map(len, self.text.split("\n"))
                self._starts = list(accumulate(map((1).__add__, sizes), initial=0))
                self._starts.pop()
        return self._starts

    def position(self, offset: int) -> tuple[int, int]:
        """Row and column of an offset (that of the text's end included)."""
        starts = self.starts
        row = bisect_right(starts, offset)
        return row, offset - starts[row - 1] + 1

    def offset(self, row: int, column: int) -> int:
        """The offset of a row and column, kept within the text and within that row."""
        row = min(max(row, 1), len(self.starts))
        return min(self.start(row) + max(column, 1) - 1, self.content_end(row))

    def line(self, row: int) -> str:
        """The text of a row, without its line break; empty when there is no such row."""
        if not 1 <= row <= len(self.starts):
            return ""
        return self.text[self.start(row) : self.content_end(row)]

    def start(self, row: int) -> int:
        """Where a row starts."""
        return self.starts[row - 1]

    def end(self, row: int) -> int:
        """Where a row ends, its line break included."""
        return self.starts[row] if row < len(self.starts) else len(self.text)

    def content_end(self, row: int) -> int:
        """Where a row ends, before its line break."""
        end = self.end(row)
        if row < len(self.starts):
            end -= 2 if self.text.startswith("\r\n", end - 2) else 1
        return end

    def after(self, offset: int) -> int:
        """The start of the line after the one that `offset` is in (the text's end when there is none)."""
        return self.end(self.position(offset)[0])

    def from_utf8(self, lineno: int, col: int) -> int:
        """The offset of a place as `ast` gives it: a 1-based row, and UTF-8 bytes into it."""
        start = self.starts[lineno - 1]
        if self._ascii:
            return start + col
        table = self._wide.get(lineno)
        if table is None:
            table = self._wide[lineno] = self._wide_characters(start, self.end(lineno))
        ends, surplus = table
        return start + col - surplus[bisect_right(ends, col)]

    def _wide_characters(self, start: int, end: int) -> tuple[list[int], list[int]]:
        """Where in the line's UTF-8 each non-ASCII character ends, and by how many bytes the UTF-8 is longer
        than the text before the first, after the first, after the second …"""
        ends: list[int] = []
        surplus = [0]
        for match in _NOT_ASCII.finditer(self.text, start, end):
            point = ord(match.group())
            more = 1 if point < 0x800 else 2 if point < 0x10000 else 3
            surplus.append(surplus[-1] + more)
            ends.append(match.end() - start + surplus[-1])
        return ends, surplus


@lru_cache(maxsize=2)
def lines_of(text: str) -> Lines:
    """The rows of a text. Much asks for those of the text at hand, one after the other."""
    return Lines(text)


_INDENT = re.compile(r"[ \t]*")
_MARKER = re.compile(r"#\s*(?:%%|In\[|fmt:|isort:|region\b|endregion\b|pylint:|type:)|#!")


def above_comments(text: str, at: int) -> int:
    """The start of the comment that belongs to the line starting at `at`: lines right above it, as far indented.

    A comment that is code, a marker for a tool, or the head of the file doesn't belong to the line.
    """
    indent = _INDENT.match(text, at)
    assert indent is not None
    top = at
    for line in reversed(text[:at].splitlines(keepends=True)):
        comment = line[len(indent[0]) :] if line.startswith(indent[0]) else ""
        if not comment.startswith("#") or _MARKER.match(comment) or _is_code(comment.lstrip("#").strip()):
            return top
        top -= len(line)
    return at


def _is_code(comment: str) -> bool:
    if not re.search(r"[=(\[]", comment):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(comment)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
