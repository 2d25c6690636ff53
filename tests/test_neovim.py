"""A real Neovim with the project's own configuration: diagnostics, a quick fix, all fixes on save."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TEXT = "import torch\n\nx = torch.ones(2)\nx = x.cuda()\ntorch.cuda.synchronize()\n"
NVIM = shutil.which("nvim")


@pytest.mark.skipif(
    NVIM is None and not os.environ.get("UNCUDA_REQUIRE_NVIM"),
    reason="Neovim isn't installed; CI requires it",
)
def test_neovim(tmp_path: Path) -> None:
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
            f"luafile {HERE / 'neovim_session.lua'}",
        ],
        timeout=120,
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
    seen = json.loads(out.read_text())
    assert "problem" not in seen, seen["problem"]
    assert seen["appeared"]
    assert [(d["code"], d["lnum"]) for d in seen["diagnostics"]] == [("UC101", 3), ("UC206", 4)]
    assert {d["source"] for d in seen["diagnostics"]} == {"uncuda"}
    assert seen["action"] == "Move with .to(device) [UC101]"
    assert "x = x.to(device)" in seen["after_action"]
    assert "torch.cuda.synchronize()" in seen["after_action"]
    assert seen["left"] == 1
    assert "    torch.accelerator.synchronize()" in seen["after_save"]
    assert seen["clean"]
    assert ".cuda" not in file.read_text()
