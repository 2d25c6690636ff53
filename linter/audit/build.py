"""Makes an audit of a checked project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uncuda.audit import judge
from uncuda.audit.effort import ASSUMPTIONS, days
from uncuda.audit.model import Audit, Point, Remedy, Tie
from uncuda.findings import Category, Target
from uncuda.results import FileResult

GATE = "UC702"


def build(
    results: Sequence[FileResult],
    *,
    root: Path,
    name: str,
    paths: Sequence[str],
    targets: Sequence[Target],
    torch_floor: str,
    files: int,
    lines: int,
    entry: str | None = None,
    revision: str | None = None,
    web: str | None = None,
    trend: Sequence[Point] = (),
) -> Audit:
    """The audit of `results`, whose findings must be those of every severity."""
    ties: list[Tie] = [
        judge.tie(result.display.replace("\\", "/"), placed, targets)
        for result in results
        for placed in result.findings
        if placed.finding.outcomes
    ]
    standings = tuple(judge.standing(target, ties) for target in targets)
    files_by_effort, directories = judge.spots(ties)
    plan = judge.plan(ties, targets, paths)
    points = round(sum(phase.points for phase in plan), 2)
    counted = {r: sum(t.remedy is r for t in ties) for r in Remedy}
    kinds = ("packages", "kernels", "deployment", "process")
    return Audit(
        root=root,
        name=name,
        targets=tuple(targets),
        torch_floor=torch_floor,
        files=files,
        lines=lines,
        ties=tuple(ties),
        standings=standings,
        kinds=judge.kind_rows(ties, targets),
        apis=judge.symbol_rows([t for t in ties if t.kind not in kinds]),
        packages=judge.symbol_rows([t for t in ties if t.kind == "packages"]),
        kernels=judge.symbol_rows([t for t in ties if t.kind == "kernels"]),
        deployment=judge.symbol_rows([t for t in ties if t.kind in ("deployment", "process")]),
        gates=tuple(judge.place(t) for t in ties if t.code == GATE),
        handled=sum(t.placed.finding.category is Category.POTENTIAL for t in ties),
        hotspots=files_by_effort,
        directories=directories,
        plan=plan,
        points=points,
        days=days(points),
        assumptions=ASSUMPTIONS,
        remedies={r: n for r, n in counted.items() if n},
        problems=tuple((r.display, r.problem.message) for r in results if r.problem is not None),
        entry=entry,
        revision=revision,
        web=web,
        trend=tuple(trend),
        suppressed=sum(r.suppressed for r in results),
    )
