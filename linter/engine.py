"""Checks and fixes one text: index, islands, one walk for all rules, findings with their edits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, reduce
from operator import or_

import libcst as cst

from uncuda.bindings import SCOPED, Place, Scope, SuiteReader, may_rebind, statements
from uncuda.context import Context, Options, RawFinding
from uncuda.findings import Applicability, Edit, Finding, Fix
from uncuda.fixes.apply import apply, choose
from uncuda.fixes.builder import (
    Bind,
    Indent,
    InsertBefore,
    NodeEdit,
    PendingFix,
    Remove,
    Replace,
    ReplaceArguments,
)
from uncuda.fixes.helper import with_helper
from uncuda.fixes.imports import drop_unused
from uncuda.guards import Surroundings
from uncuda.index import ClassFacts, class_facts, from_ast, from_cst, last_part
from uncuda.islands import Island, Islands, Names
from uncuda.listeners import Listeners
from uncuda.parsing import (
    TOO_DEEP,
    ParseError,
    Unreadable,
    parse_ast,
    parse_cst,
    refuse_long_lines,
    refuse_long_statement,
)
from uncuda.positions import spans, spans_within
from uncuda.prose import in_code
from uncuda.rules.registry import all_rules, housekeeping_rules
from uncuda.source import Lines, above_comments, lines_of
from uncuda.trees import Trees
from uncuda.triggers import Triggers, triggers_of
from uncuda.walk import EXPRESSIONS, SMALL_STATEMENTS, STATEMENTS, children, is_text_statement

MAX_ROUNDS = 12
"""Fixes are applied until nothing changes, at most this often."""


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


def check_text(text: str, options: Options | None = None, trees: Trees | None = None) -> Checked:
    """Every tie in `text`. Never raises for bad input: a text that isn't Python gives `error`.

    `trees` are those of an earlier state of the text; what hasn't changed since isn't parsed again.
    """
    options = options or Options()
    trees = Trees() if trees is None else trees
    trees.begin()
    try:
        return Checked(tuple(_findings(text, options, trees)))
    except Unreadable as unreadable:
        return Checked((), unreadable.error)
    except RecursionError:
        return Checked((), ParseError(TOO_DEEP, 1, 1))


def fix_text(
    text: str,
    options: Options | None = None,
    *,
    unsafe: bool = False,
    keep: Callable[[str, tuple[Finding, ...]], list[Finding]] | None = None,
    wanted: Callable[[str], bool] | None = None,
) -> Fixed:
    """Applies every fix that may be applied, again and again until nothing changes.

    `unsafe`: also those that are marked unsafe. `keep(text, findings)` gives the findings that count (others
    are suppressed or not selected), and is asked in each round. `wanted(name)`: does another module import the name
    from this one? Such an import stays when nothing here uses it any more.
    """
    options = replace(options or Options(), unsafe=unsafe)
    start = text
    trees = Trees()
    applied: list[Finding] = []
    for _ in range(MAX_ROUNDS):
        checked = check_text(text, options, trees)
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
        fixed = apply(text, with_helper(text, (e for f in chosen if f.fix for e in f.fix.edits)))
        if fixed == text:
            break
        problem = _cannot_parse(fixed)
        if problem is not None:
            return Fixed(start, (), (), f"the fixed text would not parse: {problem}; nothing was changed")
        fixed = drop_unused(text, fixed, wanted)
        applied.extend(chosen)
        text = fixed
    else:
        findings = list(check_text(text, options, trees).findings)
        findings = findings if keep is None else keep(text, tuple(findings))
    return Fixed(text, tuple(applied), tuple(findings))


def _may_apply(fix: Fix | None, unsafe: bool) -> bool:
    if fix is None:
        return False
    return fix.applicability is Applicability.SAFE or (unsafe and fix.applicability is Applicability.UNSAFE)


def _cannot_parse(text: str) -> str | None:
    try:
        _parse_either(text)
    except Unreadable as unreadable:
        return unreadable.error.message
    return None


def _parse_either(text: str) -> None:
    try:
        parse_ast(text)
    except Unreadable as unreadable:
        if unreadable.final:
            raise
        parse_cst(text, unreadable.error)


# -- rules and triggers ------------------------------------------------------------------------------------

_Visit = Callable[[cst.CSTNode, Context], None]


@dataclass(frozen=True)
class _Catalogue:
    """All rules in the order in which they see a node, each with a bit of its own."""

    bits: dict[str, int]
    """By trigger: the rules that have it; none has what begins a comment that silences rules."""
    codes: dict[str, int]
    for_texts: int
    """The rules that look into texts of several words."""
    for_words: int
    """The rules that look into texts of one word."""
    beside: tuple[tuple[str, int], ...]
    """What has to stand in a file for texts of one word to matter to a rule."""
    triggers: Triggers
    visits: tuple[tuple[int, type[cst.CSTNode], _Visit], ...]

    def hits(self, text: str) -> list[tuple[int, int]]:
        """Where in the text of a file a trigger stands, and the rules that have it."""
        return [(at, self.bits[trigger]) for at, trigger in self.triggers.hits(text) if self.bits[trigger]]

    def in_code(self, text: str, hits: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of the hits that aren't in prose, each with the rules that it matters to."""
        absent = sum(rule for word, rule in self.beside if word not in text)
        return in_code(text, hits, self.for_texts, self.for_words & ~absent)

    @cached_property
    def listeners(self) -> Listeners:
        return Listeners((rules, kind.__name__) for rules, kind, _ in self.visits)


