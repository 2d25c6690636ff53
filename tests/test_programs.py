"""Whole programs in the styles that people write: fixed in one go, they read well and run on the CPU.

Each is a script that crashes without CUDA, or does less. What the fixes make of it is run as the only process of a job.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import uncuda
from uncuda.findings import Category, Outcome, Target

SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)


@dataclass(frozen=True)
class Program:
    """A script. `lines` must be in the fixed one, as they stand; `says` is in what that prints on the CPU.

    `selections`: how often the fixed script selects a device. `runs`: it ran as it was.
    """

    name: str
    text: str
    lines: tuple[str, ...]
    says: str
    selections: int
    runs: bool = False


INFERENCE = """import os
import sys
from argparse import ArgumentParser

import torch
import torch.distributed as dist


class Model(torch.nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = torch.nn.Embedding(vocabulary, width)
        self.head = torch.nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        return self.head(self.embed(tokens))[:, -1].float()


@torch.inference_mode()
def complete(model, prompts, length):
    longest = max(len(p) for p in prompts)
    tokens = torch.full((len(prompts), longest + length), -1, dtype=torch.long, device="cuda")
    for i, prompt in enumerate(prompts):
        tokens[i, :len(prompt)] = torch.tensor(prompt, dtype=torch.long, device="cuda")
    ended = torch.tensor([False] * len(prompts), device="cuda")
    for at in range(longest, longest + length):
        tokens[:, at] = torch.where(ended, 0, model(tokens[:, :at].clamp(min=0)).argmax(-1))
        ended |= tokens[:, at] == 0
    return tokens.tolist()


def main(length):
    world_size = int(os.getenv("WORLD_SIZE", "1"))
    local_rank = int(os.getenv("LOCAL_RANK", "0"))
    dist.init_process_group("nccl")
    torch.cuda.set_device(local_rank)
    torch.set_default_dtype(torch.bfloat16)
    torch.manual_seed(7)
    with torch.device("cuda"):
        model = Model(16, 8)
    print(world_size, complete(model, [[3, 4, 5], [6, 7]], length))
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("--length", type=int, default=4)
    main(parser.parse_args().length)
"""

FLAGS = """
import argparse

import torch

parser = argparse.ArgumentParser(description="a small classifier")
parser.add_argument("--no-cuda", action="store_true", default=False)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
args.cuda = not args.no_cuda and torch.cuda.is_available()

torch.manual_seed(args.seed)
device = torch.device("cuda" if args.cuda else "cpu")
kwargs = {"num_workers": 0, "pin_memory": True} if args.cuda else {}
model = torch.nn.Linear(4, 2).to(device)
data = torch.utils.data.DataLoader(torch.ones(8, 4), batch_size=4, **kwargs)
print("batches", sum(model(x.to(device)).shape[0] for x in data))
"""

TRAINER = """
import random

import torch
from torch.cuda.amp import GradScaler, autocast


def set_seed(seed):
    random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


class Trainer:
    def __init__(self, model, lr=0.1):
        self.model = model.cuda()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr)
        self.scaler = GradScaler()

    def step(self, x, y):
        x, y = x.cuda(), y.cuda()
        with autocast():
            loss = torch.nn.functional.mse_loss(self.model(x), y)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


set_seed(0)
torch.cuda.reset_peak_memory_stats()
trainer = Trainer(torch.nn.Linear(2, 1))
losses = [trainer.step(torch.ones(4, 2), torch.zeros(4, 1)) for _ in range(3)]
print("falls", losses[-1] < losses[0], f"peak {torch.cuda.max_memory_allocated() / 2**20:.0f} MB")
torch.cuda.empty_cache()
"""

PARALLEL = """
import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP


def setup():
    local_rank = int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    dist.init_process_group("nccl", device_id=device)
    return local_rank


