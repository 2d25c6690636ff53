"""Does a function, or a name, of a module give the device that is there, whatever else the program was told?"""

from __future__ import annotations

import re

import libcst as cst

from uncuda.flow import Flow
from uncuda.index import FileIndex
from uncuda.returned import returned
from uncuda.values import Kind, Which
from uncuda.walk import walk

_QUESTION = re.compile(r"available\(|is_built\(|hasattr\(")
_ELSEWHERE = re.compile(r"\benviron\b|\bgetenv\b|\bargv\b")


def given_by(index: FileIndex, name: str) -> tuple[bool, bool] | None:
    """Of the device that a module gives under a name without being asked anything, the accelerator wherever there is one:
    is it a str, and does the name have to be called for it? None where the name gives none."""
    if name not in index.given:
        index.given[name] = _given_by(index, name)
    return index.given[name]


def _given_by(index: FileIndex, name: str) -> tuple[bool, bool] | None:
    bound = index.bindings.get(name, [])
    module = Flow.of_module(index)
    called = len(bound) == 1 and bound[0].kind == "def"
    if called:
        function = index.function(name)
        start, end = index.functions.get(name, (0, 0))
        if function is None or not _asks_nothing(function, index.text[start:end]):
            return None
        value = returned(function, module)
    else:
        if not bound or not all(b.kind == "assign" and b.value is not None for b in bound):
            return None
        if not all(_is_plain(b.value(), frozenset()) for b in bound if b.value is not None):
            return None
        if not all(b.test is None or _is_question(b.test.condition(), frozenset()) for b in bound):
            return None
        value = module.value(cst.Name(name))
    if not value.selects or value.which is Which.CUDA:
        return None
    return value.kind is Kind.TEXT, called


def _asks_nothing(function: cst.FunctionDef, text: str) -> bool:
    """Can a function of this text be called without arguments, and does what it returns depend on the machine alone?"""
    params = function.params
    every = (*params.posonly_params, *params.params, *params.kwonly_params)
    if any(p.default is None for p in every) or _ELSEWHERE.search(text):
        return False
    return _is_plain(function.body, frozenset(p.name.value for p in every))


def _is_plain(node: cst.CSTNode, given: frozenset[str]) -> bool:
    """Are all the questions in it about what is there?"""
    tests = [n.test for n in walk(node) if isinstance(n, (cst.If, cst.IfExp, cst.While))]
    return all(_is_question(test, given) for test in tests)


def _is_question(test: cst.BaseExpression, given: frozenset[str]) -> bool:
    names = {n.value for n in walk(test) if isinstance(n, cst.Name)}
    return not names & given and _QUESTION.search(cst.Module([]).code_for_node(test)) is not None
