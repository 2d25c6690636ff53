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


_PATH_OPTIONS = frozenset({"--stdin-filename", "--output-file", "--config", "--baseline"})


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


def _commands() -> dict[str, tuple[str, list[_Option], tuple[str, ...]]]:
    """Name to summary, options, and the words that its positional argument takes (none: paths)."""
    from importlib import import_module

    from uncuda.cli import COMMANDS

    out: dict[str, tuple[str, list[_Option], tuple[str, ...]]] = {}
    for name, (module, summary) in COMMANDS.items():
        made: ArgumentParser = import_module(module).parser()
        words: tuple[str, ...] = ()
        for action in made._actions:
            if not action.option_strings:
                words = tuple(map(str, action.choices or ()))
        if name == "explain":
            from uncuda.findings import Target
            from uncuda.rules.catalogue import pairs

            words = (*(word for pair in pairs() for word in pair), *(target.value for target in Target))
        out[name] = (summary, list(_options(made)), words)
    return out


def _shell_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _bash(commands: dict[str, tuple[str, list[_Option], tuple[str, ...]]]) -> str:
    cases: list[str] = []
    for name, (_, options, words) in commands.items():
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
            if words
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


def _zsh(commands: dict[str, tuple[str, list[_Option], tuple[str, ...]]]) -> str:
    def colon(text: str) -> str:
        return text.replace("\\", "\\\\").replace(":", "\\:")

    def bracket(text: str) -> str:
        for char in "\\[]:":
            text = text.replace(char, "\\" + char)
        return text

    cases: list[str] = []
    for name, (_, options, words) in commands.items():
        specs: list[str] = []
        for option in options:
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
        rest = f"*:argument:({' '.join(words)})" if words else "*:path:_files"
        specs.append(_shell_quoted(rest))
        joined = " \\\n        ".join(specs)
        cases.append(f"    {name})\n      _arguments \\\n        {joined} ;;\n")
    listed = " ".join(_shell_quoted(f"{colon(n)}:{colon(s)}") for n, (s, _, _) in commands.items())
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


def _fish(commands: dict[str, tuple[str, list[_Option], tuple[str, ...]]]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = ["# fish completion of uncuda", "complete -c uncuda -n __fish_use_subcommand -f"]
    for name, (summary, options, rest) in commands.items():
        lines.append(f"complete -c uncuda -n __fish_use_subcommand -a {name} -d {quoted(summary)}")
        seen = f"complete -c uncuda -n '__fish_seen_subcommand_from {name}'"
        for option in options:
            flags = "".join(f" -l {n[2:]}" if n.startswith("--") else f" -s {n[1:]}" for n in option.names)
            value = ""
            if option.takes_value:
                words = option.choices or option.listed
                value = f" -x -a {quoted(' '.join(words))}" if words else " -r"
            lines.append(f"{seen}{flags}{value} -d {quoted(option.help)}")
        if rest:
            lines.append(f"{seen} -f -a {quoted(' '.join(rest))}")
    return "\n".join(lines) + "\n"


_MAKERS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
