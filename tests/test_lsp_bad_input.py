"""The language server in bad company: broken messages, clients that don't keep to the protocol, files that vanish or
can't be read. It lives on, answers what can be answered, and says why in the log. Spoken to byte by byte."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

SERVER = [sys.executable, "-m", "uncuda", "lsp"]
TEXT = "import torch\n\nx = torch.ones(2)\nx = x.cuda()\n"
PATIENCE = 120
"""Seconds that an answer may take on a busy machine."""

Message = dict[str, Any]


def framed(message: object) -> bytes:
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


class Raw:
    """A client that writes bytes, and looks at everything that comes back."""

    def __init__(self, sink: BinaryIO, source: BinaryIO) -> None:
        self.seen: list[Message] = []
        self._sink = sink
        self._waiting: queue.Queue[Message | None] = queue.Queue()
        self._number = 0
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: BinaryIO) -> None:
        length = 0
        while line := source.readline():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
            elif not line.strip():
                self._waiting.put(json.loads(source.read(length)))
        self._waiting.put(None)

    def write(self, data: bytes) -> None:
        self._sink.write(data)
        self._sink.flush()

    def tell(self, method: str, params: object = None) -> None:
        self.write(framed({"jsonrpc": "2.0", "method": method, "params": params}))

    def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message from the server, of those it has sent already too, that is wanted."""
        for seen in self.seen:
            if wanted(seen):
                return seen
        while True:
            try:
                message = self._waiting.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"didn't come; what came: {self.seen}") from None
            assert message is not None, f"the server has ended; what came: {self.seen}"
            self.seen.append(message)
            if wanted(message):
                return message

    def start(self, method: str, params: object = None) -> int:
        """Sends a request, and gives its number."""
        self._number += 1
        self.write(framed({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}))
        return self._number

    def answer(self, number: int | None) -> Message:
        return self.until(lambda m: "method" not in m and m.get("id") == number)

    def ask(self, method: str, params: object = None) -> Message:
        return self.answer(self.start(method, params))

    def logged(self, part: str) -> str:
        """The line of the log that has this part."""
        found = self.until(
            lambda m: m.get("method") == "window/logMessage" and part in m["params"]["message"]
        )
        return str(found["params"]["message"])

    def initialize(self, root: Path, **capabilities: object) -> None:
        answer = self.ask(
            "initialize",
            {
                "processId": None,
                "rootUri": root.as_uri(),
                "capabilities": {"textDocument": {"diagnostic": {}}, **capabilities},
            },
        )
        assert "result" in answer, answer
        self.tell("initialized", {})

    def open(self, uri: str, text: str, version: int = 1) -> None:
        self.tell(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": "python", "version": version, "text": text}},
        )

    def change(self, uri: str, version: object, *changes: object) -> None:
        self.tell(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": version}, "contentChanges": changes},
        )

    def codes(self, uri: str) -> list[str]:
        answer = self.ask("textDocument/diagnostic", {"textDocument": {"uri": uri}})
        return [item["code"] for item in answer["result"]["items"]]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.6"]\n')
    with subprocess.Popen(
        SERVER, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def raw(process: subprocess.Popen[bytes]) -> Raw:
    assert process.stdin is not None and process.stdout is not None
    return Raw(process.stdin, process.stdout)  # type: ignore[arg-type]


def lives(raw: Raw, root: Path) -> None:
    """It finds the tie in a new document."""
    uri = (root / f"new{len(raw.seen)}.py").as_uri()
    raw.open(uri, TEXT)
    assert raw.codes(uri) == ["UC101"]


BROKEN = {
    "no number": (b"Content-Length: much\r\n\r\n" + b'{"jsonrpc": "2.0"}', "isn't a header", None),
    "no header": (b'{"jsonrpc": "2.0", "id": 7, "method": "shutdown"}', "isn't a header", None),
    "far too long": (b"Content-Length: 99999999999\r\n\r\n{}", "isn't a header", None),
    "lines of anything": (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n\r\n", "isn't a header", None),
    "bytes": (bytes(range(256)) + b"\r\n", "isn't a header", None),
    "too short": (b"Content-Length: 5\r\n\r\n" + b'{"jsonrpc": "2.0"}', "isn't JSON", -32700),
    "no JSON": (b'Content-Length: 9\r\n\r\n{"id": 1,', "isn't JSON", -32700),
    "no UTF-8": (b"Content-Length: 4\r\n\r\n\xff\xfe\xfd\xfc", "isn't JSON", -32700),
    "deep": (b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000, "isn't JSON", -32700),
    "a list": (framed([1, 2]), "not a message", -32600),
    "a number": (framed(5), "not a message", -32600),
    "another version": (framed({"jsonrpc": "1.0", "method": "exit"}), "not a message", None),
    "nothing in it": (framed({"jsonrpc": "2.0"}), "neither a request", None),
    "a method that is a number": (framed({"jsonrpc": "2.0", "method": 5}), "isn't a text", None),
    "an answer to nothing": (framed({"jsonrpc": "2.0", "id": "x", "result": 5}), "", None),
    "wrong types in a notification": (
        framed({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": 5}}),
        "textDocument/didOpen",
        None,
    ),
    "nothing in a notification": (
        framed({"jsonrpc": "2.0", "method": "textDocument/didChange"}),
        "textDocument/didChange",
        None,
    ),
    "an unknown notification": (
        framed({"jsonrpc": "2.0", "method": "uncuda/what", "params": {}}),
        "'uncuda/what'",
        None,
    ),
    "cancelling nothing": (
        framed({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 99}}),
        "",
        None,
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_messages(raw: Raw, tmp_path: Path, kind: str) -> None:
    data, told, code = BROKEN[kind]
    raw.initialize(tmp_path)
    raw.write(data)
    if kind == "no header":
        raw.tell("$/setTrace", {"value": "off"})  # a line ends with the next header only
    if told:
        raw.logged(told)
    if code is not None:
        assert raw.answer(None)["error"]["code"] == code
    lives(raw, tmp_path)


def test_requests_that_make_no_sense_are_answered(raw: Raw, tmp_path: Path) -> None:
    raw.initialize(tmp_path)
    uri = (tmp_path / "a.py").as_uri()
    for method, params, code in (
        ("uncuda/noSuchMethod", {}, -32601),
        ("textDocument/hover", {"textDocument": {"uri": uri}, "position": "there"}, -32602),
        ("textDocument/hover", None, -32602),
        ("workspace/executeCommand", {"command": "uncuda.noSuchCommand"}, -32602),
        ("codeAction/resolve", {"no": "title"}, -32602),
    ):
        answer = raw.ask(method, params)
        assert answer["error"]["code"] == code, (method, answer)
    unusual: list[tuple[str, Message]] = [
        ("textDocument/hover", {"textDocument": {"uri": uri}, "position": {"line": 10**6, "character": 5}}),
        (
            "textDocument/hover",
            {"textDocument": {"uri": "what:ever"}, "position": {"line": 0, "character": 0}},
        ),
        ("codeAction/resolve", {"title": "x", "data": {"uri": 5, "rule": ["x"]}}),
        ("workspace/executeCommand", {"command": "uncuda.showRule", "arguments": ["UC999999"]}),
        ("textDocument/codeLens", {"textDocument": {"uri": "untitled:nowhere"}}),
    ]
    for method, given in unusual:
        assert "error" not in raw.ask(method, given), method
    lives(raw, tmp_path)


def test_before_and_after(process: subprocess.Popen[bytes], raw: Raw, tmp_path: Path) -> None:
    assert raw.ask("textDocument/hover", {})["error"]["code"] == -32002
    raw.tell("textDocument/didOpen", {})
    raw.logged("came before initialize")
    assert raw.ask("initialize", {"processId": "one", "capabilities": 5})["error"]["code"] == -32602
    raw.initialize(tmp_path)
    assert (
        raw.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})["error"]["code"]
        == -32600
    )
    lives(raw, tmp_path)
    assert raw.ask("shutdown")["result"] is None
    assert raw.ask("shutdown")["error"]["code"] == -32600
    raw.tell("exit")
    assert process.wait(PATIENCE) == 0


def test_a_client_that_leaves_without_a_word(
    process: subprocess.Popen[bytes], raw: Raw, tmp_path: Path
) -> None:
    raw.initialize(tmp_path)
    lives(raw, tmp_path)
    assert process.stdin is not None and process.stderr is not None
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == b""


def test_exit_without_shutdown_is_a_failure(
    process: subprocess.Popen[bytes], raw: Raw, tmp_path: Path
) -> None:
    raw.initialize(tmp_path)
    raw.tell("exit")
    assert process.wait(PATIENCE) == 1


def test_edits_out_of_order(raw: Raw, tmp_path: Path) -> None:
    raw.initialize(tmp_path)
    never, uri = (tmp_path / "never.py").as_uri(), (tmp_path / "a.py").as_uri()
    raw.change(never, 3, {"text": "x"})
    raw.logged("never.py: changed, but was never opened")
    raw.tell("textDocument/didClose", {"textDocument": {"uri": never}})
    raw.tell("textDocument/didSave", {"textDocument": {"uri": never}})
    raw.tell(
        "notebookDocument/didChange",
        {"notebookDocument": {"uri": never, "version": 2}, "change": {"cells": {}}},
    )
    raw.tell("notebookDocument/didClose", {"notebookDocument": {"uri": never}, "cellTextDocuments": []})
    raw.open(uri, TEXT, version=5)
    # An older version is taken as it comes: what was sent last is what the editor shows.
    raw.change(uri, 4, {"text": TEXT + "torch.cuda.synchronize()\n"})
    raw.logged("version 4 came after 5")
    assert raw.codes(uri) == ["UC101", "UC206"]
    outside = {"start": {"line": 99, "character": 99}, "end": {"line": 98, "character": 0}}
    raw.change(uri, 6, {"range": outside, "text": "# the end\n"})
    raw.change(uri, "seven", {"text": ""})
    raw.logged("textDocument/didChange")
    assert raw.codes(uri) == ["UC101", "UC206"]
    raw.open(uri, TEXT, version=1)  # once more, without closing it
    assert raw.codes(uri) == ["UC101"]


def test_files_that_cannot_be_read(raw: Raw, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(TEXT)
    (tmp_path / "latin.py").write_bytes(b"# \xe9t\xe9\nimport torch\nx = torch.ones(1).cuda()\n")
    (tmp_path / "declared.py").write_bytes(
        b"# -*- coding: latin-1 -*-\n# \xe9t\xe9\nimport torch\nx = torch.ones(1).cuda()\n"
    )
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "soon.py").write_text(TEXT)
    raw.initialize(tmp_path)
    uri = (tmp_path / "soon.py").as_uri()
    raw.open(uri, TEXT)
    (tmp_path / "soon.py").unlink()
    assert raw.codes(uri) == ["UC101"]  # as it is in the editor
    items = raw.ask("workspace/diagnostic", {"previousResultIds": []})["result"]["items"]
    told = {item["uri"].rpartition("/")[2]: [d["code"] for d in item["items"]] for item in items}
    assert told == {"good.py": ["UC101"], "declared.py": ["UC101"]}
    assert "UTF-8" in raw.logged("latin.py")
    (tmp_path / "good.py").unlink()
    gone = {"uri": (tmp_path / "good.py").as_uri(), "value": items[0]["resultId"]}
    again = raw.ask("workspace/diagnostic", {"previousResultIds": [gone]})["result"]["items"]
    assert [item["items"] for item in again if item["uri"] == gone["uri"]] == [[]]


def test_a_large_file(raw: Raw, tmp_path: Path) -> None:
    raw.initialize(tmp_path)
    uri = (tmp_path / "large.py").as_uri()
    filler = "".join(
        f"def f_{n}(a, b):\n    return [a + {n}, b * {n}, (a, b, {n})]\n\n\n" for n in range(75_000)
    )
    text = TEXT + filler + "torch.cuda.synchronize()\n"
    assert len(text) > 5_000_000
    raw.open(uri, text)
    first = raw.start("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    # Meanwhile it answers, and what isn't wanted any more is dropped.
    assert "result" in raw.ask(
        "workspace/executeCommand", {"command": "uncuda.showRule", "arguments": ["UC101"]}
    )
    assert not any(m.get("id") == first and "method" not in m for m in raw.seen)
    raw.tell("$/cancelRequest", {"id": first})
    assert raw.answer(first)["error"]["code"] == -32800
    assert raw.codes(uri) == ["UC101", "UC206"]
    raw.change(
        uri,
        2,
        {"range": {"start": {"line": 3, "character": 0}, "end": {"line": 4, "character": 0}}, "text": ""},
    )
    assert raw.codes(uri) == ["UC206"]


def test_two_clients_in_turn(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*SERVER, "--tcp", "--port", "0"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            port = int(process.stderr.readline().rpartition(":")[2])
            for leaving in ("with a word", "without", "in the middle"):
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
                    raw = Raw(connection.makefile("wb"), connection.makefile("rb"))
                    raw.initialize(tmp_path)
                    lives(raw, tmp_path)
                    if leaving == "with a word":
                        raw.ask("shutdown")
                        raw.tell("exit")
                    elif leaving == "in the middle":
                        raw.write(b"Content-Length: 100\r\n\r\n{")
                    connection.shutdown(socket.SHUT_RDWR)
                assert "the client has left" in process.stderr.readline()
        finally:
            process.kill()
