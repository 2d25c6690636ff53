"""Which packages tie a program to CUDA, and what there is instead on each target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from uncuda.findings import Outcomes, Target
from uncuda.rules.knowledge._data import REST, optional_text, spread, table

FILE = "packages.json"
_REWRITE = 3
"""The effort, in story points, from which on a package isn't just left out."""
_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True)
class Support:
    """How a package stands on one target.

    `status` is native (the same package), drop-in (`name` serves instead of it or beside it), fork (`name`
    has to be built from source or patched in), fallback (runs, on a slower path or on the CPU), none (none
    known), partly or unknown. `same_import` tells of a drop-in whether it answers to the same import name
    (None: not known, or it is no drop-in).
    """

    status: str
    name: str | None = None
    same_import: bool | None = None


@dataclass(frozen=True)
class Package:
    """One entry of the package table.

    `import_name` may be dotted (`numba.cuda`). `pypi` are distribution names that provide it; `pypi_note`
    warns of names that belong to another project or to a stale upload. `importing` says what an import alone is:
    a `tie`; `maybe` one (it works on the CPU or through a plug-in, and lacks kernels elsewhere); nothing, where the
    tie is an `argument` of a call, the package is `portable`, or another `vendor`'s. `effort` is story
    points (1, 3, 7, 13). `detect` says where it shows: import, requirement, string. `evidence` is A (read in a
    source), B (documentation or package page), C (experience).
    """

    import_name: str
    pypi: tuple[str, ...]
    pypi_note: str | None
    category: str
    cuda_only: str
    importing: str
    support: Mapping[Target, Support] = field(hash=False)
    outcomes: Outcomes = field(hash=False)
    alternative: str
    effort: int
    detect: tuple[str, ...]
    note: str
    source: str
    evidence: str
    checked: str

    @property
    def is_cuda_runtime(self) -> bool:
        """Does it run programs, or serve them, on CUDA and nowhere else, so that what uses it is written anew elsewhere?"""
        runs = self.category in ("runtime", "serving") and self.effort >= _REWRITE
        return runs and self.cuda_only == "yes" and self.importing == "tie"

    @property
    def dotted(self) -> bool:
        """Is it part of a package that is otherwise portable?"""
        return "." in self.import_name


def _support(row: str | Mapping[str, Any]) -> Support:
    if isinstance(row, str):
        return Support(row)
    return Support(row["status"], optional_text(row.get("name")), row.get("same_import"))


@cache
def _package(name: str) -> Package:
    content = table(FILE)
    row = content["packages"][name]
    status = row["status"]
    rest = status.get(REST, "unknown")
    return Package(
        import_name=name,
        pypi=tuple(row.get("pypi", ())),
        pypi_note=optional_text(row.get("pypi_note")),
        category=row["category"],
        cuda_only=row["cuda_only"],
        importing=row["importing"],
        support=MappingProxyType({t: _support(status.get(t.value, rest)) for t in Target}),
        outcomes=spread(row["outcomes"]),
        alternative=row["alternative"],
        effort=row["effort"],
        detect=tuple(row["detect"]),
        note=row.get("note", ""),
        source=row["source"],
        evidence=row["evidence"],
        checked=content["checked"],
    )


def package(import_name: str) -> Package | None:
    """The entry of an imported name: of itself, else of its longest dotted prefix that is listed
    (`flash_attn.layers.rotary` is `flash_attn`, `numba` is nothing). None when there is none.
    """
    content = table(FILE)
    name = import_name
    while name:
        found = content["aliases"].get(name, name)
        if found in content["packages"]:
            return _package(found)
        name = name.rpartition(".")[0]
    return None


@cache
def _distributions() -> Mapping[str, str]:
    owners: dict[str, str] = {}
    for name, row in table(FILE)["packages"].items():
        for distribution in row.get("pypi", ()):
            if distribution != "torch":
                owners.setdefault(normal(distribution), name)
    return MappingProxyType(owners)


def normal(distribution: str) -> str:
    """The name of a distribution in the spelling that all spellings of it share."""
    return _SEPARATORS.sub("-", distribution).lower()


def distribution(name: str) -> Package | None:
    """The entry that the distribution `name` (as a requirement writes it, without version) provides."""
    owner = _distributions().get(normal(name))
    return None if owner is None else _package(owner)


@cache
def packages() -> Mapping[str, Package]:
    """Every entry by its import name, without aliases."""
    return MappingProxyType({name: _package(name) for name in table(FILE)["packages"]})


def package_imports() -> Mapping[str, str]:
    """What an import of each listed package is, without making its entry."""
    return {name: row["importing"] for name, row in table(FILE)["packages"].items()}


@cache
def kernel_makers(kind: str) -> Mapping[str, str]:
    """The `decorators` or the `calls` that make a kernel, each with the package whose compiler they go to."""
    rows = table(FILE)["packages"].items()
    makers = {name: owner for owner, row in rows for name in row.get("kernels", {}).get(kind, ())}
    return MappingProxyType(makers)


@cache
def own_device_names() -> Mapping[str, tuple[str, ...]]:
    """Libraries whose device arguments take names of their own, and no other of torch's: each with those names."""
    rows = table(FILE)["packages"].items()
    return MappingProxyType({name: tuple(r["device_names"]) for name, r in rows if "device_names" in r})


def package_aliases() -> Mapping[str, str]:
    """Other import names that stand for a listed one."""
    return MappingProxyType(table(FILE)["aliases"])
