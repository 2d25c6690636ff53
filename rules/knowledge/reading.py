"""What calls of a library's classes and functions give, read from the sources of its releases, which never run."""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import Path as ZipPath

from uncuda.ast_bindings import ast_dotted
from uncuda.rules.knowledge.wheels import Module, Release

TENSOR, TENSORS, MODULE = "tensor", "tensors", "module"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEPTH = 10
_PARTS = 4
"""A longer tuple isn't taken apart."""
_MODULE_CLASS = "torch.nn.modules.module.Module"
_TENSOR_CLASS = "torch._tensor.Tensor"
_NOT_READ = frozenset({"test", "tests", "testing", "examples", "benchmarks", "scripts"})
_MANY = frozenset({"list", "List", "tuple", "Tuple", "Sequence"})
_KEEPING = frozenset(
    """torch.no_grad torch.inference_mode torch.enable_grad torch.jit.script torch.jit.ignore torch.jit.unused
    torch.jit.export torch.jit.script_if_tracing torch.jit._overload functools.lru_cache functools.cache
    functools.wraps staticmethod classmethod typing.overload typing.no_type_check typing_extensions.deprecated
    typing.override typing_extensions.override abc.abstractmethod warnings.deprecated""".split()
)
"""Decorators under which a function still gives what it says."""

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Defined:
    """A class, function or assignment, and the module that it stands in."""

    module: Module
    node: ast.AST

    @property
    def full(self) -> str:
        """Its dotted name, where it has one."""
        return f"{self.module.name}.{getattr(self.node, 'name', '')}"


@dataclass(frozen=True)
class Class:
    """What a class derives from: MODULE, TENSOR or neither (""), and whether objects are moved as these are.

    `why_not` says what leaves it out: its own `cuda` or `to`, a base that can't be looked into.
    """

    kind: str
    why_not: str = ""


def version_of(release: Release, distribution: str) -> str:
    """The version that a release's metadata gives to `distribution`."""
    wanted = distribution.replace("-", "_").lower()
    for item in release.root.iterdir():
        name, _, version = item.name.removesuffix(".dist-info").rpartition("-")
        if item.name.endswith(".dist-info") and name.replace(".", "_").lower() == wanted:
            return version.partition("+")[0]
    raise ValueError(f"{release.root}: no metadata of {distribution}")


