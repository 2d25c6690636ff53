"""The audit as one HTML file: no network, readable in the dark, by keyboard, on paper."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import quote

from markupsafe import Markup, escape

from uncuda import __version__
from uncuda.audit import wording
from uncuda.audit.history import curve
from uncuda.audit.judge import place
from uncuda.audit.model import Audit, Remedy, Spot, Verdict
from uncuda.audit.treemap import treemap
from uncuda.findings import Outcome, Target
from uncuda.report.ansi import visible

WIDTH, HEIGHT = 1000, 320
TREND_HEIGHT = 160
TREE_ITEMS = 60
_VERDICT_CLASS = {
    Verdict.READY: "ready",
    Verdict.AFTER_FIXES: "fixes",
    Verdict.WORK: "work",
    Verdict.BLOCKED: "blocked",
}


@dataclass(frozen=True)
class Tile:
    """A rectangle of the treemap with what is written into it."""

    x: float
    y: float
    width: float
    height: float
    spot: Spot
    label: str
    level: int


def render(audit: Audit) -> str:
    """The report as text. All text of the checked project is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(days=wording.days, cost=wording.cost, items=wording.items, files=wording.files)
    environment.filters["visible"] = visible
    environment.filters["coded"] = _coded
    environment.globals.update(
        Outcome=Outcome, Remedy=Remedy, Target=Target, verdict_class=_VERDICT_CLASS, link=_link
    )
    source = files("uncuda.audit").joinpath("report.html.jinja").read_text(encoding="utf-8")
    open_ties = len(audit.ties) - audit.remedies.get(Remedy.NONE, 0)
    return environment.from_string(source).render(
        audit=audit,
        version=__version__,
        name=audit.name,
        open_ties=open_ties,
        share=round(100 * audit.remedies.get(Remedy.SAFE, 0) / open_ties) if open_ties else 100,
        tiles=_tiles(audit),
        width=WIDTH,
        height=HEIGHT,
        trend_height=TREND_HEIGHT,
        shares=wording.shares(audit) if open_ties else "",
        silent=_once(audit, "silent"),
        blockers=_once(audit, "blockers"),
        examples=[place(t) for t in audit.examples],
        crashes=_once(audit, "crashes"),
        degraded=_once(audit, "degraded"),
        unchecked=wording.unchecked(audit),
        curves=_curves(audit),
    )


def _coded(text: str) -> Markup:
    """A message, what stands in backquotes as code. All of it is escaped."""
    parts = visible(text).split("`")
    if len(parts) % 2 == 0:
        return escape(visible(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def _link(audit: Audit, path: str, row: int) -> str | None:
    return f"{audit.web}/{quote(path)}#L{row}" if audit.web is not None else None


def _once(audit: Audit, field: str) -> list[tuple[object, list[str]]]:
    """The places that several targets have in common, each with the targets."""
    found: dict[object, list[str]] = {}
    for standing in audit.standings:
        for item in getattr(standing, field):
            found.setdefault(item, []).append(standing.target.value)
    handled = set(audit.guards)
    return sorted(found.items(), key=lambda pair: pair[0] in handled)


def _curves(audit: Audit) -> list[tuple[str, str]]:
    """The lines of the trend: a class and the points of each."""
    if not audit.trend:
        return []
    return [
        ("ties", curve([p.ties for p in audit.trend], WIDTH, TREND_HEIGHT)),
        (
            "hurt",
            curve(
                [p.hurting for p in audit.trend], WIDTH, TREND_HEIGHT, top=max(p.ties for p in audit.trend)
            ),
        ),
    ]


def _tiles(audit: Audit) -> list[Tile]:
    spots = [spot for spot in audit.hotspots if spot.points > 0][:TREE_ITEMS]
    top = spots[0].points if spots else 1.0
    tiles: list[Tile] = []
    for box in treemap([spot.points for spot in spots], WIDTH, HEIGHT):
        spot = spots[box.number]
        room = int(box.width / 7)
        name = visible(spot.path)
        label = name if len(name) <= room else visible(spot.path.rpartition("/")[2])
        shown = label if len(label) <= room and box.height > 16 else ""
        tiles.append(Tile(box.x, box.y, box.width, box.height, spot, shown, 1 + int(4 * spot.points / top)))
    return tiles
