"""What a rule sees of a file around the code, and how it reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from uncuda.around.items import Item
from uncuda.around.kinds import Kind
from uncuda.around.variants import has_others, is_for_cuda
from uncuda.findings import Category, Finding, Outcomes, Target
from uncuda.rules._outcomes import softened

if TYPE_CHECKING:
    from uncuda.rules.base import Rule

_Item = TypeVar("_Item", bound=Item)


@dataclass
class FileContext:
    """One file. `path` is that on disk (empty where there is none), `shown` the part of it that a person sees."""

    path: str
    shown: str
    kind: Kind
    text: str
    items: list[Item]
    targets: frozenset[Target] | None = None
    others: bool | None = None
    """Is there the same file for other hardware beside it? None: the disk is asked."""
    findings: list[Finding] = field(default_factory=list)
    claimed: set[Item] = field(default_factory=set)

    def every(self, kind: type[_Item]) -> Iterator[_Item]:
        """The items of a kind that no rule has reported."""
        return (item for item in self.items if isinstance(item, kind) and item not in self.claimed)

    @cached_property
    def is_variant(self) -> bool:
        """Is the file one of several, of which each is for other hardware?"""
        if self.kind is Kind.NATIVE:
            return False
        if is_for_cuda(self.shown):
            return True
        return self.others if self.others is not None else bool(self.path) and has_others(self.path)

    def report(
        self,
        rule: Rule,
        item: Item,
        message: str,
        *,
        symbol: str,
        outcomes: Outcomes,
        effort: int | None = None,
        category: Category | None = None,
        handled: bool = False,
    ) -> None:
        """Reports a tie at an item. Where the program can do without, or the file is one of several for different
        hardware, the outcomes are softened."""
        self.claimed.add(item)
        soft = handled or item.handled or self.is_variant
        finding = Finding(
            code=rule.code,
            name=rule.name,
            message=message,
            start=item.start,
            end=max(item.end, item.start),
            symbol=symbol,
            category=Category.POTENTIAL if soft else category or rule.category,
            effort=rule.effort if effort is None else effort,
            outcomes=softened(outcomes) if soft else dict(outcomes),
        )
        # What is told at one place by one rule is told once.
        if all((f.start, f.end, f.code) != (finding.start, finding.end, finding.code) for f in self.findings):
            self.findings.append(finding)

    def claim(self, item: Item) -> None:
        """No rule that comes later reports the item."""
        self.claimed.add(item)
