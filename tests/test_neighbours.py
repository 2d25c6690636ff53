"""What a file's imports from its own project hold is asked of the project's other modules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command import uncuda
from projects import write

from uncuda import cache as cache_module
from uncuda.cache import Cache
from uncuda.neighbours import MISSING, MOST_BYTES, Neighbours
from uncuda.results import FileResult
from uncuda.runner import Job, Mode, Profile, Runner, examine

NET = """\
import torch
from torch import nn


class Base(nn.Module):
    pass


class Net(Base):
    pass


class Holder:
    def cuda(self):
        return self


def build(size: int):
    return Net()


def loads(path):
    return torch.load(path)
"""
DEVICES = """\
import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
HAS_GPU = torch.cuda.is_available()


def pick():
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(
        tmp_path,
        {
            "pyproject.toml": "[project]\nname = 'p'\nversion = '1'\n",
            "pkg/__init__.py": "",
            "pkg/models/__init__.py": "from .net import Net, Holder as Held\nfrom .net import build\n",
            "pkg/models/net.py": NET,
            "pkg/devices.py": DEVICES,
            "pkg/deep/__init__.py": "",
            "pkg/deep/er/__init__.py": "",
        },
    )
    return tmp_path


def applicability(path: Path, text: str, *, project: bool = True, code: str = "UC101") -> list[str]:
    """How far the fixes of `.cuda()` in a text can be trusted, were it the file at `path`."""
    job = Job(path, path.name, Profile(codes=frozenset({code}), project=project))
    done = examine(text.encode(), job, Mode.CHECK)
    assert done.problem is None
    return [p.fix.applicability.value if p.fix is not None else "none" for p in done.findings]


@pytest.mark.parametrize(
    ("imports", "value"),
    [
        ("from .models import Net", "Net()"),
        ("from .models.net import Net", "Net()"),
        ("from pkg.models import Net", "Net()"),
        ("from pkg.models.net import Net as N", "N()"),
        ("from . import models", "models.Net()"),
        ("from .models import net", "net.Net()"),
        ("import pkg.models.net", "pkg.models.net.Net()"),
        ("import pkg.models as m", "m.Net()"),
        ("from .models import build", "build(3)"),
        ("from .models import net", "net.build(3)"),
        ("from .models import Net\n\n\nclass Own(Net):\n    pass", "Own()"),
        ("from . import models\n\n\nclass Own(models.Net):\n    pass", "Own()"),
    ],
)
def test_what_is_imported_is_known(project: Path, imports: str, value: str) -> None:
    text = f"import torch\n{imports}\n\n\ndef f():\n    return {value}.cuda()\n"
    assert applicability(project / "pkg" / "train.py", text) == ["safe"]
    assert applicability(project / "pkg" / "train.py", text, project=False) == ["unsafe"]


def test_so_is_what_an_annotation_names(project: Path) -> None:
    text = "import torch\nfrom .models import Net\n\n\ndef f(net: Net):\n    return net.cuda()\n"
    assert applicability(project / "pkg" / "train.py", text) == ["safe"]


@pytest.mark.parametrize(
    ("where", "imports"),
    [
        ("pkg/deep/er/train.py", "from ...models.net import Net"),
        ("pkg/deep/er/train.py", "from pkg.models import Net"),
        ("train.py", "from pkg.models import Net"),
        ("scripts/train.py", "from pkg.models import Net"),
    ],
)
def test_from_elsewhere_in_the_project(project: Path, where: str, imports: str) -> None:
    text = f"import torch\n{imports}\n\n\ndef f():\n    return Net().cuda()\n"
    assert applicability(project / where, text) == ["safe"]


def test_a_script_imports_what_lies_beside_it(project: Path) -> None:
    write(project, {"tools/parts.py": NET, "src/other/__init__.py": NET})
    text = "import torch\nfrom parts import Net\nimport other\n\n\ndef f():\n    return Net().cuda(), other.Net().cuda()\n"
    assert applicability(project / "tools" / "train.py", text) == ["safe", "safe"]


def test_a_class_that_moves_itself_is_let_alone(project: Path) -> None:
    text = "import torch\nfrom .models import Held\n\n\ndef f():\n    return Held().cuda()\n"
    assert applicability(project / "pkg" / "train.py", text) == []


