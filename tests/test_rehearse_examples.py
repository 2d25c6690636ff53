"""The programs in `examples/`, rehearsed: as they are they end at a line that is told; fixed they use the accelerator."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from rehearsing import Rehearsed, rehearse
from test_examples import EXAMPLES, alone, fix


@dataclass(frozen=True)
class Program:
    """An example with arguments for a short run, the line where it ends as it is, and the rule that explains that
    (where that is tried). `left` are the lines that ask for CUDA once everything is fixed that can be."""

    name: str
    arguments: str
    ends_at: str = ""
    rule: str = ""
    left: tuple[str, ...] = ()


PROGRAMS = [
    Program(
        "train_ddp.py",
        "--epochs 1 --samples 64 --batch-size 32 --amp",
        "torch.cuda.set_device(local_rank)",
        "UC205",
    ),
    Program(
        "sample_diffusion.py",
        "--steps 1 --batch 1 --size 8 --fp16",
    ),
    Program(
        "serve_llm.py",
        "--once hello --max-tokens 4",
        'self.model = self.model.to("cuda", dtype=self.dtype).eval()',
        "UC102",
    ),
    Program(
        "explore_spirals.py",
        "",
        left=("if torch.cuda.device_count() > 1:",),
    ),
]
ALL = pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)


def run(program: Program, folder: Path) -> Rehearsed:
    return rehearse(folder, program.name, *program.arguments.split(), env=alone())


def line(path: Path, number: int) -> str:
    return path.read_text("utf-8").splitlines()[number - 1].strip()


def test_every_program_is_here() -> None:
    assert sorted(p.name for p in PROGRAMS) == sorted(p.name for p in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p.ends_at], ids=lambda p: p.name)
def test_as_it_is_it_ends_at_a_line_that_is_told(program: Program, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / program.name, tmp_path)
    done = run(program, tmp_path)
    assert (done.code, done.report["verdict"]) == (1, "failed")
    failure = done.report["failure"]
    innermost = next(place for place in failure["lines"] if place["owner"] == "project")
    assert line(tmp_path / program.name, innermost["line"]) == program.ends_at
    assert failure["rule"]["code"] == program.rule
    assert innermost["line"] in {number for _, number in done.hurting}


@ALL
def test_fixed_it_uses_the_accelerator(program: Program, tmp_path: Path) -> None:
    for name in (program.name, "requirements.txt"):
        shutil.copy(EXAMPLES / name, tmp_path)
    fix(tmp_path, "--unsafe-fixes")
    shorter = (
        (tmp_path / program.name)
        .read_text("utf-8")
        .replace("for step in range(400):", "for step in range(4):")
    )
    (tmp_path / program.name).write_text(shorter, "utf-8")
    done = run(program, tmp_path)
    assert done.report["exit_code"] == 0, done.err
    assert sum(done.report["operators"].values()) > 100
    assert done.report["computed_on_cpu"] == []
    left = tuple(line(tmp_path / program.name, number) for _, number in sorted(done.hurting))
    assert left == program.left
    assert (done.code, done.report["verdict"]) == ((1, "tied") if left else (0, "ran"))
