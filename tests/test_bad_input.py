"""Bad input, through the real command: nothing lost, a clear line, the rest of the files done, no traceback."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import Done, environment, uncuda

GOOD = "import torch\n\nx = torch.ones(2).cuda()\n"
FIXED = "torch.accelerator"

FINDING, FAILURE = "finding", "failure"


@dataclass(frozen=True)
class Case:
    """A bad file: how it is told (a finding in the report, or a failure with exit 2) and in which words."""

    data: bytes
    told: str
    words: str


def _deep(opening: str, closing: str, count: int) -> bytes:
    return f"import torch\nx = {opening * count}torch.ones(1).cuda(){closing * count}\n".encode()


CASES = {
    "unparsable.py": Case(b"import torch\nx.cuda(\n", FINDING, ":2:7: UC000 cannot be parsed"),
    "python2.py": Case(b'print "GPU", x.cuda()\n', FINDING, ":1:1: UC000 cannot be parsed"),
    "template.py": Case(b"x = {{ name }}.cuda(\n%}\n", FINDING, "UC000 cannot be parsed"),
    "undecodable.py": Case(
        b'name = "\xff\xfe"\nx.cuda()\n', FAILURE, "is not valid utf-8 at byte 8 (line 1)"
    ),
    "unknown_encoding.py": Case(b"# coding: klingon\nx.cuda()\n", FAILURE, "klingon"),
    "utf16.py": Case(GOOD.encode("utf-16"), FAILURE, "is UTF-16 text"),
    "nul.py": Case(b"x = 1\nx.cuda()\0\n", FAILURE, "has a NUL byte at offset 14 (line 2)"),
    "one_liner.py": Case(
        b"import torch\nx = [" + b"torch.ones(2).cuda(), " * 460_000 + b"]\n",
        FINDING,
        ":2:1: UC000 cannot be parsed, so it was not checked: the line is too long (10.1 million characters)",
    ),
    "brackets.py": Case(_deep("(", ")", 5000), FINDING, "UC000 cannot be parsed"),
    "unclosed.py": Case(_deep("[", "", 100_000), FINDING, "UC000 cannot be parsed"),
    "minus.py": Case(
        _deep("-", "", 20_000), FINDING, "UC000 cannot be parsed, so it was not checked: nested too deeply"
    ),
    "sum.py": Case(_deep("1 + ", "", 20_000), FINDING, "UC000 cannot be parsed"),
    "condition.py": Case(
        _deep("1 and\\\n", "", 20_000),
        FINDING,
        "condition.py:2:5: UC000 cannot be parsed, so it was not checked: nested too deeply",
    ),
    "chain.py": Case(_deep("", ".cuda()", 4000), FINDING, "UC000 cannot be parsed"),
}
QUIET = {
    "empty.py": b"",
    "comment.py": b"# nothing",
    "break.py": b"\n",
    "bom.py": b"\xef\xbb\xbf",
    "prose_only.py": b'"""All about cuda."""\n',
}


@dataclass(frozen=True)
class Runs:
    """A directory full of bad files, and good ones before and behind them: checked, then fixed."""

    root: Path
    checked: Done
    fixed: Done


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    root = tmp_path_factory.mktemp("bad")
    for name, case in CASES.items():
        (root / name).write_bytes(case.data)
    for name, data in QUIET.items():
        (root / name).write_bytes(data)
    for name in ("a_good.py", "z_good.py"):
        (root / name).write_text(GOOD)
    options = ("--isolated", "--no-cache", "--output-format", "concise")
    checked = uncuda("check", *options, ".", cwd=root)
    return Runs(root, checked, uncuda("check", "--fix", "--unsafe-fixes", *options, ".", cwd=root))


pytestmark = pytest.mark.xdist_group("bad_input")


def _about(name: str, text: str) -> list[str]:
    return [line for line in text.splitlines() if name in line]


@pytest.mark.parametrize("name", CASES)
def test_a_bad_file_is_told_in_one_line_and_left_as_it_is(runs: Runs, name: str) -> None:
    case = CASES[name]
    for run in (runs.checked, runs.fixed):
        [line] = _about(name, run.both)
        assert case.words in line
        assert (line in run.out) == (case.told == FINDING)
        assert case.told == FINDING or line.startswith(f"error: {name}: ")
        assert len(line) < 300
    assert (runs.root / name).read_bytes() == case.data


@pytest.mark.parametrize("name", QUIET)
def test_a_file_with_nothing_in_it_is_no_news(runs: Runs, name: str) -> None:
    assert not _about(name, runs.checked.both + runs.fixed.both)
    assert (runs.root / name).read_bytes() == QUIET[name]


def test_the_other_files_are_done(runs: Runs) -> None:
    for name in ("a_good.py", "z_good.py"):
        assert f"{name}:3:5: UC101" in runs.checked.out
        assert FIXED in (runs.root / name).read_text()
    failures = sum(case.told == FAILURE for case in CASES.values())
    assert f"{failures} files could not be dealt with" in runs.checked.out
    assert runs.checked.code == runs.fixed.code == 2


def test_unparsable_files_alone_are_findings(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(CASES["python2.py"].data)
    done = uncuda("check", "--isolated", "--no-cache", cwd=tmp_path)
    assert done.code == 1
    assert "a.py:1:1: UC000" in done.out


# -- the file system ---------------------------------------------------------------------------------------


def test_a_read_only_file_stays(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text(GOOD)
    (tmp_path / "b.py").chmod(0o444)
    done = uncuda("check", "--fix", "--isolated", "--no-cache", "--output-format", "concise", cwd=tmp_path)
    assert done.code == 2
    assert done.err == "error: b.py: is read-only: 1 fix not written\n"
    assert "b.py:3:5: UC101" in done.out
    assert (tmp_path / "b.py").read_text() == GOOD
    assert all(FIXED in (tmp_path / name).read_text() for name in ("a.py", "c.py"))


def test_a_file_that_cannot_be_written_is_whole(tmp_path: Path) -> None:
    """The system refuses to write more than 20 kB: a file beyond that fails half way, as on a full disk."""
    big = "# " + "x" * 30_000 + "\n" + GOOD
    (tmp_path / "a.py").write_text(big)
    (tmp_path / "b.py").write_text(GOOD)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "uncuda",
            "check",
            "--fix",
            "--isolated",
            "--no-cache",
            "--output-format",
            "concise",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(tmp_path, {"PYTHONDONTWRITEBYTECODE": "1"}),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: a.py: cannot be written: File too large\n"
    assert "a.py:4:5: UC101" in done.stdout
    assert (tmp_path / "a.py").read_text() == big
    assert FIXED in (tmp_path / "b.py").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.py", "b.py"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text(GOOD)
    (tmp_path / "pkg" / "again").symlink_to(tmp_path)
    (tmp_path / "pkg" / "self.py").symlink_to("self.py")
    (tmp_path / "pkg" / "gone.py").symlink_to("nowhere.py")
    (tmp_path / "other.py").symlink_to("pkg/a.py")
    done = uncuda("check", "--isolated", "--no-cache", "--output-format", "concise", cwd=tmp_path)
    assert done.code == 1
    assert [line.partition(": ")[0] for line in done.out.splitlines() if "UC101" in line] == ["pkg/a.py:3:5"]
    assert done.err == ""
    named = uncuda("check", "--isolated", "--no-cache", "pkg/self.py", "other.py", cwd=tmp_path)
    assert named.code == 2
    assert named.err == "error: pkg/self.py: cannot be read: Too many levels of symbolic links\n"
    assert "other.py:3:5: UC101" in named.out


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(GOOD)
    done = uncuda("check", "--isolated", "--no-cache", "nope.py", "a.py", "no/dir", "", cwd=tmp_path)
    assert done.code == 2
    assert "error: nope.py: no such file or directory\n" in done.err
    assert "error: no/dir: no such file or directory\n" in done.err
    assert "a.py:3:5: UC101" in done.out


_VANISH = """
import os, sys
import uncuda.cli.plan as plan
found = plan.discover
def then_remove(*args, **kwargs):
    out = found(*args, **kwargs)
    os.unlink("b.py")
    return out
