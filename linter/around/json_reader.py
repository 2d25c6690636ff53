"""JSON with places. Comments and trailing commas are taken, as editors' settings files have them."""

from __future__ import annotations

import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed leaves it out

from uncuda.around.tree import Mapping, Node, Scalar, Sequence

MAX_DEPTH = 200
_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.S)
_ATOM = re.compile(r"[^\s,\[\]{}:\"]+")


class JsonError(ValueError):
    """The text isn't JSON from `offset` on."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def read_json(text: str) -> Node:
    """The value that a text holds. Raises JsonError."""
    at = _skip(text, 0)
    node, at = _value(text, at, 0)
    at = _skip(text, at)
    if at < len(text):
        raise JsonError("something stands behind the end", at)
    return node


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def _value(text: str, at: int, depth: int) -> tuple[Node, int]:
    sign = text[at : at + 1]
    if sign == '"':
        return _string(text, at)
    if sign in ("{", "["):
        if depth >= MAX_DEPTH:
            raise JsonError("nested too deeply", at)
        return _mapping(text, at, depth) if sign == "{" else _sequence(text, at, depth)
    found = _ATOM.match(text, at)
    if found is None:
        raise JsonError("a value is missing", at)
    return Scalar(found[0], at, found.end()), found.end()


def _string(text: str, at: int) -> tuple[Scalar, int]:
    try:
        value, end = scanstring(text, at + 1, False)
    except ValueError as error:
        raise JsonError(f"a text isn't closed or has a bad escape: {error}", at) from None
    return Scalar(value, at + 1, end - 1, quoted=True), end


def _mapping(text: str, at: int, depth: int) -> tuple[Mapping, int]:
    made = Mapping(at, at)
    at = _skip(text, at + 1)
    while not text.startswith("}", at):
        if not text.startswith('"', at):
            raise JsonError("a key is missing", at)
        key, at = _string(text, at)
        at = _skip(text, at)
        if not text.startswith(":", at):
            raise JsonError("a colon is missing", at)
        value, at = _value(text, _skip(text, at + 1), depth + 1)
        made.entries.append((key, value))
        at = _comma(text, at, "}")
    made.end = at + 1
    return made, at + 1


def _sequence(text: str, at: int, depth: int) -> tuple[Sequence, int]:
    made = Sequence(at, at)
    at = _skip(text, at + 1)
    while not text.startswith("]", at):
        value, at = _value(text, at, depth + 1)
        made.items.append(value)
        at = _comma(text, at, "]")
    made.end = at + 1
    return made, at + 1


def _comma(text: str, at: int, closing: str) -> int:
    at = _skip(text, at)
    if text.startswith(",", at):
        return _skip(text, at + 1)
    if not text.startswith(closing, at):
        raise JsonError("a comma or the end is missing", at)
    return at
