"""Timing by a pair of events, rewritten as a whole: events on an accelerator, the host's clock on a CPU."""

from __future__ import annotations

import ast
import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from uncuda.findings import Edit
from uncuda.source import Lines

_Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SIMPLE = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.Expr)


@dataclass(frozen=True)
class Words:
    """How the new text names things: the event's class, the wait, the test for an accelerator, the clock's call, one
    level of indentation."""

    event: str
    wait: str
    available: str
    clock: str
    indent: str
    newline: str


@dataclass
class Timing:
    """The events of one function (or of the module) that do nothing but time, and the statements that use them.

    `made`: the source of the called class. `waits`: the source of the function that waits for the device, "" for
    none.
    """

    scope: _Scope
    text: str
    made: str
    waits: str
    names: set[str] = field(default_factory=set)

    @property
    def start(self) -> int:
        """The offset of the first row of the function; 0 for the module."""
        return 0 if isinstance(self.scope, ast.Module) else self._lines.start(self.scope.lineno)

    def __post_init__(self) -> None:
        self._lines = Lines(self.text)
        self._used = {n.id for n in ast.walk(self.scope) if isinstance(n, ast.Name)}
        self._used |= {n.arg for n in ast.walk(self.scope) if isinstance(n, ast.arg)}
        self._used |= {n.asname or n.name for n in ast.walk(self.scope) if isinstance(n, ast.alias)}
        self._at_once: set[str] = set()
        self._suites = [s for s in _suites(self.scope) if s]
        made = {name for suite in self._suites for stmt in suite for name in self._creates(stmt)}
        self.names = {name for name in made if self._only_times(name)}
        while True:
            pairs = [pair for suite in self._suites for stmt in suite for pair in self._elapsed(stmt)]
            alone = {n for pair in pairs if not set(pair) <= self.names for n in pair}
            if not alone & self.names:
                break
            self.names -= alone
        read = {name for pair in pairs for name in pair}
        self.names = {n for n in self.names if n in read}

    # -- what there is -------------------------------------------------------------------------------------

    def _creates(self, stmt: ast.stmt) -> list[str]:
        """The variables that a statement makes events for; none where it does anything else."""
        match stmt:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if self._is_event(value):
                return [name]
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                if len(names) == len(values) and all(map(self._is_event, values)):
                    found = [n.id for n in names if isinstance(n, ast.Name)]
                    return found if len(found) == len(names) else []
        return []

    def _is_event(self, node: ast.expr) -> bool:
        match node:
            case ast.Call(func=func, args=[], keywords=[ast.keyword("enable_timing", ast.Constant(True))]):
                return ast.unparse(func) == self.made
            case ast.Call(func=func, args=[ast.Constant(True)], keywords=[]):
                return ast.unparse(func) == self.made
            case _:
                return False

    def _only_times(self, name: str) -> bool:
        """Is a variable made, recorded, waited for and read, in plain statements of the scope, and nothing else?"""
        told = sum(
            (name in self._creates(stmt))
            + (_method(stmt) in ((name, "record"), (name, "synchronize")))
            + sum(name == one for pair in self._elapsed(stmt) for one in pair)
            for suite in self._suites
            for stmt in suite
        )
        recorded = any(_method(stmt) == (name, "record") for suite in self._suites for stmt in suite)
        used = sum(isinstance(n, ast.Name) and n.id == name for n in _own(self.scope))
        return recorded and told == used and not self._reaches_out(name)

    def _reaches_out(self, name: str) -> bool:
        """Is the variable of use in functions inside the scope, or that of a scope around it?"""
        for node in ast.walk(self.scope):
            if isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names:
                return True
            if node is not self.scope and isinstance(node, _FUNCTIONS):
                mentioned = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name]
                if mentioned and not any(isinstance(n.ctx, ast.Store) for n in mentioned):
                    return True
        return False

    def _elapsed(self, stmt: ast.stmt) -> list[tuple[str, str]]:
        """The pairs of events whose distance a simple statement reads."""
        if not isinstance(stmt, _SIMPLE):
            return []
        found: list[tuple[str, str]] = []
        for node in ast.walk(stmt):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id=start), attr="elapsed_time"),
                    args=[ast.Name(id=end)],
                    keywords=[],
                ):
                    found.append((start, end))
        return found

    # -- what it becomes -----------------------------------------------------------------------------------

    def edits(self, words: Words) -> list[Edit] | None:
        """The edits that make the events on an accelerator alone, and ask the clock elsewhere; None where the text is
        laid out in a way that they don't know."""
        clocks = self._clocks()
        if clocks is None:
            return None
        runs = [run for suite in self._suites for run in self._runs(suite)]
        self._at_once = {name for name in self.names if all(self._is_read_at_once(name, run) for run in runs)}
        found: list[Edit] = []
        first = min(s.lineno for suite in self._suites for s in suite if set(self._creates(s)) & self.names)
        for run in runs:
            leading = self._is_wait(run[0]) and run[0].lineno < first
            edits = self._led_block(run, clocks, words) if leading else [self._block(run, clocks, words)]
            if None in edits:
                return None
            found.extend(edit for edit in edits if edit is not None)
        return found

    def _is_read_at_once(self, name: str, run: list[ast.stmt]) -> bool:
        """Is an event that a run reads recorded right there, before, and read once?"""
        recorded = False
        for stmt in run:
            if _method(stmt) == (name, "record"):
                recorded = True
                continue
            times = sum(name in pair for pair in self._elapsed(stmt))
            if times and (not recorded or times > 1):
                return False
            recorded = recorded and not times
        return True

    def _clocks(self) -> dict[str, str] | None:
        """A variable for the clock's answer in place of each event."""
        found: dict[str, str] = {}
        for name in sorted(self.names):
            short = re.sub(r"_?events?\Z", "", name) or name
            ways = (f"{short}_time", f"{name}_time", f"{short}_seconds")
            new = next((w for w in ways if w not in self._used and w not in found.values()), None)
            if new is None:
                return None
            found[name] = new
        return found

    def _runs(self, suite: Sequence[ast.stmt]) -> Iterator[list[ast.stmt]]:
        """The statements of a suite that belong together, run by run. A wait for the device belongs to its neighbours."""
        run: list[ast.stmt] = []
        for stmt in (*suite, None):
            if stmt is not None and (self._is_ours(stmt) or self._is_wait(stmt)):
                run.append(stmt)
                continue
            if any(map(self._is_ours, run)):
                yield run
            run = []

    def _is_ours(self, stmt: ast.stmt) -> bool:
        owner, _ = _method(stmt) or ("", "")
        pairs = self._elapsed(stmt)
        return (
            owner in self.names
            or bool(set(self._creates(stmt)) & self.names)
            or any(start in self.names for start, _ in pairs)
        )

    def _is_wait(self, stmt: ast.stmt) -> bool:
        match stmt:
            case ast.Expr(
                value=ast.Call(
                    func=func, args=[] | [ast.Name() | ast.Attribute() | ast.Constant(int())], keywords=[]
                )
            ):
                return bool(self.waits) and ast.unparse(func) == self.waits
            case _:
                return False

    def _led_block(self, run: list[ast.stmt], clocks: dict[str, str], words: Words) -> list[Edit | None]:
        """The same for a run that begins with a wait before all events, for which another rule writes the test, in these
        very edits."""
        waits = next(number for number, stmt in enumerate(run) if not self._is_wait(stmt))
        wait, rest = run[waits - 1], run[waits:]
        block = self._block(rest, clocks, words)
        whole = self._source(wait)
        if block is None or whole is None:
            return [None]
        start = self._lines.start(wait.lineno)
        test, _, below = block.text.partition(words.newline)
        at = start + len(self._indent(wait))
        return [
            Edit(start, start, f"{test}{words.newline}"),
            Edit(at, at + len(self.waits), f"{words.indent}{words.wait}"),
            Edit(block.start, block.end, below),
        ]

    def _block(self, run: list[ast.stmt], clocks: dict[str, str], words: Words) -> Edit | None:
        """A run of statements under a test for an accelerator, and what takes their place without one."""
        last = run[-1].end_lineno or run[-1].lineno
        rows = [self._lines.line(row) for row in range(run[0].lineno, last + 1)]
        indent = self._indent(run[0])
        whole = [self._source(stmt) for stmt in run]
        if not all(whole) or any(row.strip() and not row.startswith(indent) for row in rows):
            return None
        there = [self._portable(row, words) for row in rows]
        block = [
            f"{indent}if {words.available}:",
            *(f"{words.indent}{row}" if row.strip() else row for row in there),
        ]
        other = self._otherwise(run, [source or "" for source in whole], clocks, words)
        if other is None:
            return None
        if other and isinstance(run[-1], ast.Return):
            block.extend(f"{indent}{line}" for line in other)
        elif other:
            block.append(f"{indent}else:")
            block.extend(f"{indent}{words.indent}{line}" for line in other)
        end = self._lines.start(last) + len(self._lines.line(last))
        return Edit(self._lines.start(run[0].lineno), end, words.newline.join(block))

    def _source(self, stmt: ast.stmt) -> str | None:
        """The source of a statement that has its lines for itself, without the comment behind it; None for others."""
        first, last = stmt.lineno, stmt.end_lineno or stmt.lineno
        source = ast.get_source_segment(self.text, stmt)
        rows = "\n".join(self._lines.line(row) for row in range(first, last + 1))
        if source is None or '"""' in source or "'''" in source or "\\\n" in source:
            return None
        before, _, behind = rows.partition(source.replace("\r\n", "\n"))
        return source if not before.strip() and (not behind.strip() or behind.lstrip()[0] == "#") else None

    def _portable(self, row: str, words: Words) -> str:
        row = re.sub(rf"(?<![\w.]){re.escape(self.made)}(?=\()", lambda _: words.event, row)
        if self.waits:
            row = re.sub(rf"(?<![\w.]){re.escape(self.waits)}(?=\()", lambda _: words.wait, row)
        return row

    def _otherwise(
        self, run: list[ast.stmt], sources: list[str], clocks: dict[str, str], words: Words
    ) -> list[str] | None:
        """The lines for a CPU; None where they can't be written. An answer of the clock that the run reads once itself
        gets no name."""
        lines: list[str] = []
        at_once: dict[str, str] = {}
        for stmt, source in zip(run, sources, strict=True):
            owner, method = _method(stmt) or ("", "")
            pairs = self._elapsed(stmt)
            if method == "record":
                if owner in self._at_once:
                    at_once[owner] = words.clock
                else:
                    lines.append(f"{clocks[owner]} = {words.clock}")
            elif pairs:
                answers = {name: at_once.get(name, clocks[name]) for pair in pairs for name in pair}
                measured = _measured(source, pairs, answers)
                if measured is None:
                    return None
                first, *rest = measured.splitlines()
                lines.extend((first, *(row[len(self._indent(stmt)) :] for row in rest)))
        return lines

    def _indent(self, stmt: ast.stmt) -> str:
        row = self._lines.line(stmt.lineno)
        return row[: len(row) - len(row.lstrip())]


