"""Code that stands in prose: fences of Markdown and reStructuredText, examples in docstrings."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from uncuda.around.kinds import Kind

_LANGUAGES = {
    "python": Kind.PYTHON,
    "python3": Kind.PYTHON,
    "py": Kind.PYTHON,
    "pycon": Kind.PYTHON,
    "ipython": Kind.PYTHON,
    "ipython3": Kind.PYTHON,
    "bash": Kind.SHELL,
    "sh": Kind.SHELL,
    "shell": Kind.SHELL,
    "zsh": Kind.SHELL,
    "console": Kind.SHELL,
    "shell-session": Kind.SHELL,
    "dockerfile": Kind.DOCKERFILE,
    "docker": Kind.DOCKERFILE,
    "yaml": Kind.YAML,
    "yml": Kind.YAML,
    "json": Kind.JSON,
    "toml": Kind.TOML,
    "ini": Kind.INI,
    "cmake": Kind.CMAKE,
}
_FENCE = re.compile(r"[ \t>]*(?P<mark>`{3,}|~{3,})[ \t]*\{?\.?(?:code-block\}?[ \t]*)?(?P<language>[\w+-]*)")
_DIRECTIVE = re.compile(
    r"(?P<indent>[ \t]*)\.\.[ \t]+(?:code-block|code|sourcecode)::[ \t]*(?P<language>[\w+-]*)"
)
_OPTION = re.compile(r"[ \t]+:[\w-]+:")
_PROMPT = re.compile(r"[ \t>]*(?:>>>|\.\.\.)(?: |\Z)")
_SHELL_PROMPT = re.compile(r"^[ \t]*(?:\([\w.-]+\)[ \t]*)?[$%#>][ \t]")
_QUICK = re.compile(r">>>|```|~~~|code-block|sourcecode|\.\. code::")


@dataclass(frozen=True)
class Snippet:
    """A piece of code in prose. `rows[i]` is the row of the file that its line `i` is taken from."""

    kind: Kind
    text: str
    rows: tuple[int, ...]


def in_text(text: str, first: int = 1) -> Iterator[Snippet]:
    """The code in a text whose first line is the row `first` of its file."""
    if not _QUICK.search(text):
        return
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        directive = _DIRECTIVE.match(lines[at])
        end = at + 1
        if fence is not None:
            mark = fence["mark"]
            while end < len(lines) and not lines[end].lstrip(" \t>").startswith(mark):
                end += 1
            yield from _made(fence["language"], lines[at + 1 : end], first + at + 1)
            end += 1
        elif directive is not None:
            indent = len(directive["indent"])
            while end < len(lines) and (not lines[end].strip() or _OPTION.match(lines[end])):
                end += 1
            start = end
            while end < len(lines) and (
                not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent
            ):
                end += 1
            yield from _made(directive["language"], lines[start:end], first + start)
        elif _PROMPT.match(lines[at]) and ">>>" in lines[at]:
            while end < len(lines) and _PROMPT.match(lines[end]):
                end += 1
            yield from _made("python", lines[at:end], first + at)
        at = end


def _made(language: str, lines: list[str], row: int) -> Iterator[Snippet]:
    kind = _LANGUAGES.get(language.lower())
    if kind is None and not language and any(_PROMPT.match(line) for line in lines):
        kind = Kind.PYTHON
    if kind is None or not lines:
        return
    rows = range(row, row + len(lines))
    kept = list(zip(lines, rows, strict=True))
    if kind is Kind.PYTHON and any(">>>" in line for line in lines):
        kept = [(_PROMPT.sub("", line), at) for line, at in kept if _PROMPT.match(line)]
    elif kind is Kind.SHELL and any(_SHELL_PROMPT.match(line) for line in lines):
        kept = [(_SHELL_PROMPT.sub("", line), at) for line, at in kept if _SHELL_PROMPT.match(line)]
    text = textwrap.dedent("\n".join(line for line, _ in kept))
    yield Snippet(kind, text + "\n", tuple(at for _, at in kept))


def in_docstrings(text: str) -> Iterator[Snippet]:
    """The examples in a module's docstrings. Each has the module's imports before it, at the row 0."""
    if not _QUICK.search(text):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    head = "".join(f"{line}\n" for line in imports if "__future__" not in line)
    for text_node in _docstrings(tree):
        assert isinstance(text_node.value, str)
        for snippet in joined(in_text(text_node.value, text_node.lineno)):
            if snippet.kind is Kind.PYTHON:
                rows = (*[0] * head.count("\n"), *snippet.rows)
                snippet = Snippet(snippet.kind, head + snippet.text, rows)
            yield snippet


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """The docstrings of a module, and texts that are named as such: `EXAMPLE_DOC_STRING = ...`."""
    for node in ast.walk(tree):
        value: ast.expr | None = None
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            value = first.value if isinstance(first, ast.Expr) else None
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and "DOC" in target.id for target in node.targets
        ):
            value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value


def joined(snippets: Iterator[Snippet]) -> Iterator[Snippet]:
    """The snippets of one text, its Python in one piece where that parses: what one imports the next uses."""
    python: list[Snippet] = []
    for snippet in snippets:
        if snippet.kind is not Kind.PYTHON:
            yield snippet
        elif _parses(snippet.text):
            python.append(snippet)
    if python:
        yield Snippet(
            Kind.PYTHON,
            "".join(snippet.text for snippet in python),
            tuple(row for snippet in python for row in snippet.rows),
        )


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
