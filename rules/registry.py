"""The catalogue: every rule of the package, found by walking its modules."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from uncuda.rules.base import FileRule, Rule

# Modules of the package that hold no rules.
_NO_RULES = frozenset({"base", "registry", "catalogue", "knowledge"})
_NOT_WALKED = "housekeeping"
_AROUND = "around"


@cache
def all_rules() -> tuple[Rule, ...]:
    """One instance of every rule that looks for ties in Python, by code."""
    import uncuda.rules as package

    found: list[Rule] = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in (*_NO_RULES, _NOT_WALKED, _AROUND) and not module.name.startswith("_"):
            found.extend(_rules_of(module.name))
    return tuple(sorted(found, key=lambda r: r.code))


@cache
def housekeeping_rules() -> tuple[Rule, ...]:
    """One instance of every rule about files and comments, which the walk doesn't run."""
    return tuple(_rules_of(_NOT_WALKED))


@cache
def file_rules() -> tuple[FileRule, ...]:
    """One instance of every rule that looks for ties in files around the code, by code."""
    import uncuda.rules.around as package

    found: list[FileRule] = []
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            found.extend(r for r in _rules_of(f"{_AROUND}.{module.name}") if isinstance(r, FileRule))
    return tuple(sorted(found, key=lambda r: r.code))


def _rules_of(module: str) -> list[Rule]:
    loaded = importlib.import_module(f"uncuda.rules.{module}")
    return [
        item()
        for item in vars(loaded).values()
        if isinstance(item, type)
        and issubclass(item, Rule)
        and item.__module__ == loaded.__name__
        and "code" in vars(item)
    ]


@cache
def by_code() -> dict[str, Rule]:
    """Every rule by code."""
    return {rule.code: rule for rule in (*housekeeping_rules(), *all_rules(), *file_rules())}
