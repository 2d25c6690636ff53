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

FOLDER = Path(__file__).parent / "cases" / "programs"
SELECT = (
    'torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")'
)


@dataclass(frozen=True)
class Program:
    """A script of `cases/programs`. `lines` must be in the fixed one, as they stand; `says` is in what that prints on the
    CPU, called with `arguments`.

    `selections`: how often the fixed script selects a device. `runs`: it ran as it was. `left`: what is told and can't be
    fixed.
    """

    name: str
    lines: tuple[str, ...]
    says: str
    selections: int
    runs: bool = False
    left: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The script as its author wrote it."""
        return (FOLDER / f"{self.name}.py").read_text("utf-8")


PROGRAMS = (
    Program(
        "attention",
        (
            "def mask(length: int, device: Optional[torch.device] = None) -> Tensor:\n"
            "    if device is None:\n        device = get_device()\n",
            "        if device is None:\n            device = get_device().type\n",
        ),
        "shape (3, 3)",
        selections=2,
    ),
    Program(
        "benchmark_matmul",
        (
            "        return start.elapsed_time(end) / iters\n    return (time.perf_counter() - start_time) * 1000 / iters\n",
            "{getattr(device_module, 'get_device_name', lambda _: device.type)(0)}",
            "peak {getattr(device_module, 'max_memory_allocated', lambda: 0)() / 1024**2:.1f} MB",
        ),
        "GPU: cpu\nTrue True peak 0.0 MB",
        selections=1,
    ),
    Program(
        "finetune_text",
        (
            "        device = torch.accelerator.current_accelerator() "
            'if torch.accelerator.is_available() and not args.no_cuda else torch.device("cpu")\n',
            "        torch.distributed.init_process_group("
            "backend=torch.distributed.get_default_backend_for_device(device))\n",
            'device_ids=[args.local_rank] if torch.device(args.device).type != "cpu" else None',
            "def set_seed(args):\n    random.seed(args.seed)\n    np.random.seed(args.seed)\n    torch.manual_seed(args.seed)\n\n",
        ),
        "steps 4",
        selections=2,
        arguments=("--local_rank", "0"),
    ),
    Program(
        "gan",
        (
            "if torch.accelerator.is_available() and not opt.cuda:\n",
            'if input.device.type not in ("cpu", "meta") and self.ngpu > 1:\n',
        ),
        "done True",
        selections=1,
        runs=True,
        left=("UC320", "UC406", "UC406"),
    ),
    Program(
        "generate_text",
        (
            f"def get_device():\n    return {SELECT}\n\n\ndef load_model(seed):\n",
            "    device = get_device()\n    model = model.eval().to(device)\n",
            "    device = get_device()\n    input_ids = torch.tensor([prompt], dtype=torch.long).to(device)\n",
            "    device = get_device()\n    warm = torch.zeros(1, 1, dtype=torch.long, device=device)\n",
        ),
        "7 0.00 GB",
        selections=1,
    ),
    Program(
        "inference",
        (
            "    dist.init_process_group(dist.get_default_backend_for_device(device))\n"
            "    if torch.accelerator.is_available():\n        torch.accelerator.set_device_index(local_rank)\n",
            "    with device:\n        model = Model(16, 8)\n",
            "    ended = torch.tensor([False] * len(prompts), device=device)\n",
        ),
        "1 [[3, 4, 5,",
        selections=1,
    ),
    Program(
        "memory_log",
        (
            '        allocated = getattr(device_module, "memory_allocated", lambda _: 0)(self.device) / 1024**3\n',
            "        batch = batch.to(self.device)\n",
            '        self.is_cuda = self.device.type != "cpu"\n',
            '    if torch.accelerator.is_available() and hasattr(torch.get_device_module(), "get_device_properties"):\n',
        ),
        "[end] allocated 0.00 GB, reserved 0.00 GB, peak 0.00 GB",
        selections=1,
    ),
    Program(
        "mixed_precision",
        (
            f"from torch import nn\n\n\ndevice = {SELECT}\n\n\nclass Scale",
            "    @torch.amp.custom_fwd(device_type=device.type, cast_inputs=torch.float32)\n",
            '    @torch.autocast(device.type, dtype=torch.float16, enabled=device.type != "cpu")\n',
            '    scaler = torch.amp.GradScaler(device.type, enabled=use_amp and device.type != "cpu")\n',
        ),
        "better True",
        selections=1,
    ),
    Program(
        "mnist",
        (
            "    use_cuda = not args.no_cuda and torch.accelerator.is_available()\n",
            '    device = torch.accelerator.current_accelerator() if use_cuda else torch.device("cpu")\n',
        ),
        "Accuracy: 8/8",
        selections=1,
        runs=True,
    ),
    Program(
        "no_cuda_flag",
        (
            "args.cuda = not args.no_cuda and torch.accelerator.is_available()\n",
            'device = torch.accelerator.current_accelerator() if args.cuda else torch.device("cpu")\n',
        ),
        "batches 8",
        selections=1,
        runs=True,
    ),
    Program(
        "parallel",
        (
            'device_id=device if device.type != "cpu" else None)\n',
            "dist.get_default_backend_for_device(device)",
        ),
        "ranks 1",
        selections=2,
    ),
    Program(
        "sample_images",
        (
            f"    device = {SELECT}\n    pipe = pipe.to(device)\n",
            "    generator = torch.Generator(device=device).manual_seed(seed)\n"
            "    with torch.inference_mode(), torch.autocast(device.type, enabled=False):\n",
        ),
        "(4,)",
        selections=2,
    ),
    Program(
        "seeds",
        (
            "    torch.manual_seed(seed)\n    cudnn.deterministic = deterministic\n",
            "if torch.accelerator.is_available():\n    torch.accelerator.set_device_index(GPU)\n",
            f"device = {SELECT}\na = torch.rand(3).to(device)\nrestore(state)\nb = torch.rand(3).to(device)\n",
        ),
        "same True",
        selections=1,
        left=("UC320", "UC320", "UC322", "UC322", "UC701"),
    ),
    Program(
        "sharded",
        (
            "    dist.init_process_group(backend=dist.get_default_backend_for_device(device))\n"
            "    if torch.accelerator.is_available():\n",
            "    mesh = init_device_mesh(accelerator.type, (world_size,)",
            "    model.to_empty(device=device)\n",
        ),
        "loss 0.0, memory 0MB",
        selections=2,
    ),
    Program(
        "spawned",
        (
            f"    device = {SELECT}\n    dist.init_process_group(",
            "        torch.accelerator.set_device_index(gpu)\n    model.to(device)\n"
            "    criterion = torch.nn.CrossEntropyLoss().to(device)\n",
            'device_ids=[gpu] if device.type != "cpu" else None)\n',
        ),
        "epoch 1, loss True",
        selections=1,
    ),
    Program(
        "trainer",
        ("self.model = model.to(", "loss = torch.nn.functional"),
        "falls True peak 0 MB",
        selections=1,
    ),
)


def run(text: str, folder: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Runs a script as the only process of a job."""
    script = folder / "script.py"
    script.write_text(text)
    job = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    return subprocess.run(
        [sys.executable, script, *arguments],
        cwd=folder,
        env={**os.environ, **job, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_it_runs_on_the_cpu(program: Program, tmp_path: Path) -> None:
    before = run(program.text, tmp_path, program.arguments)
    assert (before.returncode == 0) is program.runs, before.stderr
    fixed = uncuda.fix_source(program.text, unsafe=True)
    assert fixed.error is None
    after = run(fixed.text, tmp_path, program.arguments)
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
    assert tuple(sorted(f.code for f in fixed.findings)) == program.left
    assert "torch.cuda" not in fixed.text
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


ENGINE = """import tensorrt as trt
import torch


class Engine:
    def __init__(self, path):
        self.stream = torch.cuda.Stream()
        with open(path, "rb") as file, trt.Runtime(trt.Logger()) as runtime:
            self.engine = runtime.deserialize_cuda_engine(file.read())

    def __call__(self, x):
        return x.cuda(), torch.empty(2, device="cuda")
"""


def test_what_works_with_an_engine_for_cuda_is_told_and_left() -> None:
    found = uncuda.fix_source(ENGINE, unsafe=True)
    assert found.text == ENGINE
    assert [f.code for f in found.findings] == ["UC501", "UC213", "UC101", "UC103"]
    assert all(f.fix is None for f in found.findings)
    tried = ENGINE.replace(
        "import tensorrt as trt\n", "try:\n    import tensorrt as trt\nexcept ImportError:\n    trt = None\n"
    )
    assert "torch.empty(2, device=device)" in uncuda.fix_source(tried, unsafe=True).text
