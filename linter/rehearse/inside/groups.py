"""Process groups of the simulated device: its back end for torch.distributed is gloo, on aliases of the tensors."""

from __future__ import annotations

import warnings
from typing import Any, Callable, Dict, Tuple

import torch

from .journal import Journal
from .labels import LIBRARIES, on_cpu

_COLLECTIVES = (
    "allreduce_", "allreduce_coalesced_", "broadcast_", "allgather_", "_allgather_base_", "allgather_coalesced_",
    "allgather_into_tensor_coalesced_", "reduce_scatter_", "_reduce_scatter_base_", "reduce_scatter_tensor_coalesced_",
    "reduce_", "gather_", "scatter_", "alltoall_", "alltoall_base_", "barrier", "send", "recv_", "recv_any_source_",
)  # fmt: skip


_IN_A_ROW = (
    "_allgather_base_", "allgather_into_tensor_coalesced_", "_reduce_scatter_base_", "reduce_scatter_tensor_coalesced_",
)  # fmt: skip
"""Those in which a tensor stands for the tensors of all processes: gloo wants them in the first dimension, while
vendors' back ends ask for nothing but the number of elements."""


def install(device: str, backend: str, journal: Journal) -> None:
    """Makes torch.distributed know the back end."""
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        journal.write("no-groups")
        return
    from torch.distributed import ProcessGroup, ProcessGroupGloo
    from torch.distributed.distributed_c10d import Backend

    twins: Dict[int, Tuple[Any, Any]] = {}
    """Of each back end its group on the CPU. The back end is kept: torch gives the same object back then."""

    def make(store: Any, rank: int, size: int, timeout: Any) -> Any:
        made = ProcessGroupGloo(store, rank, size, timeout=timeout)
        twin = ProcessGroup(store, rank, size)
        twin._register_backend(torch.device("cpu"), ProcessGroup.BackendType.GLOO, made)
        twin._set_default_backend(ProcessGroup.BackendType.GLOO)
        twins[id(made)] = (made, twin)
        journal.note("group", backend, journal.place(through_torch=True), size=size)
        return made

    def on_twin(value: Any, in_a_row: bool) -> Any:
        if isinstance(value, torch.Tensor):
            alias = on_cpu(value)
            return alias.view(-1) if in_a_row and alias.is_contiguous() else alias
        if isinstance(value, (list, tuple)):
            return [on_twin(v, in_a_row) for v in value]
        if isinstance(value, torch.ScriptObject) and "ProcessGroup" in str(value._type()):
            found = ProcessGroup.unbox(value)._get_backend(torch.device(device))
            return twins[id(found)][1].boxed()
        return value

    def kernel(op: Any, in_a_row: bool) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            journal.count_op(op.name())
            result = op(*[on_twin(a, in_a_row) for a in args])
            # The tensors that came in are the results; only the work is new.
            return (args[0], result[1]) if isinstance(result, tuple) else result

        return run

    Backend.register_backend(backend, make, devices=[device])
    library = torch.library.Library("c10d", "IMPL")
    LIBRARIES.append(library)
    with warnings.catch_warnings():
        # That these stand before torch's own, which ask the device's back end for what gloo can't do, is meant.
        warnings.simplefilter("ignore")
        for name in _COLLECTIVES:
            op = getattr(getattr(torch.ops.c10d, name, None), "default", None)
            if op is not None:
                library.impl(name, kernel(op, name in _IN_A_ROW), "PrivateUse1", allow_override=True)
