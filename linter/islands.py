"""The pieces of a file that are worth a concrete tree: the smallest statements around its triggers."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, islice

from uncuda.ast_bindings import AstSuiteReader, AstText, nested_suites, statements
from uncuda.bindings import Binding
from uncuda.index import FileIndex
from uncuda.listeners import Listeners
from uncuda.prose import in_code
from uncuda.source import Lines
from uncuda.triggers import Triggers

_BINDING = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
Hit = tuple[int, int]
"""Where a trigger stands, and the rules that it may matter to, as bits."""


@dataclass(frozen=True)
class Island:
    """A top-level statement, a class's head or a class member: characters `start:end`, whole lines.

    `rules`: for each statement in it, in the order of `statements`, those that may find something in its own code, as
    bits; `starts` tells where each begins. `owner`: the class of a member. `order`: that of the statement before it in the
    module. `head_only`: a class without its body.
    """

    start: int
    end: int
    rules: tuple[int, ...] = ()
    owner: str = ""
    order: int = 0
    head_only: bool = False
    starts: Callable[[], list[int]] = field(default=list, compare=False, repr=False)


class Names:
    """Names that stand for something whose own name holds a trigger (`from torch.cuda import synchronize as wait`)."""

    def __init__(
        self, triggers: Triggers, bits: dict[str, int], imported: frozenset[str] = frozenset()
    ) -> None:
        """`imported`: the modules that triggers ask for and the file imports."""
        self.triggers = triggers
        self.bits = bits
        self.imported = imported

    def hits(
        self, bound: Iterable[Binding], text: str, start: int, end: int, known: dict[str, int] | None = None
    ) -> list[Hit]:
        """Where in the characters `start:end` of `text` names stand that one of the bindings made such. `known`: what
        other names stand for there; those that are found are added."""
        named = [(b.name, b.target) for b in bound if b.target and b.target != b.name]
        direct = self._direct(named)
        known = {} if known is None else known
        found: dict[str, int] = {}
        grown = bool(known) or any(direct)
        while grown:
            grown = False
            for (name, target), told in zip(named, direct, strict=True):
                more = (told | known.get(target.partition(".")[0], 0)) & ~known.get(name, 0)
                # Where a name holds a trigger itself, it is a hit of its own.
                if more and more & ~self._bits(name):
                    known[name] = found[name] = known.get(name, 0) | more
                    grown = True
        if not found:
            return []
        pattern = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(map(re.escape, found)))})(?!\w)")
        return [(match.start(), found[match[0]]) for match in pattern.finditer(text, start, end)]

    def _direct(self, named: list[tuple[str, str]]) -> list[int]:
        """For each of some names and what they stand for, the rules whose triggers the latter holds."""
        # A trigger may end in the parenthesis of a call.
        text = "".join(f"{target}(\n" for _, target in named)
        told = [0] * len(named)
        starts = [0, *accumulate(len(target) + 2 for _, target in named)]
        for at, trigger in self.triggers.positions(text, self.imported):
            told[bisect_right(starts, at) - 1] |= self.bits[trigger]
        return told

    def _bits(self, text: str) -> int:
        told = 0
        for _, trigger in self.triggers.positions(text, self.imported):
            told |= self.bits[trigger]
        return told


@dataclass
class _Group:
    """Statements that share lines, `first` to `last`."""

    first: int
    last: int
    members: list[ast.stmt]


class Islands:
    """Finds the islands of one file."""

    def __init__(
        self,
        text: str,
        tree: ast.Module,
        lines: Lines,
        index: FileIndex,
        names: Names,
        listeners: Listeners | None = None,
    ) -> None:
        """`listeners`: what the rules listen to; by default, to anything."""
        self.text = text
        self.lines = lines
        self.index = index
        self.names = names
        self.listeners = listeners
        self.source = AstText(text, lines)
        self._groups = list(_line_groups(tree.body))
        self._starts = [group.first for group in self._groups]
        self._numbers = {id(stmt): number for number, stmt in enumerate(tree.body)}
        self._classes: dict[int, list[_Group] | None] = {}
        self._known: dict[str, int] = {}

    def around(self, hits: Iterable[Hit]) -> list[Island]:
        """The smallest top-level statements and class members around the hits, in order; not those whose hits are all
        in strings that stand alone, or matter to no rule that listens to what is there."""
        bound = [b for found in self.index.bindings.values() for b in found]
        aliases = in_code(self.text, self.names.hits(bound, self.text, 0, len(self.text), self._known), 0)
        found: dict[tuple[int, int], tuple[Island, _Group, list[Hit]]] = {}
        waiting = [*hits, *aliases]
        done: set[int] = set()
        while waiting:
            at, rules = waiting.pop()
            place = self._place(self.lines.position(at)[0])
            if place is None:
                continue
            island, group, owner = place
            key = (island.start, island.end)
            found.setdefault(key, (island, group, []))[2].append((at, rules))
            if owner is not None and id(owner) not in done:
                # Names that a class binds are known in the other statements of its body.
                done.add(id(owner))
                waiting += self._class_hits(owner)
        islands: list[Island] = []
        for key in sorted(found):
            island, group, inside = found[key]
            told = self._rules(island, group.members, inside)
            if any(told):
                islands.append(replace(island, rules=told, starts=partial(self._beginnings, group.members)))
        return islands

    def _beginnings(self, members: list[ast.stmt]) -> list[int]:
        return [self.source.span(stmt)[0] for stmt in statements(members)]

    def _class_hits(self, node: ast.ClassDef) -> list[Hit]:
        if not any(isinstance(stmt, (ast.Import, ast.ImportFrom, ast.Assign)) for stmt in node.body):
            return []
        reader = AstSuiteReader(self.source)
        reader.read(node.body)
        return in_code(
            self.text, self.names.hits(reader.out, self.text, *self.source.span(node), dict(self._known)), 0
        )

    def _rules(self, island: Island, members: list[ast.stmt], hits: list[Hit]) -> tuple[int, ...]:
        """For each statement of an island, the rules that have a trigger in its own code."""
        told: dict[int, int] = {}
        known = dict(self._known)
        while hits:
            fresh: set[int] = set()
            for at, rules in hits:
                stmt = self._innermost(members, at)
                if stmt is not None and not _is_prose(stmt) and rules & ~told.get(id(stmt), 0):
                    told[id(stmt)] = told.get(id(stmt), 0) | rules
                    fresh.add(id(stmt))
            # What such a statement binds in a function stands for something as well.
            reader = AstSuiteReader(self.source)
            reader.read([s for s in statements(members) if id(s) in fresh and isinstance(s, _BINDING)])
            named = self.names.hits(reader.out, self.text, island.start, island.end, known)
            hits = in_code(self.text, named, 0)
        return tuple(self._heard(told.get(id(stmt), 0), stmt) for stmt in statements(members))

    def _heard(self, rules: int, stmt: ast.stmt) -> int:
        return self.listeners.among(rules, stmt) if rules and self.listeners is not None else rules

    def _innermost(self, members: list[ast.stmt], at: int) -> ast.stmt | None:
        found: ast.stmt | None = None
        suites = [members]
        row = self.lines.position(at)[0]
        while suites:
            inner = next((s for suite in suites for s in _near(suite, row) if self._covers(s, at)), None)
            if inner is None:
                return found
            found = inner
            suites = list(nested_suites(inner))
        return found

    def _covers(self, stmt: ast.stmt, at: int) -> bool:
        first = _first(stmt)
        return self.source.span(first)[0] <= at + 1 and at < self.source.span(stmt)[1]

    def _place(self, row: int) -> tuple[Island, _Group, ast.ClassDef | None] | None:
        """The island that `row` is in, for no rules yet, and the class whose body it is in."""
        number = bisect_right(self._starts, row) - 1
        if number < 0 or row > self._groups[number].last:
            return None
        group = self._groups[number]
        stmt = group.members[0]
        order = self.index.orders[self._numbers[id(stmt)]]
        inner = None
        if len(group.members) == 1 and isinstance(stmt, ast.ClassDef):
            if number not in self._classes:
                self._classes[number] = self._taken_apart(stmt)
            inner = self._classes[number]
            if inner is not None and row >= inner[0].first:
                member = next((g for g in inner if g.first <= row <= g.last), None)
                if member is None:
                    return None
                return self._island(member, owner=stmt.name, order=order), member, stmt
        if inner is not None:
            start, end = self.lines.start(group.first), self.lines.start(inner[0].first)
            return Island(start, end, (), "", order, head_only=True), group, None
        return self._island(group, order=order), group, None

    def _island(self, group: _Group, *, owner: str = "", order: int = 0) -> Island:
        start, end = self.lines.start(group.first), self.lines.end(group.last)
        return Island(start, end, (), owner, order)

    def _taken_apart(self, node: ast.ClassDef) -> list[_Group] | None:
        """The members of a class by their lines; None where its body stands on the line of its head."""
        groups = list(_line_groups(node.body))
        first = groups[0].members[0]
        column = min([first.col_offset, *(d.col_offset - 1 for d in getattr(first, "decorator_list", ()))])
        start = self.lines.start(groups[0].first)
        return groups if not self.text[start : start + column].strip() else None


def _first(stmt: ast.stmt) -> ast.stmt | ast.expr:
    """What a statement begins with: itself, or its first decorator."""
    parts: list[ast.stmt | ast.expr] = [stmt, *getattr(stmt, "decorator_list", ())]
    return min(parts, key=lambda node: (node.lineno, node.col_offset))


def _near(suite: list[ast.stmt], row: int) -> Iterator[ast.stmt]:
    """The statements of a suite that may hold what is in a row, or at its end: they stand in the order of the text."""
    for stmt in islice(suite, bisect_left(suite, row, key=lambda s: s.end_lineno or s.lineno), None):
        if _first(stmt).lineno > row + 1:
            return
        yield stmt


def _is_prose(stmt: ast.stmt) -> bool:
    """A docstring, or another string that stands alone."""
    match stmt:
        case ast.Expr(value=ast.Constant(value=str() | bytes()) | ast.JoinedStr()):
            return True
        case _:
            return False


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
