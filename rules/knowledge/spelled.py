"""What else falls under an entry of the API tables: names, and the texts that arguments take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from types import MappingProxyType

from uncuda.rules.knowledge._data import table

_FILES = ("frameworks.json", "torch_api.json")


@dataclass(frozen=True)
class Spelled:
    """What is told as one entry: `names`, where one of `arguments` takes one of its texts, if there are any; or any
    call of `packages` that has such an argument."""

    names: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def texts(self) -> frozenset[str]:
        """What any of the arguments may be."""
        return frozenset(text for texts in self.arguments.values() for text in texts)

    def takes(self, argument: str, text: str) -> bool:
        """Is `text` one of those that tie `argument`?"""
        return any(fnmatchcase(text, pattern) for pattern in self.arguments.get(argument, ()))


@cache
def spelled(symbol: str) -> Spelled:
    """What falls under the entry `symbol`."""
    entry = next(table(file)["apis"][symbol] for file in _FILES if symbol in table(file)["apis"])
    row = entry.get("spelled", {})
    arguments = {name: tuple(texts) for name, texts in row.get("arguments", {}).items()}
    return Spelled(tuple(row.get("names", ())), tuple(row.get("packages", ())), MappingProxyType(arguments))


@cache
def test_decorators() -> Mapping[str, Mapping[str, str]]:
    """Decorators that skip a test without CUDA; for each, by library, the one that takes any accelerator."""
    rows = table("frameworks.json")["test_decorators"]
    return MappingProxyType({name: row.get("instead", {}) for name, row in rows.items()})
