"""What the knowledge base puts under an entry, asked for when code is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache


@cache
def named(symbols: tuple[str, ...]) -> Mapping[str, str]:
    """The names that fall under one of the entries, each with its entry."""
    from uncuda.rules.knowledge import spelled

    return {name: symbol for symbol in symbols for name in spelled(symbol).names}


def given_to(symbols: tuple[str, ...], argument: str, text: str | None) -> str | None:
    """The first of the entries under which `text` falls where `argument` is given it."""
    from uncuda.rules.knowledge import spelled

    return next((s for s in symbols if text is not None and spelled(s).takes(argument, text)), None)
