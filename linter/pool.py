"""Work shared out among processes, without threads. A worker that dies loses only what it had in hand."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def shared_out(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    method: str,
    meanwhile: Callable[[], object] | None = None,
) -> Generator[tuple[int, Result | None], None, None]:
    """The number of each item and what `work` made of it, in the order in which they are done.

    None stands for an item whose process died. `method` is how processes start: `fork` or `spawn`. `meanwhile` is done
    here once they all have work. Ctrl-C is this process's business; closing the iterator ends the workers.
    """
    waiting = iter(range(len(items)))
    busy: dict[Connection, tuple[BaseProcess, int]] = {}

    def give(number: int, connection: Connection, process: BaseProcess) -> None:
        busy[connection] = process, number
        with suppress(OSError):  # it has died, which receiving from it will show
            connection.send(items[number])

    def hire() -> None:
        number = next(waiting, None)
        if number is not None:
            give(number, *_start(work, method, list(busy)))

    try:
        for _ in range(min(workers, len(items))):
            hire()
        if meanwhile is not None:
            meanwhile()
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                process, number = busy[connection]
                try:
                    result: Result | None = connection.recv()
                except (EOFError, OSError):
                    result = None
                    del busy[connection]
                    _end(connection, process)
                    hire()
                else:
                    following = next(waiting, None)
                    if following is None:
                        del busy[connection]
                        _end(connection, process)
                    else:
                        give(following, connection, process)
                yield number, result
    finally:
        for connection, (process, _) in busy.items():
            _end(connection, process)


def _start(
    work: Callable[[Item], Result], method: str, others: list[Connection]
) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context(method)
    mine, theirs = context.Pipe()
    # A forked process has this one's ends of all pipes: it closes them, or nobody would see that this one is gone.
    inherited = [mine, *others] if method == "fork" else []
    process = context.Process(target=_serve, args=(theirs, work, inherited), daemon=True)  # type: ignore[attr-defined]
    with _no_interrupts():
        process.start()
    theirs.close()
    return mine, process


def _end(connection: Connection, process: BaseProcess) -> None:
    connection.close()
    process.terminate()
    process.join()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Holds Ctrl-C back while a process is being made: until it ignores it, it would be hit by it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, work: Callable[[Item], Result], inherited: list[Connection]) -> None:
    """What a worker does, until there is no more to do or its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in inherited:
        other.close()
    with suppress(EOFError, OSError):
        while True:
            connection.send(work(connection.recv()))
    os._exit(0)
