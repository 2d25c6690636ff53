"""Several functions of a file that select the device ask one small function for it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace

from uncuda.findings import Edit
from uncuda.fixes.styles import Spelling
from uncuda.source import Lines, above_comments

_OFTEN = 2
"""So many places that would select the device anew are worth a function."""
_NAMES = ("get_device", "pick_device", "select_device")
_LOCAL = re.compile(r"\b([\w.]+)\.accelerator\.current_accelerator\(\)")
_CELL = re.compile(r"#[ \t]*(?:%%|In\[)")
_PROGRAM = re.compile(rf"^(?:if[ \t(]+__name__\b|{_CELL.pattern})", re.M)
_ANNOTATED = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t].*->", re.M)
_INDENT = re.compile(r"^(?:def|class)\b[^\r\n]*:[ \t]*(?:#[^\r\n]*)?(?:\r\n?|\n)([ \t]+)\S", re.M)


def with_helper(text: str, edits: Iterable[Edit]) -> list[Edit]:
    """`edits`, which are made together, with a function where several of them would bind a new device.

    A function asks no sooner than it is called. A name at the top of the module would ask when it is imported: that
    starts CUDA's driver, after which no process can be forked that uses it and CUDA_VISIBLE_DEVICES isn't read any more.
    """
    every = list(dict.fromkeys(edits))
    torch = next((found[1] for e in every if (found := _LOCAL.search(e.text))), None)
    if torch is None:
        return every
    spelling = Spelling(torch)
    new = {e.start for e in every if e.start == e.end and _binds(e.text, spelling)}
    if len(new) < _OFTEN:
        return every
    place = _place(text, every, spelling)
    name = _free_name(text)
    if place is None or name is None:
        return every
    at, gap = place
    shared = [replace(e, text=_calling(e.text, spelling, name)) for e in every]
    newline = "\r\n" if "\r\n" in text else "\n"
    unit = found[1] if (found := _INDENT.search(text)) else "    "
    gives = f" -> {torch}.device" if _ANNOTATED.search(text) else ""
    lines = (f"def {name}(){gives}:", f"{unit}return {spelling.device}", "", "", "")
    helper = Edit(at, at, newline * gap + newline.join(lines))
    imports = [e for e in shared if _is_import(e)]
    return [*imports, helper, *(e for e in shared if not _is_import(e))]


def _binds(text: str, spelling: Spelling) -> bool:
    """Does a new line give a name the device that is there, or its type?"""
    lines = [line.strip().partition(" = ")[2] for line in text.splitlines()]
    return spelling.device in lines or spelling.type in lines


def _calling(text: str, spelling: Spelling, name: str) -> str:
    """The text of an edit with calls of the function where it selects."""
    for selection, call in ((spelling.device, f"{name}()"), (spelling.type, f"{name}().type")):
        for written in (selection, selection.replace('"', "'")):
            text = re.sub(rf"(?<![\w\])])\({re.escape(written)}\)", call, text).replace(written, call)
    return text


def _is_import(edit: Edit) -> bool:
    return edit.start == edit.end and edit.text.lstrip().startswith(("import ", "from "))


def _place(text: str, edits: Sequence[Edit], spelling: Spelling) -> tuple[int, int] | None:
    """Where the function goes, before the first statement of the module that will ask it, and how many empty lines it
    wants above; None where torch isn't imported by then."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    lines = Lines(text)
    asks = [e.start for e in edits if _calling(e.text, spelling, "") != e.text]
    first = min(asks)
    at = -1
    known = any(_is_import(e) and e.start <= first and _imports(e.text, spelling) for e in edits)
    for stmt in body:
        row = min(n.lineno for n in (stmt, *getattr(stmt, "decorator_list", ())))
        if first < lines.end(stmt.end_lineno or row):
            at = above_comments(text, lines.start(row))
            break
        known = known or (isinstance(stmt, ast.Import) and _binds_torch(stmt, spelling.torch))
    if at < 0 or not known or first < at:
        return None
    imports = "".join(e.text for e in edits if _is_import(e) and e.start == at)
    above = (text[:at] + imports).replace("\r\n", "\n")
    empty = len(above) - len(above.rstrip("\n")) - 1
    starts = not above.strip() or _CELL.match(above.rstrip("\n").rpartition("\n")[2])
    return at, 0 if starts else max(0, 2 - empty)


def _imports(line: str, spelling: Spelling) -> bool:
    return f"import {spelling.torch}" in line


def _binds_torch(stmt: ast.Import, name: str) -> bool:
    return any((a.asname or a.name.partition(".")[0]) == name for a in stmt.names)


def _free_name(text: str) -> str | None:
    """A name that the file doesn't know. Where it is no program, nor made of cells, it is private: `import *` leaves it."""
    start = "" if _PROGRAM.search(text) else "_"
    known = (f"{start}{name}" for name in _NAMES)
    return next((n for n in known if not re.search(rf"(?<![\w.]){n}\b", text)), None)
