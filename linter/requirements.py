"""What a project's own files ask of torch, read and never run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncuda.findings import TorchVersion

_MAX_BYTES = 4 * 1024 * 1024
_MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Range:
    """The torch releases that a requirement allows. `below` is the last it allows when it only has an end."""

    floor: TorchVersion | None = None
    below: TorchVersion | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """A requirement of torch: what it says, and where it is written."""

    range: Range
    text: str
    file: str
    row: int


# -- one requirement ---------------------------------------------------------------------------------------

_NAMES = frozenset({"torch"})
_CONDA_NAMES = frozenset({"torch", "pytorch", "pytorch-cpu", "pytorch-gpu"})
_REQUIREMENT = re.compile(
    r"""\s*(?:[\w-]+::)?                        # conda: the channel
        (?P<name>[A-Za-z0-9][\w.-]*)
        \s*(?:\[[^\]]*\])?\s*                   # extras
        (?:@\s*(?P<url>\S+)|\(?(?P<range>[^;#()]*)\)?)
        \s*(?:;.*|\#.*)?""",
    re.VERBOSE | re.DOTALL,
)
_CLAUSE = re.compile(r"\s*(===|==|~=|!=|<=|>=|<|>|=|\^|~)?\s*v?(\d+)(?:\.(\d+))?((?:\.\d+)*)(\S*)\s*")
_WHEEL = re.compile(r"torch-(\d+)\.(\d+)[\d.]*(?:%2B|\+|-)")
_TEXT = re.compile(r"[\w.:-]+\s*(?:\[[^\]]*\])?\s*[^;#]*")


def _is_torch(name: str, names: frozenset[str] = _CONDA_NAMES) -> bool:
    return re.sub(r"[-_.]+", "-", name).lower() in names


def requirement(text: str, *, conda: bool = False) -> Range | None:
    """What a line such as `torch[opt] >=2.4,<3; python_version > "3.8"` asks of torch; None if it doesn't.

    Conditions are taken to hold: fixed code must run wherever the project does.
    """
    found = _REQUIREMENT.fullmatch(text)
    if found is None or not _is_torch(found["name"], _CONDA_NAMES if conda else _NAMES):
        return None
    if found["url"]:
        wheel = _WHEEL.search(found["url"])
        return Range((int(wheel[1]), int(wheel[2]))) if wheel else Range()
    return version_range(found["range"] or "")


def version_range(text: str) -> Range | None:
    """The range of a version specifier of pip, conda or Poetry; None for what isn't one."""
    ranges = [_both(part) for part in re.split(r"\|\|?", text)]
    known = [r for r in ranges if r is not None]
    if len(known) < len(ranges):
        return None
    if any(r == Range() for r in known):
        return Range()
    floors = [r.floor for r in known if r.floor]
    if len(floors) == len(known):
        return Range(min(floors))
    return Range(None, min(b for b in (r.below or r.floor for r in known) if b))


def _both(text: str) -> Range | None:
    """The range of clauses that all must hold."""
    floor = below = None
    text = text.strip()
    # conda: a build after the version.
    text = re.sub(r"^(==?\s*[^=,\s]+)=[^=,]+$", r"\1", text)
    for clause in re.split(r",|\s+(?=[<>=!~^])", text):
        if clause.strip() in ("", "*"):
            continue
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            return None
        sign, major, minor, patch, rest = found.groups()
        if rest and not re.match(r"[.*+a-zA-Z-]", rest):
            return None
        version = (int(major), int(minor or 0))
        if sign == "!=":
            continue
        if sign == "<":
            within = any(map(int, patch.split(".")[1:])) if patch else False
            last = version if within else _before(version)
            below = min(below or last, last)
        elif sign == "<=":
            below = min(below or version, version)
        else:
            floor = max(floor or version, version)
    return Range(floor) if floor else Range(None, below)


def _before(version: TorchVersion) -> TorchVersion:
    """The last release line before a version. (1.13 came before 2.0; later majors are open-ended.)"""
    major, minor = version
    if minor:
        return major, minor - 1
    return {1: (0, 4), 2: (1, 13)}.get(major, (max(major - 1, 0), 99))


# -- files -------------------------------------------------------------------------------------------------

_REQUIREMENTS = re.compile(r"(?:.*[-_.])?requirements(?:[-_.].*)?\.(?:txt|in)", re.IGNORECASE)
_CONDA = re.compile(r"(?:environment|conda|env)(?:[-_.].*)?\.ya?ml", re.IGNORECASE)


def mentions(directory: str) -> list[Mention]:
    """What the files in a directory ask of torch: those of the first kind of file that gives a lowest
    release, else all. What a package says of itself goes first, then lists for pip, then conda's.

    Files that can't be read, or aren't what their name says, are passed over.
    """
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    all_of_them: list[Mention] = []
    for read, wanted in _sources(names):
        found: list[Mention] = []
        for name in wanted:
            found += read(os.path.join(directory, name))
        if any(m.range.floor for m in found):
            return found
        all_of_them += found
    return all_of_them


def _sources(names: list[str]) -> Iterator[tuple[Callable[[str], list[Mention]], list[str]]]:
    """Readers with the files they are for, in the order in which they are asked."""
    single: tuple[tuple[Callable[[str], list[Mention]], str], ...] = (
        (_pyproject_needs, "pyproject.toml"),
        (_setup_cfg, "setup.cfg"),
        (_setup_py, "setup.py"),
        (_pyproject_rest, "pyproject.toml"),
        (_requirements, "requirements.txt"),
    )
    for read, name in single:
        if name in names:
            yield read, [name]
    yield _requirements, [n for n in names if _REQUIREMENTS.fullmatch(n) and n != "requirements.txt"]
    if "requirements" in names:
        yield _requirements_directory, ["requirements"]
    yield _conda, [n for n in names if _CONDA.fullmatch(n)]
    if "Pipfile" in names:
        yield _pipfile, ["Pipfile"]


def _text(path: str) -> str | None:
    """A file's text if torch is in it."""
    try:
        if os.path.getsize(path) > _MAX_BYTES:
            return None
        data = Path(path).read_bytes()
    except OSError:
        return None
    return data.decode("utf-8", "replace") if b"torch" in data.lower() else None


def _row(text: str, piece: str) -> int:
    at = text.find(piece)
    return text.count("\n", 0, at) + 1 if at >= 0 else 1


def _mention(line: str, path: str, row: int, *, conda: bool = False) -> list[Mention]:
    found = requirement(line, conda=conda)
    if found is None:
        return []
    short = _TEXT.match(line.strip())
    return [Mention(found, short.group().strip() if short else line.strip(), path, row)]


# -- TOML --------------------------------------------------------------------------------------------------


def _toml(path: str) -> tuple[str, dict[str, Any]] | None:
    from uncuda.settings_values import toml_reader

    text = _text(path)
    if text is None:
        return None
    toml = toml_reader()
    try:
        return text, toml.loads(text)
    except (toml.TOMLDecodeError, RecursionError):
        return None


def _in_tables(node: object, text: str, path: str, depth: int = 0) -> Iterator[Mention]:
    """Every requirement below `node`: `torch = "^2.1"`, `torch = {version = …}`, and texts in lists."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(node, Mapping):
        for key, value in node.items():
            if _is_torch(key):
                for one in value if isinstance(value, list) else [value]:
                    version = one.get("version") if isinstance(one, Mapping) else one
                    if isinstance(version, str) and (found := version_range(version)) is not None:
                        yield Mention(found, f"{key} {version}", path, _row_of_key(text, key, version))
            if isinstance(value, (Mapping, list)):
                yield from _in_tables(value, text, path, depth + 1)
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, str):
                yield from _mention(item, path, _row(text, item))
            elif isinstance(item, (Mapping, list)):
                yield from _in_tables(item, text, path, depth + 1)


def _row_of_key(text: str, key: str, version: str) -> int:
    found = re.search(rf"\b{re.escape(key)}\b.*?[\"']{re.escape(version)}[\"']", text, re.DOTALL)
    return text.count("\n", 0, found.end()) + 1 if found else _row(text, key)


def _dig(table: object, *keys: str) -> object:
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table


def _pyproject_needs(path: str) -> list[Mention]:
    """What the package itself needs."""
    parsed = _toml(path)
    if parsed is None:
        return []
    text, table = parsed
    found: list[Mention] = []
    for keys in (("project", "dependencies"), ("tool", "poetry", "dependencies")):
        found += _in_tables(_dig(table, *keys), text, path)
    files = _dig(table, "tool", "setuptools", "dynamic", "dependencies", "file")
    for name in files if isinstance(files, list) else [files]:
        if isinstance(name, str):
            found += _requirements(os.path.join(os.path.dirname(path), name))
    return found


def _pyproject_rest(path: str) -> list[Mention]:
    """Its extras, groups, tools' own lists, and what building it takes."""
    parsed = _toml(path)
    if parsed is None:
        return []
    text, table = parsed
    found: list[Mention] = []
    for keys in (
        ("project", "optional-dependencies"),
        ("dependency-groups",),
        ("tool", "poetry"),
        ("tool", "uv"),
        ("tool", "pdm"),
        ("tool", "hatch"),
        ("tool", "pixi"),
        ("build-system", "requires"),
    ):
        found += _in_tables(_dig(table, *keys), text, path)
    return found


def _pipfile(path: str) -> list[Mention]:
    parsed = _toml(path)
    return list(_in_tables(parsed[1], parsed[0], path)) if parsed else []


# -- setup.cfg and setup.py --------------------------------------------------------------------------------


def _setup_cfg(path: str) -> list[Mention]:
    import configparser

    text = _text(path)
    if text is None:
        return []
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    lists = [parser.get("options", "install_requires", fallback="")]
    if parser.has_section("options.extras_require"):
        lists += [value for _, value in parser.items("options.extras_require")]
    lines = (line.strip() for value in lists for line in value.split("\n"))
    return [m for line in lines if line for m in _mention(line, path, _row(text, line))]


def _setup_py(path: str) -> list[Mention]:
    """Every text in the file that is a requirement of torch and nothing else: lists may be made anywhere."""
    import ast
    import warnings

    text = _text(path)
    if text is None:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[Mention] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            found += _mention(node.value, path, node.lineno)
    return found


# -- lists for pip and conda -------------------------------------------------------------------------------

_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]\s*(\S+)")


def _requirements(path: str, seen: frozenset[str] = frozenset()) -> list[Mention]:
    """A requirements file with those it names."""
    real = os.path.realpath(path)
    if real in seen or len(seen) > _MAX_DEPTH:
        return []
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _MAX_BYTES:
            return []
        text = Path(path).read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    found: list[Mention] = []
    whole = ""
    for row, raw in enumerate(text.split("\n"), 1):
        line = whole + raw.rstrip("\r")
        if line.endswith("\\"):
            whole = line[:-1] + " "
            continue
        whole = ""
        line = re.sub(r"(?:^|\s)#.*", "", line)
        line = re.sub(r"\s--?\w[\w-]*[\s=].*", "", line).strip()
        include = _INCLUDE.fullmatch(line)
        if include:
            found += _requirements(os.path.join(os.path.dirname(path), include[1]), seen | {real})
        elif "torch" in line.lower():
            found += _mention(line, path, row)
    return found


def _requirements_directory(path: str) -> list[Mention]:
    try:
        names = sorted(os.listdir(path))
    except OSError:
        return []
    return [m for n in names if n.endswith((".txt", ".in")) for m in _requirements(os.path.join(path, n))]


_ITEM = re.compile(r"\s*-\s*[\"']?([^\"'#]+?)[\"']?\s*(?:#.*)?")


def _conda(path: str) -> list[Mention]:
    """The items of any list in an environment file."""
    text = _text(path)
    if text is None:
        return []
    found: list[Mention] = []
    for row, line in enumerate(text.split("\n"), 1):
        item = _ITEM.fullmatch(line.rstrip("\r"))
        if item and "torch" in item[1].lower():
            # Name, version, build: the build says nothing of the release.
            spec = re.sub(r"^(\S+\s+[\d.*]+)\s+\S+$", r"\1", item[1])
            found += _mention(spec, path, row, conda=True)
    return found
