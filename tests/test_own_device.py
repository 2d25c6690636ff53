"""A device that the project has itself, or a function that picks one, is used where a fix needs a device."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import environment, uncuda
from projects import write

from uncuda.own_device import own_device
from uncuda.runner import Job, Mode, Profile, examine

PICK = """\
import torch


def get_device():
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")
"""
TEXT = PICK.replace('torch.device("cuda")', '"cuda"').replace('torch.device("cpu")', '"cpu"')
CONSTANT = 'import torch\n\nDEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n'
MOVE = "import torch\nfrom .other import thing\n\n\ndef f(x: torch.Tensor):\n    return thing(x.cuda())\n"
MOVED = """\
import torch
from .other import thing
from .utils import get_device


def f(x: torch.Tensor):
    device = get_device()
    return thing(x.to(device))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(
        tmp_path,
        {
            "pyproject.toml": "[project]\nname = 'p'\nversion = '1'\n",
            "pkg/__init__.py": "",
            "pkg/other.py": "def thing(x):\n    return x\n",
        },
    )
    return tmp_path


def fixed(path: Path, text: str, floor: tuple[int, int] = (2, 6), *, unsafe: bool = False) -> str:
    """The text with its fixes, were it the file at `path`."""
    from uncuda.rules.catalogue import catalogue

    codes = frozenset(info.code for info in catalogue())
    job = Job(path, path.name, Profile(codes=codes, project=True, torch_floor=floor, unsafe=unsafe))
    done = examine(text.encode(), job, Mode.FIX)
    assert done.problem is None
    return done.new or text


def test_a_function_that_picks_the_device_is_called(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK})
    assert fixed(project / "pkg" / "train.py", MOVE) == MOVED


def test_a_constant_is_taken_as_it_is(project: Path) -> None:
    write(project, {"pkg/config.py": CONSTANT})
    wanted = MOVE.replace("from .other", "from .config import DEVICE\nfrom .other").replace(
        "cuda()", "to(DEVICE)"
    )
    assert fixed(project / "pkg" / "train.py", MOVE) == wanted


@pytest.mark.parametrize(
    ("where", "helper", "line"),
    [
        ("pkg/train.py", "pkg/utils/device.py", "from .utils.device import get_device"),
        ("pkg/train.py", "pkg/utils/__init__.py", "from .utils import get_device"),
        ("pkg/deep/train.py", "pkg/utils.py", "from ..utils import get_device"),
        ("pkg/utils/train.py", "pkg/utils/devices.py", "from .devices import get_device"),
        ("pkg/train.py", "pkg/gpu_tools.py", "from .gpu_tools import get_device"),
    ],
)
def test_the_import_is_relative_in_a_file_with_such(
    project: Path, where: str, helper: str, line: str
) -> None:
    write(
        project,
        {"pkg/utils/__init__.py": "", "pkg/deep/__init__.py": ""}
        if "/" in helper[4:] or "deep" in where
        else {},
    )
    if helper == "pkg/utils.py" and (project / "pkg" / "utils").exists():
        (project / "pkg" / "utils" / "__init__.py").unlink()
        (project / "pkg" / "utils").rmdir()
    write(
        project,
        {
            helper: PICK,
            "pkg/deep/other.py": "",
            "pkg/utils/other.py" if "utils/" in where else "pkg/deep/o.py": "",
        },
    )
    assert f"\n{line}\n" in fixed(project / where, MOVE)


def test_it_is_absolute_in_a_file_with_such(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK})
    text = MOVE.replace("from .other", "from pkg.other")
    assert "\nfrom pkg.utils import get_device\n" in fixed(project / "pkg" / "train.py", text)
    assert "\nfrom pkg.utils import get_device\n" in fixed(project / "train.py", text)


def test_what_is_imported_from_the_module_already_gets_longer(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK + "\n\ndef more():\n    pass\n"})
    text = MOVE.replace("from .other import thing", "from .utils import more as thing")
    assert "from .utils import more as thing, get_device\n" in fixed(project / "pkg" / "train.py", text)


def test_a_script_takes_it_from_beside_it(project: Path) -> None:
    write(project, {"tools/utils.py": PICK, "tools/other.py": ""})
    text = MOVE.replace("from .other", "from other")
    assert "\nfrom utils import get_device\n" in fixed(project / "tools" / "train.py", text)


