"""Generators, storages and pinned memory: what torch's C++ would make on a device, and can't on one in Python."""

from __future__ import annotations

from typing import Any

import torch

from .labels import Simulated, index_of, on_cpu, on_device, storage_on_device
from .runtime import Event


def replace() -> None:
    """Puts stand-ins where torch would raise or, for a storage, crash."""
    torch.Event = Event
    torch.Generator = _generator_class()
    _replace_storages()
    torch.Tensor.pin_memory = lambda self, device=None: self
    torch.Tensor.record_stream = lambda self, stream: None


def _generator_class() -> Any:
    original = torch.Generator

    class Generator(original):  # type: ignore[misc,valid-type]
        """A generator that says which device it is for; its numbers are the CPU's."""

        def __new__(cls, device: Any = "cpu") -> Any:
            asked = torch.device(device)
            ours = asked.type == Simulated.name
            made = original.__new__(cls, "cpu" if ours else asked)
            made._asked = torch.device(Simulated.name, index_of(asked)) if ours else asked
            return made

        def __init__(self, device: Any = "cpu") -> None:
            pass

        @property
        def device(self) -> Any:
            return self._asked

    Generator.__name__ = Generator.__qualname__ = "Generator"
    return Generator


def _replace_storages() -> None:
    storage = torch.UntypedStorage
    original = storage.to

    def load(stored: Any, location: Any) -> Any:
        if isinstance(location, str) and location.partition(":")[0] == Simulated.name:
            return storage_on_device(stored, location)
        return None

    def to(self: Any, *, device: Any, non_blocking: bool = False) -> Any:
        if torch.device(device).type == Simulated.name:
            return storage_on_device(self if self.device.type == "cpu" else _fetched(self), device)
        if self.device.type == Simulated.name:
            return original(_fetched(self), device=device, non_blocking=non_blocking)
        return original(self, device=device, non_blocking=non_blocking)

    def cpu(self: Any) -> Any:
        return _fetched(self) if self.device.type == Simulated.name else original_cpu(self)

    original_cpu = storage.cpu
    storage.to = to
    storage.cpu = cpu
    # Before torch's own: those would make the storage in C++, which ends the process.
    torch.serialization.register_package(1, lambda stored: None, load)


def _fetched(storage: Any) -> Any:
    """A CPU storage with a copy of a simulated one's bytes."""
    whole = on_device(torch.empty(0, dtype=torch.uint8), storage.device.index)
    with torch.no_grad():
        whole.set_(storage)
        return on_cpu(whole).clone().untyped_storage()
