"""The language server over real stdio, spoken to as editors do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
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


def instead(client: LanguageClient, method: str, handler: Callable[[Any], Any]) -> None:
    """Has a message of the server's dealt with in another way than usual."""
    client.protocol.fm._features.pop(method, None)

    @client.feature(method)
    def handle(params: Any) -> Any:
        return handler(params)


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
    await until(client, lambda: len(client.diagnostics.get(uri, ())) == wanted and uri in client.diagnostics)
    return list(client.diagnostics[uri])


async def until(client: LanguageClient, true: Callable[[], bool]) -> None:
    """Waits for something to come true: a minute at most, for machines with much else to do."""
    for _ in range(3000):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not so; published: {client.diagnostics}; log: {client.log_messages}")


async def pulled(client: LanguageClient, uri: str, previous: str | None = None) -> Any:
    return await client.text_document_diagnostic_async(
        types.DocumentDiagnosticParams(types.TextDocumentIdentifier(uri), previous_result_id=previous)
    )


async def until_codes(client: LanguageClient, uri: str, wanted: list[str]) -> None:
    """Waits until exactly these are told of `uri`."""
    for _ in range(3000):
        if (found := await codes(client, uri)) == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{uri}: not {wanted} but {found}; log: {client.log_messages}")


async def codes(client: LanguageClient, uri: str) -> list[str]:
    return [d.code for d in (await pulled(client, uri)).items]


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
    assert (await pulled(client, uri)).items == ()
    assert uri not in client.diagnostics  # pushed as well, the user would see it twice


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
    assert await codes(client, uri) == ["UC101"]
    watched = [r for r in client.registered if r.method == types.WORKSPACE_DID_CHANGE_WATCHED_FILES]  # type: ignore[attr-defined]
    assert watched
    # The editor's setting goes on beside the file's.
    (project / "uncuda.toml").write_text('select = ["UC2"]\n')
    client.workspace_did_change_watched_files(
        types.DidChangeWatchedFilesParams(
            [types.FileEvent((project / "uncuda.toml").as_uri(), types.FileChangeType.Created)]
        )
    )
    await until_codes(client, uri, [])
    (project / "uncuda.toml").unlink()
    client.set_configuration({"enable": False}, section="uncuda", scope_uri=project.as_uri())
    client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))
    await asyncio.sleep(0)
    client.set_configuration({"settings": {}}, section="uncuda", scope_uri=project.as_uri())
    client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))
    await until_codes(client, uri, ["UC101", "UC206"])


@pytest.mark.asyncio
async def test_a_saved_file_has_a_say_in_others(client: LanguageClient, project: Path) -> None:
    parts, train = project / "parts.py", project / "train.py"
    parts.write_text("import torch\n\n\nclass Net:\n    def cuda(self):\n        return self\n")
    text = "import torch\nfrom parts import Net\n\nnet = Net().cuda()\nx = torch.ones(2).cuda()\n"
    await start(client, project, "visual_studio_code")
    open_document(client, train.as_uri(), text)
    open_document(client, parts.as_uri(), parts.read_text())
    await until_codes(client, train.as_uri(), ["UC101"])
    parts.write_text("import torch\n\n\nclass Net(torch.nn.Module):\n    pass\n")
    client.text_document_did_save(
        types.DidSaveTextDocumentParams(types.TextDocumentIdentifier(parts.as_uri()))
    )
    await until_codes(client, train.as_uri(), ["UC101", "UC101"])


@pytest.mark.asyncio
async def test_settings_come_with_their_change_to_servers_that_cannot_ask(
    client: LanguageClient, project: Path
) -> None:
    await start(client, project, "neovim", workspace__configuration=False)
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)
    assert await codes(client, uri) == ["UC101", "UC206"]
    for value, wanted in (
        ({"uncuda": {"settings": {"ignore": ["UC101"]}}}, ["UC206"]),
        ({"uncuda": {"enable": False}}, []),
        ({"uncuda": {"enable": True}}, ["UC101", "UC206"]),
        ({"uncuda": {"settings": {"targets": ["rocm"]}}}, []),
    ):
        client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=value))
        await until_codes(client, uri, wanted)


