"""Autocast on the simulated device: which operators run in the lower precision and which in float32."""

from __future__ import annotations

from typing import Any, Callable, Optional

import torch

from .labels import LIBRARIES, Simulated

_LOWER = (
    "mm", "matmul", "addmm", "bmm", "baddbmm", "addbmm", "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d.input", "conv_transpose3d.input", "convolution", "scaled_dot_product_attention", "addmv", "mv",
    "einsum", "prelu", "chain_matmul", "linalg_multi_dot",
)  # fmt: skip
_FULL = (
    "softmax.int", "log_softmax.int", "layer_norm", "group_norm", "nll_loss", "nll_loss2d", "cross_entropy_loss",
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "cosine_similarity", "exp", "log", "pow.Tensor_Scalar",
    "pow.Tensor_Tensor", "prod", "sum", "sum.dim_IntList", "cumsum", "cumprod", "norm.Scalar", "rsqrt", "reciprocal",
    "binary_cross_entropy_with_logits", "ctc_loss.IntList", "renorm",
)  # fmt: skip


def register() -> None:
    """Fills the lists that a vendor's package fills for its device; they are those of CUDA."""
    library = torch.library.Library("aten", "IMPL")
    LIBRARIES.append(library)
    for names, dtype in ((_LOWER, None), (_FULL, torch.float32)):
        for name in names:
            base, _, overload = name.partition(".")
            packet = getattr(torch.ops.aten, base, None)
            op = getattr(packet, overload or "default", None)
            if op is not None:
                library.impl(name, _casting(op, dtype), "AutocastPrivateUse1")


def _casting(op: Any, dtype: Optional[Any]) -> Callable[..., Any]:
    key = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def cast(value: Any, wanted: Any) -> Any:
        if isinstance(value, torch.Tensor):
            ours = value.device.type == Simulated.name and value.is_floating_point()
            return value.to(wanted) if ours and value.dtype != torch.float64 else value
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], torch.Tensor):
            return type(value)([cast(v, wanted) for v in value])
        return value

    def run(*args: Any, **kwargs: Any) -> Any:
        wanted = torch.get_autocast_dtype(Simulated.name) if dtype is None else dtype
        with torch._C._ExcludeDispatchKeyGuard(key):
            return op(*[cast(a, wanted) for a in args], **{k: cast(v, wanted) for k, v in kwargs.items()})

    return run