@cache
def _catalogue() -> _Catalogue:
    rules = sorted((r for r in all_rules() if r.triggers), key=lambda r: (r.priority, r.code))
    # With these, the triggers are the prefilter's, which are made already.
    bits = {trigger: 0 for rule in housekeeping_rules() for trigger in rule.triggers}
    visits: list[tuple[int, type[cst.CSTNode], _Visit]] = []
    codes: dict[str, int] = {}
    for_texts = sum(1 << number for number, rule in enumerate(rules) if rule.reads_texts)
    for_words = sum(1 << number for number, rule in enumerate(rules) if rule.reads_words)
    beside = tuple((rule.words_beside, 1 << number) for number, rule in enumerate(rules) if rule.words_beside)
    for number, rule in enumerate(rules):
        codes[rule.code] = 1 << number
        for trigger in rule.triggers:
            bits[trigger] = bits.get(trigger, 0) | 1 << number
        for node_name, method in rule.handlers().items():
            visits.append((1 << number, getattr(cst, node_name), getattr(rule, method)))
    return _Catalogue(bits, codes, for_texts, for_words, beside, triggers_of(frozenset(bits)), tuple(visits))


@cache
def _visits(rules: int) -> dict[type[cst.CSTNode], tuple[_Visit, ...]]:
    """By node type: the methods that look at it, of the rules given as bits."""
    found: dict[type[cst.CSTNode], list[_Visit]] = {}
    for bit, kind, visit in _catalogue().visits:
        if bit & rules:
            found.setdefault(kind, []).append(visit)
    return {kind: tuple(methods) for kind, methods in found.items()}


_ALL_RULES = -1


# -- the walk ----------------------------------------------------------------------------------------------


