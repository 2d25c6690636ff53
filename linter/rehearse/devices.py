"""Which targets can be simulated, and why the others can't."""

from __future__ import annotations

from dataclasses import dataclass

from uncuda.findings import Target
from uncuda.rules.knowledge import target as facts

SIMULATED = (Target.ASCEND, Target.HPU, Target.MLU, Target.MUSA)
"""Their devices come from outside of torch: it leaves them a place that can be filled from Python."""
_BUILT_IN = (Target.XPU, Target.MPS, Target.XLA)
_INSTEAD = (
    f"Whether a program is free of CUDA shows on any other device as well: --target {Target.ASCEND.value}"
)


@dataclass(frozen=True)
class Device:
    """What is simulated for a target: torch's name of the device, the name of its torch.distributed back end, and
    the package that brings it. The target `cpu` has the device `cpu`: nothing is simulated."""

    target: Target
    name: str
    backend: str
    package: str | None


class CannotSimulate(Exception):
    """Why a target can't be simulated, and what to do instead."""


def device_of(target: Target) -> Device:
    """What stands for a target in a rehearsal. Raises CannotSimulate."""
    known = facts(target)
    if target is Target.ROCM:
        raise CannotSimulate(
            "on ROCm torch.cuda is the device, so there is nothing to rehearse; "
            "`uncuda check --target rocm` finds what doesn't work there"
        )
    if target in _BUILT_IN:
        raise CannotSimulate(
            f"{target.value} can't be simulated: torch keeps the name {known.device!r} for a device of its own. {_INSTEAD}"
        )
    package = None if known.import_module is None else known.import_module.partition(".")[0]
    return Device(target, known.device, known.backend, package)
