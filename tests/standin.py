"""A stand-in accelerator on a CPU-only torch: what a program asks of the device is logged and done on the CPU.

`install("cuda")` makes torch answer as on a machine with two CUDA devices, `install("xpu")` as on one with two
devices of another vendor, where `torch.cuda` is as dead as it really is there. Tensors stay on the CPU, with a
mark that says where the program thinks they are. Only effects are logged (moves, allocations, the current
device, waiting, seeds, autocast, streams), by the same word whichever API asked for them; figures that are read
(memory, names) are made from the question, so that a wrong question shows in the answer.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

Entry = tuple[Any, ...]

DEVICES = 2
_MARK = "_standin_device"


class State:
    """What the stand-in knows: its kind, the current device's index, the log."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.current = 0
        self.log: list[Entry] = []

    def add(self, *entry: Any) -> None:
        """One effect; the same one twice running counts once."""
        if not self.log or self.log[-1] != entry:
            self.log.append(entry)

    def seed(self, devices: Iterable[int], seed: int) -> None:
        """Seeds devices; of several calls in a row the outcome counts."""
        seeds = dict(self.log.pop()[1]) if self.log and self.log[-1][0] == "seeds" else {}
        seeds.update(dict.fromkeys(devices, seed))
        self.add("seeds", tuple(sorted(seeds.items())))

    def index(self, device: Any = None) -> int:
        """The index that a device argument (None, number, text, torch.device) means."""
        if device is None:
            return self.current
        if isinstance(device, int):
            found = self.current if device < 0 else device
        else:
            found = torch.device(device).index
            found = self.current if found is None else found
        if found >= DEVICES:
            raise RuntimeError(f"{self.kind} error: invalid device ordinal")
        return found

    def device(self, device: Any) -> torch.device | None:
        """The simulated device that an argument names, with its index; None for any other."""
        if isinstance(device, bool) or device is None:
            return None
        if isinstance(device, int):
            return torch.device(self.kind, self.index(device))
        if isinstance(device, str):
            if not device.startswith(self.kind):
                return None
            device = torch.device(device)
        if isinstance(device, torch.device) and device.type == self.kind:
            return torch.device(self.kind, self.index(device))
        return None


def where(tensor: Any) -> torch.device | None:
    """The simulated device that a tensor is marked with."""
    found = getattr(tensor, "__dict__", {}).get(_MARK)
    return found if isinstance(found, torch.device) else None


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)


def _mark(value: Any, device: torch.device | None) -> None:
    with torch._C.DisableTorchFunction():
        for tensor in _tensors(value):
            if device is None:
                tensor.__dict__.pop(_MARK, None)
            else:
                tensor.__dict__[_MARK] = device


