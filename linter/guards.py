"""The conditions a place stands under: is a tie reached at all where there is no CUDA?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

import libcst as cst

from uncuda.bindings import Binding, Expression, Scope, dotted
from uncuda.flow import Flow
from uncuda.values import CUDA_FLAG, Kind, Value, Which


class Guard(Enum):
    """What keeps a tie from running without CUDA."""

    NONE = auto()
    CUDA = auto()  # under a test that CUDA is there
    ACCELERATOR = auto()  # under a test that some accelerator is there
    TRY = auto()  # in a try whose handler catches what the tie raises, and goes on
    SKIPPED_TEST = auto()  # a test function or class that is skipped without CUDA


_CATCHES = frozenset(
    "Exception BaseException ImportError ModuleNotFoundError RuntimeError AssertionError AttributeError".split()
)


def polarity(test: cst.BaseExpression, flow: Flow) -> Value | None:
    """The flag that must be true where `test` is true (None when there is none)."""
    value = flow.condition(test)
    return value if value.kind is Kind.FLAG else None


def denies(test: cst.BaseExpression, flow: Flow) -> Value | None:
    """The flag that must be true where `test` is false (None when there is none)."""
    value = flow.condition(test)
    return Value(Kind.FLAG, value.which) if value.kind is Kind.DENIAL else None


def leaves(body: cst.BaseSuite) -> bool:
    """Does the suite always leave the function, loop or program at its end?"""
    if not body.body:
        return False
    last = body.body[-1]
    if isinstance(last, cst.SimpleStatementLine):
        last_small: cst.CSTNode = last.body[-1]
    else:
        last_small = last
    match last_small:
        case cst.Return() | cst.Raise() | cst.Continue() | cst.Break():
            return True
        case cst.Expr(value=cst.Call(func=cst.Attribute(attr=cst.Name("exit" | "skip" | "skipTest")))):
            return True
        case cst.Expr(value=cst.Call(func=cst.Name("exit" | "quit"))):
            return True
        case _:
            return False


def _handler_names(handler: cst.ExceptHandler) -> Iterator[str]:
    if handler.type is None:
        yield "BaseException"
    elif isinstance(handler.type, cst.Tuple):
        for element in handler.type.elements:
            yield getattr(element.value, "value", "")
    else:
        yield getattr(handler.type, "value", "") if isinstance(handler.type, cst.Name) else ""


def _goes_on(handler: cst.ExceptHandler) -> bool:
    """Does the handler catch what a tie raises, and let the program go on?"""
    if not _CATCHES & set(_handler_names(handler)):
        return False
    last: cst.CSTNode | None = handler.body.body[-1] if handler.body.body else None
    if isinstance(last, cst.SimpleStatementLine):
        last = last.body[-1]
    return not isinstance(last, cst.Raise)


@dataclass(frozen=True)
class Surroundings:
    """What a file says around an island: the order of the top-level statement that the island is in, and the
    decorators of the class whose member it is."""

    order: int = 0
    marks: tuple[Expression, ...] = ()


def guard_of(
    ancestors: Sequence[cst.CSTNode], node: cst.CSTNode, flow_at: Callable[[], Flow], around: Surroundings
) -> Guard:
    """The strongest guard that `node` stands under. `ancestors` runs from the island's root to its parent."""
    path = [*ancestors, node]
    weak = Guard.NONE
    outside = False
    flow = flow_at()
    for depth in range(len(path) - 2, -1, -1):
        above, below = path[depth], path[depth + 1]
        flag: Value | None = None
        match above:
            case cst.If() | cst.While() | cst.IfExp():
                if below is above.body:
                    flag = polarity(above.test, flow)
                elif below is above.orelse:
                    flag = denies(above.test, flow)
            case cst.MatchCase(pattern=cst.MatchValue(value=value), guard=None):
                if flow.value(value).is_cuda:
                    flag = CUDA_FLAG
            case cst.BooleanOperation() if below is above.right:
                if isinstance(above.operator, cst.And):
                    flag = polarity(above.left, flow)
                else:
                    flag = denies(above.left, flow)
            case cst.Try():
                if below is above.body and not outside and any(map(_goes_on, above.handlers)):
                    weak = Guard.TRY
            case cst.With():
                if (
                    below is above.body
                    and not outside
                    and any(_suppresses(i.item, flow) for i in above.items)
                ):
                    weak = Guard.TRY
            case cst.IndentedBlock():
                flag = _earlier_exit(above, below, flow)
            case cst.FunctionDef() | cst.ClassDef():
                # A try around a definition isn't one around its calls.
                outside = outside or isinstance(above, cst.FunctionDef)
                if below not in above.decorators and any(_skips(d.decorator, flow) for d in above.decorators):
                    return Guard.SKIPPED_TEST
            case _:
                pass
        if flag is not None:
            return _guard(flag)
    return _guard_around(flow, around) or weak


