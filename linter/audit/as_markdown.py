"""The audit as Markdown that fits a comment on a pull request."""

from __future__ import annotations

import re

from uncuda.audit.history import sparkline
from uncuda.audit.model import Audit, Place, Remedy, Step
from uncuda.audit.wording import cost, counts, days, examples, files, items, shares, silent, ties, unchecked
from uncuda.report.ansi import visible

LIMIT = 60_000
"""Comments hold a little more; what doesn't fit is left out, and said so."""
_SHOWN = 10
_STEPS = 5


def render(audit: Audit) -> str:
    """The report, cut to what fits."""
    parts = [
        _head(audit),
        _targets(audit),
        _kinds(audit),
        _silent(audit),
        _blockers(audit),
        _sources(audit),
        _trend(audit),
        _plan(audit),
        _examples(audit),
        _unchecked(audit),
        _assumptions(audit),
    ]
    out: list[str] = []
    size = 0
    for part in filter(None, parts):
        if size + len(part) > LIMIT:
            out.append("*The rest doesn't fit here; see the HTML or JSON report.*\n")
            break
        out.append(part)
        size += len(part)
    return "\n".join(out)


_CODE = re.compile(r"`([^`]+)`")


def escaped(text: str) -> str:
    """Text of the checked project, harmless in a table; what stands in backquotes stays code."""
    out: list[str] = []
    at = 0
    for found in _CODE.finditer(text):
        out += [_plain(text[at : found.start()]), f"<code>{_plain(found[1])}</code>"]
        at = found.end()
    return "".join([*out, _plain(text[at:])])


def _plain(text: str) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_[]|#~":
        safe = safe.replace(mark, f"\\{mark}")
    return re.sub(r"\s+", " ", safe).replace("@", "@\u200b")


def link(audit: Audit, place: Place) -> str:
    """A place, linked to the repository's web view where that is known."""
    text = f"{escaped(place.path)}:{place.row}"
    if audit.web is None:
        return text
    from urllib.parse import quote

    return f"[{text}]({audit.web}/{quote(place.path)}#L{place.row})"


def _head(audit: Audit) -> str:
    name = escaped(audit.name)
    at = f" at {audit.revision[:10]}" if audit.revision else ""
    total = len(audit.ties)
    open_ties = total - audit.remedies.get(Remedy.NONE, 0)
    by = f" Of {open_ties} that matter: {shares(audit)}." if open_ties else ""
    return (
        f"## CUDA ties of {name}{at}\n\n"
        f"{ties(total)} in {files(audit.files)}.{by} Effort: {audit.points:g} story points, {days(audit.days)}.\n"
    )


def _targets(audit: Audit) -> str:
    rows = [
        f"| {escaped(s.title)} | **{s.verdict.value}** | {counts(s.counts)} | {cost(s)} |"
        for s in audit.standings
    ]
    return "| target | verdict | today | effort |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _kinds(audit: Audit) -> str:
    if not audit.kinds:
        return ""
    rows = [
        f"| {row.title} | {row.count} | {counts(row.outcomes)} | {counts(row.remedies)} |"
        for row in audit.kinds
    ]
    return "| kind | ties | worst outcome | undone by |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _silent(audit: Audit) -> str:
    return _listed(audit, "Silent: runs on the CPU with no error", silent(audit))


def _blockers(audit: Audit) -> str:
    seen: dict[str, Place] = {}
    for standing in audit.standings:
        for place in standing.blockers:
            seen.setdefault(place.text, place)
    return _listed(audit, "Blockers", list(seen.values()))


def _listed(audit: Audit, title: str, places: list[Place]) -> str:
    lines = [f"{link(audit, p)}: {escaped(p.text)}" for p in places]
    return _section(f"{title} ({len(lines)})", lines)


def _section(title: str, lines: list[str]) -> str:
    """The first of some lines under a heading; nothing where there are none."""
    if not lines:
        return ""
    shown = [f"- {line}" for line in lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        shown.append(f"- and {len(lines) - _SHOWN} more")
    return f"### {title}\n\n" + "\n".join(shown) + "\n"


def _sources(audit: Audit) -> str:
    if not audit.sources:
        return ""
    rows = [f"| {escaped(r.language)} | {r.files} | {r.kernels} | {r.lines} |" for r in audit.sources]
    return "| kernels in | files | kernels | lines |\n|---|--:|--:|--:|\n" + "\n".join(rows) + "\n"


def _examples(audit: Audit) -> str:
    return f"{examples(audit)}.\n" if audit.examples else ""


def _unchecked(audit: Audit) -> str:
    lines = [f"{escaped(path)}: {escaped(why)}" for path, why in unchecked(audit)]
    return _section(f"Not checked ({files(len(lines))})", lines)


def _assumptions(audit: Audit) -> str:
    if not audit.plan:
        return ""
    lines = "\n".join(f"- {line}" for line in audit.assumptions)
    return f"<details><summary>How effort is counted</summary>\n\n{lines}\n\n</details>\n"


def _trend(audit: Audit) -> str:
    if not audit.trend:
        return ""
    first, last = audit.trend[0], audit.trend[-1]
    bars = sparkline([p.ties for p in audit.trend])
    return f"### Trend\n\n{bars} {first.ties} ties on {first.day}, {last.ties} on {last.day}\n"


def _plan(audit: Audit) -> str:
    if not audit.plan:
        return ""
    out = ["### Plan\n"]
    for number, phase in enumerate(audit.plan, 1):
        out += [f"{number}. **{phase.title}** ({items(phase.count)}, {days(phase.days)}). {phase.why}"]
        if phase.commands:
            lines = [f"$ {visible(command)}" for command in phase.commands]
            out += [f"   {line}" for line in ("```console", *lines, "```")]
        out += [f"   - {_step(step)}" for step in phase.tasks[:_STEPS]]
        if len(phase.tasks) > _STEPS:
            out.append(f"   - and {len(phase.tasks) - _STEPS} more")
    return "\n".join(out) + "\n"


def _step(step: Step) -> str:
    detail = f": {escaped(step.detail)}" if step.detail else ""
    return f"{step.count} × {escaped(step.title)}{detail}"
