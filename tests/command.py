"""The real command, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Done:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def both(self) -> str:
        """All that was written."""
        return self.out + self.err


def environment(home: Path, more: Mapping[str, str] = {}) -> dict[str, str]:
    """The environment without what this machine's person has set."""
    kept = {
        k: v for k, v in os.environ.items() if k in ("PATH", "SYSTEMROOT", "TMPDIR", "PYTHONPYCACHEPREFIX")
    }
    return {**kept, "HOME": str(home), "PYTHONIOENCODING": "utf-8", **more}


def uncuda(*arguments: str, cwd: Path, stdin: bytes = b"", env: Mapping[str, str] = {}) -> Done:
    """Runs `uncuda ARGUMENTS` in `cwd`. A traceback in what it writes is a failure, whatever the test is about."""
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=120,
        env=environment(cwd, env),
        check=False,
    )
    result = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in result.both, result.both
    return result
