"""What a name, an argument or an idiom of torch that is tied to CUDA does on each target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from uncuda.findings import Outcomes, TorchVersion
from uncuda.rules.knowledge._data import optional_text, spread, table

FILE = "torch_api.json"
FRAMEWORKS = "frameworks.json"
"""The same for frameworks beside torch; read only when a name isn't in the first."""
_FAMILIES = ("torch.cuda.", "torch.backends.cuda.", "torch.backends.cudnn.")
_UNLISTED = "torch.cuda.*"


@dataclass(frozen=True)
class Api:
    """One entry of the API table.

    `kind` is function, class, method, attr, module, arg (an argument), env (an environment variable) or idiom
    (a way of writing). `replacement` is text for people, in which DEVICE stands for the portable device; it
    needs `min_torch`. `keeps_cpu` says whether it does on a CPU-only host what the original did there: `yes`,
    `guard` (only under `guard`) or None (no replacement, or not known). `verdict` is safe, unsafe, suggest,
    report-only or portable. `same_name` maps npu, xpu, mps, mlu and musa to the name of the counterpart in
    torch.<device>. `probe` is what was called, `on_cpu` and `on_cuda_without_gpu` what it did: `noop`,
    `returns:REPR` or `raises:EXCEPTION`, with `;warns:CATEGORY`. `since`, `deprecated` and `removed` are the
    first releases of torch that have it, warn of it, and no longer have it (None: no release that was looked at).
    `example` is a small program that uses it; a finding there names the entry `told_as` where the code doesn't
    show the difference, and there is none where `untold` says why.
    """

    symbol: str
    kind: str
    outcomes: Outcomes = field(hash=False)
    replacement: str | None
    min_torch: TorchVersion | None
    keeps_cpu: str | None
    guard: str | None
    verdict: str
    note: str
    source: str
    torch_version: str | None
    probe: str | None
    on_cpu: str | None
    on_cuda_without_gpu: str | None
    same_name: Mapping[str, str] = field(hash=False)
    since: TorchVersion | None
    deprecated: TorchVersion | None
    removed: TorchVersion | None
    example: str
    told_as: str
    untold: str | None


def _version(value: Sequence[int] | None) -> TorchVersion | None:
    return None if value is None else (value[0], value[1])


def _example(symbol: str, kind: str) -> str:
    """The plainest program that uses a name, for an entry without one of its own."""
    if kind == "env":
        name = symbol.removeprefix("env:").replace("*", "X")
        return f'import os\n\nos.environ["{name}"] = "1"\n'
    call = "" if kind in ("attr", "module") else "()"
    return f"import {symbol.partition('.')[0]}\n\nvalue = {symbol}{call}\n"


def _api(symbol: str, row: Mapping[str, Any]) -> Api:
    return Api(
        symbol=symbol,
        kind=row["kind"],
        outcomes=spread(row["outcomes"]),
        replacement=optional_text(row.get("replacement")),
        min_torch=_version(row.get("min_torch")),
        keeps_cpu=optional_text(row.get("keeps_cpu")),
        guard=optional_text(row.get("guard")),
        verdict=row["verdict"],
        note=row.get("note", ""),
        source=row["source"],
        torch_version=optional_text(row.get("torch")),
        probe=optional_text(row.get("probe")),
        on_cpu=optional_text(row.get("on_cpu")),
        on_cuda_without_gpu=optional_text(row.get("on_cuda_without_gpu")),
        same_name=MappingProxyType(row.get("same_name", {})),
        since=_version(row.get("since")),
        deprecated=_version(row.get("deprecated")),
        removed=_version(row.get("removed")),
        example=row.get("example") or _example(symbol, row["kind"]),
        told_as=row.get("told_as", symbol),
        untold=optional_text(row.get("untold")),
    )


def canonical(symbol: str) -> str | None:
    """The table's own spelling of `symbol` (an alias, or with other quotes); None when it isn't listed."""
    for file in (FILE, FRAMEWORKS):
        content = table(file)
        for name in (symbol, symbol.replace("'", '"').strip()):
            name = content["aliases"].get(name, name)
            if name in content["apis"]:
                return str(name)
    return None


@cache
def lookup(symbol: str) -> Api | None:
    """The entry of a dotted name (`torch.cuda.empty_cache`), of one of its aliases
    (`torch.cuda.memory.empty_cache`), or of an argument or idiom as the table writes it
    (`torch.device("cuda")`, `env:NCCL_*`). None when there is none.
    """
    key = canonical(symbol)
    if key is None:
        return None
    row = table(FILE)["apis"].get(key)
    return _api(key, table(FRAMEWORKS)["apis"][key] if row is None else row)


def _row(symbol: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = table(FILE)["apis"].get(symbol, {})
    return found


def member(symbol: str) -> tuple[str, str | None]:
    """The member of another device's module that does what `symbol` of torch.cuda does; and the literal that `symbol`
    gives where there is no accelerator, None where it raises."""
    row = _row(symbol)["member"]
    return row["name"], row.get("without")


def parameters(symbol: str) -> tuple[str, ...]:
    """The parameters of a function or class of torch, in their order."""
    return tuple(_row(symbol)["parameters"])


def tensor_dtype(symbol: str) -> str | None:
    """The dtype of a legacy tensor type by its dotted name: `torch.cuda.HalfTensor` holds float16."""
    return _row(symbol).get("dtype")


def outcomes(symbol: str) -> Outcomes:
    """What `symbol` does on each target, guards not considered.

    A name below torch.cuda, torch.backends.cuda or torch.backends.cudnn that has no entry is unknown
    everywhere (code may use any private name). Raises KeyError for everything else that isn't in the table.
    """
    found = lookup(symbol)
    if found is None and symbol.startswith(_FAMILIES):
        found = lookup(_UNLISTED)
    if found is None:
        near = ", ".join(nearest(symbol))
        raise KeyError(f"{symbol!r} is not in {FILE}" + (f"; nearest: {near}" if near else ""))
    return found.outcomes


@cache
def apis() -> Mapping[str, Api]:
    """Every entry of the table by its symbol, without aliases."""
    return MappingProxyType({symbol: _api(symbol, row) for symbol, row in table(FILE)["apis"].items()})


@cache
def frameworks() -> Mapping[str, Api]:
    """Every entry of the frameworks' table by its symbol."""
    return MappingProxyType({s: _api(s, row) for s, row in table(FRAMEWORKS)["apis"].items()})


def aliases() -> Mapping[str, str]:
    """Every alias, with the symbol that it stands for."""
    return MappingProxyType(table(FILE)["aliases"])


def nearest(name: str, n: int = 3) -> list[str]:
    """Up to `n` listed symbols that `name` may have meant, best first: by whole name, then by last part."""
    import difflib

    listed = [*table(FILE)["apis"], *table(FRAMEWORKS)["apis"]]
    last = name.rpartition(".")[2].lower()
    found = sorted((symbol for symbol in listed if symbol.rpartition(".")[2].lower() == last), key=len)
    found += difflib.get_close_matches(name, listed, n=n, cutoff=0.5)
    if len(set(found)) < n:
        tails = {symbol.rpartition(".")[2].lower(): symbol for symbol in listed}
        found += [tails[t] for t in difflib.get_close_matches(last, tails, n=n, cutoff=0.6)]
    return list(dict.fromkeys(found))[:n]
