"""The helper module that `uncuda init-shim` writes: a portable device for projects whose torch is older than 2.6."""

from __future__ import annotations

SHIM = '''\
"""The accelerator that is there, whichever vendor's it is, or the CPU. Works on torch 2.0 and later."""

from __future__ import annotations

import functools
from types import ModuleType

import torch

# Vendors' own names for their devices, in the order in which they are looked for.
_KINDS = ("cuda", "npu", "xpu", "hpu", "mlu", "musa", "mps")


def _module(kind: str) -> ModuleType | None:
    """The part of torch that knows devices of this kind, if this build has one."""
    found = getattr(torch, kind, None)
    return found if hasattr(found, "is_available") else getattr(torch.backends, kind, None)


@functools.lru_cache(maxsize=None)
def get_device() -> torch.device:
    """The current accelerator, without an index, or the CPU."""
    accelerator = getattr(torch, "accelerator", None)
    if accelerator is not None:
        if accelerator.is_available():
            return accelerator.current_accelerator()
        return torch.device("cpu")
    for kind in _KINDS:
        module = _module(kind)
        if module is not None and module.is_available():
            return torch.device(kind)
    return torch.device("cpu")


def is_available() -> bool:
    """Is there an accelerator?"""
    return get_device().type != "cpu"


def device_module() -> ModuleType | None:
    """The module of the current accelerator (torch.cuda, torch.npu, ...), or None on a CPU-only host."""
    return getattr(torch, get_device().type, None) if is_available() else None


def device_count() -> int:
    """How many accelerators there are; 0 on a CPU-only host."""
    count = getattr(device_module(), "device_count", None)
    return int(count()) if count is not None else 0


def set_device(index: int) -> None:
    """Makes an accelerator the current one; does nothing on a CPU-only host."""
    choose = getattr(device_module(), "set_device", None)
    if choose is not None:
        choose(index)


def synchronize() -> None:
    """Waits for the accelerator; does nothing on a CPU-only host."""
    wait = getattr(device_module(), "synchronize", None)
    if wait is not None:
        wait()


def empty_cache() -> None:
    """Gives cached memory back; does nothing where there is no such cache."""
    empty = getattr(device_module(), "empty_cache", None)
    if empty is not None:
        empty()
'''
