"""What a program asks a device's module (`torch.npu`) and `torch.accelerator`: counts, memory, streams, seeds."""

from __future__ import annotations

import contextlib
import time
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

import torch

from .labels import Simulated, index_of, select

_GIGABYTE = 2**30
_TOTAL = 64 * _GIGABYTE
_ZEROS = ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved")
_EFFECTS = (
    "empty_cache", "reset_peak_memory_stats", "reset_accumulated_memory_stats", "set_per_process_memory_fraction",
    "ipc_collect", "init", "_lazy_init", "empty_host_cache",
)  # fmt: skip
_DTYPES = [torch.float16, torch.bfloat16, torch.float32]


def _nothing(*_: Any, **__: Any) -> None:
    """An effect on the device that the simulation hasn't."""


def _seed(seed: int) -> None:
    torch.default_generator.manual_seed(seed)


def _zero(*_: Any, **__: Any) -> int:
    return 0


class Event(torch.Event):  # type: ignore[misc]
    """An event of the simulated device, where everything has happened as soon as it was asked for."""

    def record(self, stream: Any = None) -> None:
        """Notes the time."""
        self._at = time.perf_counter()

    def elapsed_time(self, other: Event) -> float:
        """Milliseconds from this event to another."""
        return (other._at - self._at) * 1000

    def synchronize(self) -> None:
        """There is nothing to wait for."""

    def query(self) -> bool:
        """It has happened."""
        return True

    def wait(self, stream: Any = None) -> None:
        """There is nothing to wait for."""


def _device_event(name: str) -> Any:
    """`torch.npu.Event`: torch's own, with the arguments that those of devices' modules take by position."""

    class DeviceEvent(Event):
        """An event of the device, whichever is current."""

        def __new__(
            cls, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
        ) -> Any:
            return super().__new__(cls, torch.device(name), enable_timing=enable_timing, blocking=blocking)

    DeviceEvent.__name__ = DeviceEvent.__qualname__ = "Event"
    return DeviceEvent


class DeviceContext:
    """`with torch.npu.device(1):` — another current device for a while."""

    def __init__(self, device: Any = None) -> None:
        self._device = device
        self._before: List[int] = []

    def __enter__(self) -> None:
        self._before.append(Simulated.current)
        if self._device is not None:
            select(self._device)

    def __exit__(self, *_: Any) -> None:
        Simulated.current = self._before.pop()


class _DeviceIndex(DeviceContext):
    """`torch.accelerator.device_index`, which takes numbers only."""

    def __init__(self, device: Optional[int], /) -> None:
        if device is not None and not isinstance(device, int):
            raise TypeError("device_index(): argument 'device' must be int, not %s" % type(device).__name__)
        super().__init__(device)


def _memory_info(device: Any = None) -> Any:
    return (_TOTAL, _TOTAL)


def _stream_context(stream: Any) -> Any:
    return contextlib.nullcontext() if stream is None else stream


def device_module(name: str) -> ModuleType:
    """The module `torch.NAME`."""
    module = ModuleType("torch." + name)
    title = "simulated " + name
    seeds: Dict[str, Callable[..., Any]] = {
        "manual_seed": _seed,
        "manual_seed_all": _seed,
        "seed": _nothing,
        "seed_all": _nothing,
        "initial_seed": torch.initial_seed,
        "get_rng_state": lambda device=None: torch.get_rng_state(),
        "get_rng_state_all": lambda: [torch.get_rng_state() for _ in range(Simulated.count)],
        "set_rng_state": lambda state, device=None: torch.set_rng_state(state),
        "set_rng_state_all": lambda states: torch.set_rng_state(states[0]) if states else None,
    }
    answers: Dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda: True,
        "is_autocast_enabled": lambda: torch.is_autocast_enabled(name),
        "is_current_stream_capturing": lambda: False,
        "can_device_access_peer": lambda device, peer: True,
        "device_count": lambda: Simulated.count,
        "current_device": lambda: Simulated.current,
        "set_device": select,
        "synchronize": _nothing,
        "utilization": _zero,
        "memory_stats": lambda device=None: {},
        "memory_summary": lambda device=None, abbreviated=False: "",
        "mem_get_info": _memory_info,
        "get_device_name": lambda device=None: title,
        "get_device_properties": lambda device=None: SimpleNamespace(name=title, total_memory=_TOTAL),
        "get_device_capability": lambda device=None: None,
        "get_amp_supported_dtype": lambda: list(_DTYPES),
        "_is_in_bad_fork": lambda: False,
        "stream": _stream_context,
        # The original: Dynamo follows a Python function here, and never comes back.
        "current_stream": torch.accelerator.current_stream,
    }
    module.__dict__.update(
        {**dict.fromkeys(_ZEROS, _zero), **dict.fromkeys(_EFFECTS, _nothing), **seeds, **answers}
    )
    module.__dict__.update(device=DeviceContext, Stream=torch.Stream, Event=_device_event(name))
    return module


def replace_in_accelerator(name: str) -> None:
    """The parts of torch.accelerator that ask C++ what a device in Python can't answer."""

    def checked(device: Any) -> None:
        if isinstance(device, (str, torch.device)) and torch.device(device).type != name:
            raise ValueError("%s doesn't match the current accelerator %s." % (device, name))

    def set_device_index(device: Any, /) -> None:
        checked(device)
        if not (isinstance(device, int) and device < 0):
            select(device)

    def synchronize(device: Any = None, /) -> None:
        checked(device)
        index_of(device)

    known = {
        *_DTYPES, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
        torch.complex64,
    }  # fmt: skip
    accelerator = torch.accelerator
    new: Dict[str, Any] = {
        **dict.fromkeys(_ZEROS, _zero),
        **dict.fromkeys(_EFFECTS, _nothing),
        "device_count": lambda: Simulated.count,
        "current_device_index": lambda: Simulated.current,
        "current_device_idx": lambda: Simulated.current,
        "set_device_index": set_device_index,
        "set_device_idx": set_device_index,
        "synchronize": synchronize,
        "device_index": _DeviceIndex,
        "get_device_capability": lambda device=None, /: {"supported_dtypes": set(known)},
        "memory_stats": lambda device=None, /: {},
        "get_memory_info": _memory_info,
        "set_stream": _nothing,
    }
    for attribute, value in new.items():
        if hasattr(accelerator, attribute):
            setattr(accelerator, attribute, value)
