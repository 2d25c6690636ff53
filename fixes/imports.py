"""Takes away the imports that fixes left unused."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from uncuda.findings import Edit
from uncuda.fixes.apply import apply

_NAME = re.compile(r"[A-Za-z_]\w*")
_TYPE = re.compile(r"[\w.]+|[\w.\[\](),|\s'\"]*[\[|][\w.\[\](),|\s'\"]*")
_IMPORT_WORD = re.compile(r"^[ \t]*(?:import|from)\b", re.M)


def drop_unused(before: str, after: str) -> str:
    """`after` without the import names that `before` used and `after` doesn't.

    A name is kept when it was unused already, is listed in `__all__`, is imported with a redundant alias
    (`import x as x`, a re-export), or stands in a statement that shares its line or holds a comment.
    """
    if before == after or not _IMPORT_WORD.search(after):
        return after
    old, new = _parse(before), _parse(after)
    if old is None or new is None:
        return after
    used_before, used_now = _used(old), _used(new)
    gone = used_before - used_now
    if not gone:
        return after
    edits: list[Edit] = []
    starts = _line_starts(after)
    for body in _bodies(new):
        for stmt in body:
            if isinstance(stmt, (ast.Import, ast.ImportFrom)):
                edit = _shrink(after, stmt, gone, len(body) == 1, starts)
                if edit is not None:
                    edits.append(edit)
    fixed = apply(after, edits)
    return fixed if _parse(fixed) is not None else after


def _parse(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _used(tree: ast.Module) -> set[str]:
    """Names that are read, and those in text that may be an annotation or an entry of `__all__` (an attribute that is
    asked for by name, as in `hasattr(x, "name")`, is neither, nor is prose)."""
    used: set[str] = set()
    other: set[ast.AST] = set()
    # ast.walk gives a node before what is in it.
    for node in ast.walk(tree):
        match node:
            case ast.Name():
                used.add(node.id)
            case ast.Call(func=ast.Name(id="hasattr" | "getattr")):
                other.update(node.args[1:2])
            case ast.Expr(value=ast.Constant() as text):
                other.add(text)
            case ast.JoinedStr():
                other.update(node.values)
            case ast.Constant(value=str(text)) if node not in other:
                used.update(_names_in(text))
            case _:
                pass
    return used


def _names_in(text: str) -> Iterator[str]:
    """The names in a text that reads as a type (`Optional[torch.Tensor]`)."""
    if len(text) < 1000 and _TYPE.fullmatch(text):
        yield from _NAME.findall(text)


def _bodies(tree: ast.Module) -> list[list[ast.stmt]]:
    """The suites that hold imports at module level, and those of functions."""
    found: list[list[ast.stmt]] = []
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            suite = getattr(node, name, None)
            if isinstance(suite, list) and any(isinstance(s, (ast.Import, ast.ImportFrom)) for s in suite):
                found.append(suite)
    return found


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for found in re.finditer(r"\r\n|\r|\n", text):
        starts.append(found.end())
    starts.append(len(text) + 1)
    return starts


def _offset(text: str, starts: list[int], row: int, column: int) -> int:
    line = text[starts[row - 1] : starts[row]]
    return starts[row - 1] + len(line.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore"))


def _shrink(
    text: str, stmt: ast.Import | ast.ImportFrom, gone: set[str], alone: bool, starts: list[int]
) -> Edit | None:
    if isinstance(stmt, ast.ImportFrom) and stmt.module == "__future__":
        return None

    def is_gone(alias: ast.alias) -> bool:
        if alias.name == "*" or alias.asname == alias.name:
            return False
        bound = alias.asname or (alias.name.split(".")[0] if isinstance(stmt, ast.Import) else alias.name)
        return bound in gone

    kept = [a for a in stmt.names if not is_gone(a)]
    if len(kept) == len(stmt.names):
        return None
    assert stmt.end_lineno is not None and stmt.end_col_offset is not None
    start = _offset(text, starts, stmt.lineno, stmt.col_offset)
    end = _offset(text, starts, stmt.end_lineno, stmt.end_col_offset)
    line_start, line_end = starts[stmt.lineno - 1], min(starts[stmt.end_lineno], len(text))
    before, behind = text[line_start:start].strip(), text[end:line_end].strip()
    if "#" in text[start:end]:
        return None
    if not kept:
        if before or behind:
            return None
        if alone:
            return Edit(start, end, "pass")
        return Edit(line_start, line_end, "")
    return _without(text, start, end, stmt, kept, starts)


def _without(
    text: str,
    start: int,
    end: int,
    stmt: ast.Import | ast.ImportFrom,
    kept: list[ast.alias],
    starts: list[int],
) -> Edit:
    """The statement with `kept` only; one that goes over several lines loses whole lines where it can."""

    def spell(alias: ast.alias) -> str:
        return f"{alias.name} as {alias.asname}" if alias.asname else alias.name

    names = ", ".join(map(spell, kept))
    if isinstance(stmt, ast.Import):
        return Edit(start, end, f"import {names}")
    head = text[start:end].partition("import")[0]
    source = text[start:end]
    if "\n" in source and "(" in source:
        inner = source[source.index("(") + 1 : source.rindex(")")]
        lines = inner.split("\n")
        wanted = {spell(a) for a in kept}
        shown = [line for line in lines if not line.strip() or line.strip().rstrip(",").strip() in wanted]
        listed = [line for line in shown if line.strip()]
        if len(listed) == len(kept):
            body = "\n".join(shown)
            return Edit(start, end, f"{head}import ({body})")
    return Edit(start, end, f"{head}import {names}")
