"""What a rule sees of the place it is called at, and how it reports."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from uncuda.bindings import Binding, Scope, arriving, names_read
from uncuda.devices import Devices
from uncuda.findings import Category, Edit, Outcome, Target, TorchVersion
from uncuda.fixes.builder import CannotFix, FixBuilder, PendingFix, TooOld
from uncuda.flow import Flow
from uncuda.guards import (
    Guard,
    Surroundings,
    asks_by_name,
    guard_of,
    imported_in_branch,
    is_fallback,
    is_for_checkers,
    is_for_types,
)
from uncuda.others import is_cuda_implementation, own_branches
from uncuda.scripted import SCRIPTS, scripted
from uncuda.source import Lines, lines_of
from uncuda.values import Value
from uncuda.walk import STATEMENTS, children, walk

if TYPE_CHECKING:
    from uncuda.index import ClassFacts, FileIndex, ImportSite
    from uncuda.neighbours import Neighbours
    from uncuda.rules.base import Rule


@dataclass(frozen=True)
class Options:
    """What the engine needs to know to check one text.

    `codes`: the rules to run. `device_expr` and `device_import`: the project's own helper for a device, such
    as `get_device()` and `from mylib.utils import get_device`. `whole_file`: parse the whole file with libcst
    (the slow reference for the islands). `targets`: None means all. `own`: the import names that the project
    at hand provides itself. `neighbours`: its other modules, where they have a say. `unsafe`: unsafe fixes will be
    applied too, so that safe ones may rely on them.
    """

    torch_floor: TorchVersion = (2, 6)
    codes: frozenset[str] | None = None
    device_expr: str | None = None
    device_import: str | None = None
    whole_file: bool = False
    targets: frozenset[Target] | None = None
    own: frozenset[str] = frozenset()
    neighbours: Neighbours | None = None
    unsafe: bool = False


@dataclass
class RawFinding:
    """A finding whose place is still a node."""

    rule: Rule
    node: cst.CSTNode
    statement: cst.CSTNode | None
    """The one that it is in, where that is known."""
    message: str
    symbol: str
    outcomes: Mapping[Target, Outcome]
    fix: PendingFix | None
    category: Category | None = None
    fix_needs: TorchVersion | None = None


@dataclass
class Context:
    """The place of the walk. One object serves a whole file; the engine moves it along."""

    index: FileIndex
    options: Options
    module: Scope
    ancestors: list[cst.CSTNode] = field(default_factory=list)
    scope: Scope = field(init=False)
    owner: ClassFacts | None = None
    root: cst.Module = field(init=False)
    island_start: int = 0
    raw: list[RawFinding] = field(default_factory=list)
    claimed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.scope = self.module
        self.devices = Devices(self)
        self.around = Surroundings()
        self._flow: Flow | None = None
        # By id, with the node: it must live as long as its id is used.
        self._names: dict[int, tuple[cst.CSTNode | None, str | None]] = {}
        self._values: dict[int, tuple[cst.CSTNode | None, Value]] = {}
        self._guards: dict[int, tuple[cst.CSTNode, Guard]] = {}
        self._bound: dict[str, tuple[Scope, list[Binding]] | None] = {}
        self._replaced: dict[str, bool] = {}

    def begin(self, start: int, around: Surroundings) -> None:
        """A new island, whose first line begins at character `start`."""
        self.around = around
        self.island_start = start
        self.claimed.clear()
        self.devices.settle()

    def close(self) -> None:
        """The file is done: lets go of what would keep its trees in a cycle, where no collector runs."""
        del self.devices

    def arrive(self) -> None:
        """The walk has come to another node: what was worked out at the last one holds no more."""
        self._flow = None
        self._names.clear()
        self._values.clear()
        self._guards.clear()
        self._bound.clear()

    # -- the place -----------------------------------------------------------------------------------------

    @property
    def flow(self) -> Flow:
        """Names and values as seen from here."""
        if self._flow is None:
            self._flow = Flow(self.index, self.scope, self.ancestors, self.owner)
        return self._flow

    @property
    def newline(self) -> str:
        """The line break that this file uses."""
        return _newline(self.index.text)

    @property
    def parent(self) -> cst.CSTNode | None:
        """The node right above the one at hand."""
        return self.ancestors[-1] if self.ancestors else None

    @property
    def function(self) -> cst.FunctionDef | None:
        """The innermost function whose body or signature the place is in."""
        return next((n for n in reversed(self.ancestors) if isinstance(n, cst.FunctionDef)), None)

    @property
    def statement(self) -> cst.CSTNode | None:
        """The innermost statement the place is in."""
        for node in reversed(self.ancestors):
            if isinstance(node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                return node
        return None

    def qualified(self, node: cst.CSTNode | None) -> str | None:
        """The full dotted name that `node` stands for ("torch.cuda.Event"), through imports and aliases."""
        # Many rules ask the same of one node.
        known = self._names.get(id(node))
        if known is None:
            known = self._names[id(node)] = (node, self.flow.qualified(node))
        return known[1]

    def value(self, node: cst.CSTNode | None) -> Value:
        """What `node` holds."""
        known = self._values.get(id(node))
        if known is None:
            known = self._values[id(node)] = (node, self.flow.value(node))
        return known[1]

    def code(self, node: cst.CSTNode) -> str:
        """The source of `node`."""
        return self.root.code_for_node(node)

    def guard(self, node: cst.CSTNode) -> Guard:
        """What keeps `node` from running without CUDA."""
        known = self._guards.get(id(node))
        if known is None:
            guard = guard_of(self.ancestors, node, lambda: self.flow, self.around)
            known = self._guards[id(node)] = (node, guard)
        return known[1]

    def parent_of(self, node: cst.CSTNode) -> tuple[cst.CSTNode | None, list[cst.CSTNode]]:
        """The parent of a node at or below the place at hand, and the path to it."""
        for start in range(len(self.ancestors) - 1, -1, -1):
            for child in children(self.ancestors[start]):
                if child is node:
                    return self.ancestors[start], self.ancestors[: start + 1]
        return self._search(node)

    def _search(self, node: cst.CSTNode) -> tuple[cst.CSTNode | None, list[cst.CSTNode]]:
        searched: cst.CSTNode | None = None
        for depth in range(len(self.ancestors) - 1, -1, -1):
            top = self.ancestors[depth]
            path = _path_down(top, node, searched)
            if path:
                return path[-1], [*self.ancestors[:depth], *path]
            searched = top
        return None, []

    def in_script(self) -> bool:
        """Is the place code that TorchScript compiles? It knows nothing of torch.accelerator."""
        if not self.index.has(SCRIPTS, "script", "jit"):
            return False
        names = [n.name.value for n in self.ancestors if isinstance(n, (cst.FunctionDef, cst.ClassDef))]
        if self.owner is not None:
            names.append(self.owner.name)
        return not scripted(self.index.text).isdisjoint(names)

    # -- outcomes ------------------------------------------------------------------------------------------

    def outcomes(self, symbol: str, node: cst.CSTNode) -> dict[Target, Outcome]:
        """The table's outcomes of `symbol`, as they turn out at `node` under its guards."""
        from uncuda.rules.knowledge import outcomes

        return self.guarded(dict(outcomes(symbol)), node)

    def guarded(self, table: dict[Target, Outcome], node: cst.CSTNode) -> dict[Target, Outcome]:
        """`table` as it turns out at `node`: code that is skipped without CUDA can't crash there."""
        guard = self.guard(node)
        if guard in (Guard.NONE, Guard.ACCELERATOR):
            if guard is Guard.ACCELERATOR and table.get(Target.CPU) is not Outcome.WORKS:
                table[Target.CPU] = Outcome.HARMLESS
            return table
        for target, outcome in table.items():
            if outcome in (Outcome.WORKS, Outcome.HARMLESS) and target is not Target.CPU:
                continue
            if target is Target.ROCM and guard is not Guard.TRY:
                continue  # ROCm passes a guard that asks for CUDA.
            if target is Target.CPU:
                table[target] = Outcome.HARMLESS
            elif outcome is Outcome.CRASH:
                table[target] = Outcome.DEGRADED if guard is Guard.TRY else Outcome.SILENT_CPU
        return table

    # -- reporting -----------------------------------------------------------------------------------------

    def claim(self, *nodes: cst.CSTNode, deep: bool = False) -> None:
        """Marks nodes as told: no other rule reports at them. `deep` takes everything below too."""
        for node in nodes:
            if deep:
                self.claimed.update(map(id, walk(node)))
                continue
            self.claimed.add(id(node))
            inner: cst.CSTNode = node
            while True:
                if isinstance(inner, cst.Call):
                    inner = inner.func
                elif isinstance(inner, cst.Attribute):
                    inner = inner.value
                    if isinstance(inner, cst.Call):
                        break
                else:
                    break
                self.claimed.add(id(inner))

    def is_claimed(self, node: cst.CSTNode) -> bool:
        """Has another rule told this tie already?"""
        return id(node) in self.claimed

    def report(
        self,
        rule: Rule,
        node: cst.CSTNode,
        message: str,
        *,
        symbol: str,
        outcomes: Mapping[Target, Outcome] | None = None,
        claims: tuple[cst.CSTNode, ...] = (),
        fix: Callable[[FixBuilder], None] | None = None,
        title: str = "",
        category: Category | None = None,
    ) -> bool:
        """Reports a tie at `node`, unless a rule that came earlier has told it; says whether it did.

        `symbol` is a key of the knowledge base, from which `outcomes` come when they aren't given (guards
        are taken into account then). `claims` are further nodes that belong to this tie, taken with all below
        them. `fix` fills a FixBuilder; when it raises CannotFix the finding has none.
        `category` differs from the rule's own where a place is handled in part already.
        """
        if id(node) in self.claimed:
            return False
        self.claim(node)
        for other in claims:
            self.claim(other, deep=True)
        if self.options.codes is not None and rule.code not in self.options.codes:
            return False
        path = [*self.parent_of(node)[1], node]
        if is_for_types(path):
            return False
        told = dict(self.outcomes(symbol, node) if outcomes is None else outcomes)
        # What has a branch of its own is handled; the branch for CUDA devices is then right as it stands.
        handled, cuda_side = own_branches(path)
        cuda_side = cuda_side or (self.owner is not None and is_cuda_implementation(self.owner.name))
        for target in Target if cuda_side else handled:
            if told.get(target) not in (None, Outcome.WORKS):
                told[target] = Outcome.HARMLESS
        pending: PendingFix | None = None
        fix_needs: TorchVersion | None = None
        stays = (self.owner is not None and asks_by_name(path)) or is_fallback(path, self.code)
        if stays:
            category = Category.POTENTIAL
        stays = stays or _wants_cuda(path) or self._is_replaced(symbol)
        stays = stays or (fix is not None and self._works_with_cuda_alone)
        if fix is not None and not cuda_side and not stays and not self.in_script():
            builder = FixBuilder(self, node, title or rule.summary())
            mark = self.devices.mark()
            try:
                fix(builder)
                pending = builder.done() if builder.edits else None
                self.devices.judge(builder)
            except CannotFix as reason:
                self.devices.rewind(mark)
                fix_needs = reason.version if isinstance(reason, TooOld) else None
        self.raw.append(
            RawFinding(
                rule,
                node,
                _statement_of(path if len(path) > 1 else [*self.ancestors, node]),
                message,
                symbol,
                told,
                pending,
                category,
                fix_needs,
            )
        )
        return True

    def _is_replaced(self, symbol: str) -> bool:
        """Does the file put a function of its own in the place of this one of torch.cuda? Who reads it there, to put it
        back or to run under the other, means this very name."""
        if not symbol.startswith("torch.cuda."):
            return False
        known = self._replaced.get(symbol)
        if known is None:
            put = re.finditer(rf"{re.escape(symbol.removeprefix('torch.'))}\s*=(?!=)", self.index.text)
            known = any(_is_border(self.index.text, found.start()) for found in put)
            self._replaced[symbol] = known
        return known

    @cached_property
    def _works_with_cuda_alone(self) -> bool:
        """Does the file need, first of all, a runtime that exists for CUDA only, such as TensorRT? Then it stays as it is
        until that is replaced."""
        from uncuda.rules.knowledge import package

        names = (name for site in self.index.imports for _, name in site.names if not name.startswith("."))
        found = (package(name) for name in names)
        return any(entry is not None and entry.is_cuda_runtime for entry in found)

    # -- what fixes ask ------------------------------------------------------------------------------------

    def spell(self, name: str, builder: FixBuilder) -> str:
        """The local spelling of a torch name; adds `import torch` to the fix where it isn't there."""
        head, _, rest = name.partition(".")
        local = self.local_name(head)
        if local is None:
            found = self.flow.bindings(head)
            if found is not None and found[0] is not self.module:
                raise CannotFix(f"{head!r} means something else here")
            if head in self.index.bindings and not all(b.target == head for b in self.index.bindings[head]):
                raise CannotFix(f"{head!r} means something else in this file")
            if head == "torch":
                self._let_load_torch(builder)
            builder.edits.append(self.import_edit(f"import {head}"))
            local = head
        return f"{local}.{rest}" if rest else local

    def _let_load_torch(self, builder: FixBuilder) -> None:
        """May the module import torch as soon as it is itself imported? A file that puts that off has a reason, and
        one that names torch nowhere may be used without it."""
        if self.index.has(_LOADS_TORCH):
            return
        if self.index.has(_LOADS_TORCH_LATER):
            raise CannotFix("torch is imported only where it is needed: it must be imported here first")
        builder.unsafe()

    def local_name(self, module: str) -> str | None:
        """The name under which `module` is imported here, if it is."""
        flow = self.flow
        if "." not in module and flow.qualified(cst.Name(module)) == module:
            found = flow.bindings(module)
            if found is None or (
                all(b.kind in ("import", "assign") for b in found[1])
                and self._is_bound_by_now(module, found[0])
            ):
                return module
        scope: Scope | None = self.scope
        while scope is not None and scope is not self.module:
            for name, bindings in scope.bindings().items():
                if any(b.kind == "import" and b.target == module for b in bindings):
                    if flow.qualified(cst.Name(name)) == module and self._is_bound_by_now(name, scope):
                        return name
            scope = scope.parent
        for name, target in self.index.aliases.items():
            if target == module and flow.qualified(cst.Name(name)) == module:
                if self._is_bound_by_now(name, self.module):
                    return name
        return None

    def _is_bound_by_now(self, name: str, scope: Scope) -> bool:
        """Does a binding of `name` come before this place, where both are in the same scope? One that only type
        checkers see is none."""
        bound = [b for b in scope.bindings().get(name, []) if not is_for_checkers(b)]
        if not bound and scope.bindings().get(name):
            return False
        here = self.scope
        while here is not scope and here.immediate and here.parent is not None:
            here = here.parent
        place = self.flow.place_in(scope) if here is scope else None
        return place is None or bool(arriving(bound, place))

    def import_edit(self, line: str) -> Edit:
        """An edit that adds an import (`import x`, `from x import y`) where a reader would look for it.

        Beside what the file imports from the same package already; else, among the imports at the top of the file
        that stand before any other code, after the last of the standard library for one of these, and for any other
        among those of other projects, or before the first of the project's own; else after the docstring. In any case
        before the place at hand, where that runs when the module is imported.
        """
        text, newline = self.index.text, self.newline
        words = line.split()
        package = words[1]
        sites = self._leading_imports()
        if not any(isinstance(n, (cst.FunctionDef, cst.Lambda)) for n in self.ancestors):
            sites = [site for site in sites if site.start < self.island_start]
        heads = [text[site.start : site.end] for site in sites]
        for site, head in zip(sites, heads, strict=True):
            if words[0] == "from":
                if head.startswith(f"from {package} import ") and not set("(*\\") & set(head):
                    return Edit(site.end, site.end, f", {' '.join(words[3:])}")
            elif head.startswith((f"from {package} ", f"from {package}.", f"import {package}.")):
                return Edit(site.start, site.start, f"{line}{newline}")
        own = _among_kin(package, list(zip(sites, heads, strict=True)))
        if words[0] == "from" and own is not None:
            site, before = own
            at = site.start if before else self._lines.after(site.end)
            return Edit(at, at, f"{line}{newline}")
        kin = [_package(h) in sys.stdlib_module_names for h in heads]
        if package in sys.stdlib_module_names:
            if any(kin):
                behind = _behind(
                    package, [(s, h) for s, h, near in zip(sites, heads, kin, strict=True) if near]
                )
                if behind is not None and words[0] == "import":
                    return Edit(behind, behind, f"{line}{newline}")
                end = max(s.end for s, near in zip(sites, kin, strict=True) if near)
                if text.startswith(("\n", "\r"), end):
                    # Before what is added at the start of the next line.
                    return Edit(end, end, f"{newline}{line}")
                return Edit(self._lines.after(end), self._lines.after(end), f"{line}{newline}")
            at = sites[0].start if sites else self.index.body_start
            apart = bool(sites) or not text.startswith(("\n", "\r"), at)
            return Edit(at, at, f"{line}{newline}{newline if apart else ''}")
        mine = [h.startswith("from .") or _package(h) in self.options.own for h in heads]
        others = [
            (s, h) for s, h, near, here in zip(sites, heads, kin, mine, strict=True) if not near and not here
        ]
        if words[0] == "import" and others:
            behind = _behind(package, others)
            at = behind if behind is not None else self._lines.after(others[-1][0].end)
            if text[at - 1 : at] in ("\n", "\r"):
                return Edit(at, at, f"{line}{newline}")
        at = self._lines.after(sites[-1].end) if sites else self.index.body_start
        at = next((s.start for s, here in zip(sites, mine, strict=True) if here), at)
        if at == len(text) and not text.endswith(("\n", "\r")):
            return Edit(at, at, f"{newline}{line}")
        # The first import of a file stands apart from its code.
        gap = "" if sites or text.startswith(("\n", "\r"), at) else newline
        return Edit(at, at, f"{newline if sites and all(kin) else ''}{line}{newline}{gap}")

    @cached_property
    def _lines(self) -> Lines:
        return lines_of(self.index.text)

    def _leading_imports(self) -> list[ImportSite]:
        """The first run of imports that aren't from the future, each on lines of its own."""
        found: list[ImportSite] = []
        for site in self.index.imports:
            if site.future:
                continue
            start = self.index.text.rfind("\n", 0, site.start) + 1
            if self.index.text[start : site.start].strip():
                break
            if found and _code_between(self.index.text[found[-1].end : site.start]):
                break
            found.append(site)
        return found

    def is_free(self, name: str) -> bool:
        """Is `name` bound nowhere in the module and around this place, nor read in the function that it is in?"""
        if name in self.index.bindings or self.bindings_of(name) is not None:
            return False
        top = next((n for n in self.ancestors if isinstance(n, cst.FunctionDef)), None)
        return top is None or all(found != name for found in names_read(top))

    def bindings_of(self, name: str) -> tuple[Scope, list[Binding]] | None:
        """The bindings of `name` that reach this place."""
        if name not in self._bound:
            self._bound[name] = self.flow.bindings(name)
        return self._bound[name]


