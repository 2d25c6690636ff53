"""Makes the tables of `results/` from releases: what classes and functions give that are called (see reading.py)."""

from __future__ import annotations

import json
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uncuda.rules.knowledge.reading import GIVEN, MODULE, Reading, Sources, read, version_of
from uncuda.rules.knowledge.results import FOLDER
from uncuda.rules.knowledge.wheels import Release

LIBRARIES = {
    "diffusers": "diffusers",
    "lightning": "lightning",
    "pytorch_lightning": "pytorch_lightning",
    "segmentation_models_pytorch": "segmentation_models_pytorch",
    "sentence_transformers": "sentence_transformers",
    "timm": "timm",
    "torchvision": "torchvision",
    "transformers": "transformers",
}
"""The libraries that have a table: import name to distribution."""
_FOLLOWED = {
    "huggingface_hub": "huggingface_hub",
    "lightning_fabric": "pytorch_lightning",
    "torch": "torch",
}
"""Packages that their classes derive from, without a table of their own."""
_EXPORTED_ONLY = frozenset({"transformers"})
"""Of these only what they export is listed: the parts of their models are many, and not for others."""
_BY_HAND = ("alike", "makers_by_hand", "makers_of", "by_hand")
"""What a person writes into a table; making it anew keeps it."""
_WIDTH = 100


def releases_in(paths: Iterable[Path]) -> dict[str, list[tuple[str, Release]]]:
    """By package, its releases among those at `paths`, oldest first, with their versions."""
    found: dict[str, list[tuple[str, Release]]] = defaultdict(list)
    for release in map(Release, paths):
        for package, distribution in (LIBRARIES | _FOLLOWED).items():
            if release.has_package(package):
                found[package].append((version_of(release, distribution), release))
    for listed in found.values():
        listed.sort(key=lambda item: [int(n) for n in re.findall(r"\d+", item[0])])
    return found


def made(paths: Iterable[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The library and its table, for each that has a release at `paths`; what a person wrote stays.

    Without torch no class could be followed to its base, so that nothing is made.
    """
    found = releases_in(paths)
    if "torch" not in found:
        return
    newest = {package: listed[-1][1] for package, listed in found.items()}
    old = {library: stored(library) for library in LIBRARIES}
    alike = {name for table in old.values() for name in table.get("alike", {})}
    for library in filter(found.__contains__, LIBRARIES):
        sources = [Sources({**newest, library: release}, alike) for _, release in found[library]]
        content: dict[str, Any] = {
            "library": library,
            "releases": [f"{LIBRARIES[library]} {version}" for version, _ in found[library]],
            "source": f"sources of the releases, read statically; bases in torch {found['torch'][-1][0]}",
        }
        content.update((key, old[library][key]) for key in _BY_HAND if key in old[library])
        readings = [read(each, library) for each in sources]
        content.update(_names(readings, only_exported=library in _EXPORTED_ONLY))
        for method in content.get("makers_by_hand", {}):
            content["makers"].pop(method, None)
        content.update(_by_convention(content.get("makers_of", {}), sources))
        yield library, content


def stored(library: str) -> dict[str, Any]:
    """The table of a library as it is; empty where there is none yet."""
    path = path_of(library)
    return json.loads(path.read_bytes()) if path.is_file() else {}


def path_of(library: str) -> Path:
    """Where the table of a library lies."""
    return Path(__file__).with_name(FOLDER) / f"{library}.json"


def _lines(names: Iterable[str]) -> list[str]:
    return textwrap.wrap(" ".join(sorted(names)), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _by_given(given: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    return {gives: _lines(names) for gives, names in sorted(given.items())}


def _names(readings: Sequence[Reading], *, only_exported: bool) -> dict[str, Any]:
    """The names on which all definitions in all releases agree."""
    told: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for reading in readings:
        for name, kinds in reading.names.items():
            told[name] |= kinds
    exported = {name for reading in readings for name in reading.exported}
    classes: dict[str, list[str]] = defaultdict(list)
    functions: dict[str, list[str]] = defaultdict(list)
    for name, kinds in told.items():
        given = {gives for _, gives in kinds}
        if len(given) > 1 or not given <= GIVEN or (only_exported and name not in exported):
            continue
        where = classes if all(sort == "class" for sort, _ in kinds) else functions
        where[given.pop()].append(name)
    listed = set(classes.get(MODULE, ()))
    makers: dict[str, list[str]] = {}
    for method in sorted({m for reading in readings for m in reading.makers}):
        by_class = [
            item
            for reading in readings
            for item in reading.makers.get(method, {}).items()
            if item[0] in listed
        ]
        # A class that lacks the method needs no line: nobody calls it there.
        not_so = {name for name, gives in by_class if gives != MODULE}
        if by_class and len(not_so) < len({name for name, _ in by_class}) / 2:
            makers[method] = _lines(not_so)
    return {"classes": _by_given(classes), "functions": _by_given(functions), "makers": makers}


def _by_convention(makers: Mapping[str, Any], sources: Sequence[Sources]) -> dict[str, Any]:
    """`Class.method` for all classes that derive from one whose class methods a person has judged."""
    found: dict[str, set[str]] = defaultdict(set)
    for full, row in makers.items():
        for each in sources:
            for name in each.derived(full):
                found[row["gives"]].update(f"{name}.{method}" for method in row["methods"])
    return {"by_convention": _by_given(found)} if found else {}


def refresh_results(paths: Sequence[Path], *, write: bool) -> int:
    """Makes the tables of the libraries at `paths`, prints what changes, and stores them if told to."""
    changed = tables = 0
    for library, content in made(paths):
        tables += 1
        before, after = _rows(stored(library)), _rows(content)
        gone, new = before - after, after - before
        changed += len(gone) + len(new)
        print(
            f"{library}: {', '.join(content['releases'])}: {len(after)} names, {len(new)} new, {len(gone)} gone"
        )
        for name in sorted(gone):
            print(f"  gone: {name}")
        if write:
            path = path_of(library)
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n"
            )
    if not tables:
        print("error: no library and torch among the releases")
        return 2
    return 1 if changed else 0


def _rows(content: Mapping[str, Any]) -> set[str]:
    """Every fact of a table that is made, as a line."""
    return {
        f"{name}: {gives}"
        for part in ("classes", "functions", "by_convention")
        for gives, lines in content.get(part, {}).items()
        for line in lines
        for name in line.split()
    } | {
        f"{method}: not of {' '.join(lines)}" if lines else f"{method}: of every class"
        for method, lines in content.get("makers", {}).items()
    }
