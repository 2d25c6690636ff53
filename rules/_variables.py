"""Environment variables that are CUDA's, and what the other targets have instead of things that CUDA's hosts have."""

from __future__ import annotations

import re
from functools import cache

from uncuda.findings import Outcome, Outcomes, Target

WORDS = (
    "CUBLAS", "CUDACXX", "CUDAHOSTCXX", "CUDA_", "CUDNN_", "CUPTI", "CUTLASS_EPILOGUE", "FORCE_CUDA", "NCCL_", "NVCC_",
    "NVFUSER_", "NVIDIA_", "NVSHMEM_", "NVTE_", "PYTORCH_NVCC", "PYTORCH_NVML", "PYTORCH_TUNABLEOP", "TORCHINDUCTOR_CU",
    "TORCH_ALLOW_TF32", "TORCH_BLAS_", "TORCH_CUDAGRAPH", "TORCH_LINALG_", "TRITON_PTXAS",
)  # fmt: skip
"""Triggers: one of these stands in every such name."""
# A first look; which names count is said by the knowledge base's entries "env:NAME" and "env:PREFIX_*".
NAMES = re.compile(rf"(?=\w*(?:{'|'.join(WORDS)}))[A-Z]\w*\Z")
# Variables whose counterparts the targets table lists, and the field that does.
_KINDS = {
    "CUDA_VISIBLE_DEVICES": "visible_devices",
    "NVIDIA_VISIBLE_DEVICES": "container_devices",
    "PYTORCH_CUDA_ALLOC_CONF": "allocator",
    "CUDA_LAUNCH_BLOCKING": "launch_blocking",
}
_NO_COUNTERPART = frozenset({"", "none", "no counterpart"})


@cache
def variable(name: str) -> tuple[str, str] | None:
    """The knowledge base's key of an environment variable that is tied to CUDA, and what it says of the other
    targets; None for any other name, and for variables that can stay."""
    from uncuda.rules.knowledge import apis

    if NAMES.match(name) is None:
        return None
    keys = [
        f"env:{name}",
        *(f"env:{name[:end]}*" for end in range(len(name), 0, -1)),
    ]
    found = next((apis()[key] for key in keys if key in apis()), None)
    return None if found is None or found.verdict == "portable" else (found.symbol, found.note)


def variable_elsewhere(name: str, symbol: str, note: str, targets: frozenset[Target] | None) -> str:
    """The names that the chosen targets have for a variable, or what the table says of them."""
    from uncuda.rules.knowledge import outcomes

    kind = _KINDS.get(name)
    names = elsewhere(kind, targets, outcomes(symbol)) if kind is not None else ""
    return names or ("" if note in _NO_COUNTERPART else note)


def elsewhere(field: str, targets: frozenset[Target] | None, told: Outcomes | None = None) -> str:
    """What the chosen targets have under a field of the targets table, the usual one of each; those left out on which
    the thing at hand works by `told`."""
    from uncuda.rules.knowledge import target

    found: list[str] = []
    for which in Target:
        if (targets is None or which in targets) and (told is None or told[which] is not Outcome.WORKS):
            value = getattr(target(which), field)
            found += [value] if isinstance(value, str) else value[:1] if value else []
    return ", ".join(dict.fromkeys(found))
