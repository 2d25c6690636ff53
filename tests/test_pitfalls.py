"""The pitfalls of rewriting CUDA code, one case or more for each: what must never come out, and what does.

Each is a small program. The text after all fixes is held against the one that is shown; where the program can run
without other packages, it is executed on the CPU before and after, and may give the same, or give something where it
raised. The numbers are those of the two lists that the rules were written from: the pitfalls of naive rewrites, and
the traps that similar tools have fallen into.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from test_execution import execute

import uncuda
from uncuda.rules.registry import all_rules

_ACCELERATOR = "torch.accelerator.current_accelerator()"
_DEVICE = f'{_ACCELERATOR} if torch.accelerator.is_available() else torch.device("cpu")'
_TYPE = f'{_ACCELERATOR}.type if torch.accelerator.is_available() else "cpu"'
_LOAD = "import io; f = io.BytesIO(); torch.save(torch.ones(2), f); f.seek(0)"


@dataclass(frozen=True)
class Case:
    """A program, and what becomes of it.

    `fixed` is the text after the fixes (None: it stays as it is), in which <device> and <type> stand for the usual
    selections; `left` are the codes of the findings that stay. `never`: text that isn't in the result. `run` is an
    expression that is evaluated behind the program, which gives `before` and `after` ("raises ERROR" where it does).
    `safe`: with the safe fixes alone.
    """

    number: str
    title: str
    code: str
    fixed: str | None = None
    left: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    setup: str = ""
    run: str | None = None
    before: str = ""
    after: str | None = None
    floor: str = "2.6"
    severity: str = "warning"
    targets: tuple[str, ...] | None = None
    safe: bool = False

    @property
    def text(self) -> str:
        """The program."""
        return self.code.removeprefix("\n")

    @property
    def wanted(self) -> str:
        """The text that the fixes make of it."""
        if self.fixed is None:
            return self.text
        return self.fixed.removeprefix("\n").replace("<type>", _TYPE).replace("<device>", _DEVICE)


# Pitfalls that no rewrite of this tool can fall into, and why.
NONE_OF_OURS = {
    "pitfall 56": "two accelerators in one torch: nothing that is written names a build of torch",
    "pitfall 57": "the name of a vendor's device in portable code: held for every example of every rule below",
}

CASES = [
    Case(
        "pitfall 1",
        "the accelerator of the build isn't one that is there",
        """
import torch

device = "cuda" if torch.cuda.is_available() else "cpu"
x = torch.ones(2).to(device)
""",
        fixed="""
import torch

device = <type>
x = torch.ones(2).to(device)
""",
        never=("current_accelerator() or",),
        run="device, x",
        before="tuple('cpu', tensor([1.0, 1.0], torch.float32, cpu))",
    ),
    Case(
        "pitfall 2",
        "check_available is of torch 2.7",
        """
import torch

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
""",
        fixed="""
import torch

device = <device>
""",
        never=("check_available",),
        run="device",
        before="device(cpu)",
    ),
    Case(
        "pitfall 3",
        "None moves nothing with .to()",
        """
import torch


def place(x: torch.Tensor, dev=None):
    return x.cuda(dev)
""",
        fixed="""
import torch


def place(x: torch.Tensor, dev=None):
    device = <device>
    return x.to(device if dev is None else dev)
""",
        never=(".to(dev)",),
        run="place(torch.ones(2))",
        before="raises AssertionError",
        after="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 3",
        "None, and its name is the usual one",
        """
import torch


def place(x: torch.Tensor, device=None):
    return x.cuda(device, non_blocking=True)
""",
        fixed="""
import torch


def place(x: torch.Tensor, device=None):
    accelerator = <device>
    return x.to(accelerator if device is None else device, non_blocking=True)
""",
        never=(".to(device,",),
        run="place(torch.ones(2)), place(torch.ones(2), 'cpu')",
        before="raises AssertionError",
        after="tuple(tensor([1.0, 1.0], torch.float32, cpu), tensor([1.0, 1.0], torch.float32, cpu))",
    ),
    Case(
        "pitfall 3",
        "who knows what it is",
        """
import torch


def place(x: torch.Tensor, where):
    return x.cuda(where)
""",
        left=("UC101",),
        never=(".to(where)",),
        run="place(torch.ones(2), None)",
        before="raises AssertionError",
    ),
    Case(
        "pitfall 4",
        "text stays text",
        """
import torch


device = "cuda"
x = torch.ones(2, 2, device=device)
with torch.autocast(device, enabled=False):
    y = x @ x
name = f"{device}:0"
""",
        fixed="""
import torch


device = <type>
x = torch.ones(2, 2, device=device)
with torch.autocast(device, enabled=False):
    y = x @ x
name = f"{device}:0"
""",
        never=("device = torch.accelerator.current_accelerator() if",),
        run="y, device.split(':')",
        before="raises AssertionError",
        after="tuple(tensor([[2.0, 2.0], [2.0, 2.0]], torch.float32, cpu), list('cpu'))",
    ),
    Case(
        "pitfall 5",
        "an index of the CPU's",
        """
import torch


def is_first(x):
    return x.device == torch.device("cuda", 0)
""",
        fixed="""
import torch


def is_first(x):
    return torch.accelerator.is_available() and x.device == torch.device(torch.accelerator.current_accelerator().type, 0)
""",
        never=("x.device == torch.device(device.type",),
        run="is_first(torch.ones(1))",
        before="False",
    ),
    Case(
        "pitfall 5",
        "one of several devices",
        """
import torch


def is_one(x):
    return x.device in (torch.device("cuda", 0), torch.device("cuda", 1))
""",
        left=("UC110",),
        run="is_one(torch.ones(1))",
        before="False",
    ),
    Case(
        "pitfall 6",
        "a checkpoint for a CPU with an index, as text",
        """
import torch


def load(path, rank):
    return torch.load(path, map_location=f"cuda:{rank}")
""",
        fixed="""
import torch


def load(path, rank):
    device = <device>
    return torch.load(path, map_location=f"{device.type}:{rank}" if device.type != "cpu" else device)
""",
        setup=_LOAD,
        run="load(f, 0)",
        before="raises RuntimeError",
        after="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 6",
        "a checkpoint for a CPU with an index, as a device",
        """
import torch


def load(path, rank):
    return torch.load(path, map_location=torch.device("cuda", rank))
""",
        fixed="""
import torch


def load(path, rank):
    device = <device>
    return torch.load(path, map_location=torch.device(device.type, rank) if device.type != "cpu" else device)
""",
        setup=_LOAD,
        run="load(f, 0)",
        before="raises RuntimeError",
        after="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 6",
        "a checkpoint for a CPU with an index, by a variable",
        """
import torch


def load(path, rank):
    place = "cuda:%d" % rank
    return torch.load(path, map_location=place)
""",
        fixed="""
import torch


def load(path, rank):
    place = f"{torch.accelerator.current_accelerator().type}:{rank}" if torch.accelerator.is_available() else "cpu"
    return torch.load(path, map_location=place)
""",
        setup=_LOAD,
        run="load(f, 0)",
        before="raises RuntimeError",
        after="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 7",
        "the CPU is no device_id",
        """
import torch
import torch.distributed as dist


def start(rank):
    dist.init_process_group("nccl", store=dist.HashStore(), rank=0, world_size=1, device_id=torch.device(f"cuda:{rank}"))
    return dist.get_backend()
""",
        fixed="""
import torch
import torch.distributed as dist


def start(rank):
    device = <device>
    dist.init_process_group(dist.get_default_backend_for_device(device), store=dist.HashStore(), rank=0, world_size=1, device_id=torch.device(device.type, rank) if device.type != "cpu" else None)
    return dist.get_backend()
