"""Findings that aren't ties: about files that can't be checked, and about comments that silence rules."""

from __future__ import annotations

from dataclasses import dataclass

from uncuda.findings import Category
from uncuda.results import UNPARSABLE

UNUSED_IGNORE = "UC002"
"""The code of a comment that silences nothing."""
IGNORE_WITHOUT_REASON = "UC003"
"""The code of a comment that silences something and doesn't say why."""


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """What there is to say about such a finding. `triggers` as for a rule: without one it can't be there."""

    code: str
    name: str
    summary: str
    text: str
    triggers: tuple[str, ...] = ()
    category: Category = Category.POTENTIAL
    effort: int = 0
    fix: str = "none"


HOUSEKEEPING = (
    Housekeeping(
        UNPARSABLE,
        "unparsable-file",
        "The file can't be parsed, so nothing in it was checked",
        "The file isn't valid Python (or is nested too deeply), so nothing in it was checked. Python 2 code and "
        "templates are the usual reasons: fix the file, or exclude it.",
        category=Category.MANDATORY,
        effort=1,
    ),
    Housekeeping(
        UNUSED_IGNORE,
        "unused-ignore",
        "The comment silences a rule that finds nothing there",
        "The comment names a rule that reports nothing on its line (or in its file), or one that isn't there. "
        "It would hide a tie that comes later: take it away.",
        ("uncuda:", "noqa"),
        fix="safe",
    ),
    Housekeeping(
        IGNORE_WITHOUT_REASON,
        "ignore-without-reason",
        "The comment silences a rule without saying why",
        "With `require-reason`, each comment that silences a rule has to say why, after the bracket: "
        "`# uncuda: ignore[UC101] runs on the CUDA cluster only`.",
        ("uncuda:", "noqa"),
    ),
)
"""All of them, by code."""
