"""Outcomes as they turn out where a program can do without a piece."""

from __future__ import annotations

from uncuda.findings import Outcome, Outcomes, Target


def softened(outcomes: Outcomes) -> dict[Target, Outcome]:
    """Outcomes where the program goes on without the CUDA-only piece at hand: it lacks what the piece does. The CPU
    never had it."""
    return {
        t: Outcome.DEGRADED
        if o is Outcome.CRASH and t is not Target.CPU
        else Outcome.HARMLESS
        if o is Outcome.CRASH
        else o
        for t, o in outcomes.items()
    }
