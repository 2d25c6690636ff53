"""What lets a large code base start: baselines, and findings on changed lines only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncuda.git import GitError, Repository
from uncuda.since import changed_rows

OLD = "import torch\n\nx = torch.ones(1).cuda()\n\n\ndef f():\n    torch.cuda.synchronize()\n"


def check(root: Path, *words: str, expect: int | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", "check", "--no-cache", "--output-format", "concise", *words],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if expect is not None:
        assert done.returncode == expect, done.stdout + done.stderr
    return done


def git(root: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.6"]\n')
    (tmp_path / "a.py").write_text(OLD)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "start")
    return tmp_path


def test_a_baseline_hides_what_is_known_and_tells_what_is_new(project: Path) -> None:
    check(project, "--baseline", "b.json", expect=2)
    check(project, "--baseline", "b.json", "--update-baseline", expect=0)
    assert len(json.loads((project / "b.json").read_text())["ties"]) == 2
    assert check(project, "--baseline", "b.json", expect=0).stdout.count("UC") == 0
    (project / "a.py").write_text("# a line more\n" + OLD + "    torch.cuda.empty_cache()\n")
    done = check(project, "--baseline", "b.json", expect=1)
    assert "UC211" in done.stdout
    assert "UC101" not in done.stdout


def test_known_ties_survive_a_rename(project: Path) -> None:
    check(project, "--baseline", "b.json", "--update-baseline", expect=0)
    (project / "a.py").rename(project / "renamed.py")
    check(project, "--baseline", "b.json", expect=0)


def test_a_baseline_only_shrinks(project: Path) -> None:
    check(project, "--baseline", "b.json", "--update-baseline", expect=0)
    before = (project / "b.json").read_text()
    (project / "b.py").write_text(OLD)
    done = check(project, "--baseline", "b.json", "--update-baseline", expect=2)
    assert "--allow-growth" in done.stderr
    assert (project / "b.json").read_text() == before
    check(project, "--baseline", "b.json", "--update-baseline", "--allow-growth", expect=0)
    assert len(json.loads((project / "b.json").read_text())["ties"]) == 4
    (project / "b.py").unlink()
    assert "2 of them are gone" in check(project, "--baseline", "b.json", expect=0).stderr
    check(project, "--baseline", "b.json", "--update-baseline", expect=0)
    assert (project / "b.json").read_text() == before


def test_a_baseline_is_not_written_over_files_that_failed(project: Path) -> None:
    check(project, "--baseline", "b.json", "--update-baseline", expect=0)
    before = (project / "b.json").read_text()
    (project / "a.py").write_bytes(b"# cuda \xff\n")
    assert "not written" in check(project, "--baseline", "b.json", "--update-baseline", expect=2).stderr
    assert (project / "b.json").read_text() == before


def test_a_broken_baseline_is_said(project: Path) -> None:
    for text, word in (
        ("{", "not JSON"),
        ("{}", "not a baseline"),
        ('{"format": "uncuda-baseline/1", "ties": [1]}', "tie 1"),
    ):
        (project / "b.json").write_text(text)
        assert word in check(project, "--baseline", "b.json", expect=2).stderr


def test_only_changed_lines_count(project: Path) -> None:
    check(project, "--since", "HEAD", expect=0)
    (project / "a.py").write_text("\n" + OLD + "    torch.cuda.empty_cache()\n")
    done = check(project, "--since", "HEAD", expect=1)
    assert done.stdout.count("UC") == 1
    assert "UC211" in done.stdout
    (project / "new.py").write_text(OLD)
    assert "new.py" in check(project, "--since", "HEAD", expect=1).stdout
    assert "nonsense" in check(project, "--since", "nonsense", expect=2).stderr
    assert check(project, "--since=--output=x", expect=2).stderr
    assert not (project / "x").exists()


def test_since_runs_nothing_of_the_repository(project: Path) -> None:
    trap = project / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {project}/sprung\ncat\n")
    trap.chmod(0o755)
    (project / ".gitattributes").write_text("*.py diff=trap filter=trap\n")
    for key in (
        "diff.trap.textconv",
        "diff.external",
        "filter.trap.clean",
        "filter.trap.smudge",
        "core.fsmonitor",
    ):
        git(project, "config", key, str(trap))
    (project / "a.py").write_text(OLD + "    torch.cuda.empty_cache()\n")
    check(project, "--since", "HEAD", expect=1)
    assert not (project / "sprung").exists()


def test_max_findings(project: Path) -> None:
    check(project, "--max-findings", "1", expect=1)
    check(project, "--max-findings", "2", expect=0)


def test_no_repository(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(OLD)
    with pytest.raises(GitError):
        Repository(tmp_path)
    assert "not a git repository" in check(tmp_path, "--since", "HEAD", expect=2).stderr


def test_repository_reads_objects(project: Path) -> None:
    repository = Repository(project)
    (project / "a.py").write_text("changed\n")
    commit = repository.commit("HEAD")
    assert repository.content(commit, project / "a.py") == OLD.encode()
    assert repository.content(commit, project / "gone.py") is None
    files = dict(repository.files(commit))
    assert set(files) == {"a.py", "pyproject.toml"}
    assert dict(repository.blobs([files["a.py"], "0" * 40])) == {files["a.py"]: OLD.encode()}


LINES = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12)


@given(LINES, LINES)
@settings(max_examples=200, deadline=None)
def test_changed_rows_leave_a_common_subsequence(old: list[str], new: list[str]) -> None:
    rows = changed_rows("\n".join(old), "\n".join(new))
    rest = iter(old)
    for row, line in enumerate("\n".join(new).splitlines(), 1):
        if row not in rows:
            assert line in rest, "a row that counts as old isn't in the old text, or in another order"


UGLY = """\
import torch
import torch.nn as nn
class Model{n}(nn.Module):
  def __init__(self, width = {n}, *, depth : int=3, name = 'a name that is long', other = "another one", last = None):
        super().__init__( )
        self.w=torch.zeros( width,3, device = 'cuda:0' ,dtype=torch.float32, requires_grad = True , pin_memory=False)
        self.v = nn.Linear(width,   depth).cuda( )
  def forward(self, x):
        x=x.to( 'cuda' )
        if (torch.cuda.is_available()) and x.is_cuda: torch.cuda.synchronize( ); torch.cuda.empty_cache( )
        return self.v(x.cuda( non_blocking = True )) , [self.w.cuda(),self.w.cpu( ),]
