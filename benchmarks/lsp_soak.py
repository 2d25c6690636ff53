"""How long from a keystroke to its diagnostics, and whether the server stays true and small under typing.

    python benchmarks/lsp_soak.py [--lines 3000] [--edits 2000] [--pause 0.1] [--at-most 100]

Types statements into functions of a document of so many lines, character by character at typing speed, with slips of the
finger, pasted functions and deleted lines; every statement is half typed for most of the time. Each change moves the
ties below it, so that a stale answer shows. Measures from sending a change to diagnostics of that version or a later
one, for every change after the first hundred; and the server's processor time and memory.

Exit 1 when a change was never followed by diagnostics (lost), when diagnostics don't belong to their version (stale),
when memory grew by more than a tenth, or when the 95th percentile is above `--at-most` milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
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
TYPED = (
    "    total = sum(values[0].item() for values in inputs.values())\n",
    '    print(f"loss {float(loss):.3f}", file=log)\n',
    "    if loss != loss:\n        raise ValueError('diverged')\n",
    '    text = """so far"""\n',
    "    # 漢字 and 😀 in a comment\n",
    "    schedule = [rate * 0.9**k for k in range(10)]\n",
)
WARM_UP = 100
TICKS = 100  # of /proc, a second


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


def processor_time_of(pid: int) -> float:
    """Seconds, in user and system mode."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS


def ties(text: str) -> list[int]:
    """The rows that have to be told."""
    return [row for row, line in enumerate(text.split("\n")) if "torch.cuda.max" in line]


