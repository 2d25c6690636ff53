"""Generators, storages and pinned memory: what torch's C++ would make on a device, and can't on one in Python."""

from __future__ import annotations

from typing import Any

import torch

from .labels import Simulated, index_of, on_device
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
    """C++ has no memory to give for the device, and ends the process when it is asked."""
    original = torch.UntypedStorage.__new__

    def new(cls: Any, *args: Any, device: Any = None, **kwargs: Any) -> Any:
        if device is None or torch.device(device).type != Simulated.name:
            return (
                original(cls, *args, device=device, **kwargs)
                if device is not None
                else original(cls, *args, **kwargs)
            )
        with torch.no_grad():
            data = torch.empty(0, dtype=torch.uint8).set_(original(torch.UntypedStorage, *args, **kwargs))
            return on_device(data, index_of(device)).untyped_storage()

    torch.UntypedStorage.__new__ = new
    _replace_sizes(torch.UntypedStorage)
    # What torch.load asks where a storage of the device goes: there is no module attribute to find it by.
    torch.serialization.register_package(1, lambda stored: None, _loaded)


def _replace_sizes(storage: Any) -> None:
    """FSDP frees memory by giving a storage the size 0, and takes it back the same way: here the memory stays, and
    the storage says what size it was given."""
    resize, size, nbytes = storage.resize_, storage.size, storage.nbytes

    def resize_(self: Any, wanted: int) -> Any:
        if self.device.type != Simulated.name or wanted > nbytes(self):
            return resize(self, wanted)
        self._given_size = wanted
        return self

    def given(original: Any) -> Any:
        return lambda self: self.__dict__["_given_size"] if "_given_size" in self.__dict__ else original(self)

    storage.resize_, storage.size, storage.nbytes = resize_, given(size), given(nbytes)


def _loaded(storage: Any, location: Any) -> Any:
    if isinstance(location, str) and location.partition(":")[0] == Simulated.name:
        return storage.to(device=torch.device(Simulated.name, index_of(location)))
    return None
