"""INI files with places: sections, keys, and values over several lines."""

from __future__ import annotations

import re

from uncuda.around.tree import Mapping, Scalar, Sequence

_SECTION = re.compile(r"\[([^\]\r\n]+)\]")
_ENTRY = re.compile(r"([^\s=:#;\[][^=:\r\n]*?)[ \t]*[=:][ \t]*")
# Not `;`: it begins the condition of a requirement.
_COMMENT = re.compile(r"[ \t]+#.*")


def read_ini(text: str) -> Mapping:
    """Sections with their entries. A value over several lines is a list of its lines."""
    root = Mapping(0, len(text))
    section = root
    lines: Sequence | None = None
    for found in re.finditer(r"(?m)^[^\r\n]*", text):
        line, start = found[0], found.start()
        body = line.strip()
        if not body or body.startswith(("#", ";")):
            continue
        indent = len(line) - len(line.lstrip())
        if indent and lines is not None:
            lines.items.append(_scalar(text, start + indent, found.end()))
            continue
        header = _SECTION.match(line)
        if header is not None:
            section = Mapping(start, found.end())
            root.entries.append((Scalar(header[1].strip(), start + 1, start + header.end(1)), section))
            lines = None
            continue
        entry = _ENTRY.match(line)
        if entry is None:
            lines = None
            continue
        key = Scalar(entry[1].lower(), start, start + entry.end(1))
        value = _scalar(text, start + entry.end(), found.end())
        lines = Sequence(value.start, value.end, [value] if value.text else [])
        section.entries.append((key, lines))
    for _, node in root.entries:
        if isinstance(node, Mapping):
            node.entries[:] = [
                (k, v.items[0] if isinstance(v, Sequence) and len(v.items) == 1 else v)
                for k, v in node.entries
            ]
    return root


def _scalar(text: str, start: int, end: int) -> Scalar:
    raw = _COMMENT.sub("", text[start:end]).rstrip()
    return Scalar(raw.strip("\"'"), start, start + len(raw))
