"""`uncuda config`: every setting in force for a path, and where it comes from."""

from __future__ import annotations

import argparse
import json
import os
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uncuda.cli.check_options import add_file_options, add_rule_options
from uncuda.cli.output import warn, write
from uncuda.cli.plan import settings_tree
from uncuda.floor import Floor, Floors
from uncuda.report.ansi import Style, style_for, visible
from uncuda.results import dotted
from uncuda.rules.catalogue import pairs
from uncuda.settings import DEFAULT, Settings, SettingsError, ignored_in, json_schema, plain, selected
from uncuda.settings_values import shown

if TYPE_CHECKING:
    from uncuda.own_device import OwnDevice

DONE, FAILURE = 0, 2

_EXAMPLES = """\
examples:
  uncuda config                       what counts in the current directory
  uncuda config src/train.py          what counts for a file
  uncuda config --output-format json
  uncuda config --schema              the JSON schema of uncuda.toml, for editors
"""


def parser() -> ArgumentParser:
    """The parser of `uncuda config`."""
    made = ArgumentParser(
        prog="uncuda config",
        description="Show every setting in force for a path, and where it comes from.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("path", nargs="?", default=".", metavar="PATH", help="a file or directory (default: .)")
    made.add_argument("--output-format", choices=("text", "json"), default="text")
    made.add_argument(
        "--schema", action="store_true", help="print the JSON schema of a settings file instead"
    )
    made.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    add_rule_options(made)
    add_file_options(made)
    return made


@dataclass(frozen=True)
class _InForce:
    """What counts for one path."""

    path: str
    settings: Settings
    floor: Floor
    rules: frozenset[str]
    ignored: frozenset[str]
    device: OwnDevice | None
    """What the project itself has for a device, where fixes ask for it."""


def run(arguments: Namespace) -> int:
    """Prints the settings."""
    if arguments.schema:
        write(json.dumps(json_schema(), indent=2) + "\n")
        return DONE
    try:
        in_force = _for(arguments)
    except SettingsError as error:
        warn(f"uncuda: error: {visible(str(error))}")
        return FAILURE
    if arguments.output_format == "json":
        write(json.dumps(_as_json(in_force), indent=2) + "\n")
    else:
        write(_as_text(in_force, style_for(sys.stdout, arguments.color)))
    return DONE


def _for(arguments: Namespace) -> _InForce:
    tree = settings_tree(arguments)
    path = os.path.abspath(arguments.path)
    if not os.path.exists(path):
        raise SettingsError(f"there is no file or directory {arguments.path!r}")
    is_directory = os.path.isdir(path)
    directory = path if is_directory else os.path.dirname(path)
    settings = tree.for_directory(directory)
    ignored = frozenset[str]() if is_directory else ignored_in(settings, path, pairs())
    device = None
    if settings.project and settings.device_expr is None:
        from uncuda.own_device import own_device

        device = own_device(directory).device
    return _InForce(
        path,
        settings,
        Floors().of(directory, settings),
        selected(settings, pairs()) - ignored,
        ignored,
        device,
    )


def _origin(settings: Settings, key: str) -> str:
    return settings.origins.get(key, DEFAULT)


def _as_json(in_force: _InForce) -> dict[str, object]:
    settings, floor = in_force.settings, in_force.floor
    return {
        "path": in_force.path,
        "settings_file": None if settings.file is None else str(settings.file),
        "settings": {
            key: {"value": value, "origin": _origin(settings, key)} for key, value in plain(settings).items()
        },
        "torch_floor": {
            "version": dotted(floor.version),
            "origin": floor.origin,
            "requirement": floor.text or None,
        },
        "own_device": None
        if in_force.device is None
        else {
            "expression": in_force.device.expression,
            "import": in_force.device.line,
            "file": in_force.device.path,
            "row": in_force.device.row,
        },
        "rules": sorted(in_force.rules),
        "rules_ignored_here": sorted(in_force.ignored),
    }


def _as_text(in_force: _InForce, style: Style) -> str:
    settings = in_force.settings
    file = "no settings file" if settings.file is None else f"settings file: {visible(shown(settings.file))}"
    lines = [f"{style.paint(visible(shown(in_force.path)), 'bold')}: {file}", ""]
    values = plain(settings)
    wide = max(map(len, values))
    for key, value in values.items():
        origin = _origin(settings, key)
        where = style.paint(visible(f"# {origin}"), "dim" if origin == DEFAULT else "cyan")
        lines += _setting(key.ljust(wide), value, where)
    rules = f"{len(in_force.rules)} of {len(pairs())}"
    if in_force.ignored:
        rules += f" ({', '.join(sorted(in_force.ignored))} ignored for this file)"
    lines += [
        "",
        f"torch floor: {visible(str(in_force.floor))}",
        f"device: {_device(in_force)}",
        f"rules: {rules}",
    ]
    return "\n".join(lines) + "\n"


def _device(in_force: _InForce) -> str:
    """How fixes write the device, where none is in scope."""
    settings, own = in_force.settings, in_force.device
    if settings.device_expr is not None:
        return visible(f"{settings.device_expr}, from {_origin(settings, 'device-expr')}")
    if own is not None:
        return visible(f"{own.expression}, the project's own ({shown(Path(own.path))}:{own.row}: {own.line})")
    asked = "nothing of the project's own was found" if settings.project else "project is false"
    return f"torch.accelerator.current_accelerator(), or the CPU: {asked}"


_ROOM = 90


def _setting(name: str, value: object, where: str) -> list[str]:
    """`name = value  # where it comes from`, a long list over several lines."""
    if value is None:
        return [f"{name} is not set  {where}"]
    if isinstance(value, dict):
        if not value:
            return [f"{name} = {{}}  {where}"]
        inner = [f"  {json.dumps(k)} = {json.dumps(v)}" for k, v in value.items()]
        return [f"{name} = {{  {where}", *map(visible, inner), "}"]
    whole = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, list) or len(whole) <= _ROOM:
        return [f"{name} = {visible(whole)}  {where}"]
    rows: list[str] = [""]
    for item in value:
        text = json.dumps(item, ensure_ascii=False) + ","
        if rows[-1] and len(rows[-1]) + len(text) > _ROOM:
            rows.append("")
        rows[-1] += f" {text}" if rows[-1] else f"  {text}"
    return [f"{name} = [  {where}", *map(visible, rows), "]"]