def timing(text: str, made: str, name: str, function: str, from_offset: int) -> Timing | None:
    """What the text does with the event that the function `function` ("" for the module) makes and calls `name`: the
    first such function from an offset on."""
    waits = f"{made.removesuffix('.Event')}.synchronize" if made.endswith(".Event") else ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    scopes: list[_Scope] = [tree] if not function else []
    if function:
        scopes.extend(
            node
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function
        )
    found = [Timing(scope, text, made, waits) for scope in scopes]
    found = [one for one in found if not function or one.start >= from_offset]
    found.sort(key=lambda one: one.start)
    return next((one for one in found if name in one.names), None)


class _Clocked(ast.NodeTransformer):
    """Puts the clock's difference in place of that of two events: in milliseconds, or in seconds where `seconds` says
    that a division by 1000 goes too."""

    def __init__(self, pairs: Sequence[tuple[str, str]], answers: dict[str, str], seconds: bool) -> None:
        self._differences = {
            f"{start}.elapsed_time({end})": f"{answers[end]} - {answers[start]}" for start, end in pairs
        }
        self._seconds = seconds

    def visit_Call(self, node: ast.Call) -> ast.AST:
        difference = self._differences.get(ast.unparse(node))
        return self.generic_visit(node) if difference is None else _expression(f"({difference}) * 1000")

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        difference = self._differences.get(ast.unparse(node.left))
        match node:
            case (
                ast.BinOp(op=ast.Div(), right=ast.Constant(1000))
                | ast.BinOp(op=ast.Mult(), right=ast.Constant(0.001))
            ) if self._seconds and difference is not None:
                return _expression(difference)
        return self.generic_visit(node)


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _measured(source: str, pairs: Sequence[tuple[str, str]], answers: dict[str, str]) -> str | None:
    """A statement with the clock's differences in place of those of events. What is written is held against the tree
    that it must give: next to a division, or in a text that holds the same words, a pattern alone goes wrong."""
    short = full = source
    for start, end in pairs:
        short = _short(short, start, end, answers[end], answers[start])
        full = _full(full, start, end, answers[end], answers[start])
    for text, seconds in ((short, True), (full, False)):
        with warnings.catch_warnings(), contextlib.suppress(SyntaxError):
            warnings.simplefilter("ignore")
            wanted = _Clocked(pairs, answers, seconds).visit(ast.parse(source))
            if ast.dump(ast.parse(text)) == ast.dump(wanted):
                return text
    return None