def _guard(flag: Value) -> Guard:
    return Guard.CUDA if flag.which is Which.CUDA else Guard.ACCELERATOR


def _guard_around(flow: Flow, around: Surroundings) -> Guard | None:
    """The guard that the file puts on an island: an exit at its top, `pytestmark`, a class that is skipped."""
    outside = flow.outside()
    for order, (condition, holds) in flow.index.exits:
        if order < around.order:
            flag = (polarity if holds else denies)(condition(), outside)
            if flag is not None:
                return _guard(flag)
    marks = [mark() for mark in around.marks]
    for binding in flow.index.bindings.get("pytestmark", ()):
        if binding.value is not None:
            given = binding.value()
            marks += (
                [e.value for e in given.elements] if isinstance(given, (cst.List, cst.Tuple)) else [given]
            )
    return Guard.SKIPPED_TEST if any(_skips(mark, outside) for mark in marks) else None


def _suppresses(item: cst.BaseExpression, flow: Flow) -> bool:
    """Is this `contextlib.suppress(…)` of what a tie raises?"""
    if not isinstance(item, cst.Call) or flow.qualified(item.func) != "contextlib.suppress":
        return False
    return bool(_CATCHES & {getattr(arg.value, "value", "") for arg in item.args})


def _earlier_exit(suite: cst.IndentedBlock, below: cst.CSTNode, flow: Flow) -> Value | None:
    """`if not torch.cuda.is_available(): return` before the statement, in the same suite."""
    for stmt in suite.body:
        if stmt is below:
            return None
        flag: Value | None = None
        if isinstance(stmt, cst.If):
            if leaves(stmt.body):
                flag = denies(stmt.test, flow)
            elif isinstance(stmt.orelse, cst.Else) and leaves(stmt.orelse.body):
                flag = polarity(stmt.test, flow)
            if flag is not None:
                return flag
        elif isinstance(stmt, cst.SimpleStatementLine):
            for small in stmt.body:
                if isinstance(small, cst.Assert):
                    flag = polarity(small.test, flow)
                    if flag is not None:
                        return flag
    return None


def is_for_types(path: Sequence[cst.CSTNode]) -> bool:
    """Is the end of a path under `if TYPE_CHECKING:`, which never runs?"""
    return any(
        isinstance(above, cst.If) and below is above.body and _is_type_checking(above.test)
        for above, below in pairwise(path)
    )


def is_for_checkers(binding: Binding) -> bool:
    """Is a name bound under `if TYPE_CHECKING:`?"""
    return binding.test is not None and binding.test.holds and _is_type_checking(binding.test.condition())


def _is_type_checking(test: cst.BaseExpression) -> bool:
    last = test.attr if isinstance(test, cst.Attribute) else test
    return isinstance(last, cst.Name) and last.value == "TYPE_CHECKING"


def asks_by_name(path: Sequence[cst.CSTNode]) -> bool:
    """Is the end of a path in a function called `cuda`, of which whoever calls it asks for CUDA?"""
    return any(isinstance(above, cst.FunctionDef) and above.name.value == "cuda" for above in path[:-1])


_PORTABLE = re.compile(r"\btorch\.(?:accelerator|amp|get_device_module)\b")
_OF_OLDER_TORCH = frozenset(("AttributeError", "TypeError", "ImportError", "ModuleNotFoundError"))


