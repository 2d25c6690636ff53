r"""The rare words that rules name: without one of them a text, or a piece of it, holds no tie.

A trigger is literal text, found anywhere (`cuda`). `\b` at its start or end asks for the border of an ASCII word
there (`\btriton\b`). `import NAME` stands for an import of that top-level module, however it is spelled:
`import NAME.x as y`, `from NAME import …`, `import_module("NAME")`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_BORDER = r"\b"
_IMPORT = "import "
_NAME = r"[\w.]+(?:[ \t]+as[ \t]+\w+)?"
_SPACE = r"[ \t\f\\\r\n]"
_FROM = re.compile(rf"\bfrom{_SPACE}+(\w+)[\w.]*{_SPACE}+\Z")
_LIST = re.compile(rf"{_SPACE}+({_NAME}(?:{_SPACE}*,{_SPACE}*{_NAME})*)")
_CALL = re.compile(r"(?:_module|__)\s*\(\s*(?:\w+\s*=\s*)?\w?[\"'](\w+)")
_LONGEST_FROM = 200
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@dataclass(frozen=True, slots=True)
class _Literal:
    """A trigger that is text. `before`: how many of its characters stand before the core it is found by."""

    trigger: str
    text: str
    before: int
    left: bool
    right: bool

    def is_at(self, text: str, core: int) -> bool:
        """Is the trigger in `text`, with its core at `core`?"""
        start = core - self.before
        end = start + len(self.text)
        if start < 0 or not text.startswith(self.text, start):
            return False
        if self.left and start and text[start - 1] in _WORD:
            return False
        return not (self.right and end < len(text) and text[end] in _WORD)


class Triggers:
    """A set of triggers, looked for together."""

    def __init__(self, triggers: Iterable[str]) -> None:
        chosen = frozenset(triggers)
        self.modules = frozenset(t[len(_IMPORT) :] for t in chosen if t.startswith(_IMPORT))
        self._groups = list(_groups(t for t in chosen if not t.startswith(_IMPORT)))

    def found_in(self, text: str) -> bool:
        """Is there any of them in `text`? Bytes that were decoded as Latin-1 will do."""
        for pattern, literals in self._groups:
            found = pattern.search(text)
            while found is not None:
                at = found.start()
                if any(literal.is_at(text, at) for literal in literals[found[0]]):
                    return True
                found = pattern.search(text, at + 1)
        return bool(self.modules) and next(self._imports(text), None) is not None

    def hits(self, text: str) -> list[tuple[int, str]]:
        """Where in `text` which of them stands, in order."""
        out: list[tuple[int, str]] = []
        for pattern, literals in self._groups:
            found = pattern.search(text)
            while found is not None:
                at = found.start()
                out.extend((at, i.trigger) for i in literals[found[0]] if i.is_at(text, at))
                found = pattern.search(text, at + 1)
        if self.modules:
            out.extend(self._imports(text))
        out.sort()
        return out

    def _imports(self, text: str) -> Iterator[tuple[int, str]]:
        at = text.find("import")
        while at >= 0:
            end = at + len("import")
            for name in _imported(text, at, end):
                if name in self.modules:
                    yield at, _IMPORT + name
            at = text.find("import", end)


def _imported(text: str, start: int, end: int) -> Iterator[str]:
    """The top-level modules that the word `import` at `start:end` imports, if it is a statement or a call."""
    if text.startswith("_", end):
        called = _CALL.match(text, end)
        if called is not None:
            yield called[1]
        return
    listed = _LIST.match(text, end)
    # `from x import (` has no name right behind it.
    if start and text[start - 1] in " \t\f\r\n\\":
        source = _FROM.search(text, max(0, start - _LONGEST_FROM), start)
        if source is not None:
            yield source[1]
            return
    if listed is not None:
        for name in listed[1].split(","):
            yield name.strip(" \t\f\\\r\n").partition(".")[0].partition(" ")[0]


def _groups(triggers: Iterable[str]) -> Iterator[tuple[re.Pattern[str], dict[str, list[_Literal]]]]:
    """Patterns that find the cores of all triggers, each with the triggers that a core stands for.

    A core is a trigger that holds no other. Those that begin alike share a pattern, since Python's `re` looks for
    a common beginning as fast as for one word; so do those that begin with a capital, which are few in a text.
    """
    plain = {t: t.removeprefix(_BORDER).removesuffix(_BORDER) for t in triggers}
    texts = set(plain.values())
    cores = sorted(t for t in texts if not any(o != t and o in t for o in texts))
    literals: dict[str, list[_Literal]] = {core: [] for core in cores}
    for trigger, text in plain.items():
        left, right = trigger.startswith(_BORDER), trigger.endswith(_BORDER)
        for core in cores:
            if core in text:
                literals[core].append(_Literal(trigger, text, text.index(core), left, right))
                break
    groups: dict[str, list[str]] = {}
    for core in cores:
        groups.setdefault("A" if core[0].isupper() else core[:2], []).append(core)
    for members in groups.values():
        yield re.compile("|".join(map(re.escape, members))), {core: literals[core] for core in members}
