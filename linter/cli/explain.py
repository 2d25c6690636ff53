"""`uncuda explain`: a rule's page, or what an API, a package or a target is like."""

from __future__ import annotations

import argparse
import json
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from uncuda.cli.output import warn, write
from uncuda.findings import Target
from uncuda.report.ansi import Style, style_for, visible
from uncuda.rules.catalogue import RuleInfo, catalogue

if TYPE_CHECKING:
    from uncuda.report.blocks import Block

DONE, FAILURE = 0, 2

_EXAMPLES = """\
examples:
  uncuda explain                          every rule in a line
  uncuda explain UC101                    a rule, by code or by name (cuda-call)
  uncuda explain UC2                      a family of rules
  uncuda explain torch.cuda.empty_cache   what an API does on each target, and what to write instead
  uncuda explain CUDA_VISIBLE_DEVICES     the same of an environment variable
  uncuda explain flash_attn               a package, by import name or distribution
  uncuda explain ascend                   a target
  uncuda explain --all --output-format json

exit codes: 0 found, 2 not known
"""


def parser() -> ArgumentParser:
    """The parser of `uncuda explain`."""
    made = ArgumentParser(
        prog="uncuda explain",
        description="Explain a rule, an API, a package or a target.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="code or name of a rule, name of an API, a package or a target (default: a list of all rules)",
    )
    made.add_argument("--all", action="store_true", help="the page of every rule")
    made.add_argument("--output-format", choices=("text", "markdown", "json"), default="text")
    made.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    return made


@dataclass(frozen=True)
class _Page:
    """What was found for a word. `data` and `blocks` are made when they are asked for."""

    kind: str
    key: str

    def blocks(self) -> list[Block]:
        """For people."""
        from uncuda.report import fact_pages, rule_pages
        from uncuda.rules import knowledge
        from uncuda.rules.registry import by_code

        if self.kind == "rule":
            return rule_pages.rule_blocks(by_code()[self.key], outcomes=True)
        if self.kind == "target":
            return fact_pages.target_blocks(knowledge.target(Target(self.key)))
        if self.kind == "package":
            return fact_pages.package_blocks(knowledge.packages()[self.key])
        api = knowledge.lookup(self.key)
        assert api is not None
        return fact_pages.api_blocks(api)

    def data(self) -> dict[str, Any]:
        """For programs."""
        from uncuda.report import fact_pages, rule_pages
        from uncuda.rules import knowledge
        from uncuda.rules.registry import by_code

        if self.kind == "rule":
            return rule_pages.rule_data(by_code()[self.key])
        if self.kind == "target":
            return fact_pages.target_data(knowledge.target(Target(self.key)))
        if self.kind == "package":
            return fact_pages.package_data(knowledge.packages()[self.key])
        api = knowledge.lookup(self.key)
        assert api is not None
        return fact_pages.api_data(api)


def run(arguments: Namespace) -> int:
    """Prints what is asked for."""
    style = style_for(sys.stdout, arguments.color)
    if arguments.all and arguments.words:
        warn("uncuda: error: --all is about every rule; it goes without words")
        return FAILURE
    if arguments.all:
        pages = [_Page("rule", info.code) for info in catalogue()]
        write(_written(pages, arguments.output_format, style, one=False))
        return DONE
    if not arguments.words:
        write(_list(catalogue(), arguments.output_format, style))
        return DONE
    pages, unknown = [], False
    for word in arguments.words:
        family = _family(word)
        if len(family) > 1 and len(arguments.words) == 1:
            write(_list(family, arguments.output_format, style))
            return DONE
        found = [_Page("rule", info.code) for info in family] or list(_found(word))
        pages += [page for page in found if page not in pages]
        if not found:
            unknown = True
            warn(f"uncuda: error: {_not_known(word)}")
    if pages:
        write(_written(pages, arguments.output_format, style, one=len(arguments.words) == 1))
    return FAILURE if unknown else DONE


