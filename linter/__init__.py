"""Finds every tie of Python ML code to CUDA, says what it does elsewhere, and rewrites what can be rewritten."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from uncuda.api import (
        CheckedSource,
        FixedSource,
        SourceFinding,
        SourceFix,
        check_source,
        fix_source,
    )

__version__ = "0.1.0"

__all__ = [
    "CheckedSource",
    "FixedSource",
    "SourceFinding",
    "SourceFix",
    "__version__",
    "check_source",
    "fix_source",
]


if not TYPE_CHECKING:
    # Loaded when it is asked for: `uncuda --version` needs none of it.
    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from uncuda import api

        return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
