"""The server: which request is answered by what. Everything heavy happens off the event loop."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcMethodNotFound, JsonRpcRequestCancelled
from pygls.lsp.server import LanguageServer

from uncuda import __version__
from uncuda.lsp import actions, hover
from uncuda.lsp.actions import FIX_ALL
from uncuda.lsp.buffers import Buffer
from uncuda.lsp.convert import Converter
from uncuda.lsp.protocol import Protocol
from uncuda.lsp.session import Document, Session
from uncuda.lsp.sweep import Step, Sweep
from uncuda.lsp.workspace import WATCHED, ClientSettings
from uncuda.results import Placed

SECTION = "uncuda"


class Server(LanguageServer):
    """State of one connection."""

    protocol: Protocol

    def __init__(self) -> None:
        super().__init__(
            "uncuda",
            __version__,
            protocol_cls=Protocol,
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
            notebook_document_sync=types.NotebookDocumentSyncOptions(
                [types.NotebookDocumentFilterWithCells(cells=[types.NotebookCellLanguage("python")])],
                save=False,
            ),
        )
        self.session = Session(self.checked, self.warn)
        self.sweep = Sweep(self)
        self.pulls = False
        self.initial: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- from the stream -----------------------------------------------------------------------------------

    def take(self, message: Any) -> None:
        """Deals with one message."""
        self._loop = asyncio.get_running_loop()
        self.protocol.take(message)

    def close(self) -> None:
        """The client has left."""
        self.session.end()

    # -- towards the client --------------------------------------------------------------------------------

    def warn(self, text: str) -> None:
        """A line in the editor's log."""
        self.log(types.MessageType.Warning, text)

    def log(self, kind: types.MessageType, text: str) -> None:
        """A line in the editor's log, of some kind."""
        self.window_log_message(types.LogMessageParams(kind, f"uncuda: {text}"))

    def say(self, text: str) -> None:
        """A line in the editor's log, said once; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.session.say_once, text)

    def trace(self, text: str, verbose: Callable[[], str]) -> None:
        """What is done, for clients that want to follow; `verbose` gives the details."""
        if self.protocol.trace != types.TraceValue.Off:
            details = verbose() if self.protocol.trace == types.TraceValue.Verbose else None
            self.log_trace(types.LogTraceParams(text, details))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """pygls's errors go to the log too: nobody wants a pop-up window for each."""
        if not isinstance(error, (JsonRpcMethodNotFound, JsonRpcRequestCancelled)):
            self.log(types.MessageType.Error, f"{type(error).__name__}: {error}")

    def checked(self, document: Document, newest: bool) -> None:
        """A document was checked anew: its diagnostics are published, unless the client asks for them itself.

        Those that aren't of the `newest` text name no version.
        """
        found = document.checked.findings if document.checked is not None else ()
        self.trace(
            f"checked {document.uri}, version {document.buffers[0].version if document.buffers else None}: "
            f"{len(found)} findings in {document.took * 1000:.0f} ms",
            lambda: "\n".join(
                f"{p.start.row}:{p.start.column} {p.finding.code} {p.finding.message}" for p in found
            ),
        )
        if self.pulls and not document.notebook:
            return
        for buffer, diagnostics in self.diagnostics(document).items():
            self.text_document_publish_diagnostics(
                types.PublishDiagnosticsParams(buffer.uri, diagnostics, buffer.version if newest else None)
            )

    def diagnostics(self, document: Document) -> dict[Buffer, list[types.Diagnostic]]:
        """The diagnostics of a document, or of each cell of a notebook."""
        targets = document.job.profile.targets if document.job is not None else None
        out: dict[Buffer, list[types.Diagnostic]] = {}
        for buffer, findings in actions.by_buffer(document).items():
            converter = self.converter(buffer.text)
            out[buffer] = [converter.diagnostic(placed, targets) for placed in findings]
        return out

    def converter(self, text: str) -> Converter:
        """Positions of a text in the client's units."""
        return Converter(text, self.workspace.position_codec)

    @property
    def versioned_edits(self) -> bool:
        """Does the client take edits with document versions?"""
        workspace = self.client_capabilities.workspace
        edit = workspace.workspace_edit if workspace is not None else None
        return bool(edit is not None and edit.document_changes)

    async def read_settings(self) -> None:
        """Asks the client for its settings, folder by folder, and reads all settings files afresh."""
        roots = {
            folder.uri: path
            for folder in self.workspace.folders.values()
            if (path := uris.to_fs_path(folder.uri)) is not None
        }
        if not roots and self.workspace.root_path is not None:
            roots[self.workspace.root_uri or ""] = self.workspace.root_path
        values: Sequence[Any] = [self.initial] * len(roots)
        capabilities = self.client_capabilities.workspace
        if capabilities is not None and capabilities.configuration and roots:
            items = [types.ConfigurationItem(scope_uri=uri or None, section=SECTION) for uri in roots]
            try:
                asked = await self.workspace_configuration_async(types.ConfigurationParams(items))
                values = [value if value else self.initial for value in asked]
            except Exception as error:  # a client that can't answer must not cost the diagnostics
                self.warn(f"the editor gave no settings: {error}")
        clients = [ClientSettings.read(value) for value in values]
        self.session.workspace.open(dict(zip(roots.values(), clients, strict=False)))
        self.session.settings_changed()
        if self.pulls:
            self.refresh()

    def refresh(self) -> None:
        """Asks the client to pull diagnostics again."""
        capabilities = self.client_capabilities.workspace
        known = capabilities.diagnostics if capabilities is not None else None
        if known is not None and known.refresh_support:
            self.workspace_diagnostic_refresh(None)

    @asynccontextmanager
    async def showing(self, title: str, token: int | str | None = None) -> AsyncIterator[Step]:
        """Shows how far something is, if the client can show it; what it is given says whether to go on.

        `token` is the client's own; else one is asked for.
        """
        window = self.client_capabilities.window
        if token is None and window is not None and window.work_done_progress:
            token = f"uncuda-{time.monotonic_ns()}"
            await self.work_done_progress.create_async(token)
        told = -1

        def step(number: int, total: int, name: str) -> bool:
            nonlocal told
            if token is None:
                return True
            percentage = 100 * number // max(total, 1)
            if percentage > told:
                told = percentage
                self.work_done_progress.report(
                    token, types.WorkDoneProgressReport(message=name, percentage=percentage, cancellable=True)
                )
            return not self.work_done_progress.tokens[token].cancelled()

        if token is not None:
            self.work_done_progress.begin(
                token, types.WorkDoneProgressBegin(title, percentage=0, cancellable=True)
            )
        try:
            yield step
        finally:
            if token is not None:
                self.work_done_progress.end(token, types.WorkDoneProgressEnd())
                self.work_done_progress.tokens.pop(token, None)


