"""Projects that tests write, of which nothing is known from before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from uncuda import neighbours


def write(root: Path, files: Mapping[str, str]) -> None:
    """Writes files below `root`, by their names there."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    neighbours.forget()
