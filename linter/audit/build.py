"""Makes an audit of a checked project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from uncuda.audit import judge
from uncuda.audit.effort import ASSUMPTIONS, costed, days
from uncuda.audit.model import Audit, Point, Remedy, SourceRow, Tie
from uncuda.audit.programs import Program
from uncuda.findings import Target

GATE = "UC702"


def build(
    ties: Sequence[Tie],
    problems: Sequence[tuple[str, str]] = (),
    unparsed: Sequence[tuple[str, str]] = (),
    *,
    root: Path,
    name: str,
    paths: Sequence[str],
    targets: Sequence[Target],
    torch_floor: str,
    files: int,
    lines: int,
    suppressed: int = 0,
    entry: str | None = None,
    revision: str | None = None,
    web: str | None = None,
    trend: Sequence[Point] = (),
    loaders: Mapping[str, Sequence[str]] | None = None,
    sources: Sequence[SourceRow] = (),
    examples: Sequence[Tie] = (),
    rehearsed: Sequence[Program] = (),
) -> Audit:
    """The audit of `ties`, which must be those of every severity."""
    ties = costed(ties)
    standings = tuple(judge.standing(target, ties, loaders or {}) for target in targets)
    files_by_effort, directories = judge.spots(ties)
    plan = judge.plan(ties, targets, paths, rehearsed)
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
        families=judge.family_rows(ties, targets),
        outcomes=judge.worst_of(ties, targets),
        apis=judge.symbol_rows([t for t in ties if t.kind not in kinds]),
        packages=judge.symbol_rows([t for t in ties if t.kind == "packages"]),
        kernels=judge.symbol_rows([t for t in ties if t.kind == "kernels"]),
        sources=tuple(sources),
        deployment=judge.symbol_rows([t for t in ties if t.kind in ("deployment", "process")]),
        gates=tuple(judge.place(t) for t in ties if t.code == GATE),
        guards=tuple(judge.place(t) for t in ties if judge.is_handled(t)),
        hotspots=files_by_effort,
        directories=directories,
        plan=plan,
        points=points,
        days=days(points),
        assumptions=ASSUMPTIONS,
        remedies={r: n for r, n in counted.items() if n},
        examples=tuple(examples),
        problems=tuple(problems),
        unparsed=tuple(unparsed),
        entry=entry,
        revision=revision,
        web=web,
        trend=tuple(trend),
        suppressed=suppressed,
    )