""",
        run="start(0)",
        before="raises ValueError",
        after="'gloo'",
    ),
    Case(
        "pitfall 7",
        "the CPU is no device_id, by a variable",
        """
import torch
import torch.distributed as dist


def start(rank):
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    dist.init_process_group("nccl", store=dist.HashStore(), rank=0, world_size=1, device_id=device)
    return dist.get_backend()
""",
        fixed="""
import torch
import torch.distributed as dist


def start(rank):
    device = torch.device(torch.accelerator.current_accelerator().type, rank) if torch.accelerator.is_available() else torch.device("cpu")
    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(device)
    dist.init_process_group(dist.get_default_backend_for_device(device), store=dist.HashStore(), rank=0, world_size=1, device_id=device if device.type != "cpu" else None)
    return dist.get_backend()
""",
        never=("device_id=device)",),
        run="start(0)",
        before="raises AttributeError",
        after="'gloo'",
    ),
    Case(
        "pitfall 8",
        "the CPU counts itself",
        """
import torch


n = torch.cuda.device_count()
i = torch.cuda.current_device() if n else None
""",
        fixed="""
import torch


n = torch.accelerator.device_count()
i = torch.accelerator.current_device_index() if n else None
""",
        never=("get_device_module",),
        run="n, i",
        before="tuple(0, None)",
    ),
    Case(
        "pitfall 9",
        "what torch.cpu lacks",
        """
import torch


torch.cuda.manual_seed_all(0)
torch.cuda.ipc_collect()
torch.cuda.empty_cache()
halves = torch.cuda.is_bf16_supported()
""",
        fixed="""
import torch


if hasattr(torch.get_device_module(), "manual_seed_all"):
    torch.get_device_module().manual_seed_all(0)
if hasattr(torch.get_device_module(), "ipc_collect"):
    torch.get_device_module().ipc_collect()
if hasattr(torch.get_device_module(), "empty_cache"):
    torch.get_device_module().empty_cache()
halves = getattr(torch.get_device_module(), "is_bf16_supported", lambda: False)()
""",
        never=("\ntorch.get_device_module()",),
        run="halves",
        before="raises AssertionError",
        after="False",
    ),
    Case(
        "pitfall 10",
        "a default is evaluated at import",
        """
import torch


def make(n, device="cuda"):
    return torch.ones(n, device=device)
""",
        fixed="""
import torch


def make(n, device=None):
    if device is None:
        device = <type>
    return torch.ones(n, device=device)
""",
        never=("def make(n, device=torch", "def make(n, device=device"),
        run="make(2)",
        before="raises AssertionError",
        after="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 11",
        "a guard of what only CUDA has",
        """
import torch


if torch.cuda.is_available():
    torch.cuda.synchronize()
    torch.cuda.nvtx.range_pop()
""",
        fixed="""
import torch


if torch.cuda.is_available():
    torch.accelerator.synchronize()
    torch.cuda.nvtx.range_pop()
""",
        left=("UC202",),
        never=("if torch.accelerator",),
        run="None",
        before="None",
    ),
    Case(
        "pitfall 11",
        "a guard that asks for an NVIDIA generation",
        """
import torch


if torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0):
    dtype = torch.bfloat16
else:
    dtype = torch.float32
""",
        left=("UC202", "UC209"),
        never=("torch.accelerator",),
        run="dtype",
        before="torch.float32",
    ),
    Case(
        "pitfall 12",
        "MPS has no float64",
        """
import torch


device = "cuda" if torch.cuda.is_available() else "cpu"
x = torch.ones(2, dtype=torch.float64).to(device)
""",
        left=("UC201",),
        never=("torch.accelerator",),
        run="x",
        before="tensor([1.0, 1.0], torch.float64, cpu)",
        safe=True,
    ),
    Case(
        "pitfall 12",
        "nobody asks for MPS",
        """
import torch


device = "cuda" if torch.cuda.is_available() else "cpu"
x = torch.ones(2, dtype=torch.float64).to(device)
""",
        fixed="""
import torch


device = <type>
x = torch.ones(2, dtype=torch.float64).to(device)
""",
        run="x",
        before="tensor([1.0, 1.0], torch.float64, cpu)",
        targets=("ascend",),
        safe=True,
    ),
    Case(
        "pitfall 13",
        "a bare index is any accelerator's",
        """
import torch


def place(x, rank):
    return x.to(rank), x.to(0), torch.device(0)
""",
        run="place(torch.ones(1), 0)",
        before="raises RuntimeError",
    ),
    Case(
        "pitfall 14",
        "memory figures",
        """
import torch


used = torch.cuda.memory_allocated() / 2**20
peak = torch.cuda.max_memory_allocated()
""",
        fixed="""
import torch


used = getattr(torch.get_device_module(), "memory_allocated", lambda: 0)() / 2**20
peak = getattr(torch.get_device_module(), "max_memory_allocated", lambda: 0)()
""",
        never=("torch.accelerator",),
        run="used, peak",
        before="tuple(0.0, 0)",
    ),
    Case(
        "pitfall 14",
        "memory figures, of a torch that has them",
        """
import torch


used = torch.cuda.memory_allocated() / 2**20
""",
        fixed="""
import torch


used = getattr(torch.get_device_module(), "memory_allocated", lambda: 0)() / 2**20
""",
        never=("torch.accelerator",),
        run="used",
        before="0.0",
        floor="2.9",
    ),
    Case(
        "pitfall 15",
        "emptying the cache in an expression",
        """
import torch


free = lambda: torch.cuda.empty_cache()
done = [torch.cuda.empty_cache() for _ in range(2)]
""",
        fixed="""
import torch


free = lambda: getattr(torch.get_device_module(), "empty_cache", lambda: None)()
done = [getattr(torch.get_device_module(), "empty_cache", lambda: None)() for _ in range(2)]
""",
        never=("torch.accelerator.empty_cache",),
        run="free(), done",
        before="tuple(None, list(None, None))",
        floor="2.9",
    ),
    Case(
        "pitfall 15",
        "emptying the cache by a callback",
        """
import contextlib

import torch


with contextlib.ExitStack() as stack:
    stack.callback(torch.cuda.empty_cache)
""",
        fixed="""
import contextlib

import torch


with contextlib.ExitStack() as stack:
    stack.callback(lambda: getattr(torch.get_device_module(), "empty_cache", lambda: None)())
""",
        never=("torch.accelerator.empty_cache",),
        run="None",
        before="None",
        floor="2.9",
    ),
    Case(
        "pitfall 16",
        "seeds",
        """
import torch


torch.cuda.manual_seed(1)
torch.cuda.manual_seed_all(1)
torch.cuda.seed()
torch.cuda.seed_all()
""",
        fixed="""
import torch


if hasattr(torch.get_device_module(), "manual_seed"):
    torch.get_device_module().manual_seed(1)
if hasattr(torch.get_device_module(), "manual_seed_all"):
    torch.get_device_module().manual_seed_all(1)
if hasattr(torch.get_device_module(), "seed"):
    torch.get_device_module().seed()
if hasattr(torch.get_device_module(), "seed_all"):
    torch.get_device_module().seed_all()
""",
        never=("\ntorch.get_device_module()",),
        run="None",
        before="None",
    ),
    Case(
        "pitfall 16",
        "saved random states",
        """
import torch


def restore(states):
    torch.cuda.set_rng_state_all(states)
""",
        fixed="""
import torch


def restore(states):
    if hasattr(torch.get_device_module(), "set_rng_state_all"):
        torch.get_device_module().set_rng_state_all(states)
