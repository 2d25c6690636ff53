"""Makes the tables of `libraries/` from releases: what classes and functions give that are called (see reading.py)."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uncuda.rules.knowledge.reading import (
    MODULE,
    TENSOR,
    TENSORS,
    Reading,
    Sources,
    read,
    version_of,
)
from uncuda.rules.knowledge.results import ANY_DEPTH, FOLDER
from uncuda.rules.knowledge.wheels import Release

LIBRARIES = {
    "diffusers": "diffusers",
    "kornia": "kornia",
    "lightning": "lightning",
    "lpips": "lpips",
    "monai": "monai",
    "open_clip": "open_clip_torch",
    "peft": "peft",
    "pytorch_lightning": "pytorch_lightning",
    "segmentation_models_pytorch": "segmentation_models_pytorch",
    "sentence_transformers": "sentence_transformers",
    "timm": "timm",
    "torch": "torch",
    "torch_geometric": "torch_geometric",
    "torchaudio": "torchaudio",
    "torchmetrics": "torchmetrics",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "ultralytics": "ultralytics",
}
"""The libraries that have a table: import name to distribution."""
_FOLLOWED = {"huggingface_hub": "huggingface_hub", "lightning_fabric": "pytorch_lightning"}
"""Packages that classes derive from, without a table of their own."""
_EXPORTED_ONLY = frozenset({"transformers"})
"""Of these only what they export is listed: the parts of their models are many, and not for others."""
_BY_HAND = ("alike", "makers_of", "by_hand", "unless")
"""What a person writes into a table; making it anew keeps it."""
_WIDTH = 100


def releases_in(paths: Iterable[Path]) -> dict[str, list[tuple[str, Release]]]:
    """By package, its releases among those at `paths`, oldest first, with their versions."""
    found: dict[str, list[tuple[str, Release]]] = defaultdict(list)
    for release in map(Release, paths):
        for package, distribution in (LIBRARIES | _FOLLOWED).items():
            if release.has_package(package):
                found[package].append((version_of(release, distribution), release))
    for listed in found.values():
        listed.sort(key=lambda item: [int(n) for n in re.findall(r"\d+", item[0])])
    return found


def made(paths: Iterable[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The library and its table, for each that has a release at `paths`; what a person wrote stays."""
    found = releases_in(paths)
    newest = {package: listed[-1][1] for package, listed in found.items()}
    old = {library: stored(library) for library in LIBRARIES}
    alike = {name for table in old.values() for name in table.get("alike", {})}
    for library in filter(found.__contains__, LIBRARIES):
        sources = [Sources({**newest, library: release}, alike) for _, release in found[library]]
        content: dict[str, Any] = {
            "library": library,
            "releases": [f"{LIBRARIES[library]} {version}" for version, _ in found[library]],
            "source": "sources of the releases, read statically",
        }
        content.update((key, old[library][key]) for key in _BY_HAND if key in old[library])
        if library == "torch":
            content.update(_of_torch(sources[-1], found[library][-1][1].root))
        else:
            readings = [read(each, library) for each in sources]
            section = _section(readings, only_exported=library in _EXPORTED_ONLY)
            section.update(_by_convention(content.get("makers_of", {}), sources))
            content["sections"] = {f"{library}{ANY_DEPTH}": section}
            if library not in _EXPORTED_ONLY:
                content["sections"].update(_where_exported(sources[-1], library, readings[-1]))
        yield library, content


def stored(library: str) -> dict[str, Any]:
    """The table of a library as it is; empty where there is none yet."""
    path = path_of(library)
    return json.loads(path.read_bytes()) if path.is_file() else {}


def path_of(library: str) -> Path:
    """Where the table of a library lies."""
    return Path(__file__).with_name(FOLDER) / f"{library}.json"


