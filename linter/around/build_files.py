"""CMake files and makefiles: what they ask of a CUDA toolchain."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uncuda.around.commands import items_of_shell
from uncuda.around.items import BuildCommand, Item, Program, Variable

_CMAKE = re.compile(
    r"#\[(?P<eq>=*)\[.*?\](?P=eq)\]|#[^\n]*|(?P<name>[A-Za-z_]\w*)[ \t]*\((?P<args>(?:[^()\"#]|\"(?:\\.|[^\"\\])*\"|\([^()]*\)|#[^\n]*)*)\)",
    re.S,
)
_WORD = re.compile(r"\"(?:\\.|[^\"\\])*\"|[^\s\"#]+|#[^\n]*")
_ABOUT_CUDA = re.compile(r"(?i)cuda|nvidia|gpu|nvcc")
_OFF = re.compile(r"(?i)\bNOT\s+\W*\w*(?:cuda|nvidia|gpu|nvcc)|\bOFF\b")


def read_cmake(text: str, path: str) -> Iterator[Item]:
    """The commands of a CMake file. One under a condition about CUDA is handled."""
    conditions: list[bool] = []
    for found in _CMAKE.finditer(text):
        if found["name"] is None:
            continue
        name = found["name"].lower()
        arguments = tuple(
            word[0].strip('"') for word in _WORD.finditer(found["args"]) if not word[0].startswith("#")
        )
        line = " ".join(arguments)
        if name == "if":
            conditions.append(_ABOUT_CUDA.search(line) is not None and _OFF.search(line) is None)
        elif name in ("else", "elseif"):
            if conditions:
                conditions[-1] = name == "elseif" and _ABOUT_CUDA.search(line) is not None
        elif name == "endif":
            if conditions:
                conditions.pop()
        elif name in ("function", "macro"):
            conditions.append(bool(arguments) and _ABOUT_CUDA.search(arguments[0]) is not None)
        elif name in ("endfunction", "endmacro"):
            if conditions:
                conditions.pop()
        else:
            yield BuildCommand(
                start=found.start("name"),
                end=found.end(),
                name=name,
                arguments=arguments,
                handled=any(conditions),
            )


_RULE = re.compile(r"(?m)^(?P<tab>\t[ \t]*[@+-]*[ \t]*)?(?P<body>(?:[^\n\\]|\\.|\\\r?\n)*)(?:\n|\Z)")
_ASSIGNMENT = re.compile(
    r"(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)[ \t]*(?::{0,2}|\?|\+|!)=[ \t]*(?P<value>[^\n#]*)"
)
_IF = re.compile(r"(ifn?eq|ifn?def)\b(.*)")


def read_makefile(text: str, path: str) -> Iterator[Item]:
    """The commands and variables of a makefile. What stands under a condition about CUDA is handled."""
    from dataclasses import replace

    conditions: list[bool] = []
    for found in _RULE.finditer(text):
        start, end = found.span("body")
        body = found["body"]
        if found["tab"] is not None:
            for item in items_of_shell(text, start, end):
                yield replace(item, handled=True) if any(conditions) else item
            continue
        line = body.strip()
        condition = _IF.match(line)
        if condition is not None:
            conditions.append(_ABOUT_CUDA.search(condition[2]) is not None)
        elif line.startswith("else") and conditions:
            conditions[-1] = False
        elif line.startswith("endif") and conditions:
            conditions.pop()
        else:
            assigned = _ASSIGNMENT.match(text, start + len(body) - len(body.lstrip()), end)
            if assigned is not None:
                yield from _assignment(assigned, any(conditions))


def _assignment(found: re.Match[str], handled: bool) -> Iterator[Item]:
    value = found["value"].strip()
    start = found.start("value")
    first = value.split()[0] if value else ""
    # `profiles/ncu` is a directory of results, `/usr/local/cuda/bin/nvcc` a program.
    program = first.rpartition("/")[2] if "/" not in first or "/bin/" in first else ""
    yield Variable(
        start=found.start("name"), end=found.end("name"), name=found["name"], value=value, handled=handled
    )
    if program and not program.startswith("$"):
        yield Program(start=start, end=start + len(value.split()[0]), name=program, handled=handled)
