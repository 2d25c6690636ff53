"""The trend of an audit: every point of it is what an audit of that commit, checked out, would say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from uncuda.discovery import Search, discover
from uncuda.settings import SettingsTree

HARD = "import torch\n\nx = torch.ones(1, device='cuda')\ntorch.cuda.set_device(1)\n"
SOFT = "import torch\n\ntorch.cuda.empty_cache()\n"
OWN = "import flash_attn\nimport xformers.ops\n\nflash_attn.run(xformers.ops)\n"
NOTEBOOK = {
    "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None,
               "source": ["import torch\n", "x = torch.ones(1).cuda()\n"]}],
    "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip
STEPS: tuple[dict[str, str | bytes | None], ...] = (
    {"a.py": HARD, "b.py": "print(1)\n", "README.md": f"```python\n{HARD}```\n", ".gitignore": "made/\n"},
    {"a.py": HARD + "y = x.cuda()\n", "made/c.py": HARD, "pkg/__init__.py": "", "pkg/m.py": OWN},
    {"flash_attn/__init__.py": "", "pyproject.toml": "[project]\nname = 'p'\n"},  # a package of one's own from now on
    {"n.ipynb": json.dumps(NOTEBOOK), "Dockerfile": "FROM nvidia/cuda:12.1\n", "requirements.txt": "torch\napex\n"},
    {"Dockerfile.rocm": "FROM rocm/pytorch\n", "requirements-cpu.txt": "torch\n"},  # variants beside those
    {"a.py": "import torch\nx = torch.ones(1).cuda(\n"},  # unparsable
    {"a.py": None, "moved/a.py": HARD + "y = x.cuda()\n"},
    {"latin.py": b"# \xff\nimport torch\ntorch.ones(1).cuda()\n", "k.cu": "__global__ void k() {}\n"},
    {"flash_attn/__init__.py": None, "Dockerfile.rocm": None, "n.ipynb": None},
    {"moved/a.py": HARD, "a.py": HARD, "node_modules/x.py": HARD, "build/x.py": HARD},
    {"build/__init__.py": ""},
    {f"many/{n}.py": HARD + "# \n" * n for n in range(50)},
    {f"many/{n}.py": SOFT + "# \n" * n for n in range(0, 50, 2)},
    {"moved/a.py": None, "a.py": None, "many/0.py": None, "pkg/m.py": None},
)  # fmt: skip
FIXED = ("--isolated", "--torch-floor", "2.6")


def git(root: Path, *words: str) -> str:
    moment = "2026-01-02T12:00:00+00:00"
    environment = {**os.environ, "GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout


def audit(root: Path, *words: str, expect: int = 0) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", "audit", "--no-cache", "--output-format", "json", *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    content: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"error": done.stderr}
    return content


def write(root: Path, step: dict[str, str | bytes | None]) -> None:
    for name, content in step.items():
        path = root / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("now") / "proj"
    root.mkdir()
    git(root, "init", "-q")
    for number, step in enumerate(STEPS):
        write(root, step)
        git(root, "add", "-Af")
        git(root, "commit", "-qm", f"step {number}")
    return root


def checked_out(repository: Path, commit: str, into: Path) -> Path:
    root = into / commit / "proj"
    root.mkdir(parents=True)
    git(root, "init", "-q")
    archive = subprocess.run(["git", "archive", commit], cwd=repository, check=True, capture_output=True)
    subprocess.run(["tar", "-x"], cwd=root, input=archive.stdout, check=True)
    return root


def figures(point: dict[str, Any]) -> tuple[int, int, float]:
    return point["ties"], point["hurting"], point["points"]


def figures_of(report: dict[str, Any]) -> tuple[int, int, float]:
    outcomes = report["totals"]["outcomes"]
    hurting = outcomes.get("crash", 0) + outcomes.get("silent-cpu", 0)
    return report["totals"]["ties"], hurting, report["effort"]["points"]


def told(root: Path, *words: str) -> tuple[int, int, float]:
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", "audit", "--no-cache", "--output-format", "json", *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2), done.stderr
    return figures_of(json.loads(done.stdout))


def state(root: Path) -> dict[str, tuple[int, bytes]]:
    files = (p for p in root.rglob("*") if p.is_file() and ".git" not in p.parts)
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_point_is_what_an_audit_of_the_commit_says(repository: Path, tmp_path: Path, jobs: int) -> None:
    before = state(repository)
    # A file that isn't text is a problem of the last commits as well.
    trend = audit(repository, *FIXED, "-j", str(jobs), "--history", "HEAD", expect=2)["trend"]
    assert state(repository) == before
    assert len(trend) == len(STEPS)
    assert len({figures(point) for point in trend}) > len(STEPS) // 2
    for point in trend:
        root = checked_out(repository, point["commit"], tmp_path)
        assert figures(point) == told(root, *FIXED), point
    assert figures(trend[-1]) == told(repository, *FIXED)


def test_the_trend_is_of_the_paths_that_are_given(repository: Path, tmp_path: Path) -> None:
    trend = audit(repository, *FIXED, "many", "n.ipynb", "a.py", "--history", "HEAD~3..HEAD~1", expect=2)
    assert "no such file" in trend["problems"][0]["message"]
    paths = ("many", "build", "latin.py")
    trend = audit(repository, *FIXED, *paths, "--history", "HEAD~3..HEAD", expect=2)["trend"]
    for point in trend[1:]:
        root = checked_out(repository, point["commit"], tmp_path)
        assert figures(point) == told(root, *FIXED, *paths)


def test_a_directory_that_is_left_out_counts_where_it_is_named(repository: Path) -> None:
    trend = audit(repository, *FIXED, "node_modules", "--history", "HEAD~1..HEAD")["trend"]
    assert figures(trend[-1]) == told(repository, *FIXED, "node_modules")
    assert trend[-1]["ties"] == 2


def test_contents_that_a_clone_lacks_are_told(repository: Path, tmp_path: Path) -> None:
    git(repository, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{repository}", "clone")
    report = audit(tmp_path / "clone", *FIXED, "--history", "HEAD~1..HEAD", expect=2)
    assert "this clone lacks contents of past commits" in report["error"]


def test_what_makes_no_trend_is_refused(repository: Path, tmp_path: Path) -> None:
    refused = audit(repository, "--history", "HEAD", "--entry", "latin.py", expect=2)
    assert "--entry" in refused["error"]
    (tmp_path / "x.py").write_text(HARD)
    refused = audit(repository, "many", str(tmp_path / "x.py"), "--history", "HEAD", expect=2)
    assert "isn't in the repository" in refused["error"]


def test_a_search_takes_what_is_found(repository: Path) -> None:
    for start in (repository, repository / "many", repository / "node_modules", repository / "build"):
        tree = SettingsTree(isolated=True, cwd=repository)
        found = {item.path for item in discover([str(start)], tree).files}
        search = Search(str(start), tree)
        files = [str(p) for p in start.rglob("*") if p.is_file() and ".git" not in p.parts]
        assert found == {path for path in files if search.takes(path) is not None}
        assert found
