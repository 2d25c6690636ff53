"""Fixtures that more than one module uses."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from command import Done

from uncuda.cli import main

# Reports are as wide as it says, and shells and test runners set it.
os.environ.pop("COLUMNS", None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, the current one, that is a git repository's top for those who look for one."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    top = tmp_path / "project"
    (top / ".git").mkdir(parents=True)
    monkeypatch.chdir(top)
    return top


@pytest.fixture
def cli(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Done]:
    """Runs the command line in this process, in `project`: `cli("check", "-", stdin=b"…")`."""

    def run(*arguments: str | os.PathLike[str], stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsysbinary.readouterr()
        code = main([os.fspath(a) for a in arguments])
        out, err = capsysbinary.readouterr()
        done = Done(code, out.decode(), err.decode())
        assert "Traceback" not in done.both, done.both
        return done

    return run


Cli = Callable[..., Done]


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Makes files with their directories."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
