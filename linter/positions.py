"""Where chosen nodes of a tree stand in its text, found by writing the tree out, or the statements that they are in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass

import libcst as cst
from libcst._nodes.internal import CodegenState

_UNTOLD = nullcontext()
_INDENT = re.compile(r"[ \t\f]*")


class _Span(AbstractContextManager[None]):
    """Notes a node's span without its own parentheses and the blank lines before it."""

    def __init__(self, recorder: _Recorder, node: cst.CSTNode) -> None:
        self.recorder = recorder
        self.key = id(node)

    def __enter__(self) -> None:
        self.start = self.recorder.length

    def __exit__(self, *error: object) -> None:
        self.recorder.spans[self.key] = (self.start, self.recorder.length)
        self.recorder.exact.add(self.key)


@dataclass
class _Recorder(CodegenState):
    """Counts characters as tokens are written; notes the span of the wanted nodes only.

    libcst's own position provider notes every node and copies the tree first, which costs about fifty
    times as much on an island.
    """

    def __post_init__(self) -> None:
        self.wanted: frozenset[int] = frozenset()
        self.missing: set[int] = set()
        self.spans: dict[int, tuple[int, int]] = {}
        self.exact: set[int] = set()
        self.length = 0
        self._open: list[int] = []

    def add_token(self, value: str) -> None:
        self.tokens.append(value)
        self.length += len(value)

    def add_indent_tokens(self) -> None:
        for token in self.indent_tokens:
            self.add_token(token)

    def before_codegen(self, node: cst.CSTNode) -> None:
        if id(node) in self.wanted:
            self._open.append(self.length)

    def after_codegen(self, node: cst.CSTNode) -> None:
        key = id(node)
        if key in self.wanted:
            start = self._open.pop()
            if key not in self.exact:
                self.spans[key] = (start, self.length)
            self.missing.discard(key)
            if not self.missing:
                raise _AllFound

    # The base class has a generator, whose making costs more than all the rest.
    def record_syntactic_position(  # type: ignore[override]
        self, node: cst.CSTNode, *, start_node: cst.CSTNode | None = None, end_node: cst.CSTNode | None = None
    ) -> AbstractContextManager[None]:
        return _Span(self, node) if id(node) in self.wanted else _UNTOLD


class _AllFound(Exception):
    """The rest of the tree needn't be written."""


def spans(tree: cst.Module, nodes: Iterable[cst.CSTNode]) -> tuple[str, dict[int, tuple[int, int]]]:
    """For each of `nodes` (by `id`) the offsets of its first and past its last character in the text of `tree`, without
    its own parentheses; and that text as far as the last of them."""
    recorder = _written(tree, tree, nodes)
    return "".join(recorder.tokens), recorder.spans


def spans_within(
    tree: cst.Module, statement: cst.CSTNode, nodes: Iterable[cst.CSTNode], source: str, start: int
) -> dict[int, tuple[int, int]] | None:
    """The same for nodes of one statement of `tree`, which begins at `start` in the tree's text `source`: what stands
    around it isn't written out. None where a node isn't in it, or what is written isn't in the source."""
    line = max(source.rfind("\n", 0, start), source.rfind("\r", 0, start)) + 1
    indent = _INDENT.match(source, line)
    assert indent is not None
    recorder = _written(tree, statement, nodes, statement, indent=indent[0])
    begun = recorder.spans.get(id(statement))
    if begun is None or recorder.missing:
        return None
    shift = start - begun[0]
    if shift < 0 or not source.startswith("".join(recorder.tokens), shift):
        return None
    return {key: (first + shift, last + shift) for key, (first, last) in recorder.spans.items()}


def _written(
    tree: cst.Module, top: cst.CSTNode, nodes: Iterable[cst.CSTNode], *more: cst.CSTNode, indent: str = ""
) -> _Recorder:
    """What is known when `top`, a part of `tree`, has been written as far as the last of `nodes`."""
    recorder = _Recorder(
        default_indent=tree.default_indent, default_newline=tree.default_newline, indent_tokens=[indent]
    )
    recorder.missing = set(map(id, nodes))
    recorder.wanted = frozenset(recorder.missing.union(map(id, more)))
    with suppress(_AllFound):
        top._codegen(recorder)
    return recorder
