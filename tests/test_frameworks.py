"""The table of frameworks' arguments: its shape, and that all that it puts under an entry is told as that."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from uncuda.engine import Options, check_text
from uncuda.findings import Outcome, Target
from uncuda.rules import knowledge
from uncuda.rules.knowledge import Api

ROWS = knowledge.frameworks()


@pytest.mark.parametrize("api", ROWS.values(), ids=lambda api: api.symbol)
def test_an_entry_is_whole(api: Api) -> None:
    assert set(api.outcomes) == set(Target)
    assert all(isinstance(outcome, Outcome) for outcome in api.outcomes.values())
    assert api.kind in ("arg", "attr", "function", "class", "method", "idiom")
    assert api.verdict in ("unsafe", "suggest", "report-only"), (
        "no framework is installed to prove a safe fix"
    )
    assert api.source
    assert api.replacement
    assert knowledge.lookup(api.symbol) == api


SPELLED = [
    api
    for api in {**ROWS, **knowledge.apis()}.values()
    if knowledge.spelled(api.symbol) != knowledge.Spelled()
]


def variants(api: Api) -> Iterator[str]:
    """Programs with each name and text that falls under an entry."""
    words = knowledge.spelled(api.symbol)
    for argument, texts in words.arguments.items():
        for text in texts:
            given = text.replace("*", "1")
            keyword, found = re.subn(r'\w+=(\[?)"\w+"', rf'{argument}=\1"{given}"', api.example)
            yield keyword if found else re.sub(r'\("[^"]+"', f'("{given}"', api.example)
    for name in words.names:
        if api.symbol == "ctypes libcudart":
            yield f'import ctypes\n\nctypes.CDLL("lib{name}.so")\n'
        elif api.symbol == "subprocess nvidia-smi":
            pass  # of Python one is looked for; the others in scripts
        elif "." in name and not words.arguments and api.kind == "attr":
            yield api.example
        elif "." in name and not words.arguments:
            yield f"import {name.rpartition('.')[0]}\n\nvalue = f({name})\nother = {name}(1)\n"


@pytest.mark.parametrize("api", SPELLED, ids=lambda api: api.symbol)
def test_what_falls_under_an_entry_is_told_as_that(api: Api) -> None:
    for code in variants(api):
        told = {f.symbol for f in check_text(code, Options(torch_floor=(2, 13))).findings}
        assert api.symbol in told, code
