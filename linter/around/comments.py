"""Where the comments of a file around the code are, and where one may stand."""

from __future__ import annotations

import re

from uncuda.around.kinds import Kind, kind_of
from uncuda.layout import Comment, Layout

_HASH = re.compile(r"""(?:^|(?<=[\s;]))\#[^\r\n]*""")
_SLASHES = re.compile(r"//[^\r\n]*")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\\r\n])*\"|'(?:\\.|[^'\\\r\n])*'")


class FileLayout(Layout):
    """The comments and the logical lines of a text that isn't Python. A backslash at its end continues a line."""

    def __init__(self, text: str, kind: Kind) -> None:
        self.kind = kind
        super().__init__(text)

    def _read(self) -> None:
        pattern = _SLASHES if self.kind in (Kind.NATIVE, Kind.JSON) else _HASH
        lines = self.lines
        first: int | None = None
        for row in range(1, len(lines.starts) + 1):
            start, end = lines.start(row), lines.content_end(row)
            line = self.text[start:end]
            comment = self._comment_in(line, pattern)
            if comment is not None:
                alone = not line[:comment].strip()
                self.comments.append(Comment(start + comment, end, row, alone, False))
            body = line if comment is None else line[:comment]
            continued = body.rstrip().endswith("\\")
            if continued:
                self._shut.add(row)
            if not body.strip():
                continue
            first = row if first is None else first
            if not continued:
                self._logical.append((first, row))
                first = None
        if first is not None:
            self._logical.append((first, len(lines.starts)))

    def _comment_in(self, line: str, pattern: re.Pattern[str]) -> int | None:
        if "#" not in line and "//" not in line:
            return None
        masked = _QUOTED.sub(lambda m: "x" * len(m[0]), line)
        found = pattern.search(masked)
        return None if found is None else found.start()


BETWEEN = frozenset({Kind.DOCKERFILE})
"""Kinds in which a comment needs a line of its own."""
WITHOUT = frozenset({Kind.JSON, Kind.LOCK, Kind.TEXT})
"""Kinds that have no comments, or whose comments nobody keeps."""


def layout_of(path: str, text: str) -> Layout:
    """The layout of the text of the file at `path`."""
    kind = kind_of(path)
    if kind is None or kind in (Kind.PYTHON, Kind.NOTEBOOK):
        return Layout(text)
    return FileLayout(text, kind)