""",
        never=("\n    torch.get_device_module()",),
        run="restore([])",
        before="None",
    ),
    Case(
        "pitfall 17",
        "a stream that may be None",
        """
import torch


def run(stream=None):
    with torch.cuda.stream(stream):
        return torch.ones(1)
""",
        fixed="""
import torch


def run(stream=None):
    with torch.get_device_module().stream(stream):
        return torch.ones(1)
""",
        never=("with stream:",),
        run="run()",
        before="tensor([1.0], torch.float32, cpu)",
        floor="2.7",
    ),
    Case(
        "pitfall 17",
        "a stream of one's own that may be None",
        """
import torch


class Loader:
    def __init__(self):
        self.stream = torch.cuda.Stream() if torch.cuda.is_available() else None

    def run(self):
        with torch.cuda.stream(self.stream):
            return torch.ones(1)
""",
        fixed="""
import torch


class Loader:
    def __init__(self):
        self.stream = torch.get_device_module().Stream() if torch.accelerator.is_available() else None

    def run(self):
        with torch.get_device_module().stream(self.stream):
            return torch.ones(1)
""",
        never=("with self.stream:",),
        run="Loader().run()",
        before="tensor([1.0], torch.float32, cpu)",
        floor="2.7",
    ),
    Case(
        "pitfall 18",
        "by position only",
        """
import torch


torch.cuda.set_device(device=0)
torch.cuda.synchronize(device=0)
torch.cuda.set_device(-1)
""",
        fixed="""
import torch


if torch.accelerator.is_available():
    torch.accelerator.set_device_index(0)
if torch.accelerator.is_available():
    torch.accelerator.synchronize(0)
if torch.accelerator.is_available():
    torch.accelerator.set_device_index(-1)
""",
        never=("device=0",),
        run="None",
        before="raises AttributeError",
        after="None",
    ),
    Case(
        "pitfall 19",
        "a handler for the exception of old",
        """
import torch


try:
    torch.cuda.synchronize()
    there = True
except AssertionError:
    there = False
""",
        left=("UC206",),
        never=("torch.accelerator",),
        run="there",
        before="False",
    ),
    Case(
        "pitfall 19",
        "a handler for the attribute that a CPU build lacks",
        """
import torch


try:
    torch.cuda.set_device(0)
    there = True
except (AssertionError, AttributeError):
    there = False
""",
        left=("UC205",),
        never=("torch.accelerator",),
        run="there",
        before="False",
    ),
    Case(
        "pitfall 19",
        "a handler for either exception",
        """
import torch


try:
    i = torch.cuda.current_device()
except (AssertionError, RuntimeError):
    i = -1
""",
        fixed="""
import torch


try:
    i = torch.accelerator.current_device_index()
except (AssertionError, RuntimeError):
    i = -1
""",
        run="i",
        before="-1",
    ),
    Case(
        "pitfall 20",
        "the random states of a CPU",
        """
import torch


state = {"cuda": torch.cuda.get_rng_state_all()}
""",
        fixed="""
import torch


state = {"cuda": getattr(torch.get_device_module(), "get_rng_state_all", lambda: [])()}
""",
        run="state",
        before="{'cuda': []}",
    ),
    Case(
        "pitfall 21",
        "the random state of a CPU, forked",
        """
import torch


torch.manual_seed(0)
with torch.random.fork_rng():
    a = torch.rand(1)
b = torch.rand(1)
""",
        fixed="""
import torch


torch.manual_seed(0)
device = <device>
with torch.random.fork_rng(devices=range(torch.accelerator.device_count()), device_type=device.type):
    a = torch.rand(1)
b = torch.rand(1)
""",
        run="a, b",
        before="tuple(tensor([0.49625658988952637], torch.float32, cpu), tensor([0.49625658988952637], torch.float32, cpu))",
    ),
    Case(
        "pitfall 21",
        "the random state of CUDA's devices, forked",
        """
import torch


torch.manual_seed(0)
with torch.random.fork_rng(devices=range(torch.cuda.device_count()), device_type="cuda"):
    a = torch.rand(1)
b = torch.rand(1)
""",
        fixed="""
import torch


torch.manual_seed(0)
device = <device>
with torch.random.fork_rng(devices=range(torch.accelerator.device_count()), device_type=device.type):
    a = torch.rand(1)
b = torch.rand(1)
""",
        run="a, b",
        before="tuple(tensor([0.49625658988952637], torch.float32, cpu), tensor([0.49625658988952637], torch.float32, cpu))",
    ),
    Case(
        "pitfall 22",
        "figures for a CPU",
        """
import torch


def used(device):
    return torch.cuda.memory_allocated(device)
""",
        fixed="""
import torch


def used(device):
    return getattr(torch.get_device_module(), "memory_allocated", lambda _: 0)(device)
""",
        never=("torch.accelerator",),
        run="used('cpu')",
        before="0",
        floor="2.9",
    ),
    Case(
        "pitfall 22",
        "waiting for a CPU",
        """
import torch


def wait(device):
    torch.cuda.synchronize(device)
""",
        fixed="""
import torch


def wait(device):
    if torch.accelerator.is_available():
        torch.accelerator.synchronize(device)
""",
        run="wait('cpu')",
        before="raises AssertionError",
        after="None",
    ),
    Case(
        "pitfall 23",
        "autocast comes on for a CPU",
        """
import torch


x = torch.full((2, 2), 1.001)
with torch.autocast("cuda"):
    y = x @ x
""",
        fixed="""
import contextlib

import torch


x = torch.full((2, 2), 1.001)
device = <device>
with torch.autocast(device.type) if device.type != "cpu" else contextlib.nullcontext():
    y = x @ x
""",
        run="y",
        before="tensor([[2.004002094268799, 2.004002094268799], [2.004002094268799, 2.004002094268799]], torch.float32, cpu)",
    ),
    Case(
        "pitfall 24",
        "the dtype of autocast where none is given",
        """
import torch


x = torch.ones(2, 2)
with torch.cuda.amp.autocast():
    y = x @ x
""",
        fixed="""
import contextlib

import torch


x = torch.ones(2, 2)
device = <device>
with torch.autocast(device.type, dtype=torch.float16) if device.type != "cpu" else contextlib.nullcontext():
    y = x @ x
""",
        run="y",
        before="tensor([[2.0, 2.0], [2.0, 2.0]], torch.float32, cpu)",
    ),
    Case(
        "pitfall 25",
        "the order of arguments",
        """
import torch


x = torch.full((2, 2), 1.001)
with torch.cuda.amp.autocast(True, torch.bfloat16, False):
    y = x @ x
scaler = torch.cuda.amp.GradScaler(1024.0)
""",
        fixed="""
import contextlib

import torch


x = torch.full((2, 2), 1.001)
device = <device>
with torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False) if device.type != "cpu" else contextlib.nullcontext():
    y = x @ x
scaler = torch.amp.GradScaler(device.type, 1024.0, enabled=device.type != "cpu")
""",
        never=('"cuda"',),
        run="y, scaler.is_enabled(), scaler.get_scale()",
        before="tuple(tensor([[2.004002094268799, 2.004002094268799], [2.004002094268799, 2.004002094268799]], torch.float32, cpu), False, 1.0)",
    ),
    Case(
        "pitfall 26",
        "a scaler for a CPU",
        """
import torch


scaler = torch.cuda.amp.GradScaler()
""",
        fixed="""
import torch