def _lines(names: Iterable[str]) -> list[str]:
    return textwrap.wrap(" ".join(sorted(names)), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _section(readings: Sequence[Reading], *, only_exported: bool) -> dict[str, Any]:
    """The names of which all definitions in a release give the same, by the newest release (the last) that has the name;
    none of which an older one says that it gives something else that is known here."""
    told: dict[str, set[str]] = {}
    sorts: dict[str, set[str]] = defaultdict(set)
    for reading in readings:
        for name, kinds in reading.names.items():
            given = {gives for _, gives in kinds}
            before = told.get(name, set()) - {""}
            told[name] = given | before if before else given
            sorts[name] |= {sort for sort, _ in kinds}
    exported = {name for reading in readings for name in reading.exported}
    classes: dict[str, list[str]] = defaultdict(list)
    functions: dict[str, list[str]] = defaultdict(list)
    for name, given in told.items():
        if len(given) > 1 or given == {""} or (only_exported and name not in exported):
            continue
        where = classes if sorts[name] == {"class"} else functions
        where[next(iter(given))].append(name)
    listed = set(classes.get(MODULE, ()))
    makers: dict[str, list[str]] = {}
    for method in {m for reading in readings for m in reading.makers}:
        by_class = {
            k: v for reading in readings for k, v in reading.makers.get(method, {}).items() if k in listed
        }
        not_so = {name for name, gives in by_class.items() if gives != MODULE}
        if len(not_so) < len(by_class) / 2:
            makers[method] = _lines(not_so)
    row: dict[str, Any] = {
        "classes": {gives: _lines(names) for gives, names in sorted(classes.items())},
        "functions": {gives: _lines(names) for gives, names in sorted(functions.items())},
        "makers": dict(sorted(makers.items())),
    }
    return {key: value for key, value in row.items() if value}


def _where_exported(sources: Sources, package: str, reading: Reading) -> dict[str, Any]:
    """By package, what its `__init__` exports of the names that stand for different things in a release."""
    unclear = {name for name, kinds in reading.names.items() if len({gives for _, gives in kinds}) > 1}
    found: dict[str, Any] = {}
    for module in sources.modules(package):
        if not module.is_package or any(part.startswith("_") for part in module.name.split(".")):
            continue
        rows: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for name in sorted(unclear):
            there = sources.member(module, name)
            gives = sources.given_by(there) if there is not None else ""
            if there is not None and gives:
                rows["classes" if isinstance(there.node, ast.ClassDef) else "functions"][gives].append(name)
        if rows:
            found[module.name] = {
                part: {gives: _lines(names) for gives, names in sorted(row.items())}
                for part, row in rows.items()
            }
    return found


def _by_convention(makers: Mapping[str, Any], sources: Sequence[Sources]) -> dict[str, Any]:
    """`Class.method` for all classes that derive from one whose class methods a person has judged."""
    found: dict[str, set[str]] = defaultdict(set)
    for full, row in makers.items():
        for each in sources:
            for name in each.derived(full):
                found[row["gives"]].update(f"{name}.{method}" for method in row["methods"])
    lines = {gives: _lines(names) for gives, names in sorted(found.items())}
    return {"by_convention": lines} if lines else {}


# -- torch -------------------------------------------------------------------------------------------------

_SEVERAL = re.compile(
    r"tuple\[Tensor(, (Tensor|\.\.\.))*\]|torch\.return_types\.\w+|(Sequence|list)\[Tensor\]"
)
_SAID = re.compile(r"\A\s*(?:[\w.]+)\([^\n]*\) *-> *([^\n]+?)\s*$", re.M)
_SELF = "Self"
_EACH = {
    "Iterator[Parameter]": "each tensor",
    "Iterator[Tensor]": "each tensor",
    "Iterator['Module']": "each module",
    "Iterator[tuple[str, Parameter]]": "each ? tensor",
    "Iterator[tuple[str, Tensor]]": "each ? tensor",
    "Iterator[tuple[str, 'Module']]": "each ? module",
}
_DOCUMENTED = ("torch.fft", "torch.linalg", "torch.special")
"""Modules whose functions are C's: their texts say what they give."""
_CLASSES_OF = ("torch.nn", "torch.jit", "torch.distributed.fsdp")


def _of_torch(sources: Sources, root: Any) -> dict[str, Any]:
    """Torch's own table: by its stubs, annotations and the signatures in its documentation."""
    folder = root.joinpath("torch")

    def results(path: str, owner: str = "") -> dict[str, set[str]]:
        body = ast.parse(folder.joinpath(path).read_text(encoding="utf-8")).body
        if owner:
            body = next(n.body for n in body if isinstance(n, ast.ClassDef) and n.name == owner)
        return _annotations(body)

    # Both lie in torch; what is written in Python stands for itself, and its stub is only a part of it.
    functions = {**results("_C/_VariableFunctions.pyi"), **results("functional.py")}
    methods = {**results("_C/__init__.pyi", "TensorBase"), **results("_tensor.py", "Tensor")}
    of_module = results("nn/modules/module.py", "Module")
    sections: dict[str, Any] = {
        "torch": {"functions": _told(functions)},
        "torch.nn.functional": {"functions": _told(results("nn/functional.pyi"))},
        "torch.nn.utils.rnn": {"functions": _told(results("nn/utils/rnn.py"))},
    }
    for name in _DOCUMENTED:
        text = folder.joinpath(*name.split(".")[1:], "__init__.py").read_text(encoding="utf-8")
        sections[name] = {"functions": _told(_documented(text))}
    for name in _CLASSES_OF:
        reading = read(sources, "torch", name)
        section = _section([reading], only_exported=False)
        sections[f"{name}{ANY_DEPTH}"] = {"classes": section["classes"]}
        for package, row in _where_exported(sources, name, reading).items():
            if "classes" in row:
                sections.setdefault(package, {})["classes"] = row["classes"]
    module = defaultdict(list)
    for method, told in of_module.items():
        kinds = {_EACH.get(t, MODULE if t == _SELF else "") for t in told if t}
        if len(kinds) == 1 and not method.startswith("_") and (kind := kinds.pop()):
            module[kind].append(method)
    return {
        "methods": {
            TENSOR: _told(methods),
            MODULE: {kind: _lines(names) for kind, names in sorted(module.items())},
        },
        "sections": sections,
    }


def _annotations(body: Iterable[ast.stmt]) -> dict[str, set[str]]:
    """By function, what its definitions say that they return; of an overloaded one, what the overloads say."""
    found: dict[str, set[str]] = defaultdict(set)
    overloaded: set[str] = set()
    for node in body:
        if isinstance(node, ast.If):
            for name, told in _annotations([*node.body, *node.orelse]).items():
                found[name] |= told
        if not isinstance(node, ast.FunctionDef):
            continue
        over = any(ast.unparse(d).endswith("overload") for d in node.decorator_list)
        if over or node.name not in overloaded:
            found[node.name].add(ast.unparse(node.returns).replace('"', "'") if node.returns else "")
        if over:
            overloaded.add(node.name)
    return found


def _documented(text: str) -> dict[str, set[str]]:
    """By function, what the signature at the head of its text says."""
    found: dict[str, set[str]] = {}
    for node in ast.parse(text).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id="_add_docstr"), args=[_, doc, *_]),
            ) if not name.startswith("_"):
                doc = doc.func.value if _is_formatted(doc) else doc  # type: ignore[attr-defined]
                constants = [n for n in ast.walk(doc) if isinstance(n, ast.Constant)]
                parts = [n.value for n in sorted(constants, key=lambda n: (n.lineno, n.col_offset))]
                said = _SAID.search("".join(map(str, parts)))
                if said is not None:
                    found[name] = {
                        "tuple[Tensor, ...]" if said[1].startswith(("(Tensor", "(Tensor,")) else said[1]
                    }
            case _:
                pass
    return found


