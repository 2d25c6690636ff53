"""Edits: which can be made together, and what they make of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncuda.findings import Applicability, Category, Edit, Finding, Fix
from uncuda.fixes.apply import apply, choose

LENGTH = 30
TEXT = "".join(chr(ord("a") + i % 26) for i in range(LENGTH))


def finding(*edits: Edit, start: int = 0) -> Finding:
    fix = Fix("title", edits, Applicability.SAFE)
    return Finding("UC101", "x", "m", start, start + 1, "s", Category.MANDATORY, 1, {}, fix)


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    start = draw(st.integers(0, LENGTH))
    end = draw(st.one_of(st.just(start), st.integers(start, LENGTH)))
    return Edit(start, end, draw(st.sampled_from(["", "X", "YY"])))


FINDINGS = st.lists(st.lists(edits(), max_size=3).map(lambda e: finding(*e)), max_size=8)


def overlap(one: Edit, other: Edit) -> bool:
    """Do both want the same character, or does one insert inside what the other replaces?"""
    if one == other or (one.start == one.end and other.start == other.end):
        return False
    if one.start == one.end:
        return other.start < one.start < other.end
    if other.start == other.end:
        return one.start < other.start < one.end
    return one.start < other.end and other.start < one.end


def of(findings: list[Finding]) -> list[Edit]:
    return [e for f in findings if f.fix is not None for e in f.fix.edits]


@given(FINDINGS)
def test_chosen_fixes_do_not_touch_each_other(findings: list[Finding]) -> None:
    chosen = of(choose(findings))
    assert not any(overlap(a, b) for a in chosen for b in chosen)


@given(FINDINGS)
def test_a_fix_is_made_whole_or_not_at_all_and_as_many_as_can_be(findings: list[Finding]) -> None:
    chosen = choose(findings)
    assert [f for f in findings if any(f is c for c in chosen)] == chosen
    made: list[Edit] = []
    for item in findings:
        mine = of([item])
        fits = not any(overlap(a, b) for a in mine for b in (*made, *mine))
        assert any(item is c for c in chosen) == (bool(mine) and fits)
        if any(item is c for c in chosen):
            made += mine


@given(FINDINGS)
def test_nothing_outside_the_edits_changes(findings: list[Finding]) -> None:
    chosen = list(dict.fromkeys(of(choose(findings))))
    result = apply(TEXT, chosen)
    assert len(result) == len(TEXT) + sum(len(e.text) - (e.end - e.start) for e in chosen)
    touched = {i for e in chosen for i in range(e.start, e.end)}
    kept = "".join(c for i, c in enumerate(TEXT) if i not in touched)
    assert "".join(c for c in result if c not in "XY") == kept


@given(FINDINGS)
def test_edits_land_where_they_should(findings: list[Finding]) -> None:
    chosen = list(dict.fromkeys(of(choose(findings))))
    # From the end to the start no edit moves another; at one place the first insertion comes out first.
    order = sorted(enumerate(chosen), key=lambda item: (item[1].start, item[1].end, item[0]))
    text = TEXT
    for _, edit in reversed(order):
        text = text[: edit.start] + edit.text + text[edit.end :]
    assert apply(TEXT, chosen) == text


@given(st.lists(edits(), max_size=6), st.randoms())
def test_the_order_of_edits_matters_for_insertions_at_one_place_only(
    given: list[Edit], random: object
) -> None:
    chosen = of(choose([finding(e) for e in given]))
    places = [e.start for e in chosen if e.start == e.end]
    if len(set(places)) == len(places):
        assert apply(TEXT, reversed(chosen)) == apply(TEXT, chosen)


def test_equal_edits_count_once() -> None:
    line = Edit(0, 0, "import x\n")
    both = choose([finding(line, Edit(3, 4, "A")), finding(line, Edit(6, 7, "B"))])
    assert len(both) == 2
    assert apply("abcdefgh", of(both)) == "import x\nabcAefBh"


def test_insertions_at_one_place_keep_their_order() -> None:
    assert apply("ab", [Edit(1, 1, "1"), Edit(1, 1, "2"), Edit(1, 2, "B")]) == "a12B"


def test_a_fix_whose_own_edits_overlap_is_left_out() -> None:
    assert choose([finding(Edit(0, 5, "x"), Edit(3, 6, "y"))]) == []


def test_overlapping_edits_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap at character 3"):
        apply("abcdefgh", [Edit(0, 5, "x"), Edit(3, 6, "y")])


def test_findings_without_a_fix_are_left_out() -> None:
    plain = Finding("UC101", "x", "m", 0, 1, "s", Category.MANDATORY, 1, {}, None)
    assert choose([plain, finding()]) == []
