"""The simulated device does what programs do with a device, with the CPU's numbers: `simulated_device.py`, rehearsed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rehearsing import Rehearsed, rehearse

pytestmark = pytest.mark.xdist_group("rehearse_device")

PROGRAM = Path(__file__).parent / "simulated_device.py"
CHECKS = re.findall(r"^@check\ndef (\w+)", PROGRAM.read_text("utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    """All checks, in one process."""
    return rehearse(tmp_path_factory.mktemp("device"), "--devices", "2", str(PROGRAM))


@pytest.mark.parametrize("name", CHECKS)
def test_the_device(done: Rehearsed, name: str) -> None:
    assert done.report.get("exit_code") == 0, done.err
    failed: dict[str, str] = json.loads(done.out)
    assert name not in failed, failed[name]


def test_what_the_checks_did_is_told(done: Rehearsed) -> None:
    assert len(CHECKS) > 15
    mixed = {seen["what"] for seen in done.report["mixed_devices"]}
    assert mixed == {"add", "matmul", "linear", "conv1d"}
    assert [seen["what"] for seen in done.report["process_groups"]] == ["hccl"]
    assert [seen["what"] for seen in done.report["stand_ins"]] == ["torch_npu"]
    operators = done.report["operators"]
    assert operators["aten::convolution"] >= 2
    assert operators["c10d::allreduce_"] >= 2
    asked = {symbol for symbol, _ in done.touches}
    assert asked == {
        "torch.cuda.is_available",
        "torch.Tensor.cuda",
        'torch.ones(device="cuda")',
        'torch.nn.Module.to("cuda")',
    }
