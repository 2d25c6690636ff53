"""From text to syntax trees. What would take too long, or take the process down, is refused."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import libcst as cst

from uncuda.source import Lines

LONGEST_LINE = 100_000
"""Characters in a line with something to check: libcst takes 40 µs for one where the code is dense."""
LONGEST_STATEMENT = 1_000_000
LONGEST_FILE = 4_000_000
"""Of what `ast` can't read, and libcst has to."""
DEEPEST = 200
"""Brackets within brackets, as for Python itself. libcst has no limit: thousands of them end the process."""

LONGEST_CONDITION = 2000
"""Values that one `and` or `or` joins."""

TOO_DEEP = "nested too deeply"


@dataclass(frozen=True)
class ParseError:
    """Why a text isn't Python, or isn't checked: 1-based row and column."""

    message: str
    row: int
    column: int


class Unreadable(Exception):
    """There is no tree to be had. `final`: not from libcst either, which knows newer syntax than this Python."""

    def __init__(self, error: ParseError, *, final: bool = True) -> None:
        super().__init__(error.message)
        self.error = error
        self.final = final


def parse_ast(text: str) -> ast.Module:
    """The tree of this Python's own parser. Raises Unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        told = ParseError(error.msg or "invalid syntax", max(error.lineno or 1, 1), max(error.offset or 1, 1))
        raise Unreadable(told, final=len(text) > LONGEST_FILE or _is_deep(text)) from None
    except ValueError as error:
        raise Unreadable(ParseError(str(error), 1, 1)) from None
    except (RecursionError, MemoryError):
        raise Unreadable(ParseError(TOO_DEEP, 1, 1)) from None
    _refuse_long_conditions(text, tree)
    return tree


def _refuse_long_conditions(text: str, tree: ast.Module) -> None:
    """`a and b and …` is flat for `ast` and as deep as it is long for libcst."""
    words = (_AND, "and"), (_OR, "or")
    # A condition has the same word all along.
    if not any(text.count(word) >= LONGEST_CONDITION <= len(found.findall(text)) for found, word in words):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.BoolOp) and len(node.values) > LONGEST_CONDITION:
            raise Unreadable(ParseError(TOO_DEEP, node.lineno, node.col_offset + 1))


_CHECK = cst.CSTNode.__post_init__


def parse_piece(text: str) -> cst.Module:
    """A text as libcst reads it. Raises cst.ParserSyntaxError.

    What the parser makes is valid, so that the nodes' checks of themselves, a tenth of its time, are left out.
    """
    if cst.CSTNode.__post_init__ is _unchecked:
        return cst.parse_module(text)
    setattr(cst.CSTNode, "__post_init__", _unchecked)  # noqa: B010  # a method, which mypy lets nobody assign
    try:
        return cst.parse_module(text)
    finally:
        setattr(cst.CSTNode, "__post_init__", _CHECK)  # noqa: B010


def leave_out_checks() -> None:
    """Leaves them out for the rest of the process, which has to be the tool's own: with each change of a class Python
    forgets where the attributes of all classes below it are."""
    if cst.CSTNode.__post_init__ is not _unchecked:
        setattr(cst.CSTNode, "__post_init__", _unchecked)  # noqa: B010


def _unchecked(node: cst.CSTNode) -> None:
    pass


def parse_cst(text: str, refused: ParseError | None = None) -> cst.Module:
    """The whole text as libcst reads it. `refused`: what `ast` said of it, to be told if libcst can't either.

    Raises Unreadable.
    """
    try:
        return parse_piece(text)
    except cst.ParserSyntaxError as error:
        told = ParseError("libcst does not read this syntax", error.raw_line, error.raw_column + 1)
        raise Unreadable(refused or told) from None


def refuse_long_lines(lines: Lines, matters: Callable[[str], bool]) -> None:
    """Raises Unreadable when a line is too long and `matters` says yes to its text."""
    if not _may_have_long_line(lines.text):
        return
    for row, (start, end) in enumerate(pairwise((*lines.starts, len(lines.text))), 1):
        if end - start > LONGEST_LINE and matters(lines.text[start:end]):
            raise Unreadable(ParseError(f"the line is too long ({_size(end - start)})", row, 1))


def _may_have_long_line(text: str) -> bool:
    """Quick, and never wrong when it says no: from the last line break within reach to the next such."""
    start = 0
    while len(text) - start > LONGEST_LINE:
        start = text.rfind("\n", start, start + LONGEST_LINE) + 1
        if not start:
            return True
    return False


def refuse_long_statement(size: int, row: int) -> None:
    """Raises Unreadable for a statement that is too long."""
    if size > LONGEST_STATEMENT:
        raise Unreadable(ParseError(f"the statement is too long ({_size(size)})", row, 1))


def _size(characters: int) -> str:
    return f"{characters / 1e6:.1f} million characters" if characters >= 1e6 else f"{characters} characters"


_AND, _OR = re.compile(r"and\b(?<!\wand)"), re.compile(r"or\b(?<!\wor)")
_BRACKET = re.compile(r"[()\[\]{}]")
# Operators and words that nest what follows them, thousands in a row.
_RUN = re.compile(r"(?:(?:[-+~]|\*\*|\bnot\b|\bawait\b|\blambda\b[^:\n]{0,99}:)\s*){2000}")


def _is_deep(text: str) -> bool:
    """May libcst run out of stack on it? Brackets in strings count too: better too often than not."""
    depth = 0
    for match in _BRACKET.finditer(text):
        depth = depth + 1 if match.group() in "([{" else max(depth - 1, 0)
        if depth > DEEPEST:
            return True
    return _RUN.search(text) is not None
