"""Paths matched against patterns as `.gitignore` files have them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_NAMED_GROUP = re.compile(r"\(\?P<\w+>")
_PLAIN = re.compile(r"[^*?\[\]!\\/#\s][^*?\[\]\\/]*(?<!\s)")


def is_plain(pattern: str) -> bool:
    """Is it just a name, that a path's last part has or hasn't?"""
    return _PLAIN.fullmatch(pattern) is not None


class Matcher:
    """Ordered patterns, the last that matches a path decides.

    Paths are relative to where the patterns are written, with `/`, and with a `/` at the end when they are
    directories.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        # Runs of patterns with the same verdict become one regular expression: a path meets a handful of
        # them instead of one per line.
        self._runs: list[tuple[bool, re.Pattern[str]]] = []
        run: list[str] = []
        verdict = True
        for include, expression in _expressions(lines):
            if run and include != verdict:
                self._runs.append((verdict, re.compile("|".join(run))))
                run = []
            verdict = include
            run.append(f"(?:{expression})")
        if run:
            self._runs.append((verdict, re.compile("|".join(run))))
        self._runs.reverse()

    def __bool__(self) -> bool:
        return bool(self._runs)

    def verdict(self, path: str) -> bool | None:
        """True: matched. False: matched by a pattern with `!`. None: no pattern has a say."""
        for verdict, expression in self._runs:
            if expression.match(path):
                return verdict
        return None


def _expressions(lines: Iterable[str]) -> Iterable[tuple[bool, str]]:
    import pathspec

    for raw in lines:
        line = raw.rstrip("\r")
        if not line.strip() or line.startswith("#"):
            continue
        if line.endswith("/**/"):
            # Directories below, not the one itself.
            line += "*/"
        try:
            patterns = pathspec.GitIgnoreSpec.from_lines([line]).patterns
        except (ValueError, re.error):
            continue  # git skips what it can't read, too
        for pattern in patterns:
            regex = getattr(pattern, "regex", None)
            if pattern.include is None or regex is None:
                continue
            text = _NAMED_GROUP.sub("(?:", regex.pattern)
            # `foo/**` is about what is in foo, not about foo.
            yield pattern.include, f"{text}." if line.endswith("/**") and text.endswith("/") else text


@dataclass(frozen=True)
class Glob:
    """A pattern of the settings. `base` is the absolute directory it counts from."""

    pattern: str
    base: str = ""

    def __str__(self) -> str:
        return self.pattern

    def matches(self, path: str, *, directory: bool = False) -> bool:
        """Does it match the absolute `path`, or a directory that `path` is in?"""
        return matches(self.pattern, relative(path, self.base) + ("/" if directory else ""))


@lru_cache(maxsize=512)
def _single(pattern: str) -> Matcher:
    return Matcher([pattern])


def matches(pattern: str, path: str) -> bool:
    """Does one pattern match a relative path, or a directory on the way to it?"""
    if is_plain(pattern):
        return pattern in path.split("/")
    return _single(pattern).verdict(path) is True


def relative(path: str, base: str) -> str:
    """`path` as seen from the directory `base`, with `/`. What lies outside keeps only its name."""
    prefix = base if base.endswith(os.sep) else base + os.sep
    if path.startswith(prefix):
        inside = path[len(prefix) :]
        return inside.replace(os.sep, "/") if os.sep != "/" else inside
    return os.path.basename(path)
