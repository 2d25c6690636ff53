"""Rectangles of a treemap: areas by weight, as square as they get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle for the item at `number`, in the units of the whole."""

    number: int
    x: float
    y: float
    width: float
    height: float


def treemap(weights: Sequence[float], width: float, height: float) -> list[Box]:
    """One box for each positive weight (weights should come greatest first), filling `width` × `height`."""
    items = [(number, weight) for number, weight in enumerate(weights) if weight > 0]
    total = sum(weight for _, weight in items)
    if not items or total <= 0:
        return []
    scale = width * height / total
    boxes: list[Box] = []
    x = y = 0.0
    row: list[tuple[int, float]] = []
    queue = [(number, weight * scale) for number, weight in items]
    while queue:
        side = min(width, height)
        row, queue = _row(queue, side)
        area = sum(a for _, a in row)
        depth = area / side if side else 0.0
        at = 0.0
        for number, one in row:
            length = one / depth if depth else 0.0
            if width >= height:
                boxes.append(Box(number, x, y + at, depth, length))
            else:
                boxes.append(Box(number, x + at, y, length, depth))
            at += length
        if width >= height:
            x, width = x + depth, max(0.0, width - depth)
        else:
            y, height = y + depth, max(0.0, height - depth)
    return boxes


def _row(
    queue: list[tuple[int, float]], side: float
) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """The items that make the squarest row along `side`, and the rest."""
    count = 1
    best = _worst([queue[0][1]], side)
    while count < len(queue):
        next_best = _worst([a for _, a in queue[: count + 1]], side)
        if next_best > best:
            break
        best, count = next_best, count + 1
    return queue[:count], queue[count:]


def _worst(areas: Sequence[float], side: float) -> float:
    """The most oblong ratio in a row."""
    total = sum(areas)
    if not total or not side:
        return float("inf")
    return max(
        max(side * side * area / (total * total), total * total / (side * side * area)) for area in areas
    )
