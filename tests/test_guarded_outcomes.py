"""What a tie does on each target when it stands behind a guard."""

from __future__ import annotations

from uncuda.engine import check_text
from uncuda.findings import Outcome, Outcomes, Target

AVAILABLE = (
    "import torch\n\nif torch.cuda.is_available():\n    major = int(torch.version.cuda.split('.')[0])\n"
)
HANDLED = "import torch\n\ntry:\n    torch.cuda.init()\nexcept Exception:\n    gpu = False\n"


def outcomes(text: str, code: str) -> Outcomes:
    [found] = [f for f in check_text(text).findings if f.code == code]
    return found.outcomes


def test_a_guard_that_asks_for_cuda_holds_everything_back_but_rocm() -> None:
    told = outcomes(AVAILABLE, "UC221")
    assert told[Target.CPU] is Outcome.HARMLESS
    assert told[Target.ASCEND] is Outcome.SILENT_CPU
    assert told[Target.ROCM] is Outcome.CRASH, "torch.cuda.is_available() is True on ROCm"


def test_a_failure_that_is_handled_is_a_loss_and_no_crash() -> None:
    told = outcomes(HANDLED, "UC222")
    assert told[Target.CPU] is Outcome.HARMLESS
    assert told[Target.ASCEND] is Outcome.DEGRADED
    assert told[Target.ROCM] is Outcome.WORKS


def test_a_choice_by_a_text_that_somebody_gave_raises_where_cuda_is_wished_for() -> None:
    text = 'import torch\n\n\ndef f(kind, flag):\n    return torch.device("cuda" if {} else "cpu")\n'
    wished = outcomes(text.format('kind == "gpu"'), "UC201")
    assert wished[Target.ASCEND] is Outcome.CRASH
    assert wished[Target.CPU] is wished[Target.ROCM] is Outcome.WORKS
    for asked in ("torch.cuda.is_available()", "flag"):
        assert outcomes(text.format(asked), "UC201")[Target.ASCEND] is Outcome.SILENT_CPU
