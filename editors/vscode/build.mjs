// Bundles the extension into one file, and copies the pure-Python tool beside it as the last resort.
import { build } from "esbuild";
import { cp, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");

await build({
  entryPoints: [join(here, "src/extension.ts"), join(here, "src/interpreter.ts")],
  outdir: join(here, "dist"),
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  external: ["vscode"],
  sourcemap: false,
});

const bundled = join(here, "bundled", "uncuda");
await rm(join(here, "bundled"), { recursive: true, force: true });
await mkdir(bundled, { recursive: true });
const keep = (source) => !source.includes("__pycache__");
await cp(join(root, "linter"), bundled, { recursive: true, filter: keep });
await cp(join(root, "rules"), join(bundled, "rules"), { recursive: true, filter: keep });
await cp(join(root, "fixes"), join(bundled, "fixes"), { recursive: true, filter: keep });
await cp(join(root, "LICENSE"), join(here, "LICENSE"));
