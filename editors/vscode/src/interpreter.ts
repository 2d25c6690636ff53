// Finds a way to start the server: which Python, and with which copy of uncuda.
import { execFile } from "node:child_process";
import { join } from "node:path";

export interface Command {
  command: string;
  args: string[];
  env?: Record<string, string>;
  /** What is told in the log. */
  from: string;
}

export interface Surroundings {
  /** `uncuda.interpreter`, empty when unset. */
  configured: string;
  /** The interpreter that the Python extension has chosen, if there is one. */
  chosen: string | undefined;
  /** Where the extension is installed. */
  extensionPath: string;
}

const PROBE = "import uncuda.lsp.server";

/** Does this Python have what `code` imports? */
export function can(python: string, code: string, env?: Record<string, string>): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(python, ["-c", code], { timeout: 20_000, env: { ...process.env, ...env } }, (error) => resolve(error === null));
  });
}

/** The first way that works, or undefined with what was tried. */
export async function find(around: Surroundings): Promise<{ command?: Command; tried: string[] }> {
  const tried: string[] = [];
  const pythons = [around.configured, around.chosen, "python3", "python"].filter(
    (name): name is string => name !== undefined && name !== "",
  );
  const unique = [...new Set(pythons)];
  for (const python of unique) {
    if (await can(python, PROBE)) {
      return { command: { command: python, args: ["-m", "uncuda", "lsp"], from: `uncuda installed in ${python}` }, tried };
    }
    tried.push(`${python}: uncuda with its language server isn't installed there`);
    if (python === around.configured) {
      // The person named it: nothing else may be taken silently.
      return { tried };
    }
  }
  const env = { PYTHONPATH: join(around.extensionPath, "bundled") };
  for (const python of unique) {
    if (await can(python, PROBE, env)) {
      return {
        command: { command: python, args: ["-m", "uncuda", "lsp"], env, from: `the copy in the extension, run by ${python}` },
        tried,
      };
    }
    tried.push(`${python}: can't run the extension's copy (it needs libcst, pathspec and pygls)`);
  }
  return { tried };
}
