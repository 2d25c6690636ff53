"""Runs a program under rehearsal: the Python it needs, its environment, the time it may take, and how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uncuda.rehearse.devices import Device

HOOK = Path(__file__).resolve().parent / "hook"
_GRACE = 5.0
"""Seconds that a program has to end by itself once it is told to."""
_OLDEST_PYTHON, _OLDEST_TORCH = (3, 8), (2, 0)
_PROBE = """
import json, sys
from importlib.util import find_spec
found = find_spec("torch")
version = None
if found is not None:
    try:
        from importlib.metadata import version as of
        version = of("torch")
    except Exception:
        version = ""
print(json.dumps({"python": list(sys.version_info[:3]), "torch": version}))
"""


class LaunchError(Exception):
    """Why a program can't be run, and what to do about it."""


@dataclass(frozen=True)
class Ending:
    """How a program ended: its exit code (negative: the signal that ended it), and whether it was stopped."""

    code: int
    seconds: float
    timed_out: bool = False
    interrupted: bool = False


def check_python(python: str) -> None:
    """Can this Python run a rehearsal? Raises LaunchError."""
    way_out = "--python PATH names the Python of the project"
    try:
        done = subprocess.run(
            [python, "-c", _PROBE],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or error
        raise LaunchError(f"{python} can't be run ({reason}); {way_out}") from None
    try:
        found = json.loads(done.stdout.splitlines()[-1])
        version, torch = tuple(found["python"]), found["torch"]
    except (ValueError, IndexError, KeyError, TypeError):
        raise LaunchError(f"{python} isn't a Python that can run a program; {way_out}") from None
    if version < _OLDEST_PYTHON:
        raise LaunchError(f"{python} is Python {_dotted(version)}; a rehearsal needs 3.8 or newer; {way_out}")
    if torch is None:
        raise LaunchError(
            f"torch isn't installed in {python}, and a rehearsal runs the program on it; {way_out}. "
            f"Its CPU build is enough: {python} -m pip install torch"
        )
    if torch and _numbers(torch) < _OLDEST_TORCH:
        raise LaunchError(f"{python} has torch {torch}; a rehearsal needs 2.0 or newer; {way_out}")


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("+")[0].split(".")[:2]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)


def environment(folder: Path, device: Device, *, devices: int, watch_only: bool) -> dict[str, str]:
    """The variables that make a Python, and every Python that it starts, take part in a rehearsal."""
    settings = {
        "folder": str(folder),
        "device": device.name,
        "devices": devices,
        "backend": device.backend,
        "package": device.package if not watch_only else None,
        "way": "watched" if watch_only else "auto",
    }
    paths = [str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "UNCUDA_REHEARSAL": json.dumps(settings),
        "PYTHONPATH": os.pathsep.join(paths),
        # A CUDA device that is here must not answer, nor a vendor's package that is installed without its device.
        "CUDA_VISIBLE_DEVICES": "",
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
        # There is no compiler for a simulated device: compiled functions run as they are.
        "TORCHDYNAMO_DISABLE": "1",
    }


def run(command: Sequence[str], variables: dict[str, str], timeout: float | None, folder: Path) -> Ending:
    """Runs a command to its end, on this process's standard streams."""
    begun = time.monotonic()
    try:
        child = subprocess.Popen(command, env=variables)
    except OSError as error:
        raise LaunchError(f"{command[0]} can't be run ({error.strerror or error})") from None
    timed_out = interrupted = False
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
    except KeyboardInterrupt:
        # The terminal has told the program as well: it may clean up.
        interrupted = True
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            child.wait(_GRACE)
    if child.poll() is None:
        _stop(child)
    if timed_out or interrupted:
        _stop_others(folder, child.pid)
    return Ending(child.returncode, time.monotonic() - begun, timed_out, interrupted)


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()


def _stop_others(folder: Path, first: int) -> None:
    """Ends what the program has started and left: each process of a rehearsal has a journal by its number."""
    for journal in folder.glob("*.jsonl"):
        number = int(journal.stem)
        if number != first and _is_open(number, journal):
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGTERM)


def _is_open(number: int, journal: Path) -> bool:
    """Has this process that journal open? A number may have gone to another process since."""
    descriptors = Path(f"/proc/{number}/fd")
    if sys.platform != "linux":
        return False
    try:
        return any(os.path.samefile(entry, journal) for entry in descriptors.iterdir())
    except OSError:
        return False