def _is_formatted(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"


def _told(found: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Names all of whose signatures agree, by what they give."""
    one = [n for n, told in found.items() if told <= {"Tensor", "'Tensor'"} and _is_public(n)]
    several = [
        n for n, told in found.items() if told and all(_SEVERAL.fullmatch(t) for t in told) and _is_public(n)
    ]
    return {gives: _lines(names) for gives, names in ((TENSOR, one), (TENSORS, several)) if names}


def _is_public(name: str) -> bool:
    return not name.startswith("_")


# -- text --------------------------------------------------------------------------------------------------


def refresh_results(paths: Sequence[Path], *, write: bool) -> int:
    """Makes the tables of the libraries at `paths`, prints what changes, and stores them if told to."""
    changed = 0
    for library, content in made(paths):
        before, after = _rows(stored(library)), _rows(content)
        gone, new = before - after, after - before
        changed += len(gone) + len(new)
        print(
            f"{library}: {', '.join(content['releases'])}: {len(after)} names, {len(new)} new, {len(gone)} gone"
        )
        for name in sorted(gone):
            print(f"  gone: {name}")
        if write:
            path = path_of(library)
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n"
            )
    return 1 if changed else 0


def _rows(content: Mapping[str, Any]) -> set[str]:
    return {
        f"{section}: {name}: {gives}"
        for section, row in content.get("sections", {}).items()
        for part in ("classes", "functions", "by_convention")
        for gives, lines in row.get(part, {}).items()
        for line in lines
        for name in line.split()
    }