"""


def test_a_baseline_of_300_ties_survives_a_formatter_and_moved_files(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.6"]\n')
    (tmp_path / "old").mkdir()
    for number in range(34):
        (tmp_path / f"old/m{number}.py").write_text(UGLY.replace("{n}", str(number)))
    ratchet = ("--severity", "info", "--baseline", "b.json")
    check(tmp_path, *ratchet, "--update-baseline", expect=0)
    before = (tmp_path / "b.json").read_text()
    count = len(json.loads(before)["ties"])
    assert count >= 300

    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "-q", "."], cwd=tmp_path, check=True
    )
    assert (tmp_path / "old/m0.py").read_text() != UGLY.replace("{n}", "0")
    (tmp_path / "new/deep").mkdir(parents=True)
    for path in sorted((tmp_path / "old").iterdir()):
        path.rename(tmp_path / "new/deep" / f"renamed_{path.name}")
    check(tmp_path, *ratchet, expect=0)

    moved = tmp_path / "new/deep/renamed_m7.py"
    text = moved.read_text()
    moved.write_text(text + "\n\nx = torch.ones(3).cuda()\n")
    assert "UC101" in check(tmp_path, *ratchet, expect=1).stdout
    assert "--allow-growth" in check(tmp_path, *ratchet, "--update-baseline", expect=2).stderr

    moved.write_text(text.replace("torch.cuda.synchronize()", "pass"))
    check(tmp_path, *ratchet, expect=0)
    check(tmp_path, *ratchet, "--update-baseline", expect=0)
    assert len(json.loads((tmp_path / "b.json").read_text())["ties"]) == count - 1