device = <device>
scaler = torch.amp.GradScaler(device.type, enabled=device.type != "cpu")
""",
        run="scaler.is_enabled(), scaler.get_scale()",
        before="tuple(False, 1.0)",
    ),
    Case(
        "pitfall 26",
        "a scaler for CUDA that doesn't say so",
        """
import torch


scaler = torch.amp.GradScaler()
""",
        fixed="""
import torch


device = <device>
scaler = torch.amp.GradScaler(device.type, enabled=device.type != "cpu")
""",
        run="scaler.is_enabled(), scaler.get_scale()",
        before="tuple(False, 1.0)",
    ),
    Case(
        "pitfall 27",
        "a decorator without a call",
        """
import torch
from torch.cuda.amp import custom_bwd, custom_fwd


class Double(torch.autograd.Function):
    @staticmethod
    @custom_fwd(cast_inputs=torch.float32)
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @custom_bwd
    def backward(ctx, g):
        return g * 2


x = torch.ones(2, requires_grad=True)
Double.apply(x).sum().backward()
""",
        fixed="""
import torch


device = <device>


class Double(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type=device.type, cast_inputs=torch.float32)
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @torch.amp.custom_bwd(device_type=device.type)
    def backward(ctx, g):
        return g * 2


x = torch.ones(2, requires_grad=True)
Double.apply(x).sum().backward()
""",
        never=("@torch.amp.custom_bwd\n", "@custom_bwd"),
        run="x.grad",
        before="tensor([2.0, 2.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 28",
        "questions that ask CUDA alone",
        """
import torch


def state():
    return torch.is_autocast_enabled(), torch.get_autocast_gpu_dtype()
""",
        fixed="""
import torch


def state():
    device = <device>
    return torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)
""",
        run="state()[0]",
        before="False",
    ),
    Case(
        "pitfall 29",
        "scalers that aren't torch.amp's",
        """
from apex import amp


def start(model, optimizer):
    return amp.initialize(model, optimizer, opt_level="O1")
""",
        left=("UC501",),
        never=("torch.amp",),
    ),
    Case(
        "pitfall 30",
        "events on a CPU, behind a guard",
        """
import torch


ms = 0.0
if torch.cuda.is_available():
    start = torch.cuda.Event(enable_timing=True)
    end = torch.cuda.Event(enable_timing=True)
    start.record()
    end.record()
    torch.cuda.synchronize()
    ms = start.elapsed_time(end)
""",
        fixed="""
import torch


ms = 0.0
if torch.accelerator.is_available():
    start = torch.get_device_module().Event(enable_timing=True)
    end = torch.get_device_module().Event(enable_timing=True)
    start.record()
    end.record()
    torch.accelerator.synchronize()
    ms = start.elapsed_time(end)
""",
        never=("torch.Event",),
        run="ms",
        before="0.0",
    ),
    Case(
        "pitfall 30",
        "events on a CPU, without one",
        """
import torch


start = torch.cuda.Event(enable_timing=True)
end = torch.cuda.Event(enable_timing=True)
start.record()
y = torch.ones(2)
end.record()
torch.cuda.synchronize()
""",
        fixed="""
import torch


start = torch.get_device_module().Event(enable_timing=True)
end = torch.get_device_module().Event(enable_timing=True)
start.record()
y = torch.ones(2)
end.record()
if torch.accelerator.is_available():
    torch.accelerator.synchronize()
""",
        never=("torch.Event",),
        run="y",
        before="raises RuntimeError",
        after="raises TypeError",
    ),
    Case(
        "pitfall 31",
        "raw handles",
        """
import torch


def launch(kernel, x):
    stream = torch.cuda.current_stream()
    kernel(x, stream.cuda_stream, torch.cuda.current_blas_handle())
""",
        left=("UC213", "UC299"),
        never=("get_device_module", "torch.accelerator"),
    ),
    Case(
        "pitfall 32",
        "whether it is a stream",
        """
import torch


def wait(stream):
    if isinstance(stream, torch.cuda.Stream):
        stream.synchronize()
    return stream
""",
        left=("UC213",),
        never=("torch.Stream",),
        run="wait(None)",
        before="None",
    ),
    Case(
        "pitfall 33",
        "a device where an index is asked for",
        """
import torch


def shifted(x: torch.Tensor):
    with torch.cuda.device(x.device):
        return x + 1
""",
        fixed="""
import torch


def shifted(x: torch.Tensor):
    with torch.accelerator.device_index(x.device.index):
        return x + 1
""",
        never=("device_index(x.device)",),
        run="shifted(torch.ones(2))",
        before="raises ValueError",
        after="tensor([2.0, 2.0], torch.float32, cpu)",
        floor="2.8",
    ),
    Case(
        "pitfall 33",
        "a device or an index, nobody knows",
        """
import torch


def shifted(x, where):
    with torch.cuda.device(where):
        return x + 1
""",
        fixed="""
import torch


def shifted(x, where):
    with torch.get_device_module().device(where):
        return x + 1
""",
        never=("device_index",),
        run="shifted(torch.ones(2), 0)",
        before="raises RuntimeError",
        after="raises AttributeError",
        floor="2.8",
    ),
    Case(
        "pitfall 33",
        "a stream as a context before torch 2.7",
        """
import torch


def run(x):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        return x + 1
""",
        fixed="""
import torch


def run(x):
    stream = torch.get_device_module().Stream()
    with torch.get_device_module().stream(stream):
        return x + 1
""",
        never=("with stream:",),
        run="run(torch.ones(2))",
        before="raises RuntimeError",
        after="tensor([2.0, 2.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 34",
        "capability means something else",
        """
import torch


def is_new():
    return torch.cuda.get_device_capability() >= (8, 0)
""",
        left=("UC209",),
        never=("torch.accelerator.get_device_capability", "get_device_module"),
        run="is_new()",
        before="raises AssertionError",
        floor="2.10",
    ),
    Case(
        "pitfall 35",
        "a key of CUDA's statistics",
        """
import torch


def failures():
    return torch.cuda.memory_stats().get("num_ooms", 0)
""",
        fixed="""
import torch


def failures():
    return getattr(torch.get_device_module(), "memory_stats", lambda: {})().get("num_ooms", 0)
""",
        never=("torch.accelerator",),
        run="failures()",
        before="0",
        floor="2.9",
    ),
    Case(
        "pitfall 35",
        "a summary of CUDA's statistics",
        """
import torch


def report():
    return torch.cuda.memory_summary()
""",
        fixed="""
import torch


def report():
    return getattr(torch.get_device_module(), "memory_summary", lambda: "")()
""",
        never=("torch.accelerator",),
        run="report()",
        before="raises KeyError",
        after="''",
        floor="2.9",
    ),
    Case(
        "pitfall 36",
        "capturing a graph",
        """
import torch


def capture(x):
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = x * 2
    return graph, y
""",
        left=("UC215", "UC215"),
        never=("Graph()\n    with torch.accelerator", "torch.accelerator.Graph"),
        run="capture(torch.ones(2))",
        before="raises RuntimeError",
        floor="2.12",
    ),
    Case(
        "pitfall 37",
        "on the accelerator, where a kernel waits",
        """
import fused_ext
import torch


def relu(x):
    if x.is_cuda:
        return fused_ext.relu(x)
    return x.clamp(min=0)
""",
        left=("UC111",),
        never=("not in",),
        setup="import sys, types; sys.modules['fused_ext'] = types.ModuleType('fused_ext')",
        run="relu(torch.ones(2))",
        before="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 37",
        "on the accelerator, asked of a tensor",
        """
import torch


def is_there(x):
    return x.is_cuda, x.device.type == "cuda"
""",
        fixed="""
import torch


