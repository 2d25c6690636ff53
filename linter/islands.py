"""The pieces of a file that are worth a concrete tree: the smallest statements around its triggers."""

from __future__ import annotations

import ast
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from uncuda.ast_bindings import nested_suites
from uncuda.index import FileIndex
from uncuda.source import Lines
from uncuda.triggers import Triggers

Hit = tuple[int, int]
"""Where a trigger stands, and the rules that it may matter to, as bits."""


@dataclass(frozen=True)
class Island:
    """A top-level statement, a class's head or a class member: characters `start:end`, whole lines.

    `rules`: those that may find something in it, as bits. `owner`: the class of a member. `order`: that of the
    statement before it in the module.
    """

    start: int
    end: int
    rules: int
    owner: str = ""
    order: int = 0
    head_only: bool = False


def alias_hits(text: str, index: FileIndex, triggers: Triggers, bits: dict[str, int]) -> list[Hit]:
    """Where names stand that are bound to something whose own name holds a trigger (`from torch.cuda import
    synchronize as wait`)."""
    named = [(b.name, b.target) for found in index.bindings.values() for b in found if b.target]
    direct = _direct(named, triggers, bits)
    known: dict[str, int] = {}
    grown = bool(direct)
    while grown:
        grown = False
        for (name, target), told in zip(named, direct, strict=True):
            more = (told | known.get(target.partition(".")[0], 0)) & ~known.get(name, 0)
            # Where a name holds a trigger itself, it is a hit of its own.
            if more and target != name and more & ~_bits(triggers.within(name), bits):
                known[name] = known.get(name, 0) | more
                grown = True
    if not known:
        return []
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(map(re.escape, known)))})(?!\w)")
    return [(found.start(), known[found[0]]) for found in pattern.finditer(text)]


def _direct(named: list[tuple[str, str]], triggers: Triggers, bits: dict[str, int]) -> list[int]:
    """For each of some names and what they stand for, the rules whose triggers the latter holds; empty for none."""
    # A trigger may end in the parenthesis of a call.
    text = "".join(f"{target}(\n" for _, target in named)
    hits = triggers.positions(text)
    if not hits:
        return []
    starts = [0, *accumulate(len(target) + 2 for _, target in named)]
    told = [0] * len(named)
    for at, trigger in hits:
        told[bisect_right(starts, at) - 1] |= bits[trigger]
    return told


def _bits(found: set[str], bits: dict[str, int]) -> int:
    told = 0
    for trigger in found:
        told |= bits[trigger]
    return told


@dataclass
class _Group:
    """Statements that share lines, `first` to `last`."""

    first: int
    last: int
    members: list[ast.stmt]


class Islands:
    """Finds the islands of one file."""

    def __init__(self, text: str, tree: ast.Module, lines: Lines, index: FileIndex) -> None:
        self.text = text
        self.lines = lines
        self.index = index
        self._groups = list(_line_groups(tree.body))
        self._starts = [group.first for group in self._groups]
        self._numbers = {id(stmt): number for number, stmt in enumerate(tree.body)}
        self._classes: dict[str, list[_Group] | None] = {}
        self._prose: dict[tuple[int, int], _Prose] = {}

    def around(self, hits: Iterable[Hit]) -> list[Island]:
        """The smallest top-level statements and class members around the hits, in order; not those whose hits are all
        in comments and in strings that stand alone."""
        found: dict[tuple[int, int], Island] = {}
        for at, rules in hits:
            place = self._place(self.lines.position(at)[0])
            if place is None:
                continue
            island, group = place
            key = (island.start, island.end)
            known = found.get(key)
            told = known.rules if known is not None else 0
            if not rules & ~told:
                continue
            prose = self._prose.get(key)
            if prose is None:
                prose = self._prose[key] = _Prose(self.text, self.lines, group.members)
            if not prose.holds(at):
                found[key] = replace(island, rules=told | rules)
        return [found[key] for key in sorted(found)]

    def _place(self, row: int) -> tuple[Island, _Group] | None:
        """The island that `row` is in, for no rules yet."""
        number = bisect_right(self._starts, row) - 1
        if number < 0 or row > self._groups[number].last:
            return None
        group = self._groups[number]
        stmt = group.members[0]
        order = self.index.orders[self._numbers[id(stmt)]]
        inner = None
        if len(group.members) == 1 and isinstance(stmt, ast.ClassDef):
            key = f"{stmt.lineno}"
            if key not in self._classes:
                self._classes[key] = self._taken_apart(stmt)
            inner = self._classes[key]
            if inner is not None and row >= inner[0].first:
                member = next((g for g in inner if g.first <= row <= g.last), None)
                if member is None:
                    return None
                return self._island(member, owner=stmt.name, order=order), member
        return self._island(group, order=order, head_only=inner is not None), group

    def _island(self, group: _Group, *, owner: str = "", order: int = 0, head_only: bool = False) -> Island:
        start, end = self.lines.start(group.first), self.lines.end(group.last)
        return Island(start, end, 0, owner, order, head_only)

    def _taken_apart(self, node: ast.ClassDef) -> list[_Group] | None:
        """The members of a class by their lines; None where its body stands on the line of its head."""
        groups = list(_line_groups(node.body))
        first = groups[0].members[0]
        column = min([first.col_offset, *(d.col_offset - 1 for d in getattr(first, "decorator_list", ()))])
        start = self.lines.start(groups[0].first)
        return groups if not self.text[start : start + column].strip() else None


