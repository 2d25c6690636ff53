"""What the tests around a place have told of a value: `isinstance(x, Tensor)`, `torch.is_tensor(x)`, early exits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import libcst as cst

from uncuda.bindings import dotted
from uncuda.walk import COMPOUND_STATEMENTS, SUITES, children, walk, walk_scope

if TYPE_CHECKING:
    from uncuda.flow import Flow
    from uncuda.values import Value

_WITH_PLACES = COMPOUND_STATEMENTS | SUITES


def narrowed(node: cst.BaseExpression, flow: Flow) -> Value:
    """What `node`, a name or a part of one, is by the tests that it stands under, in the same function."""
    from uncuda.values import UNKNOWN

    if not _is_simple(node):
        return UNKNOWN
    path = _path_to(flow.ancestors, node)
    for depth in range(len(path) - 2, -1, -1):
        above, below = path[depth], path[depth + 1]
        if isinstance(above, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
            break
        for test, holds, between in _tests(above, below):
            value = _told(test, holds, node, flow)
            if value is not None and value.kind is not UNKNOWN.kind:
                return UNKNOWN if _is_changed(node, [*between, *_passed(path[depth + 1 :])]) else value
    return UNKNOWN


def told_to_be(text: str, flow: Flow) -> cst.Name | cst.Attribute | None:
    """A name, or an attribute, that the tests around the place have found to be this text, in the same function."""
    path = flow.ancestors
    for depth in range(len(path) - 2, -1, -1):
        above, below = path[depth], path[depth + 1]
        if isinstance(above, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
            break
        for test, holds, between in _tests(above, below):
            node = _equal(test, holds, text)
            if node is not None and not _is_changed(node, [*between, *_passed(path[depth + 1 :])]):
                return node
    return None


def _equal(test: cst.BaseExpression, holds: bool, text: str) -> cst.Name | cst.Attribute | None:
    """What equals a text where `test` is true or not, as `holds` says."""
    from uncuda.literals import string_value

    match test:
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            return _equal(inner, not holds, text)
        case cst.BooleanOperation(operator=operator):
            joined = cst.And if holds else cst.Or
            either = isinstance(operator, joined)
            return (_equal(test.left, holds, text) or _equal(test.right, holds, text)) if either else None
        case cst.Comparison(
            left=left, comparisons=[cst.ComparisonTarget(operator=operator, comparator=right)]
        ) if isinstance(operator, cst.Equal if holds else cst.NotEqual):
            for asked, said in ((left, right), (right, left)):
                if string_value(said) == text and isinstance(asked, (cst.Name, cst.Attribute)):
                    return asked if dotted(asked) is not None else None
            return None
        case _:
            return None


def _is_simple(node: cst.CSTNode) -> bool:
    match node:
        case cst.Name():
            return True
        case cst.Attribute(value=value):
            return _is_simple(value)
        case cst.Subscript(value=value, slice=[cst.SubscriptElement(slice=cst.Index(value=index))]):
            return _is_simple(value) and isinstance(index, (cst.Name, cst.Integer, cst.SimpleString))
        case _:
            return False


def _path_to(ancestors: Sequence[cst.CSTNode], node: cst.CSTNode) -> list[cst.CSTNode]:
    """The path to `node`, which stands somewhere below the last of `ancestors`; empty where it doesn't."""
    stack: list[list[cst.CSTNode]] = [[ancestors[-1]]]
    while stack:
        path = stack.pop()
        if path[-1] is node:
            return [*ancestors[:-1], *path]
        # What has a place of its own in the walk isn't searched: the place would be there.
        if len(path) == 1 or path[-1].__class__ not in _WITH_PLACES:
            stack.extend([*path, child] for child in children(path[-1]))
    return []


_Test = tuple[cst.BaseExpression, bool, Sequence[cst.CSTNode]]


def _tests(above: cst.CSTNode, below: cst.CSTNode) -> Iterator[_Test]:
    """The tests that hold, or don't, at `below`, and the statements that run between such a test and it."""
    match above:
        case cst.If() | cst.While() | cst.IfExp():
            if below is above.body:
                yield above.test, True, ()
            elif below is above.orelse and not isinstance(above, cst.While):
                yield above.test, False, ()
        case cst.BooleanOperation() if below is above.right:
            yield above.left, isinstance(above.operator, cst.And), ()
        case cst.DictComp() if below is above.value or below is above.key:
            yield from _filters(above.for_in)
        case cst.ListComp() | cst.SetComp() | cst.GeneratorExp() if below is above.elt:
            yield from _filters(above.for_in)
        case cst.IndentedBlock():
            yield from _earlier(above, below)
        case _:
            pass


