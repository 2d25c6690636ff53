"""Reads the tables of this package, each once and only when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from uncuda.findings import Outcome, Target

REST = "*"
"""In a table's outcomes: every target that isn't named."""


@cache
def table(name: str) -> dict[str, Any]:
    """The content of `name` (a JSON file in the folder of this module)."""
    content: dict[str, Any] = json.loads((Path(__file__).parent / name).read_bytes())
    return content


def spread(outcomes: Mapping[str, str]) -> Mapping[Target, Outcome]:
    """A table's outcomes with `*` written out: one for each target."""
    rest = outcomes.get(REST)
    return MappingProxyType({t: Outcome(outcomes.get(t.value, rest)) for t in Target})


def optional_text(value: object) -> str | None:
    """A text that may be missing."""
    return None if value is None else str(value)