class Sources:
    """Several packages, each of one release, whose names are followed from one into the other.

    `alike` are full names of classes whose own `cuda` and `to` were read and do the same as torch's.
    """

    def __init__(self, packages: Mapping[str, Release], alike: Iterable[str] = ()) -> None:
        self.packages = packages
        self.alike = frozenset(alike)
        self._classes: dict[int, Class] = {}
        self._given: dict[int, str] = {}

    # -- names ---------------------------------------------------------------------------------------------

    def find(self, name: str, depth: int = _DEPTH) -> Defined | None:
        """What a full dotted name stands for, through imports; None where it can't be read."""
        release = self.packages.get(name.partition(".")[0])
        if release is None or depth < 0:
            return None
        parts = name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            module = release.module(".".join(parts[:end]))
            if module is not None:
                return self.member(module, ".".join(parts[end:]), depth)
        return None

    def member(self, module: Module, name: str, depth: int = _DEPTH) -> Defined | None:
        """What a dotted name stands for where `module` uses it."""
        if depth < 0:
            return None
        first, _, rest = name.partition(".")
        found = module.bound.get(first)
        if isinstance(found, (*_FUNCTIONS, ast.ClassDef)):
            if not rest:
                return Defined(module, found)
            inner = _own(found, rest) if isinstance(found, ast.ClassDef) else None
            return Defined(module, inner) if inner is not None else None
        if isinstance(found, (ast.Assign, ast.AnnAssign)) and len(module.every[first]) == 1:
            target = ast_dotted(found.value)
            if target is not None and target.partition(".")[0] != first:
                return self.member(module, f"{target}.{rest}" if rest else target, depth - 1)
            return Defined(module, found) if not rest else None
        target = module.imported.get(first)
        if target is not None:
            return self.find(f"{target}.{rest}" if rest else target, depth - 1)
        for source in module.stars:
            found_there = self.find(f"{source}.{name}", depth - 1) if self._exports(source, first) else None
            if found_there is not None:
                return found_there
        return None

    def _exports(self, source: str, name: str) -> bool:
        """Does `from source import *` bring this name?"""
        release = self.packages.get(source.partition(".")[0])
        module = release.module(source) if release is not None else None
        if module is None or module.public is None:
            return not name.startswith("_")
        return name in module.public

    def full(self, module: Module, node: ast.AST | None) -> str:
        """The dotted name that an expression stands for through the imports of its module alone."""
        name = ast_dotted(node) or ""
        first, _, rest = name.partition(".")
        target = module.imported.get(first, first)
        return f"{target}.{rest}" if rest else target

    # -- classes -------------------------------------------------------------------------------------------

    def class_of(self, found: Defined, depth: int = _DEPTH) -> Class:
        """What a class is, by all its bases."""
        node = found.node
        assert isinstance(node, ast.ClassDef)
        known = self._classes.get(id(node))
        if known is None:
            self._classes[id(node)] = Class("")  # of a base that derives from itself
            known = self._classes[id(node)] = self._read_class(found, node, depth)
        return known

    def _read_class(self, found: Defined, node: ast.ClassDef, depth: int) -> Class:
        if found.full == _MODULE_CLASS:
            return Class(MODULE)
        if found.full == _TENSOR_CLASS:
            return Class(TENSOR)
        kinds: list[str] = []
        reasons: list[str] = []
        for base in self.bases(found):
            if isinstance(base, str):
                reasons.extend([] if _is_plain(base) else [f"base {base}"])
                continue
            told = self.class_of(base, depth - 1) if depth > 0 else Class("", "too deep")
            kinds.append(told.kind)
            reasons.append(told.why_not)
        if found.full not in self.alike:
            own = [name for name in ("cuda", "to") if _own(node, name) is not None]
            if not found.full.startswith("torch.") and not self._is_made(found, node):
                own.append("__new__")
            if own:
                reasons.append(f"{found.full} has its own {', '.join(own)}")
        kind = next((k for k in kinds if k), "")
        return Class(kind, next(filter(None, reasons), ""))

    def _is_made(self, found: Defined, node: ast.ClassDef) -> bool:
        """Does a call of the class give an object of a torch class, also where it has a `__new__`?"""
        new = _own(node, "__new__")
        if new is None:
            return True
        if not isinstance(new, ast.FunctionDef) or new.returns is None:
            return False
        said = new.returns.value if isinstance(new.returns, ast.Constant) else ast_dotted(new.returns)
        return said in ("Self", node.name) or self.annotated(found.module, new.returns) in (MODULE, TENSOR)

    def bases(self, found: Defined) -> Iterator[Defined | str]:
        """The bases of a class; by name those that can't be read."""
        assert isinstance(found.node, ast.ClassDef)
        for item in found.node.bases:
            base = item.value if isinstance(item, ast.Subscript) else item
            name = ast_dotted(base)
            there = self.member(found.module, name) if name is not None else None
            if there is not None and isinstance(there.node, ast.ClassDef):
                yield there
            else:
                yield self.full(found.module, base) or ast.unparse(item)

    def method(self, found: Defined, name: str, depth: int = _DEPTH) -> Defined | None:
        """The method that a class has or inherits."""
        node = found.node
        assert isinstance(node, ast.ClassDef)
        own = _own(node, name)
        if own is not None:
            return Defined(found.module, own)
        for base in self.bases(found):
            if isinstance(base, Defined) and depth:
                inherited = self.method(base, name, depth - 1)
                if inherited is not None:
                    return inherited
        return None

    # -- functions -----------------------------------------------------------------------------------------

    def given_by(self, found: Defined, depth: int = 6) -> str:
        """What a call of a class or function gives: TENSOR, TENSORS, MODULE, those of a tuple, or "" for anything else."""
        node = found.node
        if isinstance(node, ast.ClassDef):
            told = self.class_of(found)
            return "" if told.why_not else told.kind
        if not isinstance(node, _FUNCTIONS) or depth < 0:
            return ""
        known = self._given.get(id(node))
        if known is None:
            self._given[id(node)] = ""
            known = self._given[id(node)] = self._read_function(found, node, depth)
        return known

    def _read_function(self, found: Defined, node: ast.FunctionDef | ast.AsyncFunctionDef, depth: int) -> str:
        if isinstance(node, ast.AsyncFunctionDef) or not all(
            self._keeps(found.module, d) for d in node.decorator_list
        ):
            return ""
        if node.returns is not None:
            told = self.annotated(found.module, node.returns)
            if told is not None:
                return told
        return _agreed([self._value(found.module, node, r.value, depth) for r in _returns(node)])

    def annotated(self, module: Module, node: ast.AST) -> str | None:
        """What an annotation says; "" for another class, None where it says nothing."""
        match node:
            case ast.Constant(value=str(text)):
                try:
                    return self.annotated(module, ast.parse(text, mode="eval").body)
                except SyntaxError:
                    return None
            case ast.Constant(value=None):
                return ""
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                given = [self.annotated(module, n) for n in (left, right) if not _is_none(n)]
                return _agreed(given) if None not in given else None
            case ast.Subscript(value=outer, slice=inner):
                last = (ast_dotted(outer) or "").rpartition(".")[2]
                items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                if last in ("Optional", "Union"):
                    given = [self.annotated(module, n) for n in items if not _is_none(n)]
                    return _agreed(given) if None not in given else None
                if last in _MANY:
                    listed = [self.annotated(module, n) or "" for n in items if not _is_ellipsis(n)]
                    return _together(listed, last.lower() == "tuple" and len(listed) == len(items))
                return ""
            case ast.Name() | ast.Attribute():
                return self._annotated_name(module, ast_dotted(node) or "")
            case _:
                return None

    def _annotated_name(self, module: Module, name: str) -> str | None:
        if name in ("int", "float", "bool", "str", "bytes", "dict", "list", "tuple", "set"):
            return ""
        found = self.member(module, name)
        if found is None:
            return None
        if isinstance(found.node, ast.ClassDef):
            return self.given_by(found)
        value = getattr(found.node, "value", None)
        if isinstance(value, ast.Call) and (ast_dotted(value.func) or "").endswith("TypeVar"):
            bound = next((k.value for k in value.keywords if k.arg == "bound"), None)
            return None if bound is None else self.annotated(found.module, bound)
        return None

    def _value(
        self, module: Module, function: ast.FunctionDef, node: ast.AST | None, depth: int
    ) -> str | None:
        """What an expression in a function holds: by calls of what is known, and names bound by these alone."""
        match node:
            case ast.Call(func=ast.Attribute(value=inner, attr=("eval" | "train" | "to" | "requires_grad_"))):
                told = self._value(module, function, inner, depth - 1) if depth > 0 else None
                return told if told == MODULE else None
            case ast.Call(func=func):
                name = ast_dotted(func)
                if name is None or name.partition(".")[0] in _bound_in(function):
                    return None
                found = self.member(module, name)
                return self.given_by(found, depth - 1) if found is not None and depth > 0 else None
            case ast.IfExp(body=body, orelse=other):
                return _agreed([self._value(module, function, n, depth - 1) for n in (body, other)])
            case ast.Tuple(elts=items) if not any(isinstance(i, ast.Starred) for i in items):
                return _together([self._value(module, function, i, depth - 1) or "" for i in items], True)
            case ast.Name(id=name):
                values = _bound_in(function).get(name)
                if not values or None in values or depth <= 0:
                    return None
                return _agreed(
                    [self._value(module, function, v, depth - 1) for v in values if not _is_itself(v, name)]
                )
            case _:
                return None

    def _keeps(self, module: Module, decorator: ast.AST) -> bool:
        """Does a function give under this decorator what it says?"""
        called = isinstance(decorator, ast.Call)
        func = decorator.func if isinstance(decorator, ast.Call) else decorator
        if self.full(module, func) in _KEEPING or ast_dotted(func) in _KEEPING:
            return True
        found = self.member(module, ast_dotted(func) or "")
        if found is None or not isinstance(found.node, ast.FunctionDef):
            return False
        return any(_passes_on(maker) for maker in (_inner_returned(found.node) if called else [found.node]))

    # -- a whole package -----------------------------------------------------------------------------------

    def derived(self, full: str) -> Iterator[str]:
        """The public classes of a package that derive from the one with this full name, but for the class itself."""
        for module in self.modules(full.partition(".")[0]):
            for name, node in module.bound.items():
                if isinstance(node, ast.ClassDef) and not name.startswith("_"):
                    if self._derives(Defined(module, node), full, _DEPTH):
                        yield name

    def _derives(self, found: Defined, full: str, depth: int) -> bool:
        return any(
            isinstance(base, Defined)
            and (base.full == full or (depth > 0 and self._derives(base, full, depth - 1)))
            for base in self.bases(found)
        )

    def modules(self, package: str) -> Iterator[Module]:
        """Every module of a package, or below one, but for tests and examples."""
        release = self.packages[package.partition(".")[0]]
        for name in sorted(_module_names(release.root.joinpath(*package.split(".")), package)):
            try:
                module = release.module(name)
            except (SyntaxError, ValueError, RecursionError):
                continue
            if module is not None:
                yield module


