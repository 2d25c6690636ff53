"""Where a new `device = …` stands: as near to its uses as a reader would put it, and before all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import libcst as cst

from uncuda.bindings import Scope, surely_bound
from uncuda.fixes.styles import Spelling
from uncuda.flow import Flow
from uncuda.guards import Surroundings, surely_available

Path = tuple[cst.CSTNode, ...]
"""Nodes from the root of a tree down to a place."""


@dataclass(frozen=True)
class Use:
    """A place that needs the device, with names as seen from there."""

    path: Path
    flow: Flow
    around: Surroundings


@dataclass(eq=False)
class NewDevice:
    """A device that the fixes of one function share. Which statement it stands before, and how it is written, is
    settled when all its uses are known."""

    name: str
    spelling: Spelling
    root: cst.CSTNode
    """The suite of the function (or of `if __name__ == "__main__":`) that it is bound in."""
    index: str = ""
    """The index that it has, as source text."""
    at: Path | None = None
    """The path to the statement before which it stands, where that is settled already."""
    uses: list[Use] = field(default_factory=list)
    joined: NewDevice | None = None
    statement: cst.CSTNode | None = None
    line: str = ""
    optional: bool = False
    """Do fixes hold without it?"""

    @property
    def final(self) -> NewDevice:
        """Itself, or the device of an outer function that took its place."""
        return self if self.joined is None else self.joined.final

    def settle(self) -> None:
        """Decides on statement and line; nothing more may be added afterwards. There is no statement where torch is
        imported in the function, and not before all uses."""
        if self.statement is not None or not self.uses:
            return
        near = self.at or place(self.root, [use.path for use in self.uses])
        ways = (near,) if self.at else (tuple(out_of_blocks(self.root, list(near))), near)
        path = next(filter(self._knows_torch, ways), None)
        if path is None:
            return
        self.statement = path[-1]
        self.line = f"{self.name} = {self._value(path)}"

    def _value(self, path: Path) -> str:
        available = surely_available(path[:-1], path[-1], self.uses[0].flow, self.uses[0].around)
        return self.spelling.bound(self.index, available)

    def _knows_torch(self, path: Path) -> bool:
        if self.spelling.own:
            return True
        torch = self.spelling.torch.partition(".")[0]
        scope: Scope | None = self.uses[0].flow.scope
        while scope is not None and getattr(scope.node, "body", None) is not self.root:
            if scope.parent is not None and torch in scope.bindings():
                return False  # known in a class or function inside alone
            scope = scope.parent
        if scope is None:
            return True
        found = scope.bindings().get(torch, [])
        here = scope.places.get(id(path[-1]))
        return not found or (here is not None and surely_bound(found, here))


_OFTEN = 3
"""So many names of a module in one function are worth a variable."""


@dataclass(eq=False)
class NewModule(NewDevice):
    """The module of the device that is there. It is bound where the fixes of a function name it often enough: until
    that is known, `mark` stands for it in what they write."""

    optional: bool = True
    mark: str = ""

    @property
    def written(self) -> str:
        """What it turned out to be."""
        made = self.final
        return made.name if made.statement is not None else self.spelling.module

    def settle(self) -> None:
        """Binds it where it is named often."""
        if len(self.uses) >= _OFTEN:
            super().settle()

    def _value(self, path: Path) -> str:
        return self.spelling.module


def join(devices: Iterable[NewDevice]) -> None:
    """Where a function binds a device for itself, the functions inside it use that one."""
    every = list(devices)
    for made in every:
        for other in every:
            if made is not other and other.uses and made.uses and made.name == other.name:
                if made.index == other.index and any(node is other.root for node in made.uses[0].path):
                    other.uses.extend(made.uses)
                    made.uses.clear()
                    made.joined = other


def root_of(path: Path) -> cst.CSTNode | None:
    """The suite in which a new name can be bound for the place at the end of `path`: that of the innermost function
    whose body the place is in, or of the main guard; None at the top of a module and where there is room for an
    expression only."""
    for depth in range(len(path) - 1, 0, -1):
        above, below = path[depth - 1], path[depth]
        if isinstance(above, cst.FunctionDef) and below is above.body:
            return below if isinstance(below, cst.IndentedBlock) else None
        if isinstance(above, cst.If) and below is above.body and depth == 2 and _is_main(above):
            return below if isinstance(below, cst.IndentedBlock) else None
    return None


def _is_main(node: cst.If) -> bool:
    match node.test:
        case cst.Comparison(left=cst.Name("__name__")):
            return True
        case _:
            return False


def place(root: cst.CSTNode, uses: Sequence[Path]) -> Path:
    """The path to the statement before which a name must be bound to reach all of `uses`, all of them in the suite
    `root`: in the innermost suite that holds them all."""
    first, *rest = (_statements(root, path) for path in uses)
    common = len(first)
    for other in rest:
        common = min(common, len(other))
        while common and first[common - 1][0] is not other[common - 1][0]:
            common -= 1
    suite = first[common - 1][0]
    candidates = {id(found[common - 1][1]) for found in (first, *rest)}
    statement = next(s for s in suite.body if id(s) in candidates)
    path = uses[0]
    return (*path[: _index(path, suite) + 1], statement)


def _index(path: Path, node: cst.CSTNode) -> int:
    return next(i for i, item in enumerate(path) if item is node)


def _statements(root: cst.CSTNode, path: Path) -> list[tuple[cst.IndentedBlock, cst.CSTNode]]:
    """The suites from `root` down in which a statement could be put before the place, each with the statement of it
    that holds the place. A class body's names don't reach its methods: it is none."""
    found: list[tuple[cst.IndentedBlock, cst.CSTNode]] = []
    for depth in range(_index(path, root), len(path) - 1):
        above, below = path[depth], path[depth + 1]
        if isinstance(above, cst.ClassDef):
            break
        if isinstance(above, cst.IndentedBlock):
            found.append((above, below))
    return found


def out_of_blocks(root: cst.CSTNode, chain: list[cst.CSTNode]) -> list[cst.CSTNode]:
    """The path to the outermost loop, `with` or `try` around the end of `chain`, in the same function."""
    top = len(chain) - 1
    for depth in range(len(chain) - 2, _index(tuple(chain), root), -1):
        above, below = chain[depth], chain[depth + 1]
        if isinstance(above, cst.FunctionDef):
            break
        if isinstance(above, (cst.For, cst.While)) or (
            isinstance(above, (cst.With, cst.Try)) and below is above.body and _is_near(chain, depth, top)
        ):
            top = depth
    return chain[: top + 1]


def _is_near(chain: list[cst.CSTNode], depth: int, top: int) -> bool:
    """Are there only suites between a block and the place found so far?"""
    return all(isinstance(node, cst.IndentedBlock) for node in chain[depth + 1 : top])
