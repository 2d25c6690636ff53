"""Pages made from the knowledge base: what an API, a package or a target is like."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from uncuda.findings import Applicability, Finding, Outcome, Target
from uncuda.fixes.styles import Spelling
from uncuda.report.blocks import (
    Block,
    Bullets,
    Facts,
    Heading,
    OutcomeTable,
    Paragraph,
    Table,
    as_code,
    sentence,
)
from uncuda.report.rule_pages import plain_outcomes
from uncuda.results import dotted
from uncuda.rules.knowledge import (
    Api,
    Package,
    Support,
    TargetFacts,
    aliases,
    apis,
    package_aliases,
    packages,
)

_NEWEST = (99, 0)
_DEVICE = f"one of the project's own, or {as_code(Spelling().device)} (`uncuda explain UC201`)."
_FIXES = {
    Applicability.SAFE: "with a safe fix",
    Applicability.UNSAFE: "with a fix that wants a second look",
    Applicability.DISPLAY: "with a hint at what to write",
}

# -- APIs --------------------------------------------------------------------------------------------------


def api_blocks(api: Api) -> list[Block]:
    """The page of a name, an argument, an idiom or an environment variable."""
    return [
        Heading(shown_symbol(api.symbol), 1),
        OutcomeTable([([api.symbol], api.outcomes)]),
        *([Paragraph(f"{sentence(api.note)}.")] if api.note else []),
        Facts(list(_api_facts(api))),
    ]


def shown_symbol(symbol: str) -> str:
    """A key of the API table as one writes it."""
    return symbol.removeprefix("env:")


def shown_replacement(text: str) -> str:
    """What to write instead, as code where it is code."""
    for program in (text, f"{text} pass"):
        try:
            ast.parse(program)
        except SyntaxError:
            continue
        return as_code(text)
    return text


def _api_facts(api: Api) -> Iterator[tuple[str, str]]:
    if api.replacement is not None:
        floor = f" (torch {dotted(api.min_torch)} or later)" if api.min_torch is not None else ""
        yield "Write instead", f"{shown_replacement(api.replacement)}{floor}"
        if "DEVICE" in api.replacement:
            yield (
                "DEVICE",
                "the portable device: the project's own, or the one that `uncuda explain UC201` shows",
            )
        if api.keeps_cpu == "yes":
            yield "On a CPU", "does there what the original does, or works where that raised"
        elif api.keeps_cpu == "guard":
            guard = f" {as_code(api.guard)}" if api.guard is not None else " a test"
            yield "On a CPU", f"raises, where the original may not: write it under{guard}"
    if api.on_cpu is not None:
        yield "Measured", f"torch {api.torch_version} without CUDA {_answer(api.on_cpu)}"
    if api.same_name:
        yield (
            "Namesakes",
            ", ".join(as_code(f"torch.{device}.{name}") for device, name in api.same_name.items()),
        )
    names = sorted(alias for alias, symbol in aliases().items() if symbol == api.symbol)
    if names:
        yield "Also spelled", ", ".join(map(as_code, names))
    found = reported(api)
    if found is not None:
        fix = f", {_FIXES[found.fix.applicability]}" if found.fix is not None else ", without a fix"
        yield "Reported by", f"{found.code} {found.name}{fix}"
    elif api.untold is not None:
        yield "Reported by", f"no rule: {api.untold}"
    yield "Source", api.source


def _answer(measured: str) -> str:
    what, _, warning = measured.partition(";warns:")
    kind, _, value = what.partition(":")
    told = {"noop": "does nothing", "returns": f"gives {as_code(value)}", "raises": f"raises {value}"}.get(
        kind, what
    )
    return f"{told}, and warns ({warning})" if warning else told


def reported(api: Api) -> Finding | None:
    """What `uncuda check` says of its example."""
    from uncuda.context import Options
    from uncuda.engine import check_text

    found = check_text(api.example, Options(torch_floor=_NEWEST)).findings
    return next((finding for finding in found if finding.symbol == api.told_as), None)


def api_data(api: Api) -> dict[str, Any]:
    """The same as plain data."""
    found = reported(api)
    return {
        "kind": "api",
        "symbol": api.symbol,
        "type": api.kind,
        "outcomes": plain_outcomes(api.outcomes),
        "replacement": api.replacement,
        "min_torch": None if api.min_torch is None else dotted(api.min_torch),
        "keeps_cpu": api.keeps_cpu,
        "guard": api.guard,
        "verdict": api.verdict,
        "note": api.note or None,
        "on_cpu": api.on_cpu,
        "torch": api.torch_version,
        "same_name": dict(api.same_name),
        "rule": None if found is None else found.code,
        "source": api.source,
    }


# -- packages ----------------------------------------------------------------------------------------------

_STATUS = {
    "native": "the same package",
    "drop-in": "{name} serves instead of it",
    "fork": "{name} has to be built from source or patched in",
    "fallback": "runs, on a slower path or on the CPU",
    "none": "none known",
    "partly": "in part",
    "unknown": "not known",
}
_IMPORTING = {
    "tie": "an import of it is told (UC501)",
    "maybe": "it works without and lacks kernels then, so that an import of it may be a tie (UC504)",
    "argument": "its ties are arguments, which are told where they stand",
    "portable": "an import of it is no tie",
    "vendor": "another vendor's, and no tie to CUDA",
}
_EVIDENCE = {"A": "read in a source", "B": "documentation or package page", "C": "experience"}


def status_text(support: Support) -> str:
    """How a package stands on a target, in words."""
    text = _STATUS[support.status].format(name=support.name or "a substitute")
    return f"{text}, under the same import name" if support.same_import else text


def package_blocks(package: Package) -> list[Block]:
    """The page of a package."""
    rows = [(t.value, package.outcomes[t].value, status_text(package.support[t])) for t in Target]
    needs = {"yes": "is built for CUDA only", "partly": "needs CUDA in part", "no": "doesn't need CUDA"}
    return [
        Heading(package.import_name, 1),
        Paragraph(
            f"A package that {needs[package.cuda_only]}; {_IMPORTING[package.importing]}. "
            f"Category: {package.category}."
        ),
        Table(("target", "outcome", "what there is"), rows),
        *([Paragraph(f"{sentence(package.note)}.")] if package.note else []),
        Facts(list(_package_facts(package))),
    ]


def _package_facts(package: Package) -> Iterator[tuple[str, str]]:
    if package.pypi:
        yield "Distributions", ", ".join(map(as_code, package.pypi))
    if package.pypi_note:
        yield "Beware", package.pypi_note
    yield "Instead", package.alternative
    yield "Effort by hand", f"{package.effort} story point{'' if package.effort == 1 else 's'}"
    names = sorted(alias for alias, name in package_aliases().items() if name == package.import_name)
    if names:
        yield "Also imported as", ", ".join(map(as_code, names))
    yield "Source", f"{package.source} ({_EVIDENCE[package.evidence]}, {package.checked})"


def package_data(package: Package) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "kind": "package",
        "import_name": package.import_name,
        "distributions": list(package.pypi),
        "category": package.category,
        "cuda_only": package.cuda_only,
        "outcomes": plain_outcomes(package.outcomes),
        "status": {
            target.value: {"status": s.status, "name": s.name, "same_import": s.same_import}
            for target, s in package.support.items()
        },
        "alternative": package.alternative,
        "effort": package.effort,
        "note": package.note or None,
        "source": package.source,
        "evidence": package.evidence,
        "checked": package.checked,
    }


# -- targets -----------------------------------------------------------------------------------------------


def target_blocks(facts: TargetFacts, *, whole: bool = False) -> list[Block]:
    """The page of a target. `whole`: with every name and package that behaves otherwise there."""
    which = facts.target
    blocks: list[Block] = [Heading(f"Moving to {facts.title}", 1), Facts(list(_target_facts(facts)))]
    if facts.gaps:
        blocks += [Heading("What is missing or different"), Bullets([sentence(gap) for gap in facts.gaps])]
    blocks += [
        Heading("What becomes of code for CUDA"),
        Table(("outcome", "names", "packages"), list(_counts(which))),
        Paragraph(
            f"`uncuda check --target {which.value}` finds what it is in your code, `--fix` changes what can be changed."
        ),
    ]
    if whole:
        blocks += [
            Paragraph(f"In what follows `DEVICE` stands for the device of your program: {_DEVICE}"),
            *_names_in_full(which),
            *_packages_in_full(which),
        ]
    else:
        substitutes = [f"{p.import_name}: {status_text(p.support[which])}" for p in _with_substitute(which)]
        if substitutes:
            blocks += [Heading("Packages with a substitute"), Bullets(substitutes)]
    blocks.append(Paragraph(f"Source: {facts.source}; checked {facts.checked}."))
    if facts.unchecked:
        blocks.append(Paragraph(f"From experience, not read in a source: {', '.join(facts.unchecked)}."))
    return blocks


def _target_facts(facts: TargetFacts) -> Iterator[tuple[str, str]]:
    yield "Device", f"{as_code(facts.device)}; its functions are in {as_code(facts.module)}"
    if facts.import_module is not None:
        text = as_code(f"import {facts.import_module}")
        auto = facts.autoload
        if auto is not None:
            torch = f"torch {dotted(auto.torch)}"
            plugin = f"{auto.package} {auto.since}" if auto.since else f"a later {auto.package}"
            needed = torch if auto.package == "torch" else f"{plugin} and {torch}"
            text = f"none from {needed} on; before, {text}"
        yield "Import", text
    yield "Install", facts.pip
    yield "torch.distributed", f"back end {as_code(facts.backend)}"
    dtypes = ", ".join(as_code(f"torch.{name}") for name in facts.autocast)
    yield "Autocast", f"{dtypes}; {as_code(f'torch.{facts.autocast_default}')} unless told otherwise"
    yield "torch.compile", f"back end {as_code(facts.compile_backend)}"
    for label, values in (
        ("Choice of devices", facts.visible_devices),
        ("For a container", facts.container_devices),
        ("Allocator settings", facts.allocator),
        ("Synchronous launches", facts.launch_blocking),
        ("Monitor", facts.smi),
        ("Given to docker run", facts.docker_devices),
        ("Kubernetes", facts.k8s),
    ):
        if values:
            yield label, ", ".join(map(as_code, values))
    if facts.base_image is not None:
        yield "Base image", facts.base_image
    if facts.patch is not None:
        yield (
            "Vendor's patch",
            f"{as_code(facts.patch)} redirects torch.cuda at run time; uncuda doesn't count on it",
        )


def _counts(which: Target) -> Iterator[tuple[str, str, str]]:
    for outcome in Outcome:
        names = sum(1 for api in apis().values() if api.outcomes[which] is outcome)
        modules = sum(1 for package in packages().values() if package.outcomes[which] is outcome)
        if names or modules:
            yield outcome.value, str(names), str(modules)


def _with_substitute(which: Target) -> list[Package]:
    return [p for p in packages().values() if p.support[which].status in ("drop-in", "fork")]


_MEANS = {
    Outcome.SILENT_CPU: "Runs on the CPU, with no error",
    Outcome.CRASH: "Raises",
    Outcome.DEGRADED: "Runs, with something lost or a wrong figure",
    Outcome.UNKNOWN: "Not known",
}


def _names_in_full(which: Target) -> Iterator[Block]:
    for outcome, title in _MEANS.items():
        there = [api for api in apis().values() if api.outcomes[which] is outcome]
        replaced = [api for api in there if api.replacement is not None]
        others = [as_code(shown_symbol(api.symbol)) for api in there if api.replacement is None]
        if there:
            yield Heading(title)
        if replaced:
            yield Table(
                ("CUDA's", "instead", "torch"),
                [
                    (
                        as_code(shown_symbol(api.symbol)),
                        shown_replacement(api.replacement or ""),
                        dotted(api.min_torch) if api.min_torch else "",
                    )
                    for api in replaced
                ],
            )
        if others:
            yield Paragraph(f"{'Without a replacement' if replaced else 'All'}: {', '.join(others)}.")


def _packages_in_full(which: Target) -> Iterator[Block]:
    rows = [
        (
            as_code(package.import_name),
            package.outcomes[which].value,
            status_text(package.support[which]),
            package.alternative if package.support[which].status not in ("native", "drop-in") else "",
        )
        for package in packages().values()
        if package.outcomes[which] not in (Outcome.WORKS, Outcome.HARMLESS)
    ]
    if rows:
        yield Heading("Packages")
        yield Table(("package", "outcome", "what there is", "instead"), rows)
    fine = [as_code(p.import_name) for p in packages().values() if p.outcomes[which] is Outcome.WORKS]
    if fine:
        yield Paragraph(f"These work: {', '.join(fine)}.")


def target_data(facts: TargetFacts) -> dict[str, Any]:
    """The same as plain data."""
    auto = facts.autoload
    return {
        "kind": "target",
        "name": facts.target.value,
        "title": facts.title,
        "device": facts.device,
        "module": facts.module,
        "import": facts.import_module,
        "autoload": None
        if auto is None
        else {"package": auto.package, "since": auto.since, "torch": dotted(auto.torch)},
        "install": facts.pip,
        "backend": facts.backend,
        "autocast": list(facts.autocast),
        "autocast_default": facts.autocast_default,
        "compile_backend": facts.compile_backend,
        "visible_devices": list(facts.visible_devices),
        "container_devices": list(facts.container_devices),
        "allocator": list(facts.allocator),
        "launch_blocking": list(facts.launch_blocking),
        "smi": list(facts.smi),
        "docker_devices": list(facts.docker_devices),
        "k8s": list(facts.k8s),
        "base_image": facts.base_image,
        "patch": facts.patch,
        "gaps": list(facts.gaps),
        "substitutes": {p.import_name: p.support[facts.target].name for p in _with_substitute(facts.target)},
        "unchecked": list(facts.unchecked),
        "source": facts.source,
        "checked": facts.checked,
    }
