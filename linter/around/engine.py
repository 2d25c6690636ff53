"""Checks one file around the code: its items, each shown to the rules that ask for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from uncuda.around.context import FileContext
from uncuda.around.items import Item
from uncuda.around.kinds import Kind
from uncuda.around.readers import read
from uncuda.findings import Finding, Target
from uncuda.rules.registry import file_rules

_Visit = Callable[[Item, FileContext], None]


def check_file(
    text: str,
    kind: Kind,
    *,
    path: str = "",
    shown: str | None = None,
    codes: frozenset[str] | None = None,
    targets: frozenset[Target] | None = None,
    others: bool | None = None,
) -> tuple[Finding, ...]:
    """Every tie in the text of a file, in order. Never raises, whatever the text is.

    `path` is where it is on disk, `shown` how a person knows it; the file itself isn't read. `others`: is there the
    same file for other hardware beside it? None: the disk is asked.
    """
    return check_items(read(text, path or shown or "", kind), text, kind, path, shown, codes, targets, others)


def check_items(
    items: list[Item],
    text: str,
    kind: Kind,
    path: str = "",
    shown: str | None = None,
    codes: frozenset[str] | None = None,
    targets: frozenset[Target] | None = None,
    others: bool | None = None,
) -> tuple[Finding, ...]:
    """Every tie among `items`, which stand in `text`."""
    ctx = FileContext(path, path if shown is None else shown, kind, text, items, targets, others)
    for rule_code, visit in _whole():
        if codes is None or rule_code in codes:
            visit(ctx)
    visits = _visits()
    for item in items:
        for rule_code, look in visits.get(type(item).__name__, ()):
            if item in ctx.claimed:
                break
            if codes is None or rule_code in codes:
                look(item, ctx)
    return tuple(sorted(ctx.findings, key=lambda f: (f.start, f.end, f.code)))


@cache
def _visits() -> dict[str, tuple[tuple[str, _Visit], ...]]:
    """By the name of an item's class: the methods that look at it, those of rules that go first first."""
    found: dict[str, list[tuple[str, _Visit]]] = {}
    for rule in sorted(file_rules(), key=lambda r: (r.priority, r.code)):
        for name, method in rule.handlers().items():
            found.setdefault(name, []).append((rule.code, getattr(rule, method)))
    return {name: tuple(methods) for name, methods in found.items()}


@cache
def _whole() -> tuple[tuple[str, Callable[[FileContext], None]], ...]:
    """The rules that look at a file as a whole."""
    return tuple((rule.code, rule.look) for rule in file_rules())
