"""Where a reader finds things: pages of rules, and files as URIs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

DOCUMENTATION: str | None = None
"""Where the folder docs/ is published, ending in a slash; None while it is only in the repository."""


def rule_url(code: str) -> str | None:
    """The address of a rule's page, if the documentation is published."""
    return f"{DOCUMENTATION}{rule_page(code)}" if DOCUMENTATION else None


def rule_page(code: str) -> str:
    """Where a rule's page is in the documentation."""
    return f"rules/{code}.md"


def _encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="/")


def relative_uri(path: Path, root: Path) -> tuple[str, bool]:
    """The percent-encoded URI of `path` relative to `root`, and True; or its `file:` URI and False."""
    absolute = root / path
    try:
        inside = absolute.relative_to(root)
    except ValueError:
        return directory_or_file_uri(absolute), False
    return _encoded(inside.as_posix()), True


def directory_or_file_uri(path: Path) -> str:
    """The `file:` URI of an absolute path, also of names that aren't valid UTF-8."""
    text = path.as_posix()
    return "file://" + _encoded(text if text.startswith("/") else "/" + text)