def is_fallback(path: Sequence[cst.CSTNode], code: Callable[[cst.CSTNode], str]) -> bool:
    """Is the end of a path what runs with a torch too old for the portable way, which comes before it?"""
    for above, below in pairwise(path):
        match above:
            case cst.Try() if isinstance(below, cst.ExceptHandler):
                if _OF_OLDER_TORCH & set(_handler_names(below)):
                    tried = code(above.body)
                    if _PORTABLE.search(tried) or _is_called_in(path[-1], tried):
                        return True
            case cst.If() if below is above.orelse and _asks_for_newer(above, code):
                return True
            case cst.IndentedBlock():
                for stmt in above.body:
                    if stmt is below:
                        break
                    if isinstance(stmt, cst.If) and leaves(stmt.body) and _asks_for_newer(stmt, code):
                        return True
            case _:
                pass
    return False


def _is_called_in(node: cst.CSTNode, tried: str) -> bool:
    """Is `node` a call of a function that is called in what was tried, with other arguments it seems?"""
    name = dotted(node.func) if isinstance(node, cst.Call) else None
    return name is not None and f"{name}(" in tried


def _asks_for_newer(node: cst.If, code: Callable[[cst.CSTNode], str]) -> bool:
    """Is this `if hasattr(torch.amp, "GradScaler"):` or kin, with the portable way below?"""
    return "hasattr(torch" in code(node.test) and _PORTABLE.search(code(node.body)) is not None


def imported_in_branch(path: Sequence[cst.CSTNode]) -> Iterator[str]:
    """The modules that the `if` branches around the end of a path import before it."""
    for depth, (above, below) in enumerate(pairwise(path)):
        if isinstance(above, cst.IndentedBlock) and depth and isinstance(path[depth - 1], cst.If):
            for stmt in above.body:
                if stmt is below:
                    break
                for small in stmt.body if isinstance(stmt, cst.SimpleStatementLine) else ():
                    if isinstance(small, cst.Import):
                        yield from (dotted(alias.name) or "" for alias in small.names)
                    elif (
                        isinstance(small, cst.ImportFrom) and small.module is not None and not small.relative
                    ):
                        yield dotted(small.module) or ""


_AVAILABILITY = frozenset(
    f"torch.{home}.{asks}" for home in ("cuda", "accelerator") for asks in ("is_available", "device_count")
)


# A way out of the module whose words ask for CUDA: whoever takes the program elsewhere takes it away.
_FOR_CUDA = re.compile(
    r"""^(?:assert|if not)\b[^\n]*cuda\.is_available\(\)[^\n]*(?:\n[ \t]+[^\n]*)*?["'][^"'\n]*(?i:cuda|nvidia)""",
    re.M,
)


def surely_available(
    ancestors: Sequence[cst.CSTNode], node: cst.CSTNode, flow: Flow, around: Surroundings
) -> bool:
    """Is an accelerator there for certain where `node` is reached: after a call of `is_available()`, a count of
    devices that isn't 0, or a test of what holds its answer, also where the module is left without one? A flag or a device that merely says so is no
    proof."""
    path = [*ancestors, node]
    for depth in range(len(path) - 2, -1, -1):
        above, below = path[depth], path[depth + 1]
        match above:
            case cst.If() | cst.IfExp() if below is above.body and _asks(above.test, flow):
                return True
            case cst.If() | cst.IfExp() if below is above.orelse and _is_false_where_asked(above.test, flow):
                return True
            case cst.IndentedBlock() if _left_without(above, below, flow):
                return True
            case cst.FunctionDef() | cst.ClassDef() if below not in above.decorators:
                if any(_runs_only_where_asked(d.decorator, flow) for d in above.decorators):
                    return True
            case _:
                pass
    if not flow.index.exits or _FOR_CUDA.search(flow.index.text):
        return False
    outside = flow.outside()
    return any(
        (_asks if holds else _is_false_where_asked)(condition(), outside)
        for order, (condition, holds) in flow.index.exits
        if order < around.order
    )


