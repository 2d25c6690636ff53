"""What scripts, images and CI files set and run: variables, programs, and what a scheduler is asked for."""

from __future__ import annotations

from uncuda.around.context import FileContext
from uncuda.around.items import Option, Program, SystemPackage, Variable
from uncuda.around.kinds import Kind
from uncuda.rules._spelled import named
from uncuda.rules._variables import WORDS, elsewhere, variable, variable_elsewhere
from uncuda.rules.base import Bad, Category, FileRule, Good


class CudaVariable(FileRule):
    """An environment variable that CUDA's libraries read is set; other vendors' libraries don't look at it.

    `CUDA_VISIBLE_DEVICES=0` hides no NPU: the job takes every device, and nothing tells. Each vendor has names of its
    own: let the launcher or the cluster set them, or take the name from a variable. UC701 says the same of Python.
    """

    code = "UC821"
    name = "cuda-variable"
    triggers = WORDS
    category = Category.POTENTIAL
    effort = 1
    sources = ("knowledge base: env:*", "vendors' variables: knowledge base, targets")
    bad = (
        Bad("#!/bin/bash\nexport CUDA_VISIBLE_DEVICES=0,1\npython train.py\n", file="train.sh"),
        Bad("CUDA_VISIBLE_DEVICES=0 NCCL_DEBUG=INFO python train.py\n", file="train.sh", count=2, id="before-a-command"),
        Bad("FROM python:3.12\nENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility\n",
            file="Dockerfile", count=2, id="image"),
        Bad("services:\n  app:\n    image: x\n    environment:\n      - NVIDIA_VISIBLE_DEVICES=all\n", file="compose.yaml", id="list"),
        Bad("jobs:\n  test:\n    env:\n      CUDA_VISIBLE_DEVICES: 0\n", file="ci.yml", id="map"),
        Bad("spec:\n  containers:\n    - env:\n        - name: NCCL_DEBUG\n          value: INFO\n", file="pod.yaml", id="pod"),
        Bad("env CUDA_LAUNCH_BLOCKING=1 python a.py\ndocker run -e NVIDIA_VISIBLE_DEVICES=0 image\n", file="a.sh", count=2, id="env"),
        Bad("export CUDA_HOME ?= /usr/local/cuda\ntest:\n\tCUDA_VISIBLE_DEVICES=0 pytest\n", file="Makefile", count=2, id="make"),
    )  # fmt: skip
    good = (
        Good(
            "export ASCEND_RT_VISIBLE_DEVICES=0\nexport CUDA_MY_OWN=1\n",
            "another vendor's, one's own",
            file="train.sh",
        ),
        Good(
            "# export CUDA_VISIBLE_DEVICES=0\necho CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES\n",
            "a comment, shown",
            file="train.sh",
        ),
        Good('if [ -n "$CUDA_VISIBLE_DEVICES" ]; then echo yes; fi\n', "asked for", file="train.sh"),
        Good("FROM python:3.12\nLABEL NVIDIA_VISIBLE_DEVICES=all\n", "a label", file="Dockerfile"),
        Good(
            "services:\n  app:\n    labels:\n      - NVIDIA_VISIBLE_DEVICES=all\n",
            "a label",
            file="compose.yaml",
        ),
        Good("variables_in_use: CUDA_VISIBLE_DEVICES\n", "text", file="notes.yaml"),
        Good("export CUBLAS_WORKSPACE_CONFIG=:4096:8\n", "harmless where it isn't read", file="train.sh"),
        Good("ARG CUDA_VERSION=12.1\nFROM python:3.12\n", "an argument of the build", file="Dockerfile"),
        Good("FORCE_CUDA=0 python setup.py develop\n", "switched off", file="build.sh"),
    )

    def visit_Variable(self, item: Variable, ctx: FileContext) -> None:
        found = variable(item.name)
        off = item.name.startswith("FORCE_CUDA") and item.value == "0"
        if found is None or off or (ctx.kind is Kind.DOCKERFILE and item.handled):
            return
        from uncuda.rules.knowledge import outcomes

        symbol, note = found
        if any(f.code == self.code and f.symbol == symbol and item.name in f.message for f in ctx.findings):
            return  # told once in a file
        others = variable_elsewhere(item.name, symbol, note, ctx.targets)
        ctx.report(
            self,
            item,
            f"`{item.name}` is CUDA's" + (f"; elsewhere: {others}" if others else ""),
            symbol=symbol,
            outcomes=outcomes(symbol),
        )


