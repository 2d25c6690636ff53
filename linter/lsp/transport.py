"""Messages on a stream: read one by one, also after a broken one, and handed to the server's event loop."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from pygls.io_ import StdoutWriter

if TYPE_CHECKING:
    from uncuda.lsp.server import Server

LONGEST_MESSAGE = 1 << 28
"""Bytes; a header that asks for more is taken for a broken one."""

# What a broken message has left may stand before a header: a body has no line break of its own.
_LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,10})[ \t]*\Z", re.I)
_TYPE = re.compile(rb"content-type:", re.I)


class Broken(Exception):
    """A message that can't be understood; the next one may be."""


def messages(source: BinaryIO) -> Iterator[Any]:
    """The JSON of every message in a stream; a Broken instead where there is something else."""
    while True:
        length: int | None = None
        told = False
        while line := source.readline():
            line = line.strip()
            if not line:
                if length is not None:
                    break
                continue
            found = _LENGTH.search(line)
            if found is not None and int(found[1]) <= LONGEST_MESSAGE:
                length = int(found[1])
                line = line[: found.start()]
            if line and not _TYPE.match(line) and not told:
                told = True
                yield Broken(f"what isn't a header was passed over: {_short(line)}")
        if length is None:
            return
        body = source.read(length)
        if len(body) < length:
            return
        try:
            yield json.loads(body)
        except (ValueError, RecursionError) as error:
            yield Broken(f"a message that isn't JSON: {error}: {_short(body)}")


def _short(data: bytes) -> str:
    text = data[:60].decode("utf-8", "backslashreplace")
    return repr(text + ("…" if len(data) > 60 else ""))


def serve(server: Server, source: BinaryIO, sink: BinaryIO) -> int:
    """Talks to one client until it leaves, and gives the exit code that it should see."""
    server.protocol.set_writer(StdoutWriter(sink))
    try:
        asyncio.run(_converse(server, source))
    except SystemExit as stop:  # the client's `exit`
        return stop.code if isinstance(stop.code, int) else 0
    except OSError:
        pass
    finally:
        server.close()
    return 0


async def _converse(server: Server, source: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[Any] = asyncio.Queue()
    end = object()

    def read() -> None:
        with suppress(RuntimeError):  # the loop has been closed
            try:
                for message in messages(source):
                    loop.call_soon_threadsafe(waiting.put_nowait, message)
            except (OSError, ValueError):
                pass
            loop.call_soon_threadsafe(waiting.put_nowait, end)

    # A daemon: it may be waiting for a line when the server has to end.
    threading.Thread(target=read, name="uncuda-read", daemon=True).start()
    while (message := await waiting.get()) is not end:
        server.take(message)


def standard_streams(make: Callable[[], Server]) -> int:
    """Serves the client that started this process."""
    # Not sys.stdin itself, and never closed: the thread that reads holds its lock when the client says `exit`.
    source = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115
    return serve(make(), source, sys.stdout.buffer)


def port(host: str, number: int, make: Callable[[], Server], say: Callable[[str], None]) -> int:
    """Serves clients on a port, one after the other, until it is interrupted."""
    with socket.create_server((host, number)) as listener:
        say(f"uncuda: waiting for a client on {host}:{listener.getsockname()[1]}")
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as source, connection.makefile("wb") as sink:
                serve(make(), source, sink)
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            say("uncuda: the client has left; waiting for another")
