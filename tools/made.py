"""Makes what is made from the rules and the examples: the rule catalogue, pages of docs/, and marked parts of texts.

    python tools/made.py [--check]

With `--check` nothing is written; the exit code is 1 when something is out of date.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pages import left_over, pages, settings_list

from uncuda.cli import COMMANDS
from uncuda.engine import Options, fix_text
from uncuda.findings import Target
from uncuda.rules import catalogue, knowledge

ROOT = Path(__file__).resolve().parent.parent
README, CONTRIBUTING, SETTINGS = ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "settings.md"

FAMILIES = {
    "UC0": "housekeeping: files that can't be parsed, suppressions",
    "UC1": "placement: `.cuda()`, device text and objects, `map_location`, defaults, comparisons",
    "UC2": "runtime: choosing a device, counts, memory, streams, events, properties",
    "UC3": "numerics: random numbers, autocast, GradScaler, cuDNN and TF32 flags",
    "UC4": "distributed: NCCL, DDP and DataParallel arguments, ranks",
    "UC5": "kernels and packages: CUDA-only imports, extensions, Triton and its kin",
    "UC6": "frameworks: Hugging Face, Lightning, DeepSpeed, ONNX Runtime and others",
    "UC7": "process: environment variables, `nvidia-smi`, tests that skip themselves",
    "UC8": "around the code: requirements, lock files, images, scripts, CI, settings, native sources",
}
"""First letters of a code to what the family is about."""

EXAMPLE, FUNCTIONS = ROOT / "examples" / "train_ddp.py", ("setup", "evaluate")
"""What the README shows before and after."""

FINDING = ("examples/explore_spirals.py", "--select", "UC206")
"""The arguments of the check whose first finding the README shows."""

RULE = ROOT / "rules" / "out_of_memory.py"
"""What CONTRIBUTING.md shows."""


def function(text: str, name: str) -> list[str]:
    """The lines of a top-level function, decorators included."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            assert node.end_lineno is not None
            return text.splitlines()[first - 1 : node.end_lineno]
    raise ValueError(f"no function {name}")


def before_after() -> str:
    """Functions of an example as a diff: as they are, and after every fix."""
    text = EXAMPLE.read_text("utf-8")
    fixed = fix_text(text, Options(), unsafe=True).text
    lines: list[str] = []
    for name in FUNCTIONS:
        old, new = function(text, name), function(fixed, name)
        diff = list(difflib.unified_diff(old, new, n=len(old) + len(new), lineterm=""))[3:]
        lines += [" ", *diff] if lines else diff
    return "\n".join(["```diff", *(line.rstrip() for line in lines), "```"])


def finding() -> str:
    """One finding as `uncuda check` prints it."""
    command = [sys.executable, "-m", "uncuda", "check", *FINDING, "--color", "never", "--no-cache"]
    there = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=there)
    first = done.stdout.partition("\n\n")[0]
    assert done.returncode == 1, done.stderr
    return f"```\n{first}\n```"


def counts() -> str:
    """How much it knows, in one sentence and a table."""
    infos = catalogue.catalogue()
    fixable = sum(info.fix != "none" for info in infos)
    by_family = Counter(info.code[:3] for info in infos)
    unknown = set(by_family) - set(FAMILIES)
    assert not unknown, f"families without a description: {unknown}"
    rows = [f"| {family}xx | {by_family[family]} | {text} |" for family, text in FAMILIES.items()]
    return "\n".join(
        [
            f"{len(infos)} rules, {fixable} of them with fixes; what {len(knowledge.apis())} APIs, arguments and "
            f"variables and {len(knowledge.packages())} packages do on {len(Target)} targets.",
            "",
            "| codes | rules | about |",
            "|---|---:|---|",
            *rows,
        ]
    )


def commands() -> str:
    """The commands as a table."""
    rows = [f"| `uncuda {name}` | {summary} |" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def targets() -> str:
    """The targets as a table."""
    rows = []
    for which in Target:
        facts = knowledge.target(which)
        rows.append(f"| `{which.value}` | {facts.title} | `{facts.device}` | `{facts.backend}` |")
    return "\n".join(
        ["| `--target` | what | torch's name for it | torch.distributed |", "|---|---|---|---|", *rows]
    )


def rule() -> str:
    """A rule's whole module."""
    return f"```python\n{RULE.read_text('utf-8')}```"


PARTS: dict[Path, dict[str, Callable[[], str]]] = {
    README: {
        "finding": finding,
        "before-after": before_after,
        "counts": counts,
        "commands": commands,
        "targets": targets,
    },
    CONTRIBUTING: {"rule": rule},
    SETTINGS: {"settings": settings_list},
}


def remade(path: Path) -> str:
    """A text with its marked parts made anew."""
    text = path.read_text("utf-8")
    for name, make in PARTS[path].items():
        start, end = f"<!-- made: {name} -->\n", "<!-- end -->"
        before, started, rest = text.partition(start)
        _, ended, after = rest.partition(end)
        if not (started and ended):
            raise ValueError(f"{path.name} has no part marked {name!r}")
        text = f"{before}{start}{make()}\n{end}{after}"
    return text


def made() -> dict[Path, str]:
    """Every file that is made, in part or whole, to what it should hold."""
    return {
        catalogue.FILE: catalogue.as_text(catalogue.collect()),
        **{path: remade(path) for path in PARTS},
        **pages(FAMILIES),
    }


def held(path: Path) -> str | None:
    """What a file holds now."""
    return path.read_text("utf-8") if path.exists() else None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when out of date")
    check: bool = parser.parse_args().check
    every = made()
    if not check and held(catalogue.FILE) != every[catalogue.FILE]:
        # What is shown of the rules comes through the catalogue: it has to be there before the rest is made.
        catalogue.FILE.write_text(every[catalogue.FILE], encoding="utf-8", newline="\n")
        print(f"{catalogue.FILE.relative_to(ROOT)} is made anew")
        return subprocess.run([sys.executable, __file__], check=False).returncode
    stale = {path: text for path, text in every.items() if held(path) != text}
    for path, text in stale.items():
        print(f"{path.relative_to(ROOT)} {'is out of date' if check else 'is made anew'}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    gone = left_over(every)
    for path in gone:
        print(f"{path.relative_to(ROOT)} {'has nothing to be made from' if check else 'is removed'}")
        if not check:
            path.unlink()
    if (stale or gone) and check:
        print("run: python tools/made.py")
    return 1 if (stale or gone) and check else 0


if __name__ == "__main__":
    sys.exit(main())
