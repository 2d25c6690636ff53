"""`uncuda check` and its options, end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Done, environment, uncuda
from conftest import write

from uncuda.report import FORMATS

Cli = Callable[..., Done]

TIE = "import torch\n\nx = torch.ones(2).cuda()\n"
CHOICE = 'import torch\n\ndevice = "cuda" if torch.cuda.is_available() else "cpu"\n'
CHOICE_FIXED = (
    "import torch\n\ndevice = torch.accelerator.current_accelerator().type"
    ' if torch.accelerator.is_available() else "cpu"\n'
)
# Nothing proves that it is a tensor.
MAYBE = "import torch\n\n\ndef move(x):\n    return x.cuda()\n"
HARMLESS = "import torch\n\ntorch.backends.cudnn.benchmark = True\n"
CLEAN = "import torch\n\nx = torch.ones(2)\n"


def check(cli: Cli, *arguments: str, stdin: bytes = b"") -> Done:
    return cli("check", "--no-cache", *arguments, stdin=stdin)


# -- exit codes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "arguments", "code"),
    [
        ({"a.py": CLEAN}, (), 0),
        ({"a.py": TIE}, (), 1),
        ({"a.py": TIE}, ("--exit-zero",), 0),
        ({"a.py": TIE}, ("-e",), 0),
        ({"a.py": TIE}, ("--target", "rocm"), 0),
        ({"a.py": TIE}, ("--target", "rocm,cpu"), 1),
        ({"a.py": TIE}, ("--select", "UC2"), 0),
        ({"a.py": TIE}, ("--ignore", "cuda-call"), 0),
        ({"a.py": CHOICE}, ("--fix",), 0),
        ({"a.py": CHOICE}, ("--fix", "--exit-non-zero-on-fix"), 1),
        ({"a.py": CLEAN}, ("--fix", "--exit-non-zero-on-fix"), 0),
        ({"a.py": CHOICE}, ("--diff",), 1),
        ({"a.py": CLEAN}, ("--diff",), 0),
        ({"a.py": TIE}, ("gone.py",), 2),
        ({"a.py": TIE}, ("--exit-zero", "gone.py"), 2),
        ({"a.py": TIE}, ("--select", "UC9"), 2),
        ({"a.py": TIE}, ("--output-format", "xml"), 2),
        ({"a.py": TIE}, ("--nope",), 2),
        ({"a.py": TIE}, ("--fi",), 2),
        ({"a.py": TIE}, ("-j", "0"), 2),
        ({"a.py": TIE}, ("-q", "-v"), 2),
        ({"a.py": TIE}, ("-", "a.py"), 2),
        ({"a.py": TIE}, ("--stdin-filename", "a.py", "a.py"), 2),
        ({"a.py": TIE}, ("--add-ignore", "--fix"), 2),
        ({"a.py": TIE}, ("--add-ignore", "-"), 2),
        ({"a.py": TIE}, ("--torch-floor", "new"), 2),
        ({"a.py": TIE}, ("--config", "gone.toml"), 2),
        ({"a.py": TIE}, ("--output-file", "sarif"), 2),
    ],
)
def test_exit_codes(
    cli: Cli, project: Path, files: dict[str, str], arguments: tuple[str, ...], code: int
) -> None:
    write(project, dict(files))
    done = check(cli, *arguments)
    assert done.code == code, done.both
    if code == 2:
        assert "error" in done.err


def test_severity_and_fail_on(cli: Cli, project: Path) -> None:
    write(project, {"a.py": HARMLESS})
    assert check(cli, "--target", "cpu").code == 0
    shown = check(cli, "--target", "cpu", "--severity", "info")
    assert (shown.code, "a.py:3:1: UC" in shown.out) == (0, True)
    assert check(cli, "--target", "cpu", "--severity", "info", "--fail-on", "info").code == 1
    write(project, {"a.py": TIE})
    assert check(cli, "--fail-on", "error").code == 1
    write(project, {"a.py": "import torch\n\ntorch.cuda.empty_cache()\n"})
    assert check(cli, "--fail-on", "error").code == 0
    assert check(cli, "--severity", "error").out.startswith("No ties to CUDA in 1 file")


# -- reports -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_had(cli: Cli, project: Path, name: str) -> None:
    write(project, {"a.py": TIE, "b.py": "import torch\nx.cuda(\n", "c.py": CLEAN})
    done = check(cli, "--output-format", name, "gone.py", ".")
    assert done.code == 2
    assert "error: gone.py: no such file or directory\n" in done.err
    assert "UC101" in done.out and "a.py" in done.out
    if name in ("json", "gitlab", "sarif", "rdjson"):
        json.loads(done.out)
    if name == "json-lines":
        assert [json.loads(line)["code"] for line in done.out.splitlines()] == ["UC101", "UC000"]
    if name == "junit":
        ElementTree.fromstring(done.out)
    clean = check(cli, "--output-format", name, "c.py")
    assert clean.code == 0 and "UC101" not in clean.out


def test_reports_go_to_files_beside_what_is_printed(cli: Cli, project: Path) -> None:
    write(project, {"a.py": TIE})
    done = check(cli, "--output-format", "concise", "-o", "sarif=out/x.sarif", "--output-file", "json=y.json")
    assert done.code == 1
    assert done.out.startswith("a.py:3:5: UC101")
    assert json.loads((project / "out/x.sarif").read_text())["version"] == "2.1.0"
    assert json.loads((project / "y.json").read_text())[0]["code"] == "UC101"
    alone = check(cli, "--output-format", "json", "-o", "z.json")
    assert alone.out == "" and json.loads((project / "z.json").read_text())
    both = check(cli, "--output-format", "concise", "--output-format", "github")
    assert "a.py:3:5: UC101" in both.out and "::error" in both.out


def test_a_report_that_cannot_be_written_fails_the_run(cli: Cli, project: Path) -> None:
    write(project, {"a.py": TIE, "dir/x": ""})
    done = check(cli, "-o", "json=dir")
    assert done.code == 2
    assert "uncuda: error: the report dir cannot be written: " in done.err
    assert "UC101" in done.out


def test_quiet_and_verbose(cli: Cli, project: Path) -> None:
    write(project, {"a.py": TIE, "requirements.txt": "torch==2.7\n", "uncuda.toml": ""})
    quiet = check(cli, "-q", "--output-format", "concise")
    assert quiet.err == "" and quiet.out.count("\n") == 1
    assert check(cli, "-q", "--ignore", "ALL").both == ""
    verbose = check(cli, "-v")
    assert "uncuda: settings: uncuda.toml\n" in verbose.err
    assert "uncuda: torch floor: 2.7, from requirements.txt:1 (torch==2.7)\n" in verbose.err
    assert "uncuda: 2 files in " in verbose.err


def test_statistics(cli: Cli, project: Path) -> None:
    write(project, {"a.py": TIE * 3, "b.py": CHOICE})
    done = check(cli, "--statistics")
    rows = [line.split() for line in done.out.splitlines() if "UC" in line]
    assert [(r[0], r[1]) for r in rows] == [("3", "UC101"), ("1", "UC201")]
    data = json.loads(check(cli, "--statistics", "--output-format", "json").out)
    assert [(row["code"], row["count"]) for row in data] == [("UC101", 3), ("UC201", 1)]


def test_show_files(cli: Cli, project: Path) -> None:
    write(project, {"b.py": "", "a/c.pyi": "", "venv/x.py": ""})
    done = check(cli, "--show-files")
    assert (done.code, done.out) == (0, "a/c.pyi\nb.py\n")
    partly = check(cli, "--show-files", "b.py", "gone")
    assert (partly.code, partly.out) == (2, "b.py\n")
    assert partly.err == "error: gone: no such file or directory\n"


def test_what_is_no_notebook_is_not_said_to_be_clean(cli: Cli, project: Path) -> None:
    write(project, {"n.ipynb": '{"cells": "x.cuda()"}', "a.py": TIE})
    done = check(cli, "n.ipynb", "a.py")
    assert done.code == 2
    assert done.err.startswith("error: n.ipynb: is not a notebook of format 4: ")


def test_paths_are_shown_from_where_one_is(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, {"a/b/x.py": TIE, "y.py": TIE})
    monkeypatch.chdir(project / "a")
    out = check(cli, "--output-format", "concise", "..", "b").out
    assert [line.partition(":")[0] for line in out.splitlines()[:2]] == ["b/x.py", str(project / "y.py")]
    entry = json.loads(check(cli, "--output-format", "json", "b/x.py").out)[0]
    assert entry["filename"] == str(project / "a/b/x.py")


# -- fixes -------------------------------------------------------------------------------------------------


def test_fix_writes_the_safe_fixes_and_tells_what_is_left(cli: Cli, project: Path) -> None:
    write(project, {"a.py": CHOICE, "b.py": MAYBE})
    done = check(cli, "--fix", "--output-format", "concise")
    assert done.code == 1
    assert (project / "a.py").read_text() == CHOICE_FIXED
    assert "a.py" not in done.out and "b.py:5:12: UC101" in done.out
    assert "Fixed 1 tie in 1 file." in done.out
    again = check(cli, "--fix", "--output-format", "concise")
    assert "Fixed" not in again.out and (project / "a.py").read_text() == CHOICE_FIXED


def test_unsafe_fixes_are_made_when_asked_for(cli: Cli, project: Path) -> None:
    source = MAYBE
    write(project, {"a.py": source})
    assert check(cli, "--fix").code == 1
    assert (project / "a.py").read_text() == source
    assert "[*]" in check(cli, "--unsafe-fixes", "--output-format", "concise").out
    assert "[**]" in check(cli, "--output-format", "concise").out
    assert check(cli, "--fix", "--unsafe-fixes").code == 0
    assert ".cuda()" not in (project / "a.py").read_text()
    write(project, {"a.py": source, "uncuda.toml": "unsafe-fixes = true\n"})
    check(cli, "--fix", "--no-unsafe-fixes")
    assert (project / "a.py").read_text() == source
    check(cli, "--fix")
    assert ".cuda()" not in (project / "a.py").read_text()


def test_unsafe_fixes_are_a_matter_of_each_files_settings(cli: Cli, project: Path) -> None:
    source = MAYBE
    write(project, {"a/x.py": source, "b/x.py": source, "b/uncuda.toml": "unsafe-fixes = true\n"})
    check(cli, "--fix")
    assert (project / "a/x.py").read_text() == source
    assert (project / "b/x.py").read_text() != source


def test_unfixable_rules_are_shown_and_left(cli: Cli, project: Path) -> None:
    write(project, {"a.py": CHOICE, "uncuda.toml": 'unfixable = ["UC201"]\n'})
    assert check(cli, "--fix").code == 1
    assert (project / "a.py").read_text() == CHOICE


def test_the_floor_decides_what_is_written(cli: Cli, project: Path) -> None:
    write(project, {"a.py": CHOICE, "requirements.txt": "torch==2.3.1\n"})
    assert "the project's floor is 2.3 (requirements.txt:1)" in check(cli, "--fix").out
    assert (project / "a.py").read_text() == CHOICE
    check(cli, "--fix", "--torch-floor", "2.6")
    assert (project / "a.py").read_text() == CHOICE_FIXED


def test_show_fixes(cli: Cli, project: Path) -> None:
    write(project, {"a.py": CHOICE, "b.py": CLEAN})
    done = check(cli, "--fix", "--show-fixes")
    assert done.err == "Fixes made:\na.py:\n    1 × UC201 (cuda-or-cpu, safe)\n"


def test_diff_changes_nothing_and_can_be_applied(cli: Cli, project: Path) -> None:
    write(
        project, {"a.py": CHOICE, "sub/b.py": CHOICE.replace("\n", "\r\n"), "c.py": TIE, "d.py": CHOICE[:-1]}
    )
    before = {p: p.read_bytes() for p in project.rglob("*.py")}
    done = check(cli, "--diff", "--unsafe-fixes")
    assert done.code == 1
    assert {p: p.read_bytes() for p in before} == before
    assert "Would fix 4 ties in 4 files." in done.err
    (project / "x.patch").write_bytes(done.out.encode())
    subprocess.run(["git", "apply", "--unsafe-paths", "x.patch"], cwd=project, check=True)
    applied = {p: p.read_bytes() for p in before}
    for path, data in before.items():
        path.write_bytes(data)
    check(cli, "--fix", "--unsafe-fixes")
    assert {p: p.read_bytes() for p in before} == applied
    assert applied[project / "a.py"] == CHOICE_FIXED.encode()
    assert check(cli, "--diff").err == "Nothing to fix.\n"


def test_the_diff_of_a_path_from_the_root(cli: Cli, project: Path) -> None:
    write(project, {"src/a.py": CHOICE, "../elsewhere/b.py": CHOICE})
    below = check(cli, str(project / "src" / "a.py"), "--diff").out
    assert below.startswith("--- a/src/a.py\n+++ b/src/a.py\n")
    elsewhere = (project.parent / "elsewhere" / "b.py").as_posix().lstrip("/")
    assert check(cli, str(project.parent / "elsewhere" / "b.py"), "--diff").out.startswith(
        f"--- a/{elsewhere}\n"
    )


def test_bytes_outside_the_fix_stay(cli: Cli, project: Path) -> None:
    data = (
        b"\xef\xbb\xbf# -*- coding: utf-8 -*-\r\nimport torch\r\n\x0c\r\n"
        + 'grüße = "\u2028"  # trailing  \r\n'.encode()
        + b'device = "cuda" if torch.cuda.is_available() else "cpu"'
    )
    write(project, {"a.py": data})
    (project / "a.py").chmod(0o751)
    assert check(cli, "--fix").code == 0
    old, new = (
        b'"cuda" if torch.cuda.is_available() else "cpu"',
        CHOICE_FIXED.split("device = ")[1].rstrip().encode(),
    )
    assert (project / "a.py").read_bytes() == data.replace(old, new)
    assert (project / "a.py").stat().st_mode & 0o777 == 0o751


# -- standard input ----------------------------------------------------------------------------------------


def test_stdin(cli: Cli, project: Path) -> None:
    done = check(cli, "-", "--output-format", "concise", stdin=TIE.encode())
    assert done.code == 1
    assert done.out.startswith("-:3:5: UC101")
    assert check(cli, "-", stdin=CLEAN.encode()).code == 0
    assert check(cli, "-", stdin=b"").code == 0
    assert check(cli, "-", stdin=b"x.cuda()\0").code == 2
    full = check(cli, "-", stdin=TIE.encode())
    assert "3 | x = torch.ones(2).cuda()" in full.out


def test_stdin_fixed_goes_to_stdout_and_the_report_to_stderr(cli: Cli, project: Path) -> None:
    done = check(cli, "-", "--fix", stdin=CHOICE.replace("\n", "\r\n").encode())
    assert (done.code, done.out) == (0, CHOICE_FIXED.replace("\n", "\r\n"))
    assert "Fixed 1 tie" in done.err
    same = check(cli, "-", "--fix", stdin=CLEAN.encode())
    assert (same.code, same.out) == (0, CLEAN)
    broken = check(cli, "-", "--fix", stdin=b"x.cuda(\n")
    assert (broken.code, broken.out) == (1, "x.cuda(\n")
    undecodable = cli("check", "-", "--fix", stdin=b"x.cuda()\0")
    assert undecodable.code == 2
    diff = check(cli, "-", "--diff", "--stdin-filename", "src/a.py", stdin=CHOICE.encode())
    assert diff.code == 1 and diff.out.startswith("--- a/src/a.py\n+++ b/src/a.py\n")


def test_stdin_goes_by_the_settings_of_its_name(cli: Cli, project: Path) -> None:
    write(
        project,
        {
            "sub/uncuda.toml": 'extend-exclude = ["gen"]\n[per-file-ignores]\n"t_*.py" = ["UC101"]\n',
            "uncuda.toml": "",
        },
    )
    source = TIE.encode()
    assert check(cli, "-", "--stdin-filename", "sub/a.py", stdin=source).out.startswith("sub/a.py:3:5: UC101")
    assert check(cli, "-", "--stdin-filename", "sub/t_a.py", stdin=source).code == 0
    assert check(cli, "-", "--stdin-filename", "sub/gen/a.py", stdin=source).code == 1
    left = check(cli, "-", "--stdin-filename", "sub/gen/a.py", "--force-exclude", "--fix", stdin=source)
    assert (left.code, left.out) == (0, TIE)
    entry = json.loads(
        check(cli, "-", "--stdin-filename", "sub/a.py", "--output-format", "json", stdin=source).out
    )[0]
    assert entry["filename"] == str(project / "sub/a.py")


# -- suppressions ------------------------------------------------------------------------------------------


def test_add_ignore(cli: Cli, project: Path) -> None:
    write(project, {"a.py": TIE, "b.py": CHOICE, "c.py": "import torch\nx.cuda(\n", "d.py": TIE})
    (project / "d.py").chmod(0o444)
    done = check(cli, "--add-ignore")
    assert done.code == 2
    assert "error: d.py: " in done.err and "Silenced 2 ties in 2 files.\n" in done.err
    assert (project / "a.py").read_text() == TIE.replace(".cuda()", ".cuda()  # uncuda: ignore[UC101]")
    assert (project / "d.py").read_text() == TIE
    (project / "c.py").unlink()
    (project / "d.py").unlink()
    assert check(cli).code == 0
    write(project, {"a.py": TIE})
    assert check(cli, "--add-ignore=runs on the cluster").code == 0
    assert "# uncuda: ignore[UC101] runs on the cluster" in (project / "a.py").read_text()
    assert check(cli, "--config", "require-reason=true", "a.py").code == 0


def test_per_file_ignores_and_unused_comments(cli: Cli, project: Path) -> None:
    write(project, {"t/a.py": TIE, "b.py": "x = 1  # uncuda: ignore[UC101] old\n"})
    write(project, {"uncuda.toml": '[per-file-ignores]\n"t/*" = ["UC1"]\n'})
    assert "t/a.py" not in check(cli, "--severity", "info").out
    assert "b.py:1" in check(cli, "--severity", "info").out
    check(cli, "--fix", "--severity", "info")
    assert (project / "b.py").read_text() == "x = 1\n"


# -- speed -------------------------------------------------------------------------------------------------

_LOADED = """
import sys
from uncuda.cli import main
code = main(sys.argv[1:])
sys.stdout.flush()
heavy = [m for m in ("libcst", "rich", "torch", "pathspec", "multiprocessing", "concurrent.futures") if m in sys.modules]
print("LOADED", code, *heavy)
"""


def _loaded(cwd: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=environment(cwd),
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_what_has_no_triggers_costs_no_libcst(project: Path) -> None:
    write(project, {"a.py": CLEAN, "b.py": "# about devices, torch and nothing else\n", "c.py": TIE})
    assert _loaded(project, "check", "--no-cache", "a.py", "b.py") == "LOADED 0"
    assert _loaded(project, "check", "a.py", "b.py") == "LOADED 0"
    assert _loaded(project, "config", "a.py") == "LOADED 0"
    assert _loaded(project, "--version") == "LOADED 0"
    assert _loaded(project, "check", "--help") == "LOADED 0"
    assert _loaded(project, "check", "--no-cache", "c.py") == "LOADED 1 libcst"


def test_a_warm_run_costs_no_libcst(project: Path) -> None:
    write(project, {"c.py": TIE})
    old = time.time() - 100
    os.utime(project / "c.py", (old, old))
    assert _loaded(project, "check", "c.py") == "LOADED 1 libcst"
    assert _loaded(project, "check", "c.py") == "LOADED 1"
    assert (project / ".uncuda_cache" / "CACHEDIR.TAG").is_file()


def test_version_loads_hardly_anything(project: Path) -> None:
    code = "import sys; before = set(sys.modules); from uncuda.cli import main; main(['--version']); print(len(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, count = done.stdout.split("\n")[:2]
    assert version.startswith("uncuda ") and int(count) < 12


# -- the rest of the command line --------------------------------------------------------------------------


def test_help_and_wrong_usage(cli: Cli, project: Path) -> None:
    assert cli("--help").code == 0 and "uncuda check" in cli("--help").out
    assert cli("help", "check").out == cli("check", "--help").out
    assert cli().code == 2
    assert "did you mean `check`?" in cli("chekc").err
    write(project, {"train.py": ""})
    assert "did you mean `uncuda check train.py`?" in cli("train.py").err
    for command in ("check", "config", "completion", "explain"):
        assert cli(command, "--help").code == 0


def test_the_cache_is_kept_beside_the_settings(project: Path) -> None:
    write(
        project, {"in/uncuda.toml": "", "in/a.py": TIE, "off/uncuda.toml": "cache = false\n", "off/a.py": TIE}
    )
    write(project, {"far/uncuda.toml": 'cache-dir = "../elsewhere"\n', "far/a.py": TIE})
    for path in (project / name / "a.py" for name in ("in", "off", "far")):
        os.utime(path, (time.time() - 100,) * 2)
    for name in ("in", "off", "far"):
        assert uncuda("check", name, cwd=project).code == 1
    assert sorted(p.parent.name for p in project.rglob("findings.json")) == [".uncuda_cache", "elsewhere"]
    assert (project / "in/.uncuda_cache/findings.json").is_file()
