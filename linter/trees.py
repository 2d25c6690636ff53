"""Trees of pieces of text, kept from one check of a file to the next: most pieces haven't changed since."""

from __future__ import annotations

import libcst as cst

from uncuda.parsing import parse_piece


class Trees:
    """The trees of the pieces that the last check asked for. For one file, and one thread at a time."""

    def __init__(self) -> None:
        self._last: dict[str, cst.Module] = {}
        self._now: dict[str, cst.Module] = {}

    def begin(self) -> None:
        """A check begins: what the one before the last asked for is forgotten. One that didn't get as far as to ask
        for anything doesn't count."""
        if self._now:
            self._last, self._now = self._now, {}

    def piece(self, text: str) -> cst.Module:
        """The tree of a piece. Raises cst.ParserSyntaxError."""
        tree = self._now.get(text) or self._last.get(text)
        if tree is None:
            tree = parse_piece(text)
        self._now[text] = tree
        return tree