@dataclass
class Typist:
    """Changes a text. `text` is what it has come to."""

    text: str
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def edits(self) -> Iterator[tuple[types.Range, str]]:
        """What is typed, one change at a time, without end."""
        while True:
            kind = self.rng.random()
            if kind < 0.1:
                yield self._put(self._function(), TIE.format(n=self.rng.randrange(10**6)))
            elif kind < 0.2:
                at = self._function()
                yield self._cut(at, self.text.index("\n\n\n", at + 1) - at)
            else:
                yield from self._statement()

    def _statement(self) -> Iterator[tuple[types.Range, str]]:
        line = self.rng.choice(TYPED)
        at = self.text.index("    optimizer.zero_grad()", self._function(block=True))
        for char in line:
            if self.rng.random() < 0.05:
                yield self._put(at, "x")
                yield self._cut(at, 1)
            yield self._put(at, char)
            at += 1

    def _function(self, block: bool = False) -> int:
        """Where one of the functions begins, not one of the last."""
        word = "\n\n\ndef step_" if block or self.rng.random() < 0.8 else "\n\n\ndef "
        found = [match.start() for match in re.finditer(word, self.text)]
        return self.rng.choice(found[: len(found) * 9 // 10])

    def _position(self, at: int) -> types.Position:
        row = self.text.count("\n", 0, at)
        line = self.text[self.text.rfind("\n", 0, at) + 1 : at]
        return types.Position(row, len(line.encode("utf-16-le")) // 2)

    def _put(self, at: int, new: str) -> tuple[types.Range, str]:
        where = self._position(at)
        self.text = self.text[:at] + new + self.text[at:]
        return types.Range(where, where), new

    def _cut(self, at: int, count: int) -> tuple[types.Range, str]:
        where = types.Range(self._position(at), self._position(at + count))
        self.text = self.text[:at] + self.text[at + count :]
        return where, ""


@dataclass
class Soak:
    """What was sent and what came, by version."""

    sent: dict[int, float] = field(default_factory=dict)
    came: dict[int, float] = field(default_factory=dict)
    wanted: dict[int, list[int]] = field(default_factory=dict)
    stale: list[int] = field(default_factory=list)

    def published(self, params: types.PublishDiagnosticsParams) -> None:
        if params.version is None:  # said on the way: it claims to be of no version
            return
        version = params.version
        self.came.setdefault(version, time.perf_counter())
        if sorted(d.range.start.line for d in params.diagnostics) != self.wanted.get(version):
            self.stale.append(version)

    def waits(self) -> list[float]:
        """Seconds from each change to diagnostics that know of it, the shortest first."""
        later = sorted(self.came)
        out: list[float] = []
        for version, begun in self.sent.items():
            while later and later[0] < version:
                later.pop(0)
            if later and version > WARM_UP:
                out.append(min(self.came[known] for known in later[:50]) - begun)
        return sorted(out)


async def soak(lines: int, edits: int, pause: float, at_most: float) -> bool:
    client = LanguageClient("soak", "1")
    seen = Soak()
    await client.start_io(sys.executable, "-m", "uncuda", "lsp")

    @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def published(params: types.PublishDiagnosticsParams) -> None:
        seen.published(params)

    @client.feature(types.WINDOW_LOG_MESSAGE)
    def logged(params: types.LogMessageParams) -> None:
        if params.type != types.MessageType.Info:
            print(f"  log: {params.message}")

    async def answered(version: int, limit: float) -> bool:
        end = time.perf_counter() + limit
        while version not in seen.came and time.perf_counter() < end:
            await asyncio.sleep(0.001)
        return version in seen.came

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.6"]\n')
        await client.initialize_async(
            types.InitializeParams(
                capabilities=types.ClientCapabilities(), root_uri=root.as_uri(), process_id=None
            )
        )
        client.initialized(types.InitializedParams())
        uri = (root / "train.py").as_uri()
        typist = Typist(program(lines))
        seen.wanted[1] = ties(typist.text)
        client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 1, typist.text))
        )
        assert await answered(1, 60)
        assert client._server is not None
        pid = client._server.pid
        memory: list[float] = []
        spent, checks = 0.0, 0
        for version, (where, new) in zip(range(2, edits + 2), typist.edits(), strict=False):
            seen.wanted[version] = ties(typist.text)
            seen.sent[version] = time.perf_counter()
            client.text_document_did_change(
                types.DidChangeTextDocumentParams(
                    types.VersionedTextDocumentIdentifier(version, uri),
                    [types.TextDocumentContentChangePartial(text=new, range=where)],
                )
            )
            await asyncio.sleep(pause)
            if version == WARM_UP:
                spent, checks = processor_time_of(pid), len(seen.came)
            if version % (edits // 4) == 0 or version == WARM_UP:
                memory.append(memory_of(pid))
        lost = not await answered(edits + 1, 10)
        spent, checks = processor_time_of(pid) - spent, len(seen.came) - checks
        memory.append(memory_of(pid))
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()
    waits = seen.waits()
    tail = waits[int(len(waits) * 0.95)] * 1000
    print(
        f"{lines} lines, {edits} edits every {pause * 1000:.0f} ms, {len(ties(typist.text))} ties at the end"
    )
    print(f"  from keystroke to diagnostics: median {statistics.median(waits) * 1000:.0f} ms, ", end="")
    print(f"95th percentile {tail:.0f} ms, longest {waits[-1] * 1000:.0f} ms")
    print(f"  the server's processor time: {spent / max(checks, 1) * 1000:.1f} ms a check, {checks} checks")
    print(f"  memory: {', '.join(f'{m:.1f}' for m in memory)} MiB")
    print(f"  lost: {'the last edit' if lost else 'none'}; stale: {len(seen.stale)} of {len(seen.came)}")
    return not lost and not seen.stale and max(memory) < memory[0] * 1.1 and tail < at_most


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=int, default=3000)
    parser.add_argument("--edits", type=int, default=2000)
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between keystrokes (default: 0.1)")
    parser.add_argument("--at-most", type=float, default=100, help="milliseconds, for the 95th percentile")
    options = parser.parse_args()
    return 0 if asyncio.run(soak(options.lines, options.edits, options.pause, options.at_most)) else 1


if __name__ == "__main__":
    sys.exit(main())
