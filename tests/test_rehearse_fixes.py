"""What fixes write is executed once more, on the simulated accelerator: it runs there, and its tensors go there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from rehearsing import rehearse

PROGRAM = Path(__file__).parent / "fixed_examples.py"
RAISE = {
    "UC204-fsdp": "FSDP wants a process group",
    "UC213-parameter": "the example's own line makes a stream of CUDA",
    "UC218-and": "an unsafe fix: not every vendor's function takes an argument",
    "UC310-device-asked-about": "the example's own model stays on the CPU",
}
"""Examples that raise on an accelerator, and why that isn't the fix's fault."""
_PLACES = re.compile(r"UC1\d\d|UC201")
"""Rules that are about where things go."""


def test_fixed_code_runs_on_an_accelerator_and_puts_its_tensors_there(tmp_path: Path) -> None:
    done = rehearse(tmp_path, str(PROGRAM), str(tmp_path / "results.json"))
    assert done.report.get("exit_code") == 0, done.err
    assert done.report["way"] == "simulated"
    # Of each example "value" or "raised", and the value after the types of the devices in it.
    results: dict[str, tuple[str, str]] = json.loads((tmp_path / "results.json").read_text())
    assert len(results) > 150

    raised = {name: text for name, (kind, text) in results.items() if kind == "raised"}
    assert {name: text for name, text in raised.items() if name not in RAISE} == {}
    assert set(RAISE) == set(raised), "an example runs by now: take it out of RAISE"

    where: dict[str, str] = {}
    for name, (kind, text) in results.items():
        found = re.match(r"tuple\('([a-z ]*)', ", text)
        if kind == "value" and _PLACES.match(name):
            assert found is not None, text
            if found[1]:
                where[name] = found[1]
    assert len(where) > 30
    assert {name: devices for name, devices in where.items() if devices != "npu"} == {}