@dataclass
class Reading:
    """What one release of a package has: by public name what its definitions give, wherever they stand.

    `names` maps a name to ("class" or "function", what a call gives) of each definition; `makers` the class methods
    of module classes, by class what a call gives; `left_out` counts why classes that derive from torch's aren't listed.
    """

    names: dict[str, set[tuple[str, str]]]
    makers: dict[str, dict[str, str]]
    left_out: Counter[str]
    exported: set[str]
    """Names in an `__all__`, or in an `__init__.py`, imported or as text."""


def read(sources: Sources, package: str, below: str | None = None) -> Reading:
    """All public names of a package, or of what is below one of its modules."""
    found = Reading(defaultdict(set), defaultdict(dict), Counter(), set())
    for module in sources.modules(below or package):
        found.exported.update(module.public or ())
        if module.is_package:
            found.exported.update(module.imported, module.texts)
        for name, nodes in module.every.items():
            if name.startswith("_"):
                continue
            if any(_is_overload(n) for n in nodes):
                kinds = {sources.given_by(Defined(module, n)) for n in nodes if _is_overload(n)}
                found.names[name].add(("function", kinds.pop() if len(kinds) == 1 else ""))
                continue
            for node in nodes:
                _note(found, sources, module, name, node)
        for name, target in module.imported.items():
            if target.rpartition(".")[2] != name and not name.startswith("_"):
                there = sources.find(target)
                if there is not None and target.partition(".")[0] in sources.packages:
                    _note(found, sources, there.module, name, there.node)
    return found


