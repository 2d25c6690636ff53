"""Recurrent networks: torch has their fused cells for accelerators only, so here they are written out."""

from __future__ import annotations

from typing import Any, Tuple

from .labels import OWN_KEYS


def register(library: Any) -> None:
    """Gives them to the simulated device, gradients included."""
    from torch._decomp import decompositions

    kernels = {
        "lstm.input": getattr(decompositions, "lstm_impl", None),
        "gru.input": getattr(decompositions, "gru_impl", None),
        "_thnn_fused_lstm_cell": lstm_cell,
        "_thnn_fused_gru_cell": gru_cell,
    }
    for name, kernel in kernels.items():
        if kernel is not None:
            for key in OWN_KEYS:
                library.impl(name, kernel, key)


def _with(gates: Any, bias: Any) -> Any:
    return gates if bias is None else gates + bias


def lstm_cell(
    from_input: Any, from_hidden: Any, cell: Any, bias: Any = None, hidden_bias: Any = None
) -> Tuple[Any, ...]:
    """The next hidden state and cell, and the gates."""
    gates = _with(from_input, bias) + _with(from_hidden, hidden_bias)
    enter, forget, new, leave = gates.chunk(4, 1)
    after = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * after.tanh(), after, gates


def gru_cell(
    from_input: Any, from_hidden: Any, hidden: Any, bias: Any = None, hidden_bias: Any = None
) -> Tuple[Any, ...]:
    """The next hidden state, and the gates."""
    gates = _with(from_input, bias)
    reset, update, new = gates.chunk(3, 1)
    hidden_reset, hidden_update, hidden_new = _with(from_hidden, hidden_bias).chunk(3, 1)
    candidate = (new + (reset + hidden_reset).sigmoid() * hidden_new).tanh()
    return (hidden - candidate) * (update + hidden_update).sigmoid() + candidate, gates
