"""What ties a project to CUDA in the files around its code: packages by their names, images, options, sources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from uncuda.findings import Outcomes
from uncuda.rules.knowledge._data import spread, table
from uncuda.rules.knowledge.packages import distribution as packaged
from uncuda.rules.knowledge.packages import normal, package

FILE = "around.json"


@dataclass(frozen=True)
class Fact:
    """What becomes of something on each target. `symbol` is its key, or the name of a package."""

    symbol: str
    outcomes: Outcomes = field(hash=False)
    instead: str
    effort: int
    note: str
    source: str
    evidence: str
    checked: str
    partly: bool = False
    """Of a package: does it run on some devices?"""
    names: tuple[str, ...] = ()
    """Programs or packages that fall under it."""
    patterns: tuple[str, ...] = ()
    """The same by regular expressions, without regard to case."""

    def covers(self, name: str) -> bool:
        """Does `name` fall under it?"""
        return name in self.names or any(re.search(pattern, name, re.I) for pattern in self.patterns)


def _fact(symbol: str, row: Mapping[str, Any]) -> Fact:
    return Fact(
        symbol=symbol,
        outcomes=spread(row["outcomes"]),
        instead=row.get("instead", ""),
        effort=row.get("effort", 1),
        note=row.get("note", ""),
        source=row["source"],
        evidence=row["evidence"],
        checked=table(FILE)["checked"],
        names=tuple(row.get("names", ())),
        patterns=tuple(row.get("patterns", ())),
    )


@cache
def around_facts() -> Mapping[str, Fact]:
    """Every fact that isn't about one package, by its key."""
    return MappingProxyType({key: _fact(key, row) for key, row in table(FILE)["facts"].items()})


@cache
def around(symbol: str) -> Fact | None:
    """The fact of a key, or of the name of a distribution that the table lists; None for anything else."""
    found = around_facts().get(symbol)
    return found if found is not None else required(symbol)


@cache
def _patterns(*keys: str) -> re.Pattern[str]:
    """One pattern for the names with `*` below the keys of the table."""
    node: Any = table(FILE)
    for key in keys:
        node = node[key]
    return re.compile("|".join(f"(?:{re.escape(name).replace(re.escape('*'), '.*')})" for name in node))


@cache
def required(name: str) -> Fact | None:
    """What a requirement of the distribution `name` does, if it is one that ties to CUDA."""
    key = normal(name)
    rows = table(FILE)["distributions"]
    row = rows.get(key)
    if row is None and _patterns("distributions").fullmatch(key):
        row = next(rows[p] for p in rows if _one(p).fullmatch(key))
    if row is not None:
        if not row["tie"]:
            return None
        if "outcomes" in row:
            return _fact(key, row)
        owner = package(row["package"])
        assert owner is not None, f"{row['package']} is in the packages table"
    else:
        owner = packaged(key)
        if owner is None or owner.importing != "tie" or "requirement" not in owner.detect:
            return None
    return Fact(
        symbol=owner.import_name,
        outcomes=owner.outcomes,
        instead=owner.alternative.partition("; ")[0],
        effort=owner.effort,
        note=owner.note,
        source=owner.source,
        evidence=owner.evidence,
        checked=owner.checked,
        partly=owner.cuda_only != "yes",
    )


@cache
def _one(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(re.escape("*"), ".*"))


def is_library(name: str) -> bool:
    """Is the distribution `name` a part of CUDA that torch's CUDA build brings by itself?"""
    return _patterns("libraries", "names").fullmatch(normal(name)) is not None


def is_conda_library(name: str) -> bool:
    """Is `name` a package of conda that is a part of CUDA, or selects CUDA builds?"""
    return _patterns("conda", "names").fullmatch(name.lower()) is not None


def other_project(name: str) -> tuple[str, str] | None:
    """What the distribution `name` is on the package index, and what to write instead, where it isn't the project
    that people mean by it."""
    row = table(FILE)["other_projects"]["names"].get(normal(name))
    return None if row is None else (row["is"], row["instead"])


@cache
def is_cuda_image(repository: str, tag: str) -> bool:
    """Is an image built for CUDA? `tag` may be empty, and hold variables."""
    rows = table(FILE)["images"]["names"]
    if not _patterns("images", "names").fullmatch(repository):
        return False
    wanted = [row.get("tag") for name, row in rows.items() if _one(name).fullmatch(repository)]
    return any(pattern is None or re.search(pattern, tag) for pattern in wanted)
