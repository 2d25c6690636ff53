"""The table of frameworks' arguments: its shape."""

from __future__ import annotations

import pytest

from uncuda.findings import Outcome, Target
from uncuda.rules import knowledge
from uncuda.rules.knowledge import Api

ROWS = knowledge.frameworks()


@pytest.mark.parametrize("api", ROWS.values(), ids=lambda api: api.symbol)
def test_an_entry_is_whole(api: Api) -> None:
    assert set(api.outcomes) == set(Target)
    assert all(isinstance(outcome, Outcome) for outcome in api.outcomes.values())
    assert api.kind in ("arg", "attr", "function", "class", "method", "idiom")
    assert api.verdict in ("unsafe", "suggest", "report-only"), (
        "no framework is installed to prove a safe fix"
    )
    assert api.source
    assert api.replacement
    assert knowledge.lookup(api.symbol) == api
