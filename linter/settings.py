"""Settings: found beside the checked files, merged with the command line, checked word by word."""

# ruff: noqa: RUF009  # `_key` is dataclasses.field with metadata

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from uncuda.findings import Severity, Target
from uncuda.patterns import Glob
from uncuda.rule_choice import ALL, Selection, chosen, meant
from uncuda.settings_values import (
    PerFileIgnores,
    Reader,
    SettingsError,
    nearest,
    parse,
    read_bytes,
    shown,
    toml_reader,
)

FILE_NAMES = (".uncuda.toml", "uncuda.toml", "pyproject.toml")
"""Where settings are read from; in one directory the first of these counts."""
COMMAND_LINE = "command line"
DEFAULT = "default"

DEFAULT_EXCLUDE = (
    ".bzr",
    ".direnv",
    ".eggs",
    ".git",
    ".hg",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".nox",
    ".pyenv",
    ".pytest_cache",
    ".pytype",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".uncuda_cache",
    ".venv",
    "__pycache__",
    "__pypackages__",
    "build",
    "dist",
    "node_modules",
    "site-packages",
    "venv",
)
"""Names that are left out unless `exclude` says otherwise. A package called build or dist is searched."""
DEFAULT_INCLUDE = ("*.py", "*.pyi", "*.ipynb")


def _key(kind: str, help: str, default: object) -> Any:
    return field(default=default, metadata={"kind": kind, "help": help})


def _globs(patterns: Iterable[str], base: str = "") -> tuple[Glob, ...]:
    return tuple(Glob(p, base) for p in patterns)


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, for the files of a directory.

    `selections` are the rule choices layer by layer, weakest first (without any, the three fields count).
    `file` is the settings file in force, `directory` the directory it is in (else the current one); `origins`
    says by TOML key where each value comes from.
    """

    select: tuple[str, ...] = _key(
        "codes", "Rules to use: codes (UC101), prefixes of codes (UC1), names, or ALL.", (ALL,)
    )
    extend_select: tuple[str, ...] = _key("codes", "Rules to use on top of those selected.", ())
    ignore: tuple[str, ...] = _key("codes", "Rules to leave out. The more specific of two entries wins.", ())
    per_file_ignores: PerFileIgnores = _key(
        "per-file-ignores",
        "Rules to leave out by file: patterns as in .gitignore, each with a list of rules. A pattern that "
        "starts with ! is about all files that do not match.",
        (),
    )
    targets: tuple[Target, ...] = _key(
        "targets", "The hardware that counts. Ties that do no harm there are not shown. Empty: all.", ()
    )
    torch_floor: str | None = _key(
        "version",
        'The oldest torch that fixed code must run on, such as "2.6". Unset: read from the project\'s own '
        "requirements.",
        None,
    )
    severity: Severity = _key("severity", "The least grave findings to show.", Severity.WARNING)
    fail_on: Severity = _key("severity", "The least grave findings to exit with 1 for.", Severity.WARNING)
    unsafe_fixes: bool = _key("bool", "Make fixes that want a second look as well.", False)
    fixable: tuple[str, ...] = _key("codes", "Rules whose fixes may be made.", (ALL,))
    unfixable: tuple[str, ...] = _key("codes", "Rules whose fixes are shown and never made.", ())
    device_expr: str | None = _key(
        "expression", "The project's own way to name its device, a Python expression: get_device().", None
    )
    device_import: str | None = _key(
        "import", "The import that device-expr needs: from myproject.devices import get_device.", None
    )
    project: bool = _key(
        "bool",
        "Read the project's other modules too: what the names are that a file imports from them decides which fixes "
        "are safe, and a device or a function that picks one is used where a fix needs a device.",
        True,
    )
    require_reason: bool = _key("bool", "Report comments that silence a rule without saying why.", False)
    include: tuple[Glob, ...] = _key(
        "globs", "What to check in directories: patterns as in .gitignore.", _globs(DEFAULT_INCLUDE)
    )
    around_code: bool = _key(
        "bool",
        "Check what is around the code in directories as well: requirements, lock files, images, scripts, CI files, "
        "settings, native sources.",
        True,
    )
    exclude: tuple[Glob, ...] = _key(
        "globs",
        "What to leave out: patterns as in .gitignore, from the directory of the settings file. With the default "
        "list, a package that is called build or dist is searched all the same.",
        _globs(DEFAULT_EXCLUDE),
    )
    extend_exclude: tuple[Glob, ...] = _key("globs", "What to leave out on top of exclude.", ())
    respect_gitignore: bool = _key("bool", "Leave out what git ignores.", True)
    cache: bool = _key("bool", "Remember the findings of unchanged files.", True)
    cache_dir: Path | None = _key("path", "Where to remember them. Unset: .uncuda_cache.", None)
    root: bool = _key(
        "bool", "The project begins here: its torch requirement is not looked for further up.", False
    )
    selections: tuple[Selection, ...] = ()
    directory: Path = field(default=Path(), compare=False)
    file: Path | None = field(default=None, compare=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)


_FIELDS = {f.name.replace("_", "-"): f for f in fields(Settings) if "kind" in f.metadata}
_KINDS = {key: item.metadata["kind"] for key, item in _FIELDS.items()}
KEYS = tuple(_FIELDS)
"""The TOML keys of all settings, in the order of documentation."""
_ADDING = ("extend-exclude", "per-file-ignores")


def plain(settings: Settings) -> dict[str, object]:
    """Every setting by TOML key, as values that JSON and TOML have (None where nothing is set)."""
    out: dict[str, object] = {}
    for key, item in _FIELDS.items():
        value = getattr(settings, item.name)
        if key == "per-file-ignores":
            out[key] = {str(glob): list(codes) for glob, codes in value}
        elif isinstance(value, tuple):
            out[key] = [v.value if isinstance(v, Target) else str(v) for v in value]
        elif isinstance(value, Severity):
            out[key] = value.value
        elif isinstance(value, Path):
            out[key] = str(value)
        else:
            out[key] = value
    return out


# -- which rules -------------------------------------------------------------------------------------------


def selected(settings: Settings, rules: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The codes to report, of `rules` (pairs of code and name)."""
    own = Selection(settings.select, settings.extend_select, settings.ignore)
    return chosen(settings.selections or (own,), rules)


