"""CUDA C++ and PTX: counted, not compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uncuda.around.items import Assembler, Item, Native

_NO_CODE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"", re.S)
_KERNEL = re.compile(r"\b__global__\b")
_DEVICE = re.compile(
    r"\b__(?:global|device|constant|shared)__\b|<<<|\bcuda[A-Z]\w+\s*\(|#\s*include\s*[<\"](?:cuda|cub/|cutlass/|cute/)"
)
_ASSEMBLER = re.compile(r"\basm\s*(?:volatile|__volatile__)?\s*\(")
_ENTRY = re.compile(r"^\s*(?:\.visible\s+)?\.entry\b", re.M)
_ELSEWHERE = re.compile(
    r"\b(?:USE_ROCM|USE_HIP|__HIP\w*|HIP_PLATFORM\w*|__HCC__|__MUSA\w*|USE_MUSA)\b|\bhip/hip_"
)


def read_native(text: str, path: str) -> Iterator[Item]:
    """How many kernels there are in a file, and how much inline assembler. A header without a kernel is a part of
    those that include it."""
    if path.endswith(".ptx"):
        entries = list(_ENTRY.finditer(text))
        at = entries[0].start() if entries else 0
        yield _native(text, "PTX", at, len(entries), False)
        return
    code = _NO_CODE.sub(_blank, text)
    kernels = list(_KERNEL.finditer(code))
    first = kernels[0] if kernels else _DEVICE.search(code)
    if first is not None and (kernels or path.endswith(".cu")):
        yield _native(text, "CUDA C++", first.start(), len(kernels), _ELSEWHERE.search(code) is not None)
    assembler = list(_ASSEMBLER.finditer(code))
    if assembler:
        begin = assembler[0].start()
        yield Assembler(start=begin, end=begin + 3, count=len(assembler))


def _native(text: str, language: str, at: int, kernels: int, ported: bool) -> Native:
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return Native(
        start=at,
        end=max(at + 1, min(end, at + 60)),
        language=language,
        kernels=kernels,
        lines=text.count("\n") + (not text.endswith("\n")),
        ported=ported,
    )


def _blank(found: re.Match[str]) -> str:
    """Blanks instead of comments and texts; the names of files that are included stay."""
    text = found[0]
    if text.startswith('"'):
        line = found.string.rfind("\n", 0, found.start()) + 1
        if found.string[line : found.start()].lstrip().startswith("#"):
            return text
    return re.sub(r"[^\n]", " ", text)
