"""The command line: finds the command and hands over; a command's module is loaded only when it is used."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from uncuda import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("uncuda.cli.check", "find ties to CUDA, and fix them"),
    "audit": ("uncuda.cli.audit", "what a move to other hardware takes: verdicts, effort, a plan"),
    "explain": ("uncuda.cli.explain", "a rule's page, or what a torch API does on each target"),
    "rehearse": ("uncuda.cli.rehearse", "run a program on a simulated accelerator: does it do without CUDA?"),
    "config": ("uncuda.cli.config", "every setting in force for a path, and where it comes from"),
    "init-shim": ("uncuda.cli.init_shim", "write a module with a portable device, for torch older than 2.6"),
    "lsp": ("uncuda.cli.lsp", "the language server, for editors"),
    "completion": (
        "uncuda.cli.completion",
        "a script that completes commands and options in your shell",
    ),
}
"""Name to module and summary. A module has `parser()`, an ArgumentParser, and `run(arguments)`, an exit code."""

CLEAN, FINDINGS, FAILURE, INTERRUPTED = 0, 1, 2, 130

_EXAMPLES = """\
examples:
  uncuda check                        check the current directory
  uncuda check src --target ascend    only what hurts on Ascend
  uncuda check --diff                 see what the fixes would change
  uncuda check --fix                  apply the safe fixes
  uncuda explain UC101                what a rule is about
  uncuda explain torch.cuda.empty_cache
                                      what an API does on each target

exit codes: 0 clean, 1 findings, 2 wrong usage or a file that could not be dealt with
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line (`sys.argv` without its first element by default) and gives the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    ends = argv is None and arguments[:1] == ["check"] and "--watch" not in arguments
    if ends:
        # The process ends with this command: its trees go with it, and looking for cycles in them takes a second.
        gc.disable()
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        print("uncuda: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        from uncuda.cli.output import drop_output

        drop_output()
        return CLEAN
    except SystemExit as stop:
        # argparse leaves this way, for --help and for wrong usage.
        return stop.code if isinstance(stop.code, int) else CLEAN if stop.code is None else FAILURE
    finally:
        if ends:
            gc.freeze()  # nor are they looked for when the interpreter goes


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in ("--version", "-V"):
        print(f"uncuda {__version__}")
        return CLEAN
    if arguments and arguments[0] == "help":
        arguments = [*arguments[1:2], "--help"]
    if not arguments or arguments[0] in ("--help", "-h"):
        print(overview(), end="")
        return CLEAN if arguments else FAILURE
    name = arguments[0]
    if name not in COMMANDS:
        return _unknown(name, arguments)
    from importlib import import_module

    module = import_module(COMMANDS[name][0])
    parser = module.parser()
    result: int = module.run(parser.parse_args(arguments[1:]))
    return result


def overview() -> str:
    """What `uncuda --help` prints."""
    width = max(map(len, COMMANDS))
    commands = "".join(f"  {name:<{width}}  {summary}\n" for name, (_, summary) in COMMANDS.items())
    return (
        "usage: uncuda COMMAND [OPTIONS]\n\n"
        "Finds every tie of Python ML code to CUDA, says what it does on other hardware,\n"
        "and rewrites what can be rewritten.\n\n"
        f"commands:\n{commands}\n"
        "options:\n"
        "  -h, --help     this text; `uncuda COMMAND --help` for a command's options\n"
        "  -V, --version  the version\n\n"
        f"{_EXAMPLES}"
    )


def _unknown(name: str, arguments: list[str]) -> int:
    import os
    from difflib import get_close_matches

    from uncuda.report.ansi import visible

    if name.startswith("-"):
        hint = "options come after the command; see `uncuda --help`"
    elif os.path.exists(name):
        hint = f"did you mean `uncuda check {visible(name)}`?"
    else:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"the commands are {', '.join(COMMANDS)}"
    print(f"uncuda: error: there is no command {visible(name)!r}; {hint}", file=sys.stderr)
    return FAILURE
