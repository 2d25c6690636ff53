"""What is installed is what is in the tree: every sub-package is listed, and a wheel holds every file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import uncuda
from uncuda.settings_values import toml_reader

ROOT = Path(__file__).resolve().parent.parent
PROJECT = toml_reader().loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]
"""Import name to folder: `uncuda.rules` to `rules`, say."""


def sources() -> dict[str, Path]:
    """Every file that has to be installed: its place in the wheel to its place in the tree."""
    found = {}
    for name, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found[f"{name.replace('.', '/')}/{path.relative_to(ROOT / folder).as_posix()}"] = path
    return found


def run(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tree: what an earlier build left in `build/` can't get in."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in FOLDERS.values():
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, copy)
    done = run("-c", "from setuptools import build_meta; build_meta.build_wheel('dist')", cwd=copy)
    assert done.returncode == 0, done.stderr
    [built] = (copy / "dist").glob("*.whl")
    return built


def test_every_sub_package_is_listed() -> None:
    present = set()
    for name, folder in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            present.add(".".join([name, *init.parent.relative_to(ROOT / folder).parts]))
    assert sorted(SETUPTOOLS["packages"]) == sorted(present)


def test_folders_with_code_are_packages() -> None:
    for folder in FOLDERS.values():
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


def test_a_wheel_holds_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == set(sources())
    assert "uncuda/py.typed" in packed
    assert "uncuda/rules/knowledge/torch_api.json" in packed


def test_a_source_archive_holds_every_tracked_file(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    for name in tracked:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "tree" / name)
    done = run(
        "-c", "from setuptools import build_meta; build_meta.build_sdist('dist')", cwd=tmp_path / "tree"
    )
    assert done.returncode == 0, done.stderr
    [built] = (tmp_path / "tree" / "dist").glob("*.tar.gz")
    with tarfile.open(built) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    of_git_alone = {".ci/run", ".gitignore"}
    assert set(tracked) - packed == of_git_alone


def test_a_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
        licences = [n for n in archive.namelist() if n.endswith("/LICENSE")]
    assert f"\nVersion: {uncuda.__version__}\n" in text
    assert "\nLicense-Expression: Apache-2.0\n" in text
    assert len(licences) == 1


def test_a_wheel_works_on_its_own(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, without the tree: the version, and findings in a file."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (tmp_path / "train.py").write_text("import torch\n\nx = torch.ones(2).cuda()\n")
    place = run("-c", "import uncuda; print(uncuda.__file__)", cwd=tmp_path, PYTHONPATH=str(site))
    assert Path(place.stdout.strip()) == site / "uncuda" / "__init__.py"
    version = run("-m", "uncuda", "--version", cwd=tmp_path, PYTHONPATH=str(site))
    assert version.stdout == f"uncuda {uncuda.__version__}\n"
    checked = run(
        "-m", "uncuda", "check", "train.py", "--output-format", "concise", cwd=tmp_path, PYTHONPATH=str(site)
    )
    assert checked.returncode == 1, checked.stderr
    assert checked.stdout.startswith("train.py:3:5: UC101 ")


def test_the_version_is_said_once() -> None:
    assert PROJECT["project"]["version"] == uncuda.__version__
