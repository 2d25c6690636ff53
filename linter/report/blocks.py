"""Pages in a few kinds of blocks, written as Markdown or for a terminal."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from uncuda.findings import Outcomes, Target
from uncuda.report.ansi import Style
from uncuda.report.summary import OUTCOME_PAINT
from uncuda.results import OUTCOME_ORDER

WIDEST = 100
"""Running text gets no wider than this on a terminal."""
WIDEST_TABLE = 140


@dataclass(frozen=True)
class Heading:
    """A heading: level 1 is the page's title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Running text, with code between backticks."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of short texts."""

    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Labels with their values, one a line."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    """Source text; with `fixed`, what becomes of it, shown as a diff."""

    text: str
    fixed: str | None = None
    language: str = "python"


@dataclass(frozen=True)
class Table:
    """Rows of cells below a row of headers."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class OutcomeTable:
    """What several things do on each target: labels that behave alike, with their outcomes."""

    rows: Sequence[tuple[Sequence[str], Outcomes]]
    label: str = ""


Block = Heading | Paragraph | Bullets | Facts | Code | Table | OutcomeTable


def prose(text: str) -> list[Block]:
    """The blocks of a docstring: paragraphs, and lists whose items begin with a dash."""
    blocks: list[Block] = []
    for part in re.split(r"\n\s*\n", text.strip()):
        if part.startswith("- "):
            items = re.split(r"\n(?=- )", part)
            blocks.append(Bullets([" ".join(item[2:].split()) for item in items]))
        else:
            blocks.append(Paragraph(" ".join(part.split())))
    return blocks


_PLAIN_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?[,:;]?(?= |\Z)")
# Words that aren't capitalised at the start of a sentence.
_NAMES = frozenset(
    {
        *(target.value for target in Target),
        "npu",
        "cuda",
        "torch",
        "triton",
        "apex",
        "gloo",
        "xccl",
        "inductor",
    }
)


def sentence(text: str) -> str:
    """`text` with a capital letter, unless it begins with a name."""
    word = _PLAIN_WORD.match(text)
    if word is None or word.group().rstrip(",:;") in _NAMES:
        return text
    return text[:1].upper() + text[1:]


def diff(before: str, after: str) -> list[str]:
    """Every line of `before` and `after`, marked with `-`, `+` or a blank."""
    old, new = before.splitlines(), after.splitlines()
    out: list[str] = []
    for kind, at, end, new_at, new_end in difflib.SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            out += [f"  {line}".rstrip() for line in old[at:end]]
        else:
            out += [f"- {line}".rstrip() for line in old[at:end]]
            out += [f"+ {line}".rstrip() for line in new[new_at:new_end]]
    return out


# -- Markdown ----------------------------------------------------------------------------------------------


def markdown(blocks: Iterable[Block]) -> str:
    """The blocks as Markdown."""
    return "\n".join(_markdown(block) for block in blocks)


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}\n"
    if isinstance(block, Paragraph):
        return textwrap.fill(block.text, 110, break_long_words=False, break_on_hyphens=False) + "\n"
    if isinstance(block, Bullets):
        return "".join(f"- {item}\n" for item in block.items)
    if isinstance(block, Facts):
        return "".join(f"- **{label}**: {value}\n" for label, value in block.rows)
    if isinstance(block, Code):
        if block.fixed is None:
            return _fenced(block.text, block.language)
        return _fenced("\n".join(diff(block.text, block.fixed)), "diff")
    if isinstance(block, OutcomeTable):
        headers = [block.label, *(target.value for target in Target)]
        rows = [
            [", ".join(map(as_code, labels)), *(outcomes[target].value for target in Target)]
            for labels, outcomes in block.rows
        ]
        return _markdown_table(headers, rows)
    return _markdown_table(block.headers, block.rows)


