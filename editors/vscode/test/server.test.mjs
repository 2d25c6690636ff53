// The conversation of the extension with the real server, without an editor: the client's own protocol library talks
// to `uncuda lsp` as it is started by the extension.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync, chmodSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const { find } = require(join(here, "dist", "interpreter.js"));
const { createProtocolConnection, StreamMessageReader, StreamMessageWriter } = require("vscode-languageserver-protocol/node");
const python = process.env.UNCUDA_PYTHON ?? "python3";
const TEXT = "import torch\n\nx = torch.ones(2)\nx = x.cuda()\n";
const running = [];
after(() => running.forEach((child) => child.kill()));

function around(changes = {}) {
  return { configured: python, chosen: undefined, extensionPath: here, ...changes };
}

test("the configured interpreter is taken", async () => {
  const { command } = await find(around());
  assert.equal(command.command, python);
  assert.deepEqual(command.args, ["-m", "uncuda", "lsp"]);
  assert.equal(command.env, undefined);
});

test("a configured interpreter that can't is not replaced silently", async () => {
  const { command, tried } = await find(around({ configured: "/nowhere/python" }));
  assert.equal(command, undefined);
  assert.match(tried.join("\n"), /\/nowhere\/python/);
});

test("without an installed tool the bundled copy is taken", async () => {
  // A Python that has the libraries but, by name, not the tool: -I would hide PYTHONPATH too, so a wrapper hides the
  // installed package by putting an unimportable one first, unless the bundled path is asked for.
  const folder = mkdtempSync(join(tmpdir(), "uncuda-"));
  const wrapper = join(folder, "wrapped");
  writeFileSync(
    wrapper,
    `#!/bin/sh\nif [ -z "$PYTHONPATH" ]; then exit 1; fi\nexec "${python}" "$@"\n`,
  );
  chmodSync(wrapper, 0o755);
  const path = process.env.PATH;
  process.env.PATH = folder; // no python3 there
  try {
    const { command, tried } = await find(around({ configured: "", chosen: wrapper }));
    assert.equal(command.command, wrapper);
    assert.match(command.env.PYTHONPATH, /bundled$/);
    assert.match(tried.join("\n"), /isn't installed there/);
    await converse(command);
  } finally {
    process.env.PATH = path;
  }
});

test("the server that is found tells and fixes ties", async () => {
  const { command } = await find(around());
  await converse(command);
});

/** A session with a server that is started as the extension does it. */
async function converse(command) {
  const child = spawn(command.command, command.args, { env: { ...process.env, ...command.env } });
  running.push(child);
  const connection = createProtocolConnection(new StreamMessageReader(child.stdout), new StreamMessageWriter(child.stdin));
  connection.listen();
  const root = mkdtempSync(join(tmpdir(), "uncuda-"));
  const uri = pathToFileURL(join(root, "train.py")).href;
  const folder = pathToFileURL(root).href;
  const initialized = await connection.sendRequest("initialize", {
    processId: process.pid,
    rootUri: folder,
    workspaceFolders: [{ uri: folder, name: "test" }],
    capabilities: {
      general: { positionEncodings: ["utf-16"] },
      textDocument: { diagnostic: {}, codeAction: {} },
      workspace: { workspaceEdit: { documentChanges: true } },
    },
  });
  assert.equal(initialized.capabilities.positionEncoding, "utf-16");
  await connection.sendNotification("initialized", {});
  await connection.sendNotification("textDocument/didOpen", {
    textDocument: { uri, languageId: "python", version: 1, text: TEXT },
  });
  const report = await connection.sendRequest("textDocument/diagnostic", { textDocument: { uri } });
  assert.deepEqual(report.items.map((item) => item.code), ["UC101"]);
  const actions = await connection.sendRequest("textDocument/codeAction", {
    textDocument: { uri },
    range: report.items[0].range,
    context: { diagnostics: [], only: ["source.fixAll.uncuda"] },
  });
  const resolved = await connection.sendRequest("codeAction/resolve", actions[0]);
  const text = resolved.edit.documentChanges[0].edits.map((edit) => edit.newText).join("");
  assert.match(text, /x = x\.to\(device\)/);
  const page = await connection.sendRequest("workspace/executeCommand", { command: "uncuda.showRule", arguments: ["UC101"] });
  assert.match(page, /UC101/);
  await connection.sendRequest("shutdown");
  await connection.sendNotification("exit");
  const code = await new Promise((resolve) => child.on("exit", resolve));
  assert.equal(code, 0);
}