class _Mode(TorchFunctionMode):  # type: ignore[misc]
    """Carries out on the CPU what is asked of the simulated device."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        state = self.state
        name = getattr(func, "__name__", "")
        owner = getattr(getattr(func, "__self__", None), "__name__", "")
        if func is torch.device or name == "_parse_to":
            return func(*args, **kwargs)
        first = args[0] if args else None
        if name == "__get__" and owner == "device":
            return where(first) or func(*args, **kwargs)
        if name == "__get__" and owner in ("is_cuda", "is_xpu"):
            found = where(first)
            return found is not None and owner == f"is_{found.type}"
        if name == "get_device" and isinstance(first, torch.Tensor):
            found = where(first)
            return -1 if found is None or found.index is None else found.index
        if name == "__set__" and owner == "data":
            result = func(*args, **kwargs)
            _mark(first, where(args[1]))
            return result
        if name in ("cuda", "xpu") and isinstance(first, torch.Tensor):
            if name != state.kind:
                raise AssertionError(f"Torch not compiled with {name.upper()} enabled")
            asked = args[1] if len(args) > 1 else kwargs.get("device")
            return self._moved(first, torch.device(state.kind, state.index(asked)))
        if name == "cpu":
            return self._moved(first, None)
        if name == "to" and isinstance(first, torch.Tensor):
            return self._to(func, args, kwargs)
        if name in ("pin_memory", "is_pinned"):
            state.add(name)
            return first if name == "pin_memory" else True
        if name == "record_stream":
            state.add("record_stream", args[1])
            return None
        if name == "type" and len(args) > 1 and str(args[1]).startswith("torch.cuda."):
            if state.kind != "cuda":
                raise TypeError(f"type {args[1]} not available. Torch not compiled with CUDA enabled.")
            target = getattr(torch, str(args[1]).rpartition(".")[2])
            return self._moved(func(first, target), torch.device("cuda", state.current))
        return self._plain(func, args, kwargs)

    def _plain(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A factory, or an operation, which stays where its arguments are."""
        state = self.state
        asked = kwargs.get("device")
        device = state.device(asked)
        if device is not None:
            state.add("make", str(device))
            kwargs["device"] = "cpu"
        elif asked is not None and _foreign(asked, state):
            raise AssertionError(f"Torch not compiled with {torch.device(asked).type.upper()} enabled")
        new = list(args)
        for i, item in enumerate(new):
            if isinstance(item, torch.device) and state.device(item) is not None:
                device = state.device(item)
                state.add("make", str(device))
                new[i] = torch.device("cpu")
        if isinstance(kwargs.get("generator"), _Generator):
            kwargs["generator"] = kwargs["generator"].inner
        result = func(*new, **kwargs)
        if device is None and asked is None:
            device = next((found for t in _tensors([args, kwargs]) if (found := where(t)) is not None), None)
        if device is not None:
            _mark(result, device)
        return result

    def _to(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        first, rest = args[0], list(args[1:])
        asked: Any = kwargs.pop("device", None)
        if asked is None and rest and not isinstance(rest[0], (torch.dtype, torch.Tensor)):
            asked = rest.pop(0)
        elif rest and isinstance(rest[0], torch.Tensor):
            asked = where(rest[0]) or torch.device("cpu")
        if asked is not None and _foreign(asked, self.state):
            raise AssertionError(f"Torch not compiled with {torch.device(asked).type.upper()} enabled")
        device = self.state.device(asked) if asked is not None else where(first)
        dtype = kwargs.get("dtype", next((r for r in rest if isinstance(r, torch.dtype)), None))
        memory = kwargs.get("memory_format")
        if dtype is not None or memory is not None:
            kept = where(first)
            first = func(
                first, first.dtype if dtype is None else dtype, memory_format=memory or torch.preserve_format
            )
            _mark(first, kept)
        return first if asked is None else self._moved(first, device)

    def _moved(self, tensor: Any, device: torch.device | None) -> Any:
        if where(tensor) == device:
            return tensor
        self.state.add("move", str(device or "cpu"))
        with torch._C.DisableTorchFunction():
            copy = tensor.clone() if tensor.requires_grad else tensor.detach().clone()
        _mark(copy, device)
        return copy


def _foreign(device: Any, state: State) -> bool:
    """A device that a machine of this kind hasn't."""
    if isinstance(device, (int, torch.Tensor)):
        return False
    kind = torch.device(device).type
    return kind not in (state.kind, "cpu", "meta")


# -- objects that belong to a device -----------------------------------------------------------------------


class _Generator(torch.Generator):  # type: ignore[misc]
    """A generator that says where it is; the numbers come from a CPU one."""

    def __new__(cls, device: Any = "cpu") -> _Generator:
        made: _Generator = super().__new__(cls, device="cpu")
        made.asked = torch.device(device)
        state = _STATE[0]
        found = state.device(device)
        if found is not None:
            state.add("generator", str(found))
        elif _foreign(device, state):
            raise RuntimeError("Device type is not supported for torch.Generator() api.")
        return made

    @property
    def inner(self) -> torch.Generator:
        return self

    @property
    def device(self) -> torch.device:
        return _STATE[0].device(self.asked) or self.asked


class _Stream:
    """A stream: waits and switches are logged."""

    def __init__(self, device: Any = None, priority: int = 0, **_: Any) -> None:
        self.index = _STATE[0].index(device)
        _STATE[0].add("stream", self.index, priority)

    def __repr__(self) -> str:
        return f"stream of {self.index}"

    @property
    def device(self) -> torch.device:
        return torch.device(_STATE[0].kind, self.index)

    def wait_stream(self, other: Any) -> None:
        _STATE[0].add("wait_stream")

    def wait_event(self, event: Any) -> None:
        _STATE[0].add("wait_event")

    def synchronize(self) -> None:
        _STATE[0].add("stream.synchronize")

    def query(self) -> bool:
        return True

    def record_event(self, event: Any = None) -> Any:
        event = event or _Event()
        event.record(self)
        return event

    def __enter__(self) -> _Stream:
        _STATE[0].add("enter stream")
        return self

    def __exit__(self, *_: Any) -> None:
        _STATE[0].add("leave stream")


class _Event:
    """An event: recording and waiting are logged."""

    def __init__(
        self,
        device: Any = None,
        *,
        enable_timing: bool = False,
        blocking: bool = False,
        interprocess: bool = False,
    ) -> None:
        self.timing = enable_timing
        _STATE[0].add("event", enable_timing, blocking, interprocess)

    def record(self, stream: Any = None) -> None:
        _STATE[0].add("record")

    def wait(self, stream: Any = None) -> None:
        _STATE[0].add("wait")

    def synchronize(self) -> None:
        _STATE[0].add("event.synchronize")

    def query(self) -> bool:
        return True

    def elapsed_time(self, other: _Event) -> float:
        if not (self.timing and other.timing):
            raise ValueError("both events must be made with enable_timing=True")
        _STATE[0].add("elapsed_time")
        return 1.5


_TENSOR_TYPES = (
    "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "ByteTensor", "CharTensor", "ShortTensor", "IntTensor",
    "LongTensor", "BoolTensor",
)  # fmt: skip


class _TensorType:
    """`torch.cuda.FloatTensor` and kin: make what the type of the CPU makes, on the current device."""

    def __init__(self, state: State, name: str) -> None:
        self.state = state
        self.name = name

    def __str__(self) -> str:
        return f"torch.cuda.{self.name}"

    def __call__(self, *args: Any) -> Any:
        device = torch.device("cuda", self.state.current)
        made = getattr(torch, self.name)(*args)
        self.state.add("make", str(device))
        _mark(made, device)
        return made


class _Runtime:
    """The CUDA runtime library: any call succeeds and is logged."""

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*_: Any) -> int:
            _STATE[0].add(name)
            return 0

        return call


