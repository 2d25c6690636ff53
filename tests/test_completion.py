"""Completion in the shells themselves. zsh and fish are tested where they are installed; bash always."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import uncuda
from conftest import write

# What is typed, what is among the offers, and what isn't. A comma begins the next of a list.
TYPED = {
    "ch": ({"check"}, {"audit", "train.py"}),
    "": ({"check", "audit", "config", "explain", "completion", "lsp"}, {"train.py"}),
    "check --un": ({"--unsafe-fixes"}, {"--fix"}),
    "check t": ({"train.py"}, {"uncuda.toml"}),
    "check --fix t": ({"train.py"}, set()),
    "check --output-format js": ({"json", "json-lines"}, {"full", "train.py"}),
    "check --severity w": ({"warning"}, {"error"}),
    "check --target asc": ({"ascend"}, {"cpu"}),
    "check --select UC10": ({"UC101", "UC102"}, {"UC201"}),
    "check --ignore UC201,cuda-cal": ({"UC201,cuda-call"}, {"ALL"}),
    "completion f": ({"fish"}, {"bash", "train.py"}),
    "explain UC10": ({"UC101"}, {"cuda-call"}),
    "explain cuda-cal": ({"cuda-call"}, {"UC101"}),
    "config --fail-on e": ({"error"}, {"warning"}),
    "rehearse t": ({"train.py"}, set()),
    "rehearse --target as": ({"ascend"}, {"mlu"}),
    "rehearse --py": ({"--python"}, {"--paths"}),
    "lsp t": (set(), {"train.py"}),
    "lsp --t": ({"--tcp"}, {"--fix"}),
}

_BASH = """
source ./script
COMP_WORDS=({words}); COMP_CWORD={last}; _uncuda; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def in_bash(project: Path, typed: str) -> set[str]:
    words = ["uncuda", *typed.split(" ")]
    code = _BASH.format(words=" ".join(map(repr, words)), last=len(words) - 1)
    done = subprocess.run(
        ["bash", "--norc", "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def in_fish(project: Path, typed: str) -> set[str]:
    code = f"source ./script; complete -C 'uncuda {typed}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return {line.partition("\t")[0] for line in done.stdout.splitlines()}


# Zsh completes on a terminal only. What it would show is noted on the way.
_ZSH = """
autoload -Uz compinit && compinit -u -D
LOAD
compadd() {
  if [[ " $* " != *' -'(O|A|D)' '* ]]; then
    local -a offers; builtin compadd -O offers "$@"; print -rl -- $IPREFIX$^offers >> noted
  fi
  builtin compadd "$@"
}
note() { : > noted; _main_complete 2>> noted; mv noted offers }
zle -C note complete-word note
bindkey '^I' note
: > ready
"""
_ZSH_LOADS = {"from $fpath": "", "sourced": "source ./script"}


def in_zsh(project: Path, typed: str, load: str) -> set[str]:
    import pty

    (project / "functions").mkdir(exist_ok=True)
    shutil.copy(project / "script", project / "functions" / "_uncuda")
    path = "fpath=($PWD/functions $fpath)\n" if not load else ""
    (project / "setup").write_text(path + _ZSH.replace("LOAD", load))
    for name in ("ready", "offers"):
        (project / name).unlink(missing_ok=True)
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(project)
        os.environ["TERM"] = "xterm"
        os.execvp("zsh", ["zsh", "-f", "-i"])
    os.set_blocking(terminal, False)

    def wait_for(name: str) -> None:
        for _ in range(1200):
            try:
                os.read(terminal, 65536)
            except BlockingIOError:
                time.sleep(0.05)
            if (project / name).exists():
                return
        raise AssertionError(f"zsh didn't get to: {name}")

    try:
        os.write(terminal, b"source setup\n")
        wait_for("ready")
        os.write(terminal, f"uncuda {typed}\t".encode())
        wait_for("offers")
        return set((project / "offers").read_text().split("\n"))
    finally:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def prepared(project: Path, shell: str) -> None:
    write(project, {"train.py": "", "uncuda.toml": ""})
    (project / "script").write_text(uncuda("completion", shell, cwd=project).out)


def told(offers: set[str], typed: str) -> None:
    wanted, unwanted = TYPED[typed]
    assert wanted <= offers, typed
    assert not unwanted & offers, typed


def test_bash(project: Path) -> None:
    prepared(project, "bash")
    for typed in TYPED:
        told(in_bash(project, typed), typed)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish isn't installed")
def test_fish(project: Path) -> None:
    prepared(project, "fish")
    for typed in TYPED:
        told(in_fish(project, typed), typed)
    assert in_fish(project, "check --target=cpu,asc") == {"--target=cpu,ascend"}
    assert "train.py" in in_fish(project, "audit lsp t")


@pytest.mark.skipif(shutil.which("zsh") is None or sys.platform == "win32", reason="zsh isn't installed")
@pytest.mark.parametrize("way", _ZSH_LOADS)
def test_zsh(project: Path, way: str) -> None:
    prepared(project, "zsh")
    for typed in TYPED:
        told(in_zsh(project, typed, _ZSH_LOADS[way]), typed)
