"""Installs the simulated device: torch's place for a device from outside, filled from Python."""

from __future__ import annotations

import sys

import torch

from . import autocast, objects, runtime, spreading
from .journal import Journal
from .kernels import Kernels
from .labels import Simulated


class _Hooks(torch._C._acc.PrivateUse1Hooks):  # type: ignore[misc]
    """What torch's C++ asks of the device as a whole."""

    def is_available(self) -> bool:
        return True

    def has_primary_context(self, index: int) -> bool:
        return False  # there is nothing to wait for on any device

    def is_built(self) -> bool:
        return True


class _Guard(torch._C._acc.DeviceGuard):  # type: ignore[misc]
    """What torch's C++ asks of the current device."""

    def type_(self) -> object:
        return torch._C._autograd.DeviceType.PrivateUse1


def install(name: str, count: int, journal: Journal) -> None:
    """From here on `torch.NAME` is there, and is the accelerator."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    Simulated.name, Simulated.count = name, count
    module = runtime.device_module(name)
    _setup_privateuseone_for_python_backend(name, backend_module=module, hook=_Hooks(), device_guard=_Guard())
    sys.modules["torch." + name] = module
    # Autograd has a thread for each device that torch's C++ counts, and it counts one here: without those threads
    # every device's gradients are computed where backward() was called.
    torch._C._set_multithreading_enabled(False)
    Kernels(journal).register()
    autocast.register()
    runtime.replace_in_accelerator(name)
    objects.replace()
    spreading.replace()
