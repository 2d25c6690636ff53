"""`uncuda completion SHELL`: prints a script, made from the commands' own parsers."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass

from uncuda.cli.output import write
from uncuda.findings import Target
from uncuda.rules.catalogue import pairs


@dataclass(frozen=True)
class _Option:
    """`listed`: what it takes several of, with commas between."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...]
    listed: tuple[str, ...]
    wants_path: bool


@dataclass(frozen=True)
class _Command:
    """`words`: what it takes besides options; None where these are paths, empty where there is nothing."""

    summary: str
    options: tuple[_Option, ...]
    words: tuple[str, ...] | None


def parser() -> ArgumentParser:
    """The parser of `uncuda completion`."""
    made = ArgumentParser(
        prog="uncuda completion",
        description="Print a script that completes uncuda's commands and options.",
        epilog="bash: uncuda completion bash > ~/.local/share/bash-completion/completions/uncuda\n"
        "zsh:  uncuda completion zsh > a directory of $fpath, as _uncuda\n"
        "fish: uncuda completion fish > ~/.config/fish/completions/uncuda.fish\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("shell", choices=tuple(_MAKERS))
    return made


def run(arguments: Namespace) -> int:
    """Prints the script."""
    write(_MAKERS[arguments.shell](_commands()))
    return 0


_PATH_OPTIONS = frozenset({"--stdin-filename", "--output-file", "--config", "--baseline", "--python"})


def _listed(metavar: object) -> tuple[str, ...]:
    if metavar == "TARGETS":
        return tuple(target.value for target in Target)
    return ("ALL", *_rules()) if metavar == "RULES" else ()


def _rules() -> tuple[str, ...]:
    return tuple(word for pair in pairs() for word in pair)


def _options(made: ArgumentParser) -> Iterator[_Option]:
    for action in made._actions:
        if not action.option_strings or action.help is argparse.SUPPRESS:
            continue
        choices = tuple(map(str, action.choices or ()))
        names = tuple(action.option_strings)
        yield _Option(
            names,
            " ".join((action.help or "").split()).replace("%%", "%"),
            action.nargs != 0,
            choices,
            _listed(action.metavar),
            bool(_PATH_OPTIONS & set(names)),
        )


def _commands() -> dict[str, _Command]:
    from importlib import import_module

    from uncuda.cli import COMMANDS

    out: dict[str, _Command] = {}
    for name, (module, summary) in COMMANDS.items():
        made: ArgumentParser = import_module(module).parser()
        words: tuple[str, ...] | None = ()
        for action in made._actions:
            if not action.option_strings:
                words = tuple(map(str, action.choices)) if action.choices else None
        if name == "explain":
            words = (*_rules(), *(target.value for target in Target))
        out[name] = _Command(summary, tuple(_options(made)), words)
    return out


def _shell_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _bash(commands: dict[str, _Command]) -> str:
    cases: list[str] = []
    for name, command in commands.items():
        options, words = command.options, command.words
        every = " ".join(n for o in options for n in o.names)
        values = [
            f'        {"|".join(o.names)}) COMPREPLY=($(compgen -W {_shell_quoted(" ".join(o.choices))} -- "$cur")); return ;;'
            for o in options
            if o.choices and o.takes_value
        ]
        values += [
            f'        {"|".join(o.names)}) COMPREPLY=($(compgen -f -- "$cur")); return ;;'
            for o in options
            if o.wants_path
        ]
        # After a comma the next of a list.
        values += [
            f"        {'|'.join(o.names)}) COMPREPLY=($(compgen -W {_shell_quoted(' '.join(o.listed))}"
            ' -P "${cur%"${cur##*,}"}" -- "${cur##*,}")); return ;;'
            for o in options
            if o.listed
        ]
        choose = "\n".join(values)
        rest = (
            f'COMPREPLY=($(compgen -W {_shell_quoted(" ".join(words))} -- "$cur"))'
            if words is not None
            else 'COMPREPLY=($(compgen -f -- "$cur"))'
        )
        cases.append(
            f"    {name})\n"
            f'      case "$prev" in\n{choose}\n        *) ;;\n      esac\n'
            f'      if [[ "$cur" == -* ]]; then\n'
            f'        COMPREPLY=($(compgen -W {_shell_quoted(every)} -- "$cur"))\n'
            f"      else\n        {rest}\n      fi ;;\n"
        )
    names = " ".join([*commands, "--help", "--version"])
    return (
        "# bash completion of uncuda\n"
        "_uncuda() {\n"
        '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"\n'
        "  COMPREPLY=()\n"
        "  if (( COMP_CWORD == 1 )); then\n"
        f'    COMPREPLY=($(compgen -W {_shell_quoted(names)} -- "$cur"))\n'
        "    return\n"
        "  fi\n"
        '  case "${COMP_WORDS[1]}" in\n' + "".join(cases) + "  esac\n"
        "}\n"
        "complete -o filenames -o bashdefault -F _uncuda uncuda\n"
    )


def _zsh(commands: dict[str, _Command]) -> str:
    def colon(text: str) -> str:
        return text.replace("\\", "\\\\").replace(":", "\\:")

    def bracket(text: str) -> str:
        for char in "\\[]:":
            text = text.replace(char, "\\" + char)
        return text

    cases: list[str] = []
    for name, command in commands.items():
        specs: list[str] = []
        for option in command.options:
            action = ""
            if option.takes_value:
                inner = "_files" if option.wants_path else ""
                if option.choices:
                    inner = f"({' '.join(option.choices)})"
                elif option.listed:
                    inner = f"_values -s , word {' '.join(option.listed)}"
                action = f":value:{inner}"
            for one in option.names:
                specs.append(_shell_quoted(f"*{one}[{bracket(option.help)}]{action}"))
        if command.words is None:
            specs.append(_shell_quoted("*:path:_files"))
        elif command.words:
            specs.append(_shell_quoted(f"*:argument:({' '.join(command.words)})"))
        joined = " \\\n        ".join(specs)
        cases.append(f"    {name})\n      _arguments \\\n        {joined} ;;\n")
    listed = " ".join(_shell_quoted(f"{colon(n)}:{colon(c.summary)}") for n, c in commands.items())
    return (
        "#compdef uncuda\n"
        "_uncuda() {\n"
        "  if (( CURRENT == 2 )); then\n"
        f"    local -a commands=({listed})\n"
        "    _describe command commands\n"
        "    return\n"
        "  fi\n"
        "  local command=$words[2]\n"
        "  shift words; (( CURRENT-- ))\n"
        "  case $command in\n" + "".join(cases) + "  esac\n"
        "}\n"
        'if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _uncuda "$@"; else compdef _uncuda uncuda; fi\n'
    )


# After a comma the next of a list is completed.
_FISH = """\
# fish completion of uncuda
function __uncuda_first
    test (count (commandline -opc)) -eq 1
end
function __uncuda_runs
    set -l words (commandline -opc)
    test (count $words) -gt 1; and test $words[2] = $argv[1]
end
function __uncuda_listed
    set -l before (commandline -ct | string replace -r '^-[^=]*=' '' | string match -r '.*,')
    set -q before[1]; or set before ''
    for word in $argv
        echo $before$word
    end
end
complete -c uncuda -n __uncuda_first -f"""


def _fish(commands: dict[str, _Command]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = [_FISH]
    for name, command in commands.items():
        lines.append(f"complete -c uncuda -n __uncuda_first -a {name} -d {quoted(command.summary)}")
        seen = f"complete -c uncuda -n '__uncuda_runs {name}'"
        lines.append(f"{seen} {'-F' if command.words is None else '-f'}")
        for option in command.options:
            flags = "".join(f" -l {n[2:]}" if n.startswith("--") else f" -s {n[1:]}" for n in option.names)
            value = ""
            if option.choices and option.takes_value:
                value = f" -x -a {quoted(' '.join(option.choices))}"
            elif option.listed:
                words = " ".join(option.listed)
                value = f" -x -a {quoted(f'(__uncuda_listed {words})')}"
            elif option.takes_value:
                value = " -r"
            lines.append(f"{seen}{flags}{value} -d {quoted(option.help)}")
        if command.words:
            lines.append(f"{seen} -a {quoted(' '.join(command.words))}")
    return "\n".join(lines) + "\n"


_MAKERS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
