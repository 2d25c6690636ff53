"""The open documents of one editor: what is known of each, and checking them off the event loop."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pygls import uris

from uncuda import neighbours
from uncuda.lsp.buffers import Buffer, Change
from uncuda.lsp.checking import Checked, carried, check
from uncuda.lsp.workspace import Workspace
from uncuda.notebook_cells import Joined, join
from uncuda.runner import Job, internal_problem
from uncuda.trees import Trees

Result = TypeVar("Result")

LONGEST_SILENCE = 0.5
"""Seconds of steady typing after which what is known is told, though it isn't of the newest text."""

BURST = 0.05
"""Seconds: changes that follow each other as fast are checked together, if the last check took twice as long."""


@dataclass
class Document:
    """A text document, or a notebook with its code cells in order."""

    uri: str
    buffers: list[Buffer]
    notebook: bool = False
    job: Job | None = None
    checked: Checked | None = None
    stamp: tuple[object, ...] | None = None
    """The versions and the settings that `checked` is of."""
    joined: Joined | None = None
    trees: Trees = field(default_factory=Trees, repr=False)
    took: float = 0.0
    touched: float = -1.0
    """When it was changed last."""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def versions(self) -> tuple[object, ...]:
        """What changes with every edit."""
        return tuple((b.uri, b.version, len(b.text), hash(b.text)) for b in self.buffers)

    def take_changes(self) -> list[Change] | None:
        """What has changed since the last check; None where that isn't known."""
        return self.buffers[0].take_changes() if self.buffers and not self.notebook else None

    def text(self) -> str:
        """The whole text; a notebook's cells one after the other, magics masked."""
        if not self.notebook:
            return self.buffers[0].text if self.buffers else ""
        self.joined = join([b.text for b in self.buffers])
        return self.joined.text


class Session:
    """Documents by URI. `tell` is called on the event loop whenever a document was checked anew; with False when that
    is of an older text, moved to where it stands now."""

    def __init__(self, tell: Callable[[Document, bool], None], warn: Callable[[str], None]) -> None:
        self.workspace = Workspace()
        self.documents: dict[str, Document] = {}
        self.generation = 0
        self.ready = asyncio.Event()
        """Set when the settings have been read: nothing is checked before, under others."""
        self._tell = tell
        self._warn = warn
        self._told: set[str] = set()
        # One thread: checks hold the interpreter's lock for most of their time, and the newest text wins.
        self._pool = ThreadPoolExecutor(1, "uncuda-check")

    async def work(self, function: Callable[..., Result], *given: Any) -> Result:
        """Has something done off the event loop, after what is being done there."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, quietly, function, *given)

    def say_once(self, text: str) -> None:
        """A line for the log, which isn't said again under the same settings."""
        if text not in self._told:
            self._told.add(text)
            self._warn(text)

    def end(self) -> None:
        """Lets go of everything; what is being checked is of no use any more."""
        for uri in list(self.documents):
            self.close(uri)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def open(self, document: Document) -> None:
        """Takes a document in, and checks it."""
        self.close(document.uri)
        self.documents[document.uri] = document
        self.changed(document, wait=False)

    def close(self, uri: str) -> Document | None:
        """Forgets a document."""
        document = self.documents.pop(uri, None)
        if document is not None and document.task is not None:
            document.task.cancel()
        return document

    def of_cell(self, uri: str) -> Document | None:
        """The document that a URI belongs to: its own, or the notebook of a cell."""
        found = self.documents.get(uri)
        if found is not None:
            return found
        return next(
            (d for d in self.documents.values() if d.notebook and any(b.uri == uri for b in d.buffers)), None
        )

    def settings_changed(self) -> None:
        """All documents are checked afresh, under the settings as they are now."""
        self.generation += 1
        self._told.clear()
        neighbours.forget()
        for document in list(self.documents.values()):
            document.checked = None
            self.changed(document, wait=False)

    def saved(self, document: Document) -> None:
        """A document is on the disk as it is now: what others import from it may be something else."""
        neighbours.forget()
        self.changed(document, wait=False)
        for other in list(self.documents.values()):
            if other is not document:
                self.changed(other)

    def changed(self, document: Document, *, wait: bool = True) -> None:
        """Checks a document: at once, or soon when changes come in a burst; a check that waits already will see the
        newest text."""
        now = asyncio.get_running_loop().time()
        burst = wait and now - document.touched < BURST
        document.touched = now
        if document.task is None or document.task.done():
            document.task = asyncio.get_running_loop().create_task(self._follow(document, burst))

    async def current(self, document: Document) -> Checked:
        """What is known of the newest text."""
        while document.stamp != self._stamp(document) or document.checked is None:
            if document.task is None or document.task.done():
                self.changed(document, wait=False)
            assert document.task is not None
            await asyncio.shield(document.task)
        return document.checked

    def _stamp(self, document: Document) -> tuple[object, ...]:
        return (self.generation, *document.versions())

    async def _follow(self, document: Document, wait: bool) -> None:
        """Checks until what is known is of the newest text."""
        loop = asyncio.get_running_loop()
        await self.ready.wait()
        told = loop.time()
        while True:
            if wait:
                await asyncio.sleep(min(BURST, document.took / 2))
            stamp = self._stamp(document)
            text, changes = document.text(), document.take_changes()
            begun = loop.time()
            job, checked = await self.work(self._check, document, text, changes)
            document.took = loop.time() - begun
            document.job, document.checked, document.stamp = job, checked, stamp
            if document.uri not in self.documents:
                return
            for note in checked.notes:
                self.say_once(f"{document.uri}: {note}")
            error = self.workspace.folder(uris.to_fs_path(document.uri)).error
            if error is not None:
                self.say_once(f"settings: {error}")
            if stamp == self._stamp(document):
                self._tell(document, True)
                return
            if loop.time() - told > LONGEST_SILENCE and job is not None and not document.notebook:
                # Who types faster than a check takes would see nothing for as long as the typing goes on.
                told = loop.time()
                now = document.text()
                moved = Checked(now, carried(checked, now, job, document.buffers[0].changes))
                self._tell(replace(document, checked=moved), False)
            wait = True

    def _check(
        self, document: Document, text: str, changes: list[Change] | None
    ) -> tuple[Job | None, Checked]:
        job = None
        try:
            job = self.workspace.job(uris.to_fs_path(document.uri))
            if job is None:
                return None, Checked(text)
            if document.notebook:
                job = replace(job, path=job.path.with_suffix(".py"))
            elif job.path.suffix == ".ipynb":
                return None, Checked(text)  # its JSON: only the cells of a notebook can be pointed at
            return job, check(text, job, document.checked, document.trees, changes)
        except Exception as error:  # the server must outlive whatever it is
            return job, Checked(text, notes=(internal_problem(error).message,))


_frozen = False


def quietly(function: Callable[..., Result], *given: Any) -> Result:
    """Calls a function without a search for garbage meanwhile: checks leave next to none, and the search takes as long
    as a check."""
    global _frozen
    gc.disable()
    try:
        return function(*given)
    finally:
        if not _frozen and "uncuda.engine" in sys.modules:
            # The rules are loaded and stay: no search has to look at them again.
            _frozen = True
            gc.collect()
            gc.freeze()
        gc.enable()
