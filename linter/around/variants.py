"""Files that come once for each kind of hardware: the one for CUDA is meant for CUDA."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import lru_cache

_PARTS = re.compile(r"[-_.\s]+")
_CUDA = re.compile(r"(?:cuda|cu1?\d{2}|gpus?|nvidia|l4t|jetson|tensorrt|trt)\d*\Z")
# Builds for ROCm carry CUDA's names, and much of what is written for CUDA.
_ROCM = re.compile(r"(?:rocm|hip|amd(?:gpu)?)\d*\Z")
_OTHER = re.compile(
    r"(?:cpu|rocm|amd|hip|xpu|intel|oneapi|hpu|gaudi|habana|npu|ascend|cann|tpu|xla|mps|metal|macos|osx|mac|mlu|musa"
    r"|neuron|inferentia|openvino)\d*\Z"
)


def _words(name: str) -> list[str]:
    return [word for word in _PARTS.split(name.lower()) if word]


def is_for_cuda(path: str) -> bool:
    """Does the name of a file, or of the directory that it is in, say that it is for CUDA or ROCm, as in
    `requirements-cuda.txt` and `docker/rocm/Dockerfile`? Directories further up aren't asked."""
    parts = path.replace("\\", "/").split("/")
    return any(_CUDA.match(word) or _ROCM.match(word) for part in parts[-2:] for word in _words(part))


def has_others(path: str) -> bool:
    """Is there a file beside it that is the same for other hardware: `Dockerfile.rocm` beside `Dockerfile`?"""
    folder, name = os.path.split(path)
    return has_other(name, _names(folder))


def has_other(name: str, names: Iterable[str]) -> bool:
    """Is one of `names` that of the same file for other hardware?"""
    own = _rest(name)
    return any(
        other != name and any(_OTHER.match(word) for word in _words(other)) and _rest(other) == own
        for other in names
    )


def _rest(name: str) -> list[str]:
    return [word for word in _words(name) if not _CUDA.match(word) and not _OTHER.match(word)]


@lru_cache(maxsize=256)
def _names(folder: str) -> tuple[str, ...]:
    try:
        return tuple(os.listdir(folder))
    except OSError:
        return ()
