"""The knowledge base: shape of the tables, agreement with the installed torch, look-ups, speed."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from uncuda import literals, others
from uncuda.findings import Outcome, Target
from uncuda.fixes.shim import SHIM
from uncuda.rules import _backends, knowledge
from uncuda.rules.knowledge import _data, refresh
from uncuda.rules.knowledge.wheels import Release

FOLDER = Path(knowledge.__file__).parent
TARGETS = [t.value for t in Target]
OUTCOMES = [o.value for o in Outcome]

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT, "uniqueItems": True}
TORCH: dict[str, Any] = {
    "type": "array",
    "prefixItems": [{"enum": [1, 2]}, {"type": "integer", "minimum": 0, "maximum": 40}],
    "minItems": 2,
    "maxItems": 2,
}


def per_target(value: dict[str, Any]) -> dict[str, Any]:
    """A value for each target: all named, or the rest under `*`."""
    names = dict.fromkeys([*TARGETS, "*"], value)
    whole = {"required": TARGETS}
    return {
        "type": "object",
        "properties": names,
        "additionalProperties": False,
        "anyOf": [{"required": ["*"]}, whole],
    }


def record(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def rows(entry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": entry, "minProperties": 1}


OUTCOME_TABLE = per_target({"enum": OUTCOMES})
ANSWER = {"type": "string", "pattern": r"^(noop|returns:.+|raises:\w+|dies)(;warns:[\w,]+)?$"}
NAMES: dict[str, Any] = {**TEXTS, "minItems": 1}
SPELLED = record(
    {
        "names": NAMES,
        "packages": NAMES,
        "arguments": {"type": "object", "additionalProperties": NAMES, "minProperties": 1},
    },
    [],
)
API = record(
    {
        "kind": {"enum": ["function", "class", "method", "attr", "module", "arg", "env", "idiom"]},
        "outcomes": OUTCOME_TABLE,
        "replacement": TEXT,
        "min_torch": TORCH,
        "keeps_cpu": {"enum": ["yes", "guard"]},
        "guard": TEXT,
        "verdict": {"enum": ["safe", "unsafe", "suggest", "report-only", "portable"]},
        "note": TEXT,
        "same_name": record(dict.fromkeys(["npu", "xpu", "mps", "mlu", "musa"], TEXT), []),
        "source": TEXT,
        "torch": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
        "torch_cuda_build": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
        "probe": TEXT,
        "on_cpu": ANSWER,
        "on_cuda_without_gpu": ANSWER,
        "since": TORCH,
        "deprecated": TORCH,
        "removed": TORCH,
        "example": TEXT,
        "told_as": TEXT,
        "untold": TEXT,
        "spelled": SPELLED,
        "member": record({"name": TEXT, "without": TEXT}, ["name"]),
        "parameters": NAMES,
        "dtype": TEXT,
    },
    ["kind", "outcomes", "verdict", "source"],
) | {"dependentRequired": {"probe": ["on_cpu", "torch"], "on_cpu": ["probe"]}}
EVIDENCE = {"enum": ["A", "B", "C"]}
STATUS_NAMES = ["native", "drop-in", "fork", "fallback", "none", "partly", "unknown"]
STATUS = {
    "anyOf": [
        {"enum": STATUS_NAMES},
        record(
            {"status": {"enum": STATUS_NAMES}, "name": TEXT, "same_import": {"type": "boolean"}}, ["status"]
        ),
    ]
}
PACKAGE = record(
    {
        "pypi": TEXTS,
        "pypi_note": TEXT,
        "category": TEXT,
        "cuda_only": {"enum": ["yes", "partly", "no"]},
        "importing": {"enum": ["tie", "maybe", "argument", "portable", "vendor"]},
        "status": per_target(STATUS),
        "outcomes": OUTCOME_TABLE,
        "alternative": TEXT,
        "effort": {"enum": [0, 1, 3, 5, 7, 13]},
        "detect": {"type": "array", "items": {"enum": ["import", "requirement", "string"]}, "minItems": 1},
        "note": TEXT,
        "source": TEXT,
        "evidence": EVIDENCE,
        "kernels": record({"decorators": NAMES, "calls": NAMES}, []),
        "device_names": NAMES,
    },
    ["category", "cuda_only", "importing", "status", "outcomes", "alternative", "effort",
     "detect", "source", "evidence"],
)  # fmt: skip
FACT = {
    "outcomes": OUTCOME_TABLE,
    "instead": TEXT,
    "effort": {"enum": [0, 1, 3, 5, 7, 13]},
    "note": TEXT,
    "names": NAMES,
    "patterns": NAMES,
    "source": TEXT,
    "evidence": EVIDENCE,
}
LISTED = record({"source": TEXT, "names": NAMES}, ["source", "names"])
AROUND = record(
    {
        "about": TEXT,
        "checked": TEXT,
        "facts": rows(record(FACT, ["outcomes", "instead", "source", "evidence"])),
        "distributions": rows(
            record({**FACT, "tie": {"type": "boolean"}, "package": TEXT}, ["tie", "source", "evidence"])
        ),
        "libraries": LISTED,
        "conda": LISTED,
        "other_projects": record(
            {"source": TEXT, "names": rows(record({"is": TEXT, "instead": TEXT}, ["is", "instead"]))},
            ["source", "names"],
        ),
        "images": record({"source": TEXT, "names": rows(record({"tag": TEXT}, []))}, ["source", "names"]),
    },
    ["checked", "facts", "distributions", "libraries", "conda", "other_projects", "images"],
)
FRAMEWORKS = record(
    {
        "about": TEXT,
        "checked": TEXT,
        "apis": rows(API),
        "aliases": {"type": "object", "additionalProperties": TEXT},
        "test_decorators": rows(
            record({"instead": {"type": "object", "additionalProperties": TEXT}, "source": TEXT}, ["source"])
        ),
    },
    ["checked", "apis", "aliases", "test_decorators"],
)
AUTOLOAD = record({"package": TEXT, "since": TEXT, "torch": TORCH}, ["package", "torch"])
TARGET = record(
    {
        **dict.fromkeys(
            ["title", "device", "module", "backend", "base_image", "pip", "autocast_default", "compile",
             "patch", "source"],
            TEXT,
        ),
        **dict.fromkeys(
            ["visible_devices", "container_devices", "allocator", "launch_blocking", "smi", "docker_devices",
             "k8s", "autocast", "gaps", "unchecked"],
            TEXTS,
        ),
        "imports": record({"module": TEXT, "autoload": {"anyOf": [AUTOLOAD, {"type": "null"}]}}, ["module"]),
    },
    ["title", "device", "module", "backend", "pip", "autocast", "autocast_default", "compile", "gaps",
     "source"],
)  # fmt: skip
ALIASES = {"type": "object", "additionalProperties": TEXT}
SCHEMAS = {
    "torch_api.json": record(
        {"about": TEXT, "assumption": TEXT, "torch": TEXT, "apis": rows(API), "aliases": ALIASES},
        ["torch", "apis", "aliases"],
    ),
    "packages.json": record(
        {"about": TEXT, "checked": TEXT, "packages": rows(PACKAGE), "aliases": ALIASES},
        ["checked", "packages", "aliases"],
    ),
    "targets.json": record(
        {
            "about": TEXT,
            "checked": TEXT,
            "targets": record(dict.fromkeys(TARGETS, TARGET), TARGETS),
        },
        ["checked", "targets"],
    ),
    "floors.json": record(
        {"about": TEXT, "floors": rows(record({"torch": TORCH, "source": TEXT}, ["torch", "source"]))},
        ["floors"],
    ),
    "frameworks.json": FRAMEWORKS,
    "around.json": AROUND,
}


def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses a JSON object that names a key twice: the later would hide the earlier."""
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), {name for name in names if names.count(name) > 1}
    return dict(pairs)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_table_has_its_shape(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    content = json.loads(text, object_pairs_hook=no_twins)
    jsonschema.Draft202012Validator(SCHEMAS[name]).validate(content)
    assert "\r" not in text
    assert text.endswith("}\n")


def test_every_entry_speaks_of_every_target() -> None:
    for api in knowledge.apis().values():
        assert set(api.outcomes) == set(Target), api.symbol
    for package in knowledge.packages().values():
        assert set(package.outcomes) == set(package.support) == set(Target), package.import_name


def test_what_raises_on_the_cpu_is_a_crash_there_and_nothing_else_is() -> None:
    wrong = [
        api.symbol
        for api in knowledge.apis().values()
        if api.on_cpu is not None
        and api.on_cpu.startswith("raises") != (api.outcomes[Target.CPU] is Outcome.CRASH)
    ]
    assert wrong == []


def test_sources_name_the_version_that_was_measured() -> None:
    for api in knowledge.apis().values():
        if api.probe is not None:
            assert api.source.startswith(f"measured: torch {api.torch_version}, CPU build"), api.symbol
        else:
            assert not api.source.startswith("measured"), api.symbol


def test_aliases_lead_to_entries_and_are_none_themselves() -> None:
    for table, listed in (
        (knowledge.aliases(), knowledge.apis()),
        (knowledge.package_aliases(), knowledge.packages()),
    ):
        assert table.keys().isdisjoint(listed)
        assert set(table.values()) <= set(listed)


FLOORS = {
    "is_available": (2, 6),
    "current_accelerator": (2, 6),
    "device_count": (2, 6),
    "set_device_index": (2, 6),
    "current_device_index": (2, 6),
    "current_stream": (2, 6),
    "set_stream": (2, 6),
    "synchronize": (2, 6),
    "device_index": (2, 8),
    "empty_cache": (2, 9),
    "memory_allocated": (2, 9),
    "memory_reserved": (2, 9),
    "max_memory_allocated": (2, 9),
    "max_memory_reserved": (2, 9),
    "memory_stats": (2, 9),
    "reset_peak_memory_stats": (2, 9),
    "reset_accumulated_memory_stats": (2, 9),
    "get_memory_info": (2, 10),
    "get_device_capability": (2, 10),
    "Graph": (2, 12),
}


def test_replacements_fit_their_floor_and_use_what_exists() -> None:
    for api in knowledge.apis().values():
        assert (api.min_torch is None) or api.replacement is not None or api.kind == "attr", api.symbol
        for name in re.findall(r"torch\.accelerator\.(\w+)", f"{api.replacement} {api.guard}"):
            assert api.min_torch is not None, api.symbol
            assert api.min_torch >= FLOORS[name], (api.symbol, name)
        if api.replacement is not None:
            assert not re.search(r"\btorch\.(npu|mlu|musa|xpu|hpu)\b", api.replacement), api.symbol


# -- against torch -----------------------------------------------------------------------------------------


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


def test_every_probe_answers_as_the_table_says_and_no_public_name_is_missing() -> None:
    done = python("-m", "uncuda.rules.knowledge.refresh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 changed, 0 names missing" in done.stdout


SAME_OBJECT = """
import importlib, torch, torch.cuda.comm, torch.distributed
from uncuda.rules.knowledge import aliases, lookup

def get(name):
    value = torch
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value

release = tuple(map(int, torch.__version__.split(".")[:2]))
for alias, symbol in aliases().items():
    api = lookup(symbol)
    if (api.since or (0, 0)) > release or (api.removed or (99, 0)) <= release:
        continue
    if alias.startswith("torch.cuda.") and symbol.replace(".", "").replace("_", "").isalnum():
        assert get(alias) is get(symbol), alias
"""


def test_dotted_aliases_are_the_same_object_in_torch() -> None:
    done = python("-c", SAME_OBJECT)
    assert done.returncode == 0, done.stderr


# -- look-ups ----------------------------------------------------------------------------------------------


def test_lookup_knows_names_aliases_and_quotes() -> None:
    api = knowledge.lookup("torch.cuda.empty_cache")
    assert api is not None
    assert api.symbol == "torch.cuda.empty_cache"
    assert knowledge.lookup("torch.cuda.memory.empty_cache") is api or (
        knowledge.lookup("torch.cuda.memory.empty_cache") == api
    )
    amp = knowledge.lookup("torch.cuda.amp.autocast_mode.autocast")
    assert amp is not None
    assert amp.symbol == "torch.cuda.amp.autocast"
    assert knowledge.canonical("torch.device('cuda')") == 'torch.device("cuda")'
    assert knowledge.lookup("torch.cuda.empty_cash") is None
    assert knowledge.lookup("torch.nn.Linear") is None


def test_outcomes_of_the_well_known() -> None:
    empty = knowledge.outcomes("torch.cuda.empty_cache")
    assert empty[Target.CPU] is Outcome.HARMLESS
    assert empty[Target.ASCEND] is Outcome.DEGRADED
    assert empty[Target.ROCM] is Outcome.WORKS
    move = knowledge.outcomes("torch.Tensor.cuda")
    assert {o for t, o in move.items() if t is not Target.ROCM} == {Outcome.CRASH}
    asked = knowledge.outcomes("torch.cuda.is_available")
    assert asked[Target.XPU] is Outcome.SILENT_CPU
    assert asked[Target.CPU] is Outcome.WORKS
    flag = knowledge.outcomes("torch.backends.cudnn.benchmark")
    assert set(flag.values()) == {Outcome.HARMLESS, Outcome.WORKS}
    assert knowledge.outcomes("torch.cuda.get_device_capability")[Target.ROCM] is Outcome.DEGRADED


def test_unlisted_names_below_torch_cuda_are_unknown_and_others_refused() -> None:
    assert set(knowledge.outcomes("torch.cuda._nobody_knows").values()) == {Outcome.UNKNOWN}
    with pytest.raises(KeyError, match=re.escape("nearest: torch.cuda, torch.Tensor.cuda")):
        knowledge.outcomes("torch.Tensr.cuda")


def test_nearest_offers_what_was_meant() -> None:
    assert knowledge.nearest("empty_cache")[0] == "torch.cuda.empty_cache"
    assert knowledge.nearest("torch.cuda.syncronize")[0] == "torch.cuda.synchronize"
    assert len(knowledge.nearest("torch.cuda.memory", n=5)) <= 5


RULES = sorted((FOLDER.parent).glob("*.py"))
FIXES = [
    *sorted((FOLDER.parent.parent / "fixes").glob("*.py")),
    *sorted((FOLDER.parent.parent / "linter").glob("*.py")),
]


def literal_symbols() -> Iterator[tuple[str, str]]:
    """Keys of the table that rules pass as a literal, with the file they stand in."""
    for path in RULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "symbol":
                choice = node.value
                for value in (choice.body, choice.orelse) if isinstance(choice, ast.IfExp) else (choice,):
                    if isinstance(value, ast.Constant):
                        yield path.name, str(value.value)


def test_rules_ask_only_for_what_is_listed() -> None:
    unknown = [(file, s) for file, s in literal_symbols() if knowledge.canonical(s) is None]
    assert unknown == []


# -- packages ----------------------------------------------------------------------------------------------


def test_the_longest_listed_prefix_is_the_package() -> None:
    def name(imported: str) -> str | None:
        found = knowledge.package(imported)
        return None if found is None else found.import_name

    assert name("flash_attn.layers.rotary") == "flash_attn"
    assert name("numba.cuda.random") == "numba.cuda"
    assert name("numba") is None
    assert name("cuda") is None
    assert name("cuda.cudart") == "cuda.bindings"
    assert name("cupy.RawKernel") == "cupy.RawKernel"
    assert name("cupyx.scipy.ndimage") == "cupy"
    assert name("flash_attnx") is None
    assert name("") is None


def test_distributions_are_found_in_any_spelling() -> None:
    for spelled in ("flash-attn", "flash_attn", "Flash.Attn"):
        found = knowledge.distribution(spelled)
        assert found is not None
        assert found.import_name == "flash_attn"
    assert knowledge.distribution("torch") is None
    assert knowledge.distribution("numpy") is None


PORTABLE = [
    "accelerate", "catboost", "deepspeed", "diffusers", "faiss", "gpytorch", "jax", "kernels", "lightgbm",
    "lightning", "monai", "mpi4py", "onnxruntime", "openmm", "ray", "sglang", "tensorflow",
    "torch_geometric", "torchao", "torchaudio",
    "torchcodec", "torchvision.ops", "transformers", "ultralytics", "vllm", "warp", "xgboost",
]  # fmt: skip
TIED = [
    "apex", "bitsandbytes", "causal_conv1d", "cudf", "cuml", "cupy", "deep_ep", "deep_gemm", "flash_attn",
    "flashinfer", "mamba_ssm", "numba.cuda", "nvidia.dali", "pycuda", "pynvml", "tensorrt",
    "transformer_engine", "triton", "xformers",
]  # fmt: skip


@pytest.mark.parametrize("name", PORTABLE)
def test_an_import_of_a_portable_package_is_no_tie(name: str) -> None:
    assert knowledge.packages()[name].importing not in ("tie", "maybe")


@pytest.mark.parametrize("name", TIED)
def test_an_import_of_a_cuda_package_is_a_tie(name: str) -> None:
    assert knowledge.packages()[name].importing == "tie"


def test_outcomes_of_packages_follow_from_their_status() -> None:
    allowed = {
        "none": {Outcome.CRASH},
        "fork": {Outcome.CRASH},
        "native": {Outcome.WORKS},
        "drop-in": {Outcome.WORKS, Outcome.CRASH, Outcome.UNKNOWN},
        # a fallback that has to be asked for (a simulator, another package) leaves the import broken
        "fallback": {Outcome.DEGRADED, Outcome.CRASH, Outcome.UNKNOWN},
        "partly": {Outcome.DEGRADED},
        "unknown": {Outcome.UNKNOWN},
    }
    for found in knowledge.packages().values():
        for target, support in found.support.items():
            assert found.outcomes[target] in allowed[support.status], (found.import_name, target)
            if support.status == "drop-in":
                expected = {True: Outcome.WORKS, False: Outcome.CRASH, None: Outcome.UNKNOWN}
                assert found.outcomes[target] is expected[support.same_import], (found.import_name, target)
            if support.status in ("drop-in", "fork"):
                assert support.name, (found.import_name, target)


def test_reported_packages_fail_somewhere() -> None:
    for found in knowledge.packages().values():
        if found.importing in ("tie", "maybe"):
            assert {Outcome.CRASH, Outcome.DEGRADED} & set(found.outcomes.values()), found.import_name
            assert not found.import_name.startswith("torch."), found.import_name


# -- targets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", Target)
def test_every_target_has_its_facts(which: Target) -> None:
    facts = knowledge.target(which)
    assert facts.target is which
    assert facts.autocast_default in facts.autocast
    assert facts.gaps


def test_facts_that_fixes_rely_on() -> None:
    ascend = knowledge.target(Target.ASCEND)
    assert (ascend.device, ascend.backend, ascend.import_module) == ("npu", "hccl", "torch_npu")
    assert ascend.autoload is not None
    assert ascend.autoload.torch == (2, 5)
    assert knowledge.target(Target.ROCM).device == "cuda"
    assert knowledge.target(Target.XPU).backend == "xccl"
    assert knowledge.target(Target.MLU).autoload is None


def test_target_devices_are_devices_of_torch() -> None:
    # npu, mlu and musa are names that their packages register; torch itself knows the others.
    known = {knowledge.target(t).device for t in Target} - {"npu", "mlu", "musa"}
    done = python("-c", f"import torch\nfor d in {sorted(known)!r}: torch.device(d)")
    assert done.returncode == 0, done.stderr


def test_words_that_code_is_read_by_are_those_of_the_targets() -> None:
    """Lists in the engine and in rules that come before any table is read."""
    for which in Target:
        facts = knowledge.target(which)
        if which not in (Target.CPU, Target.ROCM):
            assert others._TARGETS[facts.device] is which
        if facts.backend not in ("gloo", "nccl"):
            assert facts.backend in _backends.OTHERS
        if facts.device != "cpu":
            assert re.search(rf"\b{facts.device}\b", literals._DEVICE_TEXT.pattern)
            assert facts.device == "xla" or f'"{facts.device}"' in SHIM


# -- speed -------------------------------------------------------------------------------------------------

LIGHT = """
import sys
import uncuda.rules.knowledge as k
k.outcomes("torch.cuda.empty_cache"), k.package("flash_attn"), k.apis()
heavy = {"torch", "libcst", "csv", "rich", "jsonschema", "difflib", "importlib.resources"} & set(sys.modules)
assert not heavy, heavy
"""


def test_reading_the_tables_imports_nothing_heavy() -> None:
    done = python("-c", LIGHT)
    assert done.returncode == 0, done.stderr


NOTHING = """
import sys
from uncuda.engine import Options, check_text
code = "import torch\\nfrom torch import nn\\n\\n\\ndef f(use_cuda, cuda=None):\\n    return nn.Linear(2, 2)\\n"
assert check_text(code, Options()).findings == ()
assert not [m for m in sys.modules if m.startswith("uncuda.rules.knowledge")]
"""


def test_code_without_a_tie_costs_no_table() -> None:
    done = python("-c", NOTHING)
    assert done.returncode == 0, done.stderr


ASKED = """
import dataclasses, enum, functools, json, re, types
import uncuda.findings
from time import process_time
start = process_time()
from uncuda.rules import knowledge as k
k.apis(), k.package_imports(), k.distribution("flash-attn"), k.around_facts(), k.kernel_makers("calls")
k.own_device_names(), k.floor("torch.accelerator"), k.outcomes('xgboost(device="cuda")')
k.spelled('xgboost(device="cuda")'), k.test_decorators()
[k.target(t) for t in uncuda.findings.Target]
print(process_time() - start)
"""


def test_what_a_run_may_ask_for_costs_little() -> None:
    """In processor time, the import counted: every table, every API and target, and packages one by one."""
    assert min(float(python("-c", ASKED).stdout) for _ in range(9)) < 0.030


def test_the_tables_are_read_in_a_moment() -> None:
    best = 1.0
    for _ in range(7):
        _data.table.cache_clear()
        start = time.perf_counter()
        _data.table("torch_api.json")
        best = min(best, time.perf_counter() - start)
    assert best < 0.005


# -- measuring again ---------------------------------------------------------------------------------------


READ = re.compile(
    r"(?:environ(?:\.get|\.setdefault|\.pop)?[\[(]|getenv\(|env_name_\w+=)\s*[\"']([A-Z][A-Z0-9_]{4,})", re.S
)
OF_CUDA = re.compile("CUDA|CUDNN|CUBLAS|NCCL|NVML|CUSOLVER|MAGMA|CUTLASS|CUPTI|NVRTC|PTXAS|NVSHMEM|TUNABLEOP")


def test_variables_that_torch_reads_are_listed() -> None:
    """Those of its Python code, its own tests and examples in texts left out."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.submodule_search_locations
    read: set[str] = set()
    for path in Path(spec.submodule_search_locations[0]).rglob("*.py"):
        if "testing" not in path.parts:
            read |= {name for name in READ.findall(path.read_text("utf-8")) if OF_CUDA.search(name)}
    assert len(read) > 25
    listed = [symbol.removeprefix("env:") for symbol in knowledge.apis() if symbol.startswith("env:")]
    missing = {name for name in read if not any(fnmatchcase(name, pattern) for pattern in listed)}
    assert missing <= {"CUDA_PROFILE"}, "an example in a docstring"


HELD = """
import inspect, json, torch
from uncuda.rules import knowledge
from uncuda.rules.knowledge._data import table
for symbol, row in table("torch_api.json")["apis"].items():
    found = torch
    for part in symbol.split(".")[1:] if {"parameters", "dtype", "member"} & set(row) else ():
        found = getattr(found, part)
    if "parameters" in row:
        asked = found.__init__ if inspect.isclass(found) else found
        names = [n for n in inspect.signature(asked).parameters if n != "self"]
        assert names == row["parameters"], (symbol, names)
    if "dtype" in row:
        host = getattr(torch, symbol.rpartition(".")[2])
        assert host(1).dtype == getattr(torch, row["dtype"]), symbol
    if "member" in row:
        without = row["member"].get("without")
        if without is None:
            assert row["on_cpu"].startswith("raises"), symbol
        else:
            assert found() == eval(without), symbol
        assert row["member"]["name"] in dir(torch.cuda), symbol
"""


THERE = """
import ast, importlib, json, re, sys
import torch
from uncuda.rules import knowledge


def is_there(name):
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        try:
            for part in parts[end:]:
                found = getattr(found, part)
        except AttributeError:
            return False
        return True
    return False


names = json.load(sys.stdin)
print(json.dumps([n for n in names if knowledge.lookup(n) is None and not is_there(n)]))
"""


def written_names(path: Path) -> Iterator[str]:
    """Public names of torch that a rule holds, examples left out; what ends in `_` is the beginning of several."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    examples = [
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) in ("Bad", "Good")
    ]
    shown = {id(part) for call in examples for part in ast.walk(call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in shown:
            if re.fullmatch(r"torch(\.[A-Za-z]\w*)+(?<!_)", node.value):
                yield node.value


def test_names_of_torch_in_rules_are_listed_or_torch_s() -> None:
    names = sorted({name for path in RULES for name in written_names(path)})
    assert len(names) > 100
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", THERE],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []


def test_signatures_types_and_values_are_those_of_torch() -> None:
    done = python("-c", HELD)
    assert done.returncode == 0, done.stderr


def test_a_changed_answer_is_found_and_says_whether_outcomes_are_touched() -> None:
    answers = {a.probe: a.on_cpu or "" for a in knowledge.apis().values() if a.probe is not None}
    assert refresh.compare(answers) == []
    answers["torch.cuda.empty_cache()"] = "raises:RuntimeError"
    answers["torch.cuda.synchronize()"] = "raises:RuntimeError"
    changes = {c.symbol: c for c in refresh.compare(answers)}
    assert changes["torch.cuda.empty_cache"].touches_outcomes
    assert not changes["torch.cuda.synchronize"].touches_outcomes
    assert changes["torch.cuda.synchronize"].before == "raises:AssertionError"


def test_the_answer_without_its_value_is_its_kind() -> None:
    assert refresh.kind("returns:0;warns:FutureWarning") == "returns"
    assert refresh.kind("raises:KeyError;warns:UserWarning") == "raises:KeyError"
    assert refresh.kind("noop") == "noop"


def test_writing_stores_answer_version_and_source() -> None:
    row = {"on_cpu": "noop", "torch": "2.13.0", "source": "measured: torch 2.13.0, CPU build"}
    content = {
        "torch": "2.13.0",
        "apis": {
            "a": {"probe": "f()", **row},
            "b": {"probe": "g()", "on_cuda_without_gpu": "noop", **row},
            "c": {"source": "read"},
        },
    }
    before = json.dumps(content)
    new = refresh.updated(content, {"f()": "returns:1", "g()": "noop"}, "2.14.0")
    assert json.dumps(content) == before
    assert new["torch"] == "2.14.0"
    assert new["apis"]["a"]["on_cpu"] == "returns:1"
    assert new["apis"]["a"]["source"] == "measured: torch 2.14.0, CPU build"
    assert (
        new["apis"]["b"]["source"]
        == "measured: torch 2.14.0, CPU build; torch 2.13.0, CUDA build without a GPU"
    )
    assert new["apis"]["c"] == {"source": "read"}
    again = refresh.updated(new, {"f()": "returns:1", "g()": "noop"}, "2.15.0")
    assert again["apis"]["b"]["torch_cuda_build"] == "2.13.0"


@pytest.mark.parametrize("name", ["torch_api.json", "packages.json"])
def test_a_table_is_written_one_entry_a_line(name: str) -> None:
    content = json.loads((FOLDER / name).read_bytes())
    text = refresh.dump(content)
    assert json.loads(text) == content
    entries = next(value for value in content.values() if isinstance(value, dict))
    assert text.count("\n") > len(entries)


RELEASE = {
    "torch/__init__.py": "from torch._C._VariableFunctions import *\nfrom torch import cuda\n\n_OLD = {'has_cuda': cuda.is_built}\n\n\n"
    "def __getattr__(name):\n    return _OLD[name]()\n",
    "torch/cuda/__init__.py": "def is_built(): ...\n\n\ndef empty_cache(): ...\n",
    "torch/_C/__init__.pyi": "class Stream: ...\n",
    "torch/_C/_VariableFunctions.pyi": "def zeros(): ...\n",
}


@pytest.fixture
def releases(tmp_path: Path) -> list[Release]:
    """Two releases of a small torch; the later has torch.accelerator."""
    made = []
    for version, more in (
        ("2.5.1", {}),
        ("2.6.0", {"torch/accelerator/__init__.py": "def is_available(): ...\n"}),
    ):
        root = tmp_path / version
        for name, text in {
            **RELEASE,
            **more,
            f"torch-{version}.dist-info/METADATA": f"Version: {version}\n",
        }.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        made.append(Release(root))
    return made


def test_a_release_has_what_it_names_and_nothing_else(releases: list[Release]) -> None:
    old, new = releases
    for name in ("torch.cuda.empty_cache", "torch.zeros", "torch.has_cuda"):
        assert old.find(name) is not None, name
    for name in (
        "torch.ones",
        "torch.accelerator",
        "torch.accelerator.is_available",
        "torch.cuda.synchronize",
    ):
        assert old.find(name) is None, name
    assert new.find("torch.accelerator.is_available") is not None


def test_a_floor_that_another_release_shows_is_told(releases: list[Release]) -> None:
    told = list(refresh.moved_floors(releases))
    assert "floor of torch.accelerator.device_index: 2.8 -> in none" in told
    assert not [line for line in told if line.startswith("floor of torch.accelerator:")]
    late = list(refresh.late_replacements(releases))
    assert not [line for line in late if "torch.accelerator.is_available" in line]


def test_every_floor_is_asked_for_and_known() -> None:
    asked = set()
    for path in [*RULES, *FIXES]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in (
                "needs",
                "has",
                "floor",
            ):
                asked |= {
                    a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
                }
    assert {what for what in asked if what in knowledge.floors()} == set(knowledge.floors())