def _filters(comp: cst.CompFor | None) -> Iterator[_Test]:
    while comp is not None:
        yield from ((item.test, True, ()) for item in comp.ifs)
        comp = comp.inner_for_in


def _earlier(suite: cst.IndentedBlock, below: cst.CSTNode) -> Iterator[_Test]:
    """Asserts, and exits of those for whom a test does or doesn't hold, before `below` in its suite."""
    from uncuda.guards import leaves

    at = next((i for i, stmt in enumerate(suite.body) if stmt is below), 0)
    for number, stmt in enumerate(suite.body[:at]):
        between = suite.body[number + 1 : at]
        if isinstance(stmt, cst.If):
            if leaves(stmt.body):
                yield stmt.test, False, between
        elif isinstance(stmt, cst.SimpleStatementLine):
            for small in stmt.body:
                if isinstance(small, cst.Assert):
                    yield small.test, True, between


def _told(test: cst.BaseExpression, holds: bool, node: cst.BaseExpression, flow: Flow) -> Value | None:
    """What `test`, being true or not as `holds` says, tells of `node`."""
    match test:
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            return _told(inner, not holds, node, flow)
        case cst.BooleanOperation(operator=cst.And()) if holds:
            return _told(test.left, True, node, flow) or _told(test.right, True, node, flow)
        case cst.BooleanOperation(operator=cst.Or()) if not holds:
            return _told(test.left, False, node, flow) or _told(test.right, False, node, flow)
        case cst.Call(func=cst.Name("isinstance"), args=[cst.Arg(value=asked), cst.Arg(value=classes)]) if (
            holds
        ):
            return _of_classes(classes, flow) if asked.deep_equals(node) else None
        case cst.Call(func=func, args=[cst.Arg(value=asked)]) if holds and asked.deep_equals(node):
            named = flow.qualified(func)
            return flow.instance_of("torch.Tensor") if named == "torch.is_tensor" else None
        case cst.Comparison(
            left=cst.Call(func=cst.Name("type"), args=[cst.Arg(value=asked)]),
            comparisons=[cst.ComparisonTarget(operator=cst.Is() | cst.Equal(), comparator=kind)],
        ) if holds and asked.deep_equals(node):
            return _of_classes(kind, flow)
        case _:
            return None


def _of_classes(node: cst.BaseExpression, flow: Flow) -> Value:
    from uncuda.values import joined

    if isinstance(node, cst.Tuple):
        return joined([_of_classes(e.value, flow) for e in node.elements])
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr):
        return joined([_of_classes(n, flow) for n in (node.left, node.right)])
    return flow.instance_of(flow.qualified(node) or dotted(node) or "")


def _passed(path: Sequence[cst.CSTNode]) -> Iterator[cst.CSTNode]:
    """What may have run between the start of the first suite of `path` and its end."""
    for above, below in pairwise(path):
        if isinstance(above, (cst.For, cst.While)):
            yield above
        elif isinstance(above, cst.With):
            yield from above.items
        elif isinstance(above, cst.IndentedBlock):
            for stmt in above.body:
                if stmt is below:
                    break
                yield stmt


def _is_changed(node: cst.BaseExpression, between: Iterable[cst.CSTNode]) -> bool:
    """Is `node` bound anew in these statements, or something that it is a part of? A call may change what isn't a
    name."""
    names = {n.value for n in walk(node) if isinstance(n, cst.Name)}
    target: cst.CSTNode
    for top in between:
        for item in (top, *walk_scope(top)):
            match item:
                case cst.AssignTarget(target=target) | cst.NamedExpr(target=target):
                    pass
                case cst.AugAssign(target=target) | cst.AnnAssign(target=target) | cst.For(target=target):
                    pass
                case cst.AsName(name=target):
                    pass
                case cst.Del(target=target):
                    pass
                case cst.Import() | cst.ImportFrom() | cst.FunctionDef() | cst.ClassDef() | cst.Match():
                    target = item
                case cst.Call() if not isinstance(node, cst.Name):
                    target = item
                case _:
                    continue
            if any(isinstance(n, cst.Name) and n.value in names for n in walk(target)):
                return True
    return False
