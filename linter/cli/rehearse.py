"""`uncuda rehearse`: runs a program on a simulated accelerator."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uncuda.cli.output import warn, write
from uncuda.findings import Target
from uncuda.report.ansi import style_for, visible

if TYPE_CHECKING:
    from uncuda.rehearse.model import Rehearsal

CLEAN, FOUND, FAILURE, INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\
This command RUNS the program, with the rights you have; no other command of uncuda runs the code it looks at. The
program does what it always does: it writes its files, opens its connections. Only the accelerator is simulated.

examples:
  uncuda rehearse train.py --epochs 1             the program's arguments come after its name
  uncuda rehearse -m pytest                       the project's tests, on an accelerator
  uncuda rehearse --target mlu -m mypackage.train
  uncuda rehearse --python .venv/bin/python train.py
  uncuda rehearse --devices 2 -m torch.distributed.run --nproc_per_node 2 train.py

What the program prints stays as it is; the report goes to standard error, or to --output-file.

exit codes: 0 it ran on the simulated accelerator and asks for nothing that needs CUDA; 1 it failed, stayed on the CPU,
or asks for CUDA; 2 it could not be rehearsed; 130 interrupted
"""


class _Parser(ArgumentParser):
    """Takes its own options up to the program; the rest is the program's."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> Namespace:
        given = list(sys.argv[1:] if args is None else args)
        end = self._end_of_own(given)
        parsed = super().parse_args(given[:end], namespace)
        parsed.command = given[end:]
        return parsed

    def _end_of_own(self, given: list[str]) -> int:
        """Where the program begins: at `-m`, or at the first word that is no option and no option's value."""
        at = 0
        while at < len(given) and given[at].startswith("-") and given[at] not in ("-", "-m", "--"):
            action = self._option_string_actions.get(given[at])
            at += 2 if action is not None and action.nargs is None else 1
        return min(at, len(given))


def parser() -> ArgumentParser:
    """The parser of `uncuda rehearse`."""
    made = _Parser(
        prog="uncuda rehearse",
        usage="uncuda rehearse [OPTIONS] (SCRIPT | -m MODULE) [ARGUMENTS ...]",
        description="Run a program on a simulated accelerator, on a machine that has none, to see that it does without CUDA.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "--target",
        choices=tuple(t.value for t in Target),
        default=Target.ASCEND.value,
        help="the hardware whose device is simulated; `cpu`: none is (default: %(default)s)",
    )
    made.add_argument(
        "--devices", type=_count, default=1, metavar="N", help="how many there are (default: 1)"
    )
    made.add_argument(
        "--python",
        metavar="PATH",
        default=sys.executable,
        help="the project's Python, which has torch (default: uncuda's)",
    )
    made.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="stop the program after so long")
    made.add_argument(
        "--strict",
        action="store_true",
        help="let whatever asks for CUDA count, also what is handled or harmless",
    )
    made.add_argument(
        "--watch-only",
        action="store_true",
        help="simulate no device, watch torch.cuda: what is done anyway with torch older than 2.10",
    )
    made.add_argument(
        "--output-format", choices=("text", "json"), default="text", help="the report's (default: text)"
    )
    made.add_argument(
        "--output-file", type=Path, metavar="FILE", help="where the report goes instead of standard error"
    )
    made.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    made.add_argument(
        "command", nargs="*", metavar="SCRIPT", help="the program, or `-m MODULE`, with its arguments"
    )
    return made


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 8:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 8, not {visible(text)!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"must be a number of seconds, not {visible(text)!r}")
    return value


def run(arguments: Namespace) -> int:
    """Runs the program, then says what was seen."""
    from uncuda.rehearse.devices import CannotSimulate
    from uncuda.rehearse.launch import LaunchError

    try:
        found = _rehearse(arguments)
    except (CannotSimulate, LaunchError) as error:
        warn(f"uncuda: error: {visible(str(error))}")
        return FAILURE
    if not _report(found, arguments):
        return FAILURE
    return exit_code(found)


def _rehearse(arguments: Namespace) -> Rehearsal:
    from uncuda.rehearse.devices import device_of
    from uncuda.rehearse.judge import Judge
    from uncuda.rehearse.launch import check_python, environment
    from uncuda.rehearse.launch import run as launch
    from uncuda.rehearse.notes import read

    command = _program(arguments.command)
    target = Target(arguments.target)
    device = device_of(target)
    check_python(arguments.python)
    with tempfile.TemporaryDirectory(prefix="uncuda-rehearsal-") as name:
        folder = Path(name)
        variables = environment(folder, device, devices=arguments.devices, watch_only=arguments.watch_only)
        ending = launch([arguments.python, *command], variables, arguments.timeout, folder)
        notes = read(folder)
    return Judge(target, strict=arguments.strict).rehearsal(notes, ending, command, device, arguments.devices)


def _program(command: list[str]) -> list[str]:
    """The program and its arguments, as Python takes them. Raises LaunchError."""
    from uncuda.rehearse.launch import LaunchError

    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise LaunchError(
            "there is no program to run; name a script, or -m MODULE, as in: uncuda rehearse train.py"
        )
    if command[0] == "-m":
        if len(command) < 2:
            raise LaunchError("-m needs the name of a module, as in: uncuda rehearse -m mypackage.train")
        return command
    script = Path(command[0])
    if script.suffix == ".ipynb":
        raise LaunchError(
            f"{script} is a notebook; make a script of it first: jupyter nbconvert --to script {shlex.quote(str(script))}"
        )
    if not script.exists():
        raise LaunchError(f"there is no file {str(script)!r}")
    return command


def _report(found: Rehearsal, arguments: Namespace) -> bool:
    """Writes the report; False where it can't be written."""
    from uncuda.rehearse import as_json, as_text
    from uncuda.report.ansi import Style
    from uncuda.writing import write_atomically

    path: Path | None = arguments.output_file
    if arguments.output_format == "json":
        text = as_json.render(found)
    else:
        text = as_text.render(found, style_for(sys.stderr, arguments.color) if path is None else Style())
    if path is None:
        write(text, sys.stderr)
        return True
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        warn(f"uncuda: error: {visible(str(path))} can't be written: {error.strerror or error}")
        return False
    return True


def exit_code(found: Rehearsal) -> int:
    """The exit code that a report comes to."""
    from uncuda.rehearse.model import Verdict

    if found.verdict is Verdict.INTERRUPTED:
        return INTERRUPTED
    if found.broken is not None:
        return FAILURE
    return CLEAN if found.verdict is Verdict.RAN else FOUND
