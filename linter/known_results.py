"""Looks up what calls of well-known functions and classes give: a tensor, several, a module. See docs/knowledge.md."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncuda.rules.knowledge.results import Results, Section

TENSOR = "tensor"
TENSORS = "tensors"
MODULE = "module"
MODULES = "modules"
"""A module that gives modules when it is iterated over."""
MOVABLE = "movable"
"""Neither, but moved by `.cuda()` and by `.to()` alike."""
SAME = "same"
"""What its first argument is."""
BATCHES = "batches"
"""Again and again what torch makes of several samples: tensors, and containers of tensors and of text."""
EACH = "each "
"""Begins what gives one such value after the other; several words are those of a tuple."""


def _results(library: str) -> Results | None:
    # Only here: a run that asks nothing loads nothing.
    from uncuda.rules.knowledge.results import results

    return results(library)


def _sections(found: Results, name: str) -> Iterator[Section]:
    """The sections that may have the names of the module `name`: its own, then those that go deeper, inside out."""
    if name in found.sections:
        yield found.sections[name]
    while name:
        section = found.sections.get(f"{name}.*")
        if section is not None:
            yield section
        name = name.rpartition(".")[0]


def of_call(name: str, arguments: int, keywords: Collection[str] = ()) -> str | None:
    """What `name(…)` gives, `name` being a full dotted name; None where it isn't known. Of the `arguments` some have
    `keywords`: names, with `=None` where that is given, and stars."""
    head, _, last = name.rpartition(".")
    found = _results(name.partition(".")[0]) if head else None
    if found is None or not found.unless.isdisjoint(keywords):
        return None
    hand = found.by_hand.get(name)
    if hand is not None:
        plain = arguments - len(keywords) <= hand.positional and hand.unless.isdisjoint(keywords)
        return hand.gives if plain and hand.fewest <= arguments <= hand.most else None
    around = head.rpartition(".")[2]
    for section in _sections(found, head):
        if around in section.classes:
            made = section.makers.get(last)
            if made is not None and around not in made:
                return section.classes[around]
            return section.functions.get(f"{around}.{last}")
        for gives in (
            section.classes.get(last),
            section.functions.get(last),
            section.functions.get(f"{around}.{last}"),
        ):
            if gives is not None:
                return gives
    return None


def of_class(name: str) -> str | None:
    """What an object of the class `name` is; None where it isn't known."""
    head, _, last = name.rpartition(".")
    found = _results(name.partition(".")[0]) if head else None
    if found is None:
        return None
    hand = found.by_hand.get(name)
    if hand is not None:
        return MODULE if hand.gives == MODULES else hand.gives if last[:1].isupper() else None
    for section in _sections(found, head):
        if last in section.classes:
            return section.classes[last]
        if section.functions.get(f"{last}.from_pretrained") == MODULE:
            # Nothing is made of such a class itself: what is called so was given by it.
            return MODULE
    return None


def is_module_base(name: str) -> bool:
    """Is a class that derives from this one a module?"""
    return of_class(name) == MODULE


def of_tensor(method: str, arguments: int) -> str | None:
    """What a method of a tensor gives."""
    found = _results("torch")
    hand = found.by_hand.get(f"torch.Tensor.{method}") if found is not None else None
    if hand is not None:
        return hand.gives if hand.fewest <= arguments <= hand.most else None
    return found.methods[TENSOR].get(method) if found is not None else None


def of_module(method: str) -> str | None:
    """What a method of a module gives."""
    found = _results("torch")
    return found.methods[MODULE].get(method) if found is not None else None


def keeps_tensor(methods: set[str]) -> bool:
    """Is a tensor still one after each of these?"""
    return all(of_tensor(method, 1) == TENSOR or of_tensor(method, 0) == TENSOR for method in methods)


def keeps_module(methods: set[str]) -> bool:
    """Is a module still one after each of these?"""
    return all(of_module(method) == MODULE for method in methods)
