"""Markdown for a pull request's comment: a table by rule, then the findings."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from uncuda.report.ansi import Style, visible
from uncuda.report.summary import plural, totals
from uncuda.results import Run, dotted, grouped_outcomes

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:])")
_LIMIT = 60_000
"""Characters; a comment on GitHub may have 65,536."""


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it is: no markup, no links, no mentions."""
    escaped = _SPECIAL.sub(r"\\\1", visible(text).replace("&", "&amp;"))
    return escaped.replace("@", "@<!-- -->")


def code_span(text: str) -> str:
    """`text` as a code span, whatever back-ticks it holds; safe in a table's cell too."""
    shown = visible(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def prose(text: str) -> str:
    """A message: what stands between single back-ticks becomes a code span, the rest is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(
        (code_span(part) if part else "") if number % 2 else escape(part) for number, part in enumerate(parts)
    )


def render(run: Run, style: Style) -> str:
    """The comment, cut at a whole finding where it would be too long for one."""
    out = ["## uncuda: ties to CUDA", ""]
    findings = run.findings
    plain = Style(unicode=True)
    for line in totals(replace(run, totals=True), plain):
        out += [escape(line), ""]
    if findings:
        counts = Counter((p.finding.code, p.finding.name) for _, p in findings)
        out += ["| rule | name | findings | fixable |", "|---|---|---:|---:|"]
        for (code, name), count in sorted(counts.items()):
            fixable = sum(1 for _, p in findings if p.finding.code == code and p.fixable(unsafe=True))
            out.append(f"| {code_span(code)} | {escape(name)} | {count} | {fixable} |")
        out.append("")
    size = sum(map(len, out))
    listed = 0
    for file in run.files:
        if not file.findings and file.problem is None:
            continue
        block = [f"### {code_span(file.display)}", ""]
        if file.problem is not None:
            block += [f"- **error**: {escape(file.problem.message)}"]
        for placed in file.findings:
            outcomes = "; ".join(
                f"{outcome.value}: {', '.join(t.value for t in targets)}"
                for outcome, targets in grouped_outcomes(placed.finding, file.targets)
            )
            line = f"- line {placed.start.row}: **{placed.finding.code}** {prose(placed.finding.message)}"
            if outcomes:
                line += f"  \n  {escape(outcomes)}"
            fix = placed.finding.fix
            if fix is not None:
                line += f"  \n  fix ({fix.applicability.value}): {prose(fix.title)}"
            elif placed.finding.fix_needs is not None:
                line += f"  \n  fix: from torch {dotted(placed.finding.fix_needs)} on"
            size += len(line) + 1
            if size > _LIMIT:
                break
            listed += 1
            block.append(line)
        out += [*block, ""]
        if size > _LIMIT:
            out += [f"*and {plural(len(findings) - listed, 'finding')} more*", ""]
            break
    return "\n".join(out)
