"""Every file of the workspace, open or not: its diagnostics, kept as long as the file stays as it is, and its fixes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls import uris

from uncuda.lsp.actions import line_edits
from uncuda.lsp.checking import fixed
from uncuda.results import Placed
from uncuda.runner import Job, Mode, examine, read_problem, shown

if TYPE_CHECKING:
    from uncuda.lsp.server import Server

Stamp = tuple[int, int, int, int]
Step = Callable[[int, int, str], bool]
"""Told how many of how many files are done, and which comes next; False ends the sweep."""


@dataclass(frozen=True)
class Swept:
    """What is known of a file. `result` names this knowledge for clients that ask again."""

    uri: str
    stamp: Stamp
    diagnostics: tuple[types.Diagnostic, ...]
    result: str


class Sweep:
    """The files of all folders of one connection."""

    def __init__(self, ls: Server) -> None:
        self._ls = ls
        self._known: dict[str, Swept] = {}
        self._jobs: tuple[Job, ...] = ()
        self._generation = -1
        self._again_at = 0.0

    async def diagnostics(self, step: Step) -> list[Swept]:
        """What is known of every file that has findings. Open documents are looked at one by one in between."""
        session = self._ls.session
        listed = await session.work(self._list)
        known: dict[str, Swept] = {}
        for number, (job, stamp) in enumerate(listed):
            if not step(number, len(listed), job.display):
                break
            found = self._known.get(str(job.path))
            if found is None or found.stamp != stamp:
                found = await session.work(self._look, job, stamp)
            if found is not None:
                known[str(job.path)] = found
        self._known.update(known)
        self._known = {
            path: self._known[path] for path in (str(job.path) for job, _ in listed) if path in self._known
        }
        return [swept for swept in known.values() if swept.diagnostics]

    async def fixes(self, step: Step) -> list[types.TextDocumentEdit]:
        """The safe fixes of every Python file, in open documents for the text as it is in the editor."""
        session = self._ls.session
        changes: list[types.TextDocumentEdit] = []
        jobs = [job for job, _ in await session.work(self._list) if job.is_python]
        for number, job in enumerate(jobs):
            if not step(number, len(jobs), job.display):
                return []
            uri = uris.from_fs_path(str(job.path)) or ""
            document = session.documents.get(uri)
            text = document.text() if document is not None else await session.work(self._read, job)
            new = await session.work(fixed, text, job) if text is not None else None
            if text is None or new is None or (document is not None and document.text() != text):
                continue
            version = document.buffers[0].version if document is not None else None
            converter = self._ls.converter(text)
            edits = [types.TextEdit(converter.between(e.start, e.end), e.text) for e in line_edits(text, new)]
            changes.append(
                types.TextDocumentEdit(types.OptionalVersionedTextDocumentIdentifier(uri, version), edits)
            )
        return changes

    # -- off the event loop --------------------------------------------------------------------------------

    def _list(self) -> list[tuple[Job, Stamp]]:
        """The files with their states. Clients ask every other second: a slow search isn't made each time."""
        generation = self._ls.session.generation
        begun = time.monotonic()
        if generation != self._generation or begun >= self._again_at:
            workspace = self._ls.session.workspace
            self._jobs = tuple(
                job
                for folder in workspace.folders
                for job in folder.files()
                # Of a notebook only the cells can be pointed at, when it is open.
                if job.path.suffix != ".ipynb" and workspace.folder(str(job.path)) is folder
            )
            self._generation = generation
            self._again_at = time.monotonic() + 10 * (time.monotonic() - begun)
        listed: list[tuple[Job, Stamp]] = []
        for job in self._jobs:
            try:
                info = os.stat(job.path)
            except OSError as error:
                self._ls.say(f"{job.display}: {read_problem(error).message}")
            else:
                listed.append((job, (generation, info.st_ino, info.st_mtime_ns, info.st_size)))
        return listed

    def _look(self, job: Job, stamp: Stamp) -> Swept | None:
        from uncuda.around.texts import text_of

        data = self._bytes(job)
        if data is None:
            return None
        uri = uris.from_fs_path(str(job.path)) or ""
        found: tuple[Placed, ...] = ()
        if job.is_worth_reading(data):
            done = examine(data, job, Mode.CHECK)
            if done.problem is not None:
                self._ls.say(f"{job.display}: {done.problem.message}")
            found = shown(done.findings, job.profile)
        text = text_of(str(job.path), data) if found else None
        if text is None:
            return Swept(uri, stamp, (), "")
        converter = self._ls.converter(text)
        diagnostics = tuple(converter.diagnostic(p, job.profile.targets) for p in found)
        return Swept(uri, stamp, diagnostics, "-".join(f"{part:x}" for part in stamp))

    def _read(self, job: Job) -> str | None:
        from uncuda.source import SourceError, decode

        data = self._bytes(job)
        if data is None or not job.is_worth_reading(data):
            return None
        try:
            return decode(data).text
        except SourceError as error:
            self._ls.say(f"{job.display}: {error}")
            return None

    def _bytes(self, job: Job) -> bytes | None:
        try:
            return job.path.read_bytes()
        except OSError as error:
            self._ls.say(f"{job.display}: {read_problem(error).message}")
            return None
