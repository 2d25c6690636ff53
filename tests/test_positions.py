"""Places of nodes: told within a statement as they are in the whole tree, or not at all."""

from __future__ import annotations

import ast

import libcst as cst
import pytest

from uncuda.ast_bindings import AstText
from uncuda.ast_bindings import statements as ast_statements
from uncuda.bindings import statements
from uncuda.positions import spans, spans_within
from uncuda.source import Lines
from uncuda.walk import STATEMENTS, children

CODE = '''@mark
@other(
    1,
)
async def f(a=b, *,
            c: d = (e)):
    """Text."""
    # A comment.
    g = (h
         .i(j,  # why
            k))
    if l: m(); n = o
    elif (p and
          q):
\t
        async with r(s) as t, u:
            return [v
                    for v in w if x]
    else:
        try:
            del y; y = z
        except (A,
                B) as error:
            raise C from error
    while D: break


class E(F, metaclass=G):
    H: I = "\N{GREEK SMALL LETTER PI}" + J  # \N{GREEK SMALL LETTER PI}
'''


@pytest.mark.parametrize(
    "text",
    [CODE, CODE.replace("\n", "\r\n"), CODE.replace("    ", "\t"), f"if 1:\n  K = L\n\n{CODE}"],
    ids=["spaces", "crlf", "tabs", "two-widths"],
)
def test_places_in_a_statement_are_those_in_the_tree(text: str) -> None:
    tree = cst.parse_module(text)
    source = AstText(text, Lines(text))
    starts = [source.span(stmt)[0] for stmt in ast_statements(ast.parse(text).body)]
    found = list(statements(tree.body))
    assert len(found) == len(starts) > 10
    told = 0
    for stmt, start in zip(found, starts, strict=True):
        own = [stmt, *_own(stmt)]
        within = spans_within(tree, stmt, own, text, start)
        if within is None:
            # Without the `if` before it an `elif` is written as another one.
            assert text.startswith("elif", start)
            continue
        assert within == spans(tree, own)[1]
        told += len(own)
    assert told > 40


def test_a_node_elsewhere_has_no_place_in_a_statement() -> None:
    text = "a = 1\nb = 2\n"
    tree = cst.parse_module(text)
    first, second = statements(tree.body)
    assert spans_within(tree, first, [first], text, 0) == {id(first): (0, 5)}
    assert spans_within(tree, first, [second], text, 0) is None
    assert spans_within(tree, second, [second], text, 0) is None, "it doesn't begin there"


def _own(stmt: cst.CSTNode) -> list[cst.CSTNode]:
    """The nodes of a statement's own code."""
    found: list[cst.CSTNode] = []
    waiting = [stmt]
    while waiting:
        for child in children(waiting.pop()):
            if child.__class__ not in STATEMENTS and not isinstance(
                child, (cst.BaseSuite, cst.SimpleStatementLine, cst.Else, cst.ExceptHandler)
            ):
                found.append(child)
                waiting.append(child)
    return found
