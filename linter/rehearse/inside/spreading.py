"""What DataParallel does with tensors on several devices: torch's C++ has it for CUDA only."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import torch

from .labels import Simulated


def replace() -> None:
    """Puts the functions where torch.nn.parallel.comm looks for them."""
    for function in (_scatter, _gather, _broadcast_coalesced):
        setattr(torch._C, function.__name__, function)


def _device(index: Optional[int]) -> Any:
    return torch.device("cpu") if index == -1 else torch.device(Simulated.name, index)


def _scatter(
    tensor: Any, devices: Sequence[int], chunk_sizes: Optional[Sequence[int]], dim: int, streams: Any
) -> List[Any]:  # fmt: skip
    """A part for each device."""
    parts = tensor.chunk(len(devices), dim) if chunk_sizes is None else tensor.split(list(chunk_sizes), dim)
    return [part.to(_device(index)) for part, index in zip(parts, devices)]


def _gather(tensors: Sequence[Any], dim: int, destination: Optional[int]) -> Any:
    """The parts, together on one device."""
    return torch.cat([t.to(_device(destination)) for t in tensors], dim)


def _broadcast_coalesced(tensors: Sequence[Any], devices: Sequence[int], size: int) -> Tuple[List[Any], ...]:
    """All tensors on each device."""
    return tuple([t if i == t.get_device() else t.to(_device(i)) for t in tensors] for i in devices)
