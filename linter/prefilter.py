"""Tells from a file's bytes that no rule can find anything in it: most files need no parsing."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from functools import cache

from uncuda.rules.catalogue import RuleInfo, catalogue
from uncuda.triggers import Triggers, triggers_of

_DECLARATION = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.MULTILINE)
# What these write below 128 is ASCII, so that the triggers stand there as they are.
_SAFE_ENCODINGS = re.compile(rb"(?i)utf[-_]?8.*|ascii|us-ascii|latin[-_]?1|iso[-_]8859[-_]\d+.*|cp125\d")
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@cache
def triggers(codes: frozenset[str]) -> Triggers:
    """The triggers of the rules `codes` that look at Python, or at the comments that silence rules."""
    return _triggers(info for info in catalogue() if info.code in codes and not info.around)


@cache
def _around(codes: frozenset[str]) -> Triggers:
    """The triggers of the rules `codes` that look at files around the code, or at the comments that silence rules."""
    return _triggers(
        info for info in catalogue() if info.code in codes and (info.around or info.housekeeping)
    )


def _triggers(infos: Iterable[RuleInfo]) -> Triggers:
    return triggers_of(frozenset(trigger for info in infos for trigger in info.triggers))


def needs_check(data: bytes, codes: frozenset[str]) -> bool:
    """Can any of the rules `codes` find something in a file's bytes, or is it no text that Python reads?"""
    if triggers(codes).found_in(data.decode("latin-1")):
        return True
    return b"\0" in data or data.startswith(_WIDE_MARKS) or _hides_text(data)


def needs_look(data: bytes, codes: frozenset[str], *, python: bool) -> bool:
    """Can any of the rules `codes` find something in a file around the code? `python`: there may be Python in it, with
    its quotes escaped."""
    if data.startswith(_WIDE_MARKS):
        return True
    text = data.decode("latin-1")
    return _around(codes).found_in(text) or (python and triggers(codes).found_in(text.replace('\\"', '"')))


def _hides_text(data: bytes) -> bool:
    """Does it declare an encoding in which a trigger may look different (UTF-7, EBCDIC, …)?"""
    first = data.find(b"\n")
    second = data.find(b"\n", first + 1) if first >= 0 else -1
    head = data if second < 0 else data[:second]
    if b"coding" not in head:
        return False
    found = _DECLARATION.search(head[:4096])
    return found is not None and _SAFE_ENCODINGS.fullmatch(found.group(1)) is None
