"""The audit in a terminal: short at the top, deep below."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uncuda.audit.history import sparkline
from uncuda.audit.model import Audit, Place, Remedy, Verdict
from uncuda.audit.wording import cost, days, examples, files, items, shares, silent, ties, unchecked
from uncuda.findings import Outcome
from uncuda.report.ansi import Style, visible

_VERDICT = {
    Verdict.READY: "green",
    Verdict.AFTER_FIXES: "cyan",
    Verdict.WORK: "yellow",
    Verdict.BLOCKED: "red",
}
_OUTCOME = {
    Outcome.CRASH: "red",
    Outcome.SILENT_CPU: "magenta",
    Outcome.DEGRADED: "yellow",
    Outcome.UNKNOWN: "dim",
    Outcome.HARMLESS: "dim",
    Outcome.WORKS: "green",
}
_SHOWN = 8


def render(audit: Audit, style: Style) -> str:
    """The report for a terminal as wide as `style` says."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(60, style.width),
        force_terminal=style.color,
        no_color=not style.color,
        color_system="standard" if style.color else None,
        highlight=False,
        markup=False,
        legacy_windows=False,
    )
    _head(console, audit)
    _targets(console, audit)
    _silent(console, audit)
    _blockers(console, audit)
    if audit.kinds:
        _kinds(console, audit)
    _symbols(console, audit)
    _sources(console, audit)
    _spots(console, audit)
    _trend(console, audit)
    _plan(console, audit)
    _foot(console, audit)
    return out.getvalue()


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def _print(console: Console, table: Table) -> None:
    console.print(table)
    console.print()


def _head(console: Console, audit: Audit) -> None:
    total = len(audit.ties)
    name = visible(audit.name)
    entry = f", as reached from {visible(audit.entry)}" if audit.entry else ""
    console.print(Text(f"What ties {name} to CUDA{entry}", style="bold"))
    console.print(
        f"{ties(total)} in {files(audit.files)}, {audit.lines} lines; torch floor {audit.torch_floor}"
    )
    open_ties = total - audit.remedies.get(Remedy.NONE, 0)
    if open_ties:
        console.print(f"of {open_ties} that matter: {shares(audit)}")
        console.print(f"effort: {audit.points:g} story points, {days(audit.days)}")
    console.print()


def _targets(console: Console, audit: Audit) -> None:
    table = _table("target", "verdict", "today", "effort")
    for standing in audit.standings:
        today = Text()
        for number, (outcome, count) in enumerate(standing.counts.items()):
            today.append(", " if number else "")
            today.append(f"{count} {outcome.value}", style=_OUTCOME[outcome])
        verdict = Text(standing.verdict.value, style=_VERDICT[standing.verdict])
        table.add_row(standing.target.value, verdict, today, cost(standing))
    _print(console, table)


def _kinds(console: Console, audit: Audit) -> None:
    table = _table("kind", "ties", "worst outcome", "undone by", right=("ties",))
    for row in audit.kinds:
        outcomes = Text(", ").join(Text(f"{n} {o.value}", style=_OUTCOME[o]) for o, n in row.outcomes.items())
        table.add_row(
            row.title, str(row.count), outcomes, ", ".join(f"{n} {r.value}" for r, n in row.remedies.items())
        )
    _print(console, table)


def _places(console: Console, title: str, style: str, places: list[Place]) -> None:
    if not places:
        return
    console.print(Text(f"{title} ({len(places)})", style=style))
    for place in places[:_SHOWN]:
        console.print(Text(f"  {visible(place.path)}:{place.row}  {visible(place.text)}"), soft_wrap=False)
    if len(places) > _SHOWN:
        console.print(f"  and {len(places) - _SHOWN} more")
    console.print()


def _silent(console: Console, audit: Audit) -> None:
    _places(console, "Silent: runs on the CPU with no error", "bold magenta", silent(audit))


def _blockers(console: Console, audit: Audit) -> None:
    seen = {p.text: p for s in audit.standings for p in s.blockers}
    _places(console, "Blockers", "bold red", list(seen.values()))


def _symbols(console: Console, audit: Audit) -> None:
    rows = audit.apis[:12]
    if not rows:
        return
    table = _table("used most", "times", "instead", right=("times",))
    for row in rows:
        table.add_row(visible(row.symbol), str(row.count), Text(visible(row.replacement), style="dim"))
    _print(console, table)


def _sources(console: Console, audit: Audit) -> None:
    if not audit.sources:
        return
    table = _table("kernels in", "files", "kernels", "lines", right=("files", "kernels", "lines"))
    for row in audit.sources:
        table.add_row(visible(row.language), str(row.files), str(row.kernels), str(row.lines))
    _print(console, table)


def _spots(console: Console, audit: Audit) -> None:
    rows = audit.hotspots[:8]
    if len(rows) < 2:
        return
    table = _table("most work in", "ties", "points", right=("ties", "points"))
    for row in rows:
        table.add_row(visible(row.path), str(row.ties), f"{row.points:g}")
    _print(console, table)


def _trend(console: Console, audit: Audit) -> None:
    if not audit.trend:
        return
    first, last = audit.trend[0], audit.trend[-1]
    console.print(Text("Trend", style="bold"))
    for title, values in (
        ("ties", [p.ties for p in audit.trend]),
        ("that hurt", [p.hurting for p in audit.trend]),
        ("points", [p.points for p in audit.trend]),
    ):
        console.print(f"  {title:9} {sparkline(values)}  {values[0]:g} → {values[-1]:g}")
    console.print(Text(f"  {first.day} to {last.day}, {len(audit.trend)} commits", style="dim"))
    console.print()


def _plan(console: Console, audit: Audit) -> None:
    if not audit.plan:
        return
    console.print(Text("Plan", style="bold"))
    for number, phase in enumerate(audit.plan, 1):
        console.print(
            Text.assemble(
                f"{number}. ",
                (phase.title, "bold"),
                f"  {items(phase.count)}, {phase.points:g} points, {days(phase.days)}",
            )
        )
        for command in phase.commands:
            console.print(Text(f"   $ {visible(command)}", style="cyan"))
        for step in phase.tasks[:4]:
            detail = f": {visible(step.detail)}" if step.detail else ""
            console.print(
                Text(f"   {step.count} × {visible(step.title)}{detail}", style="dim"),
                overflow="ellipsis",
                no_wrap=True,
            )
        if len(phase.tasks) > 4:
            console.print(Text(f"   and {len(phase.tasks) - 4} more", style="dim"))
    console.print()


def _foot(console: Console, audit: Audit) -> None:
    if audit.examples:
        console.print(examples(audit))
    missed = unchecked(audit)
    if missed:
        console.print(Text(f"Not checked: {files(len(missed))}", style="bold"))
        for path, why in missed[:_SHOWN]:
            console.print(Text(f"  {visible(path)}: {visible(why)}"))
        if len(missed) > _SHOWN:
            console.print(Text(f"  and {len(missed) - _SHOWN} more", style="dim"))
        console.print()
    if not audit.ties:
        console.print(Text("Nothing ties this project to CUDA.", style="green"))
        return
    console.print(Text("How effort is counted: " + " ".join(audit.assumptions), style="dim"))
