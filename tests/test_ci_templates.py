"""The templates for CI services: they parse, their commands are real, and their shell parts do what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from uncuda.cli import COMMANDS

ROOT = Path(__file__).parent.parent
TIE = "import torch\n\nx = torch.ones(1).cuda()\n"


def parser_of(command: str) -> Any:
    import importlib

    return importlib.import_module(COMMANDS[command][0]).parser()


def commands(text: str) -> list[list[str]]:
    """The `uncuda …` command lines of a script or document, without variables."""
    joined = text.replace("\\\n", " ")
    out: list[list[str]] = []
    for found in re.finditer(r"""(?:^|[\s"`$])uncuda"? ((?:check|audit)\b[^\n`#]*)""", joined):
        line = (
            re.sub(r"\$\{[^}]*\}|\"?\$\{?\w+(?:\[@\])?\}?\"?", "", found[1])
            .partition("||")[0]
            .partition(">>")[0]
        )
        out.append(shlex.split(line.strip().rstrip("\\")))
    return out


@pytest.mark.parametrize("name", ["ci/github.sh", "docs/ci.md", "README.md"])
def test_command_lines_are_accepted(name: str) -> None:
    found = commands((ROOT / name).read_text())
    assert found
    for words in found:
        given = [
            w.replace("{staged_files}", "a.py") for w in words[1:] if "=" not in w or not w.endswith("=")
        ]
        given = [
            w
            for i, w in enumerate(given)
            if not (w in ("--fail-on", "--output-file") and i + 1 == len(given))
        ]
        parser_of(words[0]).parse_args(given)


def test_gitlab() -> None:
    content = yaml.safe_load((ROOT / "ci/gitlab.yml").read_text())
    job = content["uncuda"]
    lines = [*job["script"], *job["after_script"]]
    for line in lines:
        subprocess.run(["bash", "-n", "-c", line], check=True)
    reports = job["artifacts"]["reports"]
    assert f"gitlab={reports['codequality']}" in lines[1]
    assert f"junit={reports['junit']}" in lines[1]


def test_gitlab_job_runs(tmp_path: Path) -> None:
    job = yaml.safe_load((ROOT / "ci/gitlab.yml").read_text())["uncuda"]
    (tmp_path / "a.py").write_text(TIE)
    bin_ = _bin(tmp_path / "runner")  # a folder called uncuda here would be taken for the package
    environment = {
        **os.environ,
        **job["variables"],
        "UNCUDA_TARGETS": "ascend,rocm",
        "PATH": f"{bin_}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-ec", job["script"][1]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    subprocess.run(["bash", "-ec", job["after_script"][0]], cwd=tmp_path, env=environment, check=True)
    made = (
        "gl-code-quality-report.json",
        "uncuda-junit.xml",
        "uncuda-audit.html",
        "uncuda-audit.md",
        "uncuda.sarif",
    )
    for name in made:
        assert (tmp_path / name).stat().st_size > 0, name

    posted: list[tuple[str, str | None, dict[str, str]]] = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            posted.append((self.path, self.headers["PRIVATE-TOKEN"], body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment |= {
            "CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}/api/v4",
            "CI_PROJECT_ID": "7",
            "CI_MERGE_REQUEST_IID": "3",
        }
        note = ["bash", "-ec", job["after_script"][1]]
        subprocess.run(note, cwd=tmp_path, env=environment, check=True)
        assert posted == []
        subprocess.run(note, cwd=tmp_path, env={**environment, "UNCUDA_TOKEN": "t"}, check=True)
        server.shutdown()
    assert posted == [
        (
            "/api/v4/projects/7/merge_requests/3/notes",
            "t",
            {"body": (tmp_path / "uncuda-audit.md").read_text()},
        )
    ]


def _bin(folder: Path) -> Path:
    """A directory with an `uncuda` that is the one under test."""
    bin_ = folder / "uncuda" / "bin"
    bin_.mkdir(parents=True)
    program = bin_ / "uncuda"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m uncuda "$@"\n')
    program.chmod(0o755)
    return bin_


def action() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return content


def test_the_action_hands_every_input_on_as_a_variable() -> None:
    """Text of a pull request must never become part of a script."""
    used: set[str] = set()
    for step in action()["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert ("run" in step) != ("uses" in step)
        used |= set(re.findall(r"inputs\.([\w-]+)", str([step.get("env"), step.get("with"), step.get("if")])))
    assert used == set(action()["inputs"])


def run_action(folder: Path, **inputs: str) -> tuple[int, dict[str, str]]:
    """Runs the check step as a runner does; gives its exit code and the files it wrote."""
    runner = folder / "runner"
    runner.mkdir()
    _bin(runner)
    environment = {
        **os.environ,
        "RUNNER_TEMP": str(runner),
        "GITHUB_OUTPUT": str(runner / "output"),
        "GITHUB_STEP_SUMMARY": str(runner / "summary.md"),
        "GITHUB_ACTION_PATH": str(ROOT),
    }
    names = {f"inputs.{name}": f"UNCUDA_{name.upper().replace('-', '_')}" for name in action()["inputs"]}
    for name, spec in action()["inputs"].items():
        environment[names[f"inputs.{name}"]] = inputs.get(name.replace("-", "_"), spec["default"])
    environment["UNCUDA_BASE"] = inputs.get("base", "")
    step = action()["runs"]["steps"][1]
    done = subprocess.run(
        ["bash", "-c", step["run"]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert "command not found" not in done.stderr, done.stderr
    files = {p.name: p.read_text() for p in runner.iterdir() if p.is_file()}
    return done.returncode, {**files, "stdout": done.stdout, "stderr": done.stderr}


def test_the_action_annotates_and_sums_up(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(TIE)
    code, files = run_action(tmp_path)
    assert code == 1, files["stderr"]
    assert "::error" in files["stdout"]
    assert files["output"] == "findings=1\n"
    assert "CUDA ties" in files["summary.md"]
    assert (tmp_path / "uncuda.sarif").is_file()


def test_the_action_follows_its_inputs(tmp_path: Path) -> None:
    (tmp_path / "a b.py").write_text(TIE)
    (tmp_path / "c.py").write_text(TIE)
    code, files = run_action(
        tmp_path, paths="a b.py\n", fail_on="never", audit="false", targets="rocm,ascend"
    )
    assert code == 0, files["stderr"]
    assert files["output"] == "findings=1\n"
    assert "summary.md" not in files


def test_the_action_counts_from_the_base(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    (tmp_path / "a.py").write_text(TIE)
    git("add", ".")
    git("commit", "-qm", "base")
    base = git("rev-parse", "HEAD").strip()
    code, files = run_action(tmp_path, since="base", base=base)
    assert (code, files["output"]) == (0, "findings=0\n"), files["stderr"]


def test_input_is_never_read_as_shell_text(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(TIE)
    run_action(tmp_path, paths="$(touch sprung)\n`touch sprung`\n; touch sprung", targets="x; touch sprung")
    assert not (tmp_path / "sprung").exists()
