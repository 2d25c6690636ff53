"""What a rule is: one class that holds its code, its reason, its examples and what it looks for."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from uncuda.findings import Applicability, Category, TorchVersion

if TYPE_CHECKING:
    from uncuda.around.context import FileContext


@dataclass(frozen=True)
class Bad:
    """Code that the rule must report.

    `fixed` is the whole text after the rule's own fixes (None: there is no fix). `floor` is the torch floor it
    runs under. `applicability` is that of the fix. `run` is a line that, after the code, makes a value to
    compare before and after (an expression), for fixes that are executed; `setup` runs before both. `file` is
    the name of the file that it stands in, where that isn't a Python module.
    """

    code: str
    fixed: str | None = None
    applicability: Applicability = Applicability.SAFE
    floor: TorchVersion = (2, 6)
    count: int = 1
    setup: str = ""
    run: str | None = None
    id: str = ""
    device_expr: str | None = None
    device_import: str | None = None
    file: str = ""


@dataclass(frozen=True)
class Good:
    """Code that the rule must leave alone, with the reason as `why`."""

    code: str
    why: str = ""
    floor: TorchVersion = (2, 6)
    file: str = ""


class Rule:
    """One kind of tie. Subclass it, fill the class variables, write `visit_<Node>(node, ctx)` methods.

    The docstring is the rule's page: its first line is the summary; then why it hurts, what the fix keeps,
    and the source of the facts.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    triggers: ClassVar[tuple[str, ...]]
    r"""Literal text, case-sensitive: without one of these in the code of the very statement (not in a comment or
    docstring, nor in the statements inside it) the rule can't fire. Names that stand for one, through imports and
    assignments, count too. `\bcute\b` asks for a whole word; `import apex` stands for any import of
    that module. They must be rare: files without any are never parsed."""
    reads_texts: ClassVar[bool] = False
    """Does it look into texts of several words? Else a trigger in one is prose. An f-string counts as code."""
    reads_words: ClassVar[bool] = True
    """Does it look into texts of one word? Else a trigger in one is prose as well."""
    words_beside: ClassVar[str] = ""
    """Texts of one word matter to it only where this stands in the file as well."""
    category: ClassVar[Category] = Category.MANDATORY
    effort: ClassVar[int] = 1
    """Story points of doing it by hand: 0, 1, 3, 5, 7 or 13."""
    priority: ClassVar[int] = 50
    """Among rules that see the same node, the lower goes first."""
    fix_safety: ClassVar[str] = ""
    """When the fix is safe, when it isn't, and what it never does."""
    sources: ClassVar[tuple[str, ...]] = ()
    bad: ClassVar[tuple[Bad, ...]] = ()
    good: ClassVar[tuple[Good, ...]] = ()

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return cls.why().partition("\n")[0].rstrip(".")

    @classmethod
    def why(cls) -> str:
        """The whole docstring, without its indentation."""
        return inspect.cleandoc(cls.__doc__ or "")

    @classmethod
    def made_triggers(cls) -> tuple[str, ...]:
        """The triggers as the catalogue shall hold them: some are made from the knowledge base."""
        return cls.triggers

    @classmethod
    def fixability(cls) -> str:
        """How far its fixes can be trusted, read off its examples: "safe, unsafe", say, or "none"."""
        kinds = {bad.applicability for bad in cls.bad if bad.fixed is not None}
        return ", ".join(kind.value for kind in Applicability if kind in kinds) or "none"

    @classmethod
    def handlers(cls) -> dict[str, str]:
        """libcst node type name to the name of the method that wants it."""
        return {name[6:]: name for name in dir(cls) if name.startswith("visit_")}


class FileRule(Rule):
    """A rule on files around the code, which the walk over Python doesn't run.

    It writes `visit_<Item>(item, ctx)` methods for the items of `uncuda.around.items` that readers find in such
    files, or `look(ctx)` for what takes a whole file. Its examples name their files.
    """

    def look(self, ctx: FileContext) -> None:
        """Looks at a file as a whole, before its items are visited one by one."""


__all__ = ["Applicability", "Bad", "Category", "FileRule", "Good", "Rule"]
