"""Checks and fixes one text: index, islands, one walk for all rules, findings with their edits."""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import libcst as cst

from uncuda.bindings import SCOPED, Scope, bindings_in_suite
from uncuda.context import Context, Options, RawFinding
from uncuda.findings import Applicability, Edit, Finding, Fix
from uncuda.fixes.apply import apply, choose
from uncuda.fixes.builder import InsertBefore, PendingFix, Remove, Replace, ReplaceArguments
from uncuda.fixes.imports import drop_unused
from uncuda.index import ClassFacts, FileIndex, class_facts, from_ast, from_cst
from uncuda.positions import spans
from uncuda.rules.base import Rule
from uncuda.rules.registry import all_rules
from uncuda.source import Lines
from uncuda.walk import Handler, children, is_text_statement, traverse

MAX_ROUNDS = 12
"""Fixes are applied until nothing changes, at most this often."""


@dataclass(frozen=True)
class ParseError:
    """Why a text isn't Python: 1-based row and column."""

    message: str
    row: int
    column: int


@dataclass(frozen=True)
class Checked:
    """Findings in the order of the text; none when it could not be parsed."""

    findings: tuple[Finding, ...]
    error: ParseError | None = None


@dataclass(frozen=True)
class Fixed:
    """`text` after the fixes; `applied` in the order they were made; `remaining` are the findings left.

    With `error` the text is as it was: the fixed one would not have parsed.
    """

    text: str
    applied: tuple[Finding, ...]
    remaining: tuple[Finding, ...]
    error: str | None = None


@dataclass(frozen=True)
class _Island:
    """A top-level statement, a class's head or a class member: characters `start:end`, whole lines."""

    start: int
    end: int
    owner: str = ""
    order: int = 0
    head_only: bool = False


class _Unreadable(Exception):
    def __init__(self, error: ParseError) -> None:
        self.error = error


def check_text(text: str, options: Options | None = None) -> Checked:
    """Every tie in `text`. Never raises for bad input: a text that isn't Python gives `error`."""
    options = options or Options()
    try:
        return Checked(tuple(_findings(text, options)))
    except _Unreadable as unreadable:
        return Checked((), unreadable.error)
    except RecursionError:
        return Checked((), ParseError("nested too deeply to be checked", 1, 1))


def fix_text(
    text: str,
    options: Options | None = None,
    *,
    unsafe: bool = False,
    keep: Callable[[str, tuple[Finding, ...]], list[Finding]] | None = None,
) -> Fixed:
    """Applies every fix that may be applied, again and again until nothing changes.

    `unsafe`: also those that are marked unsafe. `keep(text, findings)` gives the findings that count (others
    are suppressed or not selected), and is asked in each round.
    """
    options = options or Options()
    start = text
    applied: list[Finding] = []
    for _ in range(MAX_ROUNDS):
        checked = check_text(text, options)
        if checked.error is not None:
            if not applied:
                return Fixed(start, (), (), f"{checked.error.message} (line {checked.error.row})")
            return Fixed(
                start, (), (), f"the fixed text would not parse: {checked.error.message}; nothing was changed"
            )
        findings = list(checked.findings) if keep is None else keep(text, checked.findings)
        chosen = choose(f for f in findings if _may_apply(f.fix, unsafe))
        if not chosen:
            break
        fixed = apply(text, (e for f in chosen if f.fix for e in f.fix.edits))
        if fixed == text:
            break
        problem = _cannot_parse(fixed)
        if problem is not None:
            return Fixed(start, (), (), f"the fixed text would not parse: {problem}; nothing was changed")
        fixed = drop_unused(text, fixed)
        applied.extend(chosen)
        text = fixed
    else:
        findings = list(check_text(text, options).findings)
        findings = findings if keep is None else keep(text, tuple(findings))
    return Fixed(text, tuple(applied), tuple(findings))


def _may_apply(fix: Fix | None, unsafe: bool) -> bool:
    if fix is None:
        return False
    return fix.applicability is Applicability.SAFE or (unsafe and fix.applicability is Applicability.UNSAFE)