def as_code(text: str) -> str:
    """`text` between as many backticks as it takes."""
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _fenced(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def _markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"

    return line(headers) + f"|{'---|' * len(headers)}\n" + "".join(map(line, rows))


# -- for a terminal ----------------------------------------------------------------------------------------


def terminal(blocks: Iterable[Block], style: Style) -> str:
    """The blocks as text that fits the terminal."""
    width = min(style.width, WIDEST)
    return "\n".join("".join(f"{line}\n" for line in _lines(block, style, width)) for block in blocks)


def _lines(block: Block, style: Style, width: int) -> Iterator[str]:
    if isinstance(block, Heading):
        yield style.paint(block.text, "bold")
        if block.level == 1 and not style.color:
            yield "=" * len(block.text)
    elif isinstance(block, Paragraph):
        yield from _filled(block.text, style, width)
    elif isinstance(block, Bullets):
        for item in block.items:
            yield from _filled(item, style, width, "- ", "  ")
    elif isinstance(block, Facts):
        wide = max(len(label) for label, _ in block.rows)
        for label, value in block.rows:
            first, *rest = _filled(value, style, width, " " * (wide + 2), " " * (wide + 2))
            yield style.paint(label, "bold") + first[len(label) :]
            yield from rest
    elif isinstance(block, Code):
        yield from _code_lines(block, style)
    elif isinstance(block, OutcomeTable):
        yield from _outcome_lines(block, style, width)
    else:
        yield from _table_lines(block, style, min(style.width, WIDEST_TABLE))


def _filled(text: str, style: Style, width: int, first: str = "", rest: str = "") -> list[str]:
    rows = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return _painted_code(rows, style)


def _painted_code(rows: list[str], style: Style) -> list[str]:
    """With colours, what stands between backticks is painted instead, over line ends too."""
    if not style.color:
        return rows
    inside = False
    out = []
    for row in rows:
        pieces = []
        for number, piece in enumerate(row.split("`")):
            inside = inside != (number > 0)
            pieces.append(style.paint(piece, "cyan") if inside else piece)
        out.append("".join(pieces))
    return out


def _code_lines(block: Code, style: Style) -> Iterator[str]:
    bar = style.paint("│" if style.unicode else "|", "blue")
    if block.fixed is None:
        yield from (f"  {bar}   {line}".rstrip() for line in block.text.splitlines())
        return
    paints = {"-": "red", "+": "green"}
    for line in diff(block.text, block.fixed):
        shown = style.paint(line, paints[line[0]]) if line[:1] in paints else line
        yield f"  {bar} {shown}".rstrip()


def _outcome_lines(block: OutcomeTable, style: Style, width: int) -> Iterator[str]:
    wide = max(len(outcome.value) for outcome in OUTCOME_ORDER)
    for number, (labels, outcomes) in enumerate(block.rows):
        if len(block.rows) > 1 or block.label:
            if number:
                yield ""
            yield from _filled(", ".join(map(as_code, labels)), style, width)
        for outcome in OUTCOME_ORDER:
            targets = [target.value for target in Target if outcomes[target] is outcome]
            if targets:
                name = style.paint(outcome.value, OUTCOME_PAINT[outcome])
                yield f"  {name}{' ' * (wide - len(outcome.value))}  {', '.join(targets)}"


def _table_lines(block: Table, style: Style, width: int) -> Iterator[str]:
    """Columns as wide as they need to be; the last takes the room that is left."""
    rows = [list(row) for row in block.rows]
    sizes = [max(len(row[n]) for row in [list(block.headers), *rows]) for n in range(len(block.headers))]
    indent = sum(sizes[:-1]) + 2 * (len(sizes) - 1)
    room = max(width, indent + 20)
    for number, row in enumerate([list(block.headers), *rows]):
        head = "  ".join(cell.ljust(size) for cell, size in zip(row[:-1], sizes[:-1], strict=True))
        lines = textwrap.wrap(
            row[-1],
            room,
            initial_indent=f"{head}  ",
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines = lines or [head.rstrip()]
        yield from (
            [style.paint(line, "bold") for line in lines] if number == 0 else _painted_code(lines, style)
        )
