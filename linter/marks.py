"""Comments that silence rules, read word by word: which rules, where, why, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cache

from uncuda.layout import Comment, Layout
from uncuda.rule_choice import ALL, meant
from uncuda.rules.catalogue import catalogue, pairs


class Kind(Enum):
    """What a comment silences: a line, the file, or the lines up to the comment that ends it."""

    LINE = "ignore"
    FILE = "ignore-file"
    START = "ignore-start"
    END = "ignore-end"
    NOQA = "noqa"


@dataclass(eq=False)
class Entry:
    """One rule named in a comment, `codes` being what it means (none: not a rule of this tool)."""

    start: int
    end: int
    text: str
    codes: frozenset[str]
    foreign: bool = False
    """Another linter's: never touched."""
    used: bool = False


@dataclass(eq=False)
class Mark:
    """One such comment, or one of several in a comment: characters `start:end`, up to the next `#`.

    Without `entries` it silences everything. `listed` is the text between the brackets (or after `noqa:`).
    `fault` says what is wrong with the whole of it; then it silences nothing.
    """

    kind: Kind
    comment: Comment
    start: int
    end: int
    head_end: int
    entries: list[Entry] = field(default_factory=list)
    listed: tuple[int, int] | None = None
    reason: str = ""
    fault: str | None = None
    used: bool = False
    partner: Mark | None = None
    """Of a mark that starts a block, the one that ends it."""

    def names(self) -> frozenset[str]:
        """What is written in its list."""
        return frozenset(entry.text for entry in self.entries)


# A piece of a comment begins at a `#` that isn't part of a word or of a number such as #12 (in C++ at a `//`).
_PIECE = re.compile(r"(?:^|(?<=[ \t]))(?:#+(?!\d)|//+)")
_OWN = re.compile(
    r"(?:#+|//+)[ \t]*uncuda:[ \t]*(?P<verb>[\w-]*)(?P<bracket>[ \t]*\[(?P<names>[^\]]*)(?P<close>\]?))?"
)
_NOQA = re.compile(
    r"#+[ \t]*(?i:noqa)(?![\w-])(?P<colon>[ \t]*:[ \t]*(?P<names>[A-Z]+[0-9]+\b(?:[,\s]+[A-Z]+[0-9]+\b)*)?)?"
)
_WORD = re.compile(r"[^\s,]+")
_CODE = re.compile(r"UC\d{1,3}\Z")
_LOOKS_MEANT = frozenset({"noqa", "disable", "enable", "skip", "off", "on", "nocheck", "suppress", "allow"})


def may_hold_marks(text: str, *, bare: bool = True) -> bool:
    """Is it worth looking for marks? Quick, and never wrong when it says no. Without `bare`, a `noqa` that names no rule
    doesn't count: it silences what is found, and nobody asks whether that is anything."""
    if "uncuda:" in text:
        return True
    if "UC" not in text and not bare:
        return False
    if "noqa" not in text and "NOQA" not in text and "NoQA" not in text:
        return False
    return any((bare and not m["colon"]) or "UC" in m.group() for m in _NOQA.finditer(text))


def read_marks(layout: Layout) -> list[Mark]:
    """The marks of a text, in its order; blocks are paired."""
    marks = [mark for comment in layout.comments for mark in _in_comment(layout.text, comment)]
    _pair(marks)
    return marks


def _in_comment(text: str, comment: Comment) -> Iterator[Mark]:
    content = text[comment.start : comment.end]
    if "uncuda:" not in content and "noqa" not in content.lower():
        return
    starts = [m.start() for m in _PIECE.finditer(content)]
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        piece = content[start:end].rstrip()
        own = _OWN.match(piece)
        if own is not None:
            mark = _own(own, comment, comment.start + start, piece)
        else:
            noqa = _NOQA.match(piece)
            mark = _noqa(noqa, comment, comment.start + start, piece) if noqa is not None else None
        if mark is not None:
            yield mark


def _own(found: re.Match[str], comment: Comment, start: int, piece: str) -> Mark | None:
    verb = found["verb"]
    kinds = {kind.value: kind for kind in Kind if kind is not Kind.NOQA}
    mark = Mark(kinds.get(verb, Kind.LINE), comment, start, start + len(piece), start + found.end())
    if verb not in kinds:
        from difflib import get_close_matches

        near = get_close_matches(verb.replace("_", "-").lower(), kinds, 1, 0.6)
        if not near and verb.lower() not in _LOOKS_MEANT and found["bracket"] is None:
            return None  # prose that happens to begin with the tool's name
        mark.fault = f"`uncuda: {verb}` means nothing; write `uncuda: {near[0] if near else Kind.LINE.value}`"
        return mark
    mark.reason = _reason(piece[found.end() :])
    if found["bracket"] is not None:
        if not found["close"]:
            mark.fault = "the bracket isn't closed"
            return mark
        first = start + found.start("names")
        mark.listed = (first, first + len(found["names"]))
        mark.entries = [
            Entry(first + m.start(), first + m.end(), m.group(), _meaning(m.group()))
            for m in _WORD.finditer(found["names"])
        ]
        if not mark.entries:
            mark.fault = (
                "the brackets are empty: name a rule in them, or leave them out to silence every rule"
            )
    elif mark.reason and _meaning(mark.reason.split()[0].strip(",;:.()")):
        word = mark.reason.split()[0].strip(",;:.()")
        mark.fault = f"rules stand in brackets: `uncuda: {verb}[{word}]`"
    if mark.kind is not Kind.LINE and mark.fault is None and not comment.alone:
        mark.fault = f"`uncuda: {verb}` has to stand on a line of its own"
    return mark


def _noqa(found: re.Match[str], comment: Comment, start: int, piece: str) -> Mark | None:
    mark = Mark(Kind.NOQA, comment, start, start + len(piece), start + found.end())
    mark.reason = _reason(piece[found.end() :])
    if found["colon"] is None:
        return mark
    if found["names"] is None:
        return None
    first = start + found.start("names")
    mark.listed = (first, first + len(found["names"]))
    for m in _WORD.finditer(found["names"]):
        own = _CODE.match(m.group()) is not None
        codes = _meaning(m.group()) if own else frozenset()
        mark.entries.append(Entry(first + m.start(), first + m.end(), m.group(), codes, not own))
    return mark if any(not entry.foreign for entry in mark.entries) else None


def _reason(rest: str) -> str:
    return rest.strip(" \t-–—:,;.")


@cache
def _meaning(word: str) -> frozenset[str]:
    """The codes that a word in a list means."""
    if word == ALL:
        return ties()
    if not _CODE.match(word) and all(word != name for _, name in pairs()):
        return frozenset()
    return meant([word], pairs())


@cache
def ties() -> frozenset[str]:
    """The codes that a comment without a list silences: all but those about comments and files."""
    return frozenset(info.code for info in catalogue() if not info.housekeeping)


def _pair(marks: list[Mark]) -> None:
    """Gives each mark that starts a block the one that ends it: the next that has the same list, or none."""
    waiting: list[Mark] = []
    for mark in marks:
        if mark.fault is not None:
            continue
        if mark.kind is Kind.START:
            waiting.append(mark)
        elif mark.kind is Kind.END:
            started = next(
                (m for m in reversed(waiting) if not mark.entries or m.names() == mark.names()), None
            )
            if started is None:
                mark.fault = "nothing before it starts what it ends"
            else:
                waiting.remove(started)
                started.partner = mark
    for mark in waiting:
        mark.fault = "no `uncuda: ignore-end` with the same rules comes after it"
