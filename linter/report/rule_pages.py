"""A rule's page, made from the rule itself: for `uncuda explain`, the documentation, and SARIF's help texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from uncuda.findings import Finding, Outcomes
from uncuda.report.blocks import (
    Block,
    Bullets,
    Code,
    Facts,
    Heading,
    OutcomeTable,
    Paragraph,
    as_code,
    markdown,
    prose,
    sentence,
)
from uncuda.results import dotted
from uncuda.rules.base import Bad, FileRule, Good, Rule

EXAMPLES = 3
"""So many examples of each kind are on a page, unless all are asked for."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a report says of a rule."""

    code: str
    name: str
    summary: str
    text: str
    """The reason, in plain text."""
    markdown: str
    """The whole page."""


@cache
def page(code: str) -> Page | None:
    """The page of a rule, None for an unknown code."""
    from uncuda.rules.registry import by_code

    rule = by_code().get(code)
    if rule is None:
        return None
    return Page(rule.code, rule.name, rule.summary(), rule.why(), markdown(rule_blocks(rule)))


def rule_blocks(rule: Rule, *, examples: int = EXAMPLES, outcomes: bool = False) -> list[Block]:
    """The page's blocks. `outcomes`: with what the rule's ties do on each target, for which its examples are checked."""
    effort = f"{rule.effort} story point{'' if rule.effort == 1 else 's'}"
    blocks: list[Block] = [
        Heading(f"{rule.code} {rule.name}", 1),
        *prose(rule.why()),
        Facts([("Category", rule.category.value), ("Effort by hand", effort), ("Fix", rule.fixability())]),
    ]
    if outcomes and (table := rule_outcomes(rule)):
        blocks += [Heading("Off CUDA"), OutcomeTable(table, "tie")]
    if rule.bad:
        blocks.append(Heading("Reported"))
        for bad in rule.bad[:examples]:
            blocks += [*_file(bad), Code(bad.code, bad.fixed, _language(bad))]
            if bad.fixed is not None:
                # Rules that the walk doesn't run have nothing to do with torch.
                since = f", torch {dotted(bad.floor)} or later" if rule.handlers() else ""
                blocks.append(Paragraph(f"({bad.applicability.value} fix{since})"))
    if rule.good:
        blocks.append(Heading("Left alone"))
        for good in rule.good[:examples]:
            blocks += [Paragraph(f"{sentence(good.why)}:")] if good.why else []
            blocks += [*_file(good), Code(good.code, language=_language(good))]
    if rule.fix_safety:
        blocks += [Heading("Fix safety"), *prose(rule.fix_safety)]
    facts = fact_sources(rule) if outcomes else []
    sources = [s for s in rule.sources if not (facts and s.startswith("knowledge base:"))] + facts
    if sources:
        blocks += [Heading("Sources"), Bullets(sources)]
    return blocks


_LANGUAGES = {
    "dockerfile": "dockerfile",
    "shell": "sh",
    "makefile": "make",
    "cmake": "cmake",
    "yaml": "yaml",
    "json": "json",
    "toml": "toml",
    "lock": "toml",
    "ini": "ini",
    "native": "cpp",
}


def _language(example: Bad | Good) -> str:
    """What a page calls the language of an example."""
    if not example.file:
        return "python"
    from uncuda.around.kinds import kind_of

    kind = kind_of(example.file)
    return _LANGUAGES.get(kind.value if kind is not None else "", "text")


def _file(example: Bad | Good) -> list[Block]:
    """The name of the file that an example stands in."""
    return [Paragraph(f"In {as_code(example.file)}:")] if example.file else []


@dataclass(frozen=True)
class _Tie:
    """What is known of a tie in a rule's examples, guards left out."""

    outcomes: Outcomes
    source: str | None


