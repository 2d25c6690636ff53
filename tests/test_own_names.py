"""A project's own packages are no ties, whatever they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from uncuda.engine import Options, check_text
from uncuda.own_names import own_names


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "xformers/__init__.py", "xformers/ops/__init__.py", "xformers/ops/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("src/apex/__init__.py", "tests/unit/test_a.py", "scripts/b.py", "not-a-name/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("name", ["xformers/ops/a.py", "tests/unit/test_a.py", "scripts/b.py", "setup.py"])
def test_packages_of_the_project(project: Path, name: str) -> None:
    assert own_names(str(project / name)) == {"xformers", "apex"}


def test_a_package_without_a_project(tmp_path: Path) -> None:
    inside = tmp_path / "triton" / "language" / "core.py"
    inside.parent.mkdir(parents=True)
    for folder in (inside.parent, inside.parent.parent):
        (folder / "__init__.py").touch()
    assert "triton" in own_names(str(inside))
    assert "language" not in own_names(str(inside))


def test_a_folder_of_packages(project: Path) -> None:
    inside = project / "megatron" / "core" / "model.py"
    inside.parent.mkdir(parents=True)
    (inside.parent / "__init__.py").touch()
    assert {"xformers", "megatron"} <= own_names(str(inside))
    assert "megatron" in own_names(str(project / "scripts" / "b.py"))


def test_a_file_that_is_nowhere() -> None:
    assert own_names("/nowhere/at/all.py") == frozenset()


def test_own_packages_are_left_alone() -> None:
    code = "import xformers.ops\nimport apex\n"
    told = [f.symbol for f in check_text(code, Options(own=frozenset({"xformers"}))).findings]
    assert told == ["apex"]
