"""Lays the link view that mypy and pyright read: `build/typing/uncuda/`, one package where the sources are three folders.

    python tools/typing_view.py

An editable install maps `linter/`, `rules/` and `fixes/` to `uncuda` with an import hook, which static tools don't
see. Folders are linked whole, so a new rule is there at once; a new file directly in `linter/` needs another run.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VIEW = ROOT / "build" / "typing" / "uncuda"
SOURCES = {"linter": "", "rules": "rules", "fixes": "fixes"}
"""Folder of the project to its name below `uncuda`; the unnamed one is `uncuda` itself."""


def wanted() -> dict[str, Path]:
    """Name of each link to the path, from the view's folder, that it holds."""
    up = Path(*[".."] * len(VIEW.relative_to(ROOT).parts))
    links = {name: up / folder for folder, name in SOURCES.items() if name}
    for folder, name in SOURCES.items():
        if not name:
            for entry in (ROOT / folder).iterdir():
                if entry.suffix in (".py", ".pyi", ".typed") or (entry / "__init__.py").is_file():
                    links[entry.name] = up / folder / entry.name
    return links


def lay() -> int:
    """Makes the view what it should be; gives the number of links."""
    links = wanted()
    VIEW.mkdir(parents=True, exist_ok=True)
    for entry in VIEW.iterdir():
        if entry.is_symlink() and (entry.name not in links or entry.readlink() != links[entry.name]):
            entry.unlink()
    for name, target in links.items():
        link = VIEW / name
        if not link.is_symlink():
            link.symlink_to(target, target_is_directory=(VIEW / target).is_dir())
    return len(links)


def main() -> int:
    print(f"{VIEW.relative_to(ROOT)}: {lay()} links")
    return 0


if __name__ == "__main__":
    sys.exit(main())
