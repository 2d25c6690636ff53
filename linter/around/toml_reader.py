"""TOML with places, for text that the standard reader has taken already."""

from __future__ import annotations

import re

from uncuda.around.tree import Mapping, Node, Scalar, Sequence
from uncuda.settings_values import toml_reader

_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\r?\n)?(?P<mb>(?:\\.|(?!""")[\s\S])*"{0,2})"""'
    r"|'''(?:\r?\n)?(?P<ml>(?:(?!''')[\s\S])*'{0,2})'''"
    r'|"(?P<b>(?:\\.|[^"\\\n])*)"'
    r"|'(?P<l>[^'\n]*)'"
)
_ATOM = re.compile(r"[^\s,\]}#]+(?:[ ]\d[\d:.+Z-]+)?")


def read_toml(text: str) -> Mapping | None:
    """The tables of a file; None when it isn't TOML."""
    toml = toml_reader()
    try:
        toml.loads(text.replace("\r\n", "\n"))
    except (toml.TOMLDecodeError, RecursionError):
        return None
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.root = Mapping(0, len(text))

    def read(self) -> Mapping:
        text = self.text
        table = self.root
        while (at := self._skip()) < len(text):
            if text.startswith("[", at):
                array = text.startswith("[[", at)
                self.at = at + (2 if array else 1)
                keys = self._keys()
                self.at += 2 if array else 1
                table = self._table(keys, array)
            else:
                self._entry(table)
        return self.root

    def _skip(self) -> int:
        found = _SPACE.match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        return self.at

    def _blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def _keys(self) -> list[Scalar]:
        keys: list[Scalar] = []
        while True:
            self._blank()
            bare = _BARE.match(self.text, self.at)
            if bare is not None:
                keys.append(Scalar(bare[0], self.at, bare.end()))
                self.at = bare.end()
            else:
                keys.append(self._string())
            self._blank()
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _table(self, keys: list[Scalar], array: bool) -> Mapping:
        """The table that a header names, made where it isn't there."""
        table = self.root
        for number, key in enumerate(keys):
            node = table.get(key.text)
            last = number == len(keys) - 1
            if node is None:
                node = Sequence(key.start, key.end) if last and array else Mapping(key.start, key.end)
                table.entries.append((key, node))
            if isinstance(node, Sequence):
                if (last and array) or not node.items:
                    node.items.append(Mapping(key.start, key.end))
                node = node.items[-1]
            assert isinstance(node, Mapping)
            table = node
        return table

    def _entry(self, table: Mapping) -> None:
        *above, key = self._keys()
        for name in above:
            node = table.get(name.text)
            if not isinstance(node, Mapping):
                node = Mapping(name.start, name.end)
                table.entries.append((name, node))
            table = node
        self.at += 1  # the equals sign
        self._blank()
        table.entries.append((key, self._value()))

    def _string(self) -> Scalar:
        found = _STRING.match(self.text, self.at)
        assert found is not None and found.lastgroup is not None
        self.at = found.end()
        kind = found.lastgroup
        start, end = found.span(kind)
        raw = found[kind]
        value = _unescaped(raw) if kind in ("b", "mb") and "\\" in raw else raw
        return Scalar(value, start, end, block="\n" in raw, quoted=True)

    def _value(self) -> Node:
        text, at = self.text, self.at
        if text.startswith(("'", '"'), at):
            return self._string()
        if text.startswith("[", at):
            return self._sequence()
        if text.startswith("{", at):
            return self._inline()
        found = _ATOM.match(text, at)
        assert found is not None
        self.at = found.end()
        return Scalar(found[0], at, found.end())

    def _sequence(self) -> Sequence:
        made = Sequence(self.at, self.at)
        self.at += 1
        while not self.text.startswith("]", self._skip()):
            made.items.append(self._value())
            if self.text.startswith(",", self._skip()):
                self.at += 1
        self.at += 1
        made.end = self.at
        return made

    def _inline(self) -> Mapping:
        made = Mapping(self.at, self.at)
        self.at += 1
        while not self.text.startswith("}", self._skip()):
            self._entry(made)
            if self.text.startswith(",", self._skip()):
                self.at += 1
        self.at += 1
        made.end = self.at
        return made


_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(\r?\n\s*)|(.))")
_SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def _unescaped(raw: str) -> str:
    def one(found: re.Match[str]) -> str:
        digits = found[1] or found[2] or found[3]
        if digits:
            return chr(int(digits, 16))
        return "" if found[4] else _SHORT.get(found[5], found[5])

    return _ESCAPE.sub(one, raw)