def main():
    local_rank = setup()
    model = torch.nn.Linear(2, 1).cuda(local_rank)
    model = DDP(model, device_ids=[local_rank], output_device=local_rank)
    loss = model(torch.ones(3, 2).cuda(local_rank)).sum()
    loss.backward()
    print("ranks", dist.get_world_size())
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
"""

PROGRAMS = (
    Program(
        "inference",
        INFERENCE,
        (
            "    dist.init_process_group(dist.get_default_backend_for_device(device))\n"
            "    if torch.accelerator.is_available():\n        torch.accelerator.set_device_index(local_rank)\n",
            "    with device:\n        model = Model(16, 8)\n",
            "    ended = torch.tensor([False] * len(prompts), device=device)\n",
        ),
        "1 [[3, 4, 5,",
        1,
    ),
    Program(
        "flags",
        FLAGS,
        (
            "args.cuda = not args.no_cuda and torch.accelerator.is_available()\n",
            'device = torch.accelerator.current_accelerator() if args.cuda else torch.device("cpu")\n',
        ),
        "batches 8",
        1,
        runs=True,
    ),
    Program(
        "trainer",
        TRAINER,
        ("self.model = model.to(", "loss = torch.nn.functional"),
        "falls True peak 0 MB",
        1,
    ),
    Program(
        "parallel",
        PARALLEL,
        (
            'device_id=device if device.type != "cpu" else None)\n',
            "dist.get_default_backend_for_device(device)",
        ),
        "ranks 1",
        2,
    ),
)


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script as the only process of a job."""
    script = folder / "script.py"
    script.write_text(text)
    job = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    return subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env={**os.environ, **job, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_it_runs_on_the_cpu(program: Program, tmp_path: Path) -> None:
    before = run(program.text, tmp_path)
    assert (before.returncode == 0) is program.runs, before.stderr
    fixed = uncuda.fix_source(program.text, unsafe=True)
    assert fixed.error is None
    after = run(fixed.text, tmp_path)
    assert after.returncode == 0, after.stderr
    assert program.says in after.stdout
    if program.runs:
        assert after.stdout == before.stdout


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_it_reads_well(program: Program) -> None:
    fixed = uncuda.fix_source(program.text, unsafe=True, severity="info")
    for lines in program.lines:
        assert lines in fixed.text
    assert fixed.text.count("current_accelerator()") == program.selections, fixed.text
    assert "torch.cuda" not in fixed.text
    assert not fixed.findings
    assert uncuda.fix_source(fixed.text, unsafe=True).text == fixed.text


KERNELS = """import tilelang
import tilelang.language as T
import torch


@tilelang.jit
def scaled(n):
    @T.prim_func
    def kernel(x: T.Tensor[(n,), "float32"], y: T.Tensor[(n,), "float8_e4m3"]):
        with T.Kernel(T.ceildiv(n, 128), threads=128) as block:
            for i in T.Parallel(128):
                y[block * 128 + i] = x[block * 128 + i]

    return kernel


def rotated(x: torch.Tensor) -> torch.Tensor:
    from fast_hadamard_transform import hadamard_transform

    return hadamard_transform(x, scale=x.size(-1) ** -0.5)
"""


def test_kernels_are_told_and_left() -> None:
    found = uncuda.fix_source(KERNELS, unsafe=True, targets=["ascend"])
    assert found.text == KERNELS
    told = {(f.code, f.symbol): f for f in found.findings}
    assert set(told) == {("UC501", "tilelang"), ("UC503", "tilelang"), ("UC501", "fast_hadamard_transform")}
    assert all(f.outcomes[Target.ASCEND] is Outcome.CRASH for f in told.values())
    assert told["UC501", "fast_hadamard_transform"].category is Category.MANDATORY
    assert "hadamard(n)" in told["UC501", "fast_hadamard_transform"].message


def test_a_class_is_not_asked_for_its_device_where_it_works_it_out() -> None:
    text = (
        "import torch\n\n\nclass Arguments:\n    def choose(self):\n"
        "        torch.distributed.init_process_group(backend='nccl')\n"
        "        return torch.device('cuda', self.rank)\n\n"
        "    @property\n    def device(self):\n        return self.choose()\n"
    )
    fixed = uncuda.fix_source(text, unsafe=True).text
    assert "get_default_backend_for_device(" in fixed
    assert "self.device" not in fixed
