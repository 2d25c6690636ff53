"""Memory of the CPU under another device's label: how a tensor gets onto the simulated device and back.

A DLPack capsule says in plain memory which device its data are on. It is made, its label is rewritten, and it is
read back: a tensor of the other device on the same memory.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any, List, Optional

import torch

_CPU, _EXTENSION = 1, 12
"""DLPack's numbers for the CPU and for devices that torch knows as PrivateUse1."""

OWN_KEYS = ("PrivateUse1", "AutogradPrivateUse1")
"""The dispatcher's keys for operators of the device that replace torch's own, derivatives included."""

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_to_capsule, _from_capsule = torch._C._to_dlpack, torch._C._from_dlpack
_NO_VIEWS = torch._C.DispatchKeySet(torch._C.DispatchKey.ADInplaceOrView)
_below_views = torch._C._ExcludeDispatchKeyGuard
_LABEL = ctypes.sizeof(ctypes.c_void_p)
"""Where in a DLTensor the device is: after the pointer to the data."""


class _Current(threading.local):
    index = 0


class _Simulated:
    """The simulated device: its name, how many there are, and which is the current one of this thread."""

    def __init__(self) -> None:
        self.name = ""
        self.count = 1
        self._current = _Current()

    @property
    def current(self) -> int:
        """The index of the current device."""
        return self._current.index

    @current.setter
    def current(self, index: int) -> None:
        self._current.index = index


Simulated = _Simulated()


def is_simulated(value: Any) -> bool:
    """Is a torch.device the simulated one?"""
    return isinstance(value, torch.device) and value.type == Simulated.name


def index_of(device: Any) -> int:
    """The index that a device argument (None, number, text, torch.device) means."""
    if device is None:
        return Simulated.current
    if isinstance(device, int):
        return device if device >= 0 else Simulated.current
    found: Optional[int] = torch.device(device).index
    return Simulated.current if found is None else found


def select(device: Any) -> None:
    """Makes a device the current one."""
    index = index_of(device)
    if not 0 <= index < Simulated.count:
        raise RuntimeError(
            "invalid device ordinal: there is no %s:%d, only %d" % (Simulated.name, index, Simulated.count)
        )
    Simulated.current = index


def _relabelled(tensor: Any, kind: int, index: int) -> Any:
    capsule = _to_capsule(tensor)
    at = _pointer(capsule, b"dltensor") + _LABEL
    ctypes.c_int32.from_address(at).value = kind
    ctypes.c_int32.from_address(at + 4).value = index
    return _from_capsule(capsule)


def on_cpu(tensor: Any) -> Any:
    """A CPU tensor on the memory of a simulated one; any other tensor as it is."""
    if tensor.device.type != Simulated.name:
        return tensor
    with _below_views(_NO_VIEWS):
        alias = _relabelled(tensor.detach() if tensor.requires_grad else tensor, _CPU, 0)
        # DLPack leaves out the strides of dimensions that don't need any.
        return (
            alias if alias.stride() == tensor.stride() else alias.as_strided(tensor.size(), tensor.stride())
        )


def on_device(tensor: Any, index: Optional[int] = None) -> Any:
    """A simulated tensor on the memory of a CPU one."""
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise NotImplementedError("the simulated device has dense tensors only, not %s" % tensor.layout)
    with _below_views(_NO_VIEWS):
        if tensor.is_conj():
            tensor = tensor.resolve_conj()
        if tensor.is_neg():
            tensor = tensor.resolve_neg()
        return _relabelled(tensor, _EXTENSION, Simulated.current if index is None else index)


LIBRARIES: List[Any] = []
"""Registrations with the dispatcher: they end when these objects do."""
