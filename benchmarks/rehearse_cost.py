"""What the simulated accelerator costs: training steps on the CPU, and the same ones under `uncuda rehearse`.

    python benchmarks/rehearse_cost.py

Figures are processor time, so that other work on the machine hardly shows. Losses must agree: the CPU computes both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = "steps"


def cases() -> dict[str, tuple[Callable[[], Any], tuple[int, ...], int]]:
    """Name to what makes a model, the shape of a batch, and how many steps are timed."""
    from torch import nn

    def encoder(width: int, layers: int) -> Any:
        return nn.TransformerEncoder(
            nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True), layers
        )

    return {
        "MLP 16-32-4, batch 8": (
            lambda: nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)), (8, 16), 200,
        ),
        "MLP 784-1024-10, batch 256": (
            lambda: nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 10)), (256, 784), 40,
        ),
        "transformer, width 64, 2 layers, 8 x 32": (lambda: encoder(64, 2), (8, 32, 64), 40),
        "transformer, width 256, 4 layers, 16 x 64": (lambda: encoder(256, 4), (16, 64, 256), 5),
        "convolutions with batch norm, 32 x 32 x 32": (
            lambda: nn.Sequential(
                nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.Flatten(),
                nn.Linear(32 * 28 * 28, 10),
            ), (32, 3, 32, 32), 10,
        ),
    }  # fmt: skip


def measure(path: Path) -> None:
    """Trains each model on the device that there is, and writes milliseconds a step and the last loss."""
    import torch

    available = torch.accelerator.is_available()
    device = torch.accelerator.current_accelerator() if available else torch.device("cpu")
    out: dict[str, tuple[float, float]] = {}
    for name, (make, shape, steps) in cases().items():
        torch.manual_seed(0)
        model = make().to(device)
        batch = torch.randn(*shape).to(device)
        optimizer = torch.optim.AdamW(model.parameters())
        begun = 0.0
        for step in range(steps + 2):
            if step == 2:
                begun = time.process_time()
            loss = model(batch).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        out[name] = ((time.process_time() - begun) / steps * 1000, loss.item())
    path.write_text(json.dumps(out))


def main() -> int:
    if sys.argv[1:2] == [STEPS]:
        measure(Path(sys.argv[2]))
        return 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found: list[dict[str, tuple[float, float]]] = []
    for prefix in ([], ["-m", "uncuda", "rehearse"]):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "figures.json"
            subprocess.run(
                [sys.executable, *prefix, __file__, STEPS, str(path)],
                env=environment,
                stderr=subprocess.DEVNULL,
                check=True,
            )
            found.append(json.loads(path.read_text()))
    here, there = found
    print("| training step | CPU | rehearsed | ratio | difference of the loss |\n|---|---:|---:|---:|---:|")
    for name, (plain, loss) in here.items():
        simulated, other = there[name]
        print(
            f"| {name} | {plain:.1f} ms | {simulated:.1f} ms | {simulated / plain:.1f} | {abs(loss - other):.0e} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
