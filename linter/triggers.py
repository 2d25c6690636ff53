r"""The rare words that rules name: without one of them a text, or a piece of it, holds no tie.

A trigger is literal text, found anywhere (`cuda`). `\b` at its start or end asks for the border of an ASCII word
there (`\btriton\b`). `import NAME` stands for an import of that top-level module, however it is spelled:
`import NAME.x as y`, `from NAME import …`, `import_module("NAME")`, `lazy_import("NAME.x")`. `TEXT & import
NAME|NAME` is text in a file that imports one of those modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from functools import lru_cache

_BORDER = r"\b"
_IMPORT = "import "
_AND = " & import "
_NAME = r"[\w.]+(?:[ \t]+as[ \t]+\w+)?"
_SPACE = r"(?:[ \t\f]|\\(?:\r\n|\r|\n))"
_FROM = re.compile(rf"\bfrom{_SPACE}+(\w+)[\w.]*{_SPACE}+\Z")
_LIST = re.compile(rf"{_SPACE}+({_NAME}(?:{_SPACE}*,{_SPACE}*{_NAME})*)")
_CALL = re.compile(r"(?:_\w+)?\s*\(\s*(?:\w+\s*=\s*)?\w?[\"'](\w+)")
_LONGEST_FROM = 200
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@dataclass(frozen=True, slots=True)
class _Literal:
    """A trigger that is text. `before`: how many of its characters stand before the one it is found by; `modules`: the
    file has to import one of these, if there are any."""

    trigger: str
    text: str
    left: bool
    right: bool
    modules: frozenset[str]
    before: int = 0

    def is_at(self, text: str, at: int) -> bool:
        """Is the trigger in `text`, with the character that it is found by at `at`?"""
        start = at - self.before
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
        self._modules = frozenset(t[len(_IMPORT) :] for t in chosen if t.startswith(_IMPORT))
        literals = [_literal(t) for t in chosen if not t.startswith(_IMPORT)]
        self._asked = self._modules.union(*(item.modules for item in literals))
        self._plain = list(_groups([item for item in literals if not item.modules]))
        self._conditional = [item for item in literals if item.modules]
        self._conditions = frozenset[str]().union(*(item.modules for item in literals))
        self._by_imports: dict[frozenset[str], list[_Group]] = {}

    def found_in(self, text: str) -> bool:
        """Is there any of them in the text of a file? Bytes that were decoded as Latin-1 will do."""
        if next(_literals(text, self._plain), None) is not None:
            return True
        imported = {name for _, name in self._imports(text)}
        if not imported.isdisjoint(self._modules):
            return True
        return next(self._allowed(text, imported), None) is not None

    def hits(self, text: str) -> list[tuple[int, str]]:
        """Where in the text of a file which of them stands, in order."""
        imports = list(self._imports(text))
        out = [(at, literal.trigger) for at, literal in _literals(text, self._plain)]
        out.extend(self._allowed(text, {name for _, name in imports}))
        out.extend((at, _IMPORT + name) for at, name in imports if name in self._modules)
        out.sort()
        return out

    def imported(self, text: str) -> frozenset[str]:
        """The modules that some of them ask for and the text of a file imports."""
        return frozenset(name for _, name in self._imports(text))

    def positions(self, text: str, imported: frozenset[str]) -> list[tuple[int, str]]:
        """Where in a piece of the text of a file, which imports these modules, which of them stands, imports aside."""
        out = [(at, literal.trigger) for at, literal in _literals(text, self._plain)]
        out.extend(self._allowed(text, imported))
        return out

    def _allowed(self, text: str, imported: Set[str]) -> Iterator[tuple[int, str]]:
        """Where those stand that ask for a module, where the file imports that."""
        met = self._conditions.intersection(imported)
        if met:
            if met not in self._by_imports:
                literals = [item for item in self._conditional if not met.isdisjoint(item.modules)]
                self._by_imports[met] = list(_groups(literals))
            for at, literal in _literals(text, self._by_imports[met]):
                yield at, literal.trigger

    def _imports(self, text: str) -> Iterator[tuple[int, str]]:
        if not self._asked:
            return
        at = text.find("import")
        while at >= 0:
            end = at + len("import")
            for name in _imported(text, at, end):
                if name in self._asked:
                    yield at, name
            at = text.find("import", end)


@lru_cache(maxsize=4)
def triggers_of(chosen: frozenset[str]) -> Triggers:
    """A set of triggers, made once: the prefilter and the engine ask for the same."""
    return Triggers(chosen)


_Group = tuple[re.Pattern[str], dict[str, list[_Literal]]]


def _literals(text: str, groups: Iterable[_Group]) -> Iterator[tuple[int, _Literal]]:
    for pattern, literals in groups:
        found = pattern.search(text)
        while found is not None:
            at = found.start()
            for literal in literals[found[0]]:
                if literal.is_at(text, at):
                    yield at, literal
            found = pattern.search(text, at + 1)


def _literal(trigger: str) -> _Literal:
    text, _, modules = trigger.partition(_AND)
    return _Literal(
        trigger,
        text.removeprefix(_BORDER).removesuffix(_BORDER),
        text.startswith(_BORDER),
        text.endswith(_BORDER),
        frozenset(modules.split("|")) if modules else frozenset(),
    )


def _imported(text: str, start: int, end: int) -> Iterator[str]:
    """The top-level modules that the word `import` at `start:end` imports, if it is a statement or a call."""
    if text.startswith(("_", "("), end):
        called = _CALL.match(text, end)
        if called is not None:
            yield called[1]
            return
    before = text[start - 1 : start]
    if before == " ":
        # Most often: `from x import` at the start of a line.
        line = max(text.rfind("\n", max(0, start - _LONGEST_FROM), start) + 1, start - _LONGEST_FROM)
        head = text[line:start].strip()
        if head.startswith("from "):
            yield head[5:].strip().partition(".")[0]
            return
    if before and before in " \t\f\r\n\\":
        source = _FROM.search(text, max(0, start - _LONGEST_FROM), start)
        if source is not None:
            yield source[1]
            return
    listed = _LIST.match(text, end)
    if listed is not None:
        for name in listed[1].split(","):
            yield name.strip(" \t\f\\\r\n").partition(".")[0].partition(" ")[0]


def _groups(literals: list[_Literal]) -> Iterator[_Group]:
    """Patterns that find all literals, each with those that it finds.

    A literal is looked for from a rare character in it on: Python's `re` runs through a text to the next place
    of one character at the speed of memory, whatever may follow there.
    """
    left = {literal.text for literal in literals}
    while left:
        rare = {c: [t for t in left if _anchor(t, c) >= 0] for c in set("".join(left))}
        best = min((c for c in rare if rare[c]), key=lambda c: (_cost(c) / len(rare[c]), c))
        found = [replace(i, before=_anchor(i.text, best)) for i in literals if i.text in rare[best]]
        tails = {i.text[i.before + 1 :] for i in found}
        tails = {t for t in tails if not any(t != o and t.startswith(o) for o in tails)}
        pattern = re.compile(re.escape(best) + _any_of(tails))
        yield pattern, {best + t: [i for i in found if i.text.startswith(best + t, i.before)] for t in tails}
        left -= set(rare[best])


def _any_of(texts: Set[str]) -> str:
    """A pattern for any of some texts, branching where they part: quicker than one after the other."""
    if len(texts) == 1:
        return re.escape(*texts)
    firsts = sorted({text[0] for text in texts})
    branches = [re.escape(c) + _any_of({text[1:] for text in texts if text[0] == c}) for c in firsts]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def _anchor(text: str, character: str) -> int:
    """Where in a text a character stands that most of it comes after, -1 for nowhere."""
    return text.find(character, 0, len(text) // 2 + 1)


# Characters of Python code, the commonest first, with how many of a thousand they are; the rest are rarer.
_SHARES = {
    "e": 75, "t": 52, "s": 44, "i": 43, "o": 42, "n": 42, "a": 41, "r": 37, "_": 28, "l": 27, "d": 26, "p": 21, "c": 21,
    "m": 18, "f": 17, "u": 17, "h": 15, ".": 14, "g": 13, " ": 150, "(": 8, '"': 8, "b": 7, "k": 6, "y": 5, "v": 4, "w": 4,
    "x": 3, "T": 3, "N": 3,
}  # fmt: skip


def _cost(character: str) -> float:
    """What looking for a character costs: going through the text, and stopping at each."""
    return 12 + _SHARES.get(character, 1)
