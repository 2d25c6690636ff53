"""A real Neovim with the project's own configuration: diagnostics, a quick fix, all fixes on save."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TEXT = "import torch\n\nx = torch.ones(2)\nx = x.cuda()\ntorch.cuda.synchronize()\n"
NVIM = shutil.which("nvim")


def version() -> tuple[int, int]:
    """Of the Neovim that is here; (0, 0) without one."""
    if NVIM is None:
        return 0, 0
    told = subprocess.run([NVIM, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"NVIM v(\d+)\.(\d+)", told)
    assert found is not None, told
    return int(found[1]), int(found[2])


def session(tmp_path: Path, script: str) -> dict[str, Any]:
    """What a Neovim saw that did as a script says."""
    assert NVIM is not None, "nvim isn't on PATH"
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.6"]\n')
    file, out = tmp_path / "train.py", tmp_path / "out.json"
    file.write_text(TEXT)
    subprocess.run(
        [
            NVIM,
            "--headless",
            "-u",
            "NONE",
            "--cmd",
            f"set runtimepath+={HERE.parent / 'editors' / 'nvim'}",
            "-c",
            f"luafile {HERE / script}",
        ],
        timeout=240,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={
            **os.environ,
            "UNCUDA_CMD": json.dumps([sys.executable, "-m", "uncuda", "lsp"]),
            "UNCUDA_FILE": str(file),
            "UNCUDA_OUT": str(out),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "HOME": str(tmp_path),
        },
    )
    seen: dict[str, Any] = json.loads(out.read_text())
    assert "problem" not in seen, seen["problem"]
    assert seen["appeared"]
    return seen


@pytest.mark.skipif(
    NVIM is None and not os.environ.get("UNCUDA_REQUIRE_NVIM"),
    reason="Neovim isn't installed; CI requires it",
)
def test_neovim(tmp_path: Path) -> None:
    seen = session(tmp_path, "neovim_session.lua")
    assert [(d["code"], d["lnum"]) for d in seen["diagnostics"]] == [("UC101", 3), ("UC206", 4)]
    assert {d["source"] for d in seen["diagnostics"]} == {"uncuda"}
    assert seen["action"] == "Move with .to(device) [UC101]"
    assert "x = x.to(device)" in seen["after_action"]
    assert "torch.cuda.synchronize()" in seen["after_action"]
    assert seen["left"] == 1
    assert "    torch.accelerator.synchronize()" in seen["after_save"]
    assert seen["clean"]
    assert ".cuda" not in (tmp_path / "train.py").read_text()


@pytest.mark.skipif(version() < (0, 11), reason="vim.lsp.enable came with Neovim 0.11")
def test_neovims_own_configuration(tmp_path: Path) -> None:
    seen = session(tmp_path, "neovim_config.lua")
    assert sorted(seen["codes"]) == ["UC101", "UC206"]
    assert seen["clean"]
    assert ".cuda" not in (tmp_path / "train.py").read_text()
