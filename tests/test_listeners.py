"""Which rules can fire in a statement, told by the kinds of its nodes."""

from __future__ import annotations

import ast

import libcst as cst
import pytest
from libcst import metadata

from uncuda.listeners import _SHOWN_BY, Listeners
from uncuda.walk import children, is_text_statement

# One of each kind of node that rules listen to, and of the places that names can be in.
TEXT = '''\
import a.b as c
from a.b import c as d


@mark(1)
async def f(x: a.b = c.d, *, y=lambda z: z.cuda) -> g.h:
    """Text."""
    global n
    return x + -y if x.z < 1 else f"{x.y:>{w}} text" "more" % x


class C(a.B, key=c.d):
    x: int = 1

    def m(self):
        nonlocal_ = [v := 2, {"k": "v", **w}, b"x"]
        try:
            yield (yield 1)
        except a.b as e:
            raise
        with a.b() as c, d:
            x.y = z = 3


for i, j in x.y:
    if i: print(j); del i
    match x:
        case a.B(c, d=e) | [*f] | {"k": g, **h}:
            pass
while await_ not in x[1:2]:
    break
'''


def heard(body: cst.CSTNode) -> dict[int, set[str]]:
    """By the row of a statement: the kinds of nodes in its own code that the walk comes to."""
    wrapper = metadata.MetadataWrapper(cst.ensure_type(body, cst.Module), unsafe_skip_copy=True)
    places = wrapper.resolve(metadata.PositionProvider)
    found: dict[int, set[str]] = {}
    rows: list[int] = []

    def visit(node: cst.CSTNode) -> None:
        if is_text_statement(node):
            return
        own = isinstance(node, (cst.BaseSmallStatement, cst.BaseCompoundStatement))
        if own:
            rows.append(places[node].start.line)
        if rows:
            found.setdefault(rows[-1], set()).add(type(node).__name__)
        for child in children(node):
            visit(child)
        if own:
            rows.pop()

    visit(wrapper.module)
    return found


def test_a_rule_that_listens_to_a_node_is_heard_where_there_is_one() -> None:
    seen = heard(cst.parse_module(TEXT))
    listeners = {name: Listeners([(1, name)]) for name in _SHOWN_BY}
    met: set[str] = set()
    statements = [node for node in ast.walk(ast.parse(TEXT)) if isinstance(node, ast.stmt)]
    for name, one in listeners.items():
        for stmt in statements:
            if name in seen.get(stmt.lineno, ()):
                met.add(name)
                same_row = [s for s in statements if s.lineno == stmt.lineno]
                assert any(one.among(1, s) for s in same_row), (name, ast.unparse(stmt))
    assert met == set(_SHOWN_BY), "each kind is in the text"


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("x = ('cuda',)", 0b1000),
        ("f(x)", 0b1001),
        ("x.y", 0b1010),
        ("def f(x):\n    return g(x.y)", 0b1000),
        ("def f(x=a.b):\n    return g()", 0b1010),
        ("import a.b", 0b0100),
        ("from a import b", 0),
    ],
)
def test_rules_that_listen_to_nothing_there_are_left_out(code: str, left: int) -> None:
    listeners = Listeners([(0b0001, "Call"), (0b0010, "Attribute"), (0b0100, "Import"), (0b1000, "Name")])
    assert listeners.among(0b1111, ast.parse(code).body[0]) == left
    assert listeners.among(0b0000, ast.parse(code).body[0]) == 0
