"""Measures the API table again: `python -m uncuda.rules.knowledge.refresh [--write] [--wheels PATH… | --results PATH…]`.

Every entry's probe is called with the installed torch, a CPU build. What it does differently from the table
is printed, then the public names of torch.cuda and its kin that the table lacks. `--write` stores the new
answers and versions; outcomes stay for a person to judge. With `--wheels` nothing is called: releases of torch (1.13
and later) and of torch-npu, as wheels or unpacked, are read for what each of them has; with `--results`, releases of
libraries for what calls of their classes and functions give. Exit status: 0 nothing
differs, 1 something does, 2 no measurement.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from uncuda.findings import TorchVersion
from uncuda.rules.knowledge.apis import FILE, apis, lookup
from uncuda.rules.knowledge.floors import floors
from uncuda.rules.knowledge.make_results import refresh_results
from uncuda.rules.knowledge.measure import measure
from uncuda.rules.knowledge.wheels import Release

_PACKAGE = "torch.cuda"
_BACKENDS = ("torch.backends.cuda", "torch.backends.cudnn", "torch.backends.cusparselt")
_CUDA_BUILD = "CUDA build without a GPU"


@dataclass(frozen=True)
class Change:
    """An entry whose probe answers otherwise than the table says."""

    symbol: str
    before: str
    after: str

    @property
    def touches_outcomes(self) -> bool:
        """Does it raise now where it didn't, or the other way round?"""
        return kind(self.before).startswith("raises") != kind(self.after).startswith("raises")


def kind(answer: str) -> str:
    """`noop`, `returns` or `raises:EXCEPTION`: the answer without the value and the warnings."""
    answer = answer.partition(";warns:")[0]
    return "returns" if answer.startswith("returns:") else answer


def compare(answers: Mapping[str, str]) -> list[Change]:
    """Entries for which `answers` (probe to answer) differ from the table."""
    return [
        Change(symbol, api.on_cpu or "", answers[api.probe])
        for symbol, api in apis().items()
        if api.probe is not None and answers[api.probe] != api.on_cpu
    ]


def public_names() -> Iterator[str]:
    """The public names of torch.cuda, its sub-modules and its backends in the installed torch."""
    package = importlib.import_module(_PACKAGE)
    below = [m.name for m in pkgutil.walk_packages(package.__path__, f"{_PACKAGE}.")]
    for name in [_PACKAGE, *below, *_BACKENDS]:
        if not any(part.startswith("_") for part in name.split(".")):
            yield from (f"{name}.{member}" for member in _members(importlib.import_module(name)))


