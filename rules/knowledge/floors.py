"""The first torch that has what fixes write."""

from __future__ import annotations

from uncuda.findings import TorchVersion
from uncuda.rules.knowledge._data import table

FILE = "floors.json"


def floor(what: str) -> TorchVersion:
    """The first torch that has `what`: a name of torch, or a behaviour, as the table calls it."""
    major, minor = table(FILE)["floors"][what]["torch"]
    return major, minor


def floors() -> dict[str, TorchVersion]:
    """Every row of the table."""
    return {what: floor(what) for what in table(FILE)["floors"]}
