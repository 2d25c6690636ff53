"""Findings as the protocol has them: diagnostics, edits, ranges in the client's units."""

from __future__ import annotations

from lsprotocol import types
from pygls.workspace import PositionCodec

from uncuda.findings import Applicability, Severity, Target
from uncuda.report.links import rule_url
from uncuda.results import Placed, Position, grouped_outcomes
from uncuda.source import Lines

SOURCE = "uncuda"
_SEVERITY = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFO: types.DiagnosticSeverity.Information,
}


class Converter:
    """Turns rows and columns of one text into the client's positions."""

    def __init__(self, text: str, codec: PositionCodec) -> None:
        # Rows end as editors end them, which Lines does too: str.splitlines knows more breaks.
        self._lines = Lines(text)
        self._codec = codec

    def position(self, at: Position) -> types.Position:
        """A place; columns past the line's end count as its end."""
        before = self._lines.line(at.row)[: at.column - 1]
        return types.Position(at.row - 1, self._codec.client_num_units(before))

    def range(self, start: Position, end: Position) -> types.Range:
        """A range between two places."""
        return types.Range(self.position(start), self.position(end))

    def between(self, start: int, end: int) -> types.Range:
        """A range between two offsets."""
        return self.range(Position(*self._lines.position(start)), Position(*self._lines.position(end)))

    def diagnostic(self, placed: Placed, targets: frozenset[Target] | None) -> types.Diagnostic:
        """A finding, with its outcomes in the message and what actions need in `data`."""
        finding = placed.finding
        url = rule_url(finding.code)
        return types.Diagnostic(
            range=self.range(placed.start, placed.end),
            message=message(placed, targets),
            severity=_SEVERITY[placed.severity],
            code=finding.code,
            code_description=types.CodeDescription(url) if url else None,
            source=SOURCE,
            tags=None,
            data={"code": finding.code, "start": finding.start, "end": finding.end},
        )


def message(placed: Placed, targets: frozenset[Target] | None) -> str:
    """`torch.cuda.synchronize() …` and a line with what happens on which target."""
    groups = grouped_outcomes(placed.finding, targets)
    consequence = "; ".join(f"{o.value}: {', '.join(t.value for t in ts)}" for o, ts in groups)
    return f"{placed.finding.message}\n{consequence}" if consequence else placed.finding.message


def trust(placed: Placed) -> str:
    """How a fix is called in a menu: unsafe ones say so."""
    assert placed.fix is not None
    return " (unsafe)" if placed.fix.applicability is Applicability.UNSAFE else ""
