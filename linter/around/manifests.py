"""What a project says that it needs: pyproject.toml, setup.cfg, Pipfile, environments of conda and pixi."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from uncuda.around.items import Index, Item, Requirement
from uncuda.around.requirement_lines import conda_requirement, requirement
from uncuda.around.tree import Mapping, Node, Scalar, Sequence, scalars

_ENVIRONMENT = re.compile(r"(?i)(?:.*[-_.])?(?:environment|conda|env)(?:[-_.].*)?\.ya?ml\Z")
_RECIPE = re.compile(r"(?i)(?:meta|recipe)\.ya?ml\Z")


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _texts(node: Node | None, *, handled: bool = False) -> Iterator[Item]:
    """Requirements in pip's spelling: a list of texts, or one text with a line for each."""
    for scalar in scalars(node):
        if scalar.block and not scalar.quoted:
            continue
        found = requirement(scalar.text, scalar.start, handled=handled)
        if found is not None:
            yield found


def _groups(node: Node | None, *, handled: bool = True) -> Iterator[Item]:
    """Lists of requirements by name: nobody has to install them."""
    if isinstance(node, Mapping):
        for _, value in node.entries:
            yield from _texts(value, handled=handled)


def _table(node: Node | None, *, handled: bool = False, manager: str = "pip") -> Iterator[Item]:
    """A table of names with their versions, or with tables that say more."""
    if not isinstance(node, Mapping):
        return
    for key, value in node.entries:
        for one in value.items if isinstance(value, Sequence) else [value]:
            yield from _row(key, one, handled, manager)


def _row(key: Scalar, value: Node, handled: bool, manager: str) -> Iterator[Item]:
    version = url = marker = ""
    extras: tuple[str, ...] = ()
    if isinstance(value, Scalar):
        version = value.text
    elif isinstance(value, Mapping):
        version = _text(value, "version")
        build = _text(value, "build")
        version = f"{version}={build}" if build else version
        url = _text(value, "url") or _text(value, "git") or _text(value, "file")
        marker = _text(value, "markers") or _text(value, "marker") or _platform(value)
        extras = tuple(s.text for s in value.texts("extras"))
        handled = handled or _text(value, "optional") == "true"
    yield Requirement(
        start=key.start,
        end=value.end if isinstance(value, Scalar) else key.end,
        handled=handled,
        name=key.text,
        extras=extras,
        version=version,
        marker=marker,
        url=url,
        manager=manager,
    )


def _platform(value: Mapping) -> str:
    platform = _text(value, "platform")
    return f"sys_platform == '{platform}'" if platform else ""


def _text(table: Mapping, key: str) -> str:
    node = table.get(key)
    return node.text if isinstance(node, Scalar) else ""


def _indexes(node: Node | None) -> Iterator[Item]:
    """Addresses in a list of tables. One that is used only where a package asks for it leaves room for others."""
    if not isinstance(node, Sequence):
        return
    for item in node.items:
        if isinstance(item, Mapping):
            url = item.get("url")
            if isinstance(url, Scalar):
                asked = _text(item, "explicit") == "true" or _text(item, "priority") in (
                    "explicit",
                    "supplemental",
                )
                yield Index(
                    start=url.start,
                    end=url.end,
                    url=url.text,
                    only=_text(item, "default") == "true" and not asked,
                )


def from_pyproject(root: Mapping) -> Iterator[Item]:
    """The requirements in pyproject.toml: the standard's, Poetry's, uv's, PDM's, Hatch's and pixi's."""
    sources = _sources(root.get("tool", "uv", "sources"))
    for item in _asked_for(root):
        if isinstance(item, Requirement) and not item.url and _plain(item.name) in sources:
            item = replace(item, url=sources[_plain(item.name)])
        yield item


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sources(node: Node | None) -> dict[str, str]:
    """Where uv takes packages from by name, other than the usual index."""
    found: dict[str, str] = {}
    if isinstance(node, Mapping):
        for key, value in node.entries:
            one = value.items[0] if isinstance(value, Sequence) and value.items else value
            if isinstance(one, Mapping):
                places = (_text(one, kind) for kind in ("git", "url", "path"))
                found[_plain(key.text)] = next((place for place in places if place), "another index")
    return found


