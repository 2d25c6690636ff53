"""Writing to standard output and standard error, whatever their encoding, also when the reader has gone."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO


def drop_output() -> None:
    """Sends what is still to be written to standard output nowhere: its reader has gone."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    finally:
        os.close(devnull)


def write(text: str, stream: TextIO | None = None) -> None:
    """Writes `text` to a stream (standard output), escaping what its encoding can't carry.

    A reader that has gone away (`uncuda check | head`) isn't an error.
    """
    out = sys.stdout if stream is None else stream
    encoding = getattr(out, "encoding", None) or "utf-8"
    data = text.encode(encoding, "backslashreplace")
    buffer = getattr(out, "buffer", None)
    try:
        if buffer is None:
            out.write(data.decode(encoding))
        else:
            out.flush()
            buffer.write(data)
        out.flush()
    except BrokenPipeError:
        drop_output()


def write_bytes(data: bytes) -> None:
    """Writes bytes to standard output as they are."""
    try:
        sys.stdout.flush()
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            sys.stdout.write(data.decode("utf-8", "replace"))
        else:
            buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()


def warn(text: str) -> None:
    """Writes a line to standard error."""
    with suppress(OSError, ValueError):
        write(text if text.endswith("\n") else text + "\n", sys.stderr)
