"""Measures the API table again: `python -m uncuda.rules.knowledge.refresh [--write]`.

Every entry's probe is called with the installed torch, a CPU build. What it does differently from the table
is printed, then the public names of torch.cuda and its kin that the table lacks. `--write` stores the new
answers and versions; outcomes stay for a person to judge. Exit status: 0 nothing differs, 1 something does,
2 no measurement.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from uncuda.rules.knowledge.apis import FILE, apis, lookup
from uncuda.rules.knowledge.measure import measure

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
    options = parser.parse_args(arguments)
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
