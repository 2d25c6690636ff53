"""From a file's text to its items: which reader reads which kind of file."""

from __future__ import annotations

from collections.abc import Iterator

from uncuda.around.items import Item
from uncuda.around.kinds import Kind
from uncuda.around.tree import Mapping, Node


def read(text: str, path: str, kind: Kind) -> list[Item]:
    """The items of a file, in the order of its text. A file that isn't what its name says gives what can be read."""
    items = list(dict.fromkeys(_read(text, path, kind)))
    items.sort(key=lambda item: (item.start, item.end))
    return items


def _read(text: str, path: str, kind: Kind) -> Iterator[Item]:
    name = path.replace("\\", "/").rpartition("/")[2]
    if kind is Kind.REQUIREMENTS:
        from uncuda.around.requirement_lines import read_list

        yield from read_list(text, path)
    elif kind is Kind.LOCK:
        from uncuda.around.locks import read_lock

        yield from read_lock(text, path)
    elif kind is Kind.DOCKERFILE:
        from uncuda.around.docker import read_dockerfile

        yield from read_dockerfile(text, path)
    elif kind is Kind.SHELL:
        from uncuda.around.commands import items_of_shell

        yield from items_of_shell(text)
    elif kind is Kind.MAKEFILE:
        from uncuda.around.build_files import read_makefile

        yield from read_makefile(text, path)
    elif kind is Kind.CMAKE:
        from uncuda.around.build_files import read_cmake

        yield from read_cmake(text, path)
    elif kind is Kind.NATIVE:
        from uncuda.around.native import read_native

        yield from read_native(text, path)
    elif kind is Kind.TOML:
        yield from _toml(text, name)
    elif kind is Kind.INI:
        yield from _ini(text)
    elif kind in (Kind.YAML, Kind.JSON):
        from uncuda.around.manifests import from_conda
        from uncuda.around.settings_files import items_of_tree

        for root in _trees(text, kind):
            yield from from_conda(root, path)
            yield from items_of_tree(text, root)


def _trees(text: str, kind: Kind) -> list[Node]:
    if kind is Kind.YAML:
        from uncuda.around.yaml_reader import read_yaml

        return read_yaml(text)
    from uncuda.around.json_reader import JsonError, read_json

    try:
        return [read_json(text)]
    except JsonError:
        return []


def _toml(text: str, name: str) -> Iterator[Item]:
    from uncuda.around import manifests
    from uncuda.around.settings_files import items_of_tree
    from uncuda.around.toml_reader import read_toml

    root = read_toml(text)
    if root is None:
        return
    if name == "pyproject.toml":
        yield from manifests.from_pyproject(root)
    elif name == "Pipfile":
        yield from manifests.from_pipfile(root)
    elif name == "pixi.toml":
        yield from manifests.from_pixi(root)
    yield from items_of_tree(text, root)


def _ini(text: str) -> Iterator[Item]:
    from uncuda.around.ini_reader import read_ini
    from uncuda.around.manifests import from_setup_cfg
    from uncuda.around.settings_files import items_of_tree

    root: Mapping = read_ini(text)
    yield from from_setup_cfg(root)
    yield from items_of_tree(text, root)
