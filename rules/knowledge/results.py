"""What calls of the classes and functions of well-known libraries give: a tensor, several of them, or a module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from uncuda.rules.knowledge._data import table

FOLDER = "results"
"""One table a library, so that only those are read that a program imports."""


@dataclass(frozen=True)
class Results:
    """One library's table. Its names hold wherever in the library they are imported from: all definitions agree.

    `classes` tells what their objects are, `functions` what a call gives (also `Class.method`), `makers` which class
    methods give an object of their class, with the classes for which that isn't so. `makers_only` are never made
    themselves: an annotation with one means what its class methods give.
    """

    classes: Mapping[str, str]
    functions: Mapping[str, str]
    makers: Mapping[str, frozenset[str]]
    makers_only: Mapping[str, str]

    def of_class(self, name: str) -> str | None:
        """What an object of the class with this full name is, or what an annotation with it means."""
        last = name.rpartition(".")[2]
        return self.classes.get(last) or self.makers_only.get(last)

    def of_call(self, name: str) -> str | None:
        """What a call of the class, function or class method with this full name gives."""
        above, _, last = name.rpartition(".")
        owner = above.rpartition(".")[2]
        if owner[:1].isupper():
            told = self.classes.get(owner) if owner not in self.makers.get(last, {owner}) else None
            return told or self.functions.get(f"{owner}.{last}")
        return self.classes.get(last) or self.functions.get(last)


@cache
def libraries() -> frozenset[str]:
    """The import names of the libraries that have a table."""
    folder = Path(__file__).with_name(FOLDER)
    return frozenset(item.name.removesuffix(".json") for item in folder.iterdir() if item.suffix == ".json")


@cache
def results(name: str) -> Results | None:
    """The table of a library, by its import name; None where it has none."""
    if name not in libraries():
        return None
    content = table(f"{FOLDER}/{name}.json")
    by_convention = _words(content.get("by_convention", {}))
    return Results(
        _words(content["classes"]),
        {
            **_words(content["functions"]),
            **by_convention,
            **{each: row["gives"] for each, row in content.get("by_hand", {}).items()},
        },
        {
            **{method: frozenset(" ".join(lines).split()) for method, lines in content["makers"].items()},
            **dict.fromkeys(content.get("makers_by_hand", {}), frozenset()),
        },
        {each.partition(".")[0]: gives for each, gives in by_convention.items()},
    )


def _words(row: Mapping[str, Any]) -> Mapping[str, str]:
    """Lines of words by what they give, as a mapping from each word to that."""
    return {word: gives for gives, lines in row.items() for line in lines for word in line.split()}
