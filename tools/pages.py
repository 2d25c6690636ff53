"""The pages of docs/ that are made from the rules, the knowledge base and the settings' own descriptions."""

from __future__ import annotations

import json
from pathlib import Path

from uncuda.findings import Target
from uncuda.report.blocks import Block, Heading, Paragraph, Table, as_code, markdown
from uncuda.report.fact_pages import target_blocks
from uncuda.report.links import rule_page
from uncuda.report.rule_pages import rule_blocks
from uncuda.rules import catalogue, knowledge
from uncuda.rules.base import Rule
from uncuda.rules.registry import by_code
from uncuda.settings import Settings, json_schema, plain

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXAMPLES = 6
"""So many examples of each kind are on a rule's page."""

_TRUST = "[what safe and unsafe mean](../fix-safety.md)"


def _note(source: str) -> str:
    return f"<!-- Made from {source} by tools/made.py. -->\n\n"


def rule_text(rule: Rule) -> str:
    """A rule's page."""
    source = f"{type(rule).__module__.removeprefix('uncuda.').replace('.', '/')}.py"
    blocks: list[Block] = [
        *rule_blocks(rule, examples=EXAMPLES, outcomes=True),
        Paragraph(f"[All rules](README.md) · {_TRUST} · [how to silence it](../suppressions.md)"),
    ]
    return _note(source) + markdown(blocks)


def rules_index(families: dict[str, str]) -> str:
    """The list of all rules by family."""
    blocks: list[Block] = [
        Heading("Rules", 1),
        Paragraph(
            "Every rule with a page of its own, which `uncuda explain CODE` shows as well. Choose among them with "
            f"`--select` and `--ignore`, by code, by the beginning of codes or by name. Fixes: {_TRUST}."
        ),
    ]
    for family, about in families.items():
        infos = [info for info in catalogue.catalogue() if info.code.startswith(family)]
        rows = [
            (
                f"[{info.code}]({Path(rule_page(info.code)).name})",
                info.name,
                "" if info.fix == "none" else info.fix,
                info.summary,
            )
            for info in infos
        ]
        blocks += [
            Heading(f"{family}xx: {about}"),
            Table(("code", "name", "fix", "what it is about"), rows),
        ]
    return _note("the rules") + markdown(blocks)


def target_text(target: Target) -> str:
    """A target's page: what sets it apart, and what becomes of every name and package there."""
    blocks = [
        *target_blocks(knowledge.target(target), whole=True),
        Paragraph("[All targets](README.md) · [how the facts were found](../knowledge.md)"),
    ]
    return _note("the knowledge base") + markdown(blocks)


def targets_index() -> str:
    """The list of all targets."""
    rows = []
    for target in Target:
        facts = knowledge.target(target)
        link = f"[{target.value}]({target.value}.md)"
        rows.append((link, facts.title, as_code(facts.device), as_code(facts.backend), facts.pip))
    blocks: list[Block] = [
        Heading("Targets", 1),
        Paragraph(
            "What code for CUDA does on each kind of hardware that `--target` knows, and what to write and to install "
            "there instead. `uncuda explain TARGET` shows the first part of a page."
        ),
        Table(("`--target`", "what", "device", "torch.distributed", "install"), rows),
    ]
    return _note("the knowledge base") + markdown(blocks)


def settings_list() -> str:
    """Every setting with its meaning and default, for docs/settings.md."""
    schema = json_schema()["properties"]
    assert isinstance(schema, dict)
    defaults = plain(Settings())
    parts: list[str] = []
    for key, entry in schema.items():
        default = defaults.get(key)
        shown = "not set" if default is None or default == {} else as_code(json.dumps(default))
        parts.append(
            f"### {key}\n\n{entry['description']}\n\n- **Type**: {_type(entry)}\n- **Default**: {shown}\n"
        )
    return "\n".join(parts).rstrip("\n")


def _type(entry: dict[str, object]) -> str:
    values = entry.get("enum")
    if isinstance(values, list):
        return " or ".join(as_code(json.dumps(value)) for value in values)
    if entry["type"] == "array":
        items = entry.get("items")
        assert isinstance(items, dict)
        return f"list of {_type(items)}" if "enum" in items else "list of texts"
    return {
        "string": "text",
        "boolean": "`true` or `false`",
        "object": "table of patterns, each with a list of rules",
    }[str(entry["type"])]


def pages(families: dict[str, str]) -> dict[Path, str]:
    """Every page that is made as a whole, by its path."""
    made = {DOCS / rule_page(code): rule_text(rule) for code, rule in by_code().items()}
    made |= {DOCS / "targets" / f"{target.value}.md": target_text(target) for target in Target}
    made[DOCS / "rules" / "README.md"] = rules_index(families)
    made[DOCS / "targets" / "README.md"] = targets_index()
    return made


def left_over(made: dict[Path, str]) -> list[Path]:
    """Pages of rules and targets that are no longer there."""
    there = {path for folder in ("rules", "targets") for path in (DOCS / folder).iterdir()}
    return sorted(there - set(made))