@pytest.mark.asyncio
async def test_every_folder_has_its_settings(client: LanguageClient, project: Path) -> None:
    client.set_configuration({}, section="uncuda")
    inner, other = project / "inner", project.parent / "other"
    for folder, ignored in ((project, "UC206"), (inner, "UC101"), (other, "UC3")):
        folder.mkdir(exist_ok=True)
        (folder / "uncuda.toml").write_text(f'ignore = ["{ignored}"]\ntorch-floor = "2.6"\n')
        (folder / "train.py").write_text(TEXT)
    client.set_configuration({"settings": {"ignore": ["UC2"]}}, section="uncuda", scope_uri=other.as_uri())
    await start(client, project, "visual-studio-code", text_document__diagnostic=PULLING)
    added = [types.WorkspaceFolder(f.as_uri(), f.name) for f in (inner, other)]
    client.workspace_did_change_workspace_folders(
        types.DidChangeWorkspaceFoldersParams(types.WorkspaceFoldersChangeEvent(added=added, removed=[]))
    )
    for folder, wanted in ((project, ["UC101"]), (inner, ["UC206"]), (other, ["UC101"])):
        uri = (folder / "train.py").as_uri()
        open_document(client, uri, TEXT)
        await until_codes(client, uri, wanted)
        client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri)))
    report = await client.workspace_diagnostic_async(types.WorkspaceDiagnosticParams(previous_result_ids=[]))
    told = {i.uri: [d.code for d in i.items] for i in report.items}  # type: ignore[union-attr]
    assert told == {
        (project / "train.py").as_uri(): ["UC101"],
        (inner / "train.py").as_uri(): ["UC206"],
        (other / "train.py").as_uri(): ["UC101"],
    }
    gone = [types.WorkspaceFolder(other.as_uri(), "other")]
    client.workspace_did_change_workspace_folders(
        types.DidChangeWorkspaceFoldersParams(types.WorkspaceFoldersChangeEvent(added=[], removed=gone))
    )
    for _ in range(3000):
        report = await client.workspace_diagnostic_async(
            types.WorkspaceDiagnosticParams(previous_result_ids=[])
        )
        left = {i.uri for i in report.items}
        if (other / "train.py").as_uri() not in left:
            break
        await asyncio.sleep(0.02)
    assert left == {(folder / "train.py").as_uri() for folder in (project, inner)}


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


@pytest.mark.asyncio
async def test_all_of_one_rule_is_fixed(client: LanguageClient, project: Path) -> None:
    await start(client, project, "visual-studio-code", text_document__diagnostic=PULLING)
    uri = (project / "train.py").as_uri()
    text = TEXT + "torch.cuda.synchronize()\ny = torch.ones(3)\ny = y.cuda()\n"
    open_document(client, uri, text, version=7)
    (every,) = [a for a in await offered(client, uri, at(3, 4, 12)) if "Fix all UC101" in a.title]
    assert every.edit is None
    resolved = await client.code_action_resolve_async(every)
    new = edited(text, edits_of(resolved))
    assert ".cuda()" not in new
    assert new.count("torch.cuda.synchronize()") == 2
    assert resolved.edit is not None and resolved.edit.document_changes
    (change_set,) = resolved.edit.document_changes
    assert change_set.text_document.version == 7  # type: ignore[union-attr]


@pytest.mark.asyncio
async def test_only_what_is_asked_for_is_offered(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)
    assert {a.kind for a in await offered(client, uri, at(3, 4, 12), ["quickfix"])} == {"quickfix"}
    assert {a.kind for a in await offered(client, uri, at(3, 4, 12), ["source"])} == {"source.fixAll.uncuda"}
    assert await offered(client, uri, at(3, 4, 12), ["refactor"]) == []
    assert await offered(client, uri, at(0, 0, 0)) == []  # nothing there