def _stands_in(node: ast.AST) -> bool:
    """Is this what a name is where what it needs isn't installed: a class that raises when it is used, a plain None?"""
    match node:
        case ast.ClassDef(keywords=keywords):
            return any(ast_dotted(k.value) == "DummyObject" for k in keywords)
        case ast.Assign(value=value) | ast.AnnAssign(value=value):
            return isinstance(value, ast.Constant) or ast_dotted(value) == "object"
        case _:
            return False


def _note(found: Reading, sources: Sources, module: Module, name: str, node: ast.AST) -> None:
    item = Defined(module, node)
    if _stands_in(node):
        return
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        target = ast_dotted(node.value)
        there = sources.member(module, target) if target is not None else None
        if there is None or there.node is node:
            found.names[name].add(("value", ""))
            return
        item = there
    if isinstance(item.node, ast.ClassDef):
        told = sources.class_of(item)
        if told.kind and told.why_not:
            found.left_out[told.why_not] += 1
        given = sources.given_by(item)
        found.names[name].add(("class", given))
        if given == MODULE:
            for method, kind in _makers(sources, item):
                found.makers[method][name] = kind
    elif isinstance(item.node, _FUNCTIONS):
        found.names[name].add(("function", sources.given_by(item)))
    else:
        found.names[name].add(("value", ""))


def _makers(sources: Sources, found: Defined) -> Iterator[tuple[str, str]]:
    """The class methods of a class, its bases' too, and whether a call gives an object of it."""
    assert isinstance(found.node, ast.ClassDef)
    seen: set[str] = set()
    stack: list[Defined | str] = [found]
    while stack:
        item = stack.pop(0)
        if isinstance(item, str) or item.full == _MODULE_CLASS:
            continue
        assert isinstance(item.node, ast.ClassDef)
        for method in item.node.body:
            if not isinstance(method, ast.FunctionDef) or method.name.startswith("_") or method.name in seen:
                continue
            seen.add(method.name)
            if any(ast_dotted(d) == "classmethod" for d in method.decorator_list):
                yield method.name, _made(sources, item.module, method)
        stack.extend(sources.bases(item))


def _made(sources: Sources, module: Module, method: ast.FunctionDef) -> str:
    """MODULE for a class method that gives an object of its class (a module), else what else it gives."""
    if method.returns is not None:
        name = ast_dotted(method.returns) or (
            method.returns.value if isinstance(method.returns, ast.Constant) else ""
        )
        if name in ("Self", "typing.Self"):
            return MODULE
        told = sources.annotated(module, method.returns)
        if told is not None:
            return told
    values = [r.value for r in _returns(method)]
    me = method.args.args[0].arg if method.args.args else "cls"

    def is_own(node: ast.AST | None, depth: int = 3) -> bool:
        match node:
            case ast.Call(func=ast.Name(id=name)):
                return name == me
            case ast.Name(id=name) if depth:
                bound = _bound_in(method).get(name)
                return all(_is_itself(v, name) or is_own(v, depth - 1) for v in bound) if bound else False
            case _:
                return False

    return MODULE if values and all(map(is_own, values)) else ""