@contextmanager
def _emit_nvtx(enabled: bool = True, record_shapes: bool = False) -> Iterator[None]:
    if enabled:
        _STATE[0].add("emit_nvtx", record_shapes)
    yield


def _install_profiler(kind: str) -> None:
    """The profilers record the CPU only, and say which activities they were asked for."""
    from torch.profiler import ProfilerActivity

    device = ProfilerActivity.CUDA if kind == "cuda" else ProfilerActivity.XPU
    known = {ProfilerActivity.CPU, device}
    original = torch.profiler.profile.__init__

    def init(self: Any, *, activities: Any = None, **kwargs: Any) -> None:
        asked = set(known if activities is None else activities)
        _STATE[0].add("profile", sorted("device" if a == device else str(a) for a in asked))
        original(self, activities=[ProfilerActivity.CPU], **kwargs)

    torch.profiler.profile.__init__ = init
    torch.profiler.supported_activities = lambda: set(known)


_STATE: list[State] = []


# -- modules -----------------------------------------------------------------------------------------------

_FIGURES = {
    "memory_allocated": 1000, "max_memory_allocated": 2000, "memory_reserved": 3000, "max_memory_reserved": 4000,
    "memory_cached": 3000, "max_memory_cached": 4000, "utilization": 5, "temperature": 6, "power_draw": 7,
    "clock_rate": 8, "memory_usage": 9,
}  # fmt: skip
_EFFECTS = (
    "reset_peak_memory_stats", "reset_accumulated_memory_stats", "set_per_process_memory_fraction",
)  # fmt: skip


