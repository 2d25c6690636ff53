"""What the knowledge base lists is what `uncuda check` tells: every entry by exactly one rule, or by none, for a reason
that the table gives."""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase

import pytest

from uncuda.around.engine import check_file
from uncuda.around.kinds import Kind
from uncuda.engine import Options, check_text
from uncuda.findings import Finding, Outcome
from uncuda.rules import knowledge
from uncuda.rules.knowledge import Api, Package, refresh
from uncuda.rules.registry import by_code
from uncuda.triggers import Triggers

APIS = {**knowledge.apis(), **knowledge.frameworks()}
PACKAGES = knowledge.packages()
NAMES = {**{name: name for name in PACKAGES}, **knowledge.package_aliases()}
"""Import names, and the entries they fall under."""
OPTIONS = Options(torch_floor=(2, 13))


def findings(code: str) -> tuple[Finding, ...]:
    checked = check_text(code, OPTIONS)
    assert checked.error is None
    return checked.findings


def is_named(name: str) -> bool:
    """Is an entry's key a dotted name, not an argument or a way of writing?"""
    return all(part.isidentifier() for part in name.split("."))


# -- APIs, arguments, idioms, variables, frameworks --------------------------------------------------------


@pytest.mark.parametrize("api", APIS.values(), ids=lambda api: api.symbol)
def test_an_entry_is_told_by_one_rule(api: Api) -> None:
    found = findings(api.example)
    told = [f for f in found if fnmatchcase(f.symbol, api.told_as) or f.symbol == api.told_as]
    # An example may have to import a package that is a tie of its own.
    assert [f for f in found if f not in told and f.symbol not in PACKAGES] == []
    if api.untold is None:
        assert [f.symbol for f in told] == [told[0].symbol], api.example
    else:
        assert told == []


@pytest.mark.parametrize("api", APIS.values(), ids=lambda api: api.symbol)
def test_an_example_is_a_program(api: Api) -> None:
    ast.parse(api.example)
    assert api.example.endswith("\n")
    assert api.told_as in APIS


def test_what_no_rule_tells_does_no_harm_or_can_not_be_seen() -> None:
    for api in APIS.values():
        if api.untold is not None:
            assert api.verdict in ("portable", "suggest"), api.symbol


def test_other_spellings_are_told_as_what_they_stand_for() -> None:
    for alias, symbol in knowledge.aliases().items():
        api = APIS[symbol]
        if symbol.startswith(f"{alias}."):
            continue  # a class, of which the entry is a member
        if is_named(alias) and is_named(symbol) and api.kind != "method" and api.untold is None:
            call = "" if api.kind in ("attr", "module") else "()"
            code = f"import {alias.partition('.')[0]}\n\nvalue = {alias}{call}\n"
            assert [f.symbol for f in findings(code)] == [api.told_as], alias


def test_names_that_are_imported_are_told_alike() -> None:
    wrong: list[str] = []
    for api in knowledge.apis().values():
        home, _, name = api.symbol.rpartition(".")
        if api.kind in ("function", "class") and is_named(api.symbol) and home.startswith("torch."):
            found = findings(f"from {home} import {name}\n\nvalue = {name}()\n")
            if [f.symbol for f in found] != [api.told_as]:
                wrong.append(api.symbol)
    assert wrong == []


def test_every_public_name_of_torch_cuda_is_told_by_one_rule() -> None:
    """Asked of the installed torch, not of the table."""
    for name in refresh.public_names():
        api = knowledge.lookup(name)
        assert api is not None, name
        if api.untold is None and api.symbol == name:
            assert len(findings(f"import torch\n\nvalue = {name}\n")) == 1, name


# -- packages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_import_is_told_by_one_rule_or_is_no_tie(name: str) -> None:
    package = PACKAGES[NAMES[name]]
    want = {"tie": ["UC501"], "maybe": ["UC504"]}.get(package.importing, [])
    for code in (
        f"import {name}\n",
        f"from {name} import part\n",
        f"import importlib\n\nit = importlib.import_module('{name}')\n",
    ):
        found = findings(code)
        assert [f.code for f in found] == want, code
        assert all(f.symbol == package.import_name for f in found)


BY_DEVICE = ["oneflow", "torchcodec", "ultralytics", "warp"]
"""Packages whose calls take device="cuda", which a rule tells wherever it is given."""


def test_packages_that_are_no_tie_are_what_they_are_said_to_be() -> None:
    frameworks = knowledge.frameworks().values()
    told = {name for api in frameworks for name in api.example.replace(".", " ").split()}
    told |= {name for api in frameworks for name in knowledge.spelled(api.symbol).packages}
    for package in PACKAGES.values():
        if package.importing == "argument":
            assert package.import_name in {*told, *BY_DEVICE}, package.import_name
        elif package.importing == "vendor":
            assert package.cuda_only == "no", package.import_name


@pytest.mark.parametrize("name", BY_DEVICE)
def test_a_device_given_to_any_library_is_told(name: str) -> None:
    code = f"import {name}\n\nx = {name}.Anything(path, device='cuda')\n"
    assert [f.code for f in findings(code)] == ["UC103"]


DISTRIBUTIONS = sorted({name for package in PACKAGES.values() for name in package.pypi})


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_requirement_is_told_by_one_rule_or_is_no_tie(name: str) -> None:
    found = check_file(f"{name}>=1\n", Kind.REQUIREMENTS, path="requirements.txt")
    codes = [f.code for f in found]
    if knowledge.required(name) is not None:
        assert codes in (["UC801"], ["UC804"], ["UC805"])
    else:
        assert codes in ([], ["UC804"], ["UC805"])
    for code in codes:
        for spelled in (name, name.replace("-", "_")):
            assert Triggers(by_code()[code].triggers).found_in(spelled)


# -- how much there is -------------------------------------------------------------------------------------


def test_there_is_enough() -> None:
    names = {name for p in PACKAGES.values() for name in (p.import_name, *p.pypi)} | set(NAMES)
    assert len(names) >= 180 and len(PACKAGES) >= 180
    assert len(knowledge.apis()) >= 400
    ties: list[Package] = [p for p in PACKAGES.values() if p.importing in ("tie", "maybe")]
    assert all(Outcome.CRASH in p.outcomes.values() or Outcome.DEGRADED in p.outcomes.values() for p in ties)