def is_there(x):
    return x.device.type not in ("cpu", "meta"), x.device.type not in ("cpu", "meta")
""",
        never=("torch.accelerator",),
        run="is_there(torch.ones(2))",
        before="tuple(False, False)",
    ),
    Case(
        "pitfall 38",
        "a size, a list or nothing",
        """
import torch


def make():
    return torch.cuda.FloatTensor(2, 3).shape, torch.cuda.FloatTensor([2, 3]), torch.cuda.FloatTensor().shape
""",
        fixed="""
import torch


def make():
    device = <device>
    return torch.empty(2, 3, dtype=torch.float32, device=device).shape, torch.tensor([2, 3], dtype=torch.float32, device=device), torch.empty(0, dtype=torch.float32, device=device).shape
""",
        never=("torch.tensor((2, 3)",),
        run="make()",
        before="raises TypeError",
        after="tuple(Size(2, 3), tensor([2.0, 3.0], torch.float32, cpu), Size(0))",
    ),
    Case(
        "pitfall 38",
        "who knows what it is",
        """
import torch


def make(a):
    return torch.cuda.FloatTensor(a)
""",
        fixed="""
import torch


def make(a):
    device = <device>
    return torch.FloatTensor(a).to(device)
""",
        never=("torch.tensor(a",),
        run="make([1, 2]), make(3).shape, make(torch.ones(2))",
        before="raises TypeError",
        after="tuple(tensor([1.0, 2.0], torch.float32, cpu), Size(3), tensor([1.0, 1.0], torch.float32, cpu))",
    ),
    Case(
        "pitfall 39",
        "a class by another name",
        """
import torch


Tensor = torch.cuda.FloatTensor if torch.cuda.is_available() else torch.FloatTensor
x = Tensor(2, 3).fill_(1)
is_one = isinstance(x, Tensor)
""",
        left=("UC108", "UC202"),
        never=("torch.accelerator", "torch.empty"),
        run="x, is_one",
        before="tuple(tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], torch.float32, cpu), True)",
    ),
    Case(
        "pitfall 40",
        "a default tensor type",
        """
import torch


torch.set_default_tensor_type("torch.cuda.FloatTensor")
x = torch.ones(2)
""",
        fixed="""
import torch


device = <device>
torch.set_default_dtype(torch.float32)
torch.set_default_device(device)
x = torch.ones(2)
""",
        never=("torch.set_default_tensor_type",),
        run="x",
        before="raises TypeError",
        after="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 40",
        "a default tensor type isn't changed without being asked to",
        """
import torch


torch.set_default_tensor_type("torch.cuda.FloatTensor")
x = torch.ones(2)
""",
        left=("UC109",),
        never=("set_default_device",),
        run="x",
        before="raises TypeError",
        safe=True,
    ),
    Case(
        "pitfall 41",
        "a class that is there on a CPU too",
        """
import torch


has = hasattr(torch.cuda, "FloatTensor")
""",
        left=("UC223",),
        never=("torch.accelerator",),
        run="has",
        before="True",
        severity="info",
    ),
    Case(
        "pitfall 42",
        "keeping a checkpoint on the CPU",
        """
import torch


def load(path):
    return torch.load(path, map_location=lambda storage, location: storage)
""",
        never=("torch.accelerator",),
        setup=_LOAD,
        run="load(f)",
        before="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 42",
        "from one tag to another",
        """
import torch


def load(path):
    return torch.load(path, map_location={"cuda:0": "cuda:1"})
""",
        fixed="""
import torch


def load(path):
    device = <device>
    return torch.load(path, map_location=torch.device(device.type, 1) if device.type != "cpu" else device)
""",
        setup=_LOAD,
        run="load(f)",
        before="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "pitfall 43",
        "the name of a type",
        """
import torch


def is_there(x):
    return x.type() == "torch.cuda.FloatTensor"
""",
        fixed="""
import torch


def is_there(x):
    return x.device.type != "cpu" and x.dtype == torch.float32
""",
        never=('"torch.',),
        run="is_there(torch.ones(1))",
        before="False",
    ),
    Case(
        "pitfall 44",
        "TF32 of cuBLAS is set by its own flag",
        """
import torch


torch.backends.cuda.matmul.allow_tf32 = True
torch.backends.cudnn.allow_tf32 = True
flags = torch.backends.cuda.matmul.allow_tf32, torch.get_float32_matmul_precision()
""",
        left=("UC322", "UC322", "UC322"),
        never=("set_float32_matmul_precision", "fp32_precision"),
        run="flags",
        before="tuple(True, 'high')",
        severity="info",
    ),
    Case(
        "pitfall 45",
        "there may be no cuDNN",
        """
import torch


def is_new():
    return torch.backends.cudnn.version() > 7000
""",
        fixed="""
import torch


def is_new():
    return (torch.backends.cudnn.version() or 0) > 7000
""",
        left=("UC321",),
        never=("get_device_module",),
        run="is_new()",
        before="raises TypeError",
        after="False",
    ),
    Case(
        "pitfall 45",
        "there may be no CUDA version",
        """
import torch


def major():
    return torch.version.cuda.split(".")[0]
""",
        left=("UC221",),
        never=("get_device_module",),
        run="major()",
        before="raises AttributeError",
    ),
    Case(
        "pitfall 46",
        "kernels that are chosen by default",
        """
import torch


q = torch.ones(1, 1, 2, 4)
with torch.backends.cuda.sdp_kernel(enable_flash=False):
    y = torch.nn.functional.scaled_dot_product_attention(q, q, q)
""",
        fixed="""
import torch


q = torch.ones(1, 1, 2, 4)
with torch.nn.attention.sdpa_kernel([torch.nn.attention.SDPBackend.EFFICIENT_ATTENTION, torch.nn.attention.SDPBackend.MATH, torch.nn.attention.SDPBackend.CUDNN_ATTENTION]):
    y = torch.nn.functional.scaled_dot_product_attention(q, q, q)
""",
        never=("FLASH_ATTENTION",),
        run="y",
        before="tensor([[[[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]]], torch.float32, cpu)",
        severity="info",
    ),
    Case(
        "pitfall 46",
        "kernels that are chosen at run time",
        """
import torch


def attend(q, flash):
    with torch.backends.cuda.sdp_kernel(enable_flash=flash):
        return torch.nn.functional.scaled_dot_product_attention(q, q, q)
""",
        left=("UC323",),
        never=("sdpa_kernel",),
        run="attend(torch.ones(1, 1, 2, 4), True)",
        before="tensor([[[[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]]], torch.float32, cpu)",
        severity="info",
    ),
    Case(
        "pitfall 47",
        "determinism of cuDNN alone",
        """
import torch


torch.backends.cudnn.deterministic = True
torch.backends.cudnn.benchmark = False
""",
        left=("UC320", "UC320"),
        never=("use_deterministic_algorithms",),
        run="torch.are_deterministic_algorithms_enabled()",
        before="False",
        severity="info",
    ),
    Case(
        "pitfall 48",
        "pinned memory of a device",
        """
import torch
from torch.utils.data import DataLoader


def batches(data):
    return list(DataLoader(data, pin_memory=True, pin_memory_device="cuda"))
""",
        fixed="""
import torch
from torch.utils.data import DataLoader


def batches(data):
    device = <device>
    return list(DataLoader(data, pin_memory=True, pin_memory_device=device.type))
""",
        never=('"cuda"',),
        run="batches([1, 2])",
        before="list(tensor([1], torch.int64, cpu), tensor([2], torch.int64, cpu))",
    ),
    Case(
        "pitfall 48",
        "pinned memory of a device, of a torch that ignores it",
        """
