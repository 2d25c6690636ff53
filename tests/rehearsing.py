"""The real `uncuda rehearse`, in a process of its own, and its report as data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command import environment

from uncuda.findings import Target
from uncuda.rehearse.devices import device_of
from uncuda.rehearse.launch import environment as rehearsal_environment


@dataclass(frozen=True)
class Rehearsed:
    """How a rehearsal ended, what the program and uncuda wrote, and the report."""

    code: int
    out: str
    err: str
    report: dict[str, Any]

    @property
    def touches(self) -> set[tuple[str, int]]:
        """What the program asked of CUDA: the symbol and the line."""
        return {(touch["symbol"], touch["line"]) for touch in self.report["touches"]}

    @property
    def hurting(self) -> set[tuple[str, int]]:
        """Those of the touches that count."""
        return {(touch["symbol"], touch["line"]) for touch in self.report["touches"] if touch["hurts"]}


def rehearse(
    cwd: Path, *arguments: str, interrupt_after: Path | None = None, env: Mapping[str, str] = {}
) -> Rehearsed:
    """Runs `uncuda rehearse ARGUMENTS`; interrupts it, as a terminal would, once a file is there."""
    report = cwd / "report.json"
    options = ("--output-format", "json", "--output-file", str(report))
    child = subprocess.Popen(
        [sys.executable, "-m", "uncuda", "rehearse", *options, *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(cwd, {"OMP_NUM_THREADS": "1", **env}),
        start_new_session=True,
        text=True,
    )
    if interrupt_after is not None:
        for _ in range(1200):
            if interrupt_after.exists():
                break
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=240)
    return Rehearsed(child.returncode, out, err, json.loads(report.read_text()) if report.exists() else {})


def inside(folder: Path, target: Target = Target.ASCEND, devices: int = 1) -> dict[str, str]:
    """The environment of a process in which torch has a simulated device, for tests that start one themselves."""
    variables = rehearsal_environment(folder, device_of(target), devices=devices, watch_only=False)
    return {**environment(folder), **{k: v for k, v in variables.items() if os.environ.get(k) != v}}
