"""A finding's identity across edits elsewhere in its file: no row number goes into it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from uncuda.findings import Finding

# A line that begins with a closing bracket ends what is open above it, and no scope.
_LINE = re.compile(r"^([ \t\f]*)(?:(?:async[ \t]+)?(?:def|class)[ \t]+(\w+))?(?=[^\s#)\]}])", re.MULTILINE)
_LAYOUT = re.compile(r"#[^\n]*\n|\s+|[()\\]|,(?=\s*[)\]}])")
_LONG = 400


def _scopes(text: str, offsets: Sequence[int]) -> list[str]:
    """The dotted name of the function or class that each offset (sorted) stands in, by indentation.

    Good enough to tell things apart, and defined for text that doesn't parse.
    """
    out: list[str] = []
    stack: list[tuple[int, str]] = []
    pending = iter(offsets)
    wanted = next(pending, None)
    for match in _LINE.finditer(text):
        while wanted is not None and wanted < match.start():
            out.append(".".join(name for _, name in stack))
            wanted = next(pending, None)
        if wanted is None:
            return out
        indent = len(match.group(1).expandtabs())
        while stack and stack[-1][0] >= indent:
            stack.pop()
        if match.group(2):
            stack.append((indent, match.group(2)))
    while wanted is not None:
        out.append(".".join(name for _, name in stack))
        wanted = next(pending, None)
    return out


def fingerprints(text: str, findings: Sequence[Finding]) -> list[str]:
    """For each finding (sorted by start) 32 hex digits made of its code, symbol, enclosing scope and own text.

    What a formatter changes doesn't matter: blanks, line breaks, quotes, brackets around a value, a comma at the end.
    Findings that agree in all of it are numbered in order, so no two of a file are equal.
    """
    seen: Counter[str] = Counter()
    out: list[str] = []
    for finding, scope in zip(findings, _scopes(text, [f.start for f in findings]), strict=True):
        # Of a very long text only the beginning counts, or one edit in it would change the identity.
        own = _LAYOUT.sub("", text[finding.start : min(finding.end, finding.start + _LONG)]).replace("'", '"')
        key = "\0".join((finding.code, finding.symbol, scope, own))
        seen[key] += 1
        raw = f"{key}\0{seen[key]}".encode("utf-8", "surrogatepass")
        out.append(blake2b(raw, digest_size=16).hexdigest())
    return out