def _call(start: str, end: str) -> str:
    return rf"\b{re.escape(start)}\s*\.\s*elapsed_time\(\s*{re.escape(end)}\s*,?\s*\)"


def _full(source: str, start: str, end: str, later: str, earlier: str) -> str:
    return re.sub(_call(start, end), lambda _: f"(({later} - {earlier}) * 1000)", source)


def _short(source: str, start: str, end: str, later: str, earlier: str) -> str:
    """The text with as few brackets as it mostly needs, and without the way to milliseconds and back."""
    call = _call(start, end)
    seconds = r"\s*(?:/\s*(?:1000(?:\.0*)?|1e3)(?![\w.])|\*\s*(?:1e-3|0?\.001)(?![\w.]))"
    source = re.sub(rf"\{{{call}{seconds}(?=[:}}])", lambda _: f"{{{later} - {earlier}", source)
    source = re.sub(rf"{call}{seconds}", lambda _: f"({later} - {earlier})", source)
    source = source.replace(f"(({later} - {earlier}))", f"({later} - {earlier})")
    source = re.sub(call, lambda _: f"({later} - {earlier}) * 1000", source)
    return re.sub(r"\A((?:[\w.\[\]]+ [-+*]?=|return) )\(([\w.()]+ - [\w.]+)\)\Z", r"\1\2", source)


def _method(stmt: ast.stmt) -> tuple[str, str] | None:
    """A variable, and its method that a statement calls: without arguments, or to record in a stream."""
    match stmt:
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=method), args=args, keywords=[])
        ) if not args or (
            method == "record" and len(args) == 1 and isinstance(args[0], (ast.Name, ast.Attribute, ast.Call))
        ):
            return owner, method
        case _:
            return None


def _own(scope: _Scope) -> Iterator[ast.AST]:
    """All nodes of a scope but those of the functions in it."""
    stack: list[ast.AST] = list(scope.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, _FUNCTIONS):
            stack.extend(ast.iter_child_nodes(node))


def _suites(scope: _Scope) -> Iterator[list[ast.stmt]]:
    """The suites of a scope, in no order: its own, and those of its loops, branches and blocks; not of classes."""
    stack: list[ast.AST] = [scope]
    while stack:
        node = stack.pop()
        for part in ("body", "orelse", "finalbody"):
            suite = getattr(node, part, None)
            if isinstance(suite, list):
                yield suite
                stack.extend(s for s in suite if not isinstance(s, (*_FUNCTIONS, ast.ClassDef)))
        stack.extend(getattr(node, "handlers", ()))
        stack.extend(getattr(node, "cases", ()))
