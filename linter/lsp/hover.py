"""What is shown when the pointer rests on a tie, or on any name of torch.cuda."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping

from uncuda.findings import Outcome, Target
from uncuda.results import Placed
from uncuda.rules.knowledge import Api, Package, lookup, package

_NAME = re.compile(r"[A-Za-z_][\w.]*")
_FAMILIES = ("torch.cuda", "torch.backends.cuda", "torch.backends.cudnn", "torch.version")


def of_finding(placed: Placed, targets: frozenset[Target] | None) -> str:
    """A finding's outcome table and what to write instead, as Markdown."""
    finding = placed.finding
    parts = [f"**{finding.code} {finding.name}**  \n{finding.message}"]
    if finding.outcomes:
        parts.append(_table(finding.outcomes, targets))
    api = lookup(finding.symbol)
    if api is not None and api.replacement:
        parts.append(_replacement(api))
    if placed.fix is not None:
        parts.append(f"Fix ({placed.fix.applicability.value}): {placed.fix.title}")
    return "\n\n".join(parts)


def of_name(text: str, offset: int, targets: frozenset[Target] | None) -> tuple[str, int, int] | None:
    """What is known of the dotted name at `offset`, as Markdown, with the characters it stands at."""
    line_start = text.rfind("\n", 0, offset) + 1
    line_end = text.find("\n", offset)
    line = text[line_start : len(text) if line_end < 0 else line_end]
    column = offset - line_start
    for found in _NAME.finditer(line):
        if not found.start() <= column <= found.end():
            continue
        stop = line.find(".", column)
        end = found.end() if stop < 0 or stop > found.end() else stop
        dotted = line[found.start() : end]
        full = _qualified(text, dotted)
        known = _described(full, targets) if full is not None else None
        if known is not None:
            return known, line_start + found.start(), line_start + end
    return None


def _described(full: str, targets: frozenset[Target] | None) -> str | None:
    if full.startswith(_FAMILIES):
        api = lookup(full)
        if api is None:
            return None
        parts = [f"**{api.symbol}**", _table(api.outcomes, targets)]
        if api.replacement:
            parts.append(_replacement(api))
        if api.note:
            parts.append(api.note)
        parts.append(f"*{api.source}*")
        return "\n\n".join(parts)
    found = package(full)
    return _package(found, targets) if found is not None and found.importing == "tie" else None


def _package(found: Package, targets: frozenset[Target] | None) -> str:
    return "\n\n".join(
        [f"**{found.import_name}**", _table(found.outcomes, targets), f"Instead: {found.alternative}"]
    )


def _table(outcomes: Mapping[Target, Outcome], targets: frozenset[Target] | None) -> str:
    chosen = [t for t in Target if t in outcomes and (targets is None or t in targets)]
    rows = "\n".join(f"| {t.value} | {outcomes[t].value} |" for t in chosen)
    return f"| target | outcome |\n|---|---|\n{rows}"


def _replacement(api: Api) -> str:
    floor = f" (torch {'.'.join(map(str, api.min_torch))} on)" if api.min_torch else ""
    return f"Instead{floor}:\n\n```python\n{api.replacement}\n```"


def _qualified(text: str, dotted: str) -> str | None:
    head, _, rest = dotted.partition(".")
    target = _imports(text).get(head)
    if target is None:
        return None
    return f"{target}.{rest}" if rest else target


def _imports(text: str) -> dict[str, str]:
    """Imported names of a text, also of one that can't be parsed at the moment."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        lines = re.findall(r"^[ \t]*(?:import|from)[ \t][^\n(]*$", text, re.M)
        return _imports_of_lines(lines)
    return _bound(tree)


def _imports_of_lines(lines: list[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for line in lines:
        try:
            names.update(_bound(ast.parse(line.strip())))
        except (SyntaxError, ValueError):
            continue
    return names


def _bound(tree: ast.Module) -> dict[str, str]:
    from uncuda.ast_bindings import import_bindings

    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(import_bindings(node))
    return names