def _path_down(top: cst.CSTNode, node: cst.CSTNode, searched: cst.CSTNode | None) -> list[cst.CSTNode]:
    """The nodes from `top` down to the parent of `node`; none where it isn't below. What is below `searched` is known
    not to have it."""
    above: dict[int, cst.CSTNode] = {}
    waiting = [top]
    while waiting:
        here = waiting.pop()
        for child in children(here):
            if child is node:
                path = [here]
                while path[-1] is not top:
                    path.append(above[id(path[-1])])
                return path[::-1]
            if child is not searched:
                above[id(child)] = here
                waiting.append(child)
    return []


def _statement_of(path: list[cst.CSTNode]) -> cst.CSTNode | None:
    """The innermost statement on the way to the end of a path; an `elif` belongs to the `if`."""
    for depth in range(len(path) - 1, -1, -1):
        node = path[depth]
        if isinstance(node, cst.SimpleStatementLine):
            # The names that it imports are no nodes of a path.
            return node.body[0] if len(node.body) == 1 else None
        if node.__class__ in STATEMENTS and not (depth and _is_elif(node, path[depth - 1])):
            return node
    return None


def _is_elif(node: cst.CSTNode, above: cst.CSTNode) -> bool:
    return isinstance(above, cst.If) and above.orelse is node