def _runs_only_where_asked(mark: cst.BaseExpression, flow: Flow) -> bool:
    """Is this `pytest.mark.skipif(not torch.cuda.is_available(), …)`, or what unittest has for it?"""
    if not isinstance(mark, cst.Call) or not mark.args or mark.args[0].keyword is not None:
        return False
    condition = mark.args[0].value
    match flow.qualified(mark.func):
        case "pytest.mark.skipif" | "unittest.skipIf":
            return _is_false_where_asked(condition, flow)
        case "unittest.skipUnless":
            return _asks(condition, flow)
        case _:
            return False


def _is_false_where_asked(condition: cst.BaseExpression, flow: Flow) -> bool:
    """Is an accelerator available wherever the condition is false?"""
    match condition:
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            return _asks(inner, flow)
        case cst.BooleanOperation(operator=cst.Or()):
            return _is_false_where_asked(condition.left, flow) or _is_false_where_asked(condition.right, flow)
        case cst.Comparison():
            return _counts(condition, flow) and flow.condition(condition).kind is Kind.DENIAL
        case _:
            return False


def _counts(node: cst.Comparison, flow: Flow) -> bool:
    """Is the number of accelerators compared with something?"""
    sides = (node.left, *(target.comparator for target in node.comparisons))
    return any(flow.value(side).kind is Kind.COUNT for side in sides)


def _left_without(suite: cst.IndentedBlock, below: cst.CSTNode, flow: Flow) -> bool:
    """`if not torch.cuda.is_available(): return`, or an assert of it, before the statement in the same suite."""
    for stmt in suite.body:
        if stmt is below:
            return False
        match stmt:
            case cst.If(orelse=None) if leaves(stmt.body) and _is_false_where_asked(stmt.test, flow):
                return True
            case cst.SimpleStatementLine(body=[cst.Assert(test=test)]) if _asks(test, flow):
                return True
            case _:
                pass
    return False


def _asks(test: cst.BaseExpression, flow: Flow, depth: int = 0) -> bool:
    """Is `test` false wherever no accelerator is available?"""
    if depth > 4:
        return False
    match test:
        case cst.Call(func=func):
            return flow.qualified(func) in _AVAILABILITY
        case cst.Comparison():
            return _counts(test, flow) and flow.condition(test).kind is Kind.FLAG
        case cst.BooleanOperation(operator=cst.And()):
            return _asks(test.left, flow, depth + 1) or _asks(test.right, flow, depth + 1)
        case cst.Name(name):
            found = flow.bindings(name)
            bound = found[1] if found is not None else []
        case cst.Attribute(value=cst.Name("self"), attr=cst.Name(name)) if flow.owner is not None:
            bound = flow.owner.attributes().get(name, [])
        case cst.Attribute(value=cst.Name(owner), attr=cst.Name(name)):
            bound = assigned_to(flow.scope, owner, name)
        case _:
            return False
    return bool(bound) and all(
        b.kind == "assign" and b.value is not None and _asks(b.value(), flow, depth + 1) for b in bound
    )


def assigned_to(scope: Scope | None, owner: str, attribute: str) -> list[Binding]:
    """The assignments to `owner.attribute` in the innermost scope that has `owner` (`args.cuda = …`)."""
    while scope is not None:
        found = scope.members.get(f"{owner}.{attribute}", [])
        if found or owner in scope.bindings():
            return found
        scope = scope.parent
    return []


_SKIP_NAMES = (
    "require_torch_gpu",
    "require_cuda",
    "requires_cuda",
    "require_torch_multi_gpu",
    "requires_gpu",
)


def _skips(node: cst.BaseExpression, flow: Flow) -> bool:
    """Is this a mark that skips a test without CUDA?"""
    call = node if isinstance(node, cst.Call) else None
    func = call.func if call else node
    last = func.attr.value if isinstance(func, cst.Attribute) else getattr(func, "value", "")
    if last in _SKIP_NAMES:
        return True
    if call is None or not call.args:
        return False
    if last in ("skipif", "skipIf"):
        return denies(call.args[0].value, flow) is not None
    if last == "skipUnless":
        return polarity(call.args[0].value, flow) is not None
    return False