plan.discover = then_remove
from uncuda.cli import main
sys.exit(main(["check", *sys.argv[1:], "--isolated", "--no-cache", "--output-format", "concise"]))
"""


@pytest.mark.parametrize("option", ["--diff", "--fix"])
def test_a_file_that_vanishes(tmp_path: Path, option: str) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text(GOOD)
    done = subprocess.run(
        [sys.executable, "-c", _VANISH, option],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        check=False,
    )
    assert done.returncode == 2
    assert "error: b.py: no such file (it may have been removed while uncuda ran)\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "b.py").exists()
    if option == "--fix":
        assert all(FIXED in (tmp_path / name).read_text() for name in ("a.py", "c.py"))


def test_a_directory_without_python(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("cuda")
    done = uncuda("check", "--isolated", cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err == "uncuda: warning: no Python files under .\n"
    as_json = uncuda("check", "--isolated", "--output-format", "json", cwd=tmp_path)
    assert (as_json.code, as_json.out) == (0, "[]\n")


# -- settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "pyproject.toml",
            '[project]\nname = "x"\n\n[tool.uncuda]\nselect = [\n  "UC1",\n  "UC999",\n]\n',
            "pyproject.toml:7: select: unknown rule 'UC999'; there are ",
        ),
        (
            "uncuda.toml",
            'ignore = ["cuda-cal"]\n',
            "uncuda.toml:1: ignore: unknown rule 'cuda-cal'; did you mean cuda-call?",
        ),
        ("uncuda.toml", '\nignor = ["UC101"]\n', "uncuda.toml:2: ignor: unknown key; did you mean ignore?"),
        (
            "pyproject.toml",
            "[tool.uncuda]\nunsafe_fixes = true\n",
            "pyproject.toml:2: unsafe_fixes: unknown key; did you mean unsafe-fixes?",
        ),
        ("uncuda.toml", 'select = ["UC1"\nignore = 3\n', "uncuda.toml:2:1: is not valid TOML: "),
        ("uncuda.toml", b"select = '\xff'\n", "uncuda.toml:1: is not UTF-8"),
        (
            "uncuda.toml",
            "torch-floor = 2.6\n",
            'uncuda.toml:1: torch-floor: must be a text in quotes, such as "2.6"',
        ),
        (
            "uncuda.toml",
            'targets = ["ascent"]\n',
            "uncuda.toml:1: targets: unknown target 'ascent'; did you mean ascend?",
        ),
        ("uncuda.toml", 'extend = "uncuda.toml"\n', "uncuda.toml: extend goes round in a circle"),
        ("uncuda.toml", 'extend = "base.toml"\n', "uncuda.toml:1: extend: there is no file base.toml"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    (tmp_path / "a.py").write_text(GOOD)
    done = uncuda("check", "--fix", cwd=tmp_path)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith(f"uncuda: error: {message}")
    assert done.err.count("\n") == 1
    assert (tmp_path / "a.py").read_text() == GOOD


# -- Ctrl-C ------------------------------------------------------------------------------------------------


def _changed(paths: list[Path]) -> Iterator[Path]:
    return (p for p in paths if p.read_text() != _MANY)


_MANY = "import torch\n\n\n" + "".join(
    f"def make_{n}():\n    return torch.ones({n}).cuda()\n\n\n" for n in range(30)
)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_during_fix_leaves_every_file_whole(tmp_path: Path, jobs: str) -> None:
    paths = [tmp_path / f"m{n:03}.py" for n in range(200)]
    for path in paths:
        path.write_text(_MANY)
    command = [sys.executable, "-m", "uncuda", "check", "--fix", "--isolated", "-j", jobs, "-q"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
        # As from a terminal, the signal goes to the whole group, workers included.
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while next(_changed(paths), None) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    told = [line for line in err.splitlines() if line]
    assert len(told) == 1 and told[0].startswith("uncuda: interrupted: "), err
    assert told[0].endswith(" were not; every file is whole")

    changed = [p for p in paths if p.read_text() != _MANY]
    assert 0 < len(changed) < len(paths)
    assert len({p.read_text() for p in changed}) == 1, "some file was written in part"
    assert FIXED in changed[0].read_text()
    assert not [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")]
