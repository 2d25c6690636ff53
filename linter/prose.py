"""What in a text is no code: comments, and texts of several words. Found without a parser."""

from __future__ import annotations

import re

# Leftmost comment or string, and all of it. The quantifiers are unrolled: `(?:a|b)*` costs ten times as much.
_TOKEN = re.compile(
    r"""\#[^\r\n]*
    |\"{3}[^"\\]*(?:(?:\\[\s\S]|"(?!""))[^"\\]*)*(?:\"{3})?
    |'{3}[^'\\]*(?:(?:\\[\s\S]|'(?!''))[^'\\]*)*(?:'{3})?
    |"[^"\\\r\n]*(?:\\(?:\r\n|[\s\S])[^"\\\r\n]*)*"?
    |'[^'\\\r\n]*(?:\\(?:\r\n|[\s\S])[^'\\\r\n]*)*'?""",
    re.VERBOSE,
)
_BLANK = re.compile(r"\s")


def in_code(
    text: str, hits: list[tuple[int, int]], for_texts: int, for_words: int = -1
) -> list[tuple[int, int]]:
    """Those of some places, each with the rules that it may matter to as bits, that aren't in prose; sorted.

    In a text of several words a place matters to the rules `for_texts` alone, in one of a single word to `for_words`.
    An f-string is code.
    """
    found: list[tuple[int, int]] = []
    waiting = iter(sorted(hits))
    hit = next(waiting, None)
    if hit is None:
        return found
    for token in _TOKEN.finditer(text):
        # Of the many tokens few have a hit in them, or one before them.
        if token.end() <= hit[0]:
            continue
        start, end = token.span()
        kept = _kept(text, start, end, for_texts, for_words)
        while hit is not None and hit[0] < end:
            rules = hit[1] if hit[0] < start else hit[1] & kept
            if rules:
                found.append((hit[0], rules))
            hit = next(waiting, None)
        if hit is None:
            return found
    found.append(hit)
    found.extend(waiting)
    return found


def _kept(text: str, start: int, end: int, for_texts: int, for_words: int) -> int:
    """The rules to which a place in a comment or string may matter, as bits."""
    if text[start] == "#":
        return 0
    if "f" in _prefix(text, start):
        return -1
    return for_texts if _BLANK.search(text, start, end) else for_words


def _prefix(text: str, quote: int) -> str:
    """The letters before a string's quote."""
    start = quote
    while start > max(0, quote - 3) and text[start - 1].isalpha():
        start -= 1
    return text[start:quote].lower()
