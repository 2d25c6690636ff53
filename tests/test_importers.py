"""A fix leaves an import alone that another module of the project takes from the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from uncuda.importers import importers_of
from uncuda.runner import Job, Mode, Profile, examine

TIE = "import torch\nfrom torch.cuda.amp import autocast, GradScaler\n\n\ndef f(x):\n    with autocast():\n        return x\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'p'\nversion = '1'\n")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "mixed.py").write_text(TIE)
    return tmp_path


def fixed(path: Path) -> str:
    job = Job(path, path.name, Profile(codes=frozenset({"UC310", "UC311"}), unsafe=True))
    new = examine(path.read_bytes(), job, Mode.FIX).new
    assert new is not None
    return new


@pytest.mark.parametrize(
    "line",
    [
        "from pkg.mixed import autocast\n",
        "from .mixed import autocast\n",
        "from .mixed import (\n    f,  # why\n    autocast as cast,\n)\n",
        "from pkg.mixed import f, \\\n    autocast\n",
        "from pkg.mixed import *\n",
        "def g():\n    from pkg.mixed import autocast\n",
    ],
)
def test_what_others_import_stays(project: Path, line: str) -> None:
    (project / "pkg" / "train.py").write_text(line)
    assert "import autocast, GradScaler\n" in fixed(project / "pkg" / "mixed.py")


@pytest.mark.parametrize(
    "line",
    [
        "from pkg.mixed import f\n",
        "from pkg.other import autocast\n",
        "# from pkg.mixed import f\n",
        "x = 1\n",
    ],
)
def test_what_nobody_imports_goes(project: Path, line: str) -> None:
    (project / "pkg" / "train.py").write_text(line)
    assert "from torch.cuda.amp import GradScaler\n" in fixed(project / "pkg" / "mixed.py")


def test_a_package_is_there_to_be_imported_from(project: Path) -> None:
    path = project / "pkg" / "__init__.py"
    path.write_text(TIE)
    assert "import autocast, GradScaler\n" in fixed(path)


def test_a_script_without_a_project_looks_beside_itself_only(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "far.py").write_text("from mixed import autocast\n")
    (tmp_path / "near.py").write_text("from mixed import GradScaler\n")
    is_imported = importers_of(str(tmp_path / "mixed.py"))
    assert is_imported("GradScaler") and not is_imported("autocast")


def test_files_that_cannot_be_read_are_passed_over(project: Path) -> None:
    (project / "pkg" / "gone.py").symlink_to(project / "nowhere.py")
    (project / "pkg" / "odd.py").write_bytes(b"\xff from pkg.mixed import \xff, autocast\n")
    assert importers_of(str(project / "pkg" / "mixed.py"))("autocast")