def test_an_older_torch_is_no_matter_then(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK})
    assert fixed(project / "pkg" / "train.py", MOVE, (1, 13)) == MOVED
    assert fixed(project / "train.py", MOVE.replace(".other", "json"), (1, 13)).count(".cuda()") == 1


def test_text_stays_text(project: Path) -> None:
    write(project, {"pkg/utils.py": TEXT})
    text = MOVE + "\n\ndef g():\n    with torch.autocast('cuda'):\n        pass\n"
    new = fixed(project / "pkg" / "train.py", text)
    assert "    device = get_device()\n    return thing(x.to(device))\n" in new
    assert '    device = get_device()\n    with torch.autocast(device) if device != "cpu" else' in new


def test_a_device_gives_its_type_where_text_is_wanted(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK})
    text = MOVE + "\n\ndef g():\n    with torch.autocast('cuda'):\n        pass\n"
    assert (
        '    device = get_device()\n    with torch.autocast(device.type) if device.type != "cpu" else'
        in fixed(project / "pkg" / "train.py", text)
    )


def test_it_is_bound_once_and_where_a_reader_looks(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK})
    text = """\
import torch
from . import other

table = torch.zeros(3).cuda()


class Trainer:
    def __init__(self, net: torch.nn.Module):
        self.net = net.cuda()

    def step(self, x: torch.Tensor):
        return self.net(x.cuda())


def f(x: torch.Tensor, y: torch.Tensor):
    x = x.cuda()
    y = y.cuda()
    return x + y
"""
    new = fixed(project / "pkg" / "train.py", text)
    assert (
        "from .utils import get_device\n\ndevice = get_device()\ntable = torch.zeros(3, device=device)\n"
        in new
        or ("device = get_device()\ntable = torch.zeros(3).to(device)\n" in new)
    )
    assert new.count("get_device()") <= 2
    assert ".cuda()" not in new


def test_a_default_is_short(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK})
    text = "import torch\nfrom . import other\n\n\ndef f(device=torch.device('cuda')):\n    return torch.ones(2, device=device)\n"
    new = fixed(project / "pkg" / "train.py", text, unsafe=True)
    assert "def f(device=None):\n    if device is None:\n        device = get_device()\n" in new


# -- in one file -------------------------------------------------------------------------------------------


def test_a_function_of_the_file_itself_is_called(project: Path) -> None:
    text = PICK + "\n\ndef f(x: torch.Tensor):\n    return x.cuda()\n"
    new = fixed(project / "alone.py", text)
    assert "    device = get_device()\n    return x.to(device)\n" in new


def test_but_not_by_itself_nor_by_what_it_calls(project: Path) -> None:
    text = """\
import torch


def warm():
    return torch.ones(1).cuda()


def get_device():
    if torch.cuda.is_available():
        warm()
        return torch.device("cuda")
    return torch.device("cpu")


def f(x: torch.Tensor):
    return x.cuda()
"""
    new = fixed(project / "alone.py", text)
    assert new.count("= get_device()") == 1
    assert "    device = get_device()\n    return x.to(device)\n" in new


def test_nor_before_it_is_there(project: Path) -> None:
    text = "import torch\n\nx = torch.ones(1).cuda()\n\n\n" + PICK.partition("\n\n\n")[2]
    assert "get_device()" not in fixed(project / "alone.py", text).partition("def get_device")[0]


# -- what isn't used ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "helper",
    [
        PICK.replace("get_device()", "get_device(index)"),
        PICK.replace("get_device()", "get_device(use_cuda=True)").replace("if ", "if use_cuda and "),
        PICK.replace('device("cuda")', 'device("cuda:1")'),
        PICK.replace("    if", '    if os.environ.get("CPU"):\n        return torch.device("cpu")\n    if'),
        PICK.replace("    if", "    if config.cpu:\n        return torch.device('cpu')\n    if"),
        PICK.replace("get_device", "_get_device"),
        PICK.replace("def get_device", "@cached\ndef get_device"),
        PICK.replace("def get_device", "async def get_device"),
        PICK.replace('    return torch.device("cpu")\n', ""),
        PICK + "\n\nget_device = wrapped(get_device)\n",
        "from .train import f\n" + PICK,
        "from . import train\n" + PICK,
        "from pkg import VERSION\n" + PICK,
        "from .deeper import x\n" + PICK,
        CONSTANT.replace("torch.cuda.is_available()", "FLAGS.cuda"),
        CONSTANT.replace('"cuda"', '"cuda:0"'),
        'import torch\n\nDEVICE = "cuda"  # available\n',
        "def get_device(:\n    available\n",
    ],
)
def test_what_is_no_plain_choice_or_goes_round_in_a_circle(project: Path, helper: str) -> None:
    write(
        project, {"pkg/utils.py": helper, "pkg/deeper.py": "import pkg.train\nx = 1\n", "pkg/train.py": MOVE}
    )
    assert "current_accelerator()" in fixed(project / "pkg" / "train.py", MOVE)


