"""The report formats, by the names that `--output-format` takes. A format's module is loaded when asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from uncuda.report.ansi import Style
from uncuda.results import Run

Renderer = Callable[[Run, Style], str]

_RENDERERS = {
    "full": ("full", "render"),
    "concise": ("concise", "render"),
    "json": ("ruff_json", "render"),
    "json-lines": ("ruff_json", "render_lines"),
    "sarif": ("sarif", "render"),
    "github": ("github", "render"),
    "gitlab": ("gitlab", "render"),
    "junit": ("junit", "render"),
    "rdjson": ("rdjson", "render"),
    "markdown": ("markdown", "render"),
}
FORMATS = tuple(_RENDERERS)
"""Every format's name."""
TEXT_FORMATS = frozenset({"full", "concise"})
"""Those made for people's eyes on a terminal."""

_BY_LINES = frozenset({"sarif", "github", "gitlab", "rdjson"})
"""Those that are read by tools which show a file's own lines; the others tell a notebook's cells apart."""


def render(name: str, run: Run, style: Style) -> str:
    """The report of a run in a format. Raises KeyError for a name that isn't in FORMATS."""
    module, function = _RENDERERS[name]
    renderer = cast(Renderer, getattr(import_module(f"uncuda.report.{module}"), function))
    if any(file.is_notebook for file in run.files):
        from uncuda.report import notebooks

        run = notebooks.in_files(run) if name in _BY_LINES else notebooks.by_cells(run)
    return renderer(run, style)
