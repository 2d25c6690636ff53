"""From findings to ties, verdicts, tables and a plan."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from uncuda.audit.effort import VERIFY, days, points_of
from uncuda.audit.kinds import KINDS, kind_of
from uncuda.audit.model import (
    ApiRow,
    FamilyRow,
    KindRow,
    Phase,
    Place,
    Remedy,
    Spot,
    Standing,
    Step,
    Tie,
    Verdict,
)
from uncuda.audit.programs import SHOWN, Program, target_of
from uncuda.findings import Applicability, Category, Outcome, Target
from uncuda.results import OUTCOME_ORDER, Placed

HURTS = (Outcome.CRASH, Outcome.SILENT_CPU)
"""Outcomes that keep a target from being ready."""
MATTERS = (*HURTS, Outcome.DEGRADED, Outcome.UNKNOWN)
SHOWN_PLACES = 20
IMPORT = "UC501"
_BLOCKING = (IMPORT, "UC502", "UC503")


def tie(path: str, placed: Placed, targets: Sequence[Target]) -> Tie:
    """A finding as the audit counts it."""
    finding = placed.finding
    matters = any(finding.outcomes.get(t, Outcome.UNKNOWN) in MATTERS for t in targets)
    remedy = _remedy(placed) if matters else Remedy.NONE
    blocker = (
        finding.code.startswith(_BLOCKING)
        and finding.category is Category.MANDATORY
        and remedy not in (Remedy.SAFE, Remedy.UNSAFE, Remedy.NONE)
    )
    return Tie(path, placed, kind_of(finding.code).key, remedy, blocker)


def _remedy(placed: Placed) -> Remedy:
    from uncuda.rules.knowledge import lookup

    if placed.fix is not None:
        return {
            Applicability.SAFE: Remedy.SAFE,
            Applicability.UNSAFE: Remedy.UNSAFE,
            Applicability.DISPLAY: Remedy.SUGGESTION,
        }[placed.fix.applicability]
    api = lookup(placed.finding.symbol)
    return Remedy.SUGGESTION if api is not None and api.replacement else Remedy.HAND


def worst(tie: Tie, targets: Sequence[Target]) -> Outcome:
    """The worst outcome of a tie on these targets."""
    return min((tie.outcome(t) for t in targets), key=OUTCOME_ORDER.index, default=Outcome.UNKNOWN)


def place(tie: Tie) -> Place:
    """Where a tie is, with its message."""
    return Place(tie.path, tie.row, tie.placed.finding.message)


# -- targets -----------------------------------------------------------------------------------------------


def standing(target: Target, ties: Sequence[Tie], loaders: Mapping[str, Sequence[str]]) -> Standing:
    """Where the project stands on one target. `loaders`: the places at which a file is imported when others load."""
    from uncuda.rules.knowledge import target as facts

    counts = Counter(t.outcome(target) for t in ties)
    hurting = [t for t in ties if t.outcome(target) in HURTS]
    mattering = [t for t in ties if t.outcome(target) in MATTERS]
    blockers = [t for t in hurting if t.blocker and t.outcome(target) is Outcome.CRASH]
    if blockers:
        verdict = Verdict.BLOCKED
    elif not hurting:
        # What nobody knows has to be tried.
        verdict = Verdict.WORK if counts[Outcome.UNKNOWN] else Verdict.READY
    elif all(t.remedy is Remedy.SAFE for t in hurting):
        verdict = Verdict.AFTER_FIXES
    else:
        verdict = Verdict.WORK
    points = points_of(mattering)
    if mattering and target is not Target.CPU:
        points += VERIFY
    return Standing(
        target=target,
        title=facts(target).title,
        verdict=verdict,
        counts={o: counts[o] for o in OUTCOME_ORDER if counts[o]},
        silent=_places(ties, target, Outcome.SILENT_CPU),
        crashes=_places(ties, target, Outcome.CRASH),
        degraded=_places(ties, target, Outcome.DEGRADED),
        blockers=tuple(_first_of_each(blockers, loaders)),
        left=_remedies(mattering),
        points=points,
        days=days(points),
    )


def _places(ties: Iterable[Tie], target: Target, outcome: Outcome) -> tuple[Place, ...]:
    """Where an outcome threatens; what the program handles comes last."""
    found = [t for t in ties if t.outcome(target) is outcome]
    return tuple(place(t) for t in sorted(found, key=is_handled))


def is_handled(tie: Tie) -> bool:
    """Can the program do without what it is tied to?"""
    return tie.placed.finding.category is Category.POTENTIAL


def _first_of_each(ties: Iterable[Tie], loaders: Mapping[str, Sequence[str]]) -> Iterable[Place]:
    seen: set[str] = set()
    for item in ties:
        if item.symbol not in seen:
            seen.add(item.symbol)
            by = loaders.get(item.path, ())
            at = place(item)
            yield replace(at, text=f"{at.text}; loaded by {', '.join(by[:3])}") if by else at


def _remedies(ties: Iterable[Tie]) -> dict[Remedy, int]:
    counts = Counter(t.remedy for t in ties)
    return {r: counts[r] for r in Remedy if counts[r]}


# -- tables ------------------------------------------------------------------------------------------------


def kind_rows(ties: Sequence[Tie], targets: Sequence[Target]) -> tuple[KindRow, ...]:
    """The table by kind, without empty rows."""
    rows: list[KindRow] = []
    for kind in KINDS:
        mine = [t for t in ties if t.kind == kind.key]
        if mine:
            rows.append(
                KindRow(
                    kind.key,
                    kind.title,
                    len(mine),
                    worst_of(mine, targets),
                    _remedies(mine),
                    _sum(mine),
                )
            )
    return tuple(rows)


def _sum(ties: Iterable[Tie]) -> float:
    return round(sum(t.points for t in ties), 2)


_FAMILIES = {
    "UC1": "Placement",
    "UC2": "Runtime",
    "UC3": "Numerics",
    "UC4": "Distributed",
    "UC5": "Kernels and packages",
    "UC6": "Frameworks",
    "UC7": "Process and tests",
    "UC8": "Files around the code",
}


def family_rows(ties: Sequence[Tie], targets: Sequence[Target]) -> tuple[FamilyRow, ...]:
    """The ties by family of rules, without empty rows."""
    rows: list[FamilyRow] = []
    for code in sorted({t.code[:3] for t in ties}):
        mine = [t for t in ties if t.code.startswith(code)]
        title = _FAMILIES.get(code, "Others")
        rows.append(FamilyRow(code, title, len(mine), worst_of(mine, targets), _remedies(mine)))
    return tuple(rows)


def worst_of(ties: Iterable[Tie], targets: Sequence[Target]) -> dict[Outcome, int]:
    """How many ties have which worst outcome on these targets."""
    found = Counter(worst(t, targets) for t in ties)
    return {o: found[o] for o in OUTCOME_ORDER if found[o]}


def symbol_rows(ties: Sequence[Tie]) -> tuple[ApiRow, ...]:
    """What is used, most used first."""
    by_symbol: dict[str, list[Tie]] = defaultdict(list)
    for item in ties:
        by_symbol[item.symbol].append(item)
    rows = [
        ApiRow(
            symbol,
            len(mine),
            tuple(place(t) for t in mine[:SHOWN_PLACES]),
            {t: min((m.outcome(t) for m in mine), key=OUTCOME_ORDER.index) for t in Target},
            _replacement(symbol),
            _sum(mine),
        )
        for symbol, mine in by_symbol.items()
    ]
    return tuple(sorted(rows, key=lambda r: (-r.count, r.symbol)))


_NEW = (2, 0)
"""Floors below it are nobody's any more."""


