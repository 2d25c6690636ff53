"""The operators of SyncBatchNorm: torch has them for accelerators only, so here they are written out."""

from __future__ import annotations

from typing import Any, Tuple

import torch


def register(library: Any) -> None:
    """Gives them to the simulated device."""
    for kernel in (
        batch_norm_stats,
        batch_norm_gather_stats_with_counts,
        batch_norm_elemt,
        batch_norm_backward_reduce,
        batch_norm_backward_elemt,
    ):
        if hasattr(torch.ops.aten, kernel.__name__):
            library.impl(kernel.__name__, kernel, "PrivateUse1")


def _others(x: Any) -> Tuple[int, ...]:
    """All dimensions but that of the channels."""
    return (0, *range(2, x.dim()))


def _wide(channels: Any, x: Any) -> Any:
    """A value for each channel, in the shape that `x` is computed with."""
    return channels.view(1, -1, *[1] * (x.dim() - 2))


def batch_norm_stats(x: Any, eps: float) -> Tuple[Any, Any]:
    """Mean and inverse standard deviation of each channel."""
    x = x.float()
    return x.mean(_others(x)), (x.var(_others(x), unbiased=False) + eps).rsqrt()


def batch_norm_gather_stats_with_counts(
    x: Any, means: Any, invstds: Any, running_mean: Any, running_var: Any, momentum: float, eps: float, counts: Any
) -> Tuple[Any, Any]:  # fmt: skip
    """The same of all processes together; the running figures follow."""
    share = (counts / counts.sum()).view(-1, 1)
    mean = (means * share).sum(0)
    var = ((invstds.pow(-2) - eps + means * means) * share).sum(0) - mean * mean
    if running_mean is not None:
        running_mean.mul_(1 - momentum).add_(mean.to(running_mean.dtype) * momentum)
    if running_var is not None:
        total = counts.sum()
        running_var.mul_(1 - momentum).add_((var * (total / (total - 1))).to(running_var.dtype) * momentum)
    return mean, (var + eps).rsqrt()


def batch_norm_elemt(x: Any, weight: Any, bias: Any, mean: Any, invstd: Any, eps: float) -> Any:
    """The normalized values."""
    out = (x - _wide(mean, x)) * _wide(invstd, x)
    if weight is not None:
        out = out * _wide(weight, x)
    if bias is not None:
        out = out + _wide(bias, x)
    return out.to(x.dtype)


def batch_norm_backward_reduce(
    grad: Any, x: Any, mean: Any, invstd: Any, weight: Any, for_x: bool, for_weight: bool, for_bias: bool
) -> Tuple[Any, Any, Any, Any]:  # fmt: skip
    """Sums over what this process has, and the gradients of weight and bias."""
    grad = grad.float()
    total = grad.sum(_others(x))
    centred = (grad * (x - _wide(mean, x))).sum(_others(x))
    return total, centred, centred * invstd if for_weight else None, total if for_bias else None


def batch_norm_backward_elemt(
    grad: Any, x: Any, mean: Any, invstd: Any, weight: Any, total: Any, centred: Any, counts: Any
) -> Any:  # fmt: skip
    """The gradient of the input."""
    number = counts.sum()
    left = (
        grad - _wide(total / number, x) - (x - _wide(mean, x)) * _wide(invstd * invstd * centred / number, x)
    )
    scale = invstd if weight is None else invstd * weight
    return (left * _wide(scale, x)).to(x.dtype)
