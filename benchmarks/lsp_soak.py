"""How long from a keystroke to its diagnostics, and whether the server stays true and small under typing.

    python benchmarks/lsp_soak.py [--lines 3000] [--edits 2000] [--pause 0.03]

Types into a document of so many lines at typing speed, one small change after the other; each change moves the
ties below it by a line, so that a stale answer shows. Prints the 50th and 95th percentile of the time from sending
a change to the diagnostics of that version (measured on changes after which the typist rests), and the server's
memory. Exit 1 when a diagnostic was lost or stale.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient

BLOCK = '''

def step_{n}(model, batch, optimizer):
    """One step of training."""
    inputs = {{key: value for key, value in batch.items()}}
    optimizer.zero_grad()
    loss = model(**inputs).mean()
    loss.backward()
    optimizer.step()
    history.append(float(loss))
    return loss
'''
TIE = '''

def report_{n}():
    """Says how full the device is."""
    return torch.cuda.max_memory_allocated() / 2**20
'''


def program(lines: int) -> str:
    """A training module of about so many lines, with a tie every 100 or so."""
    parts = ["import torch\n\nhistory = []\n"]
    rows = 3
    number = 0
    while rows < lines:
        part = (TIE if number % 9 == 8 else BLOCK).format(n=number)
        parts.append(part)
        rows += part.count("\n")
        number += 1
    return "".join(parts)


def memory_of(pid: int) -> float:
    """Resident memory in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def ties(text: str) -> list[int]:
    """The rows that have to be told."""
    return [row for row, line in enumerate(text.splitlines()) if "torch.cuda." in line]


async def soak(lines: int, edits: int, pause: float) -> bool:
    client = LanguageClient("soak", "1")
    arrived: dict[int, tuple[float, list[int]]] = {}
    await client.start_io(sys.executable, "-m", "uncuda", "lsp")

    @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def published(params: types.PublishDiagnosticsParams) -> None:
        rows = sorted(d.range.start.line for d in params.diagnostics)
        arrived[params.version or 0] = (time.perf_counter(), rows)

    capabilities = types.ClientCapabilities(text_document=types.TextDocumentClientCapabilities())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.6"]\n')
        await client.initialize_async(
            types.InitializeParams(capabilities=capabilities, root_uri=root.as_uri(), process_id=None)
        )
        client.initialized(types.InitializedParams())
        uri = (root / "train.py").as_uri()
        text = program(lines)
        client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 1, text))
        )
        while 1 not in arrived:
            await asyncio.sleep(0.01)
        assert client._server is not None
        pid = client._server.pid
        before = memory_of(pid)
        rng = random.Random(0)
        waits: list[float] = []
        stale = 0
        rows = text.splitlines(keepends=True)
        for number in range(edits):
            version = number + 2
            row = rng.randrange(3, len(rows))
            grow = number % 2 == 0
            if grow or not rows[row].startswith("# typed"):
                rows.insert(row, "# typed\n")
                where, new = types.Range(types.Position(row, 0), types.Position(row, 0)), "# typed\n"
            else:
                del rows[row]
                where, new = types.Range(types.Position(row, 0), types.Position(row + 1, 0)), ""
            sent = time.perf_counter()
            client.text_document_did_change(
                types.DidChangeTextDocumentParams(
                    types.VersionedTextDocumentIdentifier(version, uri),
                    [types.TextDocumentContentChangePartial(text=new, range=where)],
                )
            )
            await asyncio.sleep(pause)
            if number % 10 == 9:
                while version not in arrived and time.perf_counter() - sent < 10:
                    await asyncio.sleep(0.001)
                if version not in arrived:
                    stale += 1
                    continue
                came, told = arrived[version]
                waits.append(came - sent)
                stale += told != ties("".join(rows))
        after = memory_of(pid)
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()
    waits.sort()
    print(f"{lines} lines, {edits} edits every {pause * 1000:.0f} ms, {len(ties(''.join(rows)))} ties")
    print(f"  to diagnostics: median {statistics.median(waits) * 1000:.0f} ms, ", end="")
    print(f"95th percentile {waits[int(len(waits) * 0.95)] * 1000:.0f} ms")
    print(f"  memory: {before:.0f} MiB before, {after:.0f} MiB after")
    print(f"  lost or stale: {stale} of {len(waits)}")
    return stale == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=int, default=3000)
    parser.add_argument("--edits", type=int, default=2000)
    parser.add_argument("--pause", type=float, default=0.03)
    options = parser.parse_args()
    return 0 if asyncio.run(soak(options.lines, options.edits, options.pause)) else 1


if __name__ == "__main__":
    sys.exit(main())
