// The extension: starts the server, restarts it when its settings change, and gives its commands a face.
import * as vscode from "vscode";
import { LanguageClient, type LanguageClientOptions, type ServerOptions, TransportKind } from "vscode-languageclient/node";
import { find } from "./interpreter";

let client: LanguageClient | undefined;
let log: vscode.LogOutputChannel;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  log = vscode.window.createOutputChannel("uncuda", { log: true });
  context.subscriptions.push(
    log,
    vscode.commands.registerCommand("uncuda.restart", () => restart(context)),
    vscode.commands.registerCommand("uncuda.showLog", () => log.show()),
    vscode.commands.registerCommand("uncuda.explainRule", explainRule),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration("uncuda.interpreter")) {
        await restart(context);
      }
    }),
  );
  await start(context);
}

export async function deactivate(): Promise<void> {
  await client?.stop();
  client = undefined;
}

async function restart(context: vscode.ExtensionContext): Promise<void> {
  await client?.stop();
  client = undefined;
  await start(context);
}

async function start(context: vscode.ExtensionContext): Promise<void> {
  const settings = vscode.workspace.getConfiguration("uncuda");
  const found = await find({
    configured: settings.get<string>("interpreter", ""),
    chosen: await chosenInterpreter(),
    extensionPath: context.extensionPath,
  });
  found.tried.forEach((line) => log.info(line));
  if (found.command === undefined) {
    const pick = await vscode.window.showErrorMessage(
      "uncuda isn't installed in this environment. Install it with: pip install 'uncuda[lsp]'",
      "Show the log",
    );
    if (pick !== undefined) {
      log.show();
    }
    return;
  }
  log.info(`server: ${found.command.from}`);
  const run = {
    command: found.command.command,
    args: found.command.args,
    transport: TransportKind.stdio,
    options: { env: { ...process.env, ...found.command.env } },
  };
  const server: ServerOptions = { run, debug: run };
  const options: LanguageClientOptions = {
    documentSelector: [
      { scheme: "file", language: "python" },
      { scheme: "untitled", language: "python" },
      { notebook: "jupyter-notebook", language: "python" },
    ],
    outputChannel: log,
    synchronize: { configurationSection: "uncuda" },
  };
  client = new LanguageClient("uncuda", "uncuda", server, options);
  await client.start();
}

/** What the Python extension has chosen for the workspace, if it is there. */
async function chosenInterpreter(): Promise<string | undefined> {
  const python = vscode.extensions.getExtension("ms-python.python");
  if (python === undefined) {
    return undefined;
  }
  try {
    const api = await python.activate();
    const path = api?.environments?.getActiveEnvironmentPath?.()?.path;
    return typeof path === "string" && path !== "" ? path : undefined;
  } catch (error) {
    log.warn(`the Python extension gave no interpreter: ${String(error)}`);
    return undefined;
  }
}

async function explainRule(code?: string): Promise<void> {
  const wanted = code ?? (await vscode.window.showInputBox({ prompt: "A rule's code", placeHolder: "UC101" }));
  if (wanted === undefined || client === undefined) {
    return;
  }
  const page = await client.sendRequest("workspace/executeCommand", { command: "uncuda.showRule", arguments: [wanted] });
  if (typeof page !== "string") {
    await vscode.window.showWarningMessage(`There is no rule ${wanted}.`);
    return;
  }
  const document = await vscode.workspace.openTextDocument({ language: "markdown", content: page });
  await vscode.commands.executeCommand("markdown.showPreview", document.uri);
}
