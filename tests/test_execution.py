"""Safe fixes are executed: each example before and after its fix, on the installed CPU torch.

Where the original gave a value the fixed code must give the same; where it raised, the fixed code may run or
raise, but never the other way round.
"""

from __future__ import annotations

import multiprocessing
import re
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch

from uncuda.findings import Applicability
from uncuda.rules.base import Bad, Rule
from uncuda.rules.registry import all_rules

SAFE = [
    pytest.param(rule, bad, id=f"{rule.code}-{bad.id or 'plain'}")
    for rule in all_rules()
    for bad in rule.bad
    if bad.fixed is not None and bad.applicability is Applicability.SAFE
]
RUN = [p for p in SAFE if p.values[1].run is not None]  # type: ignore[union-attr]


def describe(value: Any) -> str:
    """A value as text that is the same for equal values."""
    if isinstance(value, torch.Tensor):
        return f"tensor({value.tolist()}, {value.dtype}, {value.device.type})"
    if isinstance(value, torch.device):
        return f"device({value.type})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(describe, value))})"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _execute(setup: str, code: str, expression: str, out: Connection) -> None:
    import warnings

    warnings.simplefilter("ignore")
    space: dict[str, Any] = {"__name__": "example", "torch": torch}
    try:
        exec(compile(setup, "setup", "exec"), space)
        exec(compile(code, "example", "exec"), space)
        out.send(("value", describe(eval(compile(expression, "run", "eval"), space))))
    except BaseException as error:
        out.send(("raised", f"{type(error).__name__}: {error}"))
    out.close()


def execute(setup: str, code: str, expression: str) -> tuple[str, str]:
    """Runs `code` in a forked process, so that flags and seeds don't leak: ("value" or "raised", text)."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_execute, args=(setup, code, expression, theirs))
    child.start()
    theirs.close()
    try:
        result: tuple[str, str] = mine.recv() if mine.poll(60) else ("raised", "no answer within 60 s")
    except EOFError:
        result = ("raised", "the process ended without an answer")
    child.join(5)
    if child.is_alive():
        child.kill()
    return result


@pytest.mark.parametrize(("rule", "bad"), SAFE)
def test_a_safe_fix_has_a_proof(rule: Rule, bad: Bad) -> None:
    assert bad.run is not None, "a safe fix needs a line that is executed before and after (run=…)"


@pytest.mark.parametrize(("rule", "bad"), RUN)
def test_a_safe_fix_gives_the_same(rule: Rule, bad: Bad) -> None:
    assert bad.fixed is not None
    assert bad.run is not None
    before = execute(bad.setup, bad.code, bad.run)
    after = execute(bad.setup, bad.fixed, bad.run)
    assert after[0] == "value" or before[0] == "raised", f"raises only after the fix: {after[1]}"
    if before[0] == after[0] == "value":
        assert after[1] == before[1]
    if before[0] == "raised":
        assert not re.match(r"NameError|SyntaxError|TypeError|AttributeError: 'NoneType'", after[1]), after[1]