def _device_functions(state: State) -> dict[str, Callable[..., Any]]:
    """The functions of a device's module (`torch.cuda`, `torch.xpu`), by name."""

    def set_device(device: Any) -> None:
        index = state.index(device) if not (isinstance(device, int) and device < 0) else None
        if index is not None:
            state.current = index
            state.add("set_device", index)

    def synchronize(device: Any = None) -> None:
        state.add("synchronize", state.index(device))

    def memory_stats(device: Any = None) -> dict[str, int]:
        base = state.index(device)
        return {"allocated_bytes.all.current": 1000 + base, "allocated_bytes.all.peak": 2000 + base,
                "reserved_bytes.all.current": 3000 + base, "reserved_bytes.all.peak": 4000 + base,
                "num_alloc_retries": 0, "num_ooms": 0}  # fmt: skip

    def properties(device: Any = None) -> Any:
        index = state.index(device)
        return types.SimpleNamespace(
            name=f"{state.kind} {index}",
            total_memory=80_000 + index,
            major=8,
            minor=0,
            multi_processor_count=100,
        )

    def figure(base: int) -> Callable[..., int]:
        return lambda device=None: base + state.index(device)

    def effect(word: str) -> Callable[..., None]:
        def act(*args: Any, **kwargs: Any) -> None:
            device = kwargs.get("device", args[-1] if args and not isinstance(args[-1], float) else None)
            state.add(word, state.index(device))

        return act

    @contextmanager
    def device(index: Any) -> Iterator[None]:
        before = state.current
        found = (
            state.index(index) if not (isinstance(index, int) and index < 0) and index is not None else before
        )
        state.current = found
        state.add("enter device", found)
        try:
            yield
        finally:
            state.current = before
            state.add("leave device", before)

    @contextmanager
    def use(stream: Any) -> Iterator[None]:
        state.add("enter stream")
        yield
        state.add("leave stream")

    made: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: DEVICES,
        "current_device": lambda: state.current,
        "set_device": set_device,
        "synchronize": synchronize,
        "device": device,
        "empty_cache": lambda: state.add("empty_cache"),
        "ipc_collect": lambda: state.add("ipc_collect"),
        "init": lambda: None,
        "manual_seed": lambda seed: state.seed([state.current], int(seed)),
        "manual_seed_all": lambda seed: state.seed(range(DEVICES), int(seed)),
        "seed": lambda: state.add("seed fresh"),
        "seed_all": lambda: state.add("seed fresh"),
        "initial_seed": lambda: 42,
        "get_rng_state": lambda device=None: torch.tensor([7, state.index(device)], dtype=torch.uint8),
        "set_rng_state": lambda new, device=None: state.add(
            "set_rng_state", state.index(device), new.tolist()
        ),
        "get_rng_state_all": lambda: [torch.tensor([7, i], dtype=torch.uint8) for i in range(DEVICES)],
        "set_rng_state_all": lambda states: state.add("set_rng_state_all", [s.tolist() for s in states]),
        "get_device_name": lambda device=None: f"{state.kind} {state.index(device)}",
        "get_device_properties": properties,
        "get_device_capability": lambda device=None: (8, 0),
        "mem_get_info": lambda device=None: (500 + state.index(device), 900),
        "memory_stats": memory_stats,
        "memory_summary": lambda device=None, abbreviated=False: f"summary of {state.index(device)}",
        "is_bf16_supported": lambda including_emulation=True: True,
        "current_stream": lambda device=None: _Stream(device),
        "default_stream": lambda device=None: _Stream(device),
        "set_stream": lambda stream: state.add("set_stream"),
        "stream": use,
    }
    made.update({name: figure(base) for name, base in _FIGURES.items()})
    made.update({name: effect(name) for name in _EFFECTS})
    # In torch the old names call the new one.
    made["reset_max_memory_allocated"] = made["reset_max_memory_cached"] = made["reset_peak_memory_stats"]
    return made


def _fill(module: Any, functions: dict[str, Any], only_existing: bool = True) -> None:
    for name, value in functions.items():
        if not only_existing or hasattr(module, name):
            setattr(module, name, value)


