"""What surrounds a tie says whether it is reached without CUDA, and what becomes of it then."""

from __future__ import annotations

import textwrap

import pytest

from uncuda.engine import Options, check_text
from uncuda.findings import Outcome, Target

CRASH, DEGRADED, SILENT = Outcome.CRASH, Outcome.DEGRADED, Outcome.SILENT_CPU


def outcome(code: str) -> Outcome:
    """What `torch.cuda.init()` in `code` does on Ascend."""
    text = f"import torch\n\n\n{textwrap.dedent(code)}"
    at = text.index("torch.cuda.init")
    [found] = [f for f in check_text(text, Options()).findings if f.start == at]
    return found.outcomes[Target.ASCEND]


@pytest.mark.parametrize(
    ("code", "want"),
    [
        pytest.param("torch.cuda.init()", CRASH, id="none"),
        pytest.param("try:\n    torch.cuda.init()\nexcept Exception:\n    pass\n", DEGRADED, id="try"),
        pytest.param("try:\n    torch.cuda.init()\nexcept:\n    print('no')\n", DEGRADED, id="bare"),
        pytest.param("try:\n    torch.cuda.init()\nexcept KeyError:\n    pass\n", CRASH, id="other-error"),
        pytest.param("try:\n    torch.cuda.init()\nexcept Exception:\n    raise\n", CRASH, id="raises-again"),
        pytest.param(
            "try:\n    torch.cuda.init()\nexcept RuntimeError as e:\n    print(e)\n    raise ValueError from e\n",
            CRASH,
            id="raises-another",
        ),
        pytest.param(
            "try:\n    torch.cuda.init()\nexcept RuntimeError as e:\n    if strict:\n        raise\n",
            DEGRADED,
            id="may-raise",
        ),
        pytest.param(
            "try:\n    torch.cuda.init()\nexcept ImportError:\n    raise\nexcept RuntimeError:\n    pass\n",
            DEGRADED,
            id="one-goes-on",
        ),
        pytest.param("try:\n    torch.cuda.init()\nfinally:\n    pass\n", CRASH, id="finally"),
        pytest.param(
            "try:\n    def f():\n        torch.cuda.init()\nexcept Exception:\n    pass\n",
            CRASH,
            id="around-a-definition",
        ),
        pytest.param("if torch.cuda.is_available():\n    torch.cuda.init()\n", SILENT, id="if"),
        pytest.param(
            "if torch.cuda.is_available():\n    pass\nelse:\n    torch.cuda.init()\n", CRASH, id="else"
        ),
        pytest.param(
            "def f():\n    if not torch.cuda.is_available():\n        return\n    torch.cuda.init()\n",
            SILENT,
            id="early-return",
        ),
        pytest.param("torch.cuda.is_available() and torch.cuda.init()", SILENT, id="and"),
    ],
)
def test_guards(code: str, want: Outcome) -> None:
    assert outcome(code) is want
