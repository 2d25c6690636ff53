"""Which files are checked: what is named, what is searched for, and what is left out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import write

from uncuda.discovery import Discovered, discover
from uncuda.results import ProblemKind
from uncuda.settings import Overrides, SettingsTree


def found(*paths: str, force_exclude: bool = False, **values: object) -> list[str]:
    """What `uncuda check PATHS` would check, from the current directory."""
    return _names(look(*paths, force_exclude=force_exclude, **values))


def _names(out: Discovered) -> list[str]:
    cwd = os.getcwd()
    return [os.path.relpath(f.path, cwd).replace(os.sep, "/") for f in out.files]


def look(*paths: str, force_exclude: bool = False, **values: object) -> Discovered:
    keys = {key.replace("_", "-"): value for key, value in values.items()}
    tree = SettingsTree(overrides=[Overrides(keys)] if keys else [])
    return discover(paths or ["."], tree, force_exclude=force_exclude)


def git(*arguments: str, cwd: Path) -> None:
    subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True)


def test_python_files_and_stubs_in_path_order(project: Path) -> None:
    write(
        project, {"b.py": "", "a/z.pyi": "", "a/b/c.py": "", "a.txt": "", "run": "", "x.pyc": "", "A.PY": ""}
    )
    assert found() == ["a/b/c.py", "a/z.pyi", "b.py"]
    assert found("b.py", "a") == ["a/b/c.py", "a/z.pyi", "b.py"]


def test_named_files_are_taken_whatever_they_are(project: Path) -> None:
    write(project, {"run": "", "build/x.py": "", ".gitignore": "*.gen.py\n", "a.gen.py": "", "venv/y.py": ""})
    assert found() == []
    assert found("run", "build/x.py", "a.gen.py") == ["a.gen.py", "build/x.py", "run"]


def test_a_named_directory_is_searched_even_if_it_is_excluded(project: Path) -> None:
    write(
        project,
        {"venv/y.py": "", "venv/venv/z.py": "", ".gitignore": "out/\n", "out/x.py": "", "lib/a/b.py": ""},
    )
    assert found("venv") == ["venv/y.py"]
    assert found("out") == ["out/x.py"]
    assert found("lib", exclude=["lib/**"]) == ["lib/a/b.py"]
    assert found("lib/a", exclude=["/lib/"]) == ["lib/a/b.py"]
    assert found(".", exclude=["/lib/"], respect_gitignore=False) == [
        "out/x.py",
        "venv/venv/z.py",
        "venv/y.py",
    ]


def test_each_file_once(project: Path) -> None:
    write(project, {"a/x.py": ""})
    (project / "b").symlink_to("a")
    (project / "a" / "y.py").symlink_to("x.py")
    (project / "z.py").symlink_to("a/x.py")
    assert found() == ["a/x.py"]
    assert found("a", "a/x.py", "./a/../a/x.py", "b", "z.py") == ["a/x.py"]


def test_links_are_followed_to_files_only(project: Path, tmp_path: Path) -> None:
    write(tmp_path, {"outside/x.py": "", "outside/more/y.py": ""})
    (project / "dir").symlink_to(tmp_path / "outside")
    (project / "file.py").symlink_to(tmp_path / "outside" / "x.py")
    (project / "up").symlink_to("..")
    (project / "loop.py").symlink_to("loop.py")
    (project / "gone.py").symlink_to("gone")
    out = look()
    assert _names(out) == ["file.py"]
    assert len([n for n in out.notes if "a link that leads nowhere" in n]) == 2
    assert not out.failures
    assert found("dir") == ["dir/more/y.py", "dir/x.py"]


def test_what_is_no_file_is_passed_over(project: Path) -> None:
    os.mkfifo(project / "pipe.py")
    (project / "dir.py").mkdir()
    write(project, {"dir.py/a.py": ""})
    assert found() == ["dir.py/a.py"]


def test_names_that_are_not_utf8(project: Path) -> None:
    (Path(os.fsdecode(b"caf\xe9.py"))).write_text("")
    assert found() == [os.fsdecode(b"caf\xe9.py")]


# -- what cannot be looked at ------------------------------------------------------------------------------


def test_missing_paths_and_loops_are_failures(project: Path) -> None:
    (project / "loop").symlink_to("loop")
    out = look("gone", "loop", "", "a\0b")
    assert [problem.kind for _, problem in out.failures] == [
        ProblemKind.MISSING,
        ProblemKind.UNREADABLE,
        ProblemKind.MISSING,
        ProblemKind.UNREADABLE,
    ]
    assert not out.files


def test_a_directory_that_cannot_be_read_is_a_failure(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, {"a/x.py": "", "b/y.py": ""})
    real = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("a"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    out = look()
    assert _names(out) == ["b/y.py"]
    [(path, problem)] = out.failures
    assert path.endswith("/a") and problem.message == "cannot be read: Permission denied"


def test_a_directory_that_vanishes_is_a_failure(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, {"a/x.py": "", "b/y.py": ""})
    real = os.scandir

    def vanish(path: str) -> object:
        if path.endswith("b"):
            os.unlink(os.path.join(path, "y.py"))
            os.rmdir(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", vanish)
    out = look()
    assert _names(out) == ["a/x.py"]
    assert out.failures[0][1].message == "cannot be read: No such file or directory"


# -- exclude and include -----------------------------------------------------------------------------------


def test_what_is_left_out_by_default(project: Path) -> None:
    write(
        project,
        {
            f"{name}/x.py": ""
            for name in (".venv", "venv", "node_modules", "__pycache__", ".tox", "build", "dist")
        },
    )
    write(project, {"src/build/x.py": "", "src/buildings/x.py": "", ".hidden/x.py": ""})
    assert found() == [".hidden/x.py", "src/buildings/x.py"]


def test_a_package_called_build_or_dist_is_code(project: Path) -> None:
    write(project, {"pkg/dist/__init__.py": "", "pkg/dist/utils.py": "", "dist/lib/x.py": ""})
    assert found() == ["pkg/dist/__init__.py", "pkg/dist/utils.py"]
    assert found("pkg/dist/utils.py", force_exclude=True) == ["pkg/dist/utils.py"]
    assert found(exclude=["dist"]) == []


def test_directories_around_the_project_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"build/venv/project/a.py": ""})
    monkeypatch.chdir(tmp_path / "build" / "venv" / "project")
    assert found() == ["a.py"]
    assert found("a.py", force_exclude=True) == ["a.py"]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["legacy"], ["a.py", "pkg/b.py", "pkg/gen_x.py"]),
        (["gen_*.py"], ["a.py", "legacy/c.py", "pkg/b.py", "pkg/legacy/d.py"]),
        (["/legacy"], ["a.py", "pkg/b.py", "pkg/gen_x.py", "pkg/legacy/d.py"]),
        (["pkg/legacy"], ["a.py", "legacy/c.py", "pkg/b.py", "pkg/gen_x.py"]),
        (["pkg/**/d.py"], ["a.py", "legacy/c.py", "pkg/b.py", "pkg/gen_x.py"]),
        (["*.py"], []),
    ],
)
def test_exclude(project: Path, patterns: list[str], left: list[str]) -> None:
    write(project, dict.fromkeys(("a.py", "legacy/c.py", "pkg/b.py", "pkg/legacy/d.py", "pkg/gen_x.py"), ""))
    assert found(extend_exclude=patterns) == left
    (project / "uncuda.toml").write_text(f"extend-exclude = {patterns}\n")
    assert found() == left
    assert set(found("pkg", "a.py")) == {"a.py", *(n for n in left if n.startswith("pkg/"))}


def test_force_exclude_holds_for_what_is_named(project: Path) -> None:
    write(project, {"legacy/a.py": "", "b.py": "", "uncuda.toml": 'extend-exclude = ["legacy"]\n'})
    named = ("legacy/a.py", "b.py")
    assert found(*named) == ["b.py", "legacy/a.py"]
    out = look(*named, force_exclude=True)
    assert _names(out) == ["b.py"]
    assert out.notes == ["legacy/a.py: excluded"]
    assert found("legacy", force_exclude=True) == []


def test_include(project: Path) -> None:
    write(project, {"a.py": "", "b.pyi": "", "bin/run": "", "c.pyx": "", "x.py/readme": ""})
    assert found(include=["*.py"]) == ["a.py"]
    assert found(include=["*.pyx", "bin/*"]) == ["bin/run", "c.pyx"]
    assert found(include=["/a.py", "run"]) == ["a.py", "bin/run"]


def test_the_nearest_settings_decide_for_each_directory(project: Path) -> None:
    write(
        project,
        {
            "uncuda.toml": 'extend-exclude = ["skip"]\n',
            "skip/a.py": "",
            "inner/pyproject.toml": '[tool.uncuda]\nextend-exclude = ["other"]\n',
            "inner/skip/b.py": "",
            "inner/other/c.py": "",
            "third/pyproject.toml": '[project]\nname = "x"\n',
            "third/skip/d.py": "",
            "third/e.py": "",
        },
    )
    out = look(around_code=False)
    assert _names(out) == ["inner/skip/b.py", "third/e.py"]
    assert [f.settings.file for f in out.files] == [project / "inner/pyproject.toml", project / "uncuda.toml"]


# -- git ---------------------------------------------------------------------------------------------------

IGNORES: dict[str, str] = {
    ".gitignore": "*.gen.py\n/top.py\nout/\n!keep.gen.py\ndoc/*/draft.py\n# comment\n\\#odd.py\ntrail.py   \n",
    "a.gen.py": "",
    "keep.gen.py": "",
    "top.py": "",
    "sub/top.py": "",
    "out/x.py": "",
    "sub/out/x.py": "",
    "sub/.gitignore": "local.py\n!b.gen.py\n",
    "sub/local.py": "",
    "sub/b.gen.py": "",
    "sub/deep/local.py": "",
    "local.py": "",
    "doc/one/draft.py": "",
    "doc/draft.py": "",
    "#odd.py": "",
    "trail.py": "",
    "out.py": "",
}


def test_what_git_ignores_is_left_out_as_git_itself_says(project: Path) -> None:
    (project / ".git").rmdir()
    git("init", "-q", cwd=project)
    write(project, IGNORES)
    write(project, {".git/info/exclude": "doc/draft.py\n"})
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"],
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    )
    expected = sorted(listed.stdout.split())
    assert "sub/b.gen.py" in expected and "sub/local.py" not in expected
    assert found() == expected
    inside = [n for n in expected if n.startswith("sub/")]
    assert found("sub") == inside
    assert found("sub/deep") == [n for n in inside if n.startswith("sub/deep/")]
    assert len(found(respect_gitignore=False)) == sum(n.endswith(".py") for n in IGNORES)


def test_a_copy_without_the_repository_is_searched_alike(project: Path) -> None:
    write(project, IGNORES)
    with_repository = found()
    (project / ".git").rmdir()
    assert found() == with_repository


def test_a_persons_own_list_counts_in_repositories(project: Path, tmp_path: Path) -> None:
    write(project, {"scratch.py": "", "a.py": ""})
    write(tmp_path, {"home/.config/git/ignore": "scratch.py\n"})
    assert found() == ["a.py"]
    write(tmp_path, {"home/.gitconfig": "[core]\n\texcludesFile = ~/mine\n", "home/mine": "a.py\n"})
    assert found() == ["scratch.py"]


def test_a_repository_within_is_its_own_world(project: Path) -> None:
    write(
        project,
        {
            ".gitignore": "gen.py\n",
            "inner/.git/config": "",
            "inner/gen.py": "",
            "gen.py": "",
            "inner/.gitignore": "b.py\n",
            "inner/b.py": "",
        },
    )
    assert found() == ["inner/gen.py"]
    assert found("inner") == ["inner/gen.py"]


def test_a_linked_working_tree_has_the_lists_of_its_repository(project: Path, tmp_path: Path) -> None:
    (project / ".git").rmdir()
    git("init", "-q", cwd=project)
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x", cwd=project)
    git("worktree", "add", "-q", str(tmp_path / "linked"), cwd=project)
    write(project, {".git/info/exclude": "hidden.py\n"})
    write(tmp_path / "linked", {"hidden.py": "", "seen.py": ""})
    assert [Path(n).name for n in found(str(tmp_path / "linked"))] == ["seen.py"]


def test_a_gitignore_that_is_no_text_is_no_trouble(project: Path) -> None:
    write(project, {".gitignore": b"\xff\xfe\n[\n(((\na.py\n", "a.py": "", "b.py": ""})
    assert found() == ["b.py"]