class _Walker:
    """Runs rules over trees, with the context moved along."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.rebinds = True
        """May there be in the tree what `may_rebind` asks for?"""
        self._inside: dict[int, int] | None = None
        self._visits: dict[type[cst.CSTNode], tuple[_Visit, ...]] = {}

    def run(
        self,
        root: cst.Module,
        nodes: Iterable[cst.CSTNode],
        path: list[cst.CSTNode],
        rules: int,
        inside: dict[int, int] | None = None,
    ) -> None:
        """Visits `nodes`, which stand in `root` below `path`, with the rules given as bits; the own code of a statement
        with those that `inside` has for it (by `id`)."""
        self.ctx.root = root
        self.ctx.ancestors[:] = path
        self._inside = inside
        self._visits = _visits(rules)
        for node in nodes:
            self._visit(node)

    def _visit(self, node: cst.CSTNode) -> None:
        kind = node.__class__
        if self._inside is None or kind not in STATEMENTS:
            self._look(node, kind)
            return
        rules = self._inside[id(node)]
        if rules or kind not in SMALL_STATEMENTS:
            around = self._visits
            self._visits = _visits(rules)
            self._look(node, kind)
            self._visits = around

    def _look(self, node: cst.CSTNode, kind: type[cst.CSTNode]) -> None:
        if kind is cst.Expr and is_text_statement(node):
            return
        if not self._visits and kind in EXPRESSIONS:
            return  # There are no statements in it, which may have rules of their own.
        ctx = self.ctx
        methods = self._visits.get(kind)
        if methods is not None:
            ctx.arrive()
            for method in methods:
                method(node, ctx)
        below = children(node)
        if not below:
            return
        ctx.ancestors.append(node)
        if kind in SCOPED:
            self._scoped(node, below)
        else:
            for child in below:
                self._visit(child)
        ctx.ancestors.pop()

    def _scoped(self, node: cst.CSTNode, below: list[cst.CSTNode]) -> None:
        """Visits what is in a scope of its own. What stands before the body (decorators, defaults, bases) belongs to the
        scope around."""
        ctx = self.ctx
        scope, owner = ctx.scope, ctx.owner
        body = getattr(node, "body", None)
        for child in below:
            if child is body or body is None:
                if isinstance(node, cst.ClassDef):
                    ctx.scope = Scope("class", node, scope, rebinds=self.rebinds)
                    ctx.owner = class_facts(node)
                else:
                    ctx.scope = Scope("function", node, scope, rebinds=self.rebinds)
                body = child
            self._visit(child)
        ctx.scope, ctx.owner = scope, owner


_WRAPPER = "if 1:"
_NO_BODY = "    pass"


def _findings(text: str, options: Options, trees: Trees) -> list[Finding]:
    catalogue = _catalogue()
    lines = lines_of(text)
    refuse_long_lines(lines, lambda line: bool(catalogue.hits(line)))
    hits = catalogue.hits(text)
    if hits:
        hits = catalogue.in_code(text, hits)
    if not hits:
        # Still, a text that isn't Python is worth a word; but not the cost of a parse.
        return []
    try:
        tree = parse_ast(text)
    except Unreadable as unreadable:
        if unreadable.final:
            raise
        return _check_whole(text, lines, options, unreadable.error)
    if options.whole_file:
        return _check_whole(text, lines, options)
    index = from_ast(text, tree, lines)
    index.neighbours = options.neighbours
    # Rules that aren't selected run too: they claim their ties, so that no broader rule reports them.
    wanted = _ALL_RULES
    if options.codes is not None:
        wanted = sum(bit for code, bit in catalogue.codes.items() if code in options.codes)
    module = Scope("module", None, None, names=index.bindings, members=index.members)
    ctx = Context(index, options, module)
    walker = _Walker(ctx)
    found: list[Finding] = []
    try:
        names = Names(catalogue.triggers, catalogue.bits, catalogue.triggers.imported(text))
        for island in Islands(text, tree, lines, index, names, catalogue.listeners).around(hits):
            if any(rules & wanted for rules in island.rules):
                refuse_long_statement(island.end - island.start, lines.position(island.start)[0])
                found.extend(_check_island(text, island, ctx, walker, trees))
    except cst.ParserSyntaxError:
        return _check_whole(text, lines, options)
    finally:
        ctx.close()
    return _sorted(found)


def _with_smalls(stmt: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield stmt
    yield from getattr(stmt, "decorators", ())
    if isinstance(stmt, cst.FunctionDef):
        yield last_part(stmt)
    if isinstance(stmt, cst.SimpleStatementLine):
        yield from stmt.body


def _check_island(text: str, island: Island, ctx: Context, walker: _Walker, trees: Trees) -> list[Finding]:
    source = text[island.start : island.end]
    facts = ctx.index.classes.get(island.owner)
    ctx.begin(island.start, Surroundings(island.order + 1, facts.marks if facts is not None else ()))
    prefix = 0
    newline = ctx.newline
    if island.owner:
        head = _WRAPPER + newline
        prefix = len(head)
        source = head + source
    elif island.head_only:
        source += _NO_BODY + newline
    if not source.endswith(("\n", "\r")):
        source += newline
    root = trees.piece(source)
    walker.rebinds = may_rebind(source)
    if island.owner:
        ctx.owner = facts
        wrapper = root.body[0]
        assert isinstance(wrapper, cst.If) and isinstance(wrapper.body, cst.IndentedBlock)
        body = wrapper.body.body
        ctx.scope = _class_scope(facts, ctx.module)
        walker.run(root, body, [wrapper.body], *_rules_of(body, island))
        ctx.owner = None
        ctx.scope = ctx.module
    else:
        body = root.body
        ctx.scope = ctx.module
        ctx.module.places = _places(body, island.order)
        stmt = body[0]
        if island.head_only and isinstance(stmt, cst.ClassDef):
            walker.run(root, _head(stmt), [root, stmt], island.rules[0])
        else:
            walker.run(root, body, [root], *_rules_of(body, island))
        ctx.module.places = {}
    shift = island.start - prefix
    return _placed(text, root, ctx, shift, source, _starts(body, island, shift) if ctx.raw else {})


def _rules_of(body: Sequence[cst.CSTNode], island: Island) -> tuple[int, dict[int, int] | None]:
    """The rules of each statement of an island, by its `id`; or those of all, for all, should libcst see other
    statements than `ast`."""
    found = list(statements(body))
    if len(found) == len(island.rules):
        return 0, {id(stmt): rules for stmt, rules in zip(found, island.rules, strict=True)}
    return reduce(or_, island.rules), None


def _starts(body: Sequence[cst.CSTNode], island: Island, shift: int) -> dict[int, int]:
    """Where the statements of an island begin in the text of its tree, by their `id`; none where libcst sees others than
    `ast`."""
    found, starts = list(statements(body)), island.starts()
    if len(found) != len(starts):
        return {}
    return {id(stmt): start - shift for stmt, start in zip(found, starts, strict=True)}


def _class_scope(facts: ClassFacts | None, module: Scope) -> Scope:
    return Scope("class", None, module, names=facts.body() if facts is not None else {})


def _places(body: Sequence[cst.CSTNode], order: int) -> dict[int, Place]:
    """The places of top-level statements, `order` being that of the one before."""
    reader = SuiteReader(order)
    reader.read(body)
    return reader.places


def _head(node: cst.ClassDef) -> list[cst.CSTNode]:
    """Decorators, bases and keywords of a class: what runs in the scope around it."""
    return [child for child in children(node) if child is not node.body]


def _check_whole(
    text: str, lines: Lines, options: Options, refused: ParseError | None = None
) -> list[Finding]:
    """The same from one tree of the whole file: slower, and needed where `ast` can't read it and said `refused`."""
    whole = parse_cst(text, refused)
    members = [m for s in whole.body if isinstance(s, cst.ClassDef) for m in s.body.body]
    _, places = spans(whole, (n for s in (*whole.body, *members) for n in _with_smalls(s)))
    index = from_cst(text, whole, lambda n: places[id(n)], lines)
    index.neighbours = options.neighbours
    module = Scope("module", None, None, names=index.bindings, members=index.members)
    ctx = Context(index, options, module)
    walker = _Walker(ctx)
    for order, stmt in zip(ctx.index.orders, whole.body, strict=True):
        first = min(places[id(n)][0] for n in (stmt, *getattr(stmt, "decorators", ())))
        ctx.begin(_line_start(text, first), Surroundings(order + 1))
        ctx.module.places = _places([stmt], order)
        if isinstance(stmt, cst.ClassDef) and isinstance(stmt.body, cst.IndentedBlock):
            # As the islands do it: first the head, then member by member.
            ctx.scope = ctx.module
            walker.run(whole, _head(stmt), [whole, stmt], _ALL_RULES)
            ctx.owner = facts = ctx.index.classes.get(stmt.name.value)
            for member in stmt.body.body:
                first = min(places[id(n)][0] for n in (member, *getattr(member, "decorators", ())))
                marks = facts.marks if facts is not None else ()
                ctx.begin(_line_start(text, first), Surroundings(order + 1, marks))
                ctx.scope = _class_scope(facts, ctx.module)
                walker.run(whole, [member], [stmt.body], _ALL_RULES)
            ctx.owner = None
            ctx.scope = ctx.module
        else:
            ctx.scope = ctx.module
            walker.run(whole, [stmt], [whole], _ALL_RULES)
    ctx.module.places = {}
    found = _sorted(_placed(text, whole, ctx, 0, text, {}))
    ctx.close()
    return found


