"""Which rules a list of codes, prefixes, names and `ALL` means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ALL = "ALL"


@dataclass(frozen=True)
class Selection:
    """What one settings file, or the command line, says about rules.

    `select` None: what weaker layers selected stays.
    """

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def _weight(selector: str, named: Mapping[str, str]) -> int:
    """How specific: ALL, a prefix by its length, a whole code or a name."""
    if selector == ALL:
        return 0
    if selector in named or selector in named.values():
        return 1000
    return len(selector)


def _hit(selector: str, code: str, named: Mapping[str, str]) -> bool:
    if selector == ALL:
        return True
    return named.get(selector) == code if selector in named else code.startswith(selector)


def _updates(
    wanted: Iterable[str], unwanted: Iterable[str], codes: Sequence[str], named: Mapping[str, str]
) -> dict[str, bool]:
    """By code: is it wanted? The more specific selector decides; at a tie, the unwanted one."""
    ordered = [(_weight(s, named), 0, s) for s in wanted] + [(_weight(s, named), 1, s) for s in unwanted]
    out: dict[str, bool] = {}
    for _, refused, selector in sorted(ordered):
        for code in codes:
            if _hit(selector, code, named):
                out[code] = not refused
    return out


def _split(rules: Iterable[tuple[str, str]]) -> tuple[list[str], dict[str, str]]:
    pairs = list(rules)
    return [code for code, _ in pairs], {name: code for code, name in pairs}


def chosen(layers: Sequence[Selection], rules: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The codes that layers of choices (weakest first) leave, of `rules` (pairs of code and name).

    Within a layer the more specific entry wins (UC101 over UC1 over ALL), and ignoring over selecting where
    they are alike. A layer with a `select` starts afresh.
    """
    codes, named = _split(rules)
    out: set[str] = set()
    for layer in layers:
        updates = _updates((*(layer.select or ()), *layer.extend_select), layer.ignore, codes, named)
        if layer.select is not None:
            out = set()
        for code, wanted in updates.items():
            (out.add if wanted else out.discard)(code)
    return frozenset(out)


def meant(selectors: Iterable[str], rules: Iterable[tuple[str, str]]) -> frozenset[str]:
    """All codes that any of `selectors` means."""
    codes, named = _split(rules)
    return frozenset(code for code in codes for selector in selectors if _hit(selector, code, named))
