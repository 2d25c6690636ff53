"""A rule's page, made from the rule itself: for `uncuda explain` and for SARIF's help texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from uncuda.results import dotted
from uncuda.rules.base import Bad, Rule


@dataclass(frozen=True, slots=True)
class Page:
    """What there is to say about a rule."""

    code: str
    name: str
    summary: str
    text: str
    """The reason, in plain text."""
    markdown: str
    """The whole page."""


@cache
def pages() -> dict[str, Page]:
    """Every rule's page by code."""
    from uncuda.rules.registry import by_code

    return {code: _page(rule) for code, rule in sorted(by_code().items())}


def page(code: str) -> Page | None:
    """The page of a rule, None for an unknown code."""
    return pages().get(code)


def _fenced(code: str, language: str = "python") -> str:
    longest = 3
    while "`" * longest in code:
        longest += 1
    fence = "`" * longest
    return f"{fence}{language}\n{code.rstrip()}\n{fence}\n"


def _example(bad: Bad) -> str:
    out = _fenced(bad.code)
    if bad.fixed is not None:
        out += f"\nbecomes ({bad.applicability.value} fix, torch >= {dotted(bad.floor)}):\n\n{_fenced(bad.fixed)}"
    return out


def _page(rule: Rule) -> Page:
    why = rule.why()
    parts = [
        f"# {rule.code} {rule.name}\n",
        f"{why}\n",
        f"Category: {rule.category.value}. Effort by hand: {rule.effort} story points. "
        f"Fix: {rule.fixability()}.\n",
    ]
    if rule.bad:
        parts.append("## Reported\n")
        parts += [_example(bad) for bad in rule.bad[:2]]
    if rule.good:
        parts.append("## Left alone\n")
        for good in rule.good[:2]:
            parts.append((f"{good.why}\n\n" if good.why else "") + _fenced(good.code))
    if rule.fix_safety:
        parts.append(f"## Fix safety\n\n{rule.fix_safety}\n")
    if rule.sources:
        parts.append("## Sources\n\n" + "".join(f"- {source}\n" for source in rule.sources))
    return Page(rule.code, rule.name, rule.summary(), why, "\n".join(parts))