def _cannot_parse(text: str) -> str | None:
    try:
        _parse_ast(text)
    except (SyntaxError, ValueError, MemoryError):
        try:
            cst.parse_module(text)
        except cst.ParserSyntaxError as error:
            return error.message
    return None


def _parse_ast(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


# -- rules and triggers ------------------------------------------------------------------------------------


def _rules(options: Options) -> list[Rule]:
    chosen = [r for r in all_rules() if r.triggers]
    # Rules that aren't selected still run: they claim their ties, so that no broader rule reports them.
    return sorted(chosen, key=lambda r: (r.priority, r.code))


def _triggers(rules: Iterable[Rule]) -> frozenset[str]:
    """The shortest set of literals that finds every rule's triggers."""
    every = {t for r in rules for t in r.triggers}
    return frozenset(t for t in every if not any(o != t and o in t for o in every))


def _alias_pattern(index: FileIndex, triggers: frozenset[str]) -> re.Pattern[str] | None:
    """Names that stand for something whose own name holds a trigger: they mark an island too."""
    names = set()
    for name, bindings in index.bindings.items():
        if any(t in name for t in triggers):
            continue
        for binding in bindings:
            told = binding.target
            if not told and binding.kind == "assign" and binding.value is not None:
                value = binding.value()
                if isinstance(value, (cst.Name, cst.Attribute)):
                    told = cst.Module([]).code_for_node(value)
            if told and any(t in told for t in triggers):
                names.add(name)
    return re.compile(rf"(?<!\w)(?:{'|'.join(sorted(map(re.escape, names)))})(?!\w)") if names else None


def _hits(text: str, triggers: frozenset[str], aliases: re.Pattern[str] | None) -> list[int]:
    found: list[int] = []
    for trigger in triggers:
        at = text.find(trigger)
        while at >= 0:
            found.append(at)
            at = text.find(trigger, at + len(trigger))
    if aliases is not None:
        found.extend(m.start() for m in aliases.finditer(text))
    found.sort()
    return found


# -- islands -----------------------------------------------------------------------------------------------


def _statement_lines(stmt: ast.stmt) -> tuple[int, int]:
    first = min([stmt.lineno, *(d.lineno for d in getattr(stmt, "decorator_list", ()))])
    assert stmt.end_lineno is not None
    return first, stmt.end_lineno


def _islands(tree: ast.Module, lines: Lines, index: FileIndex, hits: list[int]) -> Iterator[_Island]:
    """The smallest top-level statements and class members around the hits, each once, in order."""
    groups = list(_line_groups(tree.body))
    starts = [g[0] for g in groups]
    numbers = {id(stmt): number for number, stmt in enumerate(tree.body)}
    done: set[tuple[int, int]] = set()
    for hit in hits:
        row = lines.position(hit)[0]
        at = bisect_right(starts, row) - 1
        if at < 0 or row > groups[at][1]:
            continue
        first, last, members = groups[at]
        stmt = members[0]
        order = index.orders[numbers[id(stmt)]]
        head_only = False
        if len(members) == 1 and isinstance(stmt, ast.ClassDef):
            inner = _member_at(stmt, row)
            if inner is not None:
                if inner not in done:
                    done.add(inner)
                    yield _Island(lines.start(inner[0]), lines.end(inner[1]), stmt.name)
                continue
            head_only = stmt.body[0].lineno > _header_end(stmt)
        if all(isinstance(m, ast.Expr) and isinstance(m.value, ast.Constant) for m in members):
            continue
        if (first, last) not in done:
            done.add((first, last))
            yield _Island(lines.start(first), lines.end(last), order=order, head_only=head_only)


def _line_groups(body: list[ast.stmt]) -> Iterator[tuple[int, int, list[ast.stmt]]]:
    """Statements that share a line belong together."""
    group: list[ast.stmt] = []
    first = last = 0
    for stmt in body:
        start, end = _statement_lines(stmt)
        if group and start <= last:
            group.append(stmt)
            last = max(last, end)
            continue
        if group:
            yield first, last, group
        group, first, last = [stmt], start, end
    if group:
        yield first, last, group


def _member_at(node: ast.ClassDef, row: int) -> tuple[int, int] | None:
    """The lines of the class member at `row`; None when the row belongs to the class's head, or when the
    class can't be taken apart."""
    groups = list(_line_groups(node.body))
    if not groups or groups[0][0] <= _header_end(node):
        return None
    for first, last, members in groups:
        if first <= row <= last:
            if all(isinstance(m, ast.Expr) and isinstance(m.value, ast.Constant) for m in members):
                return (first, first - 1)
            return first, last
    return (row, row - 1) if row > groups[0][0] else None


def _header_end(node: ast.ClassDef) -> int:
    parts = [*node.bases, *(k.value for k in node.keywords)]
    return max([node.lineno, *(p.end_lineno or 0 for p in parts)])


# -- the walk ----------------------------------------------------------------------------------------------


class _Walker:
    """Runs the rules over trees, with the context moved along."""

    def __init__(self, ctx: Context, rules: list[Rule]) -> None:
        self.ctx = ctx
        self.handlers: dict[type[cst.CSTNode], list[Handler]] = {}
        for rule in rules:
            for node_name, method in rule.handlers().items():
                self.handlers.setdefault(getattr(cst, node_name), []).append(self._bind(rule, method))

    def _bind(self, rule: Rule, method: str) -> Handler:
        visit: Callable[[cst.CSTNode, Context], None] = getattr(rule, method)
        ctx = self.ctx
        return lambda node: visit(node, ctx)

    def enter(self, node: cst.CSTNode) -> None:
        ctx = self.ctx
        if isinstance(node, cst.ClassDef):
            self._owners.append(ctx.owner)
            ctx.owner = class_facts(node)
            ctx.scope = Scope("class", node, ctx.scope)
        else:
            ctx.scope = Scope("function", node, ctx.scope)
        ctx.scope.bindings()

    def leave(self, node: cst.CSTNode) -> None:
        ctx = self.ctx
        if isinstance(node, cst.ClassDef):
            ctx.owner = self._owners.pop()
        assert ctx.scope.parent is not None
        ctx.scope = ctx.scope.parent

    def run(self, root: cst.Module, nodes: Iterable[cst.CSTNode], path: list[cst.CSTNode]) -> None:
        """Visits `nodes`, which stand in `root` below `path`."""
        ctx = self.ctx
        ctx.root = root
        ctx.ancestors[:] = path
        self._owners: list[ClassFacts | None] = []
        for node in nodes:
            if is_text_statement(node):
                continue
            traverse(node, self.handlers, ctx.ancestors, self.enter, self.leave, SCOPED)


_WRAPPER = "if 1:"


def _findings(text: str, options: Options) -> list[Finding]:
    rules = _rules(options)
    triggers = _triggers(rules)
    if not any(t in text for t in triggers):
        # Still, a text that isn't Python is worth a word; but not the cost of a parse.
        return []
    lines = Lines(text)
    tree: ast.Module | None
    whole: cst.Module | None = None
    try:
        tree = _parse_ast(text)
    except (SyntaxError, ValueError, MemoryError):
        tree = None
    if tree is None or options.whole_file:
        whole = _parse_whole(text)
    if whole is not None:
        _, places = spans(whole, (n for s in whole.body for n in _with_smalls(s)))
        index = from_cst(text, whole, lambda n: places[id(n)], lines)
    else:
        assert tree is not None
        index = from_ast(text, tree, lines)
    module = Scope("module", None, None, names=index.bindings)
    ctx = Context(index, options, module)
    walker = _Walker(ctx, rules)
    if whole is not None:
        return _check_whole(text, whole, ctx, walker, places)
    assert tree is not None
    aliases = _alias_pattern(index, triggers)
    found: list[Finding] = []
    for island in _islands(tree, lines, index, _hits(text, triggers, aliases)):
        if island.end <= island.start:
            continue
        found.extend(_check_island(text, island, ctx, walker))
    return _sorted(found)


def _with_smalls(stmt: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield stmt
    yield from getattr(stmt, "decorators", ())
    if isinstance(stmt, cst.SimpleStatementLine):
        yield from stmt.body


def _parse_whole(text: str) -> cst.Module:
    try:
        return cst.parse_module(text)
    except cst.ParserSyntaxError as error:
        raise _Unreadable(ParseError(error.message, error.raw_line, error.raw_column + 1)) from None


def _check_island(text: str, island: _Island, ctx: Context, walker: _Walker) -> list[Finding]:
    source = text[island.start : island.end]
    ctx.begin(island.start)
    prefix = 0
    newline = ctx.newline
    if island.owner:
        head = _WRAPPER + newline
        prefix = len(head)
        source = head + source
    if not source.endswith(("\n", "\r")):
        source += newline
    root = cst.parse_module(source)
    if island.owner:
        ctx.owner = ctx.index.classes.get(island.owner)
        wrapper = root.body[0]
        assert isinstance(wrapper, cst.If) and isinstance(wrapper.body, cst.IndentedBlock)
        class_scope = Scope("class", None, ctx.module, names={})
        ctx.scope = class_scope
        walker.run(root, wrapper.body.body, [wrapper.body])
        ctx.owner = None
        ctx.scope = ctx.module
    else:
        ctx.scope = ctx.module
        ctx.module.places = bindings_in_suite(root.body, island.order)[1]
        stmt = root.body[0]
        if island.head_only and isinstance(stmt, cst.ClassDef):
            walker.run(root, _head(stmt), [root, stmt])
        else:
            walker.run(root, root.body, [root])
        ctx.module.places = {}
    return _placed(text, root, ctx, island.start - prefix, source)


def _head(node: cst.ClassDef) -> list[cst.CSTNode]:
    """Decorators, bases and keywords of a class: what runs in the scope around it."""
    return [child for child in children(node) if child is not node.body]


def _check_whole(
    text: str,
    whole: cst.Module,
    ctx: Context,
    walker: _Walker,
    places: dict[int, tuple[int, int]],
) -> list[Finding]:
    found: list[Finding] = []
    for order, stmt in zip(ctx.index.orders, whole.body, strict=True):
        first = min(places[id(n)][0] for n in (stmt, *getattr(stmt, "decorators", ())))
        ctx.begin(_line_start(text, first))
        ctx.module.places = bindings_in_suite([stmt], order)[1]
        if isinstance(stmt, cst.ClassDef) and isinstance(stmt.body, cst.IndentedBlock):
            # As the islands do it: first the head, then member by member.
            ctx.scope = ctx.module
            walker.run(whole, _head(stmt), [whole, stmt])
            ctx.owner = ctx.index.classes.get(stmt.name.value)
            for member in stmt.body.body:
                ctx.begin(_line_start(text, first))
                ctx.scope = Scope("class", None, ctx.module, names={})
                walker.run(whole, [member], [stmt.body])
            ctx.owner = None
            ctx.scope = ctx.module
        else:
            ctx.scope = ctx.module
            walker.run(whole, [stmt], [whole])
    ctx.module.places = {}
    found.extend(_placed(text, whole, ctx, 0, text))
    return _sorted(found)


def _sorted(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda f: (f.start, f.end, f.code))


# -- from nodes to places ----------------------------------------------------------------------------------


def _placed(text: str, root: cst.Module, ctx: Context, shift: int, source: str) -> list[Finding]:
    """The raw findings of a tree with their offsets in `text`. `shift` is where the tree's text begins."""
    if not ctx.raw:
        return []
    wanted: list[cst.CSTNode] = []
    for raw in ctx.raw:
        wanted.append(raw.node)
        if raw.fix is not None:
            for edit in raw.fix.edits:
                if isinstance(edit, Replace):
                    wanted.append(edit.node)
                elif isinstance(edit, ReplaceArguments):
                    wanted.extend((edit.call, edit.call.func))
                elif isinstance(edit, InsertBefore):
                    wanted.extend(_with_smalls(edit.statement))
                elif isinstance(edit, Remove):
                    wanted.extend((*_with_smalls(edit.statement), *_last_line(edit.statement)))
    written, where = spans(root, wanted)
    exact = written == source
    found = [_finding(text, raw, where, shift, exact, ctx) for raw in ctx.raw]
    ctx.raw.clear()
    return found


def _finding(
    text: str, raw: RawFinding, where: dict[int, tuple[int, int]], shift: int, exact: bool, ctx: Context
) -> Finding:
    start, end = where[id(raw.node)]
    fix = _resolve(text, raw.fix, where, shift, ctx) if raw.fix is not None and exact else None
    return Finding(
        code=raw.rule.code,
        name=raw.rule.name,
        message=raw.message,
        start=start + shift,
        end=end + shift,
        symbol=raw.symbol,
        category=raw.category or raw.rule.category,
        effort=raw.rule.effort,
        outcomes=raw.outcomes,
        fix=fix,
    )


def _resolve(
    text: str, fix: PendingFix, where: dict[int, tuple[int, int]], shift: int, ctx: Context
) -> Fix | None:
    edits: list[Edit] = []
    for edit in fix.edits:
        if isinstance(edit, Edit):
            edits.append(edit)
        elif isinstance(edit, Replace):
            start, end = where[id(edit.node)]
            start, end = start + shift, end + shift
            if _loses_comment(text[start:end]):
                return None
            edits.append(Edit(start, end, edit.text))
        elif isinstance(edit, ReplaceArguments):
            call = edit.call
            start = where[id(call.func)][1] + shift
            end = where[id(call)][1] + shift - 1
            start = text.index("(", start)
            if _loses_comment(text[start + 1 : end]):
                return None
            edits.append(Edit(start + 1, end, edit.text))
        elif isinstance(edit, InsertBefore):
            first = min(where[id(n)][0] for n in _heads(edit.statement)) + shift
            line_start = _line_start(text, first)
            if text[line_start:first].strip():
                return None  # the statement shares its line with another
            indent = text[line_start:first]
            new = "".join(f"{indent}{line}{ctx.newline}" for line in edit.lines)
            edits.append(Edit(line_start, line_start, new))
        else:
            gone = _removal(text, edit, where, shift)
            if gone is None:
                return None
            edits.append(gone)
    return Fix(fix.title, tuple(dict.fromkeys(edits)), fix.applicability, fix.floor)


def _removal(text: str, edit: Remove, where: dict[int, tuple[int, int]], shift: int) -> Edit | None:
    stmt = edit.statement
    if isinstance(stmt, cst.SimpleStatementLine) and edit.part is not None and len(stmt.body) > 1:
        at = next(i for i, small in enumerate(stmt.body) if small is edit.part)
        # With the semicolon before it; the first goes up to the second.
        if at:
            start, end = where[id(stmt.body[at - 1])][1], where[id(edit.part)][1]
        else:
            start, end = where[id(edit.part)][0], where[id(stmt.body[1])][0]
        return Edit(start + shift, end + shift, "")
    first = min(where[id(n)][0] for n in _heads(stmt)) + shift
    last = max(where[id(n)][1] for n in _last_line(stmt)) + shift
    line_start = _line_start(text, first)
    line_end = _line_end(text, last)
    behind = text[last:line_end].strip()
    if text[line_start:first].strip() or (behind and not behind.startswith("#")):
        return None
    if not edit.comment and (behind or _loses_comment(text[first:last])):
        return None
    return Edit(line_start, line_end, "")


def _last_line(stmt: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    """What stands on the last line of a simple statement, or of an `if` without `else`."""
    while isinstance(stmt, (cst.If, cst.IndentedBlock)):
        stmt = stmt.body if isinstance(stmt, cst.If) else stmt.body[-1]
    return tuple(getattr(stmt, "body", ()))


def _heads(stmt: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    if isinstance(stmt, cst.SimpleStatementLine):
        return tuple(stmt.body)
    return (stmt, *getattr(stmt, "decorators", ()))


def _line_start(text: str, at: int) -> int:
    while at > 0 and text[at - 1] not in "\r\n":
        at -= 1
    return at


def _line_end(text: str, at: int) -> int:
    """Past the line break of the line that `at` is in."""
    while at < len(text) and text[at] not in "\r\n":
        at += 1
    if text.startswith("\r\n", at):
        return at + 2
    return min(at + 1, len(text))


_STRING = re.compile(r"""("{3}.*?"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.S)


def _loses_comment(piece: str) -> bool:
    """Would replacing this text take a comment away?"""
    return "#" in piece and "#" in _STRING.sub("", piece)


__all__ = ["Checked", "Fixed", "Options", "ParseError", "check_text", "fix_text"]
