"""Is a seeding of the CUDA generators repeated, or undone, by another one close by?"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache

import libcst as cst

from uncuda.bindings import dotted, names_read
from uncuda.context import Context
from uncuda.literals import argument
from uncuda.rules._calls import last_word
from uncuda.source import lines_of
from uncuda.walk import walk

_EVERYWHERE = ("torch.manual_seed", "torch.random.manual_seed")
_ALL = ("torch.cuda.manual_seed_all", "torch.cuda.random.manual_seed_all")
_ONE = ("torch.cuda.manual_seed", "torch.cuda.random.manual_seed")
# Functions that seed something else, and draw nothing.
_SEEDING = frozenset({"seed", "manual_seed", "manual_seed_all", "set_seed", "set_rng_state"})
_OTHER_GENERATORS = ("random.", "numpy.random.")
_PURE = frozenset(
    {"int", "str", "float", "bool", "len", "abs", "min", "max", "getattr", "hasattr", "isinstance"}
)
_SHOWING = frozenset({"print", "debug", "info", "warning"})
_SETTINGS = (
    "torch.use_",
    "torch.set_",
    "torch.cuda.set_device",
    "torch.backends.",
    "os.environ.",
    "os.putenv",
)


def seed_of(call: cst.Call) -> cst.BaseExpression | None:
    """The seed that a `manual_seed` call is given."""
    given = argument(call, "seed", 0)
    return given.value if given is not None and len(call.args) == 1 else None


class Seeds:
    """The statements around one seeding call, read as a program: what else seeds the same generators?"""

    def __init__(self, call: cst.Call, ctx: Context) -> None:
        self.ctx = ctx
        self.call = call
        name = ctx.qualified(call.func)
        self.one = name in _ONE
        seed = seed_of(call)
        self.seed = ctx.code(seed) if seed is not None and self._is_plain(seed) else None
        self.names = frozenset(names_read(seed)) if seed is not None else frozenset()

    def is_repeated(self) -> bool:
        """Do the same generators get the same seed just before, or another one right after?

        `torch.manual_seed` seeds every generator of every device. Between the two nothing may draw a number.
        """
        if seed_of(self.call) is None:
            return False
        return self._search(before=True) or self._search(before=False)

    def _search(self, *, before: bool) -> bool:
        if before and self.seed is None:
            return False
        _, path = self.ctx.parent_of(self.call)
        # From the statement outwards, through suites that are always entered from, and left to, the one around.
        for depth in range(len(path) - 1, 0, -1):
            above, below = path[depth - 1], path[depth]
            if isinstance(above, (cst.IndentedBlock, cst.SimpleStatementLine, cst.SimpleStatementSuite)):
                place = next(i for i, stmt in enumerate(above.body) if stmt is below)
                told = self._along(
                    reversed(above.body[:place]) if before else above.body[place + 1 :], before
                )
                if told is not None:
                    return told
            elif isinstance(above, cst.Module):
                return self._along(neighbours(self.ctx, before=before), before) or False
            elif isinstance(above, cst.If):
                if not self._quiet_expression(above.test):
                    return False
            elif isinstance(above, cst.Try):
                if not before or below is not above.body:
                    return False
            elif not isinstance(above, cst.Else):
                return False
        return False

    def _along(self, stmts: Iterable[cst.CSTNode], before: bool) -> bool | None:
        """Along statements, the nearest first: is there a cover (True), something that draws (False), neither?"""
        for stmt in _flat(stmts, before):
            call = _called(stmt)
            if call is not None and self._covers(call, before):
                return True
            if not self._is_quiet(stmt):
                return False
        return None

    def _covers(self, call: cst.Call, before: bool) -> bool:
        name = self.ctx.qualified(call.func)
        seed = seed_of(call)
        if seed is None or not (name in _EVERYWHERE or (name in _ALL and (self.one or not before))):
            return False
        return not before or self.ctx.code(seed) == self.seed

    # -- what draws no number ------------------------------------------------------------------------------

    def _is_quiet(self, stmt: cst.CSTNode) -> bool:
        match stmt:
            case cst.SimpleStatementLine() | cst.IndentedBlock() | cst.SimpleStatementSuite():
                return all(map(self._is_quiet, stmt.body))
            case cst.Pass() | cst.Import() | cst.ImportFrom() | cst.Global():
                return True
            case cst.Expr(value=value):
                return self._quiet_expression(value)
            case cst.Assign(targets=targets, value=value):
                return all(self._keeps(t.target) for t in targets) and self._quiet_expression(value)
            case cst.AnnAssign(target=target, value=value):
                return self._keeps(target) and (value is None or self._quiet_expression(value))
            case cst.If(test=test, body=body, orelse=orelse):
                other = orelse.body if isinstance(orelse, cst.Else) else orelse
                return (
                    self._quiet_expression(test)
                    and self._is_quiet(body)
                    and (other is None or self._is_quiet(other))
                )
            case _:
                return False

    def _keeps(self, target: cst.BaseAssignTargetExpression) -> bool:
        """Does the assignment leave the seed as it is?"""
        return not self.names & set(names_read(target))

    def _quiet_expression(self, node: cst.BaseExpression) -> bool:
        return all(self._quiet_call(n) for n in walk(node) if isinstance(n, cst.Call)) and not any(
            isinstance(n, (cst.Await, cst.Yield, cst.NamedExpr, cst.From)) for n in walk(node)
        )

    def _quiet_call(self, call: cst.Call) -> bool:
        name = self.ctx.qualified(call.func) or ""
        last = last_word(call.func)
        if last in _SEEDING:
            if name.startswith(_OTHER_GENERATORS):
                return True
            return bool(call.args) and self.ctx.code(call.args[0].value) == self.seed
        if isinstance(call.func, cst.Name):
            return call.func.value in _PURE or call.func.value in _SHOWING or last.startswith("is_")
        return (
            name.startswith(_SETTINGS)
            or last in _SHOWING
            or last.startswith("is_")
            or last in ("device_count", "format", "get", "getenv")
        )

    def _is_plain(self, node: cst.BaseExpression) -> bool:
        """Does the expression give the same each time: names, numbers, and sums of them?"""
        for part in walk(node):
            if isinstance(part, cst.Call) and dotted(part.func) != "int":
                return False
            if isinstance(part, (cst.Await, cst.Yield, cst.NamedExpr, cst.Lambda)):
                return False
        return True


@lru_cache(maxsize=4)
def _top_level(text: str) -> tuple[tuple[int, int], ...]:
    """First and last row of each statement at the top of a module."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return ()
    return tuple(
        (min([s.lineno, *(d.lineno for d in getattr(s, "decorator_list", ()))]), s.end_lineno or s.lineno)
        for s in tree.body
    )


def neighbours(ctx: Context, *, before: bool) -> Iterator[cst.CSTNode]:
    """The top-level statements before or after the one at hand, the nearest first. They aren't in its tree."""
    lines = lines_of(ctx.index.text)
    row = lines.position(ctx.island_start)[0]
    places = _top_level(ctx.index.text)
    if before:
        found = [place for place in reversed(places) if place[1] < row]
    else:
        end = max((last for first, last in places if first <= row), default=row)
        found = [place for place in places if place[0] > end]
    for first, last in dict.fromkeys(found):
        yield from cst.parse_module(ctx.index.text[lines.start(first) : lines.end(last)]).body


def _flat(stmts: Iterable[cst.CSTNode], backwards: bool) -> Iterator[cst.CSTNode]:
    """Statement lines taken apart."""
    for stmt in stmts:
        if isinstance(stmt, cst.SimpleStatementLine):
            yield from reversed(stmt.body) if backwards else stmt.body
        else:
            yield stmt


def _called(stmt: cst.CSTNode) -> cst.Call | None:
    """The call that a statement is, or assigns the value of."""
    if isinstance(stmt, (cst.Expr, cst.Assign)) and isinstance(stmt.value, cst.Call):
        return stmt.value
    return None
