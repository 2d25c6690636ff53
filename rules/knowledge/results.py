"""What calls of the classes and functions of well-known libraries give: tensors, modules, or several of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from uncuda.rules.knowledge._data import table

FOLDER = "libraries"
"""One table a library, so that only those are read that a program imports."""
_MANY = 99
ANY_DEPTH = ".*"
"""Ends the name of a section whose names hold wherever in the library they are imported from."""


@dataclass(frozen=True)
class Hand:
    """A row by hand: what a call gives, with at least and at most so many arguments, at most so many of them without a
    keyword, and with none that is named in `unless`."""

    gives: str
    fewest: int
    most: int
    positional: int
    unless: frozenset[str]


@dataclass(frozen=True)
class Section:
    """The names of a library, or of a module of it.

    `classes` tells what their objects are, `functions` what a call gives (also `Class.method`), `makers` which class
    methods give an object of their class, with the classes for which that isn't so.
    """

    classes: Mapping[str, str]
    functions: Mapping[str, str]
    makers: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Results:
    """One library's table. `methods`: of an object of this kind, what a method of that name gives; `unless`: arguments
    with which a call gives something else."""

    sections: Mapping[str, Section]
    by_hand: Mapping[str, Hand]
    methods: Mapping[str, Mapping[str, str]]
    unless: frozenset[str]


@cache
def libraries() -> frozenset[str]:
    """The import names of the libraries that have a table."""
    folder = Path(__file__).with_name(FOLDER)
    return frozenset(item.name.removesuffix(".json") for item in folder.iterdir())


@cache
def results(library: str) -> Results | None:
    """The table of a library, by its import name."""
    if library not in libraries():
        return None
    content = table(f"{FOLDER}/{library}.json")
    return Results(
        {name: _section(row) for name, row in content.get("sections", {}).items()},
        {name: _hand(row) for name, row in content.get("by_hand", {}).items()},
        {kind: _words(row) for kind, row in content.get("methods", {}).items()},
        frozenset(content.get("unless", ())),
    )


def _section(row: Mapping[str, Any]) -> Section:
    return Section(
        _words(row.get("classes", {})),
        {**_words(row.get("functions", {})), **_words(row.get("by_convention", {}))},
        {method: frozenset(" ".join(lines).split()) for method, lines in row.get("makers", {}).items()},
    )


def _words(row: Mapping[str, list[str]]) -> Mapping[str, str]:
    """Lines of words by what they give, as a mapping from each word to that."""
    return {word: gives for gives, lines in row.items() for line in lines for word in line.split()}


def _hand(row: Mapping[str, Any]) -> Hand:
    fewest, most = row.get("arguments", (0, _MANY))
    return Hand(row["gives"], fewest, most, row.get("positional", _MANY), frozenset(row.get("unless", ())))
