"""`uncuda check --watch`: checks again whenever a file changes, until Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from uncuda.cache import DIRECTORY_NAME
from uncuda.cli.output import warn, write
from uncuda.cli.ratchet import RatchetError
from uncuda.settings import FILE_NAMES

_SUFFIXES = (".py", ".pyi", ".ipynb")
_IGNORED = frozenset({DIRECTORY_NAME, ".git", "__pycache__", "node_modules", ".venv"})
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def relevant(path: str) -> bool:
    """Can a change of this file change what a check says?"""
    parts = Path(path).parts
    if _IGNORED & set(parts):
        return False
    return parts[-1].endswith(_SUFFIXES) or parts[-1] in FILE_NAMES or "requirements" in parts[-1]


def watch(paths: list[str], check: Callable[[], int]) -> int:
    """Runs `check` now and after every change below `paths`; gives the last exit code when Ctrl-C comes.

    Raises RatchetError when watchfiles isn't installed, or a path is not there.
    """
    try:
        from watchfiles import watch as changes
    except ImportError:
        raise RatchetError(
            f"--watch needs watchfiles, which isn't installed; install it with: {sys.executable} -m pip install "
            "'uncuda[watch]'"
        ) from None
    missing = next((path for path in paths if not Path(path).exists()), None)
    if missing is not None:
        raise RatchetError(f"--watch: there is no {missing}")
    code = _once(check)
    for _ in changes(*paths, watch_filter=lambda _, path: relevant(path), raise_interrupt=False):
        code = _once(check)
    return code


def _once(check: Callable[[], int]) -> int:
    if sys.stdout.isatty():
        write(_CLEAR)
    code = check()
    warn("uncuda: watching for changes; Ctrl-C ends it")
    return code