def test_a_file_that_stands_alone_goes_on_doing_so(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK})
    text = MOVE.replace("from .other import thing", "thing = print")
    assert "get_device" not in fixed(project / "pkg" / "train.py", text)
    assert "get_device" not in fixed(project / "train.py", text)


def test_a_name_that_is_taken_is_not(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK})
    text = MOVE + "\n\ndef get_device(x):\n    return x.device\n"
    new = fixed(project / "pkg" / "train.py", text)
    assert "import get_device" not in new
    assert "current_accelerator()" in new


def test_the_settings_come_first(project: Path) -> None:
    write(project, {"pkg/utils.py": PICK, "pkg/train.py": MOVE})
    (project / "uncuda.toml").write_text('device-expr = "mine()"\ndevice-import = "from pkg.x import mine"\n')
    assert "x.to(mine())" in uncuda("check", "--diff", "pkg/train.py", cwd=project).out


# -- as it is used -----------------------------------------------------------------------------------------


def test_the_fixed_project_runs(project: Path) -> None:
    """Its imports hold from each side, and its functions run."""
    write(
        project,
        {
            "pkg/utils/__init__.py": "from .device import get_device\n",
            "pkg/utils/device.py": PICK,
            "pkg/train.py": MOVE,
            "pkg/deep/__init__.py": "from .net import build\n",
            "pkg/deep/net.py": "import torch\nfrom ..other import thing\n\n\ndef build():\n"
            "    return thing(torch.nn.Linear(2, 2)).cuda()\n",
            "main.py": "import torch\nfrom pkg.train import f\n\nx = f(torch.ones(2)) + torch.ones(2).cuda()\nprint(x.sum().item())\n",
        },
    )
    done = uncuda("check", "--fix", "--unsafe-fixes", "-q", cwd=project)
    assert done.code == 0, done.both
    assert "from ..utils" in (project / "pkg" / "deep" / "net.py").read_text()
    for program in (
        "import main",
        "import pkg.deep; pkg.deep.build()",
        "import pkg.utils; import pkg.deep.net",
    ):
        run = subprocess.run(
            [sys.executable, "-c", program],
            cwd=project,
            env=environment(project),
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
    assert uncuda("check", "-q", cwd=project).code == 0


def test_the_search_says_what_it_found(project: Path) -> None:
    write(project, {"pkg/utils.py": "# first\n" + PICK})
    found = own_device(str(project / "pkg")).device
    assert found is not None
    assert (found.line, found.expression, found.row) == (
        "from pkg.utils import get_device",
        "get_device()",
        5,
    )


def test_config_shows_it(project: Path) -> None:
    write(project, {"pkg/utils.py": "# first\n" + PICK})
    said = uncuda("config", "pkg", cwd=project).out
    assert (
        "device: get_device(), the project's own (pkg/utils.py:5: from pkg.utils import get_device)\n" in said
    )
    plain = json.loads(uncuda("config", "pkg", "--output-format", "json", cwd=project).out)
    assert plain["own_device"]["expression"] == "get_device()"
    assert (
        "or the CPU: project is false"
        in uncuda("config", "pkg", "--config", "project=false", cwd=project).out
    )
    (project / "pkg" / "utils.py").unlink()
    assert "or the CPU: nothing of the project's own was found\n" in uncuda("config", "pkg", cwd=project).out
    (project / "uncuda.toml").write_text('device-expr = "mine()"\n')
    assert "device: mine(), from uncuda.toml" in uncuda("config", "pkg", cwd=project).out