def _install_accelerator(state: State, functions: dict[str, Callable[..., Any]]) -> None:
    target = torch.accelerator
    renamed = {
        "set_device_index": functions["set_device"],
        "set_device_idx": functions["set_device"],
        "current_device_index": functions["current_device"],
        "current_device_idx": functions["current_device"],
        "device_index": functions["device"],
        "get_memory_info": functions["mem_get_info"],
        "current_accelerator": lambda check_available=False: torch.device(state.kind),
    }
    kept = ("is_available", "device_count", "synchronize", "current_stream", "set_stream", "empty_cache")
    figures = (*_FIGURES, *_EFFECTS, "memory_stats", "get_device_capability")
    _fill(target, {**{k: functions[k] for k in (*kept, *figures) if k in functions}, **renamed})


def _install_autocast(state: State) -> None:
    from torch.amp import autocast_mode

    original = autocast_mode.autocast.__init__

    def init(
        self: Any, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: Any = None
    ) -> None:
        if device_type == state.kind:
            dtype = torch.float16 if dtype is None else dtype
            state.add("autocast", device_type, str(dtype), bool(enabled))
            # On the CPU in bfloat16, which it knows; the results are compared after the same rounding.
            original(self, "cpu", torch.bfloat16, enabled, cache_enabled)
            return
        original(self, device_type, dtype, enabled and device_type == "cpu", cache_enabled)

    autocast_mode.autocast.__init__ = init

    from torch.amp import grad_scaler

    scaler_init = grad_scaler.GradScaler.__init__

    def make_scaler(self: Any, device: str = "cuda", *args: Any, **kwargs: Any) -> None:
        state.add("scaler", device)
        scaler_init(self, "cpu" if device == state.kind else device, *args, **kwargs)

    grad_scaler.GradScaler.__init__ = make_scaler


def _install_load(state: State) -> None:
    original = torch.load

    def load(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        found = state.device(map_location) if isinstance(map_location, (str, torch.device)) else None
        if found is None and isinstance(map_location, (str, torch.device)) and _foreign(map_location, state):
            raise RuntimeError(f"Attempting to deserialize on {map_location}, which this machine hasn't")
        if found is not None:
            state.add("load", str(found))
            map_location = "cpu"
        result = original(f, map_location, *args, **kwargs)
        _mark(result, found)
        return result

    torch.load = load


def install(kind: str) -> State:
    """Makes torch answer as on a machine with two devices of `kind` ("cuda" or "xpu"), for good: for use in a
    process of its own."""
    state = State(kind)
    _STATE[:] = [state]
    functions = _device_functions(state)
    module = getattr(torch, kind)
    _fill(module, functions)
    module.Stream, module.Event = _Stream, _Event
    _install_profiler(kind)
    if kind == "cuda":
        torch.backends.cudnn.version = lambda: 90_000
        torch.backends.cudnn.is_available = lambda: True
        module.random.get_rng_state = functions["get_rng_state"]
        module.random.set_rng_state = functions["set_rng_state"]
        module.cudart = lambda: _Runtime()
        module.profiler.start = lambda: state.add("cudaProfilerStart")
        module.profiler.stop = lambda: state.add("cudaProfilerStop")
        module.set_sync_debug_mode = lambda mode: state.add("set_sync_debug_mode", mode)
        module.get_sync_debug_mode = lambda: 0
        module.nvtx.range_start = lambda message, stream=None: state.add("range_start", message)
        module.nvtx.range_end = lambda handle: state.add("range_end")
        torch.autograd.profiler.emit_nvtx = _emit_nvtx
        module.nvtx.range_push = lambda message: state.add("range_push", message)
        module.nvtx.range_pop = lambda: state.add("range_pop")
        module.nvtx.mark = lambda message: state.add("mark", message)
        module.random.manual_seed_all = functions["manual_seed_all"]
        for name in _TENSOR_TYPES:
            setattr(module, name, _TensorType(state, name))
    _install_accelerator(state, functions)
    torch.get_device_module = lambda device=None: (
        module if device is None else getattr(torch, torch.device(device).type)
    )
    torch.Generator = _Generator
    torch.Stream, torch.Event = _Stream, _Event
    _install_autocast(state)
    _install_load(state)
    _Mode(state).__enter__()
    return state
