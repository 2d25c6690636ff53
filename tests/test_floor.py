"""The torch floor: what a project's own files say of it, and where it is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write

from uncuda.floor import SUPPOSED, Floor, Floors
from uncuda.requirements import Range, mentions, requirement, version_range
from uncuda.settings import Overrides, SettingsTree


def floor(path: str = ".", **values: object) -> Floor:
    """The floor for a directory, settings files taken into account."""
    tree = SettingsTree(
        overrides=[Overrides({k.replace("_", "-"): v for k, v in values.items()})] if values else []
    )
    directory = str(Path(path).absolute())
    return Floors().of(directory, tree.for_directory(directory))


# -- one requirement ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torch>=2.4", Range((2, 4))),
        ("torch >= 2.4.1", Range((2, 4))),
        ("torch==2.3.1", Range((2, 3))),
        ("torch===2.3.1", Range((2, 3))),
        ("torch==2.3.1+cu118", Range((2, 3))),
        ("torch==2.6.0.dev20241112+cpu", Range((2, 6))),
        ("torch~=2.5", Range((2, 5))),
        ("torch==2.4.*", Range((2, 4))),
        ("torch==2.*", Range((2, 0))),
        ("torch>2.4", Range((2, 4))),
        ("torch>=2", Range((2, 0))),
        ("torch>=2.1,<3", Range((2, 1))),
        ("torch<2.7,>=2.2,!=2.3.0", Range((2, 2))),
        ("torch >=2.1, >=2.5", Range((2, 5))),
        ("torch (>=1.13)", Range((1, 13))),
        ("torch[opt-einsum]>=2.4", Range((2, 4))),
        ("Torch>=2.10", Range((2, 10))),
        ('torch>=2.4; python_version < "3.13" and sys_platform != "win32"', Range((2, 4))),
        ("torch==2.2.2 ; platform_machine == 'x86_64'", Range((2, 2))),
        ("torch>=2.4  # for flex attention", Range((2, 4))),
        ("torch", Range()),
        ("torch[opt]", Range()),
        ("torch!=2.5.0", Range()),
        ("torch<2.5", Range(None, (2, 4))),
        ("torch<2.5.1", Range(None, (2, 5))),
        ("torch<2.5.0", Range(None, (2, 4))),
        ("torch<=2.5", Range(None, (2, 5))),
        ("torch<2", Range(None, (1, 13))),
        ("torch<3", Range(None, (2, 99))),
        (
            "torch @ https://download.example/whl/cu118/torch-2.3.1%2Bcu118-cp310-cp310-linux_x86_64.whl",
            Range((2, 3)),
        ),
        ("torch @ git+https://github.example/pytorch/pytorch@main", Range()),
        ("torchvision>=0.20", None),
        ("torch-geometric>=2.5", None),
        ("torch_npu==2.5.1", None),
        ("pytorch>=2.4", None),
        ("pytorch-lightning>=2", None),
        ("torch is needed", None),
        ("torch>=two", None),
        ("torch>=2.4 and numpy", None),
        ("--extra-index-url https://download.example/whl/torch", None),
        ("", None),
    ],
)
def test_requirement(text: str, expected: Range | None) -> None:
    assert requirement(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("^2.1", Range((2, 1))),
        ("~2.1.3", Range((2, 1))),
        ("2.1", Range((2, 1))),
        ("*", Range()),
        (">=2.0,<2.4 || >=2.5", Range((2, 0))),
        ("<2.0 || >=2.5", Range(None, (1, 13))),
        ("=2.3", Range((2, 3))),
        ("=2.3.0=py3.10_cuda12.1_cudnn8_0", Range((2, 3))),
        ("==2.3.0=*cuda*", Range((2, 3))),
        (">=2.1,<2.3|>2.5", Range((2, 1))),
        ("latest", None),
    ],
)
def test_version_range_of_poetry_and_conda(text: str, expected: Range | None) -> None:
    assert version_range(text) == expected


# -- files -------------------------------------------------------------------------------------------------

FILES: list[tuple[str, str, tuple[int, int] | None, int]] = [
    (
        "pyproject.toml",
        '[project]\nname = "x"\ndependencies = [\n  "numpy",\n  "torch>=2.4",\n]\n',
        (2, 4),
        5,
    ),
    (
        "pyproject.toml",
        '[project.optional-dependencies]\ngpu = ["torch>=2.4"]\nold = ["torch==2.1"]\n',
        (2, 1),
        3,
    ),
    (
        "pyproject.toml",
        '[project]\ndependencies = ["torch>=2.5"]\n[dependency-groups]\nold = ["torch==2.1"]\n',
        (2, 5),
        2,
    ),
    (
        "pyproject.toml",
        '[dependency-groups]\ntest = ["pytest", {include-group = "x"}, "torch~=2.7"]\n',
        (2, 7),
        2,
    ),
    ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.10"\ntorch = "^2.3"\n', (2, 3), 3),
    ("pyproject.toml", '[tool.poetry.dependencies.torch]\nversion = ">=2.2"\nextras = ["opt"]\n', (2, 2), 2),
    (
        "pyproject.toml",
        '[tool.poetry.dependencies]\ntorch = [\n  {version = "^2.2", platform = "darwin"},\n'
        '  {version = "^2.6", platform = "linux"},\n]\n',
        (2, 2),
        3,
    ),
    (
        "pyproject.toml",
        '[tool.poetry.group.gpu.dependencies]\ntorch = {version = "2.5.*", optional = true}\n',
        (2, 5),
        2,
    ),
    ("pyproject.toml", '[tool.pixi.dependencies]\npytorch = ">=2.5.1,<3"\n', (2, 5), 2),
    ("pyproject.toml", '[tool.uv]\nconstraint-dependencies = ["torch<3,>=2.6"]\n', (2, 6), 2),
    ("pyproject.toml", '[build-system]\nrequires = ["setuptools", "torch==2.8.0"]\n', (2, 8), 2),
    ("pyproject.toml", '[tool.other]\nwords = ["torch>=1.0"]\n', None, 0),
    ("pyproject.toml", '[project\ndependencies = ["torch>=1.0"]\n', None, 0),
    (
        "setup.cfg",
        "[options]\ninstall_requires =\n    numpy\n    torch>=2.4; python_version > '3.8'\n",
        (2, 4),
        4,
    ),
    ("setup.cfg", "[options.extras_require]\nall =\n    torch>=2.2\n", (2, 2), 3),
    ("setup.cfg", "torch>=2.4\n", None, 0),
    (
        "setup.py",
        'from setuptools import setup\nsetup(\n  install_requires=["numpy", "torch>=2.4"],\n)\n',
        (2, 4),
        3,
    ),
    ("setup.py", 'DEPS = ["torch>=2.2,!=2.3.0"]\nimport os; os.unlink("setup.py")\n', (2, 2), 1),
    ("setup.py", 'raise SystemExit("torch>=1.0 is needed")\n', None, 0),
    ("setup.py", 'print "torch>=1.0"\n', None, 0),
    ("requirements.txt", "numpy\r\n# torch>=1.0\r\ntorch>=2.4 \\\r\n  --hash=sha256:abc\r\n", (2, 4), 4),
    ("requirements.txt", "--extra-index-url https://x.example/torch\n-e .\ntorch==2.3.1+cu121\n", (2, 3), 3),
    ("requirements-gpu.txt", "torch==2.5.1\n", (2, 5), 1),
    ("dev-requirements.in", "torch==2.5.1\n", (2, 5), 1),
    ("requirements/base.txt", "torch>=2.4\n", (2, 4), 1),
    (
        "environment.yml",
        "name: x\ndependencies:\n  - python=3.11\n  - pytorch::pytorch=2.3.1=py3.11_0\n",
        (2, 3),
        4,
    ),
    ("environment.yaml", 'dependencies:\n  - pip:\n    - "torch==2.2.0"  # pinned\n', (2, 2), 3),
    ("environment.yml", "dependencies:\n  - pytorch 2.4.* cuda12*\n", (2, 4), 2),
    ("environment.yml", "dependencies:\n  - pytorch-cuda=12.1\n", None, 0),
    ("Pipfile", '[packages]\ntorch = "==2.3.1"\n', (2, 3), 2),
    ("Pipfile", '[dev-packages]\ntorch = {version = ">=2.5", index = "torch"}\n', (2, 5), 2),
]


@pytest.mark.parametrize(
    ("name", "text", "version", "row"), FILES, ids=lambda v: v if isinstance(v, str) and "\n" not in v else ""
)
def test_files(project: Path, name: str, text: str, version: tuple[int, int] | None, row: int) -> None:
    write(project, {name: text, "pkg/a.py": ""})
    found = floor("pkg")
    if version is None:
        assert found.version == SUPPOSED
        assert found.origin == "supposed: no requirement of torch was found"
    else:
        assert found.version == version
        assert found.origin == f"{name}:{row}"
        assert found.text.lower().startswith(("torch", "pytorch"))
    assert (project / name).exists(), "the file was run"


def test_what_a_requirements_file_names_counts(project: Path) -> None:
    write(
        project,
        {
            "requirements.txt": "-r deps/base.txt\n--constraint=pins.txt\n-r requirements.txt\n-r gone.txt\n",
            "deps/base.txt": "torch\n",
            "pins.txt": "numpy==1\ntorch==2.5.1\n",
        },
    )
    assert str(floor()) == "2.5, from pins.txt:2 (torch==2.5.1)"


def test_dependencies_that_setuptools_reads_from_a_file(project: Path) -> None:
    write(
        project,
        {
            "pyproject.toml": '[tool.setuptools.dynamic]\ndependencies = {file = ["deps/run.list"]}\n# torch\n',
            "deps/run.list": "torch>=2.3\n",
        },
    )
    assert floor().origin == "deps/run.list:1"


def test_what_the_package_says_goes_before_lists(project: Path) -> None:
    write(
        project,
        {"requirements.txt": "torch==2.7.0\n", "setup.py": 'setup(install_requires=["torch>=2.1"])\n'},
    )
    assert floor().version == (2, 1)
    write(project, {"setup.py": 'setup(install_requires=["torch"])\n'})
    assert floor().version == (2, 7)


def test_the_lowest_of_one_kind_counts(project: Path) -> None:
    write(project, {"requirements-a.txt": "torch==2.7\n", "requirements-b.txt": "torch==2.4\n"})
    assert floor().version == (2, 4)


def test_a_name_without_a_version_supposes(project: Path) -> None:
    write(project, {"requirements.txt": "torch\n"})
    assert floor() == Floor(SUPPOSED, "supposed: requirements.txt:1 names no lowest torch")


def test_only_an_end_means_the_last_before_it(project: Path) -> None:
    write(project, {"requirements.txt": "torch<2.5\n"})
    assert str(floor()) == "2.4, from requirements.txt:1 (torch<2.5)"
    write(project, {"requirements.txt": "torch<3\n"})
    assert floor().version == SUPPOSED


# -- where -------------------------------------------------------------------------------------------------


def test_the_nearest_counts_and_the_repository_is_the_end(project: Path) -> None:
    write(project.parent, {"requirements.txt": "torch==1.9\n"})
    write(
        project, {"requirements.txt": "torch>=2.3\n", "a/b/c.py": "", "ex/requirements.txt": "torch==2.7\n"}
    )
    write(project, {"lib/pyproject.toml": '[project]\ndependencies = ["numpy"]\n', "lib/src/x.py": ""})
    assert floor("a/b").version == (2, 3)
    assert floor("ex").version == (2, 7)
    assert floor("lib/src").version == (2, 3)
    (project / "requirements.txt").unlink()
    assert floor("a/b").version == SUPPOSED


def test_without_a_repository_the_package_is_the_end(project: Path) -> None:
    (project / ".git").rmdir()
    write(
        project,
        {"requirements.txt": "torch==1.9\n", "lib/setup.py": "setup()\n", "lib/src/x.py": "", "b/c/d.py": ""},
    )
    assert floor("lib/src").version == SUPPOSED
    assert floor("b/c").version == (1, 9)


def test_a_package_that_was_copied_into_another_is_no_end(project: Path) -> None:
    (project / ".git").rmdir()
    copied = project / "one" / "engine"
    write(
        project,
        {
            "one/requirements.txt": "torch>=1.7\n",
            "one/setup.py": "",
            "one/engine/__init__.py": "",
            "one/engine/vendored/__init__.py": "",
            "one/engine/vendored/setup.py": "",
        },
    )
    assert floor(str(copied / "vendored")).version == (1, 7)
    (copied / "__init__.py").unlink()
    assert floor(str(copied / "vendored")).version == SUPPOSED


def test_root_ends_the_search(project: Path) -> None:
    write(
        project,
        {
            "requirements.txt": "torch==2.1\n",
            "in/uncuda.toml": "root = true\n",
            "in/a/x.py": "",
            "in/b/x.py": "",
        },
    )
    assert floor("in/a").version == SUPPOSED
    write(project, {"in/requirements.txt": "torch==2.2\n"})
    assert floor("in/a").version == (2, 2)


def test_settings_go_before_files(project: Path) -> None:
    write(project, {"requirements.txt": "torch>=2.3\n", "uncuda.toml": '\ntorch-floor = "2.5.1"\n'})
    assert floor() == Floor((2, 5), "uncuda.toml:2")
    assert floor(torch_floor="2.9").version == (2, 9)


def test_files_that_cannot_be_read_say_nothing(project: Path) -> None:
    (project / "setup.py").mkdir()
    (project / "requirements.txt").symlink_to("requirements.txt")
    write(project, {"pyproject.toml": b"\xff torch", "setup.cfg": b"\0 torch"})
    assert mentions(str(project)) == []
    assert mentions(str(project / "nowhere")) == []


def test_a_setup_py_that_would_do_harm_is_only_read(project: Path) -> None:
    write(project, {"setup.py": 'open("ran", "w")\nsetup(install_requires=["torch>=2.4"])\n'})
    assert floor().version == (2, 4)
    assert not (project / "ran").exists()
