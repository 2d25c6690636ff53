"""The language server over real stdio, spoken to as editors do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

TEXT = "import torch\n\nx = torch.ones(2)\nx = x.cuda()\ntorch.cuda.synchronize()\n"
PULLING = types.DiagnosticClientCapabilities()
SERVER = [sys.executable, "-m", "uncuda", "lsp"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.6"]\n')
    (tmp_path / "train.py").write_text(TEXT)
    return tmp_path


async def start(client: LanguageClient, root: Path, profile: str, **changes: Any) -> types.InitializeResult:
    """The handshake, as `profile` does it."""
    client.registered = []  # type: ignore[attr-defined]

    @client.feature(types.CLIENT_REGISTER_CAPABILITY)
    def register(params: types.RegistrationParams) -> None:
        client.registered += params.registrations  # type: ignore[attr-defined]

    capabilities = client_capabilities(profile)
    for name, value in changes.items():
        part: Any = capabilities
        *path, last = name.split("__")
        for step in path:
            part = getattr(part, step)
        setattr(part, last, value)
    return await client.initialize_session(
        types.InitializeParams(
            capabilities=capabilities,
            root_uri=root.as_uri(),
            workspace_folders=[types.WorkspaceFolder(root.as_uri(), root.name)],
        )
    )


@pytest_lsp.fixture(config=ClientServerConfig(server_command=SERVER))
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    yield
    await lsp_client.shutdown_session()


def open_document(client: LanguageClient, uri: str, text: str, version: int = 1) -> None:
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", version, text))
    )


def change(
    client: LanguageClient, uri: str, version: int, *changes: types.TextDocumentContentChangeEvent
) -> None:
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(types.VersionedTextDocumentIdentifier(version, uri), list(changes))
    )


async def published(client: LanguageClient, uri: str, wanted: int) -> list[types.Diagnostic]:
    """Waits until `uri` has so many diagnostics."""
    for _ in range(200):
        found = client.diagnostics.get(uri)
        if found is not None and len(found) == wanted:
            return list(found)
        await asyncio.sleep(0.02)
    raise AssertionError(
        f"not {wanted} diagnostics but {client.diagnostics.get(uri)}; log: {client.log_messages}"
    )


async def pulled(client: LanguageClient, uri: str, previous: str | None = None) -> Any:
    return await client.text_document_diagnostic_async(
        types.DocumentDiagnosticParams(types.TextDocumentIdentifier(uri), previous_result_id=previous)
    )


def at(line: int, start: int, end: int) -> types.Range:
    return types.Range(types.Position(line, start), types.Position(line, end))


def edited(text: str, edits: list[types.TextEdit]) -> str:
    """`text` with the edits of a client that counts in UTF-16 made; only for texts below U+10000."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
        a = starts[edit.range.start.line] + edit.range.start.character
        b = starts[edit.range.end.line] + edit.range.end.character
        text = text[:a] + edit.new_text + text[b:]
    return text


def edits_of(action: types.CodeAction) -> list[types.TextEdit]:
    assert action.edit is not None
    if action.edit.document_changes:
        return [e for d in action.edit.document_changes for e in d.edits]  # type: ignore[union-attr,misc]
    assert action.edit.changes is not None
    return [e for edits in action.edit.changes.values() for e in edits]


async def offered(
    client: LanguageClient, uri: str, where: types.Range, only: list[str] | None = None
) -> list[types.CodeAction]:
    found = await client.text_document_code_action_async(
        types.CodeActionParams(
            types.TextDocumentIdentifier(uri), where, types.CodeActionContext([], only=only)
        )
    )
    return [item for item in found or () if isinstance(item, types.CodeAction)]


@pytest.mark.asyncio
async def test_diagnostics_are_pushed_to_clients_that_do_not_pull(
    client: LanguageClient, project: Path
) -> None:
    await start(client, project, "emacs", text_document__diagnostic=None)
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)
    first, second = await published(client, uri, 2)
    assert (first.code, first.range) == ("UC101", at(3, 4, 12))
    assert first.source == "uncuda"
    assert "crash" in first.message
    assert second.code == "UC206"
    change(client, uri, 2, types.TextDocumentContentChangePartial(text="", range=at(4, 0, 24)))
    await published(client, uri, 1)
    client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri)))
    await published(client, uri, 0)


@pytest.mark.asyncio
async def test_diagnostics_are_pulled_with_result_ids(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)
    full = await pulled(client, uri)
    assert [d.code for d in full.items] == ["UC101", "UC206"]
    again = await pulled(client, uri, full.result_id)
    assert again.kind == "unchanged"
    change(client, uri, 2, types.TextDocumentContentChangePartial(text="", range=at(4, 0, 24)))
    newer = await pulled(client, uri, full.result_id)
    assert [d.code for d in newer.items] == ["UC101"]
    change(client, uri, 3, types.TextDocumentContentChangePartial(text="", range=at(3, 0, 12)))
    with pytest.raises(asyncio.TimeoutError):  # pushed as well, the user would see it twice
        await asyncio.wait_for(client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS), 0.4)


