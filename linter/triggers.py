r"""The rare words that rules name: without one of them a text, or a piece of it, holds no tie.

A trigger is literal text, found anywhere (`cuda`). `\b` at its start or end asks for the border of an ASCII word
there (`\btriton\b`), `\d` at its end for a digit behind it (`UC\d`). `import NAME` stands for an import of that top-level module, however it is spelled:
`import NAME.x as y`, `from NAME import …`, `import_module("NAME")`, `lazy_import("NAME.x")`. `TEXT & import
NAME|NAME` is text in a file that imports one of those modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import lru_cache

_BORDER = r"\b"
_DIGIT = r"\d"
_IMPORT = "import "
_AND = " & import "
_NAME = r"[\w.]+(?:[ \t]+as[ \t]+\w+)?"
_SPACE = r"(?:[ \t\f]|\\(?:\r\n|\r|\n))"
_FROM = re.compile(rf"\bfrom{_SPACE}+(\w+)[\w.]*{_SPACE}+\Z")
_LIST = re.compile(rf"{_SPACE}+({_NAME}(?:{_SPACE}*,{_SPACE}*{_NAME})*)")
_CALL = re.compile(r"(?:_\w+)?\s*\(\s*(?:\w+\s*=\s*)?\w?[\"'](\w+)")
_LONGEST_FROM = 200
# Before a line break, where the line may go on: `\\r` has one before it.
_JOINED = ("\\", "\r")
_NO_WORD_BEFORE = "(?<![A-Za-z0-9_])"
_NO_WORD_BEHIND = "(?![A-Za-z0-9_])"
_DIGIT_BEHIND = "(?=[0-9])"
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class _Literal:
    """A trigger that is text. `left` and `right`: what is asked for around it; `modules`: the file has to import one of
    these, if there are any; `before`: how many of its characters stand before the one it is found by."""

    trigger: str
    text: str
    left: bool
    right: str
    modules: frozenset[str]
    before: int = 0

    def is_at(self, text: str, start: int) -> bool:
        """Is the trigger in `text` at `start`?"""
        end = start + len(self.text)
        if start < 0 or not text.startswith(self.text, start):
            return False
        if self.left and start and text[start - 1] in _WORD:
            return False
        if self.right == _DIGIT:
            return text[end : end + 1] in _DIGITS
        return not (self.right and end < len(text) and text[end] in _WORD)

    def around(self, size: int) -> str:
        """A pattern for what has to be around `size` of its characters, from the one it is found by on, behind these."""
        end = self.before + size
        before = (_NO_WORD_BEFORE if self.left else "") + re.escape(self.text[: self.before])
        known = re.escape(self.text[self.before : end])
        rest = re.escape(self.text[end:])
        behind = {"": "", _BORDER: _NO_WORD_BEHIND, _DIGIT: _DIGIT_BEHIND}[self.right]
        return (f"(?<={before}{known})" if before else "") + (f"(?={rest}{behind})" if rest else behind)


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
        if any(pattern.search(text) for pattern, _ in self._plain):
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
                if literal.is_at(text, at - literal.before):
                    yield at - literal.before, literal
            found = pattern.search(text, at + 1)


def _literal(trigger: str) -> _Literal:
    text, _, modules = trigger.partition(_AND)
    left = text.startswith(_BORDER)
    text = text.removeprefix(_BORDER)
    right = next((end for end in (_BORDER, _DIGIT) if text.endswith(end)), "")
    return _Literal(
        trigger,
        text.removesuffix(right),
        left,
        right,
        frozenset(modules.split("|")) if modules else frozenset(),
    )


def _imported(text: str, start: int, end: int) -> Iterable[str]:
    """The top-level modules that the word `import` at `start:end` imports, if it is a statement or a call."""
    if text.startswith(("_", "("), end):
        called = _CALL.match(text, end)
        if called is not None:
            return (called[1],)
    line = text.rfind("\n", 0, start) + 1
    head = text[line:start] if start - line < _LONGEST_FROM else text[start - _LONGEST_FROM : start]
    head = head.lstrip(" \t\f")
    if head.endswith(" ") and head.startswith("from "):
        # Most often.
        return (head[5:].strip().partition(".")[0],)
    if head or text.startswith(_JOINED, max(0, line - 2)):
        source = _FROM.search(text, max(0, start - _LONGEST_FROM), start)
        if source is not None:
            return (source[1],)
    listed = _LIST.match(text, end)
    if listed is None:
        return ()
    names = listed[1].split(",")
    return [name.strip(" \t\f\\\r\n").partition(".")[0].partition(" ")[0] for name in names]


def _groups(literals: list[_Literal]) -> Iterator[_Group]:
    """Patterns that find all literals and nothing else, each with those that it finds, by what it matches.

    A literal is looked for from a rare character in it on: Python's `re` runs through a text to the next place
    of one character at the speed of memory, whatever may be around it.
    """
    by_anchor: dict[str, list[_Literal]] = {}
    for literal in literals:
        anchor = _anchor(literal.text)
        by_anchor.setdefault(anchor, []).append(replace(literal, before=literal.text.index(anchor)))
    for anchor, found in sorted(by_anchor.items(), key=lambda item: _rank(item[0])):
        tails = {i.text[i.before + 1 :] for i in found}
        heads = [t for t in tails if t and not any(t != o and t.startswith(o) for o in tails if o)]
        # Those that the anchor ends may be wherever others are.
        ended = [i for i in found if i.before + 1 == len(i.text)]
        by_head = {t: [i for i in found if i.text.startswith(t, i.before + 1)] for t in heads}
        branches = [_any_of({t: _either({i.around(1 + len(t)) for i in by_head[t]}) for t in heads})]
        branches.append(_either({i.around(1) for i in ended}))
        some = [branch for branch, used in zip(branches, (heads, ended), strict=True) if used]
        pattern = re.compile(f"{re.escape(anchor)}(?:{'|'.join(some)})")
        yield pattern, {anchor: ended, **{anchor + t: [*by_head[t], *ended] for t in heads}}


def _either(patterns: Set[str]) -> str:
    return "" if "" in patterns else "|".join(sorted(patterns))


def _any_of(texts: Mapping[str, str]) -> str:
    """A pattern for any of some texts, each with a pattern of what is around it, branching where they part: quicker than
    one after the other."""
    if len(texts) == 1:
        ((text, around),) = texts.items()
        return re.escape(text) + (f"(?:{around})" if "|" in around else around)
    firsts = sorted({text[0] for text in texts})
    branches = [
        re.escape(c) + _any_of({text[1:]: around for text, around in texts.items() if text[0] == c})
        for c in firsts
    ]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def _anchor(text: str) -> str:
    """The character that a text is looked for from: with a small letter more comes behind it, as looking at what is
    before takes longer."""
    return min((c for c in text if c.isupper() or text.index(c) < len(text) - 1), key=_rank, default=text[0])


# Few characters that are rare in Python code, and of which most triggers have one; and those that are common, the rarest
# first.
_ANCHORS = "LUVAclrm"
_COMMON = 'xwvykbg.h(u"pdfn_oaiste '


def _rank(character: str) -> int:
    found = _ANCHORS.find(character)
    return found if found >= 0 else len(_ANCHORS) + 1 + _COMMON.find(character)