def _is_border(text: str, at: int) -> bool:
    """May a word begin at a place of a text?"""
    before = text[at - 1 : at]
    return not (before.isalnum() or before == "_")


_LOADS_TORCH = re.compile(
    r"^(?:import|from)[ \t]+(?:torch|pytorch_lightning|lightning|timm|accelerate|sentence_transformers)\w*\b",
    re.M,
)
_LOADS_TORCH_LATER = re.compile(r"^[ \t]+(?:import|from)[ \t]+torch\b", re.M)


def _wants_cuda(path: list[cst.CSTNode]) -> bool:
    """Is the end of a path in a branch that works with a package which is for CUDA only?"""
    from uncuda.rules.knowledge import package

    found = (package(name) for name in imported_in_branch(path))
    return any(entry is not None and entry.cuda_only == "yes" for entry in found)


def _among_kin(package: str, sites: list[tuple[ImportSite, str]]) -> tuple[ImportSite, bool] | None:
    """The import of the same package, or the relative one, beside which `from package import …` comes in the alphabet,
    and whether before it; None where there is none."""
    top = package.partition(".")[0]
    kin = [
        (s, h.split()[1]) for s, h in sites if h.startswith("from ") and h.split()[1].partition(".")[0] == top
    ]
    if not kin:
        return None
    later = next((s for s, name in kin if _order(name) > _order(package)), None)
    return (later, True) if later is not None else (kin[-1][0], False)