# -- trees -------------------------------------------------------------------------------------------------


def _own(node: ast.ClassDef, name: str) -> ast.AST | None:
    """What the body of a class binds a name to."""
    for item in node.body:
        match item:
            case ast.FunctionDef(name=bound) | ast.AsyncFunctionDef(name=bound) | ast.ClassDef(name=bound):
                if bound == name:
                    return item
            case ast.Assign(targets=targets):
                if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                    return item
            case ast.If(body=body):
                inner = _own(ast.ClassDef(name="", bases=[], keywords=[], body=body, decorator_list=[]), name)
                if inner is not None:
                    return inner
            case _:
                pass
    return None


def _is_plain(base: str) -> bool:
    """Is a base that isn't read one of Python's own, which moves nothing?"""
    head = base.partition(".")[0]
    return head in sys.stdlib_module_names or head == "typing_extensions" or base in ("object", "Generic")


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_ellipsis(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _is_overload(node: ast.AST) -> bool:
    return isinstance(node, _FUNCTIONS) and any(
        (ast_dotted(d) or "").rpartition(".")[2] == "overload" for d in node.decorator_list
    )


def _agreed(values: Sequence[str | None]) -> str:
    kinds = set(values)
    return (kinds.pop() or "") if len(kinds) == 1 else ""


def _together(kinds: Sequence[str], is_tuple: bool) -> str:
    """What a list of these is: TENSORS, or for a tuple of different ones each by itself, "?" for what isn't known."""
    if kinds and set(kinds) == {TENSOR}:
        return TENSORS
    plain = all(k in ("", TENSOR, MODULE) for k in kinds)
    if is_tuple and plain and any(kinds) and 1 < len(kinds) <= _PARTS:
        return " ".join(k or "?" for k in kinds)
    return ""


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """All below a function, but for what is in functions and classes of its own."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
            yield from _inside(child)


def _returns(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.Return]:
    """Its returns; none of a generator."""
    inside = list(_inside(node))
    if any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in inside):
        return []
    return [n for n in inside if isinstance(n, ast.Return)]


def _bound_in(node: ast.FunctionDef) -> dict[str, list[ast.expr | None]]:
    """What a function's names are bound to: None for a parameter and anything that isn't an assignment."""
    args = node.args
    found: dict[str, list[ast.expr | None]] = {
        a.arg: [None] for a in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg) if a
    }
    assigned: set[int] = set()
    for item in _inside(node):
        if isinstance(item, ast.Assign):
            for target in item.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(item.value)
                    assigned.add(id(target))
        elif isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load) and id(item) not in assigned:
            found.setdefault(item.id, []).append(None)
        elif isinstance(item, (*_FUNCTIONS, ast.ClassDef)):
            found.setdefault(item.name, []).append(None)
    return found


def _is_itself(node: ast.AST | None, name: str) -> bool:
    """`name.eval()`: what leaves a module a module."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attr)):
            return owner == name and attr in ("eval", "train", "to", "requires_grad_", "float", "half")
        case _:
            return False


def _inner_returned(node: ast.FunctionDef) -> list[ast.FunctionDef]:
    """The functions inside `node` that it returns."""
    inner = {n.name: n for n in _inside(node) if isinstance(n, ast.FunctionDef)}
    names = [ast_dotted(r.value) for r in _returns(node)]
    return [inner[n] for n in names if n in inner] if names and all(n in inner for n in names) else []


def _passes_on(node: ast.FunctionDef) -> bool:
    """Does a decorator return its function, or one that returns what that gives?"""
    if not node.args.args:
        return False
    me = node.args.args[0].arg
    returned = [ast_dotted(r.value) for r in _returns(node)]
    if returned and set(returned) == {me}:
        return True

    def calls_it(item: ast.FunctionDef) -> bool:
        values = [r.value for r in _returns(item)]
        return bool(values) and all(isinstance(v, ast.Call) and ast_dotted(v.func) == me for v in values)

    inner = _inner_returned(node)
    return bool(inner) and all(map(calls_it, inner))


def _module_names(folder: Path | ZipPath, name: str) -> Iterator[str]:
    yield name
    for item in folder.iterdir():
        stem = item.name.removesuffix(".py")
        if item.is_dir():
            if item.name not in _NOT_READ and item.name.isidentifier():
                if item.joinpath("__init__.py").is_file():
                    yield from _module_names(item, f"{name}.{item.name}")
        elif item.name.endswith(".py") and stem.isidentifier() and stem != "__init__":
            if stem not in _NOT_READ and not stem.startswith("test_"):
                yield f"{name}.{stem}"
