"""What CUDA users see: safe fixes are replayed on a stand-in for CUDA, and on one for another vendor's device.

With CUDA there, original and fixed code must ask for the same devices in the same order and give the same
value. With another accelerator there, the fixed code must do the same on that one.
"""

from __future__ import annotations

import multiprocessing
import re
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch
from test_execution import RUN, describe
from test_rules import options

from uncuda.engine import fix_text
from uncuda.rules.base import Bad, Rule

Outcome = tuple[str, str, list[tuple[Any, ...]]]
"""("value" or "raised", its text, what was asked of the device)."""

CUDA_ONLY = (
    "ipc_collect", "range_push", "range_pop", "range_start", "range_end", "mark", "emit_nvtx", "cudaProfilerStart",
    "cudaProfilerStop", "set_sync_debug_mode",
)  # fmt: skip
"""Effects that no other device has: the fixed code leaves them out there."""

ABOUT_CUDA = ("UC321",)
"""Rules whose fixed code still asks about CUDA's own libraries, so that the answer differs."""


def _replay(kind: str, setup: str, code: str, expression: str, out: Connection) -> None:
    import warnings

    import standin

    warnings.simplefilter("ignore")
    state = standin.install(kind)
    space: dict[str, Any] = {"__name__": "example", "torch": torch}
    try:
        exec(compile(setup, "setup", "exec"), space)
        state.log.clear()
        exec(compile(code, "example", "exec"), space)
        value = eval(compile(expression, "run", "eval"), space)
        # The class that torch.cuda.amp keeps for old code is the new one by another name.
        text = describe(value).replace("torch.cuda.amp.grad_scaler", "torch.amp.grad_scaler")
        out.send(("value", text, state.log))
    except BaseException as error:
        out.send(("raised", f"{type(error).__name__}: {error}", state.log))
    out.close()


def replay(kind: str, setup: str, code: str, expression: str) -> Outcome:
    """Runs `code` and then `expression` on the stand-in for `kind`, in a forked process."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_replay, args=(kind, setup, code, expression, theirs))
    child.start()
    theirs.close()
    try:
        result: Outcome = mine.recv() if mine.poll(60) else ("raised", "no answer within 60 s", [])
    except EOFError:
        result = ("raised", "the process ended without an answer", [])
    child.join(5)
    if child.is_alive():
        child.kill()
    return result


def test_the_stand_in_tells_devices_apart() -> None:
    moved = "import torch\nx = torch.ones(2).{}\n"
    here = replay("cuda", "", moved.format("cuda(1)"), "x")
    assert here == replay("cuda", "", moved.format('to("cuda:1")'), "x")
    assert here[2] == [("move", "cuda:1")]
    assert "cuda" in here[1]
    assert replay("cuda", "", moved.format("cuda(0)"), "x") != here
    assert replay("xpu", "", moved.format("cuda(1)"), "x")[0] == "raised"
    assert replay("cuda", "", "import torch\ntorch.cuda.synchronize(1)\n", "1")[2] == [("synchronize", 1)]
    module = "import torch\nm = torch.nn.Linear(2, 2).cuda()\n"
    assert replay("cuda", "", module, "m.weight.device, m.weight.is_cuda")[1] == "tuple(device(cuda), True)"


@pytest.mark.parametrize(("rule", "bad"), RUN)
def test_cuda_users_see_no_difference(rule: Rule, bad: Bad) -> None:
    assert bad.fixed is not None
    assert bad.run is not None
    before = replay("cuda", bad.setup, bad.code, bad.run)
    after = replay("cuda", bad.setup, bad.fixed, bad.run)
    assert after[:2] == before[:2]
    assert after[2] == before[2]


@pytest.mark.parametrize(("rule", "bad"), RUN)
def test_all_fixes_together_work_on_another_accelerator(rule: Rule, bad: Bad) -> None:
    assert bad.run is not None
    fixed = fix_text(bad.code, options(None, bad), unsafe=True)
    assert fixed.error is None
    before = replay("cuda", bad.setup, bad.code, bad.run)
    cuda = replay("cuda", bad.setup, fixed.text, bad.run)
    assert cuda == before
    other = replay("xpu", bad.setup, fixed.text, bad.run.replace("torch.cuda.", "torch.get_device_module()."))
    assert other[0] == cuda[0], other[1]
    if rule.code in ABOUT_CUDA:
        return
    if other[0] == "value":
        assert re.sub("xpu", "cuda", other[1]) == cuda[1]
        assert [tuple(re.sub("xpu", "cuda", str(part)) for part in entry) for entry in other[2]] == [
            tuple(map(str, entry)) for entry in cuda[2] if entry[0] not in CUDA_ONLY
        ]
