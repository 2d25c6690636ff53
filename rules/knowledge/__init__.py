"""The tables of facts that rules, fixes and `explain` read. See docs/knowledge.md for their shape."""

from __future__ import annotations

from uncuda.rules.knowledge.apis import Api, aliases, apis, canonical, lookup, nearest, outcomes

__all__ = ["Api", "aliases", "apis", "canonical", "lookup", "nearest", "outcomes"]