def _sorted(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda f: (f.start, f.end, f.code))


# -- from nodes to places ----------------------------------------------------------------------------------


def _placed(
    text: str, root: cst.Module, ctx: Context, shift: int, source: str, starts: dict[int, int]
) -> list[Finding]:
    """The raw findings of a tree with their offsets in `text`. `shift` is where the tree's text, `source`, begins;
    `starts`: where in it statements do, by their `id`, if that is known."""
    if not ctx.raw:
        return []
    ctx.devices.settle()
    for raw in ctx.raw:
        if raw.fix is not None:
            edits = [_bound(edit) for edit in raw.fix.edits if not _is_spared(edit)]
            raw.fix.edits = [edit for edit in edits if edit is not None]
            if len(raw.fix.edits) < len(edits):
                raw.fix = None
    wanted = [placed for raw in ctx.raw for placed in _wanted(raw)]
    where, exact = _by_statement(root, wanted, source, starts), True
    if where is None:
        written, where = spans(root, (node for node, _ in wanted))
        # Where the text has no line break at its end, what is written may have one.
        exact = source.startswith(written.rstrip("\r\n"))
    found = [_finding(text, raw, where, shift, exact, ctx) for raw in ctx.raw]
    ctx.raw.clear()
    return found


def _wanted(raw: RawFinding) -> Iterator[tuple[cst.CSTNode, cst.CSTNode | None]]:
    """The nodes whose places a finding needs, each with the statement that it is in, where that is known."""
    yield raw.node, raw.statement
    for edit in raw.fix.edits if raw.fix is not None else ():
        if isinstance(edit, Replace):
            yield edit.node, raw.statement
        elif isinstance(edit, ReplaceArguments):
            yield edit.call, raw.statement
            yield edit.call.func, raw.statement
        elif isinstance(edit, (InsertBefore, Indent, Remove)):
            for node in _heads(edit.statement):
                yield node, node if node.__class__ in STATEMENTS else edit.statement
            if isinstance(edit, Remove):
                yield from ((small, small) for small in _last_line(edit.statement))


