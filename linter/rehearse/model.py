"""What a rehearsal comes to, as plain data: reports are made of this and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from uncuda.findings import Outcome, Target
from uncuda.rehearse.devices import Device
from uncuda.rehearse.launch import Ending
from uncuda.rehearse.notes import Line, Seen

FORMAT = "uncuda-rehearsal/1"
"""The name and version of the JSON report's shape."""

SIMULATED = "simulated"
"""The way of a rehearsal in which there was a simulated device."""


class Verdict(str, Enum):
    """What a rehearsal shows, worst last."""

    RAN = "ran"
    TIED = "tied"
    STAYED = "stayed-on-cpu"
    NO_TORCH = "no-torch"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed-out"
    FAILED = "failed"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Rule:
    """The rule that explains a touch of CUDA: its finding at that place."""

    code: str
    name: str
    message: str
    outcome: Outcome
    fix: str | None
    """How the fix can be trusted, where there is one."""
    handled: bool
    """Can the program do without what it asks for?"""


@dataclass(frozen=True)
class Touch:
    """Something of CUDA that a line asked for."""

    symbol: str
    at: Line
    times: int
    rule: Rule | None
    known: str | None
    """The name under which `uncuda explain` knows it."""
    hurts: bool


@dataclass(frozen=True)
class Failure:
    """The exception, or the crash, that ended the program."""

    error: str
    text: str
    lines: tuple[Line, ...]
    """The lines it went through, the innermost first."""
    rule: Rule | None
    advice: str


@dataclass(frozen=True)
class Rehearsal:
    """The whole report."""

    target: Target
    verdict: Verdict
    command: tuple[str, ...]
    """The program and its arguments."""
    device: Device
    devices: int
    way: str | None
    """`simulated`, `watched`, or None where torch was never imported."""
    why: str
    """Why nothing was simulated."""
    torch: str
    ending: Ending
    processes: int
    failure: Failure | None
    touches: tuple[Touch, ...]
    """Of the project's own code, the ones that hurt first."""
    libraries: tuple[tuple[str, tuple[Seen, ...]], ...]
    """What libraries asked for, by library."""
    mixed: tuple[Seen, ...]
    operators: tuple[tuple[str, int], ...]
    """Those that ran on the simulated device, most used first."""
    computed_on_cpu: tuple[Seen, ...]
    groups: tuple[Seen, ...]
    stand_ins: tuple[Seen, ...]
    blind: tuple[str, ...]
    """What this rehearsal can't see."""
    broken: str | None
    """Why the device could not be simulated, where it should have been."""
