"""The programs in `examples/`: each crashes without CUDA as it is, and runs on the CPU once it is fixed."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@dataclass(frozen=True)
class Program:
    """How to run an example in little time, and what its output must show.

    `safe_is_enough`: the safe fixes alone make it run on the CPU.
    """

    name: str
    arguments: tuple[str, ...]
    looks_right: Callable[[str, Path], None]
    launcher: tuple[str, ...] = ()
    safe_is_enough: bool = False


def trained(output: str, folder: Path) -> None:
    epochs = re.findall(r"^epoch (\d): loss ([\d.]+), accuracy ([\d.]+), .* MB$", output, re.M)
    assert [number for number, _, _ in epochs] == ["0", "1"]
    assert float(epochs[1][1]) < float(epochs[0][1])
    assert float(epochs[1][2]) > 0.9
    assert (folder / "checkpoint.pt").stat().st_size > 10_000


def sampled(output: str, folder: Path) -> None:
    assert re.search(r"^2 images in \d+ ms, [\d.]+ ms per step, peak memory 0 MB$", output, re.M)
    found = re.search(r"^mean (-?[\d.]+), std ([\d.]+), saved to samples.ppm$", output, re.M)
    assert found is not None
    assert float(found[2]) > 0.05
    assert (folder / "samples.ppm").read_bytes().startswith(b"P6 32 16 255\n")
    assert (folder / "samples.ppm").stat().st_size == len(b"P6 32 16 255\n") + 32 * 16 * 3


def answered(output: str, folder: Path) -> None:
    answer = json.loads(output.splitlines()[-1])
    assert len(answer["text"]) == 12
    assert answer["tokens_per_second"] > 0
    assert answer["peak_memory_mb"] == 0
    assert "free_gb" not in answer


def explored(output: str, folder: Path) -> None:
    found = re.search(r"^accuracy ([\d.]+), balance ([\d.]+)$", output, re.M)
    assert found is not None
    assert float(found[1]) > 0.9
    assert float(found[2]) == 0.5
    assert re.search(r"^[ .:*#]{24}$", output, re.M), "the picture"
    assert output.splitlines()[-1] == "peak 0 KB, now 0 KB"


PROGRAMS = [
    Program(
        "train_ddp.py",
        ("--epochs", "2", "--samples", "768", "--batch-size", "32", "--amp"),
        trained,
        ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"),
    ),
    Program("sample_diffusion.py", ("--steps", "3", "--batch", "2", "--size", "16", "--fp16"), sampled),
    Program("serve_llm.py", ("--once", "Once upon a time", "--max-tokens", "12"), answered),
    Program("explore_spirals.py", (), explored, safe_is_enough=True),
]


def alone() -> dict[str, str]:
    """What torchrun tells the only process of a job."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **alone(), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def copied(program: Program, folder: Path) -> Path:
    shutil.copy(EXAMPLES / program.name, folder)
    shutil.copy(EXAMPLES / "requirements.txt", folder)
    return folder / program.name


def fix(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    done = python(folder, "-m", "uncuda", "check", "--fix", *options, "--output-format", "concise", ".")
    assert done.returncode in (0, 1), done.stderr
    return done


def test_every_program_is_here() -> None:
    assert sorted(p.name for p in PROGRAMS) == sorted(p.name for p in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_it_crashes_as_it_is(program: Program, tmp_path: Path) -> None:
    copied(program, tmp_path)
    done = python(tmp_path, program.name, *program.arguments)
    assert done.returncode != 0
    assert re.search(r"not compiled with CUDA|_cuda_", done.stderr), done.stderr[-2000:]


@pytest.mark.parametrize(
    ("program", "options"),
    [
        *(pytest.param(p, ("--unsafe-fixes",), id=p.name) for p in PROGRAMS),
        *(pytest.param(p, (), id=f"{p.name}-safe") for p in PROGRAMS if p.safe_is_enough),
    ],
)
def test_it_runs_once_it_is_fixed(program: Program, options: tuple[str, ...], tmp_path: Path) -> None:
    path = copied(program, tmp_path)
    fix(tmp_path, *options)
    text = path.read_bytes()
    assert text != (EXAMPLES / program.name).read_bytes()
    done = python(tmp_path, *program.launcher, program.name, *program.arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    program.looks_right(done.stdout, tmp_path)
    fix(tmp_path, *options)
    assert path.read_bytes() == text, "a second run changes nothing"


def test_a_fixed_trainer_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """The checkpoint is read with the map_location that the fix wrote."""
    program = PROGRAMS[0]
    copied(program, tmp_path)
    fix(tmp_path, "--unsafe-fixes")
    first = python(tmp_path, program.name, "--epochs", "1", "--samples", "256", "--batch-size", "64")
    assert first.returncode == 0, first.stderr[-3000:]
    second = python(
        tmp_path, program.name, "--epochs", "2", "--samples", "256", "--batch-size", "64", "--resume"
    )
    assert second.returncode == 0, second.stderr[-3000:]
    assert re.findall(r"^epoch (\d)", second.stdout, re.M) == ["1"]
