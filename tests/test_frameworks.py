"""The table of frameworks' arguments: its shape, and that each entry is what some rule reports."""

from __future__ import annotations

import pytest

from uncuda.engine import Options, check_text
from uncuda.findings import Outcome, Target
from uncuda.rules import knowledge
from uncuda.rules.knowledge import Api
from uncuda.rules.registry import all_rules

ROWS = knowledge.frameworks()


@pytest.mark.parametrize("api", ROWS.values(), ids=lambda api: api.symbol)
def test_an_entry_is_whole(api: Api) -> None:
    assert set(api.outcomes) == set(Target)
    assert all(isinstance(outcome, Outcome) for outcome in api.outcomes.values())
    assert api.kind in ("arg", "function", "class", "method", "idiom")
    assert api.verdict in ("unsafe", "suggest", "report-only"), (
        "no framework is installed to prove a safe fix"
    )
    assert api.source
    assert api.replacement
    assert knowledge.lookup(api.symbol) == api


def test_every_entry_is_reported_by_one_rule() -> None:
    reported: dict[str, set[str]] = {}
    for rule in (r for r in all_rules() if r.code.startswith("UC6")):
        for bad in rule.bad:
            for finding in check_text(bad.code, Options(torch_floor=bad.floor)).findings:
                reported.setdefault(finding.symbol, set()).add(finding.code)
    assert {symbol: len(reported.get(symbol, ())) for symbol in ROWS} == dict.fromkeys(ROWS, 1)