def _replacement(symbol: str) -> str:
    from uncuda.rules.knowledge import lookup, package

    api = lookup(symbol)
    if api is not None:
        new = api.replacement and api.min_torch and api.min_torch >= _NEW
        floor = f" (torch {'.'.join(map(str, api.min_torch or ()))})" if new else ""
        return f"{api.replacement or ''}{floor}"
    found = package(symbol)
    return found.alternative if found is not None else ""


def spots(ties: Sequence[Tie]) -> tuple[tuple[Spot, ...], tuple[Spot, ...]]:
    """Files and directories by effort, the greatest first."""
    count: dict[str, Counter[str]] = {"file": Counter(), "directory": Counter()}
    points: dict[str, Counter[str]] = {"file": Counter(), "directory": Counter()}
    for item in ties:
        names = {"file": item.path, "directory": str(PurePosixPath(item.path).parent)}
        for key, name in names.items():
            count[key][name] += 1
            points[key][name] += item.points  # type: ignore[assignment]

    def made(key: str) -> tuple[Spot, ...]:
        found = [Spot(name, count[key][name], round(cost, 2)) for name, cost in points[key].items()]
        return tuple(sorted(found, key=lambda s: (-s.points, -s.ties, s.path)))

    return made("file"), made("directory")


# -- the plan ----------------------------------------------------------------------------------------------


