"""The hooks, through the real pre-commit: a finding blocks the commit; the fix hook rewrites, and then it passes.

pre-commit makes an environment of its own for the hooks, once for this file, with packages from pip's index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("linter", "rules", "fixes", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")

# One environment for both tests: they have to run in one process.
pytestmark = pytest.mark.xdist_group("pre-commit")

TIED = "import torch\n\nx = torch.ones(2).cuda()\n"
FIXED = (
    "import torch\n\n"
    'device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")\n'
    "x = torch.ones(2).to(device)\n"
)


@dataclass(frozen=True)
class Repository:
    """A git repository, and the environment that git and pre-commit run in."""

    path: Path
    environment: dict[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            check=False,
        )

    def git(self, *arguments: str) -> str:
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def commits(self) -> int:
        done = self.run("git", "rev-list", "--count", "HEAD")
        return int(done.stdout) if done.returncode == 0 else 0


def environment(home: Path) -> dict[str, str]:
    """Without what an outer git or pre-commit has set, and with a home of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PRE_COMMIT", "PYTHON"))}
    who = {
        f"GIT_{role}_{what}": "test@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    scripts = str(Path(sys.executable).parent)
    return {
        **kept,
        **who,
        "PATH": scripts + os.pathsep + kept.get("PATH", ""),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PRE_COMMIT_HOME": str(home),
    }


def repository(path: Path, variables: dict[str, str]) -> Repository:
    path.mkdir(exist_ok=True)
    made = Repository(path, variables)
    made.git("init", "-q", "-b", "main")
    return made


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The project as somebody would clone it: the working tree, committed."""
    made = repository(
        tmp_path_factory.mktemp("hooks"), environment(tmp_path_factory.mktemp("pre-commit-home"))
    )
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, made.path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, made.path)
    made.git("add", ".")
    made.git("commit", "-q", "-m", "as it is")
    return made


def user(hooks: Repository, path: Path, hook: str) -> Repository:
    """Somebody's repository that uses a hook, with a program that is tied to CUDA."""
    made = repository(path / "project", hooks.environment)
    config = f"repos:\n  - repo: {hooks.path}\n    rev: {hooks.git('rev-parse', 'HEAD')}\n    hooks:\n      - id: {hook}\n"
    (made.path / ".pre-commit-config.yaml").write_text(config)
    (made.path / "train.py").write_text(TIED)
    (made.path / "notes.md").write_text("`x.cuda()` needs CUDA.\n")
    (made.path / "old.py").write_text(TIED)
    (made.path / "uncuda.toml").write_text('exclude = ["old.py"]\ntorch-floor = "2.6"\n')
    assert made.run("pre-commit", "install").returncode == 0
    made.git("add", ".")
    return made


def test_a_finding_blocks_the_commit(hooks: Repository, tmp_path: Path) -> None:
    project = user(hooks, tmp_path, "uncuda-check")
    blocked = project.run("git", "commit", "-q", "-m", "tied")
    assert blocked.returncode != 0
    assert "train.py:3:5: UC101" in blocked.stdout
    assert "notes.md" not in blocked.stdout
    assert "old.py" not in blocked.stdout  # excluded by the settings
    assert project.commits() == 0
    assert (project.path / "train.py").read_text() == TIED

    (project.path / "train.py").write_text(FIXED)
    project.git("add", "train.py")
    passed = project.run("git", "commit", "-m", "portable")
    assert passed.returncode == 0, passed.stdout
    assert project.commits() == 1


def test_the_fix_hook_rewrites_and_the_second_commit_passes(hooks: Repository, tmp_path: Path) -> None:
    project = user(hooks, tmp_path, "uncuda-fix")
    first = project.run("git", "commit", "-q", "-m", "tied")
    assert first.returncode != 0
    assert "files were modified by this hook" in first.stdout
    assert project.commits() == 0
    assert (project.path / "train.py").read_text() == FIXED

    project.git("add", "train.py")
    second = project.run("git", "commit", "-m", "portable")
    assert second.returncode == 0, second.stdout
    assert project.git("show", "HEAD:train.py") == FIXED.strip()


NOTEBOOK = """\
{
 "cells": [
  {
   "cell_type": "code",
   "execution_count": 3,
   "id": "a1b2c3d4",
   "metadata": {"tags": ["keep"]},
   "outputs": [
    {
     "name": "stdout",
     "output_type": "stream",
     "text": ["x.cuda() said \\u00e9\\n"]
    }
   ],
   "source": [
    "%matplotlib inline\\n",
    "import torch\\n",
    "x = torch.ones(2).cuda()"
   ]
  }
 ],
 "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
 "nbformat": 4,
 "nbformat_minor": 5
}
"""


def test_notebooks_are_checked_and_fixed_in_place(hooks: Repository, tmp_path: Path) -> None:
    project = user(hooks, tmp_path, "uncuda-check")
    (project.path / "train.py").unlink()
    (project.path / "study.ipynb").write_text(NOTEBOOK)
    project.git("add", ".")
    blocked = project.run("git", "commit", "-q", "-m", "tied")
    assert blocked.returncode != 0
    assert "UC101" in blocked.stdout and "study.ipynb" in blocked.stdout
    assert (project.path / "study.ipynb").read_text() == NOTEBOOK

    config = project.path / ".pre-commit-config.yaml"
    config.write_text(config.read_text().replace("uncuda-check", "uncuda-fix"))
    project.git("add", ".")
    assert project.run("git", "commit", "-q", "-m", "tied").returncode != 0
    # Only lines of the cell's source have changed: outputs, ids and the way the JSON is written stay.
    line = '    "x = torch.ones(2).cuda()"\n'
    device = FIXED.splitlines()[2].replace('"', '\\"')
    assert (project.path / "study.ipynb").read_text() == NOTEBOOK.replace(
        line, f'    "{device}\\n",\n    "x = torch.ones(2).to(device)"\n'
    )
    project.git("add", ".")
    passed = project.run("git", "commit", "-m", "portable")
    assert passed.returncode == 0, passed.stdout
