"""Runs every fixed example of the rules on the simulated accelerator; it is meant for a rehearsal.

An example gets all fixes, as a user would make them, and its `run` line is evaluated in a forked process. What came of
each goes to the file that is named, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from test_execution import execute

from uncuda.engine import Options, fix_text
from uncuda.rules.base import Bad
from uncuda.rules.registry import all_rules


def devices(value: Any) -> Iterator[str]:
    """The types of the devices in a value."""
    if isinstance(value, torch.device):
        yield value.type
    elif isinstance(value, torch.Tensor):
        yield value.device.type
    elif isinstance(value, torch.nn.Module):
        for parameter in value.parameters():
            yield parameter.device.type
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from devices(item)


def fixed(bad: Bad) -> str:
    """The example's text after every fix."""
    options = Options(torch_floor=bad.floor, device_expr=bad.device_expr, device_import=bad.device_import)
    return fix_text(bad.code, options, unsafe=True).text


def main() -> None:
    """Every example: its name, what it gave, and the devices in that."""
    out: dict[str, tuple[str, str]] = {}
    for rule in all_rules():
        for bad in rule.bad:
            if bad.fixed is not None and bad.run is not None:
                text = fixed(bad)
                setup = f"from fixed_examples import devices as _devices\n{bad.setup}"
                run = f"(lambda value: (' '.join(sorted(set(_devices(value)))), value))(({bad.run}))"
                out[f"{rule.code}-{bad.id or 'plain'}"] = execute(setup, text, run)
    Path(sys.argv[1]).write_text(json.dumps(out))


if __name__ == "__main__":
    main()