def fixable(settings: Settings, rules: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The codes whose fixes may be made, of `rules` (pairs of code and name)."""
    return chosen((Selection(settings.fixable, (), settings.unfixable),), rules)


def ignored_in(
    settings: Settings, path: str | os.PathLike[str], rules: Iterable[tuple[str, str]]
) -> frozenset[str]:
    """The codes that `per-file-ignores` switches off for the file `path`."""
    selectors: list[str] = []
    for glob, codes in settings.per_file_ignores:
        inverted = glob.pattern.startswith("!")
        positive = Glob(glob.pattern[1:], glob.base) if inverted else glob
        if positive.matches(os.path.abspath(path)) != inverted:
            selectors.extend(codes)
    return meant(selectors, rules) if selectors else frozenset()


# -- finding and merging -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overrides:
    """Settings that go before those of files: TOML keys with values as TOML has them.

    `origins` says by key where a value comes from, for messages and `uncuda config` (`--select`, say).
    """

    values: Mapping[str, object]
    origins: Mapping[str, str] = field(default_factory=dict)


def parse_override(text: str) -> dict[str, object]:
    """`KEY=VALUE`, with VALUE in TOML (or bare text, where a text is wanted), as a dict of one.

    Raises SettingsError.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise SettingsError(f"--config takes a file or KEY=VALUE, not {text!r}")
    if key not in _FIELDS:
        raise SettingsError(f"--config: unknown key {key!r}{nearest(key, KEYS)}")
    toml = toml_reader()
    try:
        return {key: toml.loads(f"value = {value}")["value"]}
    except toml.TOMLDecodeError:
        kind = _FIELDS[key].metadata["kind"]
        if kind in ("codes", "targets", "globs", "bool", "per-file-ignores"):
            raise SettingsError(f"--config: {key}: not a TOML value: {value.strip()!r}") from None
        return {key: value.strip()}


@dataclass(frozen=True)
class _Layer:
    """The settings of one place: typed values by key, and where each was written."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]

    def selection(self) -> Selection:
        values = self.values
        return Selection(values.get("select"), values.get("extend-select", ()), values.get("ignore", ()))


class SettingsTree:
    """The settings of every directory, each worked out once.

    `known` are the codes and names of all rules (None: don't check them). `overrides` go before everything,
    the last first. `config` is a file to use instead of those beside the checked files; `isolated`: none at
    all. Relative patterns of overrides count from `cwd`.
    """

    def __init__(
        self,
        known: Collection[str] | None = None,
        *,
        overrides: Sequence[Overrides] = (),
        config: Path | None = None,
        isolated: bool = False,
        cwd: Path | None = None,
    ) -> None:
        self.cwd = Path(os.path.abspath(cwd if cwd is not None else Path.cwd()))
        self._known = known
        self._isolated = isolated
        self._by_directory: dict[str, Settings] = {}
        self._by_file: dict[str, Settings] = {}
        self._overrides = [self._override(item) for item in overrides]
        self._fixed: Settings | None = None
        if config is not None:
            path = os.path.abspath(self.cwd / config)
            # Patterns of a file given by hand count from where the person is.
            self._fixed = self._of_file(path, base=str(self.cwd))
        elif isolated:
            self._fixed = self._bare()

    def for_file(self, path: str | os.PathLike[str]) -> Settings:
        """The settings for a file. Raises SettingsError."""
        return self.for_directory(os.path.dirname(os.path.abspath(path)))

    def for_directory(self, path: str | os.PathLike[str]) -> Settings:
        """The settings for the files of a directory. Raises SettingsError."""
        if self._fixed is not None:
            return self._fixed
        name = os.fspath(path)
        found = self._by_directory.get(name)
        if found is None:
            found = self._by_directory[name] = self._climb(os.path.abspath(name))
        return found

    def _climb(self, directory: str) -> Settings:
        climbed: list[str] = []
        result: Settings | None = None
        while result is None:
            result = self._by_directory.get(directory)
            if result is not None:
                break
            climbed.append(directory)
            own = self._file_in(directory)
            if own is not None:
                result = self._of_file(own, base=directory)
                break
            parent = os.path.dirname(directory)
            if parent == directory:
                result = self._bare()
            directory = parent
        for name in climbed:
            self._by_directory[name] = result
        return result

    def _file_in(self, directory: str) -> str | None:
        for name in FILE_NAMES:
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                if name != "pyproject.toml" or _is_about_us(path):
                    return path
        return None

    def _bare(self) -> Settings:
        return self._fold([], self.cwd, None)

    def _of_file(self, path: str, base: str) -> Settings:
        found = self._by_file.get(path)
        if found is None:
            found = self._fold(_load(path, base, self._known), Path(base), Path(path))
            self._by_file[path] = found
        return found

    def _override(self, item: Overrides) -> _Layer:
        reader = Reader(COMMAND_LINE, str(self.cwd), _KINDS, self._known, item.origins)
        return _Layer(
            reader.read(item.values),
            {k: item.origins.get(k, COMMAND_LINE) for k in item.values if k in _FIELDS},
        )

    def _fold(self, layers: Sequence[_Layer], directory: Path, file: Path | None) -> Settings:
        values: dict[str, Any] = {}
        origins: dict[str, str] = dict.fromkeys(KEYS, DEFAULT)
        selections = [Selection((ALL,))]
        for layer in (*layers, *self._overrides):
            for key, value in layer.values.items():
                origin = layer.origins.get(key, COMMAND_LINE)
                if key in _ADDING and values.get(key):
                    values[key] = (*values[key], *value)
                    origins[key] = f"{origins[key]}, {origin}"
                else:
                    values[key] = value
                    origins[key] = origin
            selection = layer.selection()
            if selection != Selection():
                if selection.select is not None:
                    selections.clear()
                    for stale in {"extend-select", "ignore"} - set(layer.values):
                        values.pop(stale, None)
                        origins[stale] = DEFAULT
                selections.append(selection)
        for key, attribute in (("extend-select", "extend_select"), ("ignore", "ignore")):
            every = tuple(dict.fromkeys(c for s in selections for c in getattr(s, attribute)))
            if every:
                values[key] = every
        return replace(
            Settings(),
            **{_FIELDS[key].name: value for key, value in values.items()},
            selections=tuple(selections),
            directory=directory,
            file=file,
            origins=origins,
        )


def _is_about_us(path: str) -> bool:
    """Has a pyproject.toml a table for this tool? Others are never parsed."""
    data = read_bytes(path)
    if b"uncuda" not in data:
        return False
    tool = parse(path, data).get("tool")
    return isinstance(tool, dict) and "uncuda" in tool


def _load(path: str, base: str, known: Collection[str] | None) -> list[_Layer]:
    """The layers of a settings file, weakest first: what it extends, then itself."""
    chain: list[_Layer] = []
    seen: list[str] = []
    at: str | None = path
    while at is not None:
        real = os.path.realpath(at)
        if real in seen:
            raise SettingsError(f"{shown(path)}: extend goes round in a circle, through {shown(at)}")
        seen.append(real)
        data = read_bytes(at)
        table: object = parse(at, data)
        section = ""
        text = data.decode("utf-8")
        if os.path.basename(at) == "pyproject.toml":
            section = "tool.uncuda"
            tool = cast("dict[str, object]", table).get("tool")
            table = tool.get("uncuda", {}) if isinstance(tool, dict) else {}
        if not isinstance(table, dict):
            raise SettingsError(f"{shown(at)}: tool.uncuda must be a table")
        reader = Reader(
            shown(at), base if at == path else os.path.dirname(at), _KINDS, known, {}, text, section
        )
        values = dict(table)
        extend = values.pop("extend", None)
        layer = reader.read(values)
        chain.append(_Layer(layer, {key: reader.place_of(key) for key in layer}))
        at = None if extend is None else reader.extended(extend, os.path.dirname(seen[-1]))
    chain.reverse()
    return chain


# -- for editors -------------------------------------------------------------------------------------------


def json_schema() -> dict[str, object]:
    """The JSON schema of `uncuda.toml` and of `[tool.uncuda]`, for editors."""
    texts: dict[str, object] = {"type": "array", "items": {"type": "string"}}
    kinds: dict[str, dict[str, object]] = {
        "bool": {"type": "boolean"},
        "codes": texts,
        "globs": texts,
        "targets": {"type": "array", "items": {"enum": [t.value for t in Target]}, "uniqueItems": True},
        "severity": {"enum": [s.value for s in Severity]},
        "version": {"type": "string", "pattern": r"^\d+\.\d+(\.\d+)*$"},
        "per-file-ignores": {"type": "object", "additionalProperties": texts},
    }
    defaults = plain(Settings())
    properties: dict[str, object] = {
        "extend": {
            "type": "string",
            "description": "A settings file whose values count where this one has none.",
        }
    }
    for key, item in _FIELDS.items():
        entry: dict[str, object] = {"description": item.metadata["help"]}
        entry.update(kinds.get(item.metadata["kind"], {"type": "string"}))
        if defaults[key] is not None:
            entry["default"] = defaults[key]
        properties[key] = entry
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "uncuda",
        "description": "Settings of uncuda: uncuda.toml, .uncuda.toml, or [tool.uncuda] in pyproject.toml.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


__all__ = [
    "ALL",
    "COMMAND_LINE",
    "DEFAULT",
    "DEFAULT_EXCLUDE",
    "DEFAULT_INCLUDE",
    "FILE_NAMES",
    "KEYS",
    "Overrides",
    "PerFileIgnores",
    "Selection",
    "Settings",
    "SettingsError",
    "SettingsTree",
    "fixable",
    "ignored_in",
    "json_schema",
    "parse_override",
    "plain",
    "selected",
]
