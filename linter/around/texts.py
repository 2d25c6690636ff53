"""The bytes of a file around the code as text, and back."""

from __future__ import annotations

import codecs

from uncuda.around.kinds import Kind, kind_of
from uncuda.source import BOM, Source, SourceError, decode

_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode_any(data: bytes) -> Source:
    """A text that declares no encoding: UTF-8, what its byte order mark says (lists that PowerShell wrote), else
    Latin-1. Never raises; what isn't exact is never written."""
    for mark, name in _WIDE:
        if data.startswith(mark):
            text = data[len(mark) :].decode(name, "replace")
            return Source(text, name, exact=False)
    bom = data.startswith(BOM)
    body = data[len(BOM) :] if bom else data
    try:
        return Source(body.decode("utf-8"), "utf-8", bom)
    except UnicodeDecodeError:
        return Source(body.decode("latin-1"), "latin-1", bom)


def source_of(path: str, data: bytes) -> Source:
    """The bytes of the file at `path` as text. Raises SourceError."""
    kind = kind_of(path)
    return decode(data) if kind is None or kind is Kind.PYTHON else decode_any(data)


def text_of(path: str, data: bytes) -> str | None:
    """The text that the offsets of findings in the file at `path` refer to; of a notebook, that of its cells. None
    where the bytes can't be read."""
    kind = kind_of(path)
    if kind is Kind.NOTEBOOK:
        from uncuda.notebooks import NotebookError, read_notebook

        try:
            notebook = read_notebook(decode_any(data).text)
        except NotebookError:
            return None
        return None if notebook is None else notebook.plain
    try:
        return source_of(path, data).text
    except SourceError:
        return None
