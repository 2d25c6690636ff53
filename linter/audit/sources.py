"""How much there is of kernels: native sources, and functions that Triton, TileLang and their kin compile."""

from __future__ import annotations

import ast
import os
import warnings
from collections import defaultdict
from collections.abc import Sequence

from uncuda.around.items import Native
from uncuda.around.kinds import Kind, kind_of
from uncuda.around.native import read_native
from uncuda.around.texts import decode_any
from uncuda.audit.model import SourceRow, Tie
from uncuda.runner import Job
from uncuda.source import SourceError, decode

_NATIVE = ("UC841",)
_KERNEL = "UC503"


def sources(jobs: Sequence[Job], ties: Sequence[Tie]) -> tuple[SourceRow, ...]:
    """Files, kernels and lines by language, the most lines first."""
    paths = {job.display.replace("\\", "/"): job for job in jobs}
    files: dict[str, set[str]] = defaultdict(set)
    kernels: dict[str, int] = defaultdict(int)
    lines: dict[str, int] = defaultdict(int)
    rows: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for tie in ties:
        job = paths.get(tie.path)
        if job is None:
            continue
        if tie.code in _NATIVE and kind_of(os.fspath(job.path)) is Kind.NATIVE:
            for item in read_native(decode_any(_read(job)).text, tie.path):
                if isinstance(item, Native):
                    files[item.language].add(tie.path)
                    kernels[item.language] += item.kernels
                    lines[item.language] += item.lines
        elif tie.code == _KERNEL:
            rows[tie.path].append((tie.row, tie.symbol))
    for path, found in rows.items():
        lengths = _lengths(_read(paths[path]))
        for row, language in found:
            # What isn't a function is no kernel of its own: a library that is loaded, a piece of assembler.
            if row in lengths:
                files[language].add(path)
                kernels[language] += 1
                lines[language] += lengths[row]
    made = [SourceRow(name, len(files[name]), kernels[name], lines[name]) for name in files]
    return tuple(sorted(made, key=lambda r: (-r.lines, -r.kernels, r.language)))


def _read(job: Job) -> bytes:
    try:
        return job.path.read_bytes()
    except OSError:
        return b""


def _lengths(data: bytes) -> dict[int, int]:
    """The lines of each function and class, decorators included, by the row of its name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(decode(data).text)
    except (SourceError, SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[int, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.lineno] = (node.end_lineno or node.lineno) - first + 1
    return found
