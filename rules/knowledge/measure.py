"""Calls the probes of the API table with the installed torch, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import time
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

_LENGTH = 160
"""Characters of an answer's repr that the table keeps."""
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_SECONDS = 60.0


def _names() -> dict[str, Any]:
    """What a probe may use: torch, nn, dist, a tensor `x`, a module `m`, and `enter` for context managers."""
    import torch
    import torch.distributed as dist
    from torch import nn

    def enter(manager: Any) -> str:
        with manager:
            return "entered"

    torch.manual_seed(0)
    return {
        "torch": torch,
        "nn": nn,
        "dist": dist,
        "x": torch.ones(2, 3),
        "m": nn.Linear(3, 2),
        "enter": enter,
    }


def answer(probe: str, names: dict[str, Any]) -> str:
    """What `probe` (an expression, or statements that leave their answer in `_r`) does with `names`.

    Returns `noop` (None came back), `returns:REPR` or `raises:EXCEPTION`, then `;warns:CATEGORY,…` if any.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            try:
                code = compile(probe, "<probe>", "eval")
            except SyntaxError:
                exec(compile(probe, "<probe>", "exec"), names)
                value = names.get("_r")
            else:
                value = eval(code, names)
            text = "noop" if value is None else "returns:" + _short(value)
        except Exception as error:
            text = f"raises:{type(error).__name__}"
    seen = sorted({w.category.__name__ for w in caught})
    return text + (f";warns:{','.join(seen)}" if seen else "")


def _short(value: object) -> str:
    return _ADDRESS.sub("", " ".join(repr(value).split()))[:_LENGTH]


def measure(probes: Iterable[str]) -> Mapping[str, str]:
    """Runs every probe in a fork of this process (torch is imported once) and returns their answers.

    A probe that ends its process or takes longer than a minute answers `dies`. Needs `os.fork`; raises
    OSError where there is none, and ImportError without torch.
    """
    if not hasattr(os, "fork"):
        raise OSError("probes run in forked processes, which this system doesn't have")
    names = _names()
    return {probe: _in_fork(probe, names) for probe in dict.fromkeys(probes)}


def _in_fork(probe: str, names: dict[str, Any]) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        try:
            os.write(writer, json.dumps(answer(probe, names)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        text = _read(reader, time.monotonic() + _SECONDS)
    finally:
        os.close(reader)
        if not os.waitpid(child, os.WNOHANG)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return str(json.loads(text)) if text else "dies"


def _read(reader: int, deadline: float) -> bytes:
    """Everything that comes through the pipe until its end or the deadline."""
    parts: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            return b""
        part = os.read(reader, 65536)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return b""
