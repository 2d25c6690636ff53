"""The tables of facts that rules, fixes and `explain` read. See docs/knowledge.md for their shape."""

from __future__ import annotations

from uncuda.rules.knowledge.apis import Api, aliases, apis, canonical, frameworks, lookup, nearest, outcomes
from uncuda.rules.knowledge.packages import (
    Package,
    Support,
    distribution,
    package,
    package_aliases,
    packages,
)
from uncuda.rules.knowledge.targets import Autoload, TargetFacts, target

__all__ = [
    "Api",
    "Autoload",
    "Package",
    "Support",
    "TargetFacts",
    "aliases",
    "apis",
    "canonical",
    "distribution",
    "frameworks",
    "lookup",
    "nearest",
    "outcomes",
    "package",
    "package_aliases",
    "packages",
    "target",
]