def _order(module: str) -> tuple[int, str]:
    """Modules further up come first among relative imports."""
    name = module.lstrip(".")
    return len(name) - len(module), name


def _behind(package: str, sites: list[tuple[ImportSite, str]]) -> int | None:
    """Where `import package` comes among imports that are sorted as most tools sort them: before the first
    `import` that comes behind it in the alphabet, or before the first `from`; None where they aren't sorted so."""
    plain = [(s, h.split()[1]) for s, h in sites if h.startswith("import ")]
    others = [s for s, h in sites if h.startswith("from ")]
    names = [name for _, name in plain]
    if names != sorted(names) or any("," in name for name in names):
        return None
    if plain and others and plain[-1][0].start > others[0].start:
        return None
    later = next((s.start for s, name in plain if name > package), None)
    return later if later is not None else (others[0].start if others else None)


def _package(statement: str) -> str:
    """The top-level package that an import statement names first ("" for a relative one)."""
    return re.split(r"[.\s,;]", statement.split(None, 1)[1], maxsplit=1)[0]


def _code_between(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()[1:])


def _newline(text: str) -> str:
    at = text.find("\n")
    if at > 0 and text[at - 1] == "\r":
        return "\r\n"
    return "\n" if at >= 0 or "\r" not in text else "\r"
