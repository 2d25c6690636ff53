"""`uncuda lsp`: the language server, on standard input and output."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser, Namespace

from uncuda.cli.output import warn

FAILURE = 2


def parser() -> ArgumentParser:
    """The parser of `uncuda lsp`."""
    made = ArgumentParser(
        prog="uncuda lsp",
        description="Run the language server. Editors start it themselves; see docs/editors.md.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "--stdio", action="store_true", help="talk over standard input and output (the default)"
    )
    made.add_argument(
        "--tcp",
        action="store_true",
        help="listen on a port instead, for one client after the other: for debugging",
    )
    made.add_argument("--host", default="127.0.0.1", help="the address for --tcp (default: %(default)s)")
    made.add_argument("--port", type=int, default=8765, help="the port for --tcp (default: %(default)s)")
    return made


def run(arguments: Namespace) -> int:
    """Serves until the client leaves."""
    try:
        from uncuda.lsp import transport
        from uncuda.lsp.server import make
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        warn(
            "uncuda: error: the language server needs pygls, which isn't installed; "
            f"install it with: {sys.executable} -m pip install 'uncuda[lsp]'"
        )
        return FAILURE
    if arguments.tcp:
        return transport.port(arguments.host, arguments.port, make, warn)
    return transport.standard_streams(make)
