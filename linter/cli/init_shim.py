"""`uncuda init-shim`: writes a small module with a portable device, which fixes then import."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from uncuda.cli.output import warn, write
from uncuda.report.ansi import visible

CLEAN, FAILURE = 0, 2


def parser() -> ArgumentParser:
    """The parser of `uncuda init-shim`."""
    made = ArgumentParser(
        prog="uncuda init-shim",
        description="Write a small vendor-neutral module with a portable device. It is for projects that have to run on a "
        "torch older than 2.6, which has no torch.accelerator: fixes then import it.",
        epilog="example:\n  uncuda init-shim src/mylib/device.py\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "path", metavar="FILE", type=Path, help="the module to write, such as src/mylib/device.py"
    )
    made.add_argument("--force", action="store_true", help="write over a file that is there")
    return made


def run(arguments: Namespace) -> int:
    """Writes the module, and prints the settings that make fixes use it."""
    from uncuda.fixes.shim import SHIM
    from uncuda.writing import write_atomically

    path: Path = arguments.path
    if path.suffix != ".py" or not path.stem.isidentifier():
        warn(f"uncuda: error: {visible(str(path))} can't be imported: name a file such as device.py")
        return FAILURE
    if path.exists() and not arguments.force:
        if path.is_file() and path.read_bytes() == SHIM.encode():
            warn(f"{visible(str(path))} is there already.")
        else:
            warn(f"uncuda: error: {visible(str(path))} exists; --force writes over it")
            return FAILURE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, SHIM.encode())
    except OSError as error:
        warn(f"uncuda: error: {visible(str(path))} can't be written: {error.strerror or error}")
        return FAILURE
    if sys.stderr.isatty() or sys.stdout.isatty():
        warn(f"Wrote {visible(str(path))}. With these settings fixes import it (pyproject.toml):")
    write(
        "[tool.uncuda]\n"
        'device-expr = "get_device()"\n'
        f'device-import = "from {module_name(path)} import get_device"\n'
    )
    return CLEAN


def module_name(path: Path) -> str:
    """The dotted name that a file is imported by: up to the first directory above it that is no package, or below a
    directory called src."""
    path = path.resolve()
    parts = [path.stem]
    directory = path.parent
    while (directory / "__init__.py").is_file() and directory.parent != directory:
        parts.insert(0, directory.name)
        directory = directory.parent
    if len(parts) == 1 and "src" in path.parts[:-1]:
        inside = path.parts[len(path.parts) - path.parts[::-1].index("src") :]
        parts = [*inside[:-1], path.stem]
    return ".".join(parts)
