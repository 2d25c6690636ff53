"""The facts of a file: the same from `ast` and from a concrete tree, and which bindings reach a place."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any

import libcst as cst
import pytest

from uncuda.bindings import ANYWHERE, Binding, Part, Place, surely_bound, visible
from uncuda.index import FileIndex, Names, from_ast, from_cst, last_part
from uncuda.positions import spans
from uncuda.rules.registry import all_rules
from uncuda.source import Lines

PROGRAMS = [
    "",
    "x = 1\n",
    '"""Prose."""\nfrom __future__ import annotations\nimport os, sys as s\nfrom a.b import c as d, e\nfrom . import f\n'
    "from .g import h\nfrom ..i import *\nimport j.k\nimport l.m as n\n",
    "a = b = c\n(d, [e, *f]), g = h\ni, j = 1, 2\nk: int\nl: int = 3\nm += 1\ndel n\no.p = 4\nq.r.s = 5\nt[0] = 6\n",
    "a.b, c = 1, d\na.e: int = 2\na.f: int\na.g += 1\ndel a.h\n",
    "if a:\n    b = 1\nelif c:\n    b = 2\n    raise d\nelse:\n    b = 3\nif e: f = 4\n",
    "for a, b in c:\n    d = 1\nelse:\n    d = 2\nwhile e:\n    d = 3\nelse:\n    d = 4\nfor f.g in h: pass\n",
    "try:\n    a = 1\nexcept B as c:\n    a = 2\nexcept D:\n    a = 3\nelse:\n    a = 4\nfinally:\n    a = 5\n",
    "try:\n    a = 1\nexcept* B as c:\n    a = 2\n" if sys.version_info >= (3, 11) else "a = 1\n",
    "with a as b, c as (d, e):\n    f = 1\nasync def g():\n    async with h as i:\n        j = 1\n",
    "match a:\n    case [b, *c]:\n        d = 1\n    case {'e': f, **g}:\n        d = 2\n    case H(i) | J(i):\n        d = 3\n"
    "    case str() as k if l:\n        return_ = 4\n    case _:\n        raise m\n",
    "if (a := b()):\n    c = [d := e for f in g]\n\n\ndef h():\n    (i := 1)\n",
    "def a():\n    global b, c\n    b = 1\n\n\nclass D:\n    def e(self):\n        def f():\n            global g\n            g = 2\n",
    "class A(B, C[int], d.E, metaclass=F):\n    a = 1\n    b: int = 2\n\n    def __init__(self, x, *y, z: int = 3, **w):\n"
    "        self.x = x\n        self.y, self.v = y, z\n        if x:\n            self.w = w\n        u = 1\n        other.t = 2\n\n"
    "        def inner(self):\n            nonlocal u\n            self.n = 1\n\n    @property\n    def p(self):\n        return self.x\n\n"
    "    @staticmethod\n    def s():\n        pass\n",
    "@dec\n@other.dec(1)\nclass A:\n    pass\n\n\n@d\ndef f(): pass\n",
    "import a; import b; c = 1; d = 2\n",
    "if a: b = 1; c = 2\nelse: b = 3\n",
    "assert a\nif not b:\n    raise SystemExit\nif c:\n    pass\nelse:\n    sys.exit()\nif d: exit()\n"
    "if __name__ == '__main__':\n    main()\n",
    "x = 'é' + 'ü'; y = '日本'\nz = y\n",
    "x = (\n    1 +\n    2\n)\r\ny = x\r\n",
    "def f(a, /, b=1, *c, d: int = 2, **e):\n    lambda g: g\n    [h for h in a]\n",
    "x = 1\n\f\ny = 2\n",
    "a = b.importorskip('torch', minversion='2')\nc = import_module('d.e')\nf.g = import_module('h')\n"
    "i = import_module('.j', 'k')\nl, m = import_module('n'), import_module(name)\n",
    "torch = _torch()\nt = _torch()\ntorch, u = _torch(), 1\n",
    "from .compat import torch, np as numpy\nfrom . import torch as t\nfrom ..a.b import torch as u\n",
]


def both(text: str) -> tuple[FileIndex, FileIndex]:
    tree = cst.parse_module(text)
    nodes: list[cst.CSTNode] = [*tree.body]
    for stmt in tree.body:
        nodes.extend(stmt.body if isinstance(stmt, cst.SimpleStatementLine) else [last_part(stmt)])
    _, where = spans(tree, nodes)
    lines = Lines(text)
    return from_ast(text, ast.parse(text), lines), from_cst(text, tree, lambda n: where[id(n)], lines)


def source(expression: Callable[[], cst.BaseExpression] | None) -> str | None:
    """Text of an expression, without the parentheses around it."""
    if expression is None:
        return None
    return ast.dump(ast.parse(cst.Module([]).code_for_node(expression()), mode="eval"))


def plain(names: Names) -> dict[str, list[tuple[Any, ...]]]:
    """Bindings with all that they know, as data that can be compared."""
    return {
        name: [
            (
                b,
                source(b.value),
                source(b.annotation),
                None if b.test is None else (source(b.test.condition), b.test.holds),
                None if b.names is None else plain(b.names()),
            )
            for b in found
        ]
        for name, found in names.items()
    }


def same(text: str) -> None:
    one, other = both(text)
    assert plain(one.bindings) == plain(other.bindings)
    assert plain(one.members) == plain(other.members)
    assert one.imports == other.imports
    assert one.functions == other.functions
    assert (one.body_start, one.star_import, one.main_guard) == (
        other.body_start,
        other.star_import,
        other.main_guard,
    )
    assert [(o, source(t.condition), t.holds) for o, t in one.exits] == [
        (o, source(t.condition), t.holds) for o, t in other.exits
    ]
    assert one.classes == other.classes
    for name, facts in one.classes.items():
        mine = other.classes[name]
        assert plain(facts.attributes()) == plain(mine.attributes())
        assert plain(facts.body()) == plain(mine.body())
        assert [source(m) for m in facts.marks] == [source(m) for m in mine.marks]


@pytest.mark.parametrize("text", PROGRAMS)
def test_ast_and_concrete_tree_give_the_same(text: str) -> None:
    same(text)


def test_they_do_on_every_example() -> None:
    for rule in all_rules():
        for code in [*(bad.code for bad in rule.bad), *(good.code for good in rule.good)]:
            same(code)


def test_what_an_index_says() -> None:
    index, _ = both(PROGRAMS[2])
    assert index.aliases == {
        "annotations": "__future__.annotations", "os": "os", "s": "sys", "d": "a.b.c", "e": "a.b.e", "f": ".f", "h": ".g.h",
        "j": "j", "n": "l.m",
    }  # fmt: skip
    assert index.star_import
    assert index.text[index.body_start :].startswith("import os")
    assert [index.text[site.start : site.end] for site in index.imports if site.future] == [
        "from __future__ import annotations"
    ]
    assert len(index.imports) == 8


def test_a_module_that_a_call_gives_is_an_import() -> None:
    facts, _ = both("t = pytest.importorskip('torch')\nu = importlib.import_module('.torch', p)\n")
    assert [(b.kind, b.target) for b in facts.bindings["t"] + facts.bindings["u"]] == [
        ("import", "torch"),
        ("assign", ""),
    ]


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("torch = _torch()", True),
        ("torch = _lazy_import_torch()", True),
        ("torch = get_torch()", True),
        ("x = _torch()", False),
        ("torch = _torch(1)", False),
        ("torch = make()", False),
        ("torch = a._torch()", False),
    ],
)
def test_what_a_function_that_puts_the_import_off_gives_is_torch(line: str, known: bool) -> None:
    for facts in both(f"{line}\n"):
        [binding] = facts.bindings[line.partition(" ")[0]]
        assert (binding.kind == "import" and binding.target == "torch") is known


def test_a_module_nearby_hands_torch_on() -> None:
    index, _ = both(
        "from ..compat import cupy, torch\nfrom .. import torch as own\nfrom .x import torch as t\n"
    )
    assert index.aliases == {"cupy": "..compat.cupy", "torch": "torch", "own": "..torch", "t": ".x.torch"}


def test_orders_count_the_statements_before() -> None:
    index, _ = both("a = 1; b = 2\nif c:\n    d = 3\ne = 4\n")
    assert [(b.name, b.order) for found in index.bindings.values() for b in found] == [
        ("a", 1),
        ("b", 2),
        ("d", 4),
        ("e", 5),
    ]


def test_values_are_parsed_when_asked_for_and_once() -> None:
    index, _ = both("x = f(1)\n")
    [binding] = index.bindings["x"]
    assert binding.value is not None
    assert binding.value() is binding.value()


# -- reaching a place --------------------------------------------------------------------------------------

BODY = Part(2, 0, choice=True)
ELSE = Part(2, 1, choice=True)
LOOP = Part(2, 0, loop=True)


def at(order: int, *block: Part, kind: str = "assign") -> Binding:
    return Binding("x", kind, order, block=block)


VISIBLE = [
    # (bindings, place, which of them)
    ([at(1), at(2)], Place(3, ()), [1]),
    ([at(1), at(2)], Place(2, ()), [0]),
    ([at(1), at(5)], Place(3, ()), [0]),
    ([at(5)], Place(3, ()), [0]),
    ([at(1), at(3, BODY)], Place(5, ()), [0, 1]),
    ([at(1), at(3, BODY)], Place(4, (BODY,)), [1]),
    ([at(1), at(3, BODY)], Place(4, (ELSE,)), [0]),
    ([at(3, BODY), at(4, ELSE)], Place(5, ()), [0, 1]),
    ([at(1), at(3, BODY._replace(ends=True))], Place(5, ()), [0]),
    ([at(1), at(4, LOOP)], Place(3, (LOOP,)), [0, 1]),
    ([at(1), at(4, LOOP)], Place(2, ()), [0]),
    ([at(1), at(3, LOOP), at(5, LOOP)], Place(4, (LOOP,)), [1]),
    ([at(1), at(2, kind="declare")], Place(3, ()), [0, 1]),
    ([at(1), at(0, *ANYWHERE)], Place(3, ()), [0, 1]),
    ([at(0, *ANYWHERE), at(1)], Place(3, ()), [0, 1]),
    ([at(3, kind="def")], Place(3, ()), [0]),
]


@pytest.mark.parametrize(("found", "place", "kept"), VISIBLE)
def test_visible(found: list[Binding], place: Place, kept: list[int]) -> None:
    assert visible(found, place) == [found[i] for i in kept]


SURE = [
    ([at(1)], Place(3, ()), True),
    ([at(3)], Place(3, ()), False),
    ([at(1, kind="declare")], Place(3, ()), False),
    ([at(0, *ANYWHERE)], Place(3, ()), False),
    ([at(3, BODY)], Place(5, ()), False),
    ([at(3, BODY), at(4, ELSE)], Place(5, ()), True),
    ([at(3, BODY)], Place(4, (BODY,)), True),
    ([at(3, BODY)], Place(4, (ELSE,)), False),
    ([at(3, BODY), at(5, ELSE, Part(4, 0, choice=True)), at(6, ELSE, Part(4, 1, choice=True))], Place(7, ()), True),
    ([at(3, BODY), at(5, ELSE, Part(4, 0, choice=True))], Place(7, ()), False),
    ([at(3, LOOP)], Place(5, ()), False),
    ([at(3, Part(2, 2, choice=True)), at(4, Part(2, 3, choice=True))], Place(5, ()), False),
]  # fmt: skip


@pytest.mark.parametrize(("found", "place", "sure"), SURE)
def test_surely_bound(found: list[Binding], place: Place, sure: bool) -> None:
    assert surely_bound(found, place) is sure
