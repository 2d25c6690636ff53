"""Nested data with the place of every value: what YAML, JSON, TOML and INI files are read into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_DEPTH = 60
"""What is nested deeper is passed over."""


@dataclass(slots=True)
class Scalar:
    """A value. `start:end` is its text without quotes; for a text over several lines, all of these lines."""

    text: str
    start: int
    end: int
    block: bool = False
    """Does it go over lines of its own?"""
    quoted: bool = False


@dataclass(slots=True)
class Sequence:
    """A list."""

    start: int
    end: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A table: keys with their values, in order; a key may come more than once."""

    start: int
    end: int
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)

    def get(self, *keys: str) -> Node | None:
        """The value below one key after the other."""
        node: Node | None = self
        for key in keys:
            if not isinstance(node, Mapping):
                return None
            node = next((value for name, value in node.entries if name.text == key), None)
        return node

    def texts(self, key: str) -> list[Scalar]:
        """The value under a key, or all of them where it is a list."""
        return scalars(self.get(key))


Node = Scalar | Sequence | Mapping


def scalars(node: Node | None) -> list[Scalar]:
    """A value as a list of texts: itself, or the texts in it."""
    if isinstance(node, Scalar):
        return [node]
    if isinstance(node, Sequence):
        return [item for item in node.items if isinstance(item, Scalar)]
    return []


def walk(node: Node) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every node below and with `node`, with the keys that lead to it (lists add none), in order."""
    stack: list[tuple[tuple[str, ...], Node]] = [((), node)]
    while stack:
        keys, item = stack.pop()
        yield keys, item
        if isinstance(item, Mapping):
            stack.extend(((*keys, key.text), value) for key, value in reversed(item.entries))
        elif isinstance(item, Sequence):
            stack.extend((keys, value) for value in reversed(item.items))
