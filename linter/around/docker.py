"""Dockerfiles: images, variables, and the commands that are run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from uncuda.around.commands import items_of_shell, items_of_words
from uncuda.around.items import Image, Item, Variable
from uncuda.around.json_reader import JsonError, read_json
from uncuda.around.shell import Word, read_shell
from uncuda.around.tree import scalars
from uncuda.around.yaml_reader import mask_templates

_INSTRUCTION = re.compile(r"[ \t]*([A-Za-z]+)(?:[ \t]+|(?=\\?\r?\n|\Z))")
_FLAG = re.compile(r"--[a-z-]+(?:=\S+)?[ \t]*(?:\\\r?\n[ \t]*)?")
_HEREDOC = re.compile(r"<<-?[ \t]*[\"']?(\w+)[\"']?")
_FROM = re.compile(r"(\S+)(?:[ \t]+[Aa][Ss][ \t]+(\S+))?")
_ARGUMENT = re.compile(r"(\w+)=(?:\"([^\"]*)\"|'([^']*)'|(\S*))")
_USED = re.compile(r"\$\{?(\w+)")


@dataclass(frozen=True, slots=True)
class _Instruction:
    name: str
    start: int
    end: int
    body: tuple[int, int] | None = None
    """The here-document that the instruction runs."""


def read_dockerfile(text: str, path: str) -> Iterator[Item]:
    """What a Dockerfile asks for."""
    text = mask_templates(text)
    instructions = list(_instructions(text))
    used = {
        name
        for item in instructions
        if item.name == "FROM"
        for name in _USED.findall(text[item.start : item.end].partition(" ")[0])
    }
    stages: set[str] = set()
    for item in instructions:
        yield from _read(text, item, used, stages)


def _instructions(text: str) -> Iterator[_Instruction]:
    at = 0
    while at < len(text):
        line_end = _line_end(text, at)
        found = _INSTRUCTION.match(text, at, line_end)
        if found is None:
            at = line_end
            continue
        end = line_end
        # A comment or a blank line within a continued instruction doesn't end it.
        while text[at:end].rstrip().endswith("\\") or _is_skipped(text, at, end, found.end()):
            if end >= len(text):
                break
            end = _line_end(text, end)
        heredoc = _HEREDOC.search(text, found.end(), end)
        body = None
        after = end
        if heredoc is not None and found[1].upper() in ("RUN", "COPY", "ADD"):
            closing = re.compile(rf"^[ \t]*{heredoc[1]}[ \t]*\r?$", re.M).search(text, end)
            stop = closing.start() if closing is not None else len(text)
            body = (end, stop)
            after = closing.end() + 1 if closing is not None else len(text)
        yield _Instruction(found[1].upper(), found.end(), end, body)
        at = after


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _is_skipped(text: str, at: int, end: int, head: int) -> bool:
    """Is the last line before `end` a comment or blank, behind a line that goes on?"""
    start = text.rfind("\n", at, end - 1) + 1
    if start <= at or start < head:
        return False
    line = text[start:end].strip()
    if line and not line.startswith("#"):
        return False
    before = text[at:start].rstrip()
    lines = [part.strip() for part in before.split("\n")]
    while lines and (not lines[-1] or lines[-1].startswith("#")):
        lines.pop()
    return bool(lines) and lines[-1].endswith("\\")


def _read(text: str, item: _Instruction, used: set[str], stages: set[str]) -> Iterator[Item]:
    start, end = item.start, item.end
    while (flag := _FLAG.match(text, start, end)) is not None:
        if item.name in ("COPY", "RUN", "ADD") and flag[0].startswith("--from="):
            reference = flag[0].strip()[len("--from=") :]
            if reference not in stages:
                yield Image(
                    start=start + len("--from="), end=start + len(flag[0].rstrip()), reference=reference
                )
        start = flag.end()
    if item.name == "FROM":
        found = _FROM.match(text, start, end)
        if found is not None:
            if found[2]:
                stages.add(found[2])
            if found[1] not in stages or found[1] == found[2]:
                yield Image(start=found.start(1), end=found.end(1), reference=found[1])
    elif item.name == "ARG":
        for argument in _ARGUMENT.finditer(text, start, end):
            value = argument[2] or argument[3] or argument[4] or ""
            if argument[1] in used and value:
                place = next(n for n in (2, 3, 4) if argument[n])
                # Whoever builds it can choose another.
                yield Image(
                    start=argument.start(place), end=argument.end(place), reference=value, handled=True
                )
            yield Variable(
                start=argument.start(1), end=argument.end(1), name=argument[1], value=value, handled=True
            )
    elif item.name == "ENV":
        yield from _environment(text, start, end)
    elif item.name in ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"):
        if item.name == "HEALTHCHECK" and (found := re.compile(r"CMD[ \t]+").match(text, start, end)):
            start = found.end()
        yield from _commands(text, start, end)
        if item.name == "RUN" and item.body is not None:
            yield from items_of_shell(text, *item.body)


def _environment(text: str, start: int, end: int) -> Iterator[Item]:
    old = re.compile(r"(\w+)[ \t]+(?!=)([^\n]*)").match(text, start, end)
    if old is not None:
        yield Variable(start=old.start(1), end=old.end(1), name=old[1], value=old[2].strip())
        return
    for command in read_shell(text, start, end).commands:
        for name, value in command.assignments:
            yield Variable(start=value.start, end=value.start + len(name), name=name, value=value.text)
        for word in command.words:
            name, equals, rest = word.text.partition("=")
            if equals:
                yield Variable(start=word.start, end=word.start + len(name), name=name, value=rest)


def _commands(text: str, start: int, end: int) -> Iterator[Item]:
    if text.startswith("[", start):
        try:
            node = read_json(text[start:end].replace("\\\n", " \n").rstrip())
        except JsonError:
            return
        words = [Word(s.text, start + s.start, start + s.end) for s in scalars(node)]
        if len(words) > 2 and words[-2].text == "-c":
            yield from items_of_shell(text, words[-1].start, words[-1].end)
        else:
            yield from items_of_words(words)
        return
    yield from items_of_shell(_without_comments(text, start, end), start, end)


def _without_comments(text: str, start: int, end: int) -> str:
    """`text` where comment lines within an instruction go on as the lines around them do."""
    body = text[start:end]
    if "#" not in body:
        return text
    body = re.sub(r"(?m)^[ \t]*#[^\n]*$", lambda m: " " * (len(m[0]) - 1) + "\\" if m[0] else "", body)
    return text[:start] + body + text[end:]
