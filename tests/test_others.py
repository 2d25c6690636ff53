"""Code that handles accelerators one by one: what has a branch of its own is handled there."""

from __future__ import annotations

from uncuda.engine import check_text, fix_text
from uncuda.findings import Outcome, Target

CHAIN = """\
import torch


def set_device(device):
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)
    elif device.startswith("npu:"):
        torch.npu.set_device(device)
"""
SELECTION = """\
import torch

if torch.cuda.is_available():
    device = "cuda"
elif torch.backends.mps.is_available():
    device = "mps"
else:
    device = "cpu"
"""


def outcomes(text: str, code: str) -> dict[Target, Outcome]:
    (found,) = [f for f in check_text(text).findings if f.code == code]
    return dict(found.outcomes)


def test_the_cuda_branch_of_a_chain_with_others_is_right_as_it_stands() -> None:
    told = outcomes(CHAIN, "UC205")
    assert {o for t, o in told.items() if t is not Target.ROCM} == {Outcome.HARMLESS}
    assert told[Target.ROCM] is Outcome.WORKS
    assert fix_text(CHAIN, unsafe=True).text == CHAIN


BACKENDS = """\
import torch
import torch.distributed as dist


def place(backend):
    if backend == "hccl":
        return torch.device("npu", torch.npu.current_device())
    elif backend == dist.Backend.NCCL:
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
"""


def test_a_backend_stands_for_its_accelerator() -> None:
    assert {o for t, o in outcomes(BACKENDS, "UC104").items() if t is not Target.ROCM} == {Outcome.HARMLESS}
    assert fix_text(BACKENDS, unsafe=True).text == BACKENDS
    alone = BACKENDS.replace('"hccl"', '"mine"').replace("npu", "mine")
    assert outcomes(alone, "UC104")[Target.ASCEND] is Outcome.CRASH


def test_a_constant_stands_for_its_accelerator() -> None:
    chain = CHAIN.replace('device.startswith("cuda:")', "device == Kind.CUDA").replace(
        'device.startswith("npu:")', "device == Kind.NPU"
    )
    assert {o for t, o in outcomes(chain, "UC205").items() if t is not Target.ROCM} == {Outcome.HARMLESS}
    assert fix_text(chain, unsafe=True).text == chain


def test_only_the_named_targets_are_handled_by_a_selection() -> None:
    told = outcomes(SELECTION, "UC201")
    assert told[Target.MPS] is Outcome.HARMLESS
    assert told[Target.ASCEND] is Outcome.SILENT_CPU
    assert "torch.accelerator" in fix_text(SELECTION, unsafe=True).text


def test_without_another_branch_nothing_is_handled() -> None:
    alone = CHAIN[: CHAIN.index("    elif")]
    assert outcomes(alone, "UC205")[Target.ASCEND] is not Outcome.HARMLESS
    assert fix_text(alone, unsafe=True).text != alone


def test_the_implementation_of_an_interface_for_cuda_is_right_as_it_stands() -> None:
    body = "import torch\n\n\nclass {}(Base):\n    def wait(self):\n        torch.cuda.synchronize()\n"
    for name in ("CudaPlatform", "PlatformCUDA", "CUDA_Accelerator", "NvmlCudaPlatform"):
        text = body.format(name)
        assert {o for t, o in outcomes(text, "UC206").items() if t is not Target.ROCM} == {Outcome.HARMLESS}
        assert fix_text(text, unsafe=True).text == text
    for name in ("CudaTimer", "TestCudaPlatform", "Platform", "CudaGraphBackend"):
        assert outcomes(body.format(name), "UC206")[Target.ASCEND] is Outcome.CRASH
