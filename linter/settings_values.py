"""TOML values of settings turned into typed ones, or refused with file, line, key and what was meant."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from uncuda.findings import Severity, Target
from uncuda.patterns import Glob
from uncuda.rule_choice import ALL

PerFileIgnores = tuple[tuple[Glob, tuple[str, ...]], ...]


class SettingsError(Exception):
    """Settings that can't be used. The message names file, line, key, and what was probably meant."""


def toml_reader() -> Any:
    """The module that reads TOML: part of Python from 3.11 on."""
    return import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


def shown(path: str | os.PathLike[str]) -> str:
    """A path as a person wants to read it: from the current directory where it is below it."""
    absolute = os.path.abspath(path)
    try:
        inside = os.path.relpath(absolute)
    except ValueError:  # another drive
        return absolute
    return absolute if inside.startswith(os.pardir) else inside


def read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise SettingsError(f"{shown(path)}: cannot be read: {error.strerror or error}") from None


def parse(path: str, data: bytes) -> dict[str, Any]:
    toml = toml_reader()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{shown(path)}:{row}: is not UTF-8, which TOML files are") from None
    try:
        parsed: dict[str, Any] = toml.loads(text)
    except toml.TOMLDecodeError as error:
        told = re.fullmatch(r"(.*?)\s*\(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.S)
        if told is None:
            raise SettingsError(f"{shown(path)}: is not valid TOML: {error}") from None
        line = told.group(2) or str(text.rstrip("\n").count("\n") + 1)
        column = f":{told.group(3)}" if told.group(3) else ""
        raise SettingsError(f"{shown(path)}:{line}{column}: is not valid TOML: {told.group(1)}") from None
    except RecursionError:
        raise SettingsError(f"{shown(path)}: is not valid TOML: nested too deeply") from None
    return parsed


class Reader:
    """Turns TOML values into typed ones, and refuses those that make no sense."""

    def __init__(
        self,
        place: str,
        base: str,
        kinds: Mapping[str, str],
        known: Collection[str] | None,
        origins: Mapping[str, str],
        text: str = "",
        section: str = "",
    ) -> None:
        self.place = place
        self.base = base
        self.kinds = kinds
        self.known = known
        self.origins = origins
        self.text = text
        self.section = section

    def read(self, table: Mapping[str, object]) -> dict[str, Any]:
        """Typed values by key. Raises SettingsError."""
        for key in table:
            if key not in self.kinds:
                hint = nearest(key, (*self.kinds, "extend"))
                raise self._error(key, f"unknown key{hint}")
        return {key: self._typed(key, value) for key, value in table.items()}

    def extended(self, value: object, directory: str) -> str:
        """The file that `extend` names."""
        if not isinstance(value, str) or not value:
            raise self._error("extend", "must be the path of a settings file")
        path = os.path.abspath(os.path.join(directory, os.path.expanduser(value)))
        if not os.path.isfile(path):
            raise self._error("extend", f"there is no file {value}")
        return path

    def place_of(self, key: str, value: str | None = None) -> str:
        """The file and line where `key` is written, or `value` behind it."""
        row = _row_of(self.text, self.section, key, value) if self.text else None
        return f"{self.place}:{row}" if row else self.place

    def _error(self, key: str, message: str, value: str | None = None) -> SettingsError:
        if not self.text and key in self.origins:
            return SettingsError(f"{self.origins[key]}: {message}")
        return SettingsError(f"{self.place_of(key, value)}: {key}: {message}")

    def _typed(self, key: str, value: object) -> object:
        method = getattr(self, "_as_" + self.kinds[key].replace("-", "_"))
        return method(key, value)

    def _texts(self, key: str, value: object, what: str) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise self._error(key, f"must be a list of {what}, not {_type_name(value)}")
        return tuple(cast("str", v) for v in value)

    def _as_bool(self, key: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise self._error(key, f"must be true or false, not {_type_name(value)}")
        return value

    def _as_string(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            raise self._error(key, f"must be a text, not {_type_name(value)}")
        return value

    def _as_codes(self, key: str, value: object) -> tuple[str, ...]:
        return tuple(self._code(key, code) for code in self._texts(key, value, "rules"))

    def _code(self, key: str, code: str) -> str:
        known = self.known
        if known is None or code == ALL or code in known:
            return code
        if re.fullmatch(r"UC\d{0,2}", code) and any(k.startswith(code) for k in known):
            return code
        raise self._error(key, f"unknown rule {code!r}{_rule_hint(code, known)}", code)

    def _as_targets(self, key: str, value: object) -> tuple[Target, ...]:
        names = [t.value for t in Target]
        out: list[Target] = []
        for item in self._texts(key, value, "targets"):
            if item not in names:
                hint = nearest(item, names) or f"; there are {', '.join(names)}"
                raise self._error(key, f"unknown target {item!r}{hint}", item)
            out.append(Target(item))
        return tuple(dict.fromkeys(out))

    def _as_severity(self, key: str, value: object) -> Severity:
        names = [s.value for s in Severity]
        if not isinstance(value, str) or value not in names:
            raise self._error(key, f"must be one of {', '.join(names)}, not {value!r}")
        return Severity(value)

    def _as_version(self, key: str, value: object) -> str:
        # A number would turn 2.10 into 2.1.
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise self._error(key, f'must be a text in quotes, such as "2.6": {key} = "{value}"')
        text = self._as_string(key, value)
        if not re.fullmatch(r"\d+\.\d+(\.\d+)*", text):
            raise self._error(key, f"must be a torch version such as 2.6, not {text!r}")
        return text

    def _as_globs(self, key: str, value: object) -> tuple[Glob, ...]:
        return tuple(Glob(p, self.base) for p in self._texts(key, value, "patterns"))

    def _as_per_file_ignores(self, key: str, value: object) -> PerFileIgnores:
        if not isinstance(value, Mapping):
            raise self._error(key, f"must be a table of patterns and lists of rules, not {_type_name(value)}")
        out: list[tuple[Glob, tuple[str, ...]]] = []
        for pattern, codes in value.items():
            if not isinstance(codes, (list, tuple)) or not all(isinstance(c, str) for c in codes):
                raise self._error(
                    key, f"{pattern!r} must have a list of rules, not {_type_name(codes)}", pattern
                )
            out.append((Glob(str(pattern), self.base), tuple(self._code(key, c) for c in codes)))
        return tuple(out)

    def _as_path(self, key: str, value: object) -> Path:
        text = self._as_string(key, value)
        if not text:
            raise self._error(key, "must be a path, not an empty text")
        return Path(os.path.abspath(os.path.join(self.base, os.path.expanduser(text))))

    def _as_expression(self, key: str, value: object) -> str:
        text = self._as_string(key, value).strip()
        if _python(text, "eval") is None:
            raise self._error(key, f"must be a Python expression, not {text!r}")
        return text

    def _as_import(self, key: str, value: object) -> str:
        import ast

        text = self._as_string(key, value).strip()
        tree = _python(text, "exec")
        body = tree.body if isinstance(tree, ast.Module) else []
        if len(body) != 1 or not isinstance(body[0], (ast.Import, ast.ImportFrom)):
            raise self._error(key, f"must be one Python import statement, not {text!r}")
        return text


def _rule_hint(code: str, known: Collection[str]) -> str:
    upper = code.upper()
    if upper in known:
        return f"; did you mean {upper}?"
    if not re.fullmatch(r"UC\d*", upper):
        return nearest(code, known)
    # Among numbers the nearest is as good as any other: the family's are told, or the families.
    family = sorted(k for k in known if k.startswith(upper[:3]) and re.fullmatch(r"UC\d+", k))
    choices = family or sorted({k[:3] for k in known if re.match(r"UC\d", k)})
    return f"; there are {', '.join(choices)}"


def _python(text: str, mode: str) -> object | None:
    """The syntax tree of a piece of Python (it isn't run); None when it isn't Python."""
    import ast

    try:
        return ast.parse(text, mode=mode)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _type_name(value: object) -> str:
    names = {bool: "true or false", str: "a text", int: "a number", float: "a number", list: "a list"}
    return "a table" if isinstance(value, Mapping) else names.get(type(value), f"{value!r}")


def nearest(word: str, choices: Iterable[str]) -> str:
    """A hint with the choice that looks most like `word`; empty when none does."""
    from difflib import get_close_matches

    pool = sorted(choices)
    close = get_close_matches(word.replace("_", "-"), pool, 1, 0.6) or get_close_matches(word, pool, 1, 0.6)
    return f"; did you mean {close[0]}?" if close else ""


_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")


def _row_of(text: str, section: str, key: str, value: str | None) -> int | None:
    """The line where `key` of a table is written, or `value` behind it."""
    current = ""
    quoted = rf"[\"']?{re.escape(key)}[\"']?"
    dotted = rf"{re.escape(section)}\s*\.\s*{quoted}" if section else quoted
    sub_table = f"{section}.{key}" if section else key
    found: int | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if found is not None:
            if value is not None and (f'"{value}"' in line or f"'{value}'" in line):
                return number
            continue
        header = _HEADER.match(line)
        if header:
            current = ".".join(part.strip().strip("\"'") for part in header.group(1).split("."))
            hit = current == sub_table
        elif current == section:
            hit = re.match(rf"\s*{quoted}\s*[=.]", line) is not None
        else:
            hit = current == "" and re.match(rf"\s*{dotted}\s*[=.]", line) is not None
        if hit:
            if value is None or f'"{value}"' in line or f"'{value}'" in line:
                return number
            found = number
    return found
