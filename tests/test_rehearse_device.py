"""The simulated device does what programs do with a device, with the CPU's numbers: `simulated_device.py`, rehearsed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from rehearsing import rehearse

PROGRAM = Path(__file__).parent / "simulated_device.py"


def test_the_device(tmp_path: Path) -> None:
    """All checks, in one process, and what is told of them."""
    checks = re.findall(r"^@check\ndef (\w+)", PROGRAM.read_text("utf-8"), re.MULTILINE)
    done = rehearse(tmp_path, "--devices", "2", str(PROGRAM))
    assert done.report.get("exit_code") == 0, done.err
    failed: dict[str, str] = json.loads(done.out)
    assert len(checks) > 20
    assert not failed, "\n".join(f"{name}: {text}" for name, text in failed.items())

    mixed = {seen["what"] for seen in done.report["mixed_devices"]}
    assert mixed == {"add", "matmul", "linear", "conv1d"}
    assert [seen["what"] for seen in done.report["process_groups"]] == ["hccl"]
    assert [seen["what"] for seen in done.report["stand_ins"]] == ["torch_npu"]
    operators = done.report["operators"]
    assert operators["aten::convolution"] >= 2
    assert operators["c10d::allreduce_"] >= 2
    assert {symbol for symbol, _ in done.touches} == {
        "torch.cuda.is_available",
        "torch.Tensor.cuda",
        'torch.ones(device="cuda")',
        'torch.nn.Module.to("cuda")',
    }
