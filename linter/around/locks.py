"""Lock files of uv, Poetry, PDM, pip, Pipenv, pixi and conda-lock: which packages they pin."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uncuda.around.items import Item, Requirement

# Whole files of this kind are large, and made by programs: lines are enough, and quick.
_TOML_HEAD = re.compile(r"^\[\[packages?\]\][ \t]*\r?\n", re.M)
_TOML_NAME = re.compile(r'^name = "([^"\n]+)"', re.M)
_TOML_VERSION = re.compile(r'^version = "([^"\n]+)"', re.M)
_TOML_SOURCE = re.compile(r'^(?:source = \{ ?registry = "([^"\n]+)"|url = "([^"\n]+)")', re.M)
_TOML_OPTIONAL = re.compile(r"^optional = true", re.M)
_JSON_NAME = re.compile(r'^ {8}"([^"\n]+)": \{', re.M)
_JSON_VERSION = re.compile(r'^ {12}"version": "=*([^"\n]+)"', re.M)
_YAML_NAME = re.compile(r"^(?:- name|  - name|- (?:conda|pypi)|  name): *['\"]?([^\s'\"]+)", re.M)
_YAML_VERSION = re.compile(r"^ +version: *['\"]?([^\s'\"]+)", re.M)
_YAML_MANAGER = re.compile(r"^ +manager: *(\w+)", re.M)
_FILE = re.compile(r"(?:^|/)([A-Za-z0-9_.-]+?)-(\d[^-/]*)-[^-/]+(?:-[^-/]+)*\.(?:conda|tar\.bz2|whl)(?:#|\Z)")


def read_lock(text: str, path: str) -> Iterator[Item]:
    """The packages that a lock file pins, each once."""
    name = path.replace("\\", "/").rpartition("/")[2]
    if name.endswith((".yml", ".yaml")) or name == "pixi.lock":
        yield from _yaml(text)
    elif name == "Pipfile.lock":
        yield from _json(text)
    else:
        yield from _toml(text)


def _toml(text: str) -> Iterator[Item]:
    heads = list(_TOML_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=True):
        name = _TOML_NAME.search(text, head.end(), end)
        if name is None:
            continue
        version = _TOML_VERSION.search(text, head.end(), end)
        source = _TOML_SOURCE.search(text, head.end(), end)
        yield Requirement(
            start=name.start(1),
            end=name.end(1),
            handled=_TOML_OPTIONAL.search(text, head.end(), end) is not None,
            name=name[1],
            version=f"=={version[1]}" if version else "",
            url=(source[1] or source[2]) if source else "",
            locked=True,
        )


def _json(text: str) -> Iterator[Item]:
    names = list(_JSON_NAME.finditer(text))
    ends = [name.start() for name in names[1:]] + [len(text)]
    for name, end in zip(names, ends, strict=True):
        version = _JSON_VERSION.search(text, name.end(), end)
        if version is not None:
            yield Requirement(
                start=name.start(1), end=name.end(1), name=name[1], version=f"=={version[1]}", locked=True
            )


def _yaml(text: str) -> Iterator[Item]:
    names = list(_YAML_NAME.finditer(text))
    ends = [name.start() for name in names[1:]] + [len(text)]
    seen: set[str] = set()
    for found, end in zip(names, ends, strict=True):
        name, version = found[1], ""
        archive = _FILE.search(name)
        if archive is not None:
            name, version = archive[1], archive[2]
        elif "://" in name:
            continue
        told = _YAML_VERSION.search(text, found.end(), end)
        manager = _YAML_MANAGER.search(text, found.end(), end)
        pip = found[0].lstrip("- ").startswith("pypi") or (manager is not None and manager[1] == "pip")
        if name in seen:
            continue
        seen.add(name)
        yield Requirement(
            start=found.start(1),
            end=found.end(1),
            name=name,
            version=f"=={told[1] if told else version}",
            manager="pip" if pip else "conda",
            locked=True,
        )
