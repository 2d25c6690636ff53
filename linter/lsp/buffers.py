"""The texts of open documents, kept to the character as the client edits them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lsprotocol import types
from pygls.workspace import PositionCodec

Change = tuple[int, int, str]
"""What stood between two offsets was replaced by a text."""

_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(eq=False)
class Buffer:
    """One document. Lines end where editors end them, not where `str.splitlines` does."""

    uri: str
    version: int | None
    text: str
    changes: list[Change] | None = field(default_factory=list, repr=False)
    """Since they were taken last, one upon the other; None when the whole text was replaced."""
    _starts: list[int] | None = field(default=None, repr=False)

    def take_changes(self) -> list[Change] | None:
        """The changes so far, which count as known from now on."""
        taken, self.changes = self.changes, []
        return taken

    def offset(self, position: types.Position, codec: PositionCodec) -> int:
        """The character offset of a position; what lies outside of the text counts as its nearest end."""
        starts = self._line_starts()
        if position.line >= len(starts):
            return len(self.text)
        start = starts[max(0, position.line)]
        end = starts[position.line + 1] if position.line + 1 < len(starts) else len(self.text)
        line = self.text[start:end].rstrip("\r\n")
        if line.isascii():
            return start + min(position.character, len(line))
        units = 0
        for count, char in enumerate(line):
            if units >= position.character:
                return start + count
            units += codec.client_num_units(char)
        return start + len(line)

    def apply(self, change: types.TextDocumentContentChangeEvent, codec: PositionCodec) -> None:
        """Makes one change of the client's."""
        if isinstance(change, types.TextDocumentContentChangePartial):
            start = self.offset(change.range.start, codec)
            end = max(start, self.offset(change.range.end, codec))
            self.text = self.text[:start] + change.text + self.text[end:]
            if self.changes is not None:
                self.changes.append((start, end, change.text))
        else:
            self.text = change.text
            self.changes = None
        self._starts = None

    def _line_starts(self) -> list[int]:
        if self._starts is None:
            self._starts = [0, *(found.end() for found in _BREAK.finditer(self.text))]
        return self._starts