import torch
from torch.utils.data import DataLoader


def batches(data):
    return list(DataLoader(data, pin_memory=True, pin_memory_device="cuda"))
""",
        fixed="""
import torch
from torch.utils.data import DataLoader


def batches(data):
    return list(DataLoader(data, pin_memory=True))
""",
        never=("pin_memory_device",),
        run="batches([1, 2])",
        before="list(tensor([1], torch.int64, cpu), tensor([2], torch.int64, cpu))",
        floor="2.9",
    ),
    Case(
        "pitfall 49",
        "a name that is compared",
        """
import torch.distributed as dist


def start():
    dist.init_process_group(backend="nccl")
    return dist.get_backend() == "nccl"
""",
        left=("UC401", "UC405"),
        never=("init_process_group()",),
    ),
    Case(
        "pitfall 49",
        "a backend for each device",
        """
import torch
import torch.distributed as dist


def start():
    dist.init_process_group("cpu:gloo,cuda:nccl", store=dist.HashStore(), rank=0, world_size=1)
    return dist.get_backend()
""",
        fixed="""
import torch
import torch.distributed as dist


def start():
    device = <device>
    dist.init_process_group(f"cpu:gloo,{device.type}:{dist.get_default_backend_for_device(device)}" if device.type != "cpu" else "gloo", store=dist.HashStore(), rank=0, world_size=1)
    return dist.get_backend()
""",
        run="start()",
        before="raises RuntimeError",
        after="'gloo'",
    ),
    Case(
        "pitfall 50",
        "no table of backends before torch 2.6",
        """
import torch.distributed as dist


def start():
    dist.init_process_group("nccl")
""",
        left=("UC401",),
        never=("get_default_backend_for_device",),
        floor="2.4",
    ),
    Case(
        "pitfall 51",
        "device_ids of a module on the CPU",
        """
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP


def wrap(model, rank):
    return DDP(model, device_ids=[rank], output_device=rank)
""",
        fixed="""
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP


def wrap(model, rank):
    device = <device>
    return DDP(model, device_ids=[rank] if device.type != "cpu" else None)
""",
        setup="import torch.distributed as d; d.init_process_group('gloo', store=d.HashStore(), rank=0, world_size=1)",
        run="list(wrap(torch.nn.Linear(1, 1), 0).state_dict())",
        before="raises ValueError",
        after="list('module.weight', 'module.bias')",
    ),
    Case(
        "pitfall 52",
        "the wrapper names the parameters",
        """
import torch


model = torch.nn.DataParallel(torch.nn.Linear(2, 2), device_ids=[0]).cuda()
""",
        fixed="""
import torch


device = <device>
model = torch.nn.DataParallel(torch.nn.Linear(2, 2), device_ids=[0]).to(device)
""",
        left=("UC406",),
        run="list(model.state_dict())",
        before="raises AssertionError",
        after="list('module.weight', 'module.bias')",
    ),
    Case(
        "pitfall 53",
        "activities of the profiler",
        """
import torch
from torch.profiler import ProfilerActivity, profile


with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as prof:
    torch.ones(2)
table = prof.key_averages().table(sort_by="cuda_time_total", row_limit=1)
""",
        fixed="""
import torch
from torch.profiler import profile


with profile(activities=torch.profiler.supported_activities()) as prof:
    torch.ones(2)
table = prof.key_averages().table(sort_by="cuda_time_total", row_limit=1)
""",
        never=("device_time_total",),
        run="len(prof.key_averages()) > 0",
        before="True",
    ),
    Case(
        "pitfall 53",
        "activities of the profiler, CUDA's alone",
        """
import torch
from torch.profiler import ProfilerActivity, profile


with profile(activities=[ProfilerActivity.CUDA]) as prof:
    torch.ones(2)
""",
        left=("UC217",),
        run="prof is not None",
        before="raises AssertionError",
    ),
    Case(
        "pitfall 53",
        "a key that has the profiler's name",
        """
cuda_time_total = 3
row = {"cuda_time_total": cuda_time_total}
""",
        run="row",
        before="{'cuda_time_total': 3}",
    ),
    Case(
        "pitfall 54",
        "a variable of CUDA's runtime",
        """
import os

import torch

os.environ["CUDA_VISIBLE_DEVICES"] = "0"
""",
        left=("UC701",),
        never=("ASCEND",),
        run="os.environ['CUDA_VISIBLE_DEVICES']",
        before="'0'",
    ),
    Case(
        "pitfall 55",
        "a test of CUDA's own",
        """
import pytest
import torch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_graph():
    graph = torch.cuda.CUDAGraph()
    graph.replay()
""",
        left=("UC702", "UC215"),
        never=("torch.accelerator",),
    ),
    Case(
        "pitfall 55",
        "a test that is portable once its body is",
        """
import pytest
import torch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_add():
    x = torch.ones(2).cuda()
    assert (x + x).sum() == 4
""",
        fixed="""
import pytest
import torch


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_add():
    device = torch.accelerator.current_accelerator()
    x = torch.ones(2).to(device)
    assert (x + x).sum() == 4
""",
        never=("torch.cuda",),
        run="test_add()",
        before="raises AssertionError",
        after="None",
    ),
    Case(
        "pitfall 58",
        "an optimizer made before the move",
        """
import torch


model = torch.nn.Linear(2, 2)
optimizer = torch.optim.Adam(model.parameters())
model.cuda()
""",
        fixed="""
import torch


model = torch.nn.Linear(2, 2)
optimizer = torch.optim.Adam(model.parameters())
device = <device>
model.to(device)
""",
        run="optimizer.param_groups[0]['params'][0] is model.weight",
        before="raises AssertionError",
        after="True",
    ),
    Case(
        "pitfall 59",
        "an int is an index of CUDA's",
        """
import torch


def place(x: torch.Tensor, index: int):
    return x.cuda(index), x.cuda(0)
""",
        fixed="""
import torch


def place(x: torch.Tensor, index: int):
    device = <device>
    return x.to(torch.device(device.type, index)), x.to(torch.device(device.type, 0))
""",
        never=(".to(index)", ".to(0)"),
        run="place(torch.ones(1), 0)",
        before="raises RuntimeError",
        after="tuple(tensor([1.0], torch.float32, cpu), tensor([1.0], torch.float32, cpu))",
    ),
    Case(
        "pitfall 60",
        "a reset of all peaks",
        """
import torch


torch.cuda.reset_max_memory_allocated()
""",
        fixed="""
import torch


if hasattr(torch.get_device_module(), "reset_peak_memory_stats"):
    torch.get_device_module().reset_peak_memory_stats()
""",
        never=("torch.accelerator", "\ntorch.get_device_module()"),
        run="None",
        before="raises AttributeError",
        after="None",
        floor="2.9",
    ),
    Case(
        "trap 1",
        "a guard that is part of the idiom",
        """
import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--no-cuda", action="store_true")
args = parser.parse_args([])
args.cuda = not args.no_cuda and torch.cuda.is_available()
device = torch.device("cuda" if args.cuda else "cpu")
x = torch.ones(2)
if args.cuda:
    x = x.cuda()
""",
        fixed="""
import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--no-cuda", action="store_true")
args = parser.parse_args([])
args.cuda = not args.no_cuda and torch.accelerator.is_available()
device = torch.accelerator.current_accelerator() if args.cuda else torch.device("cpu")
x = torch.ones(2)
if args.cuda:
    x = x.to(device)
""",
        never=(".cuda()", "torch.cuda"),
        run="device, x",
        before="tuple(device(cpu), tensor([1.0, 1.0], torch.float32, cpu))",
    ),
    Case(
        "trap 1",
        "a flag of one's own",
        """