@pytest.mark.parametrize(
    ("files", "imports"),
    [
        ({"pkg/odd.py": "import torch\n\nclass Net(\n"}, "from .odd import Net"),
        ({"pkg/odd.py": "import torch\n" + "# x\n" * MOST_BYTES + NET}, "from .odd import Net"),
        ({"pkg/odd.py": "from .even import Net  # torch\n", "pkg/even.py": "from .odd import Net  # torch\n"},
         "from .odd import Net"),
        ({"pkg/odd.py": "import torch\nfrom torch import nn\nfrom .odd import Base\n\nclass Net(Base): pass\n"},
         "from .odd import Net"),
        ({"pkg/odd.py": "import torch\nfrom torch import nn\nclass Net(nn.Module): pass\nNet = wrap(Net)\n"},
         "from .odd import Net"),
        ({}, "from .absent import Net"),
        ({}, "from .... import Net"),
        ({}, "from .models import Nothing as Net"),
        ({}, "from somewhere.models import Net"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_stays_unknown(project: Path, files: dict[str, str], imports: str) -> None:
    write(project, files)
    text = f"import torch\n{imports}\n\n\ndef f():\n    return Net().cuda()\n"
    assert applicability(project / "pkg" / "train.py", text) == ["unsafe"]


def test_bytes_that_are_no_text_are_no_failure(project: Path) -> None:
    (project / "pkg" / "odd.py").write_bytes(b"import torch\nclass Net: \xff\xfe\n")
    text = "import torch\nfrom .odd import Net\n\n\ndef f():\n    return Net().cuda()\n"
    assert applicability(project / "pkg" / "train.py", text) == ["unsafe"]


def fixed(path: Path, text: str) -> str:
    job = Job(path, path.name, Profile(codes=frozenset({"UC101", "UC211"}), project=True))
    done = examine(text.encode(), job, Mode.FIX)
    assert done.new is not None
    return done.new


def test_an_imported_device_is_used(project: Path) -> None:
    text = "import torch\nfrom .devices import DEVICE\n\n\ndef f(x: torch.Tensor):\n    return x.cuda()\n"
    assert fixed(project / "pkg" / "train.py", text) == text.replace("x.cuda()", "x.to(DEVICE)")


def test_an_imported_flag_is_a_guard(project: Path) -> None:
    text = "import torch\nfrom .devices import HAS_GPU\n\nif HAS_GPU:\n    torch.cuda.empty_cache()\n"
    assert "    torch.get_device_module().empty_cache()\n" in fixed(project / "pkg" / "train.py", text)


def test_a_device_that_a_function_picks_is_used(project: Path) -> None:
    text = (
        "import torch\nfrom .devices import pick\n\n\ndef f(x: torch.Tensor):\n"
        "    where = pick()\n    return x.cuda()\n"
    )
    assert fixed(project / "pkg" / "train.py", text) == text.replace("x.cuda()", "x.to(where)")


# -- the cache ---------------------------------------------------------------------------------------------

TRAIN = "import torch\nfrom .models import Net\n\n\ndef f():\n    return Net().cuda()\n"


def run(path: Path, store: Path) -> FileResult:
    job = Job(path, path.name, Profile(codes=frozenset({"UC101"}), project=True))
    [result] = Runner(Mode.CHECK, cache=Cache.load(store)).run([job])
    return result


def trust(result: FileResult) -> list[str]:
    return [p.fix.applicability.value for p in result.findings if p.fix is not None]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory; files count as old enough to be trusted at once."""
    monkeypatch.setattr(cache_module, "_RACY_NS", 0)
    return tmp_path / ".uncuda_cache"


def later(path: Path, text: str) -> None:
    """A file is written, at a time that differs."""
    path.write_text(text)
    info = path.stat()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns - 5_000_000_000))


def test_what_was_learnt_holds_as_long_as_nothing_changes(
    project: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "pkg" / "train.py"
    path.write_text(TRAIN)
    assert trust(run(path, store)) == ["safe"]
    monkeypatch.setattr("uncuda.runner.examine", None)  # not asked again
    assert trust(run(path, store)) == ["safe"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pkg/models/net.py", NET.replace("class Base(nn.Module)", "class Base(Other)")),
        ("pkg/models/__init__.py", "from .other import Net\n"),
        ("pkg/models/__init__.py", "Net = something(1)\n"),
    ],
)
def test_another_file_has_changed(project: Path, store: Path, name: str, text: str) -> None:
    path = project / "pkg" / "train.py"
    path.write_text(TRAIN)
    assert trust(run(path, store)) == ["safe"]
    later(project / name, text)
    assert trust(run(path, store)) == ["unsafe"]


def test_a_module_has_come(project: Path, store: Path) -> None:
    path = project / "pkg" / "train.py"
    path.write_text(TRAIN.replace(".models", ".new"))
    assert trust(run(path, store)) == ["unsafe"]
    later(project / "pkg" / "new.py", NET)
    assert trust(run(path, store)) == ["safe"]


def test_all_that_was_looked_at_is_written_down(project: Path) -> None:
    asked = Neighbours(str(project / "pkg" / "train.py"))
    assert asked.find(".models.Net") is not None
    assert asked.find("numpy.array") is None
    states = asked.looked_at()
    assert states[str(project / "pkg" / "models" / "__init__.py")] != MISSING
    assert str(project) + os.sep in states
    assert str(project / "pkg" / "devices.py") not in states


# -- as it is used -----------------------------------------------------------------------------------------


def test_the_command_asks_unless_told_otherwise(project: Path) -> None:
    (project / "pkg" / "train.py").write_text(TRAIN)
    assert "+    return Net().to(DEVICE)\n" in uncuda("check", "--diff", "pkg/train.py", cwd=project).out
    assert uncuda("check", "--diff", "--no-project", "pkg/train.py", cwd=project).out == ""
    (project / "uncuda.toml").write_text("project = false\n")
    assert uncuda("check", "--diff", "pkg/train.py", cwd=project).out == ""
    assert (
        "+    return Net().to(DEVICE)\n"
        in uncuda("check", "--diff", "--project", "pkg/train.py", cwd=project).out
    )
