"""What there is to know of every rule without loading it (and libcst with it): read from `catalogue.json`.

`python -m uncuda.rules.catalogue` makes that file from the rules; a test holds it against them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """A rule in a few words. `fix`: how far its fixes can be trusted ("safe, unsafe"), or "none"."""

    code: str
    name: str
    summary: str
    triggers: tuple[str, ...]
    category: str
    effort: int
    fix: str

    @property
    def housekeeping(self) -> bool:
        """Is it about files and comments, not about ties?"""
        return self.code.startswith("UC0")

    @property
    def around(self) -> bool:
        """Is it about files around the code, not about Python?"""
        return self.code.startswith("UC8")


@cache
def catalogue() -> tuple[RuleInfo, ...]:
    """Every rule, by code."""
    rows = json.loads(FILE.read_bytes())
    return tuple(RuleInfo(**{**row, "triggers": tuple(row["triggers"])}) for row in rows)


def held_triggers(code: str) -> tuple[str, ...]:
    """The triggers of a rule as the file has them, so that the tables they are made from needn't be read."""
    return next((info.triggers for info in catalogue() if info.code == code), ())


@cache
def pairs() -> tuple[tuple[str, str], ...]:
    """Code and name of every rule."""
    return tuple((info.code, info.name) for info in catalogue())


def collect() -> tuple[RuleInfo, ...]:
    """The catalogue made anew from the rules themselves."""
    from uncuda.rules.registry import by_code

    return tuple(
        RuleInfo(
            r.code, r.name, r.summary(), tuple(r.made_triggers()), r.category.value, r.effort, r.fixability()
        )
        for _, r in sorted(by_code().items())
    )


def as_text(infos: tuple[RuleInfo, ...]) -> str:
    """The content of `catalogue.json`: one rule a line."""
    rows = ",\n".join(json.dumps(asdict(info), ensure_ascii=False) for info in infos)
    return f"[\n{rows}\n]\n"


if __name__ == "__main__":
    FILE.write_text(as_text(collect()), encoding="utf-8", newline="\n")
