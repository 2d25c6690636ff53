"""One repository with every kind of file that an audit reads: what it says is what a person counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["x.cuda()"]},
        {
            "cell_type": "code",
            "id": "b",
            "execution_count": 3,
            "metadata": {"tags": ["keep"]},
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["device cuda\n"]}],
            "source": ["!pip install flash-attn\n", "import torch\n", "x = torch.ones(2, device='cuda')"],
        },
    ],
    "metadata": {"accelerator": "GPU", "kernelspec": {"name": "python3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
KERNEL = "#include <cuda_runtime.h>\n\n__global__ void add(float* x) {\n  x[threadIdx.x] += 1;\n}\n__global__ void two() {}\n"
TRITON = "import triton\n\n\n@triton.jit\ndef kernel(x):\n    pass\n"
TILE = "import tilelang\n\n\n@tilelang.jit(out_idx=[1])\ndef tile(m):\n    return m\n"
POD = "spec:\n  containers:\n    - name: x\n      image: nvidia/cuda:12.2.0-base\n      resources:\n        limits:\n          nvidia.com/gpu: 1\n"
COMPOSE = "services:\n  app:\n    image: x\n    runtime: nvidia\n    environment:\n      - NVIDIA_VISIBLE_DEVICES=all\n"
CI = "jobs:\n  test:\n    runs-on: ubuntu-latest\n    container: pytorch/pytorch:2.1.0-cuda11.8-cudnn8-devel\n    steps:\n      - run: nvidia-smi\n"
PYPROJECT = (
    '[project]\nname = "x"\nversion = "0"\ndependencies = ["torch>=2.6", "xformers"]\n\n[dependency-groups]\ngpu = ["cupy-cuda12x"]\n\n'
    '[[tool.uv.index]]\nname = "torch"\nurl = "https://example.org/whl/cu124"\n'
)
LOCKED = '[[package]]\nname = "flash-attn"\nversion = "2.6.3"\n\n[[package]]\nname = "nvidia-cublas-cu12"\nversion = "12.4.5.8"\n'
FILES: dict[str, tuple[str, list[str]]] = {
    "train.py": (
        "import torch\n\nmodel = torch.nn.Linear(2, 2).cuda()\ntorch.cuda.empty_cache()\n"
        'device = "cuda" if torch.cuda.is_available() else "cpu"\n',
        ["UC101", "UC201", "UC211"],
    ),
    "kernels/triton_ops.py": (TRITON, ["UC501", "UC503"]),
    "kernels/tile_ops.py": (TILE, ["UC501", "UC503"]),
    "setup.py": (
        "from setuptools import setup\nfrom torch.utils.cpp_extension import CUDAExtension\n\n"
        "setup(ext_modules=[CUDAExtension('x', ['csrc/add.cu'])])\n",
        ["UC502"],
    ),
    "tests/test_x.py": (
        "import pytest\nimport torch\n\n\n@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA')\n"
        "def test_x():\n    pass\n",
        ["UC702"],
    ),
    "nb.ipynb": (json.dumps(NOTEBOOK, indent=1), ["UC103", "UC801"]),
    "requirements.txt": (
        "--extra-index-url https://example.org/whl/cu121\ntorch==2.5.1+cu121\nflash-attn==2.6.3\nnvidia-cudnn-cu12==9.1\n",
        ["UC801", "UC802", "UC803", "UC804"],
    ),
    "pyproject.toml": (PYPROJECT, ["UC801", "UC801", "UC803"]),
    "setup.cfg": ("[options]\ninstall_requires =\n    mamba-ssm>=2\n", ["UC801"]),
    "uv.lock": (LOCKED, ["UC801", "UC804"]),
    "poetry.lock": (LOCKED, ["UC801", "UC804"]),
    "pylock.toml": (LOCKED.replace("[[package]]", "[[packages]]"), ["UC801", "UC804"]),
    "conda-lock.yml": (
        "package:\n- name: cudatoolkit\n  version: 11.8.0\n  manager: conda\n",
        ["UC806"],
    ),
    "environment.yml": (
        "dependencies:\n  - python=3.11\n  - pytorch-cuda=12.1\n  - cudatoolkit=11.8\n",
        ["UC806"],
    ),
    "Dockerfile": (
        "FROM nvidia/cuda:12.1.1-devel-ubuntu22.04\nRUN apt-get install -y cuda-toolkit-12-1\n",
        ["UC811", "UC824"],
    ),
    "compose.yaml": (COMPOSE, ["UC812", "UC821"]),
    "run.sh": (
        "export CUDA_VISIBLE_DEVICES=0\ndocker run --gpus all x\npython train.py --device cuda\n",
        ["UC812", "UC821", "UC831"],
    ),
    "job.slurm": (
        "#!/bin/bash\n#SBATCH --gres=gpu:a100:2\nsrun python train.py\n",
        ["UC823"],
    ),
    ".github/workflows/ci.yml": (CI, ["UC811", "UC822"]),
    ".gitlab-ci.yml": (
        "test:\n  image: nvcr.io/nvidia/pytorch:23.10-py3\n  script:\n    - pytest\n",
        ["UC811"],
    ),
    "k8s/pod.yaml": (POD, ["UC811", "UC813"]),
    "configs/base.yaml": (
        "device: cuda\ndistributed:\n  backend: nccl\ntrainer:\n  accelerator: gpu\n",
        ["UC831", "UC832", "UC833"],
    ),
    "configs/model.json": ('{"attn_implementation": "flash_attention_2"}\n', ["UC834"]),
    "settings.toml": ('[train]\ndevice = "cuda:0"\n', ["UC831"]),
    "csrc/add.cu": (KERNEL, ["UC841"]),
    "csrc/warp.cuh": (
        '__device__ void f() {\n  asm volatile("bar.sync 0;");\n}\n',
        ["UC842"],
    ),
    "csrc/add.ptx": (
        ".version 7.0\n.target sm_80\n.visible .entry add() { ret; }\n",
        ["UC841"],
    ),
    "CMakeLists.txt": (
        "project(x LANGUAGES CXX)\nfind_package(CUDA REQUIRED)\n",
        ["UC843"],
    ),
    "README.md": (
        "Call x.cuda().\n\n```python\nimport torch\n\ntorch.ones(1).cuda()\n```\n\n```bash\npip install flash-attn\n```\n",
        [],
    ),
    "lib.py": (
        'import torch\n\n\ndef f(x):\n    """Does it.\n\n    >>> f(torch.ones(1).cuda())\n    """\n    return x\n',
        [],
    ),
}
EXAMPLES = {("README.md", 6): "UC101", ("README.md", 10): "UC801", ("lib.py", 7): "UC101"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("every") / "kind"
    for name, (text, _) in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def run(root: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "uncuda", *words, "."],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report(project: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        run(project, "audit", "--no-cache", "--isolated", "-q", "--output-format", "json")
    )
    return content


def test_every_file_says_what_a_person_finds_in_it(report: dict[str, Any]) -> None:
    found: dict[str, list[str]] = {name: [] for name in FILES}
    for tie in report["ties"]:
        found[tie["path"]].append(tie["code"])
    assert {name: sorted(codes) for name, codes in found.items()} == {
        name: codes for name, (_, codes) in FILES.items()
    }


def test_totals_are_the_sums_of_their_parts(report: dict[str, Any]) -> None:
    ties = report["ties"]
    wanted = sum(len(codes) for _, codes in FILES.values())
    totals = report["totals"]
    assert len(ties) == totals["ties"] == wanted
    for table in ("kinds", "families"):
        assert sum(row["count"] for row in report[table]) == wanted
    inventory = report["inventory"]
    assert (
        sum(r["count"] for key in ("apis", "packages", "kernels", "deployment") for r in inventory[key])
        == wanted
    )
    assert sum(totals["remedies"].values()) == sum(totals["outcomes"].values()) == wanted
    assert Counter(t["remedy"] for t in ties) == totals["remedies"]
    assert sum(s["ties"] for s in report["hotspots"]["files"]) == wanted
    points = sum(phase["points"] for phase in report["plan"])
    assert report["effort"]["points"] == pytest.approx(points, abs=0.02)
    verification = report["plan"][-1]["points"]
    for parts in (report["kinds"], report["hotspots"]["files"], report["hotspots"]["directories"]):
        assert sum(p["points"] for p in parts) == pytest.approx(points - verification, abs=0.05)
    for target in report["targets"]:
        assert sum(target["outcomes"].values()) == wanted
        for key, outcome in (("silent", "silent-cpu"), ("crashes", "crash"), ("degraded", "degraded")):
            assert len(target[key]) == target["outcomes"].get(outcome, 0)


def test_kernels_are_counted_by_language(report: dict[str, Any]) -> None:
    rows = {r["language"]: (r["files"], r["kernels"], r["lines"]) for r in report["inventory"]["sources"]}
    assert rows == {
        "CUDA C++": (1, 2, KERNEL.count("\n")),
        "PTX": (1, 1, 3),
        "triton": (1, 1, 3),
        "tilelang": (1, 1, 3),
    }


def test_examples_in_prose_are_counted_apart(report: dict[str, Any]) -> None:
    assert {(t["path"], t["row"]): t["code"] for t in report["examples"]} == EXAMPLES
    assert report["totals"]["examples"] == len(EXAMPLES)


def test_a_target_alone_costs_what_the_whole_does(project: Path) -> None:
    words = ("audit", "--no-cache", "--isolated", "-q", "--target", "ascend", "--output-format", "json")
    content = json.loads(run(project, *words))
    (ascend,) = content["targets"]
    assert ascend["points"] == pytest.approx(content["effort"]["points"], abs=0.02)
    assert ascend["days"] == content["effort"]["days"]


def test_all_shapes_say_the_same_figures(project: Path, report: dict[str, Any]) -> None:
    ties, points = report["totals"]["ties"], f"{report['effort']['points']:g}"
    low, high = report["effort"]["days"]
    for name in ("terminal", "markdown", "html"):
        text = run(project, "audit", "--no-cache", "--isolated", "-q", "--output-format", name)
        assert str(ties) in text and f"{low:g}–{high:g} days" in text, name
        if name != "html":
            assert f"{ties} ties" in text and f"{points} story points" in text
    sarif = json.loads(run(project, "audit", "--no-cache", "--isolated", "-q", "--output-format", "sarif"))
    assert len(sarif["runs"][0]["results"]) == ties


def test_check_finds_the_same_under_the_same_codes(project: Path, report: dict[str, Any]) -> None:
    words = ("check", "--no-cache", "--isolated", "--severity", "info", "--output-format", "json")
    found = json.loads(run(project, *words))
    assert Counter(item["code"] for item in found) == Counter(tie["code"] for tie in report["ties"])


def test_a_notebook_is_written_back_with_all_that_is_in_it(project: Path) -> None:
    path = project / "nb.ipynb"
    before = path.read_text()
    try:
        run(project, "check", "--no-cache", "--isolated", "--fix", "--select", "UC1", "--exclude", "*.py")
        after = path.read_text()
    finally:
        path.write_text(before)
    old, new = before.splitlines(), after.splitlines()
    changed = [line for line in new if line not in old]
    assert changed and all("device" in line for line in changed)
    made, was = json.loads(after), json.loads(before)
    assert made["cells"][1].pop("source") != was["cells"][1].pop("source")
    assert made == was