@pytest.mark.asyncio
async def test_edits_fit_behind_wide_characters(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim", general__position_encodings=[types.PositionEncodingKind.Utf8])
    uri = (project / "wide.py").as_uri()
    open_document(client, uri, "import torch\nx = torch.ones(2)\n'漢字😀'; x = x.cuda()\n")
    (found,) = (await pulled(client, uri)).items
    before = len("'漢字😀'; x = ".encode())
    assert found.range == at(2, before, before + len("x.cuda()"))
    fix = (await offered(client, uri, found.range))[0]
    moved = next(
        e
        for e in edits_of(fix)
        if ".to(" in e.new_text
        or ("device" in e.new_text and e.range.start.line == 2 and e.range.start.character)
    )
    assert moved.range.start.character >= before
    assert moved.range.end.character <= before + len("x.cuda()")


@pytest.mark.asyncio
async def test_hover_says_what_to_write_instead(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)

    async def hover(line: int, character: int) -> str | None:
        found = await client.text_document_hover_async(
            types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(line, character))
        )
        if found is None:
            return None
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value

    safe = await hover(3, 10)
    assert safe is not None and "Fix (safe): Move with .to(device)" in safe
    tie = await hover(4, 12)
    assert tie is not None
    for part in ("**UC206", "| rocm | works |", "| cpu |", "torch.accelerator.synchronize"):
        assert part in tie
    assert await hover(2, 0) is None
    change(client, uri, 2, types.TextDocumentContentChangePartial(text="torch.cuda.(\n", range=at(5, 0, 0)))
    assert await hover(4, 12) == tie
    assert await hover(3, 10) == safe


@pytest.mark.asyncio
async def test_the_code_lens_is_a_setting(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim", workspace__configuration=False)
    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)

    async def lenses() -> list[str]:
        found = await client.text_document_code_lens_async(
            types.CodeLensParams(types.TextDocumentIdentifier(uri))
        )
        return [lens.command.title for lens in found or () if lens.command is not None]

    assert await codes(client, uri) == ["UC101", "UC206"]
    assert await lenses() == []
    settings = {"uncuda": {"codeLens": True}}
    client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=settings))
    assert await lenses() == ["2 CUDA ties, 2 fixable"]
    change(client, uri, 2, types.TextDocumentContentChangeWholeDocument("x = 1\n"))
    assert await lenses() == []


