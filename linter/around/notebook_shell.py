"""What the magics of a notebook's cells run, as items at their places in the joined text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uncuda.around.commands import items_of_shell
from uncuda.around.items import Item, Program, Variable
from uncuda.notebooks import Cell, Notebook

_SHELL_CELL = re.compile(
    r"[ \t]*%%(?:bash|sh|shell|script[ \t]+(?:--[\w-]+[ \t]+)*(?:ba)?sh|!|system|sx)\b[^\n]*\n"
)
_NVCC_CELL = re.compile(r"[ \t]*%%(cu|cuda|nvcc|cuda_run|nvcc4jupyter)\b")
_SHELL = re.compile(r"^[ \t]*(?:[\w, \t.\[\]'\"]+=[ \t]*)?!!?(?P<body>(?:[^\n\\]|\\(?:\r?\n)?)*)", re.M)
_MAGIC = re.compile(
    r"^[ \t]*%(?P<body>(?:pip|conda|mamba|micromamba|uv|system|sx)\b(?:[^\n\\]|\\(?:\r?\n)?)*)", re.M
)
_ENVIRONMENT = re.compile(
    r"^[ \t]*%(?:env|set_env)[ \t]+(?P<name>[A-Za-z_]\w*)(?:[ \t]*=[ \t]*|[ \t]+)(?P<value>[^\n]*)", re.M
)
_EXTENSION = re.compile(r"^[ \t]*%(?:load_ext|reload_ext)[ \t]+(?P<name>nvcc\w*)", re.M)


def items_of_notebook(notebook: Notebook) -> list[Item]:
    """What magics run, in order."""
    items: list[Item] = []
    for cell in notebook.cells:
        items += _of_cell(notebook.plain, cell)
    items.sort(key=lambda item: (item.start, item.end))
    return list(dict.fromkeys(items))


def _of_cell(plain: str, cell: Cell) -> Iterator[Item]:
    start, end = cell.start, cell.end
    if cell.code == cell.source:
        return  # no magics
    shell = _SHELL_CELL.match(plain, start, end)
    if shell is not None:
        yield from items_of_shell(plain, shell.end(), end)
        return
    compiled = _NVCC_CELL.match(plain, start, end)
    if compiled is not None:
        yield Program(start=compiled.start(1), end=compiled.end(1), name="nvcc")
        return
    if re.compile(r"[ \t]*%%").match(plain, start, end) and not re.search("[^#\\s]", cell.code):
        return  # another language, or a file that is written
    for pattern in (_SHELL, _MAGIC):
        for found in pattern.finditer(plain, start, end):
            # A line that is Python's own isn't masked.
            if notebook_masks(cell, found.start("body") - 1):
                yield from items_of_shell(plain, *found.span("body"))
    for found in _ENVIRONMENT.finditer(plain, start, end):
        yield Variable(
            start=found.start("name"), end=found.end("name"), name=found["name"], value=found["value"].strip()
        )
    for found in _EXTENSION.finditer(plain, start, end):
        yield Program(start=found.start("name"), end=found.end("name"), name="nvcc")


def notebook_masks(cell: Cell, offset: int) -> bool:
    """Is the character at an offset of the joined text masked in its cell?"""
    at = offset - cell.start
    return 0 <= at < len(cell.source) and cell.code[at] != cell.source[at]
