"""Bytes to text and back without a change, and offsets as rows and columns."""

from __future__ import annotations

import ast
import codecs
import io
import tokenize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncuda.source import Lines, SourceError, decode

BOM = codecs.BOM_UTF8
EXACT = {
    "plain": b"x = 1\n",
    "empty": b"",
    "no newline at the end": b"x = 1",
    "CRLF": b"x = 1\r\ny = 2\r\n",
    "lone CR": b"x = 1\ry = 2\r",
    "mixed breaks": b"a\nb\r\nc\rd\n\r\ne",
    "form feeds": b"a = 1\n\x0c\nb = 2\n  \x0c  c = 3\n",
    "tabs and blanks at line ends": b"if a:\t \n\tb = 1   \n",
    "BOM": BOM + b"x = 1\n",
    "BOM and cookie": BOM + b"# -*- coding: utf-8 -*-\nx = 1\n",
    "UTF-8": "é = '日本 🎉'\n".encode(),
    "line separators inside": "x = 'a\u2028b\x85c'\n".encode(),
    "latin-1": "# coding: latin-1\nx = 'é'\n".encode("latin-1"),
    "latin-1 on the second line": "#!/usr/bin/python\n# vim: set fileencoding=latin-1 :\nx = 'é'\n".encode(
        "latin-1"
    ),
    "cp1251": "# -*- coding: cp1251 -*-\nx = 'привет'\n".encode("cp1251"),
    "gbk": "# -*- coding: gbk -*-\nx = '昇腾'\n".encode("gbk"),
    "shift_jis": "# coding=shift_jis\nx = '日本'\n".encode("shift_jis"),
    "utf-8 by another name": "# coding: UTF_8\nx = 'é'\n".encode(),
    "cookie after a form feed": "\x0c# coding: latin-1\nx = 'é'\n".encode("latin-1"),
    "CRLF and cookie": "# coding: latin-1\r\nx = 'é'\r\n".encode("latin-1"),
    "CR and cookie": "# coding: latin-1\rx = 'é'\r".encode("latin-1"),
}


@pytest.mark.parametrize("data", EXACT.values(), ids=EXACT.keys())
def test_bytes_come_back(data: bytes) -> None:
    source = decode(data)
    assert source.exact
    assert source.encode(source.text) == data
    assert not source.text.startswith("\ufeff")


def test_encodings_are_read_as_python_reads_them() -> None:
    for data in EXACT.values():
        encoding, _ = tokenize.detect_encoding(
            io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")).readline
        )
        assert decode(data).text == data.decode(encoding)


REFUSED = {
    "UTF-16": ("x = 1\n".encode("utf-16"), "UTF-16"),
    "UTF-16 BE": (codecs.BOM_UTF16_BE + "x".encode("utf-16-be"), "UTF-16"),
    "UTF-32": ("x = 1\n".encode("utf-32"), "UTF-32"),
    "NUL": (b"x = 1\ny = \0\n", "line 2"),
    "not UTF-8": (b"x = 1\n\ny = '\xe9'\n", "line 3"),
    "not UTF-8 behind a BOM": (BOM + b"\xff", "byte 3"),
    "not what is declared": (b"# coding: ascii\nx = '\xe9'\n", "ascii"),
    "unknown encoding": (b"# coding: klingon\n", "klingon"),
    "no text encoding": (b"# coding: rot13\n", "rot13"),
    "BOM against cookie": (BOM + b"# coding: latin-1\n", "latin-1"),
    "half a character": (b"# coding: utf-7\nx = '+2D0-'\n", "utf-7"),
}


@pytest.mark.parametrize(("data", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_text_is_refused_with_a_reason(data: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        decode(data)


def test_a_text_that_its_encoding_cannot_write() -> None:
    source = decode("# coding: latin-1\nx = 1\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"line 2, column 6"):
        source.encode("# coding: latin-1\nx = '日'\n")


def test_a_file_whose_bytes_do_not_come_back_is_never_written() -> None:
    # ISO-2022-JP may switch to ASCII where it is in ASCII already.
    data = b"# coding: iso2022_jp\nx = '\x1b(Ba'\n"
    source = decode(data)
    assert not source.exact
    with pytest.raises(SourceError, match="two spellings"):
        source.encode(source.text)


BREAKS = st.sampled_from(["\n", "\r\n", "\r"])
CHARACTERS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
TEXTS = st.lists(st.tuples(CHARACTERS, BREAKS)).map(lambda parts: "".join(a + b for a, b in parts))


@given(TEXTS, st.booleans())
def test_any_utf8_text_comes_back(text: str, bom: bool) -> None:
    # A first or second line that declares an encoding is another matter.
    data = (BOM if bom else b"") + b"#\n#\n" + text.encode()
    assert decode(data).encode(decode(data).text) == data


@given(st.binary(max_size=60))
def test_any_bytes_come_back_or_are_refused(data: bytes) -> None:
    try:
        source = decode(data)
    except SourceError:
        return
    if source.exact:
        assert source.encode(source.text) == data


@given(TEXTS)
def test_offsets_and_places(text: str) -> None:
    lines = Lines(text)
    assert "".join(text[lines.start(row) : lines.end(row)] for row in range(1, len(lines.starts) + 1)) == text
    for offset in range(len(text) + 1):
        row, column = lines.position(offset)
        assert lines.start(row) + column - 1 == offset
        assert lines.start(row) <= offset <= lines.end(row)
        if offset <= lines.content_end(row):
            assert lines.offset(row, column) == offset
        assert lines.after(offset) == lines.end(row)
    for row in range(1, len(lines.starts) + 1):
        line = lines.line(row)
        assert "\n" not in line and "\r" not in line
        assert text[lines.start(row) : lines.content_end(row)] == line
    assert lines.line(0) == lines.line(len(lines.starts) + 1) == ""


@given(TEXTS)
def test_lines_end_where_python_ends_them(text: str) -> None:
    # splitlines() ends them at eight more characters.
    wanted = io.StringIO(text, newline=None).read().split("\n")
    lines = Lines(text)
    assert [lines.line(row) for row in range(1, len(lines.starts) + 1)] == wanted


@given(
    st.lists(st.tuples(st.sampled_from(["a", "é", "日", "🎉", "x1"]), st.integers(0, 3)), max_size=8), BREAKS
)
def test_places_that_ast_gives(parts: list[tuple[str, int]], newline: str) -> None:
    text = newline + "; ".join(f"'{word}' + {'y' * (n + 1)}" for word, n in parts) + newline
    lines = Lines(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name):
            start = lines.from_utf8(node.lineno, node.col_offset)
            assert node.end_lineno is not None and node.end_col_offset is not None
            assert text[start : lines.from_utf8(node.end_lineno, node.end_col_offset)] == node.id
