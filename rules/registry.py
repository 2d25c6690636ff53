"""The catalogue: every rule of the package, found by walking its modules."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from uncuda.rules.base import Rule

# Modules of the package that hold no rules.
_NO_RULES = frozenset({"base", "registry", "catalogue", "docs", "knowledge"})


@cache
def all_rules() -> tuple[Rule, ...]:
    """One instance of every rule, by code."""
    import uncuda.rules as package

    found: list[Rule] = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name in _NO_RULES or module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"uncuda.rules.{module.name}")
        for item in vars(loaded).values():
            if isinstance(item, type) and issubclass(item, Rule) and item.__module__ == loaded.__name__:
                if "code" in vars(item):
                    found.append(item())
    return tuple(sorted(found, key=lambda r: r.code))


@cache
def by_code() -> dict[str, Rule]:
    """Rules by code."""
    return {rule.code: rule for rule in all_rules()}
