"""Which names a release of torch, or of a plug-in, has: read from its sources, which are never imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import Path as ZipPath

from uncuda.findings import TorchVersion

_VERSION = re.compile(r"^Version: *(\d+)\.(\d+)", re.M)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEPTH = 12
"""How many imports a name is followed through."""


@dataclass(frozen=True)
class Found:
    """A name that a release has; `node` is what defines it, None where that isn't Python."""

    node: ast.AST | None

    @property
    def deprecated(self) -> bool:
        """Does using it warn that it is going away?"""
        node = self.node
        if isinstance(node, ast.ClassDef):
            return _marked(node) or any(_warns(m) for m in node.body if _is_called(m, "__init__"))
        return isinstance(node, _FUNCTIONS) and (_marked(node) or _warns(node))


def _is_called(node: ast.AST, name: str) -> bool:
    return isinstance(node, _FUNCTIONS) and node.name == name


def _marked(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("deprecated" in ast.unparse(d).partition("(")[0] for d in node.decorator_list)


def _warns(node: ast.AST) -> bool:
    """Does a function warn, whatever its arguments, that it is deprecated?"""
    if not isinstance(node, _FUNCTIONS):
        return False
    if _marked(node):
        return True
    calls = [s.value for s in node.body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
    texts = (ast.unparse(call) for call in calls)
    return any(
        text.startswith("warnings.warn") and re.search("deprecat|FutureWarning", text) for text in texts
    )


class Release:
    """One release: a wheel, or a directory that one was unpacked into."""

    def __init__(self, path: Path) -> None:
        self.root: Path | ZipPath = ZipPath(path) if path.is_file() else path
        self._modules: dict[str, Module | None] = {}

    @cached_property
    def version(self) -> TorchVersion:
        """Its first two numbers, from its metadata."""
        for item in self.root.iterdir():
            if item.name.endswith(".dist-info"):
                found = _VERSION.search((item / "METADATA").read_text(encoding="utf-8"))
                if found is not None:
                    return int(found[1]), int(found[2])
        raise ValueError(f"{self.root}: no metadata of a wheel")

    def has_package(self, name: str) -> bool:
        """Is `name` what it installs?"""
        return self.root.joinpath(name, "__init__.py").is_file()

    def find(self, name: str) -> Found | None:
        """What stands behind a dotted name, or None. A name from C counts where Python imports it."""
        return self._find(name, _DEPTH)

    def _find(self, name: str, depth: int) -> Found | None:
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            module = self.module(".".join(parts[:end]))
            if module is None:
                continue
            return Found(None) if end == len(parts) else self._member(module, parts[end:], depth)
        return None

    def module(self, name: str) -> Module | None:
        """The module with this dotted name, read once; None where the release has none."""
        if name not in self._modules:
            *above, last = name.split(".")
            self._modules[name] = None
            for parts, is_package in (
                ((last, "__init__.py"), True),
                ((f"{last}.py",), False),
                ((last, "__init__.pyi"), True),
                ((f"{last}.pyi",), False),
            ):
                file = self.root.joinpath(*above, *parts)
                if file.is_file():
                    self._modules[name] = Module(name, is_package, ast.parse(file.read_bytes()))
                    break
        return self._modules[name]

    def _member(self, module: Module, rest: list[str], depth: int) -> Found | None:
        if depth < 0:
            return None
        first = rest[0]
        target = module.imported.get(first)
        if target is not None:
            if target.partition(".")[0] != module.name.partition(".")[0] or self._is_native(target):
                return Found(None)
            return self._find(".".join([target, *rest[1:]]), depth - 1)
        node = module.bound.get(first)
        if node is not None:
            return self._inside(module, node, rest[1:], depth)
        for source in module.stars:
            found = self._find(".".join([source, *rest]), depth - 1)
            if found is not None and self._is_public(source, first):
                return found
        return Found(None) if not rest[1:] and first in module.answered else None

    def _is_public(self, source: str, name: str) -> bool:
        module = self.module(source)
        return module is None or name in (module.public or {name})

    def _inside(self, module: Module, node: ast.AST, rest: list[str], depth: int) -> Found | None:
        if not rest:
            return Found(node)
        owner = node
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
            # An object that stands for a module (`matmul = cuBLASModule()`).
            name = ast.unparse(node.value.func)
            owner = module.bound.get(name, node)
        if not isinstance(owner, ast.ClassDef):
            return None
        for member in _members(owner):
            if member[0] == rest[0]:
                return self._inside(module, member[1], rest[1:], depth)
        for base in map(ast.unparse, owner.bases):
            if self._is_native(base):
                return Found(None)
            found = self._member(module, [*base.split("."), *rest], depth - 1)
            if found is not None:
                return found
        return None

    @staticmethod
    def _is_native(name: str) -> bool:
        """Is it from C, so that there is no source to look into? That it is named says enough."""
        return "_C" in name.split(".")


def _members(node: ast.ClassDef) -> Iterator[tuple[str, ast.AST]]:
    """What a class defines, and the names that its `__getattr__` and `__setattr__` answer to."""
    for item in node.body:
        yield from _bindings(item)
        if _is_called(item, "__getattr__") or _is_called(item, "__setattr__"):
            for part in ast.walk(item):
                if isinstance(part, ast.Compare):
                    for side in (part.left, *part.comparators):
                        if isinstance(side, ast.Constant) and isinstance(side.value, str):
                            yield side.value, part


def _bindings(item: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The names that a statement binds, imports left out."""
    if isinstance(item, (*_FUNCTIONS, ast.ClassDef)):
        yield item.name, item
    elif isinstance(item, ast.Assign):
        for target in item.targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    yield name.id, item
    elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
        yield item.target.id, item


class Module:
    """What one module binds. Blocks under `if` and `try` count as if they ran."""

    def __init__(self, name: str, is_package: bool, tree: ast.Module) -> None:
        self.name = name
        self.is_package = is_package
        self._tree = tree
        self._package = name if is_package else name.rpartition(".")[0]
        self.bound: dict[str, ast.AST] = {}
        self.every: dict[str, list[ast.AST]] = {}
        """All that bind a name, where `bound` has the first."""
        self.imported: dict[str, str] = {}
        self.stars: list[str] = []
        self.public: set[str] | None = None
        self._read(tree.body)
        for swapped in self._swapped:
            if isinstance(found := self.bound.get(swapped), ast.ClassDef):
                for key, node in _members(found):
                    self.bound.setdefault(key, node)

    @cached_property
    def texts(self) -> set[str]:
        """Every text in it: names of what it loads when it is asked for are such."""
        nodes = ast.walk(self._tree)
        return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}

    @cached_property
    def answered(self) -> set[str]:
        """The names that its `__getattr__` answers to: keys of the tables that it looks into."""
        asked = self.bound.get("__getattr__")
        if not isinstance(asked, _FUNCTIONS):
            return set()
        named = [self.bound.get(n.id) for n in ast.walk(asked) if isinstance(n, ast.Name)]
        tables = [n.value for n in named if isinstance(n, (ast.Assign, ast.AnnAssign))]
        keys = [key for table in tables if isinstance(table, ast.Dict) for key in table.keys]
        return {k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str)}

    def _read(self, body: list[ast.stmt]) -> None:
        self._swapped: list[str] = getattr(self, "_swapped", [])
        for item in body:
            if isinstance(item, ast.Import):
                for alias in item.names:
                    top = alias.name.partition(".")[0]
                    self.imported[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(item, ast.ImportFrom):
                source = self._absolute(item)
                for alias in item.names:
                    if alias.name == "*":
                        self.stars.append(source)
                    else:
                        self.imported[alias.asname or alias.name] = f"{source}.{alias.name}"
            elif isinstance(item, (ast.If, ast.Try)):
                self._read(item.body)
                self._read(item.orelse)
                for handler in getattr(item, "handlers", ()):
                    self._read(handler.body)
            else:
                self._assign(item)

    def _assign(self, item: ast.stmt) -> None:
        for name, node in _bindings(item):
            # The first definition is the one with a body: later ones are for other builds.
            self.bound.setdefault(name, node)
            self.every.setdefault(name, []).append(node)
            if name == "__all__" and isinstance(node, ast.Assign):
                self.public = {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)}  # type: ignore[misc]
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call):
            if any(ast.unparse(t) == "sys.modules[__name__]" for t in item.targets):
                self._swapped.append(ast.unparse(item.value.func))

    def _absolute(self, item: ast.ImportFrom) -> str:
        if not item.level:
            return item.module or ""
        package = self._package.split(".")
        base = package[: len(package) - item.level + 1]
        return ".".join([*base, *([item.module] if item.module else [])])