def _members(module: ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return [str(name) for name in listed]
    # torch swaps some modules for an object with properties, which keeps the real module as `m`.
    inner = getattr(module, "m", module)
    found = [n for n, value in vars(inner).items() if getattr(value, "__module__", None) == module.__name__]
    if type(module) is not ModuleType:
        found += [n for n in vars(type(module)) if n not in found]
    return [name for name in found if not name.startswith("_") and not _is_class_of(inner, name, module)]


def _is_class_of(inner: ModuleType, name: str, module: ModuleType) -> bool:
    """Is `name` only the class that the swapped module is made from?"""
    return getattr(inner, name, None) is type(module)


def missing_names() -> list[str]:
    """Public names for which the table has neither entry nor alias."""
    return [name for name in dict.fromkeys(public_names()) if lookup(name) is None]


# -- what releases have ------------------------------------------------------------------------------------

_NAMESAKES = {
    "npu": ("torch_npu", "torch_npu.npu"),
    "xpu": ("torch", "torch.xpu"),
    "mps": ("torch", "torch.mps"),
}
"""By device: the package whose wheel has its functions, and the module they lie in."""


def is_name(symbol: str) -> bool:
    """Is a key of the table a dotted name of torch, not an argument or an idiom?"""
    return symbol.startswith("torch.") and all(part.isidentifier() for part in symbol.split("."))


def history(releases: Sequence[Release]) -> dict[str, dict[str, list[int]]]:
    """For each listed name: `since`, `deprecated` and `removed`, as far as `releases`, oldest first, show them.

    What the oldest has, has no `since`; what none has (what torch makes at run time) has nothing.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for symbol in filter(is_name, apis()):
        seen = [(release.version, release.find(symbol)) for release in releases]
        there = [index for index, (_, it) in enumerate(seen) if it is not None]
        row: dict[str, list[int]] = {}
        if there and there[0]:
            row["since"] = list(seen[there[0]][0])
        warned = [version for version, it in seen if it is not None and it.deprecated]
        if warned:
            row["deprecated"] = list(warned[0])
        if there and there[-1] + 1 < len(seen):
            row["removed"] = list(seen[there[-1] + 1][0])
        found[symbol] = row
    return found


def namesakes(torch: Release, plugins: Sequence[Release]) -> dict[str, dict[str, str]]:
    """For each listed name of torch.cuda: the devices whose module has a public one of the same name."""
    found: dict[str, dict[str, str]] = {}
    for symbol in filter(is_name, apis()):
        name = symbol.removeprefix(f"{_PACKAGE}.")
        if name == symbol or apis()[symbol].kind == "module":
            continue
        for device, (package, module) in _NAMESAKES.items():
            for release in (torch, *plugins):
                counterpart = release.find(f"{module}.{name}") if release.has_package(package) else None
                # What a class has from C can't be read.
                if counterpart is not None and (counterpart.node is not None or name.isidentifier()):
                    found.setdefault(symbol, {})[device] = name
    return found


def _torches(paths: Sequence[Path]) -> list[Release]:
    """The releases of torch among those at `paths`, oldest first."""
    found = (release for release in map(Release, paths) if release.has_package("torch"))
    return sorted(found, key=lambda release: release.version)


def with_history(content: Mapping[str, Any], paths: Sequence[Path]) -> dict[str, Any]:
    """The table with what the releases at `paths` show. A counterpart that isn't found stays: it may be C's."""
    torches = _torches(paths)
    plugins = [release for release in map(Release, paths) if not release.has_package("torch")]
    dated = history(torches) if len(torches) > 1 else {}
    alike = namesakes(torches[-1], plugins) if torches else {}
    rows: dict[str, Any] = {}
    for symbol, row in content["apis"].items():
        row = dict(row)
        if symbol in dated:
            for key in ("since", "deprecated", "removed"):
                row.pop(key, None)
            row.update(dated[symbol])
        if symbol in alike:
            row["same_name"] = {**row.get("same_name", {}), **alike[symbol]}
        rows[symbol] = row
    return {**content, "apis": rows}


def moved_floors(releases: Sequence[Release]) -> Iterator[str]:
    """Names of torch among the floors that came with another release than the table says. One that the oldest has may
    be older still."""
    oldest = releases[0].version
    for name, listed in filter(lambda row: is_name(row[0]), floors().items()):
        found = next((release.version for release in releases if release.find(name) is not None), None)
        if found != listed and not (found == oldest and listed < oldest):
            yield f"floor of {name}: {_dotted(listed)} -> {'in none' if found is None else _dotted(found)}"


def _dotted(version: TorchVersion) -> str:
    return f"{version[0]}.{version[1]}"


def late_replacements(releases: Sequence[Release]) -> Iterator[str]:
    """Entries whose replacement, or its guard, names what the floor they are listed with doesn't have yet."""
    oldest = releases[0].version
    for api in apis().values():
        for name in re.findall(r"torch(?:\.[A-Za-z_]\w*)+", f"{api.replacement or ''} {api.guard or ''}"):
            first = next((release.version for release in releases if release.find(name) is not None), oldest)
            if first > max(api.min_torch or oldest, oldest):
                yield f"{api.symbol}: {name} is new in torch {_dotted(first)}"


def _read_wheels(paths: Sequence[Path], *, write: bool) -> int:
    path = Path(__file__).with_name(FILE)
    content = json.loads(path.read_bytes())
    new = with_history(content, paths)
    changed = 0
    for symbol, row in new["apis"].items():
        before = content["apis"][symbol]
        for key in ("since", "deprecated", "removed", "same_name"):
            if row.get(key) != before.get(key):
                changed += 1
                print(f"{symbol}: {key} {before.get(key)} -> {row.get(key)}")
    torches = _torches(paths)
    for text in (*moved_floors(torches), *late_replacements(torches)) if len(torches) > 1 else ():
        changed += 1
        print(text)
    print(f"{len(paths)} releases read, {changed} changes")
    if write:
        path.write_text(dump(new), encoding="utf-8", newline="\n")
    return 1 if changed else 0


# -- the table as text -------------------------------------------------------------------------------------


def dump(content: Mapping[str, Any]) -> str:
    """The text of a table: one entry a line, in the order of the alphabet."""
    parts = []
    for key, value in content.items():
        if isinstance(value, dict):
            rows = ",\n".join(f"  {_json(name)}: {_json(value[name])}" for name in sorted(value))
            parts.append(f" {_json(key)}: {{\n{rows}\n }}")
        else:
            parts.append(f" {_json(key)}: {_json(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def updated(content: Mapping[str, Any], answers: Mapping[str, str], version: str) -> dict[str, Any]:
    """The table with `answers` of torch `version` stored, and their source named."""
    rows: dict[str, Any] = {}
    for symbol, row in content["apis"].items():
        if "probe" in row:
            row = {**row, "on_cpu": answers[row["probe"]], "torch": version}
            row["source"] = f"measured: torch {version}, CPU build"
            if "on_cuda_without_gpu" in row:
                # That column was measured on another machine: it keeps the version it was measured with.
                cuda = row.pop("torch_cuda_build", None) or content["apis"][symbol].get("torch", version)
                if cuda == version:
                    row["source"] += f" and {_CUDA_BUILD}"
                else:
                    row["source"] += f"; torch {cuda}, {_CUDA_BUILD}"
                    row["torch_cuda_build"] = cuda
        rows[symbol] = row
    return {**content, "torch": version, "apis": rows}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; see the module's own text for what it prints and returns."""
    parser = argparse.ArgumentParser(prog="python -m uncuda.rules.knowledge.refresh", description=__doc__)
    parser.add_argument("--write", action="store_true", help="store the new answers in the table")
    parser.add_argument(
        "--wheels", nargs="+", type=Path, metavar="PATH", help="read releases instead of measuring"
    )
    parser.add_argument(
        "--results",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="make the tables of what libraries give from these",
    )
    options = parser.parse_args(arguments)
    if options.results:
        return refresh_results(options.results, write=options.write)
    if options.wheels:
        return _read_wheels(options.wheels, write=options.write)
    try:
        import torch
    except ImportError:
        print("error: torch isn't installed", file=sys.stderr)
        return 2
    if torch.version.cuda is not None or torch.version.hip is not None:
        print("error: the table holds what a CPU build does; this torch has CUDA or ROCm", file=sys.stderr)
        return 2
    version = str(torch.__version__).partition("+")[0]
    try:
        answers = measure(api.probe for api in apis().values() if api.probe is not None)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    changes = compare(answers)
    for change in changes:
        mark = "  <- look at its outcomes" if change.touches_outcomes else ""
        print(f"{change.symbol}: {change.before} -> {change.after}{mark}")
    missing = missing_names()
    for name in missing:
        print(f"{name}: not in the table")
    print(f"torch {version}: {len(answers)} probes, {len(changes)} changed, {len(missing)} names missing")
    if options.write:
        path = Path(__file__).with_name(FILE)
        content = json.loads(path.read_bytes())
        path.write_text(dump(updated(content, answers, version)), encoding="utf-8", newline="\n")
    return 1 if changes or missing else 0


if __name__ == "__main__":
    sys.exit(main())
