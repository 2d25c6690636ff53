"""The open documents of one editor: what is known of each, and checking them off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pygls import uris

from uncuda.lsp.buffers import Buffer
from uncuda.lsp.checking import Checked, check
from uncuda.lsp.workspace import Workspace
from uncuda.notebook_cells import Joined, join
from uncuda.runner import Job
from uncuda.trees import Trees

LONGEST_WAIT = 0.05
"""Seconds that a check waits for more typing, at most; half of what the last check took, if that is less."""


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
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def versions(self) -> tuple[object, ...]:
        """What changes with every edit."""
        return tuple((b.uri, b.version, len(b.text), hash(b.text)) for b in self.buffers)

    def text(self) -> str:
        """The whole text; a notebook's cells one after the other, magics masked."""
        if not self.notebook:
            return self.buffers[0].text if self.buffers else ""
        self.joined = join([b.text for b in self.buffers])
        return self.joined.text


class Session:
    """Documents by URI. `tell` is called on the event loop whenever a document was checked anew."""

    def __init__(self, tell: Callable[[Document], None], warn: Callable[[str], None]) -> None:
        self.workspace = Workspace()
        self.documents: dict[str, Document] = {}
        self.generation = 0
        self._tell = tell
        self._warn = warn
        self._told: set[str] = set()
        # One thread: checks hold the interpreter's lock for most of their time, and the newest text wins.
        self._pool = ThreadPoolExecutor(1, "uncuda-check")

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
        for document in list(self.documents.values()):
            document.checked = None
            self.changed(document, wait=False)

    def changed(self, document: Document, *, wait: bool = True) -> None:
        """Checks a document soon; a check that waits already will see the newest text."""
        if document.task is None or document.task.done():
            document.task = asyncio.get_running_loop().create_task(self._follow(document, wait))

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
        while True:
            if wait:
                await asyncio.sleep(min(LONGEST_WAIT, document.took / 2))
            stamp = self._stamp(document)
            text = document.text()
            begun = loop.time()
            checked = await loop.run_in_executor(self._pool, self._check, document, text)
            document.took = loop.time() - begun
            document.checked, document.stamp = checked, stamp
            if document.uri not in self.documents:
                return
            if checked.problem is not None:
                self._warn(f"{document.uri}: {checked.problem.message}")
            if stamp == self._stamp(document):
                self._tell(document)
                return
            wait = True

    def _check(self, document: Document, text: str) -> Checked:
        path = uris.to_fs_path(document.uri)
        job = self.workspace.job(path)
        document.job = job
        error = self.workspace.folder(path).error
        if error is not None and error not in self._told:
            self._told.add(error)
            self._warn(f"settings: {error}")
        if job is None:
            return Checked(text)
        return check(text, job, document.checked, document.trees)