def plan(
    ties: Sequence[Tie], targets: Sequence[Target], paths: Sequence[str], rehearsed: Sequence[Program] = ()
) -> tuple[Phase, ...]:
    """The phases, empty ones left out. `rehearsed`: the programs that a rehearsal can run."""
    where = shlex.join(paths) or "."
    target = f" --target {','.join(t.value for t in targets)}" if len(targets) < len(Target) else ""
    open_ties = [t for t in ties if t.remedy is not Remedy.NONE]
    safe = [t for t in open_ties if t.remedy is Remedy.SAFE]
    unsafe = [t for t in open_ties if t.remedy is Remedy.UNSAFE]
    packages = [t for t in open_ties if t.kind == "packages"]
    kernels = [t for t in open_ties if t.kind == "kernels"]
    deployment = [t for t in open_ties if t.kind in ("deployment", "process") and t not in (*safe, *unsafe)]
    taken = {id(t) for t in (*safe, *unsafe, *packages, *kernels, *deployment)}
    review = [t for t in open_ties if id(t) not in taken]
    phases = [
        _phase(
            "Now, automatically",
            "Fixes that were executed before and after: CUDA users see no difference, the CPU loses nothing.",
            safe,
            command=f"uncuda check {where}{target} --fix",
        ),
        _phase(
            "Fixes to look at",
            "Fixes whose result depends on something that one file doesn't tell.",
            unsafe,
            command=f"uncuda check {where}{target} --fix --unsafe-fixes --show-fixes",
            risks=("Read the diff: each of these changes what some user of the code may rely on.",),
        ),
        _phase("Suggestions", "Ties with a known replacement that a person has to write.", review),
        _phase(
            "Packages to swap",
            "Packages that are built for CUDA, with what to use instead.",
            packages,
            risks=(
                "A substitute may round or run differently: compare results and speed before the switch.",
            ),
        ),
        _phase(
            "Kernels to port",
            "Code for one vendor's compiler: keep a torch path beside it, and register kernels by device.",
            kernels,
            risks=("A fallback in torch can be an order of magnitude slower.",),
        ),
        _phase("Deployment", "Images, requirements, variables and scripts around the code.", deployment),
    ]
    phases = [p for p in phases if p is not None]
    if open_ties:
        phases.append(_verification(where, target, targets, rehearsed))
    return tuple(p for p in phases if p is not None)


def _phase(
    title: str, why: str, ties: Sequence[Tie], *, command: str = "", risks: tuple[str, ...] = ()
) -> Phase | None:
    if not ties:
        return None
    by_symbol: dict[tuple[str, str], list[Tie]] = defaultdict(list)
    for item in ties:
        by_symbol[item.code, item.symbol].append(item)
    steps = [
        Step(f"`{symbol}` ({code})", len(mine), _sum(mine), _made(mine) if command else _replacement(symbol))
        for (code, symbol), mine in by_symbol.items()
    ]
    steps.sort(key=lambda s: (-s.points, -s.count, s.title))
    points = _sum(ties)
    if command:
        steps.insert(0, Step("Run", len(ties), 0.0, command=command))
    return Phase(title, why, tuple(steps), points, days(points), risks)


def _made(ties: Sequence[Tie]) -> str:
    """What the fixes of some ties do, in their own words."""
    titles = (t.placed.finding.fix.title for t in ties if t.placed.finding.fix is not None)
    return "; ".join(dict.fromkeys(titles))


def _rehearsals(targets: Sequence[Target], rehearsed: Sequence[Program]) -> Iterable[Step]:
    """The programs on a simulated accelerator, where no real one is needed."""
    target = target_of(targets)
    if target is None:
        return
    for program in rehearsed[:SHOWN]:
        yield Step(f"Rehearse {program.path}", 1, 0.0, command=program.command(target))
    left = len(rehearsed) - SHOWN
    if left > 0:
        yield Step("more programs to rehearse" if left > 1 else "more program to rehearse", left, 0.0)


def _verification(where: str, target: str, targets: Sequence[Target], rehearsed: Sequence[Program]) -> Phase:
    names = ", ".join(t.value for t in targets if t is not Target.CPU)
    steps = [
        Step(
            "No tie comes back: let the CI run",
            1,
            0.0,
            command=f"uncuda check {where}{target} --fail-on error",
        ),
        Step(
            "The project's tests pass on a host without CUDA",
            1,
            0.0,
            "with the CPU build of torch, where whatever still asks for CUDA raises",
        ),
        *_rehearsals(targets, rehearsed),
    ]
    if names:
        steps.append(Step(f"A short run on {names}: results and speed beside the CUDA run's", 1, VERIFY))
    return Phase(
        "Verification",
        "What a checker can't see: numbers, speed, and the parts of a device's stack that are missing.",
        tuple(steps),
        VERIFY if names else 0.0,
        days(VERIFY if names else 0.0),
    )