@cache
def _ties(rule: Rule) -> Mapping[str, _Tie]:
    """The ties in the rule's examples, by symbol. Where the rule finds something else in each of them than the table
    says of the symbol, it is told of another use of it: a mere name, say."""
    from uncuda.context import Options
    from uncuda.engine import check_text
    from uncuda.rules.knowledge import around_facts, lookup, package

    found: dict[str, list[Outcomes]] = {}
    for bad in rule.bad:
        codes = frozenset({rule.code})
        if isinstance(rule, FileRule):
            findings = check_example(rule, bad)
        else:
            findings = check_text(bad.code, Options(torch_floor=bad.floor, codes=codes)).findings
        for finding in findings:
            found.setdefault(finding.symbol, []).append(finding.outcomes)
    ties: dict[str, _Tie] = {}
    for symbol, told in found.items():
        api = lookup(symbol)
        known = api or around_facts().get(symbol) or package(symbol)
        if known is None:
            ties[symbol] = _Tie(told[0], None)
        else:
            another = api is not None and api.outcomes not in told
            ties[symbol] = _Tie(told[0] if another else known.outcomes, known.source)
    return ties


def rule_outcomes(rule: Rule) -> list[tuple[list[str], Outcomes]]:
    """What the ties in the rule's examples do on each target, guards left out; those that behave alike together."""
    found = {symbol: tie.outcomes for symbol, tie in _ties(rule).items()}
    groups: dict[tuple[str, ...], tuple[list[str], Outcomes]] = {}
    for symbol, outcomes in found.items():
        key = tuple(f"{target.value}={outcome.value}" for target, outcome in sorted(outcomes.items()))
        groups.setdefault(key, ([], outcomes))[0].append(symbol)
    return list(groups.values())


def fact_sources(rule: Rule) -> list[str]:
    """Where the outcomes of those ties come from, by the knowledge base."""
    by_source: dict[str, list[str]] = {}
    for symbol, tie in _ties(rule).items():
        if tie.source is not None:
            by_source.setdefault(tie.source, []).append(as_code(symbol.removeprefix("env:")))
    return [
        f"{', '.join(names[:_SHOWN])}{' and others' if len(names) > _SHOWN else ''}: {source}"
        for source, names in by_source.items()
    ]


_SHOWN = 6
"""Symbols that are named before a source."""


def check_example(rule: FileRule, example: Bad | Good) -> tuple[Finding, ...]:
    """What a rule finds in an example of a file around the code."""
    from uncuda.around.engine import check_file
    from uncuda.around.kinds import kind_of

    kind = kind_of(example.file)
    assert kind is not None, f"{example.file} is of no kind that is known"
    return check_file(example.code, kind, shown=example.file, codes=frozenset({rule.code}))


def rule_data(rule: Rule) -> dict[str, Any]:
    """The same as plain data, with every example."""
    return {
        "kind": "rule",
        "code": rule.code,
        "name": rule.name,
        "summary": rule.summary(),
        "why": rule.why(),
        "category": rule.category.value,
        "effort": rule.effort,
        "fix": rule.fixability(),
        "fix_safety": rule.fix_safety or None,
        "outcomes": [
            {"symbols": symbols, "outcomes": plain_outcomes(outcomes)}
            for symbols, outcomes in rule_outcomes(rule)
        ],
        "bad": [
            {
                **({"file": bad.file} if bad.file else {}),
                "code": bad.code,
                "fixed": bad.fixed,
                "applicability": bad.applicability.value if bad.fixed is not None else None,
                "torch_floor": dotted(bad.floor),
            }
            for bad in rule.bad
        ],
        "good": [
            {**({"file": good.file} if good.file else {}), "code": good.code, "why": good.why or None}
            for good in rule.good
        ],
        "sources": list(rule.sources),
    }


def plain_outcomes(outcomes: Outcomes | Mapping[Any, Any]) -> dict[str, str]:
    """Outcomes by the names of the targets."""
    return {target.value: outcome.value for target, outcome in outcomes.items()}


__all__ = ["Page", "page", "plain_outcomes", "rule_blocks", "rule_data", "rule_outcomes"]
