"""What the engine knows at a place: `probe(x)` in a text is looked at, as a rule would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import libcst as cst

from uncuda import engine
from uncuda.context import Context, Options
from uncuda.guards import Guard
from uncuda.triggers import Triggers
from uncuda.values import Value


@dataclass(frozen=True)
class Probe:
    """What was seen at one `probe(x)`."""

    value: Value
    name: str | None
    guard: Guard


@contextmanager
def _probing(found: list[Probe]) -> Iterator[None]:
    def visit(node: cst.CSTNode, ctx: Context) -> None:
        assert isinstance(node, cst.Call)
        if isinstance(node.func, cst.Name) and node.func.value == "probe":
            given = node.args[0].value if node.args else node
            found.append(Probe(ctx.value(given), ctx.qualified(given), ctx.guard(node)))

    catalogue = engine._Catalogue({"probe": 1}, {}, 0, -1, (), Triggers({"probe"}), ((1, cst.Call, visit),))
    engine._visits.cache_clear()
    try:
        with mock.patch.object(engine, "_catalogue", return_value=catalogue):
            yield
    finally:
        engine._visits.cache_clear()


def probes(code: str) -> list[Probe]:
    """What is known at each `probe(x)` of `code`, in order: the same from islands and from the whole file."""
    seen: list[list[Probe]] = []
    for whole in (False, True):
        found: list[Probe] = []
        with _probing(found):
            checked = engine.check_text(code, Options(whole_file=whole))
        assert checked.error is None, checked.error
        seen.append(found)
    assert seen[0] == seen[1], "islands and the whole file see the same"
    assert seen[0], "there is a probe"
    return seen[0]


def probe(code: str) -> Probe:
    """The only probe of `code`."""
    [found] = probes(code)
    return found
