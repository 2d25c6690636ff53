"""The plan's verification names the programs to rehearse, in every shape of the report."""

from __future__ import annotations

import json
from pathlib import Path

from command import uncuda
from conftest import write

from uncuda.audit.programs import target_of
from uncuda.findings import Target

GUARD = '\n\nif __name__ == "__main__":\n    main()\n'
TIE = "import torch\n\n\ndef main():\n    return torch.ones(2).cuda()\n"
FILES = {
    "train.py": TIE + "x = torch.ones(2).cuda()\n" + GUARD,
    "a b.py": "import engine\n" + GUARD,
    "engine.py": TIE,
    "plain.py": "print(1)\n" + GUARD,
    "jobs/__init__.py": "",
    "jobs/run.py": "import os\n" + TIE + "rank = int(os.environ['LOCAL_RANK'])\n" + GUARD,
    "jobs/__main__.py": TIE,
    "tests/test_it.py": TIE + GUARD,
    "setup.py": TIE + GUARD,
    "text.py": TIE + 'x = "__main__"\n',
}
MODULES = (
    "uncuda rehearse --target ascend -m pytest",
    "uncuda rehearse --target ascend train.py",
    "uncuda rehearse --target ascend -m jobs",
    "uncuda rehearse --target ascend --devices 2 -m torch.distributed.run --standalone --nproc_per_node 2 -m jobs.run",
    "uncuda rehearse --target ascend 'a b.py'",
)


def audited(root: Path, *words: str) -> str:
    done = uncuda("audit", "--isolated", "--no-cache", *words, cwd=root)
    assert done.code == 0, done.err
    return done.out


def commands(root: Path, *words: str) -> list[str]:
    plan = json.loads(audited(root, "--output-format", "json", *words))["plan"]
    assert plan[-1]["title"] == "Verification"
    return [s["command"] for s in plan[-1]["steps"] if s["command"].startswith("uncuda rehearse")]


def test_tests_and_programs_are_rehearsed_the_most_tied_first(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    assert commands(tmp_path) == list(MODULES)


def test_every_shape_shows_the_commands(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    shapes = ("terminal", "markdown", "html")
    audited(tmp_path, *(word for shape in shapes for word in ("--output-file", f"{shape}=report.{shape}")))
    for shape in shapes:
        text = (tmp_path / f"report.{shape}").read_text("utf-8").replace("&#39;", "'")
        for command in MODULES:
            assert command in text


def test_the_target_is_one_that_can_be_simulated(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": FILES["train.py"]})
    assert commands(tmp_path, "--target", "mlu,rocm") == ["uncuda rehearse --target mlu train.py"]
    wanted = {
        (Target.XPU,): Target.ASCEND,
        (Target.CPU,): Target.CPU,
        (Target.CPU, Target.HPU): Target.HPU,
        (Target.ROCM, Target.MUSA): Target.MUSA,
        (Target.ROCM,): None,
        tuple(Target): Target.ASCEND,
    }
    assert {targets: target_of(targets) for targets in wanted} == wanted


def test_on_rocm_there_is_nothing_to_rehearse(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "import ctypes\n\nctypes.CDLL('libcudart.so')\n" + GUARD})
    assert commands(tmp_path, "--target", "rocm") == []


def test_an_entry_is_the_program(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, "start.py": "import engine\n\nengine.main()\n"})
    assert commands(tmp_path, "--entry", "start.py") == ["uncuda rehearse --target ascend start.py"]


def test_of_many_programs_some_are_shown(tmp_path: Path) -> None:
    write(tmp_path, {f"p{n}.py": TIE + GUARD for n in range(8)})
    assert len(commands(tmp_path)) == 6
    assert "2 × more programs to rehearse" in audited(tmp_path)