def _asked_for(root: Mapping) -> Iterator[Item]:
    yield from _texts(root.get("project", "dependencies"))
    yield from _groups(root.get("project", "optional-dependencies"))
    yield from _groups(root.get("dependency-groups"))
    yield from _texts(root.get("build-system", "requires"))
    poetry = root.get("tool", "poetry")
    if isinstance(poetry, Mapping):
        yield from _table(poetry.get("dependencies"))
        yield from _table(poetry.get("dev-dependencies"), handled=True)
        yield from _below(poetry.get("group"), "dependencies")
        yield from _indexes(poetry.get("source"))
    uv = root.get("tool", "uv")
    if isinstance(uv, Mapping):
        yield from _texts(uv.get("dev-dependencies"), handled=True)
        yield from _indexes(uv.get("index"))
        for key, only in (("index-url", True), ("extra-index-url", False), ("find-links", False)):
            for where in (uv.get(key), uv.get("pip", key)):
                for url in scalars(where):
                    yield Index(start=url.start, end=url.end, url=url.text, only=only)
    yield from _groups(root.get("tool", "pdm", "dev-dependencies"))
    yield from _indexes(root.get("tool", "pdm", "source"))
    environments = root.get("tool", "hatch", "envs")
    if isinstance(environments, Mapping):
        for _, node in environments.entries:
            if isinstance(node, Mapping):
                yield from _texts(node.get("dependencies"), handled=True)
    pixi = root.get("tool", "pixi")
    if isinstance(pixi, Mapping):
        yield from from_pixi(pixi)


def _below(node: Node | None, key: str) -> Iterator[Item]:
    if isinstance(node, Mapping):
        for _, group in node.entries:
            if isinstance(group, Mapping):
                yield from _table(group.get(key), handled=True)


def from_pixi(root: Mapping) -> Iterator[Item]:
    """The requirements of a pixi workspace; those of a feature or a platform are a choice."""
    yield from _table(root.get("dependencies"), manager="conda")
    yield from _table(root.get("pypi-dependencies"))
    yield from _pypi_options(root)
    for key in ("feature", "target"):
        node = root.get(key)
        if isinstance(node, Mapping):
            for _, part in node.entries:
                if isinstance(part, Mapping):
                    yield from _table(part.get("dependencies"), manager="conda", handled=True)
                    yield from _table(part.get("pypi-dependencies"), handled=True)


def _pypi_options(root: Mapping) -> Iterator[Item]:
    for key, only in (("index-url", True), ("extra-index-urls", False)):
        for url in scalars(root.get("pypi-options", key)):
            yield Index(start=url.start, end=url.end, url=url.text, only=only)


def from_pipfile(root: Mapping) -> Iterator[Item]:
    """The requirements in a Pipfile."""
    yield from _table(root.get("packages"))
    yield from _table(root.get("dev-packages"), handled=True)
    yield from _indexes(root.get("source"))


def from_setup_cfg(root: Mapping) -> Iterator[Item]:
    """The requirements in setup.cfg and tox.ini."""
    yield from _lines(root.get("options", "install_requires"))
    yield from _lines(root.get("options", "setup_requires"))
    extras = root.get("options.extras_require")
    if isinstance(extras, Mapping):
        for _, value in extras.entries:
            yield from _lines(value, handled=True)
    for key, node in root.entries:
        if key.text.startswith("testenv") and isinstance(node, Mapping):
            yield from _lines(node.get("deps"), handled=True)


def _lines(node: Node | None, *, handled: bool = False) -> Iterator[Item]:
    for scalar in scalars(node):
        text, start = scalar.text, scalar.start
        factor = re.match(r"[\w,{}!-]+:\s+", text)  # tox: the environments that a line is for
        if factor is not None:
            text, start = text[factor.end() :], start + factor.end()
        found = requirement(text, start, handled=handled)
        if found is not None:
            yield found


def from_conda(root: Node, path: str) -> Iterator[Item]:
    """The requirements in an environment or recipe of conda; nothing where the file is neither."""
    if not isinstance(root, Mapping):
        return
    name = _name(path)
    listed = root.get("dependencies")
    if isinstance(listed, Sequence) and (root.get("channels") is not None or _ENVIRONMENT.match(name)):
        yield from _conda_list(listed)
    if _RECIPE.match(name):
        for key in ("host", "run"):
            yield from _conda_list(root.get("requirements", key))


def _conda_list(listed: Node | None) -> Iterator[Item]:
    if not isinstance(listed, Sequence):
        return
    for item in listed.items:
        if isinstance(item, Scalar):
            found = conda_requirement(item.text, item.start)
            if found is not None:
                yield found
        elif isinstance(item, Mapping):
            for line in scalars(item.get("pip")):
                yield from _pip_line(line)


def _pip_line(line: Scalar) -> Iterator[Item]:
    from uncuda.around.requirement_lines import read_list

    for item in read_list(line.text, ""):
        if isinstance(item, (Requirement, Index)):
            yield _moved(item, line.start)


def _moved(item: Requirement | Index, by: int) -> Item:
    return replace(item, start=item.start + by, end=item.end + by)
