"""What kind of file a path is, told by its name alone."""

from __future__ import annotations

import re
from enum import Enum


class Kind(str, Enum):
    """A kind of file that is read in a way of its own."""

    PYTHON = "python"
    NOTEBOOK = "notebook"
    REQUIREMENTS = "requirements"
    LOCK = "lock"
    DOCKERFILE = "dockerfile"
    SHELL = "shell"
    MAKEFILE = "makefile"
    CMAKE = "cmake"
    YAML = "yaml"
    JSON = "json"
    TOML = "toml"
    INI = "ini"
    NATIVE = "native"
    TEXT = "text"
    """Prose with code in it: Markdown, reStructuredText."""


_ENDINGS = {
    "py": Kind.PYTHON,
    "pyi": Kind.PYTHON,
    "pyw": Kind.PYTHON,
    "ipynb": Kind.NOTEBOOK,
    "lock": Kind.LOCK,
    "dockerfile": Kind.DOCKERFILE,
    "sh": Kind.SHELL,
    "bash": Kind.SHELL,
    "zsh": Kind.SHELL,
    "ksh": Kind.SHELL,
    "slurm": Kind.SHELL,
    "sbatch": Kind.SHELL,
    "pbs": Kind.SHELL,
    "lsf": Kind.SHELL,
    "env": Kind.SHELL,
    "envrc": Kind.SHELL,
    "mk": Kind.MAKEFILE,
    "mak": Kind.MAKEFILE,
    "cmake": Kind.CMAKE,
    "yaml": Kind.YAML,
    "yml": Kind.YAML,
    "json": Kind.JSON,
    "jsonc": Kind.JSON,
    "toml": Kind.TOML,
    "ini": Kind.INI,
    "cfg": Kind.INI,
    "cu": Kind.NATIVE,
    "cuh": Kind.NATIVE,
    "ptx": Kind.NATIVE,
    "md": Kind.TEXT,
    "markdown": Kind.TEXT,
    "mdx": Kind.TEXT,
    "rst": Kind.TEXT,
}
_NAMES = {
    "Makefile": Kind.MAKEFILE,
    "makefile": Kind.MAKEFILE,
    "GNUmakefile": Kind.MAKEFILE,
    "CMakeLists.txt": Kind.CMAKE,
    "Pipfile": Kind.TOML,
    "Pipfile.lock": Kind.LOCK,
    "conda-lock.yml": Kind.LOCK,
    "conda-lock.yaml": Kind.LOCK,
}
# What a template engine or a person makes the file from: `pod.yaml.j2`, `config.json.example`.
_TEMPLATE = re.compile(r"\.(?:j2|jinja2?|tmpl|tpl|template|example|sample|dist)\Z")
_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pixi.lock", "Pipfile.lock")
_PYLOCK = re.compile(r"pylock(?:\.[^.]+)?\.toml\Z")
_LIST = re.compile(r"(?i)(?:.*[-_.])?(?:requirements?|constraints?|reqs?)(?:[-_.].*)?\.(?:txt|in)\Z")
_LISTS = re.compile(r"(?i)(?:.*[-_.])?(?:requirements?|constraints?|reqs)\Z")
# `Dockerfile`, `Dockerfile.gpu`, `gpu.Dockerfile`, but not `dockerfile_test.py`.
_DOCKER = re.compile(r"(?i)(?:.*[-_.])?(?:docker|container)file(?:[-_.].*)?\Z")
# JSON is data more often than settings: in directories only what is named like settings is looked for.
_SETTINGS = re.compile(
    r"(?i)(?:.*[-_.])?(?:configs?|conf|cfg|settings?|options|args|params?|hparams|accelerate|deepspeed|ds|zero\d?"
    r"|devcontainer|launch|docker-compose|compose)(?:[-_.].*)?\.jsonc?\Z"
)
_SETTINGS_FOLDER = re.compile(
    r"(?i)(?:.*[-_.])?(?:configs?|conf|cfgs?|settings|recipes?|experiments?|k8s|kubernetes|deploy\w*|manifests?)\Z"
)
_RESULTS = re.compile(
    r"(?i)(?:.*[-_.])?(?:results?|metrics?|logs?|reports?|history|outputs?|benchmarks?)(?:[-_.].*)?\Z"
)


def kind_of(path: str) -> Kind | None:
    """The kind of the file at `path` (slashes or the system's own separators); None for one that isn't known."""
    above, folder, name = _split(path)
    template = _TEMPLATE.search(name)
    if template is not None:
        name = name[: template.start()]
    exact = _NAMES.get(name)
    if exact is not None:
        return exact
    _, dot, ending = name.rpartition(".")
    found = _ENDINGS.get(ending if dot else "")
    if found is Kind.LOCK:
        return Kind.LOCK if name in _LOCKS else None
    if found is Kind.TOML and _PYLOCK.match(name):
        return Kind.LOCK
    if found is not None:
        # A template of a program is no program.
        return None if template is not None and found in (Kind.PYTHON, Kind.NOTEBOOK, Kind.TEXT) else found
    if ending in ("txt", "in") and (_LIST.match(name) or _LISTS.match(folder) or _LISTS.match(above)):
        return Kind.REQUIREMENTS
    if "ile" in name and _DOCKER.match(name) and ending not in ("dockerignore", "txt", "tmp", "bak"):
        return Kind.DOCKERFILE
    return None


def is_around(path: str, *, prose: bool = False) -> bool:
    """Is the file at `path` one that a search of a directory takes, beside Python's own? With `prose` texts are."""
    kind = kind_of(path)
    if kind is None or kind in (Kind.PYTHON, Kind.NOTEBOOK) or (kind is Kind.TEXT and not prose):
        return False
    if kind is Kind.TOML and path.endswith("uncuda.toml"):
        return False  # the tool's own
    if kind is Kind.JSON:
        _, folder, name = _split(path)
        name = _TEMPLATE.sub("", name)
        if _RESULTS.match(folder) or _RESULTS.match(name.partition(".")[0]):
            return False
        return bool(_SETTINGS.match(name) or _SETTINGS_FOLDER.match(folder))
    return True


def _split(path: str) -> tuple[str, str, str]:
    """The names of the two directories that a file is in, the outer one first, and its own."""
    head, _, name = path.replace("\\", "/").rpartition("/")
    outer, _, folder = head.rpartition("/")
    return outer.rpartition("/")[2], folder, name