def _by_statement(
    root: cst.Module,
    wanted: list[tuple[cst.CSTNode, cst.CSTNode | None]],
    source: str,
    starts: dict[int, int],
) -> dict[int, tuple[int, int]] | None:
    """The places of nodes in `source`, statement by statement; None where one can't be told so."""
    inside: dict[int, tuple[cst.CSTNode, list[cst.CSTNode]]] = {}
    for node, statement in wanted:
        if statement is None or id(statement) not in starts:
            return None
        inside.setdefault(id(statement), (statement, []))[1].append(node)
    where: dict[int, tuple[int, int]] = {}
    for key, (statement, nodes) in inside.items():
        found = spans_within(root, statement, nodes, source, starts[key])
        if found is None:
            return None
        where |= found
    return where


def _is_spared(edit: NodeEdit) -> bool:
    """Is this the binding of something that is used too little to be bound?"""
    return isinstance(edit, Bind) and edit.device.optional and edit.device.final.statement is None


def _bound(edit: NodeEdit) -> NodeEdit | None:
    """The line that binds a device, for which a place has been found by now; None where there is none."""
    if not isinstance(edit, Bind):
        return edit
    made = edit.device.final
    if made.statement is None:
        return None
    return InsertBefore(made.statement, (made.line,), above=True)


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
        fix_needs=raw.fix_needs,
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
            if edit.above:
                line_start = above_comments(text, line_start)
            new = "".join(f"{indent}{line}{ctx.newline}" for line in edit.lines)
            edits.append(Edit(line_start, line_start, new))
        elif isinstance(edit, Indent):
            small = edit.statement.body[0]
            start, end = (place + shift for place in where[id(small)])
            edits.extend(Edit(at, at, edit.unit) for at in _line_starts(text, start, end))
        elif isinstance(edit, Remove):
            gone = _removal(text, edit, where, shift)
            if gone is None:
                return None
            edits.append(gone)
    edits = [Edit(edit.start, edit.end, ctx.devices.resolved(edit.text)) for edit in edits]
    return Fix(fix.title, tuple(dict.fromkeys(edits)), fix.applicability, fix.floor)


def _line_starts(text: str, start: int, end: int) -> Iterator[int]:
    """Where the lines begin that follow the first of a piece of the text, but for blank ones."""
    for found in re.finditer(r"(?:\r\n?|\n)(?=[^\r\n])", text[start:end]):
        yield start + found.end()


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
