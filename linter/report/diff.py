"""`--diff`: what the fixes would change, as a unified diff that `patch` and `git apply` take."""

from __future__ import annotations

import os
from collections.abc import Iterator

from uncuda.report.ansi import Style, visible
from uncuda.report.frame import split_keeping_ends
from uncuda.results import Run

_PAINT = {"+": "green", "-": "red", "@": "cyan"}


def diff_lines(run: Run, style: Style) -> Iterator[str]:
    """The lines of the diff with their endings; made printable when they go to a terminal."""
    import difflib

    for file in run.files:
        if file.old is None or file.new is None or file.old == file.new:
            continue
        name = _name(file.display)
        old, new = split_keeping_ends(file.old), split_keeping_ends(file.new)
        for number, line in enumerate(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=3)):
            ending = "" if line.endswith("\n") else "\n\\ No newline at end of file\n"
            if number < 2:
                body = visible(line.rstrip("\n"))
                yield style.paint(body, "bold") + "\n"
            elif style.color or style.terminal:
                body = line.rstrip("\r\n")
                paint = _PAINT.get(body[:1])
                shown = visible(body)
                yield (style.paint(shown, paint) if paint else shown) + (ending or "\n")
            else:
                yield line + ending


def _name(display: str) -> str:
    """A path as a patch has it: seen from the working directory where it lies below that, and never absolute."""
    here = os.getcwd()
    if os.path.isabs(display) and display.startswith(os.path.join(here, "")):
        display = os.path.relpath(display, here)
    return display.replace("\\", "/").lstrip("/")


def render(run: Run, style: Style) -> str:
    """The whole diff; empty when no fix changes anything."""
    return "".join(diff_lines(run, style))
