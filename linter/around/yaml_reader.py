"""YAML with places. Tags are not looked at, aliases not followed, and what a template engine reads is masked."""

from __future__ import annotations

import re
from typing import Any

from uncuda.around.tree import MAX_DEPTH, Mapping, Node, Scalar, Sequence

# Jinja, Helm and Go templates, and expressions of CI services. What stands alone in its line becomes a comment.
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.S)
_ALONE = re.compile(r"^([ \t]*)((?:\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})[ \t]*)+\r?$", re.M)
_ANCHOR = re.compile(r"(?:[&!][^\s,\[\]{}]*\s+)+")


def mask_templates(text: str) -> str:
    """`text` in as many characters and lines, without what a template engine reads."""
    if "{{" not in text and "{%" not in text:
        return text
    text = _ALONE.sub(lambda m: m[1] + re.sub(r"[^\r\n]", "#", m[0][len(m[1]) :]), text)
    return _TAG.sub(lambda m: re.sub(r"[^\r\n]", "x", m[0]), text)


def read_yaml(text: str) -> list[Node]:
    """The documents of a file. Of a file that isn't YAML, what comes before the error."""
    import yaml

    masked = mask_templates(text)
    loader: Any = getattr(yaml, "CLoader", yaml.SafeLoader)
    builder = _Builder(text)
    try:
        for event in yaml.parse(masked, Loader=loader):
            builder.take(event)
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    return builder.documents


class _Builder:
    """Makes trees out of a parser's events."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.documents: list[Node] = []
        # With the key that waits for its value.
        self._open: list[tuple[Mapping | Sequence, list[Scalar]]] = []
        self._skip = 0

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            if self._skip or len(self._open) >= MAX_DEPTH:
                self._skip += 1
                return
            made = (Mapping if kind == "MappingStartEvent" else Sequence)(
                event.start_mark.index, event.end_mark.index
            )
            self._add(made)
            self._open.append((made, []))
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            if self._skip:
                self._skip -= 1
                if not self._skip:
                    self._add(Scalar("", event.end_mark.index, event.end_mark.index))
                return
            node, _ = self._open.pop()
            node.end = event.end_mark.index
        elif kind == "ScalarEvent" and not self._skip:
            self._add(self._scalar(event))
        elif kind == "AliasEvent" and not self._skip:
            self._add(Scalar("", event.start_mark.index, event.end_mark.index))

    def _scalar(self, event: Any) -> Scalar:
        start, end = event.start_mark.index, event.end_mark.index
        anchor = _ANCHOR.match(self.text, start, end)
        start = anchor.end() if anchor is not None else start
        if event.style in ("|", ">"):
            body = self.text.find("\n", start, end)
            return Scalar(event.value, body + 1 if body >= 0 else end, end, block=True)
        if event.style in ("'", '"'):
            start, end = start + 1, max(start + 1, end - 1)
        raw = self.text[start:end]
        value = event.value if "\n" in raw or "\\" in raw else raw
        return Scalar(value, start, end, block="\n" in raw, quoted=event.style in ("'", '"'))

    def _add(self, node: Node) -> None:
        if not self._open:
            self.documents.append(node)
            return
        above, waiting = self._open[-1]
        if isinstance(above, Sequence):
            above.items.append(node)
        elif waiting:
            above.entries.append((waiting.pop(), node))
        else:
            waiting.append(node if isinstance(node, Scalar) else Scalar("", node.start, node.end))
