"""Every rule's examples: what must be reported, what must be left alone, and what a fix makes of it."""

from __future__ import annotations

import ast
import difflib

import pytest

from uncuda.engine import Fixed, Options, check_text, fix_text
from uncuda.findings import Applicability, Finding
from uncuda.rules.base import Bad, Good, Rule
from uncuda.rules.registry import all_rules

RULES = all_rules()
BAD = [
    pytest.param(rule, bad, id=f"{rule.code}-bad{i}-{bad.id or 'plain'}")
    for rule in RULES
    for i, bad in enumerate(rule.bad)
]
GOOD = [
    pytest.param(rule, good, id=f"{rule.code}-good{i}") for rule in RULES for i, good in enumerate(rule.good)
]


def options(rule: Rule | None, example: Bad | Good, *, whole: bool = False) -> Options:
    return Options(
        torch_floor=example.floor,
        codes=frozenset({rule.code}) if rule is not None else None,
        device_expr=getattr(example, "device_expr", None),
        device_import=getattr(example, "device_import", None),
        whole_file=whole,
    )


def fixed(rule: Rule, bad: Bad) -> Fixed:
    result = fix_text(bad.code, options(rule, bad), unsafe=bad.applicability is not Applicability.SAFE)
    assert result.error is None, result.error
    return result


def show(want: str, got: str) -> str:
    return "\n" + "\n".join(
        difflib.unified_diff(want.splitlines(), got.splitlines(), "want", "got", lineterm="")
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_a_rule_is_complete(rule: Rule) -> None:
    assert rule.code.startswith("UC") and len(rule.code) == 5
    assert rule.summary() and len(rule.why().splitlines()) > 1, "the docstring says why"
    assert rule.triggers and all(t.isascii() and t not in ("device", "torch") for t in rule.triggers)
    assert rule.bad and len(rule.good) >= len(rule.bad), f"{len(rule.good)} Good for {len(rule.bad)} Bad"
    assert rule.effort in (0, 1, 3, 5, 7, 13)
    if any(b.fixed is not None for b in rule.bad):
        assert rule.fix_safety


def test_codes_and_names_are_unique() -> None:
    assert len({r.code for r in RULES}) == len(RULES)
    assert len({r.name for r in RULES}) == len(RULES)


@pytest.mark.parametrize(("rule", "bad"), BAD)
def test_bad_is_reported(rule: Rule, bad: Bad) -> None:
    checked = check_text(bad.code, options(rule, bad))
    assert checked.error is None
    assert [f.code for f in checked.findings] == [rule.code] * bad.count
    for finding in checked.findings:
        assert 0 <= finding.start < finding.end <= len(bad.code)
        assert finding.outcomes


@pytest.mark.parametrize(("rule", "bad"), BAD)
def test_bad_is_fixed_as_shown(rule: Rule, bad: Bad) -> None:
    result = fixed(rule, bad)
    if bad.fixed is None:
        assert result.text == bad.code, "this example says that there is no fix" + show(bad.code, result.text)
        return
    assert result.text == bad.fixed, show(bad.fixed, result.text)
    ast.parse(result.text)
    again = fix_text(result.text, options(rule, bad), unsafe=True)
    assert again.text == result.text, "a second run changes something" + show(result.text, again.text)
    if bad.applicability is Applicability.UNSAFE:
        careful = fix_text(bad.code, options(rule, bad), unsafe=False)
        assert careful.text != bad.fixed, "said to be unsafe, applied as safe"


@pytest.mark.parametrize(("rule", "bad"), BAD)
def test_islands_and_whole_file_agree(rule: Rule, bad: Bad) -> None:
    assert check_text(bad.code, options(None, bad)) == check_text(bad.code, options(None, bad, whole=True))


@pytest.mark.parametrize(("rule", "good"), GOOD)
def test_good_is_left_alone(rule: Rule, good: Good) -> None:
    checked = check_text(good.code, options(rule, good))
    assert checked.error is None
    found: list[Finding] = [f for f in checked.findings if f.code == rule.code]
    assert not found, f"{good.why or 'not a tie'}: {[good.code[f.start : f.end] for f in found]}"


@pytest.mark.parametrize(("rule", "bad"), BAD)
def test_no_tie_is_told_twice(rule: Rule, bad: Bad) -> None:
    places = [(f.start, f.end) for f in check_text(bad.code, options(None, bad)).findings]
    assert len(places) == len(set(places))