@pytest.mark.asyncio
async def test_the_whole_workspace_is_pulled(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    report = await client.workspace_diagnostic_async(types.WorkspaceDiagnosticParams(previous_result_ids=[]))
    (item,) = report.items
    assert item.uri == (project / "train.py").as_uri()
    assert [d.code for d in item.items] == ["UC101", "UC206"]  # type: ignore[union-attr]
    ids = [types.PreviousResultId(item.uri, item.result_id or "")]
    again = await client.workspace_diagnostic_async(types.WorkspaceDiagnosticParams(previous_result_ids=ids))
    assert [i.kind for i in again.items] == ["unchanged"]


@pytest.mark.asyncio
async def test_a_fix_and_all_fixes(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)
    fix, silence, _ = await offered(client, uri, at(3, 4, 12))
    assert fix.title == "Move with .to(device) [UC101]"
    assert fix.is_preferred
    assert ".to(device)" in edited(TEXT, edits_of(fix))
    assert "# uncuda: ignore[UC101] TODO: say why" in edited(TEXT, edits_of(silence))
    (every,) = await offered(client, uri, at(0, 0, 0), ["source.fixAll"])
    assert every.kind == "source.fixAll.uncuda"
    assert every.edit is None
    resolved = await client.code_action_resolve_async(every)
    new = edited(TEXT, edits_of(resolved))
    assert ".cuda" not in new
    assert "torch.accelerator.synchronize()" in new
    change(client, uri, 2, types.TextDocumentContentChangeWholeDocument(new))
    assert (await pulled(client, uri)).items == ()
    assert await offered(client, uri, at(0, 0, 0), ["source.fixAll"]) == []


@pytest.mark.asyncio
async def test_unsafe_fixes_say_so_and_stay_out_of_fix_all(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    text = "import torch\n\n\ndef f(batch):\n    return batch.cuda()\n"
    uri = (project / "unsafe.py").as_uri()
    open_document(client, uri, text)
    found = await offered(client, uri, at(4, 11, 22))
    assert found[0].title == "Move with .to(device) (unsafe) [UC101]"
    assert not found[0].is_preferred
    assert await offered(client, uri, at(0, 0, 0), ["source.fixAll"]) == []


@pytest.mark.asyncio
async def test_hover(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    uri = (project / "train.py").as_uri()
    open_document(client, uri, "from torch import cuda\n\nok = cuda.is_available\nx = cuda.empty_cache()\n")

    async def hover(line: int, character: int) -> str:
        found = await client.text_document_hover_async(
            types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(line, character))
        )
        assert found is not None
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value

    assert "UC211" in await hover(3, 8)
    text = await hover(2, 12)
    assert "torch.cuda.is_available" in text
    assert "| ascend | silent-cpu |" in text


@pytest.mark.asyncio
@pytest.mark.parametrize(("encoding", "start"), [("utf-8", 12), ("utf-16", 9), ("utf-32", 8), (None, 9)])
async def test_columns_are_in_the_clients_units(
    client: LanguageClient, project: Path, encoding: str | None, start: int
) -> None:
    kinds = [types.PositionEncodingKind(encoding)] if encoding else None
    result = await globals()["start"](client, project, "neovim", general__position_encodings=kinds)
    assert result.capabilities.position_encoding in (encoding, "utf-16")
    uri = (project / "wide.py").as_uri()
    open_document(client, uri, "import torch\n\n'é😀'; torch.cuda.empty_cache()\n")
    (found,) = (await pulled(client, uri)).items
    assert found.range.start == types.Position(2, start - 2)
    change(
        client,
        uri,
        2,
        types.TextDocumentContentChangePartial(text="x = 1; ", range=at(2, start - 2, start - 2)),
    )
    (found,) = (await pulled(client, uri)).items
    assert found.range.start == types.Position(2, start + 5)


@pytest.mark.asyncio
async def test_half_typed_code_keeps_what_still_applies(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)
    assert len((await pulled(client, uri)).items) == 2
    change(client, uri, 2, types.TextDocumentContentChangePartial(text="print((\n", range=at(2, 0, 0)))
    found = (await pulled(client, uri)).items
    assert [(d.code, d.range.start.line) for d in found] == [("UC101", 4), ("UC206", 5)]


@pytest.mark.asyncio
async def test_a_notebook_is_one_program(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    uri = (project / "n.ipynb").as_uri()
    sources = ["%matplotlib inline\nimport torch\n", "!nvidia-smi\nx = torch.ones(1)\n", "x = x.cuda()\n"]
    cells = [types.NotebookCell(types.NotebookCellKind.Code, f"{uri}#c{i}") for i in range(3)]
    items = [types.TextDocumentItem(c.document, "python", 1, s) for c, s in zip(cells, sources, strict=True)]
    client.notebook_document_did_open(
        types.DidOpenNotebookDocumentParams(types.NotebookDocument(uri, "jupyter-notebook", 1, cells), items)
    )
    (found,) = await published(client, f"{uri}#c2", 1)
    assert found.range == at(0, 4, 12)
    actions = await offered(client, f"{uri}#c2", at(0, 4, 12))
    assert edited(sources[2], edits_of(actions[0])).endswith("x = x.to(device)\n")
    client.notebook_document_did_change(
        types.DidChangeNotebookDocumentParams(
            types.VersionedNotebookDocumentIdentifier(2, uri),
            types.NotebookDocumentChangeEvent(
                cells=types.NotebookDocumentCellChanges(
                    text_content=[
                        types.NotebookDocumentCellContentChanges(
                            types.VersionedTextDocumentIdentifier(2, f"{uri}#c2"),
                            [types.TextDocumentContentChangeWholeDocument("x = 2\n")],
                        )
                    ]
                )
            ),
        )
    )
    await published(client, f"{uri}#c2", 0)


@pytest.mark.asyncio
async def test_settings_are_followed(client: LanguageClient, project: Path) -> None:
    client.set_configuration(
        {"settings": {"ignore": ["UC206"]}}, section="uncuda", scope_uri=project.as_uri()
    )
    await start(client, project, "visual-studio-code", text_document__diagnostic=PULLING)
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)
    for _ in range(500):
        if [d.code for d in (await pulled(client, uri)).items] == ["UC101"]:
            break
        await asyncio.sleep(0.02)
    assert [d.code for d in (await pulled(client, uri)).items] == ["UC101"]
    (project / "uncuda.toml").write_text('ignore = ["UC101"]\n')
    client.workspace_did_change_watched_files(
        types.DidChangeWatchedFilesParams(
            [types.FileEvent((project / "uncuda.toml").as_uri(), types.FileChangeType.Created)]
        )
    )
    for _ in range(500):
        if [d.code for d in (await pulled(client, uri)).items] != ["UC101"]:
            break
        await asyncio.sleep(0.02)
    watched = [r for r in client.registered if r.method == types.WORKSPACE_DID_CHANGE_WATCHED_FILES]  # type: ignore[attr-defined]
    assert watched


@pytest.mark.asyncio
async def test_wrong_settings_are_said_and_harm_nothing(client: LanguageClient, project: Path) -> None:
    (project / "uncuda.toml").write_text("selekt = []\n")
    await start(client, project, "neovim")
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)
    assert len((await pulled(client, uri)).items) == 2
    assert any("selekt" in message.message for message in client.log_messages)


@pytest.mark.asyncio
async def test_the_server_survives_odd_clients(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    uri = (project / "train.py").as_uri()
    change(client, "file:///never/opened.py", 3, types.TextDocumentContentChangeWholeDocument("x"))
    client.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier("file:///never/opened.py"))
    )
    with pytest.raises(Exception, match="Method Not Found"):
        await client.protocol.send_request_async("uncuda/noSuchMethod", {})
    open_document(client, uri, TEXT, version=5)
    change(client, uri, 4, types.TextDocumentContentChangePartial(text="#", range=at(99, 99, 100)))
    assert len((await pulled(client, uri)).items) == 2
    open_document(client, "untitled:Untitled-1", TEXT)
    assert len((await pulled(client, "untitled:Untitled-1")).items) == 2
    (project / "train.py").unlink()
    assert len((await pulled(client, uri)).items) == 2


@pytest.mark.asyncio
async def test_all_of_the_workspace_is_fixed(client: LanguageClient, project: Path) -> None:
    await start(client, project, "visual-studio-code", text_document__diagnostic=PULLING)
    applied: list[types.ApplyWorkspaceEditParams] = []

    @client.feature(types.WORKSPACE_APPLY_EDIT)
    def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        applied.append(params)
        return types.ApplyWorkspaceEditResult(applied=True)

    count = await client.workspace_execute_command_async(
        types.ExecuteCommandParams("uncuda.fixWorkspace", arguments=[])
    )
    assert count == 1
    (change_set,) = applied
    assert change_set.edit.document_changes
    new = edited(TEXT, list(change_set.edit.document_changes[0].edits))  # type: ignore[union-attr,arg-type]
    assert ".cuda" not in new


def test_without_pygls_the_way_out_is_named(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "pygls").mkdir()
    (tmp_path / "pygls" / "__init__.py").write_text('raise ImportError("gone", name="pygls")\n')
    done = subprocess.run(
        SERVER,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "uncuda[lsp]" in done.stderr
    assert "Traceback" not in done.stderr
