"""Settings: where they are found, how they are merged, what is refused, and what `uncuda config` tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from command import Done
from conftest import write

from uncuda.findings import Severity, Target
from uncuda.rules.catalogue import pairs
from uncuda.settings import (
    DEFAULT,
    KEYS,
    Overrides,
    Settings,
    SettingsError,
    SettingsTree,
    fixable,
    ignored_in,
    json_schema,
    parse_override,
    plain,
    selected,
)

KNOWN = {word for pair in pairs() for word in pair}
CODES = frozenset(code for code, _ in pairs())
Cli = Callable[..., Done]


def settings(path: str = "a.py", *overrides: dict[str, object], config: str | None = None) -> Settings:
    tree = SettingsTree(
        KNOWN, overrides=[Overrides(o) for o in overrides], config=Path(config) if config else None
    )
    return tree.for_file(path)


def of(text: str, project: Path, name: str = "uncuda.toml") -> Settings:
    """What one settings file comes to."""
    write(project, {name: text})
    return settings()


# -- finding -----------------------------------------------------------------------------------------------


def test_without_a_file_the_defaults_count(project: Path) -> None:
    found = settings()
    assert found == Settings(selections=found.selections)
    assert found.file is None and found.directory == project
    assert set(found.origins.values()) == {DEFAULT}
    assert selected(found, pairs()) == CODES


def test_the_nearest_file_counts_alone(project: Path) -> None:
    write(
        project,
        {
            "pyproject.toml": '[tool.uncuda]\nrequire-reason = true\nseverity = "info"\n',
            "a/uncuda.toml": 'fail-on = "error"\n',
            "a/b/pyproject.toml": '[project]\nname = "no table of ours"\n[tool.other]\nuncuda = 1\n',
            "a/c/.uncuda.toml": "",
        },
    )
    tree = SettingsTree(KNOWN)
    assert tree.for_file("x.py").require_reason
    for path in ("a/x.py", "a/b/x.py", "a/b/d/e/x.py"):
        inner = tree.for_file(path)
        assert inner.file == project / "a/uncuda.toml"
        assert (inner.fail_on, inner.require_reason, inner.severity) == (
            Severity.ERROR,
            False,
            Severity.WARNING,
        )
    assert tree.for_file("a/c/x.py").file == project / "a/c/.uncuda.toml"
    assert tree.for_file("a/b/x.py") is tree.for_file("a/x.py")


def test_of_files_in_one_directory_the_first_counts(project: Path) -> None:
    write(
        project, {"pyproject.toml": '[tool.uncuda]\nfail-on = "info"\n', "uncuda.toml": 'fail-on = "error"\n'}
    )
    assert settings().fail_on is Severity.ERROR
    write(project, {".uncuda.toml": 'severity = "info"\n'})
    assert settings().severity is Severity.INFO and settings().fail_on is Severity.WARNING


def test_a_pyproject_of_others_is_not_even_parsed(project: Path) -> None:
    write(project, {"pyproject.toml": "[broken\n"})
    assert settings().file is None
    write(project, {"pyproject.toml": "[broken\n# about uncuda\n"})
    with pytest.raises(SettingsError, match=r"pyproject\.toml:1:8: is not valid TOML"):
        settings()


def test_a_file_given_by_hand_counts_for_everything(project: Path) -> None:
    write(
        project,
        {
            "uncuda.toml": 'fail-on = "info"\n',
            "ci/strict.toml": 'fail-on = "error"\nextend-exclude = ["gen"]\n',
        },
    )
    found = settings(config="ci/strict.toml")
    assert found.fail_on is Severity.ERROR
    assert found.extend_exclude[0].matches(str(project / "gen" / "x.py")), (
        "patterns count from the current directory"
    )
    assert SettingsTree(KNOWN, isolated=True).for_file("a.py").file is None


def test_extend(project: Path) -> None:
    write(
        project,
        {
            "base.toml": 'fail-on = "error"\nextend-exclude = ["one"]\nignore = ["UC2"]\nseverity = "info"\n',
            "mid/pyproject.toml": '[tool.uncuda]\nextend = "../base.toml"\nseverity = "error"\n',
            "mid/in/uncuda.toml": 'extend = "../pyproject.toml"\nextend-exclude = ["two"]\nignore = ["UC210"]\n',
        },
    )
    found = settings("mid/in/a.py")
    assert found.fail_on is Severity.ERROR and found.severity is Severity.ERROR
    assert [str(g) for g in found.extend_exclude] == ["one", "two"]
    assert found.extend_exclude[0].base == str(project) and found.extend_exclude[1].base == str(
        project / "mid/in"
    )
    assert not {c for c in selected(found, pairs()) if c.startswith("UC2")}
    assert found.origins["fail-on"] == "base.toml:1"
    assert found.origins["extend-exclude"] == "base.toml:2, mid/in/uncuda.toml:2"


# -- rules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "has", "has_not"),
    [
        ('select = ["UC1"]', ["UC101"], ["UC201", "UC000"]),
        ('select = ["cuda-call"]', ["UC101"], ["UC102"]),
        ('select = ["ALL"]\nignore = ["UC1"]', ["UC201"], ["UC101"]),
        ('select = ["UC101"]\nignore = ["UC1"]', ["UC101"], ["UC102"]),
        ('select = ["UC1"]\nignore = ["UC101"]', ["UC102"], ["UC101"]),
        ('select = ["UC101"]\nignore = ["UC101"]', [], ["UC101"]),
        ('select = ["UC1"]\nextend-select = ["UC201"]', ["UC101", "UC201"], ["UC202"]),
        ('ignore = ["cuda-call"]', ["UC102"], ["UC101"]),
        ("select = []", [], sorted(CODES)),
    ],
)
def test_the_more_specific_choice_wins(project: Path, text: str, has: list[str], has_not: list[str]) -> None:
    chosen = selected(of(text, project), pairs())
    assert set(has) <= chosen
    assert not chosen & set(has_not)


def test_the_command_line_goes_before_files(project: Path) -> None:
    write(project, {"uncuda.toml": 'select = ["UC1"]\nignore = ["UC101"]\nfail-on = "info"\n'})
    assert "UC101" not in selected(settings(), pairs())
    fresh = settings("a.py", {"select": ["UC101", "UC2"]})
    assert "UC101" in selected(fresh, pairs()) and "UC102" not in selected(fresh, pairs())
    assert fresh.ignore == () and fresh.origins["ignore"] == DEFAULT
    more = settings("a.py", {"ignore": ["UC102"]}, {"extend-select": ["UC201"]})
    assert {"UC103", "UC201"} <= selected(more, pairs())
    assert not {"UC101", "UC102"} & selected(more, pairs())


def test_fixable(project: Path) -> None:
    found = of('fixable = ["UC1", "UC2"]\nunfixable = ["UC101", "cuda-or-cpu"]\n', project)
    codes = fixable(found, pairs())
    assert "UC102" in codes and not codes & {"UC101", "UC201", "UC401"}


def test_per_file_ignores(project: Path) -> None:
    found = of(
        '[per-file-ignores]\n"tests/*" = ["UC1"]\n"*.pyi" = ["ALL"]\n"!src/**" = ["UC201"]\n"/top.py" = ["cuda-call"]\n',
        project,
    )

    def ignored(path: str) -> frozenset[str]:
        return ignored_in(found, path, pairs())

    assert ignored("src/a.py") == frozenset()
    assert ignored("src/a.pyi") == CODES
    assert ignored("top.py") == {"UC101", "UC201"}
    assert "UC101" in ignored("tests/a.py") and "UC101" not in ignored("other/a.py")
    assert ignored("src/top.py") == frozenset()


# -- values ------------------------------------------------------------------------------------------------


def test_every_kind_of_value(project: Path) -> None:
    found = of(
        'targets = ["ascend", "cpu", "ascend"]\ntorch-floor = "2.4.1"\nseverity = "error"\nunsafe-fixes = true\n'
        'device-expr = "get_device()"\ndevice-import = "from lib import get_device"\ncache-dir = "../c"\nroot = true\n'
        'include = ["*.py"]\n',
        project,
    )
    assert found.targets == (Target.ASCEND, Target.CPU)
    assert found.torch_floor == "2.4.1" and found.severity is Severity.ERROR
    assert found.unsafe_fixes and found.root and found.device_expr == "get_device()"
    assert found.cache_dir == project.parent / "c"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("unsafe-fixes = 1", "unsafe-fixes: must be true or false, not a number"),
        ('select = "UC1"', "select: must be a list of rules, not a text"),
        ("select = [1]", "select: must be a list of rules, not a list"),
        ('select = ["UC19"]', "select: unknown rule 'UC19'; there are UC101"),
        ('select = ["UC9"]', "select: unknown rule 'UC9'; there are UC0"),
        ('select = ["cuda_call"]', "select: unknown rule 'cuda_call'; did you mean cuda-call?"),
        ('targets = ["npu"]', "targets: unknown target 'npu'"),
        ('severity = "warn"', "severity: must be one of error, warning, info, not 'warn'"),
        ('torch-floor = "two"', "torch-floor: must be a torch version such as 2.6, not 'two'"),
        ("torch-floor = 2.10", 'torch-floor: must be a text in quotes, such as "2.6"'),
        ('device-expr = "get_device("', "device-expr: must be a Python expression"),
        ('device-import = "import os; os.x()"', "device-import: must be one Python import statement"),
        ('cache-dir = ""', "cache-dir: must be a path, not an empty text"),
        (
            'per-file-ignores = ["a"]',
            "per-file-ignores: must be a table of patterns and lists of rules, not a list",
        ),
        (
            'per-file-ignores = {"a.py" = "UC1"}',
            "per-file-ignores: 'a.py' must have a list of rules, not a text",
        ),
        ("extend = 3", "extend: must be the path of a settings file"),
        ("selct = []", "selct: unknown key; did you mean select?"),
        ("zzz = []", "zzz: unknown key"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(project: Path, line: str, message: str) -> None:
    with pytest.raises(SettingsError) as own:
        of(f"# first\n\n{line}\n", project)
    assert str(own.value).startswith(f"uncuda.toml:3: {message}")
    (project / "uncuda.toml").unlink()
    with pytest.raises(SettingsError) as shared:
        of(f'[project]\nname = "x"\n[tool.uncuda]\n{line}\n', project, "pyproject.toml")
    assert str(shared.value).startswith(f"pyproject.toml:4: {message}")


def test_an_unreadable_file_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, {"uncuda.toml": ""})

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(SettingsError, match=r"uncuda\.toml: cannot be read: Permission denied"):
        settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torch-floor=2.4", {"torch-floor": 2.4}),
        ('torch-floor = "2.4"', {"torch-floor": "2.4"}),
        ("severity=error", {"severity": "error"}),
        ("unsafe-fixes=true", {"unsafe-fixes": True}),
        ('select=["UC1"]', {"select": ["UC1"]}),
        ("device-expr=get_device()", {"device-expr": "get_device()"}),
    ],
)
def test_parse_override(text: str, expected: dict[str, object]) -> None:
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["", "=1", "select", "selct=[]", "select=UC1", "unsafe-fixes=yes"])
def test_an_override_that_makes_no_sense(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--config"):
        parse_override(text)


def test_the_schema_accepts_what_is_read_and_nothing_else(project: Path) -> None:
    schema = json_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    values = {k: v for k, v in plain(Settings()).items() if v is not None}
    assert validator.is_valid(values)
    refused: tuple[dict[str, object], ...] = (
        {"selct": []},
        {"severity": "x"},
        {"torch-floor": 2.6},
        {"targets": ["npu"]},
        {"root": "yes"},
    )
    for bad in refused:
        assert not validator.is_valid(bad), bad
    assert set(plain(Settings())) == set(KEYS)


# -- uncuda config -----------------------------------------------------------------------------------------


def test_config_tells_values_and_where_they_come_from(cli: Cli, project: Path) -> None:
    write(
        project,
        {
            "pyproject.toml": '[project]\ndependencies = ["torch>=2.4"]\n\n[tool.uncuda]\nignore = ["UC2"]\n'
            '[tool.uncuda.per-file-ignores]\n"t.py" = ["UC101"]\n',
            "t.py": "",
        },
    )
    done = cli("config", "t.py", "--fail-on", "error", "--config", "require-reason=true")
    assert done.code == 0 and done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == "t.py: settings file: pyproject.toml"
    for line in (
        'ignore            = ["UC2"]  # pyproject.toml:5',
        "per-file-ignores  = {  # pyproject.toml:6",
        'fail-on           = "error"  # --fail-on',
        "require-reason    = true  # --config require-reason=true",
        'severity          = "warning"  # default',
        "torch-floor       is not set  # default",
        "torch floor: 2.4, from pyproject.toml:2 (torch>=2.4)",
    ):
        assert line in lines
    assert lines[-1].startswith("rules: ") and lines[-1].endswith("(UC101 ignored for this file)")
    assert {line.split()[0] for line in lines if " # " in line} == set(KEYS)


def test_config_as_json(cli: Cli, project: Path) -> None:
    write(
        project,
        {
            "sub/uncuda.toml": 'torch-floor = "2.5"\nselect = ["UC101"]\n',
            "sub/requirements.txt": "torch==2.1\n",
        },
    )
    data = json.loads(cli("config", "sub", "--output-format", "json").out)
    assert data["path"] == str(project / "sub")
    assert data["settings_file"] == str(project / "sub/uncuda.toml")
    assert data["settings"]["torch-floor"] == {"value": "2.5", "origin": "sub/uncuda.toml:1"}
    assert data["torch_floor"] == {"version": "2.5", "origin": "sub/uncuda.toml:1", "requirement": None}
    assert data["rules"] == ["UC101"]
    assert list(data["settings"]) == list(KEYS)
    plain_data = json.loads(cli("config", "--output-format", "json").out)
    assert plain_data["settings_file"] is None
    assert plain_data["torch_floor"]["origin"].startswith("supposed: ")


def test_config_of_nothing_and_of_nonsense(cli: Cli, project: Path) -> None:
    done = cli("config", "nope")
    assert (done.code, done.err) == (2, "uncuda: error: there is no file or directory 'nope'\n")
    write(project, {"uncuda.toml": "x = 1\n"})
    done = cli("config")
    assert (done.code, done.err) == (2, "uncuda: error: uncuda.toml:1: x: unknown key\n")
    assert cli("config", "--isolated").code == 0
    assert json.loads(cli("config", "--schema").out) == json_schema()
