"""The helper module for old torch: written, importable, portable, and used by fixes below torch 2.6."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_replay import replay

from uncuda.cli.init_shim import module_name
from uncuda.fixes.shim import SHIM

PROGRAM = "import torch\n\n\ndef run():\n    x = torch.ones(2).cuda()\n    return x\n"


def uncuda(root: Path, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", *words],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    return done


def test_fixes_import_the_shim_below_the_floor(tmp_path: Path) -> None:
    package = tmp_path / "mylib"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "use.py").write_text(PROGRAM)
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.1"]\n')
    settings = uncuda(tmp_path, "init-shim", "mylib/device.py").stdout
    assert 'device-import = "from mylib.device import get_device"' in settings
    with (tmp_path / "pyproject.toml").open("a") as file:
        file.write(settings)
    uncuda(tmp_path, "check", "--no-cache", "--fix", "mylib/use.py")
    fixed = (package / "use.py").read_text()
    assert "from mylib.device import get_device\n" in fixed
    assert "x = torch.ones(2).to(get_device())" in fixed
    done = subprocess.run(
        [sys.executable, "-c", "from mylib.use import run; print(run().device)"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout == "cpu\n"


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "device.py").write_text("mine = 1\n")
    assert "--force" in uncuda(tmp_path, "init-shim", "device.py", expect=2).stderr
    assert (tmp_path / "device.py").read_text() == "mine = 1\n"
    uncuda(tmp_path, "init-shim", "device.py", "--force")
    uncuda(tmp_path, "init-shim", "device.py")
    assert (tmp_path / "device.py").read_text() == SHIM
    assert "can't be imported" in uncuda(tmp_path, "init-shim", "my-device.py", expect=2).stderr


def test_the_tool_finds_nothing_wrong_with_its_own_shim(tmp_path: Path) -> None:
    (tmp_path / "device.py").write_text(SHIM)
    uncuda(tmp_path, "check", "--no-cache", "device.py")


@pytest.mark.parametrize("old", [True, False], ids=["without torch.accelerator", "with it"])
@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_the_shim_finds_the_device(kind: str, old: bool) -> None:
    setup = "import torch\n" + ("del torch.accelerator\n" if old else "")
    run = "get_device().type, is_available(), device_count(), set_device(1), synchronize(), empty_cache()"
    outcome, text, log = replay(kind, setup, SHIM, run)
    assert (outcome, text) == ("value", f"tuple('{kind}', True, 2, None, None, None)")
    assert log == [("set_device", 1), ("synchronize", 1), ("empty_cache",)]


def test_module_names(tmp_path: Path) -> None:
    package = tmp_path / "a" / "b"
    package.mkdir(parents=True)
    assert module_name(package / "device.py") == "device"
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    assert module_name(package / "device.py") == "a.b.device"
    assert module_name(tmp_path / "src" / "lib" / "device.py") == "lib.device"
