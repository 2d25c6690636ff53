"""The catalogue agrees with the rules, and the prefilter lets nothing through that a rule would report."""

from __future__ import annotations

import pytest

from uncuda.engine import check_text
from uncuda.prefilter import needs_check
from uncuda.rules.base import Rule
from uncuda.rules.catalogue import FILE, as_text, catalogue, collect
from uncuda.rules.registry import all_rules

ALL = frozenset(info.code for info in catalogue())


def test_it_is_up_to_date() -> None:
    assert FILE.read_text("utf-8") == as_text(collect()), "run: python -m uncuda.rules.catalogue"


def test_codes_and_names_are_unique() -> None:
    infos = catalogue()
    assert len({i.code for i in infos}) == len(infos) == len({i.name for i in infos})
    assert [i.code for i in infos] == sorted(i.code for i in infos)


@pytest.mark.parametrize("rule", all_rules(), ids=lambda r: r.code)
def test_what_a_rule_reports_passes_the_prefilter_for_that_rule_alone(rule: Rule) -> None:
    for bad in rule.bad:
        assert needs_check(bad.code.encode(), frozenset({rule.code})), bad.code


@pytest.mark.parametrize(
    ("data", "needed"),
    [
        (b"", False),
        (b"import torch\nx = torch.ones(2)\n", False),
        (b"x.cuda()\n", True),
        (b"# about Cuda\n", False),
        (b"x = 1  # uncuda: ignore[UC101] why\n", True),
        (b"x = 1  # noqa: UC101\n", True),
        (b"x = 1  # NoQA: E501,UC101\n", True),
        (b"x = SUCCESS  # noqa: E501\n", False),
        (b"x = 1\0\n", True),
        ("x = 1\n".encode("utf-16"), True),
        ("x = 1\n".encode("utf-32-be"), True),
        (b"# -*- coding: utf-7 -*-\nx.+AGMAdQBkAGE-()\n", True),
        (b"# -*- coding: latin-1 -*-\nx = '\xe9'\n", False),
        (b"#!/usr/bin/python\n# vim: set fileencoding=cp500 :\n", True),
        (b"x = 1\ny = 2\n# coding: utf-7\n", False),
    ],
)
def test_needs_check(data: bytes, needed: bool) -> None:
    assert needs_check(data, ALL) is needed


def test_comments_matter_only_when_their_codes_are_wanted() -> None:
    assert not needs_check(b"x = 1  # uncuda: ignore[UC101]\n", frozenset({"UC101"}))


def test_an_example_without_triggers_has_no_findings() -> None:
    for rule in all_rules():
        for good in rule.good:
            if not needs_check(good.code.encode(), ALL):
                assert not check_text(good.code).findings