def _written(pages: list[_Page], form: str, style: Style, *, one: bool) -> str:
    if form == "json":
        every = [page.data() for page in pages]
        return json.dumps(every[0] if one else every, indent=2, ensure_ascii=True) + "\n"
    from uncuda.report.blocks import markdown, terminal

    texts = [
        markdown(page.blocks()) if form == "markdown" else terminal(page.blocks(), style) for page in pages
    ]
    return "\n\n".join(texts) if form == "text" else "\n".join(texts)


def _list(infos: tuple[RuleInfo, ...], form: str, style: Style) -> str:
    """Rules in a line each."""
    if form == "json":
        rows = [
            {
                "kind": "rule",
                "code": info.code,
                "name": info.name,
                "summary": info.summary,
                "category": info.category,
                "effort": info.effort,
                "fix": info.fix,
            }
            for info in infos
        ]
        return json.dumps(rows, indent=2) + "\n"
    from uncuda.report.blocks import Table, markdown, terminal

    table = Table(
        ("code", "name", "fix", "what it is about"),
        [(info.code, info.name, "" if info.fix == "none" else info.fix, info.summary) for info in infos],
    )
    return markdown([table]) if form == "markdown" else terminal([table], style)


# -- finding what a word means -----------------------------------------------------------------------------


def _family(word: str) -> tuple[RuleInfo, ...]:
    """The rules that a code, a name or the beginning of codes (`UC1`, `UC1xx`) means."""
    code = re.sub(r"(?i)\A(UC\d)xx\Z", r"\1", word)
    if re.fullmatch(r"(?i)UC\d{0,3}", code):
        return tuple(info for info in catalogue() if info.code.startswith(code.upper()))
    return tuple(info for info in catalogue() if info.name == word.lower())


def _found(word: str) -> Iterator[_Page]:
    """What else a word means, as one would write it: a target, an API, a variable, a package."""
    from uncuda.rules import knowledge

    for target in Target:
        facts = knowledge.target(target)
        if word.lower() == target.value or (target is not Target.ROCM and word.lower() == facts.device):
            yield _Page("target", target.value)
            return
    plain = word.removesuffix("()")
    for name in (word, plain, f"torch.{plain}", f"torch.Tensor.{plain.removeprefix('.')}"):
        if knowledge.lookup(name) is not None:
            yield _Page("api", name)
            return
    variable = next(
        (
            symbol
            for symbol in knowledge.apis()
            if symbol.startswith("env:") and fnmatchcase(word.upper(), symbol.removeprefix("env:"))
        ),
        None,
    )
    if variable is not None:
        yield _Page("api", variable)
        return
    for symbol in (*knowledge.apis(), *knowledge.frameworks()):
        words = knowledge.spelled(symbol)
        if ("." in word and word in words.names) or ("_" in word and word in words.texts):
            yield _Page("api", symbol)
            return
    package = knowledge.package(word) or knowledge.distribution(word)
    if package is not None:
        yield _Page("package", package.import_name)


def _not_known(word: str) -> str:
    """A message that says what was probably meant."""
    from difflib import get_close_matches

    from uncuda.report.fact_pages import shown_symbol
    from uncuda.rules import knowledge

    choices = {info.name: info.name for info in catalogue()}
    choices |= {info.code.lower(): info.code for info in catalogue()}
    choices |= {target.value: target.value for target in Target}
    for package in knowledge.packages().values():
        choices |= {name.lower(): name for name in (package.import_name, *package.pypi)}
    entries = (*knowledge.apis(), *knowledge.frameworks())
    choices |= {shown_symbol(symbol).lower(): symbol for symbol in entries}
    if re.fullmatch(r"(?i)UC\d+", word):
        # Codes are alike whatever they mean.
        return f"there is no rule {visible(word)}; `uncuda explain` lists all"
    near = [choices[name] for name in get_close_matches(word.lower(), choices, 3, 0.7)]
    near = list(dict.fromkeys([*near, *knowledge.nearest(word)]))[:3]
    if not near and len(word) > 2:
        holding = [name for name in choices if word.lower() in name]
        near = [choices[name] for name in sorted(holding, key=len)][:3]
    hint = (
        f"did you mean {' or '.join(map(shown_symbol, near))}?"
        if near
        else "`uncuda explain` lists all rules"
    )
    return f"nothing is known of {visible(word)!r}; {hint}"