_SMI = "subprocess nvidia-smi"
_TOOLS = ("use of nvcc", "CUDA profilers and debuggers")


class NvidiaTool(FileRule):
    """`nvidia-smi`, `nvcc` and their kin are installed on NVIDIA hosts only.

    Elsewhere the shell says that there is no such command, and a script under `set -e` stops there. Ask for the tool
    first (`command -v nvidia-smi`), and have a branch for the others; UC703 says the same of Python.
    """

    code = "UC822"
    name = "nvidia-tool"
    triggers = (
        "nvidia-", "nvcc", "ptxas", "nsys", "ncu", "nvprof", "nv-nsight", "cuda-gdb", "cuda-memcheck", "compute-sanitizer",
        "cuobjdump", "nvdisasm", "dcgmi", "nvlink", "fatbinary", "nvtop",
    )  # fmt: skip
    category = Category.MANDATORY
    effort = 1
    sources = ("knowledge base: nvidia-smi, around", "vendors' tools: knowledge base, targets")
    bad = (
        Bad("nvidia-smi\nN=$(nvidia-smi -L | wc -l)\n", file="run.sh", count=2),
        Bad("if command -v nvidia-smi; then\n  nvidia-smi -L\nfi\n", file="run.sh", count=2, id="asked"),
        Bad("FROM python:3.12\nRUN nvcc --version && make\n", file="Dockerfile", id="image"),
        Bad("jobs:\n  test:\n    steps:\n      - run: |\n          echo hi\n          sudo nvidia-smi\n", file="ci.yml", id="ci"),
        Bad("NVCC ?= nvcc\nall:\n\t$(NVCC) -o x x.cu\n", file="Makefile", id="make"),
        Bad("nsys profile -o out python train.py\n", file="profile.sh", id="profiler"),
        Bad('services:\n  app:\n    healthcheck:\n      test: x\n    command: ["nvidia-smi", "-l"]\n', file="compose.yaml", id="words"),
    )  # fmt: skip
    good = (
        Good("npu-smi info\nrocm-smi\n", "other vendors'", file="run.sh"),
        Good("echo nvidia-smi\n# nvidia-smi\n", "text", file="run.sh"),
        Good("apt-get install -y nvidia-utils\ncp nvidia-smi.log /tmp\n", "not run", file="run.sh"),
        Good("FROM python:3.12\nCOPY nvcc /x\n", "not run", file="Dockerfile"),
        Good("name: nvidia-smi\ndescription: runs nvcc\n", "text", file="action.yml"),
        Good("CC = gcc\nall:\n\t$(CC) x.c\n", file="Makefile"),
        Good("PROFILES := profiles/ncu\n", "a directory", file="Makefile"),
        Good("cat <<EOF > job.sh\nnvidia-smi\nEOF\n", "a text that is written", file="run.sh"),
    )

    def visit_Program(self, item: Program, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts, outcomes

        if item.name in named((_SMI,)):
            others = elsewhere("smi", ctx.targets)
            ctx.report(
                self,
                item,
                f"`{item.name}` is on NVIDIA hosts only" + (f"; elsewhere: {others}" if others else ""),
                symbol=_SMI,
                outcomes=outcomes(_SMI),
            )
            return
        fact = next((f for f in map(around_facts().__getitem__, _TOOLS) if f.covers(item.name)), None)
        if fact is not None:
            ctx.report(
                self,
                item,
                f"`{item.name}` is a part of NVIDIA's toolkit; elsewhere: {fact.instead}",
                symbol=fact.symbol,
                outcomes=fact.outcomes,
                effort=fact.effort,
            )


_MODEL = "--gres=gpu:MODEL"


class GpuRequest(FileRule):
    """The scheduler or the launcher is asked for GPUs by a name that other accelerators don't have.

    What a cluster calls its devices is the site's choice: Slurm finds AMD's and Intel's as `gpu` too, others have
    names such as `npu`. With a model (`gpu:a100`) the job waits forever. `torchrun --nproc_per_node=gpu` raises where
    there is no CUDA; `auto` counts every accelerator.
    """

    code = "UC823"
    name = "gpu-request"
    triggers = ("gpu", "-G", "nvidia", "--constraint", "-C ")
    category = Category.POTENTIAL
    effort = 0
    sources = ("knowledge base: around",)
    bad = (
        Bad("#!/bin/bash\n#SBATCH --nodes=2\n#SBATCH --gres=gpu:4\nsrun python train.py\n", file="job.slurm"),
        Bad("#SBATCH --gres=gpu:a100:2\n#SBATCH --constraint=v100\n", file="job.sh", count=2, id="model"),
        Bad(
            "srun --gres=gpu:1 --pty bash\nsbatch --gpus-per-node=8 job.sh\n",
            file="run.sh",
            count=2,
            id="command",
        ),
        Bad("torchrun --standalone --nproc_per_node=gpu train.py\n", file="run.sh", id="torchrun"),
        Bad("python -m torch.distributed.run --nproc-per-node gpu train.py\n", file="run.sh", id="module"),
    )
    good = (
        Good("#SBATCH --gres=npu:8\n", "another name", file="job.slurm"),
        Good("##SBATCH --gres=gpu:4\n# SBATCH --gres=gpu:4\n", "switched off", file="job.slurm"),
        Good("torchrun --nproc_per_node=auto train.py\ntorchrun --nproc_per_node=8 train.py\n", "any accelerator", file="run.sh"),
        Good("python train.py --gres=gpu:4\n", "an option of a program of one's own", file="run.sh"),
        Good("echo --nproc_per_node=gpu\n", "text", file="run.sh"),
    )  # fmt: skip

    def visit_Option(self, item: Option, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        name, value = item.name, item.value
        if name == "--nproc_per_node":
            if value != "gpu":
                return
            fact = around_facts()["--nproc_per_node=gpu"]
            ctx.report(
                self,
                item,
                f"`{name}=gpu` raises where there is no CUDA; advice: {fact.instead}",
                symbol=fact.symbol,
                outcomes=fact.outcomes,
                category=Category.MANDATORY,
            )
            return
        if item.program != "scheduler" or value.startswith("$"):
            return
        constraint = name in ("-C", "--constraint")
        asks = name.startswith(("--gpus", "-G", "-gpu")) or (not constraint and "gpu" in value.lower())
        model = around_facts()[_MODEL].covers(value) and (asks or constraint)
        if not asks and not model:
            return
        fact = around_facts()[_MODEL if model else "--gres=gpu"]
        told = (
            "asks for a model of NVIDIA's"
            if model
            else "asks for GPUs; other accelerators have names of the site's own"
        )
        shown = f"{name}={value}" if name.startswith("--") else f"{name} {value}"
        ctx.report(self, item, f"`{shown}` {told}", symbol=fact.symbol, outcomes=fact.outcomes)


class CudaToolkit(FileRule):
    """NVIDIA's toolkit or driver is installed where something is built or run: gigabytes that other hosts don't use.

    The packages come from one vendor's repositories; installing them succeeds on most hosts and helps on none but
    NVIDIA's. Make the step a choice: a build argument, a job of the CI's matrix, an image for each accelerator.
    """

    code = "UC824"
    name = "cuda-toolkit"
    triggers = ("cuda", "nvidia", "libcudnn", "libnccl", "libcu", "libnv", "libnpp", "cudnn", "tensorrt")
    category = Category.OPTIONAL
    effort = 1
    sources = ("knowledge base: around",)
    bad = (
        Bad("FROM ubuntu:22.04\nRUN apt-get update && apt-get install -y \\\n    git cuda-toolkit-12-1 libcudnn8=8.9.0\n",
            file="Dockerfile", count=2),
        Bad("sudo apt install nvidia-cuda-toolkit\n", file="setup.sh", id="script"),
        Bad("jobs:\n  build:\n    steps:\n      - uses: Jimver/cuda-toolkit@v0.2.16\n", file="ci.yml", id="action"),
    )  # fmt: skip
    good = (
        Good("FROM ubuntu:22.04\nRUN apt-get install -y git barracuda python3\n", "other packages", file="Dockerfile"),
        Good("# apt install nvidia-cuda-toolkit\necho cuda\n", "a comment", file="setup.sh"),
        Good("jobs:\n  build:\n    steps:\n      - uses: actions/checkout@v4\n      - name: cuda\n", "names", file="ci.yml"),
        Good("apt-get remove cuda-toolkit-12-1\n", "taken away", file="setup.sh"),
    )  # fmt: skip

    def visit_SystemPackage(self, item: SystemPackage, ctx: FileContext) -> None:
        from uncuda.rules.knowledge import around_facts

        fact = around_facts()["CUDA toolkit"]
        if not fact.covers(item.name):
            return
        ctx.report(
            self,
            item,
            f"`{item.name}` is of use on NVIDIA hosts only; advice: {fact.instead}",
            symbol=fact.symbol,
            outcomes=fact.outcomes,
            effort=fact.effort,
        )