@pytest.mark.asyncio
async def test_the_page_of_a_rule_and_the_audit(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim", window__show_document=types.ShowDocumentClientCapabilities(True))
    shown: list[types.ShowDocumentParams] = []

    def show(params: types.ShowDocumentParams) -> types.ShowDocumentResult:
        shown.append(params)
        return types.ShowDocumentResult(success=True)

    instead(client, types.WINDOW_SHOW_DOCUMENT, show)

    page: Any = await client.workspace_execute_command_async(
        types.ExecuteCommandParams("uncuda.showRule", arguments=["UC101"])
    )
    assert "UC101" in page and ".to(device)" in page
    uri: Any = await client.workspace_execute_command_async(types.ExecuteCommandParams("uncuda.openAudit"))
    (asked,) = shown
    assert (asked.uri, asked.external) == (uri, True)
    written = Path(uri.removeprefix("file://")).read_text()
    assert "<html" in written and "train.py" in written


@pytest.mark.asyncio
async def test_progress_is_shown_and_can_be_stopped(client: LanguageClient, project: Path) -> None:
    for number in range(30):
        (project / f"file{number}.py").write_text(TEXT)
    await start(client, project, "visual-studio-code", text_document__diagnostic=PULLING)
    client.progress_reports["mine"] = []
    await client.workspace_diagnostic_async(
        types.WorkspaceDiagnosticParams(previous_result_ids=[], work_done_token="mine")
    )
    steps: Any = client.progress_reports["mine"]
    kinds = [step.kind for step in steps]
    assert kinds[0] == "begin" and kinds[-1] == "end" and kinds.count("report") > 5

    applied: list[types.ApplyWorkspaceEditParams] = []

    @client.feature(types.WORKSPACE_APPLY_EDIT)
    def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        applied.append(params)
        return types.ApplyWorkspaceEditResult(applied=True)

    running = asyncio.ensure_future(
        client.workspace_execute_command_async(types.ExecuteCommandParams("uncuda.fixWorkspace"))
    )
    await until(client, lambda: len(client.progress_reports) > 1)
    (token,) = set(client.progress_reports) - {"mine"}
    client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    assert await running == 0
    assert applied == []


@pytest.mark.asyncio
async def test_the_newest_text_wins(client: LanguageClient, project: Path) -> None:
    await start(client, project, "emacs", text_document__diagnostic=None)
    versions: list[int | None] = []
    uri = (project / "train.py").as_uri()

    def publish(params: types.PublishDiagnosticsParams) -> None:
        versions.append(params.version)
        client.diagnostics[params.uri] = params.diagnostics

    instead(client, types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, publish)

    open_document(client, uri, TEXT)
    for version in range(2, 102):
        change(client, uri, version, types.TextDocumentContentChangePartial(text="# x\n", range=at(0, 0, 0)))
    await until(client, lambda: versions[-1:] == [101])
    assert [d.range.start.line for d in client.diagnostics[uri]] == [103, 104]
    assert versions == sorted(versions, key=lambda v: v or 0)
    assert len(versions) < 50  # a burst is checked together


@pytest.mark.asyncio
async def test_steady_typing_does_not_hide_everything(client: LanguageClient, project: Path) -> None:
    await start(client, project, "emacs", text_document__diagnostic=None)
    told: list[tuple[int | None, list[int]]] = []
    uri = (project / "train.py").as_uri()

    def publish(params: types.PublishDiagnosticsParams) -> None:
        told.append((params.version, [d.range.start.line for d in params.diagnostics]))

    instead(client, types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, publish)
    filler = "".join(f"def f{n}(a):\n    return a + {n}\n\n\n" for n in range(10_000))
    open_document(client, uri, TEXT + filler)
    await until(client, lambda: bool(told))
    # A check takes longer than there is between two keys.
    version, end = 1, asyncio.get_running_loop().time() + 60
    while not any(v is None for v, _ in told) and asyncio.get_running_loop().time() < end:
        version += 1
        change(client, uri, version, types.TextDocumentContentChangePartial(text="# x\n", range=at(0, 0, 0)))
        await asyncio.sleep(0.03)
    await until(client, lambda: told[-1][0] == version)
    moved = [rows for v, rows in told if v is None]
    assert moved and all(len(rows) == 2 and rows[1] == rows[0] + 1 > 4 for rows in moved)
    assert told[-1][1] == [3 + version - 1, 4 + version - 1]


@pytest.mark.asyncio
async def test_what_is_broken_is_only_what_is_being_typed(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    uri = (project / "two.py").as_uri()
    text = "import torch\n\n\ndef a():\n    torch.cuda.synchronize()\n\n\ndef b():\n    pass\n\n\ndef c():\n    pass\n"
    open_document(client, uri, text)
    assert await codes(client, uri) == ["UC206"]
    # An open text in one function, and a new tie in another.
    change(client, uri, 2, types.TextDocumentContentChangePartial(text='    x = f("""\n', range=at(4, 0, 0)))
    change(
        client,
        uri,
        3,
        types.TextDocumentContentChangePartial(text="    torch.cuda.empty_cache()\n", range=at(13, 0, 0)),
    )
    found = (await pulled(client, uri)).items
    assert [(d.code, d.range.start.line) for d in found] == [("UC206", 5), ("UC211", 13)]
    # Opened broken, without anything known before.
    other = (project / "other.py").as_uri()
    open_document(client, other, text.replace("    pass", "    x = (", 1))
    assert await codes(client, other) == ["UC206"]


@pytest.mark.asyncio
async def test_the_server_can_be_followed(client: LanguageClient, project: Path) -> None:
    await start(client, project, "neovim")
    traces: list[types.LogTraceParams] = []

    @client.feature(types.LOG_TRACE)
    def trace(params: types.LogTraceParams) -> None:
        traces.append(params)

    uri = (project / "train.py").as_uri()
    open_document(client, uri, TEXT)
    assert await codes(client, uri) == ["UC101", "UC206"]
    assert any(m.type == types.MessageType.Info and str(project) in m.message for m in client.log_messages)
    assert traces == []
    client.set_trace(types.SetTraceParams(types.TraceValue.Verbose))
    change(client, uri, 2, types.TextDocumentContentChangePartial(text="# x\n", range=at(0, 0, 0)))
    assert await codes(client, uri) == ["UC101", "UC206"]
    (told,) = traces
    assert "train.py, version 2: 2 findings" in told.message
    assert told.verbose is not None and "5:5 UC101" in told.verbose


@pytest.mark.asyncio
async def test_cells_come_and_go(client: LanguageClient, project: Path) -> None:
    await start(client, project, "visual-studio-code", text_document__diagnostic=PULLING)
    uri = (project / "n.ipynb").as_uri()

    def cell(name: str, text: str) -> tuple[types.NotebookCell, types.TextDocumentItem]:
        return (
            types.NotebookCell(types.NotebookCellKind.Code, f"{uri}#{name}"),
            types.TextDocumentItem(f"{uri}#{name}", "python", 1, text),
        )

    first, second, third = (
        cell("a", "import torch\n"),
        cell("b", "x = torch.ones(1)\n"),
        cell("c", "x = x.cuda()"),
    )
    client.notebook_document_did_open(
        types.DidOpenNotebookDocumentParams(
            types.NotebookDocument(uri, "jupyter-notebook", 1, [first[0], second[0]]), [first[1], second[1]]
        )
    )
    await published(client, f"{uri}#b", 0)

    def rearranged(version: int, array: types.NotebookCellArrayChange, **more: Any) -> None:
        structure = types.NotebookDocumentCellChangeStructure(array, **more)
        client.notebook_document_did_change(
            types.DidChangeNotebookDocumentParams(
                types.VersionedNotebookDocumentIdentifier(version, uri),
                types.NotebookDocumentChangeEvent(
                    cells=types.NotebookDocumentCellChanges(structure=structure)
                ),
            )
        )

    rearranged(2, types.NotebookCellArrayChange(2, 0, [third[0]]), did_open=[third[1]])
    (found,) = await published(client, f"{uri}#c", 1)
    assert found.range == at(0, 4, 12)
    assert (await pulled(client, f"{uri}#c")).items == ()  # they are pushed
    (every,) = await offered(client, f"{uri}#c", at(0, 0, 0), ["source.fixAll"])
    resolved = await client.code_action_resolve_async(every)
    assert resolved.edit is not None and resolved.edit.document_changes
    changed = {c.text_document.uri: c.edits for c in resolved.edit.document_changes}  # type: ignore[union-attr]
    assert edited("x = x.cuda()", list(changed[f"{uri}#c"])).endswith("x = x.to(device)")  # type: ignore[arg-type]
    page = await client.text_document_hover_async(
        types.HoverParams(types.TextDocumentIdentifier(f"{uri}#c"), types.Position(0, 8))
    )
    assert page is not None
    rearranged(3, types.NotebookCellArrayChange(2, 1), did_close=[types.TextDocumentIdentifier(f"{uri}#c")])
    await published(client, f"{uri}#c", 0)
    client.notebook_document_did_close(
        types.DidCloseNotebookDocumentParams(
            types.NotebookDocumentIdentifier(uri), [types.TextDocumentIdentifier(f"{uri}#a")]
        )
    )
    assert await codes(client, (project / "train.py").as_uri()) == []  # it is not open


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
