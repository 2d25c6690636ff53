"""Code actions: a fix, all of a rule, all that are safe, a comment that silences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from uncuda.findings import Edit, Finding
from uncuda.lsp.buffers import Buffer
from uncuda.lsp.checking import edits_of, fixed
from uncuda.lsp.convert import trust
from uncuda.lsp.session import Document
from uncuda.results import Placed
from uncuda.runner import place
from uncuda.source import Lines

if TYPE_CHECKING:
    from uncuda.lsp.server import Server

FIX_ALL = "source.fixAll.uncuda"


# -- where findings are ------------------------------------------------------------------------------------


def by_buffer(document: Document) -> dict[Buffer, list[Placed]]:
    """The findings of a document; those of a notebook in the cells that they stand in."""
    checked = document.checked
    if not document.notebook:
        return {document.buffers[0]: list(checked.findings) if checked is not None else []}
    out: dict[Buffer, list[Placed]] = {buffer: [] for buffer in document.buffers}
    joined = document.joined
    if checked is None or joined is None or len(joined.sources) != len(document.buffers):
        return out
    for placed in checked.findings:
        number, start = joined.cell(placed.finding.start)
        buffer = document.buffers[number]
        length = placed.finding.end - placed.finding.start
        moved = replace(placed.finding, start=start, end=min(start + length, len(buffer.text)))
        lines = Lines(buffer.text)
        targets = document.job.profile.targets if document.job is not None else None
        found = place(lines, replace(moved, fix=None), targets)
        out[buffer].append(replace(found, finding=moved))
    return out


def edits(ls: Server, document: Document, changes: Sequence[Edit]) -> types.WorkspaceEdit | None:
    """Edits of a document's text as the client makes them; None when there are none."""
    by_uri: dict[str, tuple[int | None, list[types.TextEdit]]] = {}
    for edit in dict.fromkeys(changes):
        if document.notebook:
            assert document.joined is not None
            number, start = document.joined.cell(edit.start)
            buffer, shift = document.buffers[number], edit.start - start
        else:
            buffer, shift = document.buffers[0], 0
        where = ls.converter(buffer.text).between(edit.start - shift, edit.end - shift)
        by_uri.setdefault(buffer.uri, (buffer.version, []))[1].append(types.TextEdit(where, edit.text))
    if not by_uri:
        return None
    if ls.versioned_edits:
        return types.WorkspaceEdit(
            document_changes=[
                types.TextDocumentEdit(types.OptionalVersionedTextDocumentIdentifier(uri, version), made)
                for uri, (version, made) in by_uri.items()
            ]
        )
    return types.WorkspaceEdit(changes={uri: made for uri, (_, made) in by_uri.items()})


# -- offers ------------------------------------------------------------------------------------------------


def offer(ls: Server, document: Document, params: types.CodeActionParams) -> list[types.CodeAction]:
    """The actions for a range, of the kinds that the client asks for."""
    uri = params.text_document.uri
    only = params.context.only
    out: list[types.CodeAction] = []
    if _wanted(types.CodeActionKind.QuickFix, only):
        for placed in _touched(ls, document, params):
            out += _quick_fixes(ls, document, uri, placed)
    fixable = document.checked is not None and any(p.fixable(False) for p in document.checked.findings)
    # Some editors run it on every save: it comes only when it is asked for, or there is something to do.
    if fixable and _wanted(FIX_ALL, only) and (only or out):
        out.append(types.CodeAction("Fix all safe CUDA ties", kind=FIX_ALL, data={"uri": uri, "rule": None}))
    return out


def _wanted(kind: str, only: Sequence[str] | None) -> bool:
    return not only or any(kind == wanted or kind.startswith(f"{wanted}.") for wanted in only)


def _touched(ls: Server, document: Document, params: types.CodeActionParams) -> list[Placed]:
    """The findings that the range touches, with their places in the document's text."""
    buffer = next((b for b in document.buffers if b.uri == params.text_document.uri), None)
    if buffer is None or document.checked is None:
        return []
    codec = ls.workspace.position_codec
    start, end = buffer.offset(params.range.start, codec), buffer.offset(params.range.end, codec)
    base = 0
    if document.notebook and document.joined is not None:
        base = document.joined.starts[document.buffers.index(buffer)]
    return [
        p
        for p in document.checked.findings
        if p.finding.start - base <= end and p.finding.end - base >= start
    ]


def _quick_fixes(ls: Server, document: Document, uri: str, placed: Placed) -> list[types.CodeAction]:
    finding = placed.finding
    buffer = next(b for b in document.buffers if b.uri == uri)
    targets = document.job.profile.targets if document.job is not None else None
    own = next((p for p in by_buffer(document)[buffer] if p.finding.code == finding.code), None)
    diagnostics = [ls.converter(buffer.text).diagnostic(own, targets)] if own is not None else []
    out: list[types.CodeAction] = []
    if placed.fix is not None:
        out.append(
            types.CodeAction(
                f"{placed.fix.title}{trust(placed)} [{finding.code}]",
                kind=types.CodeActionKind.QuickFix,
                diagnostics=diagnostics,
                edit=edits(ls, document, placed.fix.edits),
                is_preferred=placed.fixable(False),
            )
        )
        assert document.checked is not None
        same = [p for p in document.checked.findings if p.finding.code == finding.code and p.fixable(False)]
        if len(same) > 1:
            out.append(
                types.CodeAction(
                    f"Fix all {finding.code} ({finding.name}) in this file",
                    kind=types.CodeActionKind.QuickFix,
                    data={"uri": uri, "rule": finding.code},
                )
            )
    silenced = _silenced(document, finding)
    if silenced:
        out.append(
            types.CodeAction(
                f"Silence {finding.code} here, with a reason",
                kind=types.CodeActionKind.QuickFix,
                diagnostics=diagnostics,
                edit=edits(ls, document, silenced),
            )
        )
    return out


def _silenced(document: Document, finding: Finding) -> list[Edit]:
    """The edit that puts a comment at a finding."""
    from uncuda.suppressions import add

    old = document.text()
    new = add(old, [finding], reason="TODO: say why")
    if new == old:
        return []
    start = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    tail = 0
    while tail < min(len(old), len(new)) - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return [Edit(start, len(old) - tail, new[start : len(new) - tail])]


def plain(data: Any) -> Mapping[str, Any]:
    """What a client sent back as `data`, whatever class it has."""
    if isinstance(data, Mapping):
        return data
    return vars(data) if hasattr(data, "__dict__") else {}


# -- fixes of a whole document, or of all ------------------------------------------------------------------


async def fix_all(ls: Server, document: Document, code: str | None) -> types.WorkspaceEdit | None:
    """Every safe fix of a document (of one rule, with `code`), to the point where nothing is left to do."""
    job = document.job
    if job is None or document.checked is None:
        return None
    if document.notebook:
        # One round: later rounds would have to find the cells again in a text that has moved.
        found = [p for p in document.checked.findings if code in (None, p.finding.code)]
        return edits(ls, document, [e for p in edits_of(found, False) if p.fix for e in p.fix.edits])
    text = document.text()
    new = await ls.session.work(fixed, text, job, code)
    # An edit belongs to the text that it was made for.
    return edits(ls, document, line_edits(text, new)) if new is not None and text == document.text() else None


def line_edits(old: str, new: str) -> list[Edit]:
    """Edits that make `new` of `old`, whole lines at a time, so that marks elsewhere stay where they are."""
    from difflib import SequenceMatcher

    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line))
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return [
        Edit(starts[i1], starts[i2], "".join(after[j1:j2]))
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    ]
