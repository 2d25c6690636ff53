"""What a rule reports: a finding, its outcome on each target, and the fix that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Target(str, Enum):
    """Hardware a project can be moved to. Values are the names that `--target` takes."""

    CPU = "cpu"
    ASCEND = "ascend"
    ROCM = "rocm"
    XPU = "xpu"
    MPS = "mps"
    HPU = "hpu"
    MLU = "mlu"
    MUSA = "musa"
    XLA = "xla"


class Outcome(str, Enum):
    """What happens to a tie when the program runs on a target."""

    CRASH = "crash"
    SILENT_CPU = "silent-cpu"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    HARMLESS = "harmless"
    WORKS = "works"


class Severity(str, Enum):
    """How much a finding matters on the chosen targets; follows from the worst outcome there."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Category(str, Enum):
    """Must it be changed to run elsewhere at all, should it be, or may it have to be?"""

    MANDATORY = "mandatory"
    OPTIONAL = "optional"
    POTENTIAL = "potential"


class Applicability(str, Enum):
    """How far a fix can be trusted: `safe` was executed before and after; `display` is never applied."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    DISPLAY = "display"


# Worst first: the outcomes that make a finding an error, a warning, a remark.
_SEVERITY_OF: dict[Outcome, Severity] = {
    Outcome.CRASH: Severity.ERROR,
    Outcome.SILENT_CPU: Severity.ERROR,
    Outcome.DEGRADED: Severity.WARNING,
    Outcome.UNKNOWN: Severity.WARNING,
    Outcome.HARMLESS: Severity.INFO,
    Outcome.WORKS: Severity.INFO,
}
_SEVERITY_ORDER = (Severity.ERROR, Severity.WARNING, Severity.INFO)

TorchVersion = tuple[int, int]
"""A torch release, `(2, 6)` for 2.6."""

Outcomes = Mapping[Target, Outcome]


@dataclass(frozen=True)
class Edit:
    """Replace the characters `start:end` of the decoded file text by `text`. `start == end` inserts."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Fix:
    """Edits that belong together: all are applied or none is.

    `torch_floor` is the first torch release that has everything the new text uses.
    """

    title: str
    edits: tuple[Edit, ...]
    applicability: Applicability
    torch_floor: TorchVersion | None = None


@dataclass(frozen=True)
class Finding:
    """One tie to CUDA in one file. `start` and `end` are character offsets into the decoded text.

    `fix_needs` is the torch release that a fix would need, where the project's floor is lower; there is none then.
    """

    code: str
    name: str
    message: str
    start: int
    end: int
    symbol: str
    category: Category
    effort: int
    outcomes: Outcomes = field(hash=False)
    fix: Fix | None = None
    fix_needs: TorchVersion | None = None

    def severity(self, targets: frozenset[Target] | None = None) -> Severity:
        """The severity on `targets` (every target when None); a warning for what isn't a tie."""
        if not self.outcomes:
            return Severity.WARNING
        seen = {_SEVERITY_OF[o] for t, o in self.outcomes.items() if targets is None or t in targets}
        return next((s for s in _SEVERITY_ORDER if s in seen), Severity.INFO)


def at_least(severity: Severity, floor: Severity) -> bool:
    """Is `severity` as grave as `floor`, or graver?"""
    return _SEVERITY_ORDER.index(severity) <= _SEVERITY_ORDER.index(floor)