async def audited(root: Path) -> tuple[Path | None, str]:
    """The audit of a folder as an HTML page in a file, made by a process of its own; or why there is none."""
    out = Path(tempfile.mkdtemp(prefix="uncuda-")) / "audit.html"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uncuda", "audit", str(root), "--quiet", "--output-file", f"html={out}",
        cwd=root, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE,
    )  # fmt: skip
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:  # nobody waits for it any more
            process.kill()
    return (out if out.is_file() else None), errors.decode(errors="replace").strip()


def make() -> Server:
    """A server with all its features."""
    server = Server()
    _lifecycle(server)
    _documents(server)
    _notebooks(server)
    _diagnostics(server)
    _actions(server)
    _reading(server)
    return server


def _lifecycle(server: Server) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(ls: Server, params: types.InitializeParams) -> None:
        text = params.capabilities.text_document
        ls.pulls = bool(text is not None and text.diagnostic)
        ls.initial = params.initialization_options
        ls.protocol.trace = params.trace or types.TraceValue.Off

    @server.feature(types.INITIALIZED)
    async def initialized(ls: Server, params: types.InitializedParams) -> None:
        try:
            await ls.read_settings()
        finally:
            ls.session.ready.set()
        folders = ", ".join(str(folder.root) for folder in ls.session.workspace.folders)
        python = ".".join(map(str, sys.version_info[:3]))
        ls.log(types.MessageType.Info, f"version {__version__} on Python {python}, for {folders}")
        capabilities = ls.client_capabilities.workspace
        wanted: list[types.Registration] = []
        if capabilities is not None:
            watched = capabilities.did_change_watched_files
            if watched is not None and watched.dynamic_registration:
                options = types.DidChangeWatchedFilesRegistrationOptions(
                    [types.FileSystemWatcher(f"**/{name}") for name in WATCHED]
                )
                wanted.append(
                    types.Registration("uncuda-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
                )
            changes = capabilities.did_change_configuration
            if changes is not None and changes.dynamic_registration:
                wanted.append(
                    types.Registration(
                        "uncuda-settings", types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"section": SECTION}
                    )
                )
        if wanted:
            await ls.client_register_capability_async(types.RegistrationParams(wanted))

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def configuration(ls: Server, params: types.DidChangeConfigurationParams) -> None:
        settings = params.settings
        if isinstance(settings, dict) and SECTION in settings:
            ls.initial = settings[SECTION]
        await ls.read_settings()

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def watched(ls: Server, params: types.DidChangeWatchedFilesParams) -> None:
        await ls.read_settings()

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    async def folders(ls: Server, params: types.DidChangeWorkspaceFoldersParams) -> None:
        await ls.read_settings()