import torch

use_cuda = torch.cuda.is_available()
model = torch.nn.Linear(1, 1)
if use_cuda:
    model.cuda()
    torch.backends.cudnn.benchmark = True
""",
        fixed="""
import torch

use_cuda = torch.accelerator.is_available()
model = torch.nn.Linear(1, 1)
device = <device>
if use_cuda:
    model.to(device)
    torch.backends.cudnn.benchmark = True
""",
        never=("torch.cuda",),
        run="use_cuda",
        before="False",
    ),
    Case(
        "trap 2",
        "names that are nobody's device",
        """
class CUDACallback:
    def __init__(self, cuda=False):
        self.cuda = cuda

    def log(self, cuda):
        return {"cuda": cuda, "self": self.cuda}


class Meter:
    def cuda(self):
        return "no tensor"


logged = CUDACallback().log("cuda is slow today"), Meter().cuda()
""",
        run="logged",
        before="tuple({'cuda': 'cuda is slow today', 'self': False}, 'no tensor')",
    ),
    Case(
        "trap 3",
        "modules by other names",
        """
import torch
import torch.backends.cudnn as cudnn
from torch import cuda
from torch.cuda.amp import autocast

cudnn.benchmark = True
x = torch.ones(2, 2)
with autocast():
    y = x @ x
cuda.empty_cache()
""",
        fixed="""
import contextlib

import torch
import torch.backends.cudnn as cudnn

cudnn.benchmark = True
x = torch.ones(2, 2)
device = <device>
with torch.autocast(device.type, dtype=torch.float16) if device.type != "cpu" else contextlib.nullcontext():
    y = x @ x
if hasattr(torch.get_device_module(), "empty_cache"):
    torch.get_device_module().empty_cache()
""",
        never=("cuda.empty_cache", "torch.cuda"),
        run="y",
        before="tensor([[2.0, 2.0], [2.0, 2.0]], torch.float32, cpu)",
    ),
    Case(
        "trap 4",
        "devices written as text",
        """
import argparse
from dataclasses import dataclass

import torch

DEVICE = "cuda"
parser = argparse.ArgumentParser()
parser.add_argument("--device", default="cuda")


@dataclass
class Config:
    device: str = "cuda"


def name(rank):
    return "cuda:{}".format(rank), "cuda:" + str(rank), f"cuda:{rank}"


x = torch.ones(2, device=DEVICE)
y = torch.ones(2, device=parser.parse_args([]).device)
z = torch.ones(2, device=Config().device)
""",
        fixed="""
import argparse
from dataclasses import dataclass, field

import torch

DEVICE = <type>
parser = argparse.ArgumentParser()
parser.add_argument("--device", default=<type>)


@dataclass
class Config:
    device: str = field(default_factory=lambda: <type>)


def name(rank):
    return f"{DEVICE}:{rank}", f"{DEVICE}:{rank}", f"{DEVICE}:{rank}"


x = torch.ones(2, device=DEVICE)
y = torch.ones(2, device=parser.parse_args([]).device)
z = torch.ones(2, device=Config().device)
""",
        run="x, y, z",
        before="raises AttributeError",
    ),
    Case(
        "trap 5",
        "comparisons of devices",
        """
import torch


def asked(x, device):
    return (
        x.device != torch.device("cuda"),
        x.device.type == "cuda",
        device == "cuda",
        "cuda" in device,
        x.is_cuda,
    )
""",
        fixed="""
import torch


def asked(x, device):
    return (
        not torch.accelerator.is_available() or x.device != torch.accelerator.current_accelerator(),
        x.device.type not in ("cpu", "meta"),
        torch.accelerator.is_available() and device == torch.accelerator.current_accelerator().type,
        torch.accelerator.is_available() and torch.accelerator.current_accelerator().type in device,
        x.device.type not in ("cpu", "meta"),
    )
""",
        never=("== torch.device",),
        run="asked(torch.ones(1), 'cpu')",
        before="tuple(True, False, False, False, False)",
    ),
    Case(
        "trap 6",
        "the forms of .cuda()",
        """
import torch
from torch.nn import DataParallel

x = torch.ones(2)


def moved(i: int, d: torch.device):
    return x.cuda(i), x.cuda(device=d, non_blocking=True), x.cuda(None), x.cuda().double().float()


model = DataParallel(torch.nn.Linear(2, 2)).cuda()
xs = list(map(lambda t: t.cuda(), [x, x]))
ys = list(map(torch.Tensor.cuda, [x, x]))
""",
        fixed="""
import torch
from torch.nn import DataParallel

x = torch.ones(2)


def _get_device():
    return <device>


def moved(i: int, d: torch.device):
    device = _get_device()
    return x.to(torch.device(device.type, i)), x.to(d, non_blocking=True), x.to(device), x.to(device).double().float()


device = _get_device()
model = DataParallel(torch.nn.Linear(2, 2)).to(device)
xs = list(map(lambda t: t.to(device), [x, x]))
ys = list(map(lambda x: x.to(device), [x, x]))
""",
        never=(".cuda(",),
        run="moved(0, torch.device('cpu')), xs, ys, list(model.state_dict())",
        before="raises AssertionError",
        after="tuple(tuple(tensor([1.0, 1.0], torch.float32, cpu), tensor([1.0, 1.0], torch.float32, cpu), tensor([1.0, 1.0], torch.float32, cpu), tensor([1.0, 1.0], torch.float32, cpu)), list(tensor([1.0, 1.0], torch.float32, cpu), tensor([1.0, 1.0], torch.float32, cpu)), list(tensor([1.0, 1.0], torch.float32, cpu), tensor([1.0, 1.0], torch.float32, cpu)), list('module.weight', 'module.bias'))",
    ),
    Case(
        "trap 7",
        "a stream and its context",
        """
import torch

stream = torch.cuda.Stream()
with torch.cuda.stream(stream):
    y = torch.ones(2) + 1
stream.synchronize()
""",
        fixed="""
import torch

stream = torch.get_device_module().Stream()
with torch.get_device_module().stream(stream):
    y = torch.ones(2) + 1
stream.synchronize()
""",
        never=("get_device_module().stream()", "with torch.get_device_module().Stream"),
        run="y",
        before="raises RuntimeError",
        after="raises AttributeError",
    ),
    Case(
        "trap 8",
        "calls over lines, modules that are handed on, names that are looked up",
        """
import torch


def report(module=torch.cuda):
    return module.device_count()


counted = getattr(torch, "cuda").device_count()
x = torch.ones(2).to(
    "cuda",  # the first one
    non_blocking=True,
)
print(f"on {torch.device('cuda')}", end="")
""",
        fixed="""
import torch


def report(module=torch.cuda):
    return module.device_count()


counted = getattr(torch, "cuda").device_count()
device = <device>
x = torch.ones(2).to(
    device,  # the first one
    non_blocking=True,
)
print(f"on {device}", end="")
""",
        left=("UC223", "UC223"),
        run="counted, x",
        before="raises AssertionError",
        after="tuple(0, tensor([1.0, 1.0], torch.float32, cpu))",
    ),
    Case(
        "trap 9",
        "what the new line needs and what the old one leaves",
        """
from __future__ import annotations

from typing import TYPE_CHECKING

from torch.cuda.amp import GradScaler

if TYPE_CHECKING:
    import torch


def start(device):
    return GradScaler(), device
""",
        fixed="""
from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import torch


def start(device):
    accelerator = <device>
    return torch.amp.GradScaler(accelerator.type, enabled=accelerator.type != "cpu"), device
