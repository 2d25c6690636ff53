"""What the knowledge base lists is what `uncuda check` tells: every entry by exactly one rule, or by none, for a reason
that the table gives."""

from __future__ import annotations

import ast

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


UNLISTED = "torch.cuda.*"


def is_unlisted(finding: Finding) -> bool:
    return finding.symbol.startswith("torch.cuda._") and knowledge.lookup(finding.symbol) is None


def is_named(name: str) -> bool:
    """Is an entry's key a dotted name, not an argument or a way of writing?"""
    return all(part.isidentifier() for part in name.split("."))


# -- APIs, arguments, idioms, variables, frameworks --------------------------------------------------------


@pytest.mark.parametrize("api", APIS.values(), ids=lambda api: api.symbol)
def test_an_entry_is_told_by_one_rule(api: Api) -> None:
    found = findings(api.example)
    # One entry stands for every private name of torch.cuda that has none.
    told = [f for f in found if f.symbol == api.told_as or (api.symbol == UNLISTED and is_unlisted(f))]
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


def spellings(api: Api) -> tuple[list[str], list[str]]:
    """Programs that call a name, by its dotted name and by imports; and such that hand it on uncalled."""
    home, _, name = api.symbol.rpartition(".")
    top = home.partition(".")[0]
    called = [f"import {top}\n\nvalue = {api.symbol}()\n"]
    if api.kind in ("function", "class"):
        called += [
            f"from {home} import {name}\n\nvalue = {name}()\n",
            f"import {home} as home\n\nvalue = home.{name}()\n",
        ]
    if home.startswith("torch.cuda") and name != "cuda":
        called.append(f"from {home} import {name} as it\n\nvalue = it()\n")
    handed = [f"import {top}\n\nvalue = {api.symbol}\n", f"import {top}\n\nrun({api.symbol})\n"]
    return called, handed if home.startswith(FAMILIES) else []


FAMILIES = ("torch.cuda", "torch.backends.cuda", "torch.backends.cudnn", "torch.backends.cusparselt")
SPELT = [
    api
    for api in knowledge.apis().values()
    if is_named(api.symbol) and api.kind in ("function", "class") and api.symbol.startswith("torch.")
]


@pytest.mark.parametrize("api", SPELT, ids=lambda api: api.symbol)
def test_a_name_is_told_once_however_it_is_written(api: Api) -> None:
    called, handed = spellings(api)
    found = {code: findings(code) for code in (*called, *handed)}
    want = [] if api.untold is not None else [api.told_as]
    assert {code: [f.symbol for f in told] for code, told in found.items()} == dict.fromkeys(found, want)
    # Where a rule asks for calls, a function that is handed on is told by the rule about the rest of torch.cuda.
    assert len({f.code for code in called for f in found[code]}) <= 1
    assert {f.code for code in handed for f in found[code]} <= {"UC299", *(f.code for f in found[called[0]])}


def test_every_public_name_of_torch_cuda_is_told_by_one_rule() -> None:
    """Asked of the installed torch, not of the table."""
    names = list(refresh.public_names())
    homes = {name.rpartition(".")[0] for name in names}
    assert len(names) > 270 and len(homes) >= 15, "the modules of torch.cuda weren't found"
    for name in names:
        api = knowledge.lookup(name)
        assert api is not None, name
        # An alias is told as what it stands for: a class, of which the entry is a member, by any use of it.
        code = f"import torch\n\nvalue = {name}\n"
        told = [f.symbol for f in findings(code)]
        if api.untold is None:
            assert len(told) == 1, name
            assert told[0] in (api.told_as, name), name


# -- packages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_import_is_told_by_one_rule_or_is_no_tie(name: str) -> None:
    package = PACKAGES[NAMES[name]]
    want = {"tie": ["UC501"], "maybe": ["UC504"]}.get(package.importing, [])
    for code in (
        f"import {name}\n",
        f"from {name} import part\n",
        f"import {name}.part.of_it as it\n",
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