def _documents(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        ls.session.open(Document(item.uri, [Buffer(item.uri, item.version, item.text)]))

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
        document = ls.session.documents.get(params.text_document.uri)
        if document is None or document.notebook:
            ls.warn(f"{params.text_document.uri}: changed, but was never opened")
            return
        buffer = document.buffers[0]
        if buffer.version is not None and params.text_document.version <= buffer.version:
            ls.warn(f"{buffer.uri}: version {params.text_document.version} came after {buffer.version}")
        for change in params.content_changes:
            buffer.apply(change, ls.workspace.position_codec)
        buffer.version = params.text_document.version
        ls.session.changed(document)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(ls: Server, params: types.DidSaveTextDocumentParams) -> None:
        document = ls.session.documents.get(params.text_document.uri)
        if document is not None:
            ls.session.saved(document)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
        if ls.session.close(params.text_document.uri) is not None and not ls.pulls:
            ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(params.text_document.uri, []))


def _notebooks(server: Server) -> None:
    def take(ls: Server, uri: str) -> None:
        """The notebook's code cells as they are now."""
        notebook = ls.workspace.get_notebook_document(notebook_uri=uri)
        if notebook is None:
            return
        buffers = []
        for cell in notebook.cells:
            if cell.kind == types.NotebookCellKind.Code:
                text = ls.workspace.get_text_document(cell.document)
                if text.language_id in (None, "python"):
                    buffers.append(Buffer(cell.document, text.version, text.source))
        known = ls.session.documents.get(uri)
        if known is None:
            ls.session.open(Document(uri, buffers, notebook=True))
        else:
            gone = {b.uri for b in known.buffers} - {b.uri for b in buffers}
            known.buffers = buffers
            _clear(ls, gone)
            ls.session.changed(known)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def opened(ls: Server, params: types.DidOpenNotebookDocumentParams) -> None:
        take(ls, params.notebook_document.uri)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def changed(ls: Server, params: types.DidChangeNotebookDocumentParams) -> None:
        take(ls, params.notebook_document.uri)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def closed(ls: Server, params: types.DidCloseNotebookDocumentParams) -> None:
        document = ls.session.close(params.notebook_document.uri)
        if document is not None:
            _clear(ls, {b.uri for b in document.buffers})


def _clear(ls: Server, gone: set[str]) -> None:
    for uri in sorted(gone):
        ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


def _diagnostics(server: Server) -> None:
    options = types.DiagnosticOptions(
        inter_file_dependencies=False, workspace_diagnostics=True, identifier="uncuda"
    )

    @server.feature(types.TEXT_DOCUMENT_DIAGNOSTIC, options)
    async def pulled(ls: Server, params: types.DocumentDiagnosticParams) -> types.DocumentDiagnosticReport:
        document = ls.session.of_cell(params.text_document.uri)
        if document is None or document.notebook:
            return types.RelatedFullDocumentDiagnosticReport(items=[])
        await ls.session.ready.wait()
        await ls.session.current(document)
        result = f"{ls.session.generation}:{hash(document.stamp)}"
        if params.previous_result_id == result:
            return types.RelatedUnchangedDocumentDiagnosticReport(result_id=result)
        items = [d for found in ls.diagnostics(document).values() for d in found]
        return types.RelatedFullDocumentDiagnosticReport(items=items, result_id=result)

    @server.feature(types.WORKSPACE_DIAGNOSTIC)
    async def workspace(
        ls: Server, params: types.WorkspaceDiagnosticParams
    ) -> types.WorkspaceDiagnosticReport:
        await ls.session.ready.wait()
        known = {item.uri: item.value for item in params.previous_result_ids}
        items: list[
            types.WorkspaceFullDocumentDiagnosticReport | types.WorkspaceUnchangedDocumentDiagnosticReport
        ] = []
        async with ls.showing("Looking for CUDA ties", params.work_done_token) as step:
            found = await ls.sweep.diagnostics(step)
        for swept in found:
            before = known.pop(swept.uri, None)
            if swept.uri in ls.session.documents:
                continue  # is asked for, or told, by itself
            if before == swept.result:
                items.append(
                    types.WorkspaceUnchangedDocumentDiagnosticReport(uri=swept.uri, result_id=swept.result)
                )
                continue
            items.append(
                types.WorkspaceFullDocumentDiagnosticReport(
                    uri=swept.uri, items=swept.diagnostics, result_id=swept.result
                )
            )
        for uri in known:
            if uri not in ls.session.documents:
                items.append(types.WorkspaceFullDocumentDiagnosticReport(uri=uri, items=[]))
        return types.WorkspaceDiagnosticReport(items)