def _line_groups(body: list[ast.stmt]) -> Iterator[_Group]:
    group: _Group | None = None
    for stmt in body:
        first = min([stmt.lineno, *(d.lineno for d in getattr(stmt, "decorator_list", ()))])
        assert stmt.end_lineno is not None
        if group is not None and first <= group.last:
            group.members.append(stmt)
            group.last = max(group.last, stmt.end_lineno)
            continue
        if group is not None:
            yield group
        group = _Group(first, stmt.end_lineno, [stmt])
    if group is not None:
        yield group


class _Prose:
    """What in some statements is no code: comments, and strings that stand alone."""

    def __init__(self, text: str, lines: Lines, members: list[ast.stmt]) -> None:
        self.text = text
        self.lines = lines
        self.members = members
        self._alone = _Spans(self._span(node) for node in _strings_alone(members))
        self._strings: _Spans | None = None

    def holds(self, at: int) -> bool:
        """Is the character at `at` prose?"""
        if self._alone.hold(at):
            return True
        row = self.lines.position(at)[0]
        mark = self.text.find("#", self.lines.start(row), at)
        if mark < 0:
            return False
        if self._strings is None:
            self._strings = _Spans(self._span(node) for node in _strings(self.members))
        if self._strings.hold(at):
            return False
        while mark >= 0:
            if not self._strings.hold(mark):
                return True
            mark = self.text.find("#", mark + 1, at)
        return False

    def _span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self.lines.from_utf8(node.lineno, node.col_offset),
            self.lines.from_utf8(node.end_lineno, node.end_col_offset),
        )


class _Spans:
    """Ranges of characters that don't overlap."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._spans = sorted(spans)

    def hold(self, at: int) -> bool:
        """Is the character in any of them?"""
        number = bisect_right(self._spans, (at, sys.maxsize)) - 1
        return number >= 0 and at < self._spans[number][1]


def _strings_alone(members: list[ast.stmt]) -> Iterator[ast.stmt]:
    stack = list(members)
    while stack:
        stmt = stack.pop()
        match stmt:
            case ast.Expr(value=ast.Constant(value=str() | bytes()) | ast.JoinedStr()):
                yield stmt
            case _:
                for suite in nested_suites(stmt):
                    stack.extend(suite)


def _strings(members: list[ast.stmt]) -> Iterator[ast.expr]:
    stack: list[ast.AST] = list(members)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.JoinedStr):
            # What is inside has no places of its own that could be relied on before Python 3.12.
            yield node
            continue
        if isinstance(node, ast.Constant):
            if isinstance(node.value, (str, bytes)):
                yield node
            continue
        stack.extend(ast.iter_child_nodes(node))