""",
        run="start(1)[1]",
        before="1",
    ),
    Case(
        "trap 9",
        "a function that has its own torch",
        """
def busy(torch):
    return torch.cuda.memory_allocated()
""",
        never=("accelerator", "get_device_module"),
    ),
    Case(
        "trap 10",
        "no torch.accelerator before torch 2.6",
        """
import torch

x = torch.ones(2).cuda()
device = "cuda" if torch.cuda.is_available() else "cpu"
""",
        left=("UC101", "UC201"),
        never=("torch.accelerator",),
        floor="2.4",
    ),
    Case(
        "trap 11",
        "ranks and counts",
        """
import torch


def local(rank):
    return rank % torch.cuda.device_count()
""",
        fixed="""
import torch


def local(rank):
    return rank % max(torch.accelerator.device_count(), 1)
""",
        never=("% torch.accelerator.device_count()",),
        run="local(3)",
        before="raises ZeroDivisionError",
        after="0",
    ),
    Case(
        "trap 12",
        "the capability of somebody else's device",
        """
import torch

bf16 = torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 8
""",
        left=("UC202", "UC209"),
        never=("torch.accelerator",),
        run="bf16",
        before="False",
    ),
    Case(
        "trap 13",
        "a seed beside the seed of every device",
        """
import torch


def seed_everything(seed):
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    return torch.rand(1)
""",
        fixed="""
import torch


def seed_everything(seed):
    torch.manual_seed(seed)
    return torch.rand(1)
""",
        run="seed_everything(0)",
        before="tensor([0.49625658988952637], torch.float32, cpu)",
        severity="info",
    ),
    Case(
        "trap 14",
        "tests that never run elsewhere",
        """
import unittest

import torch


@unittest.skipUnless(torch.cuda.is_available(), "requires CUDA")
class AddTest(unittest.TestCase):
    def test_add(self):
        x = torch.ones(2).cuda()
        self.assertEqual((x + x).sum().item(), 4)
""",
        fixed="""
import unittest

import torch


@unittest.skipUnless(torch.accelerator.is_available(), "requires an accelerator")
class AddTest(unittest.TestCase):
    def test_add(self):
        device = <device>
        x = torch.ones(2).to(device)
        self.assertEqual((x + x).sum().item(), 4)
""",
        never=("torch.cuda",),
        run="unittest.TextTestRunner(stream=__import__('io').StringIO()).run(AddTest('test_add')).wasSuccessful()",
        before="True",
    ),
    Case(
        "trap 15",
        "a device that is used as text",
        """
import torch

device = "cuda" if torch.cuda.is_available() else "cpu"
kind = device.split(":")[0]
on_gpu = "cuda" in device
label = f"{device}:{0}"
""",
        fixed="""
import torch

device = <type>
kind = device.split(":")[0]
on_gpu = torch.accelerator.is_available() and torch.accelerator.current_accelerator().type in device
label = f"{device}:{0}"
""",
        run="kind, on_gpu, label, type(device) is str",
        before="tuple('cpu', False, 'cpu:0', True)",
    ),
    Case(
        "trap 16",
        "what TorchScript compiles",
        """
import torch


@torch.jit.script
def move(x: torch.Tensor) -> torch.Tensor:
    if x.is_cuda:
        return x.cuda()
    return x
""",
        left=("UC111", "UC101"),
        never=("accelerator",),
    ),
    Case(
        "trap 18",
        "a module constant and a default",
        """
import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make(n, device=DEVICE):
    return torch.ones(n, device=device)
""",
        fixed="""
import torch

DEVICE = <device>


def make(n, device=DEVICE):
    return torch.ones(n, device=device)
""",
        never=("current_accelerator() or",),
        run="make(2)",
        before="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "trap 19",
        "a flag, its help and its warning",
        """
import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--cuda", action="store_true", help="use CUDA")
args = parser.parse_args([])
if torch.cuda.is_available():
    if not args.cuda:
        print("WARNING: You have a CUDA device, so you should probably run with --cuda", end="")
device = torch.device("cuda" if args.cuda else "cpu")
x = torch.ones(2).to(device)
""",
        fixed="""
import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--cuda", action="store_true", help="use CUDA")
args = parser.parse_args([])
if torch.cuda.is_available():
    if not args.cuda:
        print("WARNING: You have a CUDA device, so you should probably run with --cuda", end="")
device = torch.accelerator.current_accelerator() if args.cuda and torch.accelerator.is_available() else torch.device("cpu")
x = torch.ones(2).to(device)
""",
        left=("UC202",),
        run="x",
        before="tensor([1.0, 1.0], torch.float32, cpu)",
    ),
    Case(
        "trap 17",
        "a Mac that comes to MPS",
        """
import torch

if torch.cuda.is_available():
    device = torch.device("cuda")
else:
    device = torch.device("cpu")
x = torch.ones(2).double().to(device)
""",
        left=("UC201",),
        never=("torch.accelerator",),
        run="x",
        before="tensor([1.0, 1.0], torch.float64, cpu)",
        safe=True,
    ),
]


def test_every_pitfall_and_trap_is_here() -> None:
    told = {case.number for case in CASES}
    assert told.isdisjoint(NONE_OF_OURS)
    pitfalls = {f"pitfall {n}" for n in range(1, 61)}
    assert told | set(NONE_OF_OURS) == pitfalls | {f"trap {n}" for n in range(1, 20)}


def test_no_case_asserts_nothing() -> None:
    for case in CASES:
        assert case.fixed is not None or case.left or case.never or case.run is not None, case.title


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.number}, {c.title}".replace(" ", "-"))
def test_what_comes_out(case: Case) -> None:
    done, again = (
        uncuda.fix_source(
            text,
            torch_floor=case.floor,
            unsafe=not case.safe,
            severity=case.severity,
            targets=case.targets,
        )
        for text in (case.text, case.wanted)
    )
    assert done.error is None
    assert done.text == case.wanted == again.text
    assert tuple(finding.code for finding in done.findings) == case.left
    assert not [text for text in case.never if text in done.text]


RUN = [case for case in CASES if case.run is not None]


@pytest.mark.parametrize("case", RUN, ids=lambda c: f"{c.number}, {c.title}".replace(" ", "-"))
def test_what_it_gives(case: Case) -> None:
    assert case.run is not None
    assert _outcome(case, case.text) == case.before
    after = case.before if case.after is None else case.after
    assert _outcome(case, case.wanted) == after
    assert case.before.startswith("raises ") or after == case.before, (
        "a program that ran gives something else"
    )


def _outcome(case: Case, text: str) -> str:
    assert case.run is not None
    kind, told = execute(case.setup, text, case.run)
    return told if kind == "value" else f"raises {told.partition(':')[0]}"


_WRITTEN = [
    pytest.param(bad.fixed, bad.code, id=f"{rule.code}-{i}")
    for rule in all_rules()
    for i, bad in enumerate(rule.bad)
    if bad.fixed is not None and not bad.file
]


@pytest.mark.parametrize(("fixed", "code"), _WRITTEN)
def test_what_no_rule_ever_writes(fixed: str, code: str) -> None:
    """Pitfalls 1, 2 and 57, and the traps of names that torch.accelerator doesn't have."""
    for name in ("npu", "mlu", "musa", "hpu", "check_available", "current_accelerator() or"):
        assert fixed.count(name) <= code.count(name)
    for name in (
        "get_device_name",
        "get_device_properties",
        "manual_seed",
        "Stream",
        "Event",
        "memory_",
        "empty_cache",
    ):
        assert fixed.count(f"torch.accelerator.{name}") <= code.count(f"torch.accelerator.{name}")