def _actions(server: Server) -> None:
    options = types.CodeActionOptions(
        code_action_kinds=[types.CodeActionKind.QuickFix, FIX_ALL], resolve_provider=True
    )

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)
    async def offered(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
        document = ls.session.of_cell(params.text_document.uri)
        if document is None:
            return []
        await ls.session.current(document)
        return actions.offer(ls, document, params)

    @server.feature(types.CODE_ACTION_RESOLVE)
    async def resolved(ls: Server, action: types.CodeAction) -> types.CodeAction:
        data = actions.plain(action.data)
        document = ls.session.of_cell(str(data.get("uri", "")))
        if document is not None and action.edit is None:
            await ls.session.current(document)
            action.edit = await actions.fix_all(ls, document, code=data.get("rule"))
        return action

    @server.command("uncuda.fixWorkspace")
    async def fix_workspace(ls: Server, *_: Any) -> int:
        """Applies every safe fix in the workspace; gives the number of files changed."""
        workspace = ls.client_capabilities.workspace
        if workspace is None or not workspace.apply_edit:
            ls.warn("the editor can't be asked to make edits, so nothing was fixed")
            return 0
        await ls.session.ready.wait()
        async with ls.showing("Fixing CUDA ties") as step:
            changes = await ls.sweep.fixes(step)
        if not changes:
            return 0
        edit = types.WorkspaceEdit(document_changes=changes)
        if not ls.versioned_edits:
            edit = types.WorkspaceEdit(changes={c.text_document.uri: c.edits for c in changes})  # type: ignore[misc]
        done = await ls.workspace_apply_edit_async(
            types.ApplyWorkspaceEditParams(edit, "Fix all safe CUDA ties")
        )
        if not done.applied:
            ls.warn(f"the editor didn't make the fixes: {done.failure_reason or 'it gives no reason'}")
        return len(changes) if done.applied else 0

    @server.command("uncuda.showRule")
    async def show_rule(ls: Server, code: str = "", *_: Any) -> str | None:
        """A rule's page as Markdown."""
        from uncuda.report.rule_pages import page

        found = page(code)
        return found.markdown if found is not None else None

    @server.command("uncuda.openAudit")
    async def open_audit(ls: Server, *_: Any) -> str | None:
        """Makes the audit of the (first) folder as a page, shows it, and gives its URI."""
        await ls.session.ready.wait()
        root = ls.session.workspace.folders[0].root
        async with ls.showing("Auditing for CUDA ties") as step:
            step(0, 1, str(root))
            made, why = await audited(root)
        if made is None:
            ls.log(types.MessageType.Error, f"the audit failed: {why}")
            return None
        uri = made.as_uri()
        window = ls.client_capabilities.window
        if window is not None and window.show_document is not None and window.show_document.support:
            await ls.window_show_document_async(types.ShowDocumentParams(uri, external=True))
        return uri


def _reading(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def hovered(ls: Server, params: types.HoverParams) -> types.Hover | None:
        document = ls.session.of_cell(params.text_document.uri)
        if document is None:
            return None
        await ls.session.current(document)
        buffer = next((b for b in document.buffers if b.uri == params.text_document.uri), None)
        if buffer is None:
            return None
        targets = document.job.profile.targets if document.job is not None else None
        offset = buffer.offset(params.position, ls.workspace.position_codec)
        converter = ls.converter(buffer.text)
        for placed in actions.by_buffer(document).get(buffer, ()):
            if placed.finding.start <= offset <= placed.finding.end:
                return _hover(hover.of_finding(placed, targets), converter.range(placed.start, placed.end))
        named = hover.of_name(buffer.text, offset, targets)
        if named is None:
            return None
        text, start, end = named
        return _hover(text, converter.between(start, end))

    @server.feature(types.TEXT_DOCUMENT_CODE_LENS)
    async def lens(ls: Server, params: types.CodeLensParams) -> list[types.CodeLens] | None:
        path = uris.to_fs_path(params.text_document.uri)
        document = ls.session.of_cell(params.text_document.uri)
        if document is None or not ls.session.workspace.folder(path).client.code_lens:
            return None
        checked = await ls.session.current(document)
        if not checked.findings:
            return []
        top = types.Range(types.Position(0, 0), types.Position(0, 0))
        return [types.CodeLens(top, types.Command(_readiness(checked.findings), ""))]


def _hover(text: str, where: types.Range) -> types.Hover:
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), where)


def _readiness(findings: Sequence[Placed]) -> str:
    safe = sum(placed.fixable(False) for placed in findings)
    return f"{len(findings)} CUDA {'tie' if len(findings) == 1 else 'ties'}, {safe} fixable"
